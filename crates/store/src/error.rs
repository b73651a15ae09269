//! Why the state cannot be used.

use std::fmt;
use std::path::PathBuf;

/// Why the state cannot be used.
#[derive(Debug)]
pub enum StateError {
    /// Another process has it open.
    InUse {
        /// The directory.
        dir: PathBuf,
        /// That process, if it says who it is.
        process: Option<u32>,
    },
    /// It was written by a newer version.
    Newer {
        /// The version found.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The file system refused.
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database refused.
    Database(rusqlite::Error),
}

impl StateError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { dir, process: Some(process) } => {
                write!(
                    f,
                    "`{}` is in use by process {process}: one gateway, one data directory",
                    dir.display()
                )
            }
            Self::InUse { dir, process: None } => {
                write!(f, "`{}` is in use by another process", dir.display())
            }
            Self::Newer { found, known } => write!(
                f,
                "the state is of version {found}, this program knows {known} and older: use the newer program"
            ),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Database(error) => write!(f, "the database `haechi.db` cannot be used: {error}"),
        }
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
