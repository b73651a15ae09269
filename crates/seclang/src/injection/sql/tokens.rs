//! Bytes to tokens.

use super::words::{self, WORD};

/// What a token is; the letters are those of fingerprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    None = 0,
    Keyword = b'k',
    Union = b'U',
    Group = b'B',
    Expression = b'E',
    Type = b't',
    Function = b'f',
    Bareword = b'n',
    Number = b'1',
    Variable = b'v',
    String = b's',
    Operator = b'o',
    Logic = b'&',
    Comment = b'c',
    Collate = b'A',
    Open = b'(',
    Close = b')',
    OpenBrace = b'{',
    CloseBrace = b'}',
    Dot = b'.',
    Comma = b',',
    Colon = b':',
    Semicolon = b';',
    Transact = b'T',
    Unknown = b'?',
    /// What databases read in ways that cannot be foreseen.
    Evil = b'X',
    Backslash = b'\\',
}

/// Whose comments are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Ansi,
    MySql,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Its first 31 bytes, without quotes.
    pub(super) text: &'a [u8],
    /// The quote before it; nought where there is none.
    pub(super) open: u8,
    /// The quote behind it.
    pub(super) close: u8,
    /// How many `@` stand before a variable's name.
    #[cfg(test)]
    pub(super) at_signs: u8,
}

/// Reads tokens one by one.
pub(super) struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    /// The quote that stands before the input.
    quote: Option<u8>,
    dialect: Dialect,
    /// Whether there was what one dialect reads as a comment and the other does not.
    pub(super) is_ambiguous: bool,
}

// === impl Kind ===

impl Kind {
    pub(super) fn letter(self) -> u8 {
        self as u8
    }

    /// Of a word, by its letter in the list of words.
    pub(super) fn of(letter: u8) -> Option<Self> {
        Some(match letter {
            b'k' => Self::Keyword,
            b'U' => Self::Union,
            b'B' => Self::Group,
            b'E' => Self::Expression,
            b't' => Self::Type,
            b'f' => Self::Function,
            b'n' => Self::Bareword,
            b'1' => Self::Number,
            b'v' => Self::Variable,
            b'o' => Self::Operator,
            b'&' => Self::Logic,
            b'A' => Self::Collate,
            b'T' => Self::Transact,
            _ => return None,
        })
    }
}

// === impl Token ===

