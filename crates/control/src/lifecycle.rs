//! Snapshots: compiled, activated in stages, refused, taken back, remembered.

mod change;
mod made;
mod step;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use haechi_edge::{EdgeStatus, Gateway, Lasting, Served};
use haechi_events::{Column, Counter, Counts, Metrics, Recorder, RequestId, Spool, explain};
use haechi_store::{ActivationRow, State};
use serde::{Deserialize, Serialize};

use crate::api::{ApiError, Explained};
use crate::keys::{Keys, stamp};
use crate::stream::Tail;

pub(crate) use change::{Change, Notice};
pub(crate) use made::{BootError, boot};

/// A running gateway and all that is needed to change it.
pub(crate) struct Lifecycle {
    pub(crate) config: PathBuf,
    pub(crate) listen: Option<std::net::SocketAddr>,
    pub(crate) gateway: Gateway,
    pub(crate) lasting: Arc<Lasting>,
    pub(crate) recorder: Recorder,
    pub(crate) state: Mutex<State>,
    /// One thing is changed at a time.
    pub(crate) change: Mutex<Change>,
    pub(crate) started: SystemTime,
    /// The same moment on a clock that nobody sets.
    pub(crate) clock: Instant,
    /// Certificates that were warned of, and when.
    pub(crate) warned: Mutex<HashMap<String, SystemTime>>,
}

/// One decision on what is served.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Activation {
    /// Counts up over the life of the data directory; 0 if nothing changed.
    pub id: i64,
    /// When (RFC 3339).
    pub at: String,
    /// Who asked for it; `guard` if the guard conditions did.
    pub who: String,
    /// Why.
    pub why: String,
    /// `production`, `staging` or `canary=5%`.
    pub stage: String,
    /// `activated`, `refused`, `rolled-back`, or `unchanged`.
    pub outcome: String,
    /// The digest of the snapshot it is about; empty if none could be made.
    pub digest: String,
    /// What serves production since.
    pub production: String,
    /// Why it was refused or taken back.
    pub message: String,
    /// What changed in meaning, as `haechi plan` tells it: to production's snapshot from the one before, or to a candidate's from
    /// production's.
    pub changes: Vec<ChangeLine>,
    /// What somebody should know who asked for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// One change in meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// `loosened`, `tightened` or `changed`.
    pub effect: String,
    /// What it is about.
    pub kind: String,
    /// The API, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The operation, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// From what to what.
    pub message: String,
}

/// How a gateway is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running, in seconds.
    pub uptime_seconds: u64,
    /// Its configuration.
    pub config: PathBuf,
    /// What serves production.
    pub snapshot: SnapshotStatus,
    /// What may come after it.
    pub candidate: Option<CandidateStatus>,
    /// How the last change compares with what was there.
    pub guard: Option<GuardStatus>,
    /// Whether files have changed that nobody has activated.
    pub files_changed: bool,
    /// The last decision on what is served.
    pub last_activation: Activation,
    /// Sockets, connections, identity providers.
    pub edge: serde_json::Value,
}

/// What is served.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SnapshotStatus {
    /// The same digest, the same meaning.
    pub digest: String,
    /// When it was made (RFC 3339).
    pub compiled: String,
    /// Names of the APIs.
    pub apis: Vec<String>,
    /// Operations that can be called.
    pub operations: usize,
    /// Names of what is served without a contract.
    pub services: Vec<String>,
    /// Whether it is the last good one, because what is on disk was refused.
    pub is_last_good: bool,
}

/// A candidate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CandidateStatus {
    /// Its digest.
    pub digest: String,
    /// `staging` or `canary=5%`.
    pub stage: String,
    /// When it was made (RFC 3339).
    pub compiled: String,
    /// What it has served on listeners for staging.
    pub staging: ServedStatus,
    /// What it has served of production's traffic, since its share is what it is.
    pub canary: Option<ServedStatus>,
}

/// What a snapshot has served.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServedStatus {
    /// Requests.
    pub requests: u64,
    /// Of those, how many ended in a status of 500 or more.
    pub failed: u64,
    /// How many were refused.
    pub refused: u64,
    /// How long the slowest hundredth waited at least, in milliseconds.
    pub p99_ms: f64,
}

/// The guard of the last change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardStatus {
    /// The activation it guards.
    pub activation: i64,
    /// The stage it guards.
    pub stage: String,
    /// `watching`, `held`, `worse` (and only told), `rolled-back`, or `off`.
    pub state: String,
    /// The figures, or why nothing is compared.
    pub message: String,
}

