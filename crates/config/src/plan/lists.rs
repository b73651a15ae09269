//! Changes of lists, and of who may call by them.

use std::collections::HashSet;
use std::fmt;

use super::{ALL, At, Changes, Effect, maybe, written};
use crate::config::Config;
use crate::model::{CallerList, Callers, ListEntry};

/// Most entries of one list that are told one by one.
const TOLD: usize = 8;

impl Changes {
    pub(super) fn lists(&mut self, old: &Config, new: &Config) {
        let geo = |config: &Config| {
            let file = |path: &Option<std::path::PathBuf>| path.as_deref().map(|path| written(config, path));
            [file(&config.geo.country), file(&config.geo.asn)]
        };
        for ((name, before), after) in ["geo.country", "geo.asn"].into_iter().zip(geo(old)).zip(geo(new)) {
            self.changed("list", ALL, name, (before, after), |file| maybe(file.as_ref()));
        }
        for (name, after) in &new.lists {
            let Some(before) = old.lists.get(name) else {
                self.add(Effect::Changed, "list", ALL, format!("list `{name}` is new"));
                continue;
            };
            let files = |config: &Config, list: &CallerList| {
                let files: Vec<_> =
                    list.files.iter().map(|file| format!("`{}`", written(config, file))).collect();
                if files.is_empty() { "none".to_owned() } else { files.join(", ") }
            };
            let both = (files(old, before), files(new, after));
            self.changed("list", ALL, &format!("files of list `{name}`"), both, String::clone);
            self.entries(name, use_of(new, name), before, after);
        }
        for name in old.lists.keys().filter(|name| !new.lists.contains_key(*name)) {
            self.add(Effect::Changed, "list", ALL, format!("list `{name}` is gone"));
        }
    }

    fn entries(&mut self, name: &str, (grown, shrunk): (Effect, Effect), old: &CallerList, new: &CallerList) {
        let [before, after] =
            [old, new].map(|list| list.entries.iter().copied().collect::<HashSet<ListEntry>>());
        for (effect, verb, list, other) in
            [(grown, "newly holds", new, &before), (shrunk, "no longer holds", old, &after)]
        {
            let mut seen = HashSet::new();
            let changed: Vec<_> =
                list.entries.iter().filter(|entry| !other.contains(*entry) && seen.insert(**entry)).collect();
            if changed.len() > TOLD {
                let message = format!("list `{name}` {verb} {} entries", changed.len());
                self.add(effect, "list", ALL, message);
                continue;
            }
            for entry in changed {
                self.add(effect, "list", ALL, format!("list `{name}` {verb} `{entry}`"));
            }
        }
    }

    pub(super) fn callers(&mut self, at: At<'_>, old: &Callers, new: &Callers) {
        self.set(
            "list",
            at,
            // More that is denied is tighter.
            (&new.deny, &old.deny),
            (
                |list| format!("callers of list `{list}` are no longer refused"),
                |list| format!("callers of list `{list}` are refused"),
            ),
        );
        match (old.allow.as_slice(), new.allow.as_slice()) {
            ([], []) => {}
            ([], lists) => {
                let message = format!("only callers of these lists may call: {}", lists.join(", "));
                self.add(Effect::Tightened, "list", at, message);
            }
            (lists, []) => {
                let message = format!("newly not only callers of these lists may call: {}", lists.join(", "));
                self.add(Effect::Loosened, "list", at, message);
            }
            (before, after) => self.set(
                "list",
                at,
                (before, after),
                (
                    |list| format!("callers of list `{list}` may newly call"),
                    |list| format!("callers of list `{list}` may no longer call"),
                ),
            ),
        }
    }
}

/// What it means that a list has more, and that it has fewer: the one where it is denied, the other where it is allowed.
fn use_of(config: &Config, name: &str) -> (Effect, Effect) {
    let operations = config.apis.iter().flat_map(|(_, api)| api.operations.values());
    let levels = std::iter::once(&config.callers)
        .chain(config.apis.iter().map(|(_, api)| &api.callers))
        .chain(operations.map(|operation| &operation.callers))
        .chain(config.services.iter().map(|(_, service)| &service.callers));
    let (mut allowed, mut denied) = (false, false);
    for level in levels {
        allowed |= level.allow.iter().any(|list| list == name);
        denied |= level.deny.iter().any(|list| list == name);
    }
    match (allowed, denied) {
        (true, false) => (Effect::Loosened, Effect::Tightened),
        (false, true) => (Effect::Tightened, Effect::Loosened),
        _ => (Effect::Changed, Effect::Changed),
    }
}

// === impl ListEntry ===

impl fmt::Display for ListEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => network.fmt(f),
            Self::Country(country) => country.fmt(f),
            Self::Operator(number) => write!(f, "AS{number}"),
        }
    }
}
