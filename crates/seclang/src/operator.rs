//! What is asked of a value.

mod digits;
mod phrases;
mod validate;

use std::net::IpAddr;

use ipnet::IpNet;

use crate::ast::Test;
use crate::injection::InjectionDetector;
use crate::macros::Macro;
use crate::names::OperatorName;
use crate::pattern::Pattern;

pub(crate) use self::digits::DigitTest;
pub(crate) use self::phrases::Phrases;

/// How many groups a match keeps: `TX.0` to `TX.9`.
pub(crate) const CAPTURES: usize = 10;

/// An operator with its argument, ready to be asked.
#[derive(Debug)]
pub(crate) enum Operator {
    Always,
    Never,
    Rx(Pattern),
    /// As `Rx`, but it captures every match rather than the groups of the first.
    RxGlobal(Pattern),
    Pm(Phrases),
    Text(TextTest, Macro),
    Number(NumberTest, Macro),
    Ip(Vec<IpNet>),
    /// Which bytes are allowed.
    Bytes(Box<[bool; 256]>),
    UrlEncoding,
    Utf8Encoding,
    Sql,
    Script,
    Digits(DigitTest, Pattern),
}

/// How a value compares to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextTest {
    BeginsWith,
    Contains,
    ContainsWord,
    EndsWith,
    Equals,
    Within,
}

/// How a value compares to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberTest {
    Eq,
    Ge,
    Gt,
    Le,
    Lt,
}

/// What an operator's argument may name besides itself.
pub(crate) trait Surroundings {
    /// A file named by a rule.
    fn file(&mut self, name: &str) -> Result<Vec<u8>, String>;
}

/// What is wrong with an argument, and what to do about it.
type Wrong = (String, &'static str);

// === impl Operator ===

impl Operator {
    pub(crate) fn compile(test: &Test, surroundings: &mut dyn Surroundings) -> Result<Self, Wrong> {
        use OperatorName as O;
        let argument = test.argument.as_slice();
        let fill = || {
            Macro::parse(argument)
                .map_err(|message| (message, "variables are written `%{NAME}` or `%{NAME.key}`"))
        };
        let text = |kind| Ok(Self::Text(kind, fill()?));
        let number = |kind| Ok(Self::Number(kind, fill()?));
        match test.operator {
            O::UnconditionalMatch => Ok(Self::Always),
            O::NoMatch => Ok(Self::Never),
            O::Rx | O::RxGlobal => {
                if let Some(variable) = variable(argument) {
                    return Err((
                        format!("the pattern holds `{variable}`, which changes with each transaction"),
                        "patterns are compiled when rules are loaded: compare with `@streq`, `@contains` or `@within`",
                    ));
                }
                let pattern = Pattern::new(argument, false)?;
                Ok(if test.operator == O::Rx { Self::Rx(pattern) } else { Self::RxGlobal(pattern) })
            }
            O::Pm => Ok(Self::Pm(Phrases::from_words(argument)?)),
            O::PmFromFile => {
                let mut lines = Vec::new();
                for name in names(argument)? {
                    lines.extend(phrases::lines(&surroundings.file(&name).map_err(no_file)?));
                }
                Ok(Self::Pm(Phrases::new(lines)?))
            }
            O::BeginsWith => text(TextTest::BeginsWith),
            O::Contains | O::StrMatch => text(TextTest::Contains),
            O::ContainsWord => text(TextTest::ContainsWord),
            O::EndsWith => text(TextTest::EndsWith),
            O::StrEq => text(TextTest::Equals),
            O::Within => text(TextTest::Within),
            O::Eq => number(NumberTest::Eq),
            O::Ge => number(NumberTest::Ge),
            O::Gt => number(NumberTest::Gt),
            O::Le => number(NumberTest::Le),
            O::Lt => number(NumberTest::Lt),
            O::IpMatch => networks(&String::from_utf8_lossy(argument)),
            O::IpMatchFromFile => {
                let mut list = String::new();
                for name in names(argument)? {
                    for line in phrases::lines(&surroundings.file(&name).map_err(no_file)?) {
                        list.push_str(&String::from_utf8_lossy(&line));
                        list.push(',');
                    }
                }
                networks(&list)
            }
            O::ValidateByteRange => validate::byte_range(argument).map(Self::Bytes),
            O::ValidateUrlEncoding => Ok(Self::UrlEncoding),
            O::ValidateUtf8Encoding => Ok(Self::Utf8Encoding),
            O::DetectSqli => Ok(Self::Sql),
            O::DetectXss => Ok(Self::Script),
            O::VerifyCc => Ok(Self::Digits(DigitTest::Card, Pattern::new(argument, false)?)),
            O::VerifyCpf => Ok(Self::Digits(DigitTest::Cpf, Pattern::new(argument, false)?)),
            O::VerifySsn => Ok(Self::Digits(DigitTest::Ssn, Pattern::new(argument, false)?)),
            O::VerifySvnr => Ok(Self::Digits(DigitTest::Svnr, Pattern::new(argument, false)?)),
        }
    }

    /// What it compares with, when that may hold variables.
    pub(crate) fn argument(&self) -> Option<&Macro> {
        match self {
            Self::Text(_, argument) | Self::Number(_, argument) => Some(argument),
            _ => None,
        }
    }

    /// Whether its answer depends on the value alone.
    pub(crate) fn is_settled(&self) -> bool {
        self.argument().is_none_or(|argument| argument.constant().is_some())
    }

    /// Whether it holds for a value, given its argument with variables filled in. `captures` gets what it found, group by group; nothing is captured when it is `None`.
    pub(crate) fn holds(
        &self,
        value: &[u8],
        argument: &[u8],
        detector: &dyn InjectionDetector,
        captures: Option<&mut Vec<Vec<u8>>>,
    ) -> bool {
        match self {
            Self::Always => {
                keep(captures, || vec![value.to_vec()]);
                true
            }
            Self::Never => false,
            Self::Rx(pattern) => {
                match captures {
                    None => pattern.is_match(value),
                    Some(captures) => {
                        let Some(found) = pattern.regex.captures(value) else { return false };
                        let last = (0..found.len().min(CAPTURES))
                            .rev()
                            .find(|group| found.get(*group).is_some())
                            .unwrap_or(0);
                        captures.extend((0..=last).map(|group| {
                            found.get(group).map_or(Vec::new(), |text| text.as_bytes().to_vec())
                        }));
                        true
                    }
                }
            }
            Self::RxGlobal(pattern) => match captures {
                None => pattern.is_match(value),
                Some(captures) => {
                    captures.extend(
                        pattern.regex.find_iter(value).take(CAPTURES).map(|found| found.as_bytes().to_vec()),
                    );
                    !captures.is_empty()
                }
            },
            Self::Pm(phrases) => match captures {
                None => phrases.is_in(value),
                Some(captures) => {
                    captures.extend(phrases.first_in(value).map(<[u8]>::to_vec));
                    !captures.is_empty()
                }
            },
            Self::Text(kind, _) => kind.holds(value, argument),
            Self::Number(kind, _) => kind.holds(number(value), number(argument)),
            Self::Ip(networks) => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.trim().parse::<IpAddr>().ok())
                .is_some_and(|address| {
                    networks.iter().any(|network| network.contains(&address.to_canonical()))
                }),
            Self::Bytes(allowed) => {
                value.iter().any(|byte| !allowed.get(usize::from(*byte)).copied().unwrap_or_default())
            }
            Self::UrlEncoding => validate::bad_url_encoding(value),
            Self::Utf8Encoding => std::str::from_utf8(value).is_err(),
            Self::Sql => match detector.sql(value) {
                Some(fingerprint) => {
                    keep(captures, || vec![fingerprint.into_bytes()]);
                    true
                }
                None => false,
            },
            Self::Script => {
                let found = detector.script(value);
                if found {
                    keep(captures, || vec![value.to_vec()]);
                }
                found
            }
            Self::Digits(kind, pattern) => match kind.first_in(pattern, value) {
                Some(found) => {
                    keep(captures, || vec![found.to_vec()]);
                    true
                }
                None => false,
            },
        }
    }
}

