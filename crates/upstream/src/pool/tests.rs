use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use http_body_util::BodyExt;
use tokio::task::LocalSet;

use http::uri::PathAndQuery;

use super::*;
use crate::{ClientTls, Endpoint, Protocol, Registry, Scheme, Target, UpstreamError};

/// What the scripted server does with one accepted connection.
enum Act {
    /// Answer that many requests, then close.
    Answer(usize),
    /// Read a request, answer nothing, close.
    ReadAndClose,
    /// Read a request and hold it until the test ends.
    Hold,
}

/// A server that follows a script, one entry a connection, and reports each request's first line.
fn server(script: Vec<Act>) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, requests) = sync_channel(64);
    thread::spawn(move || {
        let mut held = Vec::new();
        for act in script {
            let (mut stream, _) = listener.accept().unwrap();
            match act {
                Act::Answer(times) => {
                    for _ in 0..times {
                        if !read_request(&mut stream, &seen) {
                            break;
                        }
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
                    }
                }
                Act::ReadAndClose => {
                    read_request(&mut stream, &seen);
                }
                Act::Hold => {
                    read_request(&mut stream, &seen);
                    held.push(stream);
                }
            }
        }
        // Holding ends with the test process.
        thread::park();
        drop(held);
    });
    (address, requests)
}

fn read_request(stream: &mut impl Read, seen: &SyncSender<String>) -> bool {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return false,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    seen.send(text.lines().next().unwrap().to_owned()).is_ok()
}

pub(super) fn upstream(addresses: &[(SocketAddr, &str)]) -> Upstream {
    upstream_over(addresses, Protocol::Http1)
}

pub(super) fn upstream_over(addresses: &[(SocketAddr, &str)], protocol: Protocol) -> Upstream {
    let registry = Registry::idle();
    let tls = ClientTls::web_roots().unwrap();
    let targets = addresses
        .iter()
        .map(|(at, prefix)| {
            let endpoint = Endpoint::new(Scheme::Http, &at.ip().to_string(), at.port(), prefix).unwrap();
            let spec = SiteSpec::new(&endpoint, protocol, tls.clone(), Duration::from_secs(10));
            let site = registry.site(spec, &endpoint);
            Target { endpoint, weight: 1, site }
        })
        .collect();
    let endpoint = Endpoint::new(Scheme::Http, "unused", 1, "").unwrap();
    Upstream {
        targets,
        protocol,
        max_connections: 2,
        ..Upstream::plain(endpoint, tls, Duration::from_secs(5))
    }
}

fn request(method: http::Method) -> http::Request<OutBody> {
    let mut request = http::Request::new(OutBody::Full(bytes::Bytes::from_static(b"{}")));
    *request.method_mut() = method;
    request
}

#[expect(clippy::disallowed_methods, reason = "the scripted server sends two bytes")]
async fn call(pools: &Pools, upstream: &Upstream, method: http::Method) -> Result<Arc<str>, UpstreamError> {
    let target = PathAndQuery::from_static("/pizza?size=l");
    let reply = pools
        .send(upstream, upstream.timeout, &target, request(method.clone()), || Some(request(method.clone())))
        .await
        .outcome?;
    let body = reply.response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"ok");
    reply.lease.release();
    Ok(reply.endpoint)
}

pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// An address at which nothing listens: bound once, then given up.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_released_connection_serves_the_next_call() {
    run(async {
        // The script has one connection and keeps it: a second connect would find no answer.
        let (address, requests) = server(vec![Act::Answer(4)]);
        let (pools, upstream) = (Pools::default(), upstream(&[(address, "/v2")]));
        for _ in 0..3 {
            call(&pools, &upstream, http::Method::POST).await.unwrap();
        }
        assert_eq!(pools.idle(), 1);
        assert!(requests.iter().take(3).all(|line| line == "POST /v2/pizza?size=l HTTP/1.1"));
    });
}

