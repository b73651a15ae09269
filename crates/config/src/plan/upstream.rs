//! Where calls go.

use super::{At, Changes, maybe};
use crate::model::{
    Sticky, Upstream, UpstreamMirror, UpstreamPart, UpstreamProtocol, UpstreamRetries, UpstreamSplit,
    WeightedUrl,
};
use crate::value::{HttpUrl, show_duration};

impl Changes {
    /// Where calls go, and what happens when that fails.
    pub(super) fn upstream(&mut self, at: At<'_>, a: &Upstream, b: &Upstream) {
        self.changed("upstream", at, "upstream", (urls(&a.urls), urls(&b.urls)), String::clone);
        let protocol = |protocol: &UpstreamProtocol| match protocol {
            UpstreamProtocol::Http1 => "http1".to_owned(),
            UpstreamProtocol::Http2 => "http2".to_owned(),
        };
        self.changed("upstream", at, "upstream.protocol", (a.protocol, b.protocol), protocol);
        let times = |a: std::time::Duration, b| (a, b);
        self.ordered("timeout", at, "connect_timeout", times(a.connect_timeout, b.connect_timeout), |time| {
            show_duration(*time)
        });
        self.ordered("timeout", at, "body_timeout", (a.body_timeout, b.body_timeout), |time| {
            show_duration(*time)
        });
        self.changed("timeout", at, "try_timeout", (a.try_timeout, b.try_timeout), |time| {
            maybe(time.map(show_duration))
        });
        self.changed("upstream", at, "upstream.refresh", (a.refresh, b.refresh), |time| show_duration(*time));
        let connections = (a.max_connections, b.max_connections);
        self.ordered("limit", at, "max_connections", connections, ToString::to_string);
        self.retries(at, &a.retries, &b.retries);
        self.ejection_and_health(at, a, b);
        self.upstream_tls(at, a, b);
        self.split(at, a.split.as_ref(), b.split.as_ref());
        let mirror = |mirror: &Option<UpstreamMirror>| {
            let show = |UpstreamMirror { urls, share, methods }: &UpstreamMirror| {
                format!("{} of {} to {}", thousandths(*share), methods.join(", "), self::urls(urls))
            };
            maybe(mirror.as_ref().map(show))
        };
        self.changed("upstream", at, "mirror", (a.mirror.clone(), b.mirror.clone()), mirror);
    }

    fn split(&mut self, at: At<'_>, a: Option<&UpstreamSplit>, b: Option<&UpstreamSplit>) {
        let sticky = |split: Option<&UpstreamSplit>| {
            maybe(split.and_then(|split| split.sticky).map(|sticky| match sticky {
                Sticky::Principal => "principal",
                Sticky::Credential => "credential",
                Sticky::Address => "address",
            }))
        };
        self.changed("upstream", at, "split.sticky", (sticky(a), sticky(b)), String::clone);
        let parts = |split: Option<&UpstreamSplit>| split.map_or_else(Vec::new, |split| split.parts.clone());
        let (a, b) = (parts(a), parts(b));
        let show = |part: &Option<UpstreamPart>| {
            maybe(part.as_ref().map(|part| format!("{} to {}", thousandths(part.share), urls(&part.urls))))
        };
        let of = |parts: &[(String, UpstreamPart)], name: &str| {
            parts.iter().find(|(known, _)| known == name).map(|(_, part)| part.clone())
        };
        let names = |parts: &[(String, UpstreamPart)]| -> Vec<_> {
            parts.iter().map(|(name, _)| name.clone()).collect()
        };
        let (before, after) = (names(&a), names(&b));
        for name in before.iter().chain(after.iter().filter(|name| !before.contains(name))) {
            self.changed("upstream", at, &format!("split.{name}"), (of(&a, name), of(&b, name)), show);
        }
        // Which of several gives way when another grows, where callers stay.
        let both = |names: &[String], others: &[String]| -> Vec<_> {
            names.iter().filter(|name| others.contains(name)).cloned().collect()
        };
        let order = (both(&before, &after), both(&after, &before));
        self.changed("upstream", at, "split.parts in order", order, |names| names.join(", "));
    }

