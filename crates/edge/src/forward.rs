//! From the judged request to the one that is sent, and from the upstream's response to the one that is passed on.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use haechi_events::{RequestId, TraceContext};
use haechi_guard::Principal;
use haechi_wire::h1::may_trail;
use haechi_wire::{CanonicalPath, Headers, Query};
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_HAECHI_IDENTITY: HeaderName = HeaderName::from_static("x-haechi-identity");
const X_HAECHI_SUBJECT: HeaderName = HeaderName::from_static("x-haechi-subject");

/// What speaks of a body's coded bytes.
const CODED: [&str; 5] = ["content-encoding", "content-digest", "repr-digest", "digest", "content-md5"];

/// What the gateway knows and tells the upstream.
pub(crate) struct Facts<'a> {
    pub(crate) id: RequestId,
    pub(crate) trace: &'a TraceContext,
    pub(crate) client: IpAddr,
    pub(crate) host: &'a str,
    pub(crate) secure: bool,
    pub(crate) principal: Option<&'a Principal>,
    /// Headers that carry API keys: an upstream has no use for its callers' keys.
    pub(crate) key_headers: &'a [HeaderName],
    /// Whether the body passes with its trailers. One that was read whole has none.
    pub(crate) trailers: bool,
    /// Whether the body was decoded: what is said of the coded bytes is then said of nothing.
    pub(crate) decoded: bool,
}

/// The headers that are sent. Everything that speaks of the connection, and everything that only the gateway may say
/// (who the caller is and where it is), is left out and said anew.
pub(crate) fn request_headers(received: &Headers, facts: &Facts<'_>) -> HeaderMap {
    let mut sent = HeaderMap::with_capacity(received.len() + 10);
    let nominated = received.get("connection").map(|value| value.to_ascii_lowercase());
    let mut cookies: Option<BytesMut> = None;
    for (at, field) in received.iter().enumerate() {
        let Ok(name) = HeaderName::from_bytes(field.name) else { continue };
        if facts.decoded && CODED.contains(&name.as_str()) {
            continue;
        }
        if name == TE && takes_trailers(received) {
            sent.insert(TE, HeaderValue::from_static("trailers"));
            continue;
        }
        if name == TRAILER && facts.trailers {
            sent.extend(announced(field.value).map(|value| (TRAILER, value)));
            continue;
        }
        if is_ours(&name) || facts.key_headers.contains(&name) || is_nominated(nominated.as_deref(), &name) {
            continue;
        }
        if name == TRACESTATE && facts.trace.parent_span_id.is_none() {
            continue;
        }
        if name == COOKIE {
            // HTTP/2 may send a cookie in crumbs (RFC 9113, section 8.2.3); HTTP/1 has one field.
            let cookies = cookies.get_or_insert_default();
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(field.value);
            continue;
        }
        if let Some(Ok(value)) = received.value_bytes(at).map(HeaderValue::from_maybe_shared) {
            sent.append(name, value);
        }
    }
    if let Some(Ok(value)) = cookies.map(|cookies| HeaderValue::from_maybe_shared(cookies.freeze())) {
        sent.insert(COOKIE, value);
    }
    let proto = if facts.secure { "https" } else { "http" };
    sent.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    insert(&mut sent, X_FORWARDED_FOR, facts.client.to_string());
    insert(&mut sent, X_FORWARDED_HOST, facts.host.to_owned());
    insert(&mut sent, FORWARDED, forwarded(facts, proto));
    insert(&mut sent, X_REQUEST_ID, facts.id.to_string());
    insert(&mut sent, TRACEPARENT, facts.trace.traceparent());
    if let Some(principal) = facts.principal {
        insert(&mut sent, X_HAECHI_IDENTITY, principal.identity.to_string());
        insert(&mut sent, X_HAECHI_SUBJECT, principal.subject.to_string());
    }
    sent
}

