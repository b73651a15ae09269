//! Traces on their way to a collector (OTLP over HTTP).

use std::time::Duration;

use bytes::Bytes;
use haechi_config::model::Otlp;
use haechi_events::Export;
use haechi_upstream::{ClientTls, Endpoint, OutBody, Pools, Scheme, Upstream};
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::gateway::GatewayError;

/// Documents that wait for a slow collector; more are dropped: traces are not worth memory.
const QUEUE: usize = 16;
/// How long one document may take.
const SEND: Duration = Duration::from_secs(10);

/// Sends traces to a collector, on a thread of its own.
pub struct Collector {
    documents: mpsc::Sender<Vec<u8>>,
}

// === impl Collector ===

impl Collector {
    /// Starts the thread; it ends with the last handle.
    ///
    /// # Errors
    /// When the address cannot be used, which [`Snapshot::compile`](crate::Snapshot::compile) finds before, or the system gives no
    /// thread.
    pub fn start(otlp: &Otlp) -> Result<Self, GatewayError> {
        let wrong = |message: String| GatewayError::new("cannot send traces", std::io::Error::other(message));
        let (endpoint, target) = collector(otlp).map_err(wrong)?;
        let tls = ClientTls::web_roots().map_err(|error| wrong(error.to_string()))?;
        let upstream = Upstream::plain(endpoint, tls, SEND);
        let (documents, mut waiting) = mpsc::channel::<Vec<u8>>(QUEUE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| GatewayError::new("cannot send traces", error))?;
        std::thread::Builder::new()
            .name("haechi-traces".to_owned())
            .spawn(move || {
                LocalSet::new().block_on(&runtime, async move {
                    let pools = Pools::default();
                    while let Some(document) = waiting.recv().await {
                        let mut request = http::Request::new(OutBody::Full(Bytes::from(document)));
                        *request.method_mut() = Method::POST;
                        request
                            .headers_mut()
                            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                        // A collector that is away loses traces, nothing else.
                        let _ = pools.send(&upstream, SEND, &target, request, || None).await;
                    }
                });
            })
            .map_err(|error| GatewayError::new("cannot send traces", error))?;
        Ok(Self { documents })
    }
}

/// Where traces go.
pub(crate) fn collector(otlp: &Otlp) -> Result<(Endpoint, PathAndQuery), String> {
    let url = &otlp.endpoint;
    let scheme = if url.tls { Scheme::Https } else { Scheme::Http };
    let endpoint = Endpoint::new(scheme, &url.host, url.port, "").map_err(|error| error.to_string())?;
    let path = format!("{}/v1/traces", url.path.trim_end_matches('/'));
    Ok((endpoint, path.parse().map_err(|_| format!("`{path}` cannot be asked for"))?))
}

impl Export for Collector {
    fn export(&mut self, document: Vec<u8>) {
        let _ = self.documents.try_send(document);
    }
}
