//! What changes in meaning from one configuration to another. Order, comments and spelt-out defaults are no changes.

use std::collections::BTreeMap;
use std::fmt;

use haechi_guard::Mode;
use serde::Serialize;

use crate::config::Config;
use crate::effective::{OperationSettings, effective};
use crate::model::{Api, Auth, Identity, Listen};
use crate::value::{show_duration, show_size};

/// The operations of each API, as its contract names them.
pub type Operations = BTreeMap<String, Vec<OperationView>>;

/// One operation of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationView {
    /// Its id.
    pub id: String,
    /// Its method.
    pub method: String,
    /// Its path template, base path included.
    pub path: String,
}

/// Which way a change goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// More is let through than before.
    Loosened,
    /// Less is let through than before.
    Tightened,
    /// Neither.
    Changed,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which way it goes.
    pub effect: Effect,
    /// What it is about: `exposure`, `authentication`, `plan`, `body`, `timeout`, `mode`, `upstream`, `identity`,
    /// `listener`, `limit`.
    pub kind: &'static str,
    /// The API, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The operation, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// From what to what.
    pub message: String,
}

/// All changes, the loosened ones first.
pub fn diff(old: (&Config, &Operations), new: (&Config, &Operations)) -> Vec<Change> {
    let mut changes = Changes::default();
    changes.listeners(&old.0.listen, &new.0.listen);
    changes.limits(old.0, new.0);
    changes.identities(&old.0.identity, &new.0.identity);
    changes.plans(old.0, new.0);
    let apis = |config: &Config| config.apis.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let mut names = apis(old.0);
    names.extend(apis(new.0).into_iter().filter(|name| !old.0.apis.iter().any(|(known, _)| known == name)));
    for name in names {
        changes.api(&name, side(old, &name).as_ref(), side(new, &name).as_ref());
    }
    changes.0.sort_by(|a, b| {
        (a.effect, &a.api, &a.operation, a.kind).cmp(&(b.effect, &b.api, &b.operation, b.kind))
    });
    changes.0
}

/// One API on one side.
struct Side<'a> {
    config: &'a Config,
    api: &'a Api,
    operations: &'a [OperationView],
}

fn side<'a>((config, operations): (&'a Config, &'a Operations), name: &str) -> Option<Side<'a>> {
    let (_, api) = config.apis.iter().find(|(known, _)| known == name)?;
    Some(Side { config, api, operations: operations.get(name).map_or(&[], Vec::as_slice) })
}

#[derive(Default)]
struct Changes(Vec<Change>);

// === impl Changes ===

impl Changes {
    fn add(&mut self, effect: Effect, kind: &'static str, place: (&str, &str), message: String) {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        self.0.push(Change { effect, kind, api: named(place.0), operation: named(place.1), message });
    }

    fn listeners(&mut self, old: &[Listen], new: &[Listen]) {
        let find = |list: &[Listen], address| list.iter().find(|listen| listen.address == address).cloned();
        for listen in new.iter().filter(|listen| find(old, listen.address).is_none()) {
            self.add(Effect::Loosened, "listener", ("", ""), format!("listens on `{}`", listen.address));
        }
        for before in old {
            let Some(after) = find(new, before.address) else {
                let message = format!("no longer listens on `{}`", before.address);
                self.add(Effect::Tightened, "listener", ("", ""), message);
                continue;
            };
            let at = before.address;
            match (&before.tls, &after.tls) {
                (Some(_), None) => {
                    self.add(Effect::Loosened, "listener", ("", ""), format!("`{at}` no longer speaks TLS"));
                }
                (None, Some(_)) => {
                    self.add(Effect::Tightened, "listener", ("", ""), format!("`{at}` speaks TLS"))
                }
                (Some(before), Some(after)) if before.tls12 != after.tls12 => {
                    let (effect, what) = if after.tls12 {
                        (Effect::Loosened, "accepts")
                    } else {
                        (Effect::Tightened, "refuses")
                    };
                    self.add(effect, "listener", ("", ""), format!("`{at}` {what} TLS 1.2"));
                }
                _ => {}
            }
            for proxy in after.trusted_proxies.iter().filter(|proxy| !before.trusted_proxies.contains(proxy))
            {
                self.add(
                    Effect::Loosened,
                    "listener",
                    ("", ""),
                    format!("`{at}` believes proxies in `{proxy}`"),
                );
            }
            for proxy in before.trusted_proxies.iter().filter(|proxy| !after.trusted_proxies.contains(proxy))
            {
                let message = format!("`{at}` no longer believes proxies in `{proxy}`");
                self.add(Effect::Tightened, "listener", ("", ""), message);
            }
        }
    }

