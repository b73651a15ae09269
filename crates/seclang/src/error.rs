//! What is wrong with rules, and where.

use std::fmt;
use std::sync::Arc;

/// At most so many mistakes are told at once: a file that is no rule file at all would tell one for each line.
pub(crate) const MISTAKES: usize = 100;

/// A place in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file as it was named to the loader.
    pub file: Arc<str>,
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    pub column: u32,
}

/// One mistake: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    place: Place,
    message: String,
    help: Option<String>,
}

/// All mistakes that were found. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleErrors {
    list: Vec<RuleError>,
}

/// Something that a file says and that has no effect here, though it changes no decision: the name of an audit log, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Where it is said.
    pub place: Place,
    /// Why it has no effect.
    pub message: String,
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

// === impl RuleError ===

impl RuleError {
    pub(crate) fn new(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RuleError {}

// === impl RuleErrors ===

impl RuleErrors {
    /// `Ok` when there are none.
    pub(crate) fn check(list: Vec<RuleError>) -> Result<(), Self> {
        if list.is_empty() { Ok(()) } else { Err(Self { list }) }
    }

    /// In the order they were found.
    #[must_use]
    pub fn list(&self) -> &[RuleError] {
        &self.list
    }
}

impl From<RuleError> for RuleErrors {
    fn from(one: RuleError) -> Self {
        Self { list: vec![one] }
    }
}

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{one}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}

// === helpers ===

/// The name of `known` that `word` was probably meant to be: at most a third of its letters differ.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|name| (distance(&word, &name.to_ascii_lowercase()), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3))
        .map(|(_, name)| name)
}

fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut left = i + 1;
        let mut corner = i;
        for (slot, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let up = *slot;
            let best = (corner + usize::from(x != y)).min(up + 1).min(left + 1);
            corner = up;
            left = best;
            *slot = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
