//! A request's body as it arrives, whatever the protocol.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use haechi_upstream::OutBody;
use haechi_wire::h1::{BodyPart, BodyReader, CONTINUE, may_trail};
use haechi_wire::{Headers, Refusal, RefusalKind};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::budget::Budget;
use crate::channel::Channel;
use crate::coding::DecodeError;
use crate::spill::{Spill, Spilled};

/// A request's body, not read yet.
pub(crate) enum RequestBody {
    /// The request has none.
    Empty,
    /// An HTTP/1 body, decoded from the connection's bytes.
    Http1(H1Body),
    /// An HTTP/2 stream's data.
    Http2(Incoming),
}

/// An HTTP/1 body being decoded. The request loop keeps the other handle, to know whether the connection can go on.
pub(crate) struct H1Body {
    channel: Rc<Channel>,
    progress: Rc<H1Progress>,
    declared: Option<u64>,
}

/// How far the reading of an HTTP/1 body has come.
pub(crate) struct H1Progress {
    reader: RefCell<BodyReader>,
    done: Cell<bool>,
    /// The client waits for `100 Continue` before it sends.
    awaited: Cell<bool>,
}

/// A body that was read whole.
pub(crate) enum Whole {
    Memory(Bytes),
    Disk(Spilled),
}

/// Pieces of a body. One alone, the common case, is not copied.
#[derive(Default)]
struct Held {
    first: Bytes,
    rest: BytesMut,
}

/// What a body that passes is held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    /// Bytes in all.
    pub(crate) length: u64,
    /// Longest silence.
    pub(crate) idle: Duration,
    /// Bytes a second, on the average of the time that the caller made us wait. None where silence is no fault.
    pub(crate) rate: Option<u64>,
}

/// How far a body that passes has come. Shared by the upstream's task, which reads it, and the call that waits.
#[derive(Debug)]
pub(crate) struct Progress {
    bytes: Cell<u64>,
    last: Cell<Instant>,
    ended: Cell<bool>,
    /// Why it ended early. A connection that many share does not say so to the call.
    failure: RefCell<Option<BodyError>>,
}

/// A body that passes has ended early; its [`Progress`] says why.
#[derive(Debug)]
struct Broken;

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// Longer than allowed.
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The memory for bodies is used up by other calls.
    NoMemory,
    /// The disk for bodies is used up by other calls.
    NoDisk,
    /// The disk failed.
    Disk(io::Error),
    /// It cannot be decoded.
    Coding(DecodeError),
    /// It did not come in time.
    TooSlow,
    /// The bytes are not what HTTP allows.
    Malformed(Refusal),
    /// The client went away, or reset the stream.
    Gone,
}

// === impl RequestBody ===

impl RequestBody {
    /// The length the client declared, if it did.
    pub(crate) fn declared(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Http1(body) => body.declared,
            Self::Http2(body) => body.size_hint().exact(),
        }
    }

    /// Whether there is nothing to read.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(_) => false,
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    /// Reads it whole: at most `limit` bytes, within `deadline`. What is held in memory is taken from `budget`; what is
    /// more than one body may hold goes to disk.
    pub(crate) async fn read_whole(
        mut self,
        limit: u64,
        deadline: Duration,
        budget: &Budget,
        spill: &Spill,
    ) -> Result<Whole, BodyError> {
        if self.is_empty() {
            return Ok(Whole::Memory(Bytes::new()));
        }
        if self.declared().is_some_and(|declared| declared > limit) {
            return Err(BodyError::TooLarge { limit });
        }
        let reading = async {
            let mut share = budget.share();
            let mut held = Held::default();
            let mut spilled: Option<Spilled> = None;
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {
                let Ok(data) = frame?.into_data() else { continue };
                let before = spilled.as_ref().map_or(0, Spilled::length) + held.len() as u64;
                if before + data.len() as u64 > limit {
                    return Err(BodyError::TooLarge { limit });
                }
                share.take(data.len()).map_err(|_| BodyError::NoMemory)?;
                held.push(data);
                if held.len() > spill.threshold {
                    let file = match &mut spilled {
                        Some(file) => file,
                        none => none.insert(Spilled::create(spill).await?),
                    };
                    file.append(std::mem::take(&mut held).bytes()).await?;
                    share = budget.share();
                }
            }
            Ok(match spilled {
                None => Whole::Memory(share.hold(held.bytes())),
                Some(mut file) => {
                    file.append(held.bytes()).await?;
                    Whole::Disk(file)
                }
            })
        };
        timeout(deadline, reading).await.map_err(|_| BodyError::TooSlow)?
    }

    /// Lets it pass as it arrives, within these limits.
    pub(crate) fn into_stream(self, limits: StreamLimits) -> (OutBody, Option<Rc<Progress>>) {
        if self.is_empty() {
            return (OutBody::Empty, None);
        }
        let progress = Rc::new(Progress::new());
        let passing = Passing {
            body: self,
            limits,
            progress: progress.clone(),
            silence: None,
            waiting: None,
            waited: Duration::ZERO,
        };
        (OutBody::Stream(Box::pin(passing)), Some(progress))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => body.poll_frame(cx),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map(|frame| {
                frame.map(|frame| match frame {
                    Ok(frame) => checked(frame),
                    Err(_) => Err(BodyError::Gone),
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.declared().map(SizeHint::with_exact).unwrap_or_default()
    }
}

// === impl Held ===

impl Held {
    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
    }

    fn bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

// === impl H1Body ===

impl H1Body {
    /// A body on `channel`, and the handle by which the request loop learns how far it was read.
    pub(crate) fn new(
        channel: Rc<Channel>,
        reader: BodyReader,
        declared: Option<u64>,
        expect_continue: bool,
    ) -> (Self, Rc<H1Progress>) {
        let progress = Rc::new(H1Progress {
            reader: RefCell::new(reader),
            done: Cell::new(false),
            awaited: Cell::new(expect_continue),
        });
        (Self { channel, progress: progress.clone(), declared }, progress)
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let part = self.channel.with_unread(|unread| self.progress.reader.borrow_mut().read(unread));
            match part {
                Ok(BodyPart::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(BodyPart::End { trailers }) => {
                    self.progress.done.set(true);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(map(&trailers)))));
                }
                Ok(BodyPart::Incomplete) => {}
                Err(refusal) => return Poll::Ready(Some(Err(BodyError::Malformed(refusal)))),
            }
            if self.progress.awaited.get() {
                // 25 bytes into a socket buffer that is empty at this point: taken whole or not at all.
                match ready!(self.channel.poll_write(cx, CONTINUE, b"")) {
                    Ok(written) if written == CONTINUE.len() => self.progress.awaited.set(false),
                    _ => return Poll::Ready(Some(Err(BodyError::Gone))),
                }
            }
            match ready!(self.channel.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Some(Err(BodyError::Gone))),
                Ok(_) => {}
            }
        }
    }
}

