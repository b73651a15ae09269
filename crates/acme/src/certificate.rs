//! A certificate and what can be read in it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Most names that are kept of a certificate: authorities issue at most a hundred.
const NAMES: usize = 100;

/// What a person wants to know of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The names it is for.
    pub names: Vec<String>,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when.
    pub not_after: SystemTime,
    /// What its key is: `ECDSA`, `RSA`, `Ed25519`.
    pub key: &'static str,
}

/// A chain, its key, and what can be read in it.
#[derive(Debug)]
pub struct Certified {
    /// As TLS uses it.
    pub key: Arc<CertifiedKey>,
    /// As people read it.
    pub facts: Facts,
}

// === impl Facts ===

impl Facts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is no X.509 certificate.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| format!("it cannot be read: {error}"))?;
        let validity = certificate.validity();
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        });
        Ok(Self {
            names: names.take(NAMES).collect(),
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
            key: match certificate.public_key().algorithm.algorithm.to_id_string().as_str() {
                "1.2.840.10045.2.1" => "ECDSA",
                "1.2.840.113549.1.1.1" => "RSA",
                "1.3.101.112" => "Ed25519",
                _ => "other",
            },
        })
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| std::net::Ipv6Addr::from(v6).to_string())
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

// === impl Certified ===

impl Certified {
    /// Reads a chain and its key in PEM.
    ///
    /// # Errors
    /// When either cannot be used, or they do not belong together. A key is never quoted.
    pub fn from_pem(certificate: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("the certificate file is not PEM: {error}"))?;
        let Some(first) = chain.first() else {
            return Err("the certificate file holds no certificate".to_owned());
        };
        let facts = Facts::of(first)?;
        // The library's message could quote the text: a key is never quoted.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| "the key file holds no private key in PEM (PKCS #8, SEC 1 or PKCS #1)".to_owned())?;
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => "the key does not belong to the certificate".to_owned(),
            other => other.to_string(),
        })?;
        Ok(Self { key: Arc::new(key), facts })
    }

    /// Whether it is for this name.
    pub fn is_for(&self, name: &ServerName<'_>) -> bool {
        self.key
            .end_entity_cert()
            .and_then(ParsedCertificate::try_from)
            .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_times_and_key_are_read() {
        let names = vec!["pizza.example".to_owned(), "*.pizza.example".to_owned(), "127.0.0.1".to_owned()];
        let mut params = rcgen::CertificateParams::new(names.clone()).expect("names");
        params.not_before = time::OffsetDateTime::from_unix_timestamp(1_700_000_000).expect("a time");
        params.not_after = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time");
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let facts = Facts::of(certificate.der()).expect("readable");
        assert_eq!(facts.names, names);
        assert_eq!(
            (facts.not_before, facts.not_after),
            (super::time(1_700_000_000), super::time(1_800_000_000))
        );
        assert_eq!(facts.key, "ECDSA");
        assert!(Facts::of(b"pizza").is_err());
    }

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn certified(certificate: &str, key: &str) -> Result<Certified, String> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        Certified::from_pem(certificate.as_bytes(), key.as_bytes(), &provider)
    }

    #[test]
    fn a_certificate_is_for_its_names_only() {
        let (certificate, key) = pair("orders.pizza.example");
        let certified = certified(&certificate, &key).expect("a pair");
        let name = |text| ServerName::try_from(text).expect("a name");
        assert!(certified.is_for(&name("orders.pizza.example")));
        assert!(!certified.is_for(&name("menu.pizza.example")));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (certificate, _) = pair("a.example");
        let (_, key) = pair("b.example");
        let message = certified(&certificate, &key).expect_err("refused");
        assert_eq!(message, "the key does not belong to the certificate");
    }

    #[test]
    fn a_broken_key_is_never_quoted() {
        let (certificate, key) = pair("a.example");
        let message = certified(&certificate, &key.replace("PRIVATE", "PRIVTE")).expect_err("refused");
        assert!(!message.contains(key.lines().nth(1).expect("a line")), "{message}");
        assert!(message.contains("no private key"), "{message}");
    }
}
