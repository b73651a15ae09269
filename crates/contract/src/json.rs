//! A strict JSON reader (RFC 8259) for bytes that come from the network.
//!
//! Two readers that disagree about one text are how a filter is passed, so everything readers are
//! known to disagree about is refused here: a key that stands twice in one object (at any depth),
//! invalid UTF-8, lone surrogates, a byte order mark, bytes after the value, numbers beyond a
//! double, and nesting deeper than a limit. What remains is read by every conforming parser alike.
//!
//! ```
//! use haechi_contract::json::{parse_strict, JsonErrorKind};
//!
//! let error = parse_strict(br#"{"a": {"role": 1, "role": 2}}"#, 64).unwrap_err();
//! assert_eq!(error.kind, JsonErrorKind::DuplicateKey);
//! assert_eq!((error.pointer.as_str(), error.line, error.column), ("/a/role", 1, 19));
//! ```

use std::fmt;

use serde_json::{Map, Number, Value};

use crate::pointer;

/// No text is read deeper than this, whatever limit is asked for: the reader recurses, and this
/// many frames fit a thread's stack with room to spare.
pub const MAX_DEPTH: usize = 512;

/// Why a text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Bytes before the offending one.
    pub offset: usize,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// JSON pointer (RFC 6901) of the innermost value that was being read.
    pub pointer: String,
    /// What is wrong.
    pub kind: JsonErrorKind,
}

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonErrorKind {
    /// A key stands twice in one object.
    DuplicateKey,
    /// Arrays and objects nest deeper than the limit.
    TooDeep,
    /// Bytes that are no UTF-8.
    InvalidUtf8,
    /// Something other than white space follows the value.
    TrailingBytes,
    /// The text ends inside the value.
    UnexpectedEnd,
    /// A byte that may not stand here.
    UnexpectedByte,
    /// An escape that does not exist, or half of a surrogate pair.
    InvalidEscape,
    /// A control character inside a string.
    ControlCharacter,
    /// A number that is not written as JSON writes numbers.
    InvalidNumber,
    /// A number no double can hold.
    NumberOutOfRange,
}

/// Reads `bytes` as one JSON value nested at most `depth` levels deep (at most [`MAX_DEPTH`]; a
/// bare scalar needs 0).
///
/// # Errors
/// The first thing that is not strict JSON, see [`JsonErrorKind`].
pub fn parse_strict(bytes: &[u8], depth: usize) -> Result<Value, JsonError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse_text(text, depth),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let prefix = String::from_utf8_lossy(valid);
            // What stands before the bad byte may be wrong already, and it tells where we are.
            match parse_text(&prefix, depth) {
                Err(earlier) if earlier.offset < valid.len() => Err(earlier),
                Err(at_end) => Err(JsonError { kind: JsonErrorKind::InvalidUtf8, ..at_end }),
                Ok(_) => Err(locate(&prefix, valid.len(), String::new(), JsonErrorKind::InvalidUtf8)),
            }
        }
    }
}

/// The line and column (both from 1) at which the value of `pointer` starts in the JSON `text`;
/// `None` when the text has no such value. Scans the text, so it is for error messages only.
#[must_use]
pub(crate) fn position_of(text: &str, pointer: &str) -> Option<(usize, usize)> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, depth: MAX_DEPTH };
    let mut wanted = pointer::tokens(pointer).peekable();
    reader.space();
    while let Some(token) = wanted.next() {
        let opener = reader.bytes.get(reader.at).copied()?;
        reader.at += 1;
        let mut index = 0_usize;
        loop {
            reader.space();
            let found = if opener == b'{' {
                let key = reader.string().ok()?;
                reader.space();
                reader.at += 1;
                key == token
            } else {
                index.to_string() == token
            };
            reader.space();
            if found {
                break;
            }
            reader.value(0).ok()?;
            reader.space();
            if reader.bytes.get(reader.at) != Some(&b',') {
                return None;
            }
            reader.at += 1;
            index += 1;
        }
        if wanted.peek().is_none() {
            break;
        }
    }
    let found = locate(text, reader.at, String::new(), JsonErrorKind::UnexpectedByte);
    Some((found.line, found.column))
}

// === impl JsonError ===

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.kind, self.line, self.column)?;
        if !self.pointer.is_empty() {
            write!(f, " (in `{}`)", crate::violation::excerpt(&self.pointer))?;
        }
        Ok(())
    }
}

impl std::error::Error for JsonError {}

// === impl JsonErrorKind ===

impl JsonErrorKind {
    /// A stable name for machines, in kebab case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DuplicateKey => "duplicate-key",
            Self::TooDeep => "too-deep",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::TrailingBytes => "trailing-bytes",
            Self::UnexpectedEnd => "unexpected-end",
            Self::UnexpectedByte => "unexpected-byte",
            Self::InvalidEscape => "invalid-escape",
            Self::ControlCharacter => "control-character",
            Self::InvalidNumber => "invalid-number",
            Self::NumberOutOfRange => "number-out-of-range",
        }
    }
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuplicateKey => "a key stands twice in one object",
            Self::TooDeep => "arrays and objects nest too deep",
            Self::InvalidUtf8 => "the text is not UTF-8",
            Self::TrailingBytes => "something follows the value",
            Self::UnexpectedEnd => "the text ends inside the value",
            Self::UnexpectedByte => "an unexpected character",
            Self::InvalidEscape => "an invalid escape in a string",
            Self::ControlCharacter => "a control character in a string",
            Self::InvalidNumber => "a number not written as JSON writes numbers",
            Self::NumberOutOfRange => "a number too large for a double",
        })
    }
}

// === the reader ===

