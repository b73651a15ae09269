//! The one wide event.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use haechi_guard::{Mode, Reason};
use serde::{Deserialize, Serialize};

use crate::id::{RequestId, SpanId, TraceId};
use crate::text::Text;

/// What happened, once, flat. Absent columns are empty and are not written.
///
/// | column here | OCSF path (HTTP Activity 4002) |
/// |---|---|
/// | `id` | `metadata.uid` |
/// | `time_us` | `time` (there in milliseconds) |
/// | `client`, `peer` | `src_endpoint.ip`, `proxy_endpoint` |
/// | `method`, `path`, `query`, `host`, `user_agent` | `http_request.http_method`, `.url.path`, `.url.query_string`, `.url.hostname`, `.user_agent` |
/// | `status`, `response_bytes` | `http_response.code`, `.length` |
/// | `api`, `operation` | `api.service.name`, `api.operation` |
/// | `subject`, `identity`, `credential` | `actor.user.uid`, `actor.idp.name`, `actor.session.uid` |
/// | `tls_version`, `tls_cipher`, `tls_name` | `tls.version`, `tls.cipher`, `tls.sni` (`tls_group`, `tls_signature` and `tls_resumed` have no path of their own) |
/// | `country`, `asn` | `src_endpoint.location.country`, `src_endpoint.autonomous_system.number` |
/// | `outcome`, `decided_by`, `reason` | `disposition`, `firewall_rule.name`, `status_detail` |
/// | `upstream` | `dst_endpoint` |
/// | `trace_id`, `span_id` | `trace.uid`, `span.uid` |
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// The request's id.
    pub id: RequestId,
    /// When the head was complete: microseconds since 1970.
    pub time_us: u64,
    /// What kind of event it is.
    pub kind: Kind,
    /// What became of the request.
    pub outcome: Outcome,
    /// How many events this one stands for.
    pub weight: u64,
    /// From the complete head to the last byte of the response, in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub duration_us: u64,
    /// The worker that served it.
    #[serde(skip_serializing_if = "is_zero")]
    pub worker: u64,
    /// The listener's address as configured.
    #[serde(skip_serializing_if = "is_empty")]
    pub listener: Text,
    /// The caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The other end of the connection; a proxy where it is not the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// `1.3` or `1.2`.
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_version: Text,
    /// The cipher suite's name.
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_cipher: Text,
    /// The key exchange's group: `X25519MLKEM768` is post-quantum, `X25519` and `secp256r1` are classic.
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_group: Text,
    /// By which scheme the gateway signed the handshake; empty if the session was resumed.
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_signature: Text,
    /// Whether the session was resumed.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_resumed: bool,
    /// The name the caller asked for in TLS.
    #[serde(skip_serializing_if = "is_empty")]
    pub tls_name: Text,
    /// The scheme by which a trusted proxy was called (`http` or `https`), if it is not the connection's.
    #[serde(skip_serializing_if = "is_empty")]
    pub scheme: Text,
    /// `1.0`, `1.1` or `2`.
    #[serde(skip_serializing_if = "is_empty")]
    pub http_version: Text,
    /// What was spoken above HTTP: `websocket`, `grpc` or `event-stream`; empty for plain HTTP.
    #[serde(skip_serializing_if = "is_empty")]
    pub protocol: Text,
    /// The method.
    #[serde(skip_serializing_if = "is_empty")]
    pub method: Text,
    /// The host asked for.
    #[serde(skip_serializing_if = "is_empty")]
    pub host: Text,
    /// The canonical path.
    #[serde(skip_serializing_if = "is_empty")]
    pub path: Text,
    /// The target as received, if its path is not the canonical one.
    #[serde(skip_serializing_if = "is_empty")]
    pub target: Text,
    /// The query; values of sensitive names are left out.
    #[serde(skip_serializing_if = "is_empty")]
    pub query: Text,
    /// The API's name.
    #[serde(skip_serializing_if = "is_empty")]
    pub api: Text,
    /// The operation's id.
    #[serde(skip_serializing_if = "is_empty")]
    pub operation: Text,
    /// How the caller arrived: the first of `channels` that fits.
    #[serde(skip_serializing_if = "is_empty")]
    pub channel: Text,
    /// `api` for a program's call, `page` for that of a page somebody looks at.
    #[serde(skip_serializing_if = "is_empty")]
    pub traffic: Text,
    /// The country of the caller's address, two letters.
    #[serde(skip_serializing_if = "is_empty")]
    pub country: Text,
    /// The number of the network operator (autonomous system) of the caller's address.
    #[serde(skip_serializing_if = "is_zero32")]
    pub asn: u32,
    /// `User-Agent`.
    #[serde(skip_serializing_if = "is_empty")]
    pub user_agent: Text,
    /// The request's `Content-Type`.
    #[serde(skip_serializing_if = "is_empty")]
    pub content_type: Text,
    /// Bytes of the request's body that were read, or passed; of a WebSocket connection, all that the caller sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub request_bytes: u64,
    /// Bytes of the response's body that were sent; of a WebSocket connection, all that the upstream sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub response_bytes: u64,
    /// The response's status; 0 if none was sent.
    #[serde(skip_serializing_if = "is_zero16")]
    pub status: u16,
    /// The gRPC status that the caller was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u16>,
    /// The guard, or `wire` or `upstream`, that decided; or what answered without an upstream.
    #[serde(skip_serializing_if = "is_empty")]
    pub decided_by: Text,
    /// Its first reason's code.
    #[serde(skip_serializing_if = "is_empty")]
    pub reason: Text,
    /// Every verdict, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<VerdictRecord>,
    /// The anomaly score that rules gave the request.
    #[serde(skip_serializing_if = "is_zero")]
    pub waf_score: u64,
    /// The anomaly score that rules gave the response.
    #[serde(skip_serializing_if = "is_zero")]
    pub waf_outbound: u64,
    /// The rules that matched, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waf_matches: Vec<RuleMatch>,
    /// The entry under `identity:` that verified the credential.
    #[serde(skip_serializing_if = "is_empty")]
    pub identity: Text,
    /// Whom the credential names.
    #[serde(skip_serializing_if = "is_empty")]
    pub subject: Text,
    /// A name of the credential that can be shown.
    #[serde(skip_serializing_if = "is_empty")]
    pub credential: Text,
    /// `api_key` or `token`.
    #[serde(skip_serializing_if = "is_empty")]
    pub credential_kind: Text,
    /// The key's collection.
    #[serde(skip_serializing_if = "is_empty")]
    pub collection: Text,
    /// The OAuth client.
    #[serde(skip_serializing_if = "is_empty")]
    pub client_id: Text,
    /// The address that answered, or was tried last.
    #[serde(skip_serializing_if = "is_empty")]
    pub upstream: Text,
    /// The part of the upstream it was sent to, `main` for what parts leave; empty if the upstream is not split.
    #[serde(skip_serializing_if = "is_empty")]
    pub split: Text,
    /// The path that was sent to it, if it is not the one that was judged.
    #[serde(skip_serializing_if = "is_empty")]
    pub upstream_path: Text,
    /// The upstream's status.
    #[serde(skip_serializing_if = "is_zero16")]
    pub upstream_status: u16,
    /// Addresses that were tried, if not one.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: u64,
    /// From sending the request to the head of the response, in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub upstream_us: u64,
    /// From the complete head to sending the request: what the gateway itself took, in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub judged_us: u64,
    /// The trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
    /// This request's span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<SpanId>,
    /// The caller's span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<SpanId>,
    /// The span of the call to the upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_span_id: Option<SpanId>,
    /// Whether the spans are exported.
    #[serde(skip_serializing_if = "is_false")]
    pub sampled: bool,
    /// `canary` or `staging`; empty for production.
    #[serde(skip_serializing_if = "is_empty")]
    pub stage: Text,
    /// The digest of the snapshot that judged.
    #[serde(skip_serializing_if = "is_empty")]
    pub snapshot: Text,
    /// What went wrong, for a person.
    #[serde(skip_serializing_if = "is_empty")]
    pub error: Text,
    /// What was done, of a control event: `key-created`, `snapshot-activated` …
    #[serde(skip_serializing_if = "is_empty")]
    pub action: Text,
    /// Who did it, of a control event.
    #[serde(skip_serializing_if = "is_empty")]
    pub actor: Text,
    /// What it was done to, of a control event.
    #[serde(skip_serializing_if = "is_empty")]
    pub object: Text,
}

