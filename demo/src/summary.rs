//! What came of it all.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::attacks::Family;
use crate::data::Data;
use crate::tally::Counts;

/// What came of a demo. As JSON it is the last line of `haechi demo --summary json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests sent, by customers and attackers.
    pub requests: u64,
    /// What customers met with.
    pub legitimate: Legitimate,
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
    /// Refused though nothing was wrong.
    pub refused: u64,
    /// Not answered, or not rightly.
    pub errors: u64,
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
    pub(crate) fn new(counts: &Counts, families: &[Family], data: &Data) -> Self {
        let mut legitimate = Legitimate { sent: 0, refused: 0, errors: 0 };
        for channel in counts.channels.values() {
            legitimate.sent += channel.sent;
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
            attacks,
            latency_us: Latency { p50: counts.latency_us(0.5), p99: counts.latency_us(0.99) },
        }
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For a terminal.
    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["attack", "sent", "blocked", "succeeded", "", "what the attacker wants"]);
        for (family, attack) in &self.attacks {
            let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(family),
                number(attack.sent),
                number(attack.blocked),
                number(attack.succeeded),
                Cell::new(if attack.met { "held" } else { "BREACHED" }),
                Cell::new(attack.goal),
            ]);
        }
        let Legitimate { sent, refused, errors } = self.legitimate;
        let table: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        let table = table.join("\n");
        format!(
            "\n{table}\n\n customers: {sent} calls, {refused} refused, {errors} failed; half answered within {}, 99 of 100 within {}",
            millis(self.latency_us.p50),
            millis(self.latency_us.p99)
        )
    }
}

pub(crate) fn millis(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}
