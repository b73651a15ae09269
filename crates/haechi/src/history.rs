//! `haechi history`: who changed what, when and why, and what became of it.

use std::process::ExitCode;

use clap::Args;
use haechi_control::Activation;

use crate::output::{Failure, Format, json, line, table};
use crate::{Target, converse};

/// Tell who changed what, when and why, and what became of it.
#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    target: Target,
    /// How many decisions, the newest first
    #[arg(long, short = 'n', default_value_t = 20)]
    lines: u32,
    /// Show every change in meaning, not their number
    #[arg(long)]
    changes: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl History {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.target.client()?;
        let list: Vec<Activation> = converse(client.get(&format!("/v1/activations?limit={}", self.lines)))?;
        match self.format {
            Format::Json => json(&list)?,
            Format::Table if self.changes => {
                for activation in &list {
                    let Activation { id, at, who, why, stage, outcome, digest, .. } = activation;
                    line(&format!("{id} {at} {outcome} {digest} in {stage} by {who}: {why}"))?;
                    for text in activation.message.lines() {
                        line(&format!("  {text}"))?;
                    }
                    shown_changes(activation, usize::MAX)?;
                }
            }
            Format::Table => {
                let rows = list.iter().map(|activation| {
                    let first = activation.message.lines().next().unwrap_or_default();
                    let what = match (first, activation.changes.len()) {
                        ("", 0) => String::new(),
                        ("", 1) => "1 change".to_owned(),
                        ("", count) => format!("{count} changes"),
                        (message, _) => message.to_owned(),
                    };
                    vec![
                        activation.id.to_string(),
                        activation.at.clone(),
                        activation.stage.clone(),
                        activation.outcome.clone(),
                        activation.digest.clone(),
                        activation.who.clone(),
                        activation.why.clone(),
                        what,
                    ]
                });
                let head = ["id", "when", "stage", "outcome", "snapshot", "who", "why", "what"];
                table(&head, rows.collect(), "nothing was decided yet")?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What changed in meaning, at most so many lines.
pub(crate) fn shown_changes(activation: &Activation, most: usize) -> Result<(), Failure> {
    for change in activation.changes.iter().take(most) {
        let place = match (&change.api, &change.operation) {
            (Some(api), Some(operation)) => format!("{api}.{operation}: "),
            (Some(api), None) => format!("{api}: "),
            _ => String::new(),
        };
        line(&format!("  {} {}: {place}{}", change.effect, change.kind, change.message))?;
    }
    match activation.changes.len().saturating_sub(most) {
        0 => Ok(()),
        more => line(&format!("  and {more} more: `haechi history --changes`")),
    }
}
