//! `haechi run`: the gateway, until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use haechi_control::{Options, Server, ServerError};
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{Failure, line, served, warn};

/// Run the gateway.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The configuration
    #[arg(long, default_value = "haechi.yaml", env = "HAECHI_CONFIG")]
    config: PathBuf,
    /// Listen here instead of at the first configured address
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<std::net::SocketAddr>,
    /// Serve what is on disk, even if it was rolled back or never activated
    #[arg(long)]
    fresh: bool,
}

impl Run {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let who = std::env::var("USER").unwrap_or_else(|_| "command line".to_owned());
        let options =
            Options { config: self.config, listen: self.listen, who, notices: true, fresh: self.fresh };
        let server = Server::start(&options).map_err(|error| match error {
            ServerError::Config(wrong) => Failure::from(wrong),
            other => Failure::new(other.to_string()),
        })?;
        if let Ok(config) = haechi_config::Config::load(&options.config) {
            warn(&config);
        }
        for address in server.addresses() {
            line(&format!("listening on {address}"))?;
        }
        let snapshot = server.snapshot();
        let what = served(snapshot.apis().count(), snapshot.operations(), snapshot.services().count());
        line(&format!("ready: {what}, snapshot {}", snapshot.digest))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::io::Result::Ok(())
        })?;
        eprintln!("draining; once more to stop at once");
        let stopping = std::thread::spawn(move || server.stop());
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! {
                _ = terminate.recv() => std::process::exit(130),
                _ = interrupt.recv() => std::process::exit(130),
                stopped = tokio::task::spawn_blocking(move || stopping.join()) => {
                    stopped.map_err(std::io::Error::other)?.map_err(|_| std::io::Error::other("the server ended badly"))
                }
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
