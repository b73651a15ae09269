use std::time::Duration;

use haechi_guard::Arrival;
use haechi_wire::{HeadersBuilder, Query};
use http::Method;
use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// RFC 9449, figure 13: token and proof of a call for a resource.
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const RESOURCE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
/// RFC 9449, figure 2: the proof of a call for a token.
const FOR_A_TOKEN: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
/// RFC 9449, section 6.1: the key's thumbprint.
const BOUND: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
const THEN: u64 = 1_562_262_618;

/// A call, as a proof has to describe it.
#[derive(Clone)]
struct Call {
    proofs: Vec<String>,
    method: Method,
    secure: bool,
    authority: &'static str,
    path: &'static str,
    token: &'static str,
    bound: Thumbprint,
    now: u64,
    nonce: bool,
}

fn of_the_rfc() -> Call {
    Call {
        proofs: vec![RESOURCE.to_owned()],
        method: Method::GET,
        secure: true,
        authority: "resource.example.org",
        path: "/protectedresource",
        token: TOKEN,
        bound: Thumbprint::parse(BOUND).expect("a thumbprint"),
        now: THEN,
        nonce: false,
    }
}

fn proofs() -> Proofs {
    Proofs::new([7; 32])
}

fn verify(proofs: &Proofs, call: &Call) -> Result<(), ProofRefusal> {
    let mut headers = HeadersBuilder::with_capacity(4, 4096);
    for proof in &call.proofs {
        headers.push(b"DPoP", proof.as_bytes());
    }
    let authority = Authority::parse(call.authority.as_bytes()).expect("an authority");
    let path = CanonicalPath::parse(call.path.as_bytes()).expect("a path");
    let exchange = Exchange {
        now: UNIX_EPOCH + Duration::from_secs(call.now),
        client: std::net::IpAddr::from([192, 0, 2, 1]),
        arrival: Arrival { secure: call.secure, ..Arrival::default() },
        channel: "",
        authority: Some(&authority),
        method: &call.method,
        path: &path,
        query: &Query::default(),
        headers: &headers.finish(),
        api: "a",
        operation: "o",
        principal: None,
        response_headers: Vec::new(),
    };
    proofs.verify(&exchange, call.token.as_bytes(), call.bound, call.nonce)
}

/// A client with a key of its own.
struct Client {
    key: EncodingKey,
    jwk: Value,
}

impl Client {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate().expect("a key");
        let point = pair.public_key_raw().to_vec();
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Self {
            key: EncodingKey::from_ec_der(&pair.serialize_der()),
            jwk: json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65])}),
        }
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, jsonwebtoken::Algorithm::ES256);
        format!("{message}.{}", signature.expect("signed"))
    }

    fn header(&self) -> String {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk}).to_string()
    }

    fn claims() -> Value {
        json!({
            "jti": "j1", "htm": "GET", "htu": "https://resource.example.org/protectedresource",
            "iat": THEN, "ath": token_hash(TOKEN.as_bytes()),
        })
    }

    fn call(&self, header: &str, claims: &str) -> Call {
        let jwk: Jwk = serde_json::from_value(self.jwk.clone()).expect("a key");
        let bound = Thumbprint::of(&jwk).expect("a thumbprint");
        Call { proofs: vec![self.sign(header, claims)], bound, ..of_the_rfc() }
    }

    fn with(&self, member: &str, value: Value) -> Call {
        let mut claims = Self::claims();
        claims[member] = value;
        self.call(&self.header(), &claims.to_string())
    }
}

