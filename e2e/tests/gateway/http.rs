//! HTTP as callers and upstreams see it.

use haechi_e2e::{Origin, Raw};
use serde_json::Value;

use crate::items;

#[test]
fn a_call_that_the_contract_names_passes_in_canonical_form() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"GET /x/..//items/%37?size=L HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.9.9.9\r\nX-Mine: yes\r\n\r\n");
    let response = raw.response().expect("a response");
    assert_eq!(response.status, 200, "{}", response.head);
    assert_eq!(response.body, b"{\"ok\": true}\n");
    let seen = origin.seen();
    let head = &seen.first().expect("it reached the origin").head;
    assert!(head.starts_with("GET /items/7?size=L HTTP/1.1\r\n"), "{head}");
    let lower = head.to_ascii_lowercase();
    for expected in
        ["x-forwarded-for: 127.0.0.1\r\n", "x-mine: yes\r\n", "x-request-id: ", "traceparent: 00-"]
    {
        assert!(lower.contains(expected), "{expected} in {head}");
    }
    assert!(!lower.contains("10.9.9.9"), "{head}");
}

#[test]
fn what_no_contract_names_is_refused_and_never_sent() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    for (request, status, kind) in [
        ("GET /admin HTTP/1.1\r\nHost: a\r\n\r\n", 404, "unknown-operation"),
        ("DELETE /items/7 HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method-not-allowed"),
        ("GET /items/7?size=XXL HTTP/1.1\r\nHost: a\r\n\r\n", 400, "contract-violation"),
        ("GET /items/7?colour=red HTTP/1.1\r\nHost: a\r\n\r\n", 400, "contract-violation"),
        (
            "POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{\"name\":\"x\",\"quantity\":99}",
            400,
            "contract-violation",
        ),
    ] {
        let response = raw.send(request.as_bytes()).response().expect("a response");
        let problem: Value = serde_json::from_slice(&response.body).expect("problem details");
        assert_eq!(response.status, status, "{request}: {problem}");
        assert_eq!(problem["type"], format!("https://haechi.dev/problems/{kind}"), "{request}");
        assert!(response.head.to_ascii_lowercase().contains("content-type: application/problem+json"));
    }
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
}

