//! What one configuration means: routes, guards, TLS. Immutable; swapped as a whole.

mod access;
mod compile;
mod expressions;
mod fixed;
mod listeners;
mod lists;
mod rewrite;
mod services;
mod upstream;
mod waf;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use haechi_access::Rules;
use haechi_acme::{Certified, Managed};
use haechi_config::model::{Compress, Scheme};
use haechi_config::plan::Operations;
use haechi_contract::{HeadOptions, Router};
use haechi_events::{ChannelMetrics, OperationMetrics};
use haechi_expr::Expression;
use haechi_guard::{Guard, Mode};
use haechi_wire::h1;
use http::{HeaderName, Method};
use ipnet::IpNet;
use rustls::ServerConfig;
use serde::Serialize;

pub(crate) use self::lists::{Geo, ReadPlaces, Whereabouts};
pub(crate) use self::services::Reach;
use self::services::ServiceRoutes;
pub(crate) use self::upstream::Ways;
pub(crate) use self::waf::Inspected;
use crate::connection::Peer;
use crate::fixed::Fixed;
use crate::jwks::Source;
use crate::rewrite::Rewrite;
use crate::split::MAIN;
use crate::tunnel::TunnelLimits;

/// What one configuration means. Made by [`Snapshot::compile`].
pub struct Snapshot {
    /// A digest of the configuration and of every file it names: two snapshots with the same one are the same.
    pub digest: Arc<str>,
    /// When it was compiled.
    pub compiled_at: SystemTime,
    /// The files it was made from; a change of one calls for a new snapshot.
    pub files: Vec<PathBuf>,
    /// What its contracts name, for `plan`.
    pub contracts: Operations,
    /// How long requests in progress may take to end when the gateway stops.
    pub drain: Duration,
    pub(crate) workers: usize,
    pub(crate) router: Router,
    pub(crate) apis: Vec<Api>,
    /// Where addresses are.
    pub(crate) geo: Geo,
    /// How callers arrive: the first that fits.
    pub(crate) channels: Vec<Channel>,
    /// Counts calls that have no channel.
    pub(crate) no_channel: Arc<ChannelMetrics>,
    pub(crate) service_routes: ServiceRoutes,
    pub(crate) services: Vec<Service>,
    /// By address as configured.
    pub(crate) listeners: HashMap<Arc<str>, Listener>,
    pub(crate) wire: h1::Limits,
    pub(crate) timeouts: Arc<Timeouts>,
    pub(crate) max_streams: u32,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: u32,
    pub(crate) body_memory: usize,
    pub(crate) body_in_memory: usize,
    pub(crate) body_disk: usize,
    pub(crate) body_dir: PathBuf,
    pub(crate) tunnels: TunnelLimits,
    /// Share of traces that are exported, 0 to 1.
    pub(crate) sample: f64,
    /// Headers that carry API keys.
    pub(crate) key_headers: Vec<HeaderName>,
    /// Signing keys by identity.
    pub(crate) jwks: HashMap<Arc<str>, Arc<Source>>,
}

/// A socket to listen on.
pub(crate) struct Listener {
    /// Its place in the configuration.
    pub(crate) order: usize,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// The certificates it shows, in the order of the configuration.
    pub(crate) shown: Vec<Shown>,
    pub(crate) protocols: Protocols,
    /// Whether it takes staging's traffic.
    pub(crate) staging: bool,
    /// Proxies whose word about the caller counts.
    pub(crate) trusted: Vec<IpNet>,
    /// Whether every connection begins with a PROXY header of one of them.
    pub(crate) proxied: bool,
}

/// A certificate that a listener shows.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// From a file; the text is the reference to it.
    Given(Arc<str>, Arc<Certified>),
    /// Got by the gateway itself.
    Managed(Managed),
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Protocols {
    pub(crate) http1: bool,
    pub(crate) http2: bool,
}

/// How long a caller may take.
#[derive(Debug)]
pub(crate) struct Timeouts {
    pub(crate) proxy_header: Duration,
    pub(crate) tls_handshake: Duration,
    /// From the connection to the first byte of the first request.
    pub(crate) first_byte: Duration,
    /// From a head's first byte to its last.
    pub(crate) head: Duration,
    /// A whole body that is inspected; the longest silence in one that passes.
    pub(crate) body: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// Longest time without progress while a response is written.
    pub(crate) write: Duration,
}

/// One API.
pub(crate) struct Api {
    pub(crate) name: Arc<str>,
    /// Where it begins: there it answers for what its contract does not name, unless a service is more specific.
    pub(crate) reach: Reach,
    /// The scheme it is served under, or any.
    pub(crate) scheme: Option<Scheme>,
    /// In the order of its contract.
    pub(crate) operations: Vec<Operation>,
    /// What happens to calls that the contract does not name, where they are only observed.
    pub(crate) fallback: Option<Operation>,
}

/// One way callers arrive.
pub(crate) struct Channel {
    pub(crate) name: Arc<str>,
    pub(crate) when: Expression,
    /// Largest body of a call, where the operation takes more.
    pub(crate) max_body: Option<u64>,
    pub(crate) metrics: Arc<ChannelMetrics>,
}

/// What is served without a contract.
pub(crate) struct Service {
    /// All its calls.
    pub(crate) operation: Operation,
    pub(crate) methods: Vec<Method>,
    /// The value for the `Allow` field.
    pub(crate) allow: Box<str>,
}

