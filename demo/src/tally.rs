//! What was sent and what came of it, counted while it happens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::attacks::Family;

/// Everything that is counted. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Clone, Default)]
pub(crate) struct Counts {
    pub(crate) channels: BTreeMap<&'static str, Channel>,
    pub(crate) attacks: BTreeMap<Family, Attack>,
    latencies: Histogram,
    /// What went wrong for customers, the first few times.
    pub(crate) complaints: Vec<String>,
}

/// One legitimate channel.
#[derive(Clone, Copy, Default)]
pub(crate) struct Channel {
    pub(crate) sent: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
}

/// One family of attacks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Attack {
    pub(crate) sent: u64,
    pub(crate) blocked: u64,
}

/// Times in steps of 5 %, from 1 µs to over a minute.
#[derive(Clone)]
struct Histogram {
    buckets: Vec<u64>,
}

const STEP: f64 = 1.05;
const BUCKETS: usize = 380;
/// Complaints that are kept.
const COMPLAINTS: usize = 10;

// === impl Tally ===

impl Tally {
    pub(crate) fn answered(&self, channel: &'static str, took: Duration, complaint: Option<Complaint>) {
        let mut counts = self.lock();
        counts.latencies.add(took);
        let count = counts.channels.entry(channel).or_default();
        count.sent += 1;
        let text = match complaint {
            None => return,
            Some(Complaint::Refused(text)) => {
                count.refused += 1;
                text
            }
            Some(Complaint::Wrong(text)) => {
                count.errors += 1;
                text
            }
        };
        if counts.complaints.len() < COMPLAINTS {
            counts.complaints.push(format!("{channel}: {text}"));
        }
    }

    pub(crate) fn attacked(&self, family: Family, blocked: bool) {
        let mut counts = self.lock();
        let count = counts.attacks.entry(family).or_default();
        count.sent += 1;
        count.blocked += u64::from(blocked);
    }

    /// All counts as they are now.
    pub(crate) fn snapshot(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a customer has to complain about.
#[derive(Debug)]
pub(crate) enum Complaint {
    /// Refused though nothing was wrong.
    Refused(String),
    /// No answer, or not the right one.
    Wrong(String),
}

// === impl Counts ===

impl Counts {
    /// The time within which this share of the customers' calls was answered, in microseconds.
    pub(crate) fn latency_us(&self, share: f64) -> u64 {
        self.latencies.quantile(share)
    }
}

// === impl Histogram ===

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS] }
    }
}

impl Histogram {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the buckets")]
    fn add(&mut self, time: Duration) {
        let micros = (time.as_secs_f64() * 1e6).max(1.0);
        let bucket = (micros.ln() / STEP.ln()).floor() as usize;
        if let Some(count) = self.buckets.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of 5 %"
    )]
    fn quantile(&self, share: f64) -> u64 {
        let total: u64 = self.buckets.iter().sum();
        let wanted = (total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return STEP.powi(i32::try_from(bucket).unwrap_or(0) + 1).round() as u64;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_five_percent() {
        let tally = Tally::default();
        for micros in 1..=1000 {
            tally.answered("web", Duration::from_micros(micros), None);
        }
        let counts = tally.snapshot();
        assert!((475..=530).contains(&counts.latency_us(0.5)), "{}", counts.latency_us(0.5));
        assert!((940..=1050).contains(&counts.latency_us(0.99)), "{}", counts.latency_us(0.99));
    }
}
