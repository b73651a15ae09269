//! ACME's requests over the gateway's own client. The library wants a client that any thread can use; ours stays on its
//! thread. So requests go through a queue to a task that has the connections.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use haechi_upstream::{ClientTls, Endpoint, OutBody, Pools, Scheme, Upstream};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use http_body::Body;
use hyper::body::Incoming;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tokio::sync::{mpsc, oneshot};

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(15);
/// Largest answer; a chain of four certificates is some kilobytes.
const ANSWER: usize = 256 * 1024;
/// Requests that wait; an order sends one after the other.
const QUEUE: usize = 4;

type Outcome = Result<(http::response::Parts, Bytes), String>;

/// The library's end of the queue.
pub(crate) struct Courier {
    errands: mpsc::Sender<Errand>,
}

struct Errand {
    request: Request<BodyWrapper<Bytes>>,
    answer: oneshot::Sender<Outcome>,
}

// === impl Courier ===

impl Courier {
    /// Starts the task with the connections on this thread; it ends with the last handle.
    pub(crate) fn start(trust: ClientTls) -> Self {
        let (errands, mut waiting) = mpsc::channel::<Errand>(QUEUE);
        tokio::task::spawn_local(async move {
            let pools = Pools::default();
            while let Some(Errand { request, answer }) = waiting.recv().await {
                let _ = answer.send(send(&pools, &trust, request).await);
            }
        });
        Self { errands }
    }
}

impl HttpClient for Courier {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let errands = self.errands.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let gone = |_| Error::Str("the client has ended");
            errands.send(Errand { request, answer }).await.map_err(|_| gone(()))?;
            let (parts, body) =
                answered.await.map_err(|_| gone(()))?.map_err(|message| Error::Other(message.into()))?;
            Ok(BytesResponse { parts, body: Box::new(body) })
        })
    }
}

async fn send(pools: &Pools, trust: &ClientTls, request: Request<BodyWrapper<Bytes>>) -> Outcome {
    let (mut head, mut body) = request.into_parts();
    // The library's bodies are one piece.
    let piece = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    let body = piece.and_then(Result::ok).and_then(|frame| frame.into_data().ok()).unwrap_or_default();
    let (upstream, target) = address(&head.uri, trust)?;
    head.uri = Uri::default();
    let body = if body.is_empty() { OutBody::Empty } else { OutBody::Full(body) };
    let sent = pools.send(&upstream, REQUEST, &target, Request::from_parts(head, body), || None).await;
    let reply = sent.outcome.map_err(|error| error.to_string())?;
    let (head, body) = reply.response.into_parts();
    let body =
        tokio::time::timeout(REQUEST, read(body)).await.map_err(|_| "the answer did not come in time")??;
    reply.lease.release();
    Ok((head, body))
}

/// Where a URL of the server leads. Everything it names is over TLS, or else whoever is on the way decides.
fn address(url: &Uri, trust: &ClientTls) -> Result<(Upstream, PathAndQuery), String> {
    if url.scheme_str() != Some("https") {
        return Err(format!("the server names a URL that is not `https`: {url}"));
    }
    let host = url.host().ok_or("the server names a URL without a host")?.trim_matches(['[', ']']);
    let endpoint = Endpoint::new(Scheme::Https, host, url.port_u16().unwrap_or(443), "")
        .map_err(|error| error.to_string())?;
    let upstream = Upstream::plain(endpoint, trust.clone(), REQUEST);
    let target = url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    Ok((upstream, target))
}

async fn read(body: Incoming) -> Result<Bytes, String> {
    let mut body = pin!(body);
    let mut answer = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
        if answer.len() + data.len() > ANSWER {
            return Err(format!("the answer is longer than {ANSWER} bytes"));
        }
        answer.extend_from_slice(&data);
    }
    Ok(answer.freeze())
}
