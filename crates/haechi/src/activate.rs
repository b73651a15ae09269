//! `haechi activate`: serve what is on disk now.

use std::process::ExitCode;

use clap::Args;
use haechi_control::{Activation, api};

use crate::output::{Failure, line};
use crate::{Target, converse};

/// Have the running gateway serve the configuration as it is on disk now.
#[derive(Debug, Args)]
pub(crate) struct Activate {
    #[command(flatten)]
    target: Target,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl Activate {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.target.client()?;
        let request = api::Activate { why: self.why };
        let activation: Activation = converse(client.post("/v1/activate", &request))?;
        line(&format!("{} {}", activation.outcome, activation.digest))?;
        Ok(ExitCode::SUCCESS)
    }
}
