//! Identifiers of requests, traces and spans; 128 and 64 bits, made without a system call.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A request's id: a UUID of version 7 (RFC 9562), so that ids sort by time and other tools recognise them.
///
/// 48 bits of Unix milliseconds, 12 bits of fraction of a millisecond (RFC 9562, section 6.2, method 3) and 62
/// bits of a generator that each thread seeds once from the system. Unique, but no secret: whoever has seen some
/// ids of a thread can guess others.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u128);

/// A W3C trace id: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// A W3C span (parent) id: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

/// The text is not an id of the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError(());

/// The bits that sampling decides on.
const LOW_56: u128 = (1 << 56) - 1;

const HEX: &[u8; 16] = b"0123456789abcdef";

// === impl RequestId ===

impl RequestId {
    /// A new id of the time `now`.
    pub fn generate(now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = since.as_millis() & 0xffff_ffff_ffff;
        // Nanoseconds within the millisecond (below 10^6) scaled to 12 bits.
        let fraction = u128::from((since.subsec_nanos() % 1_000_000) * 4096 / 1_000_000);
        let random = u128::from(random() >> 2);
        Self((millis << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | random)
    }

    /// When the id was made, to the millisecond; nothing for an id that is not of version 7.
    pub fn time(self) -> Option<SystemTime> {
        let millis = u64::try_from(self.0 >> 80).ok()?;
        let seven = (self.0 >> 76) & 0xf == 0x7 && (self.0 >> 62) & 0b11 == 0b10;
        seven.then(|| UNIX_EPOCH + Duration::from_millis(millis))
    }

    /// Whether the id is in a sample of this share (0 to 1) of all ids: so whoever knows the id knows it too.
    pub fn is_sampled(self, share: f64) -> bool {
        is_within(u64::try_from(self.0 & LOW_56).unwrap_or_default(), share)
    }

    /// The id's text without an allocation: 36 ASCII characters.
    pub fn encode(self) -> IdText {
        IdText::hyphenated(self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.encode().as_str())
    }
}

/// Reads the hyphenated form, and the 32 digits without hyphens; upper and lower case.
impl FromStr for RequestId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hyphens_fit = match text.len() {
            36 => text.bytes().enumerate().all(|(at, b)| (b == b'-') == matches!(at, 8 | 13 | 18 | 23)),
            32 => true,
            _ => false,
        };
        if !hyphens_fit {
            return Err(ParseIdError(()));
        }
        parse_hex(text.bytes().filter(|b| *b != b'-'), true).map(Self).ok_or(ParseIdError(()))
    }
}

// === impl TraceId ===

impl TraceId {
    /// A new random id.
    pub fn generate() -> Self {
        Self((u128::from(random()) << 64) | u128::from(random() | 1))
    }

    /// Reads 32 lower-case hexadecimal digits, as in `traceparent`; all zero is no id.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let value = (text.len() == 32).then(|| parse_hex(text.iter().copied(), false))??;
        (value != 0).then_some(Self(value))
    }

    /// The low 56 bits, random in every trace id of W3C Trace Context level 2: sampling decides on them, so that all
    /// parties of a trace decide alike.
    pub(crate) fn random_bits(self) -> u64 {
        u64::try_from(self.0 & LOW_56).unwrap_or_default()
    }

    /// The id's text without an allocation: 32 lower-case hexadecimal digits.
    pub fn encode(self) -> IdText {
        IdText::plain(self.0, 32)
    }
}

// === impl SpanId ===

impl SpanId {
    /// A new random id.
    pub fn generate() -> Self {
        Self(random() | 1)
    }

    /// Reads 16 lower-case hexadecimal digits, as in `traceparent`; all zero is no id.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let value = (text.len() == 16).then(|| parse_hex(text.iter().copied(), false))??;
        u64::try_from(value).ok().filter(|value| *value != 0).map(Self)
    }

    /// The id's text without an allocation: 16 lower-case hexadecimal digits.
    pub fn encode(self) -> IdText {
        IdText::plain(u128::from(self.0), 16)
    }
}

// === impl ParseIdError ===

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an id such as `0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60`")
    }
}

impl std::error::Error for ParseIdError {}

/// The text of an id, on the stack.
#[derive(Clone, Copy)]
pub struct IdText {
    bytes: [u8; 36],
    len: usize,
}

