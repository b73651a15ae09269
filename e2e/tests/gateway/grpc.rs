//! gRPC, with a client and a server of the library that most use.

use std::path::Path;
use std::process::Command;

use haechi_e2e::{Gateway, Peer, have, python, run};

/// A gateway before `grpc_server.py`: by a contract, and as services without one.
fn gateway(peer: &Peer) -> Gateway {
    let spec = r#"
openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /pizza.Shop/Echo: { post: { operationId: echo, requestBody: { content: { application/grpc: {} } }, responses: { "200": { description: ok } } } }
  /pizza.Shop/Count: { post: { operationId: count, requestBody: { content: { application/grpc: {} } }, responses: { "200": { description: ok } } } }
  /pizza.Shop/Total: { post: { operationId: total, requestBody: { content: { application/grpc: {} } }, responses: { "200": { description: ok } } } }
  /pizza.Shop/Talk: { post: { operationId: talk, requestBody: { content: { application/grpc: {} } }, responses: { "200": { description: ok } } } }
"#;
    let address = peer.address();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let upstream = format!("upstream: {{ urls: [\"http://{address}\"], protocol: http2 }}");
    let config = format!(
        r#"haechi: 1
listen: [{{ address: "127.0.0.1:0" }}]
identity:
  clients: {{ api_key: {{ collection: clients }} }}
plans:
  one: {{ rate: 1/h, burst: 1, per: address }}
apis:
  shop:
    openapi: ./shop.yaml
    {upstream}
    auth: none
    operations: {{ talk: {{ body: stream }}, total: {{ body: 1KiB }} }}
services:
  private: {{ prefix: /pizza.Private, {upstream}, auth: [clients] }}
  limited: {{ prefix: /pizza.Limited, {upstream}, auth: none, plan: one }}
  other: {{ prefix: /pizza.Other, upstream: {{ urls: ["http://{gone}"], protocol: http2 }}, auth: none }}
  open: {{ prefix: /open, {upstream}, auth: none }}
"#
    );
    Gateway::start(&[("haechi.yaml", &config), ("shop.yaml", spec)])
}

fn client(gateway: &Gateway, python: &Path, program: &str) -> String {
    let prelude = r#"
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
def unary(method, request=b"", **how):
    return channel.unary_unary(method)(request, **how)
def status(method, request=b"", **how):
    try:
        unary(method, request, **how)
        return "OK"
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"
"#;
    let program = format!("{prelude}{program}");
    run(Command::new(python).args(["-c", &program]).arg(gateway.address().to_string()))
}

#[test]
fn all_four_kinds_of_calls_pass_with_their_trailers() {
    let Some(python) = python() else { return };
    let peer = Peer::start(&python, "grpc_server.py");
    let gateway = gateway(&peer);
    let out = client(
        &gateway,
        &python,
        r#"
answer, call = channel.unary_unary("/pizza.Shop/Echo").with_call(b"dough", timeout=20)
told = dict(call.trailing_metadata())
print(answer, told["x-deadline"], told["x-client"], "x-request-id" in dict(call.initial_metadata()))
_, call = channel.unary_unary("/pizza.Shop/Echo").with_call(b"", timeout=None)
print(dict(call.trailing_metadata())["x-deadline"])
print(b",".join(channel.unary_stream("/pizza.Shop/Count")(b"1000")).count(b","))
print(channel.stream_unary("/pizza.Shop/Total")(bytes([7]) * 100 for _ in range(5)))
# Each answer is awaited before the next word: neither direction waits for the other's end.
import queue
words = queue.Queue()
talk = channel.stream_stream("/pizza.Shop/Talk")(iter(words.get, None))
for number in range(50):
    words.put(b"word %d" % number)
    assert next(talk) == b"word %d" % number
words.put(None)
assert list(talk) == [] and talk.code() == grpc.StatusCode.OK
big = b"x" * 1_000_000
print(len(unary("/pizza.Shop/Echo", big[:900_000])))
"#,
    );
    assert_eq!(out, "b'dough' some 127.0.0.1 True\nnone\n999\nb'500'\n900000\n");
    let events = gateway.requests(6);
    assert_eq!(events.len(), 6, "{events:?}");
    for event in events {
        assert_eq!((&event["protocol"], &event["grpc_status"]), (&"grpc".into(), &0.into()), "{event}");
    }
}

