//! What came of it all.

mod table;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::attacks::Family;
use crate::data::Data;
use crate::run::ChannelCount;
use crate::tally::{Counts, Histogram, Line};

pub(crate) use table::{millis, percent};

/// What came of a demo. As JSON it is the last line of `haechi demo --summary json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests sent, by customers and attackers.
    pub requests: u64,
    /// What customers met with.
    pub legitimate: Legitimate,
    /// The same, by channel.
    pub channels: BTreeMap<String, LineSummary>,
    /// The same, by service.
    pub services: BTreeMap<String, LineSummary>,
    /// What the gateway itself counted, by its name for the channel; `none` are those of no channel, among them all
    /// attackers. Absent where there is no gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<BTreeMap<String, GatewayCount>>,
    /// Services that failed, and what the gateway did. Absent where there is no gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstreams: Option<Upstreams>,
    /// What attackers met with, by family.
    pub attacks: BTreeMap<Family, AttackSummary>,
    /// How long customers waited.
    pub latency_us: Latency,
}

/// What customers met with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Legitimate {
    /// Calls.
    pub sent: u64,
    /// Errors that belong to the channels' habits.
    pub expected: u64,
    /// Refused though nothing was wrong.
    pub refused: u64,
    /// Not answered, or not rightly.
    pub errors: u64,
}

/// What customers met with on one channel, or at one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineSummary {
    /// Calls.
    pub sent: u64,
    /// Calls for web pages and what belongs to them; the others are for APIs.
    pub pages: u64,
    /// Errors that belong to the channels' habits.
    pub expected: u64,
    /// Refused though nothing was wrong.
    pub refused: u64,
    /// Not answered, or not rightly.
    pub errors: u64,
    /// How long they waited.
    pub latency_us: Latency,
}

/// What the gateway counted of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GatewayCount {
    /// Requests.
    pub requests: u64,
    /// Those for web pages and what belongs to them.
    pub pages: u64,
    /// Those for APIs.
    pub api: u64,
    /// Those that it refused.
    pub refused: u64,
}

/// Services that failed, and what the gateway did so that nobody noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Upstreams {
    /// How often the second instance of the stores was away.
    pub away: u64,
    /// Calls that the gateway sent once more.
    pub retried: u64,
}

/// What one family of attackers met with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttackSummary {
    /// Tries.
    pub sent: u64,
    /// Tries that were refused.
    pub blocked: u64,
    /// How often the goal was reached, as the shop's own data shows.
    pub succeeded: u64,
    /// What the attacker wants.
    pub goal: &'static str,
    /// Whether the defence held: it was attacked, and the goal was never reached.
    pub met: bool,
}

/// How long customers waited, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of them no longer than this.
    pub p50: u64,
    /// 99 of 100 no longer than this.
    pub p99: u64,
}

// === impl Summary ===

impl Summary {
    pub(crate) fn new(
        counts: &Counts,
        seen: Option<&[ChannelCount]>,
        upstreams: Option<Upstreams>,
        families: &[Family],
        data: &Data,
    ) -> Self {
        let mut legitimate = Legitimate { sent: 0, expected: 0, refused: 0, errors: 0 };
        for channel in counts.channels.values() {
            legitimate.sent += channel.sent;
            legitimate.expected += channel.expected;
            legitimate.refused += channel.refused;
            legitimate.errors += channel.errors;
        }
        let attacks: BTreeMap<_, _> = families
            .iter()
            .map(|family| {
                let count = counts.attacks.get(family).copied().unwrap_or_default();
                let succeeded = family.succeeded(data);
                let summary = AttackSummary {
                    sent: count.sent,
                    blocked: count.blocked,
                    succeeded,
                    goal: family.goal(),
                    met: count.sent > 0 && succeeded == 0,
                };
                (*family, summary)
            })
            .collect();
        Self {
            requests: legitimate.sent + attacks.values().map(|attack| attack.sent).sum::<u64>(),
            legitimate,
            channels: counts.channels.iter().map(|(name, line)| ((*name).to_owned(), line.into())).collect(),
            services: counts.services.iter().map(|(name, line)| (name.clone(), line.into())).collect(),
            gateway: seen.map(by_channel),
            upstreams,
            attacks,
            latency_us: (&counts.latencies).into(),
        }
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn by_channel(seen: &[ChannelCount]) -> BTreeMap<String, GatewayCount> {
    let mut channels: BTreeMap<String, GatewayCount> = BTreeMap::new();
    for ChannelCount { channel, traffic, outcome, count } in seen {
        let channel = channels.entry(channel.clone()).or_default();
        channel.requests += count;
        match traffic.as_str() {
            "page" => channel.pages += count,
            "api" => channel.api += count,
            _ => {}
        }
        if outcome == "refused" {
            channel.refused += count;
        }
    }
    channels
}

// === impl LineSummary ===

impl From<&Line> for LineSummary {
    fn from(line: &Line) -> Self {
        let Line { sent, pages, expected, refused, errors, ref latencies } = *line;
        Self { sent, pages, expected, refused, errors, latency_us: latencies.into() }
    }
}

// === impl Latency ===

impl From<&Histogram> for Latency {
    fn from(times: &Histogram) -> Self {
        Self { p50: times.quantile_us(0.5), p99: times.quantile_us(0.99) }
    }
}
