//! Tokens folded to five: what does not change whether a text is an injection is taken away (`1+1` is a number, `a.b` a name), so that few fingerprints tell many
//! injections. The rules and their order are libinjection's.

use super::TOKENS;
use super::tokens::{Dialect, Kind, Reader, Token};
use super::words;

/// What a value is folded to.
pub(super) struct Folded<'a> {
    kept: [Token<'a>; ROOM],
    count: usize,
    /// How many tokens were read.
    pub(super) read: usize,
    is_ambiguous: bool,
}

/// One token more is read to tell what the fifth is; what follows is never kept.
const ROOM: usize = TOKENS + 3;

/// What is done next.
enum Next {
    /// The tokens have changed: look again.
    Again,
    /// Nothing folds here.
    On,
    /// The value cannot be read further.
    Stop,
}

struct Fold<'a> {
    reader: Reader<'a>,
    tokens: [Token<'a>; ROOM],
    /// How many there are.
    count: usize,
    /// How many at the beginning are done with.
    done: usize,
    more: bool,
    read: usize,
    /// A comment behind the last token.
    comment: Option<Token<'a>>,
}

// === impl Folded ===

impl<'a> Folded<'a> {
    pub(super) fn new(value: &'a [u8], quote: Option<u8>, dialect: Dialect) -> Self {
        let mut fold = Fold {
            reader: Reader::new(value, quote, dialect),
            tokens: [Token::NONE; ROOM],
            count: 0,
            done: 0,
            more: true,
            read: 0,
            comment: None,
        };
        fold.run();
        let mut folded = Self {
            kept: fold.tokens,
            count: fold.count.min(TOKENS),
            read: fold.read,
            is_ambiguous: fold.reader.is_ambiguous,
        };
        folded.end_in_comment(fold.comment);
        folded
    }

    pub(super) fn tokens(&self) -> &[Token<'a>] {
        self.kept.get(..self.count).unwrap_or_default()
    }

    /// Whether there was what one dialect reads as a comment and the other does not.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    fn end_in_comment(&mut self, comment: Option<Token<'a>>) {
        // PHP ends statements with a tick that nothing follows.
        if let [_, _, .., last] = self.kept.get_mut(..self.count).unwrap_or_default()
            && last.kind == Kind::Bareword
            && (last.open, last.close) == (b'`', 0)
            && last.text.is_empty()
        {
            last.kind = Kind::Comment;
        }
        if let Some(comment) = comment.filter(|_| self.count < TOKENS)
            && let Some(slot) = self.kept.get_mut(self.count)
        {
            *slot = comment;
            self.count += 1;
        }
    }
}

// === impl Fold ===

