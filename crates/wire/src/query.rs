//! The one parse of the query.

use std::fmt;
use std::sync::Arc;

use crate::bytes_class::{hex_pair, is_unreserved, push_escape};

/// A query, decoded once, and in the spelling in which it is sent upstream.
///
/// Pairs are split at `&` and at their first `=`; then percent escapes and `+` are decoded. Empty pairs (`a&&b`) are
/// dropped. `;` separates nothing, and is escaped on its way out, since some upstreams think it does. An empty query
/// allocates nothing; cloning costs a reference count.
#[derive(Clone, Default)]
pub struct Query(Option<Arc<Parsed>>);

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryRefusal {
    /// A `%` without two hexadecimal digits after it.
    InvalidEscape,
    /// A control character, raw or escaped, other than an escaped tab, line feed or carriage return, which
    /// honest text fields hold.
    ControlCharacter,
    /// A name or a value is not UTF-8.
    InvalidUtf8,
    /// More pairs than the limit.
    TooManyPairs,
}

struct Parsed {
    decoded: String,
    pairs: Vec<Pair>,
    canonical: String,
}

/// Where one pair ends in the decoded text; it starts where the one before it ends.
#[derive(Clone, Copy)]
struct Pair {
    name_end: usize,
    end: usize,
}

// === impl Query ===

impl Query {
    /// Reads what stands after `?`. `max_pairs` bounds the work of all who go over the pairs.
    ///
    /// # Errors
    /// The [`QueryRefusal`] says what stands in the way of one meaning.
    pub fn parse(raw: Option<&[u8]>, max_pairs: usize) -> Result<Self, QueryRefusal> {
        let raw = raw.unwrap_or_default();
        if raw.iter().all(|&byte| byte == b'&') {
            return Ok(Self::default());
        }
        let mut parsed = Parsed {
            decoded: String::with_capacity(raw.len()),
            pairs: Vec::new(),
            canonical: String::with_capacity(raw.len() + 16),
        };
        let mut scratch = Vec::new();
        for pair in raw.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            if parsed.pairs.len() == max_pairs {
                return Err(QueryRefusal::TooManyPairs);
            }
            parsed.push(pair, &mut scratch)?;
        }
        Ok(Self(Some(Arc::new(parsed))))
    }

    /// Names and values, decoded, in order. A name without `=` has an empty value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|parsed| {
            let mut start = 0;
            parsed.pairs.iter().map(move |pair| {
                let name = parsed.decoded.get(start..pair.name_end).unwrap_or_default();
                let value = parsed.decoded.get(pair.name_end..pair.end).unwrap_or_default();
                start = pair.end;
                (name, value)
            })
        })
    }

    /// All values of this name, in order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs().filter(move |(other, _)| *other == name).map(|(_, value)| value)
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |parsed| parsed.pairs.len())
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The query that is sent upstream, without `?`: the same pairs in the same order in one spelling, in which
    /// only unreserved characters and `!$'()*,:@/?` stand bare. `None` when there are no pairs.
    pub fn canonical(&self) -> Option<&str> {
        self.0.as_ref().map(|parsed| parsed.canonical.as_str())
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Query {}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs()).finish()
    }
}

// === impl Parsed ===

impl Parsed {
    fn push(&mut self, pair: &[u8], scratch: &mut Vec<u8>) -> Result<(), QueryRefusal> {
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..)),
            None => (pair, None),
        };
        if !self.pairs.is_empty() {
            self.canonical.push('&');
        }
        self.push_part(name, scratch)?;
        let name_end = self.decoded.len();
        if let Some(value) = value {
            self.canonical.push('=');
            self.push_part(value, scratch)?;
        }
        self.pairs.push(Pair { name_end, end: self.decoded.len() });
        Ok(())
    }

    fn push_part(&mut self, raw: &[u8], scratch: &mut Vec<u8>) -> Result<(), QueryRefusal> {
        scratch.clear();
        let mut rest = raw;
        loop {
            let (byte, tail) = match rest {
                [] => break,
                [b'%', high, low, tail @ ..] => {
                    let byte = hex_pair(*high, *low).ok_or(QueryRefusal::InvalidEscape)?;
                    if byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r') {
                        return Err(QueryRefusal::ControlCharacter);
                    }
                    (byte, tail)
                }
                [b'%', ..] => return Err(QueryRefusal::InvalidEscape),
                [b'+', tail @ ..] => (b' ', tail),
                [byte, _tail @ ..] if byte.is_ascii_control() => return Err(QueryRefusal::ControlCharacter),
                [byte, tail @ ..] => (*byte, tail),
            };
            scratch.push(byte);
            if is_unreserved(byte)
                || matches!(byte, b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b',' | b':' | b'@' | b'/' | b'?')
            {
                self.canonical.push(char::from(byte));
            } else {
                push_escape(&mut self.canonical, byte);
            }
            rest = tail;
        }
        let text = std::str::from_utf8(scratch).map_err(|_| QueryRefusal::InvalidUtf8)?;
        self.decoded.push_str(text);
        Ok(())
    }
}

// === impl QueryRefusal ===

impl QueryRefusal {
    /// Every refusal, for tables in manuals and tests.
    pub const ALL: &'static [Self] =
        &[Self::InvalidEscape, Self::ControlCharacter, Self::InvalidUtf8, Self::TooManyPairs];

    /// The response's status: always 400.
    pub const fn status(self) -> u16 {
        400
    }

    /// A stable kebab-case word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidEscape => "query-invalid-escape",
            Self::ControlCharacter => "query-control-character",
            Self::InvalidUtf8 => "query-invalid-utf-8",
            Self::TooManyPairs => "query-too-many-pairs",
        }
    }
}

impl fmt::Display for QueryRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidEscape => "a percent sign in the query without two hexadecimal digits after it",
            Self::ControlCharacter => "the query holds a control character",
            Self::InvalidUtf8 => "the query is not UTF-8",
            Self::TooManyPairs => "the query has more pairs than the limit",
        })
    }
}

impl std::error::Error for QueryRefusal {}

#[cfg(test)]
mod tests;
