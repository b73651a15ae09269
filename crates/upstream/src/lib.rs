//! All that leaves the gateway: pooled connections to upstreams, their deadlines, their TLS.
//!
//! An [`Upstream`] is immutable data, part of a configuration snapshot. [`Pools`] holds the live connections of
//! **one worker thread**; it outlives snapshots, so activating a configuration closes no connection that is still
//! wanted. Nothing here is `Send`: a worker never shares a connection, so no lock and no cross-thread wake-up is on
//! the path of a request.
//!
//! ```text
//! Upstream (data) ──► Pools::send ──► idle connection, or connect (+TLS) under its deadline
//!                                       └─► Reply { head, body, lease } ── lease returns the connection at the body's end
//! ```

mod agreed;
mod body;
mod connect;
mod endpoint;
mod error;
mod pool;
mod sender;
mod stream;
mod tls;

pub use agreed::{Agreed, agreed};
pub use body::OutBody;
pub use endpoint::{Endpoint, EndpointError, Protocol, Scheme, Upstream};
pub use error::UpstreamError;
pub use pool::{Lease, Pools, Reply};
pub use stream::Stream;
pub use tls::{ClientTls, ClientTlsError};
