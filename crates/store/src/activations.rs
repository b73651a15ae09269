//! The history of activations: who changed what, when and why, and what became of it.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, Row};

use crate::error::StateError;
use crate::keys::{millis, time};
use crate::open::State;

/// One attempt to activate a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationRow {
    /// Counts up; 0 before it is kept.
    pub id: i64,
    /// When, to the millisecond.
    pub at: SystemTime,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub why: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The snapshot's digest; empty if none could be made.
    pub digest: String,
    /// Why it was refused; empty if it was not.
    pub message: String,
    /// The configuration's text. Holds no secret.
    pub config: String,
}

/// What became of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The snapshot serves.
    Activated,
    /// It was refused; the last one goes on.
    Refused,
}

const COLUMNS: &str = "id, at, who, why, outcome, digest, message, config";

impl State {
    /// Keeps an attempt; answers its number.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn record_activation(&mut self, row: &ActivationRow) -> Result<i64, StateError> {
        self.connection.execute(
            "INSERT INTO activations (at, who, why, outcome, digest, message, config) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (millis(row.at), &row.who, &row.why, row.outcome.as_str(), &row.digest, &row.message, &row.config),
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The last attempts, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn activations(&self, limit: u32) -> Result<Vec<ActivationRow>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM activations ORDER BY id DESC LIMIT ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([limit], read)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// The last attempt that succeeded.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn last_good(&self) -> Result<Option<ActivationRow>, StateError> {
        let sql =
            format!("SELECT {COLUMNS} FROM activations WHERE outcome = 'activated' ORDER BY id DESC LIMIT 1");
        Ok(self.connection.prepare_cached(&sql)?.query_row([], read).optional()?)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ActivationRow> {
    Ok(ActivationRow {
        id: row.get(0)?,
        at: time(row.get(1)?),
        who: row.get(2)?,
        why: row.get(3)?,
        outcome: if row.get_ref(4)?.as_str()? == "activated" { Outcome::Activated } else { Outcome::Refused },
        digest: row.get(5)?,
        message: row.get(6)?,
        config: row.get(7)?,
    })
}

// === impl Outcome ===

impl Outcome {
    /// The word in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_kept_and_the_last_good_one_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut state = State::open(dir.path()).expect("open");
        assert_eq!(state.last_good().expect("read"), None);
        let row = |outcome, digest: &str| ActivationRow {
            id: 0,
            at: time(1),
            who: "uid 0".to_owned(),
            why: "test".to_owned(),
            outcome,
            digest: digest.to_owned(),
            message: String::new(),
            config: "haechi: 1".to_owned(),
        };
        for (outcome, digest) in
            [(Outcome::Activated, "a"), (Outcome::Activated, "b"), (Outcome::Refused, "")]
        {
            state.record_activation(&row(outcome, digest)).expect("kept");
        }
        let list = state.activations(2).expect("read");
        assert_eq!(list.iter().map(|row| row.id).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(state.last_good().expect("read").expect("there").digest, "b");
    }
}
