//! Signed tokens (RFC 7519), verified after RFC 8725.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haechi_guard::{CredentialKind, Principal};
use serde::Deserialize;
use serde_json::Value;

use crate::dpop::Thumbprint;
use crate::jwks::JwksHandle;
use crate::jws::{Algorithm, Jws, JwsError, seconds};

/// Longest token. Those with hundreds of groups stay below; an HTTP head has 32 KiB.
const TOKEN: usize = 8 * 1024;
/// Verified tokens remembered for each identity: verifying costs 50 to 100 µs, remembering 300 B.
const REMEMBERED: usize = 16 * 1024;

/// What a token must be.
#[derive(Clone, Debug)]
pub struct TokenPolicy {
    /// The entry under `identity:`.
    pub identity: Arc<str>,
    /// What `iss` must be, exactly.
    pub issuer: String,
    /// What `aud` must hold one of.
    pub audience: Vec<String>,
    /// The algorithms that are accepted.
    pub algorithms: Vec<Algorithm>,
    /// How far clocks may differ.
    pub leeway: Duration,
    /// The claims that are remembered with a principal, by name: those that expressions speak of.
    pub claims: Vec<String>,
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Whom it proves.
    pub principal: Arc<Principal>,
    /// The key that its sender has to hold (`cnf.jkt`, RFC 9449, section 6.1).
    pub bound: Option<Thumbprint>,
}

/// Verifies tokens of one identity.
#[derive(Debug)]
pub struct TokenVerifier {
    policy: TokenPolicy,
    keys: Arc<JwksHandle>,
    remembered: Mutex<Remembered>,
}

/// Why a token proves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is explained by `detail`")]
pub enum TokenRefusal {
    TooLong,
    Form,
    Header,
    Algorithm,
    UnknownKey,
    Signature,
    Claims,
    Issuer,
    Audience,
    Expired,
    NotYet,
}

#[derive(Debug, Default)]
struct Remembered {
    generation: u64,
    tokens: HashMap<[u8; 32], Known>,
}

#[derive(Clone, Debug)]
struct Known {
    verified: Verified,
    not_before: u64,
    expires: u64,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: f64,
    nbf: Option<f64>,
    #[expect(dead_code, reason = "known, so that it may stand only once")]
    iat: Option<f64>,
    scope: Option<String>,
    scp: Option<OneOrMany>,
    client_id: Option<String>,
    azp: Option<String>,
    cnf: Option<Confirmation>,
}

/// What the token is bound to (RFC 7800). Other ways to be bound are not understood, and hence passed over (section 3.1).
#[derive(Deserialize)]
struct Confirmation {
    jkt: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

// === impl TokenVerifier ===

impl TokenVerifier {
    /// A verifier with these keys, which may be replaced while it is in use.
    pub fn new(policy: TokenPolicy, keys: Arc<JwksHandle>) -> Self {
        Self { policy, keys, remembered: Mutex::default() }
    }

    /// The entry under `identity:`.
    pub fn identity(&self) -> &Arc<str> {
        &self.policy.identity
    }

    /// Whom a token proves. A token that is bound proves it of the holder of its key only: that is for the caller to check.
    ///
    /// # Errors
    /// See [`TokenRefusal`].
    pub fn verify(&self, token: &[u8], now: SystemTime) -> Result<Verified, TokenRefusal> {
        if token.len() > TOKEN {
            return Err(TokenRefusal::TooLong);
        }
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let digest = *blake3::hash(token).as_bytes();
        // Read before the keys: a set that is replaced meanwhile makes what is remembered here void.
        let generation = self.keys.generation();
        let known = match self.recall(&digest, generation) {
            Some(known) => known,
            None => {
                let known = self.examine(token, &digest)?;
                self.check_time(&known, now)?;
                self.remember(digest, &known, generation, now);
                return Ok(known.verified);
            }
        };
        self.check_time(&known, now)?;
        Ok(known.verified)
    }

