//! Points in time as numbers, so that they fit into atomics.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A point in time in milliseconds. Zero is no point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(pub(crate) u64);

impl Millis {
    pub(crate) fn now() -> Self {
        let epoch = *EPOCH;
        Self(of(Instant::now().saturating_duration_since(epoch)) + 1)
    }

    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(of(time)))
    }

    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

fn of(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}
