//! TLS towards callers: certificates chosen by SNI, TLS 1.2 and 1.3, post-quantum key exchange preferred.

use std::fmt;
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

/// A certificate chain and its key, as PEM texts.
pub(crate) struct PemPair<'a> {
    pub(crate) certificate: &'a [u8],
    pub(crate) key: &'a [u8],
}

/// How a listener speaks TLS.
pub(crate) struct TlsOptions {
    /// Whether TLS 1.2 is accepted beside 1.3.
    pub(crate) tls12: bool,
    /// Protocols offered by ALPN, preferred first.
    pub(crate) alpn: Vec<Vec<u8>>,
}

/// What makes session tickets. Lives as long as the process, so that sessions resume across activations.
pub(crate) type Tickets = Arc<dyn ProducesTickets>;

/// A certificate or key that cannot be used.
#[derive(Debug)]
pub(crate) struct TlsError {
    /// Which of the pairs, counted from 0.
    pub(crate) pair: usize,
    message: String,
}

/// The one source of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What makes session tickets for this process: keys in memory only, rotated by rustls.
pub(crate) fn tickets() -> Result<Tickets, rustls::Error> {
    rustls::crypto::aws_lc_rs::Ticketer::new()
}

/// A listener's TLS.
pub(crate) fn server_config(
    pairs: &[PemPair<'_>],
    options: &TlsOptions,
    tickets: &Tickets,
) -> Result<Arc<ServerConfig>, TlsError> {
    static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
    static NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let provider = provider();
    let certificates = pairs
        .iter()
        .enumerate()
        .map(|(pair, pem)| {
            certified(pem, &provider).map_err(|message| TlsError { pair, message }).map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(if options.tls12 { BOTH } else { NEWEST })
        .map_err(|error| TlsError { pair: 0, message: error.to_string() })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(BySni { certificates }));
    config.alpn_protocols.clone_from(&options.alpn);
    config.ticketer = tickets.clone();
    // One ticket is what a client uses; a second only costs another encryption per handshake.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn certified(pem: &PemPair<'_>, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(pem.certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate file is not PEM: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate file holds no certificate".to_owned());
    }
    // The library's message could quote the text: a key is never quoted.
    let key = PrivateKeyDer::from_pem_slice(pem.key)
        .map_err(|_| "the key file holds no private key in PEM (PKCS #8, SEC 1 or PKCS #1)".to_owned())?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => "the key does not belong to the certificate".to_owned(),
        other => other.to_string(),
    })
}

// === BySni ===

/// The first certificate that is valid for the name the client asks for; else the first of all, so that clients
/// without SNI, and those that ask by address, get an answer they can judge.
#[derive(Debug)]
struct BySni {
    certificates: Vec<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        name.and_then(|name| self.certificates.iter().find(|certificate| is_for(certificate, &name)))
            .or(self.certificates.first())
            .cloned()
    }
}

fn is_for(certificate: &CertifiedKey, name: &ServerName<'_>) -> bool {
    certificate
        .end_entity_cert()
        .and_then(ParsedCertificate::try_from)
        .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

// === impl TlsError ===

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TlsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn build(pairs: &[(&str, &str)]) -> Result<Arc<ServerConfig>, TlsError> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(certificate, key)| PemPair { certificate: certificate.as_bytes(), key: key.as_bytes() })
            .collect();
        let options = TlsOptions { tls12: true, alpn: vec![b"h2".to_vec()] };
        server_config(&pairs, &options, &tickets().expect("random"))
    }

    #[test]
    fn the_certificate_is_that_of_the_name() {
        let made: Vec<_> = ["menu.pizza.example", "orders.pizza.example"]
            .into_iter()
            .map(|name| {
                let (certificate, key) = pair(name);
                let pem = PemPair { certificate: certificate.as_bytes(), key: key.as_bytes() };
                Arc::new(certified(&pem, &provider()).expect("a pair"))
            })
            .collect();
        let name = |text| ServerName::try_from(text).expect("a name");
        assert!(is_for(&made[1], &name("orders.pizza.example")));
        assert!(!is_for(&made[0], &name("orders.pizza.example")));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_and_named() {
        let (good, good_key) = pair("a.example");
        let (_, other_key) = pair("b.example");
        assert!(build(&[(&good, &good_key)]).is_ok());
        let error = build(&[(&good, &good_key), (&good, &other_key)]).expect_err("refused");
        assert_eq!(
            (error.pair, error.to_string().as_str()),
            (1, "the key does not belong to the certificate")
        );
    }

    #[test]
    fn a_broken_key_is_never_quoted() {
        let (good, key) = pair("a.example");
        let broken = key.replace("PRIVATE", "PRIVTE");
        let message = build(&[(&good, &broken)]).expect_err("refused").to_string();
        assert!(!message.contains(key.lines().nth(1).expect("a line")), "{message}");
        assert!(message.contains("no private key"), "{message}");
    }

    #[test]
    fn hybrid_key_exchange_comes_first() {
        let first = provider().kx_groups.first().map(|group| group.name());
        assert_eq!(first, Some(rustls::NamedGroup::X25519MLKEM768));
    }
}
