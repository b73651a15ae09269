//! What is remembered of texts from one transaction to the next, in bounded memory.

use hashbrown::HashTable;

use super::REMEMBERED;

/// What is known of texts, for one kind or another. When the young are as many as are kept, they become the old, and the old are forgotten; what is asked for again
/// is young again. So what comes with each call stays, whatever else a caller makes up.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: HashTable<Entry<K, V>>,
    old: HashTable<Entry<K, V>>,
}

#[derive(Debug)]
struct Entry<K, V> {
    kind: K,
    /// Keyed with a secret ([`crate::hash`]).
    hash: u64,
    text: Box<[u8]>,
    value: V,
}

// === impl Generations ===

impl<K: Copy + Eq, V> Generations<K, V> {
    pub(super) fn get(&mut self, kind: K, hash: u64, text: &[u8]) -> Option<&V> {
        let is_it = |entry: &Entry<K, V>| entry.hash == hash && entry.kind == kind && *entry.text == *text;
        if self.young.find(hash, is_it).is_none() {
            let entry = self.old.find_entry(hash, is_it).ok()?.remove().0;
            self.add(entry);
        }
        self.young.find(hash, is_it).map(|entry| &entry.value)
    }

    /// Keeps what was not known.
    pub(super) fn put(&mut self, kind: K, hash: u64, text: &[u8], value: V) {
        self.add(Entry { kind, hash, text: text.into(), value });
    }

    fn add(&mut self, entry: Entry<K, V>) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert_unique(entry.hash, entry, |entry| entry.hash);
    }
}

impl<K, V> Default for Generations<K, V> {
    fn default() -> Self {
        Self { young: HashTable::new(), old: HashTable::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All texts meet in one place: the slowest that a table can be.
    #[test]
    fn what_comes_again_is_kept_and_the_rest_is_bounded() {
        let mut known = Generations::default();
        known.put(1u32, 7, b"again", 0usize);
        for number in 0..3 * REMEMBERED {
            known.put(1, u64::try_from(number).unwrap() << 20, number.to_string().as_bytes(), number);
            assert_eq!(known.get(1, 7, b"again"), Some(&0));
        }
        assert!(known.young.len() <= REMEMBERED && known.old.len() <= REMEMBERED);
        assert_eq!(known.get(1, 0, b"0"), None, "forgotten");
        assert_eq!(known.get(2, 7, b"again"), None, "of another kind");
    }
}
