//! Lines that end in CR LF, found as bytes arrive.

use crate::{Refusal, RefusalKind};

/// Finds one line after the other, and never looks at a byte twice.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Where the line under way starts.
    start: usize,
    /// Up to where there is no line end.
    scanned: usize,
}

/// One line, without its CR LF.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) start: usize,
    pub(super) end: usize,
}

// === impl Lines ===

impl Lines {
    /// The next line of `bytes`, or `None` when its end has not arrived. Of `bytes`, only the first `limit` are
    /// looked at; `too_long` is the refusal when they hold no line end.
    pub(super) fn next(
        &mut self,
        bytes: &[u8],
        limit: usize,
        too_long: RefusalKind,
    ) -> Result<Option<Line>, Refusal> {
        let window = bytes.get(..limit).unwrap_or(bytes);
        let unseen = window.get(self.scanned..).unwrap_or_default();
        if let Some(found) = memchr::memchr2(b'\r', b'\n', unseen) {
            let end = self.scanned + found;
            match window.get(end..) {
                Some([b'\r', b'\n', ..]) => {
                    let line = Line { start: self.start, end };
                    self.start = end + 2;
                    self.scanned = self.start;
                    return Ok(Some(line));
                }
                Some([b'\r']) => self.scanned = end,
                Some([b'\r', ..]) => return Err(Refusal::at(RefusalKind::BareCr, end)),
                _ => return Err(Refusal::at(RefusalKind::BareLf, end)),
            }
        } else {
            self.scanned = window.len().max(self.scanned);
        }
        if window.len() >= limit { Err(Refusal::new(too_long)) } else { Ok(None) }
    }

    /// Where the next line starts: how many bytes were consumed by whole lines.
    pub(super) fn position(&self) -> usize {
        self.start
    }

    /// Whether no byte was looked at.
    pub(super) fn is_fresh(&self) -> bool {
        self.scanned == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_looked_at_once_however_they_arrive() {
        let bytes = [b"x".repeat(1000), b"\r\n".to_vec(), b"y".repeat(1000)].concat();
        let mut lines = Lines::default();
        let mut found = 0;
        for end in 1..=bytes.len() {
            found +=
                usize::from(lines.next(&bytes[..end], 4096, RefusalKind::HeadTooLarge).unwrap().is_some());
            assert!(lines.scanned >= end - 1, "only a carriage return may be looked at again");
        }
        assert_eq!((found, lines.position()), (1, 1002));
    }
}
