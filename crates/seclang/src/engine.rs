//! The fast way to the same answers.
//!
//! Most rules match nothing. Before a phase runs, the engine finds the values for which a rule *may* match; the phase then asks only those rules, of only those
//! values, and the rules that depend on more than values. What is asked is asked exactly as the plain interpreter does, so that the engine can be wrong only by
//! leaving something out; and what it leaves out it has proved:
//!
//! - Equal texts are one text ([`crate::texts`]): what holds for one holds for all.
//! - A [signature](crate::signature) tells which bytes a text holds. A transformation whose trigger is absent changes nothing; a pattern whose required bytes are
//!   absent does not match ([`gate`]).
//! - One automaton finds the literals of all patterns in one pass; a pattern none of whose literals occurs does not match.
//! - What is left runs, without captures.
//!
//! Which steps and rules stay alive for a kind of text at a point in the tree of transformations is a [`Shortlist`]. Shortlists, and who looks at the values of which
//! name, are kept from one transaction to the next, in tables that are bounded and emptied when they are full: a caller who makes every value new makes the
//! engine compute them anew, each in a time that depends on the rules alone.

mod bits;
mod gate;
mod generations;
mod plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use self::bits::Bits;
use self::generations::Generations;
use self::plan::PhasePlan;
use crate::hash::Keyed;
use crate::names::{Collection, Transform};
use crate::program::{PHASES, Program};
use crate::rules::Rules;
use crate::texts::{TextId, Texts};
use crate::transaction::{Found, Transaction};

/// The most shortlists that are kept. The Core Rule Set on mixed traffic makes some hundreds.
const SHORTLISTS: usize = 8_192;
/// The most names of values of which it is kept who looks at them, and the most values of which it is kept what matches; twice as many for a while. Names, header
/// values and the words of an API come again with each call.
const REMEMBERED: usize = 4_096;
/// The longest such name or value, in bytes: what is longer seldom comes again.
const LENGTH: usize = 64;
/// The most groups of rules that look at the same values. Beyond it a value is looked at by all: slower, never wrong.
const CLASSES: usize = 1_024;
/// The most tables that are kept: one for each thread that is inside a phase.
const KEPT: usize = 64;

/// What is prepared once, and what is remembered.
pub(crate) struct Engine {
    phases: Vec<PhasePlan>,
    memories: Mutex<Vec<Memory>>,
}

/// What is remembered from one transaction to the next.
#[derive(Default)]
struct Memory {
    classes: Vec<Arc<Bits>>,
    class_of: HashMap<(u8, Arc<Bits>), u32>,
    /// Who looks at values of a name.
    names: Generations<(u8, Collection), u32>,
    /// Which units match a value, for those who look at it.
    matches: Generations<u32, Box<[u32]>>,
    shortlists: HashMap<(u32, usize, u64), Arc<Shortlist>, Keyed>,
    work: Work,
}

/// What is alive for texts of one coarse signature, at one node, for one class.
struct Shortlist {
    units: Bits,
    steps: Vec<(Transform, usize)>,
}

/// Memory of one phase, kept to be used again.
#[derive(Default)]
struct Work {
    /// Texts whose units are known: a range of `hits`.
    done: hashbrown::HashMap<(u32, TextId), (u32, u32), Keyed>,
    hits: Vec<u32>,
    stack: Vec<(usize, TextId)>,
    /// Literals found in a text: a set of units.
    found: hashbrown::HashMap<TextId, Arc<Bits>, Keyed>,
    candidates: Vec<(u32, Found)>,
    values: Vec<Found>,
}

// === impl Engine ===

impl Engine {
    pub(crate) fn new(program: &Program) -> Self {
        let phases = (0..PHASES)
            .filter_map(|phase| program.phases.get(phase))
            .map(|list| PhasePlan::new(program, list))
            .collect();
        Self { phases, memories: Mutex::new(Vec::new()) }
    }

    fn memories(&self) -> std::sync::MutexGuard<'_, Vec<Memory>> {
        // A table is whole between phases, and dropped when a phase did not end.
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn forget(&self) {
        self.memories().clear();
    }
}

/// Runs a phase.
pub(crate) fn run(transaction: &mut Transaction, rules: &Rules, list: &[u32]) {
    let Some(plan) = rules.engine.phases.get(usize::from(transaction.phase).saturating_sub(1)) else {
        return;
    };
    let taken = rules.engine.memories().pop();
    let mut memory = taken.unwrap_or_default();
    let mut asked = plan.always.clone();
    memory.look_ahead(transaction, rules, plan);
    for (position, _) in &memory.work.candidates {
        asked.set(usize::try_from(*position).unwrap_or(usize::MAX));
    }
    let mut chosen = Vec::new();
    let mut at = 0;
    while let Some(position) = asked.next(at) {
        let Some(index) = list.get(position) else { break };
        let unit = plan.unit_at.get(position).copied().flatten();
        at = if unit.is_some() {
            chosen.clear();
            choose(transaction, rules, *index, position, &memory.work.candidates, &mut chosen);
            transaction.take_step(rules, *index, position, Some(&chosen))
        } else {
            transaction.take_step(rules, *index, position, None)
        };
        if !transaction.goes_on() {
            break;
        }
    }
    let mut kept = rules.engine.memories();
    if kept.len() < KEPT {
        kept.push(memory);
    }
}

