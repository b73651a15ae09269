//! Directives to rules that are whole: chains joined, defaults taken down.

use crate::ast::{Action, ActionKind, Directive, Disruptive, Statement, Target, Test, Which};
use crate::error::{Place, RuleError, RuleErrors};

/// A rule as it is written, with the defaults that held there.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) place: Place,
    pub(crate) id: u64,
    pub(crate) phase: u8,
    pub(crate) links: Vec<DraftLink>,
    /// The default actions of its phase.
    pub(crate) defaults: Vec<Action>,
    pub(crate) removed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct DraftLink {
    pub(crate) place: Place,
    pub(crate) targets: Vec<Target>,
    /// `None` for `SecAction`.
    pub(crate) test: Option<Test>,
    pub(crate) actions: Vec<Action>,
}

/// What the files say, sorted by kind.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    pub(crate) rules: Vec<Draft>,
    /// Markers, and how many rules stand before each.
    pub(crate) markers: Vec<(usize, String)>,
    pub(crate) settings: Vec<(Place, &'static str, Vec<String>)>,
    pub(crate) target_updates: Vec<(Place, Which, Vec<Target>)>,
    pub(crate) action_updates: Vec<(Place, Which, Vec<Action>)>,
    pub(crate) removals: Vec<(Place, Which)>,
    pub(crate) errors: Vec<RuleError>,
}

pub(crate) fn collect(directives: Vec<Directive>) -> Result<Drafts, RuleErrors> {
    let mut drafts = Drafts::default();
    let mut defaults: Vec<(u8, Vec<Action>)> = Vec::new();
    let mut open: Option<Draft> = None;
    let mut ids = std::collections::HashMap::new();
    for Directive { place, statement } in directives {
        let link = match statement {
            Statement::Rule { targets, test, actions } => {
                DraftLink { place, targets, test: Some(test), actions }
            }
            Statement::Action(actions) => DraftLink { place, targets: Vec::new(), test: None, actions },
            other => {
                if let Some(unfinished) = open.take() {
                    drafts.errors.push(broken(&unfinished));
                }
                drafts.other(place, other, &mut defaults);
                continue;
            }
        };
        let chained = link.has(|kind| matches!(kind, ActionKind::Chain));
        let mut draft = match open.take() {
            Some(mut draft) => {
                drafts.errors.extend(link.of_the_first().map(|action| {
                    RuleError::new(&action.place, "this action belongs to the first rule of a chain")
                        .help("identity, phase, outcome and where to go on are those of the whole chain")
                }));
                draft.links.push(link);
                draft
            }
            None => {
                let Some(id) = link.find(|kind| if let ActionKind::Id(id) = kind { Some(*id) } else { None })
                else {
                    drafts.errors.push(
                        RuleError::new(&link.place, "the rule has no id")
                            .help("as in `\"id:10001,phase:2,deny\"`"),
                    );
                    continue;
                };
                if let Some(before) = ids.insert(id, link.place.clone()) {
                    let error =
                        RuleError::new(&link.place, format!("the id {id} is taken by the rule at {before}"));
                    drafts.errors.push(error.help("ids from 1 to 99999 are for rules of one's own"));
                }
                let phase = link
                    .find(|kind| if let ActionKind::Phase(phase) = kind { Some(*phase) } else { None })
                    .unwrap_or(2);
                let held = defaults.iter().find(|(of, _)| *of == phase).map(|(_, actions)| actions.clone());
                Draft {
                    place: link.place.clone(),
                    id,
                    phase,
                    links: vec![link],
                    defaults: held.unwrap_or_default(),
                    removed: false,
                }
            }
        };
        if chained {
            open = Some(draft);
        } else {
            draft.links.shrink_to_fit();
            drafts.rules.push(draft);
        }
    }
    if let Some(unfinished) = open {
        drafts.errors.push(broken(&unfinished));
    }
    Ok(drafts)
}

fn broken(draft: &Draft) -> RuleError {
    RuleError::new(&draft.place, "the chain has no next rule")
        .help("`chain` joins a rule with the one that follows it directly")
}

// === impl Drafts ===

