//! Rules that look for attacks, as snapshots share them: what is equal is compiled once, also from one snapshot to the next.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use haechi_seclang::{FILE, Loader, MemoryStore};
use haechi_waf::{Policy, PolicyError, Waf};

use crate::files::Files;

/// The rules of all snapshots that live.
#[derive(Debug, Default)]
pub(crate) struct Wafs {
    known: Mutex<Vec<Known>>,
    /// What rules keep from one call to the next outlives snapshots.
    store: Arc<MemoryStore>,
}

/// Rules of a policy, and what they were made from.
#[derive(Debug)]
struct Known {
    policy: Policy,
    sources: Sources,
    waf: Weak<Waf>,
}

/// The files and folders that rules are made from, as they were.
#[derive(Clone, Debug, Default)]
struct Sources {
    read: Vec<(PathBuf, blake3::Hash)>,
    listed: Vec<(PathBuf, Vec<PathBuf>)>,
}

/// Rules for a snapshot.
pub(crate) struct Loaded {
    pub(crate) waf: Arc<Waf>,
    /// A digest of what they were made from.
    pub(crate) digest: blake3::Hash,
    /// A change of one of these calls for new rules.
    pub(crate) files: Vec<PathBuf>,
}

/// [`Files`] as the rule language reads them, and what was read.
struct Recording<'a> {
    files: RefCell<&'a mut Files>,
    sources: RefCell<Sources>,
}

// === impl Wafs ===

impl Wafs {
    /// The rules of a policy: those that are known if nothing they were made from has changed.
    pub(crate) fn load(&self, policy: &Policy, files: &mut Files) -> Result<Loaded, PolicyError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|one| one.waf.strong_count() > 0);
        for one in known.iter().filter(|one| one.policy == *policy) {
            if let Some(waf) = one.waf.upgrade()
                && one.sources.are_same(files)
            {
                return Ok(one.sources.loaded(waf, policy));
            }
        }
        let recording = Recording { files: RefCell::new(files), sources: RefCell::default() };
        let waf = Arc::new(Waf::compile(policy, &recording, self.store.clone())?);
        let sources = recording.sources.into_inner();
        known.push(Known { policy: policy.clone(), sources: sources.clone(), waf: Arc::downgrade(&waf) });
        Ok(sources.loaded(waf, policy))
    }
}

// === impl Sources ===

impl Sources {
    fn are_same(&self, files: &mut Files) -> bool {
        self.listed.iter().all(|(pattern, found)| files.list(pattern).is_ok_and(|now| now == *found))
            && self.read.iter().all(|(path, hash)| {
                files.read(path, limit()).is_ok_and(|content| blake3::hash(&content) == *hash)
            })
    }

    fn loaded(&self, waf: Arc<Waf>, policy: &Policy) -> Loaded {
        let mut digest = blake3::Hasher::new();
        digest.update(format!("{policy:?}").as_bytes());
        for (_, hash) in &self.read {
            digest.update(hash.as_bytes());
        }
        let mut files: Vec<_> = self.read.iter().map(|(path, _)| path.clone()).collect();
        files.extend(self.listed.iter().filter_map(|(pattern, _)| folder(pattern)));
        Loaded { waf, digest: digest.finalize(), files }
    }
}

/// The folder whose list decides what a pattern finds: the one before the first star.
fn folder(pattern: &Path) -> Option<PathBuf> {
    let is_plain = |part: &std::path::Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?']);
    let folder: PathBuf = pattern.components().take_while(is_plain).collect();
    (folder != pattern).then_some(folder)
}

fn limit() -> u64 {
    u64::try_from(FILE).unwrap_or(u64::MAX)
}

// === impl Recording ===

impl Loader for Recording<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.files.borrow_mut().read(path, limit())?;
        if content.len() > FILE {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {FILE} bytes"),
            ));
        }
        let mut sources = self.sources.borrow_mut();
        if !sources.read.iter().any(|(known, _)| known == path) {
            sources.read.push((path.to_owned(), blake3::hash(&content)));
        }
        Ok(content.to_vec())
    }

    fn expand(&self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let found = self.files.borrow_mut().list(pattern)?;
        self.sources.borrow_mut().listed.push((pattern.to_owned(), found.clone()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use haechi_waf::{AtLimit, Source};

    use super::*;

    fn policy(dir: &Path) -> Policy {
        Policy {
            rules: vec![Source::Path(dir.join("r/*.conf"))],
            paranoia: None,
            inbound: None,
            outbound: None,
            exclusions: Vec::new(),
            responses: false,
            body: 1024,
            at_limit: AtLimit::Reject,
        }
    }

    #[test]
    fn equal_rules_are_compiled_once_and_a_changed_or_new_file_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
        std::fs::create_dir(dir.path().join("r")).expect("made");
        write("r/a.conf", "SecAction \"id:1,phase:1,pass\"\n");
        let wafs = Wafs::default();
        let policy = policy(dir.path());
        let load =
            || wafs.load(&policy, &mut Files::on_disk(dir.path())).unwrap_or_else(|_| panic!("bad rules"));
        let first = load();
        assert!(Arc::ptr_eq(&first.waf, &load().waf));
        assert!(
            first.files.contains(&dir.path().join("r")),
            "a new file shows in its folder: {:?}",
            first.files
        );
        write("r/b.conf", "SecAction \"id:2,phase:1,pass\"\n");
        let second = load();
        assert_eq!((second.waf.len(), second.digest == first.digest), (2, false));
        write("r/a.conf", "SecAction \"id:3,phase:1,pass\"\n");
        assert!(!Arc::ptr_eq(&second.waf, &load().waf));
        let other = Policy { body: 2048, ..policy.clone() };
        let other =
            wafs.load(&other, &mut Files::on_disk(dir.path())).unwrap_or_else(|_| panic!("bad rules"));
        assert!(!Arc::ptr_eq(&other.waf, &load().waf));
        drop((first, second, other));
        load();
        assert_eq!(wafs.known.lock().expect("a lock").len(), 1, "what no snapshot holds is forgotten");
    }

    #[test]
    fn rules_are_made_again_from_what_was_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("r")).expect("made");
        std::fs::write(dir.path().join("r/a.conf"), "SecAction \"id:1,phase:1,pass\"\n").expect("written");
        let policy = policy(dir.path());
        let mut files = Files::on_disk(dir.path());
        assert!(Wafs::default().load(&policy, &mut files).is_ok());
        let kept = files.into_read();
        std::fs::write(dir.path().join("r/b.conf"), "SecRule\n").expect("written");
        let again = Wafs::default().load(&policy, &mut Files::kept(dir.path(), kept));
        assert_eq!(again.map(|loaded| loaded.waf.len()).unwrap_or_default(), 1, "the disk is not asked");
    }
}
