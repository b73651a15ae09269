//! The WebSocket handshake (RFC 6455, section 4), judged between caller and upstream.
//!
//! HTTP/2's extended `CONNECT` (RFC 8441) comes here as the `GET` with `Upgrade` that it stands for; the upstream is
//! always asked in HTTP/1.1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use haechi_guard::{Denial, Reason};
use haechi_wire::{Headers, websocket};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use crate::respond::Problem;

/// What is appended to a key before it is hashed (section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A caller's handshake that is in order.
#[derive(Debug)]
pub(crate) struct Offer {
    /// What proves to the caller that its handshake was read; nothing over HTTP/2.
    accept: Option<HeaderValue>,
    /// What the upstream must answer to the gateway's own key.
    expected: HeaderValue,
    key: HeaderValue,
}

/// Which protocol the caller wants to change to, if it is one that there is a name for here. Other offers may be
/// ignored (RFC 9110, section 7.8), `h2c` among them.
pub(crate) fn is_offered(headers: &Headers) -> bool {
    headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
}

/// The denial for a caller from a web site that may not use the caller's credentials: browsers send cookies with
/// WebSocket handshakes of any site (cross-site WebSocket hijacking).
pub(crate) fn foreign_origin(headers: &Headers, origins: &[String]) -> Option<Denial> {
    if origins.is_empty() {
        return None;
    }
    let mut told = headers.get_all("origin");
    let origin = told.next();
    let known = |origin: &[u8]| origins.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin));
    if told.next().is_none() && origin.is_some_and(known) {
        return None;
    }
    let origin = String::from_utf8_lossy(origin.unwrap_or(b"none")).chars().take(128).collect::<String>();
    Some(Denial::new(
        StatusCode::FORBIDDEN,
        "origin-refused",
        "This web site may not open this connection.",
        Reason::new("origin", format!("the origin `{origin}` is not listed")),
    ))
}

// === impl Offer ===

impl Offer {
    /// Judges a caller's handshake. `nonce` is what the gateway's own key is made of.
    pub(crate) fn read(
        method: &Method,
        version: Version,
        headers: &Headers,
        nonce: [u8; 16],
    ) -> Result<Self, Problem> {
        let bad = |detail: &'static str| Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail);
        if *method != Method::GET {
            return Err(bad("A WebSocket handshake is a GET."));
        }
        if headers.get("sec-websocket-version") != Some(b"13") || headers.count("sec-websocket-version") != 1
        {
            let problem = Problem::new(
                StatusCode::UPGRADE_REQUIRED,
                "bad-request",
                "Only version 13 of WebSocket is spoken.",
            );
            return Err(problem
                .header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
                .header(UPGRADE, HeaderValue::from_static("websocket")));
        }
        let accept = match version {
            Version::HTTP_2 => None,
            _ => {
                let key = headers.get("sec-websocket-key").filter(|key| websocket::is_key(key));
                let Some(key) = key.filter(|_| headers.count("sec-websocket-key") == 1) else {
                    return Err(bad("`Sec-WebSocket-Key` is 16 bytes in base64."));
                };
                answer_to(key)
            }
        };
        let key = STANDARD.encode(nonce);
        let (Some(expected), Ok(key)) = (answer_to(key.as_bytes()), HeaderValue::from_str(&key)) else {
            return Err(bad("The handshake cannot be sent on."));
        };
        Ok(Self { accept, expected, key })
    }

    /// Makes a handshake of the request that is sent.
    pub(crate) fn write(&self, sent: &mut HeaderMap) {
        sent.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        sent.insert(UPGRADE, HeaderValue::from_static("websocket"));
        sent.insert(SEC_WEBSOCKET_KEY, self.key.clone());
    }

