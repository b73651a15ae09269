//! The JWS and JWK vectors of Project Wycheproof, through the public door: a token is accepted only if its signature is.
//!
//! The vectors' payloads are no claims. A good signature is hence told by the refusal that comes after it.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail loudly")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use haechi_identity::{Algorithm, JwksHandle, KeySet, TokenPolicy, TokenRefusal, TokenVerifier};
use serde_json::{Value, json};

/// All that exist.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Valid by its signature, and refused here all the same: the key says `PS256`, the token `PS384`. What a key is meant for
/// is kept (RFC 8725, section 3.1).
const ANOTHER_ALGORITHM_THAN_THE_KEYS: [u64; 2] = [346, 350];

/// Marked valid, as HS256 over what was sent, although `?` stands in the header and is no base64url: refused before its
/// algorithm is known.
const NO_BASE64URL: u64 = 372;

/// The tests of a file, each with the key set it is for.
fn vectors(file: &str) -> Option<Vec<(Value, Value)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/jose").join(file);
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("skipped: `../shared/data/jose/{file}` is not beside the project");
        return None;
    };
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    let mut vectors = Vec::new();
    for group in document["testGroups"].as_array().expect("groups") {
        let key = group.get("public").unwrap_or(&group["private"]);
        let set = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
        let tests = group["tests"].as_array().expect("tests").iter();
        vectors.extend(tests.map(|test| (set.clone(), test.clone())));
    }
    Some(vectors)
}

fn judge(set: &Value, jws: &str) -> TokenRefusal {
    let policy = TokenPolicy {
        identity: "wycheproof".into(),
        issuer: "nobody".to_owned(),
        audience: vec!["nothing".to_owned()],
        algorithms: ALGORITHMS.to_vec(),
        leeway: Duration::ZERO,
        claims: Vec::new(),
    };
    let keys = KeySet::parse(set.to_string().as_bytes()).expect("a key set");
    TokenVerifier::new(policy, Arc::new(JwksHandle::new(keys)))
        .verify(jws.as_bytes(), UNIX_EPOCH)
        .expect_err("no vector has claims")
}

/// Of `file`: how many are refused as marked, accepted as marked, and valid but of an algorithm that does not exist here.
fn run(file: &str) -> Option<(usize, usize, usize)> {
    let (mut refused, mut accepted, mut without) = (0, 0, 0);
    for (set, test) in vectors(file)? {
        let (id, jws) = (test["tcId"].as_u64().expect("an id"), test["jws"].as_str().expect("a text"));
        let refusal = judge(&set, jws);
        let signed = refusal == TokenRefusal::Claims;
        match test["result"].as_str().expect("a result") {
            "invalid" => {
                assert!(!signed, "{file} {id} `{}` was accepted", test["comment"]);
                refused += 1;
            }
            _ if signed => accepted += 1,
            _ => {
                let expected = match id {
                    NO_BASE64URL => TokenRefusal::Header,
                    id if ANOTHER_ALGORITHM_THAN_THE_KEYS.contains(&id) => TokenRefusal::UnknownKey,
                    _ => TokenRefusal::Algorithm,
                };
                assert_eq!(refusal, expected, "{file} {id} `{}`", test["comment"]);
                without += 1;
            }
        }
    }
    Some((refused, accepted, without))
}

#[test]
fn signatures_are_judged_as_marked() {
    let Some(counts) = run("json_web_signature_test.json") else { return };
    // Without: HS256 (10), ES512 (2), and the two above.
    assert_eq!(counts, (355, 32, 14));
}

#[test]
fn keys_are_judged_as_marked() {
    let Some(counts) = run("json_web_key_test.json") else { return };
    // Without: HMAC, one key set and three long keys.
    assert_eq!(counts, (21, 1, 4));
}

/// A key that must not be used is left out with its reason, and not only found wrong when a signature is.
#[test]
fn keys_that_must_not_be_used_are_never_loaded() {
    let Some(vectors) = vectors("json_web_key_test.json") else { return };
    for (id, why) in [
        (6, "not for signatures"),
        (7, "CVE-2017-15361"),
        (8, "2,048 bits"),
        (9, "exponent"),
        (10, "symmetric"),
        (19, "`ES521` is not supported"),
        (20, "`ES224` is not supported"),
        (21, "not for signatures"),
        (23, "48 bytes"),
        (24, "`n` is missing"),
        (25, "symmetric"),
    ] {
        let (set, _) = vectors.iter().find(|(_, test)| test["tcId"] == id).expect("there");
        let set = KeySet::parse(set.to_string().as_bytes()).expect("a key set");
        assert_eq!(set.len(), 0, "{id}");
        assert!(set.skipped()[0].contains(why), "{id}: {:?}", set.skipped());
    }
}
