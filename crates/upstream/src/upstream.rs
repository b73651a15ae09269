//! Where the calls of an operation go, and by which rules: immutable data of a snapshot.

use std::sync::Arc;
use std::time::Duration;

use crate::balance::is_well;
use crate::breaker::BreakerRule;
use crate::budget::Allowance;
use crate::clock::Millis;
use crate::health::Ejection;
use crate::registry::{Gate, Registry};
use crate::site::{Site, SiteSpec};
use crate::{ClientTls, Endpoint, Protocol, UpstreamError};

/// How often a name is resolved again where nothing else is said.
const REFRESH: Duration = Duration::from_secs(10);

/// An upstream as an operation sees it.
#[derive(Debug)]
pub struct Upstream {
    /// At least one.
    pub targets: Vec<Target>,
    /// From the first byte sent to the head of the response, over all tries.
    pub timeout: Duration,
    /// The same, for one try.
    pub try_timeout: Option<Duration>,
    /// TCP (and TLS) set-up of a new connection.
    pub connect_timeout: Duration,
    /// What is spoken.
    pub protocol: Protocol,
    /// Longest silence inside a response body.
    pub body_idle: Duration,
    /// Calls in flight per address and worker; a call beyond waits up to `connect_timeout` for a place.
    pub max_connections: usize,
    /// When a call is sent again.
    pub retries: Retries,
    /// When an address is left out.
    pub ejection: Ejection,
    /// When nothing is sent.
    pub breaker: Option<BreakerRule>,
    /// What all workers know of it.
    pub gate: Arc<Gate>,
}

/// One endpoint, its share of the calls, and what is known of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// How it is addressed.
    pub endpoint: Endpoint,
    /// Its share of the calls, against the others'.
    pub weight: u32,
    /// Its addresses and their health.
    pub site: Arc<Site>,
}

/// When a call that was sent is sent again. Only what is idempotent (RFC 9110, section 9.2.2) and whose body is held
/// is; what never left is not "again".
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// How often.
    pub max: u32,
    /// When the connection broke before any answer.
    pub reset: bool,
    /// When a try took too long.
    pub timeout: bool,
    /// When this was the answer.
    pub statuses: Vec<u16>,
    /// How many of all calls.
    pub budget: Allowance,
}

// === impl Upstream ===

impl Upstream {
    /// One endpoint with the gateway's own business: no retries, no breaker.
    pub fn plain(endpoint: Endpoint, tls: ClientTls, timeout: Duration) -> Self {
        let spec = SiteSpec::new(&endpoint, Protocol::Http1, tls, REFRESH);
        let registry = Registry::idle();
        let site = registry.site(spec, &endpoint);
        Self {
            targets: vec![Target { endpoint, weight: 1, site }],
            timeout,
            try_timeout: None,
            connect_timeout: timeout,
            protocol: Protocol::Http1,
            body_idle: timeout,
            max_connections: 1,
            retries: Retries::default(),
            ejection: Ejection::default(),
            breaker: None,
            gate: registry.gate("", &Retries::default().budget),
        }
    }

    /// Whether a call would find an address that is well, or may try one, as far as is known.
    pub fn is_well(&self) -> bool {
        is_well(self, Millis::now())
    }

    /// What a call is told that nothing moves any more of.
    pub fn stalled(&self) -> UpstreamError {
        let endpoint =
            self.targets.first().map_or_else(|| Arc::from(""), |target| target.endpoint.name().clone());
        UpstreamError::Timeout { endpoint }
    }
}

// === impl Retries ===

impl Default for Retries {
    fn default() -> Self {
        let budget = Allowance { share: 0.2, floor: 10 };
        Self { max: 2, reset: true, timeout: true, statuses: Vec::new(), budget }
    }
}

// === impl Ejection ===

impl Default for Ejection {
    fn default() -> Self {
        let (time, longest) = (Duration::from_secs(5), Duration::from_secs(300));
        Self { failures: 5, time, longest, at_most: 0.5 }
    }
}
