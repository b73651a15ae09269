//! The life of a request: canonical form, route, guards, upstream, response.
//!
//! Both protocols end here. Every way out is an [`Answer`] and a [`Transaction`]: the response that is sent, and the
//! event that tells why.

mod bodies;
mod streams;
mod waf;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use haechi_events::{TraceContext, VerdictRecord, is_sampled};
use haechi_guard::{Arrival, Exchange, Guard, Mode, Remedy, Verdict};
use haechi_upstream::{OutBody, Sent, UpstreamError};
use haechi_waf::Inspection;
use haechi_wire::forwarded::{ClientView, Scheme};
use haechi_wire::{Authority, CanonicalPath, Query, Refusal};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use self::bodies::{Asked, Outgoing};
use self::streams::within;
use crate::answer::{Answer, AnswerBody};
use crate::connection::{Peer, TlsFacts};
use crate::forward::{self, Facts, X_REQUEST_ID};
use crate::grpc;
use crate::judge::{self, Findings};
use crate::request::Request;
use crate::respond::{self, Problem, Tongue};
use crate::rewrite::{SentPath, Told};
use crate::snapshot::{Kind, Operation, Snapshot, Target, Whereabouts};
use crate::traffic::Traffic;
use crate::transaction::{GRPC, Transaction};
use crate::worker::Worker;

/// Most parameters in a query: more than any form, few enough to be walked.
const QUERY_PAIRS: usize = 256;

/// Where another clock runs.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Judges a request and answers it: with the upstream's response, or with the reason why not.
pub(crate) async fn serve(worker: &Rc<Worker>, peer: &Peer, request: Request) -> (Answer, Transaction) {
    let serving = worker.serving();
    let trusted = serving.connection(&peer.listener).snapshot.trusted(peer);
    let view = ClientView::of(peer.caller.ip(), &request.headers, trusted);
    let through_proxy = !trusted.is_empty() && view.addr != peer.caller.ip().to_canonical();
    let served = serving.request(&peer.listener, view.addr);
    let snapshot = &served.snapshot;
    let trace = trace(&request, through_proxy, snapshot.sample);
    let place = snapshot.geo.find(view.addr);
    let mut transaction = Transaction::begin(worker, peer, served, &request, &view, place, &trace);
    if let Some(answer) = validation(worker, peer, &request) {
        transaction.configured("acme", "validation");
        return (finish(answer, &mut transaction), transaction);
    }
    let grpc = grpc::is_spoken(request.version, &request.headers);
    let tongue = match &request.method {
        _ if grpc => Tongue::Grpc,
        &Method::HEAD => Tongue::HttpHead,
        _ => Tongue::Http,
    };
    if grpc {
        transaction.speaks(GRPC);
    }
    let mut call = Call {
        worker,
        snapshot,
        client: view.addr,
        place,
        asked: view.host,
        secure: view.proto.map_or(peer.tls.is_some(), |proto| proto == Scheme::Https),
        tls: peer.tls.as_ref(),
        trace,
        grpc,
        body_limit: u64::MAX,
        channel: None,
        extra: Vec::new(),
        inspection: None,
        transaction: &mut transaction,
    };
    let outcome = call.run(request).await;
    let (extra, inspection) = (call.extra, call.inspection);
    if let Some(inspection) = inspection {
        transaction.inspected(inspection.finish(SystemTime::now()));
    }
    let mut answer = match outcome {
        Ok(answer) => answer,
        Err(problem) => {
            transaction.answered_here(&problem);
            respond::answer(&problem, transaction.id(), tongue)
        }
    };
    answer.headers.extend(extra);
    (finish(answer, &mut transaction), transaction)
}

/// Answers a certificate authority that validates a name over plaintext, for exactly the tokens that are pending.
fn validation(worker: &Worker, peer: &Peer, request: &Request) -> Option<Answer> {
    if peer.tls.is_some() || !matches!(request.method, Method::GET | Method::HEAD) {
        return None;
    }
    let path = std::str::from_utf8(&request.path).ok()?;
    let text = worker.shared.lasting.acme.challenges().http(path)?;
    let headers =
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))]);
    Some(Answer { status: StatusCode::OK, headers, body: AnswerBody::Full(text.into()) })
}

/// Answers bytes that are no request.
pub(crate) fn refuse_head(worker: &Rc<Worker>, peer: &Peer, refusal: &Refusal) -> (Answer, Transaction) {
    let problem = malformed(refusal);
    early(worker, peer, &problem, refusal.code())
}

