//! What TLS agreed on with callers, counted since the process began.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::TlsFacts;

/// Handshakes of the process. Its keys are listeners and words of the program: no caller can make them many.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    done: BTreeMap<(Arc<str>, [&'static str; 4], bool), u64>,
    failed: BTreeMap<(Arc<str>, &'static str), u64>,
}

/// Handshakes that were alike.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HandshakeCount {
    /// The listener.
    pub listener: String,
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
    /// The key exchange's group.
    pub group: &'static str,
    /// Whether that group resists quantum computers.
    pub post_quantum: bool,
    /// By which scheme the gateway signed; empty if sessions were resumed.
    pub signature: &'static str,
    /// Whether sessions were resumed.
    pub resumed: bool,
    /// How many.
    pub count: u64,
}

/// Handshakes that failed alike.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FailureCount {
    /// The listener.
    pub listener: String,
    /// Why, in a word.
    pub cause: &'static str,
    /// How many.
    pub count: u64,
}

/// Connections to an upstream that agreed on the same.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UpstreamCount {
    /// `host:port`.
    pub endpoint: String,
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The key exchange's group.
    pub group: &'static str,
    /// Whether that group resists quantum computers.
    pub post_quantum: bool,
    /// How many.
    pub count: u64,
}

/// What TLS agreed on with upstreams since the process began.
pub fn upstreams() -> Vec<UpstreamCount> {
    let all = haechi_upstream::agreed().into_iter();
    let all = all.map(|haechi_upstream::Agreed { endpoint, version, group, count }| UpstreamCount {
        endpoint,
        version,
        group,
        post_quantum: is_post_quantum(group),
        count,
    });
    all.collect()
}

// === impl Handshakes ===

impl Handshakes {
    pub(crate) fn done(&self, listener: &Arc<str>, facts: &TlsFacts) {
        let TlsFacts { version, cipher, group, signature, resumed, .. } = facts;
        let key = (listener.clone(), [*version, *cipher, *group, *signature], *resumed);
        *self.lock().done.entry(key).or_default() += 1;
    }

    pub(crate) fn failed(&self, listener: &Arc<str>, cause: &'static str) {
        *self.lock().failed.entry((listener.clone(), cause)).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> (Vec<HandshakeCount>, Vec<FailureCount>) {
        let counts = self.lock();
        let done =
            counts.done.iter().map(|((listener, [version, cipher, group, signature], resumed), count)| {
                HandshakeCount {
                    listener: listener.to_string(),
                    version,
                    cipher,
                    group,
                    post_quantum: is_post_quantum(group),
                    signature,
                    resumed: *resumed,
                    count: *count,
                }
            });
        let failed = counts.failed.iter().map(|((listener, cause), count)| FailureCount {
            listener: listener.to_string(),
            cause,
            count: *count,
        });
        (done.collect(), failed.collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        // A holder of the lock cannot panic; if it ever did, the counts are still whole.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a key exchange's group resists quantum computers: ML-KEM, alone or beside a classic group.
pub fn is_post_quantum(group: &str) -> bool {
    group.contains("MLKEM")
}
