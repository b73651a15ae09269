//! What is known of rules before any transaction.
//!
//! Two things are folded, both only where it can be proved that every transaction would find the same:
//!
//! - The **beginning** of phase 1: rules that look at nothing but TX, and whose effects are values of TX. They run here, once; what they leave is what
//!   each transaction starts with. The beginning ends at the first rule that depends on the transaction, refuses, logs, or changes how it is judged (`ctl`).
//! - **Gates** anywhere else: rules that look only at names of TX which no rule behind the beginning writes. One that never matches is dropped; one that
//!   always matches is not asked again. A rule writes the names that its `setvar` spells; where part of a name is filled in, all names that begin like it; and
//!   with `capture` the names 0 to 9.
//!
//! `ctl:ruleRemove…` can only keep a rule from matching, so a rule that never matches still does not. One that always matches stays in its phase and is
//! still left out when it is removed at run time; none is folded that way if a rule takes targets in TX away.

use std::collections::HashSet;
use std::sync::Arc;

use crate::ast::Change;
use crate::injection::Libinjection;
use crate::macros::{Macro, Part};
use crate::names::Collection;
use crate::operator::{Operator, number};
use crate::program::{Effect, Fold, Link, Outcome, Rule, Selection};
use crate::transform;
use crate::vars::Vars;

/// What TX holds under a name; the outer `None` when that depends on the transaction.
type LookUp<'a> = dyn Fn(&[u8]) -> Option<Option<Vec<u8>>> + 'a;

/// The names of TX that rules may write.
#[derive(Default)]
struct Written {
    names: HashSet<Vec<u8>>,
    prefixes: Vec<Vec<u8>>,
}

/// Marks the rules, and returns what TX holds at first.
pub(super) fn fold(rules: &mut [Rule], removed: &[bool], jumps: &[Option<usize>]) -> Arc<Vars> {
    let mut known = Vars::default();
    let mut skip_to = 0;
    let is_removed = |index: usize| removed.get(index) == Some(&true);
    for (index, rule) in rules.iter_mut().enumerate() {
        if rule.phase != 1 || is_removed(index) {
            continue;
        }
        if index < skip_to {
            rule.fold = Fold::Gone;
            continue;
        }
        match verdict(rule, &|name| Some(known.get(name).map(<[u8]>::to_vec))) {
            Some(false) => rule.fold = Fold::Gone,
            Some(true) if is_silent(rule) && effects(rule, &mut known) => {
                rule.fold = Fold::Gone;
                skip_to = jumps.get(index).copied().flatten().unwrap_or(0);
            }
            _ => break,
        }
    }
    let live = |(index, rule): &(usize, &Rule)| rule.fold != Fold::Gone && !is_removed(*index);
    let mut written = Written::default();
    let mut narrowed = false;
    for (_, rule) in rules.iter().enumerate().filter(live) {
        for link in &rule.links {
            written.take(link);
            narrowed |= link.effects.iter().any(|effect| {
                matches!(effect, Effect::RemoveTarget { target, .. } if target.collection == Collection::Tx)
            });
        }
    }
    let initial = Arc::new(known);
    for (index, rule) in rules.iter_mut().enumerate() {
        if rule.fold == Fold::Gone || is_removed(index) {
            continue;
        }
        rule.fold =
            match verdict(rule, &|name| written.settled(name).then(|| initial.get(name).map(<[u8]>::to_vec)))
            {
                Some(false) => Fold::Gone,
                Some(true) if !narrowed => Fold::Always,
                _ => Fold::Open,
            };
    }
    initial
}

/// Whether a match leaves no trace but values.
fn is_silent(rule: &Rule) -> bool {
    !rule.log && !rule.audit && rule.outcome == Outcome::Pass
}

/// Whether the rule matches; `None` when that depends on the transaction, or when a chain that fails would leave something behind.
fn verdict(rule: &Rule, look_up: &LookUp<'_>) -> Option<bool> {
    let mut left_behind = false;
    for link in &rule.links {
        if !matches(link, look_up)? {
            return if left_behind { None } else { Some(false) };
        }
        left_behind |= !link.effects.is_empty();
    }
    Some(true)
}

