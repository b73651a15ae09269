use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use haechi_wire::{CanonicalPath, Headers, HeadersBuilder, Query};
use http::Method;

use super::*;
use crate::keys::Pepper;
use crate::ring::KeyRecord;
use crate::token::TokenPolicy;
use crate::{Algorithm, JwksHandle, KeySet};

fn judge(guard: &IdentityGuard, headers: &[(&str, &str)]) -> (Verdict, Option<Arc<Principal>>) {
    let mut builder = HeadersBuilder::with_capacity(4, 256);
    for (name, value) in headers {
        builder.push(name.as_bytes(), value.as_bytes());
    }
    let headers: Headers = builder.finish();
    let path = CanonicalPath::parse(b"/").expect("a path");
    let mut exchange = Exchange {
        now: UNIX_EPOCH,
        client: IpAddr::from([192, 0, 2, 1]),
        method: &Method::GET,
        path: &path,
        query: &Query::default(),
        headers: &headers,
        arrival: haechi_guard::Arrival::default(),
        channel: "",
        authority: None,
        api: "a",
        operation: "o",
        principal: None,
        response_headers: Vec::new(),
    };
    let verdict = guard.judge(&mut exchange);
    (verdict, exchange.principal)
}

fn guard() -> (IdentityGuard, ApiKey) {
    let ring = Arc::new(KeyRing::new(Pepper::new([1; 32])));
    let key = ApiKey::from_random(&[5; 33]);
    ring.insert(KeyRecord {
        id: key.id(),
        collection: "partners".into(),
        hash: key.hash(ring.pepper()),
        expires: None,
        revoked: None,
    });
    let policy = TokenPolicy {
        identity: "customer".into(),
        issuer: "i".to_owned(),
        audience: vec!["a".to_owned()],
        algorithms: vec![Algorithm::ES256],
        leeway: std::time::Duration::ZERO,
        claims: Vec::new(),
    };
    let verifier = TokenVerifier::new(policy, Arc::new(JwksHandle::new(KeySet::default())));
    let accepted = vec![
        Accepted::Token {
            verifier: Arc::new(verifier),
            binding: Binding { dpop: Dpop::Allowed, nonce: false, proofs: Arc::new(Proofs::new([2; 32])) },
        },
        Accepted::Key {
            identity: "partner".into(),
            header: "x-api-key".into(),
            collection: "partners".into(),
            ring,
        },
    ];
    (IdentityGuard::new(accepted), key)
}

fn denial(verdict: Verdict) -> Denial {
    *verdict.denial().expect("a denial")
}

#[test]
fn a_call_without_credentials_is_told_which_it_needs() {
    let (guard, _) = guard();
    let denial = denial(judge(&guard, &[]).0);
    assert_eq!((denial.status, denial.problem), (StatusCode::UNAUTHORIZED, "credentials-required"));
    let challenge = denial.headers.first().expect("a challenge").1.to_str().expect("text").to_owned();
    assert_eq!(
        challenge,
        r#"Bearer realm="haechi", DPoP realm="haechi", algs="ES256 ES384 EdDSA PS256 RS256", ApiKey realm="haechi", header="x-api-key""#
    );
}

#[test]
fn a_key_proves_its_owner_and_a_wrong_one_tells_nothing() {
    let (guard, key) = guard();
    let (verdict, principal) = judge(&guard, &[("X-API-KEY", key.expose())]);
    assert_eq!(verdict, Verdict::Allow);
    assert_eq!(principal.expect("a principal").subject, key.id().as_str().into());
    let other = ApiKey::from_random(&[6; 33]);
    for (value, code) in [(other.expose(), "key-unknown"), ("hch_live_x", "key-form")] {
        let denial = denial(judge(&guard, &[("x-api-key", value)]).0);
        assert_eq!(denial.reasons[0].code, code);
        assert!(!denial.disclose && denial.detail == "The credentials of this call are not valid.");
    }
}

#[test]
fn ambiguous_credentials_are_refused() {
    let (guard, key) = guard();
    for headers in [
        [("x-api-key", key.expose()), ("x-api-key", key.expose())],
        [("authorization", "Bearer a"), ("authorization", "Bearer b")],
    ] {
        assert!(matches!(judge(&guard, &headers).0, Verdict::Deny(_)));
    }
}

#[test]
fn an_unknown_signing_key_calls_for_a_refresh() {
    let (guard, _) = guard();
    // {"alg":"ES256"} . {} . anything
    let denial = denial(judge(&guard, &[("authorization", "bearer eyJhbGciOiJFUzI1NiJ9.e30.AA")]).0);
    assert_eq!(denial.remedy, Some(Remedy::RefreshKeys { identity: "customer".into() }));
    assert_eq!(denial.reasons[0].code, "token-unknown-key");
}
