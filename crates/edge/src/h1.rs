//! One HTTP/1 connection: heads in, responses out, in order.
//!
//! The loop is the only reader of heads; a body is read by whoever needs it (the contract, or the upstream's task).
//! Whatever is ambiguous ends the connection: after a refused head nobody can say where the next one begins.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use haechi_upstream::Stream;
use haechi_wire::h1::{
    BodyReader, CHUNK_TAIL, Framing, Head, HeadReader, ResponseFraming, write_chunk, write_last_chunk,
    write_response_head,
};
use haechi_wire::{Headers, Refusal};
use http::{Method, StatusCode, Version};
use http_body::Frame;

use crate::answer::{Answer, AnswerBody, PassingBody, PassingError};
use crate::channel::{Channel, ChannelIo};
use crate::connection::Peer;
use crate::deadline::{Deadline, Interrupted};
use crate::forward;
use crate::pipeline;
use crate::request::Request;
use crate::request_body::{H1Body, H1Progress, RequestBody};
use crate::snapshot::{Snapshot, Timeouts};
use crate::transaction::{Ending, Transaction};
use crate::worker::Worker;

/// How long, and how much, is read of a caller whose connection is given up, so that it sees the last response
/// before the reset that its unread bytes would cause (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 256 * 1024;

/// Serves one connection until either side ends it. `unread` was read already.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    stream: Stream,
    unread: BytesMut,
    deadline: Rc<Deadline>,
) {
    let channel = Rc::new(Channel::new(stream, unread, worker.scratch.clone()));
    let connection = Connection { worker, peer, channel, deadline };
    let mut reader = HeadReader::new(connection.snapshot().wire.clone());
    let mut first = true;
    loop {
        let timeouts = connection.snapshot().timeouts.clone();
        let head = match connection.read_head(&mut reader, &timeouts, first).await {
            NextHead::Head(head) => head,
            NextHead::End => break,
            NextHead::Refused(refusal) => {
                let (answer, transaction) =
                    pipeline::refuse_head(&connection.worker, &connection.peer, &refusal);
                connection.send(answer, transaction, &Receiver::UNKNOWN, false, &timeouts).await;
                return connection.linger().await;
            }
            NextHead::TooSlow => {
                let (answer, transaction) = pipeline::slow_head(&connection.worker, &connection.peer);
                connection.send(answer, transaction, &Receiver::UNKNOWN, false, &timeouts).await;
                return connection.linger().await;
            }
        };
        first = false;
        // Boxed: between requests the connection's task is small.
        match Box::pin(connection.call(*head, &timeouts)).await {
            Next::Request => {}
            Next::Linger => return connection.linger().await,
            Next::End => break,
        }
    }
    connection.deadline.allow(Instant::now(), LINGER);
    let _ = connection.deadline.wait(|cx| connection.channel.poll_shutdown(cx)).await;
}

struct Connection {
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    channel: Rc<Channel>,
    deadline: Rc<Deadline>,
}

/// What the response depends on, of the request.
struct Receiver {
    head: bool,
    version: Version,
    /// The caller takes trailers.
    trailers: bool,
}

enum NextHead {
    Head(Box<Head>),
    /// The caller, or the gateway, has ended the connection between two requests, or it broke.
    End,
    Refused(Refusal),
    TooSlow,
}

/// What a body gave.
type Piece = Option<Result<Frame<Bytes>, PassingError>>;

/// How a body that passes is delimited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chunks {
    None,
    WithoutTrailers,
    WithTrailers,
}

enum Next {
    /// The connection is ready for another request.
    Request,
    /// The connection ends; the caller may still be sending.
    Linger,
    /// The connection has ended.
    End,
}

impl Receiver {
    /// Of a request that could not be read.
    const UNKNOWN: Self = Self { head: false, version: Version::HTTP_11, trailers: false };
}

// === impl Connection ===

impl Connection {
    /// What the connection is served by; its requests may be dealt to another.
    fn snapshot(&self) -> Arc<Snapshot> {
        self.worker.serving().connection(&self.peer.listener).snapshot.clone()
    }

