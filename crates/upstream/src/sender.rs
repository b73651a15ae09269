//! The sending end of one connection, whichever protocol it speaks.

use http::header::HOST;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};

use crate::OutBody;
use crate::endpoint::{Endpoint, Scheme};

/// The host that an upstream is told instead of its own name: an extension of the request, which may go to one address after another.
#[derive(Clone, Debug)]
pub struct ToldHost(pub HeaderValue);

/// The sending end of one connection.
pub(crate) enum Sender {
    /// One exchange at a time.
    Http1(http1::SendRequest<OutBody>),
    /// Many at a time; cheap to clone.
    Http2(http2::SendRequest<OutBody>),
}

// === impl Sender ===

impl Sender {
    /// Whether nothing can be sent any more.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    /// Waits until a request can be sent; false if the connection has ended.
    pub(crate) async fn ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request to `endpoint` and waits for the head of its response. One that never left is given back.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<OutBody>,
        endpoint: &Endpoint,
        target: &PathAndQuery,
    ) -> Result<Response<Incoming>, TrySendError<Request<OutBody>>> {
        let target = prefixed(endpoint, target);
        match self {
            Self::Http1(sender) => {
                let host = told(&request, endpoint).clone();
                request.headers_mut().insert(HOST, host);
                *request.uri_mut() = Uri::from(target);
                sender.try_send_request(request).await
            }
            Self::Http2(sender) => {
                // `:authority` says it here (RFC 9113, section 8.3.1), and it is said once.
                request.headers_mut().remove(HOST);
                *request.uri_mut() = absolute(endpoint, told(&request, endpoint), target);
                *request.version_mut() = http::Version::HTTP_2;
                sender.try_send_request(request).await
            }
        }
    }
}

/// The target below the endpoint's prefix.
fn prefixed(endpoint: &Endpoint, target: &PathAndQuery) -> PathAndQuery {
    match endpoint.prefix() {
        "" => None,
        prefix => PathAndQuery::try_from(format!("{prefix}{target}")).ok(),
    }
    .unwrap_or_else(|| target.clone())
}

/// The host that the upstream is told.
fn told<'a>(request: &'a Request<OutBody>, endpoint: &'a Endpoint) -> &'a HeaderValue {
    request.extensions().get().map_or(endpoint.authority(), |ToldHost(host)| host)
}

fn absolute(endpoint: &Endpoint, host: &HeaderValue, target: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match endpoint.scheme() {
        Scheme::Http => http::uri::Scheme::HTTP,
        Scheme::Https => http::uri::Scheme::HTTPS,
    });
    parts.authority = Authority::try_from(host.as_bytes()).ok();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).unwrap_or_default()
}
