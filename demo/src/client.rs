//! One caller's device: what it speaks, and its connection, which comes from an address of its own.

mod connect;
mod websocket;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

pub(crate) use connect::Gate;

use crate::shop::{PAGES, service_of};

/// Longest answer that is read.
const ANSWER: usize = 4 * 1024 * 1024;
/// How long a call may take, and one whose answer is told bit by bit.
const PATIENCE: Duration = Duration::from_secs(10);
const LISTENING: Duration = Duration::from_secs(40);

/// What a device is and speaks, as far as the front lets it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    /// What it calls itself.
    pub(crate) agent: &'static str,
    pub(crate) tls: Option<Tls>,
    pub(crate) http: Http,
    /// Whether a connection is used again.
    pub(crate) keeps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    V12,
    V13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

/// One caller.
pub(crate) struct Client {
    gate: Arc<Gate>,
    source: IpAddr,
    device: Device,
    credential: Option<(header::HeaderName, String)>,
    connection: Option<Connection>,
}

enum Connection {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) took: Duration,
}

/// What is asked for.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    /// `Idempotency-Key`, if the call may come twice.
    pub(crate) once: Option<&'a str>,
    /// Whether the answer is told bit by bit: the caller has waited when it begins.
    pub(crate) told: bool,
}

// === impl Call ===

impl<'a> Call<'a> {
    pub(crate) fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, content_type: "", body: Bytes::new(), once: None, told: false }
    }

    pub(crate) fn json(method: Method, path: &'a str, body: &Value) -> Self {
        Self::bytes(method, path, "application/json", body.to_string())
    }

    pub(crate) fn bytes(
        method: Method,
        path: &'a str,
        content_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Self {
        Self { method, path, content_type, body: body.into(), once: None, told: false }
    }

    /// An answer that is told bit by bit, and read to its end.
    pub(crate) fn listen(path: &'a str) -> Self {
        Self { told: true, ..Self::get(path) }
    }

    /// The same, however often it comes.
    pub(crate) fn once(mut self, key: &'a str) -> Self {
        self.once = Some(key);
        self
    }

    /// The host that is asked: pages and APIs have one each.
    fn host(&self) -> &'static str {
        if service_of(self.path) == PAGES { "www.pizza.example" } else { "api.pizza.example" }
    }
}

// === impl Client ===

impl Client {
    pub(crate) fn new(gate: Arc<Gate>, source: [u8; 4], device: Device) -> Self {
        Self { gate, source: IpAddr::from(source), device, credential: None, connection: None }
    }

    /// Whether the device speaks this.
    pub(crate) fn speaks(&self, http: Http) -> bool {
        self.device.http == http
    }

    /// From now on calls carry this token.
    pub(crate) fn token(&mut self, token: &str) {
        self.credential = Some((header::AUTHORIZATION, format!("Bearer {token}")));
    }

    /// From now on calls carry this key.
    pub(crate) fn key(&mut self, key: &str) {
        self.credential = Some((header::HeaderName::from_static("x-api-key"), key.to_owned()));
    }

    /// Another caller over the same connection, if it is one that several calls can share.
    pub(crate) async fn share(&mut self) -> Self {
        if self.connection.is_none() {
            self.connection = connect::connect(&self.gate, self.source, self.device).await.ok();
        }
        let connection = match &self.connection {
            Some(Connection::Two(connection)) => Some(Connection::Two(connection.clone())),
            _ => None,
        };
        Self {
            gate: self.gate.clone(),
            source: self.source,
            device: self.device,
            credential: self.credential.clone(),
            connection,
        }
    }

    /// Calls, once more on a new connection if the kept one has just been closed.
    pub(crate) async fn call(&mut self, call: &Call<'_>) -> Result<Answer, String> {
        let patience = if call.told { LISTENING } else { PATIENCE };
        for last in [false, true] {
            let reused = self.connection.is_some();
            match timeout(patience, self.try_once(call)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) if reused && !last => self.connection = None,
                Ok(Err(error)) => {
                    self.connection = None;
                    return Err(error);
                }
                Err(_) => {
                    self.connection = None;
                    return Err(format!("no answer in {patience:?}"));
                }
            }
        }
        Err("unreachable".to_owned())
    }

    /// Sends a whole request over a connection of its own, and loses it before the answer is there.
    pub(crate) async fn lose(&mut self, call: &Call<'_>) -> Result<(), String> {
        let mut stream =
            connect::stream(&self.gate, self.source, self.device).await.map_err(|error| error.to_string())?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
            call.method,
            call.path,
            call.host(),
            self.device.agent,
            call.content_type,
            call.body.len(),
        );
        if let Some((name, value)) = &self.credential {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(key) = call.once {
            head.push_str(&format!("Idempotency-Key: {key}\r\n"));
        }
        head.push_str("\r\n");
        let sent = async {
            stream.write_all(&[head.as_bytes(), &call.body].concat()).await?;
            stream.flush().await
        };
        sent.await.map_err(|error| error.to_string())
    }

    #[expect(clippy::disallowed_methods, reason = "the body is limited")]
    async fn try_once(&mut self, call: &Call<'_>) -> Result<Answer, String> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => connect::connect(&self.gate, self.source, self.device)
                .await
                .map_err(|error| error.to_string())?,
        };
        let mut request =
            Request::builder().method(&call.method).header(header::USER_AGENT, self.device.agent);
        request = match connection {
            Connection::One(_) => request.uri(call.path).header(header::HOST, call.host()),
            Connection::Two(_) => request.uri(format!("{}://{}{}", self.scheme(), call.host(), call.path)),
        };
        if let Some((name, value)) = &self.credential {
            request = request.header(name, value);
        }
        if !call.content_type.is_empty() {
            request = request.header(header::CONTENT_TYPE, call.content_type);
        }
        if let Some(key) = call.once {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::new(call.body.clone())).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let response = match &mut connection {
            Connection::One(connection) => connection.send_request(request).await,
            Connection::Two(connection) => connection.send_request(request).await,
        };
        let (head, body) = response.map_err(|error| error.to_string())?.into_parts();
        let begun = began.elapsed();
        let body = Limited::new(body, ANSWER).collect().await.map_err(|error| error.to_string())?.to_bytes();
        let took = if call.told { begun } else { began.elapsed() };
        self.connection = Some(connection).filter(|_| self.device.keeps);
        Ok(Answer { status: head.status, body, took })
    }

    fn scheme(&self) -> &'static str {
        if self.device.tls.is_some() && self.gate.secure.is_some() { "https" } else { "http" }
    }
}

// === impl Connection ===

impl Connection {
    fn is_closed(&self) -> bool {
        match self {
            Self::One(connection) => connection.is_closed(),
            Self::Two(connection) => connection.is_closed(),
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
