//! What every caller has used, in bounded memory.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::gcra::{Decision, Rate};

/// Shards, each with its own lock: two workers meet in one in 64 calls.
const SHARDS: usize = 64;
/// Callers remembered in all: 1 million at some 40 bytes each.
const CAPACITY: usize = 1 << 20;

/// What every caller has used. Outlives snapshots.
///
/// Callers are kept by a 128-bit keyed hash, so that long names take no more memory than short ones. A caller whose
/// allowance is whole again is the same as one never seen, and is forgotten first. When all are still in debt, an
/// attacker with very many names makes us forget some early, which gives those a fresh burst; the count of such
/// evictions is in the metrics.
#[derive(Debug)]
pub struct Counters {
    shards: Box<[Mutex<HashMap<u128, u64>>]>,
    capacity: usize,
    hashers: [RandomState; 2],
    evicted: AtomicU64,
}

// === impl Counters ===

impl Default for Counters {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Counters {
    /// Counters for at most so many callers.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            capacity: (capacity / SHARDS).max(1),
            hashers: [RandomState::new(), RandomState::new()],
            evicted: AtomicU64::new(0),
        }
    }

    /// Decides on one call of the caller `key` under the plan `plan`, and counts it if it is allowed.
    pub fn decide(&self, plan: &str, key: &str, rate: &Rate, now: u64) -> Decision {
        let name = self.name(plan, key);
        let index = usize::try_from(name % SHARDS as u128).unwrap_or_default();
        let Some(shard) = self.shards.get(index) else { return rate.decide(0, now) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = shard.get_mut(&name) {
            let decision = rate.decide(*kept, now);
            *kept = decision.whole_at;
            return decision;
        }
        if shard.len() >= self.capacity {
            self.make_room(&mut shard, now);
        }
        let decision = rate.decide(0, now);
        shard.insert(name, decision.whole_at);
        decision
    }

    /// Callers that were forgotten while still in debt.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Callers that are remembered now.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    /// Whether no caller is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets the callers that owe nothing; if none does, an eighth of them.
    fn make_room(&self, shard: &mut HashMap<u128, u64>, now: u64) {
        shard.retain(|_, whole_at| *whole_at > now);
        if shard.len() >= self.capacity {
            let surplus = (self.capacity / 8).max(1);
            let victims: Vec<_> = shard.keys().take(surplus).copied().collect();
            for victim in &victims {
                shard.remove(victim);
            }
            self.evicted.fetch_add(victims.len() as u64, Ordering::Relaxed);
        }
    }

    fn name(&self, plan: &str, key: &str) -> u128 {
        let [one, other] = &self.hashers;
        (u128::from(one.hash_one((plan, key))) << 64) | u128::from(other.hash_one((plan, key)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn callers_and_plans_are_counted_apart() {
        let counters = Counters::default();
        let rate = Rate::new(1, Duration::from_secs(1), 1);
        assert!(counters.decide("p", "a", &rate, 1).allowed);
        assert!(!counters.decide("p", "a", &rate, 1).allowed);
        assert!(counters.decide("p", "b", &rate, 1).allowed);
        assert!(counters.decide("q", "a", &rate, 1).allowed);
        assert!(counters.decide("pa", "", &rate, 1).allowed);
    }

    #[test]
    fn memory_is_bounded_and_those_who_owe_nothing_go_first() {
        let counters = Counters::with_capacity(640);
        let rate = Rate::new(1, Duration::from_secs(1), 1);
        for caller in 0..100_000u64 {
            counters.decide("p", &caller.to_string(), &rate, 1 + caller * 10_000_000_000);
        }
        assert!(counters.len() <= 640);
        assert_eq!(counters.evicted(), 0, "all of them owed nothing any more");
        for caller in 0..10_000u64 {
            counters.decide("q", &caller.to_string(), &rate, u64::MAX / 2);
        }
        assert!(counters.len() <= 640);
        assert!(counters.evicted() > 0);
    }
}
