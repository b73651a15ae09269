//! Proof of possession (DPoP, RFC 9449): a token that is bound to a key is worth nothing without it.
//!
//! Each call brings a proof, signed with the key that the token names, for this method, this URI and this token, and used
//! once. What was used is remembered for as long as it could be used again; how much is remembered is bounded, and when
//! that is full no further proof is taken.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use haechi_guard::Exchange;
use haechi_wire::{Authority, CanonicalPath};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use crate::jwks::{Jwk, Key};
use crate::jws::{Algorithm, Jws, seconds};

/// Longest proof. One with an RSA key of 4,096 bits has 2 KiB.
const PROOF: usize = 4 * 1024;
/// How old a proof may be, in seconds: made for this call, by a clock that may be slow.
const PAST: u64 = 60;
/// How far in the future a proof may have been made, in seconds: by a clock that is fast.
const AHEAD: u64 = 30;
/// How long a used proof is remembered at least, in seconds: for as long as any could be used again.
const WINDOW: u64 = PAST + AHEAD;
/// Parts of the memory, each with a lock of its own: workers seldom meet.
const SHARDS: usize = 16;
/// Most proofs that a part remembers. A million in all: 5,800 calls a second and 36 MiB.
const SHARD: usize = 64 * 1024;
/// How long a nonce is given out, in seconds; it is taken for as long again.
const NONCE: u64 = 120;
/// The algorithms of proofs, as the challenge names them.
pub(crate) const ALGORITHMS: &str = "ES256 ES384 EdDSA PS256 RS256";

const ACCEPTED: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256];

/// Which tokens have to be bound to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dpop {
    /// None: whoever has a token may use it, also one that is bound.
    Off,
    /// A bound token needs its proof; one that is not bound is taken from whoever has it.
    Allowed,
    /// All of them.
    Required,
}

/// Who may use a token.
#[derive(Clone, Debug)]
pub struct Binding {
    /// Which tokens have to be bound to a key.
    pub dpop: Dpop,
    /// Whether a proof holds a nonce of ours.
    pub nonce: bool,
    /// The proofs that were used.
    pub proofs: Arc<Proofs>,
}

/// How a token is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    Dpop,
}

/// The thumbprint of a public key (RFC 7638, SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

/// The proofs that were used, and the key of the nonces. One for the process: it outlives snapshots.
pub struct Proofs {
    shards: [Mutex<Shard>; SHARDS],
    nonce_key: [u8; 32],
    /// Most proofs that a part remembers.
    capacity: usize,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is explained by `detail`")]
pub enum ProofRefusal {
    Unbound,
    Scheme,
    Missing,
    Repeated,
    TooLong,
    Form,
    Type,
    Algorithm,
    Key,
    Signature,
    Claims,
    OtherKey,
    Method,
    Uri,
    Token,
    TooOld,
    TooNew,
    Nonce,
    Replayed,
    Full,
}

/// Two generations of proofs; the older one is dropped when the younger one is as old as the window.
#[derive(Default)]
struct Shard {
    generation: u64,
    young: HashSet<[u8; 16]>,
    old: HashSet<[u8; 16]>,
}

/// Known members may stand only once.
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: f64,
    ath: Option<String>,
    nonce: Option<String>,
}

// === impl Binding ===

impl Binding {
    /// Whether the sender of this call may use a token that is bound to this key, or to none.
    pub(crate) fn check(
        &self,
        exchange: &Exchange<'_>,
        scheme: Scheme,
        token: &[u8],
        bound: Option<Thumbprint>,
    ) -> Result<(), ProofRefusal> {
        match (self.dpop, bound, scheme) {
            (Dpop::Off, ..) | (Dpop::Allowed, None, Scheme::Bearer) => Ok(()),
            (_, None, _) => Err(ProofRefusal::Unbound),
            // As `Bearer` a bound token would be worth something to whoever has it (RFC 9449, section 7.2).
            (_, Some(_), Scheme::Bearer) => Err(ProofRefusal::Scheme),
            (_, Some(bound), Scheme::Dpop) => self.proofs.verify(exchange, token, bound, self.nonce),
        }
    }
}

// === impl Scheme ===

impl Scheme {
    /// Scheme and token of `Authorization`; the scheme in any case (RFC 9110, section 11.1).
    pub(crate) fn read(value: &[u8]) -> Option<(Self, &[u8])> {
        let space = value.iter().position(|byte| *byte == b' ')?;
        let (scheme, token) = value.split_at_checked(space)?;
        let scheme = if scheme.eq_ignore_ascii_case(b"bearer") {
            Self::Bearer
        } else if scheme.eq_ignore_ascii_case(b"dpop") {
            Self::Dpop
        } else {
            return None;
        };
        Some((scheme, token.trim_ascii()))
    }
}