/// Answers a head that did not come in time.
pub(crate) fn slow_head(worker: &Rc<Worker>, peer: &Peer) -> (Answer, Transaction) {
    let detail = "The head of the request did not come in time.";
    early(worker, peer, &Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", detail), "head-timeout")
}

fn early(worker: &Rc<Worker>, peer: &Peer, problem: &Problem, code: &'static str) -> (Answer, Transaction) {
    let mut transaction = Transaction::without_request(worker, peer);
    transaction.wire_refused(code, problem);
    let answer = respond::answer(problem, transaction.id(), Tongue::Http);
    (finish(answer, &mut transaction), transaction)
}

fn finish(mut answer: Answer, transaction: &mut Transaction) -> Answer {
    if let Ok(id) = HeaderValue::from_bytes(transaction.id().encode().as_bytes()) {
        answer.headers.insert(X_REQUEST_ID, id);
    }
    transaction.answered(answer.status, &answer.headers);
    answer
}

/// A call in progress.
struct Call<'a> {
    worker: &'a Rc<Worker>,
    snapshot: &'a Arc<Snapshot>,
    client: IpAddr,
    /// Where that is.
    place: Whereabouts,
    secure: bool,
    /// The host the caller asked for, where a trusted proxy says so.
    asked: Option<Authority>,
    tls: Option<&'a TlsFacts>,
    trace: TraceContext,
    /// The caller speaks gRPC.
    grpc: bool,
    /// Largest body of the call's channel.
    body_limit: u64,
    channel: Option<Arc<str>>,
    /// Headers that guards add to whatever response the caller gets.
    extra: Vec<(HeaderName, HeaderValue)>,
    /// What rules have found so far.
    inspection: Option<Box<Inspection>>,
    transaction: &'a mut Transaction,
}

// === impl Call ===

