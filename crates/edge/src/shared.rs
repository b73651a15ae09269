//! What the workers of one process share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;

use crate::addresses::Addresses;
use crate::budget::Budget;
use crate::lasting::Lasting;
use crate::snapshot::Snapshot;

/// What the workers of one process share.
pub(crate) struct Shared {
    pub(crate) lasting: Arc<Lasting>,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    /// Open connections by address.
    pub(crate) addresses: Arc<Addresses>,
    /// Open connections.
    pub(crate) connections: AtomicUsize,
    /// Memory for bodies under judgement. Its size is that of the first snapshot.
    pub(crate) bodies: Budget,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(lasting: Arc<Lasting>, snapshot: Snapshot) -> Self {
        Self {
            lasting,
            bodies: Budget::new(snapshot.body_memory),
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            addresses: Addresses::new(),
            connections: AtomicUsize::new(0),
        }
    }
}
