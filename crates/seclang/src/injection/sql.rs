//! Injected SQL: a value is read as what may stand in the middle of a statement, folded to at most five tokens, and these are looked up among the fingerprints of
//! injections. The grammar is libinjection's (Nick Galbreath, "libinjection: from SQLi to XSS", 2012–2014), oddities included: its fingerprints were gathered with them.

mod fold;
mod tokens;
mod words;

use self::fold::Folded;
use self::tokens::{Dialect, Kind, Token};

/// The most tokens of a fingerprint.
const TOKENS: usize = 5;

/// The fingerprint of injected SQL.
pub(super) fn detect(value: &[u8]) -> Option<String> {
    if is_word(value) {
        return None;
    }
    // As it is; and as it would be read inside a string that the statement has opened.
    for quote in [None, Some(b'\''), Some(b'"')] {
        if quote.is_some_and(|quote| memchr::memchr(quote, value).is_none()) {
            continue;
        }
        let dialect = if quote == Some(b'"') { Dialect::MySql } else { Dialect::Ansi };
        let folded = Folded::new(value, quote, dialect);
        if let Some(print) = folded.injection(value) {
            return Some(print);
        }
        // `--x` and `#` are comments in one dialect and operators in the other.
        if dialect == Dialect::Ansi && folded.is_ambiguous() {
            let folded = Folded::new(value, quote, Dialect::MySql);
            if let Some(print) = folded.injection(value) {
                return Some(print);
            }
        }
    }
    None
}

/// One bare word is one token, and no fingerprint of one word is an injection: such values cost nothing.
fn is_word(value: &[u8]) -> bool {
    value.first().is_none_or(u8::is_ascii_alphabetic) && value.iter().all(u8::is_ascii_alphanumeric)
}

// === impl Folded ===

impl Folded<'_> {
    /// The fingerprint, if it is one of an injection.
    fn injection(&self, value: &[u8]) -> Option<String> {
        let tokens = self.tokens();
        let mut print = [0u8; TOKENS];
        for (letter, token) in print.iter_mut().zip(tokens) {
            *letter = token.kind.letter();
        }
        let mut print = print.get(..tokens.len())?;
        if print.contains(&Kind::Evil.letter()) {
            print = b"X";
        }
        let is_one = words::is_fingerprint(print) && !self.is_harmless(print, value);
        is_one.then(|| String::from_utf8_lossy(print).into_owned())
    }

    /// Short fingerprints are those of plain texts too: what tells them apart.
    fn is_harmless(&self, print: &[u8], value: &[u8]) -> bool {
        // Microsoft's audit log leaves out statements that name this procedure: it is added to hide.
        let ends_in_comment = print.len() > 1 && print.last() == Some(&b'c');
        if ends_in_comment && value.windows(11).any(|part| part.eq_ignore_ascii_case(b"sp_password")) {
            return false;
        }
        match (print, self.tokens()) {
            ([_, second], [first, last]) => self.is_harmless_pair(*second, first, last, value),
            (b"sos" | b"s&s", [first, _, last]) => {
                // `…foo' + 'bar…`: neither opened before nor closed behind.
                !(first.open == 0 && last.close == 0 && first.close == last.open)
            }
            (b"s&n" | b"n&1" | b"1&1" | b"1&v" | b"1&s", _) => self.read == 3,
            (_, [_, middle, _]) if middle.kind == Kind::Keyword => {
                let into = middle.text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"INTO"));
                middle.text.len() < 5 || !into
            }
            _ => false,
        }
    }

    fn is_harmless_pair(&self, letter: u8, first: &Token<'_>, last: &Token<'_>, value: &[u8]) -> bool {
        if letter == Kind::Union.letter() {
            return self.read == 2;
        }
        let mark = last.text.first().copied().unwrap_or(0);
        if mark == b'#' {
            return true;
        }
        if last.kind == Kind::Comment {
            match first.kind {
                Kind::Bareword if mark != b'/' => return true,
                Kind::Number if mark == b'/' => return false,
                Kind::Number => {
                    // `1234-ABCD--` is no number before a comment: something was folded away, or the comment follows at once.
                    let behind = value.get(first.text.len()..).unwrap_or_default();
                    let follows = match behind {
                        [b'/', b'*', ..] | [b'-', b'-', ..] => true,
                        [byte, ..] => *byte <= b' ' || !byte.is_ascii(),
                        [] => false,
                    };
                    return self.read <= 2 && !follows;
                }
                _ => {}
            }
        }
        // Many write `--` in plain text; scans end with it.
        last.text.len() > 2 && mark == b'-'
    }
}

#[cfg(test)]
pub(super) use self::shown::{folded_for_tests, tokens_for_tests};

/// Tokens as libinjection's tests write them.
#[cfg(test)]
mod shown {
    use super::tokens::Reader;
    use super::*;

    fn shown<'a>(tokens: impl Iterator<Item = Token<'a>>) -> String {
        let line = |token: Token<'a>| {
            let quote = |quote: u8| if quote == 0 { String::new() } else { char::from(quote).to_string() };
            let text = String::from_utf8_lossy(token.text);
            let (open, close) = match token.kind {
                Kind::String | Kind::Variable => (quote(token.open), quote(token.close)),
                _ => Default::default(),
            };
            let at = "@".repeat(usize::from(token.at_signs));
            format!("{} {at}{open}{text}{close}", char::from(token.kind.letter())).trim_end().to_owned()
        };
        tokens.map(line).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn tokens_for_tests(input: &[u8]) -> String {
        let mut reader = Reader::new(input, None, Dialect::Ansi);
        shown(std::iter::from_fn(|| reader.next()))
    }

    pub(crate) fn folded_for_tests(input: &[u8]) -> String {
        shown(Folded::new(input, None, Dialect::Ansi).tokens().iter().copied())
    }
}
