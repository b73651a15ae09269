//! The guard that asks who is calling.

use std::sync::Arc;

use haechi_guard::{Denial, Exchange, Guard, Principal, Reason, Remedy, Verdict};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::dpop::{ALGORITHMS, Binding, Dpop, ProofRefusal, Proofs, Scheme};
use crate::keys::ApiKey;
use crate::ring::KeyRing;
use crate::token::{TokenRefusal, TokenVerifier};

/// A server's nonce (RFC 9449, section 9).
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// One way to prove who is calling.
#[derive(Clone, Debug)]
pub enum Accepted {
    /// `Authorization: Bearer` or `DPoP` with a token.
    Token {
        /// Verifies the token.
        verifier: Arc<TokenVerifier>,
        /// Who may use it.
        binding: Binding,
    },
    /// A header with an API key.
    Key {
        /// The entry under `identity:`.
        identity: Arc<str>,
        /// The header, in lower case.
        header: Box<str>,
        /// The collection a key must belong to.
        collection: Arc<str>,
        /// All keys.
        ring: Arc<KeyRing>,
    },
}

/// Asks for one of several credentials. Made for one operation.
#[derive(Debug)]
pub struct IdentityGuard {
    accepted: Vec<Accepted>,
    challenge: Option<HeaderValue>,
    challenge_invalid: Option<HeaderValue>,
}

/// What was found of one credential.
enum Finding {
    /// The caller does not present it.
    Absent,
    Proven(Arc<Principal>),
    Refused(Box<Denial>),
}

// === impl IdentityGuard ===

impl IdentityGuard {
    /// A guard that wants one of these.
    pub fn new(accepted: Vec<Accepted>) -> Self {
        let challenge = |invalid: &str| {
            let mut schemes: Vec<String> = Vec::new();
            for accepted in &accepted {
                let bearer = || format!("Bearer realm=\"haechi\"{invalid}");
                let dpop = || format!("DPoP realm=\"haechi\", algs=\"{ALGORITHMS}\"{invalid}");
                let ways = match accepted {
                    Accepted::Token { binding, .. } => match binding.dpop {
                        Dpop::Off => vec![bearer()],
                        Dpop::Allowed => vec![bearer(), dpop()],
                        Dpop::Required => vec![dpop()],
                    },
                    Accepted::Key { header, .. } => {
                        vec![format!("ApiKey realm=\"haechi\", header=\"{header}\"")]
                    }
                };
                for way in ways {
                    if !schemes.contains(&way) {
                        schemes.push(way);
                    }
                }
            }
            HeaderValue::from_str(&schemes.join(", ")).ok()
        };
        let (plain, invalid) = (challenge(""), challenge(", error=\"invalid_token\""));
        Self { accepted, challenge: plain, challenge_invalid: invalid }
    }

    fn look(&self, accepted: &Accepted, exchange: &mut Exchange<'_>) -> Finding {
        match accepted {
            Accepted::Token { verifier, binding } => {
                let headers = exchange.headers;
                let Some((scheme, token)) = headers.get("authorization").and_then(Scheme::read) else {
                    return Finding::Absent;
                };
                if scheme == Scheme::Dpop && binding.dpop == Dpop::Off {
                    return Finding::Absent;
                }
                match verifier.verify(token, exchange.now) {
                    Ok(verified) => match binding.check(exchange, scheme, token, verified.bound) {
                        Ok(()) => {
                            if binding.nonce
                                && let Some(nonce) = nonce(&binding.proofs, exchange)
                            {
                                exchange.response_headers.push((DPOP_NONCE, nonce));
                            }
                            Finding::Proven(verified.principal)
                        }
                        Err(refusal) => Finding::Refused(proof_refused(
                            refusal,
                            exchange,
                            &binding.proofs,
                            verifier.identity(),
                        )),
                    },
                    Err(refusal) => {
                        let mut denial = self.refused(refusal.code(), refusal.detail(), verifier.identity());
                        if refusal == TokenRefusal::UnknownKey {
                            denial.remedy =
                                Some(Remedy::RefreshKeys { identity: verifier.identity().clone() });
                        }
                        Finding::Refused(denial)
                    }
                }
            }
            Accepted::Key { identity, header, collection, ring } => {
                let Some(value) = exchange.headers.get(header) else { return Finding::Absent };
                if exchange.headers.count(header) > 1 {
                    return Finding::Refused(self.refused(
                        "key-repeated",
                        "the header stands more than once",
                        identity,
                    ));
                }
                let key = match ApiKey::parse(value) {
                    Ok(key) => key,
                    Err(error) => {
                        return Finding::Refused(self.refused(error.code(), &error.to_string(), identity));
                    }
                };
                match ring.verify(identity, collection, &key, exchange.now) {
                    Ok(principal) => Finding::Proven(principal),
                    Err(refusal) => {
                        Finding::Refused(self.refused(refusal.code(), refusal.detail(), identity))
                    }
                }
            }
        }
    }