/// The candidates of one rule, in the order in which its targets name them.
fn choose(
    transaction: &mut Transaction,
    rules: &Rules,
    index: u32,
    position: usize,
    all: &[(u32, Found)],
    out: &mut Vec<Found>,
) {
    let rule = usize::try_from(index).ok().and_then(|index| rules.program.rules.get(index));
    let Some(link) = rule.and_then(|rule| rule.links.first()) else { return };
    transaction.current = index;
    let start = all.partition_point(|(own, _)| usize::try_from(*own).is_ok_and(|own| own < position));
    let own =
        all.iter().skip(start).take_while(|(own, _)| usize::try_from(*own).is_ok_and(|own| own == position));
    for target in link.targets.iter().filter(|target| !target.exclude) {
        for (_, one) in own.clone().filter(|(_, one)| one.collection == target.collection) {
            if target.which.takes(transaction.texts.get(one.key)) && !transaction.is_excluded(link, one) {
                out.push(*one);
            }
        }
    }
}

// === impl Memory ===

impl Memory {
    /// Finds the values for which units may match, sorted by where the units stand.
    fn look_ahead(&mut self, transaction: &mut Transaction, rules: &Rules, plan: &PhasePlan) {
        let mut work = std::mem::take(&mut self.work);
        work.done.clear();
        work.hits.clear();
        work.found.clear();
        work.candidates.clear();
        if self.shortlists.len() > SHORTLISTS || self.classes.len() > CLASSES {
            // Classes are part of a shortlist's name: they go together.
            *self = Self::default();
        }
        let phase = transaction.phase;
        for (collection, interest) in &plan.interests {
            work.values.clear();
            let mut values = std::mem::take(&mut work.values);
            transaction.gather_all(*collection, &mut values);
            let shared = (!values.is_empty() && !interest.is_by_name())
                .then(|| self.class(phase, interest.of(b""), plan));
            for one in &values {
                let class = match shared {
                    Some(class) => class,
                    None => {
                        self.class_by_name(phase, *collection, interest, &transaction.texts, one.key, plan)
                    }
                };
                let (from, to) = self.decide(&mut work, transaction, rules, plan, class, one.value);
                for hit in from..to {
                    let unit = usize::try_from(hit)
                        .ok()
                        .and_then(|hit| work.hits.get(hit))
                        .copied()
                        .unwrap_or_default();
                    let unit = usize::try_from(unit).ok().and_then(|unit| plan.units.get(unit));
                    work.candidates.extend(unit.map(|unit| (unit.position, *one)));
                }
            }
            work.values = values;
        }
        // Stable: the values of a rule stay in their order.
        work.candidates.sort_by_key(|(position, _)| *position);
        self.work = work;
    }

    fn class_by_name(
        &mut self,
        phase: u8,
        collection: Collection,
        interest: &plan::Interest,
        texts: &Texts,
        key: TextId,
        plan: &PhasePlan,
    ) -> u32 {
        let (name, hash) = (texts.get(key), texts.hash(key));
        if let Some(class) = self.names.get((phase, collection), hash, name) {
            return *class;
        }
        let class = self.class(phase, interest.of(name), plan);
        if name.len() <= LENGTH {
            self.names.put((phase, collection), hash, name, class);
        }
        class
    }

    fn class(&mut self, phase: u8, bits: Bits, plan: &PhasePlan) -> u32 {
        let bits = Arc::new(bits);
        if let Some(class) = self.class_of.get(&(phase, Arc::clone(&bits))) {
            return *class;
        }
        let bits = if self.classes.len() < CLASSES { bits } else { Arc::new(Bits::full(plan.units.len())) };
        let class = u32::try_from(self.classes.len()).unwrap_or(u32::MAX);
        self.classes.push(Arc::clone(&bits));
        self.class_of.insert((phase, bits), class);
        class
    }

    /// The units of a class that match a text: a range of the hits.
    fn decide(
        &mut self,
        work: &mut Work,
        transaction: &mut Transaction,
        rules: &Rules,
        plan: &PhasePlan,
        class: u32,
        text: TextId,
    ) -> (u32, u32) {
        let hash = transaction.texts.hash(text);
        if let Some(known) = self.matches.get(class, hash, transaction.texts.get(text)) {
            let from = u32::try_from(work.hits.len()).unwrap_or(u32::MAX);
            work.hits.extend_from_slice(known);
            return (from, u32::try_from(work.hits.len()).unwrap_or(u32::MAX));
        }
        let (from, to) = self.find_out(work, transaction, rules, plan, class, text);
        // Where there was no room for what transformations make, the answer is no answer.
        let bytes = transaction.texts.get(text);
        if bytes.len() <= LENGTH && !transaction.texts.full {
            let own = work.hits.get(usize::try_from(from).unwrap_or_default()..).unwrap_or_default();
            let own = own.get(..usize::try_from(to - from).unwrap_or_default()).unwrap_or_default();
            self.matches.put(class, hash, bytes, own.into());
        }
        (from, to)
    }

