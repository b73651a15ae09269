//! Numbers that nobody need be unable to guess: who takes a call, when a check is made.

use std::cell::Cell;

use crate::balance::mix;

thread_local! {
    static STATE: Cell<u64> = Cell::new(getrandom::u64().unwrap_or(0x5eed));
}

/// The next number of this thread.
pub(crate) fn random() -> u64 {
    STATE.with(|state| {
        state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        mix(state.get())
    })
}
