//! The configuration as typed values. Nothing here is a text that has to be looked at again.

mod fixed;
mod lists;
mod rewrite;
mod upstream;
mod waf;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use haechi_guard::Mode;
use ipnet::IpNet;

use crate::secret::SecretRef;
use crate::value::{HttpUrl, Rate};

pub use fixed::{Content, Destination, Origin, Place, Redirect, Respond, Target};
pub use lists::{CallerList, Callers, Geo, ListEntry};
pub use rewrite::{Fact, Group, HeaderChanges, HostRewrite, PathRewrite, Pattern, Rewrite};
pub use upstream::{
    Sticky, Upstream, UpstreamBreaker, UpstreamEjection, UpstreamHealth, UpstreamMirror, UpstreamPart,
    UpstreamProtocol, UpstreamRetries, UpstreamSplit, UpstreamTls, WeightedUrl,
};
pub use waf::{AtLimit, Waf, WafExclusion, WafSource};

/// The whole of `haechi.yaml`. Paths are absolute, or relative to the working directory.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that serve; as many as there are processors if not set.
    pub workers: Option<usize>,
    /// Where callers connect; at least one.
    pub listen: Vec<Listen>,
    /// Directory of mutable state.
    pub data: PathBuf,
    /// How the gateway itself is controlled.
    pub control: Control,
    /// Directory of `secret:NAME`.
    pub secrets_dir: Option<PathBuf>,
    /// What callers may make the gateway hold.
    pub limits: Limits,
    /// Ways to prove who is calling, by name.
    pub identity: BTreeMap<String, Identity>,
    /// How much a caller may do, by name.
    pub plans: BTreeMap<String, Plan>,
    /// How callers arrive, in the order of the file: the first that fits is the call's channel.
    pub channels: Vec<(String, Channel)>,
    /// The APIs, in the order of the file.
    pub apis: Vec<(String, Api)>,
    /// What is served without a contract, in the order of the file.
    pub services: Vec<(String, Service)>,
    /// Callers by where they come from, by name.
    pub lists: BTreeMap<String, CallerList>,
    /// What tells countries and operators.
    pub geo: Geo,
    /// Who may call, by where the call comes from.
    pub callers: Callers,
    /// Calls that are refused.
    pub rules: Vec<Rule>,
    /// Rules that look for attacks.
    pub waf: Waf,
    /// Where events are kept.
    pub events: Events,
    /// How changes are activated, and taken back.
    pub activation: Activation,
    /// Where traces are sent.
    pub otlp: Option<Otlp>,
    /// How far guards may go unless said otherwise.
    pub modes: Modes,
}

/// A listener.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address and port.
    pub address: SocketAddr,
    /// Certificates; plaintext without.
    pub tls: Option<Tls>,
    /// Proxies whose word about the caller counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether every connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// Whether it takes staging's traffic.
    pub staging: bool,
    /// Whether HTTP/1 is spoken.
    pub http1: bool,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
}

/// A listener's TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificate and key, as references; at least one pair, unless there is `acme`.
    pub certificates: Vec<(SecretRef, SecretRef)>,
    /// A certificate that the gateway gets itself.
    pub acme: Option<Acme>,
    /// Whether TLS 1.2 is spoken beside 1.3.
    pub tls12: bool,
}

/// A certificate that the gateway gets itself. The terms of service are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The authority's directory.
    pub directory: HttpUrl,
    /// Host names, lower case; at least one.
    pub domains: Vec<String>,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// How the names are shown to be ours.
    pub challenge: Challenge,
    /// Authorities of the directory's own certificate; the web's if not set.
    pub ca: Option<SecretRef>,
}

/// How names are shown to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// In a TLS handshake (RFC 8737).
    TlsAlpn,
    /// Over plaintext HTTP (RFC 8555, section 8.3).
    Http,
}

/// How the gateway itself is controlled.
#[derive(Clone, Debug)]
pub struct Control {
    /// Unix socket.
    pub socket: PathBuf,
    /// Loopback address of `/metrics`.
    pub metrics: Option<SocketAddr>,
}

/// What callers may make the gateway hold, and how long they may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a head.
    pub head: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a target.
    pub target: usize,
    /// Bytes of a body.
    pub body: u64,
    /// Bytes of all bodies under judgement.
    pub body_memory: usize,
    /// Bytes of one body under judgement that are held in memory.
    pub body_in_memory: usize,
    /// Bytes of all bodies that wait on disk.
    pub body_disk: usize,
    /// Where they wait.
    pub body_dir: PathBuf,
    /// Bytes of a body that passes unread by choice.
    pub stream_body: u64,
    /// Bytes a second that such a body must bring.
    pub stream_rate: u64,
    /// Bytes of a WebSocket message.
    pub websocket_message: u64,
    /// Concurrent HTTP/2 streams of a connection.
    pub streams: u32,
    /// Open connections.
    pub connections: usize,
    /// Open connections of one address.
    pub connections_per_address: u32,
    /// How long callers may take.
    pub timeouts: Timeouts,
}

