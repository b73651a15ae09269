//! Watched files: has anything changed, and has it settled? (ADR 0003)

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// How often files are looked at.
pub(crate) const EVERY: Duration = Duration::from_secs(1);

/// What a file looks like from outside; nothing if it is not there.
type Look = Option<(u64, i64, i64, u64)>;

/// The files of the active snapshot.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    /// As they were when the snapshot was made.
    known: Vec<Look>,
    /// As they were at the last look.
    last: Vec<Look>,
}

// === impl Watch ===

impl Watch {
    /// From now on these files count, as they are now.
    pub(crate) fn set(&mut self, files: Vec<PathBuf>) {
        self.known = files.iter().map(look).collect();
        self.last.clone_from(&self.known);
        self.files = files;
    }

    /// Whether the files have changed since [`set`](Self::set), settled or not.
    pub(crate) fn is_changed(&self) -> bool {
        self.files.iter().map(look).ne(self.known.iter().copied())
    }

    /// Whether the files have changed since [`set`](Self::set) and are the same as at the last call: a file that is
    /// being written is given time to end.
    pub(crate) fn has_settled_change(&mut self) -> bool {
        let now: Vec<_> = self.files.iter().map(look).collect();
        let settled = now == self.last;
        let changed = now != self.known;
        self.last = now;
        settled && changed
    }
}

fn look(path: &PathBuf) -> Look {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.size(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("haechi.yaml");
        std::fs::write(&file, "one").expect("written");
        let mut watch = Watch::default();
        watch.set(vec![file.clone()]);
        assert!(!watch.has_settled_change());
        std::fs::write(&file, "three").expect("written");
        assert!(!watch.has_settled_change(), "it may still be written to");
        std::fs::write(&file, "and more").expect("written");
        assert!(!watch.has_settled_change());
        assert!(watch.has_settled_change());
        watch.set(vec![file.clone()]);
        assert!(!watch.has_settled_change(), "known by now");
        std::fs::remove_file(&file).expect("removed");
        assert!(!watch.has_settled_change());
        assert!(watch.has_settled_change(), "a file that is gone is a change");
    }

    #[test]
    fn a_file_that_is_moved_over_another_is_a_change_even_at_the_same_size() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, new) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&file, "same").expect("written");
        std::fs::write(&new, "SAME").expect("written");
        let mut watch = Watch::default();
        watch.set(vec![file.clone()]);
        std::fs::rename(&new, &file).expect("moved");
        watch.has_settled_change();
        assert!(watch.has_settled_change());
    }
}
