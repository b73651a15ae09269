//! The guard that asks where a call comes from.

use std::sync::Arc;

use haechi_guard::{Denial, Exchange, Guard, Reason, Verdict};
use http::StatusCode;

use crate::list::{By, List};

/// What callers are told: an honest one behind another network learns what to do, and nobody which list it was.
const DETAIL: &str = "Calls from this address are not taken.";

/// What is written on one level: of all calls, of an API or service, of an operation.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// Callers in none of these are refused, unless it is empty.
    pub allow: Vec<Arc<List>>,
    /// Callers in one of these are refused.
    pub deny: Vec<Arc<List>>,
}

/// The lists of one operation, by level. No level takes back what another refuses, and `deny` wins over `allow`.
#[derive(Debug)]
pub struct ListsGuard(Vec<Level>);

// === impl ListsGuard ===

impl ListsGuard {
    /// The lists of one operation.
    pub fn new(levels: Vec<Level>) -> Self {
        Self(levels)
    }
}

impl Guard for ListsGuard {
    fn name(&self) -> &'static str {
        "lists"
    }

    fn judge(&self, exchange: &mut Exchange<'_>) -> Verdict {
        let arrival = &exchange.arrival;
        let find = |list: &Arc<List>| list.find(exchange.client, arrival.country, arrival.asn);
        let denied = |(list, by): (&Arc<List>, By)| {
            let detail = format!("the list `{}` holds the caller by {by}", list.name());
            Reason::new("listed", detail).rule(list.name())
        };
        let mut deny = self.0.iter().flat_map(|level| &level.deny);
        let listed = deny.find_map(|list| Some((list, find(list)?))).map(denied);
        let reason = listed.or_else(|| {
            let is_outside = |level: &&Level| {
                !level.allow.is_empty() && !level.allow.iter().any(|list| find(list).is_some())
            };
            let level = self.0.iter().find(is_outside)?;
            let names: Vec<_> = level.allow.iter().map(|list| list.name()).collect();
            let detail = format!("the caller is in none of the lists that may call: {}", names.join(", "));
            Some(Reason::new("not-listed", detail).rule(names.join(", ")))
        });
        match reason {
            Some(reason) => Denial::new(StatusCode::FORBIDDEN, "address-refused", DETAIL, reason).into(),
            None => Verdict::Allow,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use haechi_guard::Arrival;
    use haechi_wire::{CanonicalPath, Headers, Query};
    use http::Method;

    use super::*;
    use crate::list::ListBuilder;

    fn list(name: &str, network: &str) -> Arc<List> {
        let networks = vec![network.parse().expect("a network")];
        Arc::new(ListBuilder { networks, ..ListBuilder::default() }.build(name))
    }

    fn judge(levels: &[Level], client: &str) -> Option<(String, String)> {
        let path = CanonicalPath::parse(b"/").expect("a path");
        let mut exchange = Exchange {
            now: UNIX_EPOCH,
            client: client.parse().expect("an address"),
            method: &Method::GET,
            path: &path,
            query: &Query::default(),
            headers: &Headers::new(),
            arrival: Arrival::default(),
            channel: "",
            authority: None,
            api: "a",
            operation: "o",
            principal: None,
            response_headers: Vec::new(),
        };
        let denial = ListsGuard::new(levels.to_vec()).judge(&mut exchange).denial()?;
        assert_eq!((denial.status, denial.disclose), (StatusCode::FORBIDDEN, false));
        let reason = denial.reasons.first().expect("a reason");
        assert!(!denial.detail.contains(client), "{}", denial.detail);
        Some((reason.code.to_string(), reason.rule.clone().expect("a list")))
    }

    #[test]
    fn deny_wins_over_allow_and_no_level_takes_back_what_another_refuses() {
        let (ten, home) = (list("ten", "10.0.0.0/8"), list("home", "10.1.0.0/16"));
        let (bad, else_) = (list("bad", "10.1.1.0/24"), list("else", "192.0.2.0/24"));
        let all = Level { allow: vec![ten, else_], deny: vec![] };
        let one = Level { allow: vec![home.clone()], deny: vec![bad.clone()] };
        let levels = [all.clone(), Level::default(), one];
        let said = |code: &str, list: &str| Some((code.to_owned(), list.to_owned()));
        assert_eq!(judge(&levels, "10.1.2.3"), None);
        assert_eq!(judge(&levels, "10.1.1.3"), said("listed", "bad"));
        assert_eq!(
            judge(&levels, "10.2.0.1"),
            said("not-listed", "home"),
            "the operation's own list is narrower"
        );
        assert_eq!(judge(&levels, "192.0.2.1"), said("not-listed", "home"));
        assert_eq!(judge(&levels, "198.51.100.1"), said("not-listed", "ten, else"));
        // The operation's list does not let in whom the level above keeps out.
        let outside = [all, Level { allow: vec![list("far", "198.51.100.0/24")], deny: vec![] }];
        assert_eq!(judge(&outside, "198.51.100.1"), said("not-listed", "ten, else"));
        let both = [Level { allow: vec![home.clone()], deny: vec![home] }];
        assert_eq!(judge(&both, "10.1.2.3"), said("listed", "home"));
        assert_eq!(
            judge(&[Level { allow: vec![], deny: vec![bad] }], "::ffff:10.1.1.1"),
            said("listed", "bad")
        );
        assert_eq!(judge(&[], "10.1.1.1"), None);
    }
}
