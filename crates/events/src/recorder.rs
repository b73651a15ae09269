//! From workers to disk: bounded queues, one writer.

mod rollup;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use tokio::sync::broadcast;

use self::rollup::Rollups;
use self::writer::{Command, Writer};
use crate::event::{Event, Outcome};
use crate::id::RequestId;
use crate::metrics::Metrics;
use crate::requests::{RequestOptions, RequestRecorder, RequestSink};
use crate::spool::Spool;

/// Lines a subscriber may lag behind before it loses some: a second or two of a busy gateway.
const LAG: usize = 4096;
/// Commands that wait for the writer; whoever brings one more waits.
const COMMANDS: usize = 64;

/// What sends traces away. Called by the writer; must not block for long.
pub trait Export: Send {
    /// Sends one OTLP/HTTP JSON document (`ExportTraceServiceRequest`).
    fn export(&mut self, document: Vec<u8>);
}

/// How events are recorded.
pub struct Options {
    /// Directory of the spool.
    pub dir: PathBuf,
    /// Bytes of the whole spool.
    pub max_size: u64,
    /// How long events are kept.
    pub max_age: Duration,
    /// How many sinks there are.
    pub workers: usize,
    /// Events that wait in one sink's queue, and as many refusals in its reserve.
    pub queue: usize,
    /// Which requests are kept, if any are.
    pub requests: Option<RequestOptions>,
    /// Where sampled traces go.
    pub export: Option<Box<dyn Export>>,
}

/// Records events. Dropped, it writes what is queued and stops.
///
/// What is queued reaches the operating system within 20 ms and the disk within about a second: a crash of the process
/// loses at most the former, a crash of the machine the latter. [`Recorder::record_durable`] loses nothing.
///
/// Nothing is lost without being counted. Of the events handed to sinks, each is a line of its own
/// (`haechi_events_written_total`), or a plain one that a full queue did not take (`…_left_out_total`), or a refusal summed up
/// in another's line (`…_rolled_up_total`), or one the disk did not take for too long (`…_lost_total`). The weights of the lines
/// say the same: a line stands for itself and for those left out or summed up before it.
pub struct Recorder {
    shared: Arc<Shared>,
    commands: SyncSender<Command>,
    requests: Option<RequestRecorder>,
    writer: Option<JoinHandle<()>>,
}

/// One worker's way to the recorder. Recording makes no system call and waits for nothing; only a refusal that finds both its
/// queues full takes a lock, which the writer holds for an instant every 20 ms.
#[derive(Clone)]
pub struct Sink {
    queues: Arc<Queues>,
    requests: Option<RequestSink>,
    metrics: Arc<Metrics>,
}

/// What workers and the writer share.
struct Shared {
    dir: PathBuf,
    queues: Vec<Arc<Queues>>,
    lines: broadcast::Sender<Arc<str>>,
    metrics: Arc<Metrics>,
}

/// One worker's events on their way to the writer. Boxed, so that a queue's memory is that of what waits in it.
struct Queues {
    /// All events.
    plain: ArrayQueue<Box<Event>>,
    /// What must not be left out, when `plain` is full.
    reserve: ArrayQueue<Box<Event>>,
    /// What must not be left out, when `reserve` is full.
    rollups: Mutex<Rollups>,
    /// Plain events left out since the last one that was written.
    left_out: AtomicU64,
}

// === impl Recorder ===

impl Recorder {
    /// Opens the spool and starts the writer.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or the system gives no thread.
    pub fn start(options: Options, metrics: Arc<Metrics>) -> io::Result<Self> {
        let spool = Spool::open(&options.dir, options.max_size, options.max_age)?;
        if spool.found_torn_line() {
            metrics.event_torn();
        }
        let requests = match &options.requests {
            Some(requests) => Some(RequestRecorder::start(&options.dir, requests, metrics.clone())?),
            None => None,
        };
        let shared = Arc::new(Shared {
            dir: options.dir,
            queues: (0..options.workers.max(1)).map(|_| Arc::new(Queues::new(options.queue))).collect(),
            lines: broadcast::Sender::new(LAG),
            metrics,
        });
        let (commands, told) = sync_channel(COMMANDS);
        let writer = Writer::new(shared.clone(), spool, options.export);
        let writer =
            std::thread::Builder::new().name("haechi-events".to_owned()).spawn(move || writer.run(&told))?;
        Ok(Self { shared, commands, requests, writer: Some(writer) })
    }

    /// The sink of a worker; workers beyond the number said at the start share sinks.
    pub fn sink(&self, worker: usize) -> Option<Sink> {
        let queues = self.shared.queues.get(worker % self.shared.queues.len().max(1))?.clone();
        let requests = self.requests.as_ref().map(RequestRecorder::sink);
        Some(Sink { queues, requests, metrics: self.shared.metrics.clone() })
    }

    /// Records an event that must not be lost: it is on disk when this returns. Blocks.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn record_durable(&self, event: Event) -> io::Result<()> {
        let gone = || io::Error::other("the recorder has stopped");
        let (done, wait) = sync_channel(1);
        self.tell(Command::Durable(Box::new(event), done)).map_err(|()| gone())?;
        wait.recv().map_err(|_| gone())?
    }

    /// The event of a request, whether or not it has reached the disk yet. Blocks.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn find(&self, id: RequestId) -> io::Result<Option<Event>> {
        self.flush();
        Spool::find(&self.shared.dir, id)
    }

    /// The last events as lines of JSON, the oldest first. Blocks. Holds them all in memory: the caller bounds `count`.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn tail(&self, count: usize) -> io::Result<Vec<String>> {
        self.flush();
        Spool::tail(&self.shared.dir, count)
    }

    /// Events as they are written, as lines of JSON. A subscriber that is too slow loses some, and is told how many.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<str>> {
        self.shared.lines.subscribe()
    }

    /// The directory of the spool.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.tell(Command::Flush(done)).is_ok() {
            let _ = wait.recv();
        }
    }

    fn tell(&self, command: Command) -> Result<(), ()> {
        self.commands.send(command).map_err(|_| ())?;
        if let Some(writer) = &self.writer {
            writer.thread().unpark();
        }
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.tell(Command::Stop);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

// === impl Sink ===

impl Sink {
    /// Where requests go that are to be kept, if any are.
    pub fn requests(&self) -> Option<&RequestSink> {
        self.requests.as_ref()
    }

    /// Records an event; one that is boxed already is not moved.
    pub fn record(&self, event: impl Into<Box<Event>>) {
        let Err(event) = self.queues.plain.push(event.into()) else { return };
        if is_plain(&event) {
            self.queues.left_out.fetch_add(event.weight, Ordering::Relaxed);
            self.metrics.event_left_out(event.weight);
        } else if let Err(event) = self.queues.reserve.push(event) {
            self.queues.rollups.lock().unwrap_or_else(PoisonError::into_inner).add(event);
        }
    }
}

// === impl Queues ===

impl Queues {
    fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self {
            plain: ArrayQueue::new(capacity),
            reserve: ArrayQueue::new(capacity),
            rollups: Mutex::default(),
            left_out: AtomicU64::new(0),
        }
    }
}

/// Whether an event may be left out under pressure: the call went on and was answered.
fn is_plain(event: &Event) -> bool {
    event.outcome == Outcome::Forwarded
}
