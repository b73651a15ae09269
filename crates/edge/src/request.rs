//! A request as the pipeline sees it, whatever the protocol.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use haechi_wire::{Authority, Headers};
use http::{Method, Version};

use crate::request_body::RequestBody;

/// A request whose head is complete and well-formed.
pub(crate) struct Request {
    /// When the head was complete.
    pub(crate) started: Instant,
    /// The same moment, as the world counts.
    pub(crate) now: SystemTime,
    pub(crate) version: Version,
    pub(crate) method: Method,
    /// The target's path as received.
    pub(crate) path: Bytes,
    /// The target's query as received, without `?`.
    pub(crate) query: Option<Bytes>,
    /// `Host`, or `:authority`.
    pub(crate) authority: Option<Authority>,
    pub(crate) headers: Headers,
    /// Whether the caller offers another protocol, and the connection could change to it.
    pub(crate) upgrade: bool,
    pub(crate) body: RequestBody,
}
