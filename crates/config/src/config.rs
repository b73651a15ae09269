//! A configuration and the text it was read from.

use std::io::Read as _;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Identity, JwksSource, Settings};
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
        // One byte more than is accepted tells that there is more.
        let read = std::fs::File::open(file).and_then(|opened| {
            let mut text = String::new();
            opened.take(tree::BYTES as u64 + 1).read_to_string(&mut text).map(|_| text)
        });
        match read {
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
        let tree = tree::parse(&text)
            .map_err(|diagnostic| Diagnostics::new(vec![diagnostic], text.clone(), file))?;
        let mut mistakes = Mistakes::default();
        let settings = read::settings(&tree, base(file), &mut mistakes);
        match settings {
            Some(settings) if mistakes.is_empty() => {
                Ok(Self { settings, tree: Arc::new(tree), text, file: file.to_owned() })
            }
            _ => Err(mistakes.into_diagnostics(text, file)),
        }
    }

    /// The data directory that a file names, though it may be wrong in all other respects; the default one if it names none.
    pub fn data_of(file: &Path) -> PathBuf {
        let mut text = String::new();
        if let Ok(opened) = std::fs::File::open(file) {
            let _ = opened.take(tree::BYTES as u64).read_to_string(&mut text);
        }
        let named = tree::parse(&text).ok().and_then(|tree| match &tree.find(&["data"])?.value {
            tree::Value::Text(path) => Some(path.clone()),
            _ => None,
        });
        // What is no YAML at all may still have the line.
        let line = || {
            let line = text.lines().find_map(|line| line.strip_prefix("data:"))?;
            Some(line.split(" #").next()?.trim().trim_matches(['"', '\'']).to_owned())
        };
        let path = named.or_else(line).filter(|path| !path.is_empty());
        base(file).join(path.as_deref().unwrap_or("./haechi-data"))
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

    /// The directory that relative paths are relative to.
    pub fn base(&self) -> &Path {
        base(&self.file)
    }

    /// What is served although somebody should look at it. Looks at the files of its keys.
    pub fn warnings(&self) -> Diagnostics {
        let mut list = Vec::new();
        let mut warn = |path: &[&str], diagnostic: Diagnostic| {
            let diagnostic = diagnostic.warning();
            list.push(match self.locate(path) {
                Some(place) => diagnostic.at(place),
                None => diagnostic,
            });
        };
        let sources = self.secrets();
        for (listener, listen) in self.listen.iter().enumerate() {
            let listener = listener.to_string();
            for (_, key) in listen.tls.iter().flat_map(|tls| &tls.certificates) {
                if key.is_open_to_all(&sources) {
                    let message = format!("everybody on this machine may read `{key}`");
                    let diagnostic =
                        Diagnostic::new("open-key", message).help("chmod 600, or 640 for a group");
                    warn(&["listen", &listener, "tls"], diagnostic);
                }
            }
        }
        for (name, identity) in &self.identity {
            let Identity::Jwt(jwt) = identity else { continue };
            let (JwksSource::Url(url) | JwksSource::Discover(url)) = &jwt.jwks else { continue };
            if !url.tls && !url.is_loopback() {
                let message =
                    format!("the keys that `{name}` trusts come over plaintext from `{}`", url.host);
                let help = "who can change them on the way can sign tokens: use `https`";
                warn(
                    &["identity", name, "jwt", "jwks"],
                    Diagnostic::new("plaintext-keys", message).help(help),
                );
            }
        }
        Diagnostics::new(list, self.text.clone(), &self.file)
    }

    /// Where its secrets are looked up.
    pub fn secrets(&self) -> SecretSources {
        SecretSources { base: self.base().to_owned(), dir: self.settings.secrets_dir.clone() }
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
