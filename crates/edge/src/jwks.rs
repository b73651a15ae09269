//! Signing keys of identity providers: fetched off the request path, kept by all who verify tokens.
//!
//! One thread fetches. It does so at the start, every few minutes, and when a token names a key nobody knows; the
//! latter at most once in [`AGAIN`] for each provider, so that forged tokens cannot make the gateway hammer it. A
//! provider that cannot be reached changes nothing: the keys known before stay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use haechi_identity::{JwksHandle, KeySet};
use haechi_upstream::{ClientTls, Endpoint, OutBody, Pools, Scheme, Upstream};
use http::header::ACCEPT;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::timeout;

/// How often keys are fetched when nothing asks for them.
const EVERY: Duration = Duration::from_secs(300);
/// How soon keys may be fetched again because a token named an unknown one.
const AGAIN: Duration = Duration::from_secs(5);
/// How long one fetch may take.
const FETCH: Duration = Duration::from_secs(5);
/// How long a request waits for keys that are being fetched.
const WAIT: Duration = Duration::from_secs(2);
/// Largest document; a set of a hundred RSA keys is a third of it.
const DOCUMENT: usize = 256 * 1024;
/// Fetches that may be asked for at once; more are dropped, their requests are refused.
const QUEUE: usize = 64;

/// Where a provider's keys are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct JwksUrl {
    pub(crate) tls: bool,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    pub(crate) path: Box<str>,
    /// The document is the metadata (OpenID Connect Discovery) of this issuer, which names the keys' place.
    pub(crate) issuer: Option<Box<str>>,
}

/// All providers' keys. Outlives snapshots.
pub(crate) struct Jwks {
    sources: Mutex<HashMap<JwksUrl, Arc<Source>>>,
    asks: mpsc::Sender<Arc<Source>>,
}

/// One provider.
pub(crate) struct Source {
    url: JwksUrl,
    handle: Arc<JwksHandle>,
    /// Counts finished fetches.
    fetches: watch::Sender<u64>,
    asked: Mutex<Option<Instant>>,
    error: Mutex<Option<String>>,
}

/// What `haechi status` tells of a provider.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JwksStatus {
    /// Where the keys are.
    pub url: String,
    /// Keys that can verify tokens.
    pub keys: usize,
    /// Why the last fetch failed, if it did.
    pub error: Option<String>,
}

// === impl Jwks ===

impl Jwks {
    /// Starts the thread that fetches; it ends with the last handle.
    pub(crate) fn start() -> std::io::Result<Arc<Self>> {
        let (asks, mut asked) = mpsc::channel::<Arc<Source>>(QUEUE);
        let jwks = Arc::new(Self { sources: Mutex::default(), asks });
        let weak = Arc::downgrade(&jwks);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("haechi-jwks".to_owned()).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async move {
                let pools = Pools::default();
                let mut every = tokio::time::interval(EVERY);
                loop {
                    tokio::select! {
                        source = asked.recv() => match source {
                            Some(source) => source.fetch(&pools).await,
                            None => return,
                        },
                        _ = every.tick() => {
                            let Some(jwks) = weak.upgrade() else { return };
                            let sources = jwks.all();
                            drop(jwks);
                            for source in sources {
                                source.fetch(&pools).await;
                            }
                        }
                    }
                }
            });
        })?;
        Ok(jwks)
    }

    /// A registry that fetches nothing: for checking a configuration.
    pub(crate) fn idle() -> Arc<Self> {
        let (asks, _) = mpsc::channel(1);
        Arc::new(Self { sources: Mutex::default(), asks })
    }

    /// The keys of `url`, which are fetched soon if nobody asked for them before.
    pub(crate) fn source(&self, url: JwksUrl) -> Arc<Source> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources.get(&url) {
            return source.clone();
        }
        let source = Arc::new(Source {
            url: url.clone(),
            handle: Arc::new(JwksHandle::default()),
            fetches: watch::Sender::new(0),
            asked: Mutex::new(None),
            error: Mutex::new(None),
        });
        sources.insert(url, source.clone());
        drop(sources);
        source.ask(&self.asks);
        source
    }

    /// Forgets the providers that no snapshot uses any more.
    pub(crate) fn retain(&self, used: &[&Arc<Source>]) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|_, source| used.iter().any(|other| Arc::ptr_eq(source, other)));
    }

    /// Fetches the keys once more, unless that was done a moment ago, and waits for the result for a moment.
    pub(crate) async fn refresh(&self, source: &Arc<Source>) {
        let mut fetches = source.fetches.subscribe();
        if source.ask(&self.asks) || *fetches.borrow_and_update() == 0 {
            let _ = timeout(WAIT, fetches.changed()).await;
        }
    }

    /// How the providers are.
    pub(crate) fn status(&self) -> Vec<JwksStatus> {
        self.all()
            .iter()
            .map(|source| JwksStatus {
                url: source.url.to_string(),
                keys: source.handle.len(),
                error: source.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            })
            .collect()
    }

    fn all(&self) -> Vec<Arc<Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

// === impl Source ===

impl Source {
    /// The keys, as verifiers use them.
    pub(crate) fn handle(&self) -> &Arc<JwksHandle> {
        &self.handle
    }

