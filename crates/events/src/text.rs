//! The one text type of an event's columns.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A column's text: borrowed from the program, shared with the configuration, or owned by the event.
///
/// Most columns name something that lives longer than the request (a guard, an API, a key), so that filling them
/// in copies no bytes. The empty text means that the column is absent.
#[derive(Clone)]
pub enum Text {
    /// A word of the program.
    Static(&'static str),
    /// A name shared with the configuration or with a cached principal.
    Shared(Arc<str>),
    /// A text of this request alone.
    Owned(Box<str>),
}

/// Ends a text that was cut.
const ELLIPSIS: &str = "…";

// === impl Text ===

impl Text {
    /// The absent text.
    pub const EMPTY: Self = Self::Static("");

    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
            Self::Owned(text) => text,
        }
    }

    /// The text of `bytes` the network sent, at most `max` bytes long; what is not UTF-8 becomes U+FFFD.
    pub fn lossy(bytes: &[u8], max: usize) -> Self {
        let head = bytes.get(..max.saturating_add(1)).unwrap_or(bytes);
        let mut text = Self::from(String::from_utf8_lossy(head).into_owned());
        text.truncate(max);
        text
    }

    /// Cuts the text to at most `max` bytes, at a character's boundary; a cut text ends in `…`.
    pub fn truncate(&mut self, max: usize) {
        if self.len() <= max {
            return;
        }
        let room = self.floor_char_boundary(max.saturating_sub(ELLIPSIS.len()));
        let mut cut = String::with_capacity(max);
        cut.push_str(self.get(..room).unwrap_or_default());
        if max >= ELLIPSIS.len() {
            cut.push_str(ELLIPSIS);
        }
        *self = Self::from(cut);
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<&Arc<str>> for Text {
    fn from(text: &Arc<str>) -> Self {
        Self::Shared(Arc::clone(text))
    }
}

impl From<Box<str>> for Text {
    fn from(text: Box<str>) -> Self {
        Self::Owned(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Owned(text.into_boxed_str())
    }
}

impl From<Cow<'static, str>> for Text {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Static(text),
            Cow::Owned(text) => Self::from(text),
        }
    }
}

/// The standard methods are words of the program; only an extension method is copied.
impl From<&http::Method> for Text {
    fn from(method: &http::Method) -> Self {
        let known = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];
        match known.into_iter().find(|known| method.as_str() == *known) {
            Some(known) => Self::Static(known),
            None => Self::Owned(method.as_str().into()),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_at_the_limit_is_whole_and_one_byte_more_is_cut() {
        let mut whole = Text::from("x".repeat(16));
        whole.truncate(16);
        assert_eq!(whole, "x".repeat(16).as_str());

        let mut cut = Text::from("x".repeat(17));
        cut.truncate(16);
        assert_eq!(cut, format!("{}…", "x".repeat(13)).as_str());
    }

    #[test]
    fn text_is_cut_between_characters() {
        for max in 0..12 {
            let mut text = Text::from("해치해치".to_owned());
            text.truncate(max);
            assert!(text.len() <= max, "{max}: {text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        assert_eq!(Text::lossy(b"a\xffb", 16), "a\u{fffd}b");
        assert!(Text::lossy(&[0xff; 64], 16).len() <= 16);
    }

    #[test]
    fn methods_are_kept_as_sent() {
        assert!(matches!(Text::from(&http::Method::PATCH), Text::Static("PATCH")));
        let purge = http::Method::from_bytes(b"PURGE").expect("token");
        assert_eq!(Text::from(&purge), "PURGE");
    }
}
