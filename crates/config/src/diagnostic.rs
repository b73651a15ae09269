//! What is wrong in a configuration, where, and what to do about it.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::tree::Place;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
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
#[derive(Clone, Debug)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    text: Arc<str>,
    file: PathBuf,
}

// === impl Diagnostic ===

impl Diagnostic {
    /// Something wrong with the whole file.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), file: PathBuf::new(), line: 0, column: 0, help: None, len: 1 }
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
        Self { list, text, file: file.to_owned() }
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
        let (red, blue, bold, reset) =
            if color { ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m") } else { ("", "", "", "") };
        let mut out = String::new();
        for diagnostic in &self.list {
            let Diagnostic { message, line, column, help, len, .. } = diagnostic;
            let file = self.file.display();
            let width = line.to_string().len().max(2);
            let pad = " ".repeat(width);
            let _ = writeln!(out, "{red}error{reset}{bold}: {message}{reset}");
            if *line == 0 {
                let _ = writeln!(out, "{pad}{blue}-->{reset} {file}");
            } else {
                let _ = writeln!(out, "{pad}{blue}-->{reset} {file}:{line}:{column}");
                let excerpt = self.text.lines().nth(line - 1).unwrap_or_default();
                let excerpt: String =
                    excerpt.chars().take(160).map(|c| if c == '\t' { ' ' } else { c }).collect();
                let room = excerpt.chars().count().saturating_sub(column - 1);
                let carets = "^".repeat((*len).min(room).max(1));
                let _ = writeln!(out, "{pad} {blue}|{reset}");
                let _ = writeln!(out, "{blue}{line:>width$} |{reset} {excerpt}");
                let _ = writeln!(out, "{pad} {blue}|{reset} {}{red}{carets}{reset}", " ".repeat(column - 1));
            }
            if let Some(help) = help {
                let _ = writeln!(out, "{pad} {blue}={reset} help: {help}");
            }
            out.push('\n');
        }
        out
    }

    /// For programs: a JSON list.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.list).unwrap_or_default()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// The word among `known` that was probably meant.
pub(crate) fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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