impl<'a> Fold<'a> {
    fn at(&self, at: usize) -> Token<'a> {
        self.tokens.get(at).copied().unwrap_or(Token::NONE)
    }

    fn put(&mut self, at: usize, token: Token<'a>) {
        if let Some(slot) = self.tokens.get_mut(at) {
            *slot = token;
        }
    }

    fn turn(&mut self, at: usize, kind: Kind) {
        if let Some(slot) = self.tokens.get_mut(at) {
            slot.kind = kind;
        }
    }

    fn read(&mut self) -> Option<Token<'a>> {
        let token = self.reader.next();
        self.read += usize::from(token.is_some());
        token
    }

    /// Reads until `wanted` tokens are not done with.
    fn fill(&mut self, wanted: usize) {
        while self.more && self.count <= TOKENS && self.count.saturating_sub(self.done) < wanted {
            match self.read() {
                Some(token) if token.kind == Kind::Comment => self.comment = Some(token),
                Some(token) => {
                    self.comment = None;
                    self.put(self.count, token);
                    self.count += 1;
                }
                None => self.more = false,
            }
        }
    }

    /// Takes `count` tokens away at the end, and begins anew.
    fn shrink(&mut self, count: usize) -> Next {
        self.count = self.count.saturating_sub(count);
        self.done = 0;
        Next::Again
    }

    fn run(&mut self) {
        // What may stand before anything says nothing.
        loop {
            let Some(token) = self.read() else { return };
            if !matches!(token.kind, Kind::Comment | Kind::Open | Kind::Type) && !token.is_unary() {
                self.put(0, token);
                self.count = 1;
                break;
            }
        }
        loop {
            if self.count >= TOKENS {
                self.shorten();
            }
            if !self.more || self.done >= TOKENS {
                return;
            }
            self.fill(2);
            if self.count.saturating_sub(self.done) < 2 {
                self.done = self.count;
                continue;
            }
            match self.pair() {
                Next::Again => continue,
                Next::Stop => return,
                Next::On => {}
            }
            self.fill(3);
            if self.count.saturating_sub(self.done) < 3 {
                self.done = self.count;
                continue;
            }
            if let Next::On = self.triple() {
                // The first stays what it is.
                self.done += 1;
            }
        }
    }

    /// Five tokens that say no more than their first.
    fn shorten(&mut self) {
        use Kind as K;
        let kinds = [0, 1, 2, 3, 4].map(|at| self.at(at).kind);
        let folds = matches!(
            kinds,
            [K::Number, K::Operator | K::Comma, K::Open, K::Number, K::Close]
                | [K::Bareword, K::Operator, K::Open, K::Bareword | K::Number, K::Close]
                | [K::Number, K::Close, K::Comma, K::Open, K::Number]
                | [K::Bareword, K::Close, K::Operator, K::Open, K::Bareword]
        );
        if folds {
            let has_more = self.count > TOKENS;
            if has_more {
                self.put(1, self.at(TOKENS));
            }
            self.count = if has_more { 2 } else { 1 };
            self.done = 0;
        }
    }

    fn pair(&mut self) -> Next {
        use Kind as K;
        let at = self.done;
        let (first, second) = (self.at(at), self.at(at + 1));
        match (first.kind, second.kind) {
            (K::String, K::String) | (K::Semicolon, K::Semicolon) => {
                self.count -= 1;
                return Next::Again;
            }
            (K::Operator | K::Logic, _) if second.is_unary() || second.kind == K::Type => {
                return self.shrink(1);
            }
            (K::Open, _) if second.is_unary() => {
                self.count -= 1;
                self.done = at.saturating_sub(1);
                return Next::Again;
            }
            _ => {}
        }
        if let Some((kind, word)) = merged(&first, &second) {
            self.put(at, Token { kind, text: word, ..first });
            self.count -= 1;
            self.done = at.saturating_sub(1);
            return Next::Again;
        }
        match (first.kind, second.kind) {
            // A function, but in Transact-SQL, where a statement may begin with it.
            (K::Semicolon, K::Function) if starts_with_if(second.text) => {
                self.turn(at + 1, K::Transact);
                Next::Again
            }
            (K::Bareword | K::Variable, K::Open) if is_also_function(&first) => {
                self.turn(at, K::Function);
                Next::Again
            }
            (K::Keyword, _) if first.is("IN") || first.is("NOT IN") => {
                self.turn(at, if second.kind == K::Open { K::Operator } else { K::Bareword });
                Next::Again
            }
            (K::Operator, _) if first.is("LIKE") || first.is("NOT LIKE") => {
                if second.kind == K::Open {
                    self.turn(at, K::Function);
                }
                Next::On
            }
            (
                K::Type,
                K::Bareword | K::Number | K::Type | K::Open | K::Function | K::Variable | K::String,
            ) => {
                self.put(at, second);
                self.shrink(1)
            }
            // There are too many collations to list.
            (K::Collate, K::Bareword) => {
                if second.text.contains(&b'_') {
                    self.turn(at + 1, K::Type);
                    self.done = 0;
                }
                Next::On
            }
            // Transact-SQL reads `\%1` as `0 % 1`, and `\1` as `1`.
            (K::Backslash, _) if second.is_arithmetic() => {
                self.turn(at, K::Number);
                self.shrink(0)
            }
            (K::Backslash, _) => {
                self.put(at, second);
                self.shrink(1)
            }
            (K::Open, K::Open) | (K::Close, K::Close) => self.shrink(1),
            (K::OpenBrace, K::Bareword) if second.text.is_empty() => {
                self.turn(at + 1, K::Evil);
                self.count = at + 2;
                Next::Stop
            }
            // `{foo expression}` is the expression.
            (K::OpenBrace, K::Bareword) => self.shrink(2),
            (_, K::CloseBrace) => self.shrink(1),
            _ => Next::On,
        }
    }

    fn triple(&mut self) -> Next {
        use Kind as K;
        let at = self.done;
        let (first, second, third) = (self.at(at), self.at(at + 1), self.at(at + 2));
        match (first.kind, second.kind, third.kind) {
            (K::Number, K::Operator, K::Number) | (K::Logic, _, K::Logic) => self.shrink(2),
            (K::Operator, middle, K::Operator) if middle != K::Open => self.shrink(2),
            (K::Variable, K::Operator, K::Variable | K::Number | K::Bareword)
            | (K::Bareword | K::Number, K::Operator, K::Number | K::Bareword)
            | (
                K::Bareword | K::Number | K::String | K::Variable,
                K::Comma,
                K::Number | K::Bareword | K::String | K::Variable,
            ) => self.shrink(2),
            (K::Bareword | K::Number | K::Variable | K::String, K::Operator, K::Type)
                if second.text == b"::" =>
            {
                self.shrink(2)
            }
            (K::Expression | K::Group | K::Comma, _, K::Open) if second.is_unary() => {
                self.put(at + 1, third);
                self.shrink(1)
            }
            (
                K::Keyword | K::Expression | K::Group,
                _,
                K::Number | K::Bareword | K::Variable | K::String | K::Function,
            ) if second.is_unary() => {
                self.put(at + 1, third);
                self.shrink(1)
            }
            // `1,-1` is `1`: what stands before the comma is looked at again.
            (K::Comma, _, K::Number | K::Bareword | K::Variable | K::String) if second.is_unary() => {
                self.put(at + 1, third);
                self.shrink(3)
            }
            (K::Comma, _, K::Function) if second.is_unary() => {
                self.put(at + 1, third);
                self.shrink(1)
            }
            (K::Bareword, K::Dot, K::Bareword) => self.shrink(2),
            (K::Expression, K::Dot, K::Bareword) => {
                self.put(at + 1, third);
                self.shrink(1)
            }
            // As a function it has no arguments.
            (K::Function, K::Open, inside) if inside != K::Close && first.is("USER") => {
                self.turn(at, K::Bareword);
                Next::On
            }
            _ => Next::On,
        }
    }
}

/// `INSERT INTO`, `NOT IN`: two words that are one.
fn merged(first: &Token<'_>, second: &Token<'_>) -> Option<(Kind, &'static [u8])> {
    use Kind as K;
    let is_word = |kind| {
        matches!(
            kind,
            K::Keyword
                | K::Bareword
                | K::Operator
                | K::Union
                | K::Function
                | K::Expression
                | K::Transact
                | K::Type
        )
    };
    let fits = is_word(first.kind) && (is_word(second.kind) || second.kind == K::Logic);
    fits.then(|| words::merged(first.text, second.text)).flatten()
}

fn starts_with_if(text: &[u8]) -> bool {
    text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"IF"))
}

/// Names that are functions when a parenthesis follows.
fn is_also_function(token: &Token<'_>) -> bool {
    const NAMES: [&str; 11] = [
        "USER_ID",
        "USER_NAME",
        "DATABASE",
        "PASSWORD",
        "USER",
        "CURRENT_USER",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "LOCALTIME",
        "LOCALTIMESTAMP",
    ];
    NAMES.iter().any(|name| token.is(name))
}
