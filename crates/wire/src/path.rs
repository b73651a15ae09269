//! The one normalised path.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::bytes_class::{hex_pair, is_hex, is_pchar, is_unreserved, push_escape};

/// A path in its one spelling (RFC 3986, 6.2.2): the router, the guards and the upstream all see this one.
///
/// - escapes of unreserved characters are decoded, other escapes are in upper case, and what may not stand in a
///   path bare (`"`, `<`, `{`, bytes of UTF-8, …) is escaped;
/// - repeated slashes are merged, then dot segments are removed, escaped ones too; leaving the root is refused;
/// - a second layer of escapes (`%2541`) is data and stays, and [`PathTraits::DOUBLE_ENCODED`] tells of it;
/// - path parameters (`/menu;v=2`) are data and stay, but `/..;` and `/.;` are refused: servlet containers drop
///   the parameter and then follow the dots.
///
/// Normalising twice changes nothing: `parse(parse(x).as_str()) == parse(x)`.
/// Paths are equal when their spelling is, whatever they were spelt from.
#[derive(Clone)]
pub struct CanonicalPath {
    text: Arc<str>,
    traits: PathTraits,
}

/// What [`CanonicalPath::parse_with`] may let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathPolicy {
    /// What to do with `%2F`.
    pub encoded_slash: EncodedSlash,
}

/// What to do with an escaped slash, which some upstreams take for a separator and some for data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// Refuse the path.
    #[default]
    Refuse,
    /// Keep it as data inside its segment. For APIs whose identifiers hold slashes.
    Keep,
}

/// What normalising had to change, and what is odd about the path. Evidence for the event; not a verdict.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PathTraits(u8);

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathRefusal {
    /// It does not start with a slash.
    NotAbsolute,
    /// A `%` without two hexadecimal digits after it.
    InvalidEscape,
    /// A control character, raw or escaped; NUL is one.
    ControlCharacter,
    /// `\` or `%5C`: a separator to some upstreams.
    Backslash,
    /// `%2F`, unless the policy keeps it.
    EncodedSlash,
    /// Raw or escaped bytes that are not UTF-8; overlong forms are not.
    InvalidUtf8,
    /// A space, `?` or `#`: no part of a path.
    Delimiter,
    /// Dot segments that leave the root.
    AboveRoot,
    /// A dot segment with a path parameter (`/..;x/`), or one made by an escaped slash.
    HiddenDotSegment,
}

// === impl CanonicalPath ===

impl CanonicalPath {
    /// Normalises under the default policy.
    ///
    /// # Errors
    /// The [`PathRefusal`] says what stands in the way of one meaning.
    pub fn parse(raw: &[u8]) -> Result<Self, PathRefusal> {
        Self::parse_with(raw, &PathPolicy::default())
    }

    /// Normalises under this policy.
    ///
    /// # Errors
    /// The [`PathRefusal`] says what stands in the way of one meaning.
    pub fn parse_with(raw: &[u8], policy: &PathPolicy) -> Result<Self, PathRefusal> {
        if is_canonical(raw)
            && let Ok(text) = std::str::from_utf8(raw)
        {
            return Ok(Self { text: Arc::from(text), traits: PathTraits::default() });
        }
        let (text, traits) = normalise(raw, policy)?;
        Ok(Self { text: Arc::from(text), traits })
    }

    /// The path, from its first slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What was changed, and what is odd.
    pub fn traits(&self) -> PathTraits {
        self.traits
    }

    /// The segments between slashes, escapes kept; the one after a final slash is empty, and `/` has one, empty.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.text.strip_prefix('/').unwrap_or_default().split('/')
    }
}

impl PartialEq for CanonicalPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CanonicalPath {}

impl std::hash::Hash for CanonicalPath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.text, self.traits)
    }
}

