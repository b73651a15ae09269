//! Whom an `https` upstream must prove to be, and how the gateway proves itself.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedCipherSuite,
};

use crate::endpoint::Protocol;

/// SHA-256 of a `SubjectPublicKeyInfo` (RFC 7469, section 2.4).
pub type Pin = [u8; 32];

/// What the TLS of an upstream is made from.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Certificate authorities in PEM; the web's if not set.
    pub authorities: Option<Vec<u8>>,
    /// The gateway's own certificate chain and key in PEM (mutual TLS).
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// One of these keys must be in the chain, beside all else.
    pub pins: Vec<Pin>,
    /// The name that the certificate must carry; the endpoint's host if not set.
    pub name: Option<String>,
}

/// Trust for connections to `https` endpoints. Cheap to clone; equal if made from equal settings.
#[derive(Clone)]
pub struct ClientTls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    settings: Arc<TlsSettings>,
}

/// Settings that cannot be used.
#[derive(Debug)]
pub struct ClientTlsError(String);

/// Asks for a pinned key after everything else was found good.
#[derive(Debug)]
struct Pinned {
    chain: Arc<WebPkiServerVerifier>,
    pins: Vec<Pin>,
}

// === impl ClientTls ===

impl ClientTls {
    /// Trusts the web's certificate authorities (Mozilla's list).
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn web_roots() -> Result<Self, ClientTlsError> {
        Self::new(TlsSettings::default())
    }

    /// Trusts the authorities in this PEM text, and no others.
    ///
    /// # Errors
    /// When the text holds no certificate, or one that is no trust anchor.
    pub fn authorities(pem: &[u8]) -> Result<Self, ClientTlsError> {
        Self::new(TlsSettings { authorities: Some(pem.to_vec()), ..TlsSettings::default() })
    }

    /// Trusts what the settings say, and nothing else.
    ///
    /// # Errors
    /// When a text holds no certificate, or one that is no trust anchor, or a key does not fit its certificate.
    pub fn new(settings: TlsSettings) -> Result<Self, ClientTlsError> {
        let wrong = |error: &dyn fmt::Display| ClientTlsError(error.to_string());
        let roots = match &settings.authorities {
            Some(pem) => authorities(pem)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| wrong(&error))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned { chain, pins: settings.pins.clone() }));
        let mut http1 = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
                let chain = chain.map_err(|error| wrong(&error))?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&error))?
            }
        };
        // A session that is resumed does not look at the certificate again: one that has expired would go on.
        http1.resumption = Resumption::disabled();
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { http1: Arc::new(http1), http2: Arc::new(http2), settings: Arc::new(settings) })
    }

    /// What is offered for this protocol.
    pub(crate) fn config(&self, protocol: Protocol) -> &Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }

    /// The name that is asked for in place of the host's.
    pub(crate) fn name(&self) -> Option<&str> {
        self.settings.name.as_deref()
    }
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for ClientTls {}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, ClientTlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| ClientTlsError(error.to_string()))?;
        roots.add(certificate).map_err(|error| ClientTlsError(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(ClientTlsError("the file holds no certificate".to_owned()));
    }
    Ok(roots)
}

// === impl Pinned ===

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(end_entity, intermediates, server_name, ocsp, now)?;
        let mut chain = std::iter::once(end_entity).chain(intermediates);
        if self.pins.is_empty() || chain.any(|one| pin(one).is_some_and(|pin| self.pins.contains(&pin))) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// The pin of a certificate's key.
pub fn pin(certificate: &CertificateDer<'_>) -> Option<Pin> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let key = parsed.subject_public_key_info();
    let CryptoProvider { cipher_suites, .. } = rustls::crypto::aws_lc_rs::default_provider();
    // The library's own SHA-256: that of the suites which name it.
    let hash = cipher_suites.iter().find_map(|suite| match suite {
        SupportedCipherSuite::Tls13(suite) if suite.common.hash_provider.output_len() == 32 => {
            Some(suite.common.hash_provider)
        }
        _ => None,
    })?;
    hash.hash(key.as_ref()).as_ref().try_into().ok()
}

// === impl ClientTlsError ===

impl fmt::Display for ClientTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientTlsError {}

#[cfg(test)]
mod tests;
