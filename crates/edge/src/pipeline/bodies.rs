//! Bodies, of requests and of responses: read whole to be judged, or passing.

use std::rc::Rc;

use bytes::Bytes;
use haechi_config::model::Compress;
use haechi_guard::{Denial, Mode};
use haechi_upstream::{OutBody, Reply, Upstream};
use haechi_wire::Headers;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::Instant;

use super::streams::is_event_stream;
use super::{Call, bad_request, malformed, upstream_broken};
use crate::answer::{Answer, AnswerBody, Gathered, PassingBody, Patience};
use crate::budget::Budget;
use crate::coding::{self, Coded, Coding, DecodeError, Decoder, Encoder, Negotiation};
use crate::fixed::Fixed;
use crate::forward;
use crate::judge;
use crate::request_body::{BodyError, Progress, RequestBody, StreamLimits, Whole};
use crate::respond::Problem;
use crate::snapshot::{Contracted, Kind, Operation};
use crate::traffic::Traffic;
use crate::transaction::EVENT_STREAM;

/// Longest response that is read whole to be judged; longer ones pass unjudged, and the event says so.
const INSPECTED_RESPONSE: usize = 1024 * 1024;

/// What is decoded at once; then other tasks have their turn.
const DECODED_AT_ONCE: usize = 16 * 1024;

/// A request's body on its way.
pub(super) struct Outgoing {
    pub(super) body: OutBody,
    /// Of a body that passes.
    pub(super) progress: Option<Rc<Progress>>,
    /// Whether it was decoded to be judged.
    pub(super) decoded: bool,
}

/// A response's body, to be judged.
pub(super) enum Read {
    /// All of it: as it is sent, and as it is judged.
    Whole { sent: Bytes, plain: Bytes },
    /// It cannot be judged: it is too long, or nobody here can decode it.
    Unread(AnswerBody),
}

/// What a response depends on, of its request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a Headers,
    /// When the call must have ended.
    pub(super) deadline: Option<Instant>,
}