/// One operation: everything that is to be done with a call.
pub(crate) struct Operation {
    pub(crate) api: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) kind: Kind,
    /// Whether it can be called at all.
    pub(crate) exposed: bool,
    /// The guards on the head, in order.
    pub(crate) guards: Vec<(Mode, Arc<dyn Guard>)>,
    /// The rules among them, for those who do not know all that rules read.
    pub(crate) rules: Option<Arc<Rules>>,
    /// Identities of which one is needed; none if everybody may call.
    pub(crate) accepts: Vec<Arc<str>>,
    pub(crate) contract: Option<Contracted>,
    /// Rules that look for attacks.
    pub(crate) waf: Option<Inspected>,
    /// Bytes of a request's body.
    pub(crate) body_limit: u64,
    /// Bytes a second that a body must come with, if it passes unread by choice.
    pub(crate) rate: Option<u64>,
    /// Which responses are compressed.
    pub(crate) compress: Compress,
    /// Whether it can become a WebSocket connection.
    pub(crate) websocket: Option<WebSocket>,
    /// From the request's first byte to the upstream's head of the response.
    pub(crate) timeout: Duration,
    pub(crate) target: Target,
    /// What is changed of a call after it was judged, and of its response.
    pub(crate) rewrite: Arc<Rewrite>,
    pub(crate) metrics: Arc<OperationMetrics>,
}

/// What becomes of an operation's calls.
pub(crate) enum Target {
    /// They are sent on.
    Upstream(Ways),
    /// They are answered here.
    Fixed(Fixed),
}

/// How an upstream is split.
#[derive(Clone, Debug, Serialize)]
pub struct SplitStatus {
    /// The API or service.
    pub name: String,
    /// By what callers stay where they are, if they do.
    pub sticky: Option<&'static str>,
    /// What the parts leave, then the parts.
    pub parts: Vec<PartStatus>,
}

/// A part of an upstream's calls.
#[derive(Clone, Debug, Serialize)]
pub struct PartStatus {
    /// Its name.
    pub name: String,
    /// Of a thousand calls.
    pub share: u16,
}

/// Where copies of an upstream's calls go.
#[derive(Clone, Debug, Serialize)]
pub struct MirrorStatus {
    /// The API or service.
    pub name: String,
    /// Of a thousand calls.
    pub share: u16,
    /// Of calls with these.
    pub methods: Vec<String>,
}

/// How an operation becomes a WebSocket connection.
pub(crate) struct WebSocket {
    /// Web sites that may open one; all if empty.
    pub(crate) origins: Vec<String>,
}

/// What an operation is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Api,
    Service,
}

/// What the contract is asked.
pub(crate) struct Contracted {
    pub(crate) operation: Arc<haechi_contract::Operation>,
    pub(crate) request: Mode,
    pub(crate) response: Mode,
    /// Query parameters the contract does not name.
    pub(crate) unknown_parameters: Mode,
    pub(crate) head_options: HeadOptions,
    pub(crate) inspects_body: bool,
}

// === impl Snapshot ===

impl Snapshot {
    /// Proxies whose word about the caller counts on this connection.
    pub(crate) fn trusted(&self, peer: &Peer) -> &[IpNet] {
        // A proxy that passes bytes on and does not say whose they are says nothing of their headers either.
        if peer.is_unnamed {
            return &[];
        }
        self.listeners.get(&peer.listener).map_or(&[], |listener| &listener.trusted)
    }

    /// When the MaxMind files were made that it reads, in seconds since 1970.
    pub fn geo_built(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.geo.built()
    }

    /// Worker threads it asks for.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Operations that can be called, over all APIs.
    pub fn operations(&self) -> usize {
        self.apis.iter().flat_map(|api| &api.operations).filter(|operation| operation.exposed).count()
    }

    /// Names of the APIs.
    pub fn apis(&self) -> impl Iterator<Item = &str> {
        self.apis.iter().map(|api| &*api.name)
    }

    /// Names of what is served without a contract.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(|service| &*service.operation.api)
    }

    /// Where the calls of each API and service go that are sent on, by its name.
    fn ways(&self) -> impl Iterator<Item = (&str, &Ways)> {
        let apis = self.apis.iter().filter_map(|api| api.operations.first().or(api.fallback.as_ref()));
        let operations = apis.chain(self.services.iter().map(|service| &service.operation));
        operations.filter_map(|operation| match &operation.target {
            Target::Upstream(ways) => Some((&*operation.api, ways)),
            Target::Fixed(_) => None,
        })
    }

    /// Where copies go.
    pub(crate) fn mirrors(&self) -> Vec<MirrorStatus> {
        self.ways()
            .filter_map(|(name, ways)| Some((name, ways.mirror.as_deref()?)))
            .map(|(name, mirror)| MirrorStatus {
                name: name.to_owned(),
                share: mirror.share,
                methods: mirror.methods().iter().map(ToString::to_string).collect(),
            })
            .collect()
    }

    /// How upstreams are split.
    pub(crate) fn splits(&self) -> Vec<SplitStatus> {
        self.ways()
            .filter_map(|(name, ways)| Some((name, ways.split.as_deref()?)))
            .map(|(name, split)| {
                let part = |name: &str, share| PartStatus { name: name.to_owned(), share };
                let taken: u16 = split.parts().iter().map(|part| part.share).sum();
                let mut parts = vec![part(MAIN, 1000 - taken.min(1000))];
                parts.extend(split.parts().iter().map(|one| part(&one.name, one.share)));
                SplitStatus { name: name.to_owned(), sticky: split.sticky(), parts }
            })
            .collect()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("digest", &self.digest).finish_non_exhaustive()
    }
}
