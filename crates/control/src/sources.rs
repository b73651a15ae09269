//! What the snapshot in production was made from, one part a line, so that others can judge as it does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::ApiError;
use crate::lifecycle::{Lifecycle, lock};

/// One part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration: where its file is, and its text.
    Config {
        /// The file, as an absolute path.
        file: String,
        /// Its text. Holds no secret.
        text: String,
    },
    /// A file that it names, and that is no secret.
    File {
        /// Its path, relative to the configuration's file.
        path: String,
        /// Its text.
        text: String,
    },
}

/// All parts.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration's file.
    pub file: String,
    /// Its text.
    pub config: String,
    /// Files by path.
    pub files: BTreeMap<String, String>,
}

// === impl Sources ===

impl Sources {
    /// Adds a part.
    pub fn take(&mut self, source: Source) {
        match source {
            Source::Config { file, text } => (self.file, self.config) = (file, text),
            Source::File { path, text } => drop(self.files.insert(path, text)),
        }
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// What production was made from, as lines of JSON.
    pub(crate) fn sources(&self) -> Result<String, ApiError> {
        let production = lock(&self.change).production.clone();
        let kept = lock(&self.state).sources(&production.manifest).map_err(ApiError::internal)?;
        let kept = kept.ok_or_else(|| ApiError::internal("what serves was not kept: the disk refused it"))?;
        let file = production.config.file();
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let mut out = String::new();
        let mut push = |source: &Source| {
            out += &serde_json::to_string(source).unwrap_or_default();
            out.push('\n');
        };
        push(&Source::Config { file: file.to_string_lossy().into_owned(), text: kept.config });
        for (path, content) in kept.files {
            push(&Source::File { path, text: String::from_utf8_lossy(&content).into_owned() });
        }
        Ok(out)
    }
}
