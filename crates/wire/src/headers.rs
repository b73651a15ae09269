//! Header fields as received.

use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

/// Header fields in the order and the case they were received in, over shared bytes.
///
/// Cloning costs two reference counts. `Debug` leaves out the values of credentials.
#[derive(Clone, Default)]
pub struct Headers {
    bytes: Bytes,
    spans: Arc<[Span]>,
}

/// One header field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as received.
    pub name: &'a [u8],
    /// The value without surrounding whitespace.
    pub value: &'a [u8],
}

/// Builds [`Headers`] from fields that do not lie in one buffer: those of HTTP/2 and HTTP/3.
#[derive(Debug, Default)]
pub struct HeadersBuilder {
    bytes: BytesMut,
    spans: Vec<Span>,
}

/// Where one field lies in the shared bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) name: u32,
    pub(crate) name_len: u32,
    pub(crate) value: u32,
    pub(crate) value_len: u32,
}

/// Fields whose values are credentials and never printed.
const SECRET: [&str; 8] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
];

// === impl Headers ===

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn from_parts(bytes: Bytes, spans: &[Span]) -> Self {
        Self { bytes, spans: Arc::from(spans) }
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.spans.iter().map(|span| span.field(&self.bytes))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The first value of this name. `lower_name` is in lower case; names are compared without regard to case.
    pub fn get(&self, lower_name: &str) -> Option<&[u8]> {
        self.get_all(lower_name).next()
    }

    /// All values of this name, in order.
    pub fn get_all(&self, lower_name: &str) -> impl Iterator<Item = &[u8]> {
        self.spans
            .iter()
            .filter(move |span| {
                span.name_len as usize == lower_name.len()
                    && span.name(&self.bytes).eq_ignore_ascii_case(lower_name.as_bytes())
            })
            .map(|span| span.value(&self.bytes))
    }

    /// How many fields have this name.
    pub fn count(&self, lower_name: &str) -> usize {
        self.get_all(lower_name).count()
    }

    /// The first value of this name, if it is UTF-8.
    pub fn get_str(&self, lower_name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(lower_name)?).ok()
    }

    /// The name of the field at this place, sharing its bytes.
    pub fn name_bytes(&self, index: usize) -> Option<Bytes> {
        self.spans.get(index).map(|span| share(&self.bytes, span.name, span.name_len))
    }

    /// The value of the field at this place, sharing its bytes.
    pub fn value_bytes(&self, index: usize) -> Option<Bytes> {
        self.spans.get(index).map(|span| span.value_bytes(&self.bytes))
    }
}

impl From<&http::HeaderMap> for Headers {
    /// The same fields; names in lower case, since `http` keeps no other.
    fn from(map: &http::HeaderMap) -> Self {
        let mut builder = HeadersBuilder::with_capacity(map.len(), map.len().saturating_mul(48));
        for (name, value) in map {
            builder.push(name.as_str().as_bytes(), value.as_bytes());
        }
        builder.finish()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

// === impl Field ===

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name.escape_ascii())?;
        if SECRET.iter().any(|secret| self.name.eq_ignore_ascii_case(secret.as_bytes())) {
            write!(f, "[{} bytes not shown]", self.value.len())
        } else {
            write!(f, "{}", self.value.escape_ascii())
        }
    }
}

// === impl HeadersBuilder ===

impl HeadersBuilder {
    /// A builder with room for this many fields of so many bytes, names and values together.
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self { bytes: BytesMut::with_capacity(bytes), spans: Vec::with_capacity(fields) }
    }

    /// Appends a field. The caller has bounded the list; what does not fit in 4 GiB is left out.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        let numbers = (u32::try_from(start), u32::try_from(name.len()), u32::try_from(value.len()));
        let (Ok(name_at), Ok(name_len), Ok(value_len)) = numbers else { return };
        let Some(value_at) = name_at.checked_add(name_len) else { return };
        self.bytes.put_slice(name);
        self.bytes.put_slice(value);
        self.spans.push(Span { name: name_at, name_len, value: value_at, value_len });
    }

    /// The fields.
    pub fn finish(self) -> Headers {
        Headers::from_parts(self.bytes.freeze(), &self.spans)
    }
}

// === impl Span ===

impl Span {
    pub(crate) fn field(self, bytes: &[u8]) -> Field<'_> {
        Field { name: self.name(bytes), value: self.value(bytes) }
    }

    pub(crate) fn name(self, bytes: &[u8]) -> &[u8] {
        slice(bytes, self.name, self.name_len)
    }

    pub(crate) fn value(self, bytes: &[u8]) -> &[u8] {
        slice(bytes, self.value, self.value_len)
    }

    pub(crate) fn value_bytes(self, bytes: &Bytes) -> Bytes {
        share(bytes, self.value, self.value_len)
    }
}

fn slice(bytes: &[u8], start: u32, len: u32) -> &[u8] {
    let start = start as usize;
    bytes.get(start..start + len as usize).unwrap_or_default()
}

fn share(bytes: &Bytes, start: u32, len: u32) -> Bytes {
    bytes.slice_ref(slice(bytes, start, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Headers {
        let mut builder = HeadersBuilder::with_capacity(4, 64);
        builder.push(b"Host", b"a.example");
        builder.push(b"Accept", b"text/html");
        builder.push(b"ACCEPT", b"*/*");
        builder.push(b"X-Raw", b"\xff");
        builder.finish()
    }

    #[test]
    fn order_and_case_are_kept() {
        let headers = sample();
        let names: Vec<_> = headers.iter().map(|field| field.name.to_vec()).collect();
        assert_eq!(names, [&b"Host"[..], b"Accept", b"ACCEPT", b"X-Raw"]);
        assert_eq!(headers.name_bytes(2).unwrap(), "ACCEPT");
        assert_eq!(headers.value_bytes(0).unwrap(), "a.example");
        assert_eq!(headers.value_bytes(4), None);
    }

    #[test]
    fn names_are_found_in_any_case() {
        let headers = sample();
        assert_eq!(headers.get("host"), Some(&b"a.example"[..]));
        assert_eq!(headers.get_all("accept").collect::<Vec<_>>(), [&b"text/html"[..], b"*/*"]);
        assert_eq!(headers.count("accept"), 2);
        assert_eq!(headers.get("hos"), None);
        assert_eq!(headers.get_str("x-raw"), None);
        assert!(Headers::new().is_empty());
    }

    #[test]
    fn debug_does_not_print_credentials() {
        for name in SECRET {
            let mut builder = HeadersBuilder::default();
            builder.push(name.to_uppercase().as_bytes(), b"hunter2");
            builder.push(b"x-plain", b"shown");
            let text = format!("{:?}", builder.finish());
            assert!(!text.contains("hunter2") && text.contains("shown"), "{text}");
        }
    }

    #[test]
    fn an_http_map_keeps_all_values() {
        let mut map = http::HeaderMap::new();
        map.append("accept", "a".parse().unwrap());
        map.append("accept", "b".parse().unwrap());
        assert_eq!(Headers::from(&map).count("accept"), 2);
    }
}
