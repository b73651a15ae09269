//! What the process knows of its upstreams: it outlives snapshots and is shared by all workers.
//!
//! One thread attends to it, off the path of any request: it resolves names again and asks endpoints whether they are
//! well. A site or gate lives as long as a snapshot names it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::Endpoint;
use crate::breaker::Breaker;
use crate::budget::{Allowance, Budget};
use crate::checks;
use crate::clock::Millis;
use crate::health::Standing;
use crate::resolve::{Resolve, SystemResolver};
use crate::site::{Peer, Roster, Site, SiteSpec};
use crate::upstream::Target;

/// Sites that wait to be attended to; more than any file names at once. Those beyond are resolved by calls.
const WAITING: usize = 4096;

/// What the process knows of its upstreams.
pub struct Registry {
    sites: Mutex<Vec<Weak<Site>>>,
    gates: Mutex<Vec<Weak<Gate>>>,
    roster: Roster,
    resolver: Arc<dyn Resolve>,
    attend: Option<mpsc::Sender<Weak<Site>>>,
}

/// What the process knows of one upstream as a whole.
#[derive(Debug)]
pub struct Gate {
    name: Box<str>,
    pub(crate) breaker: Breaker,
    pub(crate) budget: Budget,
    sites: Mutex<Vec<Weak<Site>>>,
}

/// What `haechi status` tells of an upstream.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamStatus {
    /// The API or service.
    pub name: String,
    /// `closed`, `open` or `half-open`.
    pub breaker: &'static str,
    /// Retries that could be made now.
    pub retries_left: u64,
    /// Its addresses.
    pub endpoints: Vec<EndpointStatus>,
}

/// What `haechi status` tells of an address.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// `host:port`.
    pub endpoint: String,
    /// The address behind it.
    pub address: std::net::SocketAddr,
    /// `healthy`, `ejected`, `unhealthy` or `draining`.
    pub state: &'static str,
    /// Calls in flight.
    pub in_flight: u32,
    /// Failures in a row.
    pub failures: u32,
    /// Why the last one failed.
    pub error: Option<String>,
}

// === impl Registry ===

impl Registry {
    /// Starts the thread that attends to sites; it ends with the last handle.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Arc<Self>> {
        let (attend, mut waiting) = mpsc::channel::<Weak<Site>>(WAITING);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("haechi-upstreams".to_owned()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                while let Some(site) = waiting.recv().await {
                    tokio::task::spawn_local(checks::attend(site));
                }
            });
        })?;
        Ok(Arc::new(Self::with(Arc::new(SystemResolver), Some(attend))))
    }

    /// One whose sites are resolved by calls and never checked.
    pub fn idle() -> Arc<Self> {
        Arc::new(Self::with(Arc::new(SystemResolver), None))
    }

    fn with(resolver: Arc<dyn Resolve>, attend: Option<mpsc::Sender<Weak<Site>>>) -> Self {
        let (sites, gates, roster) = Default::default();
        Self { sites, gates, roster, resolver, attend }
    }

    /// The site of this kind, known or new.
    pub fn site(&self, spec: SiteSpec, endpoint: &Endpoint) -> Arc<Site> {
        let mut sites = lock(&self.sites);
        sites.retain(|site| site.strong_count() > 0);
        if let Some(site) = sites.iter().filter_map(Weak::upgrade).find(|site| *site.spec() == spec) {
            return site;
        }
        let (resolver, roster) = (self.resolver.clone(), self.roster.clone());
        let site = Arc::new(Site::new(spec, endpoint.name().clone(), resolver, roster));
        sites.push(Arc::downgrade(&site));
        if let Some(attend) = &self.attend {
            let _ = attend.try_send(Arc::downgrade(&site));
        }
        site
    }

    /// The gate of the upstream of this name, known or new.
    pub fn gate(&self, name: &str, budget: &Allowance) -> Arc<Gate> {
        let mut gates = lock(&self.gates);
        gates.retain(|gate| gate.strong_count() > 0);
        if let Some(gate) = gates.iter().filter_map(Weak::upgrade).find(|gate| *gate.name == *name) {
            return gate;
        }
        let gate = Arc::new(Gate {
            name: name.into(),
            breaker: Breaker::default(),
            budget: Budget::new(budget, Millis::now()),
            sites: Mutex::default(),
        });
        gates.push(Arc::downgrade(&gate));
        gate
    }

    /// How they all are.
    pub fn status(&self) -> Vec<UpstreamStatus> {
        let now = Millis::now();
        let gates: Vec<_> = lock(&self.gates).iter().filter_map(Weak::upgrade).collect();
        let leaving: Vec<_> = lock(&self.roster).iter().filter_map(Weak::upgrade).collect();
        let leaving: Vec<_> =
            leaving.iter().filter(|peer| peer.is_gone() && peer.health.load() > 0).collect();
        let mut list: Vec<_> = gates
            .iter()
            .map(|gate| {
                let sites: Vec<_> = lock(&gate.sites).iter().filter_map(Weak::upgrade).collect();
                let mut endpoints: Vec<_> = sites
                    .iter()
                    .flat_map(|site| site.peers().iter().map(|peer| peer.status(now)).collect::<Vec<_>>())
                    .collect();
                let names: Vec<_> = endpoints.iter().map(|endpoint| endpoint.endpoint.clone()).collect();
                let of_it = leaving.iter().filter(|peer| names.iter().any(|name| **name == *peer.name));
                endpoints.extend(of_it.map(|peer| peer.status(now)));
                UpstreamStatus {
                    name: gate.name.to_string(),
                    breaker: gate.breaker.state(now),
                    retries_left: gate.budget.left(),
                    endpoints,
                }
            })
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }
}

// === impl Gate ===

impl Gate {
    /// Its calls go to these, too.
    pub fn leads_to(&self, targets: &[Target]) {
        let mut sites = lock(&self.sites);
        sites.retain(|site| site.strong_count() > 0);
        for target in targets {
            let site = Arc::downgrade(&target.site);
            if !sites.iter().any(|known| known.ptr_eq(&site)) {
                sites.push(site);
            }
        }
    }
}

// === impl Peer ===

impl Peer {
    fn status(&self, now: Millis) -> EndpointStatus {
        let state = match self.health.standing(now) {
            _ if self.is_gone() => "draining",
            Standing::Good => "healthy",
            Standing::Trial | Standing::Ejected => "ejected",
            Standing::Unwell => "unhealthy",
        };
        EndpointStatus {
            endpoint: self.name.to_string(),
            address: self.address,
            state,
            in_flight: self.health.load(),
            failures: self.health.failures(),
            error: self.health.error(),
        }
    }
}

/// Holders of these locks do not panic; if one ever did, the list is still whole.
fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}
