//! Asking rules: which values, after which transformations, whether the operator holds.

use super::{Found, TOLD, Transaction};
use crate::program::{Fold, Link, Looked, Selection};
use crate::rules::Rules;
use crate::texts::TextId;

// === impl Transaction ===

impl Transaction {
    /// Every rule of a phase in order, every value, every transformation: the meaning of the language, without a short cut.
    pub(crate) fn run_plainly(&mut self, rules: &Rules, list: &[u32]) {
        let mut at = 0;
        while let Some(index) = list.get(at) {
            at = self.take_step(rules, *index, at, None);
            if !self.goes_on() {
                return;
            }
        }
    }

    /// Asks one rule, and returns where the phase goes on. With `candidates` the first link asks only these values: the caller knows that no other can match.
    pub(crate) fn take_step(
        &mut self,
        rules: &Rules,
        index: u32,
        at: usize,
        candidates: Option<&[Found]>,
    ) -> usize {
        let Some(rule) = usize::try_from(index).ok().and_then(|index| rules.program.rules.get(index)) else {
            return at + 1;
        };
        if self.removed.contains(&index) {
            return at + 1;
        }
        let jump = rule.jump.and_then(|jump| usize::try_from(jump).ok()).unwrap_or(at + 1);
        if rule.fold == Fold::Always && !self.plain && rule.is_mere_gate() {
            return jump;
        }
        self.current = index;
        self.matched.clear();
        for (position, link) in rule.links.iter().enumerate() {
            let first = position == 0;
            if !self.ask(rules, link, if first { candidates } else { None }, first) {
                return at + 1;
            }
        }
        self.complete(rule);
        jump
    }

    /// Whether a link matches. Its effects happen for each value that does.
    fn ask(&mut self, rules: &Rules, link: &Link, candidates: Option<&[Found]>, first: bool) -> bool {
        if link.targets.is_empty() {
            self.affect(link);
            if first {
                self.told.variable.clear();
                self.told.seen.clear();
            }
            return true;
        }
        let mut gathered = std::mem::take(&mut self.gathered);
        gathered.clear();
        let found = match candidates {
            Some(candidates) => candidates,
            None => {
                self.gather(link, &mut gathered);
                &gathered
            }
        };
        let mut matched = Vec::new();
        for one in found.iter().copied() {
            let mut text = one.value;
            if link.multi {
                self.try_text(rules, link, one, text, first, &mut matched);
            }
            for step in &link.steps {
                let after = if self.plain {
                    self.texts.step_plainly(text, *step)
                } else {
                    self.texts.step(text, *step)
                };
                if link.multi && after != text {
                    self.try_text(rules, link, one, after, first, &mut matched);
                }
                text = after;
            }
            if !link.multi {
                self.try_text(rules, link, one, text, first, &mut matched);
            }
        }
        let any = !matched.is_empty();
        self.matched = matched;
        self.gathered = gathered;
        any
    }

    fn try_text(
        &mut self,
        rules: &Rules,
        link: &Link,
        one: Found,
        text: TextId,
        first: bool,
        matched: &mut Vec<(Vec<u8>, TextId)>,
    ) {
        let filled;
        let argument = match link.operator.argument() {
            None => &b""[..],
            Some(argument) => match argument.constant() {
                Some(constant) => constant,
                None => {
                    filled = self.fill(argument);
                    &filled
                }
            },
        };
        let detector = &*rules.detector;
        if link.operator.holds(self.texts.get(text), argument, detector, None) == link.negated {
            return;
        }
        if link.capture && !link.negated {
            let mut captures = std::mem::take(&mut self.captures);
            captures.clear();
            link.operator.holds(self.texts.get(text), argument, detector, Some(&mut captures));
            self.captures = captures;
        }
        self.told.name.clear();
        self.told.name.extend_from_slice(one.collection.name().as_bytes());
        if one.key != TextId::EMPTY {
            self.told.name.push(b':');
            self.told.name.extend_from_slice(self.texts.get(one.key));
        }
        self.told.value.clear();
        self.told.value.extend_from_slice(self.texts.get(text));
        matched.push((self.told.name.clone(), text));
        self.affect(link);
        if first {
            self.told.variable.clone_from(&self.told.name);
            self.told.seen.clear();
            let seen = self.told.value.get(..self.told.value.len().min(TOLD)).unwrap_or_default();
            self.told.seen.extend_from_slice(seen);
        }
    }

    /// The values that a link looks at, in the order of its targets.
    fn gather(&mut self, link: &Link, out: &mut Vec<Found>) {
        for target in link.targets.iter().filter(|target| !target.exclude) {
            let before = out.len();
            match &target.which {
                Selection::Key(key) if target.collection.is_written() => {
                    out.extend(self.written(target.collection, key))
                }
                _ => self.gather_all(target.collection, out),
            }
            let mut kept = before;
            for at in before..out.len() {
                let Some(one) = out.get(at).copied() else { break };
                if self.is_looked_at_by(link, target, &one)
                    && let Some(slot) = out.get_mut(kept)
                {
                    *slot = one;
                    kept += 1;
                }
            }
            out.truncate(kept);
            if target.count {
                let value = self.texts.intern((kept - before).to_string().as_bytes());
                let key = match &target.which {
                    Selection::Key(key) => self.texts.intern(key),
                    _ => TextId::EMPTY,
                };
                out.truncate(before);
                out.push(Found { collection: target.collection, key, value });
            }
        }
    }

    /// Whether a value is one of a target's, and neither the rule nor `ctl` takes it away.
    fn is_looked_at_by(&self, link: &Link, target: &Looked, one: &Found) -> bool {
        let key = self.texts.get(one.key);
        target.which.takes(key) && !self.is_excluded(link, one)
    }

    /// Whether the rule itself, or `ctl`, takes a value away.
    pub(crate) fn is_excluded(&self, link: &Link, one: &Found) -> bool {
        let key = self.texts.get(one.key);
        let excludes = |other: &Looked| other.collection == one.collection && other.which.takes(key);
        link.targets.iter().any(|other| other.exclude && excludes(other))
            || self.narrowed.iter().any(|(rules, other)| rules.contains(&self.current) && excludes(other))
    }
}
