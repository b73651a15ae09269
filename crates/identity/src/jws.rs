//! Signed objects (RFC 7515, compact form), read after RFC 8725.
//!
//! Tokens and proofs of possession both begin here, so that what may stand in a header is decided once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::value::RawValue;

/// Signature algorithms that exist here. There is no symmetric one, and no `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "JOSE names, RFC 7518 section 3.1 and RFC 8037")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// A signed object, taken apart. Nothing in it is believed before [`is_signed_by`](Self::is_signed_by) says so.
pub(crate) struct Jws<'a> {
    pub(crate) header: Header,
    /// What is signed: header and payload as they were sent.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// Why a text is no signed object that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwsError {
    /// Not three parts of base64url.
    Form,
    /// The header is no JSON object with `alg`, names a member twice, or holds one that changes what is verified.
    Header,
}

/// A header. Members that would let a token choose its own key are known, in order to be refused; `crit`, `b64`, `zip` and
/// `enc` change what is signed. Known members may stand only once.
#[derive(Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
    /// The key of a proof of possession. No token may bring one.
    #[serde(default, deserialize_with = "present_raw")]
    pub(crate) jwk: Option<Box<RawValue>>,
    #[serde(default)]
    crit: Present,
    #[serde(default)]
    b64: Present,
    #[serde(default)]
    jku: Present,
    #[serde(default)]
    x5u: Present,
    #[serde(default)]
    x5c: Present,
    #[serde(default)]
    zip: Present,
    #[serde(default)]
    enc: Present,
}

/// Whether a member is there, whatever its value: `null` too.
#[derive(Clone, Copy, Default)]
pub(crate) struct Present(pub(crate) bool);

// === impl Algorithm ===

impl Algorithm {
    /// Reads a JOSE name; case matters.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::RS256,
            "RS384" => Self::RS384,
            "RS512" => Self::RS512,
            "PS256" => Self::PS256,
            "PS384" => Self::PS384,
            "PS512" => Self::PS512,
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "EdDSA" => Self::EdDSA,
            _ => return None,
        })
    }

    fn jose(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::RS384 => jsonwebtoken::Algorithm::RS384,
            Self::RS512 => jsonwebtoken::Algorithm::RS512,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::PS384 => jsonwebtoken::Algorithm::PS384,
            Self::PS512 => jsonwebtoken::Algorithm::PS512,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::ES384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

// === impl Jws ===

impl<'a> Jws<'a> {
    /// Takes a text apart.
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, JwsError> {
        let text = std::str::from_utf8(text).map_err(|_| JwsError::Form)?;
        let (message, signature) = text.rsplit_once('.').ok_or(JwsError::Form)?;
        let (header, payload) = message.split_once('.').ok_or(JwsError::Form)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(JwsError::Form);
        }
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| JwsError::Header)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| JwsError::Header)?;
        if header.changes_verification() {
            return Err(JwsError::Header);
        }
        Ok(Self { header, message, payload, signature })
    }

    /// The algorithm of the header, if it is one of these.
    pub(crate) fn algorithm(&self, accepted: &[Algorithm]) -> Option<Algorithm> {
        Algorithm::parse(&self.header.alg).filter(|algorithm| accepted.contains(algorithm))
    }

    pub(crate) fn is_signed_by(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, algorithm.jose())
            .unwrap_or(false)
    }

    /// What was signed; `None` if it is not base64url without padding.
    pub(crate) fn payload(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.payload).ok()
    }

    /// The payload as JSON, known members only once.
    pub(crate) fn claims<T: for<'de> Deserialize<'de>>(&self) -> Option<T> {
        serde_json::from_slice(&self.payload()?).ok()
    }
}

// === impl Header ===

impl Header {
    fn changes_verification(&self) -> bool {
        [self.crit, self.b64, self.jku, self.x5u, self.x5c, self.zip, self.enc].iter().any(|member| member.0)
    }
}

// === impl Present ===

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

fn present_raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

/// A NumericDate (RFC 7519, section 2) in whole seconds.
pub(crate) fn seconds(date: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..1e15).contains(&date).then_some(date as u64)
}
