//! One gateway process, from its start to its end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use haechi_config::{Config, Diagnostics};
use haechi_edge::{Collector, Gateway, GatewayError, Lasting};
use haechi_events::{Export, Metrics, Recorder, RequestOptions};
use haechi_identity::{KeyRing, Pepper};
use haechi_store::{State, StateError};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;

use crate::api::{self, Who};
use crate::keys::{control_event, record};
use crate::lifecycle::{BootError, Change, Lifecycle, Notice, boot};
use crate::{preflight, watch};

/// Events that wait for the writer, for each worker: 400,000 a second are written in time.
const EVENT_QUEUE: usize = 8192;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration.
    pub config: PathBuf,
    /// Takes the place of the first listener's address.
    pub listen: Option<SocketAddr>,
    /// Who started it, for the history.
    pub who: String,
    /// Whether notices (activations by file watch, rollbacks) are printed on standard error.
    pub notices: bool,
    /// Serve what is on disk, whatever was decided before.
    pub fresh: bool,
}

/// A running gateway.
pub struct Server {
    lifecycle: Arc<Lifecycle>,
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    control: Option<JoinHandle<()>>,
}

/// Why a gateway cannot start.
#[derive(Debug)]
pub enum ServerError {
    /// The configuration, or a file it names, is wrong.
    Config(Diagnostics),
    /// The data directory cannot be used.
    State(StateError),
    /// A socket or a thread cannot be had.
    Gateway(GatewayError),
    /// What was decided to be served cannot be.
    Decided(String),
    /// A directory or socket of the gateway's own cannot be used.
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

// === impl Server ===

impl Server {
    /// Starts everything. All sockets are open when this returns.
    ///
    /// # Errors
    /// See [`ServerError`]; then nothing runs.
    pub fn start(options: &Options) -> Result<Self, ServerError> {
        let state = match Config::load(&options.config) {
            Ok(config) => {
                preflight::data(&config).map_err(ServerError::Config)?;
                State::open(&config.data).map_err(ServerError::State)?
            }
            Err(wrong) => last_state(&options.config).ok_or(ServerError::Config(wrong))?,
        };
        let pepper = state.pepper().map_err(ServerError::State)?;
        let ring = Arc::new(KeyRing::new(Pepper::new(*pepper)));
        for row in state.keys().map_err(ServerError::State)? {
            ring.insert(record(&row));
        }
        let metrics = Arc::new(Metrics::default());
        let lasting = Lasting::new(ring, metrics.clone(), state.dir()).map_err(ServerError::Gateway)?;
        let boot = boot(&options.config, options.listen, options.fresh, &lasting, &state)?;
        let (config, snapshot) = (boot.made.config.clone(), boot.made.snapshot.clone());
        let export = match &config.otlp {
            Some(otlp) => {
                let collector = Collector::start(otlp).map_err(ServerError::Gateway)?;
                Some(Box::new(collector) as Box<dyn Export>)
            }
            None => None,
        };
        let recorder = haechi_events::Options {
            dir: config.events.dir.clone(),
            max_size: config.events.max_size,
            max_age: config.events.max_age,
            workers: snapshot.workers(),
            queue: EVENT_QUEUE,
            requests: config.events.requests.as_ref().map(|kept| RequestOptions {
                sample: kept.sample,
                max_body: usize::try_from(kept.max_body).unwrap_or(usize::MAX),
                max_size: kept.max_size,
                max_age: kept.max_age,
            }),
            export,
        };
        let doing = format!("cannot keep events in `{}`", config.events.dir.display());
        let recorder =
            Recorder::start(recorder, metrics).map_err(|source| ServerError::Io { doing, source })?;
        let control = bind_control(&config.control.socket)?;
        let collector = config.control.metrics.map(bind_metrics).transpose()?;
        let gateway =
            Gateway::start(snapshot.clone(), lasting.clone(), &recorder).map_err(ServerError::Gateway)?;
        let digest = snapshot.digest.to_string();
        let _ =
            recorder.record_durable(control_event("gateway-started", &options.who, &digest, &boot.notice));
        let lifecycle = Arc::new(Lifecycle {
            config: options.config.clone(),
            listen: options.listen,
            gateway,
            lasting,
            recorder,
            state: Mutex::new(state),
            change: Mutex::new(Change::new(options.config.clone(), boot.made, boot.disk, boot.is_last_good)),
            started: SystemTime::now(),
            clock: Instant::now(),
            warned: Mutex::default(),
        });
        let why = match (boot.notice.is_empty(), boot.is_last_good) {
            (true, _) => "start",
            (false, true) => "start: the last good configuration, for the one on disk is refused",
            (false, false) => "start: as was decided before",
        };
        lifecycle.begin(&options.who, why, boot.sources.as_ref());
        if options.notices && !boot.notice.is_empty() {
            eprintln!("{}", boot.notice);
        }
        let (stop, stopped) = oneshot::channel();
        let control = serve_control(lifecycle.clone(), control, collector, stopped, options.notices)?;
        Ok(Self {
            lifecycle,
            socket: config.control.socket.clone(),
            stop: Some(stop),
            control: Some(control),
        })
    }

