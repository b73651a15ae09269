//! Credentials at the whole gateway: identity providers that try tricks.

use std::time::Instant;

use haechi_e2e::{Gateway, Origin, PATIENCE};

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
        assert!(held == 0 && error.contains(&status[..3]), "{status}: {held} keys, {error}");
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
