//! Credentials at the whole gateway: identity providers that try tricks, tokens that are stolen.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use haechi_e2e::{Gateway, Origin, PATIENCE, Raw, python, run};
use serde_json::Value;
use tempfile::TempDir;

use crate::{SPEC, config};

/// A gateway whose callers have tokens, with `jwks` and `issuer` as given.
fn with_tokens(origin: &Origin, issuer: &str, jwks: &str) -> Gateway {
    let yaml = config(origin.address()).replace("auth: none", "auth: [customer]").replace(
        "apis:",
        &format!(
            "identity:\n  customer: {{ jwt: {{ issuer: \"{issuer}\", audience: pizza, jwks: \"{jwks}\" }} }}\napis:"
        ),
    );
    Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)])
}

/// What `haechi status` says of the provider once a fetch has ended: keys that are held, and what was wrong.
fn provider(gateway: &Gateway) -> (u64, String) {
    let start = Instant::now();
    loop {
        let status = gateway.json(&["status", "--format", "json"]);
        let provider = &status["edge"]["providers"][0];
        let keys = provider["keys"].as_u64().expect("a number");
        if let Some(error) = provider["error"].as_str() {
            return (keys, error.to_owned());
        }
        if keys > 0 {
            return (keys, String::new());
        }
        assert!(start.elapsed() < PATIENCE, "no fetch ended: {status}");
    }
}

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fn json(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn keys_are_fetched_from_where_they_are_and_a_redirect_leads_nowhere() {
    let (origin, keys) = (Origin::start(), Origin::answering(json(KEYS)));
    let direct = with_tokens(&origin, "https://id.example", &format!("http://{}/jwks", keys.address()));
    assert_eq!(provider(&direct), (1, String::new()));
    let before = keys.seen().len();
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let redirect = Origin::answering(format!(
            "HTTP/1.1 {status}\r\nlocation: http://{}/jwks\r\ncontent-length: 0\r\n\r\n",
            keys.address()
        ));
        let gateway =
            with_tokens(&origin, "https://id.example", &format!("http://{}/jwks", redirect.address()));
        let (held, error) = provider(&gateway);
        assert!(
            held == 0 && error.contains(status.get(..3).expect("a status")),
            "{status}: {held} keys, {error}"
        );
    }
    assert_eq!(keys.seen().len(), before, "nobody followed");
}

#[test]
fn metadata_of_another_issuer_brings_no_keys() {
    let (origin, keys) = (Origin::start(), Origin::answering(json(KEYS)));
    let metadata = |issuer: &str| {
        json(&format!(r#"{{"issuer":"{issuer}","jwks_uri":"http://{}/jwks"}}"#, keys.address()))
    };
    let other = Origin::answering(metadata("https://other.example"));
    let issuer = format!("http://{}", other.address());
    let (held, error) = provider(&with_tokens(&origin, &issuer, "discover"));
    assert!(held == 0 && error.contains("https://other.example"), "{held} keys, {error}");
    assert!(keys.seen().is_empty(), "what the metadata names is not asked for either");
}

/// A client with a token that is bound to its key, as others wrote it.
struct Client {
    python: std::path::PathBuf,
    dir: TempDir,
}

impl Client {
    fn new() -> Option<Self> {
        let client = Self { python: python()?, dir: tempfile::tempdir().expect("a directory") };
        client.script("issue", None);
        Some(client)
    }

    fn script(&self, verb: &str, url: Option<&str>) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/dpop_client.py");
        run(Command::new(&self.python).arg(script).arg(verb).arg(self.dir.path()).args(url))
    }

    /// What the gateway answered, call by call.
    fn call(&self, verb: &str, gateway: &Gateway) -> Vec<Value> {
        let url = format!("http://{}/items/7", gateway.address());
        serde_json::from_str(&self.script(verb, Some(&url))).expect("JSON")
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).expect("written by the script")
    }

    /// A gateway that trusts the client's provider.
    fn gateway(&self, origin: &Origin, settings: &str) -> Gateway {
        let jwt = format!(
            "{{ issuer: \"https://id.example\", audience: pizza, jwks: \"file:jwks.json\"{settings} }}"
        );
        let yaml = config(origin.address())
            .replace("auth: none", "auth: [customer]")
            .replace("apis:", &format!("identity:\n  customer: {{ jwt: {jwt} }}\napis:"));
        Gateway::start(&[
            ("haechi.yaml", &yaml),
            ("items.yaml", SPEC),
            ("jwks.json", &self.file("jwks.json")),
        ])
    }
}

