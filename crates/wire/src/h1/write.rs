//! Writing responses.

use bytes::{BufMut, BytesMut};
use http::{StatusCode, Version};

use crate::Headers;
use crate::bytes_class::{is_field_value, is_token};

/// What a client waits for that sent `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What stands after each chunk's data.
pub const CHUNK_TAIL: &[u8] = b"\r\n";

/// How a response's content is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// No content follows: HEAD, 1xx, 204, 304. A Content-Length among the headers is passed on, for HEAD and 304.
    None,
    /// So many bytes follow.
    Length(u64),
    /// Chunks follow. Never to an HTTP/1.0 client.
    Chunked,
    /// All that follows; the connection's end is the content's, so it is not persistent whatever the caller says.
    UntilClose,
}

/// Appends a status line, the headers, and those that this hop decides: Content-Length or Transfer-Encoding by
/// `framing`, `connection: close` when not `persistent`, `connection: keep-alive` when persistent in HTTP/1.0.
///
/// `version` is the request's; the status line always says HTTP/1.1 (RFC 9110, 6.2). The caller has removed
/// hop-by-hop fields; what `headers` says of framing and connection is left out all the same, but for
/// `connection` and `upgrade` of a 101. A name that is no token is left out, and a byte that may not stand in a value
/// becomes a space, so no header can end the head.
pub fn write_response_head<'a>(
    out: &mut BytesMut,
    status: StatusCode,
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    framing: ResponseFraming,
    persistent: bool,
    version: Version,
) {
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    for (name, value) in headers {
        let kept = match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => status == StatusCode::SWITCHING_PROTOCOLS,
            14 if name.eq_ignore_ascii_case(b"content-length") => framing == ResponseFraming::None,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => false,
            _ => true,
        };
        if kept {
            write_field(out, name, value);
        }
    }
    match framing {
        ResponseFraming::None | ResponseFraming::UntilClose => {}
        ResponseFraming::Length(length) => {
            write_field(out, b"content-length", itoa::Buffer::new().format(length).as_bytes());
        }
        ResponseFraming::Chunked => write_field(out, b"transfer-encoding", b"chunked"),
    }
    if status != StatusCode::SWITCHING_PROTOCOLS {
        if !persistent || framing == ResponseFraming::UntilClose {
            write_field(out, b"connection", b"close");
        } else if version == Version::HTTP_10 {
            write_field(out, b"connection", b"keep-alive");
        }
    }
    out.put_slice(b"\r\n");
}

/// Appends the size line of a chunk. The data follows, then [`CHUNK_TAIL`]; neither is copied here.
///
/// `data_len` is not zero: a chunk of size zero ends the body. For zero nothing is written, and the caller skips
/// the tail too.
pub fn write_chunk(out: &mut BytesMut, data_len: usize) {
    if data_len == 0 {
        return;
    }
    let digits = (usize::BITS - data_len.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        let digit = data_len >> (place * 4) & 15;
        out.put_u8(b"0123456789abcdef".get(digit).copied().unwrap_or(b'0'));
    }
    out.put_slice(b"\r\n");
}

/// Appends the last chunk and the trailer section.
pub fn write_last_chunk(out: &mut BytesMut, trailers: Option<&Headers>) {
    out.put_slice(b"0\r\n");
    for field in trailers.iter().flat_map(|trailers| trailers.iter()) {
        write_field(out, field.name, field.value);
    }
    out.put_slice(b"\r\n");
}

fn write_field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return;
    }
    out.put_slice(name);
    out.put_slice(b": ");
    if value.iter().fold(true, |valid, &byte| valid & is_field_value(byte)) {
        out.put_slice(value);
    } else {
        out.extend(value.iter().map(|&byte| if is_field_value(byte) { byte } else { b' ' }));
    }
    out.put_slice(b"\r\n");
}
