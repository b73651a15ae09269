//! What is served without a contract, and how callers arrive.

use std::path::Path;

use super::fixed::target;
use super::rewrite::rewrite;
use super::{
    Known, access, body_limit, body_size, compress, lists, modes, plan_choice, scheme, waf, websocket,
    written_auth,
};
use crate::diagnostic::Diagnostic;
use crate::model::{Channel, Service};
use crate::reader::{Fields, Mistakes, list, names, scalar, word};
use crate::settings::{self, METHODS};
use crate::tree::{Node, Value};

/// Most channels: each call is asked for them one after the other, and each is a label of metrics.
const CHANNELS: usize = 64;

/// What the columns `channel` says of calls that came no way with a name.
const NO_CHANNEL: [&str; 1] = ["none"];

pub(super) fn channels(
    node: Option<&Node>,
    known: &Known,
    mistakes: &mut Mistakes,
) -> Vec<(String, Channel)> {
    let Some(node) = node else { return Vec::new() };
    let entries = names(node, &NO_CHANNEL, mistakes);
    if entries.len() > CHANNELS {
        mistakes.value(node.place, format!("expected at most {CHANNELS} channels"));
    }
    entries
        .iter()
        .filter_map(|(key, node)| {
            let fields = Fields::open(node, &settings::CHANNEL, mistakes);
            let when = fields.required("when", mistakes);
            let max_body = body_size(&fields, "max_body", known, mistakes);
            Some((key.name.clone(), Channel { when: when?, max_body }))
        })
        .collect()
}

pub(super) fn services(
    node: Option<&Node>,
    base: &Path,
    apis: &[String],
    known: &Known,
    mistakes: &mut Mistakes,
) -> Vec<(String, Service)> {
    let Some(node) = node else { return Vec::new() };
    let entries = names(node, &[], mistakes);
    if entries.is_empty() && apis.is_empty() && matches!(node.value, Value::Map(_) | Value::Null) {
        mistakes.add(Diagnostic::new("missing-field", "no API and no service is served").at(node.place));
    }
    entries
        .iter()
        .filter_map(|(key, node)| {
            if apis.contains(&key.name) {
                let message = format!("`{}` is an API already", key.name);
                let help = "events and metrics name both in one column: choose another name";
                mistakes.add(Diagnostic::new("invalid-name", message).at(key.place).help(help));
            }
            Some((key.name.clone(), service(node, base, known, mistakes)?))
        })
        .collect()
}

fn service(node: &Node, base: &Path, known: &Known, mistakes: &mut Mistakes) -> Option<Service> {
    let fields = Fields::open(node, &settings::SERVICE, mistakes);
    let host: Option<String> = fields.scalar("host", mistakes);
    let (prefix, exact) = match fields.get("path") {
        Some(_) => (path(&fields, mistakes), true),
        None => (prefix(&fields, mistakes), false),
    };
    let target = target(&fields, base, mistakes);
    let auth = written_auth(&fields, "service", known, mistakes);
    let plan = fields.get("plan").map(|node| plan_choice(node, known, mistakes)).unwrap_or_default();
    let modes = modes(fields.get("modes"), mistakes);
    let methods = methods(&fields, mistakes);
    let body = body_limit(&fields, known, mistakes);
    let websocket = websocket(&fields, mistakes);
    Some(Service {
        host: host.map(|host| host.to_ascii_lowercase()),
        prefix: prefix?,
        exact,
        scheme: scheme(&fields, mistakes),
        target: target?,
        auth: auth?,
        plan,
        modes,
        callers: lists::callers(&fields, known, mistakes),
        rules: access::rules(&fields, mistakes),
        waf: waf::waf(&fields, base, mistakes),
        methods,
        body,
        compress: compress(&fields, mistakes),
        websocket,
        rewrite: rewrite(&fields, mistakes),
    })
}

/// A prefix without the slash at its end: whole segments are compared.
fn prefix(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let written = match fields.get("prefix") {
        Some(node) => scalar::<String>(node, mistakes)?,
        None => "/".to_owned(),
    };
    if !written.starts_with('/') {
        mistakes.value(fields.place_of("prefix"), "a prefix begins with `/`");
        return None;
    }
    let prefix = match written.trim_end_matches('/') {
        "" => "/",
        prefix => prefix,
    };
    Some(prefix.to_owned())
}

/// The one path of a service.
fn path(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<String> {
    if fields.get("prefix").is_some() {
        mistakes.value(fields.place_of("path"), "a service has one of `path` and `prefix`");
        return None;
    }
    let path: String = fields.scalar("path", mistakes)?;
    if !path.starts_with('/') {
        mistakes.value(fields.place_of("path"), "a path begins with `/`");
        return None;
    }
    Some(path)
}

fn methods(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Vec<String> {
    let Some(node) = fields.get("methods") else {
        return ["GET", "HEAD", "POST"].map(str::to_owned).to_vec();
    };
    let words = METHODS.map(|method| (method, method));
    let nodes = list(node, true, mistakes);
    if nodes.is_empty() && matches!(node.value, Value::List(_)) {
        mistakes.value(node.place, "expected at least one method");
    }
    let mut methods: Vec<String> =
        nodes.into_iter().filter_map(|node| word(node, &words, mistakes)).map(str::to_owned).collect();
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    methods.sort();
    methods.dedup();
    methods
}
