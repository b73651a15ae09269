//! Which snapshot serves which part of the traffic.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use haechi_events::random;

use crate::addresses::network;
use crate::counts::Counts;
use crate::snapshot::Snapshot;

/// A part of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// All that is not dealt to a candidate.
    Production,
    /// The share of production's requests that is dealt to the candidate.
    Canary,
    /// What comes in on listeners with `stage: staging`.
    Staging,
}

/// How requests are dealt between production and a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dealing {
    /// Each by chance, whoever sends it.
    #[default]
    ByRequest,
    /// All of one address (IPv6: of one /64) alike, as long as the candidate is the same: a growing share only adds to those it had.
    ByAddress,
}

/// A snapshot that serves, and what it has served.
#[derive(Debug)]
pub struct Served {
    /// The part of the traffic.
    pub stage: Stage,
    /// What it is judged by.
    pub snapshot: Arc<Snapshot>,
    /// What was served.
    pub counts: Counts,
}

/// What serves: swapped as a whole.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) production: Arc<Served>,
    pub(crate) candidate: Option<Candidate>,
}

/// What may come after.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// On listeners with `stage: staging`.
    pub(crate) staging: Arc<Served>,
    /// On all others, for a share of the requests.
    pub(crate) canary: Option<Canary>,
}

/// A share of production's traffic.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub(crate) served: Arc<Served>,
    /// Of 2⁶⁴.
    share: u64,
    pub(crate) dealing: Dealing,
}

// === impl Stage ===

impl Stage {
    /// The word in events, metrics and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Canary => "canary",
            Self::Staging => "staging",
        }
    }
}

// === impl Served ===

impl Served {
    pub(crate) fn new(stage: Stage, snapshot: Arc<Snapshot>) -> Arc<Self> {
        Arc::new(Self { stage, snapshot, counts: Counts::default() })
    }
}

// === impl Serving ===

impl Serving {
    /// What serves the connections of a listener: its TLS, its limits, what of them is no request.
    pub(crate) fn connection(&self, listener: &str) -> &Arc<Served> {
        match &self.candidate {
            // A candidate that does not listen here leaves the connection to production, not its requests.
            Some(candidate)
                if self.is_staging(listener) == Some(true)
                    && candidate.staging.snapshot.listeners.contains_key(listener) =>
            {
                &candidate.staging
            }
            _ => &self.production,
        }
    }

    /// What serves one request of `client`.
    pub(crate) fn request(&self, listener: &str, client: IpAddr) -> &Arc<Served> {
        match &self.candidate {
            Some(candidate) if self.is_staging(listener) == Some(true) => &candidate.staging,
            Some(Candidate { canary: Some(canary), .. }) if canary.gets(client) => &canary.served,
            _ => &self.production,
        }
    }

    /// Whether the listener of this name takes staging's traffic; nothing if nobody listens there.
    pub(crate) fn is_staging(&self, listener: &str) -> Option<bool> {
        let candidate = self.candidate.as_ref().map(|candidate| &candidate.staging.snapshot);
        let known = self.production.snapshot.listeners.get(listener);
        // A listener that only the candidate has is open for staging alone.
        known
            .or_else(|| candidate?.listeners.get(listener).filter(|listener| listener.staging))
            .map(|known| known.staging)
    }
}

// === impl Canary ===

impl Canary {
    /// `share` is 0 to 1.
    pub(crate) fn new(snapshot: Arc<Snapshot>, share: f64, dealing: Dealing) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a float to an integer stops at its ends"
        )]
        let share = (share * u64::MAX as f64) as u64;
        Self { served: Served::new(Stage::Canary, snapshot), share, dealing }
    }

    fn gets(&self, client: IpAddr) -> bool {
        let place = match self.dealing {
            Dealing::ByRequest => random(),
            Dealing::ByAddress => place(&self.served.snapshot.digest, client),
        };
        place < self.share
    }
}

/// Where an address stands among all for this candidate: the same in every worker and after a restart.
fn place(digest: &str, client: IpAddr) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (digest, network(client)).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn an_address_stays_where_it_was_dealt_and_shares_only_grow() {
        let share = |part: u64| u64::MAX / 100 * part;
        let few: Vec<_> = (0..20_000).map(address).filter(|a| place("d", *a) < share(5)).collect();
        let many: Vec<_> = (0..20_000).map(address).filter(|a| place("d", *a) < share(50)).collect();
        assert!((800..1200).contains(&few.len()), "{}", few.len());
        assert!((9500..10_500).contains(&many.len()), "{}", many.len());
        assert!(few.iter().all(|address| many.contains(address)));
        let other: Vec<_> = (0..20_000).map(address).filter(|a| place("e", *a) < share(5)).collect();
        assert_ne!(few, other, "another candidate is another draw");
    }

    #[test]
    fn one_caller_of_ipv6_is_one_network() {
        let one = place("d", "2001:db8::1".parse().expect("an address"));
        assert_eq!(one, place("d", "2001:db8::ffff:1".parse().expect("an address")));
        assert_ne!(one, place("d", "2001:db8:0:1::1".parse().expect("an address")));
    }
}
