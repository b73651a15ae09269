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
    /// As they were just before the snapshot was made of them.
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

    /// The files are about to be read. What becomes of them from now on is a change, also while they are read.
    pub(crate) fn begin(&mut self) {
        self.known = self.files.iter().map(look).collect();
    }

    /// These files were read since [`begin`](Self::begin); those that were not watched yet count as they are now.
    pub(crate) fn keep(&mut self, files: Vec<PathBuf>) {
        let known = |file: &PathBuf| match self.files.iter().position(|known| known == file) {
            Some(at) => self.known.get(at).copied().flatten(),
            None => look(file),
        };
        self.known = files.iter().map(known).collect();
        self.last.clone_from(&self.known);
        self.files = files;
    }

    /// Whether the files have changed since they were known, settled or not.
    pub(crate) fn is_changed(&self) -> bool {
        self.files.iter().map(look).ne(self.known.iter().copied())
    }

    /// Whether the files have changed since they were known and are the same as at the last call: a file that is
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

    /// Was lost: the files counted as they were when the activation ended.
    #[test]
    fn a_change_while_an_activation_is_under_way_is_noticed_after_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let (list, new) = (dir.path().join("list"), dir.path().join("new"));
        std::fs::write(&list, "one").expect("written");
        let mut watch = Watch::default();
        watch.set(vec![list.clone()]);
        std::fs::write(&list, "second").expect("written");
        watch.has_settled_change();
        assert!(watch.has_settled_change());
        watch.begin();
        std::fs::write(&list, "the third").expect("written");
        std::fs::write(&new, "named by the second").expect("written");
        watch.keep(vec![new, list]);
        assert!(!watch.has_settled_change(), "it may still be written to");
        assert!(watch.has_settled_change());
        watch.begin();
        assert!(!watch.is_changed(), "it is read now");
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
