//! One request's event, filled along the way and recorded at its end, whatever the end is.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use haechi_events::{
    ChannelMetrics, Event, InFlight, Keeping, OperationMetrics, Outcome, RequestId, RuleMatch, Text,
    TraceContext, VerdictRecord, redact_query, redact_value,
};
use haechi_guard::{Mode, Principal};
use haechi_upstream::{Reply, Sent, UpstreamError};
use haechi_waf::{Findings, Found};
use haechi_wire::forwarded::{ClientView, Scheme};
use haechi_wire::{CanonicalPath, Query};
use http::{HeaderMap, StatusCode};

use crate::connection::Peer;
use crate::forward;
use crate::grpc;
use crate::request::Request;
use crate::request_body::Progress;
use crate::respond::Problem;
use crate::snapshot::{Channel, Operation, Whereabouts};
use crate::split::{MAIN, Part};
use crate::stage::{Served, Stage};
use crate::traffic::Traffic;
use crate::worker::Worker;

/// What is spoken above HTTP, as events name it.
pub(crate) const GRPC: &str = "grpc";
pub(crate) const WEBSOCKET: &str = "websocket";
pub(crate) const EVENT_STREAM: &str = "event-stream";

/// Longest text of a caller in an event.
const TEXT: usize = 512;

/// Longest message, name and value of a rule that matched: there may be dozens in one event.
const RULE_TEXT: usize = 160;

/// One request's event in the making. Dropped before its end, it is recorded as aborted.
pub(crate) struct Transaction {
    worker: Rc<Worker>,
    served: Arc<Served>,
    event: Option<Box<Event>>,
    metrics: Option<Arc<OperationMetrics>>,
    channel: Arc<ChannelMetrics>,
    _in_flight: InFlight,
    started: Instant,
    sent_at: Option<Instant>,
    /// How long the caller waited for the head of the response.
    waited: Option<Duration>,
    /// Of a request body that passes.
    progress: Option<Rc<Progress>>,
    /// The request, if it is kept for replays.
    keeping: Option<Box<Keeping>>,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was sent whole.
    Sent,
    /// The caller went away, or read nothing for too long.
    Aborted,
    /// The upstream broke off; the code says how.
    Broken(&'static str),
}

// === impl Transaction ===

impl Transaction {
    /// For a request whose head is well-formed.
    pub(crate) fn begin(
        worker: &Rc<Worker>,
        peer: &Peer,
        served: &Arc<Served>,
        request: &Request,
        view: &ClientView,
        place: Whereabouts,
        trace: &TraceContext,
    ) -> Self {
        let mut event = Self::event(worker, peer, served, request.now);
        from(&mut event, view.addr, place);
        event.scheme = match view.proto {
            Some(Scheme::Http) if peer.tls.is_some() => "http".into(),
            Some(Scheme::Https) if peer.tls.is_none() => "https".into(),
            _ => Text::EMPTY,
        };
        event.http_version = forward::protocol(request.version).into();
        event.method = Text::from(&request.method);
        event.host = request
            .authority
            .as_ref()
            .map_or(Text::EMPTY, |authority| Text::lossy(authority.as_str().as_bytes(), TEXT));
        let header = |name| request.headers.get(name).map_or(Text::EMPTY, |value| Text::lossy(value, TEXT));
        event.user_agent = header("user-agent");
        event.content_type = header("content-type");
        event.target = Text::lossy(&request.path, TEXT);
        event.request_bytes = request.body.declared().unwrap_or_default();
        event.trace_id = Some(trace.trace_id);
        event.span_id = Some(trace.span_id);
        event.parent_span_id = trace.parent_span_id;
        event.upstream_span_id = Some(trace.upstream_span_id);
        event.sampled = trace.sampled;
        let keeping = worker.sink.requests().and_then(|requests| {
            let fields = request.headers.iter().map(|field| (field.name, field.value));
            let keys = &served.snapshot.key_headers;
            requests.begin(event.id, event.time_us, fields, |name| keys.iter().any(|key| key == name))
        });
        Self {
            worker: worker.clone(),
            served: served.clone(),
            event: Some(event),
            metrics: None,
            channel: served.snapshot.no_channel.clone(),
            _in_flight: worker.metrics().in_flight(),
            started: request.started,
            sent_at: None,
            waited: None,
            progress: None,
            keeping,
        }
    }

