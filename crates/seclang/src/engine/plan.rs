//! What a phase asks of a value: transformations as a tree, rules at its nodes, and the literals they need.

use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::bits::Bits;
use super::gate::Gate;
use crate::names::{Collection, Transform};
use crate::pattern::Pattern;
use crate::program::{Fold, Link, Program, Selection, XML_ATTRIBUTE, XML_TEXT};

/// A rule whose first link can be decided value by value.
#[derive(Debug)]
pub(super) struct Unit {
    /// Where it stands in its phase.
    pub(super) position: u32,
    pub(super) rule: u32,
    pub(super) gate: Gate,
}

/// A point in the tree of transformations: what came before, in order, is the way from the root.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The next steps, and where they lead.
    pub(super) next: Vec<(Transform, usize)>,
    pub(super) units: Vec<usize>,
}

/// Which units look at the values of a collection.
#[derive(Debug)]
pub(super) struct Interest {
    base: Bits,
    /// Those that look at none of them, whatever else they say.
    none: Bits,
    /// Names, in lower case: who looks at them, and who does not although it looks at all.
    keyed: BTreeMap<Vec<u8>, (Bits, Bits)>,
    patterns: Vec<(Pattern, Bits, Bits)>,
}

/// What a phase asks.
#[derive(Debug)]
pub(super) struct PhasePlan {
    pub(super) units: Vec<Unit>,
    pub(super) nodes: Vec<Node>,
    /// Positions that are asked whatever the values are.
    pub(super) always: Bits,
    pub(super) interests: Vec<(Collection, Interest)>,
    /// Finds literals of all units at once.
    pub(super) literals: Option<AhoCorasick>,
    /// For each literal the units that it lets pass.
    pub(super) literal_units: Vec<Vec<usize>>,
    /// The units that need a literal.
    pub(super) gated: Bits,
    /// Where each unit stands, by position.
    pub(super) unit_at: Vec<Option<usize>>,
}

// === impl PhasePlan ===

impl PhasePlan {
    pub(super) fn new(program: &Program, list: &[u32]) -> Self {
        let dormant = dormant(program, list);
        let mut plan = Self {
            units: Vec::new(),
            nodes: vec![Node::default()],
            always: Bits::new(list.len()),
            interests: Vec::new(),
            literals: None,
            literal_units: Vec::new(),
            gated: Bits::default(),
            unit_at: vec![None; list.len()],
        };
        for (position, index) in list.iter().enumerate() {
            let rule = usize::try_from(*index).ok().and_then(|index| program.rules.get(index));
            let Some(link) = rule.and_then(|rule| rule.links.first()) else { continue };
            if dormant.has(position) || !is_decided_by_values(link) {
                plan.always.set(position);
                continue;
            }
            let unit = plan.units.len();
            plan.hang(link, unit);
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            plan.units.push(Unit { position, rule: *index, gate: Gate::of(&link.operator) });
        }
        for (unit, one) in plan.units.iter().enumerate() {
            if let Some(slot) = usize::try_from(one.position).ok().and_then(|at| plan.unit_at.get_mut(at)) {
                *slot = Some(unit);
            }
        }
        plan.look_at(program);
        plan.find_literals();
        plan
    }

    /// Hangs a unit into the tree: after its last step, or with `multiMatch` after each.
    fn hang(&mut self, link: &Link, unit: usize) {
        let mut at = 0;
        let mut seen = vec![0];
        for step in &link.steps {
            let known = self
                .nodes
                .get(at)
                .and_then(|node| node.next.iter().find(|(own, _)| own == step).map(|(_, next)| *next));
            at = known.unwrap_or_else(|| {
                let next = self.nodes.len();
                self.nodes.push(Node::default());
                if let Some(node) = self.nodes.get_mut(at) {
                    node.next.push((*step, next));
                }
                next
            });
            seen.push(at);
        }
        let at_nodes = if link.multi { seen } else { vec![at] };
        for at in at_nodes {
            if let Some(node) = self.nodes.get_mut(at) {
                node.units.push(unit);
            }
        }
    }

    /// Sorts the units' targets by collection.
    fn look_at(&mut self, program: &Program) {
        let count = self.units.len();
        for (unit, one) in self.units.iter().enumerate() {
            let rule = usize::try_from(one.rule).ok().and_then(|index| program.rules.get(index));
            let Some(link) = rule.and_then(|rule| rule.links.first()) else { continue };
            for target in &link.targets {
                let at = match self.interests.iter().position(|(own, _)| *own == target.collection) {
                    Some(at) => at,
                    None => {
                        self.interests.push((target.collection, Interest::new(count)));
                        self.interests.len() - 1
                    }
                };
                if let Some((_, interest)) = self.interests.get_mut(at) {
                    interest.take(&target.which, target.exclude, unit, count);
                }
            }
        }
    }

