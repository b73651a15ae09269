//! Snapshots: compiled, activated, refused, remembered.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use haechi_config::Config;
use haechi_edge::{EdgeStatus, Gateway, Lasting, Snapshot};
use haechi_events::{Metrics, Recorder, RequestId, explain};
use haechi_store::{ActivationRow, Outcome, State};
use serde::{Deserialize, Serialize};

use crate::api::{ApiError, Explained};
use crate::keys::{Keys, control_event, stamp};
use crate::stream::Tail;
use crate::watch::Watch;

/// Attempts that a list shows.
const HISTORY: u32 = 100;

/// A running gateway and all that is needed to change it.
pub(crate) struct Lifecycle {
    pub(crate) config: PathBuf,
    pub(crate) listen: Option<std::net::SocketAddr>,
    pub(crate) gateway: Gateway,
    pub(crate) lasting: Arc<Lasting>,
    pub(crate) recorder: Recorder,
    pub(crate) state: Mutex<State>,
    pub(crate) watch: Mutex<Watch>,
    /// The last attempt, good or not.
    pub(crate) last: Mutex<Activation>,
    pub(crate) started: SystemTime,
}

/// One attempt to activate a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activation {
    /// Counts up over the life of the data directory.
    pub id: i64,
    /// When (RFC 3339).
    pub at: String,
    /// Who asked for it.
    pub who: String,
    /// Why.
    pub why: String,
    /// `activated`, `refused`, or `unchanged`.
    pub outcome: String,
    /// The snapshot's digest; empty if none could be made.
    pub digest: String,
    /// Why it was refused.
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
    /// What it serves.
    pub snapshot: SnapshotStatus,
    /// The last attempt to serve something else.
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
    /// Whether the last attempt to replace it was refused: then this is the last good one.
    pub is_last_good: bool,
}

// === impl Lifecycle ===

impl Lifecycle {
    /// Compiles what is on disk now, and serves it. What is refused is recorded; the last good one goes on.
    ///
    /// # Errors
    /// Why it was refused, fit to be shown.
    pub(crate) fn activate(&self, who: &str, why: &str) -> Result<Activation, String> {
        let mut text = String::new();
        let outcome = load(&self.config, self.listen).map_err(|wrong| wrong.to_string()).and_then(|config| {
            text = config.text().to_owned();
            Snapshot::compile(&config, &self.lasting).map_err(|wrong| wrong.to_string())
        });
        let files = match &outcome {
            Ok(snapshot) => snapshot.files.clone(),
            // The files of the last good one, so that mending them is noticed.
            Err(_) => self.gateway.production().snapshot.files.clone(),
        };
        let outcome = outcome.and_then(|snapshot| {
            let digest = snapshot.digest.to_string();
            if *snapshot.digest == *self.gateway.production().snapshot.digest {
                return Ok((digest, "unchanged"));
            }
            self.gateway
                .activate(Arc::new(snapshot), haechi_edge::Target::Production)
                .map_err(|error| error.to_string())?;
            self.metrics().set_snapshot(&digest, SystemTime::now());
            Ok((digest, "activated"))
        });
        lock(&self.watch).set(files);
        let (digest, word, message) = match &outcome {
            Ok((digest, word)) => (digest.as_str(), *word, ""),
            Err(message) => ("", "refused", message.as_str()),
        };
        let activation = self.remember(who, why, word, digest, message, &text);
        outcome.map(|_| activation)
    }

    /// Keeps an attempt in the history, the events and the metrics.
    fn remember(
        &self,
        who: &str,
        why: &str,
        word: &str,
        digest: &str,
        message: &str,
        text: &str,
    ) -> Activation {
        let now = SystemTime::now();
        let mut activation = Activation {
            id: 0,
            at: stamp(now),
            who: who.to_owned(),
            why: why.to_owned(),
            outcome: word.to_owned(),
            digest: digest.to_owned(),
            message: message.to_owned(),
        };
        if word != "unchanged" {
            let outcome = if word == "activated" { Outcome::Activated } else { Outcome::Refused };
            activation.id = keep(&self.state, &activation, outcome, now, text);
            self.metrics().activation(word);
            let action = if word == "activated" { "snapshot-activated" } else { "snapshot-refused" };
            let _ = self.recorder.record_durable(control_event(action, who, digest, message));
        }
        *lock(&self.last) = activation.clone();
        activation
    }

    /// Looks at the files, and activates what has changed.
    pub(crate) fn watch(&self) -> Option<Result<Activation, String>> {
        let changed = lock(&self.watch).has_settled_change();
        changed.then(|| self.activate("file watch", "a file has changed"))
    }

    pub(crate) fn status(&self) -> Status {
        let snapshot = self.gateway.production().snapshot.clone();
        let last = lock(&self.last).clone();
        let edge: EdgeStatus = self.gateway.status();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().unwrap_or(Duration::ZERO).as_secs(),
            config: self.config.clone(),
            snapshot: SnapshotStatus {
                digest: snapshot.digest.to_string(),
                compiled: stamp(snapshot.compiled_at),
                apis: snapshot.apis().map(str::to_owned).collect(),
                operations: snapshot.operations(),
                services: snapshot.services().map(str::to_owned).collect(),
                is_last_good: last.outcome == "refused",
            },
            last_activation: last,
            edge: serde_json::to_value(&edge).unwrap_or_default(),
        }
    }

    pub(crate) fn activations(&self) -> Result<Vec<Activation>, ApiError> {
        let rows = lock(&self.state).activations(HISTORY).map_err(ApiError::internal)?;
        Ok(rows
            .into_iter()
            .map(|row| Activation {
                id: row.id,
                at: stamp(row.at),
                who: row.who,
                why: row.why,
                outcome: row.outcome.as_str().to_owned(),
                digest: row.digest,
                message: row.message,
            })
            .collect())
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

    /// The last `lines` events, and those that come if `follow` is set.
    pub(crate) fn tail(&self, lines: usize, follow: bool) -> Result<Tail, ApiError> {
        // Subscribed before the past is read: what comes in between is not missed, at worst seen twice.
        let coming = follow.then(|| self.recorder.subscribe());
        let past =
            if lines == 0 { Vec::new() } else { self.recorder.tail(lines).map_err(ApiError::internal)? };
        Ok(Tail::new(past, coming))
    }

    /// Brings the number of open connections into the metrics.
    pub(crate) fn count_connections(&self) {
        self.metrics().set_connections(self.gateway.status().connections);
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.lasting.metrics
    }
}

/// Reads the configuration; `listen` takes the place of its first listener's address.
pub(crate) fn load(
    path: &Path,
    listen: Option<std::net::SocketAddr>,
) -> Result<Config, haechi_config::Diagnostics> {
    let mut config = Config::load(path)?;
    if let Some(listen) = listen {
        config.set_listen(listen);
    }
    Ok(config)
}

/// Keeps an attempt; answers its number, 0 if the disk did not take it.
pub(crate) fn keep(
    state: &Mutex<State>,
    activation: &Activation,
    outcome: Outcome,
    at: SystemTime,
    text: &str,
) -> i64 {
    let row = ActivationRow {
        id: 0,
        at,
        who: activation.who.clone(),
        why: activation.why.clone(),
        outcome,
        digest: activation.digest.clone(),
        message: activation.message.clone(),
        config: text.to_owned(),
    };
    lock(state).record_activation(&row).unwrap_or_default()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
