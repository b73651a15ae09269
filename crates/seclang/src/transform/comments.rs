//! Comments of SQL, HTML and shells.

/// Whether `mark` stands at `at`.
fn stands(input: &[u8], at: usize, mark: &[u8]) -> bool {
    input.get(at..).is_some_and(|rest| rest.starts_with(mark))
}

/// Each `/* … */` to one space; one that is never closed reaches to the end.
pub(super) fn replace(input: &[u8], out: &mut Vec<u8>) {
    let mut rest = input;
    while let Some(start) = memchr::memmem::find(rest, b"/*") {
        let (before, inside) = rest.split_at(start);
        out.extend_from_slice(before);
        out.push(b' ');
        let inside = inside.get(2..).unwrap_or_default();
        rest = match memchr::memmem::find(inside, b"*/") {
            Some(end) => inside.get(end + 2..).unwrap_or_default(),
            None => b"",
        };
    }
    out.extend_from_slice(rest);
}

/// `/* … */` and `<!-- … -->` are taken out; `--` and `#` end the value.
pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        let close: &[u8] = if stands(input, at, b"/*") {
            b"*/"
        } else if stands(input, at, b"<!--") {
            b"-->"
        } else if stands(input, at, b"--") || *byte == b'#' {
            return;
        } else {
            out.push(*byte);
            at += 1;
            continue;
        };
        let after = at + if close.len() == 2 { 2 } else { 4 };
        match memchr::memmem::find(input.get(after..).unwrap_or_default(), close) {
            Some(end) => at = after + end + close.len(),
            None => {
                out.push(b' ');
                return;
            }
        }
    }
}

/// The marks of comments are taken out, what is in them stays.
pub(super) fn remove_marks(input: &[u8], out: &mut Vec<u8>) {
    const MARKS: &[&[u8]] = &[b"<!--", b"-->", b"/*", b"*/", b"--", b"#"];
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        match MARKS.iter().find(|mark| stands(input, at, mark)) {
            Some(mark) => at += mark.len(),
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
}
