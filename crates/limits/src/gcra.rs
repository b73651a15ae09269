//! The generic cell rate algorithm (ITU-T I.371), on integers.

use std::time::Duration;

/// So many calls in so much time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Nanoseconds between two calls at the steady rate; at least 1.
    interval: u64,
    /// Calls at once after a pause; at least 1.
    burst: u64,
}

/// What was decided of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the call is within the rate.
    pub allowed: bool,
    /// Calls that may follow at once.
    pub remaining: u64,
    /// If it is refused: when it would be allowed.
    pub retry_after: Duration,
    /// When the whole burst would be there again.
    pub reset_after: Duration,
    /// The number to keep; what it was if the call is refused.
    pub(crate) whole_at: u64,
}

// === impl Rate ===

impl Rate {
    /// `count` calls every `period`, `burst` of them at once. Zeros count as one.
    pub fn new(count: u64, period: Duration, burst: u64) -> Self {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        Self { interval: (period / count.max(1)).max(1), burst: burst.max(1) }
    }

    /// Calls at once after a pause.
    pub fn burst(&self) -> u64 {
        self.burst
    }

    /// How long a whole burst takes to come back.
    pub fn window(&self) -> Duration {
        Duration::from_nanos(self.interval.saturating_mul(self.burst))
    }

    /// Decides on one call. `whole_at` is the number kept of this caller (0 if none), `now` nanoseconds of any clock
    /// that does not matter as long as it is the same; a clock that goes back costs the caller nothing but waiting.
    pub fn decide(&self, whole_at: u64, now: u64) -> Decision {
        let depth = self.interval.saturating_mul(self.burst);
        // A number further in the future than a whole burst comes from a clock that went back, or from another plan.
        let before = whole_at.clamp(now, now.saturating_add(depth));
        let after = before.saturating_add(self.interval);
        let allowed = after <= now.saturating_add(depth);
        let whole_at = if allowed { after } else { before };
        let used = whole_at - now;
        Decision {
            allowed,
            remaining: depth.saturating_sub(used) / self.interval,
            retry_after: if allowed {
                Duration::ZERO
            } else {
                Duration::from_nanos(after.saturating_sub(now.saturating_add(depth)))
            },
            reset_after: Duration::from_nanos(used),
            whole_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A bucket of tokens in exact arithmetic: what GCRA must equal. Its level is in parts of a token, `interval` of
    /// which are one.
    struct Bucket {
        rate: Rate,
        level: u128,
        last: u64,
    }

    impl Bucket {
        fn take(&mut self, now: u64) -> bool {
            let full = u128::from(self.rate.interval) * u128::from(self.rate.burst);
            self.level = (self.level + u128::from(now - self.last)).min(full);
            self.last = now;
            let enough = self.level >= u128::from(self.rate.interval);
            if enough {
                self.level -= u128::from(self.rate.interval);
            }
            enough
        }
    }

    proptest! {
        #[test]
        fn it_decides_as_a_bucket_of_tokens(
            count in 1u64..1000, seconds in 1u64..100, burst in 1u64..50,
            pauses in proptest::collection::vec(0u64..3_000_000_000, 1..200),
        ) {
            let rate = Rate::new(count, Duration::from_secs(seconds), burst);
            let mut bucket = Bucket { rate, level: u128::from(rate.interval) * u128::from(burst), last: 1 };
            let (mut kept, mut now) = (0, 1);
            for pause in pauses {
                now += pause;
                let decision = rate.decide(kept, now);
                prop_assert_eq!(decision.allowed, bucket.take(now));
                prop_assert_eq!(u128::from(decision.remaining), bucket.level / u128::from(rate.interval));
                kept = decision.whole_at;
                if !decision.allowed {
                    let later = now + u64::try_from(decision.retry_after.as_nanos()).expect("small");
                    prop_assert!(rate.decide(kept, later).allowed);
                    prop_assert!(!rate.decide(kept, later - 1).allowed);
                }
            }
        }

        #[test]
        fn no_number_makes_it_panic(kept: u64, now: u64, count: u64, burst: u64, nanos: u64) {
            let decision = Rate::new(count, Duration::from_nanos(nanos), burst).decide(kept, now);
            prop_assert!(decision.remaining <= burst.max(1));
        }
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out() {
        let rate = Rate::new(1, Duration::from_secs(1), 1);
        let kept = rate.decide(0, 1_000_000_000_000).whole_at;
        let decision = rate.decide(kept, 1_000);
        assert!(decision.retry_after <= Duration::from_secs(1), "{decision:?}");
    }
}
