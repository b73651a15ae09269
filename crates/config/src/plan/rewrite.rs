//! Changes of what is changed of a call after it was judged. Each is told where it is written.

use std::collections::{BTreeMap, BTreeSet};

use super::{At, Changes, maybe};
use crate::config::Config;
use crate::model::{HostRewrite, Operation, Rewrite};

impl Changes {
    pub(super) fn rewrites(&mut self, old: &Config, new: &Config) {
        let none = Rewrite::default();
        for (name, after) in &new.apis {
            // What goes or comes with an API is told with it.
            let Some((_, before)) = old.apis.iter().find(|(known, _)| known == name) else { continue };
            self.rewrite((name, ""), &before.rewrite, &after.rewrite);
            let ids: BTreeSet<_> = before.operations.keys().chain(after.operations.keys()).collect();
            for id in ids {
                let of =
                    |operation: Option<&'_ Operation>| operation.map(|operation| operation.rewrite.clone());
                let both = (of(before.operations.get(id)), of(after.operations.get(id)));
                self.rewrite((name, id), both.0.as_ref().unwrap_or(&none), both.1.as_ref().unwrap_or(&none));
            }
        }
        for (name, after) in &new.services {
            let Some((_, before)) = old.services.iter().find(|(known, _)| known == name) else { continue };
            self.rewrite((name, ""), &before.rewrite, &after.rewrite);
        }
    }

    fn rewrite(&mut self, at: At<'_>, old: &Rewrite, new: &Rewrite) {
        let (old, new) = (told(old), told(new));
        let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for name in names {
            self.changed("rewrite", at, name, (old.get(name), new.get(name)), |value| maybe(*value));
        }
    }
}

/// Each thing that is changed, by its setting. Patterns are told by their place: the first that fits is taken.
fn told(rewrite: &Rewrite) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let host = rewrite.host.as_ref().map(|host| match host {
        HostRewrite::Keep => "keep".to_owned(),
        HostRewrite::Name(name) => name.clone(),
    });
    for (name, value) in
        [("strip_prefix", &rewrite.strip_prefix), ("add_prefix", &rewrite.add_prefix), ("host", &host)]
    {
        told.extend(value.clone().map(|value| (format!("rewrite.{name}"), value)));
    }
    for (place, path) in rewrite.path.iter().enumerate() {
        let made = format!("{} → {}", path.pattern.as_str(), path.to);
        told.insert(format!("rewrite.path, number {:02}", place + 1), made);
    }
    for (side, changes) in
        [("request_headers", &rewrite.request_headers), ("response_headers", &rewrite.response_headers)]
    {
        for (what, fields) in [("set", &changes.set), ("add", &changes.add)] {
            for (name, value) in fields {
                told.insert(format!("rewrite.{side}.{what}.{name}"), value.to_string());
            }
        }
        if !changes.remove.is_empty() {
            told.insert(format!("rewrite.{side}.remove"), changes.remove.join(", "));
        }
    }
    told
}
