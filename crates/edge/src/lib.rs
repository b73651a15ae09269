//! Sockets, TLS, protocols, and the pipeline that decides on every call.
//!
//! ```text
//! Gateway ──► Worker (a thread) ──► connection ──► h1 | h2 ──► pipeline ──► answer
//!    │                                                             │
//!    └── Snapshot (immutable, swapped)  ◄── route, guards ◄────────┤
//!        Lasting (keys, counters, metrics)                         └──► Transaction ──► event
//! ```
//!
//! - [`Snapshot::compile`] makes of a configuration what is served; `haechi check` is that, and a look at the disk.
//! - [`Gateway`] runs workers and swaps snapshots under them.
//! - [`Lasting`] is what no activation forgets.

mod addresses;
mod answer;
mod budget;
mod certificates;
mod channel;
mod coding;
mod connection;
mod counts;
mod deadline;
mod export;
mod files;
mod fixed;
mod forward;
mod gateway;
mod grpc;
mod h1;
mod h2;
mod handshakes;
mod judge;
mod jwks;
mod lasting;
mod mirror;
mod pipeline;
mod proxy;
mod replay;
mod request;
mod request_body;
mod respond;
mod rewound;
mod rewrite;
mod shared;
mod snapshot;
mod spill;
mod split;
mod stage;
mod tls;
mod traffic;
mod transaction;
mod tunnel;
mod wafs;
mod websocket;
mod worker;

pub use certificates::CertificateStatus;
pub use counts::{Counts, Tally, Waits};
pub use export::Collector;
pub use files::{Contents, Files};
pub use gateway::{EdgeStatus, Gateway, GatewayError, Listening, Target};
pub use handshakes::{FailureCount, HandshakeCount, UpstreamCount, is_post_quantum, upstreams};
pub use jwks::JwksStatus;
pub use lasting::Lasting;
pub use replay::{Difference, Evaluator, EvaluatorError, Replay, Report, Unjudged};
pub use snapshot::{MirrorStatus, PartStatus, Snapshot, SplitStatus};
pub use stage::{Dealing, Served, Stage};