    /// The caller is told that its credential is not valid, and nothing more (RFC 6750, section 3.1).
    fn refused(&self, code: &'static str, detail: &str, identity: &Arc<str>) -> Box<Denial> {
        let reason = Reason::new(code, detail).rule(identity.to_string());
        let detail = "The credentials of this call are not valid.";
        self.denial("credentials-refused", detail, reason, self.challenge_invalid.as_ref())
    }

    fn denial(
        &self,
        problem: &'static str,
        detail: &'static str,
        reason: Reason,
        challenge: Option<&HeaderValue>,
    ) -> Box<Denial> {
        let denial = Denial::new(StatusCode::UNAUTHORIZED, problem, detail, reason);
        Box::new(match challenge {
            Some(challenge) => denial.header(WWW_AUTHENTICATE, challenge.clone()),
            None => denial,
        })
    }
}

impl Guard for IdentityGuard {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn judge(&self, exchange: &mut Exchange<'_>) -> Verdict {
        if exchange.headers.count("authorization") > 1 {
            let reason = Reason::new("authorization-repeated", "Authorization stands more than once");
            let detail = "The credentials of this call are ambiguous.";
            return Verdict::Deny(self.denial(
                "credentials-refused",
                detail,
                reason,
                self.challenge.as_ref(),
            ));
        }
        let mut proven: Option<Arc<Principal>> = None;
        let mut refused: Option<Box<Denial>> = None;
        for accepted in &self.accepted {
            match self.look(accepted, exchange) {
                Finding::Absent => {}
                Finding::Refused(denial) => {
                    // Several issuers share one header: an unknown key is the least telling of their refusals.
                    if refused.as_ref().is_none_or(|known| known.remedy.is_some()) {
                        refused = Some(denial);
                    }
                }
                Finding::Proven(principal) if proven.as_ref().is_some_and(|known| *known != principal) => {
                    let reason = Reason::new("credentials-ambiguous", "two credentials prove two callers");
                    let detail = "The credentials of this call are ambiguous.";
                    return Verdict::Deny(self.denial(
                        "credentials-refused",
                        detail,
                        reason,
                        self.challenge.as_ref(),
                    ));
                }
                Finding::Proven(principal) => proven = Some(principal),
            }
        }
        if let Some(principal) = proven {
            exchange.principal = Some(principal);
            return Verdict::Allow;
        }
        Verdict::Deny(refused.unwrap_or_else(|| {
            let reason =
                Reason::new("credentials-missing", "the call carries no credential that is accepted here");
            self.denial(
                "credentials-required",
                "This call needs credentials.",
                reason,
                self.challenge.as_ref(),
            )
        }))
    }
}

/// The caller is told what to mend in its proof (RFC 9449, sections 7.1 and 9): who has only the token learns nothing that
/// the standard does not say.
fn proof_refused(
    refusal: ProofRefusal,
    exchange: &Exchange<'_>,
    proofs: &Proofs,
    identity: &Arc<str>,
) -> Box<Denial> {
    let reason = Reason::new(refusal.code(), refusal.detail()).at("DPoP").rule(identity.to_string());
    if refusal == ProofRefusal::Full {
        let detail = "No more proofs of possession can be taken at the moment.";
        let denial = Denial::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail, reason);
        return Box::new(denial.header(RETRY_AFTER, Proofs::retry_after(exchange.now).into()));
    }
    let detail = format!("This call does not prove that its sender may use the token: {}.", refusal.detail());
    let mut denial = Denial::new(StatusCode::UNAUTHORIZED, "proof-refused", detail, reason);
    let challenge = format!(
        "DPoP realm=\"haechi\", algs=\"{ALGORITHMS}\", error=\"{}\", error_description=\"{}\"",
        refusal.error(),
        refusal.detail()
    );
    if let Ok(challenge) = HeaderValue::try_from(challenge) {
        denial = denial.header(WWW_AUTHENTICATE, challenge);
    }
    match nonce(proofs, exchange) {
        Some(nonce) if refusal == ProofRefusal::Nonce => denial = denial.header(DPOP_NONCE, nonce),
        _ => {}
    }
    Box::new(denial)
}

fn nonce(proofs: &Proofs, exchange: &Exchange<'_>) -> Option<HeaderValue> {
    HeaderValue::try_from(proofs.nonce(exchange.now)).ok()
}

#[cfg(test)]
mod tests;
