//! Account keys and certificates on disk: for the owner only, each file written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Largest file that is read back; a chain with its key is some kilobytes.
const LARGEST: u64 = 256 * 1024;

/// The directory of what ACME keeps.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

// === impl Files ===

impl Files {
    /// In `data`, the gateway's directory of state.
    pub(crate) fn new(data: &Path) -> Self {
        Self { dir: data.join("acme") }
    }

    /// What is kept under this name; nothing if there is nothing.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match File::open(self.dir.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
        file.take(LARGEST).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Keeps it: after a crash there is the old file or the new one, never half of one.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let (new, path) = (self.dir.join(format!("{name}.new")), self.dir.join(name));
        // What a crash has left may have been made by somebody else.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Forgets it.
    pub(crate) fn remove(&self, name: &str) {
        let _ = std::fs::remove_file(self.dir.join(name));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_the_owners_and_replaced_whole() {
        let data = tempfile::tempdir().expect("a directory");
        let files = Files::new(data.path());
        assert!(files.read("a").expect("readable").is_none());
        files.write("a", b"one").expect("written");
        // What a crash in the middle of a write has left.
        std::fs::write(data.path().join("acme/a.new"), "tw").expect("written");
        assert_eq!(files.read("a").expect("readable").expect("there").as_slice(), b"one");
        files.write("a", b"two").expect("written");
        assert_eq!(files.read("a").expect("readable").expect("there").as_slice(), b"two");
        let mode =
            |path: &str| std::fs::metadata(data.path().join(path)).expect("there").permissions().mode();
        assert_eq!((mode("acme") & 0o777, mode("acme/a") & 0o777), (0o700, 0o600));
    }
}
