//! Recorded traffic against two configurations: which decisions would differ?
//!
//! Both judge every recorded call with the functions that judge live calls ([`judge`](crate::judge)), each with counters of its own and the
//! recorded time as its clock. What an event does not tell (headers, bodies, values that were hidden, credentials) is not held against a
//! call; where it could make a difference between the two, the call is counted as not judged, and the reason told.

mod recorded;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use haechi_access::Rules;
use haechi_config::model::Identity;
use haechi_config::{Config, Diagnostics};
use haechi_contract::{Place, Violation};
use haechi_events::{Event, Outcome, VerdictRecord};
use haechi_expr::Read;
use haechi_guard::{Denial, Exchange, Guard as _, Mode, Reason};
use http::StatusCode;

use crate::coding::Coded;
use crate::files::Files;
use crate::gateway::GatewayError;
use crate::judge::{self, Findings};
use crate::lasting::Lasting;
use crate::respond::Problem;
use crate::snapshot::{Operation, Snapshot};

use recorded::Recorded;
pub use report::{Difference, Replay, Report, Unjudged};

/// One configuration that judges recorded calls. Its counters are its own.
pub struct Evaluator {
    snapshot: Snapshot,
    config: Arc<Config>,
}

/// What one configuration decides of a call.
#[derive(Debug)]
struct Judged {
    api: Arc<str>,
    operation: Arc<str>,
    decision: Decision,
    doubts: Vec<Doubt>,
    /// What the contract was asked, to tell whether both were asked the same.
    asked: Asked,
    /// Identities that are accepted here, if the call got so far.
    accepts: Vec<String>,
    /// The rules that are asked here, and how far they may go.
    rules: Option<(Mode, Arc<Rules>)>,
    /// What tells apart the rules that look for attacks, and how far they may go.
    waf: Option<(Mode, Arc<str>)>,
}

/// A decision, as far as callers notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Decision {
    Admitted,
    Refused { status: u16, guard: String, reason: String },
}

/// Why a decision is not certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    /// Whether the caller has credentials that were not asked for.
    Credentials,
    /// Values of the query that were hidden.
    Hidden,
    /// Headers that the contract names.
    Headers,
    /// A body that the contract describes.
    Body,
    /// What a rule reads.
    Rules,
    /// Values in a body that were hidden.
    HiddenInBody,
    /// The bytes that rules look for attacks in.
    Attacks,
}

/// What the contract is asked of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    contract: u64,
    request: Mode,
    unknown: Mode,
}

/// What is found of a recorded call.
struct Tally<'r> {
    recorded: &'r Recorded,
    refused: Option<(String, String)>,
    doubts: Vec<Doubt>,
}

// === impl Evaluator ===

impl Evaluator {
    /// An evaluator of a configuration whose files come from `files`.
    ///
    /// # Errors
    /// All mistakes in the configuration.
    pub fn new(config: Config, files: &mut Files) -> Result<Self, EvaluatorError> {
        let lasting = Lasting::for_check().map_err(EvaluatorError::System)?;
        let snapshot = Snapshot::compile_from(&config, &lasting, files).map_err(EvaluatorError::Config)?;
        Ok(Self { snapshot, config: Arc::new(config) })
    }

    /// The configuration's digest.
    pub fn digest(&self) -> &str {
        &self.snapshot.digest
    }

    fn identity(&self, name: &str) -> Option<&Identity> {
        self.config.identity.get(name)
    }

    fn judge(&self, recorded: &Recorded) -> Judged {
        let mut tally = Tally { recorded, refused: None, doubts: Vec::new() };
        let none: Arc<str> = "-".into();
        let routed = judge::route(
            &self.snapshot,
            (&recorded.host, recorded.is_secure()),
            &recorded.method,
            &recorded.path,
            &mut tally,
        );
        let (operation, params) = match routed {
            Ok(routed) => routed,
            Err(problem) => {
                let decision = tally.decision(Some(&problem));
                return Judged {
                    api: none.clone(),
                    operation: none,
                    decision,
                    doubts: Vec::new(),
                    asked: Asked::default(),
                    accepts: Vec::new(),
                    rules: None,
                    waf: None,
                };
            }
        };
        // What a refusal on the way was only observed is none.
        tally.refused = None;
        let outcome = self.run(operation, &params, recorded, &mut tally);
        let decision = tally.decision(outcome.as_ref().err());
        // Whom lists refuse is not asked for credentials.
        let is_asked = !matches!(&decision, Decision::Refused { guard, .. } if guard == "lists");
        let accepts = operation.accepts.iter().filter(|_| is_asked).map(ToString::to_string).collect();
        let asked = operation.contract.as_ref().map_or_else(Asked::default, |contract| Asked {
            contract: contract.operation.fingerprint(),
            request: contract.request,
            unknown: contract.unknown_parameters,
        });
        Judged {
            api: operation.api.clone(),
            operation: operation.id.clone(),
            decision,
            doubts: tally.doubts,
            asked,
            accepts,
            rules: rules(operation),
            waf: operation.waf.as_ref().map(|inspected| (inspected.mode, inspected.digest.clone())),
        }
    }

