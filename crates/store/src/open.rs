//! Opening the state: directory, lock, schema.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::StateError;

/// Each entry brings the schema one version further; none is ever changed.
pub(crate) const MIGRATIONS: &[&str] = &[
    // 1: API keys, and the history of activations.
    "CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        collection TEXT NOT NULL,
        name TEXT NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32),
        created_at INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        rotated_from TEXT REFERENCES keys (id),
        expires_at INTEGER,
        revoked_at INTEGER
    ) STRICT;
    CREATE TRIGGER keys_stay_revoked BEFORE UPDATE OF revoked_at ON keys
        WHEN OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at
        BEGIN SELECT RAISE(ABORT, 'a revoked key stays revoked'); END;
    CREATE TRIGGER keys_stay BEFORE DELETE ON keys
        BEGIN SELECT RAISE(ABORT, 'keys are revoked, not deleted'); END;
    CREATE TABLE activations (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        why TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('activated', 'refused')),
        digest TEXT NOT NULL,
        message TEXT NOT NULL,
        config TEXT NOT NULL
    ) STRICT;",
    // 2: what snapshots were made from, stages, and what serves after each decision.
    "CREATE TABLE sources (
        manifest TEXT PRIMARY KEY,
        file TEXT NOT NULL,
        config TEXT NOT NULL
    ) STRICT;
    CREATE TABLE blobs (hash BLOB PRIMARY KEY CHECK (length(hash) = 32), content BLOB NOT NULL) STRICT;
    CREATE TABLE source_files (
        manifest TEXT NOT NULL,
        path TEXT NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (manifest, path)
    ) STRICT;
    ALTER TABLE activations RENAME TO activations_1;
    CREATE TABLE activations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        why TEXT NOT NULL,
        stage TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('activated', 'refused', 'rolled-back')),
        digest TEXT NOT NULL,
        manifest TEXT NOT NULL,
        message TEXT NOT NULL,
        changes TEXT NOT NULL,
        production TEXT NOT NULL,
        production_manifest TEXT NOT NULL,
        disk TEXT NOT NULL
    ) STRICT;
    INSERT INTO activations
        SELECT id, at, who, why, 'production', outcome, digest, '', message, '', digest, '', '' FROM activations_1;
    DROP TABLE activations_1;",
];

/// The state, open. One process has it at a time.
#[derive(Debug)]
pub struct State {
    pub(crate) connection: Connection,
    pub(crate) dir: PathBuf,
    /// Held as long as the state is open.
    _lock: Lock,
}

/// A lock on a file. It ends with the process, however that ends.
#[derive(Debug)]
struct Lock(File);

// === impl State ===

impl State {
    /// Opens the state in `dir`, which is made (mode 0700) if it is not there.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(StateError::io(format!("cannot make the directory `{}`", dir.display())))?;
        let lock = Lock(lock(dir)?);
        let connection = Connection::open(dir.join("haechi.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let state = Self { connection, dir: dir.to_owned(), _lock: lock };
        state.migrate()?;
        Ok(state)
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn migrate(&self) -> Result<(), StateError> {
        let found: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        if found > known {
            return Err(StateError::Newer { found, known });
        }
        let from = usize::try_from(found).unwrap_or_default();
        for (index, migration) in MIGRATIONS.iter().enumerate().skip(from) {
            let version = index + 1;
            self.connection
                .execute_batch(&format!("BEGIN; {migration} PRAGMA user_version = {version}; COMMIT;"))?;
        }
        Ok(())
    }
}

// === impl Lock ===

impl Drop for Lock {
    /// Closing the file is not enough: a child that is just being started has a copy of it until it runs its program.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// The lock's file, locked.
fn lock(dir: &Path) -> Result<File, StateError> {
    let path = dir.join("haechi.lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(StateError::io(format!("cannot open `{}`", path.display())))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let _ = file.read_to_string(&mut process);
            return Err(StateError::InUse { dir: dir.to_owned(), process: process.trim().parse().ok() });
        }
        Err(TryLockError::Error(source)) => {
            return Err(StateError::Io { doing: format!("cannot lock `{}`", path.display()), source });
        }
    }
    let note = |file: &mut File| -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(StateError::io(format!("cannot write `{}`", path.display())))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_it_at_a_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = State::open(dir.path()).expect("open");
        match State::open(dir.path()) {
            Err(StateError::InUse { process, .. }) => assert_eq!(process, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        // Regression: a child that another thread is just starting has a copy of every open file.
        let copy = first._lock.0.try_clone().expect("a copy");
        drop(first);
        State::open(dir.path()).expect("free again");
        drop(copy);
    }

    #[test]
    fn a_newer_state_is_not_touched() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(State::open(dir.path()).expect("open"));
        let connection = Connection::open(dir.path().join("haechi.db")).expect("open");
        connection.pragma_update(None, "user_version", 99).expect("set");
        drop(connection);
        assert!(matches!(State::open(dir.path()), Err(StateError::Newer { found: 99, .. })));
    }

    #[test]
    fn a_damaged_database_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("haechi.db"), [b'x'; 4096]).expect("written");
        let error = State::open(dir.path()).expect_err("damaged").to_string();
        assert!(error.contains("haechi.db"), "{error}");
    }

    #[test]
    fn only_the_owner_can_open_it() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().expect("a directory");
        let dir = parent.path().join("data");
        let _state = State::open(&dir).expect("open");
        assert_eq!(std::fs::metadata(&dir).expect("there").permissions().mode() & 0o777, 0o700);
    }
}
