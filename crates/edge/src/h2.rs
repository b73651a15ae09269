//! One HTTP/2 connection: hyper's protocol engine, our deadlines and our pipeline.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use haechi_upstream::Stream;
use haechi_wire::{Authority, HeadersBuilder, Refusal, RefusalKind};
use http::header::HOST;
use http::{Method, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::answer::{Answer, AnswerBody, PassingError};
use crate::connection::Peer;
use crate::deadline::{Deadline, Interrupted};
use crate::pipeline;
use crate::request::Request;
use crate::request_body::RequestBody;
use crate::respond;
use crate::rewound::Rewound;
use crate::snapshot::Timeouts;
use crate::transaction::{Ending, Transaction};
use crate::tunnel::Tunnel;
use crate::worker::Worker;

/// Flow-control window of one stream: what a caller may send before anyone reads it.
const STREAM_WINDOW: u32 = 64 * 1024;
/// Flow-control window of a connection, shared by its streams.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Bytes of responses a connection buffers for one stream.
const SEND_BUFFER: usize = 64 * 1024;
/// Streams the caller may open and reset before they were even looked at (CVE-2023-44487, rapid reset).
const PENDING_RESETS: usize = 20;
/// Streams the caller may make us reset (CVE-2025-8671, MadeYouReset).
const LOCAL_RESETS: usize = 64;

/// Serves one connection until either side ends it.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    stream: Stream,
    unread: BytesMut,
    deadline: Rc<Deadline>,
) {
    let serving = worker.serving();
    let snapshot = &serving.connection(&peer.listener).snapshot;
    let timeouts = snapshot.timeouts.clone();
    let mut builder = http2::Builder::new(Local);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(snapshot.max_streams)
        .max_header_list_size(u32::try_from(snapshot.wire.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS)
        // WebSocket over a stream (RFC 8441): browsers use it where it is offered.
        .enable_connect_protocol();
    drop(serving);
    let streams = Rc::new(Streams::new(deadline.clone(), timeouts.clone()));
    let service = {
        let (worker, streams) = (worker.clone(), streams.clone());
        service_fn(move |request| {
            let call = call(worker.clone(), peer.clone(), streams.begin(), request);
            async move { Ok::<_, Infallible>(call.await) }
        })
    };
    let io = TokioIo::new(Rewound { unread, stream });
    let mut connection = pin!(builder.serve_connection(io, service));
    deadline.rest(Instant::now(), timeouts.first_byte);
    loop {
        let polled = deadline
            .wait(|cx| connection.as_mut().poll(cx).map(|result| result.map_err(std::io::Error::other)))
            .await;
        match polled {
            Ok(()) | Err(Interrupted::Io) => return,
            // Responses that nobody reads end here.
            Err(Interrupted::Overdue) if streams.open.get() > 0 => match streams.patience(Instant::now()) {
                Some(patience) => deadline.allow(Instant::now(), patience),
                None => return,
            },
            Err(Interrupted::Overdue | Interrupted::Closing) => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    deadline.allow(Instant::now(), timeouts.write);
    let _ = deadline
        .wait(|cx| connection.as_mut().poll(cx).map(|result| result.map_err(std::io::Error::other)))
        .await;
}

/// What a connection's streams do: while one is open the connection is not idle.
struct Streams {
    deadline: Rc<Deadline>,
    timeouts: Arc<Timeouts>,
    open: Cell<usize>,
    owed: RefCell<Vec<Weak<Owed>>>,
}

/// Since when a stream's caller could have read something and has not. Nothing while the stream waits for its upstream,
/// which has deadlines of its own: a stream of events may be silent for minutes.
#[derive(Default)]
struct Owed(Cell<Option<Instant>>);

/// One open stream.
struct OpenStream {
    streams: Rc<Streams>,
    owed: Rc<Owed>,
}

/// A response's body that ends its transaction.
struct StreamBody {
    body: AnswerBody,
    transaction: Option<Transaction>,
    stream: Option<OpenStream>,
}

async fn call(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    stream: OpenStream,
    mut request: http::Request<Incoming>,
) -> http::Response<StreamBody> {
    let head = request.method() == Method::HEAD;
    let upgrade = hyper::upgrade::on(&mut request);
    let (answer, transaction) = match translate(request) {
        Ok(request) => Box::pin(pipeline::serve(&worker, &peer, request)).await,
        Err(refusal) => pipeline::refuse_head(&worker, &peer, &refusal),
    };
    let Answer { status, headers, body } = answer;
    let bodiless = head || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
    let body = match body {
        AnswerBody::Tunnel(tunnel) => {
            tokio::task::spawn_local(serve_tunnel(worker, *tunnel, upgrade, transaction, stream));
            StreamBody { body: AnswerBody::Empty, transaction: None, stream: None }
        }
        body => {
            stream.owes();
            let body = if bodiless { AnswerBody::Empty } else { body };
            StreamBody { body, transaction: Some(transaction), stream: Some(stream) }
        }
    };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Serves a stream that has become a tunnel. It has deadlines of its own.
async fn serve_tunnel(
    worker: Rc<Worker>,
    tunnel: Tunnel,
    upgrade: OnUpgrade,
    mut transaction: Transaction,
    _open: OpenStream,
) {
    let ending = match upgrade.await {
        Ok(caller) => {
            tunnel.run(&worker, TokioIo::new(caller), &mut transaction).await;
            Ending::Sent
        }
        Err(_) => Ending::Aborted,
    };
    transaction.end(ending);
}

/// The same request in our own words. `Host` and `:authority` must not disagree (RFC 9113, section 8.3.1).
fn translate(request: http::Request<Incoming>) -> Result<Request, Refusal> {
    let (mut head, body) = request.into_parts();
    let mut headers = HeadersBuilder::with_capacity(head.headers.len() + 2, 1024);
    // `CONNECT` with `:protocol` is to HTTP/2 what `GET` with `Upgrade` is to HTTP/1 (RFC 8441, section 5). Without
    // it, it is for forward proxies.
    let protocol = head.extensions.get::<hyper::ext::Protocol>();
    let upgrade = match protocol {
        Some(protocol) if head.method == Method::CONNECT => {
            headers.push(b"upgrade", protocol.as_str().as_bytes());
            head.method = Method::GET;
            true
        }
        _ if head.method == Method::CONNECT => return Err(RefusalKind::ConnectRefused.into()),
        _ => false,
    };
    for (name, value) in &head.headers {
        headers.push(name.as_str().as_bytes(), value.as_bytes());
    }
    let host = head.headers.get(HOST);
    let authority = match head.uri.authority() {
        Some(authority) => {
            if host.is_none() {
                headers.push(b"host", authority.as_str().as_bytes());
            }
            Some(Authority::parse(authority.as_str().as_bytes())?)
        }
        None => host.map(|host| Authority::parse(host.as_bytes())).transpose()?,
    };
    let mut hosts = head.headers.get_all(HOST).iter();
    let same = |value: &http::HeaderValue| {
        Authority::parse(value.as_bytes()).is_ok_and(|other| Some(&other) == authority.as_ref())
    };
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() || first.is_some_and(|first| !same(first)) {
        return Err(RefusalKind::HostMismatch.into());
    }
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(Bytes::copy_from_slice(query.as_bytes()))),
        None => (target, None),
    };
    Ok(Request {
        started: Instant::now(),
        now: SystemTime::now(),
        version: Version::HTTP_2,
        method: head.method,
        path: Bytes::copy_from_slice(path.as_bytes()),
        query,
        authority,
        headers: headers.finish(),
        upgrade,
        body: if body.is_end_stream() { RequestBody::Empty } else { RequestBody::Http2(body) },
    })
}

// === impl Streams ===

impl Streams {
    fn new(deadline: Rc<Deadline>, timeouts: Arc<Timeouts>) -> Self {
        Self { deadline, timeouts, open: Cell::new(0), owed: RefCell::default() }
    }

    fn begin(self: &Rc<Self>) -> OpenStream {
        if self.open.replace(self.open.get() + 1) == 0 {
            self.deadline.allow(Instant::now(), self.timeouts.write);
        }
        let owed = Rc::new(Owed::default());
        let mut all = self.owed.borrow_mut();
        // Those that are gone are forgotten before the list grows.
        if all.len() == all.capacity() {
            all.retain(|owed| owed.strong_count() > 0);
        }
        all.push(Rc::downgrade(&owed));
        OpenStream { streams: self.clone(), owed }
    }

    /// How long it is until a stream may be overdue; nothing if one is.
    fn patience(&self, now: Instant) -> Option<Duration> {
        let all = self.owed.borrow();
        let oldest = all.iter().filter_map(Weak::upgrade).filter_map(|owed| owed.0.get()).min();
        let waited = oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.timeouts.write.checked_sub(waited).filter(|left| !left.is_zero())
    }
}

// === impl OpenStream ===

impl OpenStream {
    /// Something is there that the caller must read.
    fn owes(&self) {
        self.owed.0.set(Some(Instant::now()));
    }

    /// Nothing is there to read.
    fn waits(&self) {
        self.owed.0.set(None);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let open = self.streams.open.get().saturating_sub(1);
        self.streams.open.set(open);
        if open == 0 {
            self.streams.deadline.rest(Instant::now(), self.streams.timeouts.idle);
        }
    }
}

// === impl StreamBody ===

impl StreamBody {
    fn end(&mut self, ending: Ending) {
        if let Some(transaction) = self.transaction.take() {
            transaction.end(ending);
        }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = PassingError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, PassingError>>> {
        let this = self.get_mut();
        let piece = match &mut this.body {
            AnswerBody::Empty | AnswerBody::Tunnel(_) => None,
            AnswerBody::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                this.body = AnswerBody::Empty;
                Some(Ok(Frame::data(bytes)))
            }
            AnswerBody::Passing(passing) => match passing.poll_piece(cx) {
                Poll::Ready(piece) => piece,
                Poll::Pending => {
                    this.stream.iter().for_each(OpenStream::waits);
                    return Poll::Pending;
                }
            },
        };
        this.stream.iter().for_each(OpenStream::owes);
        match &piece {
            Some(Ok(frame)) => {
                if let Some(transaction) = &mut this.transaction {
                    transaction.count_sent(frame.data_ref().map_or(0, Bytes::len));
                    if let Some(trailers) = frame.trailers_ref() {
                        transaction.grpc_told(trailers);
                    }
                }
                if this.is_end_stream() || frame.is_trailers() {
                    this.end(Ending::Sent);
                }
            }
            Some(Err(error)) => {
                let grpc = this.transaction.as_ref().is_some_and(Transaction::is_grpc);
                let trailers = grpc.then(|| respond::grpc_trailers(error));
                if let (Some(trailers), Some(transaction)) = (&trailers, &mut this.transaction) {
                    transaction.grpc_told(trailers);
                }
                this.end(Ending::Broken(error.code()));
                if let Some(trailers) = trailers {
                    // The caller is told in its own tongue instead of by a reset.
                    this.body = AnswerBody::Empty;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
            None => this.end(Ending::Sent),
        }
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            AnswerBody::Empty | AnswerBody::Tunnel(_) => true,
            AnswerBody::Full(bytes) => bytes.is_empty(),
            AnswerBody::Passing(passing) => passing.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.length().map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for StreamBody {
    /// A body that is over before it was polled (an empty one) was sent; any other was given up by the caller.
    fn drop(&mut self) {
        let ending = if self.is_end_stream() { Ending::Sent } else { Ending::Aborted };
        self.end(ending);
    }
}

/// Runs hyper's tasks on this worker.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams() -> Rc<Streams> {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            proxy_header: second,
            tls_handshake: second,
            first_byte: second,
            head: second,
            body: second,
            idle: second,
            write: Duration::from_secs(30),
        };
        Rc::new(Streams::new(Rc::default(), Arc::new(timeouts)))
    }

    /// Regression: a stream of events that was silent for longer than a caller may read nothing ended its connection;
    /// and where one stream moved, another that nobody read was never given up.
    #[test]
    fn only_a_caller_that_does_not_read_is_overdue() {
        let streams = streams();
        let (silent, unread) = (streams.begin(), streams.begin());
        let now = Instant::now();
        silent.waits();
        assert_eq!(streams.patience(now + Duration::from_secs(3600)), Some(Duration::from_secs(30)));
        unread.owed.0.set(Some(now));
        assert_eq!(streams.patience(now + Duration::from_secs(20)), Some(Duration::from_secs(10)));
        silent.owed.0.set(Some(now + Duration::from_secs(20)));
        assert_eq!(streams.patience(now + Duration::from_secs(30)), None);
        drop(unread);
        assert_eq!(streams.patience(now + Duration::from_secs(30)), Some(Duration::from_secs(20)));
    }

    #[test]
    fn streams_that_are_gone_are_forgotten() {
        let streams = streams();
        for _ in 0..10_000 {
            drop(streams.begin());
        }
        assert!(streams.owed.borrow().capacity() < 100);
        assert_eq!(streams.open.get(), 0);
    }
}
