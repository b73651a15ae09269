//! Counters and histograms, in OpenMetrics text. Labels come from the configuration or from a fixed list of words, so
//! that no caller can make their number grow.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::event::Outcome;

/// The type of what [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// From a tenth of a millisecond to ten seconds.
const BUCKETS: [f64; 16] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    duration: Family<OperationLabels, Histogram>,
    overhead: Histogram,
    denials: Family<DenialLabels, Counter>,
    upstream_errors: Family<CodeLabels, Counter>,
    tls: Family<TlsLabels, Counter>,
    connections_refused: Counter,
    accept_errors: Counter,
    connections: Gauge,
    events_written: Counter,
    events_left_out: Counter,
    events_rolled_up: Counter,
    events_lost: Counter,
    events_torn: Counter,
    spool_errors: Counter,
    activations: Family<OutcomeLabels, Counter>,
    operations: Mutex<HashMap<(String, String), Arc<OperationMetrics>>>,
}

/// The metrics of one operation, looked up once for each snapshot.
#[derive(Debug)]
pub struct OperationMetrics {
    api: String,
    operation: String,
    /// By class of status (0: none was sent) and outcome.
    requests: [[Lazy; 4]; 6],
    duration: Histogram,
    overhead: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    api: String,
    operation: String,
    status: String,
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    api: String,
    operation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DenialLabels {
    api: String,
    operation: String,
    guard: String,
    code: String,
    mode: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TlsLabels {
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: String,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("haechi");
        let requests = Family::default();
        registry.register("requests", "Requests by operation, class of status and outcome", requests.clone());
        let duration = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let help = "From the complete head to the end of the response";
        registry.register_with_unit("request_duration", help, Unit::Seconds, duration.clone());
        let overhead = Histogram::new(BUCKETS);
        let help = "What the gateway itself took before the request was sent on";
        registry.register_with_unit("overhead", help, Unit::Seconds, overhead.clone());
        let denials = Family::default();
        registry.register(
            "denials",
            "What guards were against, also where they only observe",
            denials.clone(),
        );
        let upstream_errors = Family::default();
        registry.register("upstream_errors", "Calls an upstream did not answer", upstream_errors.clone());
        let tls = Family::default();
        registry.register("tls_handshakes", "TLS handshakes by version, and failed ones", tls.clone());
        let counter = |registry: &mut Registry, name: &str, help: &str| {
            let counter = Counter::<u64, AtomicU64>::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let connections = Gauge::default();
        registry.register("connections", "Open connections of callers", connections.clone());
        let activations = Family::default();
        registry.register("activations", "Snapshots activated and refused", activations.clone());
        Self {
            connections_refused: counter(
                &mut registry,
                "connections_refused",
                "Connections beyond the limits",
            ),
            accept_errors: counter(&mut registry, "accept_errors", "Connections the system could not give"),
            events_written: counter(&mut registry, "events_written", "Events written to the spool"),
            events_left_out: counter(
                &mut registry,
                "events_left_out",
                "Plain events a full queue did not take",
            ),
            events_rolled_up: counter(
                &mut registry,
                "events_rolled_up",
                "Refusals summed up in the event of another that is the same",
            ),
            events_torn: counter(
                &mut registry,
                "events_torn",
                "Events that a crash has cut off, found at the start",
            ),
            events_lost: counter(&mut registry, "events_lost", "Events the disk did not take in time"),
            spool_errors: counter(&mut registry, "spool_errors", "Writes the disk refused"),
            registry,
            requests,
            duration,
            overhead,
            denials,
            upstream_errors,
            tls,
            connections,
            activations,
            operations: Mutex::default(),
        }
    }
}

impl Metrics {
    /// The metrics of an operation. Asked for when a snapshot is made, not for each request.
    pub fn operation(&self, api: &str, operation: &str) -> Arc<OperationMetrics> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (api.to_owned(), operation.to_owned());
        operations.entry(key).or_insert_with(|| Arc::new(OperationMetrics::new(self, api, operation))).clone()
    }

    /// A guard was against a request.
    pub fn denied(&self, operation: &OperationMetrics, guard: &str, mode: &str, code: &str) {
        let labels = DenialLabels {
            api: operation.api.clone(),
            operation: operation.operation.clone(),
            guard: guard.to_owned(),
            code: code.to_owned(),
            mode: mode.to_owned(),
        };
        self.denials.get_or_create(&labels).inc();
    }

    /// An upstream did not answer.
    pub fn upstream_failed(&self, code: &str) {
        self.upstream_errors.get_or_create(&CodeLabels { code: code.to_owned() }).inc();
    }

    /// A TLS handshake succeeded.
    pub fn tls_done(&self, version: &str) {
        self.tls.get_or_create(&TlsLabels { result: version.to_owned() }).inc();
    }

    /// A TLS handshake failed.
    pub fn tls_failed(&self) {
        self.tls_done("failed");
    }

    /// A connection was beyond the limits.
    pub fn connection_refused(&self) {
        self.connections_refused.inc();
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
        self.activations.get_or_create(&OutcomeLabels { outcome: outcome.to_owned() }).inc();
    }

    pub(crate) fn event_left_out(&self, count: u64) {
        self.events_left_out.inc_by(count);
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

// === impl OperationMetrics ===

impl OperationMetrics {
    fn new(metrics: &Metrics, api: &str, operation: &str) -> Self {
        let outcomes = [Outcome::Forwarded, Outcome::Refused, Outcome::Failed, Outcome::Aborted];
        let requests = std::array::from_fn(|class| {
            outcomes.map(|outcome| {
                let labels = RequestLabels {
                    api: api.to_owned(),
                    operation: operation.to_owned(),
                    status: if class == 0 { "none".to_owned() } else { format!("{class}xx") },
                    outcome: outcome.as_str().to_owned(),
                };
                Lazy { requests: metrics.requests.clone(), labels, counter: OnceLock::new() }
            })
        });
        let labels = OperationLabels { api: api.to_owned(), operation: operation.to_owned() };
        let duration = metrics.duration.get_or_create(&labels).clone();
        Self {
            api: api.to_owned(),
            operation: operation.to_owned(),
            requests,
            duration,
            overhead: metrics.overhead.clone(),
        }
    }

    /// Counts a request.
    pub fn record(&self, status: u16, outcome: Outcome, duration: Duration, overhead: Option<Duration>) {
        let class = usize::from(status / 100).min(5);
        let column = match outcome {
            Outcome::Forwarded => 0,
            Outcome::Refused => 1,
            Outcome::Failed => 2,
            Outcome::Aborted => 3,
        };
        if let Some(counter) = self.requests.get(class).and_then(|row| row.get(column)) {
            counter.inc();
        }
        self.duration.observe(duration.as_secs_f64());
        if let Some(overhead) = overhead {
            self.overhead.observe(overhead.as_secs_f64());
        }
    }
}

/// A counter that is shown once it has counted: most combinations never occur.
struct Lazy {
    requests: Family<RequestLabels, Counter>,
    labels: RequestLabels,
    counter: OnceLock<Counter>,
}

impl Lazy {
    fn inc(&self) {
        self.counter.get_or_init(|| self.requests.get_or_create(&self.labels).clone()).inc();
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.counter.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        let operation = metrics.operation("orders", "getOrder");
        operation.record(200, Outcome::Forwarded, Duration::from_millis(3), Some(Duration::from_micros(40)));
        metrics.denied(&operation, "identity", "enforce", "key-revoked");
        metrics.tls_done("1.3");
        let text = metrics.encode();
        for line in [
            r#"haechi_requests_total{api="orders",operation="getOrder",status="2xx",outcome="forwarded"} 1"#,
            r#"haechi_denials_total{api="orders",operation="getOrder",guard="identity",code="key-revoked",mode="enforce"} 1"#,
            r#"haechi_tls_handshakes_total{result="1.3"} 1"#,
            r#"haechi_request_duration_seconds_bucket{le="0.005",api="orders",operation="getOrder"} 1"#,
            "haechi_overhead_seconds_count 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn an_operation_is_the_same_over_snapshots() {
        let metrics = Metrics::default();
        assert!(Arc::ptr_eq(&metrics.operation("a", "b"), &metrics.operation("a", "b")));
    }
}
