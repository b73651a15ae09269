//! The life of a gateway process: start, activate, watch, control, end.
//!
//! - [`Server`] starts everything and ends it in good order.
//! - [`api`] is what the control socket offers; [`Client`] is its other end.

pub mod api;
mod certificates;
mod client;
mod compare;
mod keys;
mod lifecycle;
mod preflight;
mod server;
mod sources;
mod stream;
mod tls_report;
mod watch;

pub use client::{Client, ClientError, Lines};
pub use keys::{CreateKey, Key, NewKey, RotateKey};
pub use lifecycle::{
    Activation, CandidateStatus, ChangeLine, GuardStatus, ServedStatus, SnapshotStatus, Status,
};
pub use preflight::vet;
pub use server::{Options, Server, ServerError};
pub use sources::{Source, Sources};
pub use tls_report::{Calls, TlsReport, Without};
