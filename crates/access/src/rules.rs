//! The guard that asks the operator's own rules.

use std::borrow::Cow;
use std::sync::Arc;

use haechi_expr::{Expression, Read};
use haechi_guard::{Denial, Exchange, Guard, Reason, Verdict};
use http::StatusCode;

/// What callers are told if the rule says nothing else.
const DETAIL: &str = "A rule of this service refuses the call.";

/// When a call is refused.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in `haechi.yaml`, which events tell.
    pub name: Arc<str>,
    /// When it refuses.
    pub when: Arc<Expression>,
    /// The same as it is written.
    pub text: Arc<str>,
    /// The response's status.
    pub status: StatusCode,
    /// What callers are told.
    pub detail: Option<Arc<str>>,
}

/// The rules of one operation, in order.
#[derive(Debug)]
pub struct Rules(Vec<Rule>);

// === impl Rule ===

impl Rule {
    fn judge(&self, exchange: &Exchange<'_>) -> Verdict {
        let reason = match self.when.holds(exchange) {
            Ok(false) => return Verdict::Allow,
            Ok(true) => Reason::new("rule", format!("the rule `{}` refuses the call", self.name)),
            Err(error) => Reason::new(
                "rule-error",
                format!("the rule `{}` cannot be told, and so refuses: {error}", self.name),
            ),
        };
        let detail = self.detail.as_ref().map_or(Cow::Borrowed(DETAIL), |detail| detail.to_string().into());
        Denial::new(self.status, "access-denied", detail, reason.rule(&*self.name)).into()
    }
}

// === impl Rules ===

impl Rules {
    /// The rules of one operation, in the order in which they are asked.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Whether the same calls are refused in the same way.
    pub fn same(&self, other: &Self) -> bool {
        let key = |rule: &Rule| (rule.name.clone(), rule.text.clone(), rule.status);
        self.0.iter().map(key).eq(other.0.iter().map(key))
    }

    /// Judges by those rules that read only what is known; also tells whether others were left out.
    pub fn judge_by(&self, exchange: &Exchange<'_>, known: impl Fn(Read<'_>) -> bool) -> (Verdict, bool) {
        let mut left_out = false;
        for rule in &self.0 {
            if !rule.when.reads_only(&known) {
                left_out = true;
                continue;
            }
            let verdict = rule.judge(exchange);
            if verdict != Verdict::Allow {
                return (verdict, left_out);
            }
        }
        (Verdict::Allow, left_out)
    }
}

impl Guard for Rules {
    fn name(&self) -> &'static str {
        "access"
    }

    fn judge(&self, exchange: &mut Exchange<'_>) -> Verdict {
        let mut verdicts = self.0.iter().map(|rule| rule.judge(exchange));
        verdicts.find(|verdict| *verdict != Verdict::Allow).unwrap_or(Verdict::Allow)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use haechi_guard::Arrival;
    use haechi_wire::{CanonicalPath, Headers, HeadersBuilder, Query};
    use http::Method;

    use super::*;

    fn rule(name: &str, when: &str, status: u16) -> Rule {
        Rule {
            name: name.into(),
            when: Arc::new(Expression::condition(when).expect("a condition")),
            text: when.into(),
            status: StatusCode::from_u16(status).expect("a status"),
            detail: None,
        }
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = HeadersBuilder::with_capacity(4, 64);
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers.finish()
    }

    fn on<T>(fields: &[(&str, &str)], judge: impl FnOnce(&mut Exchange<'_>) -> T) -> T {
        let path = CanonicalPath::parse(b"/a").expect("a path");
        let query = Query::parse(None, 8).expect("a query");
        let headers = headers(fields);
        judge(&mut Exchange {
            now: UNIX_EPOCH,
            client: std::net::Ipv4Addr::LOCALHOST.into(),
            authority: None,
            method: &Method::GET,
            path: &path,
            query: &query,
            headers: &headers,
            arrival: Arrival::default(),
            channel: "app",
            api: "shop",
            operation: "-",
            principal: None,
            response_headers: Vec::new(),
        })
    }

    fn told(verdict: Verdict) -> Option<(u16, String, String)> {
        let denial = verdict.denial()?;
        let reason = denial.reasons.first().expect("a reason");
        Some((denial.status.as_u16(), reason.code.to_string(), reason.rule.clone().unwrap_or_default()))
    }

    #[test]
    fn the_first_rule_that_holds_refuses_and_one_that_cannot_be_told_does_too() {
        let rules = Rules::new(vec![
            rule("never", "channel == 'web'", 403),
            rule("bots", "request.headers['user-agent'].startsWith('bot/')", 404),
            rule("all", "channel == 'app'", 410),
        ]);
        let judge = |fields: &[(&str, &str)]| told(on(fields, |exchange| rules.judge(exchange)));
        let said = |status, code: &str, rule: &str| Some((status, code.to_owned(), rule.to_owned()));
        assert_eq!(judge(&[("user-agent", "bot/1")]), said(404, "rule", "bots"));
        assert_eq!(judge(&[("user-agent", "me")]), said(410, "rule", "all"));
        assert_eq!(judge(&[]), said(404, "rule-error", "bots"), "absent");
        let twice = [("user-agent", "me"), ("User-Agent", "bot/1")];
        assert_eq!(judge(&twice), said(404, "rule-error", "bots"), "repeated");
        let one = Rules::new(vec![rule("never", "channel == 'web'", 403)]);
        assert_eq!(told(on(&[], |exchange| one.judge(exchange))), None);
    }

    #[test]
    fn a_rule_that_reads_what_is_not_known_is_left_out() {
        let rules =
            Rules::new(vec![rule("x", "'x-a' in request.headers", 403), rule("y", "channel == 'app'", 410)]);
        let known = |read: Read<'_>| read != Read::Header(Some("x-a"));
        let (verdict, left_out) = on(&[("x-a", "1")], |exchange| rules.judge_by(exchange, known));
        assert_eq!((told(verdict).map(|(status, ..)| status), left_out), (Some(410), true));
        let (verdict, left_out) = on(&[("x-a", "1")], |exchange| rules.judge_by(exchange, |_| true));
        assert_eq!((told(verdict).map(|(status, ..)| status), left_out), (Some(403), false));
    }
}