    fn limits(&mut self, old: &Config, new: &Config) {
        let (a, b) = (&old.limits, &new.limits);
        let size = |bytes: usize| show_size(bytes as u64);
        let count = |number: u64| number.to_string();
        let time = |time: std::time::Duration| show_duration(time);
        let (s, t) = (&a.timeouts, &b.timeouts);
        for (name, before, after, texts) in [
            ("head", a.head as u64, b.head as u64, (size(a.head), size(b.head))),
            (
                "headers",
                a.headers as u64,
                b.headers as u64,
                (count(a.headers as u64), count(b.headers as u64)),
            ),
            ("target", a.target as u64, b.target as u64, (size(a.target), size(b.target))),
            (
                "streams",
                a.streams.into(),
                b.streams.into(),
                (count(a.streams.into()), count(b.streams.into())),
            ),
            (
                "connections",
                a.connections as u64,
                b.connections as u64,
                (count(a.connections as u64), count(b.connections as u64)),
            ),
            (
                "connections_per_address",
                a.connections_per_address.into(),
                b.connections_per_address.into(),
                (count(a.connections_per_address.into()), count(b.connections_per_address.into())),
            ),
            (
                "first_byte",
                millis(s.first_byte),
                millis(t.first_byte),
                (time(s.first_byte), time(t.first_byte)),
            ),
            ("head time", millis(s.head), millis(t.head), (time(s.head), time(t.head))),
            ("body time", millis(s.body), millis(t.body), (time(s.body), time(t.body))),
            ("idle time", millis(s.idle), millis(t.idle), (time(s.idle), time(t.idle))),
            ("write time", millis(s.write), millis(t.write), (time(s.write), time(t.write))),
        ] {
            self.ordered("limit", ("", ""), name, (before, after), texts);
        }
    }

