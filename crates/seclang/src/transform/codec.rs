//! Codes of whole values: base64, hexadecimal, hashes, URL and Unicode escapes.

use md5::Digest;

use super::decode::{hex, pair};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Up to the first byte that is no base64; a forgiving decoder leaves such bytes out and goes on.
pub(super) fn base64_decode(input: &[u8], out: &mut Vec<u8>, forgiving: bool) {
    let mut bits = 0u32;
    let mut count = 0u32;
    for byte in input {
        match sextet(*byte) {
            Some(value) => {
                bits = bits << 6 | value;
                count += 6;
                if count >= 8 {
                    count -= 8;
                    out.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
                }
            }
            None if forgiving || matches!(byte, b'\r' | b'\n') => {}
            None => break,
        }
    }
}

pub(super) fn base64_encode(input: &[u8], out: &mut Vec<u8>) {
    for chunk in input.chunks(3) {
        let bytes =
            [chunk.first(), chunk.get(1), chunk.get(2)].map(|byte| byte.copied().map_or(0, u32::from));
        let [a, b, c] = bytes;
        let group = a << 16 | b << 8 | c;
        for (index, shift) in [18u32, 12, 6, 0].into_iter().enumerate() {
            let letter = usize::try_from(group >> shift & 63).ok().and_then(|at| ALPHABET.get(at));
            out.push(if index <= chunk.len() { letter.copied().unwrap_or(b'=') } else { b'=' });
        }
    }
}

/// Pairs of digits; what is no digit counts as nought, as in ModSecurity.
pub(super) fn hex_decode(input: &[u8], out: &mut Vec<u8>) {
    out.extend(input.chunks_exact(2).map(|chunk| {
        let digit = |at: usize| chunk.get(at).copied().and_then(hex).unwrap_or_default();
        digit(0) << 4 | digit(1)
    }));
}

pub(super) fn hex_encode(input: &[u8], out: &mut Vec<u8>) {
    for byte in input {
        out.push(digit(byte >> 4));
        out.push(digit(byte & 15));
    }
}

fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

pub(super) fn md5(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&md5::Md5::digest(input));
}

pub(super) fn sha1(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&sha1::Sha1::digest(input));
}

/// `0x6162` to `ab`, wherever it stands.
pub(super) fn sql_hex(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        if *byte == b'0' && matches!(input.get(at + 1), Some(b'x' | b'X')) && pair(input, at + 2).is_some() {
            at += 2;
            while let Some(value) = pair(input, at) {
                out.push(value);
                at += 2;
            }
        } else {
            out.push(*byte);
            at += 1;
        }
    }
}

pub(super) fn url_encode(input: &[u8], out: &mut Vec<u8>) {
    for byte in input {
        match byte {
            b' ' => out.push(b'+'),
            b'*' => out.push(b'*'),
            byte if byte.is_ascii_alphanumeric() => out.push(*byte),
            byte => out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

/// Each character beyond ASCII to `%u` and its code point; what is no UTF-8 stays.
pub(super) fn utf8_to_unicode(input: &[u8], out: &mut Vec<u8>) {
    for chunk in input.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match u8::try_from(letter) {
                Ok(byte) if byte.is_ascii() => out.push(byte),
                _ => out.extend_from_slice(format!("%u{:04x}", u32::from(letter)).as_bytes()),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}
