//! One order, from the account to the certificate.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use haechi_upstream::ClientTls;
use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use crate::certificate::Certified;
use crate::challenges::{Challenges, Pending};
use crate::courier::Courier;
use crate::files::Files;
use crate::schedule::Failure;

/// How long the server may take to validate names, and to issue.
const SERVER: Duration = Duration::from_secs(90);

/// The server's word for an account it does not know.
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// How the server is shown that the names are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// In a TLS handshake on port 443 (RFC 8737).
    TlsAlpn,
    /// Over HTTP on port 80 (RFC 8555, section 8.3).
    Http,
}

/// A certificate that is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// URL of the server's directory.
    pub directory: String,
    /// `mailto:` URLs.
    pub contact: Vec<String>,
    /// DNS names, lower case; at least one.
    pub domains: Vec<String>,
    /// How they are shown to be ours.
    pub challenge: Challenge,
    /// Whom the server's own certificate must come from.
    pub trust: ClientTls,
}

/// Why there is no certificate.
#[derive(Debug)]
pub(crate) struct OrderError {
    pub(crate) failure: Failure,
    pub(crate) message: String,
}

/// What an order is carried out with.
pub(crate) struct Clerk<'a> {
    pub(crate) files: &'a Files,
    pub(crate) challenges: &'a Arc<Challenges>,
    pub(crate) provider: &'a CryptoProvider,
}

// === impl Wanted ===

impl Wanted {
    /// The name of its file: the same server and the same names, the same certificate.
    pub(crate) fn file(&self) -> String {
        let mut domains = self.domains.clone();
        domains.sort();
        let first = domains.first().map(String::as_str).unwrap_or_default();
        format!("{first}-{}.pem", digest(std::iter::once(&self.directory).chain(&domains)))
    }

    fn account_file(&self) -> String {
        format!("account-{}.json", digest(std::iter::once(&self.directory).chain(&self.contact)))
    }
}

/// Sixteen hexadecimal digits that stand for these texts.
fn digest<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(16).collect()
}

// === impl Clerk ===

impl Clerk<'_> {
    /// What the last order brought, if it can still be used.
    pub(crate) fn kept(&self, wanted: &Wanted) -> Option<Certified> {
        let pem = self.files.read(&wanted.file()).ok().flatten()?;
        let certified = Certified::from_pem(&pem, &pem, self.provider).ok()?;
        covers(&certified, wanted, SystemTime::now()).is_ok().then_some(certified)
    }

    /// Orders a certificate, and keeps it.
    pub(crate) async fn obtain(&self, wanted: &Wanted) -> Result<Certified, OrderError> {
        match self.order(wanted).await {
            // The server has lost its accounts, or ours was made on another one: a new one will do.
            Err(Error::Api(problem)) if problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT) => {
                self.files.remove(&wanted.account_file());
                self.order(wanted).await.map_err(OrderError::from)
            }
            outcome => outcome.map_err(OrderError::from),
        }
    }

    async fn order(&self, wanted: &Wanted) -> Result<Certified, Error> {
        let account = self.account(wanted).await?;
        let names: Vec<_> = wanted.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        let retry = RetryPolicy::new().timeout(SERVER);
        let pending = self.answer(&mut order, wanted.challenge).await?;
        if !pending.is_empty() {
            match order.poll_ready(&retry).await {
                Ok(OrderStatus::Ready) => {}
                Ok(_) | Err(Error::Api(_)) => return Err(why_invalid(&mut order).await),
                Err(error) => return Err(error),
            }
        }
        drop(pending);
        let key = KeyPair::generate().map_err(other)?;
        let mut params = CertificateParams::new(wanted.domains.clone()).map_err(other)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(other)?;
        order.finalize_csr(request.der()).await?;
        let chain = order.poll_certificate(&retry).await?;
        let key = Zeroizing::new(key.serialize_pem());
        let certified =
            Certified::from_pem(chain.as_bytes(), key.as_bytes(), self.provider).map_err(other)?;
        covers(&certified, wanted, SystemTime::now()).map_err(other)?;
        let pem = Zeroizing::new(format!("{}{chain}", key.as_str()));
        self.files.write(&wanted.file(), pem.as_bytes()).map_err(other)?;
        Ok(certified)
    }

    /// The account: made once for each server and contact, then the same.
    async fn account(&self, wanted: &Wanted) -> Result<Account, Error> {
        let builder = || Account::builder_with_http(Box::new(Courier::start(wanted.trust.clone())));
        let file = wanted.account_file();
        if let Some(kept) = self.files.read(&file).map_err(other)?
            && let Ok(credentials) = serde_json::from_slice::<AccountCredentials>(&kept)
        {
            return builder().from_credentials(credentials).await;
        }
        let contact: Vec<_> = wanted.contact.iter().map(String::as_str).collect();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder().create(&new, wanted.directory.clone(), None).await?;
        let credentials = Zeroizing::new(serde_json::to_vec(&credentials)?);
        self.files.write(&file, &credentials).map_err(other)?;
        Ok(account)
    }

    /// Has an answer ready for each name, and tells the server so. The answers are there until what is returned is dropped.
    async fn answer(&self, order: &mut Order, how: Challenge) -> Result<Vec<Pending>, Error> {
        let mut pending = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let name = authorization.identifier().to_string();
            let (kind, word) = match how {
                Challenge::TlsAlpn => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
                Challenge::Http => (ChallengeType::Http01, "http-01"),
            };
            let Some(mut challenge) = authorization.challenge(kind) else {
                return Err(other(format!("the server does not validate `{name}` by {word}")));
            };
            let answer = challenge.key_authorization();
            pending.push(match how {
                Challenge::TlsAlpn => {
                    let digest = answer.digest();
                    self.challenges.hold_tls(&name, digest.as_ref(), self.provider).map_err(other)?
                }
                Challenge::Http => self.challenges.hold_http(&challenge.token, answer.as_str()),
            });
            challenge.set_ready().await?;
        }
        Ok(pending)
    }
}

/// Whether a certificate is good for all that is wanted.
fn covers(certified: &Certified, wanted: &Wanted, now: SystemTime) -> Result<(), String> {
    for domain in &wanted.domains {
        let name = ServerName::try_from(domain.as_str()).map_err(|error| error.to_string())?;
        if !certified.is_for(&name) {
            return Err(format!("the certificate is not for `{domain}`"));
        }
    }
    if now >= certified.facts.not_after { Err("the certificate has expired".to_owned()) } else { Ok(()) }
}

/// What the server found when it validated.
async fn why_invalid(order: &mut Order) -> Error {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.clone());
        if let Some(problem) = problem {
            let detail = format!("`{name}`: {}", problem.detail.unwrap_or_default());
            return Error::Api(Problem { detail: Some(detail), subproblems: Vec::new(), ..problem });
        }
    }
    let detail = "the order is invalid, and the server does not say why".to_owned();
    Error::Api(Problem { r#type: None, detail: Some(detail), status: None, subproblems: Vec::new() })
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Other(error.into())
}

// === impl OrderError ===

impl From<Error> for OrderError {
    fn from(error: Error) -> Self {
        let failure = match &error {
            Error::Api(_) => Failure::Refused,
            _ => Failure::Away,
        };
        let message = match error {
            Error::Api(problem) => {
                let word = problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next());
                let mut said: Vec<_> = word.into_iter().map(str::to_owned).collect();
                said.extend(problem.detail);
                said.extend(problem.subproblems.into_iter().filter_map(|problem| problem.detail));
                format!("the server refused: {}", said.join(": "))
            }
            other => other.to_string(),
        };
        Self { failure, message }
    }
}
