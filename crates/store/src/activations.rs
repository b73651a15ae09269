//! The history of activations: who changed what, when and why, what became of it; and what each snapshot was made from, so that it
//! can be made again though files have changed since.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{OptionalExtension, Row, named_params};

use crate::error::StateError;
use crate::keys::{millis, time};
use crate::open::State;

/// Decisions that are kept; the oldest go first. More than anybody reads, a few megabytes.
const HISTORY: i64 = 2000;
/// Snapshots whose sources are kept: those of the last decisions. What does not change from one to the next is kept once.
const SOURCES: i64 = 50;

/// One decision on what is served.
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
    /// `production`, `staging`, `canary=5%`.
    pub stage: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The digest of the snapshot it is about; empty if none could be made.
    pub digest: String,
    /// What that snapshot was made from; empty if none could be made.
    pub manifest: String,
    /// Why it was refused or taken back; empty if it was neither.
    pub message: String,
    /// What changed in meaning, as JSON; empty if nothing did.
    pub changes: String,
    /// What serves production since.
    pub production: String,
    /// What that was made from.
    pub production_manifest: String,
    /// What `haechi.yaml` on disk would have been made from at that moment; empty if it was not usable.
    pub disk: String,
}

/// What became of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The snapshot serves.
    Activated,
    /// It was refused; what served goes on.
    Refused,
    /// What served was taken back.
    RolledBack,
}

/// What a snapshot was made from, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// A digest of all of it.
    pub manifest: String,
    /// The configuration's file; empty for the gateway's own `haechi.yaml`.
    pub file: String,
    /// Its text. Holds no secret.
    pub config: String,
    /// Contents by path, relative to the configuration's file.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

const COLUMNS: &str = "id, at, who, why, stage, outcome, digest, manifest, message, changes, production, production_manifest, disk";

impl State {
    /// Keeps a decision, and what the snapshot it is about was made from, all or nothing; answers its number.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn record_activation(
        &mut self,
        row: &ActivationRow,
        sources: Option<&Sources>,
    ) -> Result<i64, StateError> {
        let transaction = self.connection.transaction()?;
        if let Some(sources) = sources {
            transaction.execute(
                "INSERT OR IGNORE INTO sources (manifest, file, config) VALUES (?1, ?2, ?3)",
                (&sources.manifest, &sources.file, &sources.config),
            )?;
            for (path, content) in &sources.files {
                let hash = blake3::hash(content);
                transaction.execute(
                    "INSERT OR IGNORE INTO blobs (hash, content) VALUES (?1, ?2)",
                    (hash.as_bytes(), &**content),
                )?;
                transaction.execute(
                    "INSERT OR IGNORE INTO source_files (manifest, path, hash) VALUES (?1, ?2, ?3)",
                    (&sources.manifest, path, hash.as_bytes()),
                )?;
            }
        }
        transaction.execute(
            "INSERT INTO activations (at, who, why, stage, outcome, digest, manifest, message, changes, production, \
             production_manifest, disk) VALUES (:at, :who, :why, :stage, :outcome, :digest, :manifest, :message, \
             :changes, :production, :production_manifest, :disk)",
            named_params! {
                ":at": millis(row.at),
                ":who": row.who,
                ":why": row.why,
                ":stage": row.stage,
                ":outcome": row.outcome.as_str(),
                ":digest": row.digest,
                ":manifest": row.manifest,
                ":message": row.message,
                ":changes": row.changes,
                ":production": row.production,
                ":production_manifest": row.production_manifest,
                ":disk": row.disk,
            },
        )?;
        let id = transaction.last_insert_rowid();
        transaction.execute("DELETE FROM activations WHERE id <= ?1", [id - HISTORY])?;
        // The ones last decided on, and in any case what serves now.
        transaction.execute(
            "DELETE FROM sources WHERE manifest <> ?1 AND manifest NOT IN (SELECT manifest FROM activations WHERE \
             manifest <> '' GROUP BY manifest ORDER BY max(id) DESC LIMIT ?2)",
            (&row.production_manifest, SOURCES),
        )?;
        transaction
            .execute("DELETE FROM source_files WHERE manifest NOT IN (SELECT manifest FROM sources)", [])?;
        transaction.execute("DELETE FROM blobs WHERE hash NOT IN (SELECT hash FROM source_files)", [])?;
        transaction.commit()?;
        Ok(id)
    }

    /// The last decisions, newest first.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn activations(&self, limit: u32) -> Result<Vec<ActivationRow>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM activations ORDER BY id DESC LIMIT ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map([limit], read)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    /// One decision.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn activation(&self, id: i64) -> Result<Option<ActivationRow>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM activations WHERE id = ?1");
        Ok(self.connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
    }

    /// The last decision after which production served something else, before `digest` was activated there; if it can be served again.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn production_before(&self, digest: &str) -> Result<Option<ActivationRow>, StateError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM activations WHERE id < (SELECT max(id) FROM activations WHERE stage = 'production' \
             AND outcome = 'activated' AND digest = ?1) AND production <> ?1 AND production_manifest IN \
             (SELECT manifest FROM sources) ORDER BY id DESC LIMIT 1"
        );
        Ok(self.connection.prepare_cached(&sql)?.query_row([digest], read).optional()?)
    }

    /// What a snapshot was made from, if that is still kept.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn sources(&self, manifest: &str) -> Result<Option<Sources>, StateError> {
        let mut statement =
            self.connection.prepare_cached("SELECT file, config FROM sources WHERE manifest = ?1")?;
        let found: Option<(String, String)> =
            statement.query_row([manifest], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((file, config)) = found else { return Ok(None) };
        let mut statement = self.connection.prepare_cached(
            "SELECT path, content FROM source_files JOIN blobs USING (hash) WHERE manifest = ?1",
        )?;
        let files = statement
            .query_map([manifest], |row| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?.into())))?
            .collect::<Result<_, _>>()?;
        Ok(Some(Sources { manifest: manifest.to_owned(), file, config, files }))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ActivationRow> {
    Ok(ActivationRow {
        id: row.get(0)?,
        at: time(row.get(1)?),
        who: row.get(2)?,
        why: row.get(3)?,
        stage: row.get(4)?,
        outcome: match row.get_ref(5)?.as_str()? {
            "activated" => Outcome::Activated,
            "rolled-back" => Outcome::RolledBack,
            _ => Outcome::Refused,
        },
        digest: row.get(6)?,
        manifest: row.get(7)?,
        message: row.get(8)?,
        changes: row.get(9)?,
        production: row.get(10)?,
        production_manifest: row.get(11)?,
        disk: row.get(12)?,
    })
}

// === impl Outcome ===

impl Outcome {
    /// The word in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Refused => "refused",
            Self::RolledBack => "rolled-back",
        }
    }
}

// === impl Sources ===

impl Sources {
    /// Sources with their digest.
    pub fn new(file: String, config: String, files: BTreeMap<String, Arc<[u8]>>) -> Self {
        let mut hasher = blake3::Hasher::new();
        // Lengths first, so that no two lists of texts are the same bytes.
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(config.as_bytes());
        for (path, content) in &files {
            part(path.as_bytes());
            part(content);
        }
        let manifest = hasher.finalize().to_hex().get(..32).unwrap_or_default().to_owned();
        Self { manifest, file, config, files }
    }
}
