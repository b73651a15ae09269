//! The live connections of one worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use rustls::ClientConfig;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::connect::connect;
use crate::endpoint::{Endpoint, Protocol, Scheme, Upstream};
use crate::sender::Sender;
use crate::{OutBody, UpstreamError};

/// How long a connection may lie idle before it is closed. Shorter than the keep-alive time of common servers
/// (nginx 75 s, Go 3 min, gunicorn 2 s is the exception), so that the gateway closes first and no call races a close.
const IDLE: Duration = Duration::from_secs(30);

/// Calls that share one HTTP/2 connection: what RFC 9113 (section 6.5.2) asks every server to take at least.
const STREAMS: usize = 100;

/// The live connections of one worker, by endpoint. Outlives snapshots. Cheap to clone (a handle), not `Send`.
#[derive(Clone, Default)]
pub struct Pools {
    by_endpoint: Rc<RefCell<HashMap<PoolKey, Rc<Pool>>>>,
    rotation: Rc<Cell<usize>>,
}

/// An upstream's answer. The connection goes back to its pool through [`Lease::release`] once the body has ended.
pub struct Reply {
    /// Status, headers and body as they come.
    pub response: http::Response<Incoming>,
    /// Which endpoint answered.
    pub endpoint: Arc<str>,
    /// The connection in use.
    pub lease: Lease,
}

/// A connection in use. Dropped without [`release`](Lease::release), an HTTP/1 connection is closed: its state is
/// unknown. An HTTP/2 connection has others to serve.
pub struct Lease {
    pool: Rc<Pool>,
    sender: Sender,
    /// Counts the call among those of its HTTP/2 connection.
    _stream: Option<Rc<()>>,
    _place: OwnedSemaphorePermit,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct PoolKey {
    name: Arc<str>,
    scheme: Scheme,
    protocol: Protocol,
    /// Two upstreams of one address but other trust do not share connections.
    tls: usize,
}

struct Pool {
    /// HTTP/1 connections that nobody uses.
    idle: RefCell<Vec<Idle>>,
    /// HTTP/2 connections, used or not.
    shared: RefCell<Vec<Shared>>,
    /// Held while an HTTP/2 connection is set up: those who come meanwhile share it.
    connecting: Mutex<()>,
    places: Arc<Semaphore>,
    max: usize,
    /// Keeps the trust settings alive that the pool's key names by address.
    _tls: Option<Arc<ClientConfig>>,
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
    /// Sends a request and waits for the head of the response.
    ///
    /// The request's URI and `Host` are set here, from `target` and the endpoint that takes the call. A request
    /// that never left because a kept connection had just closed is sent again on a new one; so is one whose method
    /// is idempotent (RFC 9110, 9.2.2) and which `again` can make once more, when the kept connection broke before any
    /// answer. `again` is asked only then: copying each request for the rare case would cost more than making it anew.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn send(
        &self,
        upstream: &Upstream,
        deadline: Duration,
        target: &PathAndQuery,
        request: http::Request<OutBody>,
        again: impl Fn() -> Option<http::Request<OutBody>>,
    ) -> Result<Reply, UpstreamError> {
        let mut endpoint = self.choose(upstream, 0).ok_or(UpstreamError::NoEndpoint)?;
        let exchange = self.exchange(upstream, &mut endpoint, target, request, again);
        match timeout(deadline, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(UpstreamError::Timeout { endpoint: endpoint.name().clone() }),
        }
    }

    /// Closes connections that lay idle too long and forgets empty pools. Called by the worker now and then.
    pub fn sweep(&self, now: Instant) {
        self.by_endpoint.borrow_mut().retain(|_, pool| {
            let mut idle = pool.idle.borrow_mut();
            idle.retain(|entry| !entry.sender.is_closed() && now.duration_since(entry.since) < IDLE);
            let mut shared = pool.shared.borrow_mut();
            shared.retain_mut(|entry| entry.is_wanted(now));
            !idle.is_empty() || !shared.is_empty() || pool.places.available_permits() < pool.max
        });
    }

    /// Idle connections now, over all endpoints.
    pub fn idle(&self) -> usize {
        self.by_endpoint.borrow().values().map(|pool| pool.idle()).sum()
    }