// === impl Thumbprint ===

impl Thumbprint {
    /// Reads `jkt` of a token's `cnf`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Of a key: the members that make it, in their order, without anything else.
    pub(crate) fn of(jwk: &Jwk) -> Option<Self> {
        let canonical = jwk.canonical()?;
        let digest = digest::digest(&digest::SHA256, canonical.as_bytes());
        digest.as_ref().try_into().ok().map(Self)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Proofs ===

impl Proofs {
    /// Nothing used yet; nonces made with this key, which is random.
    pub fn new(nonce_key: [u8; 32]) -> Self {
        Self { shards: Default::default(), nonce_key, capacity: SHARD }
    }

    /// The nonce to use from now on.
    pub fn nonce(&self, now: SystemTime) -> String {
        self.nonce_of(unix(now) / NONCE)
    }

    /// In how many seconds the next proofs are forgotten.
    pub(crate) fn retry_after(now: SystemTime) -> u64 {
        WINDOW - unix(now) % WINDOW
    }

    /// Checks that the caller holds the key `bound`, for this call and this token, and remembers its proof.
    ///
    /// # Errors
    /// See [`ProofRefusal`]. A proof is used up only when nothing is wrong with it.
    pub fn verify(
        &self,
        exchange: &Exchange<'_>,
        token: &[u8],
        bound: Thumbprint,
        nonce_required: bool,
    ) -> Result<(), ProofRefusal> {
        let proof = exchange.headers.get("dpop").ok_or(ProofRefusal::Missing)?;
        if exchange.headers.count("dpop") > 1 {
            return Err(ProofRefusal::Repeated);
        }
        let (signer, claims) = read(proof)?;
        if signer != bound {
            return Err(ProofRefusal::OtherKey);
        }
        if claims.htm != exchange.method.as_str() {
            return Err(ProofRefusal::Method);
        }
        if !is_target(&claims.htu, exchange) {
            return Err(ProofRefusal::Uri);
        }
        if claims.ath.as_deref() != Some(token_hash(token).as_str()) {
            return Err(ProofRefusal::Token);
        }
        let now = unix(exchange.now);
        let made = seconds(claims.iat).ok_or(ProofRefusal::Claims)?;
        if made.saturating_add(PAST) < now {
            return Err(ProofRefusal::TooOld);
        }
        if made > now.saturating_add(AHEAD) {
            return Err(ProofRefusal::TooNew);
        }
        if nonce_required && !claims.nonce.is_some_and(|nonce| self.is_nonce(&nonce, now)) {
            return Err(ProofRefusal::Nonce);
        }
        self.use_up(signer, &claims.jti, now)
    }

    /// Whether it is the nonce of now, or the one before.
    fn is_nonce(&self, nonce: &str, now: u64) -> bool {
        let period = now / NONCE;
        [period, period.saturating_sub(1)]
            .iter()
            .any(|period| self.nonce_of(*period).as_bytes().ct_eq(nonce.as_bytes()).into())
    }

    /// Nothing is kept of a nonce: it is made anew to be compared.
    fn nonce_of(&self, period: u64) -> String {
        let hash = blake3::keyed_hash(&self.nonce_key, &period.to_be_bytes());
        URL_SAFE_NO_PAD.encode(hash.as_bytes())
    }

    fn use_up(&self, signer: Thumbprint, jti: &str, now: u64) -> Result<(), ProofRefusal> {
        let mut hasher = blake3::Hasher::new_keyed(&signer.0);
        hasher.update(jti.as_bytes());
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        let shard = self.shards.get(usize::from(id[0]) % SHARDS).ok_or(ProofRefusal::Full)?;
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        shard.age(now / WINDOW);
        if shard.young.contains(&id) || shard.old.contains(&id) {
            return Err(ProofRefusal::Replayed);
        }
        if shard.young.len() + shard.old.len() >= self.capacity {
            return Err(ProofRefusal::Full);
        }
        shard.young.insert(id);
        Ok(())
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proofs(…)")
    }
}

// === impl Shard ===

impl Shard {
    /// A clock that goes back forgets nothing.
    fn age(&mut self, generation: u64) {
        if generation <= self.generation {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if generation > self.generation + 1 {
            self.old.clear();
        }
        self.generation = generation;
    }
}

/// Whose proof it is and what it says, once its signature is found good (RFC 9449, section 4.3).
fn read(proof: &[u8]) -> Result<(Thumbprint, Claims), ProofRefusal> {
    if proof.len() > PROOF {
        return Err(ProofRefusal::TooLong);
    }
    let jws = Jws::read(proof).map_err(|_| ProofRefusal::Form)?;
    let kind = jws.header.typ.as_deref().unwrap_or_default();
    if !kind.eq_ignore_ascii_case("dpop+jwt") && !kind.eq_ignore_ascii_case("application/dpop+jwt") {
        return Err(ProofRefusal::Type);
    }
    let algorithm = jws.algorithm(&ACCEPTED).ok_or(ProofRefusal::Algorithm)?;
    let jwk = jws.header.jwk.as_ref().ok_or(ProofRefusal::Key)?;
    let jwk: Jwk = serde_json::from_str(jwk.get()).map_err(|_| ProofRefusal::Key)?;
    let signer = Thumbprint::of(&jwk).ok_or(ProofRefusal::Key)?;
    let key = Key::read(jwk).map_err(|_| ProofRefusal::Key)?;
    if !key.fits(algorithm) {
        return Err(ProofRefusal::Algorithm);
    }
    if !jws.is_signed_by(&key.key, algorithm) {
        return Err(ProofRefusal::Signature);
    }
    let claims: Claims = jws.claims().ok_or(ProofRefusal::Claims)?;
    if claims.jti.is_empty() {
        return Err(ProofRefusal::Claims);
    }
    Ok((signer, claims))
}

/// `ath`: the digest of the token as it was sent.
fn token_hash(token: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token))
}

/// Whether a proof's `htu` names the call's URI, both in one spelling and without query and fragment (RFC 3986, sections
/// 6.2.2 and 6.2.3).
fn is_target(htu: &str, exchange: &Exchange<'_>) -> bool {
    let Ok(uri) = htu.parse::<http::Uri>() else { return false };
    let (scheme, default_port) = if exchange.arrival.secure { ("https", 443) } else { ("http", 80) };
    let named = uri.authority().and_then(|authority| Authority::parse(authority.as_str().as_bytes()).ok());
    let (Some(named), Some(called)) = (named, exchange.authority) else { return false };
    let port = |authority: &Authority| authority.port().unwrap_or(default_port);
    uri.scheme_str().is_some_and(|named| named.eq_ignore_ascii_case(scheme))
        && named.host() == called.host()
        && port(&named) == port(called)
        && CanonicalPath::parse(uri.path().as_bytes()).is_ok_and(|path| path == *exchange.path)
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

// === impl ProofRefusal ===

impl ProofRefusal {
    /// Stable kebab-case word for events.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unbound => "token-unbound",
            Self::Scheme => "token-scheme",
            Self::Missing => "proof-missing",
            Self::Repeated => "proof-repeated",
            Self::TooLong => "proof-too-long",
            Self::Form => "proof-form",
            Self::Type => "proof-type",
            Self::Algorithm => "proof-algorithm",
            Self::Key => "proof-key",
            Self::Signature => "proof-signature",
            Self::Claims => "proof-claims",
            Self::OtherKey => "proof-other-key",
            Self::Method => "proof-method",
            Self::Uri => "proof-uri",
            Self::Token => "proof-token",
            Self::TooOld => "proof-too-old",
            Self::TooNew => "proof-too-new",
            Self::Nonce => "proof-nonce",
            Self::Replayed => "proof-replayed",
            Self::Full => "proofs-full",
        }
    }

