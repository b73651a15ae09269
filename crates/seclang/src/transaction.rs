//! One request and its response, judged phase by phase.

mod actions;
mod bodies;
mod data;
mod evaluate;
mod request;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::ast::{Allow, EngineMode};
use crate::names::{BodyProcessor, Collection, Severity};
use crate::operator::CAPTURES;
use crate::program::{Looked, PHASES};
use crate::rules::Rules;
use crate::store::{RecordKey, Store, StoreChange};
use crate::texts::{TextId, Texts};
use crate::vars::Vars;

pub(crate) use self::data::{Data, Found};

/// The most matches that are told of one transaction. An attack fires tens of rules; beyond this the rest adds nothing.
pub const MATCHES: usize = 1_000;
/// The longest value that a match tells, in bytes.
pub const TOLD: usize = 512;

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// As it was sent.
    pub method: &'a [u8],
    /// The request target, as it was sent.
    pub target: &'a [u8],
    /// `HTTP/1.1`
    pub protocol: &'a [u8],
    /// Names and values, in the order and case they were sent.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Who calls.
    pub client: (IpAddr, u16),
    /// Who is called.
    pub server: (IpAddr, u16),
    /// Names the transaction in logs.
    pub unique_id: &'a str,
    /// When it began, in microseconds since 1970.
    pub now: u64,
}

/// What the host should do with the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Pass,
    /// A rule refuses it.
    Refuse(Intervention),
}

/// A rule's word on a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// Which rule; nought for a limit of the engine.
    pub rule: u64,
    /// In which phase.
    pub phase: u8,
    /// With which status.
    pub status: u16,
    /// How.
    pub kind: InterventionKind,
}

/// How a transaction is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterventionKind {
    /// With an answer.
    Deny,
    /// By closing the connection.
    Drop,
    /// By sending the caller elsewhere.
    Redirect(String),
    /// What is judged is larger than a limit.
    Limit(&'static str),
}

/// A rule that matched and is to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The rule's id.
    pub rule: u64,
    /// In which phase.
    pub phase: u8,
    /// `msg`, filled in.
    pub message: String,
    /// `logdata`, filled in.
    pub data: String,
    /// `severity`
    pub severity: Option<Severity>,
    /// `tag`, filled in
    pub tags: Vec<Arc<str>>,
    /// The variable that matched last, `ARGS:name`.
    pub variable: String,
    /// Its value after transformations, at most [`TOLD`] bytes.
    pub value: Vec<u8>,
    /// Whether the rule refuses the transaction, or would if the engine were not only detecting.
    pub disruptive: bool,
    /// `log`
    pub log: bool,
    /// `auditlog`
    pub audit: bool,
}

/// One request and its response. See the [crate's documentation](crate) for its life.
pub struct Transaction {
    pub(crate) rules: Arc<Rules>,
    pub(crate) texts: Texts,
    pub(crate) data: Data,
    pub(crate) tx: Vars,
    pub(crate) mode: EngineMode,
    pub(crate) phase: u8,
    /// Rules that `ctl` took away, by index.
    pub(crate) removed: HashSet<u32>,
    /// Targets that `ctl` took away.
    pub(crate) narrowed: Vec<(Vec<u32>, Arc<Looked>)>,
    pub(crate) matched: Vec<(Vec<u8>, TextId)>,
    /// Memory for the values of a link.
    pub(crate) gathered: Vec<Found>,
    pub(crate) captures: Vec<Vec<u8>>,
    pub(crate) told: Told,
    persistent: Vec<Persistent>,
    store: Arc<dyn Store>,
    began: u64,
    pub(crate) processor: Option<BodyProcessor>,
    pub(crate) force_body: bool,
    pub(crate) request_body: bool,
    pub(crate) response_body: bool,
    audit: bool,
    allowed: Option<Allow>,
    verdict: Verdict,
    /// Whether rules are asked after a refusal, too.
    observed: bool,
    would: Option<Intervention>,
    matches: Vec<Match>,
    highest: Option<Severity>,
    /// Counts what a host may want to know of the engine's work.
    pub(crate) plain: bool,
    pub(crate) current: u32,
}

/// What the rule that is running found last.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// Of the first link: what the last one looked at may be what a link before it captured.
    pub(crate) variable: Vec<u8>,
    pub(crate) seen: Vec<u8>,
}

/// A persistent collection that the transaction uses.
struct Persistent {
    key: RecordKey,
    values: Vars,
    changes: Vec<(Vec<u8>, StoreChange)>,
}

// === impl Request ===

impl Default for Request<'_> {
    fn default() -> Self {
        let nobody = (IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            method: b"GET",
            target: b"/",
            protocol: b"HTTP/1.1",
            headers: &[],
            client: nobody,
            server: nobody,
            unique_id: "",
            now: 0,
        }
    }
}

// === impl Transaction ===

impl Transaction {
    pub(crate) fn new(rules: &Arc<Rules>, request: &Request<'_>, store: Arc<dyn Store>, plain: bool) -> Self {
        let settings = &rules.program.settings;
        let mut this = Self {
            texts: rules.take_texts(),
            data: Data::default(),
            tx: Vars::on(Arc::clone(&rules.program.initial)),
            mode: settings.mode,
            phase: 0,
            removed: HashSet::new(),
            narrowed: Vec::new(),
            matched: Vec::new(),
            gathered: Vec::new(),
            captures: Vec::with_capacity(CAPTURES),
            told: Told::default(),
            persistent: Vec::new(),
            store,
            began: request.now,
            processor: None,
            force_body: false,
            request_body: settings.request_body,
            response_body: settings.response_body,
            audit: true,
            allowed: None,
            verdict: Verdict::Pass,
            observed: false,
            would: None,
            matches: Vec::new(),
            highest: None,
            plain,
            current: 0,
            rules: Arc::clone(rules),
        };
        this.take_request(request);
        this
    }

