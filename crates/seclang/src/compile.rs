//! Directives to a program: defaults applied, updates and removals done, names resolved, what is constant folded.

mod draft;
mod fold;
mod rule;
mod settings;

use std::collections::HashMap;
use std::path::Path;

use self::draft::Draft;
use crate::ast::{Directive, Which};
use crate::error::{MISTAKES, Notice, RuleError, RuleErrors};
use crate::load::{Loader, beside};
use crate::operator::Surroundings;
use crate::program::{Fold, PHASES, Program, Rule, Settings};

/// The most rules of one program; positions are kept in 32 bits and bitsets.
const RULES: usize = 100_000;

/// Compiles directives.
pub(crate) fn compile(
    directives: Vec<Directive>,
    loader: &dyn Loader,
) -> Result<(Program, Vec<Notice>), RuleErrors> {
    let mut drafts = draft::collect(directives)?;
    let mut errors = std::mem::take(&mut drafts.errors);
    let mut settings = Settings::default();
    let mut notices = Vec::new();
    for (place, name, values) in &drafts.settings {
        settings::apply(&mut settings, place, name, values, &mut notices, &mut errors);
    }
    rewrite(&mut drafts, &mut notices, &mut errors);
    if drafts.rules.len() > RULES {
        errors.extend(
            drafts
                .rules
                .last()
                .map(|last| RuleError::new(&last.place, format!("there are more than {RULES} rules"))),
        );
        return RuleErrors::check(errors).map(|()| unreachable(settings));
    }
    let mut files = DataFiles { loader, file: Path::new("").to_owned(), read: HashMap::new() };
    let all = drafts.rules.clone();
    let mut rules = Vec::with_capacity(drafts.rules.len());
    for (index, draft) in drafts.rules.iter().enumerate() {
        files.file = Path::new(&*draft.place.file).to_owned();
        match rule::compile(draft, &all, &mut files) {
            Ok((rule, target)) => rules.push((rule, target)),
            Err(wrong) => errors.extend(wrong),
        }
        if errors.len() >= MISTAKES {
            break;
        }
        debug_assert!(rules.len() <= index + 1);
    }
    RuleErrors::check(errors)?;
    jumps(rules, &drafts, settings).map(|program| (program, notices))
}

/// A program without rules; only reached beside an error.
fn unreachable(settings: Settings) -> (Program, Vec<Notice>) {
    (
        Program { rules: Vec::new(), phases: Default::default(), initial: Default::default(), settings },
        Vec::new(),
    )
}

/// Does what `SecRuleRemove…` and `SecRuleUpdate…` say. They hold for rules before and after them alike, as in ModSecurity 3.
fn rewrite(drafts: &mut draft::Drafts, notices: &mut Vec<Notice>, errors: &mut Vec<RuleError>) {
    for (place, which, targets) in &drafts.target_updates {
        let mut hit = false;
        for rule in drafts.rules.iter_mut().filter(|rule| rule.is(which)) {
            hit = true;
            if let Some(link) = rule.links.first_mut() {
                link.targets.extend(targets.iter().cloned());
            }
        }
        if !hit {
            notices.push(Notice {
                place: place.clone(),
                message: format!("no rule is {}: nothing is updated", told(which)),
            });
        }
    }
    for (place, which, actions) in &drafts.action_updates {
        let mut hit = false;
        for rule in drafts.rules.iter_mut().filter(|rule| rule.is(which)) {
            hit = true;
            if let Err(error) = rule.update(place, actions) {
                errors.push(error);
            }
        }
        if !hit {
            notices.push(Notice {
                place: place.clone(),
                message: format!("no rule is {}: nothing is updated", told(which)),
            });
        }
    }
    for (place, which) in &drafts.removals {
        let before = drafts.rules.iter().filter(|rule| !rule.removed).count();
        drafts.rules.iter_mut().filter(|rule| rule.is(which)).for_each(|rule| rule.removed = true);
        if before == drafts.rules.iter().filter(|rule| !rule.removed).count() {
            notices.push(Notice {
                place: place.clone(),
                message: format!("no rule is {}: nothing is removed", told(which)),
            });
        }
    }
}

