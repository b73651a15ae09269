use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::KeySet;

struct Issuer {
    key: EncodingKey,
    jwk: Value,
}

impl Issuer {
    fn new(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate().expect("a key");
        let point = pair.public_key_raw().to_vec();
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        Self {
            key: EncodingKey::from_ec_der(&pair.serialize_der()),
            jwk: json!({"kty": "EC", "crv": "P-256", "kid": id, "x": b64(&point[1..33]), "y": b64(&point[33..65])}),
        }
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, jsonwebtoken::Algorithm::ES256)
                .expect("signed");
        format!("{message}.{signature}")
    }
}

const HEADER: &str = r#"{"alg":"ES256","kid":"a","typ":"at+jwt"}"#;
const CLAIMS: &str = r#"{"iss":"https://id","sub":"u1","aud":["pizza"],"exp":1000,"nbf":500,"scope":"read write","azp":"app"}"#;

fn verifier(jwks: &Value) -> TokenVerifier {
    let policy = TokenPolicy {
        identity: "customer".into(),
        issuer: "https://id".to_owned(),
        audience: vec!["pizza".to_owned()],
        algorithms: vec![Algorithm::ES256, Algorithm::RS256],
        leeway: Duration::from_secs(30),
        claims: vec!["azp".to_owned(), "tier".to_owned()],
    };
    let keys = KeySet::parse(jwks.to_string().as_bytes()).expect("a key set");
    TokenVerifier::new(policy, Arc::new(JwksHandle::new(keys)))
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn verify(issuer: &Issuer, token: &str) -> Result<Arc<Principal>, TokenRefusal> {
    verifier(&json!({"keys": [issuer.jwk]}))
        .verify(token.as_bytes(), at(700))
        .map(|verified| verified.principal)
}

#[test]
fn a_good_token_names_its_principal() {
    let issuer = Issuer::new("a");
    let principal = verify(&issuer, &issuer.sign(HEADER, CLAIMS)).expect("good");
    assert_eq!((&*principal.subject, principal.client.as_deref()), ("u1", Some("app")));
    assert_eq!(principal.scopes.iter().map(|scope| &**scope).collect::<Vec<_>>(), ["read", "write"]);
    assert_eq!(Value::Object(principal.claims.clone()), json!({"azp": "app"}), "those that are asked for");
}

#[test]
fn what_the_header_may_not_say_is_refused() {
    use TokenRefusal::{Algorithm, Header, UnknownKey};
    let issuer = Issuer::new("a");
    for (header, expected) in [
        (r#"{"alg":"none","kid":"a"}"#, Algorithm),
        (r#"{"alg":"NONE","kid":"a"}"#, Algorithm),
        (r#"{"alg":"HS256","kid":"a"}"#, Algorithm),
        (r#"{"alg":"es256","kid":"a"}"#, Algorithm),
        (r#"{"alg":"ES384","kid":"a"}"#, Algorithm),
        (r#"{"alg":"RS256","kid":"a"}"#, UnknownKey),
        (r#"{"alg":"ES256","kid":"../../dev/null"}"#, UnknownKey),
        (r#"{"alg":"ES256","kid":"b"}"#, UnknownKey),
        (r#"{"alg":"ES256","kid":"a","jku":"https://evil/jwks"}"#, Header),
        (r#"{"alg":"ES256","kid":"a","jwk":{}}"#, Header),
        (r#"{"alg":"ES256","kid":"a","x5u":"https://evil"}"#, Header),
        (r#"{"alg":"ES256","kid":"a","x5c":[]}"#, Header),
        (r#"{"alg":"ES256","kid":"a","crit":["exp"]}"#, Header),
        (r#"{"alg":"ES256","kid":"a","crit":null}"#, Header),
        (r#"{"alg":"ES256","kid":"a","jwk":null}"#, Header),
        (r#"{"alg":"ES256","kid":"a","b64":false}"#, Header),
        (r#"{"alg":"ES256","kid":"a","zip":"DEF"}"#, Header),
        (r#"{"alg":"ES256","kid":"a","enc":"A128GCM"}"#, Header),
        (r#"{"alg":"ES256","kid":"a","kid":"a"}"#, Header),
        (r#"{"alg":"ES256","kid":"a","typ":"dpop+jwt"}"#, Header),
        (r#"{"alg":"ES256","kid":"a","typ":"logout+jwt"}"#, Header),
        (r#"{"alg":"none","alg":"ES256","kid":"a"}"#, Header),
        (r#"{"kid":"a"}"#, Header),
        ("[]", Header),
    ] {
        assert_eq!(verify(&issuer, &issuer.sign(header, CLAIMS)), Err(expected), "{header}");
    }
}

#[test]
fn what_the_claims_may_not_say_is_refused() {
    use TokenRefusal::{Audience, Claims, Expired, Issuer as IssuerRefused, NotYet};
    let issuer = Issuer::new("a");
    for (from, to, expected) in [
        ("https://id", "https://id/", IssuerRefused),
        ("[\"pizza\"]", "\"pasta\"", Audience),
        ("[\"pizza\"]", "[]", Audience),
        ("\"exp\":1000", "\"exp\":670", Expired),
        ("\"exp\":1000,", "", Claims),
        ("\"exp\":1000", "\"exp\":\"1000\"", Claims),
        ("\"exp\":1000", "\"exp\":-1", Claims),
        ("\"exp\":1000", "\"exp\":1e300", Claims),
        ("\"exp\":1000", "\"exp\":1000,\"exp\":2000", Claims),
        ("\"nbf\":500", "\"nbf\":731", NotYet),
        ("\"nbf\":500", "\"cnf\":{\"jkt\":\"short\"}", Claims),
        ("\"nbf\":500", "\"cnf\":{},\"cnf\":{}", Claims),
        ("\"nbf\":500", "\"cnf\":\"x\"", Claims),
        ("\"sub\":\"u1\",", "", Claims),
        ("\"sub\":\"u1\",", "\"sub\":\"u1\",\"sub\":\"u2\",", Claims),
    ] {
        let claims = CLAIMS.replace(from, to);
        assert_ne!(claims, CLAIMS);
        assert_eq!(verify(&issuer, &issuer.sign(HEADER, &claims)), Err(expected), "{to}");
    }
    let leeway = CLAIMS.replace("\"exp\":1000", "\"exp\":671");
    assert!(verify(&issuer, &issuer.sign(HEADER, &leeway)).is_ok());
}

/// Clocks that differ: the last second in which a token is taken, and the next one, at both ends.
#[test]
fn a_token_holds_from_its_first_second_to_its_last() {
    let issuer = Issuer::new("a");
    let verifier = verifier(&json!({"keys": [issuer.jwk]}));
    let token = issuer.sign(HEADER, CLAIMS);
    for (now, expected) in
        [(469, Some(TokenRefusal::NotYet)), (470, None), (1029, None), (1030, Some(TokenRefusal::Expired))]
    {
        assert_eq!(verifier.verify(token.as_bytes(), at(now)).err(), expected, "{now}");
    }
}

#[test]
fn a_token_of_8_kib_is_read_and_a_longer_one_is_not() {
    let issuer = Issuer::new("a");
    let with = |padding: usize| {
        let claims = CLAIMS.replace("{", &format!(r#"{{"p":"{}","#, "x".repeat(padding)));
        issuer.sign(HEADER, &claims)
    };
    let padding = (0..TOKEN).rev().find(|padding| with(*padding).len() <= TOKEN).expect("some fit");
    assert!(verify(&issuer, &with(padding)).is_ok());
    assert_eq!(verify(&issuer, &with(padding + 3)), Err(TokenRefusal::TooLong));
}

/// The key's own `alg`, its `use` and the policy each narrow what it may sign.
#[test]
fn an_algorithm_cannot_be_swapped_for_another_of_the_same_key() {
    let mut issuer = Issuer::new("a");
    issuer.jwk["alg"] = json!("ES384");
    assert_eq!(verify(&issuer, &issuer.sign(HEADER, CLAIMS)), Err(TokenRefusal::UnknownKey));
    issuer.jwk["alg"] = json!("ES256");
    assert!(verify(&issuer, &issuer.sign(HEADER, CLAIMS)).is_ok());
    issuer.jwk["use"] = json!("enc");
    assert_eq!(verify(&issuer, &issuer.sign(HEADER, CLAIMS)), Err(TokenRefusal::UnknownKey));
    issuer.jwk["use"] = json!("sig");
    issuer.jwk["d"] = json!("AA");
    assert_eq!(verify(&issuer, &issuer.sign(HEADER, CLAIMS)), Err(TokenRefusal::UnknownKey), "published");
}

#[test]
fn the_public_key_is_no_secret_to_sign_with() {
    let issuer = Issuer::new("a");
    let secret = EncodingKey::from_secret(issuer.jwk.to_string().as_bytes());
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"a"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(CLAIMS));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, jsonwebtoken::Algorithm::HS256);
    let token = format!("{message}.{}", signature.expect("signed"));
    assert_eq!(verify(&issuer, &token), Err(TokenRefusal::Algorithm));
    let symmetric = json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]});
    assert_eq!(verifier(&symmetric).verify(token.as_bytes(), at(700)).err(), Some(TokenRefusal::Algorithm));
}

#[test]
fn the_form_is_kept_to_the_letter() {
    let issuer = Issuer::new("a");
    let good = issuer.sign(HEADER, CLAIMS);
    let parts: Vec<_> = good.split('.').collect();
    for token in [
        String::new(),
        "..".to_owned(),
        parts[0].to_owned(),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{good}.x"),
        format!("{good}="),
        format!(" {good}"),
        good.replace('.', ".."),
        "x".repeat(9_000),
    ] {
        assert!(verify(&issuer, &token).is_err(), "{token}");
    }
    let other = Issuer::new("a");
    assert_eq!(verify(&issuer, &other.sign(HEADER, CLAIMS)), Err(TokenRefusal::Signature));
}

#[test]
fn a_remembered_token_still_expires_and_falls_with_its_key() {
    let issuer = Issuer::new("a");
    let verifier = verifier(&json!({"keys": [issuer.jwk]}));
    let token = issuer.sign(HEADER, CLAIMS);
    assert!(verifier.verify(token.as_bytes(), at(700)).is_ok());
    assert!(verifier.verify(token.as_bytes(), at(1029)).is_ok());
    assert_eq!(verifier.verify(token.as_bytes(), at(1030)), Err(TokenRefusal::Expired));
    verifier.keys.replace(KeySet::default());
    assert_eq!(verifier.verify(token.as_bytes(), at(700)), Err(TokenRefusal::UnknownKey));
}

#[test]
fn keys_that_must_not_verify_are_left_out() {
    let weak = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"});
    let encryption = json!({"kty": "EC", "crv": "P-256", "use": "enc", "x": "AA", "y": "AA"});
    let set =
        KeySet::parse(json!({"keys": [weak, encryption, {"kty": "oct", "k": "AA"}]}).to_string().as_bytes());
    let set = set.expect("a key set");
    assert_eq!((set.len(), set.skipped().len()), (0, 3));
    assert!(KeySet::parse(b"[]").is_err());
    let mut modulus = [0xff; 256];
    modulus[255] = 0xfd;
    for exponent in [&[1][..], &[0, 1], &[4], &[1, 0, 0, 0, 1], &[]] {
        let (n, e) = (URL_SAFE_NO_PAD.encode(modulus), URL_SAFE_NO_PAD.encode(exponent));
        let set = json!({"keys": [{"kty": "RSA", "n": n, "e": e}]}).to_string();
        assert!(KeySet::parse(set.as_bytes()).expect("a key set").is_empty(), "{exponent:?}");
    }
    let repeated = br#"{"keys":[{"kty":"oct","kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#;
    assert!(KeySet::parse(repeated).expect("a key set").skipped()[0].contains("duplicate"));
    let many: Vec<_> = (0..65).map(|_| json!({"kty": "oct"})).collect();
    assert!(KeySet::parse(json!({ "keys": many }).to_string().as_bytes()).is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, header in "\\PC{0,40}", claims in "\\PC{0,40}") {
        let issuer = json!({"keys": []});
        let verifier = verifier(&issuer);
        prop_assert!(verifier.verify(&bytes, at(1)).is_err());
        let token = format!("{}.{}.AA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        prop_assert!(verifier.verify(token.as_bytes(), at(1)).is_err());
    }
}