/// A protocol as events name it.
pub(crate) fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// The target that is sent: the canonical path and query, which were judged.
pub(crate) fn target(path: &CanonicalPath, query: &Query) -> Option<PathAndQuery> {
    let path = path.as_str();
    let Some(query) = query.canonical() else {
        return PathAndQuery::try_from(path).ok();
    };
    let mut text = BytesMut::with_capacity(path.len() + 1 + query.len());
    text.extend_from_slice(path.as_bytes());
    text.extend_from_slice(b"?");
    text.extend_from_slice(query.as_bytes());
    PathAndQuery::from_maybe_shared::<Bytes>(text.freeze()).ok()
}

/// Leaves the end-to-end headers of an upstream's response. Its length is said anew from the body, unless there is
/// none to measure (`keep_length`: `HEAD`, 304).
pub(crate) fn response_headers(headers: &mut HeaderMap, keep_length: bool) {
    if let Some(nominated) = headers.remove(CONNECTION)
        && let Ok(nominated) = nominated.to_str()
    {
        for name in nominated.split(',').map(str::trim) {
            if !name.eq_ignore_ascii_case("close") && !name.is_empty() {
                headers.remove(name);
            }
        }
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    if let Some(trailer) = headers.remove(TRAILER)
        && let Some(trailer) = announced(trailer.as_bytes())
    {
        headers.insert(TRAILER, trailer);
    }
    if !keep_length {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Whether the caller takes trailers (`TE: trailers`; RFC 9110, section 10.1.4).
pub(crate) fn takes_trailers(received: &Headers) -> bool {
    received.get_all("te").any(|value| {
        value.split(|byte| *byte == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
}

/// The trailers that are passed on: none that frames, routes, authenticates or describes the content.
pub(crate) fn trailers(trailers: &HeaderMap) -> Option<HeaderMap> {
    let mut kept = HeaderMap::with_capacity(trailers.len());
    for (name, value) in trailers {
        if may_trail(name.as_str().as_bytes()) {
            kept.append(name, value.clone());
        }
    }
    (!kept.is_empty()).then_some(kept)
}

/// The trailers that are announced, without those that are not passed on.
fn announced(value: &[u8]) -> Option<HeaderValue> {
    let names: Vec<_> = value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|name| HeaderName::from_bytes(name).is_ok() && may_trail(name))
        .collect();
    if names.is_empty() { None } else { HeaderValue::from_bytes(&names.join(&b", "[..])).ok() }
}

/// Headers of the connection (RFC 9110, section 7.6.1), and those whose content only the gateway decides.
fn is_ours(name: &HeaderName) -> bool {
    [
        CONNECTION,
        HOST,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        TE,
        TRAILER,
        UPGRADE,
        EXPECT,
        PROXY_AUTHORIZATION,
        PROXY_AUTHENTICATE,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        FORWARDED,
        X_REQUEST_ID,
        TRACEPARENT,
    ]
    .contains(name)
        || name.as_str().starts_with("x-forwarded-")
        || name.as_str().starts_with("x-haechi-")
        || name.as_str() == "x-real-ip"
}

/// Whether `Connection` names the header as one of this hop.
fn is_nominated(connection: Option<&[u8]>, name: &HeaderName) -> bool {
    connection.is_some_and(|connection| {
        connection.split(|byte| *byte == b',').any(|option| option.trim_ascii() == name.as_str().as_bytes())
    })
}

/// The `Forwarded` header (RFC 7239).
fn forwarded(facts: &Facts<'_>, proto: &str) -> String {
    let host = facts.host;
    match facts.client {
        IpAddr::V4(client) => format!("for={client};host=\"{host}\";proto={proto}"),
        IpAddr::V6(client) => format!("for=\"[{client}]\";host=\"{host}\";proto={proto}"),
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use haechi_wire::HeadersBuilder;

    use super::*;

    fn sent(received: &[(&str, &str)], trace: &TraceContext) -> HeaderMap {
        let mut headers = HeadersBuilder::with_capacity(received.len(), 256);
        for (name, value) in received {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let facts = Facts {
            id: RequestId::default(),
            trace,
            client: IpAddr::from([192, 0, 2, 7]),
            host: "api.pizza.example",
            secure: true,
            principal: None,
            key_headers: &[HeaderName::from_static("x-api-key")],
            trailers: true,
            decoded: received.contains(&("X-Decoded", "yes")),
        };
        request_headers(&headers.finish(), &facts)
    }

    #[test]
    fn only_the_gateway_says_who_calls() {
        let sent = sent(
            &[
                ("X-Forwarded-For", "10.0.0.1"),
                ("X-Forwarded-User", "root"),
                ("Forwarded", "for=10.0.0.1"),
                ("X-Haechi-Subject", "root"),
                ("X-Real-IP", "10.0.0.1"),
                ("X-Api-Key", "hch_live_secret"),
            ],
            &TraceContext::start(0.0),
        );
        assert_eq!(sent["x-forwarded-for"], "192.0.2.7");
        assert_eq!(sent["forwarded"], "for=192.0.2.7;host=\"api.pizza.example\";proto=https");
        for absent in ["x-forwarded-user", "x-haechi-subject", "x-real-ip", "x-api-key"] {
            assert!(!sent.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn headers_of_the_hop_stay_on_the_hop() {
        let sent = sent(
            &[
                ("Connection", "keep-alive, X-Internal"),
                ("X-Internal", "1"),
                ("Keep-Alive", "timeout=5"),
                ("TE", "gzip"),
                ("Upgrade", "h2c"),
                ("Content-Length", "5"),
                ("Accept", "*/*"),
            ],
            &TraceContext::start(0.0),
        );
        assert_eq!(sent["accept"], "*/*");
        for absent in ["connection", "x-internal", "keep-alive", "te", "upgrade", "content-length"] {
            assert!(!sent.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn trailers_are_asked_for_and_announced_but_for_those_that_never_pass() {
        let sent = sent(
            &[("TE", "gzip;q=0.5, Trailers"), ("Trailer", "grpc-status, Content-Length, Host, x sum,digest")],
            &TraceContext::start(0.0),
        );
        assert_eq!(sent["te"], "trailers");
        assert_eq!(sent["trailer"], "grpc-status, digest");
        let mut map = HeaderMap::new();
        for name in ["transfer-encoding", "content-length", "set-cookie", "authorization", "grpc-status"] {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let kept = trailers(&map).expect("one is left");
        assert_eq!(kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["grpc-status"]);
        map.remove("grpc-status");
        assert_eq!(trailers(&map), None);
    }

    #[test]
    fn what_was_said_of_coded_bytes_is_not_said_of_decoded_ones() {
        let fields =
            [("Content-Encoding", "gzip"), ("Content-Digest", "sha-256=:x:"), ("Content-Type", "a/b")];
        let trace = TraceContext::start(0.0);
        let kept = sent(&fields, &trace);
        assert!(kept.contains_key("content-encoding") && kept.contains_key("content-digest"));
        let decoded = sent(&[fields[0], fields[1], fields[2], ("X-Decoded", "yes")], &trace);
        assert!(!decoded.contains_key("content-encoding") && !decoded.contains_key("content-digest"));
        assert_eq!(decoded["content-type"], "a/b");
    }

    #[test]
    fn cookie_crumbs_become_one_cookie() {
        let sent = sent(&[("cookie", "a=1"), ("cookie", "b=2")], &TraceContext::start(0.0));
        assert_eq!(sent["cookie"], "a=1; b=2");
    }

    #[test]
    fn the_trace_goes_on_and_its_state_only_with_it() {
        let new = TraceContext::start(0.0);
        assert!(!sent(&[("tracestate", "a=b")], &new).contains_key("tracestate"));
        let continued = TraceContext::continued(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let continued = continued.expect("valid");
        let sent = sent(&[("traceparent", "junk"), ("tracestate", "a=b")], &continued);
        assert_eq!(sent["tracestate"], "a=b");
        assert_eq!(sent["traceparent"], continued.traceparent());
    }

    #[test]
    fn a_response_keeps_its_end_to_end_headers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("content-length", "3"),
            ("etag", "\"e\""),
            ("upgrade", "h2c"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut head = headers.clone();
        response_headers(&mut headers, false);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
        response_headers(&mut head, true);
        assert_eq!(head["content-length"], "3");
    }
}
