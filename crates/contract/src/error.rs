//! What is wrong with a specification.

use std::fmt;
use std::path::{Path, PathBuf};

/// A specification that cannot be used, with everything found to be wrong with it.
#[derive(Debug, Clone)]
pub struct ContractError {
    problems: Vec<Problem>,
    omitted: usize,
}

/// One thing wrong with a specification, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    file: PathBuf,
    pointer: String,
    position: Option<(usize, usize)>,
    message: String,
}

/// One thing that is allowed but will probably surprise its author; not an error.
pub type Warning = Problem;

/// More problems than this are counted, not listed.
const MAX_PROBLEMS: usize = 50;

// === impl ContractError ===

impl ContractError {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        let omitted = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        Self { problems, omitted }
    }

    /// The problems, at most 50.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ContractError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

impl fmt::Display for ContractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for ContractError {}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(
        file: &Path,
        pointer: &str,
        position: Option<(usize, usize)>,
        message: impl Into<String>,
    ) -> Self {
        Self { file: file.to_owned(), pointer: pointer.to_owned(), position, message: message.into() }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// JSON pointer into the file; empty for the whole of it.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Line and column, from 1; known for JSON files and for YAML that cannot be parsed.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        self.position
    }

    /// What is wrong, in lower case and without a final stop.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.pointer.is_empty() {
            write!(f, " #{}", self.pointer)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Problem {}
