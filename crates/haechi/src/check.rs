//! `haechi check`: all that `run` would refuse, without running.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use haechi_config::{Config, Diagnostics};
use haechi_control::vet;
use haechi_edge::{Files, Lasting};

use crate::output::{Failure, Format, color, json, line, served, warn};

/// Find every mistake.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration
    #[arg(long, default_value = "haechi.yaml", env = "HAECHI_CONFIG")]
    config: PathBuf,
    /// How mistakes are printed: for people on standard error, or as JSON on standard output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Check {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let lasting = Lasting::for_check()?;
        let outcome = Config::load(&self.config).and_then(|config| {
            let snapshot = vet(&config, &lasting, &mut Files::on_disk(config.base()))?;
            warn(&config);
            Ok(snapshot)
        });
        match (outcome, self.format) {
            (Ok(snapshot), Format::Table) => {
                let what =
                    served(snapshot.apis().count(), snapshot.operations(), snapshot.services().count());
                line(&format!("{}: good, {what}", self.config.display()))?;
                Ok(ExitCode::SUCCESS)
            }
            (Ok(_), Format::Json) => json(&serde_json::json!([])).map(|()| ExitCode::SUCCESS),
            (Err(wrong), Format::Table) => {
                eprint!("{}", wrong.render(color()));
                eprintln!("{}", count(&wrong));
                Ok(ExitCode::FAILURE)
            }
            (Err(wrong), Format::Json) => json(&wrong.to_json()).map(|()| ExitCode::FAILURE),
        }
    }
}

fn count(wrong: &Diagnostics) -> String {
    match wrong.list().len() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    }
}
