//! Patterns as rules write them (PCRE) to ones that are matched in linear time over bytes.
//!
//! What linear-time matching cannot do (look-around, back-references, possessive and atomic groups) is an error at load, with its place: a pattern is never
//! matched as something else than it says. A pattern sees bytes: `.`, `\w` and `[^x]` are one byte each, `(?i)` knows ASCII, as in ModSecurity without UTF mode.

mod translate;

use regex::bytes::{Regex, RegexBuilder};

/// The largest program a pattern may compile to, in bytes. The largest of the Core Rule Set takes under a megabyte.
const PROGRAM: usize = 8 << 20;
/// The largest automaton that one thread builds lazily for a pattern, in bytes. Beyond it the automaton is rebuilt, which is slower, never wrong.
const AUTOMATON: usize = 2 << 20;
/// How deeply groups may be nested in a pattern.
pub(crate) const NESTING: u32 = 250;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) regex: Regex,
    /// What the engine's gates are made from.
    pub(crate) source: String,
    pub(crate) fold: bool,
}

/// What is wrong with a pattern, and what to do about it.
pub(crate) type Wrong = (String, &'static str);

impl Pattern {
    /// `fold`: without regard to case, as names are matched.
    pub(crate) fn new(pcre: &[u8], fold: bool) -> Result<Self, Wrong> {
        let source = translate::translate(pcre)?;
        let regex = RegexBuilder::new(&source)
            .unicode(false)
            .dot_matches_new_line(true)
            .case_insensitive(fold)
            .size_limit(PROGRAM)
            .dfa_size_limit(AUTOMATON)
            .nest_limit(NESTING)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => (
                    format!("the pattern compiles to more than {limit} bytes"),
                    "bound its repetitions more tightly",
                ),
                other => {
                    let told = other.to_string();
                    let last = told
                        .lines()
                        .rev()
                        .find(|line| !line.trim().is_empty())
                        .unwrap_or("it cannot be read")
                        .trim();
                    (
                        format!("the pattern is wrong: {}", last.trim_start_matches("error: ")),
                        "see the syntax of PCRE",
                    )
                }
            })?;
        Ok(Self { regex, source, fold })
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.fold == other.fold
    }
}

#[cfg(test)]
mod tests;