fn told(which: &Which) -> String {
    match which {
        Which::Ids(from, to) if from == to => format!("`{from}`"),
        Which::Ids(from, to) => format!("in `{from}-{to}`"),
        Which::Tag(tag) => format!("tagged `{}`", String::from_utf8_lossy(tag)),
        Which::Msg(msg) => format!("about `{}`", String::from_utf8_lossy(msg)),
    }
}

/// Orders rules into phases and resolves where they jump to.
fn jumps(
    rules: Vec<(Rule, rule::Target)>,
    drafts: &draft::Drafts,
    settings: Settings,
) -> Result<Program, RuleErrors> {
    let mut errors = Vec::new();
    // Where each rule goes on, as an index into the rules in file order.
    let mut targets: Vec<Option<usize>> = Vec::with_capacity(rules.len());
    for (index, (rule, target)) in rules.iter().enumerate() {
        targets.push(match target {
            rule::Target::None => None,
            rule::Target::Count(count) => {
                let following = rules
                    .iter()
                    .enumerate()
                    .skip(index + 1)
                    .filter(|(_, (other, _))| other.phase == rule.phase);
                Some(following.map(|(at, _)| at).nth(*count).unwrap_or(rules.len()))
            }
            rule::Target::Marker(name) => match drafts.marker_after(name, index) {
                Some(at) => Some(at),
                None => {
                    let error =
                        RuleError::new(&rule.place, format!("no `SecMarker {name}` follows this rule"));
                    errors.push(match drafts.markers.iter().any(|(_, marker)| marker == name) {
                        true => error.help("the marker stands before the rule: jumps only go forward"),
                        false => error.help("without it the rest of the phase would be left out"),
                    });
                    None
                }
            },
        });
    }
    RuleErrors::check(errors)?;
    let mut rules: Vec<Rule> = rules.into_iter().map(|(rule, _)| rule).collect();
    let removed: Vec<bool> = drafts.rules.iter().map(|draft| draft.removed).collect();
    let initial = fold::fold(&mut rules, &removed, &targets);
    let mut phases: [Vec<u32>; PHASES] = Default::default();
    for (phase, list) in phases.iter_mut().enumerate() {
        let kept = rules.iter().enumerate().filter(|(index, rule)| {
            usize::from(rule.phase) == phase + 1
                && rule.fold != Fold::Gone
                && removed.get(*index) != Some(&true)
        });
        *list = kept.filter_map(|(index, _)| u32::try_from(index).ok()).collect();
    }
    for (rule, target) in rules.iter_mut().zip(&targets) {
        let list = phases.get(usize::from(rule.phase).saturating_sub(1));
        if let (Some(target), Some(list)) = (target, list) {
            let position =
                list.partition_point(|index| usize::try_from(*index).unwrap_or(usize::MAX) < *target);
            rule.jump = u32::try_from(position).ok();
        }
    }
    Ok(Program { rules, phases, initial, settings })
}

/// The data files that rules name, each read once.
struct DataFiles<'a> {
    loader: &'a dyn Loader,
    /// The rule file that names them.
    file: std::path::PathBuf,
    read: HashMap<std::path::PathBuf, Vec<u8>>,
}

// === impl DataFiles ===

impl Surroundings for DataFiles<'_> {
    fn file(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let path = beside(&self.file, name);
        if let Some(text) = self.read.get(&path) {
            return Ok(text.clone());
        }
        let text = self
            .loader
            .read(&path)
            .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
        self.read.insert(path, text.clone());
        Ok(text)
    }
}

/// A rule before it is compiled, for messages of the modules below.
pub(crate) type RuleDraft = Draft;

pub(crate) use self::fold::change;

#[cfg(test)]
mod tests;