    fn run(
        &self,
        operation: &Operation,
        params: &haechi_contract::Params,
        recorded: &Recorded,
        tally: &mut Tally<'_>,
    ) -> Result<(), Problem> {
        let place = self.snapshot.geo.find(recorded.client);
        let mut exchange = Exchange {
            now: recorded.time,
            client: recorded.client,
            authority: None,
            method: &recorded.method,
            path: &recorded.path,
            query: &recorded.query,
            headers: &recorded.headers,
            arrival: recorded.arrival(&place),
            channel: &recorded.channel,
            api: &operation.api,
            operation: &operation.id,
            principal: None,
            response_headers: Vec::new(),
        };
        for (mode, guard) in &operation.guards {
            let verdict = if guard.name() == "identity" {
                match self.identify(operation, recorded, tally) {
                    Ok(principal) => {
                        exchange.principal = principal;
                        haechi_guard::Verdict::Allow
                    }
                    Err(denial) => denial.into(),
                }
            } else if let Some(rules) = operation.rules.as_ref().filter(|rules| rules.name() == guard.name())
            {
                let (verdict, left_out) =
                    rules.judge_by(&exchange, |read| is_recorded(read, &exchange, recorded));
                if left_out {
                    tally.doubts.push(Doubt::Rules);
                }
                verdict
            } else {
                guard.judge(&mut exchange)
            };
            judge::verdict(operation, guard.name(), *mode, verdict, tally)?;
        }
        judge::head(operation, &recorded.headers, &recorded.query, params, tally)?;
        // The channel as it was told then: what tells it is not recorded.
        let channel = self.snapshot.channels.iter().find(|channel| *channel.name == *recorded.channel);
        let most = channel.and_then(|channel| channel.max_body).unwrap_or(u64::MAX);
        if recorded.body_length > operation.body_limit.min(most) {
            tally.refused = Some(("wire".to_owned(), "body-too-large".to_owned()));
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", ""));
        }
        if let Some(contract) = &operation.contract {
            let asks_headers = contract.operation.parameters().any(|(place, name)| match place {
                Place::Header => !recorded.knows_header(&name.to_ascii_lowercase()),
                Place::Cookie => !recorded.knows_header("cookie"),
                _ => false,
            });
            if asks_headers {
                tally.doubts.push(Doubt::Headers);
            }
            // A type without a length is a body that came in chunks and was not read.
            let has_body = recorded.body_length > 0 || recorded.headers.get("content-type").is_some();
            if contract.inspects_body {
                match &recorded.body {
                    // It was kept decoded.
                    Some(body) if has_body => {
                        judge::body(operation, &recorded.headers, Coded::Plain, body, tally)?;
                        // What stands for a hidden value may please where the value would not.
                        if !recorded.hidden_in_body().is_empty() {
                            tally.doubts.push(Doubt::HiddenInBody);
                        }
                    }
                    None if has_body => tally.doubts.push(Doubt::Body),
                    _ => judge::body(operation, &recorded.headers, Coded::Plain, b"", tally)?,
                }
            }
        }
        if operation.waf.as_ref().is_some_and(|inspected| inspected.mode == Mode::Enforce) {
            tally.doubts.push(Doubt::Attacks);
        }
        Ok(())
    }

    /// Who was calling, by what was recorded: credentials are not.
    fn identify(
        &self,
        operation: &Operation,
        recorded: &Recorded,
        tally: &mut Tally<'_>,
    ) -> Result<Option<Arc<haechi_guard::Principal>>, Denial> {
        let denied = |code: &str, detail: &'static str| {
            let mut reason = Reason::new("", detail);
            reason.code = code.to_owned().into();
            Denial::new(StatusCode::UNAUTHORIZED, "credentials-refused", detail, reason)
        };
        match (&recorded.principal, &recorded.identity_refused) {
            (Some(principal), _) if operation.accepts.contains(&principal.identity) => {
                Ok(Some(principal.clone()))
            }
            (Some(_), _) => {
                Err(denied("identity-not-accepted", "the caller's identity is not accepted here"))
            }
            (None, Some(reason)) => Err(denied(reason, "as it was recorded")),
            (None, None) => {
                tally.doubts.push(Doubt::Credentials);
                Ok(None)
            }
        }
    }
}

// === impl Judged ===

impl Judged {
    /// What of this decision's doubts counts beside that of another configuration: what both ask alike, both answer alike.
    fn doubts_beside(&self, other: &Self) -> impl Iterator<Item = Doubt> {
        let (same_contract, same_identities) =
            (self.asked == other.asked && self.api == other.api, self.accepts == other.accepts);
        let same_rules = match (&self.rules, &other.rules) {
            (Some((mode, rules)), Some((other, others))) => mode == other && rules.same(others),
            (None, None) => true,
            _ => false,
        };
        self.doubts.iter().copied().filter(move |doubt| match doubt {
            Doubt::Credentials => !same_identities,
            Doubt::Rules => !same_rules,
            Doubt::Attacks => self.waf != other.waf,
            Doubt::Hidden | Doubt::Headers | Doubt::Body | Doubt::HiddenInBody => !same_contract,
        })
    }
}

