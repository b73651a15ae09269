//! Who an upstream must be, and who the gateway is to it, over real sockets.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use http::uri::PathAndQuery;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{Endpoint, OutBody, Pools, Registry, Scheme, SiteSpec, Target, Upstream, UpstreamError};

/// An authority, and what it has signed: a chain and its key, in PEM.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

struct Signed {
    chain: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, last_year: i32) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Signed { chain, key: key.serialize_pem() }
    }
}

/// A server whose certificate can be changed; it asks for a client's certificate if `clients` is given.
struct Server {
    address: SocketAddr,
    config: Rc<Mutex<Arc<ServerConfig>>>,
    clients: Option<String>,
}

impl Server {
    async fn start(signed: &Signed, clients: Option<&Authority>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients = clients.map(|authority| authority.pem.clone());
        let config = Rc::new(Mutex::new(Self::config(signed, clients.as_deref())));
        let shared = config.clone();
        tokio::task::spawn_local(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let acceptor = tokio_rustls::TlsAcceptor::from(shared.lock().unwrap().clone());
                tokio::task::spawn_local(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    let _ = tls.read(&mut [0; 4096]).await;
                    let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                    let _ = tls.write_all(answer).await;
                    let _ = tls.shutdown().await;
                });
            }
        });
        Self { address, config, clients }
    }

    fn renew(&self, signed: &Signed) {
        *self.config.lock().unwrap() = Self::config(signed, self.clients.as_deref());
    }

    fn config(signed: &Signed, clients: Option<&str>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = Arc::new(authorities(pem.as_bytes()).unwrap());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = CertificateDer::pem_slice_iter(signed.chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}

fn upstream(address: SocketAddr, settings: TlsSettings) -> Upstream {
    let endpoint = Endpoint::new(Scheme::Https, "127.0.0.1", address.port(), "").unwrap();
    let tls = ClientTls::new(settings).unwrap();
    let spec = SiteSpec::new(&endpoint, Protocol::Http1, tls.clone(), Duration::from_secs(10));
    let site = Registry::idle().site(spec, &endpoint);
    let targets = vec![Target { endpoint: endpoint.clone(), weight: 1, site }];
    Upstream { targets, ..Upstream::plain(endpoint, tls, Duration::from_secs(20)) }
}

async fn call(pools: &Pools, upstream: &Upstream) -> Result<u16, UpstreamError> {
    let target = PathAndQuery::from_static("/");
    let request = http::Request::new(OutBody::Empty);
    let sent = pools.send(upstream, upstream.timeout, &target, request, || None).await;
    Ok(sent.outcome?.response.status().as_u16())
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

fn trusting(authority: &Authority) -> TlsSettings {
    TlsSettings { authorities: Some(authority.pem.clone().into_bytes()), ..TlsSettings::default() }
}

fn pin_of(pem: &str) -> Pin {
    pin(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap()
}

#[track_caller]
fn refused(outcome: Result<u16, UpstreamError>, what: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), "upstream-certificate", "{error}");
    assert!(error.to_string().contains(what), "{error}");
}

#[test]
fn a_certificate_that_expires_is_told_and_its_renewal_is_noticed() {
    run(async {
        let authority = Authority::new();
        let server = Server::start(&authority.sign("127.0.0.1", 2090), None).await;
        let (pools, upstream) = (Pools::default(), upstream(server.address, trusting(&authority)));
        assert_eq!(call(&pools, &upstream).await.unwrap(), 204);
        server.renew(&authority.sign("127.0.0.1", 2001));
        refused(call(&pools, &upstream).await, "expired");
        server.renew(&authority.sign("127.0.0.1", 2091));
        assert_eq!(call(&pools, &upstream).await.unwrap(), 204);
    });
}

#[test]
fn another_authority_and_another_name_are_refused() {
    run(async {
        let authority = Authority::new();
        let server = Server::start(&authority.sign("kitchen.internal", 2090), None).await;
        let pools = Pools::default();
        let called = |settings| {
            let (pools, upstream) = (pools.clone(), upstream(server.address, settings));
            async move { call(&pools, &upstream).await }
        };
        refused(called(trusting(&authority)).await, "not valid for name");
        let name = Some("kitchen.internal".to_owned());
        let named = TlsSettings { name, ..trusting(&authority) };
        assert_eq!(called(named.clone()).await.unwrap(), 204);
        let other = TlsSettings { authorities: Some(Authority::new().pem.into_bytes()), ..named };
        refused(called(other).await, "invalid peer certificate");
    });
}

#[test]
fn a_pin_is_asked_for_beside_the_chain() {
    run(async {
        let authority = Authority::new();
        let signed = authority.sign("127.0.0.1", 2090);
        let server = Server::start(&signed, None).await;
        let pools = Pools::default();
        let pinned = |pins| upstream(server.address, TlsSettings { pins, ..trusting(&authority) });
        let good = pinned(vec![[0; 32], pin_of(&signed.chain)]);
        assert_eq!(call(&pools, &good).await.unwrap(), 204);
        let other = authority.sign("127.0.0.1", 2090);
        let bad = pinned(vec![pin_of(&other.chain)]);
        assert_eq!(call(&pools, &bad).await.unwrap_err().code(), "upstream-certificate");
        // The right key does not make up for a chain that is not trusted.
        let pins = vec![pin_of(&signed.chain)];
        let untrusted = TlsSettings { pins, ..trusting(&Authority::new()) };
        let outcome = call(&pools, &upstream(server.address, untrusted)).await;
        assert_eq!(outcome.unwrap_err().code(), "upstream-certificate");
    });
}

#[test]
fn the_gateway_proves_itself_where_it_is_asked_to() {
    run(async {
        let (authority, clients) = (Authority::new(), Authority::new());
        let server = Server::start(&authority.sign("127.0.0.1", 2090), Some(&clients)).await;
        let own = clients.sign("gateway", 2090);
        let identity = Some((own.chain.into_bytes(), own.key.into_bytes()));
        let pools = Pools::default();
        let proven = upstream(server.address, TlsSettings { identity, ..trusting(&authority) });
        assert_eq!(call(&pools, &proven).await.unwrap(), 204);
        assert!(call(&pools, &upstream(server.address, trusting(&authority))).await.is_err());
    });
}
