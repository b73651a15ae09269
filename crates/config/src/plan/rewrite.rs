//! Changes of what is changed of a call after it was judged.

use std::collections::BTreeMap;

use super::{At, Changes, maybe};
use crate::model::Rewrite;

impl Changes {
    pub(super) fn rewrite(&mut self, at: At<'_>, old: &Rewrite, new: &Rewrite) {
        let (old, new) = (told(old), told(new));
        let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
        for name in names {
            self.changed("rewrite", at, name, (old.get(name), new.get(name)), |value| maybe(*value));
        }
    }
}

/// Each thing that is changed, by its setting.
fn told(rewrite: &Rewrite) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    for (name, value) in [("strip_prefix", &rewrite.strip_prefix), ("add_prefix", &rewrite.add_prefix)] {
        told.extend(value.clone().map(|value| (format!("rewrite.{name}"), value)));
    }
    for (side, changes) in
        [("request_headers", &rewrite.request_headers), ("response_headers", &rewrite.response_headers)]
    {
        for (name, value) in &changes.set {
            told.insert(format!("rewrite.{side}.set.{name}"), value.clone());
        }
        if !changes.remove.is_empty() {
            told.insert(format!("rewrite.{side}.remove"), changes.remove.join(", "));
        }
    }
    told
}
