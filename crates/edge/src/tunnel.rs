//! Two connections joined: bytes pass both ways until either side ends it, or the gateway does.
//!
//! An idle tunnel holds no buffer: what one side sends is read into the worker's scratch and written to the other at
//! once. What the other side does not take is kept, at most one read of it, and nothing more is read until it is gone:
//! a peer that never reads holds back the one that sends to it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use haechi_upstream::Lease;
use haechi_wire::websocket::{CloseCode, FrameFault, Frames, Sender, close_frame};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::channel::Scratch;
use crate::deadline::{Deadline, Interrupted};
use crate::transaction::Transaction;
use crate::worker::Worker;

/// What a tunnel may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TunnelLimits {
    /// Longest silence of both sides.
    pub(crate) idle: Duration,
    /// Longest life.
    pub(crate) lifetime: Duration,
    /// Bytes of one message.
    pub(crate) message: u64,
}

/// An upstream's connection that speaks WebSocket, and waits for the caller's.
pub(crate) struct Tunnel {
    upstream: Upgraded,
    /// Keeps the upstream's place until the tunnel ends.
    _lease: Lease,
    limits: TunnelLimits,
    /// Whether an extension was agreed on.
    extended: bool,
}

/// Reads and writes in a row before other tasks have their turn.
const ROUNDS: usize = 32;
/// How long the peers get to end it in good order when the gateway does not go on.
const FAREWELL: Duration = Duration::from_secs(2);

/// One direction.
struct Direction {
    frames: Frames,
    /// Read, and not taken by the other side yet.
    pending: Bytes,
    /// The sender has finished.
    ended: bool,
    /// The receiver was told.
    told: bool,
    passed: u64,
}

/// Why a tunnel ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Both sides have finished, or one has gone.
    Peers,
    /// One side breaks the protocol.
    Fault(Sender, FrameFault),
    Idle,
    Lifetime,
    Drained,
}

// === impl Tunnel ===

impl Tunnel {
    pub(crate) fn new(upstream: Upgraded, lease: Lease, limits: TunnelLimits, extended: bool) -> Self {
        Self { upstream, _lease: lease, limits, extended }
    }

    /// Passes bytes until the tunnel ends, and writes into the event what became of it.
    pub(crate) async fn run(
        self,
        worker: &Worker,
        mut caller: impl AsyncRead + AsyncWrite + Unpin,
        transaction: &mut Transaction,
    ) {
        let mut upstream = TokioIo::new(self.upstream);
        let mut up = Direction::new(Frames::new(Sender::Client, self.extended, self.limits.message));
        let mut down = Direction::new(Frames::new(Sender::Server, self.extended, self.limits.message));
        let deadline = worker.deadlines.add();
        let end =
            pump(&deadline, self.limits, &worker.scratch, (&mut caller, &mut upstream), (&mut up, &mut down))
                .await;
        if let Some(code) = end.close_code() {
            farewell(&deadline, code, (&mut caller, &mut upstream), (&up, &down)).await;
        }
        transaction.tunnelled(up.passed, down.passed);
        if let Some((code, detail)) = end.event() {
            transaction.wire(code, detail);
        }
    }
}

async fn pump(
    deadline: &Rc<Deadline>,
    limits: TunnelLimits,
    scratch: &Scratch,
    (caller, upstream): (
        &mut (impl AsyncRead + AsyncWrite + Unpin),
        &mut (impl AsyncRead + AsyncWrite + Unpin),
    ),
    (up, down): (&mut Direction, &mut Direction),
) -> End {
    let begun = Instant::now();
    let mut moved = begun;
    loop {
        let left = limits.lifetime.saturating_sub(moved.duration_since(begun));
        // At rest: when the gateway drains, the tunnel ends at once.
        deadline.rest(moved, limits.idle.min(left));
        let before = (up.passed, down.passed, up.ended, down.ended);
        let polled = deadline
            .wait(|cx| {
                let first = up.poll(cx, scratch, caller, upstream);
                if let Poll::Ready(Err(fault)) = first {
                    return Poll::Ready(Ok(Some(fault.end(Sender::Client))));
                }
                let second = down.poll(cx, scratch, upstream, caller);
                if let Poll::Ready(Err(fault)) = second {
                    return Poll::Ready(Ok(Some(fault.end(Sender::Server))));
                }
                if up.told && down.told {
                    return Poll::Ready(Ok(Some(End::Peers)));
                }
                let after = (up.passed, down.passed, up.ended, down.ended);
                if after == before { Poll::Pending } else { Poll::Ready(Ok(None)) }
            })
            .await;
        match polled {
            Ok(None) => moved = Instant::now(),
            Ok(Some(end)) => return end,
            Err(Interrupted::Closing) => return End::Drained,
            Err(Interrupted::Overdue) if begun.elapsed() >= limits.lifetime => return End::Lifetime,
            Err(Interrupted::Overdue) => return End::Idle,
            Err(Interrupted::Io) => return End::Peers,
        }
    }
}

