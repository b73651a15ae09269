//! HTTP/2 towards upstreams, over real sockets.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

use http::uri::PathAndQuery;
use hyper::body::Incoming;

use super::tests::{run, upstream_over};
use super::*;
use crate::Reply;
use std::cell::Cell;

/// An h2c server. It counts its connections, answers with the request's body and trailers, and holds calls to `/hold`
/// until it is told to let one go.
struct Echo {
    connections: Cell<usize>,
    heads: RefCell<Vec<http::request::Parts>>,
    held: Semaphore,
    let_go: Semaphore,
}

impl Echo {
    async fn start() -> (SocketAddr, Rc<Self>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = Rc::new(Self {
            connections: Cell::new(0),
            heads: RefCell::default(),
            held: Semaphore::new(0),
            let_go: Semaphore::new(0),
        });
        let server = echo.clone();
        tokio::task::spawn_local(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                server.connections.set(server.connections.get() + 1);
                let server = server.clone();
                let service = service_fn(move |request| server.clone().answer(request));
                let builder = hyper::server::conn::http2::Builder::new(crate::connect::Local);
                tokio::task::spawn_local(builder.serve_connection(TokioIo::new(tcp), service));
            }
        });
        (address, echo)
    }

    #[expect(clippy::disallowed_methods, reason = "the test's own small bodies")]
    async fn answer(
        self: Rc<Self>,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible> {
        let (head, body) = request.into_parts();
        let hold = head.uri.path().ends_with("/hold");
        self.heads.borrow_mut().push(head);
        if hold {
            self.held.add_permits(1);
            self.let_go.acquire().await.unwrap().forget();
        }
        let whole = body.collect().await.unwrap();
        let mut trailers = whole.trailers().cloned().unwrap_or_default();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = Full::new(whole.to_bytes()).with_trailers(ready(Some(Ok(trailers))));
        Ok(http::Response::new(body))
    }
}

fn over_http2(address: SocketAddr) -> Rc<Upstream> {
    Rc::new(upstream_over(&[(address, "/v2")], Protocol::Http2))
}

async fn call(pools: &Pools, upstream: &Upstream, path: &'static str) -> Result<Reply, UpstreamError> {
    let mut sent = HeaderMap::new();
    sent.insert("checksum", HeaderValue::from_static("abc"));
    let body = Full::new(Bytes::from_static(b"dough")).with_trailers(ready(Some(Ok(sent))));
    let mut request = http::Request::new(OutBody::Stream(Box::pin(body.map_err(|never| match never {}))));
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert(http::header::HOST, HeaderValue::from_static("caller.example"));
    let target = PathAndQuery::from_static(path);
    pools.send(upstream, upstream.timeout, &target, request, || None).await.outcome
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test's own small bodies")]
fn bodies_and_trailers_pass_both_ways() {
    run(async {
        let (address, echo) = Echo::start().await;
        let (pools, upstream) = (Pools::default(), over_http2(address));
        for _ in 0..3 {
            let reply = call(&pools, &upstream, "/pizza?size=l").await.unwrap();
            assert_eq!(reply.response.version(), http::Version::HTTP_2);
            let body = reply.response.into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(body.trailers().unwrap()["checksum"], "abc");
            assert_eq!(&body.to_bytes()[..], b"dough");
            reply.lease.release();
        }
        assert_eq!(echo.connections.get(), 1);
        let heads = echo.heads.borrow();
        assert_eq!(heads[0].uri.to_string(), format!("http://{address}/v2/pizza?size=l"));
        assert!(!heads[0].headers.contains_key("host"), "the authority is said once");
    });
}

#[test]
fn calls_share_connections_up_to_the_streams_of_one() {
    run(async {
        let (address, echo) = Echo::start().await;
        let (pools, mut upstream) = (Pools::default(), over_http2(address));
        Rc::get_mut(&mut upstream).unwrap().max_connections = STREAMS + 1;
        Rc::get_mut(&mut upstream).unwrap().connect_timeout = Duration::from_millis(200);
        for _ in 0..=STREAMS {
            let (pools, upstream) = (pools.clone(), upstream.clone());
            tokio::task::spawn_local(async move { call(&pools, &upstream, "/hold").await.map(drop) });
        }
        let held = u32::try_from(STREAMS + 1).unwrap();
        echo.held.acquire_many(held).await.unwrap().forget();
        assert_eq!(echo.connections.get(), 2);
        // No place is left for one more.
        assert!(matches!(call(&pools, &upstream, "/").await, Err(UpstreamError::Busy { .. })));
        echo.let_go.add_permits(STREAMS + 1);
        call(&pools, &upstream, "/").await.unwrap();
        assert_eq!(echo.connections.get(), 2);
        assert_eq!(pools.idle(), 2);
        pools.sweep(Instant::now() + IDLE);
        assert_eq!(pools.idle(), 0);
    });
}

#[test]
fn a_call_that_is_given_up_leaves_its_connection_to_the_others() {
    run(async {
        let (address, echo) = Echo::start().await;
        let (pools, mut upstream) = (Pools::default(), over_http2(address));
        Rc::get_mut(&mut upstream).unwrap().timeout = Duration::from_millis(100);
        assert!(matches!(call(&pools, &upstream, "/hold").await, Err(UpstreamError::Timeout { .. })));
        Rc::get_mut(&mut upstream).unwrap().timeout = Duration::from_secs(5);
        call(&pools, &upstream, "/").await.unwrap();
        assert_eq!(echo.connections.get(), 1);
    });
}

#[test]
fn an_upstream_that_speaks_only_http1_is_an_error_that_names_it() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut tcp, answer).await.unwrap();
            std::future::pending::<()>().await;
        });
        let (pools, upstream) = (Pools::default(), over_http2(address));
        let Err(error) = call(&pools, &upstream, "/").await else { panic!("an answer") };
        assert!(matches!(error, UpstreamError::Broken { .. }), "{error:?}");
        assert!(error.to_string().contains(&address.to_string()));
    });
}
