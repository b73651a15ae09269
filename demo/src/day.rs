//! The shop's day, which is short: a minute, or the whole show if that is shorter. Channels are busy at their hours.

use std::time::{Duration, Instant};

/// Longest day.
const LONGEST: Duration = Duration::from_mins(1);
/// When the show begins: half of the first day lies before midnight, and the partner's night comes in it.
const OPENS: f64 = 10.0;

/// Where the day is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Day {
    began: Instant,
    length: Duration,
}

/// How busy a channel is at each hour, in percent of its usual pace; nobody comes at 0.
pub(crate) type Hours = [u16; 24];

/// Busy at lunch and dinner.
pub(crate) const MEALS: Hours = hours(60, &[(1, 6, 25), (11, 14, 130), (17, 21, 150)]);
/// On the sofa.
pub(crate) const EVENINGS: Hours = hours(50, &[(2, 7, 25), (17, 24, 150)]);
/// On the way.
pub(crate) const DAYTIME: Hours = hours(30, &[(7, 10, 120), (11, 14, 130), (17, 19, 130)]);
/// While the stores are open.
pub(crate) const OPENING: Hours = hours(0, &[(9, 24, 100)]);
/// At night.
pub(crate) const NIGHTS: Hours = hours(0, &[(1, 5, 100)]);

/// `usual`, but from one hour to another something else.
const fn hours(usual: u16, exceptions: &[(usize, usize, u16)]) -> Hours {
    let mut hours = [usual; 24];
    let mut index = 0;
    while index < exceptions.len() {
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        let (mut hour, until, pace) = exceptions[index];
        while hour < until {
            #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
            let slot = &mut hours[hour];
            *slot = pace;
            hour += 1;
        }
        index += 1;
    }
    hours
}

// === impl Day ===

impl Day {
    pub(crate) fn new(began: Instant, show: Option<Duration>) -> Self {
        let length = show.unwrap_or(LONGEST).clamp(Duration::from_secs(1), LONGEST);
        Self { began, length }
    }

    /// The hour, 0 to 24.
    pub(crate) fn hour(&self, now: Instant) -> f64 {
        let days = now.duration_since(self.began).as_secs_f64() / self.length.as_secs_f64();
        (OPENS + days * 24.0) % 24.0
    }

    /// How busy a channel is, in percent.
    pub(crate) fn pace(&self, hours: &Hours, now: Instant) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 24")]
        let hour = self.hour(now) as usize;
        u64::from(hours.get(hour).copied().unwrap_or_default())
    }

    /// The hour as a clock shows it.
    pub(crate) fn clock(&self, now: Instant) -> String {
        let hour = self.hour(now);
        format!("{:02}:{:02}", hour.floor(), (hour.fract() * 60.0).floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hour_comes_in_a_day_however_short() {
        let began = Instant::now();
        for (show, length) in [(Some(15), 15.0), (Some(60), 60.0), (Some(3_600), 60.0), (None, 60.0)] {
            let day = Day::new(began, show.map(Duration::from_secs));
            let at = |share: f64| began + Duration::from_secs_f64(length * share + 0.001);
            assert_eq!(day.clock(began), "10:00");
            assert_eq!(day.clock(at(0.5)).split(':').next(), Some("22"), "{show:?}");
            assert_eq!(day.pace(&NIGHTS, at(0.5)), 0);
            assert_eq!(day.pace(&NIGHTS, at(16.0 / 24.0)), 100, "{show:?}");
            assert_eq!(day.pace(&OPENING, at(16.0 / 24.0)), 0);
            assert_eq!(day.clock(at(1.0)).split(':').next(), Some("10"), "{show:?}");
        }
    }
}
