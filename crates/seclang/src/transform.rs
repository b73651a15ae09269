//! What is done to a value before an operator sees it. Each function follows ModSecurity's, quirks included: rule sets are tuned to them.
//!
//! A function appends its result to `out`. All run in one pass over their input, and none makes it more than four times as long.

mod codec;
mod comments;
mod decode;
mod path;

use crate::names::Transform;

/// Appends the transformed `input` to `out`.
pub(crate) fn apply(step: Transform, input: &[u8], out: &mut Vec<u8>) {
    use Transform as T;
    match step {
        T::Base64Decode => codec::base64_decode(input, out, false),
        T::Base64DecodeExt => codec::base64_decode(input, out, true),
        T::Base64Encode => codec::base64_encode(input, out),
        T::CmdLine => command_line(input, out),
        T::CompressWhitespace => compress_whitespace(input, out),
        T::CssDecode => decode::css(input, out),
        T::EscapeSeqDecode => decode::escape_sequences(input, out),
        T::HexDecode => codec::hex_decode(input, out),
        T::HexEncode => codec::hex_encode(input, out),
        T::HtmlEntityDecode => decode::html(input, out),
        T::JsDecode => decode::js(input, out),
        T::Length => out.extend_from_slice(input.len().to_string().as_bytes()),
        T::Lowercase => out.extend(input.iter().map(u8::to_ascii_lowercase)),
        T::Md5 => codec::md5(input, out),
        T::NormalizePath => path::normalize(input, out, false),
        T::NormalizePathWin => path::normalize(input, out, true),
        T::ParityEven7bit => out.extend(input.iter().map(|byte| parity(*byte, 0))),
        T::ParityOdd7bit => out.extend(input.iter().map(|byte| parity(*byte, 1))),
        T::ParityZero7bit => out.extend(input.iter().map(|byte| byte & 0x7f)),
        T::RemoveComments => comments::remove(input, out),
        T::RemoveCommentsChar => comments::remove_marks(input, out),
        T::RemoveNulls => out.extend(input.iter().filter(|byte| **byte != 0)),
        T::RemoveWhitespace => out.extend(input.iter().filter(|byte| !is_space(**byte))),
        T::ReplaceComments => comments::replace(input, out),
        T::ReplaceNulls => out.extend(input.iter().map(|byte| if *byte == 0 { b' ' } else { *byte })),
        T::Sha1 => codec::sha1(input, out),
        T::SqlHexDecode => codec::sql_hex(input, out),
        T::Trim => out.extend_from_slice(trim(input, true, true)),
        T::TrimLeft => out.extend_from_slice(trim(input, true, false)),
        T::TrimRight => out.extend_from_slice(trim(input, false, true)),
        T::Uppercase => out.extend(input.iter().map(u8::to_ascii_uppercase)),
        T::UrlDecode => decode::url(input, out, false),
        T::UrlDecodeUni => decode::url(input, out, true),
        T::UrlEncode => codec::url_encode(input, out),
        T::Utf8ToUnicode => codec::utf8_to_unicode(input, out),
    }
}

/// White space as C's `isspace` sees it, and the no-break space of Latin-1.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0xa0)
}

/// Whether it is a hexadecimal digit.
pub(crate) fn is_hex(byte: u8) -> bool {
    decode::hex(byte).is_some()
}

fn trim(input: &[u8], left: bool, right: bool) -> &[u8] {
    let space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let start = if left { input.iter().position(|byte| !space(byte)).unwrap_or(input.len()) } else { 0 };
    let rest = input.get(start..).unwrap_or_default();
    let end = if right {
        rest.iter().rposition(|byte| !space(byte)).map_or(0, |last| last + 1)
    } else {
        rest.len()
    };
    rest.get(..end).unwrap_or_default()
}

fn parity(byte: u8, wanted: u32) -> u8 {
    let low = byte & 0x7f;
    if low.count_ones() % 2 == wanted { low } else { low | 0x80 }
}

fn compress_whitespace(input: &[u8], out: &mut Vec<u8>) {
    let mut spaced = false;
    for byte in input {
        if is_space(*byte) {
            if !spaced {
                out.push(b' ');
            }
            spaced = true;
        } else {
            out.push(*byte);
            spaced = false;
        }
    }
}

/// What shells ignore is taken out: quotes, carets and backslashes; separators become one space, none before `/` and `(`.
fn command_line(input: &[u8], out: &mut Vec<u8>) {
    let mut spaced = false;
    for byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !spaced {
                    out.push(b' ');
                }
                spaced = true;
            }
            b'/' | b'(' => {
                if spaced {
                    out.pop();
                }
                spaced = false;
                out.push(*byte);
            }
            _ => {
                spaced = false;
                out.push(byte.to_ascii_lowercase());
            }
        }
    }
}

#[cfg(test)]
mod tests;
