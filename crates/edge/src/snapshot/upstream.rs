//! Where calls go: from settings to what the pools work by.

use std::net::IpAddr;
use std::sync::Arc;

use haechi_config::{Diagnostic, model};
use haechi_guard::Principal;
use haechi_upstream::{
    Allowance, BreakerRule, Check, ClientTls, Ejection, Endpoint, Protocol, Retries, Scheme, SiteSpec,
    Target, TlsSettings, Upstream,
};

use super::compile::Compiler;
use crate::mirror::Mirror;
use crate::split::{Dealt, Part, Split};

/// In what an upstream and its parts are alike.
struct Alike<'a> {
    settings: &'a model::Upstream,
    tls: ClientTls,
    check: Option<Check>,
    copies: bool,
}

/// Where the calls of an API or a service go.
#[derive(Clone)]
pub(crate) struct Ways {
    main: Arc<Upstream>,
    /// What of them goes elsewhere.
    pub(crate) split: Option<Arc<Split>>,
    /// Where copies of them go.
    pub(crate) mirror: Option<Arc<Mirror>>,
}

// === impl Ways ===

impl Ways {
    /// Where one call goes.
    pub(crate) fn deal(&self, principal: Option<&Principal>, client: IpAddr) -> Dealt<'_> {
        Dealt::of(&self.main, self.split.as_deref(), principal, client)
    }
}

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn upstream(&mut self, path: [&str; 3], settings: &model::Upstream) -> Option<Ways> {
        let [_, name, _] = path;
        let tls = self.upstream_tls(&path, &settings.tls)?;
        let check = settings.health.as_ref().map(|health| self.check(&path, health));
        let check = match check {
            Some(check) => Some(check?),
            None => None,
        };
        let alike = Alike { settings, tls, check, copies: false };
        let main = self.addresses(&path, name, &settings.urls, &alike);
        let mut split = None;
        if let Some(settings) = &settings.split {
            let parts = settings.parts.iter().map(|(part, of)| {
                let mut upstream = self.addresses(&path, &format!("{name}/{part}"), &of.urls, &alike);
                // Where all of a part's addresses fail, main serves: none need be kept for want of another.
                upstream.ejection.at_most = 1.0;
                Part { name: part.as_str().into(), share: of.share, upstream }
            });
            let parts = parts.collect();
            split = Some(Arc::new(Split::new(name, settings, parts)));
        }
        let mirror = settings.mirror.as_ref().map(|mirror| {
            let alike = Alike { check: None, copies: true, ..alike };
            let mut upstream = self.addresses(&path, &format!("{name}/mirror"), &mirror.urls, &alike);
            upstream.retries.max = 0;
            upstream.breaker = None;
            Arc::new(Mirror::new(name, mirror, upstream))
        });
        Some(Ways { main: Arc::new(main), split, mirror })
    }

    /// The addresses of an upstream or a part of one; in all else parts are alike.
    fn addresses(
        &mut self,
        path: &[&str],
        name: &str,
        urls: &[model::WeightedUrl],
        Alike { settings, tls, check, copies }: &Alike<'_>,
    ) -> Upstream {
        let protocol = match settings.protocol {
            model::UpstreamProtocol::Http1 => Protocol::Http1,
            model::UpstreamProtocol::Http2 => Protocol::Http2,
        };
        let registry = self.lasting.upstreams.clone();
        let mut targets = Vec::new();
        for model::WeightedUrl { url, weight } in urls {
            let scheme = if url.tls { Scheme::Https } else { Scheme::Http };
            match Endpoint::new(scheme, &url.host, url.port, &url.path) {
                Ok(endpoint) => {
                    let spec = SiteSpec::new(&endpoint, protocol, tls.clone(), settings.refresh);
                    let site =
                        registry.site(SiteSpec { check: check.clone(), copies: *copies, ..spec }, &endpoint);
                    targets.push(Target { endpoint, weight: *weight, site });
                }
                Err(error) => self.refuse(path, Diagnostic::new("upstream", error.to_string())),
            }
        }
        let model::UpstreamRetries { max, reset, timeout, statuses, share, floor } = settings.retries.clone();
        let budget = Allowance { share, floor };
        let model::UpstreamEjection { failures, time, longest, at_most } = settings.ejection;
        let gate = registry.gate(name, &budget);
        gate.leads_to(&targets);
        Upstream {
            targets,
            timeout: settings.timeout,
            try_timeout: settings.try_timeout,
            connect_timeout: settings.connect_timeout,
            protocol,
            body_idle: settings.body_timeout,
            max_connections: settings.max_connections,
            retries: Retries { max, reset, timeout, statuses, budget },
            ejection: Ejection { failures, time, longest, at_most },
            breaker: settings.breaker.as_ref().map(|rule| BreakerRule {
                failures: rule.failures,
                least_calls: rule.least_calls,
                window: rule.window,
                open: rule.open,
                trials: rule.trials,
            }),
            gate,
        }
    }

    fn upstream_tls(&mut self, path: &[&str], settings: &model::UpstreamTls) -> Option<ClientTls> {
        let mut made = TlsSettings {
            pins: settings.pins.clone(),
            name: settings.name.clone(),
            ..TlsSettings::default()
        };
        if let Some(ca) = &settings.ca {
            made.authorities = Some(self.secret(path, ca)?.expose().to_vec());
        }
        if let Some((cert, key)) = &settings.identity {
            let cert = self.secret(path, cert)?.expose().to_vec();
            made.identity = Some((cert, self.secret(path, key)?.expose().to_vec()));
        }
        match ClientTls::new(made) {
            Ok(tls) => Some(tls),
            Err(error) => {
                self.refuse(path, Diagnostic::new("certificate", error.to_string()));
                None
            }
        }
    }

    fn check(&mut self, path: &[&str], health: &model::UpstreamHealth) -> Option<Check> {
        let target = match health.path.parse() {
            Ok(target) => target,
            Err(_) => {
                let message = format!("`{}` cannot be asked for", health.path);
                self.refuse(path, Diagnostic::new("upstream", message));
                return None;
            }
        };
        Some(Check {
            path: target,
            interval: health.interval,
            timeout: health.timeout,
            healthy: health.healthy,
            unhealthy: health.unhealthy,
            expect: health.expect.clone(),
        })
    }
}
