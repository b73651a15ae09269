//! A terminal: how large it is, and lines that fit into it.

/// Columns from which there is room for two tables side by side.
pub(super) const WIDE: u16 = 124;
/// What most terminals open with.
const USUAL: Size = Size { columns: 80, rows: 24 };

pub(super) const PLAIN: &str = "";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const RED: &str = "\x1b[1;31m";
pub(super) const GREEN: &str = "\x1b[32m";

/// How large a terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
}

/// How large the terminal behind standard error is, as far as it says so.
pub fn size() -> Size {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size { columns: size.ws_col, rows: size.ws_row },
        _ => USUAL,
    }
}

/// Part of a line, in one style.
pub(super) struct Segment {
    style: &'static str,
    text: String,
}

// === impl Segment ===

impl Segment {
    pub(super) fn new(style: &'static str, text: String) -> Self {
        Self { style, text }
    }

    /// Not longer than so many columns.
    pub(super) fn drawn(&self, columns: u16) -> String {
        let text: String = self.text.chars().take(columns.into()).collect();
        if self.style.is_empty() { text } else { format!("{}{text}\x1b[0m", self.style) }
    }

    fn len(&self) -> usize {
        self.text.chars().count()
    }
}

/// Two tables side by side.
pub(super) fn beside(left: &[Segment], right: &[Segment], columns: u16) -> Vec<String> {
    let width = left.iter().map(Segment::len).max().unwrap_or_default() + 4;
    let room = columns.saturating_sub(u16::try_from(width).unwrap_or(u16::MAX));
    (0..left.len().max(right.len()))
        .map(|row| {
            let (first, second) = (left.get(row), right.get(row));
            let gap = width - first.map_or(0, Segment::len);
            let first = first.map(|line| line.drawn(columns)).unwrap_or_default();
            let second = second.map(|line| line.drawn(room)).unwrap_or_default();
            format!("{first}{:gap$}{second}", "")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_stand_side_by_side_and_are_not_wider_than_the_terminal() {
        let left = [Segment::new(RED, "ab".to_owned()), Segment::new(PLAIN, "abcd".to_owned())];
        let right = [Segment::new(PLAIN, "xyz".to_owned())];
        let lines = beside(&left, &right, 10);
        assert_eq!(lines, ["\x1b[1;31mab\x1b[0m      xy", "abcd    "]);
    }
}
