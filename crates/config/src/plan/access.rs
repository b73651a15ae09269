//! Changes of rules, and of who may call by lists. Each is told where it is written, not with each operation that it holds for.

use super::{ALL, At, Changes, Effect};
use crate::config::Config;
use crate::model::{Callers, Operation, Rule};

impl Changes {
    pub(super) fn access(&mut self, old: &Config, new: &Config) {
        self.level(ALL, (&old.rules, &old.callers), (&new.rules, &new.callers));
        for (name, after) in &new.apis {
            // What goes or comes with an API is told with it.
            let Some((_, before)) = old.apis.iter().find(|(known, _)| known == name) else { continue };
            self.level((name, ""), (&before.rules, &before.callers), (&after.rules, &after.callers));
            let mut ids: Vec<_> = before.operations.keys().chain(after.operations.keys()).collect();
            ids.sort();
            ids.dedup();
            for id in ids {
                let nothing = Operation::default();
                let [before, after] = [before, after].map(|api| api.operations.get(id).unwrap_or(&nothing));
                self.level((name, id), (&before.rules, &before.callers), (&after.rules, &after.callers));
            }
        }
        for (name, after) in &new.services {
            let Some((_, before)) = old.services.iter().find(|(known, _)| known == name) else { continue };
            self.level((name, ""), (&before.rules, &before.callers), (&after.rules, &after.callers));
        }
    }

    fn level(&mut self, at: At<'_>, old: (&[Rule], &Callers), new: (&[Rule], &Callers)) {
        self.rules(at, old.0, new.0);
        self.callers(at, old.1, new.1);
    }

    fn rules(&mut self, at: At<'_>, old: &[Rule], new: &[Rule]) {
        for after in new {
            let name = &after.name;
            let Some(before) = old.iter().find(|before| before.name == *name) else {
                let message = format!("rule `{name}` refuses calls when `{}`", after.when);
                self.add(Effect::Tightened, "rule", at, message);
                continue;
            };
            let when = format!("`when` of rule `{name}`");
            self.changed("rule", at, &when, (&before.when, &after.when), |when| format!("`{when}`"));
            let status = format!("`status` of rule `{name}`");
            self.changed("rule", at, &status, (before.status, after.status), ToString::to_string);
            let detail = format!("`detail` of rule `{name}`");
            self.changed("rule", at, &detail, (&before.detail, &after.detail), |text| {
                super::maybe(text.as_ref())
            });
        }
        for before in old.iter().filter(|before| !new.iter().any(|after| after.name == before.name)) {
            self.add(Effect::Loosened, "rule", at, format!("rule `{}` is gone", before.name));
        }
        // The first that holds tells status and detail.
        let kept = |list: &[Rule], other: &[Rule]| -> Vec<String> {
            let both = list.iter().filter(|rule| other.iter().any(|known| known.name == rule.name));
            both.map(|rule| rule.name.clone()).collect()
        };
        let order = (kept(old, new), kept(new, old));
        self.changed("rule", at, "order of rules", order, |names| names.join(", "));
    }
}
