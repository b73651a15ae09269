//! Counters and histograms, in OpenMetrics text. Labels come from the configuration or from lists of words of the program, so
//! that no caller can make their number grow; where there is nothing to name, a label is `-`.

mod histogram;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use self::histogram::Histogram;
use crate::event::Outcome;
use crate::text::Text;

/// The type of what [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Kinds of denials that are told apart for one operation. Guards have some dozens of words; should one ever have more, they are
/// counted as `-`.
const DENIALS: usize = 128;

/// What a label says that has nothing to name.
const NONE: &str = "-";

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    in_flight: Gauge,
    upstream_errors: Family<CodeLabels, Counter>,
    upstream_retries: Counter,
    upstream_state: Family<EndpointLabels, Gauge>,
    upstream_load: Family<EndpointLabels, Gauge>,
    upstream_breaker: Family<BreakerLabels, Gauge>,
    split_sent: Family<PartLabels, Counter>,
    split_left: Family<PartLabels, Counter>,
    mirrored: Family<MirrorLabels, Counter>,
    tls: Family<TlsLabels, Counter>,
    tls_failures: Family<CauseLabels, Counter>,
    connections_refused: Counter,
    proxy_headers: Family<ResultLabels, Counter>,
    accept_errors: Counter,
    certificate_orders: Family<OutcomeLabels, Counter>,
    certificate_end: Family<CertificateLabels, Gauge>,
    geo_built: Family<FileLabels, Gauge>,
    connections: Gauge,
    events_written: Counter,
    events_left_out: Counter,
    events_rolled_up: Counter,
    events_lost: Counter,
    requests_kept: Counter,
    requests_left_out: Counter,
    events_torn: Counter,
    spool_errors: Counter,
    snapshot: Family<SnapshotLabels, Gauge>,
    activated: Gauge,
    activations: Family<OutcomeLabels, Counter>,
    key_changes: Family<ActionLabels, Counter>,
    staged: Family<StageLabels, Counter>,
    rollbacks: Family<ReasonLabels, Counter>,
    rule_matches: Family<RuleLabels, Counter>,
    unrouted: OnceLock<Arc<OperationMetrics>>,
    operations: Mutex<HashMap<(Text, Text), Arc<OperationMetrics>>>,
}

/// The metrics of one operation, looked up once for each snapshot. Counting a request is some atomic additions.
///
/// A series appears with the first thing it counts: of thousands of operations most are never called, and most combinations
/// of status and outcome never occur.
#[derive(Debug)]
pub struct OperationMetrics {
    families: Arc<Families>,
    api: Text,
    operation: Text,
    /// By class of status (0: none was sent) and outcome.
    requests: [[OnceLock<Counter>; 4]; 6],
    duration: OnceLock<Histogram>,
    upstream: OnceLock<Histogram>,
    denials: RwLock<Vec<Denials>>,
}

/// How many requests came one way. Made once for each snapshot.
#[derive(Debug)]
pub struct ChannelMetrics {
    families: Arc<Families>,
    channel: Text,
    /// By traffic (none, api, page) and outcome.
    requests: [[OnceLock<Counter>; 4]; 3],
}

/// A request that is being served, for as long as this lives.
#[derive(Debug)]
pub struct InFlight(Gauge);

/// What operations count into.
#[derive(Debug)]
struct Families {
    requests: Family<RequestLabels, Counter>,
    channels: Family<ChannelLabels, Counter>,
    duration: Family<OperationLabels, Histogram>,
    upstream: Family<OperationLabels, Histogram>,
    overhead: Histogram,
    denials: Family<DenialLabels, Counter>,
}

