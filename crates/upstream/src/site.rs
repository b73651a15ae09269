//! An endpoint alive: the addresses behind its name now, and how each does.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::checks::Check;
use crate::clock::Millis;
use crate::endpoint::{Protocol, Scheme};
use crate::health::Health;
use crate::resolve::{ADDRESSES, Resolve};
use crate::{ClientTls, Endpoint};

/// What makes a site what it is: two upstreams with the same one share it, and what is known of its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSpec {
    /// Host name or address literal.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
    /// Whether it is spoken to in the clear.
    pub scheme: Scheme,
    /// What is spoken.
    pub protocol: Protocol,
    /// Trust, for `https`.
    pub tls: ClientTls,
    /// How it is asked whether it is well.
    pub check: Option<Check>,
    /// How often its name is resolved again.
    pub refresh: Duration,
    /// Whether only copies of calls go there: how they do says nothing to calls.
    pub copies: bool,
}

/// An endpoint alive.
pub struct Site {
    spec: SiteSpec,
    name: Arc<str>,
    peers: ArcSwap<Vec<Arc<Peer>>>,
    resolver: Arc<dyn Resolve>,
    /// When it was resolved last.
    resolved: AtomicU64,
    /// One asks at a time.
    resolving: tokio::sync::Mutex<()>,
    roster: Roster,
}

/// One address of an endpoint. Those who have connections to it hold it.
#[derive(Debug)]
pub struct Peer {
    pub(crate) address: SocketAddr,
    /// `host:port` of the endpoint.
    pub(crate) name: Arc<str>,
    pub(crate) health: Health,
    /// It left the name or the configuration.
    gone: AtomicBool,
}

/// All addresses that anybody still holds.
pub(crate) type Roster = Arc<Mutex<Vec<Weak<Peer>>>>;

// === impl SiteSpec ===

impl SiteSpec {
    /// For this endpoint, without checks.
    pub fn new(endpoint: &Endpoint, protocol: Protocol, tls: ClientTls, refresh: Duration) -> Self {
        let (host, port, scheme) = (endpoint.host().into(), endpoint.port(), endpoint.scheme());
        Self { host, port, scheme, protocol, tls, check: None, refresh, copies: false }
    }
}

// === impl Site ===

impl Site {
    pub(crate) fn new(spec: SiteSpec, name: Arc<str>, resolver: Arc<dyn Resolve>, roster: Roster) -> Self {
        let site = Self {
            peers: ArcSwap::default(),
            resolved: AtomicU64::new(0),
            resolving: tokio::sync::Mutex::default(),
            spec,
            name,
            resolver,
            roster,
        };
        // An address needs no resolver.
        if let Ok(address) = site.spec.host.parse::<IpAddr>() {
            site.set(vec![SocketAddr::new(address, site.spec.port)]);
        }
        site
    }

    pub(crate) fn spec(&self) -> &SiteSpec {
        &self.spec
    }

    pub(crate) fn peers(&self) -> arc_swap::Guard<Arc<Vec<Arc<Peer>>>> {
        self.peers.load()
    }

    /// Whether its addresses are as fresh as they have to be.
    pub(crate) fn is_fresh(&self, now: Millis) -> bool {
        self.spec.host.parse::<IpAddr>().is_ok()
            || Millis(self.resolved.load(Relaxed)).after(self.spec.refresh) > now
    }

