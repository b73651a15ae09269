//! `haechi demo`: the pizza shop.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use haechi_control::{Client, CreateKey, NewKey, Options, Server};
use haechi_demo::{BoxFuture, ChannelCount, DemoOptions, Family, Gateway, GatewaySetup};

use crate::output::{Failure, line};

/// Run the pizza shop behind Haechi.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where customers and attackers connect
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// For how long, as in `60s`; until Ctrl-C if not given
    #[arg(long = "for", value_parser = duration, value_name = "TIME")]
    run_for: Option<Duration>,
    /// Which attacks: `all`, `none`, or names with commas between them
    #[arg(long, default_value = "all", value_parser = attacks, value_name = "NAMES")]
    attacks: Attacks,
    /// Whether Haechi protects the shop; `off` puts a naive relay in its place
    #[arg(long, value_enum, default_value_t)]
    protect: Switch,
    /// How the summary is printed; `json` is one object in the last line
    #[arg(long, value_enum, default_value_t)]
    summary: crate::output::Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Switch {
    #[default]
    On,
    Off,
}

#[derive(Clone, Debug)]
struct Attacks(Vec<Family>);

/// A gateway in this process.
struct InProcess {
    server: Server,
    addresses: Vec<SocketAddr>,
    address: SocketAddr,
}

impl Demo {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let options = DemoOptions {
            listen: self.listen,
            run_for: self.run_for,
            attacks: self.attacks.0,
            protect: self.protect == Switch::On,
            live: std::io::stderr().is_terminal(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let summary = runtime
            .block_on(haechi_demo::run(options, Box::new(start)))
            .map_err(|error| Failure::new(error.to_string()))?;
        let columns = std::io::stdout().is_terminal().then(|| haechi_demo::size().columns);
        line(&summary.to_table(columns))?;
        if self.summary == crate::output::Format::Json {
            line(&summary.to_json())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn start(setup: GatewaySetup) -> BoxFuture<Result<Box<dyn Gateway>, String>> {
    Box::pin(async move {
        let options = Options {
            config: setup.config,
            listen: None,
            who: "demo".to_owned(),
            notices: true,
            fresh: true,
        };
        let started = tokio::task::spawn_blocking(move || Server::start(&options)).await;
        let server = started.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let addresses = server.addresses();
        let address = addresses.first().copied().ok_or("the gateway listens nowhere")?;
        Ok(Box::new(InProcess { server, addresses, address }) as Box<dyn Gateway>)
    })
}

impl Gateway for InProcess {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn secure_address(&self) -> Option<SocketAddr> {
        self.addresses.get(1).copied()
    }

    fn create_key(&self, collection: &str, name: &str) -> BoxFuture<Result<String, String>> {
        let client = Client::new(self.server.socket());
        let request =
            CreateKey { collection: collection.to_owned(), name: name.to_owned(), valid_seconds: None };
        Box::pin(async move {
            let key: Result<NewKey, _> = client.post("/v1/keys", &request).await;
            key.map(|key| key.key).map_err(|error| error.to_string())
        })
    }

    fn channels(&self) -> BoxFuture<Result<Vec<ChannelCount>, String>> {
        let client = Client::new(self.server.socket());
        Box::pin(async move {
            let metrics = client.text("/metrics").await.map_err(|error| error.to_string())?;
            Ok(metrics.lines().filter_map(channel).collect())
        })
    }

    fn retried(&self) -> BoxFuture<Result<u64, String>> {
        let client = Client::new(self.server.socket());
        Box::pin(async move {
            let metrics = client.text("/metrics").await.map_err(|error| error.to_string())?;
            let retried =
                metrics.lines().find_map(|line| line.strip_prefix("haechi_upstream_retries_total "));
            retried.and_then(|count| count.parse().ok()).ok_or_else(|| "retries are not counted".to_owned())
        })
    }

    fn socket(&self) -> PathBuf {
        self.server.socket().to_owned()
    }

    fn stop(self: Box<Self>) -> BoxFuture<()> {
        Box::pin(async move {
            let _ = tokio::task::spawn_blocking(move || self.server.stop()).await;
        })
    }
}

/// A line of the metric that counts requests by channel: `haechi_channel_requests_total{channel="web",…} 12`.
fn channel(line: &str) -> Option<ChannelCount> {
    let (labels, count) = line.strip_prefix("haechi_channel_requests_total{")?.split_once("} ")?;
    let label = |name: &str| {
        let value = labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""))?;
        Some(value.trim_end_matches('"').to_owned())
    };
    Some(ChannelCount {
        channel: label("channel")?,
        traffic: label("traffic")?,
        outcome: label("outcome")?,
        count: count.parse().ok()?,
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    haechi_config::value::duration(text)
}

fn attacks(text: &str) -> Result<Attacks, String> {
    match text {
        "all" => Ok(Attacks(Family::ALL.to_vec())),
        "none" => Ok(Attacks(Vec::new())),
        names => names.split(',').map(str::parse).collect::<Result<_, _>>().map(Attacks),
    }
}