    /// Asks rules on after a refusal, in this phase and the next: for hosts that only record what would be refused. What is decided stays
    /// what it would be, unlike in detection mode, where `allow` has no effect.
    pub fn observe(&mut self) {
        self.observed = true;
    }

    /// Phase 1.
    pub fn request_head(&mut self) -> Verdict {
        self.run(1)
    }

    /// Whether a body would be looked at.
    #[must_use]
    pub fn wants_request_body(&self) -> bool {
        self.request_body && self.mode != EngineMode::Off
    }

    /// Phase 2, with the body: the empty one if there is none.
    pub fn request_body(&mut self, body: &[u8]) -> Verdict {
        if self.wants_request_body() {
            self.take_body(body);
        }
        self.run(2)
    }

    /// Phase 3.
    pub fn response_head(&mut self, status: u16, protocol: &[u8], headers: &[(&[u8], &[u8])]) -> Verdict {
        self.take_response(status, protocol, headers);
        self.run(3)
    }

    /// Whether the body of the response would be looked at: the host need not hold it back otherwise.
    #[must_use]
    pub fn wants_response_body(&self) -> bool {
        self.response_body && self.mode != EngineMode::Off && self.is_looked_at()
    }

    /// Phase 4, with the body if [`Self::wants_response_body`].
    pub fn response_body(&mut self, body: &[u8]) -> Verdict {
        if self.wants_response_body() {
            self.take_response_body(body);
        }
        self.run(4)
    }

    /// Phase 5: whatever became of the transaction. Collections are given to the store. `now` is in microseconds since 1970.
    pub fn finish(&mut self, now: u64) {
        self.data.put(
            &mut self.texts,
            Collection::Duration,
            now.saturating_sub(self.began).to_string().as_bytes(),
        );
        self.run(5);
        let timeout = self.rules.program.settings.collection_timeout;
        for one in std::mem::take(&mut self.persistent) {
            self.store.change(&one.key, &one.changes, timeout, now / 1_000_000);
        }
    }

    fn run(&mut self, phase: u8) -> Verdict {
        // A host that leaves a phase out, or asks for one again, gets what has been decided.
        if phase <= self.phase || self.mode == EngineMode::Off {
            return self.verdict.clone();
        }
        self.phase = phase;
        let refused = self.verdict != Verdict::Pass && !self.observed;
        let allowed = match self.allowed {
            Some(Allow::All) => true,
            Some(Allow::Request) => phase <= 2,
            Some(Allow::Phase) | None => false,
        };
        if phase < 5 && (refused || allowed) {
            return self.verdict.clone();
        }
        self.allowed = self.allowed.filter(|reach| *reach != Allow::Phase);
        let rules = Arc::clone(&self.rules);
        let list = rules.program.phases.get(usize::from(phase) - 1).map(Vec::as_slice).unwrap_or_default();
        debug_assert!(usize::from(phase) <= PHASES);
        if self.plain {
            self.run_plainly(&rules, list);
        } else {
            crate::engine::run(self, &rules, list);
        }
        if self.texts.full {
            self.limit("texts");
        }
        self.verdict.clone()
    }

    /// Whether the phase goes on after what the last rule did.
    pub(crate) fn goes_on(&self) -> bool {
        self.mode != EngineMode::Off
            && (self.phase == 5 || self.verdict == Verdict::Pass || self.observed)
            && (self.allowed.is_none() || self.phase == 5)
    }

    /// What has been decided.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// What would have been decided first, had the engine not only been detecting.
    #[must_use]
    pub fn would_refuse(&self) -> Option<&Intervention> {
        match &self.verdict {
            Verdict::Refuse(intervention) => Some(intervention),
            Verdict::Pass => self.would.as_ref(),
        }
    }

    /// The rules that matched and are to be logged, in order.
    #[must_use]
    pub fn matches(&self) -> &[Match] {
        &self.matches
    }

    /// What rules wrote into TX.
    #[must_use]
    pub fn tx(&self) -> &Vars {
        &self.tx
    }

    /// Whether rules want the host to keep a record (`ctl:auditEngine`).
    #[must_use]
    pub fn wants_record(&self) -> bool {
        self.audit
    }

    /// What rules see under a name, for tools that explain: `ARGS`, or with a key.
    #[must_use]
    pub fn values(&mut self, collection: Collection) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        self.gather_all(collection, &mut found);
        found
            .iter()
            .map(|one| (self.texts.get(one.key).to_vec(), self.texts.get(one.value).to_vec()))
            .collect()
    }

    /// Something is larger than a limit that has no rule: it is refused, unless the engine only detects.
    pub(crate) fn limit(&mut self, which: &'static str) {
        let intervention = Intervention {
            rule: 0,
            phase: self.phase.max(1),
            status: 413,
            kind: InterventionKind::Limit(which),
        };
        self.refuse(intervention);
    }

    pub(crate) fn refuse(&mut self, intervention: Intervention) {
        match self.mode {
            EngineMode::On if self.verdict == Verdict::Pass => self.verdict = Verdict::Refuse(intervention),
            EngineMode::DetectionOnly if self.would.is_none() => self.would = Some(intervention),
            _ => {}
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.rules.give_texts(std::mem::take(&mut self.texts));
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction")
            .field("phase", &self.phase)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}
