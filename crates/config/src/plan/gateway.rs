//! Changes of what holds for all APIs: the gateway itself, its listeners, limits and identities.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use super::{ALL, Changes, Effect, maybe, written};
use crate::config::Config;
use crate::model::{Acme, ApiKey, Challenge, Dpop, Identity, JwksSource, Jwt, KeptRequests, Listen, Tls};
use crate::value::{show_duration, show_size};

impl Changes {
    pub(super) fn gateway(&mut self, old: &Config, new: &Config) {
        let path = |old_path: &Path, new_path: &Path| (written(old, old_path), written(new, new_path));
        let dir = |config: &Config| config.secrets_dir.as_deref().map(|dir| written(config, dir));
        let sample = |config: &Config| config.otlp.as_ref().map(|otlp| format!("{}%", otlp.sample * 100.0));
        let endpoint = |config: &Config| config.otlp.as_ref().map(|otlp| otlp.endpoint.to_string());
        self.changed("gateway", ALL, "workers", (old.workers, new.workers), |n| maybe(n.as_ref()));
        self.changed("gateway", ALL, "data", path(&old.data, &new.data), String::clone);
        let (a, b) = (&old.control, &new.control);
        self.changed("gateway", ALL, "control.socket", path(&a.socket, &b.socket), String::clone);
        self.changed("gateway", ALL, "control.metrics", (a.metrics, b.metrics), |n| maybe(n.as_ref()));
        self.changed("gateway", ALL, "secrets.dir", (dir(old), dir(new)), |n| maybe(n.as_ref()));
        let (a, b) = (&old.events, &new.events);
        self.changed("gateway", ALL, "events.dir", path(&a.dir, &b.dir), String::clone);
        self.changed("gateway", ALL, "events.max_size", (a.max_size, b.max_size), |n| show_size(*n));
        self.changed("gateway", ALL, "events.max_age", (a.max_age, b.max_age), |n| show_duration(*n));
        let kept = |kept: &KeptRequests| {
            format!(
                "{}%, bodies up to {}, {} for {}",
                kept.sample * 100.0,
                show_size(kept.max_body),
                show_size(kept.max_size),
                show_duration(kept.max_age)
            )
        };
        let requests = (a.requests.as_ref().map(kept), b.requests.as_ref().map(kept));
        self.changed("gateway", ALL, "events.requests", requests, |n| maybe(n.as_ref()));
        let (a, b) = (&old.activation, &new.activation);
        self.changed("gateway", ALL, "activation.on_change", (a.on_change, b.on_change), |n| {
            format!("{n:?}").to_lowercase()
        });
        self.changed("gateway", ALL, "activation.deal", (a.deal, b.deal), |n| {
            format!("{n:?}").to_lowercase()
        });
        let (a, b) = (&a.guard, &b.guard);
        self.mode(ALL, "activation.guard.mode", (a.mode, b.mode));
        for (name, values) in [("window", (a.window, b.window)), ("watch", (a.watch, b.watch))] {
            let name = format!("activation.guard.{name}");
            self.changed("gateway", ALL, &name, values, |time| show_duration(*time));
        }
        let least = (a.least_requests, b.least_requests);
        self.changed("gateway", ALL, "activation.guard.least_requests", least, ToString::to_string);
        for (name, values) in [
            ("server_errors", (a.server_errors, b.server_errors)),
            ("refusals", (a.refusals, b.refusals)),
            ("slower", (a.slower, b.slower)),
        ] {
            self.ordered("gateway", ALL, &format!("activation.guard.{name}"), values, |share| {
                format!("{}%", share * 100.0)
            });
        }
        self.changed("gateway", ALL, "telemetry.otlp.endpoint", (endpoint(old), endpoint(new)), |n| {
            maybe(n.as_ref())
        });
        self.changed("gateway", ALL, "telemetry.otlp.sample", (sample(old), sample(new)), |n| {
            maybe(n.as_ref())
        });
    }

    pub(super) fn listeners(&mut self, old: &[Listen], new: &[Listen]) {
        let addresses = |list: &[Listen]| list.iter().map(|listen| listen.address).collect::<Vec<_>>();
        self.set(
            "listener",
            ALL,
            (&addresses(old), &addresses(new)),
            (
                |address| format!("listens on `{address}`"),
                |address| format!("no longer listens on `{address}`"),
            ),
        );
        for before in old {
            if let Some(after) = new.iter().find(|listen| listen.address == before.address) {
                self.listener(before, after);
            }
        }
    }