/// Tells both sides, where a frame can stand, and gives them a moment to answer.
async fn farewell(
    deadline: &Rc<Deadline>,
    code: CloseCode,
    (caller, upstream): (
        &mut (impl AsyncRead + AsyncWrite + Unpin),
        &mut (impl AsyncRead + AsyncWrite + Unpin),
    ),
    (up, down): (&Direction, &Direction),
) {
    deadline.allow(Instant::now(), FAREWELL);
    tell(deadline, caller, down, Sender::Server, code).await;
    tell(deadline, upstream, up, Sender::Client, code).await;
    // Until both have ended their side: else what they still send would reset what they were told.
    let mut ignored = [0; 1024];
    let (mut first, mut second) = (false, false);
    let _ = deadline
        .wait(|cx| {
            for (over, ended) in [
                (skip(cx, caller, &mut ignored), &mut first),
                (skip(cx, upstream, &mut ignored), &mut second),
            ] {
                *ended |= over;
            }
            if first && second { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await;
}

async fn tell(
    deadline: &Rc<Deadline>,
    to: &mut (impl AsyncWrite + Unpin),
    direction: &Direction,
    sender: Sender,
    code: CloseCode,
) {
    if direction.frames.is_between() && direction.pending.is_empty() && !direction.frames.is_closed() {
        let frame = close_frame(sender, code);
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            match deadline.wait(|cx| Pin::new(&mut *to).poll_write(cx, rest)).await {
                Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
                _ => return,
            }
        }
    }
    let _ = deadline.wait(|cx| Pin::new(&mut *to).poll_flush(cx)).await;
    let _ = deadline.wait(|cx| Pin::new(&mut *to).poll_shutdown(cx)).await;
}

/// Reads what there is, and says whether the other end has finished.
fn skip(cx: &mut Context<'_>, from: &mut (impl AsyncRead + Unpin), ignored: &mut [u8]) -> bool {
    for _ in 0..ROUNDS {
        let mut read = ReadBuf::new(ignored);
        match Pin::new(&mut *from).poll_read(cx, &mut read) {
            Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
            Poll::Ready(_) => return true,
            Poll::Pending => return false,
        }
    }
    cx.waker().wake_by_ref();
    false
}

// === impl Direction ===

/// Why a direction cannot go on.
enum Stop {
    Gone,
    Fault(FrameFault),
}

impl Direction {
    fn new(frames: Frames) -> Self {
        Self { frames, pending: Bytes::new(), ended: false, told: false, passed: 0 }
    }

    /// Passes what there is. Ready only when it cannot go on, or when it has ended in good order.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &Scratch,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Stop>> {
        let mut unflushed = false;
        for _ in 0..ROUNDS {
            while !self.pending.is_empty() {
                match Pin::new(&mut *to).poll_write(cx, &self.pending) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Stop::Gone)),
                    Poll::Ready(Ok(written)) => self.took(written),
                    Poll::Pending => return self.flush(cx, to, unflushed),
                }
                unflushed = true;
            }
            if self.ended {
                if !self.told {
                    self.told = ready!(Pin::new(&mut *to).poll_shutdown(cx))
                        .map(|()| true)
                        .map_err(|_| Stop::Gone)?;
                }
                return Poll::Ready(Ok(()));
            }
            let mut scratch = scratch.borrow_mut();
            let mut read = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *from).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Stop::Gone)),
                Poll::Pending => return self.flush(cx, to, unflushed),
            }
            let data = read.filled();
            if data.is_empty() {
                self.ended = true;
                continue;
            }
            self.frames.follow(data).map_err(Stop::Fault)?;
            let written = match Pin::new(&mut *to).poll_write(cx, data) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Stop::Gone)),
                Poll::Ready(Ok(written)) => written,
                Poll::Pending => 0,
            };
            unflushed = true;
            self.passed += written as u64;
            self.pending = Bytes::copy_from_slice(data.get(written..).unwrap_or_default());
        }
        // Others have their turn first.
        cx.waker().wake_by_ref();
        self.flush(cx, to, unflushed)
    }

    fn took(&mut self, written: usize) {
        self.passed += written as u64;
        self.pending.advance(written.min(self.pending.len()));
        if self.pending.is_empty() {
            self.pending = Bytes::new();
        }
    }

    fn flush(
        &self,
        cx: &mut Context<'_>,
        to: &mut (impl AsyncWrite + Unpin),
        unflushed: bool,
    ) -> Poll<Result<(), Stop>> {
        if unflushed && let Poll::Ready(Err(_)) = Pin::new(to).poll_flush(cx) {
            return Poll::Ready(Err(Stop::Gone));
        }
        Poll::Pending
    }
}

// === impl End ===

impl Stop {
    fn end(self, sender: Sender) -> End {
        match self {
            Self::Gone => End::Peers,
            Self::Fault(fault) => End::Fault(sender, fault),
        }
    }
}

impl End {
    fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Peers => None,
            Self::Fault(_, fault) => Some(fault.close_code()),
            Self::Idle | Self::Lifetime | Self::Drained => Some(CloseCode::GoingAway),
        }
    }

    fn event(&self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Peers => return None,
            Self::Fault(Sender::Client, fault) => (fault.code(), "the caller does not keep the protocol"),
            Self::Fault(Sender::Server, fault) => (fault.code(), "the upstream does not keep the protocol"),
            Self::Idle => ("websocket-idle", "neither side sent anything for too long"),
            Self::Lifetime => ("websocket-lifetime", "the connection was open for too long"),
            Self::Drained => ("websocket-drained", "the gateway stopped"),
        })
    }
}

#[cfg(test)]
mod tests;