impl<'a> Token<'a> {
    pub(super) const NONE: Token<'static> = Token {
        kind: Kind::None,
        text: b"",
        open: 0,
        close: 0,
        #[cfg(test)]
        at_signs: 0,
    };

    fn new(kind: Kind, text: &'a [u8]) -> Self {
        Self { kind, text: text.get(..WORD - 1).unwrap_or(text), ..Self::NONE }
    }

    /// Whether it is spelled so, without regard to case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word.as_bytes())
    }

    pub(super) fn is_unary(&self) -> bool {
        self.kind == Kind::Operator
            && (matches!(self.text, b"+" | b"-" | b"!" | b"~" | b"!!") || self.is("NOT"))
    }

    pub(super) fn is_arithmetic(&self) -> bool {
        self.kind == Kind::Operator && matches!(self.text, b"*" | b"/" | b"-" | b"+" | b"%")
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(input: &'a [u8], quote: Option<u8>, dialect: Dialect) -> Self {
        Self { input, at: 0, quote, dialect, is_ambiguous: false }
    }

    pub(super) fn next(&mut self) -> Option<Token<'a>> {
        if let Some(quote) = self.quote.take() {
            if self.input.is_empty() {
                return None;
            }
            let (mut token, after) = self.string(0, quote);
            // The quote that opens it is not there.
            token.open = 0;
            self.at = after;
            return Some(token);
        }
        while let Some(byte) = self.input.get(self.at) {
            if is_white(*byte) || *byte < b' ' || *byte == 0x7f {
                self.at += 1;
                continue;
            }
            let (token, after) = self.token(*byte);
            self.at = after;
            return Some(token);
        }
        None
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.input.get(at).copied()
    }

    fn from(&self, at: usize) -> &'a [u8] {
        self.input.get(at..).unwrap_or_default()
    }

    fn token(&mut self, first: u8) -> (Token<'a>, usize) {
        match first {
            b'0'..=b'9' | b'.' => self.number(),
            b'\'' | b'"' => self.string(self.at + 1, first),
            b'`' => self.tick(self.at),
            b'(' => self.mark(Kind::Open),
            b')' => self.mark(Kind::Close),
            b'{' => self.mark(Kind::OpenBrace),
            b'}' => self.mark(Kind::CloseBrace),
            b',' => self.mark(Kind::Comma),
            b';' => self.mark(Kind::Semicolon),
            b'?' | b']' => self.mark(Kind::Unknown),
            b'%' | b'+' | b'^' | b'~' => self.mark(Kind::Operator),
            b'!' | b'&' | b'*' | b':' | b'<' | b'=' | b'>' | b'|' => self.operator(first),
            b'#' => self.hash(),
            b'-' => self.dash(),
            b'/' => self.slash(),
            b'\\' => match self.byte(self.at + 1) {
                // MySQL's other name of NULL.
                Some(b'N') => self.span(Kind::Number, self.at + 2),
                _ => self.mark(Kind::Backslash),
            },
            b'@' => self.variable(),
            b'$' => self.money(),
            b'[' => {
                let end = memchr::memchr(b']', self.from(self.at));
                self.span(Kind::Bareword, end.map_or(self.input.len(), |end| self.at + end + 1))
            }
            b'b' | b'B' => self.digits_in_quotes(|byte| matches!(byte, b'0' | b'1')),
            b'x' | b'X' => self.digits_in_quotes(|byte| byte.is_ascii_hexdigit()),
            b'e' | b'E' => self.quoted_after_letter(),
            b'n' | b'N' => match self.from(self.at + 1) {
                [b'\'', _, ..] => self.quoted_after_letter(),
                _ => self.oracle(self.at + 1),
            },
            b'q' | b'Q' => self.oracle(self.at),
            b'u' | b'U' if self.from(self.at + 1).starts_with(b"&'") => {
                let (mut token, after) = self.string(self.at + 3, b'\'');
                token.open = b'u';
                if token.close == b'\'' {
                    token.close = b'u';
                }
                (token, after)
            }
            _ => self.word(),
        }
    }

    /// All up to `end`.
    fn span(&self, kind: Kind, end: usize) -> (Token<'a>, usize) {
        (Token::new(kind, self.input.get(self.at..end).unwrap_or_default()), end)
    }

    /// One byte.
    fn mark(&self, kind: Kind) -> (Token<'a>, usize) {
        self.span(kind, self.at + 1)
    }

    fn operator(&self, first: u8) -> (Token<'a>, usize) {
        let rest = self.from(self.at);
        if rest.starts_with(b"<=>") {
            return self.span(Kind::Operator, self.at + 3);
        }
        match rest.get(..2).map(words::kind) {
            Some(Some(kind @ (Kind::Operator | Kind::Logic))) => self.span(kind, self.at + 2),
            Some(_) if first == b':' => self.mark(Kind::Colon),
            _ => self.mark(Kind::Operator),
        }
    }

    fn hash(&mut self) -> (Token<'a>, usize) {
        self.is_ambiguous = true;
        match self.dialect {
            Dialect::MySql => self.line_comment(),
            Dialect::Ansi => self.mark(Kind::Operator),
        }
    }

    fn dash(&mut self) -> (Token<'a>, usize) {
        match (self.byte(self.at + 1), self.byte(self.at + 2)) {
            (Some(b'-'), None) => self.line_comment(),
            (Some(b'-'), Some(byte)) if is_white(byte) => self.line_comment(),
            (Some(b'-'), _) => {
                self.is_ambiguous = true;
                match self.dialect {
                    Dialect::Ansi => self.line_comment(),
                    Dialect::MySql => self.mark(Kind::Operator),
                }
            }
            _ => self.mark(Kind::Operator),
        }
    }

    fn line_comment(&self) -> (Token<'a>, usize) {
        match memchr::memchr(b'\n', self.from(self.at)) {
            Some(end) => (self.span(Kind::Comment, self.at + end).0, self.at + end + 1),
            None => self.span(Kind::Comment, self.input.len()),
        }
    }

    fn slash(&self) -> (Token<'a>, usize) {
        if self.byte(self.at + 1) != Some(b'*') {
            return self.mark(Kind::Operator);
        }
        let inside = self.from(self.at + 2);
        let end = memchr::memmem::find(inside, b"*/");
        // A comment in a comment, and one that MySQL reads as code.
        let nested = end.is_some_and(|end| {
            let looked_at = inside.get(..=end).unwrap_or_default();
            memchr::memmem::find(looked_at, b"/*").is_some()
        });
        let kind = if nested || inside.first() == Some(&b'!') { Kind::Evil } else { Kind::Comment };
        self.span(kind, end.map_or(self.input.len(), |end| self.at + end + 4))
    }

    /// A string whose first byte stands at `start`.
    fn string(&self, start: usize, quote: u8) -> (Token<'a>, usize) {
        let rest = self.from(start);
        let mut from = 0;
        while let Some(found) = memchr::memchr(quote, rest.get(from..).unwrap_or_default()) {
            let at = from + found;
            let before = rest.get(..at).unwrap_or_default();
            let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
            if slashes % 2 == 1 {
                from = at + 1;
            } else if rest.get(at + 1) == Some(&quote) {
                from = at + 2;
            } else {
                return (quoted(before, quote, quote), start + at + 1);
            }
        }
        (quoted(rest, quote, 0), self.input.len())
    }

    /// `E'…'`, `N'…'`
    fn quoted_after_letter(&self) -> (Token<'a>, usize) {
        match self.from(self.at + 1) {
            [b'\'', _, ..] => self.string(self.at + 2, b'\''),
            _ => self.word(),
        }
    }

    /// Oracle's `q'(…)'`, the letter at `at`.
    fn oracle(&self, at: usize) -> (Token<'a>, usize) {
        let (b'q' | b'Q', [b'\'', delimiter @ 33..=127, ..]) =
            (self.byte(at).unwrap_or(0), self.from(at + 1))
        else {
            return self.word();
        };
        let close = match delimiter {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            other => *other,
        };
        let rest = self.from(at + 3);
        match memchr::memmem::find(rest, &[close, b'\'']) {
            Some(end) => (quoted(rest.get(..end).unwrap_or_default(), b'q', b'q'), at + 3 + end + 2),
            None => (quoted(rest, b'q', 0), self.input.len()),
        }
    }

    /// `b'01'`, `x'ff'`
    fn digits_in_quotes(&self, is_digit: impl Fn(&u8) -> bool) -> (Token<'a>, usize) {
        let rest = self.from(self.at + 1);
        let Some(digits) = rest.strip_prefix(b"'").filter(|digits| !digits.is_empty()) else {
            return self.word();
        };
        let count = digits.iter().take_while(|byte| is_digit(byte)).count();
        match digits.get(count) {
            Some(b'\'') => self.span(Kind::Number, self.at + count + 3),
            _ => self.word(),
        }
    }

    fn word(&self) -> (Token<'a>, usize) {
        let rest = self.from(self.at);
        let end = rest.iter().position(|byte| ends_word(*byte)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        // `SELECT.1`, SELECT`column`: what is before is looked at by itself.
        for (at, _) in word.iter().enumerate().take(WORD).filter(|(_, byte)| matches!(byte, b'.' | b'`')) {
            let before = word.get(..at).unwrap_or_default();
            if let Some(kind) = words::kind(before).filter(|kind| *kind != Kind::Bareword) {
                return self.span(kind, self.at + at);
            }
        }
        self.span(words::kind(word).unwrap_or(Kind::Bareword), self.at + end)
    }

    /// MySQL's quoted names, the tick at `at`.
    fn tick(&self, at: usize) -> (Token<'a>, usize) {
        let (mut token, after) = self.string(at + 1, b'`');
        token.kind = match words::kind(token.text) {
            Some(Kind::Function) => Kind::Function,
            _ => Kind::Bareword,
        };
        (token, after)
    }

    fn variable(&self) -> (Token<'a>, usize) {
        let name = self.at + if self.byte(self.at + 1) == Some(b'@') { 2 } else { 1 };
        let (mut token, after) = match self.byte(name) {
            Some(b'`') => self.tick(name),
            Some(quote @ (b'\'' | b'"')) => self.string(name + 1, quote),
            _ => {
                let rest = self.from(name);
                let length = rest.iter().position(|byte| ends_variable(*byte)).unwrap_or(rest.len());
                (Token::new(Kind::Variable, rest.get(..length).unwrap_or_default()), name + length)
            }
        };
        token.kind = Kind::Variable;
        #[cfg(test)]
        {
            token.at_signs = u8::try_from(name - self.at).unwrap_or_default();
        }
        (token, after)
    }

    fn money(&self) -> (Token<'a>, usize) {
        let rest = self.from(self.at + 1);
        match rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b',')).count() {
            0 => {}
            1 if rest.first() == Some(&b'.') => return self.word(),
            count => return self.span(Kind::Number, self.at + 1 + count),
        }
        // PostgreSQL's `$tag$…$tag$`.
        let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let start = self.at + letters + 2;
        let tag = self.input.get(self.at..start).unwrap_or_default();
        if rest.get(letters) != Some(&b'$') {
            return self.mark(Kind::Bareword);
        }
        let inside = self.from(start);
        match memchr::memmem::find(inside, tag) {
            Some(end) => (quoted(inside.get(..end).unwrap_or_default(), b'$', b'$'), start + end + tag.len()),
            None => (quoted(inside, b'$', 0), self.input.len()),
        }
    }

    fn number(&self) -> (Token<'a>, usize) {
        let count =
            |at: usize, is_one: fn(&u8) -> bool| self.from(at).iter().take_while(|byte| is_one(byte)).count();
        if let [b'0', letter @ (b'x' | b'X' | b'b' | b'B'), ..] = self.from(self.at) {
            let is_digit: fn(&u8) -> bool = if letter.eq_ignore_ascii_case(&b'x') {
                u8::is_ascii_hexdigit
            } else {
                |byte| matches!(byte, b'0' | b'1')
            };
            return match count(self.at + 2, is_digit) {
                0 => self.span(Kind::Bareword, self.at + 2),
                digits => self.span(Kind::Number, self.at + 2 + digits),
            };
        }
        let mut at = self.at + count(self.at, u8::is_ascii_digit);
        if self.byte(at) == Some(b'.') {
            at += 1 + count(at + 1, u8::is_ascii_digit);
            if at == self.at + 1 {
                return self.mark(Kind::Dot);
            }
        }
        let mut is_word = false;
        if let Some(b'e' | b'E') = self.byte(at) {
            at += 1;
            at += usize::from(matches!(self.byte(at), Some(b'+' | b'-')));
            let digits = count(at, u8::is_ascii_digit);
            is_word = digits == 0;
            at += digits;
        }
        // Oracle's suffixes, and `1fUNION`.
        if let Some(b'd' | b'D' | b'f' | b'F') = self.byte(at) {
            let ends =
                self.byte(at + 1).is_none_or(|byte| is_white(byte) || matches!(byte, b';' | b'u' | b'U'));
            at += usize::from(ends);
        }
        self.span(if is_word { Kind::Bareword } else { Kind::Number }, at)
    }
}

fn quoted(text: &[u8], open: u8, close: u8) -> Token<'_> {
    Token { open, close, ..Token::new(Kind::String, text) }
}

/// White space as databases see it: nought is Oracle's, 0xA0 is Latin-1's.
fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d | 0xa0 | 0)
}

fn ends_word(byte: u8) -> bool {
    is_white(byte)
        || matches!(byte, b'[' | b']' | b'\'')
        || (ends_variable(byte) && byte != b'`')
        || matches!(byte, b'{' | b'}')
}

fn ends_variable(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | 0x09
            ..=0x0d
                | b'<'
                | b'>'
                | b':'
                | b'\\'
                | b'?'
                | b'='
                | b'@'
                | b'!'
                | b'#'
                | b'~'
                | b'+'
                | b'-'
                | b'*'
                | b'/'
                | b'&'
                | b'|'
                | b'^'
                | b'%'
                | b'('
                | b')'
                | b','
                | b';'
                | b'\''
                | b'`'
                | b'"'
    )
}