/// How long callers may take; see the settings of the same names.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// The PROXY header.
    pub proxy_header: Duration,
    /// The TLS handshake.
    pub tls_handshake: Duration,
    /// Until the first byte.
    pub first_byte: Duration,
    /// A head.
    pub head: Duration,
    /// A body.
    pub body: Duration,
    /// Between requests.
    pub idle: Duration,
    /// Without a byte in a stream.
    pub stream: Duration,
    /// A WebSocket connection.
    pub websocket: Duration,
    /// Without reading the response.
    pub write: Duration,
    /// When the gateway stops.
    pub drain: Duration,
}

/// One way to prove who is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Signed tokens.
    Jwt(Jwt),
    /// API keys.
    ApiKey(ApiKey),
}

/// Signed tokens of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must hold one of.
    pub audience: Vec<String>,
    /// Where the keys are.
    pub jwks: JwksSource,
    /// JOSE names of the accepted algorithms.
    pub algorithms: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// Which tokens need a proof of possession.
    pub dpop: Dpop,
    /// Whether a proof holds a nonce of the gateway's.
    pub dpop_nonce: bool,
}

/// Which tokens need a proof of possession (RFC 9449). The later, the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dpop {
    /// None.
    Off,
    /// Those that are bound to a key.
    Allowed,
    /// All; those that are not bound are refused.
    Required,
}

/// Where a provider's public keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwksSource {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(HttpUrl),
    /// Where the issuer's metadata says.
    Discover(HttpUrl),
}

/// API keys of one collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The header, in lower case.
    pub header: String,
    /// The collection.
    pub collection: String,
}

/// How much a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Calls in a time.
    pub rate: Rate,
    /// Calls at once after a pause.
    pub burst: u64,
    /// Whose calls are counted together.
    pub per: Per,
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// All of one subject.
    Principal,
    /// All of one key or token.
    Credential,
    /// All of one address.
    Address,
}

/// One API.
#[derive(Clone, Debug)]
pub struct Api {
    /// The contract.
    pub openapi: PathBuf,
    /// Host name, `*.domain`, or any.
    pub host: Option<String>,
    /// Path the contract's paths are below; its first server's if not set.
    pub base_path: Option<String>,
    /// The scheme it is served under, or any.
    pub scheme: Option<Scheme>,
    /// Where calls go.
    pub upstream: Upstream,
    /// Who may call.
    pub auth: Auth,
    /// How much they may do.
    pub plan: PlanChoice,
    /// What is checked.
    pub validate: Validate,
    /// How far guards may go.
    pub modes: Modes,
    /// Which responses are compressed.
    pub compress: Option<Compress>,
    /// Who may call, by where the call comes from.
    pub callers: Callers,
    /// Calls that are refused.
    pub rules: Vec<Rule>,
    /// Rules that look for attacks.
    pub waf: Waf,
    /// What is changed of its calls after they were judged.
    pub rewrite: Rewrite,
    /// What is different for single operations.
    pub operations: BTreeMap<String, Operation>,
}

/// When a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What events call it.
    pub name: String,
    /// A CEL expression that tells whether it refuses.
    pub when: String,
    /// The status of the refusal: 400 to 499.
    pub status: u16,
    /// What the caller is told.
    pub detail: Option<String>,
}

/// One way callers arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// A CEL expression that tells whether a call came this way.
    pub when: String,
    /// Largest body of a call that did.
    pub max_body: Option<u64>,
}

/// What is served without a contract: pages, what is old.
#[derive(Clone, Debug)]
pub struct Service {
    /// Host name, `*.domain`, or any.
    pub host: Option<String>,
    /// Path its paths are below: `/`, or segments without a slash at the end.
    pub prefix: String,
    /// Whether `prefix` is its one path.
    pub exact: bool,
    /// The scheme it is served under, or any.
    pub scheme: Option<Scheme>,
    /// What becomes of calls.
    pub target: Target,
    /// Who may call.
    pub auth: Auth,
    /// How much they may do.
    pub plan: PlanChoice,
    /// How far guards may go.
    pub modes: Modes,
    /// Who may call, by where the call comes from.
    pub callers: Callers,
    /// Calls that are refused.
    pub rules: Vec<Rule>,
    /// Rules that look for attacks.
    pub waf: Waf,
    /// Methods that are let through.
    pub methods: Vec<String>,
    /// Largest body.
    pub body: Option<BodyLimit>,
    /// Which responses are compressed.
    pub compress: Option<Compress>,
    /// Whether a call may become a WebSocket connection, and from which web sites (any if empty).
    pub websocket: Option<Vec<String>>,
    /// What is changed of its calls after they were judged.
    pub rewrite: Rewrite,
}

