//! Where calls go.

use std::time::Duration;

use crate::secret::SecretRef;
use crate::value::HttpUrl;

/// Where calls go.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// One or more.
    pub urls: Vec<WeightedUrl>,
    /// What is spoken.
    pub protocol: UpstreamProtocol,
    /// Until the head of the response.
    pub timeout: Duration,
    /// The same for one try.
    pub try_timeout: Option<Duration>,
    /// Longest silence inside a response's body.
    pub body_timeout: Duration,
    /// Setting up a connection.
    pub connect_timeout: Duration,
    /// Calls in flight to one address, for each worker.
    pub max_connections: usize,
    /// How often names are resolved again.
    pub refresh: Duration,
    /// When a call is sent once more.
    pub retries: UpstreamRetries,
    /// When an address is left out.
    pub ejection: UpstreamEjection,
    /// When nothing is sent.
    pub breaker: Option<UpstreamBreaker>,
    /// How addresses are asked whether they are well.
    pub health: Option<UpstreamHealth>,
    /// Who the other side must be.
    pub tls: UpstreamTls,
    /// What of the calls goes elsewhere.
    pub split: Option<UpstreamSplit>,
    /// Where calls go once more, for nobody's answer.
    pub mirror: Option<UpstreamMirror>,
}

/// What of the calls goes elsewhere than to the upstream's own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSplit {
    /// By what a caller stays where it is; each call is dealt by itself if not set.
    pub sticky: Option<Sticky>,
    /// One or more; what they leave is the upstream's own.
    pub parts: Vec<(String, UpstreamPart)>,
}

/// By what a caller is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// Whom the credential names.
    Principal,
    /// The credential.
    Credential,
    /// The network address.
    Address,
}

/// A part of the calls and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamPart {
    /// Of a thousand calls.
    pub share: u16,
    /// One or more.
    pub urls: Vec<WeightedUrl>,
}

/// Where calls go once more, for nobody's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamMirror {
    /// One or more.
    pub urls: Vec<WeightedUrl>,
    /// Of a thousand calls.
    pub share: u16,
    /// Of calls with these.
    pub methods: Vec<String>,
}

/// An address and its share of the calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedUrl {
    /// The address.
    pub url: HttpUrl,
    /// Its share against the others'.
    pub weight: u32,
}

/// What is spoken to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// When a call is sent once more.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamRetries {
    /// How often.
    pub max: u32,
    /// When the connection broke.
    pub reset: bool,
    /// When a try took too long.
    pub timeout: bool,
    /// When this was the answer.
    pub statuses: Vec<u16>,
    /// Share of all calls, 0 to 1.
    pub share: f64,
    /// Retries a second beside.
    pub floor: u32,
}

/// When an address is left out because calls to it fail.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamEjection {
    /// Failures in a row.
    pub failures: u32,
    /// For how long, the first time.
    pub time: Duration,
    /// For how long at most.
    pub longest: Duration,
    /// The share of addresses, 0 to 1.
    pub at_most: f64,
}

/// When nothing is sent for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamBreaker {
    /// The share of failed calls, 0 to 1.
    pub failures: f64,
    /// Calls without which nothing is said.
    pub least_calls: u32,
    /// The time over which calls are counted.
    pub window: Duration,
    /// How long nothing is sent.
    pub open: Duration,
    /// Calls that try.
    pub trials: u32,
}

/// How addresses are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamHealth {
    /// What is asked for.
    pub path: String,
    /// How often.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Good answers in a row.
    pub healthy: u32,
    /// Bad answers in a row.
    pub unhealthy: u32,
    /// Good statuses; any 2xx if empty.
    pub expect: Vec<u16>,
}

/// Who the other side must be, and who the gateway is to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Certificate authorities; the web's if not set.
    pub ca: Option<SecretRef>,
    /// The gateway's own certificate and key.
    pub identity: Option<(SecretRef, SecretRef)>,
    /// The name that the certificate must carry.
    pub name: Option<String>,
    /// SHA-256 of public keys.
    pub pins: Vec<[u8; 32]>,
}
