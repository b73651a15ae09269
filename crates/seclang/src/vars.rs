//! Named values that rules write: TX and the persistent collections.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::hash::Keyed;

/// The most variables of one collection: rules write one for each header and argument, which are bounded themselves.
pub(crate) const VARIABLES: usize = 4_096;
/// The longest value that is kept, in bytes. What is longer is cut: no rule compares with more.
pub(crate) const VALUE: usize = 64 << 10;

/// Values by name, in the order they were first set. Names have no case.
///
/// It may stand on another: what it does not hold itself is looked up there. So each transaction starts with all that is the same for each at the price of a
/// pointer.
#[derive(Clone, Debug, Default)]
pub struct Vars {
    base: Option<Arc<Vars>>,
    entries: Vec<Entry>,
    index: HashTable<u32>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// As it was first spelled.
    name: Vec<u8>,
    /// `None`: removed.
    value: Option<Vec<u8>>,
}

// === impl Vars ===

impl Vars {
    /// Nothing of its own, on top of what is given.
    pub(crate) fn on(base: Arc<Self>) -> Self {
        Self { base: Some(base), ..Self::default() }
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        if self.entries.is_empty() {
            return None;
        }
        let hash = self.hash(name);
        let found = self
            .index
            .find(hash, |at| self.entry(*at).is_some_and(|entry| entry.name.eq_ignore_ascii_case(name)))?;
        usize::try_from(*found).ok()
    }

    fn entry(&self, at: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(at).ok()?)
    }

    fn hash(&self, name: &[u8]) -> u64 {
        let mut lower = [0u8; 48];
        match lower.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                Keyed.hash_one(&*lower)
            }
            None => Keyed.hash_one(name.to_ascii_lowercase().as_slice()),
        }
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        match self.find(name) {
            Some(at) => self.entries.get(at)?.value.as_deref(),
            None => self.base.as_ref()?.get(name),
        }
    }

    /// Sets a value. Beyond 4,096 names nothing new is kept.
    pub fn set(&mut self, name: &[u8], mut value: Vec<u8>) {
        value.truncate(VALUE);
        self.put(name, Some(value));
    }

    /// Removes a value.
    pub fn unset(&mut self, name: &[u8]) {
        if self.get(name).is_some() {
            self.put(name, None);
        }
    }

    fn put(&mut self, name: &[u8], value: Option<Vec<u8>>) {
        if let Some(at) = self.find(name) {
            if let Some(entry) = self.entries.get_mut(at) {
                entry.value = value;
            }
            return;
        }
        if self.entries.len() >= VARIABLES {
            return;
        }
        let Ok(at) = u32::try_from(self.entries.len()) else { return };
        let hash = self.hash(name);
        let name = name.get(..name.len().min(VALUE)).unwrap_or_default();
        self.entries.push(Entry { name: name.to_vec(), value });
        let entries = &self.entries;
        self.index.insert_unique(hash, at, |at| {
            let name = usize::try_from(*at)
                .ok()
                .and_then(|at| entries.get(at))
                .map(|entry| entry.name.to_ascii_lowercase());
            Keyed.hash_one(name.unwrap_or_default().as_slice())
        });
    }

    /// Names and values, in the order they were first set.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let inherited = self
            .base
            .iter()
            .flat_map(|base| base.entries.iter())
            .filter(|entry| self.find(&entry.name).is_none());
        inherited
            .chain(&self.entries)
            .filter_map(|entry| Some((entry.name.as_slice(), entry.value.as_deref()?)))
    }
}

impl PartialEq for Vars {
    fn eq(&self, other: &Self) -> bool {
        let sorted = |vars: &Self| {
            let mut list: Vec<_> =
                vars.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
            list.sort();
            list
        };
        sorted(self) == sorted(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_case_and_values_shadow_what_they_stand_on() {
        let mut base = Vars::default();
        base.set(b"A", b"1".to_vec());
        base.set(b"b", b"2".to_vec());
        let mut vars = Vars::on(Arc::new(base));
        vars.set(b"a", b"3".to_vec());
        vars.unset(b"B");
        vars.set(b"c", b"4".to_vec());
        assert_eq!(
            (vars.get(b"A"), vars.get(b"b"), vars.get(b"C")),
            (Some(&b"3"[..]), None, Some(&b"4"[..]))
        );
        let all: Vec<_> = vars.iter().collect();
        assert_eq!(all, [(&b"a"[..], &b"3"[..]), (b"c", b"4")]);
    }

    #[test]
    fn names_and_values_are_bounded() {
        let mut vars = Vars::default();
        for number in 0..VARIABLES + 10 {
            vars.set(number.to_string().as_bytes(), vec![b'x'; VALUE + 1]);
            vars.unset(b"1");
        }
        assert_eq!(vars.iter().count(), VARIABLES - 1);
        assert_eq!(vars.get(b"0").map(<[u8]>::len), Some(VALUE));
        assert_eq!(vars.get(VARIABLES.to_string().as_bytes()), None);
    }
}
