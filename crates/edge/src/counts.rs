//! What one snapshot has served, counted: from this it is judged whether a candidate is worse than production.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use haechi_events::Outcome;

/// Buckets of the time to the response's head: from 64 µs to 2 minutes, four for each doubling, so that a bound is never more than
/// 19 % off.
const BUCKETS: usize = 85;
/// Upper bound of the first bucket in microseconds.
const FIRST: f64 = 64.0;
/// Kinds of refusals that are told apart; guards have some dozens of words. Should there ever be more, they are one.
const REASONS: usize = 64;

/// What one snapshot has served. Written by all workers.
#[derive(Debug)]
pub struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    unread: AtomicU64,
    /// By `guard:reason`.
    reasons: RwLock<Vec<(Box<str>, AtomicU64)>>,
    waited: [AtomicU64; BUCKETS],
}

/// The same at one moment, or between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were read and judged.
    pub requests: u64,
    /// Of those, how many ended in a status of 500 or more, whoever is to blame, unless the gateway was told to answer so.
    pub failed: u64,
    /// How many were refused.
    pub refused: u64,
    /// How many more were refused because their bytes are no request: before anybody could deal them to a candidate.
    pub unread: u64,
    /// Refusals by `guard:reason`, the most frequent first.
    pub reasons: Vec<(Box<str>, u64)>,
    /// How long those that were not refused waited for the response's head, or how long their caller had the patience to.
    pub waited: Waits,
}

/// A distribution of waiting times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits([u64; BUCKETS]);

// === impl Counts ===