impl Call<'_> {
    /// Reads and judges the body where the contract or rules ask for it; else lets it pass as it comes. What was judged is what
    /// is sent: a body that was decoded for it is sent decoded.
    pub(super) async fn body(
        &mut self,
        operation: &Operation,
        headers: &Headers,
        body: RequestBody,
    ) -> Result<Outgoing, Problem> {
        let limit = operation.body_limit.min(self.body_limit);
        if body.declared().is_some_and(|declared| declared > limit) {
            return Err(self.body_failed(&BodyError::TooLarge { limit }));
        }
        let contracted = operation.contract.as_ref().is_some_and(|contract| contract.inspects_body);
        if !contracted && !self.inspects_body(operation) {
            self.inspect_body(operation, Coded::Plain, &Bytes::new()).await?;
            // Who speaks gRPC may have nothing to say for long.
            let idle = if self.grpc { self.snapshot.tunnels.idle } else { self.snapshot.timeouts.body };
            let (body, progress) =
                body.into_stream(StreamLimits { length: limit, idle, rate: operation.rate });
            return Ok(Outgoing { body, progress, decoded: false });
        }
        let coded =
            if body.is_empty() { Coded::Plain } else { Coded::read(headers.get_all("content-encoding")) };
        let shared = &self.worker.shared;
        let whole = body
            .read_whole(limit, self.snapshot.timeouts.body, &shared.bodies, &shared.spill)
            .await
            .map_err(|error| self.body_failed(&error))?;
        let (bytes, body) =
            held(whole, coded, limit, &shared.bodies).await.map_err(|error| self.body_failed(&error))?;
        self.transaction.received(&bytes);
        if contracted {
            judge::body(operation, headers, coded, &bytes, self)?;
        }
        self.inspect_body(operation, coded, &bytes).await?;
        Ok(Outgoing { body, progress: None, decoded: matches!(coded, Coded::Once(_)) })
    }

    pub(super) fn body_failed(&mut self, error: &BodyError) -> Problem {
        self.transaction.wire(error.code(), &error.to_string());
        match error {
            BodyError::TooLarge { limit } => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                format!("The body is longer than the {limit} bytes this operation takes."),
            ),
            BodyError::NoMemory
            | BodyError::NoDisk
            | BodyError::Disk(_)
            | BodyError::Coding(DecodeError::NoMemory) => {
                Problem::unavailable("overloaded", "Too many bodies are being read; try again.")
            }
            BodyError::Coding(DecodeError::Malformed) => {
                bad_request("The body is not what its `Content-Encoding` says.".to_owned())
            }
            BodyError::Coding(DecodeError::TooLarge | DecodeError::Bomb) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The body, decoded, is longer than this operation takes.",
            ),
            BodyError::TooSlow => {
                Problem::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "The body did not come in time.")
            }
            BodyError::Malformed(refusal) => malformed(refusal),
            BodyError::Gone => bad_request("The body ended early.".to_owned()),
        }
    }

    /// The upstream's response, judged as far as the contract asks, and compressed where that may be.
    pub(super) async fn response(
        &mut self,
        (operation, upstream): (&Operation, &Upstream),
        asked: &Asked<'_>,
        known: bool,
        reply: Reply,
    ) -> Result<Answer, Problem> {
        let (mut head, body) = reply.response.into_parts();
        if head.status.is_informational() {
            return Err(upstream_broken("The service behind the gateway changed the protocol unasked."));
        }
        let bodiless = *asked.method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
        forward::response_headers(&mut head.headers, bodiless);
        if operation.kind == Kind::Service
            && let Some(traffic) = Traffic::of_response(&head.headers)
        {
            self.transaction.traffic(traffic);
        }
        let live = is_event_stream(&head.headers);
        if live {
            self.transaction.speaks(EVENT_STREAM);
        }
        let idle = upstream.body_idle;
        let idle = if live || self.grpc { idle.max(self.snapshot.tunnels.idle) } else { idle };
        let mut body = PassingBody::pass(body, reply.lease, Patience { idle, until: asked.deadline, live });
        let readable = !(bodiless || live || self.grpc || head.status == StatusCode::PARTIAL_CONTENT);
        if let Some(contract) = operation.contract.as_ref().filter(|contract| contract.response != Mode::Off)
            && readable
        {
            body = self.judge_response(operation, contract, &head, body).await?;
        }
        if self.inspection.as_ref().is_some_and(|inspection| inspection.wants_response()) {
            body = self.inspect_response(operation, &head, body, readable).await?;
        }
        if operation.compress != Compress::Off && !self.grpc {
            let all = operation.compress == Compress::All;
            body = self.compress(asked, (head.status, &mut head.headers), body, (known, all));
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// What the gateway answers itself, compressed where that may be; nothing where it leads nowhere.
    pub(super) fn fixed(
        &mut self,
        operation: &Operation,
        fixed: &Fixed,
        asked: &Asked<'_>,
        known: bool,
        answer: Option<Answer>,
    ) -> Result<Answer, Problem> {
        let Some(mut answer) = answer else {
            self.transaction.wire("redirect", "the path that the redirect leads to is not canonical");
            let detail = "The call leads to no place.";
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "redirect", detail));
        };
        self.transaction.configured("service", fixed.reason());
        if let Some(traffic) = Traffic::of_response(&answer.headers) {
            self.transaction.traffic(traffic);
        }
        if operation.compress != Compress::Off && !self.grpc {
            let all = operation.compress == Compress::All;
            answer.body =
                self.compress(asked, (answer.status, &mut answer.headers), answer.body, (known, all));
        }
        Ok(answer)
    }

    fn compress(
        &self,
        asked: &Asked<'_>,
        (status, headers): (StatusCode, &mut HeaderMap),
        body: AnswerBody,
        (secret, all): (bool, bool),
    ) -> AnswerBody {
        // Of a response to `HEAD` the length says what the body would have been.
        let told =
            headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let length = told.or_else(|| body.length());
        let outcome = coding::negotiate(asked.headers, status, headers, length, secret, all);
        if outcome == Negotiation::Never {
            return body;
        }
        coding::vary(headers);
        match outcome {
            Negotiation::Compressed(coding) if !matches!(body, AnswerBody::Empty) => {
                match Encoder::new(coding, &self.worker.shared.bodies) {
                    Some(encoder) => {
                        coding::compressed_head(headers, coding);
                        body.compressed(encoder)
                    }
                    None => body,
                }
            }
            _ => body,
        }
    }

    async fn judge_response(
        &mut self,
        operation: &Operation,
        contract: &Contracted,
        head: &http::response::Parts,
        body: AnswerBody,
    ) -> Result<AnswerBody, Problem> {
        let (whole, plain) = match self.read_response(&head.headers, body).await? {
            Read::Whole { sent, plain } => (sent, plain),
            Read::Unread(body) => return Ok(body),
        };
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let violations = contract.operation.validate_response(head.status.as_u16(), content_type, &plain);
        if violations.is_empty() {
            return Ok(AnswerBody::Full(whole));
        }
        let denial = Denial {
            status: StatusCode::BAD_GATEWAY,
            problem: "response-refused",
            detail: "The service's response breaks the contract of this operation.".into(),
            disclose: false,
            ..judge::violated(violations)
        };
        judge::denied(operation, "contract-response", contract.response, denial, self)?;
        Ok(AnswerBody::Full(whole))
    }

    /// Reads a response that is to be judged.
    pub(super) async fn read_response(
        &mut self,
        headers: &HeaderMap,
        body: AnswerBody,
    ) -> Result<Read, Problem> {
        let coded = Coded::read(headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes));
        if coded == Coded::Unknown {
            return Ok(Read::Unread(body));
        }
        let budget = &self.worker.shared.bodies;
        let whole = match body.gather(INSPECTED_RESPONSE, budget).await {
            Gathered::Whole(whole) => whole,
            Gathered::TooLong(body) => return Ok(Read::Unread(body)),
            Gathered::Failed(error) => {
                self.transaction.wire(error.code(), "the response ended early");
                return Err(upstream_broken("The service behind the gateway broke off its response."));
            }
        };
        let plain = match coded {
            Coded::Once(coding) if !whole.is_empty() => {
                match decode(coding, &whole, INSPECTED_RESPONSE as u64, budget).await {
                    Ok(plain) => plain,
                    // Longer than what is judged, decoded: it passes unjudged like any other that is.
                    Err(DecodeError::TooLarge | DecodeError::NoMemory) => {
                        return Ok(Read::Unread(AnswerBody::Full(whole)));
                    }
                    Err(error @ (DecodeError::Malformed | DecodeError::Bomb)) => {
                        self.transaction.wire(error.code(), "the response cannot be decoded");
                        return Err(upstream_broken("The service's response cannot be decoded."));
                    }
                }
            }
            _ => whole.clone(),
        };
        Ok(Read::Whole { sent: whole, plain })
    }
}

