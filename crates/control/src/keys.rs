//! API keys: made, rotated, revoked; in the database first, in memory then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haechi_events::{Event, Kind, Metrics, Outcome, Recorder, RequestId};
use haechi_identity::{ApiKey, KeyHash, KeyRecord, KeyRing};
use haechi_store::{KeyRow, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::ApiError;

/// Longest name of a key or a collection.
const NAME: usize = 100;

/// A key to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// The collection it belongs to.
    pub collection: String,
    /// What its owner calls it.
    pub name: String,
    /// How long it is valid, in seconds; for ever if not set.
    #[serde(default)]
    pub valid_seconds: Option<u64>,
}

/// A key to take the place of another.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// How long the old one stays valid, in seconds.
    pub grace_seconds: u64,
}

/// A key as it can be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// The collection it belongs to.
    pub collection: String,
    /// What its owner calls it.
    pub name: String,
    /// `valid`, `expired` or `revoked`.
    pub state: String,
    /// When it was made (RFC 3339).
    pub created: String,
    /// Who made it.
    pub created_by: String,
    /// From when on it is no longer valid.
    pub expires: Option<String>,
    /// Since when it is revoked.
    pub revoked: Option<String>,
    /// The key it takes the place of.
    pub rotated_from: Option<String>,
}

/// A new key. Shown once: nobody can show it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewKey {
    /// Its id.
    pub id: String,
    /// The collection it belongs to.
    pub collection: String,
    /// The key itself.
    pub key: String,
}

/// All that is done with keys.
pub(crate) struct Keys<'a> {
    pub(crate) state: &'a Mutex<State>,
    pub(crate) ring: &'a Arc<KeyRing>,
    pub(crate) recorder: &'a Recorder,
    pub(crate) metrics: &'a Metrics,
}

// === impl Keys ===

impl Keys<'_> {
    pub(crate) fn list(&self) -> Result<Vec<Key>, ApiError> {
        let now = SystemTime::now();
        let rows = self.state().keys().map_err(ApiError::internal)?;
        Ok(rows.iter().map(|row| shown(row, now)).collect())
    }

    pub(crate) fn create(&self, request: &CreateKey, who: &str) -> Result<NewKey, ApiError> {
        for (what, text) in [("collection", &request.collection), ("name", &request.name)] {
            if text.trim().is_empty() || text.len() > NAME || text.chars().any(char::is_control) {
                let detail = format!("the {what} of a key has 1 to {NAME} characters, all of them visible");
                return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
            }
        }
        let now = SystemTime::now();
        let expires = request.valid_seconds.map(|seconds| after(now, seconds)).transpose()?;
        self.insert(now, who, "key-created", None, |id, hash| KeyRow {
            id,
            collection: request.collection.clone(),
            name: request.name.clone(),
            hash,
            created_at: now,
            created_by: who.to_owned(),
            rotated_from: None,
            expires_at: expires,
            revoked_at: None,
        })
    }

    pub(crate) fn rotate(&self, id: &str, request: &RotateKey, who: &str) -> Result<NewKey, ApiError> {
        let now = SystemTime::now();
        let old = self.state().key(id).map_err(ApiError::internal)?.ok_or_else(|| unknown(id))?;
        if old.revoked_at.is_some() {
            let detail = format!("the key `{id}` is revoked: make a new one");
            return Err(ApiError::new(StatusCode::CONFLICT, detail));
        }
        let ends = after(now, request.grace_seconds)?;
        let new = self.insert(now, who, "key-rotated", Some(ends), |new_id, hash| KeyRow {
            id: new_id,
            hash,
            created_at: now,
            created_by: who.to_owned(),
            rotated_from: Some(id.to_owned()),
            expires_at: old.expires_at.filter(|expires| *expires > ends),
            ..old.clone()
        })?;
        let old = self.state().key(id).map_err(ApiError::internal)?;
        if let Some(old) = old {
            self.ring.insert(record(&old));
        }
        Ok(new)
    }

    pub(crate) fn revoke(&self, id: &str, who: &str) -> Result<Key, ApiError> {
        let now = SystemTime::now();
        if !self.state().revoke_key(id, now).map_err(ApiError::internal)? {
            return Err(unknown(id));
        }
        self.ring.revoke(&id.into(), now);
        self.note("key-revoked", who, id);
        let row = self.state().key(id).map_err(ApiError::internal)?.ok_or_else(|| unknown(id))?;
        Ok(shown(&row, now))
    }

    fn insert(
        &self,
        now: SystemTime,
        who: &str,
        action: &'static str,
        old_expires: Option<SystemTime>,
        row: impl FnOnce(String, [u8; 32]) -> KeyRow,
    ) -> Result<NewKey, ApiError> {
        let mut random = [0; 33];
        getrandom::fill(&mut random).map_err(ApiError::internal)?;
        let key = ApiKey::from_random(&random);
        zeroize::Zeroize::zeroize(&mut random);
        let row = row(key.id().to_string(), *key.hash(self.ring.pepper()).as_bytes());
        debug_assert!(row.created_at == now);
        self.state().insert_key(&row, old_expires).map_err(ApiError::internal)?;
        self.ring.insert(record(&row));
        self.note(action, who, &row.id);
        Ok(NewKey { id: row.id, collection: row.collection, key: key.expose().to_owned() })
    }

    fn note(&self, action: &'static str, who: &str, id: &str) {
        self.metrics.key_changed(action.strip_prefix("key-").unwrap_or(action));
        let event = control_event(action, who, id, "");
        // The database has it; an event that the disk did not take is in the metrics.
        let _ = self.recorder.record_durable(event);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something done to the gateway itself.
pub(crate) fn control_event(action: &'static str, who: &str, object: &str, detail: &str) -> Event {
    let now = SystemTime::now();
    let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    Event {
        id: RequestId::generate(now),
        time_us: u64::try_from(micros).unwrap_or_default(),
        kind: Kind::Control,
        outcome: Outcome::Forwarded,
        weight: 1,
        action: action.into(),
        actor: who.to_owned().into(),
        object: object.to_owned().into(),
        error: detail.to_owned().into(),
        ..Event::default()
    }
}

/// A key at rest as the guard needs it.
pub(crate) fn record(row: &KeyRow) -> KeyRecord {
    KeyRecord {
        id: row.id.as_str().into(),
        collection: row.collection.as_str().into(),
        hash: KeyHash::from_bytes(row.hash),
        expires: row.expires_at,
        revoked: row.revoked_at,
    }
}

fn shown(row: &KeyRow, now: SystemTime) -> Key {
    let state = if row.revoked_at.is_some() {
        "revoked"
    } else if row.expires_at.is_some_and(|expires| expires <= now) {
        "expired"
    } else {
        "valid"
    };
    Key {
        id: row.id.clone(),
        collection: row.collection.clone(),
        name: row.name.clone(),
        state: state.to_owned(),
        created: stamp(row.created_at),
        created_by: row.created_by.clone(),
        expires: row.expires_at.map(stamp),
        revoked: row.revoked_at.map(stamp),
        rotated_from: row.rotated_from.clone(),
    }
}

/// RFC 3339, to the second.
pub(crate) fn stamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}

fn after(now: SystemTime, seconds: u64) -> Result<SystemTime, ApiError> {
    now.checked_add(Duration::from_secs(seconds))
        .filter(|time| OffsetDateTime::from_unix_timestamp(unix(*time)).is_ok())
        .ok_or_else(|| ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "the time is too far away"))
}

fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(i64::MAX)
}

fn unknown(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("no key has the id `{id}`: `haechi keys list` shows them"))
}
