//! The live connections of one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::client::conn::http2;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::balance::Choice;
use crate::clock::Millis;
use crate::connect::connect;
use crate::endpoint::Protocol;
use crate::health::Standing;
use crate::send::Flight;
use crate::sender::Sender;
use crate::site::{Peer, SiteSpec};
use crate::upstream::Upstream;
use crate::{OutBody, UpstreamError};

/// How long a connection may lie idle before it is closed. Shorter than the keep-alive time of common servers
/// (nginx 75 s, Go 3 min, gunicorn 2 s is the exception), so that the gateway closes first and no call races a close.
const IDLE: Duration = Duration::from_secs(30);

/// Calls that share one HTTP/2 connection: what RFC 9113 (section 6.5.2) asks every server to take at least.
const STREAMS: usize = 100;

/// The live connections of one worker, by endpoint. Outlives snapshots. Cheap to clone (a handle), not `Send`.
#[derive(Clone, Default)]
pub struct Pools {
    by_peer: Rc<RefCell<HashMap<PoolKey, Rc<Pool>>>>,
}

/// A connection in use. Dropped without [`release`](Lease::release), an HTTP/1 connection is closed: its state is
/// unknown. An HTTP/2 connection has others to serve.
pub struct Lease {
    pool: Rc<Pool>,
    sender: Sender,
    /// Counts the call among those of its HTTP/2 connection.
    _stream: Option<Rc<()>>,
    _place: OwnedSemaphorePermit,
    flight: Flight,
}

/// A connection and a place, not yet a lease.
pub(crate) struct Taken {
    pool: Rc<Pool>,
    pub(crate) sender: Sender,
    stream: Option<Rc<()>>,
    /// It was kept from a call before.
    pub(crate) reused: bool,
    place: OwnedSemaphorePermit,
}

/// The place of the address in memory, and what is spoken to it.
type PoolKey = (usize, Protocol);

struct Pool {
    /// HTTP/1 connections that nobody uses.
    idle: RefCell<Vec<Idle>>,
    /// HTTP/2 connections, used or not.
    shared: RefCell<Vec<Shared>>,
    /// Held while an HTTP/2 connection is set up: those who come meanwhile share it.
    connecting: Mutex<()>,
    places: Arc<Semaphore>,
    max: usize,
    peer: Arc<Peer>,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

struct Shared {
    sender: http2::SendRequest<OutBody>,
    /// Held by each of its calls.
    calls: Rc<()>,
    made: Instant,
    used: Instant,
}

// === impl Pools ===

impl Pools {
    /// Closes connections that lay idle too long and forgets empty pools. Called by the worker now and then.
    pub fn sweep(&self, now: Instant) {
        self.by_peer.borrow_mut().retain(|_, pool| {
            let wanted = pool.is_wanted();
            let mut idle = pool.idle.borrow_mut();
            idle.retain(|entry| {
                wanted && !entry.sender.is_closed() && now.duration_since(entry.since) < IDLE
            });
            let mut shared = pool.shared.borrow_mut();
            shared.retain_mut(|entry| entry.is_wanted(now) && (wanted || entry.calls() > 0));
            !idle.is_empty() || !shared.is_empty() || pool.places.available_permits() < pool.max
        });
    }

    /// Idle connections now, over all endpoints.
    pub fn idle(&self) -> usize {
        self.by_peer.borrow().values().map(|pool| pool.idle()).sum()
    }

    /// A connection to the chosen address and a place for the call: a kept connection or a new one.
    pub(crate) async fn take(
        &self,
        upstream: &Upstream,
        choice: &Choice<'_>,
        fresh_only: bool,
    ) -> Result<Taken, UpstreamError> {
        let endpoint = || choice.target.endpoint.name().clone();
        let protocol = upstream.protocol;
        let pool = self.pool(upstream, &choice.peer, protocol);
        let place = match pool.places.clone().try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => {
                let waiting = pool.places.clone().acquire_owned();
                timeout(upstream.connect_timeout, waiting).await.ok().and_then(Result::ok)
            }
        };
        let Some(place) = place else { return Err(UpstreamError::Busy { endpoint: endpoint() }) };
        // A kept connection needs no timer.
        if !fresh_only && let Some((sender, stream)) = pool.kept(protocol).await {
            return Ok(Taken { pool, sender, stream, reused: true, place });
        }
        let connecting = pool.connect(choice.target.site.spec(), protocol, fresh_only);
        match timeout(upstream.connect_timeout, connecting).await {
            Ok(Ok((sender, stream))) => Ok(Taken { pool, sender, stream, reused: false, place }),
            Ok(Err(source)) => Err(UpstreamError::Connect { endpoint: endpoint(), source }),
            Err(_) => Err(UpstreamError::ConnectTimeout { endpoint: endpoint() }),
        }
    }