    /// For bytes that are no request.
    pub(crate) fn without_request(worker: &Rc<Worker>, peer: &Peer) -> Self {
        let served = worker.serving().connection(&peer.listener).clone();
        let mut event = Self::event(worker, peer, &served, SystemTime::now());
        let client = peer.caller.ip().to_canonical();
        from(&mut event, client, served.snapshot.geo.find(client));
        Self {
            worker: worker.clone(),
            channel: served.snapshot.no_channel.clone(),
            served,
            event: Some(event),
            metrics: None,
            _in_flight: worker.metrics().in_flight(),
            started: Instant::now(),
            sent_at: None,
            waited: None,
            progress: None,
            keeping: None,
        }
    }

    fn event(worker: &Worker, peer: &Peer, served: &Served, now: SystemTime) -> Box<Event> {
        let tls = peer.tls.as_ref();
        Box::new(Event {
            id: RequestId::generate(now),
            time_us: micros(now.duration_since(UNIX_EPOCH).unwrap_or_default()),
            weight: 1,
            worker: worker.number as u64,
            listener: Text::from(&peer.listener),
            peer: Some(peer.address),
            tls_version: tls.map_or(Text::EMPTY, |tls| tls.version.into()),
            tls_cipher: tls.map_or(Text::EMPTY, |tls| tls.cipher.into()),
            tls_group: tls.map_or(Text::EMPTY, |tls| tls.group.into()),
            tls_signature: tls.map_or(Text::EMPTY, |tls| tls.signature.into()),
            tls_resumed: tls.is_some_and(|tls| tls.resumed),
            tls_name: tls
                .and_then(|tls| tls.server_name.as_ref())
                .map_or(Text::EMPTY, |name| name.clone().into()),
            // Most of the traffic is production's: there the column is left empty.
            stage: match served.stage {
                Stage::Production => Text::EMPTY,
                stage => stage.as_str().into(),
            },
            snapshot: Text::from(&served.snapshot.digest),
            ..Event::default()
        })
    }

    /// The request's id.
    pub(crate) fn id(&self) -> RequestId {
        self.event.as_ref().map(|event| event.id).unwrap_or_default()
    }

    /// The canonical form is known.
    pub(crate) fn path(&mut self, path: &CanonicalPath, query: &Query) {
        self.note(|event| {
            event.path = Text::lossy(path.as_str().as_bytes(), TEXT);
            if event.target == event.path {
                event.target = Text::EMPTY;
            }
            if !query.is_empty() {
                event.query = redact_query(query.pairs(), TEXT);
            }
        });
    }

    /// The path that is sent, which may be another than the one that was judged.
    pub(crate) fn sent_path(&mut self, judged: &CanonicalPath, sent: &CanonicalPath) {
        if judged != sent {
            self.note(|event| event.upstream_path = Text::lossy(sent.as_str().as_bytes(), TEXT));
        }
    }

    /// The API is known, though no operation of it.
    pub(crate) fn api(&mut self, api: &Arc<str>) {
        self.note(|event| event.api = Text::from(api));
    }

    /// The operation is known.
    pub(crate) fn operation(&mut self, operation: &Operation) {
        self.metrics = Some(operation.metrics.clone());
        self.note(|event| {
            event.api = Text::from(&operation.api);
            event.operation = Text::from(&operation.id);
        });
    }

    /// How the caller arrived is known.
    pub(crate) fn channel(&mut self, channel: &Channel) {
        self.channel = channel.metrics.clone();
        self.note(|event| event.channel = Text::from(&channel.name));
    }

    /// Whether it is a program's call or a page's is known, or known better.
    pub(crate) fn traffic(&mut self, traffic: Traffic) {
        self.note(|event| event.traffic = traffic.as_str().into());
    }

    /// Who is calling is known.
    pub(crate) fn principal(&mut self, principal: Option<&Principal>) {
        let Some(principal) = principal else { return };
        self.note(|event| {
            event.identity = Text::from(&principal.identity);
            event.subject = Text::from(&principal.subject);
            event.credential = Text::from(&principal.credential);
            event.credential_kind = principal.kind.as_str().into();
            event.collection = principal.collection.as_ref().map_or(Text::EMPTY, Text::from);
            event.client_id = principal.client.as_ref().map_or(Text::EMPTY, Text::from);
        });
    }

