//! Changes of what becomes of a service's calls.

use std::collections::{BTreeMap, BTreeSet};

use super::{At, Changes, Effect, maybe, written};
use crate::config::Config;
use crate::model::{Content, Target};
use crate::reader::shortened;

impl Changes {
    pub(super) fn target(&mut self, at: At<'_>, old: (&Config, &Target), new: (&Config, &Target)) {
        if let (Target::Upstream(before), Target::Upstream(after)) = (old.1, new.1) {
            return self.upstream(at, before, after);
        }
        if std::mem::discriminant(old.1) != std::mem::discriminant(new.1) {
            let message = format!("{} instead of {}", what(new.1), what(old.1));
            return self.add(Effect::Changed, "exposure", at, message);
        }
        let (before, after) = (told(old), told(new));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for name in names {
            let values = (before.get(name), after.get(name));
            self.changed("answer", at, name, values, |value| maybe(value.map(|text| shortened(text))));
        }
    }
}

/// What becomes of the calls, in a few words.
fn what(target: &Target) -> String {
    match target {
        Target::Upstream(_) => "calls are sent on".to_owned(),
        Target::Redirect(redirect) => format!("callers are sent to `{}`", redirect.to.text),
        Target::Respond(respond) => format!("calls are answered with {}", respond.status),
    }
}

/// Each thing that is answered, by its setting.
fn told((config, target): (&Config, &Target)) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let mut tell = |name: &str, value: String| drop(told.insert(name.to_owned(), value));
    match target {
        Target::Upstream(_) => {}
        Target::Redirect(redirect) => {
            tell("redirect.to", redirect.to.text.clone());
            tell("redirect.status", redirect.status.to_string());
            tell("redirect.keep_query", redirect.keep_query.to_string());
        }
        Target::Respond(respond) => {
            tell("respond.status", respond.status.to_string());
            tell("respond.content_type", respond.content_type.clone());
            for (name, value) in &respond.headers {
                tell(&format!("respond.headers.{name}"), value.clone());
            }
            match &respond.content {
                Content::Empty => {}
                Content::Text(text) => tell("respond.body", text.clone()),
                Content::File(file) => tell("respond.body_file", written(config, file)),
            }
        }
    }
    told
}
