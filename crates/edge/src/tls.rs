//! TLS towards callers: certificates chosen by SNI, TLS 1.2 and 1.3, post-quantum key exchange preferred.

use std::sync::Arc;

use haechi_acme::{Certified, Challenges, Slot, TLS_ALPN};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

/// How a listener speaks TLS.
pub(crate) struct TlsOptions {
    /// Whether TLS 1.2 is accepted beside 1.3.
    pub(crate) tls12: bool,
    /// Protocols offered by ALPN, preferred first.
    pub(crate) alpn: Vec<Vec<u8>>,
    /// Certificates that are there.
    pub(crate) certificates: Vec<Arc<Certified>>,
    /// Certificates that the gateway gets itself.
    pub(crate) managed: Vec<Arc<Slot>>,
    /// What a certificate authority that validates is told; nothing on listeners without certificates of its.
    pub(crate) challenges: Option<Arc<Challenges>>,
}

/// What makes session tickets. Lives as long as the process, so that sessions resume across activations.
pub(crate) type Tickets = Arc<dyn ProducesTickets>;

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
    options: TlsOptions,
    tickets: &Tickets,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
    static NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    let TlsOptions { tls12, mut alpn, certificates, managed, challenges } = options;
    if challenges.is_some() {
        alpn.push(TLS_ALPN.to_vec());
    }
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(if tls12 { BOTH } else { NEWEST })?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(BySni { certificates, managed, challenges }));
    config.alpn_protocols = alpn;
    config.ticketer = tickets.clone();
    // One ticket is what a client uses; a second only costs another encryption per handshake.
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

// === BySni ===

/// The first certificate that is valid for the name the client asks for; else the first of all, so that clients
/// without SNI, and those that ask by address, get an answer they can judge. Where the only certificate is still
/// being ordered, the handshake is refused: a stand-in would teach clients to accept anything.
#[derive(Debug)]
struct BySni {
    certificates: Vec<Arc<Certified>>,
    managed: Vec<Arc<Slot>>,
    challenges: Option<Arc<Challenges>>,
}

impl ResolvesServerCert for BySni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(challenges) = &self.challenges
            && is_validation(&hello)
        {
            return challenges.tls(hello.server_name()?);
        }
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let managed = || self.managed.iter().filter_map(|slot| slot.certified());
        let mut all = self.certificates.iter().cloned().chain(managed());
        let of_name = name.and_then(|name| all.find(|certificate| certificate.is_for(&name)));
        let first = || self.certificates.first().cloned().or_else(|| managed().next());
        of_name.or_else(first).map(|certificate| certificate.key.clone())
    }
}

/// Whether this is a certificate authority that validates a name: it offers this one protocol (RFC 8737, section 3).
fn is_validation(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| offered.next() == Some(TLS_ALPN) && offered.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_key_exchange_comes_first() {
        let first = provider().kx_groups.first().map(|group| group.name());
        assert_eq!(first, Some(rustls::NamedGroup::X25519MLKEM768));
    }
}
