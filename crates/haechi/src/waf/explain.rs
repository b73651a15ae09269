//! `haechi waf explain`: what happens to a request, rule by rule.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use haechi_seclang::{InterventionKind, Match, Transaction, Verdict};
use serde::Serialize;

use super::request::RawRequest;
use super::rules::RuleOptions;
use crate::output::{Failure, Format, json, line};

/// The most of a value that is shown, in bytes.
const SHOWN: usize = 96;

/// What suites of rules count in: the built-in rules, and the Core Rule Set.
const SCORES: [(&str, &str); 4] = [
    ("haechi_score", "haechi_threshold"),
    ("haechi_response_score", "haechi_threshold"),
    ("blocking_inbound_anomaly_score", "inbound_anomaly_score_threshold"),
    ("blocking_outbound_anomaly_score", "outbound_anomaly_score_threshold"),
];

/// Tell rule by rule what happens to a request.
///
/// Values are shown as rules saw them, after transformations and cut; those of credentials are not.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A file with one request as it would be on the wire
    #[arg(value_name = "REQUEST")]
    request: PathBuf,
    #[command(flatten)]
    rules: RuleOptions,
    /// Also rules that matched and do not log: those that count and prepare
    #[arg(long)]
    all: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Serialize)]
struct Explained {
    request: String,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused_by: Option<Refused>,
    scores: Vec<Score>,
    matches: Vec<Matched>,
}

#[derive(Serialize)]
struct Refused {
    /// Nought for a limit of the engine.
    rule: u64,
    phase: u8,
    status: u16,
    how: String,
}

#[derive(Serialize)]
struct Score {
    name: &'static str,
    score: String,
    threshold: String,
}

#[derive(Serialize)]
struct Matched {
    rule: u64,
    phase: u8,
    severity: &'static str,
    message: String,
    variable: String,
    value: String,
    tags: Vec<String>,
}

// === impl Explain ===

impl Explain {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let rules = self.rules.load("SecRequestBodyAccess On\n")?;
        let request = RawRequest::read(&self.request)?;
        let transaction = request.judge(&rules, &request.headers());
        let explained = Explained::of(&request, &transaction, self.all);
        match self.format {
            Format::Json => json(&explained)?,
            Format::Table => explained.show()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

// === impl Explained ===

impl Explained {
    fn of(request: &RawRequest, transaction: &Transaction, all: bool) -> Self {
        let told = |name: &str| {
            transaction.tx().get(name.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let scores = SCORES.iter().filter_map(|(name, threshold)| {
            Some(Score { name, score: told(name)?, threshold: told(threshold).unwrap_or_default() })
        });
        let refused_by = transaction.would_refuse().map(|refused| Refused {
            rule: refused.rule,
            phase: refused.phase,
            status: refused.status,
            how: match &refused.kind {
                InterventionKind::Deny => "denied".to_owned(),
                InterventionKind::Drop => "the connection is closed".to_owned(),
                InterventionKind::Redirect(to) => format!("sent to {to}"),
                InterventionKind::Limit(which) => format!("beyond the limit of {which}"),
            },
        });
        let verdict = match (transaction.verdict(), &refused_by) {
            (Verdict::Refuse(_), _) => "block",
            (Verdict::Pass, Some(_)) => "would block",
            (Verdict::Pass, None) => "pass",
        };
        Self {
            request: format!("{} {}", request.method.escape_ascii(), shown("target", &request.target)),
            verdict,
            refused_by,
            scores: scores.collect(),
            matches: transaction.matches().iter().filter(|one| one.log || all).map(matched).collect(),
        }
    }

    fn show(&self) -> Result<(), Failure> {
        line(&self.request)?;
        for one in &self.matches {
            let severity = one.severity.to_ascii_lowercase();
            let message = if one.message.is_empty() { "no message" } else { &one.message };
            line(&format!("\n{} in phase {}: {message}", one.rule, one.phase))?;
            if !one.variable.is_empty() {
                line(&format!("  {} = {}", one.variable, one.value))?;
            }
            let tags = if one.tags.is_empty() { String::new() } else { format!("  {}", one.tags.join(", ")) };
            if !(severity.is_empty() && tags.is_empty()) {
                line(format!("  {severity}{tags}").trim_end())?;
            }
        }
        if self.matches.is_empty() {
            line("\nno rule matches")?;
        }
        line("")?;
        for score in &self.scores {
            line(&format!("{}: {} of {}", score.name, score.score, score.threshold))?;
        }
        match &self.refused_by {
            None => line("verdict: pass"),
            Some(by) => line(&format!(
                "verdict: {}, by {} in phase {}, with {}: {}",
                self.verdict, by.rule, by.phase, by.status, by.how
            )),
        }
    }
}

fn matched(one: &Match) -> Matched {
    let value = shown(&one.variable, &one.value);
    // What is hidden as a value does not stand in the message either.
    let secret = String::from_utf8_lossy(&one.value);
    let hidden = value == HIDDEN && !secret.is_empty();
    let message = if hidden { one.message.replace(&*secret, HIDDEN) } else { one.message.clone() };
    Matched {
        rule: one.rule,
        phase: one.phase,
        severity: one.severity.map(haechi_seclang::Severity::name).unwrap_or_default(),
        message,
        variable: one.variable.clone(),
        value,
        tags: one.tags.iter().map(|tag| tag.to_string()).collect(),
    }
}

/// What stands for a value that is not shown.
const HIDDEN: &str = "…";

/// A value as it may be shown: cut, in one line, and not at all if its name or its looks say that it is a secret.
fn shown(variable: &str, value: &[u8]) -> String {
    let name = variable.split_once(':').map_or(variable, |(_, name)| name);
    let text = String::from_utf8_lossy(value);
    let written =
        haechi_events::redact_query(std::iter::once((name, &*text)), name.len() * 3 + value.len() * 3 + 8);
    let cookie = ["cookie", "set-cookie"].iter().any(|header| name.eq_ignore_ascii_case(header));
    if cookie || written.ends_with("=…") {
        return HIDDEN.to_owned();
    }
    let cut = value.get(..SHOWN).unwrap_or(value);
    let more = if cut.len() < value.len() { format!("… ({} bytes)", value.len()) } else { String::new() };
    format!("{}{more}", readable(cut))
}

/// Text as it is, whatever else is there escaped.
fn readable(value: &[u8]) -> String {
    let mut out = String::new();
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (variable, value) in [
            ("REQUEST_HEADERS:Authorization", "Custom abc"),
            ("REQUEST_HEADERS:Cookie", "sid=abc"),
            ("ARGS:json.user.password", "hunter2' or 1=1"),
            ("ARGS:q", "Bearer abc"),
        ] {
            assert_eq!(shown(variable, value.as_bytes()), HIDDEN, "{variable}");
        }
        assert_eq!(shown("ARGS:q", "김치 ' or 1=1".as_bytes()), "김치 ' or 1=1");
    }

    #[test]
    fn long_and_unreadable_values_stay_on_a_line() {
        assert_eq!(shown("ARGS:q", b"a\r\n\xff\x1b"), "a\\r\\n\\xff\\u{1b}");
        assert_eq!(shown("ARGS:q", &[b'a'; 200]), format!("{}… (200 bytes)", "a".repeat(SHOWN)));
    }
}
