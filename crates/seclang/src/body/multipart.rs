//! `multipart/form-data` (RFC 7578), read strictly: whatever two readers could read differently raises a flag that rules see.

use crate::names::Collection;

/// The most header lines of one part.
const HEADERS: usize = 32;
/// The longest boundary (RFC 2046).
const BOUNDARY: usize = 70;

/// What a form holds.
#[derive(Debug, Default)]
pub(crate) struct Form<'a> {
    pub(crate) parts: Vec<Part<'a>>,
    pub(crate) flags: Flags,
    /// Why it could not be read to its end.
    pub(crate) error: Option<&'static str>,
}

/// One part.
#[derive(Debug, Default)]
pub(crate) struct Part<'a> {
    pub(crate) name: Vec<u8>,
    pub(crate) filename: Option<Vec<u8>>,
    pub(crate) content: &'a [u8],
    /// Its header lines, as they were sent.
    pub(crate) headers: Vec<Vec<u8>>,
}

/// What is odd about it.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) boundary_quoted: bool,
    pub(crate) boundary_whitespace: bool,
    pub(crate) crlf_lf_lines: bool,
    pub(crate) data_after: bool,
    pub(crate) data_before: bool,
    pub(crate) file_limit: bool,
    pub(crate) header_folding: bool,
    pub(crate) invalid_header_folding: bool,
    pub(crate) invalid_part: bool,
    pub(crate) invalid_quoting: bool,
    pub(crate) lf_line: bool,
    pub(crate) missing_semicolon: bool,
    pub(crate) unmatched_boundary: bool,
}

/// A line of the body, without its end.
struct Line<'a> {
    text: &'a [u8],
    start: usize,
    /// Where its end begins.
    end: usize,
    next: usize,
    crlf: bool,
    lf: bool,
}

/// Reads a form.
pub(crate) fn read<'a>(content_type: &[u8], body: &'a [u8], uploads: usize, parts: usize) -> Form<'a> {
    let mut form = Form::default();
    let Some(boundary) = boundary(content_type, &mut form.flags) else {
        form.error = Some("the content type names no boundary");
        form.flags.invalid_part = true;
        return form;
    };
    form.read(&boundary, body, uploads, parts);
    form
}

fn boundary(content_type: &[u8], flags: &mut Flags) -> Option<Vec<u8>> {
    let lower = content_type.to_ascii_lowercase();
    let at = memchr::memmem::find(&lower, b"boundary")?;
    // Two boundaries are two forms; a boundary may well be called `boundary`.
    let names = memchr::memmem::find_iter(&lower, b"boundary")
        .filter(|at| lower.get(at + 8..).is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'=')));
    if names.count() > 1 {
        return None;
    }
    if !lower.get(..at)?.contains(&b';') {
        flags.missing_semicolon = true;
    }
    let rest = content_type.get(at + 8..)?;
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let value = rest.get(blanks..)?.strip_prefix(b"=")?;
    flags.boundary_whitespace |= blanks > 0 || value.first().is_some_and(u8::is_ascii_whitespace);
    let value = value.trim_ascii_start();
    let boundary = if let Some(quoted) = value.strip_prefix(b"\"") {
        flags.boundary_quoted = true;
        quoted.get(..memchr::memchr(b'"', quoted)?)?
    } else {
        let end = value
            .iter()
            .position(|byte| matches!(byte, b';' | b',' | b' ' | b'\t' | b'"'))
            .unwrap_or(value.len());
        value.get(..end)?
    };
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    (!boundary.is_empty() && boundary.len() <= BOUNDARY && boundary.iter().all(allowed))
        .then(|| boundary.to_vec())
}

fn line(body: &[u8], start: usize) -> Option<Line<'_>> {
    let rest = body.get(start..).filter(|rest| !rest.is_empty())?;
    let feed = memchr::memchr(b'\n', rest);
    let end = feed.unwrap_or(rest.len());
    let text = rest.get(..end)?;
    let (text, crlf) = match text.strip_suffix(b"\r") {
        Some(text) if feed.is_some() => (text, true),
        _ => (text, false),
    };
    let next = start + feed.map_or(rest.len(), |feed| feed + 1);
    Some(Line { text, start, end: start + text.len(), next, crlf, lf: feed.is_some() && !crlf })
}

// === impl Form ===

