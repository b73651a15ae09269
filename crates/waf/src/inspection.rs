//! One call, asked of the rules phase by phase.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use haechi_guard::{Denial, Exchange, Mode, Reason, Verdict as Word};
use haechi_seclang::{InterventionKind, Request, Transaction, Verdict};
use http::{HeaderMap, StatusCode};

use crate::policy::Waf;

/// The most matches that are told of one call: an attack fires tens of rules, and each is some hundred bytes of the event.
const FOUND: usize = 48;

/// What callers are told of a refused request: nothing that would help to find a way around a rule.
const DETAIL: &str = "The request is refused.";

/// The same of a refused response.
const RESPONSE_DETAIL: &str = "The service's response is refused.";

/// Variables without a name of their own whose value can be told: they hold no value of a caller's form, header or document.
const PLAIN: [&str; 7] = [
    "REQUEST_METHOD",
    "REQUEST_PROTOCOL",
    "REQUEST_FILENAME",
    "REQUEST_BASENAME",
    "RESPONSE_STATUS",
    "REQUEST_BODY_LENGTH",
    "FILES_COMBINED_SIZE",
];

/// What a request was, byte by byte, beside its canonical form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The path as it was sent.
    pub path: &'a [u8],
    /// The query as it was sent, without `?`.
    pub query: Option<&'a [u8]>,
    /// The request's id.
    pub id: &'a str,
}

/// Which part of a call is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// One call in progress.
#[derive(Debug)]
pub struct Inspection {
    waf: Arc<Waf>,
    transaction: Transaction,
    /// Whether a refusal was told. What is only observed goes on, and is told once.
    told: bool,
}

/// What was found in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The anomaly score of the request.
    pub score: u64,
    /// That of the response.
    pub outbound: u64,
    /// The rules that matched, in order; at most some dozens.
    pub found: Vec<Found>,
}

/// A rule that matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The rule's id.
    pub rule: u64,
    /// What it says.
    pub message: String,
    /// The variable that matched: `ARGS:q`.
    pub variable: String,
    /// Its value, transformed; nothing where it may hold more than one value of a caller.
    pub value: Option<String>,
}

// === impl Waf ===

impl Waf {
    /// Begins to ask the rules of one call. What is only observed is asked on after a refusal, so that all is recorded.
    pub fn begin(self: &Arc<Self>, mode: Mode, exchange: &Exchange<'_>, seen: Seen<'_>) -> Inspection {
        let mut target = Vec::with_capacity(seen.path.len() + 1 + seen.query.map_or(0, <[u8]>::len));
        target.extend_from_slice(seen.path);
        if let Some(query) = seen.query {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        let protocol: &[u8] = match exchange.arrival.protocol {
            "2" => b"HTTP/2.0",
            "1.0" => b"HTTP/1.0",
            _ => b"HTTP/1.1",
        };
        let headers: Vec<(&[u8], &[u8])> =
            exchange.headers.iter().map(|field| (field.name, field.value)).collect();
        let request = Request {
            method: exchange.method.as_str().as_bytes(),
            target: &target,
            protocol,
            headers: &headers,
            client: (exchange.client, 0),
            unique_id: seen.id,
            now: micros(exchange.now),
            ..Request::default()
        };
        let mut transaction = self.rules.begin(&request);
        if mode == Mode::Observe {
            transaction.observe();
        }
        Inspection { waf: self.clone(), transaction, told: false }
    }
}

// === impl Inspection ===

impl Inspection {
    /// Judges the head of the request.
    pub fn head(&mut self) -> Word {
        let verdict = self.transaction.request_head();
        self.word(&verdict, Phase::Request)
    }

    /// Whether rules look at the request's body.
    pub fn wants_body(&self) -> bool {
        self.transaction.wants_request_body()
    }

    /// Judges the request with its body: the empty one if there is none, or if nobody may read it.
    ///
    /// Takes time that grows with the body; for what is large, not on a thread that serves others.
    pub fn body(&mut self, body: &[u8]) -> Word {
        let verdict = self.transaction.request_body(body);
        self.word(&verdict, Phase::Request)
    }

