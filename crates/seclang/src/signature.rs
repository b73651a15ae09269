//! Which bytes a text holds, in one word: enough to prove that a transformation changes nothing, or that a pattern cannot match.

use crate::names::Transform;

/// Which groups of bytes a text holds. Letters have a group each, without regard to case; so has each mark of ASCII; digits, blanks, control bytes, bytes
/// beyond ASCII and upper-case letters are one group each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Signature(pub(crate) u64);

const UPPER: u32 = 26;
const DIGIT: u32 = 27;
const SPACE: u32 = 28;
/// `\t` to `\r`.
const BREAK: u32 = 29;
const CONTROL: u32 = 30;
const HIGH: u32 = 31;
/// The 32 marks follow.
const MARK: u32 = 32;

/// The letters, and whether one is in upper case.
pub(crate) const LETTERS: u64 = (1 << 26) - 1;
/// Set in [`Signature::coarse`] when there is any letter.
const ANY_LETTER: u64 = 1;

const GROUPS: [u64; 256] = groups();

const fn groups() -> [u64; 256] {
    let mut table = [0u64; 256];
    let mut byte = 0usize;
    let mut mark = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the index is below 256")]
        let value = byte as u8;
        #[expect(clippy::indexing_slicing, reason = "the index is below 256; evaluated by the compiler")]
        {
            table[byte] = match value {
                b'a'..=b'z' => 1 << (value - b'a'),
                b'A'..=b'Z' => 1 << (value - b'A') | 1 << UPPER,
                b'0'..=b'9' => 1 << DIGIT,
                b' ' => 1 << SPACE,
                0x09..=0x0d => 1 << BREAK,
                0x00..=0x1f | 0x7f => 1 << CONTROL,
                0x80.. => 1 << HIGH,
                _ => {
                    mark += 1;
                    1 << (MARK + mark - 1)
                }
            };
        }
        byte += 1;
    }
    table
}

// === impl Signature ===

impl Signature {
    pub(crate) const EMPTY: Self = Self(0);

    pub(crate) fn of(text: &[u8]) -> Self {
        Self(text.iter().fold(0, |all, byte| all | group(*byte)))
    }

    /// Letters taken together: texts that differ only in which letters they hold share a plan.
    pub(crate) fn coarse(self) -> u64 {
        coarse(self.0)
    }

    fn holds(self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.0 & group(*byte) != 0)
    }

    /// Whether a transformation surely leaves the text as it is.
    pub(crate) fn is_fixed_by(self, step: Transform) -> bool {
        use Transform as T;
        let needs: &[u8] = match step {
            T::CmdLine => b"\"'\\^,;\t\r\n/( ",
            T::CompressWhitespace => b" \t\x80",
            T::CssDecode | T::EscapeSeqDecode | T::JsDecode => b"\\",
            T::HtmlEntityDecode => b"&",
            T::Lowercase => b"",
            T::NormalizePath => b"./",
            T::NormalizePathWin => b"./\\",
            T::RemoveComments | T::RemoveCommentsChar => b"/*-#<>",
            T::RemoveNulls | T::ReplaceNulls => b"\0",
            T::RemoveWhitespace => b" \t\x80",
            T::ReplaceComments => b"/",
            T::SqlHexDecode => b"x",
            T::Trim | T::TrimLeft | T::TrimRight => b" \t",
            T::UrlDecode | T::UrlDecodeUni => b"%+",
            T::Utf8ToUnicode | T::ParityZero7bit => b"\x80",
            T::Base64Decode
            | T::Base64DecodeExt
            | T::Base64Encode
            | T::HexDecode
            | T::HexEncode
            | T::Length
            | T::Md5
            | T::ParityEven7bit
            | T::ParityOdd7bit
            | T::Sha1
            | T::Uppercase
            | T::UrlEncode => return self == Self::EMPTY && matches!(step, T::UrlEncode | T::Uppercase),
        };
        let lowers = matches!(step, T::Lowercase | T::CmdLine);
        !self.holds(needs) && (!lowers || self.0 & 1 << UPPER == 0)
    }
}

/// The group of a byte, as a bit; an upper-case letter has two.
pub(crate) fn group(byte: u8) -> u64 {
    GROUPS.get(usize::from(byte)).copied().unwrap_or_default()
}

/// As [`group`], for gates: without the bit of upper case, since a letter is asked for in either.
pub(crate) fn letter_group(byte: u8) -> u64 {
    group(byte) & !(1 << UPPER)
}

/// As [`Signature::is_fixed_by`], for any text of a coarse signature.
pub(crate) fn is_fixed_coarsely(signature: u64, step: Transform) -> bool {
    match step {
        // The only one that a letter triggers.
        Transform::SqlHexDecode => signature & ANY_LETTER == 0,
        _ => Signature(signature).is_fixed_by(step),
    }
}

/// Letters taken together.
pub(crate) fn coarse(mask: u64) -> u64 {
    let letters = if mask & LETTERS != 0 { ANY_LETTER } else { 0 };
    mask & !LETTERS | letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform;

    /// What is said to be fixed is: every text of two bytes, and some longer ones, under every transformation.
    #[test]
    fn a_signature_never_hides_a_change() {
        let check = |text: &[u8]| {
            for step in Transform::ALL {
                let mut out = Vec::new();
                transform::apply(*step, text, &mut out);
                let signature = Signature::of(text);
                if signature.is_fixed_by(*step) || is_fixed_coarsely(signature.coarse(), *step) {
                    assert_eq!(out, text, "{} of {}", step.name(), text.escape_ascii());
                }
            }
        };
        check(b"");
        for first in 0..=255u8 {
            check(&[first]);
            for second in 0..=255u8 {
                check(&[first, second]);
            }
        }
        for text in ["&lt", "a--b", "..", "a/./b", "0x41", "<!--", "abc def", "*/", "%41", "a..b"] {
            check(text.as_bytes());
        }
    }

    #[test]
    fn every_group_is_a_bit_of_its_own() {
        let marks: u64 =
            (0..=127u8).filter(u8::is_ascii_punctuation).map(group).fold(0, |all, bit| all | bit);
        assert_eq!((marks.count_ones(), marks.trailing_zeros()), (32, MARK));
        assert_eq!(Signature::of(b"Az").0.count_ones(), 3);
        assert_eq!(Signature::of(b"az").coarse(), Signature::of(b"k").coarse());
    }
}
