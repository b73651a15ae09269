//! What differs, counted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use haechi_events::{Event, KeptRequest, RequestId};
use serde::Serialize;

use super::recorded::Recorded;
use super::{Decision, Doubt, Evaluator, Judged, is_call, left_out};

/// Events are recorded when they end and judged in the order in which they began: so many are held to put them in order. Of calls that
/// last longer than the next so many take, the order is not restored, which only rates could notice.
const ORDER: usize = 50_000;
/// Calls that are named for each difference.
const EXAMPLES: usize = 3;

/// Recorded calls judged by two configurations.
pub struct Replay {
    active: Evaluator,
    candidate: Evaluator,
    /// Requests that were kept, until their events come.
    kept: HashMap<RequestId, KeptRequest>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    report: Tallied,
}

/// An event that waits for earlier ones.
struct Waiting(u64, u64, Box<Event>);

/// API, operation, and the two decisions.
type Kind = (String, String, Decision, Decision);

/// What was found so far.
#[derive(Default)]
struct Tallied {
    requests: u64,
    left_out: u64,
    same: u64,
    with_body: u64,
    differences: BTreeMap<Kind, (u64, Vec<String>)>,
    unjudged: BTreeMap<(String, String, &'static str), u64>,
    first: Option<u64>,
    last: Option<u64>,
    number: u64,
}

/// What a candidate would decide differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Digest of the configuration that was compared with.
    pub active: String,
    /// Digest of the candidate.
    pub candidate: String,
    /// Beginning of the first call that was read, in Unix microseconds.
    pub from_us: Option<u64>,
    /// Beginning of the last.
    pub to_us: Option<u64>,
    /// Recorded calls.
    pub requests: u64,
    /// Of those, how many would be decided alike.
    pub same: u64,
    /// How many of all that were judged were judged with a recorded body.
    pub with_body: u64,
    /// How many would be decided differently.
    pub different: u64,
    /// What would be decided differently, the most frequent first.
    pub differences: Vec<Difference>,
    /// What cannot be judged by what was recorded, where it could make a difference.
    pub unjudged: Vec<Unjudged>,
    /// Calls whose events were left out under load.
    pub left_out: u64,
}

/// Calls that would be decided differently, all in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The API; `-` if none serves the call.
    pub api: String,
    /// The operation; `-` if none does.
    pub operation: String,
    /// What the active configuration decides: `admitted`, or `401 identity:key-unknown`.
    pub from: String,
    /// What the candidate decides.
    pub to: String,
    /// How many.
    pub count: u64,
    /// Ids of some of them.
    pub examples: Vec<String>,
}

/// Calls that cannot be judged, all for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// The API.
    pub api: String,
    /// The operation.
    pub operation: String,
    /// Why.
    pub why: String,
    /// How many.
    pub count: u64,
}

// === impl Replay ===

impl Replay {
    /// Two configurations, and no calls yet.
    pub fn new(active: Evaluator, candidate: Evaluator) -> Self {
        Self {
            active,
            candidate,
            kept: HashMap::new(),
            waiting: BinaryHeap::new(),
            report: Tallied::default(),
        }
    }

    /// Takes a request that was kept, before its event. All are held in memory, as many as `events.requests.max_size` lets there be.
    pub fn keep(&mut self, request: KeptRequest) {
        self.kept.insert(request.id, request);
    }

    /// Takes an event. Those that are no calls are left aside.
    pub fn feed(&mut self, event: Event) {
        if !is_call(&event) {
            return;
        }
        self.report.number += 1;
        self.waiting.push(Reverse(Waiting(event.time_us, self.report.number, Box::new(event))));
        if self.waiting.len() > ORDER {
            self.next();
        }
    }

