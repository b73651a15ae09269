//! Changes of what is served without a contract, and of how callers arrive.

use super::{ALL, Changes, Effect, maybe, openly};
use crate::config::Config;
use crate::effective::service_settings;
use crate::model::{Channel, Service};
use crate::value::show_size;

impl Changes {
    pub(super) fn channels(&mut self, old: &[(String, Channel)], new: &[(String, Channel)]) {
        for (name, after) in new {
            let Some((_, before)) = old.iter().find(|(known, _)| known == name) else {
                self.add(Effect::Changed, "channel", ALL, format!("channel `{name}` is new"));
                continue;
            };
            let when = format!("`when` of channel `{name}`");
            self.changed("channel", ALL, &when, (&before.when, &after.when), |when| format!("`{when}`"));
            let most = format!("`max_body` of channel `{name}`");
            match (before.max_body, after.max_body) {
                (Some(before), Some(after)) => {
                    self.ordered("body", ALL, &most, (before, after), |bytes| show_size(*bytes));
                }
                (before, after) if before != after => {
                    let effect = if after.is_none() { Effect::Loosened } else { Effect::Tightened };
                    let show = |bytes: Option<u64>| maybe(bytes.map(show_size));
                    self.add(effect, "body", ALL, format!("{most}: {} → {}", show(before), show(after)));
                }
                _ => {}
            }
        }
        for (name, _) in old.iter().filter(|(name, _)| !new.iter().any(|(known, _)| known == name)) {
            self.add(Effect::Changed, "channel", ALL, format!("channel `{name}` is gone"));
        }
        // The first that fits is taken, so another order is another meaning.
        let kept = |list: &[(String, Channel)], other: &[(String, Channel)]| -> Vec<String> {
            let both = list.iter().map(|(name, _)| name);
            both.filter(|name| other.iter().any(|(known, _)| known == *name)).cloned().collect()
        };
        let order = (kept(old, new), kept(new, old));
        self.changed("channel", ALL, "order of channels", order, |names| names.join(", "));
    }

    pub(super) fn services(&mut self, old: &Config, new: &Config) {
        for (name, after) in &new.services {
            let at = (name.as_str(), "");
            let settings = service_settings(new, after);
            let Some((_, before)) = old.services.iter().find(|(known, _)| known == name) else {
                let what =
                    if after.target.upstream().is_some() { "exposed without a contract" } else { "answered" };
                let message = format!("`{}` is newly {what}{}", below(after), openly(&settings));
                self.add(Effect::Loosened, "exposure", at, message);
                continue;
            };
            let prefixes = (&before.prefix, &after.prefix);
            self.changed("exposure", at, "prefix", prefixes, |prefix| format!("`{prefix}`"));
            let only = |exact: &bool| if *exact { "this path" } else { "all below it" }.to_owned();
            self.changed("exposure", at, "what is served of it", (before.exact, after.exact), only);
            self.host(at, before.host.as_deref(), after.host.as_deref());
            self.scheme(at, before.scheme, after.scheme);
            self.target(at, (old, &before.target), (new, &after.target));
            self.set(
                "exposure",
                at,
                (&before.methods, &after.methods),
                (|method| format!("takes `{method}`"), |method| format!("no longer takes `{method}`")),
            );
            let mut was = service_settings(old, before);
            if before.target.upstream().is_none() || after.target.upstream().is_none() {
                // Only an upstream has one: that it came or went is told already.
                was.timeout = settings.timeout;
            }
            self.operation(at, (Some(old), &was), (Some(new), &settings));
        }
        for (name, before) in &old.services {
            if !new.services.iter().any(|(known, _)| known == name) {
                let message = format!("`{}` is no longer exposed", below(before));
                self.add(Effect::Tightened, "exposure", (name, ""), message);
            }
        }
    }
}

/// Everything below a service's prefix, or its one path.
fn below(service: &Service) -> String {
    let host = service.host.as_deref().unwrap_or_default();
    if service.exact {
        return format!("{host}{}", service.prefix);
    }
    format!("{host}{}/*", service.prefix.trim_end_matches('/'))
}
