//! What changes in meaning from one configuration to another. Order, comments and spelt-out defaults are no changes.

mod access;
mod fixed;
mod gateway;
mod lists;
mod rewrite;
mod services;
mod upstream;
mod waf;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use haechi_guard::Mode;
use serde::Serialize;

use crate::config::Config;
use crate::effective::{OperationSettings, api_defaults, effective};
use crate::model::{Api, Auth, BodyLimit, Compress, Per, Plan, PlanChoice, Scheme};
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
    /// Neither, or it cannot be told.
    Changed,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which way it goes.
    pub effect: Effect,
    /// What it is about: `exposure`, `authentication`, `plan`, `body`, `timeout`, `mode`, `contract`, `upstream`,
    /// `identity`, `listener`, `limit`, `channel`, `rule`, `list`, `rewrite`, `answer`, `waf`, `gateway`.
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

/// All changes, the loosened ones first. Relative paths are compared as they are written, so that two files in two
/// directories can be compared.
pub fn diff(old: (&Config, &Operations), new: (&Config, &Operations)) -> Vec<Change> {
    let mut changes = Changes::default();
    changes.gateway(old.0, new.0);
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
    changes.access(old.0, new.0);
    changes.rewrites(old.0, new.0);
    changes.lists(old.0, new.0);
    changes.channels(&old.0.channels, &new.0.channels);
    changes.services(old.0, new.0);
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

/// What can be called of an API, by operation id, and what holds for it.
type Exposed = BTreeMap<String, (String, OperationSettings)>;

/// What a change is about: an API or none, an operation or none.
type At<'a> = (&'a str, &'a str);

/// The gateway as a whole.
const ALL: At<'static> = ("", "");

#[derive(Default)]
struct Changes(Vec<Change>);

// === impl Side ===

impl Side<'_> {
    fn exposed(&self) -> Exposed {
        self.operations
            .iter()
            .map(|view| (view, effective(self.config, self.api, &view.id)))
            .filter(|(_, settings)| settings.exposed)
            .map(|(view, settings)| (view.id.clone(), (format!("{} {}", view.method, view.path), settings)))
            .collect()
    }

    /// What holds for calls that the contract does not name, if they are let through.
    fn unknown(&self) -> Option<OperationSettings> {
        Some(api_defaults(self.config, self.api)).filter(|settings| settings.unknown_paths != Mode::Enforce)
    }

    fn path(&self, path: &Path) -> String {
        written(self.config, path)
    }
}

// === impl Changes ===

impl Changes {
    fn add(&mut self, effect: Effect, kind: &'static str, at: At<'_>, message: String) {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        self.0.push(Change { effect, kind, api: named(at.0), operation: named(at.1), message });
    }

    /// A value that is neither looser nor tighter than another.
    fn changed<T: PartialEq>(
        &mut self,
        kind: &'static str,
        at: At<'_>,
        name: &str,
        (before, after): (T, T),
        show: impl Fn(&T) -> String,
    ) {
        if before != after {
            let message = format!("{name}: {} → {}", show(&before), show(&after));
            self.add(Effect::Changed, kind, at, message);
        }
    }

    /// A value of which more is looser.
    fn ordered<T: PartialOrd>(
        &mut self,
        kind: &'static str,
        at: At<'_>,
        name: &str,
        (before, after): (T, T),
        show: impl Fn(&T) -> String,
    ) {
        if before != after {
            let effect = if after > before { Effect::Loosened } else { Effect::Tightened };
            self.add(effect, kind, at, format!("{name}: {} → {}", show(&before), show(&after)));
        }
    }

    /// A set of which more is looser; the messages are about one member each.
    fn set<T: PartialEq>(
        &mut self,
        kind: &'static str,
        at: At<'_>,
        (before, after): (&[T], &[T]),
        (added, removed): (impl Fn(&T) -> String, impl Fn(&T) -> String),
    ) {
        for one in after.iter().filter(|one| !before.contains(one)) {
            self.add(Effect::Loosened, kind, at, added(one));
        }
        for one in before.iter().filter(|one| !after.contains(one)) {
            self.add(Effect::Tightened, kind, at, removed(one));
        }
    }

