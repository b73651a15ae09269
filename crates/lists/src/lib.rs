//! Who may not call, by where the call comes from: lists of networks, countries and operators, before anybody is asked for credentials.
//!
//! ```text
//! MaxMind file ─► Places ─► country and operator of the caller ─┐
//! haechi.yaml, files ─► List (networks, countries, operators) ──┴─► ListsGuard ─► Verdict
//! ```
//!
//! Everything is built when a configuration is loaded: networks become sorted ranges that do not meet, a MaxMind file becomes two sorted
//! tables. A look-up is one binary search in memory and cannot fail; what is wrong with a file is found while it is read.

mod geo;
mod guard;
mod list;
mod ranges;

pub use geo::{GeoError, Places, Told};
pub use guard::{Level, ListsGuard};
pub use list::{By, List, ListBuilder};
pub use ranges::Networks;
