//! What changes at run time and must survive: API keys, and the history of activations.
//!
//! One SQLite database (`haechi.db`) in a directory only its owner can open. A write that was acknowledged is on disk
//! (`synchronous = FULL`): `kill -9` and a power cut lose nothing. Calls block; callers keep them off the request path.

mod activations;
mod error;
mod keys;
mod open;
mod pepper;

pub use activations::{ActivationRow, Outcome, Sources};
pub use error::StateError;
pub use keys::KeyRow;
pub use open::State;