    fn identities(&mut self, old: &BTreeMap<String, Identity>, new: &BTreeMap<String, Identity>) {
        for (name, after) in new {
            match old.get(name) {
                Some(before) if before == after => {}
                Some(_) => {
                    let message = format!("identity `{name}` is proven in another way");
                    self.add(Effect::Loosened, "identity", ("", ""), message);
                }
                None => self.add(Effect::Changed, "identity", ("", ""), format!("identity `{name}` is new")),
            }
        }
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            self.add(Effect::Changed, "identity", ("", ""), format!("identity `{name}` is gone"));
        }
    }

    fn plans(&mut self, old: &Config, new: &Config) {
        for (name, after) in &new.plans {
            let Some(before) = old.plans.get(name) else { continue };
            if before == after {
                continue;
            }
            let looser = after.rate.per_second() > before.rate.per_second()
                || after.burst > before.burst
                || after.per != before.per;
            let effect = if looser { Effect::Loosened } else { Effect::Tightened };
            let message = format!(
                "plan `{name}`: {} burst {} → {} burst {}",
                before.rate, before.burst, after.rate, after.burst
            );
            self.add(effect, "plan", ("", ""), message);
        }
    }

    fn api(&mut self, name: &str, old: Option<&Side<'_>>, new: Option<&Side<'_>>) {
        if let (Some(old), Some(new)) = (old, new) {
            if old.api.upstream.urls != new.api.upstream.urls {
                let urls = |api: &Api| {
                    api.upstream.urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                };
                let message = format!("goes to {} instead of {}", urls(new.api), urls(old.api));
                self.add(Effect::Changed, "upstream", (name, ""), message);
            }
            if old.api.host != new.api.host {
                let host = |api: &Api| api.host.clone().unwrap_or_else(|| "any host".to_owned());
                let message = format!("is served on {} instead of {}", host(new.api), host(old.api));
                let effect = if new.api.host.is_none() { Effect::Loosened } else { Effect::Changed };
                self.add(effect, "exposure", (name, ""), message);
            }
            let unknown = |side: &Side<'_>| side.api.validate.unknown_paths.unwrap_or(Mode::Enforce);
            self.mode((name, ""), "unknown_paths", (unknown(old), unknown(new)));
        }
        let exposed = |side: Option<&Side<'_>>| -> BTreeMap<String, (String, OperationSettings)> {
            let Some(side) = side else { return BTreeMap::new() };
            let operations = side.operations.iter();
            operations
                .map(|view| (view, effective(side.config, side.api, &view.id)))
                .filter(|(_, settings)| settings.exposed)
                .map(|(view, settings)| {
                    (view.id.clone(), (format!("{} {}", view.method, view.path), settings))
                })
                .collect()
        };
        let (before, after) = (exposed(old), exposed(new));
        for (id, (call, settings)) in &after {
            match before.get(id) {
                None => {
                    let who = if settings.auth == Auth::None { " without authentication" } else { "" };
                    let message = format!("`{call}` is newly exposed{who}");
                    self.add(Effect::Loosened, "exposure", (name, id), message);
                }
                Some((old_call, old_settings)) => {
                    if old_call != call {
                        self.add(
                            Effect::Changed,
                            "exposure",
                            (name, id),
                            format!("`{old_call}` is now `{call}`"),
                        );
                    }
                    self.operation((name, id), old_settings, settings);
                }
            }
        }
        for (id, (call, _)) in before.iter().filter(|(id, _)| !after.contains_key(*id)) {
            self.add(Effect::Tightened, "exposure", (name, id), format!("`{call}` is no longer exposed"));
        }
    }

    fn operation(&mut self, place: (&str, &str), old: &OperationSettings, new: &OperationSettings) {
        match (&old.auth, &new.auth) {
            (before, after) if before == after => {}
            (_, Auth::None) => {
                self.add(
                    Effect::Loosened,
                    "authentication",
                    place,
                    "newly without authentication".to_owned(),
                );
            }
            (Auth::None, Auth::Any(names)) => {
                let message = format!("newly needs one of: {}", names.join(", "));
                self.add(Effect::Tightened, "authentication", place, message);
            }
            (Auth::Any(before), Auth::Any(after)) => {
                for name in after.iter().filter(|name| !before.contains(name)) {
                    self.add(
                        Effect::Loosened,
                        "authentication",
                        place,
                        format!("`{name}` is newly accepted"),
                    );
                }
                for name in before.iter().filter(|name| !after.contains(name)) {
                    self.add(
                        Effect::Tightened,
                        "authentication",
                        place,
                        format!("`{name}` is no longer accepted"),
                    );
                }
            }
        }
        if old.plan != new.plan {
            let no_plan =
                |plan: &crate::model::PlanChoice| plan.default.is_none() && plan.by_identity.is_empty();
            let (effect, message) = match (no_plan(&old.plan), no_plan(&new.plan)) {
                (false, true) => (Effect::Loosened, "newly without a plan"),
                (true, false) => (Effect::Tightened, "newly under a plan"),
                _ => (Effect::Changed, "another plan holds"),
            };
            self.add(effect, "plan", place, message.to_owned());
        }
        let texts = (show_size(old.body), show_size(new.body));
        self.ordered("body", place, "largest body", (old.body, new.body), texts);
        let texts = (show_duration(old.timeout), show_duration(new.timeout));
        self.ordered("timeout", place, "timeout", (millis(old.timeout), millis(new.timeout)), texts);
        for (name, modes) in [
            ("validate.request", (old.validate_request, new.validate_request)),
            ("validate.response", (old.validate_response, new.validate_response)),
            ("validate.unknown_parameters", (old.unknown_parameters, new.unknown_parameters)),
            ("modes.identity", (old.identity, new.identity)),
            ("modes.limits", (old.limits, new.limits)),
        ] {
            self.mode(place, name, modes);
        }
    }

    fn mode(&mut self, place: (&str, &str), name: &str, (before, after): (Mode, Mode)) {
        if before != after {
            let effect = if after < before { Effect::Loosened } else { Effect::Tightened };
            self.add(effect, "mode", place, format!("{name}: {before} → {after}"));
        }
    }

    /// A number of which more is looser.
    fn ordered(
        &mut self,
        kind: &'static str,
        place: (&str, &str),
        name: &str,
        (before, after): (u64, u64),
        (from, to): (String, String),
    ) {
        if before != after {
            let effect = if after > before { Effect::Loosened } else { Effect::Tightened };
            self.add(effect, kind, place, format!("{name}: {from} → {to}"));
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

// === impl Change ===

impl Effect {
    /// The word shown in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loosened => "loosened",
            Self::Tightened => "tightened",
            Self::Changed => "changed",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.effect.as_str())?;
        if let Some(api) = &self.api {
            write!(f, "{api}")?;
            if let Some(operation) = &self.operation {
                write!(f, ".{operation}")?;
            }
            write!(f, ": ")?;
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests;