/// The data of one canonical segment: its escapes decoded once.
pub fn decode_segment(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    loop {
        match rest {
            [b'%', high, low, tail @ ..] if is_hex(*high) && is_hex(*low) => {
                decoded.extend(hex_pair(*high, *low));
                rest = tail;
            }
            [byte, tail @ ..] => {
                decoded.push(*byte);
                rest = tail;
            }
            [] => break,
        }
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        // A canonical segment is UTF-8; any other text is given back as it came.
        Err(_) => Cow::Borrowed(segment),
    }
}

// === impl PathTraits ===

impl PathTraits {
    /// Dot segments were removed.
    pub const DOT_SEGMENTS: Self = Self(1);
    /// Repeated slashes were merged.
    pub const MERGED_SLASHES: Self = Self(2);
    /// Escapes of unreserved characters were decoded, as in `/%61dmin`.
    pub const DECODED: Self = Self(4);
    /// Characters that may not stand bare were escaped.
    pub const ENCODED: Self = Self(8);
    /// Escapes were put in upper case.
    pub const RECASED: Self = Self(16);
    /// An escaped percent sign with two hexadecimal digits after it: data to us, an escape to who decodes twice.
    pub const DOUBLE_ENCODED: Self = Self(32);
    /// There is a path parameter (`;`).
    pub const PARAMETERS: Self = Self(64);
    /// There is an escaped slash that the policy keeps.
    pub const ENCODED_SLASH: Self = Self(128);

    /// Whether all of these are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing was changed and nothing is odd.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Stable kebab-case words for what is set, for events.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| *name)
    }

    fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

const NAMES: [(PathTraits, &str); 8] = [
    (PathTraits::DOT_SEGMENTS, "dot-segments"),
    (PathTraits::MERGED_SLASHES, "merged-slashes"),
    (PathTraits::DECODED, "decoded"),
    (PathTraits::ENCODED, "encoded"),
    (PathTraits::RECASED, "recased"),
    (PathTraits::DOUBLE_ENCODED, "double-encoded"),
    (PathTraits::PARAMETERS, "parameters"),
    (PathTraits::ENCODED_SLASH, "encoded-slash"),
];

impl fmt::Debug for PathTraits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

// === impl PathRefusal ===

impl PathRefusal {
    /// Every refusal, for tables in manuals and tests.
    pub const ALL: &'static [Self] = &[
        Self::NotAbsolute,
        Self::InvalidEscape,
        Self::ControlCharacter,
        Self::Backslash,
        Self::EncodedSlash,
        Self::InvalidUtf8,
        Self::Delimiter,
        Self::AboveRoot,
        Self::HiddenDotSegment,
    ];

    /// The response's status: always 400.
    pub const fn status(self) -> u16 {
        400
    }

    /// A stable kebab-case word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAbsolute => "path-not-absolute",
            Self::InvalidEscape => "path-invalid-escape",
            Self::ControlCharacter => "path-control-character",
            Self::Backslash => "path-backslash",
            Self::EncodedSlash => "path-encoded-slash",
            Self::InvalidUtf8 => "path-invalid-utf-8",
            Self::Delimiter => "path-delimiter",
            Self::AboveRoot => "path-above-root",
            Self::HiddenDotSegment => "path-hidden-dot-segment",
        }
    }
}

impl fmt::Display for PathRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not start with a slash",
            Self::InvalidEscape => "a percent sign in the path without two hexadecimal digits after it",
            Self::ControlCharacter => "the path holds a control character",
            Self::Backslash => "the path holds a backslash",
            Self::EncodedSlash => "the path holds an escaped slash",
            Self::InvalidUtf8 => "the path is not UTF-8",
            Self::Delimiter => "the path holds a space, `?` or `#`",
            Self::AboveRoot => "dot segments of the path leave the root",
            Self::HiddenDotSegment => "the path hides a dot segment behind a parameter or an escaped slash",
        })
    }
}

impl std::error::Error for PathRefusal {}

/// Whether normalising would change nothing and no trait is set; the common case, judged without allocating.
fn is_canonical(raw: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in raw {
        // After a slash, another one needs merging and a dot needs a closer look.
        if !(is_pchar(byte) || byte == b'/')
            || byte == b';'
            || (previous == b'/' && matches!(byte, b'/' | b'.'))
        {
            return false;
        }
        previous = byte;
    }
    raw.first() == Some(&b'/')
}

