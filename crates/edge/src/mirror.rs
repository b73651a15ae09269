//! Copies of calls to another upstream: sent by a thread of their own, answered to nobody.
//!
//! A copy is nothing that a call waits for. The worker hands it over if there is room and counts it if there is not; connections, handshakes
//! and answers are the thread's. An upstream that hangs fills its own room and no more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use bytes::Bytes;
use haechi_config::model;
use haechi_events::{Metrics, random};
use haechi_upstream::{Deal, OutBody, Pools, Reply, Upstream};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body::Body as _;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{interval, timeout};

/// Tells an upstream that nobody waits for its answer.
const X_HAECHI_MIRROR: HeaderName = HeaderName::from_static("x-haechi-mirror");

/// Longest body that is copied. Copies are held outside of the budgets for callers' bodies, so that none of those is ever refused for
/// want of memory that copies hold: all of them together are 32 MiB at most.
const BODY: usize = 64 * 1024;

/// Copies on their way to one mirror: more than one answers within a second if it takes 100 ms for each and is asked a thousand times.
const AT_ONCE: usize = 128;

/// The same over all mirrors.
const ALL_AT_ONCE: usize = 512;

/// What is read of an answer so that its connection can be used again; that of a longer one is closed.
const DISCARDED: usize = 256 * 1024;

/// How often connections that lay idle are looked at.
const SWEEP: std::time::Duration = std::time::Duration::from_secs(1);

/// Where copies of an upstream's calls go.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// The API or service whose calls are copied.
    name: Arc<str>,
    pub(crate) share: u16,
    methods: Vec<Method>,
    deal: Deal,
    /// Calls that could be copied.
    dealt: AtomicU64,
    in_flight: Arc<AtomicUsize>,
    upstream: Upstream,
}

/// The thread that sends copies; it ends with the last handle.
#[derive(Debug)]
pub(crate) struct Courier {
    copies: Option<mpsc::Sender<Duplicate>>,
    in_flight: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

/// A call once more.
struct Duplicate {
    mirror: Arc<Mirror>,
    target: PathAndQuery,
    head: Parts,
    body: Bytes,
    _places: [Place; 2],
}

/// A place among those that are on their way, given back when dropped.
struct Place(Arc<AtomicUsize>);

// === impl Mirror ===

impl Mirror {
    pub(crate) fn new(name: &str, settings: &model::UpstreamMirror, upstream: Upstream) -> Self {
        Self {
            name: name.into(),
            share: settings.share,
            methods: settings.methods.iter().filter_map(|name| name.parse().ok()).collect(),
            deal: Deal::in_turn(&[settings.share]),
            dealt: AtomicU64::new(random() >> 1),
            in_flight: Arc::default(),
            upstream,
        }
    }

    pub(crate) fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The body to copy, if the call is one that is copied: by its method, its body, which must be held and not be long, and
    /// the share.
    pub(crate) fn takes(&self, method: &Method, held: Option<&OutBody>) -> Option<Bytes> {
        let body = match held? {
            OutBody::Empty => Bytes::new(),
            OutBody::Full(bytes) if bytes.len() <= BODY => bytes.clone(),
            OutBody::Full(_) | OutBody::Stream(_) => return None,
        };
        if !self.methods.contains(method) {
            return None;
        }
        self.deal.nth(self.dealt.fetch_add(1, Relaxed))?;
        // A body that is shared holds what was counted for it.
        Some(Bytes::copy_from_slice(&body))
    }
}

// === impl Courier ===

impl Courier {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub(crate) fn start(metrics: Arc<Metrics>) -> io::Result<Self> {
        let (copies, waiting) = mpsc::channel::<Duplicate>(ALL_AT_ONCE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counted = metrics.clone();
        let run = move || LocalSet::new().block_on(&runtime, deliver(waiting, counted));
        std::thread::Builder::new().name("haechi-mirrors".to_owned()).spawn(run)?;
        Ok(Self { copies: Some(copies), in_flight: Arc::default(), metrics })
    }

    /// One that sends nothing.
    pub(crate) fn idle() -> Self {
        Self { copies: None, in_flight: Arc::default(), metrics: Arc::default() }
    }

    /// Hands over a copy; it is dropped if there is no room.
    pub(crate) fn take(&self, mirror: &Arc<Mirror>, target: &PathAndQuery, head: Parts, body: Bytes) {
        if self.hand_over(mirror, target, head, body).is_none() {
            self.metrics.mirrored(&mirror.name, "dropped");
        }
    }