impl Default for Counts {
    fn default() -> Self {
        Self {
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unread: AtomicU64::new(0),
            reasons: RwLock::default(),
            waited: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

impl Counts {
    /// Counts a request that was judged. `waited` is the time to the response's head; `reason` is `decided_by` and `reason`.
    pub(crate) fn record(&self, status: u16, outcome: Outcome, waited: Duration, reason: (&str, &str)) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if outcome == Outcome::Refused {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return self.count_reason(reason);
        }
        // What is configured to be answered with such a status (a shop that is closed) is no failure.
        let is_meant = outcome == Outcome::Forwarded && reason.0 == "service";
        if status >= 500 && !is_meant || outcome == Outcome::Failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(bucket) = self.waited.get(bucket(waited)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts bytes that are no request.
    pub(crate) fn record_unread(&self, reason: (&str, &str)) {
        self.unread.fetch_add(1, Ordering::Relaxed);
        self.count_reason(reason);
    }

    fn count_reason(&self, (guard, reason): (&str, &str)) {
        let same = |known: &&(Box<str>, AtomicU64)| known.0.split_once(':') == Some((guard, reason));
        {
            let known = self.reasons.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, count)) = known.iter().find(same) {
                count.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        let mut known = self.reasons.write().unwrap_or_else(PoisonError::into_inner);
        // Another worker may have been faster.
        let (guard, reason) = if known.len() < REASONS { (guard, reason) } else { ("other", "other") };
        match known.iter().find(|known| known.0.split_once(':') == Some((guard, reason))) {
            Some((_, count)) => {
                count.fetch_add(1, Ordering::Relaxed);
            }
            None => known.push((format!("{guard}:{reason}").into(), AtomicU64::new(1))),
        }
    }

    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let known = self.reasons.read().unwrap_or_else(PoisonError::into_inner);
        let mut reasons: Vec<_> = known.iter().map(|(reason, count)| (reason.clone(), read(count))).collect();
        drop(known);
        reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let mut waited = Waits::default();
        for (sum, count) in waited.0.iter_mut().zip(&self.waited) {
            *sum = read(count);
        }
        Tally {
            requests: read(&self.requests),
            failed: read(&self.failed),
            refused: read(&self.refused),
            unread: read(&self.unread),
            reasons,
            waited,
        }
    }
}

// === impl Tally ===

impl Tally {
    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut waited = self.waited.clone();
        for (count, before) in waited.0.iter_mut().zip(&earlier.waited.0) {
            *count = count.saturating_sub(*before);
        }
        let mut reasons: Vec<_> = self
            .reasons
            .iter()
            .map(|(reason, count)| (reason.clone(), count.saturating_sub(earlier.of(reason))))
            .filter(|(_, count)| *count > 0)
            .collect();
        reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            failed: self.failed.saturating_sub(earlier.failed),
            refused: self.refused.saturating_sub(earlier.refused),
            unread: self.unread.saturating_sub(earlier.unread),
            reasons,
            waited,
        }
    }

    /// How often this was the reason of a refusal.
    pub fn of(&self, reason: &str) -> u64 {
        self.reasons.iter().find(|(known, _)| **known == *reason).map_or(0, |(_, count)| *count)
    }

    /// Requests that were let through.
    pub fn admitted(&self) -> u64 {
        self.requests.saturating_sub(self.refused)
    }
}

// === impl Waits ===

impl Default for Waits {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Waits {
    /// Adds one.
    pub fn add(&mut self, waited: Duration) {
        if let Some(count) = self.0.get_mut(bucket(waited)) {
            *count += 1;
        }
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many waited longer than about this (to the bucket it is in).
    pub fn longer_than(&self, wait: Duration) -> u64 {
        self.0.iter().skip(bucket(wait) + 1).sum()
    }

    /// The wait that the share `quantile` (0 to 1) does not exceed: the upper bound of its bucket. Zero if there are none.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let total = self.total();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank between 0 and the number of waits"
        )]
        let rank = (total as f64 * quantile).ceil() as u64;
        let mut sum = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            sum += count;
            if sum >= rank.max(1) {
                return bound(bucket);
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a wait.
fn bucket(waited: Duration) -> usize {
    let doublings = (waited.as_secs_f64() * 1e6 / FIRST).log2();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float to an integer stops at its ends"
    )]
    let bucket = (doublings * 4.0).ceil() as usize;
    bucket.min(BUCKETS - 1)
}

/// The upper bound of a bucket.
fn bound(bucket: usize) -> Duration {
    let doublings = u32::try_from(bucket).map_or(0.0, f64::from) / 4.0;
    Duration::from_secs_f64(FIRST * doublings.exp2() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_in_a_bucket_that_is_at_most_a_fifth_off() {
        for micros in [0, 1, 63, 64, 65, 1000, 7777, 1_000_000, 60_000_000] {
            let wait = Duration::from_micros(micros);
            let bound = bound(bucket(wait));
            assert!(bound + Duration::from_nanos(100) >= wait, "{wait:?} {bound:?}");
            assert!(bound <= wait.mul_f64(1.2).max(Duration::from_micros(64)), "{wait:?} {bound:?}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn what_is_meant_to_be_answered_with_503_is_no_failure() {
        let counts = Counts::default();
        counts.record(503, Outcome::Forwarded, Duration::ZERO, ("service", "respond"));
        assert_eq!(counts.tally().failed, 0);
        counts.record(503, Outcome::Forwarded, Duration::ZERO, ("", ""));
        counts.record(500, Outcome::Failed, Duration::ZERO, ("wire", "redirect"));
        assert_eq!((counts.tally().failed, counts.tally().requests), (2, 3));
    }

    #[test]
    fn what_is_counted_can_be_told_since_any_moment() {
        let counts = Counts::default();
        let fast = Duration::from_millis(1);
        counts.record(200, Outcome::Forwarded, fast, ("", ""));
        counts.record(429, Outcome::Refused, fast, ("limits", "rate-exceeded"));
        let before = counts.tally();
        counts.record(200, Outcome::Forwarded, Duration::from_secs(3), ("", ""));
        counts.record(502, Outcome::Failed, fast, ("upstream", "upstream-connect"));
        counts.record(429, Outcome::Refused, fast, ("limits", "rate-exceeded"));
        counts.record(0, Outcome::Aborted, fast, ("", ""));
        counts.record_unread(("wire", "bad"));
        let since = counts.tally().since(&before);
        assert_eq!((since.requests, since.failed, since.refused, since.unread), (4, 1, 1, 1));
        assert_eq!(since.of("limits:rate-exceeded"), 1);
        assert_eq!(since.of("wire:bad"), 1);
        assert_eq!(since.waited.total(), 3, "refusals are quick and say nothing of the service");
        assert_eq!(since.waited.longer_than(Duration::from_secs(1)), 1);
        assert!(since.waited.quantile(0.99) > Duration::from_secs(2));
        assert!(since.waited.quantile(0.5) < Duration::from_millis(2));
    }

    #[test]
    fn reasons_are_bounded() {
        let counts = Counts::default();
        for number in 0..1000 {
            counts.record(400, Outcome::Refused, Duration::ZERO, ("guard", &format!("r{number}")));
        }
        let tally = counts.tally();
        assert_eq!(tally.reasons.len(), REASONS + 1);
        assert_eq!(tally.of("other:other"), 1000 - REASONS as u64);
    }
}
