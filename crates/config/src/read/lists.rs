//! Lists, and who may call by them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Known, names, reference};
use crate::diagnostic::Diagnostic;
use crate::model::{CallerList, Callers, Geo, ListEntry};
use crate::reader::{Fields, Mistakes, Scalar, list, scalar};
use crate::settings;
use crate::tree::{Node, Value};
use crate::value;

/// Most lists: each call may be asked for all of them, one after the other.
const LISTS: usize = 64;

/// Most files of one list.
const FILES: usize = 16;

impl Scalar for ListEntry {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) => value::list_entry(text),
            _ => Err(format!("expected {}, found {}", value::LIST_ENTRY, node.kind())),
        }
    }
}

pub(super) fn lists(
    node: Option<&Node>,
    base: &Path,
    mistakes: &mut Mistakes,
) -> BTreeMap<String, CallerList> {
    let Some(node) = node else { return BTreeMap::new() };
    let entries = names(node, &[], mistakes);
    if entries.len() > LISTS {
        mistakes.value(node.place, format!("expected at most {LISTS} lists"));
    }
    entries.iter().map(|(key, node)| (key.name.clone(), caller_list(node, base, mistakes))).collect()
}

fn caller_list(node: &Node, base: &Path, mistakes: &mut Mistakes) -> CallerList {
    let fields = Fields::open(node, &settings::LIST, mistakes);
    let [entries, files] = ["entries", "files"]
        .map(|name| fields.get(name).map(|node| list(node, true, mistakes)).unwrap_or_default());
    if entries.is_empty() && files.is_empty() {
        let message = "the list holds nobody";
        let help = "write `entries: […]`, or `files: […]` with one entry a line";
        mistakes.add(Diagnostic::new("missing-field", message).at(node.place).help(help));
    }
    if files.len() > FILES {
        mistakes.value(fields.place_of("files"), format!("expected at most {FILES} files"));
    }
    CallerList {
        entries: entries.into_iter().filter_map(|node| scalar(node, mistakes)).collect(),
        files: files
            .into_iter()
            .filter_map(|node| Some(base.join(scalar::<PathBuf>(node, mistakes)?)))
            .collect(),
    }
}

pub(super) fn geo(fields: &Fields<'_>, base: &Path, mistakes: &mut Mistakes) -> Geo {
    let [country, asn] =
        ["country", "asn"].map(|name| fields.scalar::<PathBuf>(name, mistakes).map(|path| base.join(path)));
    Geo { country, asn }
}

pub(super) fn callers(fields: &Fields<'_>, known: &Known, mistakes: &mut Mistakes) -> Callers {
    let Some(node) = fields.get("callers") else { return Callers::default() };
    let fields = Fields::open(node, &settings::CALLERS, mistakes);
    let [allow, deny] = ["allow", "deny"].map(|name| {
        let nodes = fields.get(name).map(|node| list(node, true, mistakes)).unwrap_or_default();
        nodes.into_iter().filter_map(|node| reference(node, "list", &known.lists, mistakes)).collect()
    });
    Callers { allow, deny }
}
