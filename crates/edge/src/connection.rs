//! One accepted connection: TLS, then which protocol is spoken.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use haechi_acme::TLS_ALPN;
use haechi_upstream::Stream;
use haechi_wire::proxy::Relayed;
use rustls::{HandshakeKind, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::addresses::Place;
use crate::deadline::Deadline;
use crate::snapshot::{Protocols, Snapshot};
use crate::worker::Worker;
use crate::{h1, h2, proxy, tls};

/// How an HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is known of a connection before its first request.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The other end of the connection: a caller, or a proxy in front.
    pub(crate) address: SocketAddr,
    /// Whose connection it is: the other end, or whom its PROXY header names.
    pub(crate) caller: SocketAddr,
    /// There is a PROXY header, and it names nobody: a health check, or a caller its proxy does not know.
    pub(crate) is_unnamed: bool,
    /// The listener, by its address as configured.
    pub(crate) listener: Arc<str>,
    /// What TLS agreed on.
    pub(crate) tls: Option<TlsFacts>,
}

/// What TLS agreed on.
#[derive(Debug)]
pub(crate) struct TlsFacts {
    pub(crate) version: &'static str,
    pub(crate) cipher: &'static str,
    /// The key exchange's group.
    pub(crate) group: &'static str,
    /// By which scheme the handshake was signed; empty if it was not, because a session was resumed.
    pub(crate) signature: &'static str,
    pub(crate) resumed: bool,
    pub(crate) server_name: Option<Box<str>>,
}

/// Serves a connection to its end. One snapshot says how it begins, the one that let it in.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    snapshot: Arc<Snapshot>,
    mut tcp: TcpStream,
    address: SocketAddr,
    listener: Arc<str>,
) {
    let Some(listening) = snapshot.listeners.get(&*listener) else { return };
    let (tls_config, protocols) = (listening.tls.clone(), listening.protocols);
    let timeouts = snapshot.timeouts.clone();
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let deadline = worker.deadlines.add();
    let mut peer = Peer { address, caller: address, is_unnamed: false, listener, tls: None };
    // Held for as long as the connection is open.
    let _place = if listening.proxied {
        let Some(place) = introduce(&worker, &snapshot, &mut tcp, &mut peer).await else { return };
        Some(place)
    } else {
        None
    };
    drop(snapshot);
    match tls_config {
        Some(config) => {
            let Some((stream, facts, h2)) =
                handshake(&worker, &peer.listener, tcp, config, timeouts.tls_handshake).await
            else {
                return;
            };
            peer.tls = Some(facts);
            let peer = Rc::new(peer);
            if h2 {
                h2::serve(worker, peer, stream, BytesMut::new(), deadline).await;
            } else {
                h1::serve(worker, peer, stream, BytesMut::new(), deadline).await;
            }
        }
        None => plain(worker, Rc::new(peer), tcp, protocols, timeouts.first_byte, deadline).await,
    }
}

/// Reads who is calling from the PROXY header, and counts the connection as the caller's.
async fn introduce(
    worker: &Worker,
    snapshot: &Snapshot,
    tcp: &mut TcpStream,
    peer: &mut Peer,
) -> Option<Place> {
    let trusted = &snapshot.listeners.get(&peer.listener)?.trusted;
    match Box::pin(proxy::read(tcp, peer.address, trusted, snapshot.timeouts.proxy_header)).await {
        Ok(header) => {
            worker.metrics().proxy_header(proxy::word(&header));
            match header.relayed {
                Relayed::Caller(caller) => peer.caller = caller,
                Relayed::Local | Relayed::Unknown => peer.is_unnamed = true,
            }
        }
        Err(refused) => {
            worker.metrics().proxy_header(refused.code());
            return None;
        }
    }
    let place = worker.place(peer.caller, snapshot);
    if place.is_none() {
        worker.metrics().connection_refused();
    }
    place
}

/// A plaintext connection speaks HTTP/2 if it begins with the preface, and HTTP/1 if it begins with anything else.
async fn plain(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    mut tcp: TcpStream,
    protocols: Protocols,
    first_byte: Duration,
    deadline: Rc<Deadline>,
) {
    let mut unread = BytesMut::new();
    let h2 = match (protocols.http1, protocols.http2) {
        (true, true) => {
            deadline.rest(Instant::now(), first_byte);
            loop {
                // Until the first byte came, the socket alone is watched and no memory is held.
                if unread.is_empty() && deadline.wait(|cx| tcp.poll_read_ready(cx)).await.is_err() {
                    return;
                }
                unread.reserve(PREFACE.len());
                let read = match timeout(first_byte, tcp.read_buf(&mut unread)).await {
                    Ok(Ok(read)) => read,
                    _ => return,
                };
                if read == 0 || !PREFACE.starts_with(unread.get(..PREFACE.len()).unwrap_or(&unread)) {
                    break false;
                }
                if unread.len() >= PREFACE.len() {
                    break true;
                }
            }
        }
        (_, http2) => http2,
    };
    let stream = Stream::Plain(tcp);
    if h2 {
        h2::serve(worker, peer, stream, unread, deadline).await;
    } else {
        h1::serve(worker, peer, stream, unread, deadline).await;
    }
}

async fn handshake(
    worker: &Worker,
    listener: &Arc<str>,
    tcp: TcpStream,
    config: Arc<ServerConfig>,
    within: Duration,
) -> Option<(Stream, TlsFacts, bool)> {
    // Boxed: the handshake's state is large and gone when the connection serves.
    let mut accepting = Box::pin(timeout(within, TlsAcceptor::from(config).accept(tcp)));
    let mut signature = "";
    let accepted = poll_fn(|cx| {
        let (polled, signed) = tls::signed_within(|| accepting.as_mut().poll(cx));
        signature = signed.unwrap_or(signature);
        polled
    });
    let shared = &worker.shared.lasting;
    let failed = |cause| {
        shared.metrics.tls_failed(listener, cause);
        shared.handshakes.failed(listener, cause);
    };
    let stream = match accepted.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            failed(tls::cause(&error));
            return None;
        }
        Err(_) => {
            failed("too-slow");
            return None;
        }
    };
    let (_, session) = stream.get_ref();
    // A certificate authority has seen what it came for (RFC 8737, section 3): nothing else is spoken.
    if session.alpn_protocol() == Some(TLS_ALPN) {
        return None;
    }
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    let facts = TlsFacts {
        version: match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
            _ => "",
        },
        cipher: session
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or_default(),
        group: session
            .negotiated_key_exchange_group()
            .and_then(|group| group.name().as_str())
            .unwrap_or_default(),
        signature: if resumed { "" } else { signature },
        resumed,
        server_name: session.server_name().map(Box::from),
    };
    let h2 = session.alpn_protocol() == Some(b"h2");
    shared.metrics.tls_done(listener, facts.version, facts.group, resumed);
    shared.handshakes.done(listener, &facts);
    Some((Stream::Tls(Box::new(stream.into())), facts, h2))
}