// === impl H1Progress ===

impl H1Progress {
    /// Takes what is left of the body if it has arrived already; true if what follows on the connection is the next
    /// request. A caller that still waits for `100 Continue` may send the body or not: nobody can say what follows.
    pub(crate) fn skip_buffered(&self, channel: &Channel) -> bool {
        while !self.done.get() && !self.awaited.get() {
            match channel.with_unread(|unread| self.reader.borrow_mut().read(unread)) {
                Ok(BodyPart::Data(_)) => {}
                Ok(BodyPart::End { .. }) => self.done.set(true),
                Ok(BodyPart::Incomplete) | Err(_) => return false,
            }
        }
        self.done.get()
    }
}

// === Passing ===

/// A body that passes as it arrives, within its limits.
struct Passing {
    body: RequestBody,
    limits: StreamLimits,
    progress: Rc<Progress>,
    silence: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Since when the caller makes us wait.
    waiting: Option<Instant>,
    /// How long it did so far.
    waited: Duration,
}

/// How long a caller may take before its rate is looked at: a slow start is no slow body.
const RATE_AFTER: Duration = Duration::from_secs(30);

impl Passing {
    /// Counts a frame, and says whether it is still within the limits.
    fn count(&mut self, frame: &Frame<Bytes>, now: Instant) -> Result<(), BodyError> {
        if let Some(since) = self.waiting.take() {
            self.waited += now.duration_since(since);
        }
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let bytes = self.progress.bytes.get().saturating_add(length);
        if bytes > self.limits.length {
            return Err(BodyError::TooLarge { limit: self.limits.length });
        }
        self.progress.bytes.set(bytes);
        self.progress.last.set(now);
        match self.limits.rate {
            Some(rate) if self.waited > RATE_AFTER && bytes < rate.saturating_mul(self.waited.as_secs()) => {
                Err(BodyError::TooSlow)
            }
            _ => Ok(()),
        }
    }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            let idle = self.limits.idle;
            self.waiting.get_or_insert_with(Instant::now);
            let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
            ready!(silence.as_mut().poll(cx));
            return Poll::Ready(Some(Err(self.progress.failed(BodyError::TooSlow))));
        };
        self.silence = None;
        let frame = match frame {
            Some(Ok(frame)) => self.count(&frame, Instant::now()).map(|()| Some(frame)),
            Some(Err(error)) => Err(error),
            None => Ok(None),
        };
        if self.is_end_stream() || !matches!(frame, Ok(Some(_))) {
            self.progress.ended.set(true);
        }
        Poll::Ready(frame.map_err(|error| self.progress.failed(error)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Progress ===

impl Progress {
    fn new() -> Self {
        Self {
            bytes: Cell::new(0),
            last: Cell::new(Instant::now()),
            ended: Cell::new(false),
            failure: RefCell::default(),
        }
    }

    fn failed(&self, error: BodyError) -> Box<dyn std::error::Error + Send + Sync> {
        self.failure.replace(Some(error));
        Broken.into()
    }

    /// Why it ended early, if it did.
    pub(crate) fn failure(&self) -> Option<BodyError> {
        self.failure.take()
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Waits until nothing has moved for `open`, or, once the body has ended, for `ended`.
    pub(crate) async fn stalled(&self, open: Duration, ended: Duration) {
        loop {
            let due = |progress: &Self| {
                progress.last.get() + if progress.ended.get() { ended } else { open.max(ended) }
            };
            let now = Instant::now();
            // The end may come at any time, so an open body is looked at again after the shorter time.
            let Some(left) = due(self).checked_duration_since(now).filter(|left| !left.is_zero()) else {
                return;
            };
            tokio::time::sleep(left.min(ended)).await;
        }
    }
}

// === trailers ===

/// A frame of HTTP/2 under the same rule as the trailers of HTTP/1.
fn checked(frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
    match frame.trailers_ref() {
        Some(trailers) if !trailers.keys().all(|name| may_trail(name.as_str().as_bytes())) => {
            Err(BodyError::Malformed(RefusalKind::ForbiddenTrailer.into()))
        }
        _ => Ok(frame),
    }
}

fn map(trailers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(trailers.len());
    for (at, field) in trailers.iter().enumerate() {
        let value = trailers.value_bytes(at).map(HeaderValue::from_maybe_shared);
        if let (Ok(name), Some(Ok(value))) = (HeaderName::from_bytes(field.name), value) {
            map.append(name, value);
        }
    }
    map
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body ended early")
    }
}

impl std::error::Error for Broken {}

// === impl BodyError ===

impl BodyError {
    /// Stable kebab-case word for events.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "body-too-large",
            Self::NoMemory => "body-memory",
            Self::NoDisk => "body-disk",
            Self::Disk(_) => "body-disk-failed",
            Self::Coding(error) => error.code(),
            Self::TooSlow => "body-timeout",
            Self::Malformed(refusal) => refusal.code(),
            Self::Gone => "body-incomplete",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "the body is longer than {limit} bytes"),
            Self::NoMemory => f.write_str("the memory for bodies is used up"),
            Self::NoDisk => f.write_str("the disk space for bodies is used up"),
            Self::Disk(error) => write!(f, "a body cannot be kept on disk: {error}"),
            Self::Coding(error) => write!(f, "the body cannot be decoded: {}", error.code()),
            Self::TooSlow => f.write_str("the body did not come in time"),
            Self::Malformed(refusal) => write!(f, "the body is malformed: {refusal}"),
            Self::Gone => f.write_str("the client went away"),
        }
    }
}

