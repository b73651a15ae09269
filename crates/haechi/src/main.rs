//! The command line: one file a verb. Parses, calls, prints; what is done is done elsewhere.

mod activate;
mod check;
mod demo;
mod events;
mod history;
mod init;
mod keys;
mod output;
mod plan;
mod replay;
mod rollback;
mod run;
mod schema;
mod status;
mod tls;
mod waf;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use haechi_control::Client;

use crate::output::Failure;

/// A general-purpose allocator with thread-local heaps: 10 % less CPU per request than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Haechi, an API security gateway.
#[derive(Debug, Parser)]
#[command(name = "haechi", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a first configuration for these contracts: commented, and closed until you open it
    Init(init::Init),
    /// Find every mistake in the configuration, the contracts and the certificates
    Check(check::Check),
    /// Print a JSON Schema of haechi.yaml, for editors
    Schema,
    /// Tell what changes in meaning from one configuration to another (exit code 2 if anything does)
    Plan(plan::Plan),
    /// Run the gateway
    Run(run::Run),
    /// Tell how the running gateway is
    Status(status::Status),
    /// Have the running gateway serve the configuration as it is on disk now, or take a candidate one step further
    Activate(activate::Activate),
    /// Take the last change back, or go back to an earlier one
    Rollback(rollback::Rollback),
    /// Tell who changed what, when and why, and what became of it
    History(history::History),
    /// Tell what a candidate configuration would have decided differently (exit code 2 if anything)
    Replay(replay::Replay),
    /// Make, list, rotate and revoke API keys
    Keys(keys::Keys),
    /// Tell what happened to a request, and why
    Why(why::Why),
    /// Look at events
    Events(events::Events),
    /// See who speaks which TLS: post-quantum and classic, and what would break without TLS 1.2
    Tls(tls::Tls),
    /// Test, measure and explain rules of the web application firewall
    Waf(waf::Waf),
    /// Run the pizza shop behind Haechi, with its channels and its attackers
    Demo(demo::Demo),
}

/// Which running gateway is meant.
#[derive(Clone, Debug, Args)]
struct Target {
    /// The configuration the gateway runs with; its control socket is used
    #[arg(long, default_value = "haechi.yaml", env = "HAECHI_CONFIG")]
    config: PathBuf,
    /// The control socket itself
    #[arg(long, env = "HAECHI_SOCKET")]
    socket: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Init(verb) => verb.run(),
        Verb::Check(verb) => verb.run(),
        Verb::Schema => schema::run(),
        Verb::Plan(verb) => verb.run(),
        Verb::Run(verb) => verb.run(),
        Verb::Status(verb) => verb.run(),
        Verb::Activate(verb) => verb.run(),
        Verb::Rollback(verb) => verb.run(),
        Verb::History(verb) => verb.run(),
        Verb::Replay(verb) => verb.run(),
        Verb::Keys(verb) => verb.run(),
        Verb::Why(verb) => verb.run(),
        Verb::Events(verb) => verb.run(),
        Verb::Tls(verb) => verb.run(),
        Verb::Waf(verb) => verb.run(),
        Verb::Demo(verb) => verb.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

// === impl Target ===

impl Target {
    /// A client of the gateway.
    fn client(&self) -> Result<Client, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(Client::new(socket));
        }
        let config = haechi_config::Config::load(&self.config);
        // A configuration that is being edited may be wrong; the gateway that runs is asked all the same.
        let fallback = || self.config.parent().unwrap_or(std::path::Path::new("")).join("haechi.sock");
        Ok(Client::new(config.map_or_else(|_| fallback(), |config| config.control.socket.clone())))
    }
}

/// Runs a conversation with a gateway.
fn converse<T>(talk: impl Future<Output = Result<T, haechi_control::ClientError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(talk)?)
}
