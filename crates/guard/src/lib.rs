//! The words all guards share.
//!
//! A [`Guard`] looks at one [`Exchange`] and answers with a [`Verdict`]. It holds no socket, no store and no
//! clock: what it needs (keys, counters, compiled schemas, the time) is handed to it. The edge runs the guards of
//! an operation in order, applies each guard's [`Mode`] in one place, records every verdict in the event, and is
//! the only one that turns a [`Denial`] into a response.
//!
//! ```text
//! request ─► Exchange ─► identity ─► limits ─► … ─► (body) contract ─► upstream
//!                           │           │                  │
//!                           └── Verdict ┴──── Verdict ─────┴─► event, and on Deny: problem+json
//! ```

mod country;
mod exchange;
mod mode;
mod principal;
mod verdict;

pub use country::Country;
pub use exchange::{Arrival, Exchange, Guard, GuardBody};
pub use mode::{Mode, ParseModeError};
pub use principal::{CredentialKind, Principal};
pub use verdict::{Denial, Reason, Remedy, Verdict};