    /// A guard has spoken.
    pub(crate) fn verdict(&mut self, verdict: VerdictRecord) {
        self.note(|event| {
            if verdict.denied && verdict.mode == Mode::Enforce {
                event.decided_by = verdict.guard.clone();
                event.reason =
                    verdict.reasons.first().map_or(Text::EMPTY, |reason| reason.code.clone().into());
            }
            event.verdicts.push(verdict);
        });
    }

    /// Rules that look for attacks have found this.
    pub(crate) fn inspected(&mut self, findings: Findings) {
        self.note(|event| {
            (event.waf_score, event.waf_outbound) = (findings.score, findings.outbound);
            event.waf_matches = findings.found.into_iter().map(rule_match).collect();
        });
    }

    /// The bytes or their coming were wrong.
    pub(crate) fn wire(&mut self, code: &'static str, detail: &str) {
        self.note(|event| {
            event.decided_by = "wire".into();
            event.reason = code.into();
            event.error = Text::lossy(detail.as_bytes(), TEXT);
        });
    }

    /// Bytes that are no request were refused.
    pub(crate) fn wire_refused(&mut self, code: &'static str, problem: &Problem) {
        self.wire(code, &problem.detail);
        self.answered_here(problem);
    }

    /// A body was read whole, and decoded.
    pub(crate) fn received(&mut self, body: &[u8]) {
        self.note(|event| event.request_bytes = body.len() as u64);
        if let (Some(keeping), Some(requests)) = (&mut self.keeping, self.worker.sink.requests()) {
            keeping.body(body, requests);
        }
    }

    /// A body passes; how far it came is in the event.
    pub(crate) fn passes(&mut self, progress: Option<Rc<Progress>>) {
        self.progress = progress;
    }

    /// What is spoken above HTTP.
    pub(crate) fn speaks(&mut self, protocol: &'static str) {
        self.note(|event| event.protocol = protocol.into());
    }

    /// Whether the caller speaks gRPC.
    pub(crate) fn is_grpc(&self) -> bool {
        self.event.as_ref().is_some_and(|event| event.protocol == Text::Static(GRPC))
    }

    /// A head or trailers, which may tell a gRPC status.
    pub(crate) fn grpc_told(&mut self, fields: &HeaderMap) {
        if self.is_grpc()
            && let Some(status) = grpc::told(fields)
        {
            self.note(|event| event.grpc_status = Some(status));
        }
    }

    /// A tunnel has ended; so many bytes went either way.
    pub(crate) fn tunnelled(&mut self, up: u64, down: u64) {
        self.note(|event| (event.request_bytes, event.response_bytes) = (up, down));
    }

    /// The request leaves for the upstream.
    pub(crate) fn sending(&mut self) {
        let now = Instant::now();
        let judged = now.duration_since(self.started);
        self.sent_at = Some(now);
        self.note(|event| event.judged_us = micros(judged));
    }

    /// The upstream is split: the part the call was dealt to, and the one it was sent to; neither is main.
    pub(crate) fn dealt(&mut self, operation: &Operation, dealt: Option<&Part>, sent: Option<&Part>) {
        let name = |part: Option<&Part>| part.map_or(Text::Static(MAIN), |part| Text::from(&part.name));
        let metrics = self.worker.metrics();
        if sent.is_none() && dealt.is_some() {
            metrics.split_left(&operation.api, name(dealt));
        }
        metrics.split_sent(&operation.api, name(sent));
        self.note(|event| event.split = name(sent));
    }

    /// So the call was sent, whatever became of it.
    pub(crate) fn tried(&mut self, sent: &Sent) {
        if sent.attempts == 1 && sent.retries == 0 {
            return;
        }
        self.worker.metrics().upstream_retried(sent.retries);
        self.note(|event| event.attempts = u64::from(sent.attempts));
    }

    /// The upstream has answered.
    pub(crate) fn upstream(&mut self, reply: &Reply) {
        let took = self.sent_at.map(|at| at.elapsed()).unwrap_or_default();
        if let Some(metrics) = &self.metrics {
            metrics.upstream_answered(took);
        }
        self.note(|event| {
            event.outcome = Outcome::Forwarded;
            event.upstream = Text::from(&reply.endpoint);
            event.upstream_status = reply.response.status().as_u16();
            event.upstream_us = micros(took);
        });
    }

