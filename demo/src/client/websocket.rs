//! A WebSocket connection on which a caller listens.

use std::time::Instant;

use futures_util::StreamExt;
use http::{StatusCode, header};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Answer, Client, LISTENING, connect};

// === impl Client ===

impl Client {
    /// Opens a connection of its own and listens until the other side ends it. The texts, as one JSON list; how long it took
    /// until it was open.
    pub(crate) async fn websocket(&mut self, path: &str) -> Result<Answer, String> {
        timeout(LISTENING, self.heard(path)).await.map_err(|_| format!("not ended in {LISTENING:?}"))?
    }

    async fn heard(&mut self, path: &str) -> Result<Answer, String> {
        let stream =
            connect::stream(&self.gate, self.source, self.device).await.map_err(|error| error.to_string())?;
        let mut request = format!("ws://api.pizza.example{path}")
            .into_client_request()
            .map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, header::HeaderValue::from_static(self.device.agent));
        if let Some((name, value)) = &self.credential {
            headers.insert(name, value.parse().map_err(|_| "no header".to_owned())?);
        }
        let began = Instant::now();
        let (mut socket, _) = match tokio_tungstenite::client_async(request, stream).await {
            Ok(open) => open,
            Err(Error::Http(refusal)) => {
                let body = refusal.body().clone().unwrap_or_default().into();
                return Ok(Answer { status: refusal.status(), body, took: began.elapsed() });
            }
            Err(error) => return Err(error.to_string()),
        };
        let took = began.elapsed();
        let mut texts: Vec<Value> = Vec::new();
        while let Some(message) = socket.next().await {
            match message.map_err(|error| error.to_string())? {
                Message::Text(text) => texts.push(serde_json::from_str(&text).unwrap_or_default()),
                Message::Close(_) => break,
                _ => {}
            }
        }
        let body = Value::from(texts).to_string().into();
        Ok(Answer { status: StatusCode::SWITCHING_PROTOCOLS, body, took })
    }
}
