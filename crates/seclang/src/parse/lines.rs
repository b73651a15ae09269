//! Physical lines to logical ones, with the way back from any byte to its line and column.

use std::sync::Arc;

use crate::error::Place;

/// A logical line: physical lines joined where one ends with a backslash.
pub(super) struct Line {
    pub(super) text: Vec<u8>,
    /// Where in `text` each physical line begins, its number, and how many bytes of it were cut off before.
    pieces: Vec<(usize, u32)>,
    file: Arc<str>,
}

/// A word of a line: a range of its text, without the quotes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The logical lines of a file that say something.
pub(super) fn lines(file: &Arc<str>, text: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (index, physical) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let physical = physical.strip_suffix(b"\r").unwrap_or(physical);
        let trimmed = physical.trim_ascii_start();
        // A comment is one physical line, wherever it stands.
        if trimmed.first() == Some(&b'#') || (open.is_none() && trimmed.is_empty()) {
            continue;
        }
        let line =
            open.get_or_insert_with(|| Line { text: Vec::new(), pieces: Vec::new(), file: Arc::clone(file) });
        line.pieces.push((line.text.len(), number));
        let (kept, continues) = match physical.strip_suffix(b"\\") {
            Some(kept) => (kept, true),
            None => (physical, false),
        };
        line.text.extend_from_slice(kept);
        if !continues {
            lines.extend(open.take());
        }
    }
    lines.extend(open);
    lines
}

impl Line {
    /// The line and column of a byte.
    pub(super) fn place(&self, offset: usize) -> Place {
        let piece = self.pieces.iter().rev().find(|(start, _)| *start <= offset).or(self.pieces.first());
        let (start, line) = piece.copied().unwrap_or((0, 1));
        let column = u32::try_from(offset.saturating_sub(start) + 1).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line, column }
    }

    /// Where it begins.
    pub(super) fn begin(&self) -> Place {
        self.place(self.text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0))
    }

    /// Its words: separated by white space, or in double or single quotes. The error is where a quote was opened that is never closed.
    pub(super) fn words(&self) -> Result<Vec<Word>, usize> {
        let mut words = Vec::new();
        let mut at = 0;
        while let Some(byte) = self.text.get(at) {
            match byte {
                b' ' | b'\t' => at += 1,
                quote @ (b'"' | b'\'') => {
                    let start = at + 1;
                    let end = self.closing(start, *quote).ok_or(at)?;
                    words.push(Word { start, end });
                    at = end + 1;
                }
                _ => {
                    let start = at;
                    while self.text.get(at).is_some_and(|byte| !matches!(byte, b' ' | b'\t')) {
                        at += 1;
                    }
                    words.push(Word { start, end: at });
                }
            }
        }
        Ok(words)
    }

    fn closing(&self, start: usize, quote: u8) -> Option<usize> {
        let mut at = start;
        loop {
            match self.text.get(at)? {
                b'\\' => at += 2,
                byte if *byte == quote => return Some(at),
                _ => at += 1,
            }
        }
    }

    /// As it is written.
    pub(super) fn raw(&self, word: Word) -> &[u8] {
        self.text.get(word.start..word.end).unwrap_or_default()
    }

    /// As it is meant: `\"` is a quote.
    pub(super) fn value(&self, word: Word) -> Vec<u8> {
        unquote(self.raw(word), b'"')
    }
}

/// `\` before this quote is dropped; any other stays, since it belongs to a pattern.
pub(super) fn unquote(raw: &[u8], quote: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b'\\' {
            match bytes.peek().copied() {
                Some(next) if next == quote => {}
                // An escaped backslash is one thing: the quote after it is not escaped.
                Some(b'\\') => {
                    out.push(b'\\');
                    bytes.next();
                    out.push(b'\\');
                    continue;
                }
                _ => out.push(b'\\'),
            }
        } else {
            out.push(byte);
        }
    }
    out
}
