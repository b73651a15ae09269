//! When a certificate is ordered: pure functions of what there is, what failed, and the time.

use std::time::{Duration, SystemTime};

use crate::Facts;

/// First pause after a server that could not be reached: nothing was asked of it, so soon.
const AWAY: Duration = Duration::from_secs(5);
/// First pause after a server that refused. Public authorities count failed validations: five an hour.
const REFUSED: Duration = Duration::from_secs(60);
/// Longest pause: a renewal has a third of the certificate's life, thirty days with the usual ninety.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Least time between two orders that succeed, however short the certificates are.
const LEAST: Duration = Duration::from_secs(5);
/// From when on a certificate is near its end: two weeks, or a fifth of its life if that is shorter.
const NEAR: Duration = Duration::from_secs(14 * 86_400);

/// How an order failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server could not be reached, or what it said could not be understood.
    Away,
    /// The server said no.
    Refused,
}

/// When a certificate is to be renewed: at two thirds of its life.
pub fn renewal(facts: &Facts) -> SystemTime {
    let life = facts.not_after.duration_since(facts.not_before).unwrap_or_default();
    facts.not_before + (life * 2 / 3).max(LEAST)
}

/// How long to wait after so many failures in a row: doubling, and up to a quarter longer or shorter, so that many gateways
/// do not come back at the same moment. `random` is any number.
pub fn pause(failures: u32, last: Failure, random: u32) -> Duration {
    let first = match last {
        Failure::Away => AWAY,
        Failure::Refused => REFUSED,
    };
    let pause = first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST);
    pause * 3 / 4 + pause / 2 * (random % 1000) / 1000
}

/// Whether a certificate is near its end although it should have been replaced by now.
pub fn is_near_end(facts: &Facts, now: SystemTime) -> bool {
    let life = facts.not_after.duration_since(facts.not_before).unwrap_or_default();
    now + NEAR.min(life / 5) >= facts.not_after
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn facts(life: Duration) -> Facts {
        let not_before = UNIX_EPOCH + DAY * 20_000;
        Facts { names: Vec::new(), not_before, not_after: not_before + life, key: "ECDSA" }
    }

    #[test]
    fn renewal_begins_at_two_thirds() {
        let facts = facts(90 * DAY);
        assert_eq!(renewal(&facts), facts.not_before + 60 * DAY);
        assert!(!is_near_end(&facts, renewal(&facts) + DAY));
        assert!(!is_near_end(&facts, facts.not_after - 14 * DAY - Duration::from_secs(1)));
        assert!(is_near_end(&facts, facts.not_after - 14 * DAY));
        assert!(is_near_end(&facts, facts.not_after + DAY));
    }

    #[test]
    fn certificates_of_minutes_are_renewed_in_time_and_not_all_the_time() {
        let minute = facts(Duration::from_secs(60));
        assert_eq!(renewal(&minute), minute.not_before + Duration::from_secs(40));
        assert!(!is_near_end(&minute, renewal(&minute)));
        let none = facts(Duration::ZERO);
        assert_eq!(renewal(&none), none.not_before + LEAST);
    }

    #[test]
    fn failures_back_off_with_jitter_and_not_for_ever() {
        let pauses = |kind, random| (1..=40).map(|n| pause(n, kind, random).as_secs()).collect::<Vec<_>>();
        assert_eq!(pauses(Failure::Refused, 500).get(..4), Some(&[60, 120, 240, 480][..]));
        assert_eq!(pauses(Failure::Away, 500).get(..4), Some(&[5, 10, 20, 40][..]));
        for random in [0, 1, 499, 999, 1000, u32::MAX] {
            for kind in [Failure::Refused, Failure::Away] {
                for (n, seconds) in pauses(kind, random).into_iter().enumerate() {
                    let plain = pauses(kind, 500)[n];
                    assert!(
                        seconds * 4 >= plain * 3 - 4 && seconds * 4 <= plain * 5 + 4,
                        "{n}: {seconds} of {plain}"
                    );
                }
            }
        }
        assert_eq!(pause(u32::MAX, Failure::Refused, 500), LONGEST);
    }
}