#[test]
fn what_is_only_observed_goes_on_and_is_recorded() {
    let origin = Origin::start();
    let config = format!(
        "{}    validate: {{ request: observe, unknown_paths: observe }}\n",
        crate::config(origin.address())
    );
    let gateway = haechi_e2e::Gateway::start(&[("haechi.yaml", &config), ("items.yaml", crate::SPEC)]);
    let mut raw = Raw::connect(gateway.address());
    for (made, (call, code)) in [
        ("GET /items/7?size=XXL", "enum"),
        ("GET /items/7?colour=red", "unknown"),
        ("GET /elsewhere", "unknown-operation"),
    ]
    .into_iter()
    .enumerate()
    {
        raw.send(format!("{call} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(raw.response().expect("a response").status, 200, "{call}");
        let event = gateway.requests(made + 1).pop().expect("one");
        let verdict = &event["verdicts"][0];
        assert_eq!(
            (&verdict["denied"], &verdict["mode"]),
            (&true.into(), &"observe".into()),
            "{call}: {event}"
        );
        assert_eq!(verdict["reasons"][0]["code"], code, "{call}: {event}");
        assert_eq!(event["outcome"], "forwarded", "{call}");
    }
    assert_eq!(origin.seen().len(), 3);
}

#[test]
fn a_violation_names_the_place_in_the_body_and_in_the_schema() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let body = r#"{"name":"x","quantity":0}"#;
    let request = format!(
        "POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response");
    let problem: Value = serde_json::from_slice(&response.body).expect("problem details");
    assert_eq!(problem["errors"][0]["at"], "/quantity", "{problem}");
    let rule = problem["errors"][0]["rule"].as_str().expect("a rule");
    assert!(rule.ends_with("/properties/quantity/minimum"), "{rule}");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    let mut requests = String::new();
    for id in 0..20 {
        requests += &format!("GET /items/{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    raw.send(requests.as_bytes());
    for _ in 0..20 {
        assert_eq!(raw.response().expect("a response").status, 200);
    }
    let paths: Vec<_> =
        origin.seen().iter().map(|seen| seen.head.split(' ').nth(1).expect("a path").to_owned()).collect();
    assert_eq!(paths, (0..20).map(|id| format!("/items/{id}")).collect::<Vec<_>>());
}

#[test]
fn a_body_is_asked_for_only_when_it_is_wanted() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(raw.response().expect("an interim response").status, 100);
    assert_eq!(raw.send(b"dough").response().expect("a response").status, 200);
    assert_eq!(origin.seen().last().expect("sent").body, b"dough");

    raw.send(b"PUT /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(raw.response().expect("a response").status, 404);
}

#[test]
fn a_chunked_body_arrives_as_it_was_sent() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw.send(b"5\r\ndough\r\n7\r\n, salt,\r\n").send(b"6\r\n water\r\n0\r\n\r\n");
    assert_eq!(raw.response().expect("a response").status, 200);
    assert_eq!(origin.seen().last().expect("sent").body, b"dough, salt, water");
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let origin = Origin::start();
    let config =
        format!("{}    operations: {{ putFile: {{ body: 1KiB }} }}\n", crate::config(origin.address()));
    let gateway = haechi_e2e::Gateway::start(&[("haechi.yaml", &config), ("items.yaml", crate::SPEC)]);
    let put = |framing: &str| {
        format!(
            "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n"
        )
    };
    let exact = put("Content-Length: 1024") + &"x".repeat(1024);
    assert_eq!(
        Raw::connect(gateway.address()).send(exact.as_bytes()).response().expect("a response").status,
        200
    );
    let declared = put("Content-Length: 1025");
    let response = Raw::connect(gateway.address()).send(declared.as_bytes()).response().expect("a response");
    assert_eq!(response.status, 413, "{}", response.head);
    let chunked = put("Transfer-Encoding: chunked") + &format!("401\r\n{}\r\n0\r\n\r\n", "x".repeat(0x401));
    let response = Raw::connect(gateway.address()).send(chunked.as_bytes()).response().expect("a response");
    assert_eq!(response.status, 413, "{}", response.head);
}

#[test]
fn an_upstream_that_is_not_there_is_a_problem_not_a_hang() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let config = crate::config(gone);
    let gateway = haechi_e2e::Gateway::start(&[("haechi.yaml", &config), ("items.yaml", crate::SPEC)]);
    let mut raw = Raw::connect(gateway.address());
    let response = raw.send(b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n").response().expect("a response");
    assert_eq!(response.status, 502);
    let problem: Value = serde_json::from_slice(&response.body).expect("problem details");
    assert_eq!(problem["type"], "https://haechi.dev/problems/upstream-unreachable");
}

#[test]
fn an_upstream_that_is_silent_is_a_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = crate::config(listener.local_addr().expect("an address"))
        .replace("urls: [", "timeout: 100ms, urls: [");
    let gateway = haechi_e2e::Gateway::start(&[("haechi.yaml", &config), ("items.yaml", crate::SPEC)]);
    let mut raw = Raw::connect(gateway.address());
    let response = raw.send(b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n").response().expect("a response");
    assert_eq!(response.status, 504);
}

#[test]
fn a_response_that_breaks_off_is_not_made_whole() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndough\r\nrubbish");
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(raw.response().is_none(), "the caller must be able to tell");
}

#[test]
fn a_head_request_gets_the_length_and_no_body() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 12345\r\n\r\n");
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"HEAD /items/7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut head = String::new();
    while !raw.is_closed() {
        head += &raw.take();
    }
    assert!(head.to_ascii_lowercase().contains("content-length: 12345\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_caller_that_says_nothing_is_let_go() {
    let origin = Origin::start();
    let config = format!(
        "{}limits: {{ timeouts: {{ first_byte: 300ms, head: 300ms }} }}\n",
        crate::config(origin.address())
    );
    let gateway = haechi_e2e::Gateway::start(&[("haechi.yaml", &config), ("items.yaml", crate::SPEC)]);
    assert!(Raw::connect(gateway.address()).is_closed(), "silence ends in a close");
    let mut slow = Raw::connect(gateway.address());
    slow.send(b"GET /items/7 HTTP/1.1\r\nHost:");
    assert_eq!(slow.response().expect("a response").status, 408);
    assert!(slow.is_closed());
}