    /// Whether a refusal was told already, of a call that went on.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Whether responses are looked at.
    pub fn wants_response(&self) -> bool {
        self.waf.policy().responses
    }

    /// Judges the head of the response.
    pub fn response_head(&mut self, status: StatusCode, headers: &HeaderMap) -> Word {
        let fields: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())).collect();
        let verdict = self.transaction.response_head(status.as_u16(), b"HTTP/1.1", &fields);
        self.word(&verdict, Phase::Response)
    }

    /// Whether rules look at a response of this type.
    pub fn wants_response_body(&self) -> bool {
        self.wants_response() && self.transaction.wants_response_body()
    }

    /// Judges the response with its body: the empty one where it is not looked at. Takes time like [`Self::body`].
    pub fn response_body(&mut self, body: &[u8]) -> Word {
        let verdict = self.transaction.response_body(body);
        self.word(&verdict, Phase::Response)
    }

    /// What was found so far.
    pub fn findings(&self) -> Findings {
        let score = |name: &[u8]| {
            let text = self.transaction.tx().get(name)?;
            std::str::from_utf8(text).ok()?.parse::<u64>().ok()
        };
        let mut found: Vec<Found> = Vec::new();
        for one in self.transaction.matches().iter().filter(|one| one.log) {
            if found.len() >= FOUND {
                break;
            }
            let (collection, name) = one.variable.split_once(':').unwrap_or((&one.variable, ""));
            let told = !name.is_empty() || PLAIN.contains(&collection);
            found.push(Found {
                rule: one.rule,
                message: one.message.clone(),
                variable: one.variable.clone(),
                value: told.then(|| String::from_utf8_lossy(&one.value).into_owned()),
            });
        }
        Findings {
            score: score(b"blocking_inbound_anomaly_score").max(score(b"haechi_score")).unwrap_or_default(),
            outbound: score(b"blocking_outbound_anomaly_score")
                .max(score(b"haechi_response_score"))
                .unwrap_or_default(),
            found,
        }
    }

    /// The call has ended: what rules keep for later calls is kept.
    pub fn finish(mut self, now: SystemTime) -> Findings {
        self.transaction.finish(micros(now));
        self.findings()
    }

    fn word(&mut self, verdict: &Verdict, phase: Phase) -> Word {
        let Verdict::Refuse(intervention) = verdict else { return Word::Allow };
        if std::mem::replace(&mut self.told, true) {
            return Word::Allow;
        }
        let by = self.transaction.matches().iter().rev().find(|one| one.rule == intervention.rule);
        let reason = match &intervention.kind {
            InterventionKind::Limit(which) => {
                Reason::new("waf-limit", format!("more than rules look at: {which}"))
            }
            _ => {
                let said = by.map(|one| one.message.as_str()).filter(|said| !said.is_empty());
                let said = said.unwrap_or("a rule refuses it");
                let reason = Reason::new("waf-rule", said).rule(intervention.rule.to_string());
                match by.map(|one| one.variable.as_str()).filter(|variable| !variable.starts_with("TX")) {
                    Some(variable) => reason.at(variable),
                    None => reason,
                }
            }
        };
        // How rules would have the call end is the operator's word as far as callers learn nothing by it: a refusal is a refusal.
        let status = StatusCode::from_u16(intervention.status).ok().filter(StatusCode::is_client_error);
        let status = match phase {
            Phase::Request => status.unwrap_or(StatusCode::FORBIDDEN),
            Phase::Response => StatusCode::BAD_GATEWAY,
        };
        let (problem, detail) = match phase {
            Phase::Request if matches!(intervention.kind, InterventionKind::Limit(_)) => {
                ("body-too-large", "The request is larger than what is taken here.")
            }
            Phase::Request => ("request-refused", DETAIL),
            Phase::Response => ("response-refused", RESPONSE_DETAIL),
        };
        Denial::new(status, problem, detail, reason).into()
    }
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
