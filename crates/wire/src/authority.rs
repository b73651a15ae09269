//! Host and port.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use crate::{Refusal, RefusalKind};

/// A host with an optional port, in one spelling: lower case, no final dot, IPv6 as RFC 5952 writes it.
///
/// Stricter than the grammar of RFC 3986: a name is letters, digits, `-`, `_` and dots (sub-delimiters and percent
/// escapes are allowed there, and only ever seen in attacks); a name whose last label is a number has to be a
/// dotted IPv4 address (`127.1` and `0x7f000001` are refused); an empty port is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    /// Valid ASCII by construction.
    text: Bytes,
    host_len: usize,
    port: Option<u16>,
}

/// Longest name of a host (RFC 1035, 2.3.4).
const NAME_BYTES: usize = 253;
/// Longest label of a name (RFC 1035, 2.3.4).
const LABEL_BYTES: usize = 63;

// === impl Authority ===

impl Authority {
    /// Reads `host [":" port]`.
    ///
    /// # Errors
    /// [`RefusalKind::UserInfo`] when there is an `@`, [`RefusalKind::InvalidHost`] otherwise.
    pub fn parse(text: &[u8]) -> Result<Self, Refusal> {
        Self::parse_shared(&Bytes::copy_from_slice(text))
    }

    /// As [`parse`](Self::parse), sharing the bytes when they are canonical already.
    pub(crate) fn parse_shared(text: &Bytes) -> Result<Self, Refusal> {
        read(text).ok_or_else(|| {
            let user_info = memchr::memchr(b'@', text).is_some();
            Refusal::new(if user_info { RefusalKind::UserInfo } else { RefusalKind::InvalidHost })
        })
    }

    /// The host: a lower-case name, an IPv4 address or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        self.as_str().get(..self.host_len).unwrap_or_default()
    }

    /// The port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port as written in a Host field.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn read(text: &Bytes) -> Option<Authority> {
    if text.first() == Some(&b'[') {
        return read_ipv6(text);
    }
    let (host, port) = match memchr::memchr(b':', text) {
        Some(colon) => (text.get(..colon)?, Some(port(text.get(colon + 1..)?)?)),
        None => (text.as_ref(), None),
    };
    let dotless = host.strip_suffix(b".").unwrap_or(host);
    if !is_name(dotless) {
        return None;
    }
    if dotless.len() == host.len() && !host.iter().any(u8::is_ascii_uppercase) {
        return Some(Authority { text: text.clone(), host_len: host.len(), port });
    }
    Some(rewritten(std::str::from_utf8(dotless).ok()?.to_ascii_lowercase(), port))
}

fn read_ipv6(text: &Bytes) -> Option<Authority> {
    let close = memchr::memchr(b']', text)?;
    let address: Ipv6Addr = std::str::from_utf8(text.get(1..close)?).ok()?.parse().ok()?;
    let port = match text.get(close + 1..)? {
        [] => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return None,
    };
    Some(rewritten(format!("[{address}]"), port))
}

fn rewritten(mut host: String, port: Option<u16>) -> Authority {
    let host_len = host.len();
    if let Some(port) = port {
        host.push(':');
        host.push_str(itoa::Buffer::new().format(port));
    }
    Authority { text: Bytes::from(host), host_len, port }
}

/// 1 to 65535 without leading zeros.
fn port(digits: &[u8]) -> Option<u16> {
    if digits.first() == Some(&b'0') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_name(name: &[u8]) -> bool {
    if name.len() > NAME_BYTES {
        return false;
    }
    let mut last: &[u8] = b"";
    for label in name.split(|&byte| byte == b'.') {
        let plain = label.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if label.is_empty() || label.len() > LABEL_BYTES || !plain {
            return false;
        }
        last = label;
    }
    !is_number(last) || std::str::from_utf8(name).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok())
}

/// Whether resolvers of the C library's family take this label for a number.
fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(input: &str) -> Option<String> {
        Authority::parse(input.as_bytes()).ok().map(|authority| authority.to_string())
    }

    #[test]
    fn one_spelling_for_each_host() {
        for (input, expected) in [
            ("pizza.example", "pizza.example"),
            ("Pizza.EXAMPLE:8443", "pizza.example:8443"),
            ("pizza.example.", "pizza.example"),
            ("pizza.example.:80", "pizza.example:80"),
            ("a_b-c", "a_b-c"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]", "[::1]"),
            ("[2001:DB8:0:0::1]:65535", "[2001:db8::1]:65535"),
            ("0xdeadbeef.example", "0xdeadbeef.example"),
        ] {
            assert_eq!(text(input).as_deref(), Some(expected), "{input}");
        }
        let authority = Authority::parse(b"A.example:81").unwrap();
        assert_eq!((authority.host(), authority.port()), ("a.example", Some(81)));
    }

    #[test]
    fn odd_hosts_are_refused() {
        for input in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a:",
            "a:0",
            "a:080",
            "a:65536",
            "a:+1",
            "a:8 0",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a%41",
            "a,b",
            "a;b",
            "ä.example",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0x7f000001",
            "1.2.3.4.5",
            "127.0.0.01",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%25eth0]",
            "[v1.a]",
            "[127.0.0.1]",
            "a:80:90",
            "256.1.1.1",
        ] {
            assert_eq!(Authority::parse(input.as_bytes()).unwrap_err().code(), "invalid-host", "{input}");
        }
    }

    #[test]
    fn limits_of_names() {
        let label = "a".repeat(63);
        assert!(text(&label).is_some());
        assert!(text(&format!("{label}a")).is_none());
        let name = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(name.len(), 253);
        assert!(text(&name).is_some());
        assert!(text(&format!("{name}a")).is_none());
    }

    #[test]
    fn user_information_is_refused() {
        assert_eq!(Authority::parse(b"good.example@evil.example").unwrap_err().code(), "user-info");
    }
}
