//! A provider's public keys (RFC 7517).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::token::Algorithm;

/// Most keys of one provider; each is tried for a token that names none.
const KEYS: usize = 64;
/// Weakest RSA modulus, in bytes: 2,048 bits (RFC 7518, section 3.3).
const RSA_MODULUS: usize = 256;

/// A provider's public keys.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    skipped: Vec<String>,
}

/// One public key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: Option<Box<str>>,
    kind: Kind,
    /// The one algorithm the provider means it for, if it says so.
    algorithm: Option<Algorithm>,
    pub(crate) key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// Keys that are replaced while they are in use. Shared by all snapshots.
#[derive(Debug, Default)]
pub struct JwksHandle {
    keys: ArcSwap<KeySet>,
    generation: AtomicU64,
}

/// A document that is no key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetError(String);

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<Box<str>>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

// === impl KeySet ===

impl KeySet {
    /// Reads a JWK set. Keys that cannot verify tokens (symmetric, weak, for encryption) are left out and named by
    /// [`skipped`](Self::skipped).
    ///
    /// # Errors
    /// When it is no JWK set, or has too many keys.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        let document: Document<'_> = serde_json::from_slice(document)
            .map_err(|error| KeySetError(format!("not a JWK set: {error}")))?;
        if document.keys.len() > KEYS {
            return Err(KeySetError(format!("more than {KEYS} keys")));
        }
        let mut set = Self::default();
        for (index, raw) in document.keys.iter().enumerate() {
            match serde_json::from_str::<Jwk>(raw.get())
                .map_err(|error| error.to_string())
                .and_then(Key::read)
            {
                Ok(key) => set.keys.push(key),
                Err(why) => set.skipped.push(format!("key {index}: {why}")),
            }
        }
        Ok(set)
    }

    /// How many keys can verify tokens.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can verify tokens.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Which keys were left out, and why.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The keys that may have signed a token with this header.
    pub(crate) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .filter(move |key| key.fits(algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id)))
    }
}

// === impl Key ===

impl Key {
    fn read(jwk: Jwk) -> Result<Self, String> {
        if jwk.r#use.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("not for signatures".to_owned());
        }
        if jwk
            .key_ops
            .as_ref()
            .is_some_and(|operations| !operations.iter().any(|operation| operation == "verify"))
        {
            return Err("not for verification".to_owned());
        }
        let wrong = |error: jsonwebtoken::errors::Error| error.to_string();
        let part =
            |part: &Option<String>, name: &str| part.clone().ok_or_else(|| format!("`{name}` is missing"));
        let (kind, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (part(&jwk.n, "n")?, part(&jwk.e, "e")?);
                let modulus = URL_SAFE_NO_PAD.decode(&n).map_err(|error| error.to_string())?;
                if modulus.iter().skip_while(|byte| **byte == 0).count() < RSA_MODULUS {
                    return Err("the RSA key is shorter than 2,048 bits".to_owned());
                }
                (Kind::Rsa, DecodingKey::from_rsa_components(&n, &e).map_err(wrong)?)
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let kind = if curve == "P-256" { Kind::P256 } else { Kind::P384 };
                let (x, y) = (part(&jwk.x, "x")?, part(&jwk.y, "y")?);
                (kind, DecodingKey::from_ec_components(&x, &y).map_err(wrong)?)
            }
            ("OKP", Some("Ed25519")) => {
                (Kind::Ed25519, DecodingKey::from_ed_components(&part(&jwk.x, "x")?).map_err(wrong)?)
            }
            ("oct", _) => return Err("a symmetric key never verifies tokens here".to_owned()),
            (kind, _) => return Err(format!("keys of kind `{kind}` are not supported")),
        };
        let algorithm = match &jwk.alg {
            Some(name) => Some(Algorithm::parse(name).ok_or_else(|| format!("`{name}` is not supported"))?),
            None => None,
        };
        Ok(Self { id: jwk.kid, kind, algorithm, key })
    }

    /// Whether a token with this algorithm can be signed by this key.
    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Kind::Rsa,
            Algorithm::ES256 => Kind::P256,
            Algorithm::ES384 => Kind::P384,
            Algorithm::EdDSA => Kind::Ed25519,
        };
        self.kind == kind && self.algorithm.is_none_or(|meant| meant == algorithm)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {:?})", self.id, self.kind)
    }
}

// === impl JwksHandle ===

impl JwksHandle {
    /// A handle on these keys.
    pub fn new(keys: KeySet) -> Self {
        Self { keys: ArcSwap::from_pointee(keys), generation: AtomicU64::new(0) }
    }

    /// From now on these keys hold, and what the old ones verified is forgotten.
    pub fn replace(&self, keys: KeySet) {
        self.keys.store(Arc::new(keys));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// How many keys can verify tokens.
    pub fn len(&self) -> usize {
        self.keys.load().len()
    }

    /// Whether no key can verify tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.keys.load()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

// === impl KeySetError ===

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeySetError {}
