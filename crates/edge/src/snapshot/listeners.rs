//! Listeners: addresses, and the certificates that are shown there.

use std::collections::HashMap;
use std::sync::Arc;

use haechi_acme::{Certified, Challenge, Managed, Wanted};
use haechi_config::{Diagnostic, model};
use haechi_upstream::ClientTls;
use rustls::ServerConfig;

use super::compile::Compiler;
use super::{Listener, Protocols, Shown};
use crate::tls::{self, TlsOptions};

impl Compiler<'_> {
    pub(super) fn listeners(&mut self) -> HashMap<Arc<str>, Listener> {
        let mut listeners = HashMap::new();
        for (order, listen) in self.config.listen.iter().enumerate() {
            let index = order.to_string();
            let (tls, shown) = match &listen.tls {
                Some(tls) => match self.tls(&["listen", &index, "tls"], tls, listen) {
                    Some((tls, shown)) => (Some(tls), shown),
                    None => continue,
                },
                None => (None, Vec::new()),
            };
            let listener = Listener {
                order,
                address: listen.address,
                tls,
                shown,
                staging: listen.staging,
                protocols: Protocols { http1: listen.http1, http2: listen.http2 },
                trusted: listen.trusted_proxies.clone(),
                proxied: listen.proxy_protocol,
            };
            // Several listeners on port 0 are several listeners.
            let name = if listen.address.port() == 0 {
                format!("{}#{index}", listen.address)
            } else {
                listen.address.to_string()
            };
            listeners.insert(name.into(), listener);
        }
        listeners
    }

    fn tls(
        &mut self,
        path: &[&str],
        tls: &model::Tls,
        listen: &model::Listen,
    ) -> Option<(Arc<ServerConfig>, Vec<Shown>)> {
        let mut shown = Vec::new();
        let mut certificates = Vec::new();
        for (certificate, key) in &tls.certificates {
            let (pem, key) = (self.secret(path, certificate)?, self.secret(path, key)?);
            match Certified::from_pem(pem.expose(), key.expose(), &tls::provider()) {
                Ok(certified) => {
                    let certified = Arc::new(certified);
                    shown.push(Shown::Given(certificate.to_string().into(), certified.clone()));
                    certificates.push(certified);
                }
                Err(message) => {
                    let message = format!("`{certificate}`: {message}");
                    self.refuse(path, Diagnostic::new("certificate", message));
                    return None;
                }
            }
        }
        let managed = match &tls.acme {
            Some(acme) => Some(self.managed(path, acme)?),
            None => None,
        };
        shown.extend(managed.clone().map(Shown::Managed));
        let mut alpn = Vec::new();
        if listen.http2 {
            alpn.push(b"h2".to_vec());
        }
        if listen.http1 {
            alpn.push(b"http/1.1".to_vec());
            alpn.push(b"http/1.0".to_vec());
        }
        let options = TlsOptions {
            tls12: tls.tls12,
            alpn,
            certificates,
            challenges: managed.as_ref().map(|_| self.lasting.acme.challenges().clone()),
            managed: managed.into_iter().map(|managed| managed.slot).collect(),
        };
        match tls::server_config(options, &self.lasting.tickets) {
            Ok(config) => Some((config, shown)),
            Err(error) => {
                self.refuse(path, Diagnostic::new("certificate", error.to_string()));
                None
            }
        }
    }

    fn managed(&mut self, path: &[&str], acme: &model::Acme) -> Option<Managed> {
        let trust = match &acme.ca {
            Some(reference) => ClientTls::authorities(self.secret(path, reference)?.expose()),
            None => ClientTls::web_roots(),
        };
        match trust {
            Ok(trust) => Some(self.lasting.acme.manage(Wanted {
                directory: acme.directory.to_string(),
                contact: acme.contact.clone(),
                domains: acme.domains.clone(),
                challenge: match acme.challenge {
                    model::Challenge::TlsAlpn => Challenge::TlsAlpn,
                    model::Challenge::Http => Challenge::Http,
                },
                trust,
            })),
            Err(error) => {
                self.refuse(path, Diagnostic::new("certificate", error.to_string()));
                None
            }
        }
    }
}