    fn mode(&mut self, at: At<'_>, name: &str, (before, after): (Mode, Mode)) {
        if before != after {
            let effect = if after < before { Effect::Loosened } else { Effect::Tightened };
            self.add(effect, "mode", at, format!("{name}: {before} → {after}"));
        }
    }

    /// Plans that keep their names. Which plan an operation has is told with the operation.
    fn plans(&mut self, old: &Config, new: &Config) {
        for (name, after) in &new.plans {
            let Some(before) = old.plans.get(name).filter(|before| *before != after) else { continue };
            let (from, to) = show_plans(before, after);
            self.add(looser(before, after), "plan", ALL, format!("plan `{name}`: {from} → {to}"));
        }
    }

    fn api(&mut self, name: &str, old: Option<&Side<'_>>, new: Option<&Side<'_>>) {
        if let (Some(old), Some(new)) = (old, new) {
            self.api_itself(name, old, new);
        }
        let exposed = |side: Option<&Side<'_>>| side.map(Side::exposed).unwrap_or_default();
        let (before, after) = (exposed(old), exposed(new));
        for (id, (call, settings)) in &after {
            let at = (name, id.as_str());
            let Some((old_call, old_settings)) = before.get(id) else {
                let message = format!("`{call}` is newly exposed{}", openly(settings));
                self.add(Effect::Loosened, "exposure", at, message);
                continue;
            };
            self.changed("exposure", at, "call", (old_call, call), |call| format!("`{call}`"));
            self.operation(
                at,
                (old.map(|old| old.config), old_settings),
                (new.map(|new| new.config), settings),
            );
        }
        for (id, (call, _)) in before.iter().filter(|(id, _)| !after.contains_key(*id)) {
            self.add(Effect::Tightened, "exposure", (name, id), format!("`{call}` is no longer exposed"));
        }
        // Calls that the contract does not name are exposed like an operation of their own.
        match (old.and_then(Side::unknown), new.and_then(Side::unknown)) {
            (None, Some(settings)) => {
                let message =
                    format!("calls that the contract does not name are let through{}", openly(&settings));
                self.add(Effect::Loosened, "exposure", (name, ""), message);
            }
            (Some(_), None) => {
                let message = "calls that the contract does not name are refused".to_owned();
                self.add(Effect::Tightened, "exposure", (name, ""), message);
            }
            (Some(before), Some(after)) => {
                self.mode((name, ""), "validate.unknown_paths", (before.unknown_paths, after.unknown_paths));
                let (old, new) = (old.map(|old| old.config), new.map(|new| new.config));
                self.operation((name, ""), (old, &before), (new, &after));
            }
            (None, None) => {}
        }
    }

    /// What holds for an API as a whole.
    fn api_itself(&mut self, name: &str, old: &Side<'_>, new: &Side<'_>) {
        let at = (name, "");
        let contract = (old.path(&old.api.openapi), new.path(&new.api.openapi));
        self.changed("contract", at, "openapi", contract, String::clone);
        self.upstream(at, &old.api.upstream, &new.api.upstream);
        self.host(at, old.api.host.as_deref(), new.api.host.as_deref());
        self.scheme(at, old.api.scheme, new.api.scheme);
    }

    /// The scheme that an API or a service is served under.
    fn scheme(&mut self, at: At<'_>, old: Option<Scheme>, new: Option<Scheme>) {
        let effect = match (old, new) {
            (Some(_), None) => Effect::Loosened,
            (None, Some(_)) => Effect::Tightened,
            _ => Effect::Changed,
        };
        if old != new {
            let scheme = |scheme: Option<Scheme>| scheme.map_or("any scheme", Scheme::as_str);
            let message = format!("is served under {} instead of {}", scheme(new), scheme(old));
            self.add(effect, "exposure", at, message);
        }
    }

