//! What a text must hold for an operator to hold: proved from the pattern, checked without running it.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::operator::{Operator, TextTest};
use crate::pattern::{NESTING, Pattern};
use crate::signature::{Signature, coarse, letter_group};

/// The most sets of byte groups that are asked for: the sharpest are kept.
const MASKS: usize = 6;
/// The most literals of which one must occur.
const LITERALS: usize = 256;
/// The most strings that a part of a pattern is spelled out to.
const SPELLED: usize = 48;
/// The shortest literal that is worth looking for: shorter ones occur in most texts.
const SHORTEST: usize = 3;

/// What a text must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    /// Of each of these at least one group.
    masks: Vec<u64>,
    /// The same, with letters taken together.
    coarse: Vec<u64>,
    /// At least one of these, in lower case, whatever case the text has. Empty when nothing is known.
    pub(super) literals: Vec<Vec<u8>>,
}

// === impl Gate ===

impl Gate {
    pub(super) fn of(operator: &Operator) -> Self {
        match operator {
            Operator::Rx(pattern) | Operator::RxGlobal(pattern) | Operator::Digits(_, pattern) => {
                Self::of_pattern(pattern)
            }
            Operator::Pm(phrases) if phrases.list.iter().all(|phrase| phrase.len() >= SHORTEST) => Self {
                literals: phrases.list.iter().map(|phrase| phrase.to_ascii_lowercase()).collect(),
                ..Self::default()
            },
            Operator::Text(kind, argument) if *kind != TextTest::Within => Self::with(
                argument.constant().unwrap_or_default().iter().map(|byte| letter_group(*byte)).collect(),
            ),
            Operator::Bytes(allowed) => {
                let refused = (0..=255u8).filter(|byte| allowed.get(usize::from(*byte)) != Some(&true));
                Self::with(vec![refused.fold(0, |mask, byte| mask | crate::signature::group(byte))])
            }
            Operator::UrlEncoding => Self::with(vec![letter_group(b'%')]),
            Operator::Utf8Encoding => Self::with(vec![letter_group(0x80)]),
            _ => Self::default(),
        }
    }

    fn of_pattern(pattern: &Pattern) -> Self {
        let parser = ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .case_insensitive(pattern.fold)
            .nest_limit(NESTING)
            .build()
            .parse(&pattern.source);
        let Ok(hir) = parser else { return Self::default() };
        let mut gate = Self::with(masks(&hir));
        gate.literals = needed(&hir).filter(|set| shortest(set) >= SHORTEST).unwrap_or_default();
        gate
    }

    fn with(masks: Vec<u64>) -> Self {
        let masks = sharpest(masks);
        let coarse = masks.iter().map(|mask| coarse(*mask)).collect();
        Self { masks, coarse, literals: Vec::new() }
    }

    /// Whether the operator may hold for a text with this signature.
    pub(super) fn admits(&self, signature: Signature) -> bool {
        self.masks.iter().all(|mask| signature.0 & mask != 0)
    }

    /// Whether it may hold for any text of this coarse signature.
    pub(super) fn admits_coarsely(&self, signature: u64) -> bool {
        self.coarse.iter().all(|mask| signature & mask != 0)
    }
}

/// For each text that matches: of each of these sets of groups it holds at least one.
fn masks(hir: &Hir) -> Vec<u64> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Vec::new(),
        HirKind::Literal(literal) => sharpest(literal.0.iter().map(|byte| letter_group(*byte)).collect()),
        HirKind::Class(class) => vec![bytes(class).map_or(u64::MAX, |bytes| {
            bytes.iter().flat_map(|(from, to)| *from..=*to).fold(0, |mask, byte| mask | letter_group(byte))
        })],
        HirKind::Repetition(repetition) if repetition.min > 0 => masks(&repetition.sub),
        HirKind::Repetition(_) => Vec::new(),
        HirKind::Capture(capture) => masks(&capture.sub),
        HirKind::Concat(parts) => sharpest(parts.iter().flat_map(masks).collect()),
        // One of the branches matches, so one set of each branch taken together is held.
        HirKind::Alternation(parts) => {
            let mut branches = parts.iter().map(masks);
            let mut all = branches.next().unwrap_or_default();
            for branch in branches {
                all = sharpest(
                    all.iter().flat_map(|one| branch.iter().map(move |other| one | other)).collect(),
                );
            }
            all
        }
    }
}

/// The ranges of a class of bytes; `None` when it is one of characters beyond ASCII.
fn bytes(class: &Class) -> Option<Vec<(u8, u8)>> {
    match class {
        Class::Bytes(class) => {
            Some(class.ranges().iter().map(|range| (range.start(), range.end())).collect())
        }
        Class::Unicode(class) => {
            let ascii = |letter: char| u8::try_from(letter).ok().filter(u8::is_ascii);
            class.ranges().iter().map(|range| Some((ascii(range.start())?, ascii(range.end())?))).collect()
        }
    }
}

/// The sets that say most: those of few groups, and of groups that few texts hold.
fn sharpest(mut masks: Vec<u64>) -> Vec<u64> {
    let common = letter_group(b' ') | letter_group(b'0');
    let weight = |mask: &u64| {
        mask.count_ones() + 40 * u32::from(coarse(*mask) & 1 != 0) + 20 * u32::from(mask & common != 0)
    };
    masks.sort_unstable_by_key(|mask| (weight(mask), *mask));
    masks.dedup();
    // Whoever holds one of a smaller set holds one of the larger.
    let mut kept: Vec<u64> = Vec::new();
    for mask in masks {
        if mask.count_ones() < 60
            && kept.len() < MASKS
            && !kept.iter().any(|smaller| smaller & mask == *smaller)
        {
            kept.push(mask);
        }
    }
    kept
}

