//! Rules that look for attacks: asked of the head, of the body, and of the response where the operation says so.

use std::sync::Arc;

use bytes::Bytes;
use haechi_guard::{Denial, Exchange, Reason, Verdict};
use haechi_waf::{Inspection, Seen};
use http::header::ACCEPT_ENCODING;
use http::{HeaderValue, StatusCode};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::Call;
use super::bodies::Read;
use crate::answer::AnswerBody;
use crate::coding::{ACCEPTED, Coded};
use crate::judge;
use crate::respond::Problem;
use crate::snapshot::Operation;

/// The longest body that is judged where it was read. What takes longer than other calls of the worker should wait is judged on
/// another thread, of which there are as many at once as there are processors.
const AT_ONCE: usize = 16 * 1024;

const GUARD: &str = "waf";
const RESPONSE: &str = "waf-response";

impl Call<'_> {
    /// Begins to ask the rules of the operation.
    pub(super) fn inspect_head(
        &mut self,
        operation: &Operation,
        exchange: &Exchange<'_>,
        request: (&Bytes, Option<&Bytes>),
    ) -> Result<(), Problem> {
        let Some(inspected) = &operation.waf else { return Ok(()) };
        let id = self.transaction.id().encode();
        let seen = Seen { path: request.0, query: request.1.map(|query| &**query), id: id.as_str() };
        let mut inspection = Box::new(inspected.waf.begin(inspected.mode, exchange, seen));
        let verdict = inspection.head();
        self.inspection = Some(inspection);
        match verdict {
            Verdict::Allow => Ok(()),
            denied @ Verdict::Deny(_) => judge::verdict(operation, GUARD, inspected.mode, denied, self),
        }
    }

    /// Whether rules look at the body, which is held for them.
    pub(super) fn inspects_body(&self, operation: &Operation) -> bool {
        operation.waf.as_ref().is_some_and(|inspected| inspected.reads_body)
            && self.inspection.as_ref().is_some_and(|inspection| inspection.wants_body())
    }

    /// Asks the rules of the request, with its body if that was read.
    pub(super) async fn inspect_body(
        &mut self,
        operation: &Operation,
        coded: Coded,
        body: &Bytes,
    ) -> Result<(), Problem> {
        let Some(inspected) = &operation.waf else { return Ok(()) };
        let Some(inspection) = self.inspection.take() else { return Ok(()) };
        let mode = inspected.mode;
        let unreadable = coded == Coded::Unknown;
        let body = if unreadable { Bytes::new() } else { body.clone() };
        let size = body.len();
        let (inspection, verdict) =
            self.aside(size, inspection, move |inspection| inspection.body(&body)).await?;
        self.transaction.inspected(inspection.findings());
        let was_told = inspection.is_told() && verdict == Verdict::Allow;
        self.inspection = Some(inspection);
        if unreadable {
            return judge::denied(operation, GUARD, mode, undecodable(), self);
        }
        if was_told { Ok(()) } else { judge::verdict(operation, GUARD, mode, verdict, self) }
    }

    /// Asks the rules of the response. `readable` says whether its body may be held.
    pub(super) async fn inspect_response(
        &mut self,
        operation: &Operation,
        head: &http::response::Parts,
        body: AnswerBody,
        readable: bool,
    ) -> Result<AnswerBody, Problem> {
        let Some(inspected) = &operation.waf else { return Ok(body) };
        let Some(mut inspection) = self.inspection.take() else { return Ok(body) };
        let mut verdict = inspection.response_head(head.status, &head.headers);
        let mut sent = body;
        if verdict == Verdict::Allow {
            let mut plain = Bytes::new();
            if readable && inspection.wants_response_body() {
                match self.read_response(&head.headers, sent).await? {
                    Read::Whole { sent: whole, plain: decoded } => {
                        sent = AnswerBody::Full(whole);
                        plain = decoded;
                    }
                    Read::Unread(body) => sent = body,
                }
            }
            let size = plain.len();
            (inspection, verdict) =
                self.aside(size, inspection, move |inspection| inspection.response_body(&plain)).await?;
        }
        self.inspection = Some(inspection);
        match verdict {
            Verdict::Allow => Ok(sent),
            denied @ Verdict::Deny(_) => {
                judge::verdict(operation, RESPONSE, inspected.mode, denied, self).map(|()| sent)
            }
        }
    }

    /// Judges here what is small, and elsewhere what is not.
    async fn aside(
        &self,
        size: usize,
        mut inspection: Box<Inspection>,
        judge: impl FnOnce(&mut Inspection) -> Verdict + Send + 'static,
    ) -> Result<(Box<Inspection>, Verdict), Problem> {
        if size <= AT_ONCE {
            let verdict = judge(&mut inspection);
            return Ok((inspection, verdict));
        }
        let threads: &Arc<Semaphore> = &self.worker.shared.inspecting;
        let Ok(permit) = threads.clone().acquire_owned().await else { return Err(failed()) };
        let judged = spawn_blocking(move || {
            let verdict = judge(&mut inspection);
            drop(permit);
            (inspection, verdict)
        });
        judged.await.map_err(|_| failed())
    }
}

/// What cannot be judged is not let through.
fn failed() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "waf-failed", "The request cannot be judged.")
}

/// A body that rules cannot read.
fn undecodable() -> Denial {
    let detail = format!("The body is inspected: its one coding may be {ACCEPTED}.");
    let reason = Reason::new("encoding", "the body cannot be decoded, so that no rule can look at it");
    Denial::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "body-not-readable",
        detail,
        reason.at("content-encoding"),
    )
    .header(ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED))
}
