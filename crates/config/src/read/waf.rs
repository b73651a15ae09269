//! Rules that look for attacks.

use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::model::{AtLimit, Waf, WafExclusion, WafSource};
use crate::reader::{Fields, Mistakes, list, scalar, shortened, word};
use crate::settings;
use crate::tree::Node;

/// Most exclusions in one list: each is a change of rules that is made when they are loaded.
const EXCLUSIONS: usize = 1_000;

/// Least that rules look at of a body: less than that holds no form.
const BODY: u64 = 1024;

/// Most that rules look at of a body. They hold each value once more while they look.
const MOST: u64 = 128 * 1024 * 1024;

pub(super) fn waf(fields: &Fields<'_>, base: &Path, mistakes: &mut Mistakes) -> Waf {
    let Some(node) = fields.get("waf") else { return Waf::default() };
    let fields = Fields::open(node, &settings::WAF, mistakes);
    let rules = fields.get("rules").map(|node| {
        let nodes = list(node, true, mistakes);
        nodes.into_iter().filter_map(|node| source(node, base, mistakes)).collect()
    });
    let exclusions = fields.get("exclusions").map(|node| list(node, false, mistakes)).unwrap_or_default();
    if exclusions.len() > EXCLUSIONS {
        mistakes.value(fields.place_of("exclusions"), format!("expected at most {EXCLUSIONS} exclusions"));
    }
    let at_limit = fields.get("at_limit").and_then(|node| {
        let words = [("reject", AtLimit::Reject), ("process_partial", AtLimit::ProcessPartial)];
        word(node, &words, mistakes)
    });
    Waf {
        rules,
        paranoia: fields.number("paranoia", mistakes).and_then(|level| u8::try_from(level).ok()),
        inbound: fields.number("inbound", mistakes),
        outbound: fields.number("outbound", mistakes),
        exclusions: exclusions.into_iter().filter_map(|node| exclusion(node, mistakes)).collect(),
        responses: fields.get("responses").and_then(|node| scalar(node, mistakes)),
        body: fields.size("body", BODY, MOST, mistakes),
        at_limit,
    }
}

fn source(node: &Node, base: &Path, mistakes: &mut Mistakes) -> Option<WafSource> {
    let text: String = scalar(node, mistakes)?;
    Some(if text == "builtin" { WafSource::Builtin } else { WafSource::Path(base.join(PathBuf::from(text))) })
}

fn exclusion(node: &Node, mistakes: &mut Mistakes) -> Option<WafExclusion> {
    let fields = Fields::open(node, &settings::WAF_EXCLUSION, mistakes);
    let ids = fields.get("rules").map(|node| list(node, true, mistakes)).unwrap_or_default();
    let rules: Vec<u64> = ids.iter().filter_map(|node| scalar(node, mistakes)).collect();
    let tags = fields.get("tags").map(|node| list(node, true, mistakes)).unwrap_or_default();
    let tags = tags.into_iter().filter_map(|node| tag(node, mistakes)).collect::<Vec<_>>();
    let mut name = |field: &str| name(&fields, field, mistakes);
    let (parameter, header, cookie) = (name("parameter"), name("header"), name("cookie"));
    if fields.get("rules").is_none() && fields.get("tags").is_none() {
        let message = "the exclusion says of no rule that it is excluded";
        let help = "name rules by `rules: [ID]` or `tags: [TAG]`";
        mistakes.add(Diagnostic::new("missing-field", message).at(node.place).help(help));
    }
    let reason = fields.required("reason", mistakes)?;
    Some(WafExclusion { rules, tags, parameter, header, cookie, reason })
}

fn tag(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text: String = scalar(node, mistakes)?;
    let known = |letter: char| letter.is_ascii_alphanumeric() || "_-./:".contains(letter);
    if !text.chars().all(known) {
        mistakes.value(node.place, format!("`{}` is no tag", shortened(&text)));
        return None;
    }
    Some(text)
}

/// A name that can stand in a rule: what would end it, or mean something else there, is in no name that is worth it.
fn name(fields: &Fields<'_>, field: &str, mistakes: &mut Mistakes) -> Option<String> {
    let text: String = scalar(fields.get(field)?, mistakes)?;
    let known = |letter: char| letter.is_ascii_alphanumeric() || "_-.[]$@*".contains(letter);
    if !text.chars().all(known) || text.chars().all(|letter| letter == '*') {
        let message = "expected a name of letters, digits and `_-.[]$@`, in which `*` stands for any letters";
        mistakes.value(fields.place_of(field), message);
        return None;
    }
    Some(text)
}
