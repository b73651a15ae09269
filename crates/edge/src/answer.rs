//! A response on its way to the caller, whatever the protocol.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use haechi_upstream::Lease;
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::budget::Budget;
use crate::coding::Encoder;
use crate::forward;
use crate::tunnel::Tunnel;

/// A response on its way to the caller.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// End-to-end headers only; length and framing are the protocol's.
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
}

/// A response's body.
pub(crate) enum AnswerBody {
    /// None. A `Content-Length` among the headers then speaks of the body that `GET` would have had.
    Empty,
    /// Made here, or read whole to be judged.
    Full(Bytes),
    /// Passes as the upstream sends it.
    Passing(Box<PassingBody>),
    /// The connection, or the stream, speaks another protocol from here on.
    Tunnel(Box<Tunnel>),
}

/// An upstream's body as it comes; gives its connection back at the end.
pub(crate) struct PassingBody {
    /// What was read to be judged and turned out too long for that.
    head: Option<Bytes>,
    body: Incoming,
    lease: Option<Lease>,
    patience: Patience,
    silence: Option<Pin<Box<Sleep>>>,
    compression: Compression,
}

/// Whether a body is compressed as it passes.
enum Compression {
    None,
    On(Box<Encoder>),
    /// The end was written; these are its trailers.
    Ended(Option<HeaderMap>),
}

/// How long an upstream's body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Its longest silence.
    pub(crate) idle: Duration,
    /// When it must have ended: a gRPC call's own deadline.
    pub(crate) until: Option<Instant>,
    /// It may be silent for minutes (server-sent events): whether the caller is still there must be looked at.
    pub(crate) live: bool,
}

/// What a body gives: data or trailers, why it broke off, or nothing at its end.
type Piece = Option<Result<Frame<Bytes>, PassingError>>;

/// A body that was to be judged.
pub(crate) enum Gathered {
    /// All of it.
    Whole(Bytes),
    /// Too long: it passes as it comes.
    TooLong(AnswerBody),
    /// It could not be read.
    Failed(PassingError),
}

/// Why a response's body ended early: the response in progress cannot be completed.
#[derive(Debug)]
pub(crate) enum PassingError {
    /// The upstream broke off, or what it sends is not HTTP.
    Broken,
    /// The upstream fell silent.
    Silent,
    /// The call's own deadline has passed.
    Overdue,
}

// === impl AnswerBody ===

impl AnswerBody {
    /// The length, where it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty | Self::Tunnel(_) => Some(0),
            Self::Full(bytes) => Some(bytes.len() as u64),
            Self::Passing(passing) => passing.size_hint().exact(),
        }
    }

    /// Reads it whole to be judged, unless it is longer than `limit` or memory is short. Trailers are dropped: what
    /// was judged is sent with its length.
    pub(crate) async fn gather(self, limit: usize, budget: &Budget) -> Gathered {
        let mut passing = match self {
            Self::Passing(passing) => passing,
            Self::Empty => return Gathered::Whole(Bytes::new()),
            Self::Full(bytes) => return Gathered::Whole(bytes),
            tunnel @ Self::Tunnel(_) => return Gathered::TooLong(tunnel),
        };
        let mut share = budget.share();
        let mut read = BytesMut::new();
        loop {
            match poll_fn(|cx| passing.poll_piece(cx)).await {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    read.extend_from_slice(&data);
                    if read.len() > limit || share.take(data.len()).is_err() {
                        passing.head = Some(read.freeze());
                        return Gathered::TooLong(Self::Passing(passing));
                    }
                }
                Some(Err(error)) => return Gathered::Failed(error),
                None => return Gathered::Whole(share.hold(read.freeze())),
            }
        }
    }
}

impl AnswerBody {
    /// The same body, compressed; as it is if it cannot be.
    pub(crate) fn compressed(self, mut encoder: Encoder) -> Self {
        match self {
            Self::Full(bytes) => {
                match encoder.push(&bytes).and_then(|first| Ok((first, encoder.finish()?))) {
                    Ok((first, rest)) => {
                        Self::Full(if first.is_empty() { rest } else { [first, rest].concat().into() })
                    }
                    Err(_) => Self::Full(bytes),
                }
            }
            Self::Passing(mut passing) => {
                passing.compression = Compression::On(Box::new(encoder));
                Self::Passing(passing)
            }
            other => other,
        }
    }
}

// === impl PassingBody ===

