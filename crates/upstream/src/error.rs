//! Why an upstream gave no answer.

use std::fmt;
use std::sync::Arc;

/// Why an upstream gave no answer. The edge maps it to 502, 503 or 504.
#[derive(Debug)]
pub enum UpstreamError {
    /// No endpoint took a connection.
    Connect {
        /// The endpoint tried last.
        endpoint: Arc<str>,
        /// What the network said.
        source: std::io::Error,
    },
    /// A connection was not set up in time.
    ConnectTimeout {
        /// The endpoint tried last.
        endpoint: Arc<str>,
    },
    /// As many calls as allowed are in flight, and none ended in time.
    Busy {
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// The head of the response did not come in time.
    Timeout {
        /// The endpoint.
        endpoint: Arc<str>,
    },
    /// The connection broke, or what came back is not HTTP.
    Broken {
        /// The endpoint.
        endpoint: Arc<str>,
        /// What the client library said.
        source: hyper::Error,
    },
    /// The upstream has no endpoint.
    NoEndpoint,
    /// Most calls failed lately: none is sent for a while.
    Open {
        /// How long.
        left: std::time::Duration,
    },
}

// === impl UpstreamError ===

impl UpstreamError {
    /// Stable kebab-case word for events and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect { source, .. } if is_certificate(source) => "upstream-certificate",
            Self::Connect { .. } => "upstream-connect",
            Self::ConnectTimeout { .. } => "upstream-connect-timeout",
            Self::Busy { .. } => "upstream-busy",
            Self::Timeout { .. } => "upstream-timeout",
            Self::Broken { .. } => "upstream-broken",
            Self::NoEndpoint => "upstream-none",
            Self::Open { .. } => "upstream-open",
        }
    }

    /// Whether it tells of the address that was tried: not of the caller's own body, and not of our own bounds.
    pub(crate) fn is_its_fault(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::ConnectTimeout { .. } | Self::Timeout { .. } => true,
            Self::Broken { source, .. } => !source.is_user(),
            Self::Busy { .. } | Self::NoEndpoint | Self::Open { .. } => false,
        }
    }

    /// The endpoint that was tried last.
    pub fn endpoint(&self) -> Option<&Arc<str>> {
        match self {
            Self::Connect { endpoint, .. }
            | Self::ConnectTimeout { endpoint }
            | Self::Busy { endpoint }
            | Self::Timeout { endpoint }
            | Self::Broken { endpoint, .. } => Some(endpoint),
            Self::NoEndpoint | Self::Open { .. } => None,
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { endpoint, source } => write!(f, "cannot connect to `{endpoint}`: {source}"),
            Self::ConnectTimeout { endpoint } => write!(f, "connecting to `{endpoint}` took too long"),
            Self::Busy { endpoint } => write!(f, "all connections to `{endpoint}` are in use"),
            Self::Timeout { endpoint } => write!(f, "`{endpoint}` did not answer in time"),
            Self::Broken { endpoint, source } => write!(f, "the exchange with `{endpoint}` broke: {source}"),
            Self::NoEndpoint => f.write_str("the upstream has no endpoint"),
            Self::Open { left } => {
                write!(f, "most calls failed: nothing is sent for {} ms", left.as_millis())
            }
        }
    }
}

impl std::error::Error for UpstreamError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } => Some(source),
            Self::Broken { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Whether the other side did not prove who it is.
fn is_certificate(error: &std::io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidCertificate(_)))
}
