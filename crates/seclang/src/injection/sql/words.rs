//! libinjection's words and fingerprints, where a look-up takes a few steps whatever it is asked for.

use std::sync::LazyLock;

use libinjectionrs::sqli::sqli_data::SQL_KEYWORDS;

use super::tokens::Kind;

/// The longest word, and one more.
pub(super) const WORD: usize = 32;
/// Four times as many as there are words.
const SLOTS: usize = 1 << 15;

struct Table {
    /// Positions in the list of words, counted from one.
    slots: Vec<u16>,
    /// How long the words are that begin with a byte: a bit for each length.
    lengths: [u32; 256],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { slots: vec![0; SLOTS], lengths: [0; 256] };
    for (at, word) in (1u16..).zip(SQL_KEYWORDS) {
        let word = word.word.as_bytes();
        let free = probes(word).find(|slot| table.slots.get(*slot) == Some(&0));
        if let Some(slot) = free.and_then(|slot| table.slots.get_mut(slot)) {
            *slot = at;
        }
        let first = word.first().copied().unwrap_or(0);
        if let Some(lengths) = table.lengths.get_mut(usize::from(first)) {
            *lengths |= 1 << (word.len() % 32);
        }
    }
    table
});

/// Where a word may stand, without regard to case. Most stand where they are looked for first.
fn probes(word: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let hash = word.iter().fold(0u64, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_uppercase())).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    let first = usize::try_from(hash >> 49).unwrap_or(0);
    (0..SLOTS).map(move |step| (first + step) % SLOTS)
}

fn find(word: &[u8]) -> Option<(u8, &'static [u8])> {
    let table = &*TABLE;
    let first = word.first()?.to_ascii_uppercase();
    let lengths = table.lengths.get(usize::from(first)).copied().unwrap_or(0);
    if word.len() >= WORD || lengths >> word.len() & 1 == 0 {
        return None;
    }
    for slot in probes(word) {
        let at = usize::from(*table.slots.get(slot)?).checked_sub(1)?;
        let known = SQL_KEYWORDS.get(at)?;
        if known.word.as_bytes().eq_ignore_ascii_case(word) {
            return Some((known.token_type, known.word.as_bytes()));
        }
    }
    None
}

/// What a word is.
pub(super) fn kind(word: &[u8]) -> Option<Kind> {
    find(word).and_then(|(letter, _)| Kind::of(letter))
}

/// What two words are together, and how they are spelled.
pub(super) fn merged(first: &[u8], second: &[u8]) -> Option<(Kind, &'static [u8])> {
    let mut both = [0u8; WORD];
    let length = first.len() + 1 + second.len();
    let spelled = both.get_mut(..length).filter(|spelled| spelled.len() < WORD)?;
    let parts = first.iter().chain(b" ").chain(second);
    spelled.iter_mut().zip(parts).for_each(|(byte, part)| *byte = *part);
    let (letter, word) = find(spelled)?;
    Kind::of(letter).map(|kind| (kind, word))
}

/// Whether tokens are those of an injection.
pub(super) fn is_fingerprint(print: &[u8]) -> bool {
    let mut named = [0u8; 1 + super::TOKENS];
    let Some(named) = named.get_mut(..=print.len()).filter(|_| !print.is_empty()) else { return false };
    let parts = b"0".iter().chain(print);
    named.iter_mut().zip(parts).for_each(|(byte, part)| *byte = *part);
    find(named).is_some_and(|(letter, _)| letter == b'F')
}
