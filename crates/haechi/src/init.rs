//! `haechi init`: the first configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use haechi_config::init::{InitApi, api_name, write};
use haechi_config::value::HttpUrl;
use haechi_contract::{Contract, Limits};

use crate::output::{Failure, line};

/// Write a first configuration.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// OpenAPI files (2.0, 3.0 or 3.1; YAML or JSON)
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    openapi: Vec<PathBuf>,
    /// Write to this file instead of standard output; an existing one is not overwritten
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Init {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mut apis: Vec<InitApi> = Vec::new();
        for file in &self.openapi {
            let contract =
                Contract::load(file, &Limits::default()).map_err(|error| Failure::new(error.to_string()))?;
            let taken: Vec<_> = apis.iter().map(|api| api.name.clone()).collect();
            let url = contract.servers().first().and_then(|server| HttpUrl::parse(server.url()).ok());
            apis.push(InitApi {
                name: api_name(file, &taken),
                openapi: file.display().to_string(),
                title: contract.title().to_owned(),
                operations: contract.operations().len(),
                upstream: url.map(|url| HttpUrl { path: "/".to_owned(), ..url }.to_string()),
            });
        }
        let text = write(&apis);
        match &self.output {
            None => line(text.trim_end())?,
            Some(path) => {
                use std::io::Write as _;
                let mut file = std::fs::File::create_new(path)
                    .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))?;
                file.write_all(text.as_bytes())?;
                eprintln!("wrote `{}`; next: haechi check, haechi run", path.display());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