    /// Asks for its addresses, unless somebody else just did. A resolver that is away changes nothing.
    ///
    /// # Errors
    /// What the resolver says.
    pub(crate) async fn resolve(&self) -> io::Result<()> {
        let _alone = self.resolving.lock().await;
        if self.is_fresh(Millis::now()) && !self.peers.load().is_empty() {
            return Ok(());
        }
        let outcome = self.resolver.resolve(&self.spec.host, self.spec.port).await;
        self.resolved.store(Millis::now().0, Relaxed);
        let mut addresses = outcome?;
        let mut seen = HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        addresses.truncate(ADDRESSES);
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name resolves to no address"));
        }
        self.set(addresses);
        Ok(())
    }

    /// These are its addresses from now on; those that stay keep their health.
    fn set(&self, addresses: Vec<SocketAddr>) {
        let known = self.peers.load_full();
        let mut added = Vec::new();
        let peers: Vec<_> = addresses
            .into_iter()
            .map(|address| {
                known.iter().find(|peer| peer.address == address).cloned().unwrap_or_else(|| {
                    let name = self.name.clone();
                    let (health, gone) = Default::default();
                    let peer = Arc::new(Peer { address, name, health, gone });
                    added.push(Arc::downgrade(&peer));
                    peer
                })
            })
            .collect();
        for left in known.iter().filter(|peer| !peers.iter().any(|stays| Arc::ptr_eq(peer, stays))) {
            left.gone.store(true, Relaxed);
        }
        self.peers.store(Arc::new(peers));
        if !added.is_empty() {
            let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
            roster.retain(|peer| peer.strong_count() > 0);
            roster.extend(added);
        }
    }
}

impl Drop for Site {
    /// No configuration names it any more.
    fn drop(&mut self) {
        for peer in self.peers.load().iter() {
            peer.gone.store(true, Relaxed);
        }
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

// === impl Peer ===

impl Peer {
    /// Whether it left the name or the configuration: calls in flight end, nothing else does.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::Addresses;

    struct Script(Mutex<Vec<io::Result<Vec<SocketAddr>>>>);

    impl Resolve for Script {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Addresses<'a> {
            let answer = self.0.lock().unwrap().remove(0);
            Box::pin(async { answer })
        }
    }

    #[test]
    fn how_copies_do_says_nothing_of_the_same_address_for_calls() {
        let endpoint = Endpoint::new(Scheme::Http, "192.0.2.1", 80, "").unwrap();
        let tls = ClientTls::web_roots().unwrap();
        let calls = SiteSpec::new(&endpoint, Protocol::Http1, tls, Duration::ZERO);
        let copies = SiteSpec { copies: true, ..calls.clone() };
        let registry = crate::Registry::idle();
        let site = |spec: &SiteSpec| registry.site(spec.clone(), &endpoint);
        let (one, other) = (site(&calls), site(&copies));
        assert!(Arc::ptr_eq(&one, &site(&calls)));
        other.peers()[0].health.failed("503", false);
        assert_eq!((one.peers()[0].health.failures(), other.peers()[0].health.failures()), (0, 1));
    }

    #[test]
    fn addresses_that_stay_keep_their_health_and_a_dead_resolver_changes_nothing() {
        let at = |last| SocketAddr::from(([10, 0, 0, last], 80));
        let answers = vec![
            Ok(vec![at(1), at(2), at(1)]),
            Err(io::Error::other("away")),
            Ok(Vec::new()),
            Ok(vec![at(2), at(3)]),
        ];
        let endpoint = Endpoint::new(Scheme::Http, "kitchen", 80, "").unwrap();
        let tls = ClientTls::web_roots().unwrap();
        let spec = SiteSpec::new(&endpoint, Protocol::Http1, tls, Duration::ZERO);
        let resolver = Arc::new(Script(Mutex::new(answers)));
        let site = Site::new(spec, endpoint.name().clone(), resolver, Roster::default());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let resolve = || runtime.block_on(site.resolve());
        resolve().unwrap();
        let before = site.peers().clone();
        assert_eq!(before.iter().map(|peer| peer.address).collect::<Vec<_>>(), [at(1), at(2)]);
        assert!(resolve().is_err() && resolve().is_err());
        assert_eq!(site.peers().len(), 2);
        resolve().unwrap();
        let after = site.peers().clone();
        assert!(Arc::ptr_eq(&before[1], &after[0]));
        assert_eq!(after[1].address, at(3));
        assert!(before[0].is_gone() && !before[1].is_gone());
        drop(site);
        assert!(after[0].is_gone(), "its configuration is gone");
    }
}
