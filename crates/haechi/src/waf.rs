//! `haechi waf`: rules of the web application firewall, away from any gateway: tested, measured, explained, fetched.

mod bench;
mod explain;
mod fetch;
mod request;
mod rules;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::output::Failure;

/// Test, measure and explain rules.
#[derive(Debug, Args)]
pub(crate) struct Waf {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run regression tests written for go-ftw against rules, in process (exit code 1 if any fails)
    Test(test::Test),
    /// Measure what rules cost requests
    Bench(bench::Bench),
    /// Tell rule by rule what happens to a request
    Explain(explain::Explain),
    /// Download a release of the Core Rule Set, verify its checksum and unpack it
    Fetch(fetch::Fetch),
}

impl Waf {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.verb {
            Verb::Test(verb) => verb.run(),
            Verb::Bench(verb) => verb.run(),
            Verb::Explain(verb) => verb.run(),
            Verb::Fetch(verb) => verb.run(),
        }
    }
}