    /// Where callers connect, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut listening = self.lifecycle.gateway.listening();
        listening.sort_by_key(|listening| listening.order);
        listening.into_iter().map(|listening| listening.address).collect()
    }

    /// The control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What is served.
    pub fn snapshot(&self) -> Arc<haechi_edge::Snapshot> {
        self.lifecycle.gateway.production().snapshot.clone()
    }

    /// Ends in good order: accepts nothing more, lets requests in progress end, writes what is queued. Blocks.
    pub fn stop(mut self) {
        let drain = self.lifecycle.gateway.production().snapshot.drain;
        self.lifecycle.gateway.drain(drain);
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(control) = self.control.take() {
            let _ = control.join();
            let _ = std::fs::remove_file(&self.socket);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifecycle.gateway.drain(Duration::ZERO);
        self.end();
    }
}

fn bind_control(path: &Path) -> Result<std::os::unix::net::UnixListener, ServerError> {
    let failed = |source| ServerError::Io {
        doing: format!("cannot open the control socket `{}`", path.display()),
        source,
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    // A socket nobody answers on was left by a process that was killed. Anything else there is somebody's file.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

fn bind_metrics(address: SocketAddr) -> Result<std::net::TcpListener, ServerError> {
    let failed = |source| ServerError::Io { doing: format!("cannot serve metrics on `{address}`"), source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Control socket, metrics and file watch, on a thread of their own.
fn serve_control(
    lifecycle: Arc<Lifecycle>,
    control: std::os::unix::net::UnixListener,
    collector: Option<std::net::TcpListener>,
    stopped: oneshot::Receiver<()>,
    notices: bool,
) -> Result<JoinHandle<()>, ServerError> {
    let failed = |source| ServerError::Io { doing: "cannot start the control thread".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    std::thread::Builder::new()
        .name("haechi-control".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let Ok(control) = UnixListener::from_std(control) else { return };
                let routes = api::routes(lifecycle.clone()).into_make_service_with_connect_info::<Who>();
                let socket = tokio::spawn(axum::serve(control, routes).into_future());
                if let Some(Ok(collector)) = collector.map(TcpListener::from_std) {
                    let routes = api::metrics_routes().with_state(lifecycle.clone());
                    tokio::spawn(axum::serve(collector, routes).into_future());
                }
                let watching = tokio::spawn(watch_files(lifecycle.clone(), notices));
                let guarding = tokio::spawn(guard(lifecycle, notices));
                let _ = stopped.await;
                socket.abort();
                watching.abort();
                guarding.abort();
            });
            // Followers of events may still be connected.
            runtime.shutdown_background();
        })
        .map_err(failed)
}

async fn watch_files(lifecycle: Arc<Lifecycle>, notices: bool) {
    let mut every = tokio::time::interval(watch::EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let notices_of_certificates = lifecycle.clone();
        let _ = tokio::task::spawn_blocking(move || notices_of_certificates.note_certificates()).await;
        let lifecycle = lifecycle.clone();
        let notice = tokio::task::spawn_blocking(move || lifecycle.watch()).await;
        tell(notice.ok().flatten(), notices);
    }
}

/// Takes back what is worse than what was there.
async fn guard(lifecycle: Arc<Lifecycle>, notices: bool) {
    loop {
        tokio::time::sleep(lifecycle.pace()).await;
        let lifecycle = lifecycle.clone();
        let notice = tokio::task::spawn_blocking(move || lifecycle.guard()).await;
        tell(notice.ok().flatten(), notices);
    }
}

fn tell(notice: Option<Notice>, notices: bool) {
    if let Some(Notice(text)) = notice
        && notices
    {
        eprintln!("{text}");
    }
}

/// The state of a gateway whose configuration cannot be read, if there is any.
fn last_state(config: &Path) -> Option<State> {
    let data = Config::data_of(config);
    if data.join("haechi.db").exists() { State::open(&data).ok() } else { None }
}

// === impl ServerError ===

impl From<BootError> for ServerError {
    fn from(error: BootError) -> Self {
        match error {
            BootError::Config(wrong) => Self::Config(*wrong),
            BootError::State(error) => Self::State(error),
            BootError::Decided { .. } | BootError::Nothing { .. } => Self::Decided(error.to_string()),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(wrong) => wrong.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::Gateway(error) => error.fmt(f),
            Self::Decided(message) => f.write_str(message),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for ServerError {}
