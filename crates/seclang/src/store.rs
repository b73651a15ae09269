//! Collections that outlive a transaction: GLOBAL, IP, SESSION, USER and RESOURCE.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::names::Collection;
use crate::vars::VARIABLES;

/// The most records that [`MemoryStore`] keeps, unless told otherwise: one for each caller of the last hour on a busy day.
pub const RECORDS: usize = 100_000;

/// Which record: the collection, and the key a rule gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// Which collection.
    pub collection: Collection,
    /// As `initcol` said.
    pub key: Vec<u8>,
}

/// One change to a record. Sums are changes of their own, so that transactions that run at once do not undo each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChange {
    /// It is this.
    Set(Vec<u8>),
    /// This is added to its number.
    Add(i64),
    /// It is removed.
    Unset,
    /// It is removed so many seconds from now.
    Expire(u64),
}

/// Keeps collections. Called at `initcol` and at the end of a transaction, never in between.
pub trait Store: Send + Sync {
    /// The values of a record; none when there is no such record. `now` is in seconds since 1970.
    fn load(&self, key: &RecordKey, now: u64) -> Vec<(Vec<u8>, Vec<u8>)>;

    /// Changes a record, in order, making it when there is none. It is to be forgotten `timeout` seconds after its last change.
    fn change(&self, key: &RecordKey, changes: &[(Vec<u8>, StoreChange)], timeout: u64, now: u64);
}

/// [`Store`] in memory: bounded, and gone with the process.
#[derive(Debug)]
pub struct MemoryStore {
    records: Mutex<HashMap<RecordKey, Record>>,
    most: usize,
}

#[derive(Debug, Default)]
struct Record {
    values: Vec<(Vec<u8>, Vec<u8>, Option<u64>)>,
    until: u64,
}

// === impl MemoryStore ===

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_records(RECORDS)
    }
}

impl MemoryStore {
    /// Keeps at most so many records; when there are more, the one that is forgotten first anyway makes room.
    #[must_use]
    pub fn with_records(most: usize) -> Self {
        Self { records: Mutex::new(HashMap::new()), most: most.max(1) }
    }

    fn records(&self) -> std::sync::MutexGuard<'_, HashMap<RecordKey, Record>> {
        // A record is whole after each change: one whose thread died is as good as any.
        self.records.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load(&self, key: &RecordKey, now: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
        let records = self.records();
        let Some(record) = records.get(key).filter(|record| record.until > now) else { return Vec::new() };
        let live = record.values.iter().filter(|(_, _, until)| until.is_none_or(|until| until > now));
        live.map(|(name, value, _)| (name.clone(), value.clone())).collect()
    }

    fn change(&self, key: &RecordKey, changes: &[(Vec<u8>, StoreChange)], timeout: u64, now: u64) {
        let mut records = self.records();
        if !records.contains_key(key) && records.len() >= self.most {
            records.retain(|_, record| record.until > now);
            if records.len() >= self.most
                && let Some(oldest) =
                    records.iter().min_by_key(|(_, record)| record.until).map(|(key, _)| key.clone())
            {
                records.remove(&oldest);
            }
        }
        let record = records.entry(key.clone()).or_default();
        if record.until <= now {
            record.values.clear();
        }
        record.until = now.saturating_add(timeout);
        record.values.retain(|(_, _, until)| until.is_none_or(|until| until > now));
        for (name, change) in changes {
            record.apply(name, change, now);
        }
    }
}

// === impl Record ===

impl Record {
    fn apply(&mut self, name: &[u8], change: &StoreChange, now: u64) {
        let at = self.values.iter().position(|(own, _, _)| own.eq_ignore_ascii_case(name));
        let value = match change {
            StoreChange::Unset => {
                if let Some(at) = at {
                    self.values.remove(at);
                }
                return;
            }
            StoreChange::Expire(seconds) => {
                if let Some((_, _, until)) = at.and_then(|at| self.values.get_mut(at)) {
                    *until = Some(now.saturating_add(*seconds));
                }
                return;
            }
            StoreChange::Set(value) => value.clone(),
            StoreChange::Add(amount) => {
                let before = at
                    .and_then(|at| self.values.get(at))
                    .map_or(0, |(_, value, _)| crate::operator::number(value));
                before.saturating_add(*amount).to_string().into_bytes()
            }
        };
        let full = self.values.len() >= VARIABLES;
        match at.map(|at| self.values.get_mut(at)) {
            Some(own) => own.into_iter().for_each(|own| own.1.clone_from(&value)),
            None if full => {}
            None => self.values.push((name.to_vec(), value, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> RecordKey {
        RecordKey { collection: Collection::Ip, key: name.as_bytes().to_vec() }
    }

    fn add(store: &MemoryStore, name: &str, now: u64) {
        store.change(&key(name), &[(b"n".to_vec(), StoreChange::Add(1))], 10, now);
    }

    #[test]
    fn records_are_forgotten_after_their_timeout() {
        let store = MemoryStore::default();
        add(&store, "a", 100);
        add(&store, "a", 109);
        assert_eq!(store.load(&key("a"), 118), [(b"n".to_vec(), b"2".to_vec())]);
        assert_eq!(store.load(&key("a"), 119), []);
        add(&store, "a", 119);
        assert_eq!(
            store.load(&key("a"), 119),
            [(b"n".to_vec(), b"1".to_vec())],
            "a forgotten record begins anew"
        );
    }

    #[test]
    fn values_expire_on_their_own() {
        let store = MemoryStore::default();
        let set = |name: &[u8], change| store.change(&key("a"), &[(name.to_vec(), change)], 1_000, 100);
        set(b"x", StoreChange::Set(b"1".to_vec()));
        set(b"X", StoreChange::Expire(5));
        set(b"y", StoreChange::Set(b"2".to_vec()));
        assert_eq!(store.load(&key("a"), 104).len(), 2);
        assert_eq!(store.load(&key("a"), 105), [(b"y".to_vec(), b"2".to_vec())]);
    }

    #[test]
    fn at_the_limit_the_record_that_ends_first_makes_room() {
        let store = MemoryStore::with_records(2);
        add(&store, "old", 100);
        add(&store, "new", 101);
        add(&store, "newest", 102);
        assert_eq!(store.load(&key("old"), 102), []);
        assert_eq!(store.records().len(), 2);
    }
}