#[test]
fn a_call_that_meets_a_closing_connection_is_sent_again_when_that_is_safe() {
    run(async {
        let (address, requests) = server(vec![Act::Answer(1), Act::ReadAndClose, Act::Answer(1)]);
        let (pools, upstream) = (Pools::default(), upstream(&[(address, "")]));
        call(&pools, &upstream, http::Method::GET).await.unwrap();
        // The kept connection is gone, found out before or after sending: a new one is made, and that one breaks
        // after the request was read. What can be sent again is, on a third.
        call(&pools, &upstream, http::Method::GET).await.unwrap();
        assert_eq!(requests.iter().take(3).count(), 3);
    });
}

#[test]
fn a_call_that_was_sent_and_is_not_idempotent_is_never_sent_again() {
    run(async {
        let (address, requests) = server(vec![Act::ReadAndClose, Act::Answer(1)]);
        let (pools, upstream) = (Pools::default(), upstream(&[(address, "")]));
        assert!(matches!(
            call(&pools, &upstream, http::Method::POST).await,
            Err(UpstreamError::Broken { .. })
        ));
        call(&pools, &upstream, http::Method::GET).await.unwrap();
        assert_eq!(
            requests.iter().take(2).collect::<Vec<_>>(),
            ["POST /pizza?size=l HTTP/1.1", "GET /pizza?size=l HTTP/1.1"]
        );
    });
}

#[test]
fn retries_end_with_their_budget() {
    run(async {
        let (address, _requests) = server((0..60).map(|_| Act::ReadAndClose).collect());
        let (pools, mut upstream) = (Pools::default(), upstream(&[(address, "")]));
        let budget = crate::Allowance { share: 0.0, floor: 1 };
        upstream.retries = crate::Retries { max: 1, budget, ..crate::Retries::default() };
        upstream.gate = Registry::idle().gate("test", &budget);
        let mut retries = 0;
        for _ in 0..30 {
            let target = PathAndQuery::from_static("/");
            let again = || Some(request(http::Method::GET));
            let sent =
                pools.send(&upstream, upstream.timeout, &target, request(http::Method::GET), again).await;
            assert!(sent.outcome.is_err());
            retries += sent.retries;
        }
        // What was saved up at the start, and what a slow machine adds.
        assert!((10..20).contains(&retries), "{retries}");
    });
}

#[test]
fn a_hanging_address_is_left_for_another_within_the_call_and_then_left_out() {
    run(async {
        let (dead, _dead) = server((0..10).map(|_| Act::Hold).collect());
        let (alive, _alive) = server(vec![Act::Answer(100)]);
        let (pools, mut upstream) = (Pools::default(), upstream(&[(dead, ""), (alive, "")]));
        upstream.try_timeout = Some(Duration::from_millis(100));
        upstream.ejection = crate::Ejection { failures: 2, ..crate::Ejection::default() };
        for _ in 0..20 {
            assert_eq!(&*call(&pools, &upstream, http::Method::GET).await.unwrap(), alive.to_string());
        }
        let standing = |at: usize| upstream.targets[at].site.peers()[0].health.standing(Millis::now());
        assert_eq!((standing(0), standing(1)), (Standing::Ejected, Standing::Good));
        assert_eq!(upstream.targets[0].site.peers()[0].health.failures(), 2);
    });
}

#[test]
fn an_open_breaker_answers_at_once_and_says_for_how_long() {
    run(async {
        let (pools, mut upstream) = (Pools::default(), upstream(&[(nobody(), "")]));
        upstream.breaker = Some(crate::BreakerRule {
            failures: 0.5,
            least_calls: 3,
            window: Duration::from_secs(3600),
            open: Duration::from_secs(60),
            trials: 1,
        });
        for _ in 0..3 {
            let error = call(&pools, &upstream, http::Method::GET).await.unwrap_err();
            assert!(matches!(error, UpstreamError::Connect { .. }));
        }
        let error = call(&pools, &upstream, http::Method::GET).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Open { left } if left > Duration::from_secs(50)), "{error}");
    });
}

