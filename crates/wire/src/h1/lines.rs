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
