//! All that leaves the gateway: pooled connections to upstreams, their deadlines, their TLS.
//!
//! Three things are kept apart. An [`Upstream`] is immutable data, part of a configuration snapshot. A [`Registry`] knows
//! what is true of the process: the addresses behind names, how each does, circuit breakers, retry budgets; it outlives
//! snapshots. [`Pools`] holds the live connections of **one worker thread**; nothing in it is `Send`: a worker never shares a
//! connection, so no lock and no cross-thread wake-up is on the path of a request.
//!
//! ```text
//! Upstream (data) ──► Pools::send ──► breaker ──► address: least loaded of two ──► kept connection, or a new one
//!                          ▲                                                           │
//!                          └── another try: never left, or idempotent and in budget ◄──┴─► Reply { head, body, lease }
//! ```

mod agreed;
mod balance;
mod body;
mod breaker;
mod budget;
mod checks;
mod clock;
mod connect;
mod deal;
mod endpoint;
mod error;
mod health;
mod pool;
mod random;
mod registry;
mod resolve;
mod send;
mod sender;
mod site;
mod stream;
mod tls;
mod upstream;

pub use agreed::{Agreed, agreed};
pub use body::OutBody;
pub use breaker::BreakerRule;
pub use budget::Allowance;
pub use checks::Check;
pub use deal::Deal;
pub use endpoint::{Endpoint, EndpointError, Protocol, Scheme};
pub use error::UpstreamError;
pub use health::Ejection;
pub use pool::{Lease, Pools};
pub use registry::{EndpointStatus, Gate, Registry, UpstreamStatus};
pub use resolve::{Addresses, Resolve, SystemResolver};
pub use send::{Reply, Sent};
pub use sender::ToldHost;
pub use site::{Peer, Site, SiteSpec};
pub use stream::Stream;
pub use tls::{ClientTls, ClientTlsError, Pin, TlsSettings, pin};
pub use upstream::{Retries, Target, Upstream};

use random::random;
