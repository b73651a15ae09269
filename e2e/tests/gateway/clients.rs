//! Clients that others wrote.

use std::process::{Command, Stdio};

use haechi_e2e::{Gateway, Origin, have, python, run};

use crate::{SPEC, config, items};

/// More than any buffer on the way.
const LARGE: usize = 8 * 1024 * 1024;

fn tls() -> (Origin, Gateway) {
    let origin = Origin::start();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let yaml = config(origin.address()).replace(
        "address: \"127.0.0.1:0\"",
        "address: \"127.0.0.1:0\"\n    tls: { cert: file:tls.pem, key: file:tls.key }",
    );
    let gateway = Gateway::start(&[
        ("haechi.yaml", &yaml),
        ("items.yaml", SPEC),
        ("tls.pem", &made.cert.pem()),
        ("tls.key", &made.signing_key.serialize_pem()),
    ]);
    (origin, gateway)
}

fn url(gateway: &Gateway, path: &str) -> String {
    format!("https://localhost:{}{path}", gateway.address().port())
}

#[test]
fn curl_speaks_every_version_of_the_protocol() {
    if !have("curl") {
        return;
    }
    let (_origin, gateway) = tls();
    let ca = gateway.dir().join("tls.pem");
    for (option, version) in [("--http1.0", "1.0"), ("--http1.1", "1.1"), ("--http2", "2")] {
        for tls in ["--tls-max=1.2", "--tlsv1.3"] {
            let out = run(Command::new("curl")
                .args(["--silent", "--show-error", option])
                .args(tls.split('='))
                .args(["--write-out", "%{http_version} %{http_code}", "--output", "/dev/null", "--cacert"])
                .arg(&ca)
                .arg(url(&gateway, "/items/7")));
            let answered = if version == "1.0" { "1.1 200" } else { &format!("{version} 200") };
            assert!(out == answered || out == format!("{version} 200"), "{option} {tls}: {out}");
        }
    }
    let plain = Origin::start();
    let plain_gateway = items(&plain);
    let out = run(Command::new("curl")
        .args(["--silent", "--http2-prior-knowledge", "--write-out", "%{http_version} %{http_code}"])
        .args(["--output", "/dev/null"])
        .arg(format!("http://{}/items/7", plain_gateway.address())));
    assert_eq!(out, "2 200");
}

#[test]
fn large_bodies_pass_both_ways() {
    if !have("curl") {
        return;
    }
    let body = "x".repeat(LARGE);
    let origin = Origin::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {LARGE}\r\n\r\n{body}"
    ));
    let yaml = format!("{}    operations: {{ putFile: {{ body: 16MiB }} }}\n", config(origin.address()));
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let file = gateway.dir().join("large");
    std::fs::write(&file, &body).expect("written");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for chunked in [false, true] {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", version, "--request", "PUT", "--data-binary"])
                .arg(format!("@{}", file.display()))
                .args(["--header", "Content-Type: application/octet-stream"])
                .args(["--write-out", "%{http_code} %{size_download}", "--output", "/dev/null"]);
            if chunked && version == "--http1.1" {
                curl.args(["--header", "Transfer-Encoding: chunked"]);
            }
            let out = run(curl.arg(format!("http://{}/files/a", gateway.address())));
            assert_eq!(out, format!("200 {LARGE}"), "{version} chunked: {chunked}");
        }
    }
    for seen in origin.seen() {
        assert_eq!(seen.body.len(), LARGE);
    }
}

#[test]
fn h2load_finds_no_failed_request() {
    if !have("h2load") {
        return;
    }
    let (_origin, gateway) = tls();
    for version in [&[][..], &["--h1"][..]] {
        let out = run(Command::new("h2load")
            .args(["--requests=2000", "--clients=10", "--max-concurrent-streams=20"])
            .args(version)
            .arg(url(&gateway, "/items/7")));
        assert!(out.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{version:?}: {out}");
        assert!(out.contains("status codes: 2000 2xx"), "{version:?}: {out}");
    }
}

#[test]
fn python_requests_keeps_its_connection() {
    let Some(python) = python() else { return };
    let origin = Origin::start();
    let gateway = items(&origin);
    let program = r#"
import sys, requests
base = sys.argv[1]
session = requests.Session()
for number in range(50):
    answer = session.get(f"{base}/items/{number}", params={"size": "L"})
    assert answer.status_code == 200 and answer.json() == {"ok": True}, answer.text
answer = session.post(f"{base}/items", json={"name": "pizza", "quantity": 2})
assert answer.status_code == 200, answer.text
answer = session.post(f"{base}/items", json={"name": "pizza", "quantity": 0})
assert answer.status_code == 400, answer.text
assert answer.headers["content-type"] == "application/problem+json"
answer = session.put(f"{base}/files/a", data=(b"x" * 1000 for _ in range(100)), headers={"Content-Type": "application/octet-stream"})
assert answer.status_code == 200, answer.text
print(len(session.adapters["http://"].poolmanager.pools.keys()), "pool")
"#;
    let out = run(Command::new(python).args(["-c", program]).arg(format!("http://{}", gateway.address())));
    assert_eq!(out.trim(), "1 pool");
    assert_eq!(origin.seen().last().expect("sent").body.len(), 100_000);
}

#[test]
fn chromium_shows_what_is_behind() {
    let Some(chromium) = ["chromium", "chromium-browser"].into_iter().find(|program| have(program)) else {
        return;
    };
    let page = "<!doctype html><title>pizza</title><p id=out>waiting</p>\
        <script>fetch('/items/7').then(r => out.textContent = 'status ' + r.status + ' ' + r.headers.has('x-request-id'))</script>";
    let origin = Origin::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    ));
    let gateway = items(&origin);
    let profile = gateway.dir().join("profile");
    let out = run(Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("http://{}/items/7", gateway.address()))
        .stderr(Stdio::null()));
    assert!(out.contains("status 200 true"), "{out}");
}
