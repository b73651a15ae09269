//! Escapes of URLs, HTML, JavaScript, CSS and C.

/// The value of a hexadecimal digit.
pub(crate) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hexadecimal digits at `at` stand for.
pub(crate) fn pair(input: &[u8], at: usize) -> Option<u8> {
    Some(hex(*input.get(at)?)? << 4 | hex(*input.get(at + 1)?)?)
}

/// Four hexadecimal digits at `at` to one byte: the lower one; full-width forms (`FF01` …) become their ASCII counterparts.
fn wide(input: &[u8], at: usize) -> Option<u8> {
    let (high, low) = (pair(input, at)?, pair(input, at + 2)?);
    Some(narrow(high, low))
}

fn narrow(high: u8, low: u8) -> u8 {
    if high == 0xff && (0x01..0x5f).contains(&low) { low + 0x20 } else { low }
}

/// `%2e`, `+`; with `unicode` also `%u002e`. What is no valid escape stays.
pub(super) fn url(input: &[u8], out: &mut Vec<u8>, unicode: bool) {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        let (value, used) = match byte {
            b'+' => (b' ', 1),
            b'%' if unicode && matches!(input.get(at + 1), Some(b'u' | b'U')) => match wide(input, at + 2) {
                Some(value) => (value, 6),
                None => (b'%', 1),
            },
            b'%' => match pair(input, at + 1) {
                Some(value) => (value, 3),
                None => (b'%', 1),
            },
            other => (*other, 1),
        };
        out.push(value);
        at += used;
    }
}

/// `&#x2e;`, `&#46;` and the five names that matter, with or without the semicolon.
pub(super) fn html(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        if *byte == b'&'
            && let Some((value, used)) = entity(input.get(at + 1..).unwrap_or_default())
        {
            out.push(value);
            at += 1 + used;
            at += usize::from(input.get(at) == Some(&b';'));
        } else {
            out.push(*byte);
            at += 1;
        }
    }
}

fn entity(rest: &[u8]) -> Option<(u8, usize)> {
    if let Some(number) = rest.strip_prefix(b"#") {
        let (digits, base, before) = match number.strip_prefix(b"x").or_else(|| number.strip_prefix(b"X")) {
            Some(digits) => (digits, 16, 2),
            None => (number, 10, 1),
        };
        let length = digits.iter().take_while(|digit| hex(**digit).is_some_and(|value| value < base)).count();
        if length == 0 {
            return None;
        }
        // Code points beyond a byte wrap, as in ModSecurity.
        let value = digits
            .iter()
            .take(length)
            .fold(0u8, |value, digit| value.wrapping_mul(base).wrapping_add(hex(*digit).unwrap_or_default()));
        return Some((value, before + length));
    }
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let name = rest.get(..length)?;
    [(&b"quot"[..], b'"'), (b"amp", b'&'), (b"lt", b'<'), (b"gt", b'>'), (b"nbsp", 0xa0)]
        .into_iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
        .map(|(_, value)| (value, length))
}

/// `\u0061`, `\x61`, `\141`, `\n`; before any other byte the backslash is dropped.
pub(super) fn js(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        let (value, used) = match (byte, input.get(at + 1)) {
            (b'\\', Some(b'u')) if wide(input, at + 2).is_some() => {
                (wide(input, at + 2).unwrap_or_default(), 6)
            }
            (b'\\', Some(b'x')) if pair(input, at + 2).is_some() => {
                (pair(input, at + 2).unwrap_or_default(), 4)
            }
            (b'\\', Some(b'0'..=b'7')) => {
                let (value, digits) = octal(input, at + 1);
                (value, 1 + digits)
            }
            (b'\\', Some(next)) => (control(*next).unwrap_or(*next), 2),
            (other, _) => (*other, 1),
        };
        out.push(value);
        at += used;
    }
}

/// Up to three octal digits, as long as they fit a byte.
fn octal(input: &[u8], at: usize) -> (u8, usize) {
    let digits: Vec<u8> = input
        .iter()
        .skip(at)
        .take(3)
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .map(|byte| byte - b'0')
        .collect();
    let take =
        if digits.len() == 3 && digits.first().is_some_and(|first| *first > 3) { 2 } else { digits.len() };
    (digits.iter().take(take).fold(0, |value, digit| value << 3 | digit), take)
}

fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}

/// `\61 `, one to six digits of which the last two count; `\` before a line feed vanishes with it.
pub(super) fn css(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        if *byte != b'\\' {
            out.push(*byte);
            at += 1;
            continue;
        }
        let rest = input.get(at + 1..).unwrap_or_default();
        let digits = rest.iter().take(6).take_while(|digit| hex(**digit).is_some()).count();
        if digits > 0 {
            let low = if digits == 1 {
                hex(rest.first().copied().unwrap_or_default())
            } else {
                pair(rest, digits - 2)
            };
            let low = low.unwrap_or_default();
            let high = if digits >= 4 { pair(rest, digits - 4).unwrap_or_default() } else { 0 };
            // Zeros may stand before a full-width form, nothing else.
            let padded = rest.iter().take(digits.saturating_sub(4)).all(|digit| *digit == b'0');
            out.push(if padded { narrow(high, low) } else { low });
            at += 1 + digits;
            at += usize::from(input.get(at).is_some_and(|byte| matches!(byte, b' ' | 0x09..=0x0d)));
        } else {
            match rest.first() {
                Some(b'\n') => at += 2,
                Some(next) => {
                    out.push(*next);
                    at += 2;
                }
                None => at += 1,
            }
        }
    }
}

/// The escapes of ANSI C. What is none loses its backslash.
pub(super) fn escape_sequences(input: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        let (value, used) = match (byte, input.get(at + 1)) {
            (b'\\', Some(b'x' | b'X')) if pair(input, at + 2).is_some() => {
                (pair(input, at + 2).unwrap_or_default(), 4)
            }
            (b'\\', Some(b'0'..=b'7')) => {
                let (value, digits) = octal(input, at + 1);
                (value, 1 + digits)
            }
            (b'\\', Some(next)) => (control(*next).unwrap_or(*next), 2),
            (other, _) => (*other, 1),
        };
        out.push(value);
        at += used;
    }
}
