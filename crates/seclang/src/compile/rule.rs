//! One rule.

use std::sync::Arc;

use super::RuleDraft;
use super::draft::DraftLink;
use crate::ast::{self, Action, ActionKind, Ctl, Disruptive, Selector, Which};
use crate::error::RuleError;
use crate::names::Transform;
use crate::operator::{Operator, Surroundings};
use crate::pattern::Pattern;
use crate::program::{Effect, Fold, Link, Looked, Outcome, Rule, Selection, Tag};

/// The most transformations of one rule: each may make a value longer.
const STEPS: usize = 24;

/// Where a rule goes on when it matches, as it is written.
pub(super) enum Target {
    None,
    Count(usize),
    Marker(String),
}

pub(super) fn compile(
    draft: &RuleDraft,
    all: &[RuleDraft],
    files: &mut dyn Surroundings,
) -> Result<(Rule, Target), Vec<RuleError>> {
    let mut errors = Vec::new();
    let mut links = Vec::with_capacity(draft.links.len());
    for link in &draft.links {
        match self::link(link, &draft.defaults, all, files) {
            Ok(link) => links.push(link),
            Err(wrong) => errors.extend(wrong),
        }
    }
    let Some(first) = draft.links.first() else { return Err(errors) };
    let own = |wanted: &dyn Fn(&ActionKind) -> bool| {
        first
            .actions
            .iter()
            .rev()
            .chain(draft.defaults.iter().rev())
            .map(|action| &action.kind)
            .find(|kind| wanted(kind))
    };
    let outcome = outcome(first, &draft.defaults);
    let (mut log, mut audit) = (true, true);
    for action in draft.defaults.iter().chain(&first.actions) {
        match action.kind {
            // `nolog` is `noauditlog` too, whatever was said before.
            ActionKind::Log(on) => (log, audit) = (on, on),
            ActionKind::AuditLog(on) => audit = on,
            _ => {}
        }
    }
    let status = match own(&|kind| matches!(kind, ActionKind::Status(_))) {
        Some(ActionKind::Status(status)) => *status,
        _ if matches!(outcome, Outcome::Redirect(_)) => 302,
        _ => 403,
    };
    let target = match (
        first.find(|kind| if let ActionKind::SkipAfter(name) = kind { Some(name.clone()) } else { None }),
        first.find(|kind| if let ActionKind::Skip(count) = kind { Some(*count) } else { None }),
    ) {
        (Some(name), _) => Target::Marker(name),
        (None, Some(count)) => Target::Count(usize::try_from(count).unwrap_or(usize::MAX)),
        (None, None) => Target::None,
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    // What is told of a chain stands in its first rule; tags may stand in any.
    let rule = Rule {
        id: draft.id,
        phase: draft.phase,
        place: draft.place.clone(),
        links,
        outcome,
        status,
        log,
        audit,
        msg: first.find(|kind| if let ActionKind::Msg(text) = kind { Some(text.clone()) } else { None }),
        logdata: first
            .find(|kind| if let ActionKind::LogData(text) = kind { Some(text.clone()) } else { None }),
        severity: first
            .find(|kind| if let ActionKind::Severity(severity) = kind { Some(*severity) } else { None }),
        tags: draft.links.iter().flat_map(|link| &link.actions).filter_map(tag).collect(),
        notes: first
            .actions
            .iter()
            .filter_map(|action| {
                if let ActionKind::Note(name, text) = &action.kind {
                    Some((*name, text.clone()))
                } else {
                    None
                }
            })
            .collect(),
        jump: None,
        fold: Fold::Open,
    };
    Ok((rule, target))
}

fn tag(action: &Action) -> Option<Tag> {
    let ActionKind::Tag(text) = &action.kind else { return None };
    Some(match text.constant() {
        Some(text) => Tag::Constant(Arc::from(String::from_utf8_lossy(text))),
        None => Tag::Filled(text.clone()),
    })
}

/// What the rule itself says; `block` is what the defaults say, and they say `pass` unless told otherwise.
fn outcome(first: &DraftLink, defaults: &[Action]) -> Outcome {
    let default = defaults.iter().rev().find_map(disruptive);
    let own = first.actions.iter().rev().find_map(disruptive);
    let said = match own {
        None | Some(Disruptive::Block) => default,
        Some(own) => Some(own),
    };
    match said {
        None | Some(Disruptive::Pass | Disruptive::Block) => Outcome::Pass,
        Some(Disruptive::Deny) => Outcome::Deny,
        Some(Disruptive::Drop) => Outcome::Drop,
        Some(Disruptive::Redirect(url)) => Outcome::Redirect(url.clone()),
        Some(Disruptive::Allow(reach)) => Outcome::Allow(*reach),
    }
}

fn disruptive(action: &Action) -> Option<&Disruptive> {
    if let ActionKind::Disruptive(disruptive) = &action.kind { Some(disruptive) } else { None }
}

fn link(
    draft: &DraftLink,
    defaults: &[Action],
    all: &[RuleDraft],
    files: &mut dyn Surroundings,
) -> Result<Link, Vec<RuleError>> {
    let mut errors = Vec::new();
    let operator = match &draft.test {
        None => Operator::Always,
        Some(test) => Operator::compile(test, files).unwrap_or_else(|(message, help)| {
            errors.push(RuleError::new(&test.place, message).help(help));
            Operator::Never
        }),
    };
    let mut targets = Vec::with_capacity(draft.targets.len());
    for target in &draft.targets {
        match looked(target) {
            Ok(target) => targets.push(target),
            Err((message, help)) => errors.push(RuleError::new(&draft.place, message).help(help)),
        }
    }
    if draft.test.is_some() && targets.iter().all(|target| target.exclude) {
        errors.push(
            RuleError::new(&draft.place, "the rule looks at nothing")
                .help("name a variable that is not excluded"),
        );
    }
    let mut steps: Vec<Transform> = Vec::new();
    for action in defaults.iter().chain(&draft.actions) {
        match action.kind {
            ActionKind::Transform(Some(step)) => steps.push(step),
            ActionKind::Transform(None) => steps.clear(),
            _ => {}
        }
    }
    if steps.len() > STEPS {
        errors.push(RuleError::new(&draft.place, format!("the rule has more than {STEPS} transformations")));
    }
    let mut effects = Vec::new();
    for action in &draft.actions {
        match effect(action, all) {
            Ok(effect) => effects.extend(effect),
            Err((message, help)) => errors.push(RuleError::new(&action.place, message).help(help)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Link {
        targets,
        steps,
        multi: draft.has(|kind| matches!(kind, ActionKind::MultiMatch)),
        operator,
        negated: draft.test.as_ref().is_some_and(|test| test.negated),
        capture: draft.has(|kind| matches!(kind, ActionKind::Capture)),
        effects,
    })
}

fn looked(target: &ast::Target) -> Result<Looked, (String, &'static str)> {
    let which = match &target.selector {
        Selector::All => Selection::All,
        Selector::Key(key) => Selection::Key(key.to_ascii_lowercase()),
        // Names are matched without regard to case, as ModSecurity does.
        Selector::Pattern(pattern) => Selection::Pattern(Pattern::new(pattern, true)?),
        Selector::XmlText => Selection::XmlText,
        Selector::XmlAttributes => Selection::XmlAttributes,
    };
    Ok(Looked { exclude: target.exclude, count: target.count, collection: target.collection, which })
}

fn effect(action: &Action, all: &[RuleDraft]) -> Result<Option<Effect>, (String, &'static str)> {
    Ok(Some(match &action.kind {
        ActionKind::SetVar(set) => Effect::Set(set.clone()),
        ActionKind::ExpireVar { collection, key, seconds } => {
            Effect::Expire { collection: *collection, key: key.clone(), seconds: seconds.clone() }
        }
        ActionKind::InitCol(collection, key) => Effect::Init(*collection, key.clone()),
        ActionKind::Ctl(Ctl::RemoveRules(which)) => Effect::RemoveRules(indices(which, all)),
        ActionKind::Ctl(Ctl::RemoveTargets(which, target)) => {
            Effect::RemoveTarget { rules: indices(which, all), target: looked(target)? }
        }
        ActionKind::Ctl(ctl) => Effect::Ctl(ctl.clone()),
        _ => return Ok(None),
    }))
}

/// The rules that are meant, wherever they stand.
fn indices(which: &Which, all: &[RuleDraft]) -> Vec<u32> {
    all.iter()
        .enumerate()
        .filter(|(_, rule)| rule.is(which))
        .filter_map(|(index, _)| u32::try_from(index).ok())
        .collect()
}
