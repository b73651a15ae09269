//! Post-quantum and classic TLS, as callers of both kinds speak it and `haechi tls report` tells of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use haechi_e2e::{Gateway, Origin, PATIENCE, Raw, free, have};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;

use crate::{SPEC, config};

/// A gateway with a listener for TLS 1.2 and 1.3 and one for 1.3 only; and its certificate.
fn gateway(origin: SocketAddr, scheme: &str) -> (Gateway, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let pair = "cert: file:tls.pem, key: file:tls.key";
    let mut yaml = config(origin).replace(
        "  - address: \"127.0.0.1:0\"",
        &format!(
            "  - address: \"127.0.0.1:0\"\n    tls: {{ {pair} }}\n  - address: \"127.0.0.1:0\"\n    tls: {{ {pair}, min_version: \"1.3\" }}"
        ),
    );
    if scheme == "https" {
        let upstream =
            format!("urls: [\"https://localhost:{}\"], tls: {{ ca: file:tls.pem }}", origin.port());
        yaml = yaml.replace(&format!("urls: [\"http://{origin}\"]"), &upstream);
    }
    let gateway = Gateway::start(&[
        ("haechi.yaml", &yaml),
        ("items.yaml", SPEC),
        ("tls.pem", &made.cert.pem()),
        ("tls.key", &made.signing_key.serialize_pem()),
    ]);
    (gateway, made.cert.pem())
}

/// A client that prefers post-quantum key exchange: rustls.
fn post_quantum(address: SocketAddr, certificate: &str) -> String {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut session = rustls::ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut tcp = TcpStream::connect(address).expect("a connection");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let mut tls = rustls::Stream::new(&mut session, &mut tcp);
    let request = b"GET /items/7 HTTP/1.1\r\nHost: a\r\nUser-Agent: rustls/1\r\nConnection: close\r\n\r\n";
    tls.write_all(request).expect("sent");
    let mut answer = String::new();
    let _ = tls.read_to_string(&mut answer);
    answer
}

fn curl(address: SocketAddr, arguments: &[&str]) -> bool {
    let output = Command::new("curl")
        .args(["--silent", "--fail", "--max-time", "30"])
        .args(arguments)
        .arg(format!("https://localhost:{}/items/7", address.port()))
        .output();
    output.expect("curl runs").status.success()
}

fn openssl(address: SocketAddr, arguments: &[&str]) {
    let _ = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl runs");
}

/// How many of these there are whose fields are so.
fn count(list: &Value, fields: &[(&str, Value)]) -> u64 {
    let all = list.as_array().expect("a list").iter();
    let alike = all.filter(|one| fields.iter().all(|(name, value)| one[name] == *value));
    alike.filter_map(|one| one["count"].as_u64()).sum()
}

fn report(gateway: &Gateway) -> Value {
    gateway.json(&["tls", "report", "--format", "json"])
}