    /// The host that an API or a service is served on.
    fn host(&mut self, at: At<'_>, old: Option<&str>, new: Option<&str>) {
        if old == new {
            return;
        }
        let host =
            |host: Option<&str>| host.map_or_else(|| "any host".to_owned(), |host| format!("`{host}`"));
        let effect = match (old, new) {
            (Some(_), None) => Effect::Loosened,
            (None, Some(_)) => Effect::Tightened,
            _ => Effect::Changed,
        };
        self.add(effect, "exposure", at, format!("is served on {} instead of {}", host(new), host(old)));
    }

    fn operation(
        &mut self,
        at: At<'_>,
        (old_config, old): (Option<&Config>, &OperationSettings),
        (new_config, new): (Option<&Config>, &OperationSettings),
    ) {
        match (&old.auth, &new.auth) {
            (Auth::Any(before), Auth::Any(after)) => self.set(
                "authentication",
                at,
                (before, after),
                (
                    |name| format!("identity `{name}` is newly accepted"),
                    |name| format!("`{name}` is no longer accepted"),
                ),
            ),
            (Auth::Any(_), Auth::None) => {
                self.add(Effect::Loosened, "authentication", at, "newly without authentication".to_owned());
            }
            (Auth::None, Auth::Any(names)) => {
                let message = format!("newly needs one of: {}", names.join(", "));
                self.add(Effect::Tightened, "authentication", at, message);
            }
            (Auth::None, Auth::None) => {}
        }
        if let (Some(old_config), Some(new_config)) = (old_config, new_config) {
            self.operation_plan(at, (old_config, &old.plan), (new_config, new));
        }
        self.body(at, old.body, new.body);
        let show = |compress: &Compress| match compress {
            Compress::Off => "off".to_owned(),
            Compress::Public => "public".to_owned(),
            Compress::All => "all".to_owned(),
        };
        // What is compressed can tell of its secrets by its length.
        self.ordered("body", at, "compress", (old.compress, new.compress), show);
        self.websocket(at, old.websocket.as_deref(), new.websocket.as_deref());
        self.ordered("timeout", at, "timeout", (old.timeout, new.timeout), |time| show_duration(*time));
        for (name, modes) in [
            ("validate.request", (old.validate_request, new.validate_request)),
            ("validate.response", (old.validate_response, new.validate_response)),
            ("validate.unknown_parameters", (old.unknown_parameters, new.unknown_parameters)),
            ("modes.identity", (old.identity, new.identity)),
            ("modes.limits", (old.limits, new.limits)),
            ("modes.lists", (old.lists, new.lists)),
            ("modes.access", (old.access, new.access)),
            ("modes.waf", (old.waf, new.waf)),
        ] {
            self.mode(at, name, modes);
        }
        self.waf(at, (old_config, old), (new_config, new));
    }

    /// How large a body may be. One that passes unread is looser than any that is judged.
    fn body(&mut self, at: At<'_>, old: BodyLimit, new: BodyLimit) {
        let show = |limit: &BodyLimit| match limit {
            BodyLimit::Bytes(bytes) => show_size(*bytes),
            BodyLimit::Stream => "any, unread".to_owned(),
        };
        let key = |limit: BodyLimit| match limit {
            BodyLimit::Bytes(bytes) => (0, bytes),
            BodyLimit::Stream => (1, 0),
        };
        if old != new {
            let effect = if key(new) > key(old) { Effect::Loosened } else { Effect::Tightened };
            self.add(effect, "body", at, format!("largest body: {} → {}", show(&old), show(&new)));
        }
    }

