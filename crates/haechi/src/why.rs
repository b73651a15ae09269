//! `haechi why`: what happened to a request.

use std::process::ExitCode;

use clap::Args;
use haechi_control::api::Explained;

use crate::output::{Failure, Format, json, line};
use crate::{Target, converse};

/// Tell what happened to a request, and why.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The request's id: `X-Request-Id` of its response, or `instance` of its problem document
    request_id: String,
    #[command(flatten)]
    target: Target,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Why {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let id = self.request_id.trim().trim_start_matches("urn:uuid:");
        if !id.chars().all(|c| c.is_ascii_hexdigit() || c == '-') {
            return Err(Failure::new(format!("`{id}` is no request id")));
        }
        let client = self.target.client()?;
        let explained: Explained = converse(client.get(&format!("/v1/events/{id}")))?;
        match self.format {
            Format::Json => json(&explained.event)?,
            Format::Table => line(explained.explanation.trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