    fn listener(&mut self, old: &Listen, new: &Listen) {
        let address = old.address;
        let said = |effect, message: &str| (effect, format!("`{address}` {message}"));
        let mut said_all = Vec::new();
        match (&old.tls, &new.tls) {
            (Some(_), None) => said_all.push(said(Effect::Loosened, "no longer speaks TLS")),
            (None, Some(_)) => said_all.push(said(Effect::Tightened, "speaks TLS")),
            (Some(old), Some(new)) => {
                match (old.tls12, new.tls12) {
                    (false, true) => said_all.push(said(Effect::Loosened, "accepts TLS 1.2")),
                    (true, false) => said_all.push(said(Effect::Tightened, "refuses TLS 1.2")),
                    _ => {}
                }
                if old.acme != new.acme {
                    said_all.push(said(
                        Effect::Changed,
                        &format!("gets its own certificate {}", acme(new.acme.as_ref())),
                    ));
                }
                if certificates(old) != certificates(new) {
                    said_all.push(said(Effect::Changed, "shows other certificates"));
                }
            }
            (None, None) => {}
        }
        for (protocol, before, after) in
            [("HTTP/1.1", old.http1, new.http1), ("HTTP/2", old.http2, new.http2)]
        {
            match (before, after) {
                (false, true) => said_all.push(said(Effect::Loosened, &format!("speaks {protocol}"))),
                (true, false) => {
                    said_all.push(said(Effect::Tightened, &format!("no longer speaks {protocol}")))
                }
                _ => {}
            }
        }
        match (old.proxy_protocol, new.proxy_protocol) {
            (false, true) => {
                said_all.push(said(
                    Effect::Changed,
                    "believes the PROXY headers of its proxies, and requires them",
                ));
            }
            (true, false) => said_all.push(said(Effect::Changed, "no longer reads PROXY headers")),
            _ => {}
        }
        match (old.staging, new.staging) {
            (false, true) => said_all.push(said(Effect::Changed, "takes staging's traffic")),
            (true, false) => said_all.push(said(Effect::Changed, "takes production's traffic")),
            _ => {}
        }
        for (effect, message) in said_all {
            self.add(effect, "listener", ALL, message);
        }
        self.set(
            "listener",
            ALL,
            (&old.trusted_proxies, &new.trusted_proxies),
            (
                |proxy| format!("`{address}` believes proxies in `{proxy}`"),
                |proxy| format!("`{address}` no longer believes proxies in `{proxy}`"),
            ),
        );
    }

    pub(super) fn limits(&mut self, old: &Config, new: &Config) {
        let (a, b) = (&old.limits, &new.limits);
        for (name, values) in [
            ("head", (a.head, b.head)),
            ("target", (a.target, b.target)),
            ("body_memory", (a.body_memory, b.body_memory)),
            ("body_in_memory", (a.body_in_memory, b.body_in_memory)),
            ("body_disk", (a.body_disk, b.body_disk)),
        ] {
            self.ordered("limit", ALL, name, values, |bytes| show_size(*bytes as u64));
        }
        for (name, values) in [
            ("stream_body", (a.stream_body, b.stream_body)),
            ("websocket_message", (a.websocket_message, b.websocket_message)),
        ] {
            self.ordered("limit", ALL, name, values, |bytes| show_size(*bytes));
        }
        let dirs = (written(old, &a.body_dir), written(new, &b.body_dir));
        self.changed("limit", ALL, "body_dir", dirs, String::clone);
        let rate = (std::cmp::Reverse(a.stream_rate), std::cmp::Reverse(b.stream_rate));
        self.ordered("limit", ALL, "stream_rate", rate, |rate| format!("{}/s", show_size(rate.0)));
        self.ordered("limit", ALL, "headers", (a.headers, b.headers), ToString::to_string);
        self.ordered("limit", ALL, "streams", (a.streams, b.streams), ToString::to_string);
        self.ordered("limit", ALL, "connections", (a.connections, b.connections), ToString::to_string);
        let per_address = (a.connections_per_address, b.connections_per_address);
        self.ordered("limit", ALL, "connections_per_address", per_address, ToString::to_string);
        let (a, b) = (&a.timeouts, &b.timeouts);
        for (name, values) in [
            ("timeouts.proxy_header", (a.proxy_header, b.proxy_header)),
            ("timeouts.tls_handshake", (a.tls_handshake, b.tls_handshake)),
            ("timeouts.first_byte", (a.first_byte, b.first_byte)),
            ("timeouts.head", (a.head, b.head)),
            ("timeouts.body", (a.body, b.body)),
            ("timeouts.idle", (a.idle, b.idle)),
            ("timeouts.stream", (a.stream, b.stream)),
            ("timeouts.websocket", (a.websocket, b.websocket)),
            ("timeouts.write", (a.write, b.write)),
        ] {
            self.ordered("limit", ALL, name, values, |time| show_duration(*time));
        }
        self.changed("limit", ALL, "timeouts.drain", (a.drain, b.drain), |time| show_duration(*time));
    }

