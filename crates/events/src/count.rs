//! How many events there are of each kind: kept events summed up by columns.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Kind};

/// Most groups that are told apart; what belongs to further ones is summed up. Some columns hold what callers choose.
pub const GROUPS: usize = 10_000;

/// A column that events can be grouped by.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    name: &'static str,
    read: fn(&Event) -> String,
}

/// No column has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownColumn(String);

/// Counts requests by columns, in memory that does not grow with their number.
#[derive(Debug)]
pub struct Counter {
    by: Vec<Column>,
    most: usize,
    groups: HashMap<Vec<String>, Sums>,
    others: Sums,
}

/// Requests by columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The columns.
    pub by: Vec<String>,
    /// All requests.
    pub total: u64,
    /// The groups, the largest first.
    pub groups: Vec<Group>,
    /// Requests of groups beyond [`GROUPS`].
    pub others: u64,
}

/// Requests that are alike in the columns asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The values of the columns; empty where an event has none.
    pub values: Vec<String>,
    /// Requests, those included that events stand for (`weight`).
    pub count: u64,
    /// Of those, the ones that the gateway refused.
    pub refused: u64,
    /// Of those, the ones that could not be served.
    pub failed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: u64,
    refused: u64,
    failed: u64,
}

macro_rules! columns {
    ($($name:literal => $read:expr),* $(,)?) => {
        /// Every column that events can be grouped by, by name.
        const COLUMNS: &[Column] = &[$(Column { name: $name, read: $read }),*];
    };
}

columns! {
    "api" => |event| event.api.as_str().to_owned(),
    "asn" => |event| if event.asn == 0 { String::new() } else { event.asn.to_string() },
    "attempts" => |event| event.attempts.to_string(),
    "channel" => |event| event.channel.as_str().to_owned(),
    "client" => |event| event.client.map_or_else(String::new, |client| client.to_string()),
    "client_id" => |event| event.client_id.as_str().to_owned(),
    "collection" => |event| event.collection.as_str().to_owned(),
    "country" => |event| event.country.as_str().to_owned(),
    "decided_by" => |event| event.decided_by.as_str().to_owned(),
    "host" => |event| event.host.as_str().to_owned(),
    "http_version" => |event| event.http_version.as_str().to_owned(),
    "identity" => |event| event.identity.as_str().to_owned(),
    "listener" => |event| event.listener.as_str().to_owned(),
    "method" => |event| event.method.as_str().to_owned(),
    "operation" => |event| event.operation.as_str().to_owned(),
    "outcome" => |event| event.outcome.as_str().to_owned(),
    "protocol" => |event| event.protocol.as_str().to_owned(),
    "reason" => |event| event.reason.as_str().to_owned(),
    "snapshot" => |event| event.snapshot.as_str().to_owned(),
    "split" => |event| event.split.as_str().to_owned(),
    "stage" => |event| event.stage.as_str().to_owned(),
    "status" => |event| event.status.to_string(),
    "tls_group" => |event| event.tls_group.as_str().to_owned(),
    "tls_version" => |event| event.tls_version.as_str().to_owned(),
    "traffic" => |event| event.traffic.as_str().to_owned(),
    "upstream" => |event| event.upstream.as_str().to_owned(),
    "user_agent" => |event| event.user_agent.as_str().to_owned(),
}

// === impl Column ===

impl Column {
    /// Its name in events.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The names of all, with commas between them.
    pub fn names() -> String {
        COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }
}

impl FromStr for Column {
    type Err = UnknownColumn;

    fn from_str(text: &str) -> Result<Self, UnknownColumn> {
        COLUMNS
            .iter()
            .find(|column| column.name == text)
            .copied()
            .ok_or_else(|| UnknownColumn(text.to_owned()))
    }
}

// === impl Counter ===

impl Counter {
    /// Counts by these columns.
    pub fn new(by: Vec<Column>) -> Self {
        Self { by, most: GROUPS, groups: HashMap::new(), others: Sums::default() }
    }

