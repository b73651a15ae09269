//! Numbers with check digits: cards, and the social security numbers of three countries.

use crate::pattern::Pattern;

/// Which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DigitTest {
    /// Payment cards (ISO/IEC 7812, Luhn).
    Card,
    /// Brazil's Cadastro de Pessoas Físicas.
    Cpf,
    /// The United States' Social Security number.
    Ssn,
    /// Austria's Sozialversicherungsnummer.
    Svnr,
}

// === impl DigitTest ===

impl DigitTest {
    /// The first candidate of the pattern whose digits check.
    pub(super) fn first_in<'v>(self, pattern: &Pattern, value: &'v [u8]) -> Option<&'v [u8]> {
        pattern.regex.find_iter(value).map(|found| found.as_bytes()).find(|candidate| {
            let digits: Vec<u32> =
                candidate.iter().filter_map(|byte| char::from(*byte).to_digit(10)).collect();
            match self {
                Self::Card => luhn(&digits),
                Self::Cpf => cpf(&digits),
                Self::Ssn => ssn(&digits),
                Self::Svnr => svnr(&digits),
            }
        })
    }
}

fn luhn(digits: &[u32]) -> bool {
    if digits.is_empty() || digits.len() > 64 {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| if index % 2 == 0 { *digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    sum.is_multiple_of(10)
}

fn all_equal(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}

/// The digits from `from` to `to` as one number.
fn part(digits: &[u32], from: usize, to: usize) -> u32 {
    digits.iter().take(to).skip(from).fold(0, |value, digit| value * 10 + digit)
}

fn cpf(digits: &[u32]) -> bool {
    if digits.len() != 11 || all_equal(digits) {
        return false;
    }
    [9usize, 10].into_iter().all(|count| {
        let weights = (2..).take(count).collect::<Vec<u32>>();
        let sum: u32 =
            digits.iter().take(count).zip(weights.iter().rev()).map(|(digit, weight)| digit * weight).sum();
        let check = match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        };
        digits.get(count) == Some(&check)
    })
}

fn ssn(digits: &[u32]) -> bool {
    let (area, group, serial) = (part(digits, 0, 3), part(digits, 3, 5), part(digits, 5, 9));
    let sequence = digits.windows(2).all(|pair| matches!(pair, [a, b] if b.wrapping_sub(*a) == 1));
    digits.len() == 9
        && !all_equal(digits)
        && !sequence
        && (1..740).contains(&area)
        && area != 666
        && group != 0
        && serial != 0
}

fn svnr(digits: &[u32]) -> bool {
    const WEIGHTS: [u32; 10] = [3, 7, 9, 0, 5, 8, 4, 2, 1, 6];
    if digits.len() != 10 || all_equal(digits) {
        return false;
    }
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    digits.get(3) == Some(&(sum % 11))
}
