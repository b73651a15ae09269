//! One worker: a thread with its own runtime, listeners, connections and upstream pools.
//!
//! Workers share what must be one over the process (the snapshot, counters, keys, metrics) and nothing else: the
//! kernel deals connections out among their sockets (`SO_REUSEPORT`), and a request stays on the thread that accepted
//! its connection.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::cache::Cache;
use haechi_events::{Metrics, Sink};
use haechi_upstream::Pools;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet};

use crate::addresses::Place;
use crate::channel::{Channel, Scratch};
use crate::connection;
use crate::deadline::{Deadlines, TICK};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::stage::Serving;

/// How long accepting pauses when the process is out of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a worker is told.
pub(crate) enum Command {
    /// Listen on this socket too; the name is its address as configured.
    Listen(Arc<str>, std::net::TcpListener),
    /// Stop listening to this configured address.
    Leave(Arc<str>),
    /// Accept nothing more, end what is in progress within this time, then stop.
    Drain(Duration),
}

/// A worker's own things. Never leaves its thread.
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) pools: Pools,
    pub(crate) deadlines: Deadlines,
    pub(crate) scratch: Scratch,
    pub(crate) sink: Sink,
    serving: RefCell<Cache<Arc<arc_swap::ArcSwap<Serving>>, Arc<Serving>>>,
}

/// The life of a worker's thread. Ends when drained, or when the gateway is gone.
pub(crate) fn run(
    number: usize,
    shared: Arc<Shared>,
    sink: Sink,
    mut commands: mpsc::Receiver<Command>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let worker = Rc::new(Worker::new(number, shared, sink));
        let mut listening: Vec<(Arc<str>, AbortHandle)> = Vec::new();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let drain = loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Listen(name, socket)) => match TcpListener::from_std(socket) {
                        Ok(listener) => {
                            let task = accept(worker.clone(), name.clone(), listener);
                            listening.push((name, tokio::task::spawn_local(task).abort_handle()));
                        }
                        Err(_) => worker.metrics().accept_failed(),
                    },
                    Some(Command::Leave(name)) => listening.retain(|(listener, task)| {
                        if *listener == name {
                            task.abort();
                        }
                        *listener != name
                    }),
                    Some(Command::Drain(within)) => break within,
                    None => break Duration::ZERO,
                },
                _ = tick.tick() => worker.tick(),
            }
        };
        for (_, task) in listening {
            task.abort();
        }
        let end = Instant::now() + drain;
        worker.deadlines.close(Instant::now());
        while worker.deadlines.count() > 0 && Instant::now() < end {
            tick.tick().await;
            worker.tick();
        }
    });
    Ok(())
}

async fn accept(worker: Rc<Worker>, name: Arc<str>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((tcp, address)) => welcome(&worker, &name, tcp, address),
            Err(_) => {
                // A connection that was reset in the queue, or no file descriptor left: neither ends the listener.
                worker.metrics().accept_failed();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Starts to serve a connection, if the limits allow one more.
fn welcome(worker: &Rc<Worker>, name: &Arc<str>, tcp: TcpStream, address: SocketAddr) {
    let serving = worker.serving();
    let snapshot = serving.connection(name).snapshot.clone();
    let shared = &worker.shared;
    let open = shared.connections.fetch_add(1, Ordering::Relaxed);
    let count = Counted(shared.clone());
    // Who counts on a listener behind a proxy is known when the proxy has said it.
    let is_proxied = snapshot.listeners.get(name).is_some_and(|listener| listener.proxied);
    let place = if is_proxied { None } else { worker.place(address, &snapshot) };
    if open >= snapshot.connections || (place.is_none() && !is_proxied) {
        worker.metrics().connection_refused();
        return;
    }
    let (worker, name) = (worker.clone(), name.clone());
    tokio::task::spawn_local(async move {
        let _held = (count, place);
        connection::serve(worker, snapshot, tcp, address, name).await;
    });
}

/// One open connection of the process.
struct Counted(Arc<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Worker ===

impl Worker {
    fn new(number: usize, shared: Arc<Shared>, sink: Sink) -> Self {
        let serving = RefCell::new(Cache::new(shared.serving.clone()));
        Self {
            number,
            shared,
            pools: Pools::default(),
            deadlines: Deadlines::default(),
            scratch: Channel::scratch(),
            sink,
            serving,
        }
    }

    /// What serves now.
    pub(crate) fn serving(&self) -> Arc<Serving> {
        self.serving.borrow_mut().load().clone()
    }

    /// One more connection of this address, unless it holds too many.
    pub(crate) fn place(&self, address: SocketAddr, snapshot: &Snapshot) -> Option<Place> {
        self.shared.addresses.enter(address.ip(), snapshot.connections_per_address)
    }

    /// The process's metrics.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.lasting.metrics
    }

    fn tick(&self) {
        let now = Instant::now();
        self.deadlines.sweep(now);
        self.pools.sweep(now);
    }
}