#[test]
fn the_examples_of_the_rfc_verify_to_the_byte() {
    assert_eq!(token_hash(TOKEN.as_bytes()), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    let (signer, claims) = read(FOR_A_TOKEN.as_bytes()).expect("figure 2");
    assert_eq!(signer.to_string(), BOUND);
    assert_eq!((claims.htm.as_str(), claims.jti.as_str()), ("POST", "-BwC3ESc6acc2lTc"));
    assert_eq!(verify(&proofs(), &of_the_rfc()), Ok(()));
}

/// RFC 7638, section 3.1.
#[test]
fn a_thumbprint_is_of_the_members_that_make_the_key() {
    let jwk = json!({
        "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    });
    let jwk: Jwk = serde_json::from_value(jwk).expect("a key");
    assert_eq!(Thumbprint::of(&jwk).expect("one").to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

/// Whatever an attacker changes of the call in the RFC's example, its proof does not fit.
#[test]
fn a_proof_is_for_one_call_one_token_one_key() {
    let rfc = of_the_rfc();
    let mut altered = RESOURCE.to_owned();
    altered.replace_range(RESOURCE.len() - 2..RESOURCE.len() - 1, "g");
    for (call, expected) in [
        (Call { method: Method::POST, ..rfc.clone() }, ProofRefusal::Method),
        (Call { secure: false, ..rfc.clone() }, ProofRefusal::Uri),
        (Call { authority: "resource.example.com", ..rfc.clone() }, ProofRefusal::Uri),
        (Call { authority: "resource.example.org:8443", ..rfc.clone() }, ProofRefusal::Uri),
        (Call { path: "/protectedresource/2", ..rfc.clone() }, ProofRefusal::Uri),
        (Call { token: "another", ..rfc.clone() }, ProofRefusal::Token),
        (Call { bound: Thumbprint([0; 32]), ..rfc.clone() }, ProofRefusal::OtherKey),
        (Call { now: THEN + 61, ..rfc.clone() }, ProofRefusal::TooOld),
        (Call { now: THEN - 31, ..rfc.clone() }, ProofRefusal::TooNew),
        (Call { proofs: vec![altered], ..rfc.clone() }, ProofRefusal::Signature),
        (Call { proofs: vec![], ..rfc.clone() }, ProofRefusal::Missing),
        (Call { proofs: vec![RESOURCE.to_owned(); 2], ..rfc.clone() }, ProofRefusal::Repeated),
        (Call { proofs: vec![FOR_A_TOKEN.to_owned()], ..rfc.clone() }, ProofRefusal::Method),
        (Call { nonce: true, ..rfc.clone() }, ProofRefusal::Nonce),
    ] {
        assert_eq!(verify(&proofs(), &call), Err(expected));
    }
    for now in [THEN - 30, THEN + 60] {
        assert_eq!(verify(&proofs(), &Call { now, ..rfc.clone() }), Ok(()), "{now}");
    }
}

#[test]
fn the_header_of_a_proof_is_kept_to_the_letter() {
    let client = Client::new();
    let claims = Client::claims().to_string();
    let jwk = client.jwk.to_string();
    let private = jwk.replace('{', r#"{"d":"AA","#);
    let doubled = jwk.replace('{', r#"{"kty":"EC","#);
    let short = jwk.replace("\"x\":\"", "\"x\":\"AAAA");
    for (header, expected) in [
        (client.header().replace("dpop+jwt", "jwt"), ProofRefusal::Type),
        (client.header().replace(r#""typ":"dpop+jwt","#, ""), ProofRefusal::Type),
        (client.header().replace("ES256", "none"), ProofRefusal::Algorithm),
        (client.header().replace("ES256", "HS256"), ProofRefusal::Algorithm),
        (client.header().replace("ES256", "ES384"), ProofRefusal::Algorithm),
        (client.header().replace("ES256", "RS256"), ProofRefusal::Algorithm),
        (client.header().replace("ES256", "RS512"), ProofRefusal::Algorithm),
        (client.header().replace(&jwk, "null"), ProofRefusal::Key),
        (client.header().replace(&jwk, "{}"), ProofRefusal::Key),
        (client.header().replace(&jwk, &private), ProofRefusal::Key),
        (client.header().replace(&jwk, &doubled), ProofRefusal::Key),
        (client.header().replace(&jwk, &short), ProofRefusal::Key),
        (client.header().replace(&jwk, r#"{"kty":"oct","k":"AA"}"#), ProofRefusal::Key),
        (r#"{"typ":"dpop+jwt","alg":"ES256"}"#.to_owned(), ProofRefusal::Key),
        (client.header().replacen('{', r#"{"crit":["exp"],"#, 1), ProofRefusal::Form),
        (client.header().replacen('{', r#"{"jku":"https://evil","#, 1), ProofRefusal::Form),
        (client.header().replacen('{', r#"{"typ":"dpop+jwt","#, 1), ProofRefusal::Form),
    ] {
        assert_eq!(verify(&proofs(), &client.call(&header, &claims)), Err(expected), "{header}");
    }
    let long = format!("{}{}", "x".repeat(PROOF), client.header());
    assert_eq!(verify(&proofs(), &client.call(&long, &claims)), Err(ProofRefusal::TooLong));
    let media = client.header().replace("dpop+jwt", "application/DPoP+jwt");
    assert_eq!(verify(&proofs(), &client.call(&media, &claims)), Ok(()));
}

#[test]
fn the_claims_of_a_proof_are_all_there_and_only_once() {
    let client = Client::new();
    let whole = Client::claims();
    for member in ["jti", "htm", "htu", "iat"] {
        let mut claims = whole.clone();
        claims.as_object_mut().expect("an object").remove(member);
        let call = client.call(&client.header(), &claims.to_string());
        assert_eq!(verify(&proofs(), &call), Err(ProofRefusal::Claims), "{member}");
        let text = whole.to_string();
        let twice = text.replacen('{', &format!("{{\"{member}\":{},", whole[member]), 1);
        let call = client.call(&client.header(), &twice);
        assert_eq!(verify(&proofs(), &call), Err(ProofRefusal::Claims), "{member} twice");
    }
    for (member, value, expected) in [
        ("jti", json!(""), ProofRefusal::Claims),
        ("jti", json!(7), ProofRefusal::Claims),
        ("iat", json!("1562262618"), ProofRefusal::Claims),
        ("iat", json!(-1), ProofRefusal::Claims),
        ("iat", json!(1e300), ProofRefusal::Claims),
        ("htm", json!("get"), ProofRefusal::Method),
        ("ath", json!(null), ProofRefusal::Token),
        ("ath", json!(""), ProofRefusal::Token),
    ] {
        assert_eq!(verify(&proofs(), &client.with(member, value)), Err(expected), "{member}");
    }
}

/// RFC 9449, section 4.3, 9: compared after normalisation, without query and fragment.
#[test]
fn a_uri_is_compared_in_one_spelling() {
    let client = Client::new();
    let judge = |htu: &str| verify(&proofs(), &client.with("htu", json!(htu)));
    for htu in [
        "HTTPS://Resource.Example.ORG/protectedresource",
        "https://resource.example.org:443/protectedresource",
        "https://resource.example.org/%70rotectedresource",
        "https://resource.example.org/a/../protectedresource",
        "https://resource.example.org/protectedresource?a=b#c",
    ] {
        assert_eq!(judge(htu), Ok(()), "{htu}");
    }
    for htu in [
        "",
        "/protectedresource",
        "http://resource.example.org/protectedresource",
        "http://resource.example.org:443/protectedresource",
        "https://resource.example.org/protectedresource/",
        "https://resource.example.org/Protectedresource",
        "https://resource.example.org/protected%2Fresource",
        "https://user@resource.example.org/protectedresource",
        "https://resource.example.org.evil/protectedresource",
        "https://resource.example.org/../protectedresource",
    ] {
        assert_eq!(judge(htu), Err(ProofRefusal::Uri), "{htu}");
    }
}

#[test]
fn a_proof_is_used_once_however_late_it_comes_again() {
    let proofs = proofs();
    let first = of_the_rfc();
    // Made by the fastest clock that is believed, so that it could be used for as long as any.
    assert_eq!(verify(&proofs, &Call { now: THEN - AHEAD, ..first.clone() }), Ok(()));
    for now in [THEN - AHEAD, THEN, THEN + PAST] {
        let again = Call { now, ..first.clone() };
        assert_eq!(verify(&proofs, &again), Err(ProofRefusal::Replayed), "{now}");
    }
    let client = Client::new();
    assert_eq!(verify(&proofs, &client.with("jti", json!("e1j3V_bKic8-LAEB"))), Ok(()), "another's proof");
    let again = client.with("jti", json!("e1j3V_bKic8-LAEB"));
    assert_eq!(verify(&proofs, &again), Err(ProofRefusal::Replayed), "signed anew, with the same id");
}

#[test]
fn a_proof_that_is_refused_is_not_used_up() {
    let proofs = proofs();
    let call = of_the_rfc();
    assert!(verify(&proofs, &Call { method: Method::PUT, ..call.clone() }).is_err());
    assert!(verify(&proofs, &Call { nonce: true, ..call.clone() }).is_err());
    assert_eq!(verify(&proofs, &call), Ok(()));
}

#[test]
fn when_no_more_proofs_can_be_remembered_none_is_taken() {
    let proofs = Proofs { capacity: 2, ..proofs() };
    let key = Thumbprint([1; 32]);
    let refused =
        (0..1000).filter(|number| proofs.use_up(key, &number.to_string(), 900) == Err(ProofRefusal::Full));
    assert_eq!(refused.count(), 1000 - 2 * SHARDS);
    assert_eq!(proofs.use_up(key, "x", 900 + WINDOW), Err(ProofRefusal::Full), "still remembered");
    assert_eq!(proofs.use_up(key, "x", 900 + 2 * WINDOW), Ok(()), "and forgotten in the end");
    assert_eq!(
        proofs.use_up(key, "x", 900),
        Err(ProofRefusal::Replayed),
        "a clock that goes back forgets nothing"
    );
}

#[test]
fn a_nonce_is_ours_and_of_this_period_or_the_last() {
    let proofs = proofs();
    let client = Client::new();
    let nonce = proofs.nonce(UNIX_EPOCH + Duration::from_secs(THEN));
    let period = THEN / NONCE * NONCE;
    for (now, good) in [
        (period, true),
        (period + NONCE, true),
        (period + 2 * NONCE - 1, true),
        (period + 2 * NONCE, false),
        (period - 1, false),
    ] {
        let mut claims = Client::claims();
        (claims["iat"], claims["jti"], claims["nonce"]) = (json!(now), json!(format!("{now}")), json!(nonce));
        let call = Call { now, nonce: true, ..client.call(&client.header(), &claims.to_string()) };
        let expected = if good { Ok(()) } else { Err(ProofRefusal::Nonce) };
        assert_eq!(verify(&proofs, &call), expected, "{now}");
    }
    let other = Proofs::new([8; 32]);
    assert_ne!(other.nonce(UNIX_EPOCH), proofs.nonce(UNIX_EPOCH));
}

/// Which sender may use which token, under each setting.
#[test]
fn a_bound_token_is_no_bearer_token() {
    use ProofRefusal::{Missing, Scheme as Sent, Unbound};
    let path = CanonicalPath::parse(b"/").expect("a path");
    let exchange = Exchange {
        now: UNIX_EPOCH,
        client: std::net::IpAddr::from([192, 0, 2, 1]),
        arrival: Arrival::default(),
        channel: "",
        authority: None,
        method: &Method::GET,
        path: &path,
        query: &Query::default(),
        headers: &haechi_wire::Headers::new(),
        api: "a",
        operation: "o",
        principal: None,
        response_headers: Vec::new(),
    };
    let bound = Some(Thumbprint([1; 32]));
    for (dpop, bound, scheme, expected) in [
        (Dpop::Off, None, Scheme::Bearer, Ok(())),
        (Dpop::Off, bound, Scheme::Bearer, Ok(())),
        (Dpop::Allowed, None, Scheme::Bearer, Ok(())),
        (Dpop::Allowed, None, Scheme::Dpop, Err(Unbound)),
        (Dpop::Allowed, bound, Scheme::Bearer, Err(Sent)),
        (Dpop::Allowed, bound, Scheme::Dpop, Err(Missing)),
        (Dpop::Required, None, Scheme::Bearer, Err(Unbound)),
        (Dpop::Required, None, Scheme::Dpop, Err(Unbound)),
        (Dpop::Required, bound, Scheme::Bearer, Err(Sent)),
        (Dpop::Required, bound, Scheme::Dpop, Err(Missing)),
    ] {
        let binding = Binding { dpop, nonce: false, proofs: std::sync::Arc::new(proofs()) };
        assert_eq!(binding.check(&exchange, scheme, b"t", bound), expected, "{dpop:?} {bound:?} {scheme:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, header in "\\PC{0,40}", claims in "\\PC{0,40}", htu in "\\PC{0,40}") {
        prop_assert!(read(&bytes).is_err());
        let text = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        prop_assert!(read(text.as_bytes()).is_err());
        prop_assert!(verify(&proofs(), &Client::new().with("htu", json!(htu))).is_err());
    }
}
