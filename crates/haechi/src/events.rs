//! `haechi events`: look at events.

use std::process::ExitCode;

use std::time::Duration;

use clap::{Args, Subcommand};
use haechi_events::{Column, Counts, Event, Kind};

use crate::keys::duration;
use crate::output::{Failure, Format, json, line, table};
use crate::{Target, converse};

/// Look at events.
#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the last events, one a line
    Tail {
        #[command(flatten)]
        target: Target,
        /// How many
        #[arg(long, short = 'n', default_value_t = 20)]
        lines: usize,
        /// Go on with those that come
        #[arg(long, short)]
        follow: bool,
        /// Only what was refused or failed
        #[arg(long)]
        refused: bool,
        /// How they are printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Count requests by what they have in common
    Count {
        #[command(flatten)]
        target: Target,
        /// Columns, with commas between them: `channel`, `traffic`, `api`, `operation`, `status`, `outcome`, `stage` …
        #[arg(long, default_value = "channel,traffic", value_delimiter = ',', value_name = "COLUMNS")]
        by: Vec<Column>,
        /// Of how long
        #[arg(long, value_parser = duration, default_value = "1h", value_name = "TIME")]
        since: Duration,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Events {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Tail { target, lines, follow, refused, format } => {
                tail(&target, lines, follow, refused, format)
            }
            Verb::Count { target, by, since, format } => count(&target, &by, since, format),
        }
    }
}

fn count(target: &Target, by: &[Column], since: Duration, format: Format) -> Result<ExitCode, Failure> {
    let names: Vec<_> = by.iter().map(|column| column.name()).collect();
    let path = format!("/v1/events/count?by={}&since={}", names.join(","), since.as_secs());
    let counts: Counts = converse(target.client()?.get(&path))?;
    match format {
        Format::Json => json(&counts)?,
        Format::Table => counted(&names, &counts)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A row for each group, with its share of all.
fn counted(names: &[&str], counts: &Counts) -> Result<(), Failure> {
    let share = |count: u64| {
        let tenths =
            (u128::from(count) * 1000 + u128::from(counts.total) / 2) / u128::from(counts.total.max(1));
        format!("{}.{} %", tenths / 10, tenths % 10)
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for group in &counts.groups {
        let mut row: Vec<_> = group.values.iter().map(|value| or_dash(value)).collect();
        let numbers = [
            group.count.to_string(),
            share(group.count),
            group.refused.to_string(),
            group.failed.to_string(),
        ];
        row.extend(numbers);
        rows.push(row);
    }
    if counts.others > 0 {
        let mut row = vec!["(others)".to_owned()];
        row.resize(names.len(), String::new());
        row.extend([counts.others.to_string(), share(counts.others)]);
        rows.push(row);
    }
    let head: Vec<_> = names.iter().copied().chain(["requests", "share", "refused", "failed"]).collect();
    table(&head, rows, "no request is recorded in this time")
}

fn or_dash(value: &str) -> String {
    if value.is_empty() {
        "-".to_owned()
    } else {
        value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }
}

fn tail(
    target: &Target,
    lines: usize,
    follow: bool,
    refused: bool,
    format: Format,
) -> Result<ExitCode, Failure> {
    let client = target.client()?;
    let path = format!("/v1/events?lines={lines}&follow={follow}");
    converse(async {
        let mut events = client.follow(&path).await?;
        while let Some(event) = events.next::<serde_json::Value>().await? {
            if refused && event.get("outcome").is_some_and(|outcome| outcome == "forwarded") {
                continue;
            }
            let text = match format {
                Format::Json => event.to_string(),
                Format::Table => {
                    serde_json::from_value(event).map_or_else(|_| String::new(), |event| shown(&event))
                }
            };
            if line(&text).is_err() {
                break;
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

/// One line: when, what became of it, the call, who, why, the id.
fn shown(event: &Event) -> String {
    let seconds = event.time_us / 1_000_000 % 86_400;
    let time = format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        event.time_us / 1000 % 1000
    );
    let text = if event.kind == Kind::Control {
        format!("{time} control   {} {} by {}", event.action, event.object, event.actor)
    } else {
        let caller = match (event.subject.as_str(), event.client) {
            ("", Some(client)) => client.to_string(),
            ("", None) => "-".to_owned(),
            (subject, _) => format!("{}:{subject}", event.identity),
        };
        let why = match (event.decided_by.as_str(), event.reason.as_str()) {
            ("", _) => String::new(),
            (guard, reason) => format!(" {guard}:{reason}"),
        };
        let call =
            if event.method.is_empty() { "-".to_owned() } else { format!("{} {}", event.method, event.path) };
        format!(
            "{time} {:<9} {:>3} {:>7} µs {call} {caller}{why} {}",
            event.outcome.as_str(),
            event.status,
            event.duration_us,
            event.id
        )
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
