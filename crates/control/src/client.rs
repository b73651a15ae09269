//! The other end of the control socket: what the command line uses.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Longest answer that is read at once; lists are paged below it.
const ANSWER: usize = 16 * 1024 * 1024;

/// A client of a running gateway.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why the gateway did not do what was asked.
#[derive(Debug)]
pub enum ClientError {
    /// No gateway listens on the socket.
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The gateway refused.
    Refused {
        /// The response's status.
        status: StatusCode,
        /// What the gateway said: one sentence, or rendered diagnostics.
        message: String,
    },
    /// The exchange broke, or the answer is not what this version understands.
    Broken(String),
}

/// An answer that goes on until either side ends it, one JSON value a line.
pub struct Lines {
    body: Incoming,
    unread: Vec<u8>,
}

// === impl Client ===

impl Client {
    /// A client of the gateway that listens on `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Reads something.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let body = self.exchange(Method::GET, path, Bytes::new()).await?;
        read(body).await
    }

    /// Reads a text.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let body = whole(self.exchange(Method::GET, path, Bytes::new()).await?).await?;
        String::from_utf8(body.into()).map_err(|error| ClientError::Broken(error.to_string()))
    }

    /// Changes something.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        let body = self.exchange(Method::POST, path, Bytes::from(body)).await?;
        read(body).await
    }

    /// Reads something that goes on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn follow(&self, path: &str) -> Result<Lines, ClientError> {
        let body = self.exchange(Method::GET, path, Bytes::new()).await?;
        Ok(Lines { body, unread: Vec::new() })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Incoming, ClientError> {
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| ClientError::Unreachable { socket: self.socket.clone(), source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "haechi")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Broken(error.to_string()))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let body = whole(response.into_body()).await?;
        let message = serde_json::from_slice::<serde_json::Value>(&body)
            .ok()
            .and_then(|problem| problem.get("detail")?.as_str().map(str::to_owned))
            .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        Err(ClientError::Refused { status, message })
    }
}

// === impl Lines ===

impl Lines {
    /// The next value; nothing at the end.
    ///
    /// # Errors
    /// When the connection breaks, or the line is not what is expected.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let value =
                    serde_json::from_slice(&line).map_err(|error| ClientError::Broken(error.to_string()))?;
                return Ok(Some(value));
            }
            if self.unread.len() > ANSWER {
                return Err(ClientError::Broken("a line of the answer is too long".to_owned()));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.unread.extend_from_slice(&data);
                    }
                }
                None => return Ok(None),
            }
        }
    }
}

async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, ClientError> {
    let body = whole(body).await?;
    serde_json::from_slice(&body).map_err(|error| ClientError::Broken(error.to_string()))
}

#[expect(clippy::disallowed_methods, reason = "the body is limited")]
async fn whole(body: Incoming) -> Result<Bytes, ClientError> {
    let body = Limited::new(body, ANSWER).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| ClientError::Broken(error.to_string()))
}

// === impl ClientError ===

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { socket, source } => write!(
                f,
                "no gateway answers on `{}`: {source}\nstart one with `haechi run`, or name its socket with --socket",
                socket.display()
            ),
            Self::Refused { message, .. } => f.write_str(message),
            Self::Broken(message) => write!(f, "the gateway's answer cannot be read: {message}"),
        }
    }
}

impl std::error::Error for ClientError {}
