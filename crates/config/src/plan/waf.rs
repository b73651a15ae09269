//! Changes of the rules that look for attacks. What a level says is told where it holds, with each operation.

use super::{At, Changes, Effect, maybe, written};
use crate::config::Config;
use crate::effective::{OperationSettings, WafSettings};
use crate::model::{AtLimit, BodyLimit, WafExclusion, WafSource};
use crate::value::show_size;

impl Changes {
    pub(super) fn waf(
        &mut self,
        at: At<'_>,
        (old_config, before): (Option<&Config>, &OperationSettings),
        (new_config, after): (Option<&Config>, &OperationSettings),
    ) {
        let (old, new) = (&before.waf_settings, &after.waf_settings);
        let show = |config: Option<&Config>, settings: &WafSettings| {
            let name = |source: &WafSource| match (source, config) {
                (WafSource::Builtin, _) => "builtin".to_owned(),
                (WafSource::Path(path), Some(config)) => written(config, path),
                (WafSource::Path(path), None) => path.display().to_string(),
            };
            settings.rules.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        let rules = (show(old_config, old), show(new_config, new));
        match (rules.0.is_empty(), rules.1.is_empty()) {
            (true, false) => {
                let message = format!("waf: newly asked: {}", rules.1);
                self.add(Effect::Tightened, "waf", at, message);
            }
            (false, true) => self.add(Effect::Loosened, "waf", at, "waf: no rules are asked".to_owned()),
            _ => self.changed("waf", at, "waf.rules", rules, String::clone),
        }
        // What files say, where nothing is said here, is not known.
        let looser = |more: Option<u64>, than: Option<u64>| match (more, than) {
            (Some(more), Some(than)) if more > than => Effect::Loosened,
            (Some(_), Some(_)) => Effect::Tightened,
            _ => Effect::Changed,
        };
        // A higher level is tighter, a higher score looser.
        let levels = (old.paranoia.map(u64::from), new.paranoia.map(u64::from));
        for (name, (before, after), effect) in [
            ("waf.paranoia", levels, looser(levels.0, levels.1)),
            ("waf.inbound", (old.inbound, new.inbound), looser(new.inbound, old.inbound)),
            ("waf.outbound", (old.outbound, new.outbound), looser(new.outbound, old.outbound)),
        ] {
            if before != after {
                self.add(effect, "waf", at, format!("{name}: {} → {}", maybe(before), maybe(after)));
            }
        }
        self.set(
            "waf",
            at,
            (&old.exclusions, &new.exclusions),
            (|one| format!("waf: {}", told(one)), |one| format!("waf: no longer {}", told(one))),
        );
        if old.responses != new.responses {
            let effect = if new.responses { Effect::Tightened } else { Effect::Loosened };
            self.add(effect, "waf", at, format!("waf.responses: {} → {}", old.responses, new.responses));
        }
        // Of what is refused at the limit, less is tighter; of what is looked at in part, less is looser.
        if old.body != new.body {
            let grows = (new.body > old.body) == (new.at_limit == AtLimit::Reject);
            let effect = if grows { Effect::Loosened } else { Effect::Tightened };
            let message = format!("waf.body: {} → {}", show_size(old.body), show_size(new.body));
            self.add(effect, "waf", at, message);
        }
        let limit = |limit: &AtLimit| match limit {
            AtLimit::Reject => "reject".to_owned(),
            AtLimit::ProcessPartial => "process_partial".to_owned(),
        };
        self.ordered("waf", at, "waf.at_limit", (old.at_limit, new.at_limit), limit);
        let head_only = |settings: &OperationSettings| {
            settings.body == BodyLimit::Stream && !settings.waf_settings.rules.is_empty()
        };
        match (head_only(before), head_only(after)) {
            (false, true) => {
                let message = "waf: bodies pass unread, so that rules look at heads only".to_owned();
                self.add(Effect::Loosened, "waf", at, message);
            }
            (true, false) => {
                let message = "waf: rules no longer look at heads only".to_owned();
                self.add(Effect::Tightened, "waf", at, message);
            }
            _ => {}
        }
    }
}

/// An exclusion, and why it is there.
fn told(one: &WafExclusion) -> String {
    let rules: Vec<_> = one.rules.iter().map(|id| format!("rule {id}")).collect();
    let tags: Vec<_> = one.tags.iter().map(|tag| format!("rules tagged `{tag}`")).collect();
    let kinds = [("parameter", &one.parameter), ("header", &one.header), ("cookie", &one.cookie)];
    let named = |(kind, name): (&str, &Option<String>)| Some(format!("{kind} `{}`", name.as_ref()?));
    let what: Vec<_> = kinds.into_iter().filter_map(named).collect();
    let what = if what.is_empty() { "anything".to_owned() } else { what.join(" and ") };
    format!("excluded: {} for {what} ({})", [rules, tags].concat().join(", "), one.reason)
}