/// How often one guard was against requests for one reason.
#[derive(Debug)]
struct Denials {
    guard: Box<str>,
    mode: Box<str>,
    code: Box<str>,
    counter: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    api: Text,
    operation: Text,
    status: Text,
    outcome: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabels {
    channel: Text,
    traffic: Text,
    outcome: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    api: Text,
    operation: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DenialLabels {
    api: Text,
    operation: Text,
    guard: Text,
    code: Text,
    mode: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    upstream: Text,
    endpoint: Text,
    address: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    upstream: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartLabels {
    upstream: Text,
    part: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MirrorLabels {
    upstream: Text,
    outcome: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TlsLabels {
    listener: Text,
    version: Text,
    group: Text,
    kind: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    listener: Text,
    cause: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: Text,
    status: Text,
    outcome: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    rule: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    listener: Text,
    name: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FileLabels {
    file: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SnapshotLabels {
    digest: Text,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("haechi");
        let list = &mut registry;
        list.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let families = Families {
            channels: add(list, "channel_requests", "Requests by channel, traffic and outcome"),
            requests: add(list, "requests", "Requests by operation, class of status and outcome"),
            duration: add_seconds(
                list,
                "request_duration",
                "From the complete head to the end of the response",
            ),
            upstream: add_seconds(
                list,
                "upstream_duration",
                "From sending the request to the head of the response",
            ),
            overhead: add_seconds(
                list,
                "overhead",
                "What the gateway itself took before the request was sent on",
            ),
            denials: add(list, "denials", "What guards were against, also where they only observe"),
        };
        Self {
            families: Arc::new(families),
            in_flight: add(list, "requests_in_flight", "Requests that are being served"),
            upstream_errors: add(list, "upstream_errors", "Calls an upstream did not answer"),
            upstream_retries: add(list, "upstream_retries", "Calls that were sent once more"),
            upstream_state: add(list, "upstream_healthy", "Whether calls go to this address: 1 or 0"),
            upstream_load: add(list, "upstream_in_flight", "Calls in flight to this address"),
            upstream_breaker: add(
                list,
                "upstream_breaker_closed",
                "Whether the upstream's breaker is closed",
            ),
            split_sent: add(list, "split_requests", "Calls by the part of their upstream they were sent to"),
            split_left: add(
                list,
                "split_fallbacks",
                "Calls of a part that went to main, for the part could not have them",
            ),
            mirrored: add(
                list,
                "mirror_requests",
                "Copies of calls: sent, failed (no answer, or 5xx), and dropped for want of room",
            ),
            tls: add(list, "tls_handshakes", "TLS handshakes by what was agreed on"),
            tls_failures: add(list, "tls_handshakes_failed", "TLS handshakes that failed, by cause"),
            connections: add(list, "connections", "Open connections of callers"),
            connections_refused: add(list, "connections_refused", "Connections beyond the limits"),
            proxy_headers: add(
                list,
                "proxy_headers",
                "PROXY headers by what they said, and connections refused for want of one",
            ),
            certificate_orders: add(
                list,
                "certificate_orders",
                "Certificates issued by ACME, and orders that failed",
            ),
            certificate_end: add_seconds(
                list,
                "certificate_end_timestamp",
                "When a certificate ends, in Unix time",
            ),
            geo_built: add_seconds(
                list,
                "geo_built_timestamp",
                "When the MaxMind file that is served was made, in Unix time",
            ),
            accept_errors: add(list, "accept_errors", "Connections the system could not give"),
            events_written: add(list, "events_written", "Events written to the spool, each a line"),
            events_left_out: add(list, "events_left_out", "Plain events a full queue did not take"),
            events_rolled_up: add(
                list,
                "events_rolled_up",
                "Refusals summed up in the line of another that is the same",
            ),
            requests_kept: add(list, "requests_kept", "Requests kept for replays"),
            requests_left_out: add(
                list,
                "requests_left_out",
                "Requests of the sample that are not kept: a full queue or disk, or too large a head",
            ),
            events_lost: add(list, "events_lost", "Events the disk did not take in time"),
            events_torn: add(list, "events_torn", "Lines that a crash has cut off, found at the start"),
            spool_errors: add(list, "spool_errors", "Writes the disk refused"),
            snapshot: add(list, "snapshot_active", "The snapshot that is served"),
            activated: add_seconds(
                list,
                "snapshot_activation_timestamp",
                "Since when it is served, in Unix time",
            ),
            activations: add(list, "activations", "Snapshots activated and refused"),
            key_changes: add(list, "key_changes", "API keys created, rotated and revoked"),
            staged: add(list, "stage_requests", "Requests that canaries and staging served"),
            rollbacks: add(list, "rollbacks", "Changes taken back, by what was worse, or by hand"),
            rule_matches: add(list, "waf_matches", "Requests that rules of `waf` matched, by rule"),
            unrouted: OnceLock::new(),
            operations: Mutex::default(),
            registry,
        }
    }
}

impl Metrics {
    /// The metrics of an operation. Asked for when a snapshot is made, not for each request.
    pub fn operation(&self, api: &str, operation: &str) -> Arc<OperationMetrics> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let (api, operation) = (Text::from(Arc::from(api)), Text::from(Arc::from(operation)));
        let key = (api.clone(), operation.clone());
        let new = || Arc::new(OperationMetrics::new(self.families.clone(), api, operation));
        operations.entry(key).or_insert_with(new).clone()
    }

    /// The metrics of a channel; of calls that have none without a name.
    pub fn channel(&self, name: Option<&str>) -> Arc<ChannelMetrics> {
        Arc::new(ChannelMetrics {
            families: self.families.clone(),
            channel: owned(name.unwrap_or("none")),
            requests: Default::default(),
        })
    }

    /// The metrics of requests that belong to no operation: what is no request, or asks for what is not there.
    pub fn unrouted(&self) -> &Arc<OperationMetrics> {
        self.unrouted.get_or_init(|| self.operation(NONE, NONE))
    }

    /// A request is being served, until what is returned is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A guard was against a request. The words are the program's, never a caller's.
    pub fn denied(&self, operation: &OperationMetrics, guard: &str, mode: &str, code: &str) {
        operation.denied(guard, mode, code);
    }

    /// A rule that looks for attacks matched a request. Ids are those of loaded rules.
    pub fn rule_matched(&self, rule: u64) {
        self.rule_matches.get_or_create(&RuleLabels { rule }).inc();
    }

    /// An upstream did not answer.
    pub fn upstream_failed(&self, code: &str) {
        self.upstream_errors.get_or_create(&CodeLabels { code: owned(code) }).inc();
    }

    /// A call was sent to an upstream so often again.
    pub fn upstream_retried(&self, retries: u32) {
        self.upstream_retries.inc_by(u64::from(retries));
    }

    /// A call was sent to a part of its upstream.
    pub fn split_sent(&self, upstream: &Arc<str>, part: Text) {
        self.split_sent.get_or_create(&PartLabels { upstream: upstream.into(), part }).inc();
    }

    /// A call of a part went to main instead.
    pub fn split_left(&self, upstream: &Arc<str>, part: Text) {
        self.split_left.get_or_create(&PartLabels { upstream: upstream.into(), part }).inc();
    }

    /// A call was copied: `sent`, `failed` or `dropped`.
    pub fn mirrored(&self, upstream: &Arc<str>, outcome: &'static str) {
        let labels = MirrorLabels { upstream: upstream.into(), outcome: outcome.into() };
        self.mirrored.get_or_create(&labels).inc();
    }

    /// Upstreams are looked at anew: those that are gone are told no more.
    pub fn clear_upstreams(&self) {
        self.upstream_state.clear();
        self.upstream_load.clear();
        self.upstream_breaker.clear();
    }

    /// How an upstream's breaker is.
    pub fn set_breaker(&self, upstream: &str, closed: bool) {
        let labels = BreakerLabels { upstream: owned(upstream) };
        self.upstream_breaker.get_or_create(&labels).set(i64::from(closed));
    }

    /// How an upstream's address is.
    pub fn set_endpoint(&self, upstream: &str, endpoint: &str, address: &str, healthy: bool, in_flight: u32) {
        let labels = || EndpointLabels {
            upstream: owned(upstream),
            endpoint: owned(endpoint),
            address: owned(address),
        };
        self.upstream_state.get_or_create(&labels()).set(i64::from(healthy));
        self.upstream_load.get_or_create(&labels()).set(i64::from(in_flight));
    }

    /// A TLS handshake succeeded: its version, its key exchange's group, whether a session was resumed.
    pub fn tls_done(&self, listener: &str, version: &str, group: &str, resumed: bool) {
        let kind = if resumed { "resumed" } else { "full" };
        let [listener, version, group, kind] = [listener, version, group, kind].map(owned);
        self.tls.get_or_create(&TlsLabels { listener, version, group, kind }).inc();
    }

    /// A TLS handshake failed. The causes are words of the program.
    pub fn tls_failed(&self, listener: &str, cause: &str) {
        let (listener, cause) = (owned(listener), owned(cause));
        self.tls_failures.get_or_create(&CauseLabels { listener, cause }).inc();
    }

    /// A connection was beyond the limits.
    pub fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// A connection of a listener that requires a PROXY header: what the header said, or why it was refused.
    pub fn proxy_header(&self, result: &str) {
        self.proxy_headers.get_or_create(&ResultLabels { result: owned(result) }).inc();
    }

    /// A certificate was ordered: `issued` or `failed`.
    pub fn certificate_order(&self, outcome: &str) {
        self.certificate_orders.get_or_create(&OutcomeLabels { outcome: owned(outcome) }).inc();
    }

    /// When the certificates end that are shown now: listener, first name, Unix time.
    pub fn set_certificates<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str, u64)>) {
        self.certificate_end.clear();
        for (listener, name, end) in all {
            let labels = CertificateLabels { listener: owned(listener), name: owned(name) };
            self.certificate_end.get_or_create(&labels).set(i64::try_from(end).unwrap_or(i64::MAX));
        }
    }

    /// When the MaxMind files were made that are served now: `country` or `asn`, Unix time.
    pub fn set_geo(&self, all: impl Iterator<Item = (&'static str, u64)>) {
        self.geo_built.clear();
        for (file, built) in all {
            let labels = FileLabels { file: file.into() };
            self.geo_built.get_or_create(&labels).set(i64::try_from(built).unwrap_or(i64::MAX));
        }
    }

    /// The system could not give a connection.
    pub fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// How many connections are open now.
    pub fn set_connections(&self, count: usize) {
        self.connections.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A snapshot was activated or refused.
    pub fn activation(&self, outcome: &str) {
        self.activations.get_or_create(&OutcomeLabels { outcome: owned(outcome) }).inc();
    }

    /// From `since` on, the snapshot with this digest is served, and no other.
    pub fn set_snapshot(&self, digest: &str, since: SystemTime) {
        self.snapshot.clear();
        self.snapshot.get_or_create(&SnapshotLabels { digest: owned(digest) }).set(1);
        let seconds = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.activated.set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// A candidate served a request.
    pub fn staged(&self, stage: &'static str, status: u16, outcome: Outcome) {
        let labels = StageLabels {
            stage: stage.into(),
            status: class(usize::from(status / 100)),
            outcome: outcome.as_str().into(),
        };
        self.staged.get_or_create(&labels).inc();
    }

    /// A change was taken back: by `hand`, or because of `server-errors`, `latency` or `refusals`.
    pub fn rolled_back(&self, reason: &str) {
        self.rollbacks.get_or_create(&ReasonLabels { reason: owned(reason) }).inc();
    }

    /// An API key was changed: `created`, `rotated`, `revoked`.
    pub fn key_changed(&self, action: &str) {
        self.key_changes.get_or_create(&ActionLabels { action: owned(action) }).inc();
    }

    pub(crate) fn event_left_out(&self, count: u64) {
        self.events_left_out.inc_by(count);
    }

    pub(crate) fn request_kept(&self) {
        self.requests_kept.inc();
    }

    pub(crate) fn request_left_out(&self) {
        self.requests_left_out.inc();
    }

    pub(crate) fn events_rolled_up(&self, count: u64) {
        self.events_rolled_up.inc_by(count);
    }

    pub(crate) fn event_torn(&self) {
        self.events_torn.inc();
    }

    pub(crate) fn events_written(&self, count: u64) {
        self.events_written.inc_by(count);
    }

    pub(crate) fn events_lost(&self, count: u64) {
        self.events_lost.inc_by(count);
    }

    pub(crate) fn spool_failed(&self) {
        self.spool_errors.inc();
    }

    /// All of them as OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        let mut out = String::new();
        if prometheus_client::encoding::text::encode(&mut out, &self.registry).is_err() {
            out.clear();
            let _ = out.write_str("# EOF\n");
        }
        out
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

// === impl ChannelMetrics ===

impl ChannelMetrics {
    /// Counts a request; `traffic` is `api`, `page` or empty.
    pub fn record(&self, traffic: &str, outcome: Outcome) {
        let (row, traffic) = match traffic {
            "api" => (1, "api"),
            "page" => (2, "page"),
            _ => (0, NONE),
        };
        let counter = self.requests.get(row).and_then(|row| row.get(column(outcome)));
        let Some(counter) = counter else { return };
        let new = || {
            self.families.channels.get_or_create_owned(&ChannelLabels {
                channel: self.channel.clone(),
                traffic: traffic.into(),
                outcome: outcome.as_str().into(),
            })
        };
        counter.get_or_init(new).inc();
    }
}

// === impl OperationMetrics ===

impl OperationMetrics {
    fn new(families: Arc<Families>, api: Text, operation: Text) -> Self {
        Self {
            families,
            api,
            operation,
            requests: Default::default(),
            duration: OnceLock::new(),
            upstream: OnceLock::new(),
            denials: RwLock::default(),
        }
    }

    /// Counts a request.
    pub fn record(&self, status: u16, outcome: Outcome, duration: Duration, overhead: Option<Duration>) {
        let class = usize::from(status / 100).min(5);
        if let Some(counter) = self.requests.get(class).and_then(|row| row.get(column(outcome))) {
            counter.get_or_init(|| self.requests_of(class, outcome)).inc();
        }
        self.duration.get_or_init(|| self.histogram(&self.families.duration)).observe(duration);
        if let Some(overhead) = overhead {
            self.families.overhead.observe(overhead);
        }
    }

    /// The upstream has answered after this time.
    pub fn upstream_answered(&self, after: Duration) {
        self.upstream.get_or_init(|| self.histogram(&self.families.upstream)).observe(after);
    }

    fn denied(&self, guard: &str, mode: &str, code: &str) {
        let same = |known: &&Denials| *known.code == *code && *known.guard == *guard && *known.mode == *mode;
        let known = self.denials.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.iter().find(same) {
            known.counter.inc();
            return;
        }
        drop(known);
        let mut known = self.denials.write().unwrap_or_else(PoisonError::into_inner);
        let is_full = known.len() >= DENIALS;
        let labels = DenialLabels {
            api: self.api.clone(),
            operation: self.operation.clone(),
            guard: owned(if is_full { NONE } else { guard }),
            code: owned(if is_full { NONE } else { code }),
            mode: owned(mode),
        };
        // Another worker may have been faster: then this is its counter.
        let counter = self.families.denials.get_or_create_owned(&labels);
        counter.inc();
        if !is_full && !known.iter().any(|other| same(&other)) {
            known.push(Denials { guard: guard.into(), mode: mode.into(), code: code.into(), counter });
        }
    }

    fn requests_of(&self, class: usize, outcome: Outcome) -> Counter {
        let labels = RequestLabels {
            api: self.api.clone(),
            operation: self.operation.clone(),
            status: self::class(class),
            outcome: outcome.as_str().into(),
        };
        self.families.requests.get_or_create_owned(&labels)
    }

    fn histogram(&self, family: &Family<OperationLabels, Histogram>) -> Histogram {
        let labels = OperationLabels { api: self.api.clone(), operation: self.operation.clone() };
        family.get_or_create_owned(&labels)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl EncodeLabelValue for Text {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

/// The class of a status (0: none was sent).
fn class(class: usize) -> Text {
    if class == 0 { "none".into() } else { format!("{class}xx").into() }
}

/// An outcome's place in a table of counters.
fn column(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Forwarded => 0,
        Outcome::Refused => 1,
        Outcome::Failed => 2,
        Outcome::Aborted => 3,
    }
}

fn owned(word: &str) -> Text {
    Text::from(word.to_owned())
}

fn add<M: Metric + Clone + Default>(list: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    list.register(name, help, metric.clone());
    metric
}

fn add_seconds<M: Metric + Clone + Default>(list: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    list.register_with_unit(name, help, Unit::Seconds, metric.clone());
    metric
}