    async fn read_head(&self, reader: &mut HeadReader, timeouts: &Timeouts, first: bool) -> NextHead {
        let mut begun = false;
        self.deadline.rest(Instant::now(), if first { timeouts.first_byte } else { timeouts.idle });
        loop {
            if self.channel.has_unread() {
                match self.channel.with_unread(|unread| reader.read(unread)) {
                    Ok(Some(head)) => {
                        self.deadline.lift();
                        return NextHead::Head(Box::new(head));
                    }
                    Ok(None) => {}
                    Err(refusal) => return NextHead::Refused(refusal),
                }
                if !begun {
                    begun = true;
                    self.deadline.allow(Instant::now(), timeouts.head);
                }
            }
            match self.deadline.wait(|cx| self.channel.poll_fill(cx)).await {
                Ok(0) | Err(Interrupted::Io | Interrupted::Closing) => return NextHead::End,
                Ok(_) => {}
                Err(Interrupted::Overdue) if begun => return NextHead::TooSlow,
                Err(Interrupted::Overdue) => return NextHead::End,
            }
        }
    }

    /// One request and its response.
    async fn call(&self, head: Head, timeouts: &Timeouts) -> Next {
        let Head {
            method,
            target,
            version,
            headers,
            framing,
            persistent,
            expect_continue,
            upgrade,
            authority,
            ..
        } = head;
        let receiver = Receiver {
            head: method == Method::HEAD,
            version,
            trailers: version == Version::HTTP_11 && forward::takes_trailers(&headers),
        };
        let (body, progress) = self.body(framing, expect_continue && version == Version::HTTP_11);
        let request = Request {
            started: Instant::now(),
            now: SystemTime::now(),
            version,
            method,
            path: target.path_raw().clone(),
            query: target.query_raw().cloned(),
            authority,
            headers,
            upgrade,
            body,
        };
        let (answer, transaction) = pipeline::serve(&self.worker, &self.peer, request).await;
        let at_end = progress.is_none_or(|progress| progress.skip_buffered(&self.channel));
        let persistent = persistent && at_end && !self.deadline.is_closing();
        let sent = self.send(answer, transaction, &receiver, persistent, timeouts).await;
        match (sent, persistent) {
            (true, true) => Next::Request,
            (true, false) if !at_end || self.channel.has_unread() => Next::Linger,
            _ => Next::End,
        }
    }