    async fn exchange<'u>(
        &self,
        upstream: &'u Upstream,
        endpoint: &mut &'u Endpoint,
        target: &PathAndQuery,
        mut request: http::Request<OutBody>,
        again: impl Fn() -> Option<http::Request<OutBody>>,
    ) -> Result<Reply, UpstreamError> {
        let idempotent = request.method().is_idempotent();
        let mut fresh_only = false;
        loop {
            let (mut lease, reused) = self.lease(upstream, endpoint, fresh_only).await?;
            match lease.sender.send(request, endpoint, target).await {
                Ok(response) => return Ok(Reply { response, endpoint: endpoint.name().clone(), lease }),
                Err(mut error) => match error.take_message().or_else(|| again().filter(|_| idempotent)) {
                    Some(once_more) if reused => {
                        request = once_more;
                        fresh_only = true;
                    }
                    _ => {
                        let source = error.into_error();
                        return Err(UpstreamError::Broken { endpoint: endpoint.name().clone(), source });
                    }
                },
            }
        }
    }

    /// A connection to `endpoint`: an idle one, or a new one, or a new one to the next endpoint that takes it.
    async fn lease<'u>(
        &self,
        upstream: &'u Upstream,
        endpoint: &mut &'u Endpoint,
        fresh_only: bool,
    ) -> Result<(Lease, bool), UpstreamError> {
        let mut failure = UpstreamError::NoEndpoint;
        for turn in 0..upstream.endpoints.len() {
            if turn > 0 {
                *endpoint = self.choose(upstream, turn).ok_or(UpstreamError::NoEndpoint)?;
            }
            let pool = self.pool(upstream, endpoint);
            let place = match pool.places.clone().try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => {
                    let waiting = pool.places.clone().acquire_owned();
                    timeout(upstream.connect_timeout, waiting).await.ok().and_then(Result::ok)
                }
            };
            let Some(place) = place else {
                failure = UpstreamError::Busy { endpoint: endpoint.name().clone() };
                continue;
            };
            match timeout(upstream.connect_timeout, pool.sender(upstream, endpoint, fresh_only)).await {
                Ok(Ok((sender, stream, reused))) => {
                    return Ok((Lease { pool, sender, _stream: stream, _place: place }, reused));
                }
                Ok(Err(source)) => {
                    failure = UpstreamError::Connect { endpoint: endpoint.name().clone(), source };
                }
                Err(_) => failure = UpstreamError::ConnectTimeout { endpoint: endpoint.name().clone() },
            }
        }
        Err(failure)
    }

    /// The endpoint whose turn it is; `turn` counts the endpoints tried before in this call.
    fn choose<'u>(&self, upstream: &'u Upstream, turn: usize) -> Option<&'u Endpoint> {
        let count = upstream.endpoints.len();
        if count <= 1 {
            return upstream.endpoints.first();
        }
        if turn == 0 {
            self.rotation.set(self.rotation.get().wrapping_add(1));
        }
        upstream.endpoints.get(self.rotation.get().wrapping_add(turn) % count)
    }

    fn pool(&self, upstream: &Upstream, endpoint: &Endpoint) -> Rc<Pool> {
        let tls = match endpoint.scheme() {
            Scheme::Http => None,
            Scheme::Https => Some(upstream.tls.config(upstream.protocol)),
        };
        let key = PoolKey {
            name: endpoint.name().clone(),
            scheme: endpoint.scheme(),
            protocol: upstream.protocol,
            tls: tls.map_or(0, |config| Arc::as_ptr(config).addr()),
        };
        let new = || Rc::new(Pool::new(upstream.max_connections, tls.cloned()));
        let mut pools = self.by_endpoint.borrow_mut();
        let pool = pools.entry(key).or_insert_with(new);
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

// === impl Lease ===

impl Lease {
    /// Gives the connection back: the response's body has been read to its end.
    pub fn release(self) {
        // A shared connection is never away.
        if self.sender.is_closed() || matches!(self.sender, Sender::Http2(_)) {
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
    fn new(max: usize, tls: Option<Arc<ClientConfig>>) -> Self {
        let places = Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            idle: RefCell::default(),
            shared: RefCell::default(),
            connecting: Mutex::default(),
            places,
            max,
            _tls: tls,
        }
    }

    /// A connection that is kept, or a new one; and whether it is kept.
    async fn sender(
        &self,
        upstream: &Upstream,
        endpoint: &Endpoint,
        fresh_only: bool,
    ) -> io::Result<(Sender, Option<Rc<()>>, bool)> {
        let make = || connect(endpoint, upstream.protocol, &upstream.tls);
        if upstream.protocol == Protocol::Http1 {
            while let Some(mut idle) = self.take_idle().filter(|_| !fresh_only) {
                if idle.ready().await {
                    return Ok((idle, None, true));
                }
            }
            return Ok((make().await?, None, false));
        }
        if let Some((sender, calls)) = self.share(None).filter(|_| !fresh_only) {
            return Ok((Sender::Http2(sender), Some(calls), true));
        }
        let asked = Instant::now();
        let _alone = self.connecting.lock().await;
        // Another call may have set one up meanwhile.
        if let Some((sender, calls)) = self.share(fresh_only.then_some(asked)) {
            return Ok((Sender::Http2(sender), Some(calls), false));
        }
        let sender = make().await?;
        let Sender::Http2(shared) = &sender else { return Ok((sender, None, false)) };
        let (calls, used) = (Rc::new(()), Instant::now());
        let entry = Shared { sender: shared.clone(), calls: calls.clone(), made: used, used };
        self.shared.borrow_mut().push(entry);
        Ok((sender, Some(calls), false))
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
