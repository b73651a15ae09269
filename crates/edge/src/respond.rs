//! The one place where refusals and failures become responses: problem details (RFC 9457).

use bytes::Bytes;
use haechi_events::RequestId;
use haechi_guard::{Denial, Reason};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use crate::answer::{Answer, AnswerBody, PassingError};
use crate::grpc;

/// Problem types live under this URI; each is a chapter of the manual.
const TYPES: &str = "https://haechi.dev/problems/";

/// Why the gateway answers itself.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// Last segment of the type URI; also the event's reason code.
    pub(crate) kind: &'static str,
    pub(crate) detail: std::borrow::Cow<'static, str>,
    /// Shown to the caller: what an honest client needs to mend its call.
    pub(crate) errors: Vec<Reason>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// How a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tongue {
    /// By a status and a document.
    Http,
    /// By a status and the length of the document (`HEAD`).
    HttpHead,
    /// By `grpc-status`, in a response without content.
    Grpc,
}

/// The response's body.
#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
}

/// The response that tells the caller.
pub(crate) fn answer(problem: &Problem, id: RequestId, tongue: Tongue) -> Answer {
    if tongue == Tongue::Grpc {
        let mut headers = grpc::status(grpc::Code::of(problem.status), &problem.detail);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.extend(problem.headers.iter().cloned());
        return Answer { status: StatusCode::OK, headers, body: AnswerBody::Empty };
    }
    let document = Document {
        r#type: format!("{TYPES}{}", problem.kind),
        title: title(problem.kind, problem.status),
        status: problem.status.as_u16(),
        detail: &problem.detail,
        instance: format!("urn:uuid:{id}"),
        errors: problem.errors.iter().map(Item::from).collect(),
    };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(problem.headers.iter().cloned());
    let body = if tongue == Tongue::HttpHead {
        headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        AnswerBody::Empty
    } else {
        AnswerBody::Full(Bytes::from(body))
    };
    Answer { status: problem.status, headers, body }
}

/// The trailers that tell a gRPC caller why its response ends here.
pub(crate) fn grpc_trailers(error: &PassingError) -> HeaderMap {
    let (code, message) = match error {
        PassingError::Broken => (grpc::Code::Unavailable, "The service behind the gateway broke off."),
        PassingError::Silent => (grpc::Code::Unavailable, "The service behind the gateway fell silent."),
        PassingError::Overdue => (grpc::Code::DeadlineExceeded, "The call's deadline has passed."),
    };
    grpc::status(code, message)
}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        detail: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Self {
        Self { status, kind, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// The same, with this header.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// What a guard refused.
    pub(crate) fn denied(denial: &Denial) -> Self {
        Self {
            status: denial.status,
            kind: denial.problem,
            detail: denial.detail.clone(),
            errors: if denial.disclose { denial.reasons.clone() } else { Vec::new() },
            headers: denial.headers.clone(),
        }
    }

    /// The operation exists, not with this method.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        let problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The API does not offer this method here; `Allow` lists those it does.",
        );
        match HeaderValue::from_str(allow) {
            Ok(allow) => problem.header(ALLOW, allow),
            Err(_) => problem,
        }
    }

    /// The gateway, or what is behind it, cannot take the call now.
    pub(crate) fn unavailable(kind: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail)
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }
}

// === impl Item ===

impl<'a> From<&'a Reason> for Item<'a> {
    fn from(reason: &'a Reason) -> Self {
        Self {
            code: &reason.code,
            detail: &reason.detail,
            at: reason.at.as_deref(),
            rule: reason.rule.as_deref(),
        }
    }
}

/// The problem in a few words, the same for every occurrence.
fn title(kind: &str, status: StatusCode) -> &'static str {
    match kind {
        "bad-request" => "The request is not well-formed HTTP",
        "unknown-api" | "unknown-operation" => "No such operation",
        "method-not-allowed" => "Method not allowed",
        "credentials-required" => "Credentials required",
        "credentials-refused" => "Credentials refused",
        "address-refused" => "Calls from here are not taken",
        "rate-limited" => "Too many requests",
        "contract-violation" => "The request breaks the API's contract",
        "body-too-large" => "The body is too large",
        "upgrade-refused" => "This protocol is not offered here",
        "upstream-timeout" => "The service did not answer in time",
        "upstream-unavailable" => "The service fails too often",
        "upstream-unreachable" | "upstream-broken" => "The service cannot be reached",
        "response-refused" => "The service's response breaks the API's contract",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_problem_names_its_type_instance_and_errors() {
        let id = RequestId::generate(UNIX_EPOCH);
        let mut problem =
            Problem::new(StatusCode::BAD_REQUEST, "contract-violation", "Two things are wrong.");
        problem.errors.push(Reason::new("schema", "too small").at("/quantity").rule("#/x"));
        let answer = answer(&problem, id, Tongue::Http);
        let AnswerBody::Full(body) = answer.body else { panic!("a body") };
        let json: serde_json::Value = serde_json::from_slice(&body).expect("json");
        assert_eq!(
            json,
            serde_json::json!({
                "type": "https://haechi.dev/problems/contract-violation",
                "title": "The request breaks the API's contract",
                "status": 400,
                "detail": "Two things are wrong.",
                "instance": format!("urn:uuid:{id}"),
                "errors": [{"code": "schema", "detail": "too small", "at": "/quantity", "rule": "#/x"}],
            })
        );
        assert_eq!(answer.headers[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn what_a_guard_keeps_to_itself_is_not_told() {
        let mut denial = Denial::new(
            StatusCode::UNAUTHORIZED,
            "credentials-refused",
            "The credentials are not valid.",
            Reason::new("key-revoked", "revoked yesterday"),
        );
        assert!(Problem::denied(&denial).errors.is_empty());
        denial.disclose = true;
        assert_eq!(Problem::denied(&denial).errors.len(), 1);
    }

    #[test]
    fn a_head_request_gets_the_length_and_no_body() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "unknown-api", "No API is served here.");
        let answer = answer(&problem, RequestId::generate(UNIX_EPOCH), Tongue::HttpHead);
        assert!(matches!(answer.body, AnswerBody::Empty));
        assert_ne!(answer.headers[http::header::CONTENT_LENGTH], "0");
    }

    #[test]
    fn a_grpc_caller_is_told_in_its_own_tongue() {
        for (status, code) in [
            (400, "3"),
            (401, "16"),
            (403, "7"),
            (404, "12"),
            (405, "12"),
            (413, "8"),
            (429, "8"),
            (408, "4"),
            (504, "4"),
            (502, "14"),
            (503, "14"),
            (418, "2"),
        ] {
            let problem = Problem::new(StatusCode::from_u16(status).unwrap(), "x", "Not this time.");
            let answer = answer(&problem, RequestId::generate(UNIX_EPOCH), Tongue::Grpc);
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(answer.headers["grpc-status"], code, "{status}");
            assert_eq!(answer.headers["grpc-message"], "Not this time.");
            assert_eq!(answer.headers[CONTENT_TYPE], "application/grpc");
            assert!(matches!(answer.body, AnswerBody::Empty));
        }
    }
}
