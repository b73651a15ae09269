//! From workers to disk: bounded queues, one writer.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_queue::ArrayQueue;
use tokio::sync::broadcast;

use crate::event::{Event, Outcome};
use crate::id::RequestId;
use crate::metrics::Metrics;
use crate::otlp;
use crate::spool::Spool;
use crate::text::Text;

/// How long the writer rests between two looks at the queues.
const REST: Duration = Duration::from_millis(20);
/// How often what was written is made to reach the disk.
const SYNC: Duration = Duration::from_secs(1);
/// How often retention is looked at.
const RETAIN: Duration = Duration::from_secs(60);
/// Lines that are kept while the disk does not take them.
const BACKLOG: usize = 8 * 1024 * 1024;
/// Kinds of refusals that are summed up at once, when even their reserve is full.
const ROLLUPS: usize = 1024;
/// Lines a subscriber may lag behind before it loses some.
const LAG: usize = 4096;
/// Commands that wait for the writer.
const COMMANDS: usize = 64;
/// Spans in one export.
const BATCH: usize = 256;

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
    /// Where sampled traces go.
    pub export: Option<Box<dyn Export>>,
}

/// Records events. Dropped, it writes what is queued and stops.
pub struct Recorder {
    shared: Arc<Shared>,
    commands: SyncSender<Command>,
    writer: Option<JoinHandle<()>>,
}

/// One worker's way to the recorder. Recording never blocks and makes no system call.
#[derive(Clone)]
pub struct Sink {
    queues: Arc<Queues>,
    rollups: Arc<Mutex<HashMap<Rollup, Event>>>,
    metrics: Arc<Metrics>,
}

struct Shared {
    dir: PathBuf,
    queues: Vec<Arc<Queues>>,
    rollups: Arc<Mutex<HashMap<Rollup, Event>>>,
    lines: broadcast::Sender<Arc<str>>,
    metrics: Arc<Metrics>,
}

struct Queues {
    plain: ArrayQueue<Event>,
    reserve: ArrayQueue<Event>,
    /// Plain events left out since the last one that was written.
    left_out: AtomicU64,
}

/// What makes two refusals the same.
#[derive(PartialEq, Eq, Hash)]
struct Rollup {
    client: Option<IpAddr>,
    api: String,
    reason: String,
}

enum Command {
    /// Writes what is queued, and says when it can be read.
    Flush(SyncSender<()>),
    /// Writes an event, and says when it is on disk.
    Durable(Box<Event>, SyncSender<io::Result<()>>),
    Stop,
}

// === impl Recorder ===

impl Recorder {
    /// Opens the spool and starts the writer.
    ///
    /// # Errors
    /// When the directory cannot be made, or the system gives no thread.
    pub fn start(options: Options, metrics: Arc<Metrics>) -> io::Result<Self> {
        let spool = Spool::open(&options.dir, options.max_size, options.max_age)?;
        let queues = (0..options.workers.max(1))
            .map(|_| {
                Arc::new(Queues {
                    plain: ArrayQueue::new(options.queue.max(1)),
                    reserve: ArrayQueue::new(options.queue.max(1)),
                    left_out: AtomicU64::new(0),
                })
            })
            .collect();
        let shared = Arc::new(Shared {
            dir: options.dir,
            queues,
            rollups: Arc::default(),
            lines: broadcast::Sender::new(LAG),
            metrics,
        });
        let (commands, told) = sync_channel(COMMANDS);
        let writer = Writer {
            shared: shared.clone(),
            spool,
            backlog: Vec::new(),
            waiting: 0,
            spans: Vec::new(),
            export: options.export,
            dirty: false,
        };
        let writer =
            std::thread::Builder::new().name("haechi-events".to_owned()).spawn(move || writer.run(&told))?;
        Ok(Self { shared, commands, writer: Some(writer) })
    }

    /// The sink of a worker; workers beyond the number said at the start share sinks.
    pub fn sink(&self, worker: usize) -> Option<Sink> {
        let queues = self.shared.queues.get(worker % self.shared.queues.len().max(1))?.clone();
        Some(Sink { queues, rollups: self.shared.rollups.clone(), metrics: self.shared.metrics.clone() })
    }

    /// Records an event that must not be lost: it is on disk when this returns. Blocks.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn record_durable(&self, event: Event) -> io::Result<()> {
        let (done, wait) = sync_channel(1);
        let gone = || io::Error::other("the recorder has stopped");
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

