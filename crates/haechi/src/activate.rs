//! `haechi activate`: take a change one step further.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use haechi_control::{Activation, Client, ClientError, GuardStatus, Status, api};

use crate::history::shown_changes;
use crate::output::{Failure, Format, json, line};
use crate::{Target, converse};

/// How often `--wait` asks.
const ASK: Duration = Duration::from_millis(250);

/// Serve the configuration as it is on disk now, or take the candidate one step further.
///
/// The way of a careful change: `--stage staging` makes a candidate that listeners with `stage: staging` serve; `--stage canary=5%` gives
/// it a share of the requests; then a larger share; then `haechi activate`, which gives it all of them. It is the same candidate all the
/// way, though files may have changed meanwhile. The gateway takes it back by itself if it is worse than production.
///
/// Exit codes with --wait: 0 if it holds, 4 if it was rolled back, 5 if it is worse and `activation.guard.mode` is `observe`.
#[derive(Debug, Args)]
pub(crate) struct Activate {
    #[command(flatten)]
    target: Target,
    /// How far: `staging`, `canary=5%`, or `production`
    #[arg(long, value_name = "STAGE", default_value = "production")]
    stage: String,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Another configuration than the one the gateway runs with
    #[arg(long, value_name = "FILE")]
    candidate: Option<PathBuf>,
    /// Do not take it back by itself: for changes that refuse more on purpose
    #[arg(long)]
    no_guard: bool,
    /// Wait until the guard has seen enough of it
    #[arg(long)]
    wait: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Activate {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.target.client()?;
        let file = self.candidate.map(std::path::absolute).transpose()?;
        let request =
            api::Activate { stage: Some(self.stage), why: self.why, file, guard: Some(!self.no_guard) };
        let activation: Activation = converse(client.post("/v1/activate", &request))?;
        if self.format == Format::Table {
            line(&format!("{} {} in {}", activation.outcome, activation.digest, activation.stage))?;
            shown_changes(&activation, 20)?;
            if !activation.note.is_empty() {
                eprintln!("note: {}", activation.note);
            }
        }
        let guard = if self.wait && activation.id != 0 { Some(wait(&client, activation.id)?) } else { None };
        match (self.format, &guard) {
            (Format::Json, Some(guard)) => {
                json(&serde_json::json!({ "activation": activation, "guard": guard }))?;
            }
            (Format::Json, None) => json(&activation)?,
            (Format::Table, Some(guard)) => line(&told(guard))?,
            (Format::Table, None) => {}
        }
        Ok(match guard.as_ref().map(|guard| guard.state.as_str()) {
            Some("rolled-back") => ExitCode::from(4),
            Some("worse") => ExitCode::from(5),
            _ => ExitCode::SUCCESS,
        })
    }
}

/// Waits for what the guard says of an activation.
fn wait(client: &Client, id: i64) -> Result<GuardStatus, Failure> {
    converse(async {
        loop {
            let status: Status = client.get("/v1/status").await?;
            match status.guard {
                Some(guard) if guard.activation == id && guard.state != "watching" => return Ok(guard),
                Some(guard) if guard.activation == id => {}
                _ => {
                    let message = "another change has taken its place".to_owned();
                    return Err(ClientError::Broken(message));
                }
            }
            tokio::time::sleep(ASK).await;
        }
    })
}

fn told(guard: &GuardStatus) -> String {
    match guard.state.as_str() {
        "held" => "held: as good as what was there".to_owned(),
        "rolled-back" => format!("ROLLED BACK: {}", guard.message),
        "worse" => format!("worse than what was there: {}", guard.message),
        state => format!("guard {state}: {}", guard.message),
    }
}
