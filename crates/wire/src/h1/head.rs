//! The request head.

use bytes::{Bytes, BytesMut};
use http::{Method, Version};

use super::lines::{Line, Lines};
use super::rules::{self, Meaning};
use super::{Framing, Limits, Target, TargetForm, field};
use crate::bytes_class::is_token;
use crate::headers::Span;
use crate::{Authority, Headers, Refusal, RefusalKind};

/// A request head that has exactly one meaning.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method; any token of at most 32 bytes but CONNECT.
    pub method: Method,
    /// The target as received.
    pub target: Target,
    /// HTTP/1.0 or HTTP/1.1.
    pub version: Version,
    /// The fields as received, in order.
    pub headers: Headers,
    /// How the content is delimited.
    pub framing: Framing,
    /// Whether another request may follow on this connection (RFC 9112, 9.3).
    pub persistent: bool,
    /// Whether the client waits for [`CONTINUE`](super::CONTINUE) before it sends its content.
    pub expect_continue: bool,
    /// Whether the client offers another protocol: HTTP/1.1, `Connection: upgrade`, one `Upgrade` field that does
    /// not name `h2c`, and no content.
    pub upgrade: bool,
    /// The host asked for: of the absolute form and Host, which agree. `None` only in HTTP/1.0.
    pub authority: Option<Authority>,
    /// The whole head as received, its final empty line included.
    pub raw: Bytes,
}

/// Reads heads from a connection's bytes, one after the other.
///
/// Bytes are looked at once, however they arrive. After a refusal the reader only repeats it: the connection is to
/// be closed.
#[derive(Debug)]
pub struct HeadReader {
    limits: Limits,
    lines: Lines,
    request_line: Option<RequestLine>,
    spans: Vec<Span>,
    /// An empty line before the request line was let through.
    skipped: bool,
    refused: Option<Refusal>,
}

#[derive(Clone, Copy, Debug)]
struct RequestLine {
    method_end: usize,
    target_end: usize,
    version: Version,
}

/// Longest method. The longest registered one (`UPDATEREDIRECTREF`) has 17 bytes.
const METHOD_BYTES: usize = 32;
/// `SP` before and after the target, `HTTP/1.1`, CR LF.
const AROUND_TARGET: usize = 1 + 1 + 8 + 2;

// === impl HeadReader ===