    fn hand_over(
        &self,
        mirror: &Arc<Mirror>,
        target: &PathAndQuery,
        mut head: Parts,
        body: Bytes,
    ) -> Option<()> {
        let all = Place::take(&self.in_flight, ALL_AT_ONCE)?;
        let own = Place::take(&mirror.in_flight, AT_ONCE)?;
        head.headers.insert(X_HAECHI_MIRROR, HeaderValue::from_static("1"));
        let copy =
            Duplicate { mirror: mirror.clone(), target: target.clone(), head, body, _places: [all, own] };
        self.copies.as_ref()?.try_send(copy).ok()
    }
}

/// Sends copies as they come, all at once.
async fn deliver(mut waiting: mpsc::Receiver<Duplicate>, metrics: Arc<Metrics>) {
    let pools = Pools::default();
    let mut sweep = interval(SWEEP);
    loop {
        tokio::select! {
            copy = waiting.recv() => match copy {
                Some(copy) => drop(tokio::task::spawn_local(copy.send(pools.clone(), metrics.clone()))),
                None => return,
            },
            _ = sweep.tick() => pools.sweep(Instant::now()),
        }
    }
}

// === impl Duplicate ===

impl Duplicate {
    async fn send(self, pools: Pools, metrics: Arc<Metrics>) {
        let Self { mirror, target, head, body, _places } = self;
        let body = || if body.is_empty() { OutBody::Empty } else { OutBody::Full(body.clone()) };
        // Again only where a kept connection turns out to be closed.
        let again = || Some(Request::from_parts(head.clone(), body()));
        let upstream = &mirror.upstream;
        let request = Request::from_parts(head.clone(), body());
        let sent = pools.send(upstream, upstream.timeout, &target, request, again).await;
        let is_good = match sent.outcome {
            Ok(reply) => {
                let status = reply.response.status();
                let is_whole = timeout(upstream.body_idle, discard(reply)).await.unwrap_or_default();
                is_whole && !status.is_server_error()
            }
            Err(_) => false,
        };
        metrics.mirrored(&mirror.name, if is_good { "sent" } else { "failed" });
    }
}

/// Reads an answer to its end, unless that is far. Whether it did not break off.
async fn discard(reply: Reply) -> bool {
    let Reply { mut response, lease, .. } = reply;
    let mut left = DISCARDED;
    loop {
        let frame = std::future::poll_fn(|cx| std::pin::Pin::new(response.body_mut()).poll_frame(cx)).await;
        match frame {
            None => {
                lease.release();
                return true;
            }
            Some(Ok(frame)) => {
                let read = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(read) {
                    Some(rest) => left = rest,
                    None => return true,
                }
            }
            Some(Err(_)) => {
                lease.broke("the answer broke off");
                return false;
            }
        }
    }
}

// === impl Place ===

impl Place {
    fn take(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        count.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Self(count.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use haechi_upstream::{ClientTls, Endpoint, Scheme};

    use super::*;

    fn mirror(share: u16, methods: &[&str]) -> Arc<Mirror> {
        let endpoint = Endpoint::new(Scheme::Http, "::1", 1, "").expect("an endpoint");
        let tls = ClientTls::web_roots().expect("roots");
        let methods = methods.iter().map(|&name| name.to_owned()).collect();
        let settings = model::UpstreamMirror { urls: Vec::new(), share, methods };
        Arc::new(Mirror::new("orders", &settings, Upstream::plain(endpoint, tls, Duration::from_secs(1))))
    }

    #[test]
    fn what_is_copied_is_held_and_short_and_of_the_methods_and_the_share() {
        let all = mirror(1000, &["GET", "POST"]);
        let full = |length: usize| OutBody::Full(Bytes::from(vec![b'x'; length]));
        let copied = |method: Method, body: Option<OutBody>| all.takes(&method, body.as_ref());
        assert_eq!(copied(Method::GET, Some(OutBody::Empty)), Some(Bytes::new()));
        assert_eq!(copied(Method::POST, Some(full(BODY))).map(|body| body.len()), Some(BODY));
        assert_eq!(copied(Method::POST, Some(full(BODY + 1))), None);
        assert_eq!(copied(Method::POST, None), None, "a body that passes is held by nobody");
        assert_eq!(copied(Method::DELETE, Some(OutBody::Empty)), None);
        let some = mirror(55, &["GET"]);
        let taken = (0..1000).filter(|_| some.takes(&Method::GET, Some(&OutBody::Empty)).is_some()).count();
        assert_eq!(taken, 55);
    }

    #[test]
    fn a_mirror_has_so_much_room_and_gets_it_back() {
        let mirror = mirror(1000, &["GET"]);
        let (copies, mut waiting) = mpsc::channel(ALL_AT_ONCE);
        let courier = Courier { copies: Some(copies), in_flight: Arc::default(), metrics: Arc::default() };
        let target = PathAndQuery::from_static("/");
        let hand_over = |mirror: &Arc<Mirror>| {
            let (head, ()) = Request::new(()).into_parts();
            courier.hand_over(mirror, &target, head, Bytes::new()).is_some()
        };
        assert_eq!((0..AT_ONCE + 5).filter(|_| hand_over(&mirror)).count(), AT_ONCE);
        let copy = waiting.try_recv().expect("a copy");
        assert_eq!(copy.head.headers["x-haechi-mirror"], "1");
        drop(copy);
        assert!(hand_over(&mirror) && !hand_over(&mirror));
        // Others have theirs, as far as there is room for all.
        let others: Vec<_> = (0..9).map(|_| self::mirror(1000, &["GET"])).collect();
        let taken: usize = others.iter().map(|other| (0..AT_ONCE).filter(|_| hand_over(other)).count()).sum();
        assert_eq!(taken, ALL_AT_ONCE - AT_ONCE);
    }
}
