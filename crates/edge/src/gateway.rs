//! The running gateway: workers, their sockets, and the snapshot they serve.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use haechi_events::Recorder;
use haechi_upstream::UpstreamStatus;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;

use crate::certificates::{self, CertificateStatus};
use crate::handshakes::{FailureCount, HandshakeCount};
use crate::jwks::JwksStatus;
use crate::lasting::Lasting;
use crate::shared::Shared;
use crate::snapshot::{Listener, MirrorStatus, Snapshot, SplitStatus};
use crate::stage::{Canary, Candidate, Dealing, Served, Serving, Stage};
use crate::worker::{self, Command};

/// Connections that wait to be accepted, for each socket.
const BACKLOG: i32 = 1024;
/// Commands that wait for a worker; more than it is ever sent at once.
const COMMANDS: usize = 16;

/// The running gateway. Dropped without [`drain`](Gateway::drain), it cuts what is in progress.
pub struct Gateway {
    shared: Arc<Shared>,
    /// Fixed at the start; empty once drained.
    workers: Mutex<Vec<WorkerThread>>,
    listening: Mutex<Vec<Listening>>,
}

/// Where the gateway listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// The address as configured.
    pub name: Arc<str>,
    /// The address in use: the port is known even if the configured one is 0.
    pub address: SocketAddr,
    /// Its place in the configuration.
    pub order: usize,
}

/// Which part of the traffic a snapshot is to serve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// What comes in on listeners with `stage: staging`.
    Staging,
    /// That, and a share (0 to 1) of the rest.
    Canary {
        /// The share.
        share: f64,
        /// How requests are dealt.
        dealing: Dealing,
    },
    /// Everything.
    Production,
}

/// What `haechi status` tells of the edge.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EdgeStatus {
    /// Worker threads.
    pub workers: usize,
    /// Addresses in use.
    pub listening: Vec<SocketAddr>,
    /// Open connections of callers.
    pub connections: usize,
    /// Identity providers and their keys.
    pub providers: Vec<JwksStatus>,
    /// Certificates that are shown to callers.
    pub certificates: Vec<CertificateStatus>,
    /// Where calls go, and how that does.
    pub upstreams: Vec<UpstreamStatus>,
    /// What production sends elsewhere of them.
    pub splits: Vec<SplitStatus>,
    /// Where production sends copies of calls.
    pub mirrors: Vec<MirrorStatus>,
}

/// An address cannot be listened to, or a thread cannot be started.
#[derive(Debug)]
pub struct GatewayError {
    doing: String,
    source: io::Error,
}

struct WorkerThread {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<io::Result<()>>,
}

// === impl Gateway ===

impl Gateway {
    /// Starts workers that serve `snapshot`. All sockets are bound when this returns.
    ///
    /// # Errors
    /// When an address is in use or not ours, or the system gives no thread.
    pub fn start(
        snapshot: Arc<Snapshot>,
        lasting: Arc<Lasting>,
        recorder: &Recorder,
    ) -> Result<Self, GatewayError> {
        let count = snapshot.workers;
        let shared = Arc::new(Shared::new(lasting, snapshot));
        let workers = (0..count)
            .map(|number| WorkerThread::start(number, shared.clone(), recorder))
            .collect::<Result<Vec<_>, _>>()?;
        let gateway = Self { shared, workers: Mutex::new(workers), listening: Mutex::default() };
        let serving = gateway.shared.serving.load();
        let bound = gateway.bind_missing(&serving)?;
        gateway.listen(bound);
        gateway.shared.lasting.acme.serve(certificates::managed(&serving));
        drop(serving);
        Ok(gateway)
    }

    /// Serves `snapshot` from the next request on: all of them, or the part that `target` says, in which case it takes the place of
    /// the candidate there was. In production it ends any candidate. Requests in progress end under the snapshot they began with.
    ///
    /// # Errors
    /// When a new address cannot be listened to; then nothing has changed.
    pub fn activate(&self, snapshot: Arc<Snapshot>, target: Target) -> Result<(), GatewayError> {
        let production = self.production();
        let staging = |snapshot| Served::new(Stage::Staging, snapshot);
        self.serve(match target {
            Target::Production => {
                Serving { production: Served::new(Stage::Production, snapshot), candidate: None }
            }
            Target::Staging => Serving {
                production,
                candidate: Some(Candidate { staging: staging(snapshot), canary: None }),
            },
            Target::Canary { share, dealing } => Serving {
                production,
                candidate: Some(Candidate {
                    staging: staging(snapshot.clone()),
                    canary: Some(Canary::new(snapshot, share, dealing)),
                }),
            },
        })
    }

    /// Takes the candidate back: production serves everything.
    ///
    /// # Errors
    /// Never in practice: nothing new is listened to.
    pub fn withdraw(&self) -> Result<(), GatewayError> {
        self.serve(Serving { production: self.production(), candidate: None })
    }

    fn serve(&self, serving: Serving) -> Result<(), GatewayError> {
        let bound = self.bind_missing(&serving)?;
        let candidate = serving.candidate.as_ref().map(|candidate| &candidate.staging.snapshot);
        let used: Vec<_> = std::iter::once(&serving.production.snapshot)
            .chain(candidate)
            .flat_map(|snapshot| snapshot.jwks.values())
            .collect();
        self.shared.lasting.jwks.retain(&used);
        let serving = Arc::new(serving);
        self.shared.serving.store(serving.clone());
        self.listen(bound);
        self.shared.lasting.acme.serve(certificates::managed(&serving));
        let mut listening = lock(&self.listening);
        for left in listening.extract_if(.., |listening| serving.is_staging(&listening.name).is_none()) {
            self.tell(|| Command::Leave(left.name.clone()));
        }
        Ok(())
    }

