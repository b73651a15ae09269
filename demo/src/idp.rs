//! The shop's identity provider: signs tokens with ES256 and publishes its key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

/// Whom tokens are for.
pub(crate) const AUDIENCE: &str = "pizza-api";

/// Signs tokens. Also used by attackers, with keys of their own.
#[derive(Clone)]
pub(crate) struct Idp {
    pub(crate) issuer: String,
    key: EncodingKey,
    pub(crate) public: Value,
}

// === impl Idp ===

impl Idp {
    /// An identity provider with a new key.
    pub(crate) fn new(issuer: String, key_id: &str) -> Result<Self, rcgen::Error> {
        let pair = rcgen::KeyPair::generate()?;
        let (x, y) =
            pair.public_key_raw().get(1..).and_then(|point| point.split_at_checked(32)).unwrap_or_default();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": key_id, "x": encode(x), "y": encode(y),
        });
        Ok(Self { issuer, key: EncodingKey::from_ec_der(&pair.serialize_der()), public })
    }

    /// The claims of a token that a client gets.
    pub(crate) fn claims(&self, subject: &str, client: &str) -> Value {
        let now = now();
        json!({
            "iss": self.issuer, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + life(client),
            "client_id": client,
        })
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, Algorithm::ES256);
        format!("{message}.{}", signature.unwrap_or_default())
    }

    /// A token as the shop gives it.
    pub(crate) fn token(&self, subject: &str, client: &str) -> String {
        self.sign(&self.header(), &self.claims(subject, client))
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "at+jwt", "kid": self.public["kid"] })
    }

    /// The document the gateway reads keys from.
    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": [self.public] })
    }
}

/// How many seconds a token is good for. Phones are lost: theirs are short, and the shop's day is.
pub(crate) fn life(client: &str) -> u64 {
    if matches!(client, "ios" | "android") { 6 } else { 3600 }
}

/// A name that nobody guesses.
pub(crate) fn random() -> String {
    let mut bytes = [0; 18];
    // Where there is no randomness, nothing else works either.
    let _ = getrandom::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is signed.
pub(crate) fn message(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// Whom a token names. The shop's services believe it without looking at the signature: "the gateway does that".
pub(crate) fn believed_subject(authorization: Option<&str>) -> Option<String> {
    let claims = authorization?.split_once(' ')?.1.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Some(claims["sub"].as_str()?.to_owned())
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
