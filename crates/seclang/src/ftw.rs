//! Runs regression suites written for go-ftw against rules, in process.
//!
//! go-ftw sends requests to a server and reads its log. Here a request goes straight to the rules, and what they log is the log. The server is imagined: it
//! answers 200, reflects what `/reflect` asks for as the suite's own back end does, and refuses with 400 what RFC 9112 forbids to accept, where the suite
//! expects that; no rule is asked of what is refused. Elsewhere it passes on whatever is sent, since rules are what is tested.

mod server;
mod suite;

use std::sync::Arc;

use crate::rules::Rules;
use crate::transaction::{Match, Transaction, Verdict};

use self::server::Sent;
use self::suite::{Input, Log, Output};
pub use self::suite::{Overrides, Suite, SuiteError};

/// Runs suites against rules.
#[derive(Debug)]
pub struct Runner {
    rules: Arc<Rules>,
    overrides: Overrides,
    plainly: bool,
}

/// What became of suites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Stages that did what they should.
    pub passed: usize,
    /// Those that did not.
    pub failures: Vec<Failure>,
    /// Stages that were not run: their suite is switched off, or their override expects nothing.
    pub skipped: usize,
}

/// A stage that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `942100-1`
    pub test: String,
    /// What was expected and what happened.
    pub why: String,
}

/// What happened to a request.
#[derive(Debug)]
struct Seen {
    /// What the caller was told.
    status: u16,
    /// Whether the server refused it itself.
    refused: bool,
    /// The log, one line a match.
    log: String,
    /// The rules that logged.
    ids: Vec<u64>,
}

// === impl Runner ===

impl Runner {
    /// Runs against these rules.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, overrides: Overrides::default(), plainly: false }
    }

    /// Expects what these say instead of what the suite says.
    #[must_use]
    pub fn overrides(mut self, overrides: Overrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// Runs the plain interpreter instead of the engine.
    #[cfg(any(test, feature = "reference"))]
    #[must_use]
    pub fn plainly(mut self) -> Self {
        self.plainly = true;
        self
    }

    /// Runs every stage of a suite.
    pub fn run(&self, suite: &Suite, report: &mut Report) {
        for test in &suite.tests {
            for stage in &test.stages {
                let name = format!("{}-{}", suite.rule_id, test.test_id);
                let output = match self.overrides.of(suite.rule_id, test.test_id) {
                    _ if !suite.enabled() => None,
                    Some(instead) => instead,
                    None => Some(&stage.output),
                };
                let Some(output) = output else {
                    report.skipped += 1;
                    continue;
                };
                match self.stage(&stage.input, output) {
                    Ok(()) => report.passed += 1,
                    Err(why) => report.failures.push(Failure { test: name, why }),
                }
            }
        }
    }

    /// Calls `visit` with every request of a suite, and a transaction for it that has run to its end.
    pub fn visit(&self, suite: &Suite, visit: &mut dyn FnMut(&str, &mut Transaction)) {
        for test in &suite.tests {
            for stage in &test.stages {
                let sent = Sent::of(&stage.input);
                let (mut transaction, _) = self.transact(&sent);
                visit(&format!("{}-{}", suite.rule_id, test.test_id), &mut transaction);
            }
        }
    }

    fn stage(&self, input: &Input, output: &Output) -> Result<(), String> {
        let seen = self.send(
            input,
            output.status.is_some_and(|status| status >= 400) || output.expect_error == Some(true),
        );
        check(output, &seen)
    }

    /// Sends one request.
    fn send(&self, input: &Input, strict: bool) -> Seen {
        let sent = Sent::of(input);
        if let Some(status) = sent.refusal().filter(|_| strict) {
            return Seen { status, refused: true, log: String::new(), ids: Vec::new() };
        }
        let (transaction, status) = self.transact(&sent);
        let logged = transaction.matches().iter().filter(|one| one.log);
        let mut log = String::new();
        let mut ids = Vec::new();
        for one in logged {
            ids.push(one.rule);
            log.push_str(&line(one));
            log.push('\n');
        }
        Seen { status, refused: false, log, ids }
    }

    fn transact(&self, sent: &Sent) -> (Transaction, u16) {
        sent.request(|request| {
            let mut transaction = self.begin(request);
            let mut status = None;
            let mut note = |verdict: Verdict| {
                if let (None, Verdict::Refuse(intervention)) = (status, verdict) {
                    status = Some(intervention.status);
                }
            };
            note(transaction.request_head());
            note(transaction.request_body(&sent.body));
            let response = sent.response();
            let headers: Vec<(&[u8], &[u8])> =
                response.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
            note(transaction.response_head(response.status, b"HTTP/1.1", &headers));
            note(transaction.response_body(&response.body));
            transaction.finish(request.now + 1_000);
            (transaction, status.unwrap_or(response.status))
        })
    }

    #[cfg(any(test, feature = "reference"))]
    fn begin(&self, request: &crate::transaction::Request<'_>) -> Transaction {
        if self.plainly { self.rules.begin_plainly(request) } else { self.rules.begin(request) }
    }

    #[cfg(not(any(test, feature = "reference")))]
    fn begin(&self, request: &crate::transaction::Request<'_>) -> Transaction {
        debug_assert!(!self.plainly);
        self.rules.begin(request)
    }
}

/// A line as ModSecurity writes it: suites search it.
fn line(one: &Match) -> String {
    use std::fmt::Write;
    let mut out = format!("ModSecurity: Warning. [id \"{}\"] [msg \"{}\"]", one.rule, one.message);
    let _ = write!(out, " [data \"{}\"]", one.data);
    if let Some(severity) = one.severity {
        let _ = write!(out, " [severity \"{}\"]", severity.name());
    }
    for tag in &one.tags {
        let _ = write!(out, " [tag \"{tag}\"]");
    }
    // One match is one line, whatever was matched.
    out.replace('\r', "\\x0d").replace('\n', "\\x0a")
}

fn check(output: &Output, seen: &Seen) -> Result<(), String> {
    if output.expect_error == Some(true) {
        return if seen.refused { Ok(()) } else { Err("the server did not refuse the request".to_owned()) };
    }
    if let Some(status) = output.status
        && status != seen.status
    {
        return Err(format!("status {status} expected, {} seen", seen.status));
    }
    let Some(log) = &output.log else { return Ok(()) };
    let Log { expect_ids, no_expect_ids, match_regex, no_match_regex } = log;
    for id in expect_ids {
        if !seen.ids.contains(id) {
            return Err(format!("{id} expected, {:?} logged", seen.ids));
        }
    }
    for id in no_expect_ids {
        if seen.ids.contains(id) {
            let line =
                seen.log.lines().find(|line| line.contains(&format!("[id \"{id}\"]"))).unwrap_or_default();
            return Err(format!("{id} not expected: {line}"));
        }
    }
    for (pattern, wanted) in [(match_regex, true), (no_match_regex, false)] {
        let Some(pattern) = pattern else { continue };
        let regex = regex::bytes::RegexBuilder::new(pattern)
            .unicode(false)
            .build()
            .map_err(|error| error.to_string())?;
        if regex.is_match(seen.log.as_bytes()) != wanted {
            let told = if wanted { "expected" } else { "not expected" };
            return Err(format!("`{pattern}` {told} in the log: {}", seen.log));
        }
    }
    Ok(())
}