    /// The last events as lines of JSON, the oldest first. Blocks.
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
        let mut command = command;
        loop {
            match self.commands.try_send(command) {
                Ok(()) => {
                    if let Some(writer) = &self.writer {
                        writer.thread().unpark();
                    }
                    return Ok(());
                }
                Err(TrySendError::Full(back)) => {
                    command = back;
                    std::thread::yield_now();
                }
                Err(TrySendError::Disconnected(_)) => return Err(()),
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.tell(Command::Stop);
        if let Some(writer) = self.writer.take() {
            writer.thread().unpark();
            let _ = writer.join();
        }
    }
}

// === impl Sink ===

impl Sink {
    /// Records an event.
    pub fn record(&self, event: Event) {
        let refused = event.outcome != Outcome::Forwarded;
        let Err(event) = self.queues.plain.push(event) else { return };
        if !refused {
            self.queues.left_out.fetch_add(1, Ordering::Relaxed);
            self.metrics.event_left_out();
            return;
        }
        if let Err(event) = self.queues.reserve.push(event) {
            self.roll_up(event);
        }
    }

    /// Refusals beyond what the reserve holds: a count for each source and reason.
    fn roll_up(&self, event: Event) {
        let mut rollups = self.rollups.lock().unwrap_or_else(PoisonError::into_inner);
        let rollup =
            Rollup { client: event.client, api: event.api.to_string(), reason: event.reason.to_string() };
        let full = rollups.len() >= ROLLUPS;
        match rollups.get_mut(&rollup) {
            Some(known) => known.weight += event.weight,
            None if full => {
                // Too many sources at once: all others together.
                let others = Rollup { client: None, api: String::new(), reason: event.reason.to_string() };
                let weight = event.weight;
                rollups.entry(others).and_modify(|known| known.weight += weight).or_insert_with(|| Event {
                    client: None,
                    api: Text::EMPTY,
                    ..event
                });
            }
            None => {
                rollups.insert(rollup, event);
            }
        }
    }
}

// === Writer ===

struct Writer {
    shared: Arc<Shared>,
    spool: Spool,
    /// Lines the disk has not taken yet.
    backlog: Vec<u8>,
    /// How many events they are.
    waiting: u64,
    spans: Vec<Event>,
    export: Option<Box<dyn Export>>,
    dirty: bool,
}

impl Writer {
    fn run(mut self, told: &Receiver<Command>) {
        let (mut synced, mut retained) = (Instant::now(), Instant::now());
        loop {
            self.drain();
            self.write();
            let mut stop = false;
            while let Ok(command) = told.try_recv() {
                match command {
                    Command::Flush(done) => {
                        self.drain();
                        self.write();
                        let _ = done.send(());
                    }
                    Command::Durable(event, done) => {
                        let _ = done.send(self.durable(&event));
                    }
                    Command::Stop => stop = true,
                }
            }
            if self.dirty && (stop || synced.elapsed() >= SYNC) {
                self.dirty = self.spool.sync().is_err();
                synced = Instant::now();
            }
            self.send_spans(stop || self.spans.len() >= BATCH);
            if retained.elapsed() >= RETAIN {
                self.spool.retain(SystemTime::now());
                retained = Instant::now();
            }
            if stop {
                return;
            }
            std::thread::park_timeout(REST);
        }
    }

    fn drain(&mut self) {
        let shared = self.shared.clone();
        for queues in &shared.queues {
            // What is queued now, and no more: a busy worker must not keep the others waiting.
            for _ in 0..queues.plain.len() {
                let Some(mut event) = queues.plain.pop() else { break };
                if event.outcome == Outcome::Forwarded {
                    event.weight += queues.left_out.swap(0, Ordering::Relaxed);
                }
                self.line(event);
            }
            for _ in 0..queues.reserve.len() {
                let Some(event) = queues.reserve.pop() else { break };
                self.line(event);
            }
        }
        let rollups = std::mem::take(&mut *shared.rollups.lock().unwrap_or_else(PoisonError::into_inner));
        for event in rollups.into_values() {
            self.line(event);
        }
    }

    fn line(&mut self, event: Event) {
        if self.backlog.len() > BACKLOG {
            self.shared.metrics.events_lost(event.weight);
            return;
        }
        let start = self.backlog.len();
        if serde_json::to_writer(&mut self.backlog, &event).is_err() {
            self.backlog.truncate(start);
            return;
        }
        if self.shared.lines.receiver_count() > 0
            && let Some(line) = self.backlog.get(start..)
        {
            let _ = self.shared.lines.send(String::from_utf8_lossy(line).into());
        }
        self.backlog.push(b'\n');
        self.waiting += 1;
        if event.sampled && self.export.is_some() && self.spans.len() < BATCH * 4 {
            self.spans.push(event);
        }
    }

