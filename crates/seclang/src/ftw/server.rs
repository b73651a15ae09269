//! The server that a suite is sent to, imagined.

use std::net::{IpAddr, Ipv4Addr};

use super::suite::Input;
use crate::body::json;
use crate::names::Transform;
use crate::transaction::Request;
use crate::transform;

/// A request as it would be on the wire.
pub(super) struct Sent {
    method: Vec<u8>,
    target: Vec<u8>,
    version: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    /// Whether its head is one at all.
    malformed: bool,
}

/// What the back end answers.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    transform::apply(Transform::Base64Decode, text, &mut out);
    out
}

// === impl Sent ===

impl Sent {
    /// What go-ftw makes of a stage.
    pub(super) fn of(input: &Input) -> Self {
        if let Some(encoded) = &input.encoded_request {
            return Self::parse(&base64(encoded.as_bytes()));
        }
        let text =
            |text: &Option<String>, otherwise: &str| text.as_deref().unwrap_or(otherwise).as_bytes().to_vec();
        let body = match &input.encoded_data {
            Some(encoded) => base64(encoded.as_bytes()),
            None => text(&input.data, ""),
        };
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, value) in &input.headers.0 {
            headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        }
        for pair in &input.ordered_headers {
            headers.push((pair.name.as_bytes().to_vec(), pair.value.as_bytes().to_vec()));
        }
        let has = |headers: &[(Vec<u8>, Vec<u8>)], wanted: &[u8]| {
            headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        if input.autocomplete_headers.unwrap_or(!input.stop_magic.unwrap_or(false)) {
            if !has(&headers, b"connection") {
                headers.push((b"Connection".to_vec(), b"close".to_vec()));
            }
            if !body.is_empty() && !has(&headers, b"content-type") {
                headers.push((b"Content-Type".to_vec(), b"application/x-www-form-urlencoded".to_vec()));
            }
            let posted = input.method.as_deref() == Some("POST");
            if (posted || !body.is_empty()) && !has(&headers, b"content-length") {
                headers.push((b"Content-Length".to_vec(), body.len().to_string().into_bytes()));
            }
        }
        let coding = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding"));
        let body = match coding {
            Some((_, coding)) if coding.to_ascii_lowercase().ends_with(b"chunked") => dechunked(&body),
            Some(_) => body,
            // Without a length there is no body.
            None if has(&headers, b"content-length") => body,
            None => Vec::new(),
        };
        // A server trims what stands around a value.
        for (_, value) in &mut headers {
            *value = value.trim_ascii().to_vec();
        }
        Self {
            method: text(&input.method, "GET"),
            target: text(&input.uri, "/"),
            version: text(&input.version, "HTTP/1.1"),
            headers,
            body,
            malformed: false,
        }
    }

