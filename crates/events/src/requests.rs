//! Requests that are kept to be judged again: a sample, if the configuration asks for it, redacted before it is written.
//!
//! They lie apart from the events, in a spool of their own, and are joined with them by the request's id. Redaction and writing are
//! the writer's work; a request on its way only copies what is to be kept, and a full queue takes nothing more.

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::RequestId;
use crate::metrics::Metrics;
use crate::redact::{is_secret_header, looks_secret, redact_body};
use crate::spool::Spool;

/// Where they lie, in the directory of events.
const DIR: &str = "requests";
/// Requests that wait to be written. With the largest head and body that are kept they take 20 MiB.
const QUEUE: usize = 256;
/// Largest head that is kept, in bytes of names and values: few are larger, and a queue of them waits in memory.
const HEAD: usize = 16 * 1024;
/// How often retention is looked at when nothing is written.
const RETAIN: Duration = Duration::from_secs(60);

/// Which requests are kept, and for how long.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    /// Share of requests, 0 to 1.
    pub sample: f64,
    /// Bytes of the longest body that is kept.
    pub max_body: usize,
    /// Bytes of all that is kept.
    pub max_size: u64,
    /// How long it is kept.
    pub max_age: Duration,
}

/// A request as it was kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptRequest {
    /// The request's id, as in its event.
    pub id: RequestId,
    /// As in its event: microseconds since 1970.
    pub time_us: u64,
    /// Names (in small letters) and values of the header fields, in order, but for those that are hidden.
    pub headers: Vec<(String, String)>,
    /// Names of the fields whose values are hidden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden_headers: Vec<String>,
    /// The body, if it was read whole to be judged, is JSON, and was not too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// JSON pointers to the values in the body that stand for hidden ones of the same type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<String>,
}

/// A request that is to be kept, as it came.
#[derive(Debug)]
pub struct Keeping {
    kept: KeptRequest,
    body: Vec<u8>,
}

/// Where requests that are to be kept go.
#[derive(Clone)]
pub struct RequestSink {
    sample: f64,
    max_body: usize,
    queue: SyncSender<Told>,
    metrics: Arc<Metrics>,
}

/// The writer of kept requests, from outside.
pub(crate) struct RequestRecorder {
    sink: RequestSink,
    writer: Option<JoinHandle<()>>,
}

/// What the writer is told.
enum Told {
    Keep(Box<Keeping>),
    Stop,
}

// === impl KeptRequest ===

impl KeptRequest {
    /// Hands over every request kept since a moment, of those whose events are in `events`; answers how many lines could not be read.
    ///
    /// # Errors
    /// When they cannot be read. That there are none is no error.
    pub fn read(events: &Path, since: SystemTime, take: impl FnMut(Self)) -> io::Result<u64> {
        match Spool::read_lines(&dir(events), since, |kept: &Self| kept.time_us, take) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            read => read,
        }
    }
}

// === impl Keeping ===

impl Keeping {
    /// A body that was read whole, decoded. One that is too long is not kept.
    pub fn body(&mut self, body: &[u8], sink: &RequestSink) {
        if body.len() <= sink.max_body {
            self.body = body.to_vec();
        }
    }

    /// What may be written of it.
    fn redacted(self) -> KeptRequest {
        let mut kept = self.kept;
        let (shown, secret): (Vec<_>, Vec<_>) =
            kept.headers.into_iter().partition(|(_, value)| !looks_secret(value));
        kept.headers = shown;
        kept.hidden_headers.extend(secret.into_iter().map(|(name, _)| name));
        if let Some((body, hidden)) = redact_body(&self.body) {
            (kept.body, kept.hidden) = (Some(body), hidden);
        }
        kept
    }
}

// === impl RequestSink ===

impl RequestSink {
    /// The request, if it is one of the sample: its id decides. `is_secret` tells headers (by names in small letters) that hold
    /// credentials beyond those that always do.
    pub fn begin<'a>(
        &self,
        id: RequestId,
        time_us: u64,
        headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        is_secret: impl Fn(&str) -> bool,
    ) -> Option<Box<Keeping>> {
        if !id.is_sampled(self.sample) {
            return None;
        }
        let mut kept = KeptRequest { id, time_us, ..KeptRequest::default() };
        let mut length = 0;
        for (name, value) in headers {
            length += name.len() + value.len();
            if length > HEAD {
                self.metrics.request_left_out();
                return None;
            }
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            match std::str::from_utf8(value) {
                Ok(value) if !is_secret_header(&name) && !is_secret(&name) => {
                    kept.headers.push((name, value.to_owned()));
                }
                _ => kept.hidden_headers.push(name),
            }
        }
        Some(Box::new(Keeping { kept, body: Vec::new() }))
    }

    /// Has it written, if there is room in the queue. Never blocks.
    pub fn keep(&self, request: Box<Keeping>) {
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Told::Keep(request)) {
            self.metrics.request_left_out();
        }
    }

    fn new(options: &RequestOptions, queue: usize, metrics: Arc<Metrics>) -> (Self, Receiver<Told>) {
        let (queue, told) = sync_channel(queue);
        (Self { sample: options.sample, max_body: options.max_body, queue, metrics }, told)
    }
}

// === impl RequestRecorder ===

impl RequestRecorder {
    /// Opens the spool beside that of `events`, and starts the writer.
    pub(crate) fn start(events: &Path, options: &RequestOptions, metrics: Arc<Metrics>) -> io::Result<Self> {
        let spool = Spool::open(&dir(events), options.max_size, options.max_age)?;
        let (sink, told) = RequestSink::new(options, QUEUE, metrics.clone());
        let writer = std::thread::Builder::new()
            .name("haechi-requests".to_owned())
            .spawn(move || write(spool, &told, &metrics))?;
        Ok(Self { sink, writer: Some(writer) })
    }

    pub(crate) fn sink(&self) -> RequestSink {
        self.sink.clone()
    }
}

impl Drop for RequestRecorder {
    fn drop(&mut self) {
        let _ = self.sink.queue.send(Told::Stop);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// The writer's life.
fn write(mut spool: Spool, told: &Receiver<Told>, metrics: &Metrics) {
    loop {
        match told.recv_timeout(RETAIN) {
            Ok(Told::Keep(request)) => match append(&mut spool, *request, SystemTime::now()) {
                Ok(()) => metrics.request_kept(),
                Err(_) => metrics.request_left_out(),
            },
            Ok(Told::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => spool.retain(SystemTime::now()),
        }
    }
}

fn append(spool: &mut Spool, request: Keeping, now: SystemTime) -> io::Result<()> {
    let mut line = serde_json::to_vec(&request.redacted()).map_err(io::Error::other)?;
    line.push(b'\n');
    spool.append(&line, now)
}

fn dir(events: &Path) -> PathBuf {
    events.join(DIR)
}