/// The scheme of a call, as its caller wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Everybody.
    None,
    /// Who proves to be one of these identities.
    Any(Vec<String>),
}

/// Which plan applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanChoice {
    /// For identities that are not named, and for callers without one.
    pub default: Option<String>,
    /// By identity.
    pub by_identity: BTreeMap<String, String>,
}

/// What is checked against the contract; `None` where it is said elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validate {
    /// Parameters and body.
    pub request: Option<Mode>,
    /// The response.
    pub response: Option<Mode>,
    /// Calls the contract does not name.
    pub unknown_paths: Option<Mode>,
    /// Query parameters the contract does not name.
    pub unknown_parameters: Option<Mode>,
}

/// How far guards may go; `None` where it is said elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// Who is calling.
    pub identity: Option<Mode>,
    /// How much.
    pub limits: Option<Mode>,
    /// Where calls come from.
    pub lists: Option<Mode>,
    /// Rules.
    pub access: Option<Mode>,
    /// Attacks.
    pub waf: Option<Mode>,
}

/// What is different for one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Who may call.
    pub auth: Option<Auth>,
    /// How much they may do.
    pub plan: Option<PlanChoice>,
    /// The upstream's timeout.
    pub timeout: Option<Duration>,
    /// Largest body.
    pub body: Option<BodyLimit>,
    /// Which responses are compressed.
    pub compress: Option<Compress>,
    /// Whether a call may become a WebSocket connection, and from which web sites (any if empty).
    pub websocket: Option<Vec<String>>,
    /// Whether it can be called.
    pub expose: Option<bool>,
    /// What is checked.
    pub validate: Validate,
    /// How far guards may go.
    pub modes: Modes,
    /// Who may call, by where the call comes from.
    pub callers: Callers,
    /// Calls that are refused.
    pub rules: Vec<Rule>,
    /// What is changed of its calls, instead of what its API says of the same.
    pub rewrite: Rewrite,
    /// Rules that look for attacks.
    pub waf: Waf,
}

/// Which responses are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compress {
    /// None.
    Off,
    /// Those whose length tells nothing: to callers without credentials, and without any in them.
    #[default]
    Public,
    /// All.
    All,
}

/// How large a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// So many bytes.
    Bytes(u64),
    /// It passes unread, within the limits for such bodies.
    Stream,
}

/// Where events are kept.
#[derive(Clone, Debug)]
pub struct Events {
    /// Directory.
    pub dir: PathBuf,
    /// Bytes of all events.
    pub max_size: u64,
    /// How long.
    pub max_age: Duration,
    /// Requests that are kept for replays, if any are.
    pub requests: Option<KeptRequests>,
}

/// Requests that are kept for replays.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptRequests {
    /// Share of requests, 0 to 1.
    pub sample: f64,
    /// Bytes of the longest body that is kept.
    pub max_body: u64,
    /// Bytes of all of them.
    pub max_size: u64,
    /// How long.
    pub max_age: Duration,
}

/// How changes are activated, and taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Activation {
    /// What becomes of a file that has changed.
    pub on_change: OnChange,
    /// How a canary's requests are chosen.
    pub deal: Deal,
    /// When a change is taken back.
    pub guard: ActivationGuard,
}

/// What becomes of a file that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// It is served.
    Production,
    /// It is staged.
    Staging,
    /// Nothing, until somebody activates it.
    Nothing,
}

/// How a canary's requests are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deal {
    /// One by one.
    Request,
    /// All of one address alike.
    Address,
}

/// When a change is taken back. Shares are 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationGuard {
    /// Whether it is taken back, or this is only told.
    pub mode: Mode,
    /// The time over which it is compared.
    pub window: Duration,
    /// How long a new production is compared with what was before.
    pub watch: Duration,
    /// Requests without which nothing is said.
    pub least_requests: u64,
    /// How much greater the share of failed calls may be.
    pub server_errors: f64,
    /// How much greater the share of refused calls may be.
    pub refusals: f64,
    /// How much longer the slowest hundredth may take.
    pub slower: f64,
}

/// Where traces are sent.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Base URL of the collector.
    pub endpoint: HttpUrl,
    /// Share of traces, 0 to 1.
    pub sample: f64,
}

// === impl Scheme ===

impl Scheme {
    /// Whether a call that came over TLS, or did not, has this scheme.
    pub fn is(self, secure: bool) -> bool {
        secure == (self == Self::Https)
    }

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}