    /// What was found of all of them.
    pub fn finish(mut self) -> Report {
        while !self.waiting.is_empty() {
            self.next();
        }
        let tallied = self.report;
        let mut differences: Vec<_> = tallied
            .differences
            .into_iter()
            .map(|((api, operation, from, to), (count, examples))| Difference {
                api,
                operation,
                from: from.to_string(),
                to: to.to_string(),
                count,
                examples,
            })
            .collect();
        differences.sort_by_key(|difference| Reverse(difference.count));
        let mut unjudged: Vec<_> = tallied
            .unjudged
            .into_iter()
            .map(|((api, operation, why), count)| Unjudged { api, operation, why: why.to_owned(), count })
            .collect();
        unjudged.sort_by_key(|unjudged| Reverse(unjudged.count));
        Report {
            active: self.active.digest().to_owned(),
            candidate: self.candidate.digest().to_owned(),
            from_us: tallied.first,
            to_us: tallied.last,
            requests: tallied.requests,
            same: tallied.same,
            with_body: tallied.with_body,
            different: differences.iter().map(|difference| difference.count).sum(),
            differences,
            unjudged,
            left_out: tallied.left_out,
        }
    }

    fn next(&mut self) {
        let Some(Reverse(Waiting(time, _, event))) = self.waiting.pop() else { return };
        let left_out = left_out(&event);
        let weight = event.weight.saturating_sub(left_out).max(1);
        let report = &mut self.report;
        report.requests += weight;
        report.left_out += left_out;
        report.first.get_or_insert(time);
        report.last = report.last.max(Some(time));
        // An event that stands for others does not tell their bodies.
        let kept = self.kept.remove(&event.id).filter(|_| weight == 1);
        let Some(recorded) = Recorded::read(&event, kept) else {
            let at = (event.api.to_string(), event.operation.to_string());
            *report.unjudged.entry((at.0, at.1, "a text was cut when it was recorded")).or_default() +=
                weight;
            return;
        };
        let (active, candidate) = (self.active.judge(&recorded), self.candidate.judge(&recorded));
        let doubt = self.doubt(&active, &candidate, &recorded);
        let report = &mut self.report;
        if doubt.is_none() && recorded.body.is_some() {
            report.with_body += weight;
        }
        match doubt {
            Some(doubt) => {
                let named = if *candidate.api == *"-" { &active } else { &candidate };
                let key = (named.api.to_string(), named.operation.to_string(), doubt.as_str());
                *report.unjudged.entry(key).or_default() += weight;
            }
            None if active.decision == candidate.decision => report.same += weight,
            None => {
                let named = if *active.api == *"-" { &candidate } else { &active };
                let key =
                    (named.api.to_string(), named.operation.to_string(), active.decision, candidate.decision);
                let (count, examples) = report.differences.entry(key).or_default();
                *count += weight;
                if examples.len() < EXAMPLES {
                    examples.push(event.id.to_string());
                }
            }
        }
    }

    /// Why it cannot be said whether both decide alike, if it cannot.
    fn doubt(&self, active: &Judged, candidate: &Judged, recorded: &Recorded) -> Option<Doubt> {
        // Who is defined otherwise might not be known as whom he was recorded.
        if let Some(principal) = &recorded.principal
            && candidate.accepts.iter().any(|name| **name == *principal.identity)
            && self.active.identity(&principal.identity) != self.candidate.identity(&principal.identity)
        {
            return Some(Doubt::Credentials);
        }
        // A credential that was not accepted may be one of another identity.
        let new =
            |judged: &Judged, other: &Judged| judged.accepts.iter().any(|name| !other.accepts.contains(name));
        if recorded.identity_refused.is_some()
            && active.decision == candidate.decision
            && new(candidate, active)
        {
            return Some(Doubt::Credentials);
        }
        // What is refused by one for something else than what is doubted is certain on that side; what is admitted is not.
        let open = |judged: &Judged, other: &Judged| match judged.decision {
            Decision::Admitted => judged.doubts_beside(other).min(),
            Decision::Refused { .. } => None,
        };
        let doubt = open(candidate, active).or_else(|| open(active, candidate))?;
        // One that is refused in any case by the other differs, whatever is not known, unless that is doubted as well.
        let certain = active.decision != candidate.decision && doubt != Doubt::Credentials;
        (!certain).then_some(doubt)
    }
}

// === impl Waiting ===

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

// === impl Decision ===

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Admitted => f.write_str("admitted"),
            Self::Refused { status, guard, reason } => write!(f, "{status} {guard}:{reason}"),
        }
    }
}
