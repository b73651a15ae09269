//! `application/x-www-form-urlencoded`: queries and forms.

use crate::names::Transform;
use crate::transform;

/// Names and values, decoded. `invalid` is set when a `%` is followed by no two hexadecimal digits; it stays then.
pub(crate) fn pairs(text: &[u8], separator: u8, invalid: &mut bool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let pieces = text.split(|byte| *byte == separator).filter(|piece| !piece.is_empty());
    let mut pairs = Vec::new();
    for piece in pieces {
        let (name, value) = match memchr::memchr(b'=', piece) {
            Some(at) => (piece.get(..at).unwrap_or_default(), piece.get(at + 1..).unwrap_or_default()),
            None => (piece, &b""[..]),
        };
        pairs.push((decode(name, invalid), decode(value, invalid)));
    }
    pairs
}

fn decode(text: &[u8], invalid: &mut bool) -> Vec<u8> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return text.to_vec();
    }
    *invalid |= memchr::memchr_iter(b'%', text).any(|at| {
        let digits = text.get(at + 1..at + 3);
        !digits.is_some_and(|digits| digits.iter().all(|digit| transform::is_hex(*digit)))
    });
    let mut out = Vec::with_capacity(text.len());
    transform::apply(Transform::UrlDecode, text, &mut out);
    out
}
