//! How much a caller may do.
//!
//! One algorithm, GCRA: a caller's whole history is one number, the time at which its allowance would be whole again. It
//! needs no timer and no window, and two limits are decided together or not at all. [`Counters`] holds these numbers,
//! outlives snapshots, and never grows beyond its capacity.

mod counters;
mod gcra;
mod guard;

pub use counters::Counters;
pub use gcra::{Decision, Rate};
pub use guard::{LimitsGuard, Per, Plan, Plans};