fn keep(captures: Option<&mut Vec<Vec<u8>>>, what: impl FnOnce() -> Vec<Vec<u8>>) {
    if let Some(captures) = captures {
        captures.extend(what());
    }
}

// === impl TextTest ===

impl TextTest {
    fn holds(self, value: &[u8], argument: &[u8]) -> bool {
        match self {
            Self::BeginsWith => value.starts_with(argument),
            Self::Contains => memchr::memmem::find(value, argument).is_some(),
            Self::ContainsWord => contains_word(value, argument),
            Self::EndsWith => value.ends_with(argument),
            Self::Equals => value == argument,
            Self::Within => memchr::memmem::find(argument, value).is_some(),
        }
    }
}

/// Whether it stands in the value with no letter, digit or underscore beside it.
fn contains_word(value: &[u8], word: &[u8]) -> bool {
    if word.is_empty() {
        return true;
    }
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    memchr::memmem::find_iter(value, word).any(|at| {
        let before = at.checked_sub(1).and_then(|before| value.get(before));
        !is_part(before) && !is_part(value.get(at + word.len()))
    })
}

// === impl NumberTest ===

impl NumberTest {
    fn holds(self, value: i64, argument: i64) -> bool {
        match self {
            Self::Eq => value == argument,
            Self::Ge => value >= argument,
            Self::Gt => value > argument,
            Self::Le => value <= argument,
            Self::Lt => value < argument,
        }
    }
}

/// The number a text begins with, as C's `strtoll`: nought when it begins with none.
pub(crate) fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits
        .iter()
        .take_while(|digit| digit.is_ascii_digit())
        .fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

// === helpers ===

/// A variable in a pattern: `%{` and the name of a variable, where `%{2}` would be a repetition.
fn variable(pattern: &[u8]) -> Option<String> {
    let start = memchr::memmem::find(pattern, b"%{")?;
    let inside = pattern.get(start + 2..)?;
    let end = memchr::memchr(b'}', inside)?;
    let name = inside.get(..end)?;
    (name.first().is_some_and(u8::is_ascii_alphabetic))
        .then(|| format!("%{{{}}}", String::from_utf8_lossy(name)))
}

fn names(argument: &[u8]) -> Result<Vec<String>, Wrong> {
    let names: Vec<String> =
        String::from_utf8_lossy(argument).split_whitespace().map(str::to_owned).collect();
    if names.is_empty() {
        return Err((
            "the name of a file was expected".into(),
            "relative names are looked for beside the rule file",
        ));
    }
    if let Some(remote) = names.iter().find(|name| name.contains("://")) {
        return Err((
            format!("`{remote}` is not loaded"),
            "lists are not downloaded while rules are loaded: name a local file",
        ));
    }
    Ok(names)
}

fn no_file(message: String) -> Wrong {
    (message, "relative names are looked for beside the rule file")
}

fn networks(list: &str) -> Result<Operator, Wrong> {
    let mut networks = Vec::new();
    for one in list.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        let network = one.parse::<IpNet>().or_else(|_| one.parse::<IpAddr>().map(IpNet::from));
        networks.push(network.map_err(|_| {
            (format!("`{one}` is neither an address nor a network"), "as in `192.0.2.1,2001:db8::/32`")
        })?);
    }
    Ok(Operator::Ip(networks))
}

#[cfg(test)]
mod tests;