    /// The upstream has not answered.
    pub(crate) fn upstream_failed(&mut self, error: &UpstreamError) {
        let took = self.sent_at.map(|at| at.elapsed()).unwrap_or_default();
        self.note(|event| {
            event.decided_by = "upstream".into();
            event.reason = error.code().into();
            event.error = Text::lossy(error.to_string().as_bytes(), TEXT);
            event.upstream = error.endpoint().map_or(Text::EMPTY, Text::from);
            event.upstream_us = micros(took);
        });
    }

    /// The gateway answers itself.
    pub(crate) fn answered_here(&mut self, problem: &Problem) {
        self.note(|event| {
            event.outcome = if problem.status.is_server_error() { Outcome::Failed } else { Outcome::Refused };
            if event.decided_by.is_empty() {
                event.decided_by = "contract".into();
                event.reason = problem.kind.into();
            }
        });
    }

    /// The gateway answers itself, as it is meant to.
    pub(crate) fn configured(&mut self, by: &'static str, reason: &'static str) {
        self.note(|event| {
            event.outcome = Outcome::Forwarded;
            event.decided_by = by.into();
            event.reason = reason.into();
        });
    }

    /// The response's head is known.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.grpc_told(headers);
        self.waited = Some(self.started.elapsed());
        self.note(|event| event.status = status.as_u16());
    }

    /// So many bytes of the body are on their way.
    pub(crate) fn count_sent(&mut self, bytes: usize) {
        self.note(|event| event.response_bytes += bytes as u64);
    }

    /// The response has ended.
    pub(crate) fn end(mut self, ending: Ending) {
        self.record(ending);
    }

    fn record(&mut self, ending: Ending) {
        let Some(mut event) = self.event.take() else { return };
        let duration = self.started.elapsed();
        event.duration_us = micros(duration);
        if let Some(progress) = &self.progress {
            event.request_bytes = progress.bytes();
        }
        match ending {
            Ending::Sent => {}
            // What was refused stays refused, whether or not the caller waited to hear it.
            Ending::Aborted if event.outcome == Outcome::Forwarded => event.outcome = Outcome::Aborted,
            Ending::Aborted => {}
            Ending::Broken(code) => {
                event.outcome = Outcome::Failed;
                event.decided_by = "upstream".into();
                event.reason = code.into();
            }
        }
        let overhead = self.sent_at.map(|at| at.duration_since(self.started));
        let metrics = self.metrics.as_ref().unwrap_or_else(|| self.worker.metrics().unrouted());
        metrics.record(event.status, event.outcome, duration, overhead);
        // Production is what the others leave of `haechi_requests`.
        if self.served.stage != Stage::Production {
            self.worker.metrics().staged(self.served.stage.as_str(), event.status, event.outcome);
        }
        let reason = (event.decided_by.as_str(), event.reason.as_str());
        if event.method.is_empty() {
            self.served.counts.record_unread(reason);
        } else {
            let waited = self.waited.unwrap_or(duration);
            self.served.counts.record(event.status, event.outcome, waited, reason);
        }
        self.channel.record(&event.traffic, event.outcome);
        for (at, one) in event.waf_matches.iter().enumerate() {
            if !event.waf_matches.iter().take(at).any(|before| before.rule == one.rule) {
                self.worker.metrics().rule_matched(one.rule);
            }
        }
        if let (Some(keeping), Some(requests)) = (self.keeping.take(), self.worker.sink.requests()) {
            requests.keep(keeping);
        }
        self.worker.sink.record(event);
    }

    fn note(&mut self, write: impl FnOnce(&mut Event)) {
        if let Some(event) = &mut self.event {
            write(event);
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.record(Ending::Aborted);
    }
}

/// Where the request comes from.
fn from(event: &mut Event, client: IpAddr, place: Whereabouts) {
    event.client = Some(client);
    event.country = Text::lossy(place.country.as_str().as_bytes(), 2);
    event.asn = place.asn;
}

/// A match as it is recorded: a value under its name, as far as that is no secret.
fn rule_match(found: Found) -> RuleMatch {
    let name = found.variable.split_once(':').map_or("", |(_, name)| name);
    RuleMatch {
        rule: found.rule,
        message: Text::lossy(found.message.as_bytes(), RULE_TEXT),
        at: Text::lossy(found.variable.as_bytes(), RULE_TEXT),
        value: found.value.map_or(Text::EMPTY, |value| redact_value(name, &value, RULE_TEXT)),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
