//! How an address is written and spoken to: immutable data.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

/// Whether an endpoint is spoken to in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In plaintext.
    Http,
    /// Over TLS.
    Https,
}

/// What is spoken to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1: a connection for each call in flight.
    #[default]
    Http1,
    /// HTTP/2: calls share connections. In plaintext with prior knowledge (RFC 9113, section 3.3), over TLS by ALPN.
    Http2,
}

/// One address of an upstream.
#[derive(Clone, Debug)]
pub struct Endpoint {
    scheme: Scheme,
    host: Arc<str>,
    port: u16,
    /// Put before every path; empty or starts with `/` and does not end with one.
    prefix: Arc<str>,
    authority: HeaderValue,
    display: Arc<str>,
}

/// A host or prefix that cannot stand in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError(String);

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint. `prefix` is put before every path.
    ///
    /// # Errors
    /// When `host` cannot stand in a `Host` header.
    pub fn new(scheme: Scheme, host: &str, port: u16, prefix: &str) -> Result<Self, EndpointError> {
        let default_port = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let literal = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = if port == default_port { literal.clone() } else { format!("{literal}:{port}") };
        Ok(Self {
            scheme,
            host: host.into(),
            port,
            prefix: prefix.trim_end_matches('/').into(),
            authority: HeaderValue::from_str(&authority)
                .map_err(|_| EndpointError(format!("`{host}` cannot stand in a Host header")))?,
            display: format!("{literal}:{port}").into(),
        })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Host name or address literal, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Put before every path.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The value of `Host` for calls that are not told another.
    pub fn authority(&self) -> &HeaderValue {
        &self.authority
    }

    /// `host:port`, as events name it. Shared, so that naming it costs no allocation.
    pub fn name(&self) -> &Arc<str> {
        &self.display
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

// === impl EndpointError ===

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for EndpointError {}