impl HeadReader {
    /// A reader for the first head of a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            lines: Lines::default(),
            request_line: None,
            spans: Vec::with_capacity(24),
            skipped: false,
            refused: None,
        }
    }

    /// Takes exactly one head from the front of `buffer`, or `None` when more bytes are needed. Between calls the
    /// caller only appends to `buffer`.
    ///
    /// # Errors
    /// A [`Refusal`] as soon as the bytes seen cannot become one unambiguous head.
    pub fn read(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        let head = self.advance(buffer);
        if let Err(refusal) = head {
            self.refused = Some(refusal);
        }
        head
    }

    /// Whether no byte of a head was seen: the connection is idle, not slow.
    pub fn is_fresh(&self) -> bool {
        self.lines.is_fresh() && self.refused.is_none()
    }

    fn advance(&mut self, buffer: &mut BytesMut) -> Result<Option<Head>, Refusal> {
        let request_line = match self.request_line {
            Some(request_line) => request_line,
            None => match self.read_request_line(buffer)? {
                Some(request_line) => request_line,
                None => return Ok(None),
            },
        };
        loop {
            let next = self.lines.next(buffer, self.limits.head_bytes, RefusalKind::HeadTooLarge)?;
            let Some(line) = next else { return Ok(None) };
            if line.start == line.end {
                return self.finish(request_line, buffer).map(Some);
            }
            if self.spans.len() >= self.limits.headers {
                return Err(Refusal::at(RefusalKind::TooManyHeaders, line.start));
            }
            self.spans.push(field::read(buffer, line, self.spans.is_empty())?);
        }
    }

    fn read_request_line(&mut self, buffer: &mut BytesMut) -> Result<Option<RequestLine>, Refusal> {
        loop {
            match buffer.first() {
                // Said at once, not after a head's worth of bytes: TLS on a plain port, or the tail of a body.
                Some(&byte) if byte != b'\r' && byte != b'\n' && !is_token(byte) => {
                    return Err(Refusal::at(RefusalKind::InvalidMethod, 0));
                }
                Some(_) => {}
                None => return Ok(None),
            }
            let (limit, too_long) = self.request_line_limit();
            let Some(line) = self.lines.next(buffer, limit, too_long)? else { return Ok(None) };
            if line.start != line.end {
                let request_line = read_request_line(buffer, line, self.limits.target_bytes)?;
                self.request_line = Some(request_line);
                return Ok(Some(request_line));
            }
            if self.skipped {
                return Err(Refusal::at(RefusalKind::EmptyLines, 0));
            }
            self.skipped = true;
            self.lines = Lines::default();
            let _ = buffer.split_to(2);
        }
    }

    /// How many bytes a request line may have, and the refusal when it has more.
    fn request_line_limit(&self) -> (usize, RefusalKind) {
        let longest = self.limits.target_bytes.saturating_add(METHOD_BYTES + AROUND_TARGET);
        if longest < self.limits.head_bytes {
            (longest, RefusalKind::TargetTooLong)
        } else {
            (self.limits.head_bytes, RefusalKind::HeadTooLarge)
        }
    }

    fn finish(&mut self, line: RequestLine, buffer: &mut BytesMut) -> Result<Head, Refusal> {
        let Meaning { framing, persistent, expect_continue, upgrade, host } =
            rules::judge(buffer, &self.spans, line.version)?;
        let length = self.lines.position();
        let raw = buffer.split_to(length).freeze();
        let method = Method::from_bytes(raw.get(..line.method_end).unwrap_or_default())
            .map_err(|_| Refusal::at(RefusalKind::InvalidMethod, 0))?;
        let target_at = line.method_end + 1;
        let (target, authority) = Target::parse(raw.slice(target_at..line.target_end))
            .map_err(|kind| Refusal::at(kind, target_at))?;
        if method == Method::CONNECT {
            return Err(RefusalKind::ConnectRefused.into());
        }
        match target.form() {
            TargetForm::Authority => return Err(Refusal::at(RefusalKind::InvalidTarget, target_at)),
            TargetForm::Asterisk if method != Method::OPTIONS => {
                return Err(Refusal::at(RefusalKind::AsteriskTarget, target_at));
            }
            _ => {}
        }
        if method == Method::TRACE && !matches!(framing, Framing::Empty | Framing::Length(0)) {
            return Err(RefusalKind::TraceWithBody.into());
        }
        let host = host.map(|span| Authority::parse_shared(&span.value_bytes(&raw))).transpose()?;
        if host.is_some() && authority.is_some() && host != authority {
            return Err(RefusalKind::HostMismatch.into());
        }
        let headers = Headers::from_parts(raw.clone(), &self.spans);
        self.lines = Lines::default();
        self.request_line = None;
        self.spans.clear();
        self.skipped = false;
        Ok(Head {
            method,
            target,
            version: line.version,
            headers,
            framing,
            persistent,
            expect_continue,
            upgrade,
            authority: authority.or(host),
            raw,
        })
    }
}

/// Reads `method SP target SP version` (RFC 9112, 3), each `SP` exactly one space.
fn read_request_line(bytes: &[u8], line: Line, target_limit: usize) -> Result<RequestLine, Refusal> {
    let text = bytes.get(line.start..line.end).unwrap_or_default();
    let method_len = text.iter().position(|&byte| !is_token(byte)).unwrap_or(text.len());
    if method_len == 0 || method_len > METHOD_BYTES {
        return Err(Refusal::at(RefusalKind::InvalidMethod, line.start));
    }
    match text.get(method_len) {
        Some(b' ') => {}
        None | Some(b'\t') => return Err(Refusal::at(RefusalKind::InvalidRequestLine, method_len)),
        Some(_) => return Err(Refusal::at(RefusalKind::InvalidMethod, method_len)),
    }
    let target_at = method_len + 1;
    let rest = text.get(target_at..).unwrap_or_default();
    let Some(target_len) = memchr::memchr(b' ', rest) else {
        return Err(Refusal::at(RefusalKind::InvalidRequestLine, text.len()));
    };
    if target_len == 0 {
        return Err(Refusal::at(RefusalKind::InvalidRequestLine, target_at));
    }
    if target_len > target_limit {
        return Err(Refusal::at(RefusalKind::TargetTooLong, target_at));
    }
    let target_end = target_at + target_len;
    let version_at = target_end + 1;
    let version = match text.get(version_at..).unwrap_or_default() {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refusal::at(RefusalKind::UnsupportedVersion, version_at));
        }
        other if memchr::memchr2(b' ', b'\t', other).is_some() => {
            return Err(Refusal::at(RefusalKind::InvalidRequestLine, version_at));
        }
        _ => return Err(Refusal::at(RefusalKind::InvalidVersion, version_at)),
    };
    Ok(RequestLine { method_end: method_len, target_end, version })
}