    /// Everything but the time.
    fn examine(&self, token: &[u8], digest: &[u8; 32]) -> Result<Known, TokenRefusal> {
        let jws = Jws::read(token).map_err(|error| match error {
            JwsError::Form => TokenRefusal::Form,
            JwsError::Header => TokenRefusal::Header,
        })?;
        if jws.header.jwk.is_some() {
            return Err(TokenRefusal::Header);
        }
        // RFC 9068 and RFC 7519: an ID token or a logout token of the same issuer is no access token.
        let kind = jws.header.typ.as_deref().map(str::to_ascii_lowercase);
        if !matches!(kind.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt")) {
            return Err(TokenRefusal::Header);
        }
        let algorithm = jws.algorithm(&self.policy.algorithms).ok_or(TokenRefusal::Algorithm)?;
        let keys = self.keys.load();
        let mut candidates = keys.candidates(jws.header.kid.as_deref(), algorithm).peekable();
        if candidates.peek().is_none() {
            return Err(TokenRefusal::UnknownKey);
        }
        let signed = candidates.any(|key| jws.is_signed_by(&key.key, algorithm));
        if !signed {
            return Err(TokenRefusal::Signature);
        }
        let kept = if self.policy.claims.is_empty() {
            serde_json::Map::new()
        } else {
            let mut all: serde_json::Map<String, Value> = jws.claims().ok_or(TokenRefusal::Claims)?;
            all.retain(|name, _| self.policy.claims.contains(name));
            all
        };
        let claims: Claims = jws.claims().ok_or(TokenRefusal::Claims)?;
        if claims.iss != self.policy.issuer {
            return Err(TokenRefusal::Issuer);
        }
        if !claims.aud.iter().any(|audience| self.policy.audience.iter().any(|wanted| wanted == audience)) {
            return Err(TokenRefusal::Audience);
        }
        let expires = seconds(claims.exp).ok_or(TokenRefusal::Claims)?;
        let not_before = claims.nbf.map_or(Some(0), seconds).ok_or(TokenRefusal::Claims)?;
        let bound = match claims.cnf.as_ref().and_then(|bound| bound.jkt.as_deref()) {
            Some(thumbprint) => Some(Thumbprint::parse(thumbprint).ok_or(TokenRefusal::Claims)?),
            None => None,
        };
        let scopes = claims
            .scope
            .iter()
            .flat_map(|scope| scope.split(' '))
            .chain(claims.scp.iter().flat_map(OneOrMany::iter));
        let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let principal = Principal {
            identity: self.policy.identity.clone(),
            subject: claims.sub.as_str().into(),
            credential: name.into(),
            kind: CredentialKind::Token,
            collection: None,
            client: claims.client_id.or(claims.azp).map(Arc::from),
            scopes: scopes.filter(|scope| !scope.is_empty()).map(Arc::from).collect(),
            claims: kept,
        };
        let verified = Verified { principal: Arc::new(principal), bound };
        Ok(Known { verified, not_before, expires })
    }

    fn check_time(&self, known: &Known, now: u64) -> Result<(), TokenRefusal> {
        let leeway = self.policy.leeway.as_secs();
        if now >= known.expires.saturating_add(leeway) {
            return Err(TokenRefusal::Expired);
        }
        if now.saturating_add(leeway) < known.not_before {
            return Err(TokenRefusal::NotYet);
        }
        Ok(())
    }

    fn recall(&self, digest: &[u8; 32], generation: u64) -> Option<Known> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        (remembered.generation == generation).then(|| remembered.tokens.get(digest).cloned())?
    }

    fn remember(&self, digest: [u8; 32], known: &Known, generation: u64, now: u64) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.generation != generation {
            remembered.tokens.clear();
            remembered.generation = generation;
        }
        if remembered.tokens.len() >= REMEMBERED {
            remembered.tokens.retain(|_, known| known.expires > now);
            if remembered.tokens.len() >= REMEMBERED {
                // More callers than we remember: begin anew rather than track who came last.
                remembered.tokens.clear();
            }
        }
        remembered.tokens.insert(digest, known.clone());
    }
}

// === impl OneOrMany ===

impl OneOrMany {
    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

// === impl TokenRefusal ===

impl TokenRefusal {
    /// Stable kebab-case word for events.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token-too-long",
            Self::Form => "token-form",
            Self::Header => "token-header",
            Self::Algorithm => "token-algorithm",
            Self::UnknownKey => "token-unknown-key",
            Self::Signature => "token-signature",
            Self::Claims => "token-claims",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::Expired => "token-expired",
            Self::NotYet => "token-not-yet",
        }
    }

    /// One sentence for the event.
    pub fn detail(self) -> &'static str {
        match self {
            Self::TooLong => "the token is longer than 8 KiB",
            Self::Form => "the value is not three parts of base64url",
            Self::Header => {
                "the token's header is not plain: it brings its own key, an extension, or another type"
            }
            Self::Algorithm => "the token's algorithm is not accepted",
            Self::UnknownKey => "no known key of the issuer fits the token's header",
            Self::Signature => "the signature is wrong",
            Self::Claims => "the claims lack `iss`, `sub`, `aud` or `exp`, or one is not what it should be",
            Self::Issuer => "the token is of another issuer",
            Self::Audience => "the token is for another audience",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
        }
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for TokenRefusal {}

#[cfg(test)]
mod tests;
