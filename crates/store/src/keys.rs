//! API keys at rest.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, Row, named_params};

use crate::error::StateError;
use crate::open::State;

/// One API key at rest: what is known of it but the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The part that may be shown.
    pub id: String,
    /// The consumer group it belongs to.
    pub collection: String,
    /// What its owner calls it.
    pub name: String,
    /// Its keyed hash.
    pub hash: [u8; 32],
    /// When it was made, to the millisecond.
    pub created_at: SystemTime,
    /// Who made it.
    pub created_by: String,
    /// The key it takes the place of.
    pub rotated_from: Option<String>,
    /// From when on it is no longer valid.
    pub expires_at: Option<SystemTime>,
    /// Since when it is revoked.
    pub revoked_at: Option<SystemTime>,
}

const COLUMNS: &str =
    "id, collection, name, hash, created_at, created_by, rotated_from, expires_at, revoked_at";

impl State {
    /// All keys, the oldest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn keys(&self) -> Result<Vec<KeyRow>, StateError> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM keys ORDER BY created_at, id"))?;
        let rows = statement.query_map([], read)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// One key.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn key(&self, id: &str) -> Result<Option<KeyRow>, StateError> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM keys WHERE id = ?1"))?;
        Ok(statement.query_row([id], read).optional()?)
    }

    /// Keeps a new key. If it takes the place of another, that one ends at `old_expires` or before; both or none.
    ///
    /// # Errors
    /// When the database refuses, or a key of this id exists.
    pub fn insert_key(&mut self, key: &KeyRow, old_expires: Option<SystemTime>) -> Result<(), StateError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            &format!(
                "INSERT INTO keys ({COLUMNS}) VALUES (:id, :collection, :name, :hash, :created_at, :created_by, \
                 :rotated_from, :expires_at, :revoked_at)"
            ),
            named_params! {
                ":id": key.id,
                ":collection": key.collection,
                ":name": key.name,
                ":hash": key.hash,
                ":created_at": millis(key.created_at),
                ":created_by": key.created_by,
                ":rotated_from": key.rotated_from,
                ":expires_at": key.expires_at.map(millis),
                ":revoked_at": key.revoked_at.map(millis),
            },
        )?;
        if let (Some(old), Some(expires)) = (&key.rotated_from, old_expires) {
            transaction.execute(
                "UPDATE keys SET expires_at = min(coalesce(expires_at, ?2), ?2) WHERE id = ?1",
                (old, millis(expires)),
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Revokes a key for ever; a second time changes nothing. False if there is none.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn revoke_key(&mut self, id: &str, when: SystemTime) -> Result<bool, StateError> {
        let changed = self.connection.execute(
            "UPDATE keys SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1",
            (id, millis(when)),
        )?;
        Ok(changed > 0)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        id: row.get(0)?,
        collection: row.get(1)?,
        name: row.get(2)?,
        hash: row.get(3)?,
        created_at: time(row.get(4)?),
        created_by: row.get(5)?,
        rotated_from: row.get(6)?,
        expires_at: row.get::<_, Option<i64>>(7)?.map(time),
        revoked_at: row.get::<_, Option<i64>>(8)?.map(time),
    })
}

/// Unix milliseconds.
pub(crate) fn millis(time: SystemTime) -> i64 {
    i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn time(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    fn key(id: &str) -> KeyRow {
        KeyRow {
            id: id.to_owned(),
            collection: "c".to_owned(),
            name: "n".to_owned(),
            hash: [7; 32],
            created_at: time(1),
            created_by: "me".to_owned(),
            rotated_from: None,
            expires_at: None,
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_is_kept_as_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut state = State::open(dir.path()).expect("open");
        let row = KeyRow { expires_at: Some(time(99)), ..key("a") };
        state.insert_key(&row, None).expect("kept");
        assert!(state.insert_key(&row, None).is_err(), "an id is used once");
        drop(state);
        let state = State::open(dir.path()).expect("open");
        assert_eq!(state.keys().expect("read"), std::slice::from_ref(&row));
        assert_eq!(state.key("a").expect("read"), Some(row));
    }

    #[test]
    fn revoked_is_revoked() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut state = State::open(dir.path()).expect("open");
        state.insert_key(&key("a"), None).expect("kept");
        assert!(state.revoke_key("a", time(5)).expect("revoked"));
        assert!(state.revoke_key("a", time(9)).expect("again"));
        assert!(!state.revoke_key("b", time(9)).expect("none"));
        assert_eq!(state.key("a").expect("read").expect("there").revoked_at, Some(time(5)));
        for sql in ["UPDATE keys SET revoked_at = NULL", "DELETE FROM keys"] {
            assert!(state.connection.execute(sql, []).is_err(), "{sql}");
        }
    }

    #[test]
    fn a_rotation_ends_the_old_key_and_never_prolongs_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut state = State::open(dir.path()).expect("open");
        state.insert_key(&key("a"), None).expect("kept");
        let next = |id: &str| KeyRow { rotated_from: Some("a".to_owned()), ..key(id) };
        state.insert_key(&next("b"), Some(time(50))).expect("rotated");
        state.insert_key(&next("c"), Some(time(90))).expect("rotated");
        assert_eq!(state.key("a").expect("read").expect("there").expires_at, Some(time(50)));
    }

    /// Run by the test below as a process of its own: keeps keys, and says of each when it is kept.
    #[test]
    fn writer_that_is_killed() {
        let Some(dir) = std::env::var_os("HAECHI_STORE_KILLED") else { return };
        let mut state = State::open(std::path::Path::new(&dir)).expect("open");
        for number in 0.. {
            let id = format!("k{number}");
            state.insert_key(&key(&id), None).expect("kept");
            println!("kept {id}");
        }
    }

    #[test]
    fn what_was_acknowledged_survives_a_kill() {
        let dir = tempfile::tempdir().expect("a directory");
        for round in 1..=3 {
            let dir = dir.path().join(round.to_string());
            let mut child = Command::new(std::env::current_exe().expect("this test"))
                .args(["--exact", "keys::tests::writer_that_is_killed", "--nocapture"])
                .env("HAECHI_STORE_KILLED", &dir)
                .stdout(Stdio::piped())
                .spawn()
                .expect("started");
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
            let mut kept: Vec<_> = lines
                .filter_map(|line| line.split("kept ").nth(1).map(str::to_owned))
                .take(20 * round)
                .collect();
            child.kill().expect("killed");
            child.wait().expect("gone");
            let state = State::open(&dir).expect("opens after a kill");
            let found: Vec<_> = state.keys().expect("read").into_iter().map(|key| key.id).collect();
            kept.retain(|id| !found.contains(id));
            assert!(kept.is_empty() && found.len() >= 20 * round, "lost: {kept:?}");
        }
    }
}