    /// Counts an event, if it is a request's.
    pub fn add(&mut self, event: &Event) {
        if event.kind != Kind::Request {
            return;
        }
        let values: Vec<_> = self.by.iter().map(|column| (column.read)(event)).collect();
        let is_room = self.groups.len() < self.most;
        let sums = match self.groups.entry(values) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if is_room => new.insert(Sums::default()),
            Entry::Vacant(_) => &mut self.others,
        };
        sums.add(event);
    }

    /// What was counted.
    pub fn finish(self) -> Counts {
        let total = self.groups.values().map(|sums| sums.count).sum::<u64>() + self.others.count;
        let mut groups: Vec<_> = self
            .groups
            .into_iter()
            .map(|(values, Sums { count, refused, failed })| Group { values, count, refused, failed })
            .collect();
        groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
        let by = self.by.iter().map(|column| column.name.to_owned()).collect();
        Counts { by, total, groups, others: self.others.count }
    }
}

// === impl Sums ===

impl Sums {
    fn add(&mut self, event: &Event) {
        use crate::event::Outcome::{Failed, Refused};
        // An event always stands for itself.
        let weight = event.weight.max(1);
        self.count += weight;
        self.refused += if event.outcome == Refused { weight } else { 0 };
        self.failed += if event.outcome == Failed { weight } else { 0 };
    }
}

// === impl UnknownColumn ===

impl fmt::Display for UnknownColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events are not counted by `{}`; the columns are {}", self.0, Column::names())
    }
}

impl std::error::Error for UnknownColumn {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Outcome;

    fn event(channel: &'static str, traffic: &'static str, weight: u64, outcome: Outcome) -> Event {
        Event { channel: channel.into(), traffic: traffic.into(), weight, outcome, ..Event::default() }
    }

    fn by(names: &[&str]) -> Vec<Column> {
        names.iter().map(|name| name.parse().expect("a column")).collect()
    }

    #[test]
    fn events_count_for_as_many_as_they_stand_for() {
        let mut counter = Counter::new(by(&["channel", "traffic"]));
        counter.add(&event("web", "page", 1, Outcome::Forwarded));
        counter.add(&event("web", "page", 4, Outcome::Refused));
        counter.add(&event("web", "api", 2, Outcome::Failed));
        counter.add(&Event { kind: Kind::Control, ..event("web", "api", 9, Outcome::Forwarded) });
        let counts = counter.finish();
        assert_eq!((counts.total, counts.others), (7, 0));
        let group = |values: [&str; 2], count, refused, failed| Group {
            values: values.map(str::to_owned).to_vec(),
            count,
            refused,
            failed,
        };
        assert_eq!(counts.groups, [group(["web", "page"], 5, 4, 0), group(["web", "api"], 2, 0, 2)]);
    }

    #[test]
    fn groups_are_bounded_and_none_is_lost() {
        let mut counter = Counter { most: 3, ..Counter::new(by(&["status"])) };
        for status in [200, 200, 201, 202, 203, 204, 200] {
            counter.add(&Event { status, weight: 1, ..Event::default() });
        }
        let counts = counter.finish();
        assert_eq!((counts.total, counts.groups.len(), counts.others), (7, 3, 2));
        assert_eq!(
            counts.groups[0],
            Group { values: vec!["200".to_owned()], count: 3, refused: 0, failed: 0 }
        );
    }

    #[test]
    fn every_column_is_one_of_the_events_own() {
        // Each column that is filled is written under its name, so that what is counted is what `events tail` shows.
        let written = serde_json::to_value(Event::default()).expect("JSON");
        let source = include_str!("event.rs");
        for column in COLUMNS {
            assert!(
                written.get(column.name).is_some() || source.contains(&format!("pub {}: ", column.name)),
                "{}",
                column.name
            );
        }
        assert!("colour".parse::<Column>().expect_err("unknown").to_string().contains("channel"));
    }
}
