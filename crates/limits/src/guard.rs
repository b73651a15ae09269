//! The guard that asks how much.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use haechi_guard::{Denial, Exchange, Guard, Reason, Verdict};
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::counters::Counters;
use crate::gcra::Rate;

/// The headers of draft-ietf-httpapi-ratelimit-headers-10.
const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How much a caller may do.
#[derive(Debug)]
pub struct Plan {
    /// Its name in `haechi.yaml`.
    name: Arc<str>,
    rate: Rate,
    per: Per,
    policy: Option<HeaderValue>,
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// All of one subject.
    Principal,
    /// All of one key or token.
    Credential,
    /// All of one address; of one /64 in IPv6.
    Address,
}

/// The plans of one operation.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    /// For identities without a plan of their own, and for callers without an identity.
    pub default: Option<Arc<Plan>>,
    /// By identity.
    pub by_identity: HashMap<Arc<str>, Arc<Plan>>,
}

/// Counts calls against plans. Made for one operation.
#[derive(Debug)]
pub struct LimitsGuard {
    plans: Plans,
    counters: Arc<Counters>,
}

// === impl Plan ===

impl Plan {
    /// A plan. Its name must stand in a header: other characters than visible ASCII become `-` there.
    pub fn new(name: &str, rate: Rate, per: Per) -> Self {
        let window = rate.window().as_secs_f64().ceil().max(1.0);
        let policy = format!("\"{}\";q={};w={window}", in_header(name), rate.burst());
        Self { name: name.into(), rate, per, policy: HeaderValue::from_str(&policy).ok() }
    }
}

fn in_header(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '-' }).collect()
}

// === impl LimitsGuard ===

impl LimitsGuard {
    /// A guard over these plans.
    pub fn new(plans: Plans, counters: Arc<Counters>) -> Self {
        Self { plans, counters }
    }

    fn plan(&self, exchange: &Exchange<'_>) -> Option<&Plan> {
        let identity = exchange.principal.as_ref().map(|principal| &principal.identity);
        let own = identity.and_then(|identity| self.plans.by_identity.get(identity));
        own.or(self.plans.default.as_ref()).map(|plan| &**plan)
    }
}

impl Guard for LimitsGuard {
    fn name(&self) -> &'static str {
        "limits"
    }

    fn judge(&self, exchange: &mut Exchange<'_>) -> Verdict {
        let Some(plan) = self.plan(exchange) else { return Verdict::Allow };
        let now = exchange.now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let key = caller(plan.per, exchange);
        let decision = self.counters.decide(&plan.name, &key, &plan.rate, now);
        let state = format!(
            "\"{}\";r={};t={}",
            in_header(&plan.name),
            decision.remaining,
            whole_seconds(decision.reset_after)
        );
        if let Ok(state) = HeaderValue::from_str(&state) {
            exchange.response_headers.push((RATELIMIT, state));
        }
        if let Some(policy) = &plan.policy {
            exchange.response_headers.push((RATELIMIT_POLICY, policy.clone()));
        }
        if decision.allowed {
            return Verdict::Allow;
        }
        let detail = format!("more calls than plan `{}` allows", plan.name);
        let reason = Reason::new("rate-exceeded", detail).rule(plan.name.to_string());
        let wait = whole_seconds(decision.retry_after).max(1);
        let told = "This caller has used up its rate; `Retry-After` says when to come back.";
        Denial::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", told, reason)
            .header(RETRY_AFTER, HeaderValue::from(wait))
            .into()
    }
}

/// Whose calls these are. The kinds cannot be mistaken for one another.
fn caller(per: Per, exchange: &Exchange<'_>) -> String {
    match (per, &exchange.principal) {
        (Per::Principal, Some(principal)) => format!("p {} {}", principal.identity, principal.subject),
        (Per::Credential, Some(principal)) => format!("c {} {}", principal.identity, principal.credential),
        (Per::Address, _) | (_, None) => format!("a {}", network(exchange.client)),
    }
}

