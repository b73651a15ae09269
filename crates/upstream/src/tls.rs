//! Whom an `https` upstream must prove to be.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::endpoint::Protocol;

/// Trust for connections to `https` endpoints. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// A trust anchor that cannot be used.
#[derive(Debug)]
pub struct ClientTlsError(String);

// === impl ClientTls ===

impl ClientTls {
    /// Trusts the web's certificate authorities (Mozilla's list).
    ///
    /// # Errors
    /// When the TLS library refuses its own defaults.
    pub fn web_roots() -> Result<Self, ClientTlsError> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::with_roots(roots)
    }

    /// Trusts the authorities in this PEM text, and no others.
    ///
    /// # Errors
    /// When the text holds no certificate, or one that is no trust anchor.
    pub fn authorities(pem: &[u8]) -> Result<Self, ClientTlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| ClientTlsError(error.to_string()))?;
            roots.add(certificate).map_err(|error| ClientTlsError(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(ClientTlsError("the file holds no certificate".to_owned()));
        }
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, ClientTlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut http1 = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientTlsError(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { http1: Arc::new(http1), http2: Arc::new(http2) })
    }

    /// What is offered for this protocol.
    pub(crate) fn config(&self, protocol: Protocol) -> &Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        }
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}

// === impl ClientTlsError ===

impl fmt::Display for ClientTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ClientTlsError {}
