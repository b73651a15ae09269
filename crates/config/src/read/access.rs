//! Rules.

use crate::model::Rule;
use crate::reader::{Fields, Mistakes, list, shortened, word};
use crate::settings;
use crate::tree::Node;

/// Most rules in one list: each call is asked for them one after the other.
const RULES: usize = 256;

/// Statuses that ask for credentials, and so come with a header that a rule does not have (RFC 9110, section 15.5).
const CHALLENGES: [u64; 2] = [401, 407];

pub(super) fn rules(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Vec<Rule> {
    let Some(node) = fields.get("rules") else { return Vec::new() };
    let nodes = list(node, false, mistakes);
    if nodes.len() > RULES {
        mistakes.value(node.place, format!("expected at most {RULES} rules"));
        return Vec::new();
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(rule) = rule(node, mistakes) else { continue };
        if rules.iter().any(|known| known.name == rule.name) {
            mistakes.value(
                node.place,
                format!("a rule of this list is named `{}` already", shortened(&rule.name)),
            );
        }
        rules.push(rule);
    }
    rules
}

fn rule(node: &Node, mistakes: &mut Mistakes) -> Option<Rule> {
    let fields = Fields::open(node, &settings::RULE, mistakes);
    let (name, when) = (fields.required("name", mistakes), fields.required("when", mistakes));
    if let Some(node) = fields.get("then") {
        word(node, &[("deny", ())], mistakes)?;
    }
    let status = fields.number("status", mistakes)?;
    if CHALLENGES.contains(&status) {
        mistakes.value(
            fields.place_of("status"),
            format!("`{status}` asks for credentials, which a rule does not"),
        );
    }
    let detail = fields.scalar("detail", mistakes);
    Some(Rule { name: name?, when: when?, status: u16::try_from(status).ok()?, detail })
}
