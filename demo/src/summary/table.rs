//! The summary for a terminal.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::{Legitimate, LineSummary, Summary, Upstreams};

/// Columns that are filled where nobody says how many there are.
const WIDTH: u16 = 100;

// === impl Summary ===

impl Summary {
    /// For a terminal of so many columns.
    pub fn to_table(&self, columns: Option<u16>) -> String {
        let width = columns.unwrap_or(WIDTH).clamp(60, 160);
        let Legitimate { sent, expected, refused, errors } = self.legitimate;
        let pages: u64 = self.channels.values().map(|channel| channel.pages).sum();
        let latency = self.latency_us;
        [
            lines(&self.channels, "channel", width),
            lines(&self.services, "service", width),
            self.gateway(width),
            self.attacks(width),
            format!(
                " customers: {sent} calls ({} for pages), {expected} errors of their own, {refused} refused, {errors} failed\n \
                 half answered within {}, 99 of 100 within {}",
                percent(pages, sent),
                millis(latency.p50),
                millis(latency.p99)
            ) + &self.upstreams(),
        ]
        .into_iter()
        .filter(|block| !block.is_empty())
        .map(|block| format!("\n{block}\n"))
        .collect::<Vec<_>>()
        .concat()
    }

    /// What the gateway says of the channels.
    fn gateway(&self, width: u16) -> String {
        let Some(channels) = &self.gateway else { return String::new() };
        let mut table = table(width, &["seen by the gateway", "requests", "API", "pages", "refused"]);
        for (name, channel) in channels {
            table.add_row([
                Cell::new(name),
                number(channel.requests),
                number(percent(channel.api, channel.requests)),
                number(percent(channel.pages, channel.requests)),
                number(channel.refused),
            ]);
        }
        text(&table)
    }

    /// What failed behind the gateway.
    fn upstreams(&self) -> String {
        self.upstreams.map_or_else(String::new, |Upstreams { away, retried }| {
            format!(
                "\n one of two instances of the stores was away {away} times; calls sent once more: {retried}"
            )
        })
    }

    fn attacks(&self, width: u16) -> String {
        let mut table =
            table(width, &["attack", "tries", "blocked", "reached", "", "what the attacker wants"]);
        for (family, attack) in &self.attacks {
            table.add_row([
                Cell::new(family),
                number(attack.sent),
                number(attack.blocked),
                number(attack.succeeded),
                Cell::new(if attack.met { "held" } else { "BREACHED" }),
                Cell::new(attack.goal),
            ]);
        }
        text(&table)
    }
}

fn lines(lines: &BTreeMap<String, LineSummary>, what: &str, width: u16) -> String {
    let mut table = table(width, &[what, "calls", "pages", "own errors", "refused", "failed", "p50", "p99"]);
    for (name, line) in lines {
        table.add_row([
            Cell::new(name),
            number(line.sent),
            number(percent(line.pages, line.sent)),
            number(line.expected),
            number(line.refused),
            number(line.errors),
            number(millis(line.latency_us.p50)),
            number(millis(line.latency_us.p99)),
        ]);
    }
    text(&table)
}

fn table(width: u16, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let header = header.iter().enumerate().map(|(index, name)| {
        let words = index == 0 || name.starts_with("what");
        Cell::new(name).set_alignment(if words { CellAlignment::Left } else { CellAlignment::Right })
    });
    table.set_header(header);
    table
}

fn number(number: impl ToString) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}

fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A time; a dash for none.
pub(crate) fn millis(micros: u64) -> String {
    if micros == 0 { "-".to_owned() } else { format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10) }
}

/// A share, rounded to whole percent; a dash for nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if part == 0 { "-".to_owned() } else { format!("{} %", (part * 200 + whole) / (whole * 2).max(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded() {
        let shares =
            [(0, 0), (0, 9), (1, 2), (1, 3), (2, 3), (9, 9)].map(|(part, whole)| percent(part, whole));
        assert_eq!(shares, ["-", "-", "50 %", "33 %", "67 %", "100 %"]);
    }

    #[test]
    fn where_nobody_waited_there_is_no_time() {
        assert_eq!([0, 9, 10, 1_230].map(millis), ["-", "0.00 ms", "0.01 ms", "1.23 ms"]);
    }
}
