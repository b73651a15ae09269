//! Where calls go: from settings to what the pools work by.

use haechi_config::{Diagnostic, model};
use haechi_upstream::{
    Allowance, BreakerRule, Check, ClientTls, Ejection, Endpoint, Protocol, Retries, Scheme, SiteSpec,
    Target, TlsSettings, Upstream,
};

use super::compile::Compiler;

impl Compiler<'_> {
    pub(super) fn upstream(&mut self, path: [&str; 3], settings: &model::Upstream) -> Option<Upstream> {
        let tls = self.upstream_tls(&path, &settings.tls)?;
        let protocol = match settings.protocol {
            model::UpstreamProtocol::Http1 => Protocol::Http1,
            model::UpstreamProtocol::Http2 => Protocol::Http2,
        };
        let check = settings.health.as_ref().map(|health| self.check(&path, health));
        let check = match check {
            Some(check) => Some(check?),
            None => None,
        };
        let registry = self.lasting.upstreams.clone();
        let mut targets = Vec::new();
        for model::WeightedUrl { url, weight } in &settings.urls {
            let scheme = if url.tls { Scheme::Https } else { Scheme::Http };
            match Endpoint::new(scheme, &url.host, url.port, &url.path) {
                Ok(endpoint) => {
                    let spec = SiteSpec::new(&endpoint, protocol, tls.clone(), settings.refresh);
                    let site = registry.site(SiteSpec { check: check.clone(), ..spec }, &endpoint);
                    targets.push(Target { endpoint, weight: *weight, site });
                }
                Err(error) => self.refuse(&path, Diagnostic::new("upstream", error.to_string())),
            }
        }
        let model::UpstreamRetries { max, reset, timeout, statuses, share, floor } = settings.retries.clone();
        let budget = Allowance { share, floor };
        let model::UpstreamEjection { failures, time, longest, at_most } = settings.ejection;
        let gate = registry.gate(path.get(1).copied().unwrap_or_default(), &budget);
        gate.leads_to(&targets);
        Some(Upstream {
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
        })
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
