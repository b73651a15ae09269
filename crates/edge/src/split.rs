//! Which part of an upstream a call goes to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use haechi_config::model::{self, Sticky};
use haechi_events::random;
use haechi_guard::Principal;
use haechi_upstream::{Deal, OutBody, Pools, Sent, Upstream};
use http::Request;
use http::uri::PathAndQuery;

use crate::addresses::network;

/// What parts leave, as events and metrics name it.
pub(crate) const MAIN: &str = "main";

/// What of an upstream's calls goes elsewhere.
#[derive(Debug)]
pub(crate) struct Split {
    sticky: Option<Sticky>,
    deal: Deal,
    /// Calls that were dealt, where each is by itself.
    dealt: AtomicU64,
    parts: Vec<Part>,
    /// Draws callers: the same for the same name in every worker, after a restart, and on every machine.
    key: [u8; 32],
}

/// A part, and where it goes.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: Arc<str>,
    /// Of a thousand calls.
    pub(crate) share: u16,
    pub(crate) upstream: Upstream,
}

/// Where one call goes.
#[derive(Clone, Copy)]
pub(crate) struct Dealt<'a> {
    main: &'a Upstream,
    part: Option<&'a Part>,
}

// === impl Split ===

impl Split {
    /// `parts` are those of `settings`, in their order.
    pub(crate) fn new(name: &str, settings: &model::UpstreamSplit, parts: Vec<Part>) -> Self {
        let shares: Vec<_> = parts.iter().map(|part| part.share).collect();
        let deal = if settings.sticky.is_some() { Deal::in_ranges(&shares) } else { Deal::in_turn(&shares) };
        // From anywhere: if every activation began anew, many in a row would favour who is first.
        let dealt = AtomicU64::new(random() >> 1);
        Self {
            sticky: settings.sticky,
            deal,
            dealt,
            parts,
            key: blake3::derive_key("haechi 2026 split of an upstream", name.as_bytes()),
        }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The word of what callers are known by.
    pub(crate) fn sticky(&self) -> Option<&'static str> {
        self.sticky.map(|sticky| match sticky {
            Sticky::Principal => "principal",
            Sticky::Credential => "credential",
            Sticky::Address => "address",
        })
    }

    /// The part of a call; nothing if it is main's.
    fn part(&self, principal: Option<&Principal>, client: IpAddr) -> Option<&Part> {
        let part = match self.sticky {
            None => self.deal.nth(self.dealt.fetch_add(1, Relaxed)),
            Some(sticky) => self.deal.of(self.draw(sticky, principal, client)),
        };
        self.parts.get(part?)
    }

    fn draw(&self, sticky: Sticky, principal: Option<&Principal>, client: IpAddr) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        match (sticky, principal) {
            (Sticky::Principal, Some(principal)) => {
                // A name means what its identity says it means.
                hasher
                    .update(principal.identity.as_bytes())
                    .update(b"\0")
                    .update(principal.subject.as_bytes());
            }
            (Sticky::Credential, Some(principal)) => {
                hasher.update(principal.credential.as_bytes());
            }
            _ => {
                hasher.update(network(client).to_string().as_bytes());
            }
        }
        let mut drawn = [0; 8];
        hasher.finalize_xof().fill(&mut drawn);
        u64::from_le_bytes(drawn)
    }
}

// === impl Dealt ===

impl<'a> Dealt<'a> {
    /// Where a call goes whose upstream may be split. A part of which no address is well leaves its calls to main.
    pub(crate) fn of(
        main: &'a Upstream,
        split: Option<&'a Split>,
        principal: Option<&Principal>,
        client: IpAddr,
    ) -> Self {
        Self { main, part: split.and_then(|split| split.part(principal, client)) }
    }

    /// Whose it is.
    pub(crate) fn part(&self) -> Option<&'a Part> {
        self.part
    }

    /// The upstream it is for.
    pub(crate) fn upstream(&self) -> &'a Upstream {
        self.part.map_or(self.main, |part| &part.upstream)
    }

    /// Sends it; and to main what its part cannot be given: no address of it is well, or the call never left. The part
    /// that it was sent to last is left in `self`.
    pub(crate) async fn send(
        &mut self,
        pools: &Pools,
        within: Duration,
        target: &PathAndQuery,
        request: Request<OutBody>,
        again: impl Fn() -> Option<Request<OutBody>>,
    ) -> Sent {
        let Some(part) = self.part else {
            return pools.send(self.main, within, target, request, again).await;
        };
        let (mut request, mut attempts, mut retries) = (request, 0, 0);
        let start = Instant::now();
        if part.upstream.is_well() {
            let mut sent = pools.send(&part.upstream, within, target, request, &again).await;
            match sent.unsent.take() {
                None => return sent,
                Some(unsent) => (request, attempts, retries) = (unsent, sent.attempts, sent.retries),
            }
        }
        self.part = None;
        let left = within.saturating_sub(start.elapsed());
        let mut sent = pools.send(self.main, left, target, request, again).await;
        sent.attempts += attempts;
        sent.retries += retries;
        sent
    }
}

