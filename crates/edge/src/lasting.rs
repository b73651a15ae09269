//! What outlives snapshots: activating a configuration forgets no counter, no key and no session.

use std::path::Path;
use std::sync::Arc;

use haechi_acme::Acme;
use haechi_events::Metrics;
use haechi_guard::Country;
use haechi_identity::{KeyRing, Pepper, Proofs};
use haechi_limits::Counters;
use haechi_upstream::Registry;

use crate::gateway::GatewayError;
use crate::handshakes::Handshakes;
use crate::jwks::Jwks;
use crate::mirror::Courier;
use crate::snapshot::ReadPlaces;
use crate::tls::{self, Tickets};
use crate::wafs::Wafs;

/// What outlives snapshots.
pub struct Lasting {
    /// API keys; a revocation holds from the next request on, whatever the snapshot.
    pub keys: Arc<KeyRing>,
    /// How much of its rate each caller has used.
    pub counters: Arc<Counters>,
    /// The process's metrics.
    pub metrics: Arc<Metrics>,
    /// Health, breakers and budgets of upstreams.
    pub upstreams: Arc<Registry>,
    /// The proofs of possession that were used.
    pub(crate) proofs: Arc<Proofs>,
    pub(crate) mirrors: Courier,
    pub(crate) jwks: Arc<Jwks>,
    pub(crate) acme: Arc<Acme>,
    pub(crate) handshakes: Handshakes,
    pub(crate) tickets: Tickets,
    /// What the MaxMind files of snapshots tell.
    pub(crate) countries: ReadPlaces<Country>,
    pub(crate) operators: ReadPlaces<u32>,
    pub(crate) wafs: Wafs,
}

// === impl Lasting ===

impl Lasting {
    /// For a gateway that runs; `data` is its directory of state.
    ///
    /// # Errors
    /// When the system gives no thread or no random bytes.
    pub fn new(keys: Arc<KeyRing>, metrics: Arc<Metrics>, data: &Path) -> Result<Arc<Self>, GatewayError> {
        let jwks = Jwks::start()
            .map_err(|source| GatewayError::new("cannot start the thread that fetches keys", source))?;
        let acme = Acme::start(data, tls::provider())
            .map_err(|source| GatewayError::new("cannot start the thread that gets certificates", source))?;
        let upstreams = Registry::start().map_err(|source| {
            GatewayError::new("cannot start the thread that attends to upstreams", source)
        })?;
        let mirrors = Courier::start(metrics.clone())
            .map_err(|source| GatewayError::new("cannot start the thread that mirrors calls", source))?;
        Self::with(keys, metrics, jwks, acme, upstreams, mirrors)
    }

    /// For checking a configuration: nothing is fetched, nothing is known.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn for_check() -> Result<Arc<Self>, GatewayError> {
        Self::with(
            Arc::new(KeyRing::new(Pepper::new([0; 32]))),
            Arc::default(),
            Jwks::idle(),
            Acme::idle(tls::provider()),
            Registry::idle(),
            Courier::idle(),
        )
    }

    fn with(
        keys: Arc<KeyRing>,
        metrics: Arc<Metrics>,
        jwks: Arc<Jwks>,
        acme: Arc<Acme>,
        upstreams: Arc<Registry>,
        mirrors: Courier,
    ) -> Result<Arc<Self>, GatewayError> {
        let tickets = tls::tickets().map_err(|error| {
            GatewayError::new("cannot make keys for session tickets", std::io::Error::other(error))
        })?;
        let mut nonce_key = [0; 32];
        aws_lc_rs::rand::fill(&mut nonce_key).map_err(|error| {
            GatewayError::new("cannot make a key for nonces", std::io::Error::other(error))
        })?;
        let proofs = Arc::new(Proofs::new(nonce_key));
        Ok(Arc::new(Self {
            keys,
            counters: Arc::default(),
            metrics,
            proofs,
            upstreams,
            mirrors,
            jwks,
            acme,
            handshakes: Handshakes::default(),
            tickets,
            countries: ReadPlaces::default(),
            operators: ReadPlaces::default(),
            wafs: Wafs::default(),
        }))
    }
}