impl std::error::Error for BodyError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(length: u64, rate: Option<u64>) -> Passing {
        Passing {
            body: RequestBody::Empty,
            limits: StreamLimits { length, idle: Duration::from_secs(30), rate },
            progress: Rc::new(Progress::new()),
            silence: None,
            waiting: None,
            waited: Duration::ZERO,
        }
    }

    fn frame(length: usize) -> Frame<Bytes> {
        Frame::data(vec![0; length].into())
    }

    #[test]
    fn a_body_that_passes_is_cut_at_its_longest_length() {
        let mut body = passing(10, None);
        let now = Instant::now();
        assert!(body.count(&frame(6), now).is_ok());
        assert!(body.count(&frame(4), now).is_ok());
        assert!(matches!(body.count(&frame(1), now), Err(BodyError::TooLarge { limit: 10 })));
        assert_eq!(body.progress.bytes(), 10);
    }

    /// One byte every now and then: never silent for long, and never done.
    #[test]
    fn a_body_that_drips_is_given_up_after_the_grace() {
        let mut body = passing(u64::MAX, Some(10));
        let mut now = Instant::now();
        for _ in 0..30 {
            body.waiting = Some(now);
            now += Duration::from_secs(1);
            assert!(body.count(&frame(1), now).is_ok());
        }
        body.waiting = Some(now);
        assert!(matches!(body.count(&frame(1), now + Duration::from_secs(1)), Err(BodyError::TooSlow)));
        // What the upstream takes its time for is not held against the caller.
        let mut body = passing(u64::MAX, Some(10));
        assert!(body.count(&frame(1), now + Duration::from_secs(3600)).is_ok());
        // And a body at its rate passes for as long as it likes.
        let mut body = passing(u64::MAX, Some(10));
        for _ in 0..1000 {
            body.waiting = Some(now);
            now += Duration::from_secs(1);
            assert!(body.count(&frame(10), now).is_ok());
        }
    }

    #[test]
    fn trailers_of_http2_are_under_the_rule_of_http1() {
        let frame = |name: &'static str| {
            let map = [(HeaderName::from_static(name), HeaderValue::from_static("1"))];
            Frame::trailers(map.into_iter().collect())
        };
        assert!(checked(frame("grpc-status")).is_ok());
        for name in ["content-length", "transfer-encoding", "host", "authorization", "x-forwarded-for"] {
            assert!(matches!(checked(frame(name)), Err(BodyError::Malformed(_))), "{name}");
        }
    }
}
