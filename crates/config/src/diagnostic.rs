//! What is wrong in a configuration, where, and what to do about it.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::tree::Place;

/// Most mistakes that are listed; a file with more is not a configuration with mistakes but another file.
pub(crate) const MOST: usize = 100;
/// Most characters of a line that are shown.
const EXCERPT: usize = 160;

/// How grave it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is served, and somebody should look at it.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// Stable kebab-case word.
    pub code: &'static str,
    /// What is wrong; lower case, no full stop, user's words in backticks.
    pub message: String,
    /// The file.
    pub file: PathBuf,
    /// Line and column from 1; 0 where the whole file is meant.
    pub line: usize,
    /// See `line`.
    pub column: usize,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip)]
    len: usize,
}

/// All that is wrong, in the order of the file, with the text it is about.
#[derive(Clone)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    text: Arc<str>,
    file: PathBuf,
    /// What may be a secret that was written where a reference belongs: never shown.
    hidden: Vec<Place>,
}

// === impl Diagnostic ===

impl Diagnostic {
    /// Something wrong with the whole file.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            file: PathBuf::new(),
            line: 0,
            column: 0,
            help: None,
            len: 1,
        }
    }

    /// The same, as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same, at this place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        (self.line, self.column, self.len) = (place.line, place.column, place.len);
        self
    }

    /// The same, with this advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn help_if(mut self, help: Option<impl Into<String>>) -> Self {
        self.help = help.map(Into::into);
        self
    }
}

// === impl Diagnostics ===

impl Diagnostics {
    pub(crate) fn new(mut list: Vec<Diagnostic>, text: Arc<str>, file: &Path) -> Self {
        list.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        for diagnostic in &mut list {
            diagnostic.file = file.to_owned();
        }
        Self { list, text, file: file.to_owned(), hidden: Vec::new() }
    }

    /// The same, with these places never shown.
    pub(crate) fn hiding(mut self, hidden: Vec<Place>) -> Self {
        self.hidden = hidden;
        self
    }

    /// All of them.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// Adds those of another reader of the same file.
    pub fn extend(&mut self, more: Self) {
        self.list.extend(more.list);
    }

    /// For a terminal: each with its place, the line it is about, and what to do. `color` adds ANSI colours.
    ///
    /// ```text
    /// error: unknown field `lissten`
    ///   --> haechi.yaml:2:1
    ///    |
    ///  2 | lissten:
    ///    | ^^^^^^^
    ///    = help: did you mean `listen`?
    /// ```
    pub fn render(&self, color: bool) -> String {
        let paint = |code: &'static str| if color { code } else { "" };
        let (blue, bold, reset) = (paint("\x1b[1;34m"), paint("\x1b[1m"), paint("\x1b[0m"));
        let mut out = String::new();
        for diagnostic in &self.list {
            let Diagnostic { severity, message, line, column, help, len, .. } = diagnostic;
            let (word, tone) = match severity {
                Severity::Error => ("error", paint("\x1b[1;31m")),
                Severity::Warning => ("warning", paint("\x1b[1;33m")),
            };
            let file = self.file.display();
            let width = line.to_string().len().max(2);
            let pad = " ".repeat(width);
            let _ = writeln!(out, "{tone}{word}{reset}{bold}: {}{reset}", printable(message));
            if *line == 0 {
                let _ = writeln!(out, "{pad}{blue}-->{reset} {file}");
            } else {
                let (excerpt, before, marked) = self.excerpt(*line, *column, *len);
                let (space, carets) = (" ".repeat(before), "^".repeat(marked));
                let _ = writeln!(out, "{pad}{blue}-->{reset} {file}:{line}:{column}");
                let _ = writeln!(out, "{pad} {blue}|{reset}");
                let _ = writeln!(out, "{blue}{line:>width$} |{reset} {excerpt}");
                let _ = writeln!(out, "{pad} {blue}|{reset} {space}{tone}{carets}{reset}");
            }
            if let Some(help) = help {
                let _ = writeln!(out, "{pad} {blue}={reset} help: {}", printable(help));
            }
            out.push('\n');
        }
        out
    }