/// What kind of event it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A request at the edge.
    #[default]
    Request,
    /// Something done to the gateway itself.
    Control,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It went to the upstream, and the response to the caller. Also what the gateway is meant to answer itself: redirects
    /// and fixed answers (`decided_by` is `service`), and a certificate authority's validation (`acme`).
    Forwarded,
    /// The gateway refused it.
    Refused,
    /// The gateway or the upstream could not serve it.
    Failed,
    /// The caller went away.
    #[default]
    Aborted,
}

/// What one guard said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// The guard.
    pub guard: Text,
    /// How far it may go.
    pub mode: Mode,
    /// Whether it was against the request. In `observe` the request went on.
    pub denied: bool,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// A rule that matched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleMatch {
    /// Its id.
    pub rule: u64,
    /// What it says.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub message: Text,
    /// The variable that matched: `ARGS:q`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub at: Text,
    /// Its value: `…` for one that may be a secret or hold one, empty for one that is not told.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub value: Text,
}

// === impl VerdictRecord ===

impl VerdictRecord {
    /// Nothing against it.
    pub fn allowed(guard: &'static str, mode: Mode) -> Self {
        Self { guard: Text::Static(guard), mode, denied: false, reasons: Vec::new() }
    }

    /// Against it, for these reasons.
    pub fn denied(guard: &'static str, mode: Mode, reasons: Vec<Reason>) -> Self {
        Self { guard: Text::Static(guard), mode, denied: true, reasons }
    }
}

// === impl Outcome ===

impl Outcome {
    /// The word in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

fn is_empty(text: &Text) -> bool {
    text.as_str().is_empty()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's shape")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's shape")]
fn is_zero16(number: &u16) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's shape")]
fn is_zero32(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's shape")]
fn is_false(value: &bool) -> bool {
    !*value
}