#[test]
fn refusals_speak_grpc() {
    let Some(python) = python() else { return };
    let peer = Peer::start(&python, "grpc_server.py");
    let gateway = gateway(&peer);
    let out = client(
        &gateway,
        &python,
        r#"
print(status("/pizza.Shop/Nothing"))
print(status("/nowhere.At/All"))
print(status("/pizza.Private/Echo"))
print(status("/pizza.Limited/Echo"), "|", status("/pizza.Limited/Echo"))
print(status("/pizza.Other/Echo"))
print(status("/pizza.Shop/Total", b"x" * 2000))
print(status("/open/pizza.Shop/Fail"))
for kind in ["unary_stream", "stream_unary", "stream_stream"]:
    call = getattr(channel, kind)("/pizza.Private/Echo")
    try:
        list(call(iter([b"x"]) if kind != "unary_stream" else b"x"))
    except grpc.RpcError as error:
        print(kind, error.code().name)
    except TypeError:
        print(kind, "answered")
"#,
    );
    let lines: Vec<_> = out.lines().collect();
    for (line, start) in lines.iter().zip([
        "UNIMPLEMENTED: No contract served here names this call.",
        "UNIMPLEMENTED: ",
        "UNAUTHENTICATED: ",
        "OK | RESOURCE_EXHAUSTED: ",
        "UNAVAILABLE: The service behind the gateway cannot be reached.",
        "RESOURCE_EXHAUSTED: The body is longer than the 1024 bytes this operation takes.",
        "UNIMPLEMENTED: ",
        "unary_stream UNAUTHENTICATED",
        "stream_unary UNAUTHENTICATED",
        "stream_stream UNAUTHENTICATED",
    ]) {
        assert!(line.starts_with(start), "{line} (not {start})\n{out}");
    }
    assert_eq!(lines.len(), 10, "{out}");
    let refused = gateway.event("a refusal", |event| event["reason"] == "credentials-missing");
    assert_eq!((&refused["grpc_status"], &refused["status"]), (&16.into(), &200.into()), "{refused}");
    assert_eq!(refused["outcome"], "refused", "{refused}");
}

#[test]
fn what_the_service_says_comes_through_as_it_is() {
    let Some(python) = python() else { return };
    let peer = Peer::start(&python, "grpc_server.py");
    let gateway = gateway(&peer);
    let out = client(&gateway, &python, "print(status('/pizza.Limited/Fail').encode())\n");
    assert_eq!(out, "b'NOT_FOUND: no such pizza: 100% \\xed\\x94\\xbc\\xec\\x9e\\x90'\n");
    assert_eq!(gateway.requests(1)[0]["grpc_status"], 5);
}

/// A call may not outlive the time its caller gave it, whoever else forgets it.
#[test]
fn a_deadline_holds_before_and_within_the_response() {
    let Some(python) = python() else { return };
    if !have("curl") {
        return;
    }
    let peer = Peer::start(&python, "grpc_server.py");
    let gateway = gateway(&peer);
    // Five bytes: not compressed, an empty message. curl itself knows of no deadline.
    let frame = gateway.dir().join("frame");
    std::fs::write(&frame, [0; 5]).expect("written");
    let call = |path: &str, timeout: &str| {
        run(Command::new("curl")
            .args([
                "--silent",
                "--include",
                "--http2-prior-knowledge",
                "--max-time",
                "60",
                "--header",
                timeout,
            ])
            .args(["--header", "Content-Type: application/grpc", "--header", "TE: trailers", "--output", "-"])
            .arg("--data-binary")
            .arg(format!("@{}", frame.display()))
            .arg(format!("http://{}{path}", gateway.address())))
    };
    let out = call("/pizza.Limited/Hang", "grpc-timeout: 300m");
    assert!(out.contains("grpc-status: 4") && out.contains("first"), "{out}");
    let out = call("/pizza.Shop/Echo", "grpc-timeout: 0n");
    assert!(out.contains("grpc-status: 4"), "{out}");
    let out = call("/pizza.Shop/Echo", "grpc-timeout: soon");
    assert!(out.contains("grpc-status: 3"), "{out}");
    let out = call("/pizza.Shop/Echo", "grpc-timeout: 20S");
    assert!(out.contains("grpc-status: 0"), "{out}");
}

#[test]
fn a_service_that_breaks_off_is_told_in_trailers() {
    let Some(python) = python() else { return };
    let peer = Peer::start(&python, "grpc_server.py");
    let gateway = gateway(&peer);
    let out = client(
        &gateway,
        &python,
        r#"
answers = channel.unary_stream("/pizza.Limited/Die")(b"")
print(next(answers))
try:
    next(answers)
except grpc.RpcError as error:
    print(error.code().name, error.details())
"#,
    );
    assert_eq!(out, "b'first'\nUNAVAILABLE The service behind the gateway broke off.\n");
    let event = gateway.event("of what broke off", |event| event["outcome"] == "failed");
    assert_eq!(event["grpc_status"], 14, "{event}");
}
