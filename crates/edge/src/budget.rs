//! The memory that bodies under judgement may take, over all workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// The memory that bodies under judgement may take together. Cheap to clone (a handle).
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
}

/// What one call has taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    left: Arc<AtomicUsize>,
    taken: usize,
}

/// The memory is used up by other calls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

// === impl Budget ===

impl Budget {
    /// A budget of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)) }
    }

    /// An empty share.
    pub(crate) fn share(&self) -> Share {
        Share { left: self.left.clone(), taken: 0 }
    }
}

// === impl Share ===

impl Share {
    /// A share of nothing.
    pub(crate) fn none() -> Self {
        Self { left: Arc::default(), taken: 0 }
    }

    /// Takes so many bytes more.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .map_err(|_| Exhausted)?;
        self.taken += bytes;
        Ok(())
    }

    /// The same bytes; the share is given back when the last handle to them is dropped.
    pub(crate) fn hold(self, bytes: Bytes) -> Bytes {
        if self.taken == 0 { bytes } else { Bytes::from_owner(Held { bytes, _share: self }) }
    }
}

/// Bytes and the memory they count for.
struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.left.fetch_add(self.taken, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_together_never_pass_the_budget_and_come_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert_eq!(one.take(6), Ok(()));
        assert_eq!(two.take(5), Err(Exhausted));
        assert_eq!(two.take(4), Ok(()));
        drop(one);
        assert_eq!(two.take(6), Ok(()));
        assert_eq!(two.take(1), Err(Exhausted));
    }

    #[test]
    fn memory_comes_back_with_the_last_handle() {
        let budget = Budget::new(4);
        let mut share = budget.share();
        assert_eq!(share.take(4), Ok(()));
        let held = share.hold(Bytes::from_static(b"dough"));
        let part = held.slice(1..2);
        drop(held);
        assert_eq!(budget.share().take(1), Err(Exhausted));
        drop(part);
        assert_eq!(budget.share().take(4), Ok(()));
    }
}
