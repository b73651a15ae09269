//! `haechi plan`: what changes in meaning.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use haechi_config::Config;
use haechi_config::plan::{OperationView, Operations, diff};
use haechi_contract::{Contract, Limits};

use crate::output::{Failure, Format, json, table};

/// Tell what changes in meaning.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The configuration as it was
    old: PathBuf,
    /// The configuration as it is to be
    new: PathBuf,
    /// How changes are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Plan {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let (old, new) = (load(&self.old)?, load(&self.new)?);
        let changes = diff((&old.0, &old.1), (&new.0, &new.1));
        match self.format {
            Format::Json => json(&changes)?,
            Format::Table => {
                let rows = changes.iter().map(|change| {
                    let place = match (&change.api, &change.operation) {
                        (Some(api), Some(operation)) => format!("{api}.{operation}"),
                        (Some(api), None) => api.clone(),
                        _ => String::new(),
                    };
                    vec![
                        change.effect.as_str().to_owned(),
                        change.kind.to_owned(),
                        place,
                        change.message.clone(),
                    ]
                });
                table(&["effect", "what", "where", "change"], rows.collect(), "no change in meaning")?;
            }
        }
        Ok(if changes.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }
}

fn load(path: &Path) -> Result<(Config, Operations), Failure> {
    let config = Config::load(path)?;
    let mut operations = Operations::new();
    for (name, api) in &config.apis {
        let contract = Contract::load(&api.openapi, &Limits::default())
            .map_err(|error| Failure::new(error.to_string()))?;
        let base =
            api.base_path.as_deref().unwrap_or_else(|| contract.base_path()).trim_end_matches('/').to_owned();
        let view = |operation: &std::sync::Arc<haechi_contract::Operation>| OperationView {
            id: operation.id().as_str().to_owned(),
            method: operation.method().to_string(),
            path: format!("{base}{}", operation.template()),
        };
        operations.insert(name.clone(), contract.operations().iter().map(view).collect());
    }
    Ok((config, operations))
}
