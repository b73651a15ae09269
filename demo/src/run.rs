//! The whole show: shop, gateway, customers, attackers.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::attacks::{self, Family};
use crate::channels::{self, COLLECTIONS, Floor, Keys};
use crate::client::Gate;
use crate::config;
use crate::day::Day;
use crate::naive::Naive;
use crate::shop::Shop;
use crate::summary::{Summary, Upstreams};
use crate::tally::{Counts, Tally};
use crate::view;

/// A boxed future.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A gateway in front of the shop, as the shop knows it.
pub trait Gateway: Send + Sync {
    /// Where callers connect.
    fn address(&self) -> SocketAddr;

    /// Where callers connect with TLS.
    fn secure_address(&self) -> Option<SocketAddr>;

    /// A new API key of a collection.
    fn create_key(&self, collection: &str, name: &str) -> BoxFuture<Result<String, String>>;

    /// How many requests it has counted, by channel.
    fn channels(&self) -> BoxFuture<Result<Vec<ChannelCount>, String>>;

    /// How many calls it has sent once more because a service failed.
    fn retried(&self) -> BoxFuture<Result<u64, String>>;

    /// The socket on which it can be asked.
    fn socket(&self) -> PathBuf;

    /// Ends it.
    fn stop(self: Box<Self>) -> BoxFuture<()>;
}

/// How many requests a gateway has counted of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelCount {
    /// Its name for the channel.
    pub channel: String,
    /// `api` or `page`; empty if that cannot be told.
    pub traffic: String,
    /// What became of them.
    pub outcome: String,
    /// How many.
    pub count: u64,
}

/// What a gateway is started with.
#[derive(Clone, Debug)]
pub struct GatewaySetup {
    /// The directory of `haechi.yaml`, which names all others.
    pub dir: PathBuf,
    /// `haechi.yaml` itself.
    pub config: PathBuf,
}

/// Starts a gateway.
pub type StartGateway = Box<dyn FnOnce(GatewaySetup) -> BoxFuture<Result<Box<dyn Gateway>, String>> + Send>;

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// For how long; until Ctrl-C if not set.
    pub run_for: Option<Duration>,
    /// Which attackers come.
    pub attacks: Vec<Family>,
    /// Whether Haechi stands in front, or the naive relay.
    pub protect: bool,
    /// Whether a table is redrawn on standard error, or a line is written now and then.
    pub live: bool,
}

/// The show cannot go on.
#[derive(Debug)]
pub struct DemoError(String);

/// Runs the demo to its end.
///
/// # Errors
/// When the shop or the gateway cannot be started.
pub async fn run(options: DemoOptions, start: StartGateway) -> Result<Summary, DemoError> {
    let dir = tempfile::tempdir()?;
    let shop = Arc::new(Shop::open(dir.path()).await?);
    let certificate = config::write(dir.path(), &shop, options.listen)?;
    let front = Front::start(&options, start, dir.path().to_owned(), shop.clone()).await?;
    let keys = front.keys().await?;
    let tally = Tally::default();
    let (close, closing) = watch::channel(false);
    let floor = Floor {
        gate: Arc::new(Gate::new(front.address(), front.secure_address(), certificate)),
        tally: tally.clone(),
        day: Day::new(Instant::now(), options.run_for),
        protected: options.protect,
        closing,
    };
    let title = format!(
        "The pizza shop, {} http://{}",
        if options.protect { "behind Haechi on" } else { "UNPROTECTED on" },
        front.address()
    );
    if !options.live {
        eprintln!("{title}");
    }
    if let Front::Haechi(gateway) = &front {
        // Without the `.` that stands for the configuration's directory.
        let socket: PathBuf = gateway.socket().components().collect();
        eprintln!("look closer: haechi events count --by channel,traffic --socket {}", socket.display());
    }
    let show = tokio::spawn(view::show(
        tally.clone(),
        shop.data.clone(),
        options.attacks.clone(),
        floor.day,
        title,
        options.live,
    ));
    let faltering = shop.falter();
    let mut customers = channels::open(&floor, keys);
    let mut attackers = attacks::let_loose(&options.attacks, &floor, &shop);
    match options.run_for {
        Some(time) => {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        None => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
    // Everybody finishes what they are at.
    let _ = close.send(true);
    while customers.join_next().await.is_some() {}
    while attackers.join_next().await.is_some() {}
    show.abort();
    faltering.abort();
    let counts = tally.snapshot();
    for complaint in &counts.complaints {
        eprintln!("complaint: {complaint}");
    }
    let seen = front.seen(&counts).await?;
    let upstreams = front.retried().await?.map(|retried| Upstreams { away: shop.faltered(), retried });
    let summary = Summary::new(&counts, seen.as_deref(), upstreams, &options.attacks, &shop.data);
    front.stop().await;
    Ok(summary)
}

/// How often the gateway is asked for its counts until the last calls are in them, a tenth of a second apart.
const SETTLING: u32 = 50;

/// What stands in front of the shop.
enum Front {
    Haechi(Box<dyn Gateway>),
    Naive(Naive),
}

// === impl Front ===

impl Front {
    async fn start(
        options: &DemoOptions,
        start: StartGateway,
        dir: PathBuf,
        shop: Arc<Shop>,
    ) -> Result<Self, DemoError> {
        if options.protect {
            let setup = GatewaySetup { config: dir.join("haechi.yaml"), dir };
            return Ok(Self::Haechi(start(setup).await.map_err(DemoError)?));
        }
        Ok(Self::Naive(Naive::start(shop, options.listen).await?))
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Haechi(gateway) => gateway.address(),
            Self::Naive(naive) => naive.address,
        }
    }

    fn secure_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Haechi(gateway) => gateway.secure_address(),
            Self::Naive(_) => None,
        }
    }

    /// The keys of all channels that have one.
    async fn keys(&self) -> Result<Keys, DemoError> {
        let mut keys = Vec::new();
        for (collection, name) in COLLECTIONS {
            keys.push(match self {
                Self::Haechi(gateway) => gateway.create_key(collection, name).await.map_err(DemoError)?,
                Self::Naive(_) => "nobody looks at it".to_owned(),
            });
        }
        Keys::new(keys).ok_or_else(|| DemoError("a key is missing".to_owned()))
    }

    /// What the gateway has counted, once the last calls of customers are in it: they are counted when their answers have
    /// left, which callers may see a little earlier.
    async fn seen(&self, counts: &Counts) -> Result<Option<Vec<ChannelCount>>, DemoError> {
        let Self::Haechi(gateway) = self else { return Ok(None) };
        let mut seen = Vec::new();
        for _ in 0..SETTLING {
            seen = gateway.channels().await.map_err(DemoError)?;
            let counted = |name: &str| -> u64 {
                seen.iter().filter(|count| count.channel == name).map(|count| count.count).sum()
            };
            if counts.channels.iter().all(|(name, line)| counted(name) >= line.sent) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Some(seen))
    }

    /// How many calls the gateway has sent once more.
    async fn retried(&self) -> Result<Option<u64>, DemoError> {
        match self {
            Self::Haechi(gateway) => gateway.retried().await.map(Some).map_err(DemoError),
            Self::Naive(_) => Ok(None),
        }
    }

    async fn stop(self) {
        if let Self::Haechi(gateway) = self {
            gateway.stop().await;
        }
    }
}

// === impl DemoError ===

impl From<std::io::Error> for DemoError {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DemoError {}