    fn parse(raw: &[u8]) -> Self {
        let end = memchr::memmem::find(raw, b"\r\n\r\n").unwrap_or(raw.len());
        let head = raw.get(..end).unwrap_or_default();
        let body = raw.get(end + 4..).unwrap_or_default();
        let mut lines =
            head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let line = lines.next().unwrap_or_default();
        let mut words = line.splitn(3, |byte| *byte == b' ');
        let mut word = || words.next().unwrap_or_default().to_vec();
        let (method, target, version) = (word(), word(), word());
        let mut malformed = false;
        let mut headers = Vec::new();
        for line in lines {
            match memchr::memchr(b':', line) {
                Some(colon) => {
                    let (name, value) = line.split_at(colon);
                    headers.push((name.to_vec(), value.get(1..).unwrap_or_default().trim_ascii().to_vec()));
                }
                None => malformed |= !line.is_empty(),
            }
        }
        let chunked = headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case(b"transfer-encoding")
                && value.to_ascii_lowercase().ends_with(b"chunked")
        });
        let body = if chunked { dechunked(body) } else { body.to_vec() };
        Self { method, target, version, headers, body, malformed }
    }

    pub(super) fn request<T>(&self, use_it: impl FnOnce(&Request<'_>) -> T) -> T {
        // RFC 9112, 6.3: a length beside a transfer coding is removed.
        let coded = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding"));
        let kept =
            self.headers.iter().filter(|(name, _)| !coded || !name.eq_ignore_ascii_case(b"content-length"));
        let headers: Vec<(&[u8], &[u8])> =
            kept.map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        use_it(&Request {
            method: &self.method,
            target: &self.target,
            protocol: &self.version,
            headers: &headers,
            client: (local, 40_000),
            server: (local, 80),
            unique_id: "aSfDBX8AAAEAABIxKlcAAAAB",
            now: 1_764_083_461_000_000,
        })
    }

    /// With which status a server refuses it that keeps to RFC 9112 and RFC 9110.
    pub(super) fn refusal(&self) -> Option<u16> {
        let token = |text: &[u8]| {
            !text.is_empty()
                && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
        };
        let values = |wanted: &[u8]| -> Vec<&[u8]> {
            let own = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            own.map(|(_, value)| value.as_slice()).collect()
        };
        let (hosts, lengths) = (values(b"host"), values(b"content-length"));
        let host_ok = match hosts.as_slice() {
            [one] => {
                !one.is_empty()
                    && one.iter().all(|byte| byte.is_ascii_graphic())
                    && !one.contains(&b'/')
                    && !one.contains(&b'%')
            }
            _ => false,
        };
        let connect = self.method == b"CONNECT";
        let target_ok = match self.target.first() {
            Some(b'/') => !connect,
            Some(b'*') => self.method == b"OPTIONS" && self.target.len() == 1,
            Some(_) if connect => {
                let port = self.target.rsplit(|byte| *byte == b':').next().unwrap_or_default();
                port.len() < self.target.len() && !port.is_empty() && port.iter().all(u8::is_ascii_digit)
            }
            Some(_) => memchr::memmem::find(&self.target, b"://").is_some(),
            None => false,
        };
        let bad = self.malformed
            || !token(&self.method)
            || !self.method.iter().all(u8::is_ascii_uppercase)
            || !target_ok
            || self.target.iter().any(|byte| !byte.is_ascii_graphic() || *byte == b'#')
            || !matches!(self.version.as_slice(), b"HTTP/1.0" | b"HTTP/1.1")
            || !host_ok
            || lengths.len() > 1
            || lengths.iter().any(|length| !length.iter().all(u8::is_ascii_digit) || length.is_empty())
            || self.headers.iter().any(|(name, value)| {
                !token(name) || value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
            });
        bad.then_some(400)
    }

    /// `/reflect` answers with what the body of the request describes.
    pub(super) fn response(&self) -> Response {
        let mut response = Response {
            status: 200,
            headers: vec![(b"Content-Type".to_vec(), b"text/plain; charset=utf-8".to_vec())],
            body: Vec::new(),
        };
        if !self.target.starts_with(b"/reflect") {
            return response;
        }
        let mut pairs = Vec::new();
        if json::flatten(&self.body, 16, 1_000, &mut pairs).is_err() {
            response.status = 400;
            return response;
        }
        for (name, value) in pairs {
            match name.as_slice() {
                b"json.status" => {
                    response.status =
                        std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()).unwrap_or(200)
                }
                b"json.body" => response.body = value,
                b"json.encodedBody" => response.body = base64(&value),
                other => {
                    if let Some(header) = other.strip_prefix(b"json.headers.") {
                        response.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
                        response.headers.push((header.to_vec(), value));
                    }
                }
            }
        }
        response
    }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
        let size = std::str::from_utf8(rest.get(..end).unwrap_or_default()).ok();
        let size = size.and_then(|size| {
            usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).ok()
        });
        let Some(size) = size.filter(|size| *size > 0) else { break };
        let data = rest.get(end + 2..).unwrap_or_default();
        out.extend_from_slice(data.get(..size.min(data.len())).unwrap_or_default());
        rest = data.get((size + 2).min(data.len())..).unwrap_or_default();
    }
    out
}