    /// Asks for a fetch; false if one was asked for less than [`AGAIN`] ago.
    fn ask(self: &Arc<Self>, asks: &mpsc::Sender<Arc<Self>>) -> bool {
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_some_and(|before| now.duration_since(before) < AGAIN) {
            return false;
        }
        *asked = Some(now);
        asks.try_send(self.clone()).is_ok()
    }

    async fn fetch(&self, pools: &Pools) {
        let outcome = match timeout(FETCH, self.keys(pools)).await {
            Ok(outcome) => outcome,
            Err(_) => Err("no answer in time".to_owned()),
        };
        let error = match outcome {
            Ok(keys) => {
                self.handle.replace(keys);
                None
            }
            Err(error) => Some(error),
        };
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        self.fetches.send_modify(|fetches| *fetches += 1);
    }

    async fn keys(&self, pools: &Pools) -> Result<KeySet, String> {
        let mut document = get(pools, &self.url).await?;
        if let Some(issuer) = &self.url.issuer {
            let url = self.url.named_by(&document, issuer)?;
            document = get(pools, &url).await?;
        }
        KeySet::parse(&document).map_err(|error| error.to_string())
    }
}

// === impl JwksUrl ===

impl JwksUrl {
    /// An `http` or `https` URL of a JWK set.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let url: http::Uri = url.parse().ok()?;
        let tls = match url.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self {
            tls,
            host: url.host()?.trim_matches(['[', ']']).into(),
            port: url.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: url.path_and_query()?.as_str().into(),
            issuer: None,
        })
    }

    /// Where the issuer's metadata says that its keys are. It speaks for this issuer only (OpenID Connect Discovery, section
    /// 4.3), and does not lead out of TLS.
    fn named_by(&self, metadata: &[u8], issuer: &str) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let metadata: Metadata = serde_json::from_slice(metadata)
            .map_err(|error| format!("the metadata is not usable: {error}"))?;
        if metadata.issuer != issuer {
            return Err(format!("the metadata is of the issuer `{}`", metadata.issuer.escape_debug()));
        }
        let url = Self::parse(&metadata.jwks_uri).ok_or("`jwks_uri` is not an HTTP URL")?;
        if self.tls && !url.tls {
            return Err("`jwks_uri` leaves TLS".to_owned());
        }
        Ok(url)
    }
}

impl std::fmt::Display for JwksUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tls, host, port, path, .. } = self;
        write!(f, "{}://{host}:{port}{path}", if *tls { "https" } else { "http" })
    }
}

/// Fetches one document.
async fn get(pools: &Pools, url: &JwksUrl) -> Result<BytesMut, String> {
    let scheme = if url.tls { Scheme::Https } else { Scheme::Http };
    let endpoint = Endpoint::new(scheme, &url.host, url.port, "").map_err(|error| error.to_string())?;
    let tls = ClientTls::web_roots().map_err(|error| error.to_string())?;
    let upstream = Upstream::plain(endpoint, tls, FETCH);
    let target: PathAndQuery = url.path.parse().map_err(|_| "the path cannot be requested".to_owned())?;
    let mut request = http::Request::new(OutBody::Empty);
    *request.method_mut() = Method::GET;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let sent = pools.send(&upstream, FETCH, &target, request, || None).await;
    let reply = sent.outcome.map_err(|error| error.to_string())?;
    if reply.response.status() != StatusCode::OK {
        return Err(format!("the provider answered {}", reply.response.status()));
    }
    read(reply.response.into_body()).await
}

async fn read(mut body: Incoming) -> Result<BytesMut, String> {
    let mut document = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
        if document.len() + data.len() > DOCUMENT {
            return Err(format!("the document is longer than {DOCUMENT} bytes"));
        }
        document.extend_from_slice(&data);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_speaks_for_its_issuer_and_stays_in_tls() {
        let discover =
            |url: &str| JwksUrl { issuer: Some("https://id".into()), ..JwksUrl::parse(url).expect("a URL") };
        let named = |from: &str, issuer: &str, uri: &str| {
            let metadata = serde_json::json!({"issuer": issuer, "jwks_uri": uri}).to_string();
            discover(from).named_by(metadata.as_bytes(), "https://id").map(|url| url.to_string())
        };
        let (tls, plain) = ("https://id/.well-known/openid-configuration", "http://id/");
        assert_eq!(named(tls, "https://id", "https://keys.id/a?b").as_deref(), Ok("https://keys.id:443/a?b"));
        assert_eq!(named(plain, "https://id", "http://id/a").as_deref(), Ok("http://id:80/a"));
        for (from, issuer, uri, why) in [
            (tls, "https://evil", "https://keys.id/", "issuer"),
            (tls, "https://id/", "https://keys.id/", "issuer"),
            (tls, "https://id", "http://keys.id/", "leaves TLS"),
            (tls, "https://id", "file:///etc/passwd", "not an HTTP URL"),
            (tls, "https://id", "/keys", "not an HTTP URL"),
        ] {
            let refused = named(from, issuer, uri).expect_err(uri);
            assert!(refused.contains(why), "{uri}: {refused}");
        }
        assert!(discover(tls).named_by(br#"{"jwks_uri":"https://id/"}"#, "https://id").is_err());
    }
}