    /// What serves production, and what it has served since it does.
    pub fn production(&self) -> Arc<Served> {
        self.shared.serving.load().production.clone()
    }

    /// What serves the canary share, and what it has served since the share is what it is.
    pub fn canary(&self) -> Option<Arc<Served>> {
        let serving = self.shared.serving.load();
        serving.candidate.as_ref()?.canary.as_ref().map(|canary| canary.served.clone())
    }

    /// What serves staging, and what it has served there.
    pub fn staging(&self) -> Option<Arc<Served>> {
        self.shared.serving.load().candidate.as_ref().map(|candidate| candidate.staging.clone())
    }

    /// Where the gateway listens.
    pub fn listening(&self) -> Vec<Listening> {
        lock(&self.listening).clone()
    }

    /// How the edge is.
    pub fn status(&self) -> EdgeStatus {
        EdgeStatus {
            workers: lock(&self.workers).len(),
            listening: lock(&self.listening).iter().map(|listening| listening.address).collect(),
            connections: self.shared.connections.load(Ordering::Relaxed),
            providers: self.shared.lasting.jwks.status(),
            certificates: self.certificates(),
            upstreams: self.shared.lasting.upstreams.status(),
            splits: self.shared.serving.load().production.snapshot.splits(),
            mirrors: self.shared.serving.load().production.snapshot.mirrors(),
        }
    }

    /// The certificates that are shown to callers.
    pub fn certificates(&self) -> Vec<CertificateStatus> {
        certificates::status(&self.shared.serving.load(), SystemTime::now())
    }

    /// What TLS agreed on with callers since the process began, and why it did not.
    pub fn handshakes(&self) -> (Vec<HandshakeCount>, Vec<FailureCount>) {
        self.shared.lasting.handshakes.counts()
    }

    /// What has happened to certificates since the last call.
    pub fn certificate_notices(&self) -> Vec<haechi_acme::Notice> {
        self.shared.lasting.acme.take_notices()
    }

    /// Accepts nothing more, lets requests in progress end within `within`, closes idle connections, and returns when
    /// all workers have stopped. Blocks.
    pub fn drain(&self, within: Duration) {
        self.tell(|| Command::Drain(within));
        for worker in std::mem::take(&mut *lock(&self.workers)) {
            drop(worker.commands);
            let _ = worker.thread.join();
        }
    }

    /// Binds the addresses of `serving` that are not listened to yet: for each worker a socket of its own.
    fn bind_missing(&self, serving: &Serving) -> Result<Vec<(Listening, Vec<TcpListener>)>, GatewayError> {
        let count = lock(&self.workers).len();
        let listening = lock(&self.listening);
        wanted(serving)
            .filter(|(name, _)| !listening.iter().any(|known| known.name == **name))
            .map(|(name, listener)| {
                let failed = |source| GatewayError { doing: format!("cannot listen on `{name}`"), source };
                let sockets = bind(listener.address, count).map_err(failed)?;
                let address =
                    sockets.first().map_or(Ok(listener.address), TcpListener::local_addr).map_err(failed)?;
                Ok((Listening { name: name.clone(), address, order: listener.order }, sockets))
            })
            .collect()
    }

    fn listen(&self, bound: Vec<(Listening, Vec<TcpListener>)>) {
        for (listening, sockets) in bound {
            for (worker, socket) in lock(&self.workers).iter().zip(sockets) {
                // The queue is longer than what is ever sent; a worker that is gone needs no socket.
                let _ = worker.commands.try_send(Command::Listen(listening.name.clone(), socket));
            }
            lock(&self.listening).push(listening);
        }
    }

    fn tell(&self, command: impl Fn() -> Command) {
        for worker in lock(&self.workers).iter() {
            let _ = worker.commands.try_send(command());
        }
    }
}

/// All of production's listeners, and those that a candidate brings for staging.
fn wanted(serving: &Serving) -> impl Iterator<Item = (&Arc<str>, &Listener)> {
    let production = &serving.production.snapshot.listeners;
    let candidate = serving.candidate.iter().flat_map(|candidate| &candidate.staging.snapshot.listeners);
    let new = candidate.filter(|(name, listener)| listener.staging && !production.contains_key(*name));
    production.iter().chain(new)
}

/// Holders of these locks do not panic; if one ever did, the list is still whole.
fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl WorkerThread ===

impl WorkerThread {
    fn start(number: usize, shared: Arc<Shared>, recorder: &Recorder) -> Result<Self, GatewayError> {
        let (commands, told) = mpsc::channel(COMMANDS);
        let sink = recorder.sink(number).ok_or_else(|| {
            GatewayError::new("cannot start a worker", io::Error::other("no queue for its events"))
        })?;
        let thread = std::thread::Builder::new()
            .name(format!("haechi-{number}"))
            .spawn(move || worker::run(number, shared, sink, told))
            .map_err(|source| GatewayError { doing: "cannot start a worker".to_owned(), source })?;
        Ok(Self { commands, thread })
    }
}

/// One socket a worker, all on one address; the kernel deals connections out among them.
fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    if address.port() != 0 {
        // `SO_REUSEPORT` would let a second gateway of the same user take half of the connections unnoticed.
        drop(socket(address, false)?);
    }
    let mut sockets: Vec<TcpListener> = Vec::with_capacity(count);
    let mut address = address;
    for _ in 0..count {
        let socket = socket(address, true)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

// === impl GatewayError ===

impl GatewayError {
    pub(crate) fn new(doing: &str, source: io::Error) -> Self {
        Self { doing: doing.to_owned(), source }
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.source)
    }
}

impl std::error::Error for GatewayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