fn matches(link: &Link, look_up: &LookUp<'_>) -> Option<bool> {
    let injection = matches!(link.operator, Operator::Sql | Operator::Script);
    if link.capture || link.multi || injection {
        return None;
    }
    let argument = match link.operator.argument() {
        Some(argument) => fill(argument, look_up)?,
        None => Vec::new(),
    };
    if link.targets.is_empty() {
        return matches!(link.operator, Operator::Always).then_some(true);
    }
    let mut any = false;
    for target in &link.targets {
        let Selection::Key(key) = &target.which else { return None };
        if target.collection != Collection::Tx || target.exclude {
            return None;
        }
        let value = look_up(key)?;
        let value = match (target.count, value) {
            (true, value) => Some(if value.is_some() { b"1".to_vec() } else { b"0".to_vec() }),
            (false, value) => value,
        };
        let Some(mut value) = value else { continue };
        for step in &link.steps {
            let mut out = Vec::new();
            transform::apply(*step, &value, &mut out);
            value = out;
        }
        any |= link.operator.holds(&value, &argument, &Libinjection, None) != link.negated;
    }
    Some(any)
}

fn fill(text: &Macro, look_up: &LookUp<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for part in &text.parts {
        match part {
            Part::Text(text) => out.extend_from_slice(text),
            Part::Variable(Collection::Tx, Some(key)) => out.extend(look_up(key)?.unwrap_or_default()),
            Part::Variable(..) => return None,
        }
    }
    Some(out)
}

/// Does what the rule does; `false`, and nothing done, when that is more than setting values that are known.
fn effects(rule: &Rule, known: &mut Vars) -> bool {
    // A rule with several targets would do it once for each that matches.
    if rule.links.iter().any(|link| link.targets.len() > 1) {
        return false;
    }
    let mut after = known.clone();
    for effect in rule.links.iter().flat_map(|link| &link.effects) {
        let Effect::Set(set) = effect else { return false };
        if set.collection != Collection::Tx {
            return false;
        }
        let look_up = |name: &[u8]| Some(after.get(name).map(<[u8]>::to_vec));
        let Some(key) = fill(&set.key, &look_up) else { return false };
        let value = match &set.change {
            Change::Unset => None,
            Change::Set(value) | Change::Add(value) | Change::Subtract(value) => {
                match fill(value, &look_up) {
                    Some(value) => Some(value),
                    None => return false,
                }
            }
        };
        change(&mut after, &key, &set.change, value);
    }
    *known = after;
    true
}

/// Changes a value as `setvar` does.
pub(crate) fn change(vars: &mut Vars, key: &[u8], change: &Change, value: Option<Vec<u8>>) {
    let value = value.unwrap_or_default();
    let before = || number(vars.get(key).unwrap_or_default());
    let value = match change {
        Change::Unset => {
            vars.unset(key);
            return;
        }
        Change::Set(_) => value,
        Change::Add(_) => before().saturating_add(number(&value)).to_string().into_bytes(),
        Change::Subtract(_) => before().saturating_sub(number(&value)).to_string().into_bytes(),
    };
    vars.set(key, value);
}

// === impl Written ===

impl Written {
    fn take(&mut self, link: &Link) {
        if link.capture {
            self.names.extend((0..10u8).map(|group| vec![b'0' + group]));
        }
        for effect in &link.effects {
            let Effect::Set(set) = effect else { continue };
            if set.collection != Collection::Tx {
                continue;
            }
            match set.key.constant() {
                Some(name) => drop(self.names.insert(name.to_ascii_lowercase())),
                None => self.prefixes.push(set.key.prefix().to_ascii_lowercase()),
            }
        }
    }

    /// Whether no rule writes the name.
    fn settled(&self, name: &[u8]) -> bool {
        let name = name.to_ascii_lowercase();
        !self.names.contains(&name) && !self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }
}
