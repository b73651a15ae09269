//! `haechi rollback`: take a change back.

use std::process::ExitCode;

use clap::Args;
use haechi_control::{Activation, api};

use crate::history::shown_changes;
use crate::output::{Failure, Format, json, line};
use crate::{Target, converse};

/// Take the last change back: the candidate if there is one, else what serves production.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    target: Target,
    /// Serve the snapshot of this activation again (`haechi history` lists them)
    #[arg(long, value_name = "ID")]
    to: Option<i64>,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Rollback {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.target.client()?;
        let request = api::Rollback { to: self.to, why: self.why };
        let activation: Activation = converse(client.post("/v1/rollback", &request))?;
        match self.format {
            Format::Json => json(&activation)?,
            Format::Table => {
                let Activation { outcome, digest, stage, production, .. } = &activation;
                line(&format!("{outcome} {digest} ({stage}); {production} serves production"))?;
                shown_changes(&activation, 20)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