// === impl Tally ===

impl Tally<'_> {
    fn decision(&mut self, problem: Option<&Problem>) -> Decision {
        match problem {
            None => Decision::Admitted,
            Some(problem) => {
                let (guard, reason) =
                    self.refused.take().unwrap_or_else(|| ("contract".to_owned(), problem.kind.to_owned()));
                Decision::Refused { status: problem.status.as_u16(), guard, reason }
            }
        }
    }
}

impl Findings for Tally<'_> {
    fn api(&mut self, _: &Arc<str>) {}

    fn verdict(&mut self, verdict: VerdictRecord) {
        if verdict.denied && verdict.mode == Mode::Enforce {
            let reason = verdict.reasons.first().map(|reason| reason.code.to_string()).unwrap_or_default();
            self.refused = Some((verdict.guard.to_string(), reason));
        }
    }

    fn denied(&mut self, _: &Operation, _: &'static str, _: Mode, _: &str) {}

    fn is_unknown(&mut self, violation: &Violation) -> bool {
        match violation.place {
            Place::Header => !self.recorded.knows_header(&violation.name.to_ascii_lowercase()),
            Place::Cookie => !self.recorded.knows_header("cookie"),
            Place::Query => {
                let hidden = self.recorded.hidden.contains(&violation.name);
                if hidden && violation.keyword != "unknown" {
                    self.doubts.push(Doubt::Hidden);
                }
                hidden && violation.keyword != "unknown"
            }
            Place::Body => {
                let hidden = self.recorded.hidden_in_body();
                hidden.iter().any(|hidden| depends_on(violation, hidden))
            }
            _ => false,
        }
    }
}

/// Whether a violation in a body may be due to what stands for the hidden value at this place.
fn depends_on(violation: &Violation, hidden: &str) -> bool {
    let is_within = |place: &str, whole: &str| {
        place.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // The type is kept, and so are an object's members and an array's length around it. All else may look into what it holds.
    let shape = ["type", "required", "minProperties", "maxProperties", "minItems", "maxItems"];
    // Whether these ask at all may hang on any value.
    let conditional = ["/then/", "/else/", "/dependentSchemas/"];
    if conditional.iter().any(|part| violation.schema_pointer.contains(part)) {
        return true;
    }
    let place = violation.name.as_str();
    if place == hidden {
        return violation.keyword != "type";
    }
    is_within(place, hidden) || (is_within(hidden, place) && !shape.contains(&violation.keyword.as_str()))
}

// === impl Doubt ===

impl Doubt {
    fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials that were not asked for are not known",
            Self::Hidden => "values of the query are not recorded, for their names are sensitive",
            Self::Headers => "headers that the contract names are not recorded",
            Self::Body => "the body is not recorded",
            Self::Rules => "what a rule reads is not recorded",
            Self::Attacks => "the bytes that rules of `waf` look at are not recorded",
            Self::HiddenInBody => "values in the body are not recorded, for they are secrets",
        }
    }
}

/// The rules that are asked, and how far they may go.
fn rules(operation: &Operation) -> Option<(Mode, Arc<Rules>)> {
    let rules = operation.rules.as_ref()?;
    let (mode, _) = operation.guards.iter().find(|(_, guard)| guard.name() == rules.name())?;
    Some((*mode, rules.clone()))
}

/// Whether the event tells what a rule reads.
fn is_recorded(read: Read<'_>, exchange: &Exchange<'_>, recorded: &Recorded) -> bool {
    match read {
        Read::Header(Some(name)) => recorded.knows_header(name),
        Read::Header(None) => false,
        Read::Query(Some(name)) => !recorded.hidden.iter().any(|hidden| hidden == name),
        Read::Query(None) => recorded.hidden.is_empty(),
        // Nobody has neither.
        Read::Claim | Read::Variable("principal.scopes") => exchange.principal.is_none(),
        // A proxy may have said that the caller came another way.
        Read::Variable("request.scheme") => false,
        Read::Variable(_) => true,
    }
}

/// Why an evaluator cannot be made.
#[derive(Debug)]
pub enum EvaluatorError {
    /// The configuration is wrong.
    Config(Diagnostics),
    /// The system refused.
    System(GatewayError),
}

/// Whether a call's event tells enough to judge it again.
fn is_call(event: &Event) -> bool {
    event.kind == haechi_events::Kind::Request && !event.method.is_empty() && !event.path.is_empty()
}

/// Whether it stands for others that are not its like.
fn left_out(event: &Event) -> u64 {
    if event.outcome == Outcome::Refused { 0 } else { event.weight.saturating_sub(1) }
}
