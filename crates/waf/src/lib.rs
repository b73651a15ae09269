//! The guard that looks for attacks: rules in SecLang, such as the OWASP Core Rule Set, over requests and responses.
//!
//! A [`Policy`] says which rules, and what is different from their files: the paranoia level, thresholds, exclusions, limits.
//! [`Waf::compile`] makes it into rules, once for all operations that have the same. For each call an [`Inspection`] is begun; it
//! is asked phase by phase, as the pipeline learns more, and answers with verdicts like any other guard.
//!
//! ```text
//! Policy ─► sources ─► rule files, and between them what the policy says ─► Waf
//!                                                                             │ begin
//! head ─► Inspection::head ─► body ─► Inspection::body ─► response ─► … ─► Inspection::finish ─► Findings
//! ```

mod inspection;
mod policy;
mod sources;

pub use inspection::{Findings, Found, Inspection, Phase, Seen};
pub use policy::{AtLimit, Exclusion, Policy, PolicyError, Source, Waf};
