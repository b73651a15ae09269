//! What the gateway answers itself, for services that have no upstream.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Upstream;
use crate::template::Template;

/// What becomes of a service's calls.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// They are sent on.
    Upstream(Box<Upstream>),
    /// Their callers are sent elsewhere.
    Redirect(Redirect),
    /// They are answered.
    Respond(Respond),
}

/// Where callers are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where.
    pub to: Destination,
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Whether the call's query is part of it.
    pub keep_query: bool,
}

/// The place that a redirect names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// As it was written.
    pub text: String,
    /// Scheme, host and port; the call's own if not set.
    pub origin: Option<Origin>,
    /// The path; `/` where it comes out empty.
    pub path: Template<Place>,
    /// A query, without `?`.
    pub query: Option<String>,
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is `https`.
    pub tls: bool,
    /// The host; the one that the caller asked for, among those that the service names, if not set.
    pub host: Option<String>,
    /// The port; the scheme's own if not set.
    pub port: Option<u16>,
}

/// What of a call's path a redirect may speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All of it.
    Path,
    /// What stands behind the service's prefix.
    Rest,
}

/// A fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// The status.
    pub status: u16,
    /// Header fields. Names are in lower case.
    pub headers: BTreeMap<String, String>,
    /// What the content is.
    pub content_type: String,
    /// The content.
    pub content: Content,
}

/// The content of a fixed answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// None.
    Empty,
    /// This text.
    Text(String),
    /// What the file holds.
    File(PathBuf),
}

// === impl Target ===

impl Target {
    /// Where calls are sent, if they are.
    pub fn upstream(&self) -> Option<&Upstream> {
        match self {
            Self::Upstream(upstream) => Some(upstream),
            Self::Redirect(_) | Self::Respond(_) => None,
        }
    }
}
