//! Certificates that the gateway gets itself, from Pebble.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use haechi_e2e::{Gateway, Origin, PATIENCE, Pebble, PebbleOptions, Raw, free, have, run};
use serde_json::Value;

use crate::{SPEC, config, metric};

/// Certificates live for days here, unless a test wants to see them renewed.
const DAYS: u64 = 3 * 86_400;

/// A gateway with a plaintext listener and one whose certificate is got from `directory`.
struct Setting {
    http: SocketAddr,
    tls: SocketAddr,
    origin: Origin,
}

impl Setting {
    fn new() -> Self {
        Self { http: free(), tls: free(), origin: Origin::start() }
    }

    fn pebble(&self, validity: u64, address: Option<SocketAddr>) -> Pebble {
        let validates = (self.tls.port(), self.http.port());
        Pebble::start(&PebbleOptions { validates, validity, refuses: false, address })
    }

    fn gateway(&self, directory: &str, ca: &Path, domains: &str, challenge: &str) -> Gateway {
        let Self { http, tls, origin } = self;
        let yaml = config(origin.address()).replace(
            "  - address: \"127.0.0.1:0\"",
            &format!(
                "  - address: \"{http}\"\n  - address: \"{tls}\"\n    tls: {{ acme: {{ directory: \"{directory}\", domains: {domains}, challenge: {challenge}, ca: file:ca.pem, contact: \"mailto:ops@pizza.example\", accept_terms: true }} }}"
            ),
        );
        let ca = std::fs::read_to_string(ca).expect("the authority's certificate");
        Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC), ("ca.pem", &ca)])
    }

    /// A call over a connection of its own; whether the certificate is good and the answer right.
    fn calls(&self, name: &str, root: &Path) -> bool {
        let port = self.tls.port();
        let output = Command::new("curl")
            .args([
                "--silent",
                "--fail",
                "--max-time",
                "30",
                "--resolve",
                &format!("{name}:{port}:127.0.0.1"),
                "--cacert",
            ])
            .arg(root)
            .arg(format!("https://{name}:{port}/items/7"))
            .output()
            .expect("curl runs");
        output.status.success() && output.stdout == b"{\"ok\": true}\n"
    }
}

/// The managed certificate, as `haechi status` tells of it.
fn certificate(gateway: &Gateway) -> Value {
    gateway.json(&["status", "--format", "json"])["edge"]["certificates"][0].clone()
}

fn wait_for(gateway: &Gateway, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let certificate = certificate(gateway);
        if is_so(&certificate) {
            return certificate;
        }
        assert!(start.elapsed() < PATIENCE * 2, "never: {what}: {certificate}");
    }
}

fn events(gateway: &Gateway, action: &str) -> Vec<Value> {
    gateway.event(action, |event| event["action"] == action);
    gateway.events(10_000).into_iter().filter(|event| event["action"] == action).collect()
}

fn is_left_out() -> bool {
    !["pebble", "pebble-challtestsrv", "curl"].into_iter().all(have)
}

#[test]
fn a_certificate_is_got_by_each_challenge_and_survives_a_kill() {
    if is_left_out() {
        return;
    }
    for challenge in ["tls-alpn-01", "http-01"] {
        let setting = Setting::new();
        let pebble = setting.pebble(DAYS, None);
        let names = "[pizza.example, menu.pizza.example]";
        let gateway = setting.gateway(&pebble.directory(), &pebble.ca(), names, challenge);
        let got = wait_for(&gateway, "a certificate", |one| one["state"] == "valid");
        assert_eq!(got["names"], serde_json::json!(["pizza.example", "menu.pizza.example"]), "{challenge}");
        let root = pebble.root();
        assert!(setting.calls("pizza.example", &root), "{challenge}");
        assert!(setting.calls("menu.pizza.example", &root), "{challenge}");
        assert!(!setting.calls("other.example", &root), "{challenge}");
        let issued = events(&gateway, "certificate-issued");
        assert_eq!(issued[0]["object"], "pizza.example, menu.pizza.example", "{issued:?}");
        let text = String::from_utf8_lossy(&gateway.verb(&["status"]).stdout).into_owned();
        assert!(text.contains("certificate pizza.example, menu.pizza.example: valid until 20"), "{text}");
        let files: Vec<_> =
            std::fs::read_dir(gateway.dir().join("haechi-data/acme")).expect("kept").flatten().collect();
        assert_eq!(files.len(), 2, "an account and a certificate: {files:?}");
        for file in files {
            let mode = file.metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file:?}");
        }
        // After a power cut, and with the authority gone, the same certificate is there at once.
        let _pebble = pebble.processes_ended();
        let gateway = Gateway::start_in(gateway.kill());
        assert!(setting.calls("pizza.example", &root), "{challenge}");
        assert_eq!(certificate(&gateway)["not_after"], got["not_after"]);
    }
}