    fn find_literals(&mut self) {
        self.gated = Bits::new(self.units.len());
        let mut by_literal: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
        for (unit, one) in self.units.iter().enumerate() {
            for literal in &one.gate.literals {
                by_literal.entry(literal).or_default().push(unit);
            }
        }
        let automaton = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(by_literal.keys());
        let Ok(automaton) = automaton else { return };
        for (unit, one) in self.units.iter().enumerate() {
            if !one.gate.literals.is_empty() {
                self.gated.set(unit);
            }
        }
        self.literal_units = by_literal.into_values().collect();
        self.literals = (!self.literal_units.is_empty()).then_some(automaton);
    }
}

/// Rules that a gate always jumps over. They are asked like any other if the gate was taken away; but no work is done for them in advance.
fn dormant(program: &Program, list: &[u32]) -> Bits {
    let mut dormant = Bits::new(list.len());
    let mut until = 0;
    for (position, index) in list.iter().enumerate() {
        let Some(rule) = usize::try_from(*index).ok().and_then(|index| program.rules.get(index)) else {
            continue;
        };
        if position < until {
            dormant.set(position);
        } else if rule.fold == Fold::Always && rule.is_mere_gate() {
            until = rule.jump.and_then(|jump| usize::try_from(jump).ok()).unwrap_or(0);
        }
    }
    dormant
}

/// Whether the link's answer for a value depends on nothing but the value, and the values stay what they are during the phase. With a negated operator most
/// values match: nothing is gained by looking ahead.
fn is_decided_by_values(link: &Link) -> bool {
    !link.targets.is_empty()
        && !link.negated
        && link.operator.is_settled()
        && link.targets.iter().all(|target| !target.count && target.collection.is_settled())
}

// === impl Interest ===

impl Interest {
    fn new(units: usize) -> Self {
        Self { base: Bits::new(units), none: Bits::new(units), keyed: BTreeMap::new(), patterns: Vec::new() }
    }

    fn take(&mut self, which: &Selection, exclude: bool, unit: usize, units: usize) {
        let fresh = || (Bits::new(units), Bits::new(units));
        let (adds, subtracts) = match which {
            Selection::All if exclude => return self.none.set(unit),
            Selection::All => return self.base.set(unit),
            Selection::Key(key) => pair(self.keyed.entry(key.clone()).or_insert_with(fresh)),
            Selection::XmlText => pair(self.keyed.entry(XML_TEXT.to_vec()).or_insert_with(fresh)),
            Selection::XmlAttributes => pair(self.keyed.entry(XML_ATTRIBUTE.to_vec()).or_insert_with(fresh)),
            Selection::Pattern(pattern) => {
                let at = self.patterns.iter().position(|(own, _, _)| own == pattern).unwrap_or_else(|| {
                    let (adds, subtracts) = fresh();
                    self.patterns.push((pattern.clone(), adds, subtracts));
                    self.patterns.len() - 1
                });
                match self.patterns.get_mut(at) {
                    Some((_, adds, subtracts)) => (adds, subtracts),
                    None => return,
                }
            }
        };
        if exclude { subtracts.set(unit) } else { adds.set(unit) }
    }

    /// Who looks at the value of this name.
    pub(super) fn of(&self, key: &[u8]) -> Bits {
        let mut bits = self.base.clone();
        let mut without: Vec<&Bits> = vec![&self.none];
        let lower = key.to_ascii_lowercase();
        if let Some((adds, subtracts)) = self.keyed.get(&lower) {
            bits.add(adds);
            without.push(subtracts);
        }
        for (pattern, adds, subtracts) in &self.patterns {
            if pattern.is_match(key) {
                bits.add(adds);
                without.push(subtracts);
            }
        }
        without.into_iter().for_each(|subtracts| bits.subtract(subtracts));
        bits
    }

    /// Whether the name makes a difference.
    pub(super) fn is_by_name(&self) -> bool {
        !self.keyed.is_empty() || !self.patterns.is_empty()
    }
}

fn pair((adds, subtracts): &mut (Bits, Bits)) -> (&mut Bits, &mut Bits) {
    (adds, subtracts)
}