#[test]
fn the_report_tells_post_quantum_from_classic_and_who_needs_tls_1_2() {
    if !have("curl") || !have("openssl") {
        return;
    }
    let origin = Origin::start();
    let (gateway, certificate) = gateway(origin.address(), "http");
    let [both, newest] = *gateway.addresses() else { panic!("two listeners") };
    assert!(post_quantum(both, &certificate).starts_with("HTTP/1.1 200"));
    assert!(curl(both, &["--insecure", "--tls-max", "1.2", "--user-agent", "old/1.2 (till)"]));
    assert!(curl(both, &["--insecure", "--curves", "X25519"]));
    assert!(curl(newest, &["--insecure", "--curves", "P-256"]));
    // Five times the same session.
    openssl(both, &["-tls1_2", "-reconnect"]);
    // And what goes wrong.
    openssl(newest, &["-tls1_2"]);
    assert!(!curl(both, &[]), "it does not trust the certificate");
    assert!(Raw::connect(both).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").finish().response().is_none());
    let begin = Instant::now();
    let report = loop {
        let report = report(&gateway);
        let failed: u64 = count(&report["failed"], &[]);
        if failed >= 3 && count(&report["handshakes"], &[("resumed", true.into())]) == 5 {
            break report;
        }
        assert!(begin.elapsed() < PATIENCE, "{report:#}");
    };
    let handshakes = &report["handshakes"];
    let group = |name: &str| [("group", name.into()), ("resumed", false.into())];
    assert_eq!(count(handshakes, &group("X25519MLKEM768")), 1, "{report:#}");
    assert_eq!(count(handshakes, &[("post_quantum", true.into())]), 1, "{report:#}");
    assert_eq!(count(handshakes, &[("version", "1.3".into()), ("group", "X25519".into())]), 1, "{report:#}");
    assert_eq!(count(handshakes, &group("secp256r1")), 1, "{report:#}");
    let signed = [("signature", "ECDSA_NISTP256_SHA256".into()), ("resumed", false.into())];
    assert_eq!(count(handshakes, &signed), 5, "{report:#}");
    let failed = |cause: &str| count(&report["failed"], &[("cause", cause.into())]);
    assert_eq!(
        [failed("version"), failed("certificate-not-trusted"), failed("not-tls")],
        [1, 1, 1],
        "{report:#}"
    );
    // Calls, by who made them.
    assert_eq!(count(&report["calls"], &[("program", "rustls/1".into()), ("post_quantum", true.into())]), 1);
    let without = &report["without_tls12"];
    assert_eq!((&without["calls"], &without["of"]), (&1.into(), &4.into()), "{report:#}");
    assert_eq!(without["programs"], serde_json::json!(["old/1.2"]), "{report:#}");
    assert_eq!(report["certificates"][0]["names"][0], "localhost");
    let text = String::from_utf8_lossy(&gateway.verb(&["tls", "report"]).stdout).into_owned();
    for expected in [
        "X25519MLKEM768",
        "without TLS 1.2: 1 of 4 calls (25%) would fail, of old/1.2",
        "certificate localhost: valid",
    ] {
        assert!(text.contains(expected), "`{expected}` in\n{text}");
    }
    let event = gateway.event("of the client", |event| event["user_agent"] == "rustls/1");
    assert_eq!(event["tls_group"], "X25519MLKEM768", "{event}");
    assert_eq!(event["tls_signature"], "ECDSA_NISTP256_SHA256", "{event}");
}

/// A browser of our days.
#[test]
fn chromium_speaks_post_quantum_tls() {
    let Some(chromium) = ["chromium", "chromium-browser"].into_iter().find(|name| have(name)) else { return };
    let page = "<!doctype html><title>pizza</title><p>served</p>";
    let origin = Origin::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    ));
    let (gateway, _) = gateway(origin.address(), "http");
    let out = haechi_e2e::run(
        Command::new(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--ignore-certificate-errors",
                "--dump-dom",
            ])
            .arg(format!("--user-data-dir={}", gateway.dir().join("profile").display()))
            .arg(format!("https://localhost:{}/items/7", gateway.address().port()))
            .stderr(Stdio::null()),
    );
    assert!(out.contains("served"), "{out}");
    let report = report(&gateway);
    assert!(count(&report["handshakes"], &[("group", "X25519MLKEM768".into())]) > 0, "{report:#}");
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_upstreams_agree_on_is_told() {
    if !have("openssl") || !have("curl") {
        return;
    }
    let address = free();
    let (gateway, _) = gateway(address, "https");
    let server = Command::new("openssl")
        .args([
            "s_server",
            "-www",
            "-tls1_2",
            "-accept",
            &address.port().to_string(),
            "-cert",
            "tls.pem",
            "-key",
            "tls.key",
        ])
        .current_dir(gateway.dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = Server(server.expect("openssl starts"));
    let begin = Instant::now();
    while !curl(gateway.address(), &["--insecure"]) {
        assert!(begin.elapsed() < PATIENCE, "no answer of the upstream");
    }
    let report = report(&gateway);
    let endpoint = format!("localhost:{}", address.port());
    let agreed =
        [("endpoint", endpoint.as_str().into()), ("version", "1.2".into()), ("post_quantum", false.into())];
    assert!(count(&report["upstreams"], &agreed) > 0, "{report:#}");
    assert_eq!(report["without_tls12"]["upstreams"], serde_json::json!([endpoint]), "{report:#}");
}