/// An IPv6 caller owns its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Rounded up: a caller that waits this long is not refused again.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use haechi_guard::{CredentialKind, Principal};
    use haechi_wire::{CanonicalPath, Headers, Query};
    use http::Method;

    use super::*;

    fn plans(per: Per) -> LimitsGuard {
        let plan =
            |name, count| Arc::new(Plan::new(name, Rate::new(count, Duration::from_secs(1), count), per));
        let by_identity = HashMap::from([("partner".into(), plan("partners", 5))]);
        LimitsGuard::new(Plans { default: Some(plan("default", 2)), by_identity }, Arc::default())
    }

    type Told = Vec<(HeaderName, HeaderValue)>;

    fn call(
        guard: &LimitsGuard,
        client: &str,
        who: Option<(&str, &str, &str)>,
        now: SystemTime,
    ) -> (Verdict, Told) {
        let path = CanonicalPath::parse(b"/").expect("a path");
        let principal = who.map(|(identity, subject, credential)| {
            Arc::new(Principal {
                identity: identity.into(),
                subject: subject.into(),
                credential: credential.into(),
                kind: CredentialKind::Token,
                collection: None,
                client: None,
                scopes: Vec::new(),
                claims: Default::default(),
            })
        });
        let mut exchange = Exchange {
            now,
            client: client.parse().expect("an address"),
            method: &Method::GET,
            path: &path,
            query: &Query::default(),
            headers: &Headers::new(),
            arrival: haechi_guard::Arrival::default(),
            channel: "",
            authority: None,
            api: "a",
            operation: "o",
            principal,
            response_headers: Vec::new(),
        };
        let verdict = guard.judge(&mut exchange);
        (verdict, exchange.response_headers)
    }

    #[test]
    fn excess_is_refused_told_and_over_in_time() {
        let guard = plans(Per::Principal);
        let who = Some(("customer", "u1", "c1"));
        for remaining in ["\"default\";r=1;t=1", "\"default\";r=0;t=1"] {
            let (verdict, told) = call(&guard, "192.0.2.1", who, UNIX_EPOCH);
            assert_eq!(verdict, Verdict::Allow);
            assert_eq!(told[0], (RATELIMIT, HeaderValue::from_static(remaining)));
            assert_eq!(told[1], (RATELIMIT_POLICY, HeaderValue::from_static("\"default\";q=2;w=1")));
        }
        let (verdict, _) = call(&guard, "192.0.2.1", who, UNIX_EPOCH);
        let denial = verdict.denial().expect("refused");
        assert_eq!(
            (denial.status, denial.reasons[0].rule.as_deref()),
            (StatusCode::TOO_MANY_REQUESTS, Some("default"))
        );
        assert_eq!(denial.headers, [(RETRY_AFTER, HeaderValue::from(1))]);
        let later = UNIX_EPOCH + Duration::from_millis(500);
        assert_eq!(call(&guard, "192.0.2.1", who, later).0, Verdict::Allow);
    }

    #[test]
    fn an_identity_has_its_own_plan() {
        let guard = plans(Per::Principal);
        let allowed = |identity| {
            (0..10)
                .filter(|_| {
                    call(&guard, "192.0.2.1", Some((identity, "u", "c")), UNIX_EPOCH).0 == Verdict::Allow
                })
                .count()
        };
        assert_eq!((allowed("partner"), allowed("customer")), (5, 2));
    }

    #[test]
    fn calls_are_counted_by_subject_credential_or_address() {
        for (per, same, other) in [
            (Per::Principal, ("192.0.2.9", ("i", "u", "c9")), ("192.0.2.1", ("i", "u9", "c"))),
            (Per::Credential, ("192.0.2.9", ("i", "u9", "c")), ("192.0.2.1", ("i", "u", "c9"))),
            (Per::Address, ("192.0.2.1", ("i", "u9", "c9")), ("192.0.2.9", ("i", "u", "c"))),
        ] {
            let guard = plans(per);
            for _ in 0..2 {
                assert_eq!(call(&guard, "192.0.2.1", Some(("i", "u", "c")), UNIX_EPOCH).0, Verdict::Allow);
            }
            assert_ne!(call(&guard, same.0, Some(same.1), UNIX_EPOCH).0, Verdict::Allow, "{per:?}");
            assert_eq!(call(&guard, other.0, Some(other.1), UNIX_EPOCH).0, Verdict::Allow, "{per:?}");
        }
    }

    #[test]
    fn an_ipv6_caller_is_its_network() {
        let guard = plans(Per::Address);
        for last in 1..=2 {
            let address = format!("2001:db8::{last}");
            assert_eq!(call(&guard, &address, None, UNIX_EPOCH).0, Verdict::Allow);
        }
        assert_ne!(call(&guard, "2001:db8::3", None, UNIX_EPOCH).0, Verdict::Allow);
    }
}
