//! All API keys in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use haechi_guard::{CredentialKind, Principal};

use crate::keys::{ApiKey, KeyHash, KeyId, Pepper};

/// What is known of one key.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// The part that may be shown.
    pub id: KeyId,
    /// The consumer group it belongs to.
    pub collection: Arc<str>,
    /// What is kept of it.
    pub hash: KeyHash,
    /// From when on it is no longer valid, if ever.
    pub expires: Option<SystemTime>,
    /// Since when it is revoked, if it is.
    pub revoked: Option<SystemTime>,
}

/// All API keys of the process, over all snapshots. A change holds from the next request on.
///
/// Readers take a shared lock for one look-up; writers are people with a command line.
pub struct KeyRing {
    pepper: Pepper,
    keys: RwLock<HashMap<KeyId, KeyRecord>>,
}

/// Why a key proves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// No such key, or its secret is another.
    Unknown,
    /// It belongs to another collection.
    Collection,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

// === impl KeyRing ===

impl KeyRing {
    /// A ring without keys.
    pub fn new(pepper: Pepper) -> Self {
        Self { pepper, keys: RwLock::default() }
    }

    /// The hash's key.
    pub fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// Adds a key, or replaces what is known of it. A revocation is never taken back.
    pub fn insert(&self, record: KeyRecord) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let revoked = keys.get(&record.id).and_then(|known| known.revoked).or(record.revoked);
        keys.insert(record.id.clone(), KeyRecord { revoked, ..record });
    }

    /// Revokes a key; false if there is none.
    pub fn revoke(&self, id: &KeyId, when: SystemTime) -> bool {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = keys.get_mut(id) else { return false };
        record.revoked.get_or_insert(when);
        true
    }

    /// Whom a key proves, if it belongs to `collection`.
    ///
    /// # Errors
    /// See [`KeyRefusal`]. That a key is revoked or expired is only said of a key whose secret is right.
    pub fn verify(
        &self,
        identity: &Arc<str>,
        collection: &str,
        key: &ApiKey,
        now: SystemTime,
    ) -> Result<Arc<Principal>, KeyRefusal> {
        let hash = key.hash(&self.pepper);
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let record = keys.get(&key.id()).filter(|record| record.hash == hash).ok_or(KeyRefusal::Unknown)?;
        if record.revoked.is_some() {
            return Err(KeyRefusal::Revoked);
        }
        if record.expires.is_some_and(|expires| expires <= now) {
            return Err(KeyRefusal::Expired);
        }
        if &*record.collection != collection {
            return Err(KeyRefusal::Collection);
        }
        let id: Arc<str> = record.id.as_str().into();
        Ok(Arc::new(Principal {
            identity: identity.clone(),
            subject: id.clone(),
            credential: id,
            kind: CredentialKind::ApiKey,
            collection: Some(record.collection.clone()),
            client: None,
            scopes: Vec::new(),
            claims: serde_json::Map::new(),
        }))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.keys.read().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "KeyRing({count} keys)")
    }
}

// === impl KeyRefusal ===

impl KeyRefusal {
    /// Stable kebab-case word for events.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unknown => "key-unknown",
            Self::Collection => "key-collection",
            Self::Expired => "key-expired",
            Self::Revoked => "key-revoked",
        }
    }

    /// One sentence for the event.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Unknown => "no key with this id and secret exists",
            Self::Collection => "the key belongs to another collection",
            Self::Expired => "the key has expired",
            Self::Revoked => "the key was revoked",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn ring() -> (KeyRing, ApiKey, KeyRecord) {
        let ring = KeyRing::new(Pepper::new([9; 32]));
        let key = ApiKey::from_random(&[3; 33]);
        let record = KeyRecord {
            id: key.id(),
            collection: "partners".into(),
            hash: key.hash(ring.pepper()),
            expires: Some(UNIX_EPOCH + Duration::from_secs(100)),
            revoked: None,
        };
        ring.insert(record.clone());
        (ring, key, record)
    }

    #[test]
    fn a_key_is_good_until_its_last_second() {
        let (ring, key, _) = ring();
        let at =
            |seconds| ring.verify(&"p".into(), "partners", &key, UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(99).expect("good").collection.as_deref(), Some("partners"));
        assert_eq!(at(100), Err(KeyRefusal::Expired));
    }

    #[test]
    fn a_key_with_a_known_id_and_another_secret_is_unknown() {
        let (ring, key, record) = ring();
        let other = ApiKey::from_random(&[4; 33]);
        ring.insert(KeyRecord { hash: other.hash(ring.pepper()), ..record });
        assert_eq!(ring.verify(&"p".into(), "partners", &key, UNIX_EPOCH), Err(KeyRefusal::Unknown));
    }

    #[test]
    fn a_revocation_holds_at_once_and_for_ever() {
        let (ring, key, record) = ring();
        assert!(ring.revoke(&key.id(), UNIX_EPOCH));
        assert_eq!(ring.verify(&"p".into(), "partners", &key, UNIX_EPOCH), Err(KeyRefusal::Revoked));
        ring.insert(record);
        assert_eq!(ring.verify(&"p".into(), "partners", &key, UNIX_EPOCH), Err(KeyRefusal::Revoked));
        assert!(!ring.revoke(&"nobody".into(), UNIX_EPOCH));
    }

    #[test]
    fn a_key_of_another_collection_opens_nothing() {
        let (ring, key, _) = ring();
        assert_eq!(ring.verify(&"p".into(), "staff", &key, UNIX_EPOCH), Err(KeyRefusal::Collection));
    }
}
