//! Setting up one connection.

use std::io;
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::{Endpoint, Protocol, Scheme};
use crate::sender::Sender;
use crate::{ClientTls, Stream, agreed};

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

/// Connects and starts the task that drives the connection on this worker.
///
/// Every address the name resolves to is tried in order; the caller bounds the whole in time.
pub(crate) async fn connect(endpoint: &Endpoint, protocol: Protocol, tls: &ClientTls) -> io::Result<Sender> {
    let tcp = dial(endpoint).await?;
    tcp.set_nodelay(true)?;
    let io = match endpoint.scheme() {
        Scheme::Http => Stream::Plain(tcp),
        Scheme::Https => {
            let name = ServerName::try_from(endpoint.host().to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let stream = TlsConnector::from(tls.config(protocol).clone()).connect(name, tcp).await?;
            agreed::note(endpoint.name(), stream.get_ref().1);
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

async fn dial(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut last = None;
    for address in tokio::net::lookup_host((endpoint.host(), endpoint.port())).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name resolves to no address")))
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