    /// One sentence: for the event, and for a caller who made the proof and has to mend it. Names no value.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Unbound => "the token is bound to no key",
            Self::Scheme => "a token that is bound to a key is sent as DPoP and not as Bearer",
            Self::Missing => "the token is bound to a key and the call brings no proof in DPoP",
            Self::Repeated => "the header DPoP stands more than once",
            Self::TooLong => "the proof is longer than 4 KiB",
            Self::Form => "the proof is not three parts of base64url with a plain header",
            Self::Type => "typ is not dpop+jwt",
            Self::Algorithm => "the algorithm is not accepted, or not one of the key",
            Self::Key => "jwk is not a sound public key",
            Self::Signature => "the signature is wrong",
            Self::Claims => "jti, htm, htu or iat is missing, or not what it should be",
            Self::OtherKey => "the key is not the one that the token is bound to",
            Self::Method => "htm is not the method of the call",
            Self::Uri => "htu is not the URI of the call",
            Self::Token => "ath is not the hash of the token",
            Self::TooOld => "iat is too long ago",
            Self::TooNew => "iat is in the future",
            Self::Nonce => "the proof needs the nonce of DPoP-Nonce",
            Self::Replayed => "the proof was used before",
            Self::Full => "no more proofs can be remembered",
        }
    }

    /// The error that the challenge names (RFC 9449, sections 7.1 and 9).
    pub(crate) fn error(self) -> &'static str {
        match self {
            Self::Nonce => "use_dpop_nonce",
            // The token is good, but not for this sender.
            Self::Unbound | Self::Scheme | Self::OtherKey => "invalid_token",
            _ => "invalid_dpop_proof",
        }
    }
}

impl fmt::Display for ProofRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for ProofRefusal {}

#[cfg(test)]
mod tests;
