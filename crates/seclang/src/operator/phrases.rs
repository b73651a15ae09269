//! Lists of phrases, looked for all at once and without regard to case.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::Wrong;

/// The most phrases of one rule.
const PHRASES: usize = 100_000;

/// A list of phrases.
#[derive(Debug)]
pub(crate) struct Phrases {
    automaton: AhoCorasick,
    /// The phrases themselves, for the engine's gates.
    pub(crate) list: Vec<Vec<u8>>,
}

// === impl Phrases ===

impl Phrases {
    pub(super) fn new(list: Vec<Vec<u8>>) -> Result<Self, Wrong> {
        if list.len() > PHRASES {
            return Err((format!("the list has more than {PHRASES} phrases"), "split it into several rules"));
        }
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&list)
            .map_err(|error| {
                (format!("the list cannot be compiled: {error}"), "split it into several rules")
            })?;
        Ok(Self { automaton, list })
    }

    /// Words with blanks between them; `|41 42|` stands for bytes.
    pub(super) fn from_words(argument: &[u8]) -> Result<Self, Wrong> {
        let words = argument.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let list: Vec<Vec<u8>> = match memchr::memchr(b'|', argument) {
            // Blanks inside bars separate bytes, not phrases.
            Some(_) => bars(argument),
            None => words.map(<[u8]>::to_vec).collect(),
        };
        if list.is_empty() {
            return Err(("at least one phrase was expected".into(), "as in `@pm select union`"));
        }
        Self::new(list)
    }

    pub(crate) fn is_in(&self, value: &[u8]) -> bool {
        self.automaton.is_match(value)
    }

    pub(super) fn first_in<'v>(&self, value: &'v [u8]) -> Option<&'v [u8]> {
        self.automaton.find(value).and_then(|found| value.get(found.range()))
    }
}

fn bars(argument: &[u8]) -> Vec<Vec<u8>> {
    let mut list = vec![Vec::new()];
    for (index, piece) in argument.split(|byte| *byte == b'|').enumerate() {
        if index % 2 == 1 {
            let digits: Vec<u8> = piece
                .iter()
                .filter_map(|byte| char::from(*byte).to_digit(16))
                .filter_map(|digit| u8::try_from(digit).ok())
                .collect();
            let bytes =
                digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |value, digit| value << 4 | digit));
            if let Some(last) = list.last_mut() {
                last.extend(bytes);
            }
            continue;
        }
        for byte in piece {
            if byte.is_ascii_whitespace() {
                list.push(Vec::new());
            } else if let Some(last) = list.last_mut() {
                last.push(*byte);
            }
        }
    }
    list.retain(|phrase| !phrase.is_empty());
    list
}

/// The phrases of a file: one a line, without blank lines and comments.
pub(super) fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && line.first() != Some(&b'#'))
        .map(<[u8]>::to_vec)
        .collect()
}
