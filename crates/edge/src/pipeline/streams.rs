//! What is not one request and one response: WebSocket, gRPC, streams of events.

use std::time::Duration;

use haechi_events::VerdictRecord;
use haechi_guard::{Mode, Reason};
use haechi_upstream::Reply;
use haechi_wire::Headers;
use http::header::{CONTENT_TYPE, SEC_WEBSOCKET_EXTENSIONS};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tokio::time::{Instant, timeout};

use super::{Call, bad_request, upstream_broken};
use crate::answer::{Answer, AnswerBody};
use crate::forward;
use crate::grpc;
use crate::judge;
use crate::request::Request;
use crate::respond::Problem;
use crate::rewrite::Written;
use crate::snapshot::Operation;
use crate::transaction::WEBSOCKET;
use crate::tunnel::Tunnel;
use crate::websocket::{self, Offer};

impl Call<'_> {
    /// The WebSocket handshake, if the call is one. Other protocols that a caller offers are not taken up.
    pub(super) fn offer(
        &mut self,
        operation: &Operation,
        request: &Request,
    ) -> Result<Option<Offer>, Problem> {
        if !request.upgrade || !websocket::is_offered(&request.headers) {
            if request.upgrade && request.version == Version::HTTP_2 {
                // Over HTTP/2 there is no plain request left when the protocol is taken away.
                return Err(upgrade_refused());
            }
            return Ok(None);
        }
        let Some(settings) = &operation.websocket else {
            let reason = Reason::new("upgrade-refused", "the operation does not allow `upgrade: websocket`");
            self.transaction.verdict(VerdictRecord::denied("protocol", Mode::Enforce, vec![reason]));
            return Err(upgrade_refused());
        };
        if let Some(denial) = websocket::foreign_origin(&request.headers, &settings.origins) {
            judge::denied(operation, "protocol", Mode::Enforce, denial, self)?;
        }
        self.transaction.speaks(WEBSOCKET);
        let id = self.transaction.id().to_string();
        // A nonce that is unique is all that the handshake asks for, and each request's id is.
        let mut nonce = [0; 16];
        blake3::Hasher::new().update(id.as_bytes()).finalize_xof().fill(&mut nonce);
        Offer::read(&request.method, request.version, &request.headers, nonce).map(Some)
    }

    /// When a gRPC call must have ended, if its caller says so.
    pub(super) fn deadline(&mut self, request: &Request) -> Result<Option<Instant>, Problem> {
        if !self.grpc {
            return Ok(None);
        }
        let timeout = grpc::timeout(&request.headers)
            .map_err(|()| bad_request("`grpc-timeout` is at most eight digits and a unit.".to_owned()))?;
        Ok(timeout.and_then(|timeout| request.started.checked_add(timeout)).map(Instant::from_std))
    }

    /// The upstream has changed the protocol, as it was asked to: from here on bytes pass.
    pub(super) async fn switch(
        &mut self,
        offer: &Offer,
        offered: &Headers,
        mut reply: Reply,
        changes: &Written<'_>,
    ) -> Result<Answer, Problem> {
        let checked = offer.check(offered, reply.response.headers());
        let upgrade = hyper::upgrade::on(&mut reply.response);
        let upgraded = match checked {
            Ok(()) => match timeout(self.snapshot.timeouts.head, upgrade).await {
                Ok(Ok(upgraded)) => upgraded,
                Ok(Err(_)) | Err(_) => return Err(self.not_switched("it broke off")),
            },
            Err(wrong) => return Err(self.not_switched(wrong)),
        };
        let mut headers = std::mem::take(reply.response.headers_mut());
        let extended = headers.contains_key(SEC_WEBSOCKET_EXTENSIONS);
        forward::response_headers(&mut headers, false);
        // Those of the handshake itself cannot be rewritten, and what it needs is written last.
        changes.apply(&mut headers);
        let status = offer.accepted(&mut headers);
        let tunnel = Tunnel::new(upgraded, reply.lease, self.snapshot.tunnels, extended);
        Ok(Answer { status, headers, body: AnswerBody::Tunnel(Box::new(tunnel)) })
    }

    fn not_switched(&mut self, wrong: &str) -> Problem {
        self.transaction.wire("upstream-handshake", wrong);
        upstream_broken("The service behind the gateway did not answer the WebSocket handshake as it must.")
    }
}

fn upgrade_refused() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "upgrade-refused", "This operation does not offer this protocol.")
}

/// Whether the response is a stream of events, which pass one by one (the HTML standard, server-sent events).
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    const NAME: &[u8] = b"text/event-stream";
    headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).is_some_and(|value| {
        value.get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME))
            && matches!(value.get(NAME.len()), None | Some(b';' | b' '))
    })
}

/// What is left of the time: until the caller's own deadline, or less.
pub(super) fn within(timeout: Duration, deadline: Option<Instant>) -> Duration {
    deadline.map_or(timeout, |deadline| timeout.min(deadline.saturating_duration_since(Instant::now())))
}
