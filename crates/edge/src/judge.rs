//! What is decided of a request, without any I/O. Live traffic ([`pipeline`](crate::pipeline)) and recorded traffic
//! ([`replay`](crate::replay)) come through the same functions, so that both are judged alike.

use std::sync::Arc;

use haechi_contract::{ApiIndex, HeadView, Lookup, Match, Params, Place, Violation};
use haechi_events::VerdictRecord;
use haechi_guard::{Denial, Exchange, Mode, Reason, Verdict};
use haechi_wire::{CanonicalPath, Headers, Query};
use http::header::ACCEPT_ENCODING;
use http::{HeaderValue, Method, StatusCode};

use crate::coding::{ACCEPTED, Coded};
use crate::respond::Problem;
use crate::snapshot::{Channel, Operation, Service, Snapshot};

/// Where what is found goes: into the event and the metrics of a live call, into the tally of a replayed one.
pub(crate) trait Findings {
    /// The API is known, though no operation of it.
    fn api(&mut self, api: &Arc<str>);

    /// A guard has spoken.
    fn verdict(&mut self, verdict: VerdictRecord);

    /// A guard was against it.
    fn denied(&mut self, operation: &Operation, guard: &'static str, mode: Mode, code: &str);

    /// Whether what a violation speaks of is not known, and so cannot be held against the call.
    fn is_unknown(&mut self, _: &Violation) -> bool {
        false
    }
}

/// Host, scheme, method and path to the operation that is called.
pub(crate) fn route<'s>(
    snapshot: &'s Snapshot,
    (host, secure): (&str, bool),
    method: &Method,
    path: &CanonicalPath,
    findings: &mut impl Findings,
) -> Result<(&'s Operation, Params), Problem> {
    let mut named = true;
    let lookup = match snapshot.router.lookup(host, method, path.as_str()) {
        Lookup::Found(Match { api, .. })
        | Lookup::MethodNotAllowed { api, .. }
        | Lookup::NoOperation { api }
            if !is_served(snapshot, api, secure) =>
        {
            Lookup::NoApi
        }
        lookup => lookup,
    };
    let (api, problem) = match lookup {
        Lookup::Found(found) => {
            let operation = snapshot
                .apis
                .get(found.api.0 as usize)
                .and_then(|api| api.operations.get(found.operation))
                .filter(|operation| operation.exposed);
            match operation {
                Some(operation) => return Ok((operation, found.params)),
                None => (Some(found.api), not_found("unknown-operation")),
            }
        }
        Lookup::MethodNotAllowed { api, allow } => (Some(api), Problem::method_not_allowed(&allow)),
        Lookup::NoOperation { api } => {
            named = false;
            (Some(api), not_found("unknown-operation"))
        }
        Lookup::NoApi => {
            named = false;
            (None, not_found("unknown-api"))
        }
    };
    let api = api.and_then(|api| snapshot.apis.get(api.0 as usize));
    // A path that a contract names is the contract's, whatever is not offered there. Of API and service, the more specific
    // answers for the rest.
    if !named
        && let Some((service, reach)) = snapshot.service_routes.find((host, secure), path.as_str())
        && api.is_none_or(|api| reach > api.reach)
        && let Some(service) = snapshot.services.get(service)
    {
        return self::service(service, method, findings).map(|operation| (operation, Params::default()));
    }
    let reason = Reason::new(problem.kind, "no contract names this call");
    let mode = if api.is_some_and(|api| api.fallback.is_some()) { Mode::Observe } else { Mode::Enforce };
    if let Some(api) = api {
        findings.api(&api.name);
    }
    findings.verdict(VerdictRecord::denied("contract", mode, vec![reason]));
    match api.and_then(|api| api.fallback.as_ref()) {
        Some(fallback) => Ok((fallback, Params::default())),
        None => Err(problem),
    }
}

/// Whether the API is there for calls of this scheme.
fn is_served(snapshot: &Snapshot, api: ApiIndex, secure: bool) -> bool {
    let scheme = snapshot.apis.get(api.0 as usize).and_then(|api| api.scheme);
    scheme.is_none_or(|scheme| scheme.is(secure))
}

/// All calls of a service are one operation, if the service takes the method.
fn service<'s>(
    service: &'s Service,
    method: &Method,
    findings: &mut impl Findings,
) -> Result<&'s Operation, Problem> {
    if service.methods.contains(method) {
        return Ok(&service.operation);
    }
    findings.api(&service.operation.api);
    let problem = Problem::method_not_allowed(&service.allow);
    let reason = Reason::new(problem.kind, "the service does not take this method");
    findings.verdict(VerdictRecord::denied("service", Mode::Enforce, vec![reason]));
    Err(problem)
}

/// How the caller arrived: the first channel that fits. One that cannot be told does not.
pub(crate) fn channel<'s>(snapshot: &'s Snapshot, exchange: &mut Exchange<'s>) -> Option<&'s Channel> {
    let found = snapshot.channels.iter().find(|channel| channel.when.holds(exchange).unwrap_or(false))?;
    exchange.channel = &found.name;
    Some(found)
}

