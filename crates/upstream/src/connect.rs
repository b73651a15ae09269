//! Setting up one connection.

use std::io;

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::{Endpoint, Scheme};
use crate::{ClientTls, OutBody, Stream};

/// Largest head of a response: an upstream may not make the gateway hold more.
const MAX_RESPONSE_HEAD: usize = 64 * 1024;

/// Most headers in a response.
const MAX_RESPONSE_HEADERS: usize = 128;

/// Connects and starts the task that drives the connection on this worker.
///
/// Every address the name resolves to is tried in order; the caller bounds the whole in time.
pub(crate) async fn connect(endpoint: &Endpoint, tls: &ClientTls) -> io::Result<SendRequest<OutBody>> {
    let tcp = dial(endpoint).await?;
    tcp.set_nodelay(true)?;
    let io = match endpoint.scheme() {
        Scheme::Http => Stream::Plain(tcp),
        Scheme::Https => {
            let name = ServerName::try_from(endpoint.host().to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let tls = TlsConnector::from(tls.config.clone()).connect(name, tcp).await?;
            Stream::Tls(Box::new(tls.into()))
        }
    };
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_RESPONSE_HEAD)
        .max_headers(MAX_RESPONSE_HEADERS)
        .handshake(TokioIo::new(io))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        // Its errors reach the caller through the exchange that was in flight; an idle connection's end is no news.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
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
