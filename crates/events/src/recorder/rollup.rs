//! Refusals summed up: one line for many that are the same.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::event::{Event, Outcome};
use crate::text::Text;

/// Sources and reasons that are told apart between two looks of the writer (20 ms): an attack from more addresses than that is
/// told by its reasons alone.
const SOURCES: usize = 1024;
/// Reasons that are told apart when there are too many sources. Reasons are words of the program; the bound holds even if not.
const REASONS: usize = 256;

/// Refusals beyond what a worker's queues hold: a count for each source and reason.
#[derive(Default)]
pub(super) struct Rollups(HashMap<Same, Box<Event>>);

/// What makes two refusals the same.
#[derive(PartialEq, Eq, Hash)]
struct Same {
    client: Option<IpAddr>,
    api: Text,
    reason: Text,
    outcome: Outcome,
}

// === impl Rollups ===

impl Rollups {
    /// Adds a refusal to those that are the same. The first of them is kept as their example.
    pub(super) fn add(&mut self, event: Box<Event>) {
        let same = Same {
            client: event.client,
            api: event.api.clone(),
            reason: event.reason.clone(),
            outcome: event.outcome,
        };
        let Err(event) = self.try_add(same, event, SOURCES) else { return };
        let others =
            Same { client: None, api: Text::EMPTY, reason: event.reason.clone(), outcome: event.outcome };
        // An example would say of one caller what holds for many.
        let event = Box::new(Event {
            id: event.id,
            time_us: event.time_us,
            outcome: event.outcome,
            weight: event.weight,
            worker: event.worker,
            decided_by: event.decided_by.clone(),
            reason: event.reason.clone(),
            snapshot: event.snapshot.clone(),
            ..Event::default()
        });
        let Err(mut event) = self.try_add(others, event, SOURCES + REASONS) else { return };
        (event.decided_by, event.reason) = (Text::EMPTY, Text::EMPTY);
        let rest = Same { client: None, api: Text::EMPTY, reason: Text::EMPTY, outcome: event.outcome };
        // One for each outcome.
        let _ = self.try_add(rest, event, usize::MAX);
    }

    /// Those summed up, in no order.
    pub(super) fn into_events(self) -> impl Iterator<Item = Box<Event>> {
        self.0.into_values()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn try_add(&mut self, same: Same, event: Box<Event>, limit: usize) -> Result<(), Box<Event>> {
        if let Some(known) = self.0.get_mut(&same) {
            known.weight = known.weight.saturating_add(event.weight);
            return Ok(());
        }
        if self.0.len() >= limit {
            return Err(event);
        }
        self.0.insert(same, event);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn refusal(client: u32, reason: &str) -> Box<Event> {
        Box::new(Event {
            outcome: Outcome::Refused,
            weight: 1,
            client: Some(Ipv4Addr::from(client).into()),
            path: "/orders".into(),
            subject: "k1".into(),
            reason: reason.to_owned().into(),
            ..Event::default()
        })
    }

    #[test]
    fn the_same_refusal_is_counted_and_its_first_kept() {
        let mut rollups = Rollups::default();
        for client in [1, 2, 1, 1] {
            rollups.add(refusal(client, "key-revoked"));
        }
        rollups.add(refusal(1, "key-unknown"));
        let mut weights: Vec<_> = rollups
            .into_events()
            .map(|event| (event.client, event.reason.to_string(), event.weight))
            .collect();
        weights.sort();
        let client = |number: u32| Some(Ipv4Addr::from(number).into());
        assert_eq!(
            weights,
            [
                (client(1), "key-revoked".to_owned(), 3),
                (client(1), "key-unknown".to_owned(), 1),
                (client(2), "key-revoked".to_owned(), 1)
            ]
        );
    }

    #[test]
    fn too_many_sources_are_told_by_their_reason_alone_and_too_many_reasons_not_at_all() {
        let mut rollups = Rollups::default();
        let sources = u32::try_from(SOURCES).expect("small");
        for client in 0..sources + 10 {
            rollups.add(refusal(client, "key-revoked"));
        }
        assert_eq!(rollups.0.len(), SOURCES + 1);
        for number in 0..2 * REASONS {
            rollups.add(refusal(u32::MAX, &format!("reason-{number}")));
        }
        assert_eq!(rollups.0.len(), SOURCES + REASONS + 1);
        let events: Vec<_> = rollups.into_events().collect();
        assert_eq!(events.iter().map(|event| event.weight).sum::<u64>(), u64::from(sources) + 10 + 512);
        let others =
            |reason: &str| events.iter().find(|event| event.client.is_none() && event.reason == reason);
        let revoked = others("key-revoked").expect("summed up");
        assert_eq!((revoked.weight, &revoked.path, &revoked.subject), (10, &Text::EMPTY, &Text::EMPTY));
        assert_eq!(others("").expect("the rest").weight, 512 - (REASONS as u64 - 1));
    }
}
