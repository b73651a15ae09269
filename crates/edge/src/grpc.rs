//! gRPC as far as a gateway needs it: who speaks it, for how long, and how a refusal is told
//! (the gRPC protocol over HTTP/2, and its mapping of HTTP status codes).

use std::time::Duration;

use haechi_wire::Headers;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Longest message that is told: it is a header field.
const MESSAGE: usize = 1024;

/// A gRPC status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// Whether a caller speaks gRPC: it does so over HTTP/2, and says so. gRPC-Web is plain HTTP.
pub(crate) fn is_spoken(version: Version, headers: &Headers) -> bool {
    version == Version::HTTP_2
        && headers.get("content-type").is_some_and(|value| {
            const NAME: &[u8] = b"application/grpc";
            value.get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME))
                && matches!(value.get(NAME.len()), None | Some(b'+' | b';'))
        })
}

/// How long the caller waits, if it says so: at most eight digits and a unit.
///
/// # Errors
/// When it says so in another way.
pub(crate) fn timeout(headers: &Headers) -> Result<Option<Duration>, ()> {
    let mut values = headers.get_all("grpc-timeout");
    let Some(value) = values.next() else { return Ok(None) };
    let Some((unit, digits)) = value.split_last() else { return Err(()) };
    if values.next().is_some() || digits.is_empty() || digits.len() > 8 {
        return Err(());
    }
    let number: u64 = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or(())?;
    Ok(Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return Err(()),
    }))
}

/// The fields that tell of a failure: the head of a response without content, or trailers.
pub(crate) fn status(code: Code, message: &str) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(4);
    fields.insert(GRPC_STATUS, HeaderValue::from(code as u16));
    if let Ok(message) = HeaderValue::from_str(&encoded(message)) {
        fields.insert(GRPC_MESSAGE, message);
    }
    fields
}

/// The status that a response's head or trailers tell.
pub(crate) fn told(fields: &HeaderMap) -> Option<u16> {
    fields.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Percent-encodes what may not stand in a message.
fn encoded(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for byte in message.bytes().take(MESSAGE) {
        match byte {
            b'%' | ..0x20 | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            _ => out.push(char::from(byte)),
        }
    }
    out
}

// === impl Code ===

impl Code {
    /// The code for what HTTP says with this status. Where gRPC's own table only has `UNKNOWN` or `INTERNAL` because
    /// it cannot know who answers, the gateway knows: it refused.
    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 411 | 414 | 415 | 422 | 431 => Self::InvalidArgument,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 405 | 501 => Self::Unimplemented,
            408 | 504 => Self::DeadlineExceeded,
            413 | 429 => Self::ResourceExhausted,
            500 => Self::Internal,
            502 | 503 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use haechi_wire::HeadersBuilder;

    use super::*;

    fn headers(name: &str, values: &[&str]) -> Headers {
        let mut builder = HeadersBuilder::with_capacity(1, 64);
        for value in values {
            builder.push(name.as_bytes(), value.as_bytes());
        }
        builder.finish()
    }

    #[test]
    fn a_call_is_grpc_by_version_and_content_type() {
        for (value, expected) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc;x=1", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let headers = headers("content-type", &[value]);
            assert_eq!(is_spoken(Version::HTTP_2, &headers), expected, "{value}");
            assert!(!is_spoken(Version::HTTP_11, &headers), "{value}");
        }
    }

    #[test]
    fn a_timeout_has_eight_digits_at_most_and_a_unit() {
        for (value, expected) in [
            ("1H", Ok(Some(Duration::from_secs(3600)))),
            ("99999999n", Ok(Some(Duration::from_nanos(99_999_999)))),
            ("250m", Ok(Some(Duration::from_millis(250)))),
            ("0S", Ok(Some(Duration::ZERO))),
            ("100000000n", Err(())),
            ("S", Err(())),
            ("+1S", Err(())),
            ("1s", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(timeout(&headers("grpc-timeout", &[value])), expected, "{value}");
        }
        assert_eq!(timeout(&headers("x", &["1"])), Ok(None));
        assert_eq!(timeout(&headers("grpc-timeout", &["1S", "2S"])), Err(()));
    }

    #[test]
    fn a_message_is_one_header_field_whatever_is_in_it() {
        let fields = status(Code::InvalidArgument, "100% \"피자\"\r\nx: y");
        assert_eq!(fields["grpc-status"], "3");
        assert_eq!(fields["grpc-message"], "100%25 \"%ED%94%BC%EC%9E%90\"%0D%0Ax: y");
        assert_eq!(told(&fields), Some(3));
    }
}