impl Drafts {
    fn other(&mut self, place: Place, statement: Statement, defaults: &mut Vec<(u8, Vec<Action>)>) {
        match statement {
            Statement::Marker(name) => self.markers.push((self.rules.len(), name)),
            Statement::Default(actions) => {
                let phase = actions.iter().find_map(|action| {
                    if let ActionKind::Phase(phase) = action.kind { Some(phase) } else { None }
                });
                let Some(phase) = phase else {
                    self.errors.push(
                        RuleError::new(&place, "default actions need a phase")
                            .help("as in `\"phase:2,log,auditlog,pass\"`"),
                    );
                    return;
                };
                for action in &actions {
                    use ActionKind as K;
                    if matches!(
                        action.kind,
                        K::Id(_) | K::Chain | K::Skip(_) | K::SkipAfter(_) | K::Disruptive(Disruptive::Block)
                    ) {
                        self.errors.push(RuleError::new(&action.place, "this action cannot be a default"));
                    }
                }
                defaults.retain(|(of, _)| *of != phase);
                defaults.push((phase, actions));
            }
            Statement::Remove(list) => {
                self.removals.extend(list.into_iter().map(|which| (place.clone(), which)))
            }
            Statement::UpdateTargets(which, targets) => self.target_updates.push((place, which, targets)),
            Statement::UpdateActions(which, actions) => self.action_updates.push((place, which, actions)),
            Statement::Setting(name, values) => self.settings.push((place, name, values)),
            // Included files are read before; rules are taken by the caller.
            Statement::Include(_) | Statement::Rule { .. } | Statement::Action(_) => {}
        }
    }

    /// The index of the first rule after the next marker of this name that follows a rule.
    pub(crate) fn marker_after(&self, name: &str, rule: usize) -> Option<usize> {
        self.markers
            .iter()
            .find(|(before, marker)| *before > rule && marker == name)
            .map(|(before, _)| *before)
    }
}

// === impl Draft ===

impl Draft {
    /// Whether it is one of these.
    pub(crate) fn is(&self, which: &Which) -> bool {
        match which {
            Which::Ids(from, to) => (*from..=*to).contains(&self.id),
            Which::Tag(tag) => self.links.iter().any(|link| {
                link.has(
                    |kind| matches!(kind, ActionKind::Tag(own) if own.source().eq_ignore_ascii_case(tag)),
                )
            }),
            Which::Msg(msg) => self
                .links
                .iter()
                .any(|link| link.has(|kind| matches!(kind, ActionKind::Msg(own) if own.source() == *msg))),
        }
    }

    /// Puts actions in the place of those of the same kind; those that may stand several times are added.
    pub(crate) fn update(&mut self, place: &Place, actions: &[Action]) -> Result<(), RuleError> {
        use ActionKind as K;
        let Some(link) = self.links.first_mut() else { return Ok(()) };
        for action in actions {
            if matches!(action.kind, K::Id(_) | K::Phase(_) | K::Chain) {
                return Err(RuleError::new(
                    place,
                    "the id, the phase and the chain of a rule cannot be updated",
                ));
            }
            let several = matches!(
                action.kind,
                K::Transform(_) | K::SetVar(_) | K::ExpireVar { .. } | K::Ctl(_) | K::InitCol(..) | K::Tag(_)
            );
            if !several {
                link.actions
                    .retain(|own| std::mem::discriminant(&own.kind) != std::mem::discriminant(&action.kind));
            }
            link.actions.push(action.clone());
        }
        Ok(())
    }
}

// === impl DraftLink ===

impl DraftLink {
    pub(crate) fn has(&self, wanted: impl Fn(&ActionKind) -> bool) -> bool {
        self.actions.iter().any(|action| wanted(&action.kind))
    }

    pub(crate) fn find<T>(&self, wanted: impl Fn(&ActionKind) -> Option<T>) -> Option<T> {
        self.actions.iter().rev().find_map(|action| wanted(&action.kind))
    }

    /// Actions that only the first rule of a chain may have.
    fn of_the_first(&self) -> impl Iterator<Item = &Action> {
        use ActionKind as K;
        self.actions.iter().filter(|action| {
            matches!(action.kind, K::Id(_) | K::Phase(_) | K::Disruptive(_) | K::Skip(_) | K::SkipAfter(_))
        })
    }
}