    pub(super) fn identities(&mut self, old: &BTreeMap<String, Identity>, new: &BTreeMap<String, Identity>) {
        for (name, after) in new {
            match (old.get(name), after) {
                (None, _) => self.add(Effect::Changed, "identity", ALL, format!("identity `{name}` is new")),
                (Some(Identity::Jwt(before)), Identity::Jwt(after)) => self.jwt(name, before, after),
                (Some(Identity::ApiKey(before)), Identity::ApiKey(after)) => {
                    self.api_key(name, before, after)
                }
                _ => {
                    let message = format!("identity `{name}` is proven in another way");
                    self.add(Effect::Loosened, "identity", ALL, message);
                }
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            self.add(Effect::Changed, "identity", ALL, format!("identity `{name}` is gone"));
        }
    }

    fn jwt(&mut self, name: &str, old: &Jwt, new: &Jwt) {
        // Another signer: callers get in who did not before, so it counts as loosened, whoever they are.
        if old.issuer != new.issuer {
            let message =
                format!("identity `{name}` is issued by `{}` instead of `{}`", new.issuer, old.issuer);
            self.add(Effect::Loosened, "identity", ALL, message);
        }
        if old.jwks != new.jwks {
            let message = format!(
                "identity `{name}` trusts keys from {} instead of {}",
                keys(&new.jwks),
                keys(&old.jwks)
            );
            self.add(Effect::Loosened, "identity", ALL, message);
        }
        for (what, before, after) in
            [("audience", &old.audience, &new.audience), ("algorithm", &old.algorithms, &new.algorithms)]
        {
            self.set(
                "identity",
                ALL,
                (before, after),
                (
                    |one| format!("identity `{name}` is accepted with {what} `{one}`"),
                    |one| format!("identity `{name}` is no longer accepted with {what} `{one}`"),
                ),
            );
        }
        let leeway = format!("leeway of identity `{name}`");
        self.ordered("identity", ALL, &leeway, (old.leeway, new.leeway), |time| show_duration(*time));
        // Compared the other way round: what is stricter is later.
        let dpop = |dpop: &Reverse<Dpop>| match dpop.0 {
            Dpop::Off => "off".to_owned(),
            Dpop::Allowed => "allowed".to_owned(),
            Dpop::Required => "required".to_owned(),
        };
        let name = format!("dpop of identity `{name}`");
        self.ordered("identity", ALL, &name, (Reverse(old.dpop), Reverse(new.dpop)), dpop);
        let nonce = |nonce: &Reverse<bool>| if nonce.0 { "required" } else { "off" }.to_owned();
        let name = name.replacen("dpop", "dpop_nonce", 1);
        self.ordered("identity", ALL, &name, (Reverse(old.dpop_nonce), Reverse(new.dpop_nonce)), nonce);
    }

    fn api_key(&mut self, name: &str, old: &ApiKey, new: &ApiKey) {
        if old.collection != new.collection {
            let message = format!(
                "identity `{name}` takes keys of `{}` instead of `{}`",
                new.collection, old.collection
            );
            self.add(Effect::Loosened, "identity", ALL, message);
        }
        let header = format!("header of identity `{name}`");
        self.changed("identity", ALL, &header, (&old.header, &new.header), |name| format!("`{name}`"));
    }
}

/// Certificates and keys, without regard to their order but for the first, which callers get that name no host.
fn certificates(tls: &Tls) -> (Option<String>, Vec<String>) {
    let mut all: Vec<_> = tls.certificates.iter().map(|(cert, key)| format!("{cert} {key}")).collect();
    let first = all.first().cloned();
    all.sort();
    (first, all)
}

/// How a listener gets its own certificate.
fn acme(acme: Option<&Acme>) -> String {
    let Some(Acme { directory, domains, contact, challenge, ca }) = acme else {
        return "no longer".to_owned();
    };
    let how = match challenge {
        Challenge::TlsAlpn => "tls-alpn-01",
        Challenge::Http => "http-01",
    };
    let mut text = format!("for {} from `{directory}` by {how}", domains.join(", "));
    if let Some(ca) = ca {
        text += &format!(" (trusting `{ca}`)");
    }
    if !contact.is_empty() {
        text += &format!(", contact {}", contact.join(", "));
    }
    text
}

fn keys(source: &JwksSource) -> String {
    match source {
        JwksSource::File(path) => format!("`{}`", path.display()),
        JwksSource::Url(url) => format!("`{url}`"),
        JwksSource::Discover(issuer) => format!("where `{issuer}` says"),
    }
}
