//! How the certificates are that are shown to callers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use haechi_acme::{Facts, Managed, schedule};

use crate::snapshot::Shown;
use crate::stage::Serving;

/// What `haechi status` tells of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CertificateStatus {
    /// The listener, by its address as configured.
    pub listener: String,
    /// The reference to its file, or the certificate authority's directory.
    pub source: String,
    /// The names it is for, or will be.
    pub names: Vec<String>,
    /// `valid`, `near-end`, `expired`, `not-yet-valid`; `missing` until there is one.
    pub state: &'static str,
    /// What its key is: `ECDSA`, `RSA`, `Ed25519`.
    pub key: &'static str,
    /// When it ends, in Unix time.
    pub not_after: Option<u64>,
    /// Whether the gateway gets it itself.
    pub managed: bool,
    /// Whether it is being ordered now.
    pub ordering: bool,
    /// When it is ordered next, in Unix time.
    pub next: Option<u64>,
    /// Why the last order failed, if it did.
    pub error: Option<String>,
}

/// What is to be got and renewed, for production and for a candidate.
pub(crate) fn managed(serving: &Serving) -> Vec<Managed> {
    let candidate = serving.candidate.as_ref().map(|candidate| &candidate.staging);
    let snapshots = std::iter::once(&serving.production).chain(candidate).map(|served| &served.snapshot);
    let mut managed: Vec<Managed> = Vec::new();
    for shown in
        snapshots.flat_map(|snapshot| snapshot.listeners.values()).flat_map(|listener| &listener.shown)
    {
        if let Shown::Managed(one) = shown
            && !managed.iter().any(|known| Arc::ptr_eq(&known.slot, &one.slot))
        {
            managed.push(one.clone());
        }
    }
    managed
}

/// All certificates that are shown, by listener.
pub(crate) fn status(serving: &Serving, now: SystemTime) -> Vec<CertificateStatus> {
    let candidate = serving.candidate.as_ref().map(|candidate| &candidate.staging);
    let mut listeners = BTreeMap::new();
    for served in std::iter::once(&serving.production).chain(candidate) {
        for name in served.snapshot.listeners.keys() {
            if let Some(listener) = serving.connection(name).snapshot.listeners.get(name) {
                listeners.insert((listener.order, name.clone()), listener);
            }
        }
    }
    let mut all = Vec::new();
    for ((_, name), listener) in &listeners {
        for shown in &listener.shown {
            all.push(match shown {
                Shown::Given(reference, certified) => one(name, reference, Some(&certified.facts), now),
                Shown::Managed(managed) => {
                    let certified = managed.slot.certified();
                    let facts = certified.as_ref().map(|certified| &certified.facts);
                    let progress = managed.slot.status();
                    CertificateStatus {
                        names: managed.domains().to_vec(),
                        managed: true,
                        ordering: progress.ordering,
                        next: progress.next.map(unix),
                        error: progress.error,
                        ..one(name, managed.directory(), facts, now)
                    }
                }
            });
        }
    }
    all
}

fn one(listener: &str, source: &str, facts: Option<&Facts>, now: SystemTime) -> CertificateStatus {
    let state = match facts {
        None => "missing",
        Some(facts) if now < facts.not_before => "not-yet-valid",
        Some(facts) if now >= facts.not_after => "expired",
        Some(facts) if schedule::is_near_end(facts, now) => "near-end",
        Some(_) => "valid",
    };
    CertificateStatus {
        listener: listener.to_owned(),
        source: source.to_owned(),
        names: facts.map(|facts| facts.names.clone()).unwrap_or_default(),
        state,
        key: facts.map_or("", |facts| facts.key),
        not_after: facts.map(|facts| unix(facts.not_after)),
        managed: false,
        ordering: false,
        next: None,
        error: None,
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