    /// The line around a place, and in terminal cells: how far in the place begins and how long it is.
    fn excerpt(&self, line: usize, column: usize, len: usize) -> (String, usize, usize) {
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        // Of a long line the part around the place.
        let long = text.chars().nth(EXCERPT).is_some();
        let first = if long && column > EXCERPT / 2 { column - EXCERPT / 4 } else { 1 };
        let hidden = |at: usize| {
            let inside =
                |place: &&Place| place.line == line && (place.column..place.column + place.len).contains(&at);
            self.hidden.iter().any(|place| inside(&place))
        };
        let (mut shown, mut before, mut marked) = (String::new(), 0, 0);
        for (at, c) in (1..).zip(text.chars()).skip(first - 1).take(EXCERPT) {
            let c = if hidden(at) { '*' } else { visible(c) };
            shown.push(c);
            if at < column {
                before += cells(c);
            } else if at < column + len {
                marked += cells(c);
            }
        }
        (shown, before, marked.max(1))
    }

    /// For programs: a JSON list.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.list).unwrap_or_default()
    }
}

/// Without the text, which may hold what must not be shown.
impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.list).finish()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// What a terminal would act upon, as a space.
fn visible(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

fn printable(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Cells of a terminal that a character takes: two for the scripts and symbols that are written wide.
fn cells(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f
        | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

/// The word among `known` that was probably meant.
pub(crate) fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name of ours: not a slip of the pen.
    if word.len() > 100 {
        return None;
    }
    let most = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be inserted, deleted, replaced or swapped with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut previous = None;
    for (row, letter) in one.chars().enumerate() {
        let mut next = vec![row + 1];
        for (column, &expected) in other.iter().enumerate() {
            let at = |list: &[usize], index: usize| list.get(index).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, column) + usize::from(letter != expected);
            let mut best = replaced.min(at(&last, column + 1) + 1).min(at(&next, column) + 1);
            if column > 0 && previous == Some(expected) && other.get(column - 1) == Some(&letter) {
                best = best.min(at(&before, column - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
        previous = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_recognised_and_another_is_not() {
        let known = ["listen", "limits", "identity", "apis"];
        assert_eq!(meant("lissten", known), Some("listen"));
        assert_eq!(meant("idnetity", known), Some("identity"));
        assert_eq!(meant("api", known), Some("apis"));
        assert_eq!(meant("telemetry", known), None);
    }

    fn shown(text: &str, column: usize, len: usize) -> Vec<String> {
        let place = Place { line: 1, column, len };
        let list = vec![Diagnostic::new("x", "x").at(place)];
        let diagnostics = Diagnostics::new(list, text.into(), Path::new("f"));
        diagnostics.render(false).lines().skip(3).take(2).map(str::to_owned).collect()
    }

    #[test]
    fn carets_stand_below_wide_letters_and_beside_a_long_line() {
        assert_eq!(shown("이름: 피자 x", 5, 2), [" 1 | 이름: 피자 x", "   |       ^^^^"]);
        assert_eq!(shown("이름: 피자 x", 8, 1), [" 1 | 이름: 피자 x", "   |            ^"]);
        let long = format!("{}here{}", "a".repeat(4_000), "b".repeat(4_000));
        let lines = shown(&long, 4_001, 4);
        assert!(lines.iter().all(|line| line.len() <= 5 + EXCERPT), "{lines:?}");
        assert_eq!(lines[0].find("here"), lines[1].find("^^^^"));
    }

    #[test]
    fn a_terminal_is_told_nothing_by_the_file() {
        let list =
            vec![Diagnostic::new("x", "`\x1b[2J`").help("\x07").at(Place { line: 1, column: 1, len: 3 })];
        let diagnostics = Diagnostics::new(list, "a\x1b[2J\tb".into(), Path::new("f"));
        assert!(!diagnostics.render(false).contains(['\x1b', '\x07', '\t']));
    }

    #[test]
    fn the_excerpt_points_at_the_place() {
        let diagnostics = Diagnostics::new(
            vec![Diagnostic::new("unknown-field", "unknown field `lissten`").at(Place {
                line: 2,
                column: 1,
                len: 7,
            })],
            "haechi: 1\nlissten: []\n".into(),
            Path::new("haechi.yaml"),
        );
        let expected =
            "error: unknown field `lissten`\n  --> haechi.yaml:2:1\n   |\n 2 | lissten: []\n   | ^^^^^^^\n\n";
        assert_eq!(diagnostics.render(false), expected);
    }
}
