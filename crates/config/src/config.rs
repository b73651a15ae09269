//! A configuration and the text it was read from.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::Settings;
use crate::read;
use crate::reader::Mistakes;
use crate::secret::SecretSources;
use crate::tree::{self, Node, Place};

/// A configuration that keeps all rules that can be checked without other files. Dereferences to its settings.
#[derive(Clone, Debug)]
pub struct Config {
    settings: Settings,
    tree: Arc<Node>,
    text: Arc<str>,
    file: PathBuf,
}

// === impl Config ===

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// All mistakes in it.
    pub fn load(file: &Path) -> Result<Self, Diagnostics> {
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, file),
            Err(error) => {
                let diagnostic =
                    Diagnostic::new("unreadable", format!("cannot read the configuration: {error}"))
                        .help("`haechi init --openapi FILE` writes one; `--config FILE` names another");
                Err(Diagnostics::new(vec![diagnostic], "".into(), file))
            }
        }
    }

    /// Reads a text; `file` is where it stands, for messages and relative paths.
    ///
    /// # Errors
    /// All mistakes in it.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Diagnostics> {
        let text: Arc<str> = text.into();
        let refused = |list| Diagnostics::new(list, text.clone(), file);
        let tree = tree::parse(&text).map_err(|diagnostic| refused(vec![diagnostic]))?;
        let mut mistakes = Mistakes::default();
        let settings = read::settings(&tree, base(file), &mut mistakes);
        match settings {
            Some(settings) if mistakes.0.is_empty() => {
                Ok(Self { settings, tree: Arc::new(tree), text, file: file.to_owned() })
            }
            _ => Err(refused(mistakes.0)),
        }
    }

    /// Where a setting stands, by the keys that lead to it; the nearest one above it if it is not written.
    pub fn locate(&self, path: &[&str]) -> Option<Place> {
        (0..=path.len()).rev().find_map(|len| self.tree.find(path.get(..len)?)).map(|node| node.place)
    }

    /// Diagnostics about a setting, by the keys that lead to it.
    pub fn diagnose(&self, path: &[&str], diagnostic: Diagnostic) -> Diagnostics {
        let diagnostic = match self.locate(path) {
            Some(place) => diagnostic.at(place),
            None => diagnostic,
        };
        Diagnostics::new(vec![diagnostic], self.text.clone(), &self.file)
    }

    /// The file it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text it was read from. Holds no secret.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where its secrets are looked up.
    pub fn secrets(&self) -> SecretSources {
        SecretSources { base: base(&self.file).to_owned(), dir: self.settings.secrets_dir.clone() }
    }

    /// The same configuration with another address for its first listener: what `--listen` asks for.
    pub fn set_listen(&mut self, address: std::net::SocketAddr) {
        if let Some(listen) = self.settings.listen.first_mut() {
            listen.address = address;
        }
    }
}

impl Deref for Config {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

/// The directory that relative paths are relative to.
fn base(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests;