/// The bytes that are judged, and the body that is sent of them.
async fn held(
    whole: Whole,
    coded: Coded,
    limit: u64,
    budget: &Budget,
) -> Result<(Bytes, OutBody), BodyError> {
    let full = |bytes: &Bytes| if bytes.is_empty() { OutBody::Empty } else { OutBody::Full(bytes.clone()) };
    let (bytes, spilled) = match whole {
        Whole::Memory(bytes) => (bytes, None),
        Whole::Disk(spilled) => (spilled.read(budget).await?, Some(spilled)),
    };
    if let Coded::Once(coding) = coded {
        let plain = decode(coding, &bytes, limit, budget).await.map_err(BodyError::Coding)?;
        let body = full(&plain);
        return Ok((plain, body));
    }
    let body = spilled.map_or_else(|| full(&bytes), |spilled| spilled.into_body());
    Ok((bytes, body))
}

async fn decode(coding: Coding, coded: &[u8], limit: u64, budget: &Budget) -> Result<Bytes, DecodeError> {
    let mut decoder = Decoder::new(coding, limit, budget.share())?;
    for (turn, piece) in coded.chunks(DECODED_AT_ONCE).enumerate() {
        if turn > 0 {
            tokio::task::yield_now().await;
        }
        decoder.push(piece)?;
    }
    let (plain, share) = decoder.finish()?;
    let mut kept = budget.share();
    // Of what decoding took, only what was decoded is still needed.
    drop(share);
    kept.take(plain.len()).map_err(|_| DecodeError::NoMemory)?;
    Ok(kept.hold(Bytes::from(plain)))
}
