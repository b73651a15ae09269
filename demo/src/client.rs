//! One caller's connection: kept alive, from an address of its own.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::time::timeout;

/// Longest answer that is read.
const ANSWER: usize = 4 * 1024 * 1024;
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One caller.
pub(crate) struct Client {
    gateway: SocketAddr,
    source: IpAddr,
    agent: &'static str,
    credential: Option<(header::HeaderName, String)>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

// === impl Client ===

impl Client {
    pub(crate) fn new(gateway: SocketAddr, source: [u8; 4], agent: &'static str) -> Self {
        Self { gateway, source: IpAddr::from(source), agent, credential: None, connection: None }
    }

    /// From now on calls carry this token.
    pub(crate) fn token(&mut self, token: &str) {
        self.credential = Some((header::AUTHORIZATION, format!("Bearer {token}")));
    }

    /// From now on calls carry this key.
    pub(crate) fn key(&mut self, key: &str) {
        self.credential = Some((header::HeaderName::from_static("x-api-key"), key.to_owned()));
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, String> {
        self.call(Method::GET, path, "", Bytes::new()).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Answer, String> {
        self.call(Method::POST, path, "application/json", Bytes::from(body.to_string())).await
    }

    /// Calls, once more on a new connection if the kept one has just been closed.
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, String> {
        for last in [false, true] {
            let reused = self.connection.is_some();
            match timeout(PATIENCE, self.once(&method, path, content_type, body.clone())).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) if reused && !last => self.connection = None,
                Ok(Err(error)) => {
                    self.connection = None;
                    return Err(error);
                }
                Err(_) => {
                    self.connection = None;
                    return Err(format!("{method} {path}: no answer in {PATIENCE:?}"));
                }
            }
        }
        Err("unreachable".to_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "the body is limited")]
    async fn once(
        &mut self,
        method: &Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.connect().await.map_err(|error| error.to_string())?,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "api.pizza.example")
            .header(header::USER_AGENT, self.agent);
        if let Some((name, value)) = &self.credential {
            request = request.header(name, value);
        }
        if !content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let response = connection.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_err(|error| error.to_string())?.to_bytes();
        let took = began.elapsed();
        self.connection = Some(connection);
        Ok(Answer { status: head.status, body, took })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let socket = TcpSocket::new_v4()?;
        // Every channel has an address of its own, as far as the system lets it.
        if self.gateway.ip().is_loopback() {
            let _ = socket.bind(SocketAddr::new(self.source, 0));
        }
        let stream = socket.connect(self.gateway).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(driver);
        Ok(connection)
    }
}

// === impl Answer ===

impl Answer {
    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