impl Call<'_> {
    async fn run(&mut self, request: Request) -> Result<Answer, Problem> {
        let path = CanonicalPath::parse(&request.path).map_err(|refusal| {
            self.transaction.wire(refusal.code(), &refusal.to_string());
            bad_request(format!("The path cannot be used: {refusal}."))
        })?;
        let query = Query::parse(request.query.as_deref(), QUERY_PAIRS).map_err(|refusal| {
            self.transaction.wire(refusal.code(), &refusal.to_string());
            bad_request(format!("The query cannot be used: {refusal}."))
        })?;
        self.transaction.path(&path, &query);
        let snapshot = self.snapshot.clone();
        let host = request.authority.as_ref().map_or("", |authority| authority.host());
        let (operation, params) = judge::route(&snapshot, (host, self.secure), &request.method, &path, self)?;
        self.transaction.operation(operation);
        self.transaction.traffic(match operation.kind {
            Kind::Api => Traffic::Api,
            Kind::Service => Traffic::of_request(&request.method, &path, &request.headers),
        });

        let asked = self.asked.take();
        let (tls, place) = (self.tls, self.place);
        let arrival = Arrival {
            host,
            secure: self.secure,
            protocol: forward::protocol(request.version),
            tls_version: tls.map_or("", |tls| tls.version),
            tls_cipher: tls.map_or("", |tls| tls.cipher),
            tls_name: tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or_default(),
            country: place.country.as_str(),
            asn: place.asn,
        };
        let mut exchange = Exchange {
            now: request.now,
            client: self.client,
            authority: asked.as_ref().or(request.authority.as_ref()),
            method: &request.method,
            path: &path,
            query: &query,
            headers: &request.headers,
            arrival,
            channel: "",
            api: &operation.api,
            operation: &operation.id,
            principal: None,
            response_headers: Vec::new(),
        };
        let judged = self.guards(&snapshot, operation, &mut exchange).await;
        self.extra.append(&mut exchange.response_headers);
        let principal = exchange.principal.take();
        self.transaction.principal(principal.as_deref());
        judged?;

        let offer = self.offer(operation, &request)?;
        let ways = match &operation.target {
            Target::Upstream(ways) => ways,
            Target::Fixed(fixed) => {
                let asked = Asked { method: &request.method, headers: &request.headers, deadline: None };
                let answer = fixed.answer((&request.method, host), &path, &query, &request.headers);
                return self.fixed(operation, fixed, &asked, principal.is_some(), answer);
            }
        };
        let deadline = self.deadline(&request)?;
        judge::head(operation, &request.headers, &query, &params, self)?;
        self.inspect_head(operation, &exchange, (&request.path, request.query.as_ref()))?;
        let Outgoing { body, progress, decoded } =
            self.body(operation, &request.headers, request.body).await?;
        self.transaction.passes(progress.clone());

        let asked_for = request.authority.as_ref().map_or("", |authority| authority.as_str());
        let facts = Facts {
            id: self.transaction.id(),
            trace: &self.trace,
            client: self.client,
            host: asked_for,
            secure: self.secure,
            principal: principal.as_deref(),
            key_headers: &snapshot.key_headers,
            trailers: progress.is_some(),
            decoded,
        };
        let rewrite = &operation.rewrite;
        let Some(SentPath { path: sent_path, groups }) = rewrite.path(&path) else {
            return Err(self.not_rewritten("the rewritten path is not canonical"));
        };
        self.transaction.sent_path(&path, &sent_path);
        let channel = self.channel.take();
        let told = Told {
            id: facts.id,
            client: self.client,
            principal: principal.as_deref(),
            api: &operation.api,
            operation: &operation.id,
            channel: channel.as_deref().unwrap_or_default(),
            method: request.method.as_str(),
            secure: self.secure,
            host: asked_for,
            path: path.as_str(),
            groups: &groups,
        };
        let changes = rewrite.request.write(&told);
        if let Some(name) = changes.unwritable {
            return Err(self.not_rewritten(&format!("the value for `{name}` cannot stand in a header field")));
        }
        let target = forward::target(&sent_path, &query)
            .ok_or_else(|| bad_request("The path cannot be sent on.".to_owned()))?;
        let spare = body.again();
        let build = |body| {
            let mut sent = http::Request::new(body);
            sent.method_mut().clone_from(&request.method);
            *sent.headers_mut() = forward::request_headers(&request.headers, &facts);
            changes.apply(sent.headers_mut());
            if let Some(host) = rewrite.host(asked_for) {
                sent.extensions_mut().insert(host);
            }
            if let Some(offer) = &offer {
                offer.write(sent.headers_mut());
            }
            sent
        };
        let again = || spare.as_ref().and_then(OutBody::again).map(build);
        if let Some(mirror) = &ways.mirror
            && offer.is_none()
            && let Some(body) = mirror.takes(&request.method, spare.as_ref())
        {
            let (head, _) = build(OutBody::Empty).into_parts();
            self.worker.shared.lasting.mirrors.take(mirror, &target, head, body);
        }
        self.transaction.sending();
        let pools = &self.worker.pools;
        let mut dealt = ways.deal(principal.as_deref(), self.client);
        let first = dealt.part();
        let sent = match &progress {
            None => {
                let within = within(operation.timeout, deadline);
                dealt.send(pools, within, &target, build(body), again).await
            }
            // The time for an answer begins when the body has ended, and a long upload is no slow answer.
            Some(progress) => {
                let open = if self.grpc { self.snapshot.tunnels.idle } else { self.snapshot.timeouts.body };
                let upstream = dealt.upstream();
                let sending = dealt.send(pools, within(FOREVER, deadline), &target, build(body), again);
                tokio::select! {
                    sent = sending => sent,
                    () = progress.stalled(open, operation.timeout) => Sent::nothing(upstream.stalled()),
                }
            }
        };
        if ways.split.is_some() {
            self.transaction.dealt(operation, first, dealt.part());
        }
        self.transaction.tried(&sent);
        match sent.outcome {
            Ok(reply) => {
                self.transaction.upstream(&reply);
                match offer {
                    Some(offer) if reply.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                        self.switch(&offer, &request.headers, reply, &rewrite.response.write(&told)).await
                    }
                    _ => {
                        let asked = Asked { method: &request.method, headers: &request.headers, deadline };
                        let mut answer = self
                            .response((operation, dealt.upstream()), &asked, principal.is_some(), reply)
                            .await?;
                        rewrite.response.write(&told).apply(&mut answer.headers);
                        Ok(answer)
                    }
                }
            }
            Err(error) => match progress.and_then(|progress| progress.failure()) {
                // What looks like a broken upstream is the caller's own body, which was passing through.
                Some(body) => Err(self.body_failed(&body)),
                None => Err(self.upstream_failed(&error)),
            },
        }
    }

    /// The guards on the head, in order.
    async fn guards<'s>(
        &mut self,
        snapshot: &'s Snapshot,
        operation: &Operation,
        exchange: &mut Exchange<'s>,
    ) -> Result<(), Problem> {
        // Where the call comes from and who is calling is asked first, for it may tell the channel; the others may ask for the channel.
        let first = operation
            .guards
            .iter()
            .take_while(|(_, guard)| ["lists", "identity"].contains(&guard.name()))
            .count();
        let (first, others) = operation.guards.split_at_checked(first).unwrap_or_default();
        let judged = self.ask(operation, first, exchange).await;
        if let Some(channel) = judge::channel(snapshot, exchange) {
            self.body_limit = channel.max_body.unwrap_or(u64::MAX);
            self.transaction.channel(channel);
            self.channel = Some(channel.name.clone());
        }
        judged?;
        self.ask(operation, others, exchange).await
    }

    async fn ask(
        &mut self,
        operation: &Operation,
        guards: &[(Mode, Arc<dyn Guard>)],
        exchange: &mut Exchange<'_>,
    ) -> Result<(), Problem> {
        for (mode, guard) in guards {
            let mut verdict = guard.judge(exchange);
            if let Some(source) = remedy(&verdict).and_then(|identity| self.snapshot.jwks.get(identity)) {
                self.worker.shared.lasting.jwks.refresh(source).await;
                verdict = guard.judge(exchange);
            }
            judge::verdict(operation, guard.name(), *mode, verdict, self)?;
        }
        Ok(())
    }

    /// What was judged cannot be sent as the file says.
    fn not_rewritten(&mut self, why: &str) -> Problem {
        self.transaction.wire("rewrite", why);
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "rewrite", "The call cannot be sent on.")
    }

    fn upstream_failed(&mut self, error: &UpstreamError) -> Problem {
        self.transaction.upstream_failed(error);
        self.worker.metrics().upstream_failed(error.code());
        match error {
            UpstreamError::Timeout { .. } | UpstreamError::ConnectTimeout { .. } => Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "upstream-timeout",
                "The service behind the gateway did not answer in time.",
            ),
            UpstreamError::Busy { .. } => {
                Problem::unavailable("overloaded", "The service behind the gateway is busy; try again.")
            }
            UpstreamError::Open { left } => {
                let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
                let detail =
                    "The service behind the gateway fails too often; nothing is sent to it for a moment.";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "upstream-unavailable", detail)
                    .header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
            }
            UpstreamError::Connect { .. } | UpstreamError::NoEndpoint => Problem::new(
                StatusCode::BAD_GATEWAY,
                "upstream-unreachable",
                "The service behind the gateway cannot be reached.",
            ),
            UpstreamError::Broken { .. } => {
                upstream_broken("The service behind the gateway broke off, or its answer is not HTTP.")
            }
        }
    }
}

