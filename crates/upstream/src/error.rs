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
}

// === impl UpstreamError ===

impl UpstreamError {
    /// Stable kebab-case word for events and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "upstream-connect",
            Self::ConnectTimeout { .. } => "upstream-connect-timeout",
            Self::Busy { .. } => "upstream-busy",
            Self::Timeout { .. } => "upstream-timeout",
            Self::Broken { .. } => "upstream-broken",
            Self::NoEndpoint => "upstream-none",
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
            Self::NoEndpoint => None,
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