    fn pool(&self, upstream: &Upstream, peer: &Arc<Peer>, protocol: Protocol) -> Rc<Pool> {
        let new = || Rc::new(Pool::new(upstream.max_connections, peer.clone()));
        let mut pools = self.by_peer.borrow_mut();
        // The pool holds the peer: no other is ever at its address.
        let pool = pools.entry((Arc::as_ptr(peer).addr(), protocol)).or_insert_with(new);
        if pool.max != upstream.max_connections {
            // A new snapshot allows another number: calls in flight keep their old place, idle ones are reused.
            let replacement = new();
            replacement.idle.borrow_mut().append(&mut pool.idle.borrow_mut());
            replacement.shared.borrow_mut().append(&mut pool.shared.borrow_mut());
            *pool = replacement;
        }
        pool.clone()
    }
}

// === impl Taken ===

impl Taken {
    /// Held from now on until the response has ended.
    pub(crate) fn lease(self, flight: Flight) -> Lease {
        let Self { pool, sender, stream, place, .. } = self;
        Lease { pool, sender, _stream: stream, _place: place, flight }
    }
}

// === impl Lease ===

impl Lease {
    /// The response ended before its end: the address is no good.
    pub fn broke(self, why: &str) {
        self.flight.broke(why);
    }

    /// Gives the connection back: the response's body has been read to its end.
    pub fn release(self) {
        self.flight.ended_well();
        // A shared connection is never away.
        if self.sender.is_closed() || matches!(self.sender, Sender::Http2(_)) || !self.pool.is_wanted() {
            return;
        }
        let mut idle = self.pool.idle.borrow_mut();
        if idle.len() < self.pool.max {
            idle.push(Idle { sender: self.sender, since: Instant::now() });
        }
    }
}

// === impl Pool ===

impl Pool {
    fn new(max: usize, peer: Arc<Peer>) -> Self {
        let places = Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            idle: RefCell::default(),
            shared: RefCell::default(),
            connecting: Mutex::default(),
            places,
            max,
            peer,
        }
    }

    /// Whether connections to its address are worth keeping.
    fn is_wanted(&self) -> bool {
        !self.peer.is_gone() && self.peer.health.standing(Millis::now()) == Standing::Good
    }

    /// A connection that is kept.
    async fn kept(&self, protocol: Protocol) -> Option<(Sender, Option<Rc<()>>)> {
        if protocol == Protocol::Http2 {
            let (sender, calls) = self.share(None)?;
            return Some((Sender::Http2(sender), Some(calls)));
        }
        while let Some(mut idle) = self.take_idle() {
            if idle.ready().await {
                return Some((idle, None));
            }
        }
        None
    }

    /// A new connection; of HTTP/2, one that another call set up meanwhile.
    async fn connect(
        &self,
        spec: &SiteSpec,
        protocol: Protocol,
        fresh_only: bool,
    ) -> io::Result<(Sender, Option<Rc<()>>)> {
        let make = || connect(spec, protocol, &self.peer);
        if protocol == Protocol::Http1 {
            return Ok((make().await?, None));
        }
        let asked = Instant::now();
        let _alone = self.connecting.lock().await;
        if let Some((sender, calls)) = self.share(fresh_only.then_some(asked)) {
            return Ok((Sender::Http2(sender), Some(calls)));
        }
        let sender = make().await?;
        let Sender::Http2(shared) = &sender else { return Ok((sender, None)) };
        let (calls, made) = (Rc::new(()), Instant::now());
        let entry = Shared { sender: shared.clone(), calls: calls.clone(), made, used: made };
        self.shared.borrow_mut().push(entry);
        Ok((sender, Some(calls)))
    }

    /// The connection used last: the others may then grow old and be closed.
    fn take_idle(&self) -> Option<Sender> {
        let mut idle = self.idle.borrow_mut();
        while let Some(entry) = idle.pop() {
            if !entry.sender.is_closed() && entry.since.elapsed() < IDLE {
                return Some(entry.sender);
            }
        }
        None
    }

    /// A place on an HTTP/2 connection, one made after `since` if that is given. The first that has one: the others
    /// may then grow old and be closed.
    fn share(&self, since: Option<Instant>) -> Option<(http2::SendRequest<OutBody>, Rc<()>)> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|entry| !entry.sender.is_closed());
        let entry = shared
            .iter_mut()
            .find(|entry| entry.calls() < STREAMS && since.is_none_or(|since| entry.made >= since))?;
        entry.used = Instant::now();
        Some((entry.sender.clone(), entry.calls.clone()))
    }

    /// Connections without a call.
    fn idle(&self) -> usize {
        self.idle.borrow().len() + self.shared.borrow().iter().filter(|entry| entry.calls() == 0).count()
    }
}

// === impl Shared ===

impl Shared {
    /// Calls in flight.
    fn calls(&self) -> usize {
        Rc::strong_count(&self.calls) - 1
    }

    /// Whether it is worth keeping; looked at now and then.
    fn is_wanted(&mut self, now: Instant) -> bool {
        if self.calls() > 0 {
            self.used = now;
        }
        !self.sender.is_closed() && now.duration_since(self.used) < IDLE
    }
}

#[cfg(test)]
mod http2_tests;
#[cfg(test)]
mod tests;