    fn body(&self, framing: Framing, expect_continue: bool) -> (RequestBody, Option<Rc<H1Progress>>) {
        let declared = match framing {
            Framing::Empty => return (RequestBody::Empty, None),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let reader = BodyReader::new(framing, &self.snapshot().wire);
        let (body, progress) = H1Body::new(self.channel.clone(), reader, declared, expect_continue);
        (RequestBody::Http1(body), Some(progress))
    }

    /// Sends the response; false if it could not be sent whole, after which the connection is of no use.
    async fn send(
        &self,
        answer: Answer,
        mut transaction: Transaction,
        receiver: &Receiver,
        persistent: bool,
        timeouts: &Timeouts,
    ) -> bool {
        let version = receiver.version;
        let bodiless = receiver.head
            || matches!(answer.body, AnswerBody::Tunnel(_))
            || answer.status == StatusCode::NO_CONTENT
            || answer.status == StatusCode::NOT_MODIFIED;
        let framing = match answer.body.length() {
            _ if bodiless => ResponseFraming::None,
            Some(length) => ResponseFraming::Length(length),
            None if version == Version::HTTP_11 => ResponseFraming::Chunked,
            None => ResponseFraming::UntilClose,
        };
        let persistent = persistent && !matches!(framing, ResponseFraming::UntilClose);
        let mut out = BytesMut::with_capacity(512);
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
        write_response_head(&mut out, answer.status, headers, framing, persistent, version);
        let ending = match answer.body {
            AnswerBody::Full(bytes) if !bodiless => {
                transaction.count_sent(bytes.len());
                self.write(&out, &bytes, timeouts).await
            }
            AnswerBody::Passing(passing) if !bodiless => {
                let chunks = match framing {
                    ResponseFraming::Chunked if receiver.trailers => Chunks::WithTrailers,
                    ResponseFraming::Chunked => Chunks::WithoutTrailers,
                    _ => Chunks::None,
                };
                self.pass(out, *passing, chunks, &mut transaction, timeouts).await
            }
            AnswerBody::Tunnel(tunnel) => {
                let ending = self.write(&out, b"", timeouts).await;
                if let Ending::Sent = ending {
                    self.deadline.lift();
                    let caller = ChannelIo(self.channel.clone());
                    tunnel.run(&self.worker, caller, &mut transaction).await;
                }
                transaction.end(ending);
                return false;
            }
            _ => self.write(&out, b"", timeouts).await,
        };
        let whole = matches!(ending, Ending::Sent) && !matches!(framing, ResponseFraming::UntilClose);
        transaction.end(ending);
        whole
    }

    /// Passes a body on as it comes. Head and first piece leave in one write if both are there.
    async fn pass(
        &self,
        mut out: BytesMut,
        mut body: PassingBody,
        chunks: Chunks,
        transaction: &mut Transaction,
        timeouts: &Timeouts,
    ) -> Ending {
        let chunked = chunks != Chunks::None;
        let mut open = false;
        let mut trailers = None;
        loop {
            let piece = match self.ready_piece(&mut body).await {
                Some(piece) => piece,
                // Nothing yet: what is already known goes out before we wait.
                None => {
                    if !out.is_empty() {
                        if let Ending::Aborted = self.write(&out, b"", timeouts).await {
                            return Ending::Aborted;
                        }
                        out.clear();
                    }
                    self.deadline.lift();
                    match self.next_piece(&mut body).await {
                        Some(piece) => piece,
                        None => return Ending::Aborted,
                    }
                }
            };
            let data = match piece {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(frame) => {
                        trailers = frame.into_trailers().ok();
                        continue;
                    }
                },
                None => break,
                // Without the last chunk, or short of its length: the caller can tell that it is not whole.
                Some(Err(error)) => return Ending::Broken(error.code()),
            };
            transaction.count_sent(data.len());
            if chunked {
                if open {
                    out.extend_from_slice(CHUNK_TAIL);
                }
                write_chunk(&mut out, data.len());
                open = true;
            }
            if let Ending::Aborted = self.write(&out, &data, timeouts).await {
                return Ending::Aborted;
            }
            out.clear();
        }
        if chunked {
            if open {
                out.extend_from_slice(CHUNK_TAIL);
            }
            let trailers = trailers.filter(|_| chunks == Chunks::WithTrailers);
            write_last_chunk(&mut out, trailers.as_ref().map(Headers::from).as_ref());
        }
        if out.is_empty() { Ending::Sent } else { self.write(&out, b"", timeouts).await }
    }

    /// What the body has ready now; nothing if it must be waited for.
    async fn ready_piece(&self, body: &mut PassingBody) -> Option<Piece> {
        poll_fn(|cx| {
            Poll::Ready(match body.poll_piece(cx) {
                Poll::Ready(piece) => Some(piece),
                Poll::Pending => None,
            })
        })
        .await
    }

    /// The body's next piece; nothing if the caller of a live stream has gone meanwhile.
    async fn next_piece(&self, body: &mut PassingBody) -> Option<Piece> {
        poll_fn(|cx| match body.poll_piece(cx) {
            Poll::Ready(piece) => Poll::Ready(Some(piece)),
            Poll::Pending if body.is_live() => self.channel.poll_gone(cx).map(|()| None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Writes both; each write that moves something renews the deadline.
    async fn write(&self, mut first: &[u8], mut second: &[u8], timeouts: &Timeouts) -> Ending {
        while !(first.is_empty() && second.is_empty()) {
            self.deadline.allow(Instant::now(), timeouts.write);
            let written = match self.deadline.wait(|cx| self.channel.poll_write(cx, first, second)).await {
                Ok(0) | Err(_) => return Ending::Aborted,
                Ok(written) => written,
            };
            let of_first = written.min(first.len());
            first = first.get(of_first..).unwrap_or_default();
            second = second.get(written - of_first..).unwrap_or_default();
        }
        match self.deadline.wait(|cx| self.channel.poll_flush(cx)).await {
            Ok(()) => Ending::Sent,
            Err(_) => Ending::Aborted,
        }
    }

    /// Ends a connection whose caller may still be sending.
    async fn linger(&self) {
        self.deadline.allow(Instant::now(), LINGER);
        let _ = self.deadline.wait(|cx| self.channel.poll_shutdown(cx)).await;
        let most = self.channel.received() + LINGER_BYTES;
        while self.channel.received() < most {
            match self.deadline.wait(|cx| self.channel.poll_fill(cx)).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.channel.with_unread(BytesMut::clear),
            }
        }
    }
}
