//! Which part of the calls is whose: a thousand places, each of which belongs to a part.

/// Places that are dealt. A share is told to a tenth of a percent.
const PLACES: u16 = 1000;

/// A thousand places, each of which belongs to a part or, if to none, to what the parts leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Zero for none, else the number of a part, from one.
    places: Box<[u8]>,
}

// === impl Deal ===

impl Deal {
    /// For calls that are counted: any thousand places in a row, wherever they begin, hold `shares` exactly, and each part's
    /// are as far apart as can be. Shares are of a thousand; what is beyond goes to nobody.
    pub fn in_turn(shares: &[u16]) -> Self {
        let shares = fitting(shares);
        // Smooth weighted round-robin, for once round: all grow by their share, and who has most pays for the whole.
        let mut weights = vec![PLACES - shares.iter().sum::<u16>()];
        weights.extend(shares);
        let mut credit = vec![0_i32; weights.len()];
        let turn = |_| {
            let mut most = (0, i32::MIN);
            for (at, (credit, weight)) in credit.iter_mut().zip(&weights).enumerate() {
                *credit += i32::from(*weight);
                if *credit > most.1 {
                    most = (at, *credit);
                }
            }
            if let Some(credit) = credit.get_mut(most.0) {
                *credit -= i32::from(PLACES);
            }
            u8::try_from(most.0).unwrap_or_default()
        };
        Self { places: (0..PLACES).map(turn).collect() }
    }

    /// For callers that stay where they are: each part has places that lie together, the first from the beginning, the others from the
    /// end. So a share that grows takes places of nobody first, and with one or two parts of nobody else.
    pub fn in_ranges(shares: &[u16]) -> Self {
        let shares = fitting(shares);
        let mut places = vec![0_u8; usize::from(PLACES)];
        let (mut start, mut end) = (0, usize::from(PLACES));
        for (part, share) in (1_u8..).zip(shares) {
            let range = if part == 1 {
                start = usize::from(share);
                0..start
            } else {
                let from = end.saturating_sub(usize::from(share)).max(start);
                let range = from..end;
                end = from;
                range
            };
            places.get_mut(range).unwrap_or_default().fill(part);
        }
        Self { places: places.into() }
    }

    /// Whose turn it is of calls that are numbered; the place in `shares`.
    pub fn nth(&self, number: u64) -> Option<usize> {
        self.at(number % u64::from(PLACES))
    }

    /// Whose a caller is by a number that is drawn for it out of all there are.
    pub fn of(&self, drawn: u64) -> Option<usize> {
        let place = (u128::from(drawn) * u128::from(PLACES)) >> 64;
        self.at(u64::try_from(place).unwrap_or_default())
    }

    fn at(&self, place: u64) -> Option<usize> {
        let part = self.places.get(usize::try_from(place).unwrap_or_default()).copied().unwrap_or_default();
        usize::from(part).checked_sub(1)
    }
}

/// Shares as far as there are places, and parts as far as they can be numbered.
fn fitting(shares: &[u16]) -> Vec<u16> {
    let mut left = PLACES;
    let fit = |share: &u16| {
        let share = left.min(*share);
        left -= share;
        share
    };
    shares.iter().take(usize::from(u8::MAX)).map(fit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Up to eight shares that fit.
    fn shares() -> impl Strategy<Value = Vec<u16>> {
        proptest::collection::vec(0..=PLACES, 1..=8).prop_map(|shares| fitting(&shares))
    }

    fn count(deal: &Deal, numbers: impl Iterator<Item = u64>, part: Option<usize>) -> usize {
        numbers.filter(|number| deal.nth(*number) == part).count()
    }

    proptest! {
        #[test]
        fn any_thousand_calls_in_a_row_hold_the_shares_exactly(shares in shares(), start: u32) {
            let deal = Deal::in_turn(&shares);
            let start = u64::from(start);
            for (part, share) in shares.iter().enumerate() {
                prop_assert_eq!(count(&deal, start..start + 1000, Some(part)), usize::from(*share));
            }
            let rest = 1000 - shares.iter().sum::<u16>();
            prop_assert_eq!(count(&deal, start..start + 1000, None), usize::from(rest));
        }

        #[test]
        fn callers_are_dealt_by_the_shares(shares in shares()) {
            let deal = Deal::in_ranges(&shares);
            for (part, share) in shares.iter().enumerate() {
                prop_assert_eq!(count(&deal, 0..1000, Some(part)), usize::from(*share));
            }
        }

        #[test]
        fn a_share_that_grows_keeps_the_callers_it_had(shares in shares(), part: prop::sample::Index, by in 1..=PLACES) {
            let part = part.index(shares.len());
            let mut grown = shares.clone();
            grown[part] += by.min(PLACES - shares.iter().sum::<u16>());
            let (before, after) = (Deal::in_ranges(&shares), Deal::in_ranges(&grown));
            for place in 0..u64::from(PLACES) {
                let (was, is) = (before.at(place), after.at(place));
                if was == Some(part) {
                    prop_assert_eq!(is, was, "a caller of the part stays");
                } else if was.is_some_and(|was| was < part) || shares.len() <= 2 && was.is_some() {
                    prop_assert_eq!(is, was, "a caller of another part stays");
                } else if is != was && was.is_none() {
                    prop_assert!(is.is_some(), "a caller of none goes to a part");
                }
            }
        }
    }

    #[test]
    fn calls_of_a_part_are_spread_over_the_others() {
        let deal = Deal::in_turn(&[100]);
        let turns: Vec<_> = (0..1000).filter(|number| deal.nth(*number).is_some()).collect();
        assert!(turns.windows(2).all(|two| two[1] - two[0] == 10), "{turns:?}");
    }

    #[test]
    fn all_and_nothing_can_be_dealt() {
        let (none, all) = (Deal::in_turn(&[0]), Deal::in_turn(&[1000]));
        assert!((0..1000).all(|number| none.nth(number).is_none() && all.nth(number) == Some(0)));
        let (none, all) = (Deal::in_ranges(&[0]), Deal::in_ranges(&[1000]));
        for drawn in [0, 1, u64::MAX / 2, u64::MAX] {
            assert_eq!((none.of(drawn), all.of(drawn)), (None, Some(0)));
        }
    }

    #[test]
    fn what_is_beyond_the_whole_goes_to_nobody() {
        assert_eq!(Deal::in_turn(&[900, 200]), Deal::in_turn(&[900, 100]));
        assert_eq!(Deal::in_ranges(&[900, 200, 5]), Deal::in_ranges(&[900, 100, 0]));
        assert_eq!(Deal::in_turn(&[u16::MAX]), Deal::in_turn(&[1000]));
    }

    #[test]
    fn a_drawn_number_finds_its_place_in_the_whole() {
        let deal = Deal::in_ranges(&[250, 250]);
        let quarter = u64::MAX / 4;
        assert_eq!(
            [0, quarter - 1, quarter + 1, 3 * quarter - 9, u64::MAX].map(|drawn| deal.of(drawn)),
            [Some(0), Some(0), None, None, Some(1)]
        );
    }
}
