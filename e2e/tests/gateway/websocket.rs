//! WebSocket, with clients and servers that others wrote.

use std::process::{Command, Stdio};

use haechi_e2e::{Gateway, Origin, Peer, Raw, have, python, run};
use serde_json::Value;

const SPEC: &str = r#"
openapi: 3.1.0
info: { title: Chat, version: "1" }
paths:
  /chat/{room}:
    get:
      operationId: chat
      parameters:
        - { name: room, in: path, required: true, schema: { type: string, enum: [pizza, pasta] } }
      responses: { "101": { description: a conversation } }
  /feed:
    get: { operationId: feed, responses: { "101": { description: for the shop's own pages } } }
  /plain:
    get: { operationId: plain, responses: { "200": { description: nothing else } } }
  /page:
    get: { operationId: page, responses: { "200": { description: a page } } }
"#;

const OPERATIONS: &str = r#"    operations:
      chat: { upgrade: websocket }
      feed: { upgrade: websocket, origins: ["https://www.pizza.example"] }
"#;

fn gateway(origin: std::net::SocketAddr, limits: &str) -> Gateway {
    let config = format!("{}{OPERATIONS}{limits}", crate::config(origin).replace("items", "chat"));
    Gateway::start(&[("haechi.yaml", &config), ("chat.yaml", SPEC)])
}

/// Runs a client of `websockets` against the gateway.
fn client(gateway: &Gateway, python: &std::path::Path, program: &str) -> String {
    let prelude = "import sys\nfrom websockets.sync.client import connect\n\
        from websockets.exceptions import ConnectionClosed, InvalidStatus\nbase = sys.argv[1]\n";
    let program = format!("{prelude}{program}");
    run(Command::new(python).args(["-c", &program]).arg(format!("ws://{}", gateway.address())))
}

/// The last event of WebSocket: it is written when the connection has ended.
fn event(gateway: &Gateway) -> Value {
    gateway.event("of a WebSocket connection", |event| event["protocol"] == "websocket")
}

#[test]
fn a_conversation_passes_both_ways_and_is_one_event() {
    let Some(python) = python() else { return };
    let upstream = Peer::start(&python, "websocket_server.py");
    let gateway = gateway(upstream.address(), "");
    let out = client(
        &gateway,
        &python,
        r#"
with connect(f"{base}/chat/pizza", subprotocols=["soup", "chat"], max_size=None) as ws:
    assert ws.subprotocol == "chat", ws.subprotocol
    assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
    ws.send("who")
    print(ws.recv())
    for size in [0, 1, 125, 126, 65535, 65536, 300_000]:
        ws.send(b"x" * size)
        assert ws.recv() == b"x" * size, size
    ws.send(part for part in ["in ", "three ", "frames"])
    assert ws.recv() == "in three frames"
    assert ws.ping().wait(30), "no pong"
    ws.send("flood")
    assert sum(len(ws.recv()) for _ in range(200)) == 2_000_000
    ws.send("close")
    try:
        ws.recv()
    except ConnectionClosed as closed:
        print(closed.rcvd.code, closed.rcvd.reason)
"#,
    );
    assert_eq!(out, "/chat/pizza 127.0.0.1\n4001 as you wish\n");
    let event = event(&gateway);
    assert_eq!((&event["status"], &event["outcome"]), (&101.into(), &"forwarded".into()), "{event}");
    assert!(event["request_bytes"].as_u64() > Some(400), "{event}");
    assert!(event["response_bytes"].as_u64() > Some(1000), "{event}");
    assert!(event["reason"].is_null(), "{event}");
}

#[test]
fn only_what_is_allowed_becomes_a_conversation() {
    let Some(python) = python() else { return };
    let upstream = Peer::start(&python, "websocket_server.py");
    let gateway = gateway(upstream.address(), "");
    let out = client(
        &gateway,
        &python,
        r#"
def attempt(path, **how):
    try:
        with connect(base + path, **how) as ws:
            ws.send("hello")
            return ws.recv()
    except InvalidStatus as refused:
        return refused.response.status_code, refused.response.headers["content-type"]
for path, how in [
    ("/plain", {}),
    ("/chat/soup", {}),
    ("/nowhere", {}),
    ("/feed", {}),
    ("/feed", {"origin": "https://evil.example"}),
    ("/feed", {"origin": "https://www.pizza.example"}),
]:
    print(path, attempt(path, **how))
"#,
    );
    let problem = "'application/problem+json'";
    assert_eq!(
        out,
        format!(
            "/plain (403, {problem})\n/chat/soup (400, {problem})\n/nowhere (404, {problem})\n\
             /feed (403, {problem})\n/feed (403, {problem})\n/feed hello\n"
        )
    );
    for reason in ["origin", "upgrade-refused"] {
        gateway.event(reason, |event| event["reason"] == reason);
    }
}

#[test]
fn a_message_beyond_the_limit_ends_the_conversation() {
    let Some(python) = python() else { return };
    let upstream = Peer::start(&python, "websocket_server.py");
    let gateway = gateway(upstream.address(), "limits: { websocket_message: 1KiB }\n");
    let out = client(
        &gateway,
        &python,
        r#"
with connect(f"{base}/chat/pizza", compression=None) as ws:
    ws.send("x" * 1024)
    assert len(ws.recv()) == 1024
    try:
        ws.send("x" * 1025)
        ws.recv()
    except ConnectionClosed as closed:
        print(closed.rcvd.code)
"#,
    );
    assert_eq!(out, "1009\n");
    assert_eq!(event(&gateway)["reason"], "websocket-message-too-big");
}

#[test]
fn a_gateway_that_stops_says_so_to_both() {
    let Some(python) = python() else { return };
    let upstream = Peer::start(&python, "websocket_server.py");
    let mut gateway = gateway(upstream.address(), "");
    let pid = gateway.pid();
    let out = client(
        &gateway,
        &python,
        &format!(
            r#"
import os, signal
with connect(f"{{base}}/chat/pizza") as ws:
    ws.send("hello")
    ws.recv()
    os.kill({pid}, signal.SIGTERM)
    try:
        ws.recv()
    except ConnectionClosed as closed:
        print(closed.rcvd.code)
"#
        ),
    );
    assert_eq!(out, "1001\n");
    assert!(gateway.wait().success());
}

/// A handshake as a client writes it.
fn handshake(path: &str, more: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
    .into_bytes()
}

#[test]
fn an_upstream_that_changes_the_protocol_wrongly_or_unasked_is_not_followed() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nraw",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nraw",
    ] {
        let origin = Origin::answering(answer);
        let gateway = gateway(origin.address(), "");
        let response = Raw::connect(gateway.address())
            .send(&handshake("/chat/pizza", ""))
            .response()
            .expect("a response");
        assert_eq!(response.status, 502, "asked: {}", response.head);
        let plain = b"GET /chat/pizza HTTP/1.1\r\nHost: a\r\n\r\n";
        let response = Raw::connect(gateway.address()).send(plain).response().expect("a response");
        assert_eq!(response.status, 502, "unasked: {}", response.head);
        let seen = origin.seen();
        assert!(seen[0].head.to_ascii_lowercase().contains("\r\nupgrade: websocket\r\n"), "{seen:?}");
        assert!(!seen[0].head.contains("dGhlIHNhbXBsZSBub25jZQ=="), "the caller's key: {seen:?}");
        assert!(!seen[1].head.to_ascii_lowercase().contains("upgrade"), "{seen:?}");
    }
}

#[test]
fn an_upstream_that_refuses_the_handshake_is_heard() {
    let origin = Origin::answering("HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nfull");
    let gateway = gateway(origin.address(), "");
    let mut raw = Raw::connect(gateway.address());
    let response = raw.send(&handshake("/chat/pizza", "")).response().expect("a response");
    assert_eq!((response.status, response.body.as_slice()), (409, &b"full"[..]));
    // And the connection still speaks HTTP.
    assert_eq!(raw.send(&handshake("/nowhere", "")).response().expect("a response").status, 404);
}

#[test]
fn an_offer_of_another_protocol_is_ignored_and_a_bad_handshake_refused() {
    let origin = Origin::start();
    let gateway = gateway(origin.address(), "");
    let h2c = "GET /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let response = Raw::connect(gateway.address()).send(h2c.as_bytes()).response().expect("a response");
    assert_eq!(response.status, 200);
    let head = origin.seen().pop().expect("one").head.to_ascii_lowercase();
    assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
    let old = String::from_utf8(handshake("/chat/pizza", "")).expect("text").replace(": 13", ": 8");
    let response = Raw::connect(gateway.address()).send(old.as_bytes()).response().expect("a response");
    assert_eq!(response.status, 426);
    assert!(response.head.to_ascii_lowercase().contains("sec-websocket-version: 13"), "{}", response.head);
    assert_eq!(origin.seen().len(), 1);
}

#[test]
fn what_could_never_work_is_refused_by_check() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("chat.yaml", SPEC);
    let config =
        format!("{}{OPERATIONS}", crate::config(([127, 0, 0, 1], 1).into()).replace("items", "chat"));
    for (config, message) in [
        (
            config.replace("127.0.0.1:1\"] }", "127.0.0.1:1\"], protocol: http2 }"),
            "needs an upstream that is spoken to in HTTP/1.1",
        ),
        (
            config.replace(", origins: [\"https://www.pizza.example\"]", ", origins: [\"pizza.example\"]"),
            "scheme, host and port",
        ),
        (
            config.replace("feed: { upgrade: websocket, ", "feed: { "),
            "is for operations with `upgrade: websocket`",
        ),
    ] {
        write("haechi.yaml", &config);
        let output = Command::new(haechi_e2e::binary())
            .arg("check")
            .current_dir(dir.path())
            .output()
            .expect("haechi runs");
        let told =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && told.contains(message), "{message}: {told}");
    }
}