fn normalise(raw: &[u8], policy: &PathPolicy) -> Result<(String, PathTraits), PathRefusal> {
    if raw.first() != Some(&b'/') {
        return Err(PathRefusal::NotAbsolute);
    }
    let mut traits = PathTraits::default();
    let text = spell(raw, policy, &mut traits)?;
    let mut out = String::with_capacity(text.len());
    let mut segments = text.strip_prefix('/').unwrap_or_default().split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" if !last => traits.set(PathTraits::MERGED_SLASHES),
            "." | ".." => {
                traits.set(PathTraits::DOT_SEGMENTS);
                if segment == ".." {
                    let parent = out.rfind('/').ok_or(PathRefusal::AboveRoot)?;
                    out.truncate(parent);
                }
                if last {
                    out.push('/');
                }
            }
            _ if hides_dots(segment) => return Err(PathRefusal::HiddenDotSegment),
            _ => {
                out.push('/');
                out.push_str(segment);
            }
        }
    }
    Ok((out, traits))
}

/// Spells each character its one way; slashes and dots are left for later.
fn spell(raw: &[u8], policy: &PathPolicy, traits: &mut PathTraits) -> Result<String, PathRefusal> {
    let mut text = String::with_capacity(raw.len() + 16);
    // What the path says when decoded once: only as a whole is it UTF-8, an escape may be half a character.
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        rest = match rest {
            [] => break,
            [b'%', high, low, tail @ ..] => {
                let byte = hex_pair(*high, *low).ok_or(PathRefusal::InvalidEscape)?;
                decoded.push(byte);
                if is_unreserved(byte) {
                    traits.set(PathTraits::DECODED);
                    text.push(char::from(byte));
                } else {
                    match byte {
                        b'\\' => return Err(PathRefusal::Backslash),
                        b'/' if policy.encoded_slash == EncodedSlash::Refuse => {
                            return Err(PathRefusal::EncodedSlash);
                        }
                        b'/' => traits.set(PathTraits::ENCODED_SLASH),
                        b'%' if matches!(tail, [a, b, ..] if is_hex(*a) && is_hex(*b)) => {
                            traits.set(PathTraits::DOUBLE_ENCODED);
                        }
                        b';' => traits.set(PathTraits::PARAMETERS),
                        _ => {}
                    }
                    if high.is_ascii_lowercase() || low.is_ascii_lowercase() {
                        traits.set(PathTraits::RECASED);
                    }
                    push_escape(&mut text, byte);
                }
                tail
            }
            [b'%', ..] => return Err(PathRefusal::InvalidEscape),
            [b'\\', ..] => return Err(PathRefusal::Backslash),
            [b' ' | b'?' | b'#', ..] => return Err(PathRefusal::Delimiter),
            [byte, tail @ ..] => {
                decoded.push(*byte);
                if *byte == b';' {
                    traits.set(PathTraits::PARAMETERS);
                }
                if is_pchar(*byte) || *byte == b'/' {
                    text.push(char::from(*byte));
                } else {
                    traits.set(PathTraits::ENCODED);
                    push_escape(&mut text, *byte);
                }
                tail
            }
        };
    }
    let decoded = std::str::from_utf8(&decoded).map_err(|_| PathRefusal::InvalidUtf8)?;
    if decoded.chars().any(char::is_control) {
        return Err(PathRefusal::ControlCharacter);
    }
    Ok(text)
}

/// Whether an upstream that strips path parameters, or decodes `%2F` before it splits, sees a dot segment.
fn hides_dots(segment: &str) -> bool {
    segment.split("%2F").any(|part| {
        let name = part.split(';').next().unwrap_or_default();
        let name = name.split("%3B").next().unwrap_or_default();
        matches!(name, "." | "..")
    })
}

#[cfg(test)]
mod tests;
