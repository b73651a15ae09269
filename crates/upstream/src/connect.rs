//! Setting up one connection.

use std::io;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Stream;
use crate::agreed;
use crate::endpoint::{Protocol, Scheme};
use crate::sender::Sender;
use crate::site::{Peer, SiteSpec};

/// Largest head of a response: an upstream may not make the gateway hold more.
const MAX_RESPONSE_HEAD: usize = 64 * 1024;

/// Most headers in a response.
const MAX_RESPONSE_HEADERS: usize = 128;

/// Flow-control window of one HTTP/2 stream: what an upstream may send of a response before the caller reads it.
const STREAM_WINDOW: u32 = 256 * 1024;

/// Flow-control window of an HTTP/2 connection, shared by its streams.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// What is held of one request's body that an upstream does not take.
const SEND_BUFFER: usize = 64 * 1024;

/// An HTTP/2 connection with calls in flight is asked this often whether it still lives, and given up after as long
/// again: a peer that is gone without a word holds its calls no longer.
const PING: Duration = Duration::from_secs(10);

/// How long a peer may leave what was sent unacknowledged, and a silent connection's probes unanswered.
const GONE: Duration = Duration::from_secs(20);
const PROBE_AFTER: Duration = Duration::from_secs(15);
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// Connects to one address of a site and starts the task that drives the connection on this worker. The caller bounds
/// it in time.
pub(crate) async fn connect(spec: &SiteSpec, protocol: Protocol, peer: &Peer) -> io::Result<Sender> {
    let tcp = TcpStream::connect(peer.address).await?;
    tcp.set_nodelay(true)?;
    notice_death(&tcp)?;
    let io = match spec.scheme {
        Scheme::Http => Stream::Plain(tcp),
        Scheme::Https => {
            let name = spec.tls.name().unwrap_or(&spec.host);
            let name = ServerName::try_from(name.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = TlsConnector::from(spec.tls.config(protocol).clone()).connect(name, tcp).await?;
            agreed::note(&peer.name, stream.get_ref().1);
            if protocol == Protocol::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "it does not speak HTTP/2 (ALPN)"));
            }
            Stream::Tls(Box::new(stream.into()))
        }
    };
    // The driving task's errors reach the caller through the exchange that was in flight; an idle connection's end
    // is no news.
    match protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(MAX_RESPONSE_HEAD)
                .max_headers(MAX_RESPONSE_HEADERS)
                .handshake(TokioIo::new(io))
                .await
                .map_err(io::Error::other)?;
            tokio::task::spawn_local(async move { drop(connection.with_upgrades().await) });
            Ok(Sender::Http1(sender))
        }
        Protocol::Http2 => {
            let (sender, connection) = http2::Builder::new(Local)
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(u32::try_from(MAX_RESPONSE_HEAD).unwrap_or(u32::MAX))
                .max_send_buf_size(SEND_BUFFER)
                .keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .handshake(TokioIo::new(io))
                .await
                .map_err(io::Error::other)?;
            tokio::task::spawn_local(async move { drop(connection.await) });
            Ok(Sender::Http2(sender))
        }
    }
}

/// A peer that is gone without a word is noticed by the system, whether something was sent (user timeout, RFC 5482) or
/// is awaited (keep-alive).
fn notice_death(tcp: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY))?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(GONE))?;
    Ok(())
}

/// Runs hyper's tasks on this worker.
#[derive(Clone, Copy)]
pub(crate) struct Local;

impl<F: Future + 'static> hyper::rt::Executor<F> for Local
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