#[cfg(test)]
mod tests {
    use haechi_guard::CredentialKind;
    use haechi_upstream::{ClientTls, Endpoint, Scheme};

    use super::*;

    fn part(share: u16) -> Part {
        let endpoint = Endpoint::new(Scheme::Http, "::1", 1, "").expect("an endpoint");
        let tls = ClientTls::web_roots().expect("roots");
        Part { name: "green".into(), share, upstream: Upstream::plain(endpoint, tls, Duration::from_secs(1)) }
    }

    fn split(sticky: Option<Sticky>, share: u16) -> Split {
        named("orders", sticky, share)
    }

    fn named(name: &str, sticky: Option<Sticky>, share: u16) -> Split {
        Split::new(name, &model::UpstreamSplit { sticky, parts: Vec::new() }, vec![part(share)])
    }

    fn caller(number: u32) -> (Principal, IpAddr) {
        let principal = Principal {
            identity: "customer".into(),
            subject: format!("subject-{number}").into(),
            credential: format!("credential-{number}").into(),
            kind: CredentialKind::Token,
            collection: None,
            client: None,
            scopes: Vec::new(),
            claims: serde_json::Map::new(),
        };
        (principal, IpAddr::from(number.to_be_bytes()))
    }

    /// The callers of ten thousand that are on the part.
    fn on(split: &Split) -> Vec<u32> {
        let is_on = |number: &u32| {
            let (principal, client) = caller(*number);
            split.part(Some(&principal), client).is_some()
        };
        (0..10_000).filter(is_on).collect()
    }

    #[test]
    fn callers_stay_where_they_are_and_a_share_that_grows_only_adds_to_them() {
        for sticky in [Sticky::Principal, Sticky::Credential, Sticky::Address] {
            let few = on(&split(Some(sticky), 100));
            let many = on(&split(Some(sticky), 500));
            assert!((850..1150).contains(&few.len()), "{sticky:?}: {}", few.len());
            assert!((4750..5250).contains(&many.len()), "{sticky:?}: {}", many.len());
            assert_eq!(few, on(&split(Some(sticky), 100)), "another snapshot, the same callers");
            assert!(few.iter().all(|one| many.contains(one)), "{sticky:?}");
            assert_ne!(few, on(&named("payments", Some(sticky), 100)), "another upstream, another draw");
        }
    }

    #[test]
    fn callers_are_known_by_what_the_setting_says() {
        let (one, other) = (caller(1), caller(2));
        let draw =
            |sticky, principal: Option<&Principal>, client| split(None, 0).draw(sticky, principal, client);
        let mixed = Principal { credential: other.0.credential.clone(), ..one.0.clone() };
        let by = |sticky, principal| draw(sticky, Some(principal), one.1);
        assert_eq!(by(Sticky::Principal, &one.0), by(Sticky::Principal, &mixed));
        assert_ne!(by(Sticky::Credential, &one.0), by(Sticky::Credential, &mixed));
        let foreign = Principal { identity: "partner".into(), ..one.0.clone() };
        assert_ne!(by(Sticky::Principal, &one.0), by(Sticky::Principal, &foreign));
        let at = |principal, client| draw(Sticky::Address, principal, client);
        assert_eq!(at(Some(&one.0), one.1), at(Some(&other.0), one.1));
        assert_ne!(at(Some(&one.0), one.1), at(Some(&one.0), other.1));
        // Without a credential, the address is all there is.
        assert_eq!(draw(Sticky::Principal, None, one.1), at(None, one.1));
        let v6 = |text: &str| at(None, text.parse().expect("an address"));
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
    }

    #[test]
    fn calls_that_are_dealt_by_themselves_are_dealt_exactly() {
        let split = split(None, 125);
        let (principal, client) = caller(1);
        for _ in 0..3 {
            let dealt = (0..1000).filter(|_| split.part(Some(&principal), client).is_some()).count();
            assert_eq!(dealt, 125);
        }
    }
}
