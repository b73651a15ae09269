//! Hashes of what callers choose.
//!
//! A text is the polynomial of its words, modulo the prime 2⁶¹−1, at a point that each process draws anew and nobody learns. Two different texts of `n` bytes
//! meet at less than `n` of the 2⁶¹ points: whoever does not know the point cannot choose texts that meet. It takes one multiplication for eight bytes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

const PRIME: u64 = (1 << 61) - 1;

/// The point, its square, and what spreads the result over all bits.
struct Secret {
    point: u64,
    square: u64,
    spread: u64,
}

static SECRET: LazyLock<Secret> = LazyLock::new(|| {
    let random = RandomState::new();
    let point = random.hash_one("point") % (PRIME - 2) + 2;
    Secret { point, square: reduced(wide(point) * wide(point)), spread: random.hash_one("spread") | 1 }
});

/// Makes hashers with this process's secret.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keyed;

pub(crate) struct KeyedHasher {
    secret: &'static Secret,
    sum: u64,
}

fn wide(value: u64) -> u128 {
    u128::from(value)
}

/// The same modulo the prime, below 2⁶² if the number is below 2¹²⁴.
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is meant")]
fn reduced(value: u128) -> u64 {
    let sum = (value as u64 & PRIME) + (value >> 61) as u64;
    (sum & PRIME) + (sum >> 61)
}

// === impl Keyed ===

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { secret: &SECRET, sum: 0 }
    }
}

// === impl KeyedHasher ===

impl KeyedHasher {
    /// Two words of 32 bits.
    fn add(&mut self, low: u32, high: u32) {
        let (low, high) = (wide(self.sum) + u128::from(low), u128::from(high));
        self.sum = reduced(low * wide(self.secret.square) + high * wide(self.secret.point));
    }
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for [a, b, c, d, e, f, g, h] in words {
            self.add(u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]));
        }
        if !rest.is_empty() {
            let mut last = [0u8; 8];
            last.iter_mut().zip(rest).for_each(|(byte, own)| *byte = *own);
            let [a, b, c, d, e, f, g, h] = last;
            self.add(u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.add(value.into(), 0);
    }

    fn write_u32(&mut self, value: u32) {
        self.add(value, 0);
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn write_u64(&mut self, value: u64) {
        self.add(value as u32, (value >> 32) as u32);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(u64::try_from(value).unwrap_or(u64::MAX));
    }

    fn finish(&self) -> u64 {
        let spread = self.sum.wrapping_mul(self.secret.spread);
        spread ^ spread >> 32
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_that_differ_hash_differently() {
        let mut texts: Vec<Vec<u8>> = (0..40).map(|length| vec![0; length]).collect();
        for text in (0..40).map(|length| vec![b'a'; length]).collect::<Vec<_>>() {
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                texts.push(other);
            }
            texts.push(text);
        }
        texts.sort();
        texts.dedup();
        let hashes: HashSet<u64> = texts.iter().map(|text| Keyed.hash_one(text.as_slice())).collect();
        assert_eq!(hashes.len(), texts.len());
        // Tables look at the lowest and at the highest bits.
        let low: HashSet<u64> = hashes.iter().map(|hash| hash & 1023).collect();
        let high: HashSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        assert!(low.len() > 400 && high.len() > 100, "{} {}", low.len(), high.len());
    }

    /// Numbers that are equal modulo the prime are the ones an attacker would try.
    #[test]
    fn words_are_kept_apart_modulo_the_prime() {
        assert_ne!(Keyed.hash_one(0u64), Keyed.hash_one(PRIME));
        assert_ne!(Keyed.hash_one(1u64), Keyed.hash_one(PRIME + 1));
    }
}
