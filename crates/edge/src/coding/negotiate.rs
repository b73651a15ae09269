//! Which responses are compressed, and how the caller is told (RFC 9110, sections 8.4, 8.8 and 12.5).

use haechi_wire::Headers;
use http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderName, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Coding;

/// Shortest body that is compressed: below it, what is saved is less than a packet.
const LEAST: u64 = 1024;

/// What an answer may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Negotiation {
    /// It is sent as it is, whoever asks.
    Never,
    /// It depends on what the caller takes; this one takes nothing better.
    Plain,
    /// It is compressed.
    Compressed(Coding),
}

/// Says what becomes of a response of this head. `length` is its body's, where it is known. `secret` says that the
/// caller proved who it is; unless `all` responses are compressed, none is then whose length could tell of a secret
/// (BREACH: what is compressed together with what an attacker chooses betrays itself by its length).
pub(crate) fn negotiate(
    asked: &Headers,
    status: StatusCode,
    headers: &HeaderMap,
    length: Option<u64>,
    secret: bool,
    all: bool,
) -> Negotiation {
    let passes = status == StatusCode::PARTIAL_CONTENT
        || [CONTENT_ENCODING, CONTENT_RANGE].iter().any(|name| headers.contains_key(name))
        || asked.get("range").is_some()
        || length.is_some_and(|length| length < LEAST)
        || directives(headers).any(|directive| directive.eq_ignore_ascii_case("no-transform"))
        || !headers.get(CONTENT_TYPE).is_some_and(|kind| is_compressible(kind.as_bytes()));
    let private = secret
        || headers.contains_key(SET_COOKIE)
        || asked.get(AUTHORIZATION.as_str()).is_some()
        || asked.get("cookie").is_some()
        || directives(headers).any(|directive| {
            directive.eq_ignore_ascii_case("private") || directive.eq_ignore_ascii_case("no-store")
        });
    if passes || private && !all {
        return Negotiation::Never;
    }
    preferred(asked).map_or(Negotiation::Plain, Negotiation::Compressed)
}

/// Tells caches that the answer depends on what the caller takes.
pub(crate) fn vary(headers: &mut HeaderMap) {
    let told = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value
            .split(',')
            .map(str::trim)
            .any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding"))
    });
    if !told {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Tells the caller. What was said of the bytes that are not sent is weakened or taken away.
pub(crate) fn compressed_head(headers: &mut HeaderMap, coding: Coding) {
    const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    for name in DIGESTS {
        headers.remove(HeaderName::from_static(name));
    }
    let weak = headers
        .get(ETAG)
        .filter(|etag| etag.as_bytes().starts_with(b"\""))
        .and_then(|etag| HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()).ok());
    if let Some(weak) = weak {
        headers.insert(ETAG, weak);
    }
}

/// The coding that the caller likes best; of those it likes alike, the one that takes least time.
fn preferred(asked: &Headers) -> Option<Coding> {
    let offers: Vec<_> = asked
        .get_all("accept-encoding")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .filter_map(weighed)
        .collect();
    let weight = |name: &str| {
        let of = |wanted: &str| {
            offers.iter().find(|(offer, _)| offer.eq_ignore_ascii_case(wanted.as_bytes())).map(|(_, q)| *q)
        };
        of(name).or_else(|| of("*")).unwrap_or(0)
    };
    let identity =
        offers.iter().find(|(offer, _)| offer.eq_ignore_ascii_case(b"identity")).map_or(0, |(_, q)| *q);
    [Coding::Zstd, Coding::Brotli, Coding::Gzip]
        .into_iter()
        .map(|coding| (coding, weight(coding.name())))
        .filter(|(_, weight)| *weight > 0 && *weight >= identity)
        // The first of the largest.
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(coding, _)| coding)
}

/// An element of `Accept-Encoding` and its weight in thousandths; nothing if it is malformed.
fn weighed(element: &[u8]) -> Option<(&[u8], u32)> {
    let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let Some(parameter) = parts.next() else { return Some((name, 1000)) };
    let q = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    let weight = match q {
        [b'0'] | [b'1'] => u32::from(q == b"1") * 1000,
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => {
            let mut thousandths = 0;
            for at in 0..3 {
                let digit = digits.get(at).copied().unwrap_or(b'0');
                if !digit.is_ascii_digit() {
                    return None;
                }
                thousandths = thousandths * 10 + u32::from(digit - b'0');
            }
            let weight = if *whole == b'1' { 1000 + thousandths } else { thousandths };
            (weight <= 1000).then_some(weight)?
        }
        _ => return None,
    };
    Some((name, weight))
}

fn directives(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|directive| directive.split('=').next())
        .map(str::trim)
}

/// Whether content of this type shrinks. A stream of events does, but passes event by event.
fn is_compressible(kind: &[u8]) -> bool {
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    let starts = |prefix: &str| kind.starts_with(prefix.as_bytes());
    let ends = |suffix: &str| kind.ends_with(suffix.as_bytes());
    const KINDS: [&str; 7] = [
        "application/javascript",
        "application/json",
        "application/ld+json",
        "application/wasm",
        "application/x-ndjson",
        "application/xml",
        "image/svg+xml",
    ];
    starts("text/") && kind != b"text/event-stream"
        || KINDS.iter().any(|known| kind == known.as_bytes())
        || starts("application/") && (ends("+json") || ends("+xml"))
}
