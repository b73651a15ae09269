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

use crate::jws::{Algorithm, Present};

/// Most keys of one provider; each is tried for a token that names none.
const KEYS: usize = 64;
/// Weakest RSA modulus, in bytes: 2,048 bits (RFC 7518, section 3.3).
const RSA_MODULUS: usize = 256;
/// Longest RSA modulus, in bytes: 8,192 bits. Longer ones only cost time.
const RSA_LONGEST: usize = 1024;
/// Longest RSA exponent, in bytes; every key that is met has 65,537. Verifying costs time with its length.
const RSA_EXPONENT: usize = 4;
/// Primes by which the moduli of a widespread chip's broken generator are told (ROCA, CVE-2017-15361): modulo each, they are
/// powers of 65,537. Of sound keys one in 2^27 is.
const ROCA: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];

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

/// A key as it is written. Known members may stand only once.
#[derive(Deserialize)]
pub(crate) struct Jwk {
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
    #[serde(default)]
    d: Present,
    #[serde(default)]
    p: Present,
    #[serde(default)]
    k: Present,
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

// === impl Jwk ===

impl Jwk {
    /// The members that make the key, in the order and spelling that its thumbprint is taken of (RFC 7638, section 3.2).
    pub(crate) fn canonical(&self) -> Option<String> {
        // Base64url has nothing that JSON would escape.
        let member = |text: &Option<String>| {
            text.clone().filter(|text| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| !bytes.is_empty()))
        };
        let curve = self.crv.as_deref();
        Some(match (self.kty.as_str(), curve) {
            ("RSA", _) => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, member(&self.e)?, member(&self.n)?)
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let (x, y) = (member(&self.x)?, member(&self.y)?);
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            ("OKP", Some("Ed25519")) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, member(&self.x)?)
            }
            _ => return None,
        })
    }
}

// === impl Key ===

impl Key {
    /// Reads a public key; why it cannot be used, if it cannot.
    pub(crate) fn read(jwk: Jwk) -> Result<Self, String> {
        if jwk.d.0 || jwk.p.0 || jwk.k.0 {
            return Err(if jwk.kty == "oct" {
                "a symmetric key never verifies tokens here".to_owned()
            } else {
                "it holds its private part, with which whoever reads it can sign".to_owned()
            });
        }
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
        let (kind, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = (part(jwk.n.as_deref(), "n")?, part(jwk.e.as_deref(), "e")?);
                check_rsa(&n.1, &e.1)?;
                (Kind::Rsa, DecodingKey::from_rsa_components(n.0, e.0).map_err(wrong)?)
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let (kind, length) = if curve == "P-256" { (Kind::P256, 32) } else { (Kind::P384, 48) };
                let (x, y) = (part(jwk.x.as_deref(), "x")?, part(jwk.y.as_deref(), "y")?);
                if x.1.len() != length || y.1.len() != length {
                    return Err(format!("`x` and `y` of {curve} have {length} bytes each"));
                }
                (kind, DecodingKey::from_ec_components(x.0, y.0).map_err(wrong)?)
            }
            ("OKP", Some("Ed25519")) => {
                let x = part(jwk.x.as_deref(), "x")?;
                if x.1.len() != 32 {
                    return Err("`x` of Ed25519 has 32 bytes".to_owned());
                }
                (Kind::Ed25519, DecodingKey::from_ed_components(x.0).map_err(wrong)?)
            }
            ("oct", _) => return Err("a symmetric key never verifies tokens here".to_owned()),
            (kind, _) => return Err(format!("keys of kind `{kind}` are not supported")),
        };
        let algorithm = match &jwk.alg {
            Some(name) => Some(Algorithm::parse(name).ok_or_else(|| format!("`{name}` is not supported"))?),
            None => None,
        };
        let key = Self { id: jwk.kid, kind, algorithm, key };
        match algorithm {
            Some(algorithm) if !key.fits(algorithm) => {
                Err("its `alg` is not for keys of its kind".to_owned())
            }
            _ => Ok(key),
        }
    }

    /// Whether a token with this algorithm can be signed by this key.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
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

/// A member of base64url without padding: as it stands, and what it says.
fn part<'a>(text: Option<&'a str>, name: &str) -> Result<(&'a str, Vec<u8>), String> {
    let text = text.ok_or_else(|| format!("`{name}` is missing"))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| format!("`{name}`: {error}"))?;
    Ok((text, bytes))
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), String> {
    let bare = |number: &[u8]| number.iter().skip_while(|byte| **byte == 0).count();
    if bare(modulus) < RSA_MODULUS {
        return Err("the RSA key is shorter than 2,048 bits".to_owned());
    }
    if bare(modulus) > RSA_LONGEST {
        return Err("the RSA key is longer than 8,192 bits".to_owned());
    }
    // With the exponent 1 every message is its own signature; an even one is none.
    let value = exponent.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    if bare(exponent) > RSA_EXPONENT || value < 3 || value % 2 == 0 {
        return Err("the RSA exponent is not an odd number from 3 on, of 4 bytes at most".to_owned());
    }
    let remainder = |prime: u32| modulus.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime);
    if ROCA.iter().all(|prime| is_power_of_65537(remainder(*prime), *prime)) {
        return Err(
            "the RSA key was made by a broken generator (CVE-2017-15361): it can be factored".to_owned()
        );
    }
    Ok(())
}

fn is_power_of_65537(number: u32, prime: u32) -> bool {
    let mut power = 1;
    (0..prime).any(|_| {
        power = power * (65_537 % prime) % prime;
        power == number
    })
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
