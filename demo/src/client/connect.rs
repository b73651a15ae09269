//! Connections to the gateway, as a device makes them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::{Connection, Device, Http, Tls};

/// The name callers ask for in TLS.
const NAME: &str = "api.pizza.example";

/// Where callers connect.
pub(crate) struct Gate {
    pub(crate) plain: SocketAddr,
    /// For TLS. Without it everybody speaks plaintext, and HTTP/1.
    pub(crate) secure: Option<Secure>,
}

pub(crate) struct Secure {
    address: SocketAddr,
    roots: Arc<RootCertStore>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Anything that bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

// === impl Gate ===

impl Gate {
    /// A gateway on an address, and on another for TLS, with this certificate.
    pub(crate) fn new(plain: SocketAddr, secure: Option<SocketAddr>, certificate: Vec<u8>) -> Self {
        let mut roots = RootCertStore::empty();
        let known = roots.add(CertificateDer::from(certificate)).is_ok();
        let secure = secure.filter(|_| known).map(|address| Secure { address, roots: Arc::new(roots) });
        Self { plain, secure }
    }
}

/// A connection that is ready for requests.
pub(super) async fn connect(gate: &Gate, source: IpAddr, device: Device) -> Result<Connection, BoxError> {
    let stream = TokioIo::new(stream(gate, source, device).await?);
    // What stands in front without TLS is the relay, which speaks HTTP/1 alone.
    if device.http == Http::Two && gate.secure.is_some() {
        let (connection, driver) = http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(driver);
        return Ok(Connection::Two(connection));
    }
    let (connection, driver) = http1::handshake(stream).await?;
    tokio::spawn(driver);
    Ok(Connection::One(connection))
}

/// The bytes' way to the gateway.
pub(super) async fn stream(gate: &Gate, source: IpAddr, device: Device) -> io::Result<Box<dyn Stream>> {
    let Some((secure, tls)) = gate.secure.as_ref().zip(device.tls) else {
        return Ok(Box::new(tcp(gate.plain, source).await?));
    };
    let version = match tls {
        Tls::V12 => &version::TLS12,
        Tls::V13 => &version::TLS13,
    };
    let mut config = ClientConfig::builder_with_protocol_versions(&[version])
        .with_root_certificates(secure.roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = match device.http {
        Http::One => vec![b"http/1.1".to_vec()],
        Http::Two => vec![b"h2".to_vec()],
    };
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    let stream = tcp(secure.address, source).await?;
    Ok(Box::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

async fn tcp(address: SocketAddr, source: IpAddr) -> io::Result<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Every caller has an address of its own, as far as the system lets it.
    if address.ip().is_loopback() {
        let _ = socket.bind(SocketAddr::new(source, 0));
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