/// What somebody else gets for these credentials, on one connection after another.
fn replay(gateway: &Gateway, scheme: &str, token: &str, proof: &str, times: usize) -> Vec<u16> {
    let proof = if proof.is_empty() { String::new() } else { format!("DPoP: {proof}\r\n") };
    let host = gateway.address();
    let request =
        format!("GET /items/7 HTTP/1.1\r\nHost: {host}\r\nAuthorization: {scheme} {token}\r\n{proof}\r\n");
    (0..times)
        .map(|_| Raw::connect(host).send(request.as_bytes()).response().expect("a response").status)
        .collect()
}

#[test]
fn a_stolen_token_and_proof_are_worth_nothing() {
    let Some(client) = Client::new() else { return };
    let origin = Origin::start();
    let gateway = client.gateway(&origin, ", dpop: required");
    let seen = client.call("call", &gateway);
    assert_eq!((seen.len(), seen[0]["status"].as_u64()), (1, Some(200)), "{seen:?}");
    assert_eq!(origin.seen().len(), 1);
    let (token, proof) = (client.file("bound.token"), seen[0]["proof"].as_str().expect("a proof"));
    let replayed = replay(&gateway, "DPoP", &token, proof, 1000);
    assert_eq!(replayed.iter().filter(|status| **status != 401).count(), 0, "0 of 1,000 succeed");
    for (scheme, token, proof) in [
        ("Bearer", &token, ""),
        ("Bearer", &token, proof),
        ("DPoP", &token, ""),
        ("Bearer", &client.file("unbound.token"), ""),
        ("DPoP", &client.file("unbound.token"), proof),
    ] {
        assert_eq!(replay(&gateway, scheme, token, proof, 1), [401], "{scheme} {proof}");
    }
    let thief = client.call("thief", &gateway);
    assert_eq!(thief[0]["status"], 401, "a proof of another key");
    assert!(thief[0]["challenge"].as_str().is_some_and(|text| text.contains("invalid_token")), "{thief:?}");
    assert_eq!(origin.seen().len(), 1, "nothing of it reached the upstream");
    assert_eq!(client.call("call", &gateway)[0]["status"], 200, "the owner goes on");
    gateway.event("of a replay", |event| event["reason"] == "proof-replayed");
    // Without the protection the same theft succeeds: it is the protection that refused.
    let open = client.gateway(&origin, ", dpop: off");
    assert_eq!(replay(&open, "Bearer", &token, "", 3), [200, 200, 200]);
}

#[test]
fn tokens_that_are_not_bound_go_on_where_it_is_allowed() {
    let Some(client) = Client::new() else { return };
    let origin = Origin::start();
    let gateway = client.gateway(&origin, "");
    assert_eq!(replay(&gateway, "Bearer", &client.file("unbound.token"), "", 1), [200]);
    assert_eq!(
        replay(&gateway, "Bearer", &client.file("bound.token"), "", 1),
        [401],
        "a bound one needs its proof"
    );
    assert_eq!(client.call("call", &gateway)[0]["status"], 200);
}

#[test]
fn an_honest_client_is_given_the_nonce_it_needs() {
    let Some(client) = Client::new() else { return };
    let origin = Origin::start();
    let gateway = client.gateway(&origin, ", dpop: required, dpop_nonce: required");
    let seen = client.call("call", &gateway);
    let statuses: Vec<_> = seen.iter().map(|call| call["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(401), Some(200)], "{seen:?}");
    assert!(seen.iter().all(|call| call["nonce"].is_string()), "each answer brings the next nonce: {seen:?}");
}

/// A proof that was used stays used when the configuration changes.
#[test]
fn activating_a_configuration_forgets_no_proof() {
    let Some(client) = Client::new() else { return };
    let origin = Origin::start();
    let gateway = client.gateway(&origin, "");
    let seen = client.call("call", &gateway);
    assert_eq!(seen[0]["status"], 200);
    let yaml = std::fs::read_to_string(gateway.dir().join("haechi.yaml")).expect("there");
    gateway.replace("haechi.yaml", &yaml.replace("audience: pizza", "leeway: 10s, audience: pizza"));
    assert!(gateway.verb(&["activate"]).status.success());
    let proof = seen[0]["proof"].as_str().expect("a proof");
    assert_eq!(replay(&gateway, "DPoP", &client.file("bound.token"), proof, 1), [401]);
}