fn shortest(set: &[Vec<u8>]) -> usize {
    set.iter().map(Vec::len).min().unwrap_or(0)
}

/// Strings of which each text that matches holds at least one; the set whose shortest string is longest.
fn needed(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    if let Some(all) = spelled(hir) {
        return (shortest(&all) > 0).then_some(all);
    }
    match hir.kind() {
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<Vec<u8>>> = None;
            let mut offer = |set: Option<Vec<Vec<u8>>>| {
                let Some(set) = set else { return };
                let score = |set: &[Vec<u8>]| (shortest(set).min(6), usize::MAX - set.len());
                if best.as_ref().is_none_or(|best| score(best) < score(&set)) {
                    best = Some(set);
                }
            };
            let mut run: Vec<Vec<u8>> = vec![Vec::new()];
            for part in parts {
                let next = spelled(part);
                match next.as_ref().and_then(|next| product(&run, next)) {
                    Some(longer) => run = longer,
                    None => {
                        offer((shortest(&run) > 0).then(|| std::mem::take(&mut run)));
                        match next {
                            Some(next) => run = next,
                            None => {
                                offer(needed(part));
                                run = vec![Vec::new()];
                            }
                        }
                    }
                }
            }
            offer((shortest(&run) > 0).then_some(run));
            best
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(needed(part)?);
                if all.len() > LITERALS {
                    return None;
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// Every string that a pattern matches, in lower case, if they are few.
fn spelled(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => {
            let mut letters: Vec<u8> = bytes(class)?
                .iter()
                .flat_map(|(from, to)| *from..=*to)
                .map(|byte| byte.to_ascii_lowercase())
                .collect();
            letters.sort_unstable();
            letters.dedup();
            (letters.len() <= 8).then(|| letters.into_iter().map(|letter| vec![letter]).collect())
        }
        HirKind::Repetition(repetition) => {
            let once = spelled(&repetition.sub)?;
            match (repetition.min, repetition.max) {
                (0, Some(1)) => {
                    let mut all = once;
                    all.push(Vec::new());
                    (all.len() <= SPELLED).then_some(all)
                }
                (min, Some(max)) if min == max && min <= 4 => {
                    let mut all = vec![Vec::new()];
                    for _ in 0..min {
                        all = product(&all, &once)?;
                    }
                    Some(all)
                }
                _ => None,
            }
        }
        HirKind::Capture(capture) => spelled(&capture.sub),
        HirKind::Concat(parts) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                all = product(&all, &spelled(part)?)?;
            }
            Some(all)
        }
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(spelled(part)?);
                if all.len() > SPELLED {
                    return None;
                }
            }
            Some(all)
        }
    }
}

fn product(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len() * right.len() > SPELLED {
        return None;
    }
    Some(
        left.iter().flat_map(|one| right.iter().map(move |other| [one.as_slice(), other].concat())).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(pattern: &str) -> Gate {
        Gate::of_pattern(&Pattern::new(pattern.as_bytes(), false).unwrap())
    }

    fn literals(pattern: &str) -> Vec<String> {
        let mut list: Vec<String> =
            gate(pattern).literals.iter().map(|text| text.escape_ascii().to_string()).collect();
        list.sort();
        list
    }

    #[test]
    fn literals_are_those_that_no_match_goes_without() {
        assert_eq!(literals("(?i)union\\s+select"), ["select"]);
        assert_eq!(literals("a(?:bc|de)f[xy]"), ["abcfx", "abcfy", "adefx", "adefy"]);
        assert_eq!(literals("(?:foo|ba)r*"), Vec::<String>::new(), "one branch is too short");
        assert_eq!(literals("(?:foo.*|\\d+bars?)"), ["bar", "bars", "foo"]);
        assert_eq!(literals("(?:abc)*"), Vec::<String>::new());
        assert_eq!(literals("\\bABC\\b.*?"), ["abc"]);
    }

    #[test]
    fn gates_never_keep_out_a_match() {
        for (pattern, text) in [
            ("[<>]script|\\x{bc}", &b"\xbc"[..]),
            ("(?i)[\\s]or[\\s]", b"1 OR\t1"),
            ("^(?:[a-z]+|[0-9]+)$", b"77"),
            ("a{0,2}b|c", b"C c"),
            ("[^a]", b"\0"),
            ("(?:)", b""),
            ("(?i)K", b"k"),
        ] {
            let gate = gate(pattern);
            let signature = Signature::of(text);
            assert!(
                gate.admits(signature) && gate.admits_coarsely(signature.coarse()),
                "{pattern}: {gate:?}"
            );
        }
    }

    #[test]
    fn gates_keep_out_what_cannot_match() {
        let keeps_out = |pattern: &str, text: &[u8]| !gate(pattern).admits(Signature::of(text));
        assert!(keeps_out("['\"]\\s*or", b"margherita or calzone"));
        assert!(keeps_out("(?:<script|javascript:)", b"pizza"));
        assert!(keeps_out("\\$\\{", b"$"));
    }
}
