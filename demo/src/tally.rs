//! What was sent and what came of it, counted while it happens.

mod histogram;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::attacks::Family;
use crate::shop::{PAGES, service_of};

pub(crate) use histogram::Histogram;

/// Everything that is counted. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Clone, Default)]
pub(crate) struct Counts {
    pub(crate) channels: BTreeMap<&'static str, Line>,
    pub(crate) services: BTreeMap<String, Line>,
    pub(crate) attacks: BTreeMap<Family, Attack>,
    /// How long customers waited, all together.
    pub(crate) latencies: Histogram,
    /// What went wrong for customers, the first few times.
    pub(crate) complaints: Vec<String>,
}

/// The calls of one legitimate channel, or to one service.
#[derive(Clone, Default)]
pub(crate) struct Line {
    pub(crate) sent: u64,
    /// Calls for web pages and what belongs to them.
    pub(crate) pages: u64,
    /// Errors that belong to the channel's habits: a slip of the finger, a token that has expired, a lost connection.
    pub(crate) expected: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
    pub(crate) latencies: Histogram,
}

/// One family of attacks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Attack {
    pub(crate) sent: u64,
    pub(crate) blocked: u64,
}

/// How a call ended for the customer.
#[derive(Debug)]
pub(crate) enum End {
    /// As it should.
    Right,
    /// With an error that belongs to the channel's habits.
    Expected,
    /// Refused though nothing was wrong.
    Refused(String),
    /// No answer, or not the right one.
    Wrong(String),
}

/// Complaints that are kept.
const COMPLAINTS: usize = 10;

// === impl Tally ===

impl Tally {
    /// Counts a call of a channel; `took` if it was answered.
    pub(crate) fn called(&self, channel: &'static str, path: &str, took: Option<Duration>, end: End) {
        let service = service_of(path);
        let mut counts = self.lock();
        let counts = &mut *counts;
        if let Some(took) = took {
            counts.latencies.add(took);
        }
        if !counts.services.contains_key(service) {
            counts.services.insert(service.to_owned(), Line::default());
        }
        let lines = [Some(counts.channels.entry(channel).or_default()), counts.services.get_mut(service)];
        for line in lines.into_iter().flatten() {
            line.count(service == PAGES, took, &end);
        }
        if let End::Refused(text) | End::Wrong(text) = end
            && counts.complaints.len() < COMPLAINTS
        {
            counts.complaints.push(format!("{channel}: {text}"));
        }
    }

    pub(crate) fn attacked(&self, family: Family, blocked: bool) {
        let mut counts = self.lock();
        let count = counts.attacks.entry(family).or_default();
        count.sent += 1;
        count.blocked += u64::from(blocked);
    }

    /// All counts as they are now.
    pub(crate) fn snapshot(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Line ===

impl Line {
    fn count(&mut self, page: bool, took: Option<Duration>, end: &End) {
        self.sent += 1;
        self.pages += u64::from(page);
        if let Some(took) = took {
            self.latencies.add(took);
        }
        match end {
            End::Right => {}
            End::Expected => self.expected += 1,
            End::Refused(_) => self.refused += 1,
            End::Wrong(_) => self.errors += 1,
        }
    }

    /// Calls that somebody complained about.
    pub(crate) fn complaints(&self) -> u64 {
        self.refused + self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_for_its_channel_and_its_service() {
        let tally = Tally::default();
        let took = Some(Duration::from_millis(1));
        tally.called("web", "/menu/pizzas?q=B", took, End::Right);
        tally.called("web", "/track?order=1", took, End::Right);
        tally.called("watch", "/orders/", None, End::Expected);
        tally.called("watch", "/orders/7", took, End::Wrong("lost".to_owned()));
        let counts = tally.snapshot();
        let of = |line: &Line| (line.sent, line.pages, line.expected, line.complaints());
        assert_eq!(of(&counts.channels["web"]), (2, 1, 0, 0));
        assert_eq!(of(&counts.channels["watch"]), (2, 0, 1, 1));
        assert_eq!(of(&counts.services["orders"]), (2, 0, 1, 1));
        assert_eq!(of(&counts.services["pages"]), (1, 1, 0, 0));
        assert_eq!(counts.complaints, ["watch: lost"]);
    }
}
