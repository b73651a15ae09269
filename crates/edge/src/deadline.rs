//! Deadlines of connections: a cell a connection, swept a few times a second by its worker.
//!
//! A timer of the runtime costs an insertion and a removal in its wheel for every request. A connection's deadlines
//! are seconds, so a quarter of one does not matter: the worker's tick looks at all cells, and one that is overdue
//! wakes its task, which finds out at the place where it waits.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often a worker looks at its deadlines; they fire at most this much late.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// One connection's deadline.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    due: Cell<Option<Instant>>,
    /// Between two requests: may be closed at any time without harm.
    idle: Cell<bool>,
    /// The gateway is draining.
    closing: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

/// Why a wait ended without its result.
#[derive(Debug)]
pub(crate) enum Interrupted {
    /// The deadline passed.
    Overdue,
    /// The connection is idle and the gateway drains.
    Closing,
    /// The connection broke.
    Io,
}

/// All deadlines of one worker.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    all: RefCell<Vec<Weak<Deadline>>>,
    closing: Cell<bool>,
}

// === impl Deadline ===

impl Deadline {
    /// From now on the connection has this long; what it does is not idle.
    pub(crate) fn allow(&self, from: Instant, time: Duration) {
        self.due.set(from.checked_add(time));
        self.idle.set(false);
    }

    /// From now on the connection may be idle for this long.
    pub(crate) fn rest(&self, from: Instant, time: Duration) {
        self.due.set(from.checked_add(time));
        self.idle.set(true);
    }

    /// Nothing is awaited from the client: other deadlines hold.
    pub(crate) fn lift(&self) {
        self.due.set(None);
        self.idle.set(false);
    }

    /// Whether the gateway drains: the response in progress is the connection's last.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Waits for `poll` under the deadline.
    pub(crate) async fn wait<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Result<T, Interrupted> {
        poll_fn(|cx| match poll(cx) {
            Poll::Ready(Ok(value)) => Poll::Ready(Ok(value)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Interrupted::Io)),
            Poll::Pending => match self.interruption(Instant::now) {
                Some(why) => Poll::Ready(Err(why)),
                None => {
                    let mut waiting = self.waiting.borrow_mut();
                    if !waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                        *waiting = Some(cx.waker().clone());
                    }
                    Poll::Pending
                }
            },
        })
        .await
    }

    fn interruption(&self, now: impl FnOnce() -> Instant) -> Option<Interrupted> {
        if self.closing.get() && self.idle.get() {
            return Some(Interrupted::Closing);
        }
        let due = self.due.get()?;
        (due <= now()).then_some(Interrupted::Overdue)
    }
}

// === impl Deadlines ===

impl Deadlines {
    /// A new connection's deadline.
    pub(crate) fn add(&self) -> Rc<Deadline> {
        let deadline = Rc::new(Deadline { closing: Cell::new(self.closing.get()), ..Deadline::default() });
        self.all.borrow_mut().push(Rc::downgrade(&deadline));
        deadline
    }

    /// Wakes the tasks whose deadline has passed, and forgets connections that are gone.
    pub(crate) fn sweep(&self, now: Instant) {
        self.all.borrow_mut().retain(|deadline| {
            let Some(deadline) = deadline.upgrade() else { return false };
            if deadline.interruption(|| now).is_some()
                && let Some(waker) = deadline.waiting.borrow_mut().take()
            {
                waker.wake();
            }
            true
        });
    }

    /// The gateway drains: idle connections end now, the others after the response in progress.
    pub(crate) fn close(&self, now: Instant) {
        self.closing.set(true);
        for deadline in self.all.borrow().iter().filter_map(Weak::upgrade) {
            deadline.closing.set(true);
        }
        self.sweep(now);
    }

    /// Connections that are still there.
    pub(crate) fn count(&self) -> usize {
        self.all.borrow().iter().filter(|deadline| deadline.strong_count() > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn never(_: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    #[test]
    fn an_overdue_wait_is_woken_and_says_so() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let deadlines = Deadlines::default();
        let deadline = deadlines.add();
        let start = Instant::now();
        let hour = Duration::from_secs(3600);
        deadline.allow(start, hour);
        let mut wait = Box::pin(deadline.wait(never));
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        deadlines.sweep(start + hour / 2);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        deadlines.sweep(start + hour);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        deadline.allow(start, Duration::ZERO);
        assert!(matches!(wait.as_mut().poll(&mut cx), Poll::Ready(Err(Interrupted::Overdue))));
    }

    #[test]
    fn draining_ends_idle_connections_only() {
        let waker = Waker::from(Arc::new(Count::default()));
        let mut cx = Context::from_waker(&waker);
        let deadlines = Deadlines::default();
        let (idle, busy) = (deadlines.add(), deadlines.add());
        let now = Instant::now();
        idle.rest(now, Duration::from_secs(60));
        busy.allow(now, Duration::from_secs(60));
        deadlines.close(now);
        assert!(matches!(
            Box::pin(idle.wait(never)).as_mut().poll(&mut cx),
            Poll::Ready(Err(Interrupted::Closing))
        ));
        assert!(Box::pin(busy.wait(never)).as_mut().poll(&mut cx).is_pending());
        assert!(busy.is_closing());
    }

    #[test]
    fn connections_that_are_gone_are_forgotten() {
        let deadlines = Deadlines::default();
        let stays = deadlines.add();
        drop(deadlines.add());
        assert_eq!(deadlines.count(), 1);
        deadlines.sweep(Instant::now());
        assert_eq!(deadlines.all.borrow().len(), 1);
        drop(stays);
    }
}