    fn websocket(&mut self, at: At<'_>, old: Option<&[String]>, new: Option<&[String]>) {
        let show = |origins: &[String]| match origins {
            [] => "any web site".to_owned(),
            origins => origins.join(", "),
        };
        match (old, new) {
            (None, Some(origins)) => {
                let message = format!("may become a WebSocket connection, from {}", show(origins));
                self.add(Effect::Loosened, "exposure", at, message);
            }
            (Some(_), None) => {
                let message = "may no longer become a WebSocket connection".to_owned();
                self.add(Effect::Tightened, "exposure", at, message);
            }
            (Some(before), Some(after)) if before != after => {
                // An empty list is the loosest.
                let looser = after.is_empty()
                    || !before.is_empty() && after.iter().any(|origin| !before.contains(origin));
                let effect = if looser { Effect::Loosened } else { Effect::Tightened };
                let message = format!("origins: {} → {}", show(before), show(after));
                self.add(effect, "exposure", at, message);
            }
            _ => {}
        }
    }

    /// Another plan for those who may call. That a plan itself is another is told once, not with each operation.
    fn operation_plan(
        &mut self,
        at: At<'_>,
        (old, before): (&Config, &PlanChoice),
        (new, settings): (&Config, &OperationSettings),
    ) {
        let callers: Vec<Option<&str>> = match &settings.auth {
            Auth::None => vec![None],
            Auth::Any(names) => names.iter().map(|name| Some(name.as_str())).collect(),
        };
        let found: Vec<_> = callers
            .iter()
            .map(|caller| match (choose(old, before, *caller), choose(new, &settings.plan, *caller)) {
                (None, None) => None,
                (Some(_), None) => Some((Effect::Loosened, "newly without a plan".to_owned())),
                (None, Some((name, _))) => {
                    Some((Effect::Tightened, format!("newly under the plan `{name}`")))
                }
                (Some((before, _)), Some((after, _))) if before == after => None,
                (Some((before, old)), Some((after, new))) => {
                    let (from, to) = show_plans(old, new);
                    Some((looser(old, new), format!("plan `{before}` ({from}) → `{after}` ({to})")))
                }
            })
            .collect();
        let same = found.iter().all(|change| Some(change) == found.first());
        for (caller, change) in callers.iter().zip(&found).take(if same { 1 } else { usize::MAX }) {
            let Some((effect, message)) = change else { continue };
            let message = match caller.filter(|_| !same) {
                Some(caller) => format!("`{caller}`: {message}"),
                None => message.clone(),
            };
            self.add(*effect, "plan", at, message);
        }
    }
}

/// The plan of a caller, and its name.
fn choose<'a>(
    config: &'a Config,
    choice: &'a PlanChoice,
    caller: Option<&str>,
) -> Option<(&'a str, &'a Plan)> {
    let own = caller.and_then(|caller| choice.by_identity.get(caller));
    let (name, plan) = config.plans.get_key_value(own.or(choice.default.as_ref())?)?;
    Some((name, plan))
}

/// Which way it goes from one plan to another: looser if it is in any respect.
fn looser(old: &Plan, new: &Plan) -> Effect {
    let ways = [new.rate.compare(&old.rate), new.burst.cmp(&old.burst)];
    match (old.per, new.per) {
        _ if ways.contains(&Ordering::Greater) => Effect::Loosened,
        // One principal can have many credentials.
        (Per::Principal, Per::Credential) => Effect::Loosened,
        (Per::Credential, Per::Principal) => Effect::Tightened,
        (before, after) if before != after => Effect::Changed,
        _ if ways.contains(&Ordering::Less) => Effect::Tightened,
        _ => Effect::Changed,
    }
}

/// Two plans as people write them; whose calls are counted together only where it differs.
fn show_plans(old: &Plan, new: &Plan) -> (String, String) {
    let show = |plan: &Plan| {
        let per = match plan.per {
            _ if old.per == new.per => "",
            Per::Principal => " per principal",
            Per::Credential => " per credential",
            Per::Address => " per address",
        };
        format!("{} burst {}{per}", plan.rate, plan.burst)
    };
    (show(old), show(new))
}

fn openly(settings: &OperationSettings) -> &'static str {
    if settings.auth == Auth::None { " without authentication" } else { "" }
}

/// A path as it is written in its file, without `./`.
fn written(config: &Config, path: &Path) -> String {
    let path = path.strip_prefix(config.base()).unwrap_or(path);
    let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    path.display().to_string()
}

fn maybe(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"))
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