impl Findings for Call<'_> {
    fn api(&mut self, api: &Arc<str>) {
        self.transaction.api(api);
    }

    fn verdict(&mut self, verdict: VerdictRecord) {
        self.transaction.verdict(verdict);
    }

    fn denied(&mut self, operation: &Operation, guard: &'static str, mode: Mode, code: &str) {
        self.worker.metrics().denied(&operation.metrics, guard, mode.as_str(), code);
    }
}

// === helpers ===

/// The request's place in a trace. A caller's own sampling decision counts only if it comes through a trusted proxy:
/// else anyone could have every request exported.
fn trace(request: &Request, trusted: bool, sample: f64) -> TraceContext {
    match request.headers.get("traceparent").and_then(TraceContext::continued) {
        Some(trace) if trusted => trace,
        Some(trace) => TraceContext { sampled: is_sampled(trace.trace_id, sample), ..trace },
        None => TraceContext::start(sample),
    }
}

/// The identity whose keys may be out of date.
fn remedy(verdict: &Verdict) -> Option<&Arc<str>> {
    match verdict {
        Verdict::Deny(denial) => match &denial.remedy {
            Some(Remedy::RefreshKeys { identity }) => Some(identity),
            None => None,
        },
        Verdict::Allow => None,
    }
}

/// Bytes that are not HTTP, or HTTP that can be read in two ways.
fn malformed(refusal: &Refusal) -> Problem {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Problem::new(status, "bad-request", format!("The request is refused: {refusal}."))
}

fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail)
}

fn upstream_broken(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_GATEWAY, "upstream-broken", detail)
}
