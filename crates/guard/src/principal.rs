//! Who is calling.

use std::sync::Arc;

/// Who is calling, proven by a credential that the identity guard verified.
///
/// Cheap to share: a verified token is cached as one `Arc<Principal>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The entry under `identity:` in `haechi.yaml` that verified the credential.
    pub identity: Arc<str>,
    /// Whom the credential names: the token's `sub`, or the key's id.
    pub subject: Arc<str>,
    /// A stable name of the credential itself, safe to log: the key's id, or a digest of the token. Never the secret.
    pub credential: Arc<str>,
    /// What kind of credential it was.
    pub kind: CredentialKind,
    /// The collection (consumer group) an API key belongs to.
    pub collection: Option<Arc<str>>,
    /// The OAuth client (`client_id`, or `azp`) a token was issued to.
    pub client: Option<Arc<str>>,
    /// Granted scopes (`scope` or `scp` of a token).
    pub scopes: Vec<Arc<str>>,
    /// Those claims of a token that expressions speak of.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

/// What kind of credential proved a [`Principal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// An API key issued by Haechi.
    ApiKey,
    /// A signed token (RFC 7519) of an identity provider.
    Token,
}

// === impl CredentialKind ===

impl CredentialKind {
    /// The spelling used in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Token => "token",
        }
    }
}
