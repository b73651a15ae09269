//! What guards look at.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use haechi_wire::{Authority, CanonicalPath, Headers, Query};
use http::{HeaderName, HeaderValue, Method};

use crate::{Principal, Verdict};

/// One call as guards see it: the canonical request, and what earlier guards found out.
///
/// What is judged here is what is sent: the upstream request is built from the same canonical parts.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Wall-clock time at which the head was complete.
    pub now: SystemTime,
    /// The caller's address: the peer, or what trusted proxies say of it.
    pub client: IpAddr,
    /// The host and port the caller asked for.
    pub authority: Option<&'a Authority>,
    /// The request's method.
    pub method: &'a Method,
    /// The one normalised path.
    pub path: &'a CanonicalPath,
    /// The one parse of the query.
    pub query: &'a Query,
    /// The headers as received, in order.
    pub headers: &'a Headers,
    /// How it arrived.
    pub arrival: Arrival<'a>,
    /// Its channel; empty if it has none, and until who is calling is known.
    pub channel: &'a str,
    /// The name of the API or service in `haechi.yaml`.
    pub api: &'a str,
    /// The operation's id in its contract; `-` for a service.
    pub operation: &'a str,
    /// Who is calling; set by the identity guard.
    pub principal: Option<Arc<Principal>>,
    /// Headers to add to whatever response the caller gets (`RateLimit`, …).
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
}

/// How a call arrived. What is not known is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival<'a> {
    /// The host asked for, without a port.
    pub host: &'a str,
    /// Whether the caller came over TLS, here or at a trusted proxy.
    pub secure: bool,
    /// `1.0`, `1.1` or `2`.
    pub protocol: &'a str,
    /// `1.3` or `1.2`, of TLS that ends here.
    pub tls_version: &'a str,
    /// Its cipher suite.
    pub tls_cipher: &'a str,
    /// The name the caller asked for in it.
    pub tls_name: &'a str,
    /// The country of the caller's address (ISO 3166-1, two letters).
    pub country: &'a str,
    /// The number of the autonomous system of the caller's address; 0 if it is not known.
    pub asn: u32,
}

/// A guard that judges the head of a request, before its body is read. One is compiled per operation.
pub trait Guard: Send + Sync {
    /// The guard's name in events, metrics and `modes:`.
    fn name(&self) -> &'static str;

    /// Judges. Must not block: state it shares is in memory and locked briefly.
    fn judge(&self, exchange: &mut Exchange<'_>) -> Verdict;
}

/// A guard that judges a request's whole, bounded body.
pub trait GuardBody: Send + Sync {
    /// The guard's name in events, metrics and `modes:`.
    fn name(&self) -> &'static str;

    /// Judges. `body` is complete and no longer than the operation's body limit.
    fn judge_body(&self, exchange: &mut Exchange<'_>, body: &[u8]) -> Verdict;
}
