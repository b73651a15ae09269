//! `haechi schema`: a JSON Schema of `haechi.yaml`.

use std::process::ExitCode;

use crate::output::{Failure, json};

pub(crate) fn run() -> Result<ExitCode, Failure> {
    json(&haechi_config::json_schema())?;
    Ok(ExitCode::SUCCESS)
}