    fn find_out(
        &mut self,
        work: &mut Work,
        transaction: &mut Transaction,
        rules: &Rules,
        plan: &PhasePlan,
        class: u32,
        text: TextId,
    ) -> (u32, u32) {
        if let Some(known) = work.done.get(&(class, text)) {
            return *known;
        }
        let from = u32::try_from(work.hits.len()).unwrap_or(u32::MAX);
        work.stack.push((0, text));
        while let Some((node, text)) = work.stack.pop() {
            let signature = transaction.texts.signature(text);
            let shortlist = self.shortlist(plan, class, node, signature.coarse());
            if !shortlist.units.is_empty() {
                let literals = literals(work, transaction, plan, text);
                let words = shortlist.units.words().iter().zip(plan.gated.words());
                for (index, (alive, gated)) in words.enumerate() {
                    let found = literals
                        .as_ref()
                        .and_then(|bits| bits.words().get(index))
                        .copied()
                        .unwrap_or_default();
                    let mut left = alive & (!gated | found);
                    while left != 0 {
                        let unit = index * 64 + usize::try_from(left.trailing_zeros()).unwrap_or_default();
                        left &= left - 1;
                        let Some(one) = plan.units.get(unit) else { continue };
                        if one.gate.admits(signature) && holds(transaction, rules, one.rule, text) {
                            let unit = u32::try_from(unit).unwrap_or(u32::MAX);
                            let own = usize::try_from(from).unwrap_or_default();
                            // `multiMatch` may find it at several nodes.
                            if !work.hits.iter().skip(own).any(|hit| *hit == unit) {
                                work.hits.push(unit);
                            }
                        }
                    }
                }
            }
            for (step, next) in &shortlist.steps {
                let after = transaction.texts.step(text, *step);
                work.stack.push((*next, after));
            }
        }
        let to = u32::try_from(work.hits.len()).unwrap_or(u32::MAX);
        work.done.insert((class, text), (from, to));
        (from, to)
    }

    fn shortlist(&mut self, plan: &PhasePlan, class: u32, node: usize, signature: u64) -> Arc<Shortlist> {
        if let Some(known) = self.shortlists.get(&(class, node, signature)) {
            return Arc::clone(known);
        }
        let mut list = Shortlist { units: Bits::new(plan.units.len()), steps: Vec::new() };
        let looks = usize::try_from(class)
            .ok()
            .and_then(|class| self.classes.get(class))
            .cloned()
            .unwrap_or_default();
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            let Some(node) = plan.nodes.get(node) else { continue };
            for unit in &node.units {
                if looks.has(*unit)
                    && plan.units.get(*unit).is_some_and(|one| one.gate.admits_coarsely(signature))
                {
                    list.units.set(*unit);
                }
            }
            for (step, next) in &node.next {
                if crate::signature::is_fixed_coarsely(signature, *step) {
                    stack.push(*next);
                } else if leads_anywhere(plan, *next, &looks) {
                    list.steps.push((*step, *next));
                }
            }
        }
        let list = Arc::new(list);
        self.shortlists.insert((class, node, signature), Arc::clone(&list));
        list
    }
}

/// Whether a unit of these hangs behind a node.
fn leads_anywhere(plan: &PhasePlan, node: usize, looks: &Bits) -> bool {
    let mut stack = vec![node];
    while let Some(node) = stack.pop() {
        let Some(node) = plan.nodes.get(node) else { continue };
        if node.units.iter().any(|unit| looks.has(*unit)) {
            return true;
        }
        stack.extend(node.next.iter().map(|(_, next)| *next));
    }
    false
}

fn holds(transaction: &Transaction, rules: &Rules, rule: u32, text: TextId) -> bool {
    let rule = usize::try_from(rule).ok().and_then(|index| rules.program.rules.get(index));
    let Some(link) = rule.and_then(|rule| rule.links.first()) else { return false };
    let argument = link.operator.argument().and_then(|argument| argument.constant()).unwrap_or_default();
    link.operator.holds(transaction.texts.get(text), argument, &*rules.detector, None)
}

/// The units that a literal in the text lets pass.
fn literals(work: &mut Work, transaction: &Transaction, plan: &PhasePlan, text: TextId) -> Option<Arc<Bits>> {
    let automaton = plan.literals.as_ref()?;
    if let Some(known) = work.found.get(&text) {
        return Some(Arc::clone(known));
    }
    let mut bits = Bits::new(plan.units.len());
    for found in automaton.find_overlapping_iter(transaction.texts.get(text)) {
        for unit in plan.literal_units.get(found.pattern().as_usize()).into_iter().flatten() {
            bits.set(*unit);
        }
    }
    let bits = Arc::new(bits);
    work.found.insert(text, Arc::clone(&bits));
    Some(bits)
}