    fn retries(&mut self, at: At<'_>, a: &UpstreamRetries, b: &UpstreamRetries) {
        let on = |retries: &UpstreamRetries| {
            let mut on = Vec::new();
            on.extend(retries.reset.then(|| "reset".to_owned()));
            on.extend(retries.timeout.then(|| "timeout".to_owned()));
            on.extend(retries.statuses.iter().map(ToString::to_string));
            on.sort();
            if on.is_empty() { "nothing".to_owned() } else { on.join(", ") }
        };
        self.changed("upstream", at, "retries.max", (a.max, b.max), ToString::to_string);
        self.changed("upstream", at, "retries.on", (on(a), on(b)), String::clone);
        self.changed("upstream", at, "retries.share", (a.share, b.share), percent);
        self.changed("upstream", at, "retries.floor", (a.floor, b.floor), ToString::to_string);
    }

    fn ejection_and_health(&mut self, at: At<'_>, a: &Upstream, b: &Upstream) {
        let (x, y) = (&a.ejection, &b.ejection);
        self.changed("upstream", at, "ejection.failures", (x.failures, y.failures), ToString::to_string);
        self.changed("upstream", at, "ejection.for", (x.time, y.time), |time| show_duration(*time));
        self.changed("upstream", at, "ejection.longest", (x.longest, y.longest), |time| show_duration(*time));
        self.changed("upstream", at, "ejection.at_most", (x.at_most, y.at_most), percent);
        let breaker = |upstream: &Upstream| {
            upstream.breaker.as_ref().map(|rule| {
                format!(
                    "{} of {} calls in {}, open for {}, {} trials",
                    percent(&rule.failures),
                    rule.least_calls,
                    show_duration(rule.window),
                    show_duration(rule.open),
                    rule.trials
                )
            })
        };
        self.changed("upstream", at, "breaker", (breaker(a), breaker(b)), |rule| maybe(rule.as_ref()));
        let health = |upstream: &Upstream| {
            upstream.health.as_ref().map(|check| {
                let expect: Vec<_> = check.expect.iter().map(ToString::to_string).collect();
                format!(
                    "{} every {}, within {}, {} good, {} bad, expects {}",
                    check.path,
                    show_duration(check.interval),
                    show_duration(check.timeout),
                    check.healthy,
                    check.unhealthy,
                    if expect.is_empty() { "2xx".to_owned() } else { expect.join(", ") }
                )
            })
        };
        self.changed("upstream", at, "health", (health(a), health(b)), |check| maybe(check.as_ref()));
    }

    fn upstream_tls(&mut self, at: At<'_>, a: &Upstream, b: &Upstream) {
        let (a, b) = (&a.tls, &b.tls);
        self.changed("upstream", at, "upstream.tls.ca", (&a.ca, &b.ca), |ca| maybe(ca.as_ref()));
        let identity = |identity: &Option<(crate::SecretRef, crate::SecretRef)>| {
            maybe(identity.as_ref().map(|(cert, key)| format!("{cert}, {key}")))
        };
        self.changed(
            "upstream",
            at,
            "upstream.tls identity",
            (a.identity.clone(), b.identity.clone()),
            identity,
        );
        self.changed("upstream", at, "upstream.tls.name", (&a.name, &b.name), |name| maybe(name.as_ref()));
        let pins = |pins: &Vec<[u8; 32]>| match pins.len() {
            0 => "none".to_owned(),
            // Enough to tell them apart.
            _ => pins
                .iter()
                .map(|pin| format!("{:02x?}", &pin.first_chunk::<4>()))
                .collect::<Vec<_>>()
                .join(", "),
        };
        self.changed("upstream", at, "upstream.tls.pins", (a.pins.clone(), b.pins.clone()), pins);
    }
}

fn urls(urls: &[WeightedUrl]) -> String {
    let show = |WeightedUrl { url, weight }: &WeightedUrl| {
        let url: &HttpUrl = url;
        if *weight == 1 { url.to_string() } else { format!("{url} (weight {weight})") }
    };
    let mut urls: Vec<_> = urls.iter().map(show).collect();
    urls.sort();
    urls.join(", ")
}

fn percent(share: &f64) -> String {
    format!("{}%", share * 100.0)
}

fn thousandths(share: u16) -> String {
    format!("{}%", f64::from(share) / 10.0)
}
