//! TLS towards callers: certificates chosen by SNI, TLS 1.2 and 1.3, post-quantum key exchange preferred.

use std::cell::Cell;
use std::io;
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
        let key = of_name.or_else(first).map(|certificate| certificate.key.clone())?;
        SIGNED.set(
            key.key.choose_scheme(hello.signature_schemes()).and_then(|signer| signer.scheme().as_str()),
        );
        Some(key)
    }
}

thread_local! {
    /// The scheme by which the handshake that is worked on at this moment is signed. The TLS library does not tell it afterwards, but it
    /// asks for the certificate, and all of one step of a handshake happens between two suspensions on one thread.
    static SIGNED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Does one step of a handshake; also tells by which scheme it was signed, if it was in this step.
pub(crate) fn signed_within<T>(step: impl FnOnce() -> T) -> (T, Option<&'static str>) {
    SIGNED.set(None);
    let done = step();
    (done, SIGNED.take())
}

/// Why a handshake failed, in one word.
pub(crate) fn cause(error: &io::Error) -> &'static str {
    use rustls::{AlertDescription as Alert, Error, PeerIncompatible};
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        // It went away, or broke, before there was anything to say.
        return "closed";
    };
    match error {
        Error::AlertReceived(Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown) => {
            "certificate-not-trusted"
        }
        Error::AlertReceived(Alert::CertificateExpired) => "certificate-expired",
        Error::AlertReceived(_) => "alert",
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => "version",
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon) => "cipher",
        Error::PeerIncompatible(
            PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired,
        ) => "group",
        Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon) => "signature",
        Error::PeerIncompatible(_) => "incompatible",
        Error::NoApplicationProtocol => "protocol",
        Error::InvalidMessage(_) => "not-tls",
        Error::General(_) => "no-certificate",
        _ => "other",
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
