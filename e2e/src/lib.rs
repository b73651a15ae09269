//! What tests of the whole need: the real binary, an upstream that remembers what it was sent, and raw clients.
//!
//! Nothing here sleeps: a test waits for an event (a line the gateway prints, an answer, a connection's end) under a
//! deadline that only a broken gateway reaches.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a harness fails loudly")]

mod browser;
mod clients;
mod faulty;
mod gateway;
mod origin;
mod pebble;
mod peer;

pub use browser::Browser;
pub use clients::{Raw, Response, have, python, run};
pub use faulty::{Fault, Faulty};
pub use gateway::{Gateway, binary};
pub use origin::{Origin, Seen};
pub use pebble::{Pebble, PebbleOptions, free};
pub use peer::{Peer, peer};

use std::time::{Duration, Instant};

/// How long anything may take before the test is failed: only a gateway that hangs gets there.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until it is so.
///
/// # Panics
/// When it has not come true within [`PATIENCE`].
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}
