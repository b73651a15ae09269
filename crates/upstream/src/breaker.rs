//! The circuit breaker: when most calls fail, the next ones fail at once, and a few find out whether it is over.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Millis;

/// Bits for each of the two counts of a window; the rest number it.
const BITS: u32 = 20;
const MOST: u64 = (1 << BITS) - 1;

/// When calls are not sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerRule {
    /// The share of failed calls that opens it, 0 to 1.
    pub failures: f64,
    /// Calls of a window without which nothing is said.
    pub least_calls: u32,
    /// The time over which calls are counted.
    pub window: Duration,
    /// How long nothing is sent.
    pub open: Duration,
    /// Calls that try at once when that is over; as many successes close it.
    pub trials: u32,
}

/// A circuit breaker. One for an upstream, shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Number of the window, calls in it, failures among them: one number, so that they never disagree.
    counts: AtomicU64,
    /// Open until then; zero if closed.
    until: AtomicU64,
    trials: AtomicU32,
    successes: AtomicU32,
}

/// Leave to send a call.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    rule: BreakerRule,
    trial: bool,
}

// === impl Breaker ===

impl Breaker {
    /// Leave to send, or how long there is none.
    pub(crate) fn enter(&self, rule: &BreakerRule, now: Millis) -> Result<Pass<'_>, Duration> {
        let until = Millis(self.until.load(Relaxed));
        let pass = |trial| Pass { breaker: self, rule: *rule, trial };
        if until.0 == 0 {
            return Ok(pass(false));
        }
        if now < until {
            return Err(now.until(until));
        }
        let another = |trials: u32| (trials < rule.trials).then_some(trials + 1);
        match self.trials.fetch_update(Relaxed, Relaxed, another) {
            Ok(_) => Ok(pass(true)),
            Err(_) => Err(Duration::from_secs(1)),
        }
    }

    /// The word of its state.
    pub(crate) fn state(&self, now: Millis) -> &'static str {
        match self.until.load(Relaxed) {
            0 => "closed",
            until if now.0 < until => "open",
            _ => "half-open",
        }
    }

    /// Counts a call; the share of failures, and the calls it was taken from.
    fn count(&self, rule: &BreakerRule, failed: bool, now: Millis) -> (f64, u64) {
        let window = now.0 / u64::try_from(rule.window.as_millis().max(1)).unwrap_or(u64::MAX);
        let mut result = (0.0, 0);
        let _ = self.counts.fetch_update(Relaxed, Relaxed, |counts| {
            let same = counts >> (2 * BITS) == window & (u64::MAX >> (2 * BITS));
            let (calls, failures) = if same { ((counts >> BITS) & MOST, counts & MOST) } else { (0, 0) };
            // Full: the share stays what it was found to be.
            let (calls, failures) =
                if calls == MOST { (calls, failures) } else { (calls + 1, failures + u64::from(failed)) };
            result = (failures as f64 / calls as f64, calls);
            Some(window << (2 * BITS) | calls << BITS | failures)
        });
        result
    }

    fn open(&self, rule: &BreakerRule, now: Millis) {
        self.successes.store(0, Relaxed);
        self.counts.store(0, Relaxed);
        self.until.store(now.after(rule.open).0, Relaxed);
    }
}

// === impl Pass ===

impl Pass<'_> {
    /// How the call went.
    pub(crate) fn end(self, failed: bool, now: Millis) {
        let Self { breaker, rule, trial } = &self;
        if !trial {
            let (share, calls) = breaker.count(rule, failed, now);
            if failed && calls >= u64::from(rule.least_calls) && share >= rule.failures {
                breaker.open(rule, now);
            }
        } else if failed {
            breaker.open(rule, now);
        } else if breaker.successes.fetch_add(1, Relaxed) + 1 >= rule.trials {
            breaker.until.store(0, Relaxed);
            breaker.successes.store(0, Relaxed);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.breaker.trials.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: BreakerRule = BreakerRule {
        failures: 0.5,
        least_calls: 4,
        window: Duration::from_secs(10),
        open: Duration::from_secs(5),
        trials: 2,
    };

    fn call(breaker: &Breaker, failed: bool, now: u64) -> bool {
        match breaker.enter(&RULE, Millis(now)) {
            Ok(pass) => {
                pass.end(failed, Millis(now));
                true
            }
            Err(_) => false,
        }
    }

    fn open() -> Breaker {
        let breaker = Breaker::default();
        for failed in [false, true, false, true] {
            assert!(call(&breaker, failed, 1));
        }
        breaker
    }

    #[test]
    fn it_opens_at_its_share_and_says_for_how_long() {
        let breaker = open();
        assert_eq!(breaker.state(Millis(2)), "open");
        assert_eq!(breaker.enter(&RULE, Millis(2)).unwrap_err(), Duration::from_millis(4_999));
    }

    #[test]
    fn few_calls_or_calls_of_another_window_open_nothing() {
        let breaker = Breaker::default();
        for now in [1, 2, 3, 10_001, 10_002, 10_003] {
            assert!(call(&breaker, true, now));
        }
        assert_eq!(breaker.state(Millis(10_004)), "closed");
    }

    #[test]
    fn a_bounded_number_of_trials_closes_it() {
        let breaker = open();
        let (first, second) = (breaker.enter(&RULE, Millis(5_001)), breaker.enter(&RULE, Millis(5_001)));
        assert!(breaker.enter(&RULE, Millis(5_001)).is_err(), "two try at once, no third");
        first.unwrap().end(false, Millis(5_002));
        assert_eq!(breaker.state(Millis(5_002)), "half-open");
        second.unwrap().end(false, Millis(5_003));
        assert_eq!(breaker.state(Millis(5_003)), "closed");
    }

    #[test]
    fn a_trial_that_fails_opens_it_again_and_one_that_is_given_up_does_not_count() {
        let breaker = open();
        drop(breaker.enter(&RULE, Millis(5_001)));
        drop(breaker.enter(&RULE, Millis(5_001)));
        assert!(call(&breaker, true, 5_001));
        assert!(!call(&breaker, false, 10_000));
        assert!(call(&breaker, false, 10_001) && call(&breaker, false, 10_001));
        assert_eq!(breaker.state(Millis(10_001)), "closed");
    }
}
