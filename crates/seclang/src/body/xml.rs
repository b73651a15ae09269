//! XML to its text and the values of its attributes. Forgiving, so that what is malformed is judged too; a mistake is told beside.
//!
//! No entity is ever fetched or expanded, but for the five that XML itself defines and references to characters.

/// The error of a document that is nested too deeply.
pub(crate) const DEEP: &str = "it is nested too deeply";
/// The error of a document with too many attributes.
pub(crate) const MANY: &str = "it has too many attributes";

/// What rules see of a document.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Document {
    /// All text, that of comments and instructions aside.
    pub(crate) text: Vec<u8>,
    pub(crate) attributes: Vec<Vec<u8>>,
    /// The first mistake.
    pub(crate) error: Option<&'static str>,
}

struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    open: Vec<&'a [u8]>,
    rooted: bool,
    out: Document,
}

/// Reads a document.
pub(crate) fn read(input: &[u8], depth: usize, attributes: usize) -> Document {
    let decoded;
    let input = match input {
        [0xff, 0xfe, rest @ ..] => {
            decoded = utf16(rest, u16::from_le_bytes);
            &decoded
        }
        [0xfe, 0xff, rest @ ..] => {
            decoded = utf16(rest, u16::from_be_bytes);
            &decoded
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => rest,
        _ => input,
    };
    let mut reader = Reader { input, at: 0, open: Vec::new(), rooted: false, out: Document::default() };
    reader.read(depth, attributes);
    reader.out
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let units = bytes.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok()).map(unit);
    let text: String =
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.into_bytes()
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn wrong(&mut self, what: &'static str) {
        self.out.error.get_or_insert(what);
    }

    /// What stands before `mark`, which is skipped; all that is left when it never comes.
    fn until(&mut self, mark: &[u8]) -> &'a [u8] {
        let rest = self.rest();
        match memchr::memmem::find(rest, mark) {
            Some(end) => {
                self.at += end + mark.len();
                rest.get(..end).unwrap_or_default()
            }
            None => {
                self.wrong("it ends inside a mark");
                self.at = self.input.len();
                rest
            }
        }
    }

    fn read(&mut self, depth: usize, attributes: usize) {
        while !self.rest().is_empty() {
            let text = memchr::memchr(b'<', self.rest()).unwrap_or(self.rest().len());
            let piece = self.rest().get(..text).unwrap_or_default();
            self.at += text;
            if !piece.trim_ascii().is_empty() && self.open.is_empty() {
                self.wrong("text stands outside the root element");
            }
            references(piece, &mut self.out.text);
            let rest = self.rest();
            if rest.starts_with(b"<!--") {
                self.at += 4;
                self.until(b"-->");
            } else if rest.starts_with(b"<![CDATA[") {
                self.at += 9;
                let data = self.until(b"]]>");
                self.out.text.extend_from_slice(data);
            } else if rest.starts_with(b"<?") {
                self.at += 2;
                let instruction = self.until(b"?>");
                if !is_encoding_known(instruction) {
                    self.wrong("its encoding is not supported");
                }
            } else if rest.starts_with(b"<!") {
                self.doctype();
            } else if rest.starts_with(b"</") {
                self.at += 2;
                let name = self.until(b">").trim_ascii();
                if self.open.pop() != Some(name) {
                    self.wrong("an end tag closes no element");
                }
            } else if rest.starts_with(b"<") {
                self.at += 1;
                self.element(attributes);
                if self.open.len() > depth {
                    self.wrong(DEEP);
                    return;
                }
                if self.out.attributes.len() > attributes {
                    self.out.attributes.truncate(attributes);
                    self.wrong(MANY);
                    return;
                }
            }
        }
        if !self.open.is_empty() || !self.rooted {
            self.wrong("it ends before its root element does");
        }
    }

    /// A document type: skipped with all it declares.
    fn doctype(&mut self) {
        let mut inside = false;
        for (offset, byte) in self.rest().iter().enumerate() {
            match byte {
                b'[' => inside = true,
                b']' => inside = false,
                b'>' if !inside => {
                    self.at += offset + 1;
                    return;
                }
                _ => {}
            }
        }
        self.wrong("it ends inside its document type");
        self.at = self.input.len();
    }

    /// A start tag, its bracket read.
    fn element(&mut self, most: usize) {
        if self.open.is_empty() && self.rooted {
            self.wrong("there is more than one root element");
        }
        self.rooted = true;
        let name = self.name();
        if name.is_empty() {
            self.wrong("a tag has no name");
        }
        loop {
            self.blanks();
            match self.rest().first() {
                None => {
                    self.wrong("it ends inside a tag");
                    return;
                }
                Some(b'>') => {
                    self.at += 1;
                    self.open.push(name);
                    return;
                }
                Some(b'/') if self.rest().get(1) == Some(&b'>') => {
                    self.at += 2;
                    return;
                }
                Some(_) => {}
            }
            if self.name().is_empty() {
                // Whatever it is, it is no attribute; go on behind it.
                self.wrong("a tag holds what is no attribute");
                self.at += 1;
                continue;
            }
            self.blanks();
            if self.rest().first() != Some(&b'=') {
                self.wrong("an attribute has no value");
                continue;
            }
            self.at += 1;
            self.blanks();
            let mut value = Vec::new();
            match self.rest().first() {
                Some(quote @ (b'"' | b'\'')) => {
                    self.at += 1;
                    references(self.until(&[*quote]), &mut value);
                }
                _ => {
                    self.wrong("the value of an attribute is not in quotes");
                    references(self.name(), &mut value);
                }
            }
            if self.out.attributes.len() <= most {
                self.out.attributes.push(value);
            }
        }
    }

    fn blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn name(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let ends = |byte: &u8| {
            byte.is_ascii_whitespace() || matches!(byte, b'=' | b'>' | b'/' | b'"' | b'\'' | b'<')
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }
}

/// Appends text with references to characters resolved; others stay as they are written.
fn references(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(start) = memchr::memchr(b'&', rest) {
        let (before, after) = rest.split_at(start);
        out.extend_from_slice(before);
        match reference(after) {
            Some((letter, used)) => {
                let mut buffer = [0; 4];
                out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
                rest = after.get(used..).unwrap_or_default();
            }
            None => {
                out.push(b'&');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest);
}

fn reference(text: &[u8]) -> Option<(char, usize)> {
    // The longest is `&#x10FFFF;`; zeros may stand before.
    let end = memchr::memchr(b';', text.get(..text.len().min(32))?)?;
    let name = std::str::from_utf8(text.get(1..end)?).ok()?;
    let letter = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let value = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(value)?
        }
    };
    Some((letter, end + 1))
}

/// Whether a declaration names an encoding whose marks are ASCII's.
fn is_encoding_known(instruction: &[u8]) -> bool {
    if !instruction.starts_with(b"xml") {
        return true;
    }
    let Some(at) = memchr::memmem::find(instruction, b"encoding") else { return true };
    let rest = instruction.get(at + 8..).unwrap_or_default();
    let value = rest.trim_ascii_start().strip_prefix(b"=").unwrap_or_default().trim_ascii();
    let name: Vec<u8> = value
        .iter()
        .skip(1)
        .take_while(|byte| !matches!(byte, b'"' | b'\''))
        .map(u8::to_ascii_lowercase)
        .collect();
    const KNOWN: &[&[u8]] = &[b"utf-8", b"utf8", b"us-ascii", b"ascii", b"utf-16", b"windows-1252"];
    KNOWN.contains(&name.as_slice()) || name.starts_with(b"iso-8859-")
}