    /// Judges the upstream's answer to it; says what is wrong. `offered` is what was sent.
    pub(crate) fn check(&self, offered: &Headers, answer: &HeaderMap) -> Result<(), &'static str> {
        let one = |name| {
            let mut values = answer.get_all(name).iter();
            values.next().filter(|_| values.next().is_none())
        };
        if !one(&UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket")) {
            return Err("it changed to another protocol");
        }
        if one(&SEC_WEBSOCKET_ACCEPT) != Some(&self.expected) {
            return Err("its `Sec-WebSocket-Accept` is wrong");
        }
        let names = |value: &[u8]| -> Vec<Vec<u8>> {
            value
                .split(|byte| *byte == b',')
                .filter_map(|part| part.split(|byte| *byte == b';').next())
                .map(|name| name.trim_ascii().to_ascii_lowercase())
                .filter(|name| !name.is_empty())
                .collect()
        };
        let unasked = |header: &HeaderName, lower: &str| {
            let offers: Vec<_> = offered.get_all(lower).flat_map(names).collect();
            let chosen: Vec<_> =
                answer.get_all(header).iter().flat_map(|value| names(value.as_bytes())).collect();
            chosen.iter().any(|name| !offers.contains(name))
                || *header == SEC_WEBSOCKET_PROTOCOL && chosen.len() > 1
        };
        if unasked(&SEC_WEBSOCKET_PROTOCOL, "sec-websocket-protocol") {
            return Err("it chose a subprotocol that was not offered");
        }
        if unasked(&SEC_WEBSOCKET_EXTENSIONS, "sec-websocket-extensions") {
            return Err("it chose an extension that was not offered");
        }
        Ok(())
    }

    /// The head that tells the caller, of the upstream's end-to-end headers.
    pub(crate) fn accepted(&self, headers: &mut HeaderMap) -> StatusCode {
        headers.remove(SEC_WEBSOCKET_ACCEPT);
        let Some(accept) = &self.accept else { return StatusCode::OK };
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
        StatusCode::SWITCHING_PROTOCOLS
    }
}

/// What answers this key (section 4.2.2): SHA-1 proves nothing here but that the handshake was read.
fn answer_to(key: &[u8]) -> Option<HeaderValue> {
    use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    HeaderValue::from_str(&STANDARD.encode(hash.finish())).ok()
}

#[cfg(test)]
mod tests {
    use haechi_wire::HeadersBuilder;

    use super::*;

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut builder = HeadersBuilder::with_capacity(fields.len(), 256);
        for (name, value) in fields {
            builder.push(name.as_bytes(), value.as_bytes());
        }
        builder.finish()
    }

    fn handshake() -> Headers {
        headers(&[
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "chat, superchat"),
        ])
    }

    fn offer() -> Offer {
        Offer::read(&Method::GET, Version::HTTP_11, &handshake(), [7; 16]).expect("in order")
    }

    #[test]
    fn the_rfcs_own_example_is_answered_as_it_says() {
        let mut answer = HeaderMap::new();
        assert_eq!(offer().accepted(&mut answer), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(answer["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let read = |method: &Method, fields: &[(&str, &str)]| {
            Offer::read(method, Version::HTTP_11, &headers(fields), [0; 16])
                .map(drop)
                .map_err(|p| p.status.as_u16())
        };
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let version = ("sec-websocket-version", "13");
        assert_eq!(read(&Method::GET, &[key, version]), Ok(()));
        assert_eq!(read(&Method::POST, &[key, version]), Err(400));
        assert_eq!(read(&Method::GET, &[key]), Err(426));
        assert_eq!(read(&Method::GET, &[key, ("sec-websocket-version", "8")]), Err(426));
        assert_eq!(read(&Method::GET, &[version]), Err(400));
        assert_eq!(read(&Method::GET, &[key, key, version]), Err(400));
        assert_eq!(read(&Method::GET, &[("sec-websocket-key", "short"), version]), Err(400));
    }

    #[test]
    fn an_upstreams_answer_must_fit_what_it_was_asked() {
        let offer = offer();
        let mut good = HeaderMap::new();
        good.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
        good.insert(SEC_WEBSOCKET_ACCEPT, offer.expected.clone());
        assert_eq!(offer.check(&handshake(), &good), Ok(()));
        for (name, value) in [
            ("upgrade", "h2c"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "admin"),
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ] {
            let mut bad = good.clone();
            bad.insert(name, HeaderValue::from_static(value));
            assert!(offer.check(&handshake(), &bad).is_err(), "{name}: {value}");
        }
        good.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("superchat"));
        assert_eq!(offer.check(&handshake(), &good), Ok(()));
    }

    #[test]
    fn only_listed_origins_may_open_a_connection_where_there_is_a_list() {
        let listed = ["https://www.pizza.example".to_owned()];
        assert!(foreign_origin(&headers(&[]), &[]).is_none());
        assert!(foreign_origin(&headers(&[("origin", "https://WWW.pizza.example")]), &listed).is_none());
        for fields in [
            &[][..],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "https://www.pizza.example"), ("origin", "https://evil.example")],
        ] {
            assert!(foreign_origin(&headers(fields), &listed).is_some(), "{fields:?}");
        }
    }
}
