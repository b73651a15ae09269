//! `haechi.yaml`, parsed once into typed values.
//!
//! ```text
//! text ─► tree (every value with its place) ─► Config (typed, checked)      or Diagnostics: all mistakes at once
//! ```
//!
//! Nothing unknown is let through: unknown fields, duplicate keys, anchors, `yes` and `no`. Secrets are references and
//! never part of the text. What a setting is called, what it looks like and what it means stands in one list
//! (`settings.rs`), from which the JSON Schema and the manual's reference are written too.

mod config;
mod diagnostic;
mod effective;
pub mod init;
pub mod model;
pub mod plan;
mod read;
mod reader;
mod reference;
mod secret;
mod settings;
pub mod template;
mod tree;
pub mod value;

pub use config::Config;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use effective::{OperationSettings, WafSettings, api_defaults, effective, service_settings};
pub use reference::{json_schema, markdown};
pub use secret::{SecretBytes, SecretError, SecretRef, SecretSources};
pub use tree::Place;
