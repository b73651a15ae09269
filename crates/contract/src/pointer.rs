//! JSON pointers (RFC 6901): building, splitting, and writing them into a URI fragment.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

/// Appends one reference token.
pub(crate) fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    for character in token.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// `pointer` with one more token.
pub(crate) fn join(pointer: &str, token: &str) -> String {
    let mut joined = String::with_capacity(pointer.len() + token.len() + 1);
    joined.push_str(pointer);
    push(&mut joined, token);
    joined
}

/// The unescaped tokens of a pointer.
pub(crate) fn tokens(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(|token| {
        if token.contains('~') {
            Cow::Owned(token.replace("~1", "/").replace("~0", "~"))
        } else {
            Cow::Borrowed(token)
        }
    })
}

/// The value `pointer` names in `root`.
pub(crate) fn lookup<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    tokens(pointer).try_fold(root, |value, token| match value {
        Value::Object(map) => map.get(token.as_ref()),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

/// A pointer as a URI fragment, without the `#` (RFC 6901 section 6).
pub(crate) fn to_fragment(pointer: &str) -> String {
    let mut fragment = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'$' => {
                fragment.push(char::from(byte));
            }
            _ => {
                let _ = write!(fragment, "%{byte:02X}");
            }
        }
    }
    fragment
}

/// Undoes percent-encoding; `None` for a broken escape or bytes that are no UTF-8.
pub(crate) fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_push_are_inverse() {
        let mut pointer = String::new();
        for token in ["paths", "/pets/{id}", "a~b", ""] {
            push(&mut pointer, token);
        }
        assert_eq!(pointer, "/paths/~1pets~1{id}/a~0b/");
        assert_eq!(tokens(&pointer).collect::<Vec<_>>(), ["paths", "/pets/{id}", "a~b", ""]);
    }

    #[test]
    fn fragments_escape_what_a_uri_may_not_hold() {
        assert_eq!(to_fragment("/paths/~1pets~1{id}"), "/paths/~1pets~1%7Bid%7D");
        assert_eq!(percent_decode("/~1%7Bid%7D").as_deref(), Some("/~1{id}"));
        assert_eq!(percent_decode("%2"), None);
        assert_eq!(percent_decode("%FF"), None);
    }
}
