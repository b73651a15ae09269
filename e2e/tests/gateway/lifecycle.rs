//! Snapshots: activated, refused, watched; and the end of a process, in good order and not.

use haechi_e2e::{Gateway, Origin, Raw, eventually};

use crate::{SPEC, config, items};

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n";

/// The status of a call on a connection of its own.
fn status(gateway: &Gateway, request: &[u8]) -> u16 {
    Raw::connect(gateway.address()).send(request).response().expect("a response").status
}

#[test]
fn a_new_configuration_is_activated_under_open_connections() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let mut raw = Raw::connect(gateway.address());
    assert_eq!(raw.send(GET).response().expect("a response").status, 200);
    gateway.replace(
        "haechi.yaml",
        &format!("{}    operations: {{ getItem: {{ expose: false }} }}\n", config(origin.address())),
    );
    let activated = gateway.verb(&["activate", "--why", "hide the items"]);
    assert!(activated.status.success(), "{}", String::from_utf8_lossy(&activated.stderr));
    assert_eq!(raw.send(GET).response().expect("the same connection").status, 404);
}

#[test]
fn a_bad_configuration_is_refused_and_the_last_good_one_stays_visible_as_such() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let before = gateway.json(&["status", "--format", "json"]);
    gateway.replace("haechi.yaml", &config(origin.address()).replace("auth: none", "auth: [nobody]"));
    let refused = gateway.verb(&["activate"]);
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("nobody") && message.contains("haechi.yaml:8"), "{message}");
    assert_eq!(status(&gateway, GET), 200);
    let after = gateway.json(&["status", "--format", "json"]);
    assert_eq!(after["snapshot"]["digest"], before["snapshot"]["digest"]);
    assert_eq!(after["last_activation"]["outcome"], "refused", "{after}");
}

#[test]
fn a_contract_that_changes_on_disk_is_activated() {
    let origin = Origin::start();
    let gateway = items(&origin);
    let new = b"GET /menus/7 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(status(&gateway, new), 404);
    gateway.replace("items.yaml", &SPEC.replace("/items/{id}", "/menus/{id}"));
    eventually("the new path is served", || status(&gateway, new) == 200);
}

#[test]
fn a_certificate_that_changes_on_disk_is_served() {
    let (old, new) = (certificate(), certificate());
    let origin = Origin::start();
    let yaml = config(origin.address()).replace(
        "address: \"127.0.0.1:0\"",
        "address: \"127.0.0.1:0\"\n    tls: { cert: file:tls.pem, key: file:tls.key }",
    );
    let gateway = Gateway::start(&[
        ("haechi.yaml", &yaml),
        ("items.yaml", SPEC),
        ("tls.pem", &old.0),
        ("tls.key", &old.1),
    ]);
    let trusts = |certificate: &str| {
        let trusted = gateway.dir().join("trusted.pem");
        std::fs::write(&trusted, certificate).expect("written");
        let url = format!("https://localhost:{}/items/7", gateway.address().port());
        std::process::Command::new("curl")
            .args(["--silent", "--fail", "--output", "/dev/null", "--cacert"])
            .arg(&trusted)
            .arg(url)
            .status()
            .expect("curl runs")
            .success()
    };
    if !haechi_e2e::have("curl") {
        return;
    }
    assert!(trusts(&old.0));
    gateway.replace("tls.key", &new.1);
    gateway.replace("tls.pem", &new.0);
    eventually("the new certificate is served", || trusts(&new.0));
    assert!(!trusts(&old.0));
}

#[test]
fn a_drain_ends_what_is_in_progress_and_refuses_what_is_new() {
    let origin = Origin::start();
    let mut gateway = items(&origin);
    let mut idle = Raw::connect(gateway.address());
    assert_eq!(idle.send(GET).response().expect("a response").status, 200);
    let mut busy = Raw::connect(gateway.address());
    busy.send(b"PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(busy.response().expect("an interim response").status, 100);
    gateway.terminate();
    assert!(idle.is_closed(), "an idle connection ends at once");
    let last = busy.send(b"dough").response().expect("the request in progress ends well");
    assert_eq!(last.status, 200);
    assert!(last.head.to_ascii_lowercase().contains("connection: close"), "{}", last.head);
    assert!(gateway.wait().success());
}

#[test]
fn an_acknowledged_revocation_survives_a_kill() {
    let origin = Origin::start();
    let yaml = config(origin.address()).replace("auth: none", "auth: [partner]").replace(
        "apis:",
        "identity:\n  partner: { api_key: { header: X-Api-Key, collection: partners } }\napis:",
    );
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let made =
        gateway.json(&["keys", "create", "--collection", "partners", "--name", "p", "--format", "json"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let call = format!("GET /items/7 HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n");
    assert_eq!(status(&gateway, call.as_bytes()), 200);
    assert!(gateway.verb(&["keys", "revoke", id]).status.success());
    let gateway = Gateway::start_in(gateway.kill());
    assert_eq!(status(&gateway, call.as_bytes()), 401);
    let keys = gateway.json(&["keys", "list", "--format", "json"]);
    assert!(keys[0]["revoked"].is_string(), "{keys}");
}

fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}
