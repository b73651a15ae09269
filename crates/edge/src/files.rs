//! The files a snapshot is made from, beside `haechi.yaml` and its secrets: read from disk, or as they were when they were kept.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use haechi_seclang::{FileSystem, Loader as _};

/// Where files come from, and what was read of them. Secrets never come this way: they are not kept.
#[derive(Debug)]
pub struct Files {
    base: PathBuf,
    kept: Option<Contents>,
    read: Contents,
}

/// Contents by path: relative to the directory of `haechi.yaml` where that holds them.
pub type Contents = BTreeMap<String, Arc<[u8]>>;

// === impl Files ===

impl Files {
    /// Files on disk; `base` is the directory of `haechi.yaml`.
    pub fn on_disk(base: &Path) -> Self {
        Self { base: base.to_owned(), kept: None, read: Contents::new() }
    }

    /// Files as they were.
    pub fn kept(base: &Path, contents: Contents) -> Self {
        Self { base: base.to_owned(), kept: Some(contents), read: Contents::new() }
    }

    /// Reads one: at most `most` bytes and one more, by which whoever asks can tell that it is too long.
    ///
    /// # Errors
    /// When the disk does not give it, or it was not kept.
    pub fn read(&mut self, path: &Path, most: u64) -> io::Result<Arc<[u8]>> {
        let name = self.name(path);
        if let Some(known) = self.read.get(&name) {
            return Ok(known.clone());
        }
        let contents: Arc<[u8]> = match &self.kept {
            Some(kept) => kept.get(&name).cloned().ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "it was not kept with this snapshot")
            })?,
            None => self.read_large(path, most)?.into(),
        };
        self.read.insert(name, contents.clone());
        Ok(contents)
    }

    /// Reads one that is too large to be kept: it is as it is on disk now, also for a snapshot that is made again.
    ///
    /// # Errors
    /// When the disk does not give it.
    pub fn read_large(&self, path: &Path, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The files that a pattern of `*` and `?` finds, sorted.
    ///
    /// # Errors
    /// When a folder cannot be listed, or was not when this was kept.
    pub fn list(&mut self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        if !pattern.to_string_lossy().contains(['*', '?']) {
            return Ok(vec![pattern.to_owned()]);
        }
        // The list is kept like a file, under a name that no file has.
        let name = self.name(pattern);
        let known = self.read.get(&name).or_else(|| self.kept.as_ref()?.get(&name)).cloned();
        let list = match (known, &self.kept) {
            (Some(list), _) => list,
            (None, Some(_)) => {
                return Err(io::Error::new(io::ErrorKind::NotFound, "it was not kept with this snapshot"));
            }
            (None, None) => {
                let found = FileSystem.expand(pattern)?;
                let names: Vec<_> = found.iter().map(|file| self.name(file)).collect();
                names.join("\n").into_bytes().into()
            }
        };
        self.read.insert(name, list.clone());
        let names = String::from_utf8_lossy(&list);
        Ok(names.lines().map(|name| self.base.join(name)).collect())
    }

    /// All that was read.
    pub fn into_read(self) -> Contents {
        self.read
    }

    fn name(&self, path: &Path) -> String {
        let inside = path.strip_prefix(&self.base).map(Path::to_owned);
        let name = inside.or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
        name.to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_read_though_the_disk_has_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.yaml");
        std::fs::write(&path, "before").expect("written");
        let mut files = Files::on_disk(dir.path());
        assert_eq!(&*files.read(&path, 100).expect("read"), b"before");
        std::fs::write(&path, "after").expect("written");
        assert_eq!(&*files.read(&path, 100).expect("read"), b"before", "one snapshot sees one content");
        let contents = files.into_read();
        assert_eq!(contents.keys().collect::<Vec<_>>(), ["a.yaml"]);
        let mut files = Files::kept(dir.path(), contents);
        assert_eq!(&*files.read(&path, 100).expect("read"), b"before");
        assert!(files.read(&dir.path().join("b.yaml"), 100).is_err(), "the disk is not asked");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_one_byte() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("long");
        std::fs::write(&path, [b'x'; 100]).expect("written");
        assert_eq!(Files::on_disk(dir.path()).read(&path, 10).expect("read").len(), 11);
    }
}
