//! How long things took.

use std::time::Duration;

/// Times in steps of 5 %, from 1 µs to over a minute.
#[derive(Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
}

const STEP: f64 = 1.05;
const BUCKETS: usize = 380;

// === impl Histogram ===

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS] }
    }
}

impl Histogram {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the buckets")]
    pub(super) fn add(&mut self, time: Duration) {
        let micros = (time.as_secs_f64() * 1e6).max(1.0);
        let bucket = (micros.ln() / STEP.ln()).floor() as usize;
        if let Some(count) = self.buckets.get_mut(bucket.min(BUCKETS - 1)) {
            *count += 1;
        }
    }

    /// The time within which this share ended, in microseconds; 0 if there was nothing.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of 5 %"
    )]
    pub(crate) fn quantile_us(&self, share: f64) -> u64 {
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
        let mut times = Histogram::default();
        assert_eq!(times.quantile_us(0.5), 0);
        for micros in 1..=1000 {
            times.add(Duration::from_micros(micros));
        }
        assert!((475..=530).contains(&times.quantile_us(0.5)), "{}", times.quantile_us(0.5));
        assert!((940..=1050).contains(&times.quantile_us(0.99)), "{}", times.quantile_us(0.99));
    }
}