#[test]
fn calls_are_dealt_by_weight() {
    let here = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut upstream = upstream(&[(here, ""), (SocketAddr::from(([127, 0, 0, 1], 2)), "")]);
    upstream.targets[1].weight = 3;
    let mut state = 7;
    let mut random = || {
        state += 1;
        crate::balance::mix(state)
    };
    let mut of_second = 0;
    let held: Vec<_> = (0..400)
        .map(|_| {
            let choice = crate::balance::choose(&upstream, &[], Millis(1), &mut random).unwrap();
            of_second += usize::from(choice.target.endpoint.port() == 2);
            Flight::new(&choice)
        })
        .collect();
    // Held, so that the load counts: three times as many for the three times as strong.
    assert!((290..=310).contains(&of_second), "{of_second}");
    drop(held);
    assert!(upstream.targets.iter().all(|target| target.site.peers()[0].health.load() == 0));
}

#[test]
fn never_are_more_left_out_than_may_be() {
    let at = |port| (SocketAddr::from(([127, 0, 0, 1], port)), "");
    let upstream = upstream(&[at(1), at(2), at(3), at(4)]);
    let peers: Vec<_> = upstream.targets.iter().map(|target| target.site.peers()[0].clone()).collect();
    for peer in &peers {
        (0..5).for_each(|_| peer.health.failed("reset", false));
    }
    crate::balance::choose(&upstream, &[], Millis(1), || 1).unwrap();
    let out = peers.iter().filter(|peer| peer.health.standing(Millis(1)) == Standing::Ejected).count();
    assert_eq!(out, 2);
    // Checks may say that none is well: then any is tried.
    for peer in &peers {
        (0..5).for_each(|_| peer.health.checked(Err("no"), (1, 1)));
    }
    assert!(crate::balance::choose(&upstream, &[], Millis(1), || 1).is_some());
}

#[test]
fn an_endpoint_that_takes_no_connection_is_passed_over() {
    run(async {
        let (address, _requests) = server(vec![Act::Answer(4)]);
        let (pools, upstream) = (Pools::default(), upstream(&[(nobody(), ""), (address, "")]));
        for _ in 0..4 {
            assert_eq!(&*call(&pools, &upstream, http::Method::GET).await.unwrap(), address.to_string());
        }
    });
}

#[test]
fn an_upstream_nobody_serves_is_a_connect_error_that_names_it() {
    run(async {
        let address = nobody();
        let (pools, upstream) = (Pools::default(), upstream(&[(address, "")]));
        let error = call(&pools, &upstream, http::Method::GET).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Connect { .. }));
        assert!(error.to_string().contains(&address.to_string()));
    });
}

#[test]
fn a_silent_upstream_is_a_timeout_and_its_connection_is_not_kept() {
    run(async {
        let (address, _requests) = server(vec![Act::Hold]);
        let (pools, mut upstream) = (Pools::default(), upstream(&[(address, "")]));
        upstream.timeout = Duration::from_millis(50);
        let outcome = call(&pools, &upstream, http::Method::GET).await;
        assert!(matches!(outcome, Err(UpstreamError::Timeout { .. })));
        assert_eq!(pools.idle(), 0);
    });
}

#[test]
fn calls_beyond_the_allowed_number_wait_then_fail() {
    run(async {
        let (address, requests) = server(vec![Act::Hold, Act::Hold]);
        let (pools, mut upstream) = (Pools::default(), upstream(&[(address, "")]));
        upstream.connect_timeout = Duration::from_millis(200);
        let upstream = Rc::new(upstream);
        for _ in 0..2 {
            let (pools, upstream) = (pools.clone(), upstream.clone());
            tokio::task::spawn_local(async move { call(&pools, &upstream, http::Method::GET).await });
        }
        // Both places are taken once both requests have been seen.
        tokio::task::spawn_blocking(move || requests.iter().take(2).count()).await.unwrap();
        let outcome = call(&pools, &upstream, http::Method::GET).await;
        assert!(matches!(outcome, Err(UpstreamError::Busy { .. })));
    });
}

#[test]
fn idle_connections_are_closed_by_age() {
    run(async {
        let (address, _requests) = server(vec![Act::Answer(2)]);
        let (pools, upstream) = (Pools::default(), upstream(&[(address, "")]));
        call(&pools, &upstream, http::Method::GET).await.unwrap();
        pools.sweep(Instant::now());
        assert_eq!(pools.idle(), 1);
        pools.sweep(Instant::now() + IDLE);
        assert_eq!(pools.idle(), 0);
    });
}
