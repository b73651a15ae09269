//! The character classes of the grammars (RFC 9110 and RFC 3986), as table look-ups.

const TOKEN: u8 = 1;
const UNRESERVED: u8 = 2;
const PCHAR: u8 = 4;
const HEX: u8 = 8;

/// `tchar` (RFC 9110, 5.6.2).
pub(crate) const fn is_token(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

/// `unreserved` (RFC 3986, 2.3).
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    class(byte) & UNRESERVED != 0
}

/// `pchar` without `pct-encoded` (RFC 3986, 3.3).
pub(crate) const fn is_pchar(byte: u8) -> bool {
    class(byte) & PCHAR != 0
}

/// `HEXDIG`, either case.
pub(crate) const fn is_hex(byte: u8) -> bool {
    class(byte) & HEX != 0
}

/// What may stand in a field value: `field-vchar`, `SP`, `HTAB` (RFC 9110, 5.5); `obs-text` included.
pub(crate) const fn is_field_value(byte: u8) -> bool {
    (byte >= 0x20 && byte != 0x7f) || byte == b'\t'
}

/// The value of one `HEXDIG`.
pub(crate) const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two `HEXDIG` spell.
pub(crate) const fn hex_pair(high: u8, low: u8) -> Option<u8> {
    match (hex_value(high), hex_value(low)) {
        (Some(high), Some(low)) => Some(high << 4 | low),
        _ => None,
    }
}

/// Appends `%XX`, upper case as RFC 3986, 2.1 asks of producers.
pub(crate) fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    out.push('%');
    out.push(DIGITS.get(usize::from(byte >> 4)).copied().unwrap_or('0'));
    out.push(DIGITS.get(usize::from(byte & 15)).copied().unwrap_or('0'));
}

/// The value without optional whitespace (RFC 9110, 5.6.3) on either side.
pub(crate) fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[expect(clippy::indexing_slicing, reason = "a byte always lies within a table of 256")]
const fn class(byte: u8) -> u8 {
    TABLE[byte as usize]
}

static TABLE: [u8; 256] = table();

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "computed at compile time, below 256"
)]
const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() {
            table[at] |= TOKEN | UNRESERVED | PCHAR;
        }
        if byte.is_ascii_hexdigit() {
            table[at] |= HEX;
        }
        if matches!(byte, b'-' | b'.' | b'_' | b'~') {
            table[at] |= UNRESERVED | PCHAR;
        }
        if matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        ) {
            table[at] |= TOKEN;
        }
        if matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        ) {
            table[at] |= PCHAR;
        }
        at += 1;
    }
    table
}
