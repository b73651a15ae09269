//! PCRE's spelling to that of the `regex` crate.

use super::Wrong;

const NO_LOOK: &str = "patterns are matched in linear time: no look-around, back-references, atomic groups or possessive repetitions";

/// Bytes that mean themselves to both.
const PLAIN: &[u8] = b" _<>=/'\",;:%@!`";

/// Reads a pattern byte by byte and writes its translation.
struct Translator<'a> {
    input: &'a [u8],
    at: usize,
    out: String,
    last: Last,
}

/// What was written last: whether it can be repeated, and whether it is a repetition itself.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Atom,
    Repetition,
}

/// One member of a class.
enum Member {
    Byte(u8),
    Set(&'static str),
    Posix(String),
}

pub(super) fn translate(pcre: &[u8]) -> Result<String, Wrong> {
    let out = String::with_capacity(pcre.len() + 16);
    let mut translator = Translator { input: pcre, at: 0, out, last: Last::Nothing };
    while let Some(byte) = translator.next() {
        translator.step(byte)?;
    }
    Ok(translator.out)
}

// === impl Translator ===

impl Translator<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.input.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek(0)?;
        self.at += 1;
        Some(byte)
    }

    fn rest(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn byte(&mut self, byte: u8) {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            self.out.push(char::from(byte));
        } else {
            self.out.push_str(&format!("\\x{byte:02X}"));
        }
        self.last = Last::Atom;
    }

    fn set(&mut self, set: &str) {
        self.out.push_str(set);
        self.last = Last::Atom;
    }

    /// An escape that both spell alike.
    fn keep(&mut self, byte: u8, last: Last) {
        self.out.push('\\');
        self.out.push(char::from(byte));
        self.last = last;
    }

    fn step(&mut self, byte: u8) -> Result<(), Wrong> {
        match byte {
            b'\\' => self.escape()?,
            b'[' => self.class()?,
            b'(' => self.group()?,
            b')' => self.set(")"),
            b'.' => self.set("."),
            b'^' | b'$' | b'|' => {
                self.out.push(char::from(byte));
                self.last = Last::Nothing;
            }
            b'*' | b'+' | b'?' => self.repeat(&char::from(byte).to_string())?,
            b'{' => match self.bounds() {
                Some(bounds) => self.repeat(&bounds)?,
                None => self.byte(b'{'),
            },
            other => self.byte(other),
        }
        Ok(())
    }

    fn repeat(&mut self, spelled: &str) -> Result<(), Wrong> {
        if self.last == Last::Repetition {
            return match spelled {
                // `*?` is lazy, `*+` possessive.
                "?" => {
                    self.set("?");
                    Ok(())
                }
                "+" => Err(("possessive repetitions are not supported".into(), NO_LOOK)),
                _ => {
                    Err(("a repetition of a repetition means nothing".into(), "put the first one in a group"))
                }
            };
        }
        self.out.push_str(spelled);
        self.last = Last::Repetition;
        Ok(())
    }

    /// `{2}`, `{2,}`, `{2,3}`; anything else is a brace and no repetition.
    fn bounds(&mut self) -> Option<String> {
        let rest = self.rest();
        let end = memchr::memchr(b'}', rest)?;
        let inside = std::str::from_utf8(rest.get(..end)?).ok()?;
        let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if from.is_empty() || !digits(from) || !digits(to) {
            return None;
        }
        let bounds = format!("{{{inside}}}");
        self.at += end + 1;
        Some(bounds)
    }

    fn group(&mut self) -> Result<(), Wrong> {
        const REFUSED: &[(&[u8], &str)] = &[
            (b"?=", "look-ahead"),
            (b"?!", "look-ahead"),
            (b"?<=", "look-behind"),
            (b"?<!", "look-behind"),
            (b"?>", "an atomic group"),
            (b"?|", "a branch reset"),
            (b"?&", "a subroutine"),
            (b"?(", "a condition"),
            (b"*", "a verb"),
        ];
        self.last = Last::Nothing;
        let rest = self.rest();
        if let Some((mark, name)) = REFUSED.iter().find(|(mark, _)| rest.starts_with(mark)) {
            return Err((
                format!("`({}` is {name}, which is not supported", String::from_utf8_lossy(mark)),
                NO_LOOK,
            ));
        }
        if rest.starts_with(b"?#") {
            self.at += memchr::memchr(b')', rest).map_or(rest.len(), |end| end + 1);
            return Ok(());
        }
        if let Some((open, close)) = named(rest) {
            let name = rest.get(open..).unwrap_or_default();
            let end = memchr::memchr(close, name)
                .ok_or(("the name of a group is never closed".to_owned(), "as in `(?<name>…)`"))?;
            let name = String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned();
            self.out.push_str(&format!("(?P<{name}>"));
            self.at += open + end + 1;
            return Ok(());
        }
        if rest.first() != Some(&b'?') {
            self.out.push('(');
            return Ok(());
        }
        // Flags, up to `:` or `)`.
        let end = rest.iter().position(|byte| matches!(byte, b':' | b')')).unwrap_or(rest.len());
        let flags = rest.get(1..end).unwrap_or_default();
        if let Some(odd) = flags.iter().find(|flag| !b"imsxU-".contains(flag)) {
            return Err((
                format!("`{}` is no flag of a group", char::from(*odd)),
                "the flags are i, m, s, x and U",
            ));
        }
        let close = if rest.get(end) == Some(&b')') { ')' } else { ':' };
        let flags = String::from_utf8_lossy(flags).into_owned();
        self.out.push_str(&format!("(?{flags}{close}"));
        self.at += end + 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        let Some(byte) = self.next() else {
            return Err(("a backslash ends the pattern".into(), "write `\\x5c` for a backslash"));
        };
        match byte {
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' => self.keep(byte, Last::Atom),
            b'b' | b'B' | b'A' | b'z' => self.keep(byte, Last::Nothing),
            b'Z' => self.set("(?:\\n?\\z)"),
            b'h' => self.set("[\\t \\xA0]"),
            b'H' => self.set("[^\\t \\xA0]"),
            b'v' => self.set("[\\n-\\r\\x85]"),
            b'V' => self.set("[^\\n-\\r\\x85]"),
            b'N' => self.set("[^\\n]"),
            b'R' => self.set("(?:\\r\\n|[\\n-\\r\\x85])"),
            b'Q' => {
                let rest = self.rest();
                let end = memchr::memmem::find(rest, b"\\E").unwrap_or(rest.len());
                let literal = rest.get(..end).unwrap_or_default().to_vec();
                self.at += (end + 2).min(rest.len());
                literal.into_iter().for_each(|byte| self.byte(byte));
            }
            b'E' => {}
            b'1'..=b'9' | b'k' | b'g' => {
                return Err((
                    format!("`\\{}` refers to a group, which is not supported", char::from(byte)),
                    NO_LOOK,
                ));
            }
            _ => {
                let literal = self.literal(byte)?;
                self.byte(literal);
            }
        }
        Ok(())
    }

    /// The byte that an escape stands for, inside a class and outside.
    fn literal(&mut self, byte: u8) -> Result<u8, Wrong> {
        Ok(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'f' => 0x0c,
            b'a' => 0x07,
            b'e' => 0x1b,
            b'x' => self.hexadecimal()?,
            b'0'..=b'7' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek(0) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                u8::try_from(value)
                    .map_err(|_| ("an octal escape is larger than a byte".to_owned(), "write `\\xhh`"))?
            }
            b'c' => self.next().map_or(0, |letter| letter.to_ascii_uppercase() ^ 0x40),
            b'p' | b'P' | b'X' => {
                let told = format!("`\\{}` is about Unicode; patterns see bytes", char::from(byte));
                return Err((told, "list the bytes in a class"));
            }
            other if other.is_ascii_alphabetic() => {
                return Err((
                    format!("`\\{}` is no escape that is supported", char::from(other)),
                    "leave out the backslash",
                ));
            }
            other => other,
        })
    }

    /// `\x41`, `\x{41}`, `\x4`.
    fn hexadecimal(&mut self) -> Result<u8, Wrong> {
        let too_large = |_| {
            (
                "an escape is larger than a byte".to_owned(),
                "patterns see bytes: write each byte of the character",
            )
        };
        let digits = |bytes: &[u8]| {
            std::str::from_utf8(bytes).ok().and_then(|text| u32::from_str_radix(text, 16).ok())
        };
        if self.peek(0) == Some(b'{') {
            let rest = self.rest();
            let end =
                memchr::memchr(b'}', rest).ok_or(("`\\x{` is never closed".to_owned(), "as in `\\x{41}`"))?;
            let value = digits(rest.get(1..end).unwrap_or_default())
                .ok_or(("`\\x{…}` holds no number".to_owned(), "as in `\\x{41}`"))?;
            self.at += end + 1;
            return u8::try_from(value).map_err(too_large);
        }
        let count = self.rest().iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let value = digits(self.rest().get(..count).unwrap_or_default()).unwrap_or_default();
        self.at += count;
        u8::try_from(value).map_err(too_large)
    }

    fn class(&mut self) -> Result<(), Wrong> {
        self.out.push('[');
        if self.peek(0) == Some(b'^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(byte) = self.next() else {
                return Err(("a class is never closed".into(), "write `\\[` for a bracket"));
            };
            if byte == b']' && !first {
                break;
            }
            first = false;
            let member = self.member(byte)?;
            // A range, unless the hyphen stands at the end or beside a set.
            if let Member::Byte(from) = member
                && self.peek(0) == Some(b'-')
                && self.peek(1).is_some_and(|next| next != b']')
            {
                let before = self.at;
                self.at += 1;
                let next = self.next().unwrap_or_default();
                if let Member::Byte(to) = self.member(next)? {
                    if from > to {
                        return Err((
                            "a range in a class runs backwards".into(),
                            "write the smaller byte first",
                        ));
                    }
                    self.out.push_str(&format!("\\x{from:02X}-\\x{to:02X}"));
                    continue;
                }
                self.at = before;
            }
            match member {
                Member::Byte(byte) => self.out.push_str(&format!("\\x{byte:02X}")),
                Member::Set(set) => self.out.push_str(set),
                Member::Posix(set) => self.out.push_str(&set),
            }
        }
        self.set("]");
        Ok(())
    }

    fn member(&mut self, byte: u8) -> Result<Member, Wrong> {
        if byte == b'['
            && let Some(set) = self.posix()
        {
            return Ok(Member::Posix(set));
        }
        if byte != b'\\' {
            return Ok(Member::Byte(byte));
        }
        let Some(byte) = self.next() else {
            return Err(("a class is never closed".into(), "write `\\[` for a bracket"));
        };
        Ok(match byte {
            b'd' => Member::Set("\\d"),
            b'D' => Member::Set("\\D"),
            b'w' => Member::Set("\\w"),
            b'W' => Member::Set("\\W"),
            b's' => Member::Set("\\s"),
            b'S' => Member::Set("\\S"),
            b'h' => Member::Set("\\t \\xA0"),
            b'v' => Member::Set("\\n-\\r\\x85"),
            b'b' => Member::Byte(0x08),
            other => Member::Byte(self.literal(other)?),
        })
    }

    /// `[:alpha:]`, its first bracket read.
    fn posix(&mut self) -> Option<String> {
        let rest = self.rest();
        let end = memchr::memmem::find(rest, b":]")?;
        let name = rest.get(..end)?.strip_prefix(b":")?;
        if !name.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'^') {
            return None;
        }
        let set = format!("[:{}:]", String::from_utf8_lossy(name));
        self.at += end + 2;
        Some(set)
    }
}

/// Where the name of a group begins, and what ends it.
fn named(rest: &[u8]) -> Option<(usize, u8)> {
    let marks: [(&[u8], u8); 3] = [(b"?<", b'>'), (b"?P<", b'>'), (b"?'", b'\'')];
    marks.iter().find(|(mark, _)| rest.starts_with(mark)).map(|(mark, close)| (mark.len(), *close))
}
