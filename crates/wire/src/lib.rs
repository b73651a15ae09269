//! Bytes without I/O: what Haechi reads from a connection and what it makes of it.
//!
//! - [`h1`] is the gateway's own HTTP/1.1 server codec and the only parser of those bytes. Two parsers in series
//!   that disagree about where a message ends is how request smuggling starts; so this one follows RFC 9112 to the
//!   letter and answers every ambiguity with a [`Refusal`] instead of a repair.
//! - [`CanonicalPath`], [`Query`] and [`Authority`] are the canonical request: one spelling for each resource. What
//!   guards judge is what the upstream is sent.
//! - [`Headers`] is the one view of header fields: in order, in the case they were received, over shared bytes.
//! - [`websocket`] follows the frames of a tunnel.
//! - [`forwarded`] tells the caller's address from what trusted proxies say of it.
//! - [`proxy`] is what a load balancer that passes connections on says before the first byte (the PROXY protocol).
//!
//! Nothing here is asynchronous, reads a clock or opens a socket, and nothing reachable from the network panics.
//!
//! ```
//! use bytes::BytesMut;
//! use haechi_wire::{CanonicalPath, h1};
//!
//! let mut buffer = BytesMut::from("GET /a/%2e%2e/menu?size=L HTTP/1.1\r\nHost: pizza.example\r\n\r\n");
//! let head = h1::HeadReader::new(h1::Limits::default()).read(&mut buffer)?.expect("a whole head");
//! assert_eq!(head.target.path_raw(), "/a/%2e%2e/menu");
//! assert_eq!(CanonicalPath::parse(head.target.path_raw()).unwrap().as_str(), "/menu");
//! # Ok::<(), haechi_wire::Refusal>(())
//! ```

mod authority;
mod bytes_class;
pub mod forwarded;
pub mod h1;
mod headers;
mod path;
pub mod proxy;
mod query;
mod refusal;

#[cfg(feature = "shapes")]
pub mod shapes;
pub mod websocket;

pub use authority::Authority;
pub use headers::{Field, Headers, HeadersBuilder};
pub use path::{CanonicalPath, EncodedSlash, PathPolicy, PathRefusal, PathTraits, decode_segment};
pub use query::{Query, QueryRefusal};
pub use refusal::{Refusal, RefusalKind};
