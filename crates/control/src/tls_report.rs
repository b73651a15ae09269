//! Who speaks which TLS: handshakes since the start, calls of a time, and what would break without TLS 1.2.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use haechi_edge::{is_post_quantum, upstreams};
use haechi_events::{Kind, Spool};
use serde::{Deserialize, Serialize};

use crate::api::ApiError;
use crate::lifecycle::Lifecycle;

/// Most rows of callers that are told apart; the calls of further ones are summed up under `-`.
const CALLERS: usize = 1000;
/// Longest name of a caller's program.
const PROGRAM: usize = 60;

/// Who speaks which TLS.
#[derive(Debug, Serialize, Deserialize)]
pub struct TlsReport {
    /// Handshakes are counted for so long, in seconds: since the process began.
    pub counted_seconds: u64,
    /// Handshakes by listener and by what was agreed on.
    pub handshakes: serde_json::Value,
    /// Handshakes that failed, by listener and cause.
    pub failed: serde_json::Value,
    /// Calls are those of so many last seconds.
    pub since_seconds: u64,
    /// Calls over TLS by listener, program, version and group, the most frequent first.
    pub calls: Vec<Calls>,
    /// What of these calls would fail if TLS 1.2 were switched off.
    pub without_tls12: Without,
    /// Certificates that are shown.
    pub certificates: serde_json::Value,
    /// Connections to upstreams by what was agreed on, since the process began.
    pub upstreams: serde_json::Value,
}

/// Calls that are alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calls {
    /// The listener.
    pub listener: String,
    /// The first word of `User-Agent`.
    pub program: String,
    /// `1.2` or `1.3`.
    pub version: String,
    /// The key exchange's group.
    pub group: String,
    /// Whether that group resists quantum computers.
    pub post_quantum: bool,
    /// How many.
    pub count: u64,
}

/// What would fail if TLS 1.2 were switched off.
#[derive(Debug, Serialize, Deserialize)]
pub struct Without {
    /// All calls over TLS.
    pub of: u64,
    /// Those over TLS 1.2.
    pub calls: u64,
    /// Programs that make them, the most frequent first.
    pub programs: Vec<String>,
    /// Upstreams that spoke TLS 1.2, whatever callers spoke.
    pub upstreams: Vec<String>,
}

impl Lifecycle {
    pub(crate) fn tls_report(&self, since: Duration) -> Result<TlsReport, ApiError> {
        let from = SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut rows: BTreeMap<[String; 4], u64> = BTreeMap::new();
        Spool::read(self.recorder.dir(), from, |event| {
            if event.kind != Kind::Request || event.tls_version.as_str().is_empty() {
                return;
            }
            let mut key = [
                event.listener.as_str().to_owned(),
                program(event.user_agent.as_str()),
                event.tls_version.as_str().to_owned(),
                event.tls_group.as_str().to_owned(),
            ];
            if rows.len() >= CALLERS && !rows.contains_key(&key) {
                key[1] = "-".to_owned();
            }
            *rows.entry(key).or_default() += event.weight;
        })
        .map_err(ApiError::internal)?;
        let mut calls: Vec<_> = rows
            .into_iter()
            .map(|([listener, program, version, group], count)| Calls {
                listener,
                program,
                version,
                post_quantum: is_post_quantum(&group),
                group,
                count,
            })
            .collect();
        calls.sort_by_key(|calls| std::cmp::Reverse(calls.count));
        let upstreams = upstreams();
        let (handshakes, failed) = self.gateway.handshakes();
        let value = |list: serde_json::Result<serde_json::Value>| list.unwrap_or_default();
        Ok(TlsReport {
            counted_seconds: self.started.elapsed().unwrap_or_default().as_secs(),
            handshakes: value(serde_json::to_value(handshakes)),
            failed: value(serde_json::to_value(failed)),
            since_seconds: since.as_secs(),
            without_tls12: Without::of(
                &calls,
                upstreams.iter().filter(|one| one.version == "1.2").map(|one| one.endpoint.clone()).collect(),
            ),
            calls,
            certificates: value(serde_json::to_value(self.gateway.certificates())),
            upstreams: value(serde_json::to_value(upstreams)),
        })
    }
}

// === impl Without ===

impl Without {
    fn of(calls: &[Calls], upstreams: Vec<String>) -> Self {
        let old = || calls.iter().filter(|calls| calls.version == "1.2");
        let mut programs: Vec<String> = Vec::new();
        for calls in old() {
            if !programs.contains(&calls.program) {
                programs.push(calls.program.clone());
            }
        }
        Self {
            of: calls.iter().map(|calls| calls.count).sum(),
            calls: old().map(|calls| calls.count).sum(),
            programs,
            upstreams,
        }
    }
}

/// What the caller calls itself: the first word.
fn program(user_agent: &str) -> String {
    let word = user_agent.split_whitespace().next().unwrap_or("-");
    word.chars().take(PROGRAM).collect()
}
