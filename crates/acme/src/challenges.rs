//! What a certificate authority that validates a name is told, for as long as it may ask.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// The protocol by which a validating server announces itself in TLS (RFC 8737).
pub const TLS_ALPN: &[u8] = b"acme-tls/1";

/// Where a validating server asks over HTTP (RFC 8555, section 8.3).
const HTTP_PATH: &str = "/.well-known/acme-challenge/";

/// Answers that are pending. There are some only while an order is under way.
#[derive(Debug, Default)]
pub struct Challenges {
    pending: AtomicUsize,
    tls: Mutex<HashMap<String, Arc<CertifiedKey>>>,
    http: Mutex<HashMap<String, String>>,
}

/// One pending answer; gone when dropped.
#[derive(Debug)]
pub(crate) struct Pending {
    challenges: Arc<Challenges>,
    what: What,
}

#[derive(Debug)]
enum What {
    Tls(String),
    Http(String),
}

// === impl Challenges ===

impl Challenges {
    /// The certificate that answers a validation of `name` over TLS.
    pub fn tls(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        if self.pending.load(Ordering::Relaxed) == 0 {
            return None;
        }
        lock(&self.tls).get(&name.to_ascii_lowercase()).cloned()
    }

    /// The text that answers a validation at `path` over HTTP: for exactly the tokens that are pending.
    pub fn http(&self, path: &str) -> Option<String> {
        if self.pending.load(Ordering::Relaxed) == 0 {
            return None;
        }
        lock(&self.http).get(path.strip_prefix(HTTP_PATH)?).cloned()
    }

    /// From now on a validation of `name` over TLS is answered with this digest (RFC 8737, section 3).
    pub(crate) fn hold_tls(
        self: &Arc<Self>,
        name: &str,
        digest: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Pending, String> {
        let digest = <[u8; 32]>::try_from(digest).map_err(|_| "the challenge's digest is not SHA-256")?;
        let make = || -> Result<_, rcgen::Error> {
            let mut params = CertificateParams::new([name.to_owned()])?;
            params.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
            let key = KeyPair::generate()?;
            Ok((params.self_signed(&key)?, key))
        };
        let (certificate, key) = make().map_err(|error| error.to_string())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // Not `from_der`: it would read the certificate, and refuse the critical extension that is its whole point.
        let key = provider.key_provider.load_private_key(key).map_err(|error| error.to_string())?;
        let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
        lock(&self.tls).insert(name.to_owned(), Arc::new(certified));
        Ok(self.pending(What::Tls(name.to_owned())))
    }

    /// From now on a validation of `token` over HTTP is answered with this text.
    pub(crate) fn hold_http(self: &Arc<Self>, token: &str, answer: &str) -> Pending {
        lock(&self.http).insert(token.to_owned(), answer.to_owned());
        self.pending(What::Http(token.to_owned()))
    }

    fn pending(self: &Arc<Self>, what: What) -> Pending {
        self.pending.fetch_add(1, Ordering::Relaxed);
        Pending { challenges: self.clone(), what }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        match &self.what {
            What::Tls(name) => drop(lock(&self.challenges.tls).remove(name)),
            What::Http(token) => drop(lock(&self.challenges.http).remove(token)),
        }
        self.challenges.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Holders of these locks do not panic; if one ever did, the maps are still whole.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_pending_is_answered() {
        let challenges = Arc::new(Challenges::default());
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        assert_eq!(challenges.http("/.well-known/acme-challenge/t0ken"), None);
        let held = challenges.hold_http("t0ken", "t0ken.thumb");
        assert_eq!(challenges.http("/.well-known/acme-challenge/t0ken").as_deref(), Some("t0ken.thumb"));
        for path in ["/.well-known/acme-challenge/", "/.well-known/acme-challenge/t0ke", "/t0ken", "t0ken"] {
            assert_eq!(challenges.http(path), None, "{path}");
        }
        let tls = challenges.hold_tls("pizza.example", &[7; 32], &provider).expect("held");
        assert!(challenges.tls("PIZZA.example").is_some());
        assert!(challenges.tls("other.example").is_none());
        drop((held, tls));
        assert_eq!(challenges.http("/.well-known/acme-challenge/t0ken"), None);
        assert!(challenges.tls("pizza.example").is_none());
        assert!(challenges.hold_tls("pizza.example", &[7; 31], &provider).is_err());
    }
}