impl PassingBody {
    /// A body that may take so long.
    pub(crate) fn pass(body: Incoming, lease: Lease, patience: Patience) -> AnswerBody {
        if body.is_end_stream() {
            lease.release();
            return AnswerBody::Empty;
        }
        AnswerBody::Passing(Box::new(Self {
            head: None,
            body,
            lease: Some(lease),
            patience,
            silence: None,
            compression: Compression::None,
        }))
    }

    /// Whether it may be silent for minutes.
    pub(crate) fn is_live(&self) -> bool {
        self.patience.live
    }

    /// The next piece, data or trailers; nothing at the end.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            match std::mem::replace(&mut self.compression, Compression::None) {
                Compression::None => return self.poll_plain(cx),
                Compression::Ended(trailers) => {
                    self.compression = Compression::Ended(None);
                    return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Compression::On(mut encoder) => {
                    let (trailers, made) = match self.poll_plain(cx) {
                        Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                            Ok(data) => {
                                let made = encoder.push(&data);
                                self.compression = Compression::On(encoder);
                                match made {
                                    Ok(made) if made.is_empty() => continue,
                                    Ok(made) => return Poll::Ready(Some(Ok(Frame::data(made)))),
                                    Err(_) => return Poll::Ready(Some(Err(PassingError::Broken))),
                                }
                            }
                            Err(frame) => (frame.into_trailers().ok(), encoder.finish()),
                        },
                        Poll::Ready(None) => (None, encoder.finish()),
                        Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                        Poll::Pending => {
                            // What was taken leaves before the rest is there.
                            let made = if encoder.holds() { encoder.flush() } else { Ok(Bytes::new()) };
                            self.compression = Compression::On(encoder);
                            return match made {
                                Ok(made) if made.is_empty() => Poll::Pending,
                                Ok(made) => Poll::Ready(Some(Ok(Frame::data(made)))),
                                Err(_) => Poll::Ready(Some(Err(PassingError::Broken))),
                            };
                        }
                    };
                    self.compression = Compression::Ended(trailers);
                    return Poll::Ready(Some(made.map(Frame::data).map_err(|_| PassingError::Broken)));
                }
            }
        }
    }

    fn poll_plain(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        if let Some(head) = self.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if self.body.is_end_stream() {
                        self.release();
                    }
                    self.silence = None;
                    match frame.into_data() {
                        Ok(data) if data.is_empty() => {}
                        Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                        Err(frame) => {
                            if let Some(trailers) = frame.trailers_ref().and_then(forward::trailers) {
                                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                            }
                        }
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(self.broke(PassingError::Broken)))),
                Poll::Ready(None) => {
                    self.release();
                    return Poll::Ready(None);
                }
                Poll::Pending => break,
            }
        }
        // Only a body that keeps us waiting needs a timer.
        let Patience { idle, until, .. } = self.patience;
        let silence = self.silence.get_or_insert_with(|| {
            let silent = Instant::now() + idle;
            Box::pin(tokio::time::sleep_until(until.map_or(silent, |until| until.min(silent))))
        });
        ready!(silence.as_mut().poll(cx));
        let overdue = until.is_some_and(|until| until <= Instant::now());
        // A caller's own deadline is not the upstream's failure.
        Poll::Ready(Some(Err(if overdue { PassingError::Overdue } else { self.broke(PassingError::Silent) })))
    }

    /// The upstream is to blame.
    fn broke(&mut self, error: PassingError) -> PassingError {
        if let Some(lease) = self.lease.take() {
            lease.broke(error.code());
        }
        error
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}

impl Body for PassingBody {
    type Data = Bytes;
    type Error = PassingError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, PassingError>>> {
        self.poll_piece(cx)
    }

    fn is_end_stream(&self) -> bool {
        match &self.compression {
            Compression::None => self.head.is_none() && self.body.is_end_stream(),
            Compression::On(_) => false,
            Compression::Ended(trailers) => trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        if !matches!(self.compression, Compression::None) {
            return SizeHint::default();
        }
        let head = self.head.as_ref().map_or(0, |head| head.len() as u64);
        self.body.size_hint().exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(head + rest))
    }
}

// === impl PassingError ===

impl PassingError {
    /// Stable kebab-case word for events and metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Broken => "upstream-body-broken",
            Self::Silent => "upstream-body-timeout",
            Self::Overdue => "deadline-exceeded",
        }
    }
}

impl std::fmt::Display for PassingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for PassingError {}
