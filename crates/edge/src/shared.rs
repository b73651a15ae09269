//! What the workers of one process share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use crate::addresses::Addresses;
use crate::budget::Budget;
use crate::lasting::Lasting;
use crate::snapshot::Snapshot;
use crate::spill::Spill;
use crate::stage::{Served, Serving, Stage};

/// What the workers of one process share.
pub(crate) struct Shared {
    pub(crate) lasting: Arc<Lasting>,
    /// What serves, and what may come after.
    pub(crate) serving: Arc<ArcSwap<Serving>>,
    /// Open connections by address.
    pub(crate) addresses: Arc<Addresses>,
    /// Open connections.
    pub(crate) connections: AtomicUsize,
    /// Memory for bodies under judgement. Its size is that of the first snapshot.
    pub(crate) bodies: Budget,
    /// Where large ones wait; as in the first snapshot.
    pub(crate) spill: Spill,
    /// Threads that judge large bodies.
    pub(crate) inspecting: Arc<Semaphore>,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(lasting: Arc<Lasting>, snapshot: Arc<Snapshot>) -> Self {
        Self {
            lasting,
            bodies: Budget::new(snapshot.body_memory),
            spill: Spill {
                threshold: snapshot.body_in_memory,
                dir: snapshot.body_dir.clone().into(),
                disk: Budget::new(snapshot.body_disk),
            },
            serving: Arc::new(ArcSwap::from_pointee(Serving {
                production: Served::new(Stage::Production, snapshot),
                candidate: None,
            })),
            inspecting: Arc::new(Semaphore::new(
                std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            )),
            addresses: Addresses::new(),
            connections: AtomicUsize::new(0),
        }
    }
}