/// An error on its way out: each level adds the step that led to it, so a good text pays nothing.
struct Fault {
    offset: usize,
    kind: JsonErrorKind,
    steps: Vec<String>,
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

fn parse_text(text: &str, depth: usize) -> Result<Value, JsonError> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, depth: depth.min(MAX_DEPTH) };
    reader.document().map_err(|fault| {
        let mut path = String::new();
        for step in fault.steps.iter().rev() {
            pointer::push(&mut path, step);
        }
        locate(text, fault.offset, path, fault.kind)
    })
}

fn locate(text: &str, offset: usize, pointer: String, kind: JsonErrorKind) -> JsonError {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    JsonError {
        offset,
        line: memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        pointer,
        kind,
    }
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, Fault> {
        self.space();
        let value = self.value(0)?;
        self.space();
        if self.at < self.bytes.len() {
            return Err(self.fault(JsonErrorKind::TrailingBytes));
        }
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        match self.bytes.get(self.at) {
            None => Err(self.fault(JsonErrorKind::UnexpectedEnd)),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.fault(JsonErrorKind::UnexpectedByte)),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Fault> {
        self.enter(depth)?;
        let mut map = Map::new();
        if self.close(b'}') {
            return Ok(Value::Object(map));
        }
        loop {
            self.space();
            let key_at = self.at;
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            if map.contains_key(&key) {
                return Err(Fault { offset: key_at, kind: JsonErrorKind::DuplicateKey, steps: vec![key] });
            }
            self.space();
            let value = match self.expect(b':') {
                Ok(()) => {
                    self.space();
                    self.value(depth + 1)
                }
                Err(fault) => Err(fault),
            };
            match value {
                Ok(value) => map.insert(key, value),
                Err(mut fault) => {
                    fault.steps.push(key);
                    return Err(fault);
                }
            };
            if self.close(b'}') {
                return Ok(Value::Object(map));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Fault> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.close(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            match self.value(depth + 1) {
                Ok(value) => items.push(value),
                Err(mut fault) => {
                    fault.steps.push(items.len().to_string());
                    return Err(fault);
                }
            }
            if self.close(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
        }
    }

    /// Reads a string, the opening quote included.
    fn string(&mut self) -> Result<String, Fault> {
        self.expect(b'"')?;
        let mut text = String::new();
        loop {
            let start = self.at;
            let rest = self.bytes.get(start..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let Some(length) = plain else {
                self.at = self.bytes.len();
                return Err(self.fault(JsonErrorKind::UnexpectedEnd));
            };
            // The run starts and ends beside ASCII bytes, so it is on character boundaries.
            text.push_str(self.text.get(start..start + length).unwrap_or_default());
            self.at = start + length;
            match rest.get(length) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.fault(JsonErrorKind::ControlCharacter)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let invalid = Fault { offset: start, kind: JsonErrorKind::InvalidEscape, steps: Vec::new() };
        self.at += 2;
        match self.bytes.get(start + 1) {
            Some(b'"') => Ok('"'),
            Some(b'\\') => Ok('\\'),
            Some(b'/') => Ok('/'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => {
                let Some(first) = self.hex() else { return Err(invalid) };
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or(invalid);
                }
                if self.bytes.get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(invalid);
                }
                self.at += 2;
                match self.hex() {
                    Some(second @ 0xdc00..=0xdfff) => {
                        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(invalid)
                    }
                    _ => Err(invalid),
                }
            }
            None => {
                self.at = self.bytes.len();
                Err(self.fault(JsonErrorKind::UnexpectedEnd))
            }
            Some(_) => Err(invalid),
        }
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        let mut code = 0;
        for digit in digits {
            code = code * 16 + char::from(*digit).to_digit(16)?;
        }
        self.at += 4;
        Some(code)
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while matches!(reader.bytes.get(reader.at), Some(b'0'..=b'9')) {
                reader.at += 1;
            }
            reader.at - from
        };
        let invalid = |reader: &Self| Fault {
            offset: reader.at,
            kind: JsonErrorKind::InvalidNumber,
            steps: Vec::new(),
        };
        let mut plain = true;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let first = self.bytes.get(self.at).copied();
        let count = digits(self);
        if count == 0 || (first == Some(b'0') && count > 1) {
            return Err(invalid(self));
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            plain = false;
            self.at += 1;
            if digits(self) == 0 {
                return Err(invalid(self));
            }
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            plain = false;
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if digits(self) == 0 {
                return Err(invalid(self));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if plain
            && text != "-0"
            && let Ok(integer) = text.parse::<i64>()
        {
            return Ok(Value::Number(Number::from(integer)));
        }
        // Large and fractional numbers are left to serde_json, so both read the same double.
        serde_json::from_str::<Number>(text).map(Value::Number).map_err(|_| Fault {
            offset: start,
            kind: JsonErrorKind::NumberOutOfRange,
            steps: Vec::new(),
        })
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Fault> {
        for expected in word.bytes() {
            self.expect(expected)?;
        }
        Ok(value)
    }

    fn enter(&mut self, depth: usize) -> Result<(), Fault> {
        if depth >= self.depth {
            return Err(self.fault(JsonErrorKind::TooDeep));
        }
        self.at += 1;
        Ok(())
    }

    fn close(&mut self, closer: u8) -> bool {
        self.space();
        let closes = self.bytes.get(self.at) == Some(&closer);
        self.at += usize::from(closes);
        closes
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.bytes.get(self.at) != Some(&byte) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self) -> Fault {
        let ended = self.at >= self.bytes.len();
        self.fault(if ended { JsonErrorKind::UnexpectedEnd } else { JsonErrorKind::UnexpectedByte })
    }

    fn fault(&self, kind: JsonErrorKind) -> Fault {
        Fault { offset: self.at, kind, steps: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