#[test]
fn only_pending_tokens_are_answered_and_only_the_authority_gets_its_protocol() {
    if is_left_out() {
        return;
    }
    let setting = Setting::new();
    let pebble = setting.pebble(DAYS, None);
    let gateway = setting.gateway(&pebble.directory(), &pebble.ca(), "[pizza.example]", "http-01");
    wait_for(&gateway, "a certificate", |one| one["state"] == "valid");
    let asked = gateway.event("the authority has asked", |event| event["decided_by"] == "acme");
    let path = asked["target"].as_str().or(asked["path"].as_str()).expect("a path");
    assert!(path.starts_with("/.well-known/acme-challenge/"), "{path}");
    // The same token, once the order is over.
    let mut raw = Raw::connect(setting.http);
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: pizza.example\r\n\r\n").as_bytes());
    assert_eq!(raw.response().expect("a response").status, 404);
    if have("openssl") {
        let output = Command::new("openssl")
            .args([
                "s_client",
                "-connect",
                &setting.tls.to_string(),
                "-servername",
                "pizza.example",
                "-alpn",
                "acme-tls/1",
            ])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("no peer certificate available"), "{said}");
    }
}

#[test]
fn a_certificate_is_renewed_under_load_and_stays_when_that_fails() {
    if is_left_out() || !have("h2load") {
        return;
    }
    let setting = Setting::new();
    let pebble = setting.pebble(18, None);
    let gateway = setting.gateway(&pebble.directory(), &pebble.ca(), "[pizza.example]", "tls-alpn-01");
    let first = wait_for(&gateway, "a certificate", |one| one["state"] == "valid");
    let root = pebble.root();
    let load = Command::new("h2load")
        .args(["--clients=4", "--duration=16", "--warm-up-time=0"])
        .arg(format!("https://{}/items/7", setting.tls))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("h2load starts");
    // New connections all the while: not one of them fails.
    let start = Instant::now();
    let mut calls = 0;
    while certificate(&gateway)["not_after"] == first["not_after"] {
        assert!(setting.calls("pizza.example", &root), "call {calls}");
        calls += 1;
        assert!(start.elapsed() < PATIENCE * 2, "it is not renewed");
    }
    assert!(setting.calls("pizza.example", &root), "the new one");
    let out = String::from_utf8_lossy(&load.wait_with_output().expect("its end").stdout).into_owned();
    assert!(out.contains(" 0 failed, 0 errored, 0 timeout"), "{out}");
    let begin = Instant::now();
    while metric(&gateway, "haechi_certificate_orders_total{outcome=\"issued\"}") != 2 {
        assert!(begin.elapsed() < PATIENCE, "two certificates were issued, and not counted");
    }
    // Now the authority goes away: the renewal fails, and the certificate stays.
    let pebble = pebble.processes_ended();
    let failed = wait_for(&gateway, "a failed renewal", |one| one["error"].is_string());
    assert!(setting.calls("pizza.example", &root), "{failed}");
    assert!(failed["next"].as_u64().is_some(), "{failed}");
    assert!(!events(&gateway, "certificate-failed").is_empty());
    drop(pebble);
}

#[test]
fn an_authority_that_is_away_is_asked_again_and_nothing_waits_for_it() {
    if is_left_out() {
        return;
    }
    let setting = Setting::new();
    let address = free();
    let made = setting.pebble(DAYS, Some(address));
    let (directory, ca) = (made.directory(), made.ca());
    let made = made.processes_ended();
    let gateway = setting.gateway(&directory, &ca, "[pizza.example]", "http-01");
    let away = wait_for(&gateway, "a failed order", |one| one["error"].is_string());
    assert_eq!(away["state"], "missing", "{away}");
    // Other listeners serve; this one has nothing to show and says so instead of showing a stand-in.
    let get = b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(Raw::connect(setting.http).send(get).response().expect("a response").status, 200);
    let refused = Command::new("curl")
        .args(["--silent", "--insecure", "--max-time", "30"])
        .arg(format!("https://{}/items/7", setting.tls))
        .status()
        .expect("curl runs");
    assert_eq!(refused.code(), Some(35), "the handshake is refused");
    let pebble = made.again();
    wait_for(&gateway, "a certificate", |one| one["state"] == "valid");
    assert!(setting.calls("pizza.example", &pebble.root()));
}

#[test]
fn a_refused_order_says_why_and_waits() {
    if is_left_out() {
        return;
    }
    // One that takes nobody, and one that comes to the name in vain.
    let pebble = |refuses| {
        let validates = (free().port(), free().port());
        Pebble::start(&PebbleOptions { validates, validity: DAYS, refuses, address: None })
    };
    for (refuses, expected) in [(true, "externalAccountRequired"), (false, "`pizza.example`")] {
        let pebble = pebble(refuses);
        let domains = "[pizza.example]";
        let setting = Setting::new();
        let gateway = setting.gateway(&pebble.directory(), &pebble.ca(), domains, "tls-alpn-01");
        let failed = wait_for(&gateway, "a refused order", |one| one["error"].is_string());
        let error = failed["error"].as_str().expect("an error");
        assert!(error.starts_with("the server refused: ") && error.contains(expected), "{error}");
        let now = run(Command::new("date").arg("+%s")).trim().parse::<u64>().expect("a time");
        let next = failed["next"].as_u64().expect("a time");
        assert!(next > now + 20 && next < now + 100, "now {now}, next {next}");
        assert_eq!(failed["state"], "missing");
    }
}
