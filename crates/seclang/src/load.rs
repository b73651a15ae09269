//! Where rule files come from.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::ast::{Directive, Statement};
use crate::error::{MISTAKES, Place, RuleError, RuleErrors};
use crate::parse::parse;

/// How deeply files may include one another: a file that includes itself is found out here.
pub const INCLUDES: usize = 16;
/// The most files of one rule set. The Core Rule Set with all its plugins has under 200.
pub const FILES: usize = 2_000;
/// The largest rule or data file, in bytes. The largest of the Core Rule Set has 200 KB.
pub const FILE: usize = 16 << 20;

/// Reads rule files and what they name. The crate does no other I/O.
pub trait Loader {
    /// The content of a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files whose path matches a pattern with `*` and `?`, sorted. A path without either is itself, whether it exists or not.
    ///
    /// # Errors
    ///
    /// When a folder cannot be listed.
    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>>;
}

/// [`Loader`] of the file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

/// [`Loader`] of texts in memory, by path.
#[derive(Clone, Debug, Default)]
pub struct InMemory(pub BTreeMap<PathBuf, Vec<u8>>);

// === impl FileSystem ===

impl Loader for FileSystem {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        use std::io::Read;
        let limit = u64::try_from(FILE).unwrap_or(u64::MAX);
        let mut text = Vec::new();
        std::fs::File::open(path)?.take(limit + 1).read_to_end(&mut text)?;
        if text.len() > FILE {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {FILE} bytes"),
            ));
        }
        Ok(text)
    }

    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![PathBuf::new()];
        for component in pattern.components() {
            let Component::Normal(name) = component else {
                found.iter_mut().for_each(|path| path.push(component));
                continue;
            };
            let name = name.to_string_lossy();
            if !is_pattern(&name) {
                found.iter_mut().for_each(|path| path.push(name.as_ref()));
                continue;
            }
            let mut next = Vec::new();
            for folder in found {
                let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder.as_path() };
                // A folder that a pattern led to and that is none holds nothing.
                let Ok(entries) = std::fs::read_dir(listed) else { continue };
                for entry in entries {
                    let entry = entry?.file_name();
                    if matches(name.as_bytes(), entry.to_string_lossy().as_bytes()) {
                        next.push(folder.join(entry));
                    }
                }
            }
            found = next;
        }
        found.sort();
        Ok(found)
    }
}

// === impl InMemory ===

impl InMemory {
    /// One file of this name.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }
}

impl Loader for InMemory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let text = pattern.to_string_lossy();
        if !is_pattern(&text) {
            return Ok(vec![pattern.to_owned()]);
        }
        let names = self.0.keys().filter(|path| matches(text.as_bytes(), path.to_string_lossy().as_bytes()));
        Ok(names.cloned().collect())
    }
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether a name matches a pattern of `*` and `?`. Linear: only the last star is ever gone back to.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((before, taken)) = star else { return false };
                star = Some((before, taken + 1));
                at = before + 1;
                seen = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

/// Reads files, and the files they include, into one list of directives.
pub(crate) struct Reader<'a> {
    loader: &'a dyn Loader,
    pub(crate) directives: Vec<Directive>,
    pub(crate) errors: Vec<RuleError>,
    files: usize,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(crate) fn new(loader: &'a dyn Loader) -> Self {
        Self { loader, directives: Vec::new(), errors: Vec::new(), files: 0 }
    }

    /// Reads what a pattern names. `named` is where it is named, if a file names it.
    pub(crate) fn read(&mut self, pattern: &Path, named: Option<&Place>, depth: usize) {
        let here = named.cloned().unwrap_or_else(|| Place {
            file: pattern.to_string_lossy().into(),
            line: 1,
            column: 1,
        });
        if depth > INCLUDES {
            let error = RuleError::new(&here, format!("files include one another more than {INCLUDES} deep"));
            self.errors.push(error.help("does a file include itself?"));
            return;
        }
        let paths = match self.loader.expand(pattern) {
            Ok(paths) if paths.is_empty() => {
                self.errors.push(RuleError::new(&here, format!("no file matches `{}`", pattern.display())));
                return;
            }
            Ok(paths) => paths,
            Err(error) => {
                self.errors.push(RuleError::new(
                    &here,
                    format!("`{}` cannot be listed: {error}", pattern.display()),
                ));
                return;
            }
        };
        for path in paths {
            self.files += 1;
            if self.files > FILES || self.errors.len() >= MISTAKES {
                if self.files == FILES + 1 {
                    self.errors
                        .push(RuleError::new(&here, format!("there are more than {FILES} rule files")));
                }
                return;
            }
            match self.loader.read(&path) {
                Ok(text) => self.take(&path, &text, depth),
                Err(error) => {
                    let error =
                        RuleError::new(&here, format!("`{}` cannot be read: {error}", path.display()));
                    self.errors
                        .push(error.help("relative names are looked for beside the file that names them"));
                }
            }
        }
    }

    /// Takes the text of a file.
    pub(crate) fn take(&mut self, path: &Path, text: &[u8], depth: usize) {
        let (directives, errors) = parse(&path.to_string_lossy(), text);
        self.errors.extend(errors);
        for directive in directives {
            match &directive.statement {
                Statement::Include(pattern) => {
                    self.read(&beside(path, pattern), Some(&directive.place), depth + 1)
                }
                _ => self.directives.push(directive),
            }
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<Directive>, RuleErrors> {
        RuleErrors::check(self.errors).map(|()| self.directives)
    }
}

/// A path that a file names: relative ones begin where the file lies.
pub(crate) fn beside(file: &Path, name: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_whole_names_in_linear_time() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.example", false),
            ("REQUEST-9??-*.conf", "REQUEST-901-X.conf", true),
            ("a*b*c", "aXbXbXc", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(!matches("*a".repeat(2_000).as_bytes(), &[b'b'; 20_000]));
    }

    #[test]
    fn includes_are_relative_and_bounded() {
        let files = InMemory::of(&[
            ("main.conf", "Include sub/*.conf\n"),
            ("sub/a.conf", "SecMarker A\n"),
            ("sub/b.conf", "SecMarker B\nInclude missing.conf\n"),
            ("loop.conf", "Include loop.conf\n"),
        ]);
        let mut reader = Reader::new(&files);
        reader.read(Path::new("main.conf"), None, 0);
        assert_eq!(reader.directives.len(), 2);
        assert_eq!(
            reader.errors.first().map(ToString::to_string).unwrap_or_default(),
            "sub/b.conf:2:1: `sub/missing.conf` cannot be read: entity not found\n  help: relative names are looked for beside the file that names them"
        );
        let mut reader = Reader::new(&files);
        reader.read(Path::new("loop.conf"), None, 0);
        assert_eq!(reader.errors.len(), 1);
        assert!(reader.errors[0].to_string().contains("more than 16 deep"), "{}", reader.errors[0]);
    }

    #[test]
    fn the_file_system_is_listed_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", "c.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = FileSystem.expand(&folder.path().join("*.conf")).unwrap();
        assert_eq!(found, [folder.path().join("a.conf"), folder.path().join("b.conf")]);
        std::fs::write(folder.path().join("large"), vec![b'#'; FILE + 1]).unwrap();
        assert_eq!(
            FileSystem.read(&folder.path().join("large")).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }
}
