//! How one address does: one for the process, shared by all workers, read and written without a lock.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Millis;

/// Longest text of a last error.
const ERROR: usize = 200;

/// When an address is left out because of how calls to it went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    /// Failures in a row.
    pub failures: u32,
    /// For how long, the first time; doubled each time it happens again soon.
    pub time: Duration,
    /// For how long at most.
    pub longest: Duration,
    /// The share of an upstream's addresses that may be left out, 0 to 1.
    pub at_most: f64,
}

/// How one address does.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Calls that failed in a row.
    failures: AtomicU32,
    /// Left out until then; zero if it is not. Past it, one call tries.
    until: AtomicU64,
    /// Times in a row that it was left out.
    ejections: AtomicU32,
    /// When it was last left out, until then.
    last: AtomicU64,
    /// One call is trying.
    trial: AtomicBool,
    /// Active checks say that it is not well.
    unwell: AtomicBool,
    /// Checks in a row that say the opposite of what holds.
    streak: AtomicU32,
    in_flight: AtomicU32,
    error: Mutex<Option<Box<str>>>,
}

/// Whether calls go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Yes.
    Good,
    /// It was left out for long enough: one call may try.
    Trial,
    /// No, because of how calls went.
    Ejected,
    /// No, because of active checks.
    Unwell,
}

// === impl Health ===

impl Health {
    pub(crate) fn standing(&self, now: Millis) -> Standing {
        if self.unwell.load(Relaxed) {
            return Standing::Unwell;
        }
        match self.until.load(Relaxed) {
            0 => Standing::Good,
            until if until > now.0 || self.trial.load(Relaxed) => Standing::Ejected,
            _ => Standing::Trial,
        }
    }

    /// Takes the one trial; false if another call was faster.
    pub(crate) fn claim_trial(&self) -> bool {
        !self.trial.swap(true, Relaxed)
    }

    pub(crate) fn end_trial(&self) {
        self.trial.store(false, Relaxed);
    }

    /// A call went well.
    pub(crate) fn succeeded(&self) {
        // Read first: the common case writes nothing that other workers have in their caches.
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.until.load(Relaxed) != 0 {
            self.until.store(0, Relaxed);
        }
    }

    /// The call that tries was answered: others may follow, and one more failure leaves it out again.
    pub(crate) fn promises(&self, rule: &Ejection) {
        self.failures.store(rule.failures.saturating_sub(1), Relaxed);
        self.until.store(0, Relaxed);
    }

    /// A call failed; whether it is now left out is decided where all addresses are in view.
    pub(crate) fn failed(&self, error: &str, trial: bool) {
        self.failures.fetch_add(1, Relaxed);
        if trial {
            // Its time begins anew, and is longer.
            self.until.store(0, Relaxed);
        }
        self.note(error);
    }

    /// Whether it has failed too often by this rule.
    pub(crate) fn is_outlier(&self, rule: &Ejection) -> bool {
        self.failures.load(Relaxed) >= rule.failures
    }

    /// Leaves it out for a while.
    pub(crate) fn eject(&self, rule: &Ejection, now: Millis) {
        // Served for long since the last time: the past is forgotten.
        let last = Millis(self.last.load(Relaxed));
        let times = if last.until(now) > rule.longest { 0 } else { self.ejections.load(Relaxed).min(16) };
        let time = rule.time.saturating_mul(1 << times).min(rule.longest);
        // Whoever is first counts.
        if self.until.compare_exchange(0, now.after(time).0, Relaxed, Relaxed).is_ok() {
            self.ejections.store(times + 1, Relaxed);
            self.last.store(now.after(time).0, Relaxed);
        }
    }

    /// What an active check says; `healthy` or `unhealthy` in a row change what holds.
    pub(crate) fn checked(&self, outcome: Result<(), &str>, (healthy, unhealthy): (u32, u32)) {
        let unwell = self.unwell.load(Relaxed);
        if let Err(error) = outcome {
            self.note(error);
        }
        if outcome.is_err() == unwell {
            self.streak.store(0, Relaxed);
            return;
        }
        let streak = self.streak.fetch_add(1, Relaxed) + 1;
        if streak >= if unwell { healthy } else { unhealthy } {
            self.unwell.store(!unwell, Relaxed);
            self.streak.store(0, Relaxed);
            if unwell {
                // What is checked to be well need not prove it again.
                self.succeeded();
            }
        }
    }

    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// Calls in flight, over all workers.
    pub(crate) fn load(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// Why the last call or check that failed did.
    pub(crate) fn error(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(str::to_owned)
    }

    fn note(&self, error: &str) {
        let text: String = error.chars().take(ERROR).collect();
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Ejection = Ejection {
        failures: 3,
        time: Duration::from_secs(5),
        longest: Duration::from_secs(15),
        at_most: 0.5,
    };
    const START: Millis = Millis(1_000);

    fn ejected() -> Health {
        let health = Health::default();
        for _ in 0..3 {
            assert!(!health.is_outlier(&RULE));
            health.failed("reset", false);
        }
        assert!(health.is_outlier(&RULE));
        health.eject(&RULE, START);
        health
    }

    #[test]
    fn one_call_tries_when_the_time_is_over() {
        let health = ejected();
        assert_eq!(health.standing(Millis(5_999)), Standing::Ejected);
        assert_eq!(health.standing(Millis(6_000)), Standing::Trial);
        assert!(health.claim_trial());
        assert!(!health.claim_trial());
        assert_eq!(health.standing(Millis(6_000)), Standing::Ejected);
        health.succeeded();
        health.end_trial();
        assert_eq!(health.standing(Millis(6_000)), Standing::Good);
    }

    #[test]
    fn the_time_grows_up_to_the_longest() {
        let health = ejected();
        let mut now = START;
        for seconds in [5, 10, 15, 15] {
            assert_eq!(health.standing(Millis(now.0 + seconds * 1_000 - 1)), Standing::Ejected);
            now = Millis(now.0 + seconds * 1_000);
            assert_eq!(health.standing(now), Standing::Trial);
            health.failed("again", true);
            health.eject(&RULE, now);
        }
        assert_eq!(health.error().as_deref(), Some("again"));
        // Long afterwards it begins anew.
        health.succeeded();
        let later = now.after(Duration::from_secs(60));
        health.eject(&RULE, later);
        assert_eq!(health.standing(later.after(Duration::from_secs(5))), Standing::Trial);
    }

    #[test]
    fn one_failure_after_a_trial_that_began_well_leaves_it_out_again() {
        let health = ejected();
        assert!(health.claim_trial());
        health.promises(&RULE);
        assert_eq!(health.standing(Millis(6_000)), Standing::Good);
        assert!(!health.is_outlier(&RULE));
        health.failed("it broke off", false);
        assert!(health.is_outlier(&RULE));
    }

    #[test]
    fn a_success_ends_the_row() {
        let health = Health::default();
        for _ in 0..10 {
            health.failed("reset", false);
            health.failed("reset", false);
            health.succeeded();
        }
        assert!(!health.is_outlier(&RULE));
    }

    #[test]
    fn checks_in_a_row_change_what_holds() {
        let health = Health::default();
        let sees = |outcome| health.checked(outcome, (2, 3));
        for outcome in [Err("a"), Err("b"), Ok(()), Err("c"), Err("d")] {
            sees(outcome);
            assert_eq!(health.standing(START), Standing::Good);
        }
        sees(Err("e"));
        assert_eq!(health.standing(START), Standing::Unwell);
        sees(Ok(()));
        assert_eq!(health.standing(START), Standing::Unwell);
        sees(Ok(()));
        assert_eq!(health.standing(START), Standing::Good);
    }
}