// === impl IdText ===

impl IdText {
    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text as ASCII bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn plain(value: u128, digits: usize) -> Self {
        let mut text = Self { bytes: [0; 36], len: digits };
        let mut rest = value;
        for slot in text.bytes.iter_mut().take(digits).rev() {
            *slot = digit(rest);
            rest >>= 4;
        }
        text
    }

    fn hyphenated(value: u128) -> Self {
        let mut text = Self { bytes: [b'-'; 36], len: 36 };
        let mut rest = value;
        for (at, slot) in text.bytes.iter_mut().enumerate().rev() {
            if !matches!(at, 8 | 13 | 18 | 23) {
                *slot = digit(rest);
                rest >>= 4;
            }
        }
        text
    }
}

macro_rules! text_form {
    ($id:ident, $parse:expr) => {
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.encode().as_str())
            }
        }

        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.encode().as_str())
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(&text).ok_or_else(|| serde::de::Error::custom(ParseIdError(())))
            }
        }
    };
}

text_form!(RequestId, |text| text.parse().ok());
text_form!(TraceId, |text| Self::parse(text.as_bytes()));
text_form!(SpanId, |text| Self::parse(text.as_bytes()));

fn digit(value: u128) -> u8 {
    let nibble = usize::try_from(value & 0xf).unwrap_or_default();
    HEX.get(nibble).copied().unwrap_or(b'0')
}

fn parse_hex(digits: impl Iterator<Item = u8>, upper: bool) -> Option<u128> {
    digits.into_iter().try_fold(0u128, |value, digit| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' if upper => digit - b'A' + 10,
            _ => return None,
        };
        Some((value << 4) | u128::from(nibble))
    })
}

/// Whether 56 random bits are within this share of all they can be.
pub(crate) fn is_within(bits: u64, share: f64) -> bool {
    const RANGE: f64 = 72_057_594_037_927_936.0; // 2^56
    #[expect(clippy::cast_precision_loss, reason = "a share needs no 56 exact bits")]
    let place = bits as f64;
    place < share * RANGE
}

/// The next number of this thread's generator (SplitMix64): a few multiplications, no lock, no system call.
pub fn random() -> u64 {
    thread_local! {
        // The keys of the standard hasher come from the system and differ for every instance.
        static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn request_id_reads_back_in_both_forms() {
        let id = RequestId::generate(UNIX_EPOCH + Duration::from_millis(1_732_438_000_123));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().replace('-', "").to_uppercase().parse(), Ok(id));
    }

    #[test]
    fn request_id_is_a_version_7_uuid_of_its_time() {
        let now = UNIX_EPOCH + Duration::from_millis(1_732_438_000_123);
        let id = RequestId::generate(now);
        let text = id.to_string();
        let [high, low, third, fourth, _] = text.split('-').collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!((high, low), ("01935d5a", "01fb"));
        assert!(third.starts_with('7'), "{text}");
        assert!(fourth.starts_with(['8', '9', 'a', 'b']), "{text}");
        assert_eq!(id.time(), Some(now));
    }

    #[test]
    fn request_ids_sort_by_time_to_the_microsecond() {
        let start = UNIX_EPOCH + Duration::from_millis(1_732_438_000_123);
        let ids: Vec<_> =
            (0..2_000).map(|micros| RequestId::generate(start + Duration::from_micros(micros))).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn request_ids_of_one_instant_and_many_threads_differ() {
        let now = UNIX_EPOCH + Duration::from_secs(1);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(move || (0..50_000).map(|_| RequestId::generate(now)).collect::<Vec<_>>())
            })
            .collect();
        let ids: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().expect("joined")).collect();
        assert_eq!(ids.len(), 200_000);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a6",
            "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a6g",
            "0192f0c16f5e-7a31-8c5d-2b9e4d7f1a60-",
            "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60 ",
            "------------------------------------",
        ] {
            assert_eq!(text.parse::<RequestId>(), Err(ParseIdError(())), "{text}");
        }
        assert_eq!(TraceId::parse(&[b'0'; 32]), None);
        assert_eq!(SpanId::parse(b"00F067AA0BA902B7"), None);
    }

    #[test]
    fn an_id_of_another_version_has_no_time() {
        let id: RequestId = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6".parse().expect("a uuid");
        assert_eq!(id.time(), None);
    }
}
