//! A histogram of durations that costs two atomic additions. That of `prometheus-client` takes a lock, and one of them is
//! shared by all workers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Upper bounds of the buckets, in microseconds: the gateway's own work is tens of microseconds, an upstream's seconds.
const BOUNDS: [u64; 19] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A histogram of durations, shown in seconds. Clones are the same histogram.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Not cumulative.
    buckets: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    /// Nanoseconds: more than five centuries of them.
    sum: AtomicU64,
}

// === impl Histogram ===

impl Histogram {
    pub(super) fn observe(&self, duration: Duration) {
        let micros = duration.as_nanos().div_ceil(1000);
        let bucket = BOUNDS.partition_point(|bound| u128::from(*bound) < micros);
        self.0.buckets.get(bucket).unwrap_or(&self.0.beyond).fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.sum.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Counts { buckets, beyond, sum } = &*self.0;
        let bounds =
            BOUNDS.iter().map(|bound| Duration::from_micros(*bound).as_secs_f64()).chain([f64::INFINITY]);
        let counts = buckets.iter().chain([beyond]).map(|count| count.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(sum.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn a_duration_at_the_bound_is_in_the_bucket_and_one_beyond_in_the_next() {
        let histogram = Histogram::default();
        for nanos in [0, 10_000, 10_001, 25_000, 10_000_000_000, 10_000_000_001] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let mut registry = Registry::default();
        registry.register("d", "D", histogram);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        let expected = "\
# HELP d D.
# TYPE d histogram
d_sum 20.000045002
d_count 6
d_bucket{le=\"0.00001\"} 2
d_bucket{le=\"0.000025\"} 4
d_bucket{le=\"0.00005\"} 4
d_bucket{le=\"0.0001\"} 4
d_bucket{le=\"0.00025\"} 4
d_bucket{le=\"0.0005\"} 4
d_bucket{le=\"0.001\"} 4
d_bucket{le=\"0.0025\"} 4
d_bucket{le=\"0.005\"} 4
d_bucket{le=\"0.01\"} 4
d_bucket{le=\"0.025\"} 4
d_bucket{le=\"0.05\"} 4
d_bucket{le=\"0.1\"} 4
d_bucket{le=\"0.25\"} 4
d_bucket{le=\"0.5\"} 4
d_bucket{le=\"1.0\"} 4
d_bucket{le=\"2.5\"} 4
d_bucket{le=\"5.0\"} 4
d_bucket{le=\"10.0\"} 5
d_bucket{le=\"+Inf\"} 6
# EOF
";
        assert_eq!(text, expected);
    }
}
