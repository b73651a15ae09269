//! What a match does.

use std::borrow::Cow;
use std::sync::Arc;

use super::data::Found;
use super::{Intervention, InterventionKind, MATCHES, Match, Persistent, Transaction};
use crate::ast::{Change, Ctl, SetVar};
use crate::compile::change;
use crate::macros::{Macro, Part};
use crate::names::Collection;
use crate::operator::number;
use crate::program::{Effect, Link, Outcome, Rule, Tag};
use crate::store::{RecordKey, StoreChange};
use crate::vars::Vars;

/// The longest text that variables are filled into, in bytes.
const FILLED: usize = 64 << 10;

// === impl Transaction ===

impl Transaction {
    /// Text with its variables filled in.
    pub(crate) fn fill(&mut self, text: &Macro) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &text.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Variable(collection, key) => {
                    if let Some(value) = self.first(*collection, key.as_deref()) {
                        out.extend_from_slice(&value);
                    }
                }
            }
            if out.len() > FILLED {
                out.truncate(FILLED);
                break;
            }
        }
        out
    }

    /// The first value of a collection, or of a name in it.
    fn first(&mut self, collection: Collection, key: Option<&[u8]>) -> Option<Cow<'_, [u8]>> {
        match (collection, key) {
            (Collection::Tx, Some([group @ b'0'..=b'9']))
                if self.captures.len() > usize::from(group - b'0') =>
            {
                self.captures.get(usize::from(group - b'0')).map(|text| Cow::Borrowed(text.as_slice()))
            }
            (Collection::Tx, Some(key)) => self.tx.get(key).map(Cow::Borrowed),
            (Collection::MatchedVar, _) => Some(Cow::Borrowed(&self.told.value)),
            (Collection::MatchedVarName, _) => Some(Cow::Borrowed(&self.told.name)),
            (collection, Some(key)) if collection.is_written() => {
                self.persistent_value(collection, key).map(Cow::Borrowed)
            }
            _ => {
                let mut all = Vec::new();
                self.gather_all(collection, &mut all);
                let texts = &self.texts;
                let wanted =
                    |one: &&Found| key.is_none_or(|key| texts.get(one.key).eq_ignore_ascii_case(key));
                let found = all.iter().find(wanted)?;
                Some(Cow::Borrowed(texts.get(found.value)))
            }
        }
    }

    /// The effects of a link.
    pub(crate) fn affect(&mut self, link: &Link) {
        for effect in &link.effects {
            match effect {
                Effect::Set(set) => self.set(set),
                Effect::Expire { collection, key, seconds } => {
                    let (key, seconds) = (self.fill(key), self.fill(seconds));
                    let seconds = u64::try_from(number(&seconds)).unwrap_or(0);
                    if let Some(one) = self.persistent_mut(*collection) {
                        one.note(key, StoreChange::Expire(seconds));
                    }
                }
                Effect::Ctl(ctl) => self.control(ctl),
                Effect::RemoveRules(rules) => self.removed.extend(rules),
                Effect::RemoveTarget { rules, target } => {
                    // Each `ctl` once: a rule that matches a thousand times says the same a thousand times.
                    if !self
                        .narrowed
                        .iter()
                        .any(|(known, _)| std::ptr::eq(known.as_slice(), rules.as_slice()))
                        && self.narrowed.len() < MATCHES
                    {
                        self.narrowed.push((rules.clone(), Arc::new(target.clone())));
                    }
                }
                Effect::Init(collection, key) => {
                    let key = self.fill(key);
                    self.open(*collection, key);
                }
            }
        }
    }

    fn set(&mut self, set: &SetVar) {
        let key = self.fill(&set.key);
        let value = match &set.change {
            Change::Set(value) | Change::Add(value) | Change::Subtract(value) => Some(self.fill(value)),
            Change::Unset => None,
        };
        if set.collection == Collection::Tx {
            change(&mut self.tx, &key, &set.change, value);
            return;
        }
        let Some(one) = self.persistent_mut(set.collection) else { return };
        let amount = || number(value.as_deref().unwrap_or_default());
        let noted = match &set.change {
            Change::Set(_) => StoreChange::Set(value.clone().unwrap_or_default()),
            Change::Add(_) => StoreChange::Add(amount()),
            Change::Subtract(_) => StoreChange::Add(amount().saturating_neg()),
            Change::Unset => StoreChange::Unset,
        };
        change(&mut one.values, &key, &set.change, value);
        one.note(key, noted);
    }

    fn control(&mut self, ctl: &Ctl) {
        match ctl {
            Ctl::RuleEngine(mode) => self.mode = *mode,
            Ctl::RequestBodyAccess(on) => self.request_body = *on,
            Ctl::ResponseBodyAccess(on) => self.response_body = *on,
            Ctl::RequestBodyProcessor(processor) => self.processor = Some(*processor),
            Ctl::ForceRequestBodyVariable(on) => self.force_body = *on,
            Ctl::AuditEngine(on) => self.audit = *on,
            // Compiled to effects of their own.
            Ctl::RemoveRules(_) | Ctl::RemoveTargets(..) => {}
        }
    }

    // --- persistent collections ---

    fn open(&mut self, collection: Collection, key: Vec<u8>) {
        if self.persistent.iter().any(|one| one.key.collection == collection) {
            return;
        }
        let key = RecordKey { collection, key };
        let mut values = Vars::default();
        for (name, value) in self.store.load(&key, self.began / 1_000_000) {
            values.set(&name, value);
        }
        self.persistent.push(Persistent { key, values, changes: Vec::new() });
    }

    fn persistent_mut(&mut self, collection: Collection) -> Option<&mut Persistent> {
        self.persistent.iter_mut().find(|one| one.key.collection == collection)
    }

    pub(super) fn persistent_value(&self, collection: Collection, key: &[u8]) -> Option<&[u8]> {
        self.persistent.iter().find(|one| one.key.collection == collection)?.values.get(key)
    }

    pub(super) fn persistent_key(&self, collection: Collection) -> Option<Vec<u8>> {
        self.persistent.iter().find(|one| one.key.collection == collection).map(|one| one.key.key.clone())
    }

    pub(super) fn gather_persistent(&mut self, collection: Collection, out: &mut Vec<Found>) {
        let Some(one) = self.persistent.iter().find(|one| one.key.collection == collection) else { return };
        for (name, value) in one.values.iter() {
            let (key, value) = (self.texts.intern(name), self.texts.intern(value));
            out.push(Found { collection, key, value });
        }
    }

    // --- what is told ---

    /// `RULE`: of the rule that runs.
    pub(super) fn rule_values(&self) -> Vec<(&'static [u8], Vec<u8>)> {
        let rule = usize::try_from(self.current).ok().and_then(|at| self.rules.program.rules.get(at));
        let Some(rule) = rule else { return Vec::new() };
        let text = |text: &Option<Macro>| text.as_ref().map(Macro::source).unwrap_or_default();
        let severity = rule.severity.map(|severity| severity as usize).unwrap_or_default();
        let mut values = vec![
            (&b"id"[..], rule.id.to_string().into_bytes()),
            (b"severity", severity.to_string().into_bytes()),
            (b"msg", text(&rule.msg)),
            (b"logdata", text(&rule.logdata)),
        ];
        values.extend(rule.notes.iter().map(|(name, note)| (name.as_bytes(), note.clone().into_bytes())));
        values
    }

    fn told_text(&mut self, text: Option<&Macro>) -> String {
        text.map(|text| String::from_utf8_lossy(&self.fill(text)).into_owned()).unwrap_or_default()
    }

    /// A rule matched, all its links.
    pub(super) fn complete(&mut self, rule: &Rule) {
        if let Some(severity) = rule.severity {
            self.highest = Some(self.highest.map_or(severity, |highest| highest.min(severity)));
        }
        if (rule.log || rule.audit) && self.matches.len() < MATCHES {
            let tags = rule.tags.iter().map(|tag| match tag {
                Tag::Constant(tag) => Arc::clone(tag),
                Tag::Filled(tag) => Arc::from(String::from_utf8_lossy(&self.fill(tag))),
            });
            let tags = tags.collect();
            let (message, data) = (self.told_text(rule.msg.as_ref()), self.told_text(rule.logdata.as_ref()));
            self.matches.push(Match {
                rule: rule.id,
                phase: rule.phase,
                message,
                data,
                severity: rule.severity,
                tags,
                variable: String::from_utf8_lossy(&self.told.variable).into_owned(),
                value: self.told.seen.clone(),
                disruptive: !matches!(rule.outcome, Outcome::Pass | Outcome::Allow(_)),
                log: rule.log,
                audit: rule.audit,
            });
        }
        let kind = match &rule.outcome {
            Outcome::Pass => return,
            Outcome::Allow(reach) => {
                if self.mode == crate::ast::EngineMode::On {
                    self.allowed = Some(*reach);
                }
                return;
            }
            Outcome::Deny => InterventionKind::Deny,
            Outcome::Drop => InterventionKind::Drop,
            Outcome::Redirect(url) => {
                InterventionKind::Redirect(String::from_utf8_lossy(&self.fill(url)).into_owned())
            }
        };
        self.refuse(Intervention { rule: rule.id, phase: rule.phase, status: rule.status, kind });
    }
}

// === impl Persistent ===

impl Persistent {
    fn note(&mut self, name: Vec<u8>, change: StoreChange) {
        if self.changes.len() < crate::vars::VARIABLES {
            self.changes.push((name, change));
        }
    }
}
