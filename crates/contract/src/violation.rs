//! What a call does against its contract.

use std::fmt;

use serde::Serialize;

/// No more violations than this are reported for one head, body or response: a caller needs the
/// first few to mend the call, and a hostile body must not buy unbounded memory and log lines.
pub const MAX_VIOLATIONS: usize = 16;

/// Where a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A path parameter.
    Path,
    /// A query parameter.
    Query,
    /// A request header field.
    Header,
    /// A cookie.
    Cookie,
    /// The request body.
    Body,
    /// The response.
    Response,
}

/// One thing that breaks the contract. Holds at most a short, printable excerpt of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where it is.
    pub place: Place,
    /// The parameter's name, or a JSON pointer into the body (empty: the whole of it).
    pub name: String,
    /// Where the broken rule stands in the specification, as `#/pointer`, with the file before it
    /// when it is not the main file.
    pub schema_pointer: String,
    /// The broken rule: a JSON Schema keyword (`enum`, `maxLength` …), or one of `missing`,
    /// `unknown`, `encoding`, `media-type`, `unexpected-body`, `missing-body`, `json-<kind>`
    /// (see [`crate::json::JsonErrorKind::name`]), `status`, `readOnly`.
    pub keyword: String,
    /// One sentence for a person.
    pub message: String,
}

impl Violation {
    /// Whether the contract only discourages this: a `readOnly` property in a request (OpenAPI:
    /// "SHOULD NOT be sent"). Clients that send back what they read do it all the time, yet it is
    /// also how mass assignment (OWASP API3:2023) looks; whether to refuse it is a policy.
    #[must_use]
    pub fn is_advice(&self) -> bool {
        self.keyword == "readOnly"
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Path => "path parameter",
            Place::Query => "query parameter",
            Place::Header => "header",
            Place::Cookie => "cookie",
            Place::Body => "body",
            Place::Response => "response",
        };
        write!(f, "{place}")?;
        if !self.name.is_empty() {
            write!(f, " `{}`", self.name)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The most characters of the caller's text a message holds.
const EXCERPT_CHARS: usize = 40;

/// At most 40 characters of a caller's text, fit to stand in a log line or a problem document.
pub(crate) fn excerpt(text: &str) -> String {
    excerpt_of(text, EXCERPT_CHARS).replace('`', "'")
}

/// At most `chars` characters of a text, those that could forge a line replaced.
pub(crate) fn excerpt_of(text: &str, chars: usize) -> String {
    let mut excerpt: String = text
        .chars()
        .take(chars)
        .map(|character| match character {
            // Marks that reorder or hide text would let a value forge the line it is shown in.
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => {
                '\u{fffd}'
            }
            other if other.is_control() => '\u{fffd}',
            other => other,
        })
        .collect();
    if text.chars().nth(chars).is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_printable() {
        assert_eq!(excerpt("a\r\nb\u{202e}`"), "a\u{fffd}\u{fffd}b\u{fffd}'");
        assert_eq!(excerpt(&"x".repeat(40)), "x".repeat(40));
        assert_eq!(excerpt(&"x".repeat(41)), format!("{}…", "x".repeat(40)));
    }
}
