//! Secrets by reference: `file:PATH`, `env:NAME`, `secret:NAME`. Never part of the configuration's text, never printed.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Largest secret: certificate chains take tens of kilobytes.
const LARGEST: u64 = 1024 * 1024;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `file:PATH`: the content of a file. Relative paths are relative to `haechi.yaml`.
    File(PathBuf),
    /// `env:NAME`: an environment variable.
    Env(String),
    /// `secret:NAME`: a file of that name in `secrets.dir`.
    Named(String),
}

/// A secret's bytes; wiped from memory when dropped, and never printed.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

/// Where references are looked up.
#[derive(Clone, Debug, Default)]
pub struct SecretSources {
    /// What relative paths are relative to.
    pub base: PathBuf,
    /// `secrets.dir`.
    pub dir: Option<PathBuf>,
}

/// A secret that cannot be had. Names the reference, never the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretError(String);

// === impl SecretRef ===

impl SecretRef {
    /// Reads a reference.
    ///
    /// # Errors
    /// When the text is none: it may be a secret itself, so the message does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("env", name)) if is_name(name) => Ok(Self::Env(name.to_owned())),
            Some(("secret", name)) if is_name(name) => Ok(Self::Named(name.to_owned())),
            _ => Err("expected a reference to a secret: `file:PATH`, `env:NAME` or `secret:NAME`".to_owned()),
        }
    }

    /// The file behind the reference, if there is one: it is watched.
    pub fn path(&self, sources: &SecretSources) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(sources.base.join(path)),
            Self::Named(name) => sources.dir.as_ref().map(|dir| dir.join(name)),
            Self::Env(_) => None,
        }
    }

    /// The secret.
    ///
    /// # Errors
    /// When it is not there, empty, or larger than 1 MiB.
    pub fn resolve(&self, sources: &SecretSources) -> Result<SecretBytes, SecretError> {
        let bytes = match (self, self.path(sources)) {
            (Self::Env(name), _) => match std::env::var_os(name) {
                Some(value) => Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(value)),
                None => return Err(SecretError(format!("the environment variable `{name}` is not set"))),
            },
            (_, Some(path)) => read(&path)?,
            (_, None) => return Err(SecretError(format!("`{self}` needs `secrets.dir`"))),
        };
        if bytes.is_empty() {
            return Err(SecretError(format!("`{self}` is empty")));
        }
        Ok(SecretBytes(bytes))
    }

    /// Whether everybody on this machine may read the file behind the reference.
    pub(crate) fn is_open_to_all(&self, sources: &SecretSources) -> bool {
        let mode = self.path(sources).and_then(|path| std::fs::metadata(path).ok());
        mode.is_some_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let unreadable =
        |error: std::io::Error| SecretError(format!("cannot read `{}`: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len().min(LARGEST);
    // All room at once: a buffer that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(SecretError(format!("`{}` is larger than {LARGEST} bytes", path.display())));
    }
    Ok(bytes)
}

/// A name cannot leave its directory.
fn is_name(name: &str) -> bool {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(valid)
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Named(name) => write!(f, "secret:{name}"),
        }
    }
}

// === impl SecretBytes ===

impl SecretBytes {
    /// The bytes. Do not copy them to where they are not wiped.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(…)")
    }
}

// === impl SecretError ===

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_directory() {
        for text in [
            "secret:../x",
            "secret:a/b",
            "secret:.",
            "secret:",
            "env:",
            "env:A B",
            "hunter2",
            "vault:x",
            "file:",
        ] {
            let error = SecretRef::parse(text).expect_err(text);
            assert!(!error.contains("hunter2"));
        }
    }

    #[test]
    fn a_secret_is_found_and_never_printed() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("tls-key"), "hunter2").expect("written");
        let sources = SecretSources { base: dir.path().to_owned(), dir: Some(dir.path().to_owned()) };
        for reference in ["secret:tls-key", "file:tls-key"] {
            let secret = SecretRef::parse(reference).expect("a reference").resolve(&sources).expect("found");
            assert_eq!(secret.expose(), b"hunter2");
            assert!(!format!("{secret:?}").contains("hunter2"));
        }
        std::fs::write(dir.path().join("empty"), "").expect("written");
        std::fs::write(dir.path().join("largest"), vec![b'x'; 1024 * 1024]).expect("written");
        std::fs::write(dir.path().join("larger"), vec![b'x'; 1024 * 1024 + 1]).expect("written");
        let resolve = |name: &str| {
            SecretRef::Named(name.to_owned()).resolve(&sources).map(|secret| secret.expose().len())
        };
        assert_eq!(resolve("largest"), Ok(1024 * 1024));
        assert!(resolve("larger").expect_err("too large").to_string().contains("larger than"));
        assert_eq!(resolve("empty").expect_err("empty").to_string(), "`secret:empty` is empty");
        let missing = SecretRef::parse("secret:nothing").expect("a reference").resolve(&sources);
        assert!(missing.expect_err("missing").to_string().contains("nothing"));
    }
}