// === impl Lifecycle ===

impl Lifecycle {
    pub(crate) fn status(&self) -> Status {
        let change = lock(&self.change);
        let (production, last) = (&change.production.snapshot, change.last.clone());
        let edge: EdgeStatus = self.gateway.status();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().unwrap_or(Duration::ZERO).as_secs(),
            config: self.config.clone(),
            snapshot: SnapshotStatus {
                digest: production.digest.to_string(),
                compiled: stamp(production.compiled_at),
                apis: production.apis().map(str::to_owned).collect(),
                operations: production.operations(),
                services: production.services().map(str::to_owned).collect(),
                is_last_good: change.is_last_good,
            },
            candidate: change.candidate.as_ref().map(|candidate| CandidateStatus {
                digest: candidate.made.snapshot.digest.to_string(),
                stage: candidate.step.to_string(),
                compiled: stamp(candidate.made.snapshot.compiled_at),
                staging: self.gateway.staging().map(|served| served.as_ref().into()).unwrap_or_default(),
                canary: self.gateway.canary().map(|served| served.as_ref().into()),
            }),
            guard: change.guard_status(),
            files_changed: change.files_changed,
            last_activation: last,
            edge: serde_json::to_value(&edge).unwrap_or_default(),
        }
    }

    pub(crate) fn activations(&self, limit: u32) -> Result<Vec<Activation>, ApiError> {
        let rows = lock(&self.state).activations(limit).map_err(ApiError::internal)?;
        Ok(rows.into_iter().map(Activation::from).collect())
    }

    pub(crate) fn keys(&self) -> Keys<'_> {
        Keys {
            state: &self.state,
            ring: &self.lasting.keys,
            recorder: &self.recorder,
            metrics: self.metrics(),
        }
    }

    pub(crate) fn find(&self, id: RequestId) -> Result<Option<Explained>, ApiError> {
        let event = self.recorder.find(id).map_err(ApiError::internal)?;
        Ok(event.map(|event| Explained {
            explanation: explain(&event),
            event: serde_json::to_value(&event).unwrap_or_default(),
        }))
    }

    /// How many requests there were in the last `since`, by these columns.
    pub(crate) fn count(&self, by: Vec<Column>, since: Duration) -> Result<Counts, ApiError> {
        let from = SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut counter = Counter::new(by);
        Spool::read(self.recorder.dir(), from, |event| counter.add(&event)).map_err(ApiError::internal)?;
        Ok(counter.finish())
    }

    /// The last `lines` events, and those that come if `follow` is set.
    pub(crate) fn tail(&self, lines: usize, follow: bool) -> Result<Tail, ApiError> {
        // Subscribed before the past is read: what comes in between is not missed, at worst seen twice.
        let coming = follow.then(|| self.recorder.subscribe());
        let past =
            if lines == 0 { Vec::new() } else { self.recorder.tail(lines).map_err(ApiError::internal)? };
        Ok(Tail::new(past, coming))
    }

    /// Brings the number of open connections, and how upstreams are, into the metrics.
    pub(crate) fn count_connections(&self) {
        let (status, metrics) = (self.gateway.status(), self.metrics());
        metrics.set_connections(status.connections);
        metrics.clear_upstreams();
        for upstream in &status.upstreams {
            metrics.set_breaker(&upstream.name, upstream.breaker == "closed");
            for at in &upstream.endpoints {
                let (address, healthy) = (at.address.to_string(), at.state == "healthy");
                metrics.set_endpoint(&upstream.name, &at.endpoint, &address, healthy, at.in_flight);
            }
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.lasting.metrics
    }
}

impl From<ActivationRow> for Activation {
    fn from(row: ActivationRow) -> Self {
        Self {
            id: row.id,
            at: stamp(row.at),
            who: row.who,
            why: row.why,
            stage: row.stage,
            outcome: row.outcome.as_str().to_owned(),
            digest: row.digest,
            production: row.production,
            message: row.message,
            changes: serde_json::from_str(&row.changes).unwrap_or_default(),
            note: String::new(),
        }
    }
}

// === impl ServedStatus ===

impl Default for ServedStatus {
    fn default() -> Self {
        Self { requests: 0, failed: 0, refused: 0, p99_ms: 0.0 }
    }
}

impl From<&Served> for ServedStatus {
    fn from(served: &Served) -> Self {
        let tally = served.counts.tally();
        Self {
            requests: tally.requests,
            failed: tally.failed,
            refused: tally.refused,
            p99_ms: tally.waited.quantile(0.99).as_secs_f64() * 1000.0,
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
