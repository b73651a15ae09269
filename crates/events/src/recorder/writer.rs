//! The one thread that writes.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{COMMANDS, Export, Shared, is_plain};
use crate::event::Event;
use crate::otlp;
use crate::spool::Spool;

/// How long the writer rests between two looks at the queues. Workers never wake it: that would be a system call.
const REST: Duration = Duration::from_millis(20);
/// How often what was written is made to reach the disk, and spans are sent.
const SYNC: Duration = Duration::from_secs(1);
/// How often retention is looked at.
const RETAIN: Duration = Duration::from_secs(60);
/// Bytes that are written at once.
const CHUNK: usize = 256 * 1024;
/// Bytes that are kept while the disk does not take them; plain events are given up at half of it.
const BACKLOG: usize = 8 * 1024 * 1024;
/// Requests whose spans are in one export.
const BATCH: usize = 256;

/// What a [`Recorder`](super::Recorder) asks of the writer.
pub(super) enum Command {
    /// Writes what is queued, and says when it can be read.
    Flush(SyncSender<()>),
    /// Writes an event, and says when it is on disk.
    Durable(Box<Event>, SyncSender<io::Result<()>>),
    /// Writes what is queued, and ends.
    Stop,
}

/// Writes events: to the spool, to subscribers, to the collector of traces.
pub(super) struct Writer {
    shared: Arc<Shared>,
    spool: Spool,
    /// Lines the disk has not taken yet.
    backlog: Vec<u8>,
    /// How many they are.
    waiting: u64,
    /// Whether the disk has refused a write in this turn: it is asked again in the next.
    refused: bool,
    /// Whether something was written that may not have reached the disk.
    dirty: bool,
    spans: Vec<Event>,
    export: Option<Box<dyn Export>>,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, spool: Spool, export: Option<Box<dyn Export>>) -> Self {
        Self {
            shared,
            spool,
            backlog: Vec::new(),
            waiting: 0,
            refused: false,
            dirty: false,
            spans: Vec::new(),
            export,
        }
    }

    pub(super) fn run(mut self, told: &Receiver<Command>) {
        let (mut synced, mut retained) = (Instant::now(), Instant::now());
        loop {
            // Commands first: whatever was recorded before a command is queued by now, and is drained below.
            let stop = self.obey(told);
            self.turn(SystemTime::now());
            if stop || synced.elapsed() >= SYNC {
                self.sync();
                self.send_spans();
                synced = Instant::now();
            }
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

    /// Takes what is queued, and writes it.
    pub(super) fn turn(&mut self, now: SystemTime) {
        self.refused = false;
        // The disk may take again what it refused: from here on there is no room only if it has refused in this turn.
        self.write(now);
        let shared = self.shared.clone();
        for queues in &shared.queues {
            // What is queued now, and no more: a busy worker must not keep the others waiting.
            for _ in 0..queues.plain.len() {
                let Some(mut event) = queues.plain.pop() else { break };
                if is_plain(&event) && self.has_room(&event) {
                    event.weight = event.weight.saturating_add(queues.left_out.swap(0, Ordering::Relaxed));
                }
                self.line(event, now);
            }
            for _ in 0..queues.reserve.len() {
                let Some(event) = queues.reserve.pop() else { break };
                self.line(event, now);
            }
            let rollups = std::mem::take(&mut *queues.rollups.lock().unwrap_or_else(PoisonError::into_inner));
            if rollups.is_empty() {
                continue;
            }
            for event in rollups.into_events() {
                if self.has_room(&event) {
                    shared.metrics.events_rolled_up(event.weight.saturating_sub(1));
                }
                self.line(event, now);
            }
        }
        self.write(now);
    }

    /// Has what was written reach the disk.
    fn sync(&mut self) {
        if !self.dirty {
            return;
        }
        match self.spool.sync() {
            Ok(()) => self.dirty = false,
            Err(_) => self.shared.metrics.spool_failed(),
        }
    }

    /// Does what was asked; answers whether to stop.
    fn obey(&mut self, told: &Receiver<Command>) -> bool {
        for _ in 0..COMMANDS {
            match told.try_recv() {
                Ok(Command::Flush(done)) => {
                    self.turn(SystemTime::now());
                    let _ = done.send(());
                }
                Ok(Command::Durable(event, done)) => {
                    let _ = done.send(self.durable(&event, SystemTime::now()));
                }
                Ok(Command::Stop) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    /// Writes an event at once, and has it reach the disk.
    fn durable(&mut self, event: &Event, now: SystemTime) -> io::Result<()> {
        let line = serde_json::to_string(event).map_err(io::Error::other)?;
        let whole = format!("{line}\n");
        let kept = self.spool.append(whole.as_bytes(), now).and_then(|()| self.spool.sync());
        match &kept {
            Ok(()) => {
                self.shared.metrics.events_written(1);
                let _ = self.shared.lines.send(line.into());
            }
            Err(_) => self.shared.metrics.spool_failed(),
        }
        kept
    }

    /// Takes one event.
    fn line(&mut self, event: Box<Event>, now: SystemTime) {
        if self.backlog.len() >= CHUNK {
            self.write(now);
        }
        let start = self.backlog.len();
        if !self.has_room(&event) || serde_json::to_writer(&mut self.backlog, &event).is_err() {
            self.backlog.truncate(start);
            self.shared.metrics.events_lost(event.weight);
            return;
        }
        if self.shared.lines.receiver_count() > 0
            && let Some(line) = self.backlog.get(start..)
        {
            let _ = self.shared.lines.send(String::from_utf8_lossy(line).into());
        }
        self.backlog.push(b'\n');
        self.waiting += 1;
        if event.sampled && self.export.is_some() {
            self.spans.push(*event);
            if self.spans.len() >= BATCH {
                self.send_spans();
            }
        }
    }

    fn has_room(&self, event: &Event) -> bool {
        self.backlog.len() < if is_plain(event) { BACKLOG / 2 } else { BACKLOG }
    }

    fn write(&mut self, now: SystemTime) {
        if self.backlog.is_empty() || self.refused {
            return;
        }
        match self.spool.append(&self.backlog, now) {
            Ok(()) => {
                self.dirty = true;
                self.shared.metrics.events_written(self.waiting);
                self.waiting = 0;
                self.backlog.clear();
                self.backlog.shrink_to(2 * CHUNK);
            }
            Err(_) => {
                self.refused = true;
                self.shared.metrics.spool_failed();
            }
        }
    }

    fn send_spans(&mut self) {
        if let Some(export) = &mut self.export
            && !self.spans.is_empty()
        {
            export.export(otlp::encode(&self.spans));
        }
        self.spans.clear();
    }
}