    fn write(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        match self.spool.append(&self.backlog, SystemTime::now()) {
            Ok(()) => {
                self.dirty = true;
                self.shared.metrics.events_written(self.waiting);
                self.waiting = 0;
                self.backlog.clear();
                self.backlog.shrink_to(64 * 1024);
            }
            Err(_) => self.shared.metrics.spool_failed(),
        }
    }

    fn durable(&mut self, event: &Event) -> io::Result<()> {
        self.write();
        let mut line = serde_json::to_vec(event).map_err(io::Error::other)?;
        let _ = self.shared.lines.send(String::from_utf8_lossy(&line).into());
        line.push(b'\n');
        self.spool.append(&line, SystemTime::now())?;
        self.spool.sync()
    }

    fn send_spans(&mut self, full: bool) {
        if self.spans.is_empty() || !(full || !self.dirty) {
            return;
        }
        if let Some(export) = &mut self.export {
            export.export(otlp::encode(&self.spans));
        }
        self.spans.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder(dir: &Path, queue: usize) -> (Recorder, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::default());
        let options = Options {
            dir: dir.to_owned(),
            max_size: 1 << 24,
            max_age: Duration::from_secs(1 << 20),
            workers: 1,
            queue,
            export: None,
        };
        (Recorder::start(options, metrics.clone()).expect("started"), metrics)
    }

    fn event(outcome: Outcome) -> Event {
        Event { id: RequestId::generate(SystemTime::now()), weight: 1, outcome, ..Event::default() }
    }

    #[test]
    fn what_is_recorded_is_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let (recorder, _) = recorder(dir.path(), 64);
        let event = event(Outcome::Forwarded);
        recorder.sink(0).expect("a sink").record(event.clone());
        assert_eq!(recorder.find(event.id).expect("read"), Some(event));
    }

    #[test]
    fn a_full_queue_loses_no_count() {
        let dir = tempfile::tempdir().expect("a directory");
        let (recorder, _) = recorder(dir.path(), 8);
        let sink = recorder.sink(0).expect("a sink");
        let (mut forwarded, mut refused) = (0, 0);
        for number in 0..50_000u64 {
            if number % 3 == 0 {
                refused += 1;
                sink.record(Event { reason: "key-revoked".into(), ..event(Outcome::Refused) });
            } else {
                forwarded += 1;
                sink.record(event(Outcome::Forwarded));
            }
        }
        // The last one carries what was left out before it.
        loop {
            recorder.flush();
            if sink.queues.left_out.load(Ordering::Relaxed) == 0 {
                break;
            }
            forwarded += 1;
            sink.record(event(Outcome::Forwarded));
        }
        let lines = recorder.tail(usize::MAX).expect("read");
        let weight = |wanted: Outcome| -> u64 {
            let events = lines.iter().map(|line| serde_json::from_str::<Event>(line).expect("an event"));
            events.filter(|event| event.outcome == wanted).map(|event| event.weight).sum()
        };
        assert_eq!((weight(Outcome::Forwarded), weight(Outcome::Refused)), (forwarded, refused));
    }

    #[test]
    fn a_durable_event_is_there_when_it_is_acknowledged() {
        let dir = tempfile::tempdir().expect("a directory");
        let (recorder, _) = recorder(dir.path(), 8);
        let event = event(Outcome::Forwarded);
        recorder.record_durable(event.clone()).expect("kept");
        assert_eq!(Spool::find(dir.path(), event.id).expect("read"), Some(event));
    }

    #[test]
    fn a_subscriber_sees_what_comes() {
        let dir = tempfile::tempdir().expect("a directory");
        let (recorder, _) = recorder(dir.path(), 8);
        let mut lines = recorder.subscribe();
        let event = event(Outcome::Refused);
        recorder.sink(0).expect("a sink").record(event.clone());
        recorder.flush();
        let line = lines.try_recv().expect("a line");
        assert_eq!(serde_json::from_str::<Event>(&line).expect("an event"), event);
    }

    #[test]
    fn what_is_queued_at_the_end_is_written() {
        let dir = tempfile::tempdir().expect("a directory");
        let (recorder, _) = recorder(dir.path(), 8);
        let event = event(Outcome::Forwarded);
        recorder.sink(0).expect("a sink").record(event.clone());
        drop(recorder);
        assert_eq!(Spool::find(dir.path(), event.id).expect("read"), Some(event));
    }
}
