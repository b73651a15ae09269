//! Countries, as short as events and conditions name them.

use std::fmt;

/// A country by its two letters (ISO 3166-1 alpha-2); the default is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

// === impl Country ===

impl Country {
    /// Two capital letters.
    pub fn new(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Some(Self([*a, *b])),
            _ => None,
        }
    }

    /// The letters; empty for none.
    pub fn as_str(&self) -> &str {
        match self.0 {
            [0, 0] => "",
            _ => std::str::from_utf8(&self.0).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({})", self.as_str())
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