#[test]
fn chromium_converses_over_http1_and_over_a_stream_of_http2() {
    let Some(python) = python() else { return };
    let Some(chromium) = ["chromium", "chromium-browser"].into_iter().find(|program| have(program)) else {
        return;
    };
    let upstream = Peer::start(&python, "websocket_server.py");
    // The browser's virtual clock waits for what is fetched, but not for messages: the page fetches until one is there.
    let page = "<!doctype html><title>chat</title><p id=out>waiting</p><script>\
        const ws = new WebSocket(location.origin.replace('http', 'ws') + '/chat/pizza', 'chat');\
        ws.onopen = () => ws.send('hello from a browser');\
        ws.onmessage = m => { out.textContent = ws.protocol + ': ' + m.data; ws.close(1000) };\
        ws.onerror = () => out.textContent = 'error';\
        (async () => { for (let i = 0; i < 3000 && out.textContent == 'waiting'; i++) await fetch('/page') })();</script>";
    let pages = Origin::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    ));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (tls, pages_spec) = (
        "address: \"127.0.0.1:0\"\n    tls: { cert: file:tls.pem, key: file:tls.key }",
        "openapi: 3.1.0\ninfo: { title: Pages, version: '1' }\npaths:\n  /page:\n    get: { operationId: page, responses: { '200': { description: page } } }\n",
    );
    for (listener, scheme, version) in [("address: \"127.0.0.1:0\"", "http", "1.1"), (tls, "https", "2")] {
        let config = crate::config(upstream.address()).replace("items", "chat");
        let config = format!(
            "{}{OPERATIONS}  pages:\n    openapi: ./pages.yaml\n    upstream: {{ urls: [\"http://{}\"] }}\n    auth: none\n",
            config.replace("address: \"127.0.0.1:0\"", listener),
            pages.address()
        );
        let spec = SPEC.replace(
            "  /page:\n    get: { operationId: page, responses: { \"200\": { description: a page } } }\n",
            "",
        );
        let gateway = Gateway::start(&[
            ("haechi.yaml", &config),
            ("chat.yaml", &spec),
            ("pages.yaml", pages_spec),
            ("tls.pem", &made.cert.pem()),
            ("tls.key", &made.signing_key.serialize_pem()),
        ]);
        let out = run(Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"])
            .args(["--virtual-time-budget=20000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", gateway.dir().join("profile").display()))
            .arg(format!("{scheme}://localhost:{}/page", gateway.address().port()))
            .stderr(Stdio::null()));
        assert!(out.contains("chat: hello from a browser"), "{scheme}: {out}");
        let event = event(&gateway);
        assert_eq!(event["http_version"], version, "{event}");
        assert!(event["request_bytes"].as_u64() > Some(20), "{event}");
    }
}

#[test]
fn the_answer_to_a_handshake_is_rewritten_but_for_the_handshake() {
    let Some(python) = python() else { return };
    let upstream = Peer::start(&python, "websocket_server.py");
    let rewrite = "    rewrite: { response_headers: { set: { X-Room: \"{room}\", Server: haechi }, add: { X-Who: \"{client}\" } }, \
        path: [{ pattern: \"/chat/(?<room>[a-z]+)\", to: \"/rooms/{room}\" }] }\n";
    let gateway = gateway(upstream.address(), rewrite);
    let out = client(
        &gateway,
        &python,
        r#"
with connect(f"{base}/chat/pizza") as ws:
    headers = ws.response.headers
    print(headers["X-Room"], headers["Server"], headers["X-Who"])
    ws.send("who")
    print(ws.recv())
"#,
    );
    assert_eq!(out, "pizza haechi 127.0.0.1\n/rooms/pizza 127.0.0.1\n");
}