impl<'a> Form<'a> {
    fn read(&mut self, boundary: &[u8], body: &'a [u8], uploads: usize, most: usize) {
        let mark = [b"--", boundary].concat();
        let mut part: Option<Part<'a>> = None;
        let mut in_headers = false;
        let mut begin = 0;
        let mut before_end = 0;
        let mut at = 0;
        let (mut crlf, mut lf) = (false, false);
        while let Some(line) = line(body, at) {
            at = line.next;
            let is_mark = line.text.strip_prefix(mark.as_slice());
            if is_mark.is_some() || in_headers {
                crlf |= line.crlf;
                lf |= line.lf;
            }
            if let Some(rest) = is_mark {
                if let Some(mut done) = part.take() {
                    if in_headers {
                        self.fail("a part ends inside its headers");
                    }
                    // The line end before a boundary belongs to the boundary.
                    done.content = body.get(begin..before_end.max(begin)).unwrap_or_default();
                    self.finish(done, uploads);
                }
                match rest {
                    b"" => {
                        if self.parts.len() >= most {
                            self.flags.file_limit = true;
                            return self.fail("it has too many parts");
                        }
                        part = Some(Part::default());
                        in_headers = true;
                        begin = at;
                    }
                    b"--" => {
                        self.flags.data_after |= body.get(at..).is_some_and(|rest| !rest.is_empty());
                        return self.lines(crlf, lf);
                    }
                    _ => {
                        // Another boundary that begins like this one: readers differ in what they make of it.
                        self.flags.unmatched_boundary = true;
                        self.fail("a boundary is followed by something");
                        return self.lines(crlf, lf);
                    }
                }
                continue;
            }
            match &mut part {
                None => self.flags.data_before |= !line.text.is_empty(),
                Some(_) if in_headers && line.text.is_empty() => {
                    in_headers = false;
                    begin = at;
                    before_end = at;
                }
                Some(current) if in_headers => {
                    if matches!(line.text.first(), Some(b' ' | b'\t')) {
                        self.flags.header_folding = true;
                        match current.headers.last_mut() {
                            Some(last) => last.extend_from_slice(line.text),
                            None => {
                                self.flags.invalid_header_folding = true;
                                current.headers.push(line.text.to_vec());
                            }
                        }
                    } else if current.headers.len() < HEADERS {
                        current.headers.push(line.text.to_vec());
                    } else {
                        self.fail("a part has too many headers");
                    }
                }
                Some(_) => {
                    self.flags.unmatched_boundary |= line.text.starts_with(b"--");
                    before_end = line.end;
                    debug_assert!(line.start <= line.end);
                }
            }
        }
        self.lines(crlf, lf);
        if let Some(mut unfinished) = part {
            unfinished.content = body.get(begin..).unwrap_or_default();
            self.finish(unfinished, uploads);
        }
        if !body.is_empty() {
            self.fail("its last boundary is missing");
        }
    }

    fn lines(&mut self, crlf: bool, lf: bool) {
        self.flags.lf_line |= lf;
        self.flags.crlf_lf_lines |= crlf && lf;
    }

    fn fail(&mut self, why: &'static str) {
        self.flags.invalid_part = true;
        self.error.get_or_insert(why);
    }

    fn finish(&mut self, mut part: Part<'a>, uploads: usize) {
        let mut disposition = None;
        for header in &part.headers {
            let Some(colon) = memchr::memchr(b':', header) else {
                self.flags.invalid_part = true;
                self.error.get_or_insert("a header of a part has no colon");
                continue;
            };
            let (name, value) = header.split_at(colon);
            if name.trim_ascii().eq_ignore_ascii_case(b"content-disposition") {
                if disposition.is_some() {
                    self.flags.invalid_part = true;
                    self.error.get_or_insert("a part has two dispositions");
                }
                disposition = value.get(1..).map(<[u8]>::to_vec);
            }
        }
        match disposition {
            Some(value) => self.dispose(&value, &mut part),
            None => self.fail("a part has no disposition"),
        }
        if part.filename.is_some()
            && self.parts.iter().filter(|part| part.filename.is_some()).count() >= uploads
        {
            self.flags.file_limit = true;
            return;
        }
        self.parts.push(part);
    }

