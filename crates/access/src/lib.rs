//! Who may not call, whatever the credentials: by rules that the operator writes.
//!
//! [`Rules`] are asked once who is calling is known. The first whose condition holds refuses the call; so does one that
//! cannot be told, for a rule that a caller can break is no rule.

mod rules;

pub use rules::{Rule, Rules};
