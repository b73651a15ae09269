//! The PROXY header of a connection, read before anything else and never a byte further.

use std::net::SocketAddr;
use std::time::Duration;

use haechi_wire::proxy::{Header, HeaderReader, ProxyRefusal, Relayed};
use ipnet::IpNet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How much is looked at at once. Headers are shorter, but for those with many TLVs.
const LOOK: usize = 256;

/// Why a connection is closed before its first byte.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its other end is no trusted proxy.
    Untrusted,
    /// It does not begin with a header.
    Malformed(ProxyRefusal),
    /// The header did not come in time.
    TooSlow,
    /// It ended, or broke, before the header was whole.
    Ended,
}

/// Reads the header; what follows it is left in the socket, for TLS or HTTP.
pub(crate) async fn read(
    tcp: &mut TcpStream,
    sender: SocketAddr,
    trusted: &[IpNet],
    within: Duration,
) -> Result<Header, Refused> {
    let address = sender.ip().to_canonical();
    if !trusted.iter().any(|network| network.contains(&address)) {
        return Err(Refused::Untrusted);
    }
    timeout(within, take(tcp)).await.unwrap_or(Err(Refused::TooSlow))
}

async fn take(tcp: &mut TcpStream) -> Result<Header, Refused> {
    let mut reader = HeaderReader::default();
    let mut look = [0; LOOK];
    loop {
        let seen = tcp.peek(&mut look).await.map_err(|_| Refused::Ended)?;
        if seen == 0 {
            return Err(Refused::Ended);
        }
        let step = reader.read(look.get(..seen).unwrap_or_default()).map_err(Refused::Malformed)?;
        // Exactly what belongs to the header: it is there, so this does not wait.
        let taken = look.get_mut(..step.taken).unwrap_or_default();
        tcp.read_exact(taken).await.map_err(|_| Refused::Ended)?;
        if let Some(header) = step.header {
            return Ok(header);
        }
    }
}

/// What a header said, as metrics name it.
pub(crate) fn word(header: &Header) -> &'static str {
    match (header.relayed, header.version) {
        (Relayed::Caller(_), 1) => "v1",
        (Relayed::Caller(_), _) => "v2",
        (Relayed::Local, _) => "local",
        (Relayed::Unknown, _) => "unknown",
    }
}

// === impl Refused ===

impl Refused {
    /// A word for metrics.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Malformed(refusal) => refusal.code(),
            Self::TooSlow => "too-slow",
            Self::Ended => "ended",
        }
    }
}