    /// `form-data; name="a"; filename="b"`
    fn dispose(&mut self, value: &[u8], part: &mut Part<'a>) {
        let mut rest = value.trim_ascii();
        let kind = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
        if !rest.get(..kind).unwrap_or_default().trim_ascii().eq_ignore_ascii_case(b"form-data") {
            self.fail("the disposition of a part is not `form-data`");
        }
        rest = rest.get(kind..).unwrap_or_default();
        let mut named = false;
        while let Some(after) = rest.strip_prefix(b";") {
            let after = after.trim_ascii_start();
            if after.is_empty() {
                break;
            }
            let Some(equals) = memchr::memchr(b'=', after) else {
                return self.fail("a parameter of a disposition has no value");
            };
            let (name, value) = after.split_at(equals);
            let name = name.trim_ascii().to_ascii_lowercase();
            let (value, used) = self.parameter(value.get(1..).unwrap_or_default());
            match name.as_slice() {
                b"name" if !named => {
                    named = true;
                    part.name = value;
                }
                b"filename" if part.filename.is_none() => part.filename = Some(value),
                b"filename*" if part.filename.is_none() => part.filename = Some(extended(&value)),
                b"name" | b"filename" | b"filename*" => {
                    self.fail("a parameter of a disposition stands twice")
                }
                _ => {}
            }
            rest = after.get(equals + 1 + used..).unwrap_or_default().trim_ascii_start();
        }
        if !rest.is_empty() && !rest.starts_with(b";") {
            self.flags.invalid_quoting = true;
            self.fail("a disposition goes on after a value");
        }
        if !named {
            self.fail("a part has no name");
        }
    }

    /// A value, in quotes or not, and how many bytes it took.
    fn parameter(&mut self, text: &[u8]) -> (Vec<u8>, usize) {
        let blanks = text.len() - text.trim_ascii_start().len();
        let rest = text.get(blanks..).unwrap_or_default();
        match rest.first() {
            Some(b'"') => {
                let mut out = Vec::new();
                let mut at = 1;
                while let Some(byte) = rest.get(at) {
                    match byte {
                        b'"' => return (out, blanks + at + 1),
                        // Only quotes and backslashes are escaped: browsers send Windows paths as they are.
                        b'\\' if matches!(rest.get(at + 1), Some(b'"' | b'\\')) => {
                            out.extend(rest.get(at + 1));
                            at += 2;
                        }
                        other => {
                            out.push(*other);
                            at += 1;
                        }
                    }
                }
                self.flags.invalid_quoting = true;
                (out, text.len())
            }
            first => {
                self.flags.invalid_quoting |= first == Some(&b'\'');
                let end = rest.iter().position(|byte| *byte == b';').unwrap_or(rest.len());
                (rest.get(..end).unwrap_or_default().trim_ascii_end().to_vec(), blanks + end)
            }
        }
    }
}

/// `UTF-8''a%20b` (RFC 8187).
fn extended(value: &[u8]) -> Vec<u8> {
    let text = value.splitn(3, |byte| *byte == b'\'').nth(2).unwrap_or(value);
    let mut out = Vec::new();
    crate::transform::apply(crate::names::Transform::UrlDecode, text, &mut out);
    out
}

// === impl Flags ===

impl Flags {
    /// Each with the variable that tells it.
    pub(crate) fn list(&self) -> [(Collection, bool); 14] {
        use Collection as C;
        let strict = self.boundary_quoted
            || self.boundary_whitespace
            || self.data_before
            || self.data_after
            || self.header_folding
            || self.lf_line
            || self.missing_semicolon
            || self.invalid_quoting
            || self.invalid_part
            || self.invalid_header_folding
            || self.file_limit;
        [
            (C::MultipartBoundaryQuoted, self.boundary_quoted),
            (C::MultipartBoundaryWhitespace, self.boundary_whitespace),
            (C::MultipartCrlfLfLines, self.crlf_lf_lines),
            (C::MultipartDataAfter, self.data_after),
            (C::MultipartDataBefore, self.data_before),
            (C::MultipartFileLimitExceeded, self.file_limit),
            (C::MultipartHeaderFolding, self.header_folding),
            (C::MultipartInvalidHeaderFolding, self.invalid_header_folding),
            (C::MultipartInvalidPart, self.invalid_part),
            (C::MultipartInvalidQuoting, self.invalid_quoting),
            (C::MultipartLfLine, self.lf_line),
            (C::MultipartMissingSemicolon, self.missing_semicolon),
            (C::MultipartStrictError, strict),
            (C::MultipartUnmatchedBoundary, self.unmatched_boundary),
        ]
    }
}
