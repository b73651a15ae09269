//! `haechi events`: look at events.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use haechi_events::{Event, Kind};

use crate::output::{Failure, Format, line};
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
}

impl Events {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let Verb::Tail { target, lines, follow, refused, format } = self.verb;
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