/// What a guard said.
pub(crate) fn verdict(
    operation: &Operation,
    guard: &'static str,
    mode: Mode,
    verdict: Verdict,
    findings: &mut impl Findings,
) -> Result<(), Problem> {
    match verdict {
        Verdict::Allow => {
            findings.verdict(VerdictRecord::allowed(guard, mode));
            Ok(())
        }
        Verdict::Deny(denial) => denied(operation, guard, mode, *denial, findings),
    }
}

/// The one place where a guard's mode is applied.
pub(crate) fn denied(
    operation: &Operation,
    guard: &'static str,
    mode: Mode,
    denial: Denial,
    findings: &mut impl Findings,
) -> Result<(), Problem> {
    let problem = Problem::denied(&denial);
    let code = denial.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default();
    findings.denied(operation, guard, mode, &code);
    findings.verdict(VerdictRecord::denied(guard, mode, denial.reasons));
    if mode == Mode::Enforce { Err(problem) } else { Ok(()) }
}

/// What the contract says of the head.
pub(crate) fn head(
    operation: &Operation,
    headers: &Headers,
    query: &Query,
    params: &Params,
    findings: &mut impl Findings,
) -> Result<(), Problem> {
    let Some(contract) = &operation.contract else { return Ok(()) };
    let view = View { headers, query };
    let violations = contract.operation.validate_head(&view, params, contract.head_options);
    let (unknown, others): (Vec<_>, Vec<_>) =
        violations.into_iter().partition(|violation| violation.keyword == "unknown");
    self::violations(operation, contract.request, others, findings)?;
    self::violations(operation, contract.request.min(contract.unknown_parameters), unknown, findings)
}

/// What the contract says of a body that was read whole, and decoded if its coding is known.
pub(crate) fn body(
    operation: &Operation,
    headers: &Headers,
    coded: Coded,
    whole: &[u8],
    findings: &mut impl Findings,
) -> Result<(), Problem> {
    let Some(contract) = &operation.contract else { return Ok(()) };
    let violations = match coded {
        Coded::Unknown => vec![content_encoding()],
        Coded::Plain | Coded::Once(_) => {
            contract.operation.validate_body(headers.get_str("content-type"), whole)
        }
    };
    self::violations(operation, contract.request, violations, findings)
}

/// What the contract says of the request.
fn violations(
    operation: &Operation,
    mode: Mode,
    mut violations: Vec<Violation>,
    findings: &mut impl Findings,
) -> Result<(), Problem> {
    violations.retain(|violation| !findings.is_unknown(violation));
    // What the contract only discourages is recorded and never refused.
    let (advice, violations): (Vec<_>, Vec<_>) = violations.into_iter().partition(Violation::is_advice);
    if !advice.is_empty() {
        denied(operation, "contract", mode.min(Mode::Observe), violated(advice), findings)?;
    }
    if violations.is_empty() {
        Ok(())
    } else {
        denied(operation, "contract", mode, violated(violations), findings)
    }
}

/// A request that breaks the contract.
pub(crate) fn violated(violations: Vec<Violation>) -> Denial {
    let media =
        violations.iter().any(|violation| matches!(violation.keyword.as_str(), "media-type" | "encoding"));
    let encoding = violations.iter().any(|violation| violation.keyword == "encoding");
    let detail = match violations.len() {
        1 => "The request breaks the contract of this operation in one place.".to_owned(),
        count => format!("The request breaks the contract of this operation in {count} places."),
    };
    Denial {
        status: if media { StatusCode::UNSUPPORTED_MEDIA_TYPE } else { StatusCode::BAD_REQUEST },
        problem: "contract-violation",
        detail: detail.into(),
        headers: encoding
            .then(|| (ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED)))
            .into_iter()
            .collect(),
        reasons: violations.into_iter().map(reason).collect(),
        disclose: true,
        remedy: None,
    }
}

fn reason(violation: Violation) -> Reason {
    Reason {
        code: violation.keyword.into(),
        detail: violation.message,
        at: Some(match violation.place {
            Place::Body | Place::Response => violation.name,
            Place::Path => format!("path parameter {}", violation.name),
            Place::Query => format!("query parameter {}", violation.name),
            Place::Header => format!("header {}", violation.name),
            Place::Cookie => format!("cookie {}", violation.name),
        }),
        rule: Some(violation.schema_pointer),
    }
}

/// A body that cannot be decoded cannot be judged.
fn content_encoding() -> Violation {
    Violation {
        place: Place::Header,
        name: "content-encoding".to_owned(),
        schema_pointer: String::new(),
        keyword: "encoding".to_owned(),
        message: format!("the body of this operation is inspected: its one coding may be {ACCEPTED}"),
    }
}

/// The request's head as contracts look at it.
struct View<'a> {
    headers: &'a Headers,
    query: &'a Query,
}

impl HeadView for View<'_> {
    fn query<'a>(&'a self, visit: &mut dyn FnMut(&'a [u8], &'a [u8])) {
        for (name, value) in self.query.pairs() {
            visit(name.as_bytes(), value.as_bytes());
        }
    }

    fn header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        for field in self.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())) {
            visit(field.value);
        }
    }
}

fn not_found(kind: &'static str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, kind, "No contract served here names this call.")
}
