//! API keys: `hch_live_<id>_<secret>_<crc>`.
//!
//! The prefix lets scanners find leaked keys; the checksum tells a mistyped key from a wrong one without a look-up; the
//! id can be shown and logged; the secret is 200 random bits and is kept nowhere, only its keyed hash.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const PREFIX: &str = "hch_live_";
/// Crockford's base 32 in lower case: no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 60 bits: ids of a million keys collide once in a hundred million tries.
const ID: usize = 12;
/// 200 bits.
const SECRET: usize = 40;
/// 32 bits of CRC in base 32.
const CRC: usize = 7;
/// The whole text.
const LENGTH: usize = PREFIX.len() + ID + 1 + SECRET + 1 + CRC;

/// An API key as its owner holds it. Wiped from memory when dropped; `Debug` shows its id only.
pub struct ApiKey {
    text: Zeroizing<String>,
}

/// The part of a key that may be shown.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Box<str>);

/// What is kept of a key: BLAKE3 keyed with the pepper, over the whole text.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

/// The key of the hash: whoever steals the database alone cannot even test guesses.
#[derive(Clone)]
pub struct Pepper(Zeroizing<[u8; 32]>);

/// A text that is no key. Does not hold the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not of the form of a key.
    Form,
    /// Of the form, but mistyped or cut.
    Checksum,
}

// === impl ApiKey ===

impl ApiKey {
    /// A new key from 33 random bytes.
    pub fn from_random(random: &[u8; 33]) -> Self {
        // 33 bytes are 264 bits, 52 letters of 5 bits are 260.
        let mut letters = bits(random);
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(PREFIX);
        text.extend(letters.by_ref().take(ID));
        text.push('_');
        text.extend(letters.take(SECRET));
        text.push('_');
        let crc = checksum(&text);
        text.push_str(&crc);
        Self { text }
    }

    /// Reads a key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(text).map_err(|_| KeyError::Form)?;
        let rest = text.strip_prefix(PREFIX).ok_or(KeyError::Form)?;
        let mut parts = rest.split('_');
        let lengths_fit = [ID, SECRET, CRC].iter().all(|length| {
            parts
                .next()
                .is_some_and(|part| part.len() == *length && part.bytes().all(|b| ALPHABET.contains(&b)))
        });
        if !lengths_fit || parts.next().is_some() {
            return Err(KeyError::Form);
        }
        let (covered, crc) = text.split_at_checked(LENGTH - CRC).ok_or(KeyError::Form)?;
        if checksum(covered) != crc {
            return Err(KeyError::Checksum);
        }
        Ok(Self { text: Zeroizing::new(text.to_owned()) })
    }

    /// The part that may be shown.
    pub fn id(&self) -> KeyId {
        KeyId(self.text.get(PREFIX.len()..PREFIX.len() + ID).unwrap_or_default().into())
    }

    /// The whole key: shown once, to its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is kept of it.
    pub fn hash(&self, pepper: &Pepper) -> KeyHash {
        KeyHash(*blake3::keyed_hash(&pepper.0, self.text.as_bytes()).as_bytes())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}…)", self.id())
    }
}

/// Letters of 5 bits each.
fn bits(random: &[u8]) -> impl Iterator<Item = char> {
    (0..random.len() * 8 / 5).map(|letter| {
        let value = (letter * 5..letter * 5 + 5).fold(0usize, |value, bit| {
            let byte = random.get(bit / 8).copied().unwrap_or_default();
            (value << 1) | usize::from(byte >> (7 - bit % 8) & 1)
        });
        char::from(ALPHABET.get(value).copied().unwrap_or(b'0'))
    })
}

fn checksum(text: &str) -> String {
    let crc = crc32fast::hash(text.as_bytes());
    (0..CRC)
        .rev()
        .map(|letter| {
            let value = usize::try_from((crc >> (5 * letter)) & 31).unwrap_or_default();
            char::from(ALPHABET.get(value).copied().unwrap_or(b'0'))
        })
        .collect()
}

// === impl KeyId ===

impl KeyId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for KeyId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl KeyHash ===

impl KeyHash {
    /// The hash's bytes, to be kept.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash that was kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for KeyHash {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

// === impl Pepper ===

impl Pepper {
    /// 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

// === impl KeyError ===

impl KeyError {
    /// Stable kebab-case word for events.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form => "key-form",
            Self::Checksum => "key-checksum",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "the value has not the form of a key",
            Self::Checksum => "the key's checksum is wrong: it is mistyped or cut",
        })
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_reads_back_and_shows_its_id_only() {
        let key = ApiKey::from_random(&[0xa5; 33]);
        assert_eq!(key.expose().len(), LENGTH);
        let again = ApiKey::parse(key.expose().as_bytes()).expect("a key");
        assert_eq!(again.id(), key.id());
        let shown = format!("{key:?}");
        assert!(shown.contains(key.id().as_str()) && !shown.contains(key.expose()));
    }

    #[test]
    fn the_hash_depends_on_key_and_pepper() {
        let (one, other) = (ApiKey::from_random(&[1; 33]), ApiKey::from_random(&[2; 33]));
        let (salt, pepper) = (Pepper::new([1; 32]), Pepper::new([2; 32]));
        assert_eq!(one.hash(&salt), one.hash(&salt));
        assert_ne!(one.hash(&salt), other.hash(&salt));
        assert_ne!(one.hash(&salt), one.hash(&pepper));
    }

    proptest! {
        #[test]
        fn any_change_of_one_character_is_refused(random in proptest::array::uniform32(any::<u8>()), at in 0..LENGTH, to in "[0-9a-zA-Z_]") {
            let mut bytes = [7; 33];
            bytes[..32].copy_from_slice(&random);
            let key = ApiKey::from_random(&bytes);
            let mut changed = key.expose().to_owned();
            changed.replace_range(at..=at, &to);
            prop_assert_eq!(ApiKey::parse(changed.as_bytes()).is_ok(), changed == key.expose());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = ApiKey::parse(&bytes);
        }
    }
}
