//! The strict HTTP/1.1 server codec (RFC 9112), without I/O.
//!
//! ```text
//! bytes ─► HeadReader ─► Head ─► BodyReader ─► Data … End      (the rest of the buffer is the next request's)
//!              │                      │
//!              └───── Refusal ────────┴─► answer, close
//!
//! write_response_head ─► write_chunk, CHUNK_TAIL … ─► write_last_chunk
//! ```
//!
//! # Decisions where the RFC leaves a choice
//!
//! | case | here | why |
//! |---|---|---|
//! | bare LF as line end (2.2 MAY) | refused | the root of the chunk-extension and many header desyncs |
//! | empty lines before a request (2.2 SHOULD ignore one) | one is let through | old clients; more is padding |
//! | obs-fold (5.2 MAY replace) | refused | |
//! | Content-Length twice with equal values (6.3 MAY) | refused | |
//! | leading zeros in Content-Length | refused | some readers take them for octal |
//! | Transfer-Encoding with Content-Length (6.1 MAY) | refused | CL.TE, TE.CL |
//! | a coding other than `chunked` (6.1: 501) | 400 | nobody sends one; all known ones are attacks |
//! | names like `Content_Length` | refused | CGI-like upstreams fold `_` and `.` onto `-` |
//! | content on GET, HEAD, DELETE, OPTIONS | accepted when framed | search APIs use it; the framing is unambiguous |
//! | content on TRACE | refused | RFC 9110, 9.3.8 |
//! | CONNECT | refused | not a forward proxy |
//! | `Connection` naming framing, routing or credential fields | refused | hop-by-hop abuse: a proxy would strip them |
//! | `Upgrade: h2c` | ignored, as if absent | RFC 9113 dropped it; a tunnel past the guards. Refusing it would break clients that offer it by default |
//! | another upgrade with content | refused | its bytes would be read as the new protocol's |
//! | `Expect` in HTTP/1.0 | ignored | RFC 9110, 10.1.1 |
//! | Host differing from an absolute target (3.2.2: the target wins) | refused | routing tricks |
//! | whitespace around chunk sizes and extensions (BWS) | refused | TERM.EXT and its kin |
//! | trailer fields | accepted but for those that frame, route, authenticate or describe content | RFC 9110, 6.5.1 |
//!
//! A fault is reported as soon as the byte that proves it is seen, and in the order of the bytes: the outcome does
//! not depend on how the bytes were cut into reads.

mod body;
mod field;
mod head;
mod lines;
mod rules;
mod target;
mod write;

pub use body::{BodyPart, BodyReader};
pub use head::{Head, HeadReader};
pub use rules::may_trail;
pub use target::{Target, TargetForm};
pub use write::{CHUNK_TAIL, CONTINUE, ResponseFraming, write_chunk, write_last_chunk, write_response_head};

/// What a connection may make us hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole head, its final empty line included. 32 KiB: cookies and tokens of large sites fit, and so
    /// do the 16 KiB most servers stop at.
    pub head_bytes: usize,
    /// Fields of a head, and again of a trailer section. 100: browsers send 15 to 30.
    pub headers: usize,
    /// Bytes of a request target. 8 KiB: RFC 9112, 3 recommends at least 8,000.
    pub target_bytes: usize,
    /// Bytes of a trailer section, its final empty line included. 4 KiB: gRPC-Web and checksums need less.
    pub trailer_bytes: usize,
    /// Bytes of one chunk size line with its extensions, without CR LF. 256: the size alone has at most 16.
    pub chunk_line_bytes: usize,
    /// Bytes of all chunk extensions of one body together. 4 KiB: they are not forwarded, and unbounded they make
    /// a byte of content cost a hundred of reading.
    pub chunk_extension_bytes: usize,
}

/// How a request's content is delimited (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Neither Content-Length nor Transfer-Encoding: there is no content.
    Empty,
    /// So many bytes. Zero when `Content-Length: 0` was sent.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32 * 1024,
            headers: 100,
            target_bytes: 8 * 1024,
            trailer_bytes: 4 * 1024,
            chunk_line_bytes: 256,
            chunk_extension_bytes: 4 * 1024,
        }
    }
}

#[cfg(test)]
mod tests;
