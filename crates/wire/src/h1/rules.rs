//! What the fields of a head mean for the connection: framing, persistence, expectation, upgrade, host.

use http::Version;

use super::Framing;
use crate::headers::Span;
use crate::{Refusal, RefusalKind};

/// What the fields mean.
pub(super) struct Meaning {
    pub(super) framing: Framing,
    pub(super) persistent: bool,
    pub(super) expect_continue: bool,
    pub(super) upgrade: bool,
    pub(super) host: Option<Span>,
}

/// What was seen while going over the fields.
#[derive(Default)]
struct Seen {
    host: Option<Span>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    expect: bool,
    upgrades: usize,
    h2c: bool,
}

/// Fields that `Connection` may not name. A proxy that obeys would strip what frames, routes or authenticates the
/// message, or what tells the upstream who is calling. `x-forwarded-` is a prefix.
const NOT_OF_THE_HOP: [&str; 15] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "origin",
    "range",
    "transfer-encoding",
    "via",
    "x-api-key",
    "x-real-ip",
];

/// Judges the fields together.
pub(super) fn judge(bytes: &[u8], spans: &[Span], version: Version) -> Result<Meaning, Refusal> {
    let mut seen = Seen::default();
    for span in spans {
        seen.take(bytes, *span)?;
    }
    let http11 = version == Version::HTTP_11;
    if http11 && seen.host.is_none() {
        return Err(RefusalKind::MissingHost.into());
    }
    let framing = match (seen.chunked, seen.length) {
        (true, _) if !http11 => return Err(RefusalKind::EncodingInHttp10.into()),
        (true, Some(_)) => return Err(RefusalKind::LengthAndEncoding.into()),
        (true, None) => Framing::Chunked,
        (false, Some(length)) => Framing::Length(length),
        (false, None) => Framing::Empty,
    };
    let content = !matches!(framing, Framing::Empty | Framing::Length(0));
    let upgrade = http11 && seen.connection_upgrade && seen.upgrades == 1 && !seen.h2c;
    if upgrade && content {
        return Err(RefusalKind::UpgradeWithBody.into());
    }
    Ok(Meaning {
        framing,
        persistent: !seen.close && (http11 || seen.keep_alive),
        expect_continue: seen.expect && http11 && content,
        upgrade,
        host: seen.host,
    })
}

/// Whether a trailer may have this name (RFC 9110, 6.5.1): nothing that frames, routes, authenticates, describes
/// the content or directs the request, since who merges trailers into headers would let them speak after the guards.
pub fn may_trail(name: &[u8]) -> bool {
    const FORBIDDEN: [&str; 28] = [
        "accept-encoding",
        "cache-control",
        "connection",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "max-forwards",
        "origin",
        "pragma",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "upgrade",
        "via",
        "www-authenticate",
        "x-api-key",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    ];
    // Digests are what trailers are for (RFC 9530, 2).
    const DIGESTS: [&str; 2] = ["content-digest", "content-md5"];
    let named = |forbidden: &str| eq(name, forbidden);
    let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| eq(start, prefix));
    let ends = |suffix: &str| {
        name.len().checked_sub(suffix.len()).and_then(|at| name.get(at..)).is_some_and(|end| eq(end, suffix))
    };
    !(looks_like(name, "content-length")
        || looks_like(name, "transfer-encoding")
        || FORBIDDEN.into_iter().any(named)
        || ["content-", "proxy-", "x-forwarded-", "x-http-method", "x-haechi-"].into_iter().any(starts)
            && !DIGESTS.into_iter().any(named)
        || ends("authorization")
        || ends("authentication-info"))
}

// === impl Seen ===

impl Seen {
    fn take(&mut self, bytes: &[u8], span: Span) -> Result<(), Refusal> {
        let (name, value) = (span.name(bytes), span.value(bytes));
        let refuse = |kind| Err(Refusal::at(kind, span.name as usize));
        // Most names are dismissed by their length.
        match name.len() {
            4 if eq(name, "host") => {
                let earlier = self.host.replace(span);
                if earlier.is_some() {
                    return refuse(RefusalKind::RepeatedHost);
                }
            }
            6 if eq(name, "expect") => {
                if self.expect || !eq(value, "100-continue") {
                    return refuse(RefusalKind::InvalidExpect);
                }
                self.expect = true;
            }
            7 if eq(name, "upgrade") => {
                self.upgrades += 1;
                self.h2c |= list(value).any(|option| eq(option, "h2c"));
            }
            10 if eq(name, "connection") => self.take_connection(value, span.value as usize)?,
            14 if eq(name, "content-length") => {
                if self.length.is_some() {
                    return refuse(RefusalKind::RepeatedContentLength);
                }
                self.length = Some(length(value).ok_or(Refusal::at(
                    if memchr::memchr(b',', value).is_some() {
                        RefusalKind::RepeatedContentLength
                    } else {
                        RefusalKind::InvalidContentLength
                    },
                    span.value as usize,
                ))?);
            }
            17 if eq(name, "transfer-encoding") => {
                if self.chunked {
                    return refuse(RefusalKind::RepeatedTransferEncoding);
                }
                if !eq(value, "chunked") {
                    return Err(Refusal::at(RefusalKind::InvalidTransferEncoding, span.value as usize));
                }
                self.chunked = true;
            }
            14 if looks_like(name, "content-length") => return refuse(RefusalKind::LookAlikeHeader),
            17 if looks_like(name, "transfer-encoding") => return refuse(RefusalKind::LookAlikeHeader),
            _ => {}
        }
        Ok(())
    }

    fn take_connection(&mut self, value: &[u8], at: usize) -> Result<(), Refusal> {
        for option in list(value) {
            if !option.iter().all(|&byte| crate::bytes_class::is_token(byte)) {
                return Err(Refusal::at(RefusalKind::InvalidConnection, at));
            }
            if eq(option, "close") {
                self.close = true;
            } else if eq(option, "keep-alive") {
                self.keep_alive = true;
            } else if eq(option, "upgrade") {
                self.connection_upgrade = true;
            } else if NOT_OF_THE_HOP.into_iter().any(|name| eq(option, name))
                || option.get(..12).is_some_and(|start| eq(start, "x-forwarded-"))
            {
                return Err(Refusal::at(RefusalKind::ConnectionNamesField, at));
            }
        }
        Ok(())
    }
}

/// The elements of a comma-separated list; empty ones are skipped (RFC 9110, 5.6.1.2).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(crate::bytes_class::trim_ows).filter(|element| !element.is_empty())
}

/// A plain decimal number.
fn length(value: &[u8]) -> Option<u64> {
    match value {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if value.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(value).ok()?.parse().ok()
        }
        _ => None,
    }
}

/// Whether the name is this one to a reader that takes every separator for `-`.
fn looks_like(name: &[u8], lower: &str) -> bool {
    name.len() == lower.len()
        && name.iter().zip(lower.bytes()).all(|(&byte, expected)| {
            if expected == b'-' {
                !byte.is_ascii_alphanumeric()
            } else {
                byte.eq_ignore_ascii_case(&expected)
            }
        })
}

fn eq(text: &[u8], lower: &str) -> bool {
    text.eq_ignore_ascii_case(lower.as_bytes())
}
