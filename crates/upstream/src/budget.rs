//! How much of the traffic may be sent twice: a share of the calls, and a few a second beside.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::Millis;

/// A retry's price in tokens.
const PRICE: u64 = 1_000;

/// What may be saved up, in seconds of the floor.
const DEPTH: u64 = 10;

/// The rule of a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// Retries for each call, 0 to 1.
    pub share: f64,
    /// Retries a second whatever the traffic.
    pub floor: u32,
}

/// What is left for retries. One for an upstream, shared by all workers.
#[derive(Debug)]
pub(crate) struct Budget {
    tokens: AtomicU64,
    /// When the floor was last paid in.
    paid: AtomicU64,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(rule: &Allowance, now: Millis) -> Self {
        Self { tokens: AtomicU64::new(most(rule)), paid: AtomicU64::new(now.0) }
    }

    /// A call was made.
    pub(crate) fn earn(&self, rule: &Allowance) {
        if self.tokens.load(Relaxed) < most(rule) {
            #[expect(clippy::cast_possible_truncation, reason = "a share of PRICE")]
            self.tokens.fetch_add((rule.share.clamp(0.0, 1.0) * PRICE as f64) as u64, Relaxed);
        }
    }

    /// Pays for one retry, if there is enough.
    pub(crate) fn spend(&self, rule: &Allowance, now: Millis) -> bool {
        let paid = self.paid.load(Relaxed);
        let due = now.0.saturating_sub(paid).saturating_mul(u64::from(rule.floor));
        if due >= PRICE && self.paid.compare_exchange(paid, now.0, Relaxed, Relaxed).is_ok() {
            let room = most(rule).saturating_sub(self.tokens.load(Relaxed));
            self.tokens.fetch_add(due.min(room), Relaxed);
        }
        self.tokens.fetch_update(Relaxed, Relaxed, |tokens| tokens.checked_sub(PRICE)).is_ok()
    }

    /// Retries that could be made now.
    pub(crate) fn left(&self) -> u64 {
        self.tokens.load(Relaxed) / PRICE
    }
}

fn most(rule: &Allowance) -> u64 {
    u64::from(rule.floor.max(1)) * DEPTH * PRICE
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Allowance = Allowance { share: 0.2, floor: 2 };

    #[test]
    fn retries_are_a_share_of_the_calls() {
        let budget = Budget::new(&RULE, Millis(1));
        while budget.spend(&RULE, Millis(1)) {}
        for _ in 0..50 {
            budget.earn(&RULE);
        }
        assert_eq!(budget.left(), 10);
        assert_eq!((0..50).filter(|_| budget.spend(&RULE, Millis(1))).count(), 10);
    }

    #[test]
    fn a_few_are_allowed_whatever_the_traffic_and_not_saved_up_for_ever() {
        let budget = Budget::new(&RULE, Millis(1));
        assert_eq!((0..50).filter(|_| budget.spend(&RULE, Millis(1))).count(), 20);
        assert_eq!((0..50).filter(|_| budget.spend(&RULE, Millis(1_001))).count(), 2);
        assert_eq!((0..50).filter(|_| budget.spend(&RULE, Millis(3_600_000))).count(), 20);
    }
}
