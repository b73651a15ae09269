//! `haechi demo`: the pizza shop.

use std::process::ExitCode;

use clap::Args;

use crate::output::Failure;

/// Run the pizza shop behind Haechi.
#[derive(Debug, Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        Err(Failure::new("not built yet"))
    }
}
