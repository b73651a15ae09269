//! What is changed of a call after it was judged.

use crate::diagnostic::Diagnostic;
use crate::model::{Fact, Group, HeaderChanges, HostRewrite, PathRewrite, Pattern, Rewrite};
use crate::reader::{Fields, Mistakes, entries, list, scalar, shortened};
use crate::settings;
use crate::template::Template;
use crate::tree::{Node, Place};
use crate::value::HttpUrl;

/// Most fields that are set, and most that are left out: each call has them all.
const FIELDS: usize = 64;

/// Longest value of a field, in bytes: a few of them still fit the smallest head that servers take (8 KiB).
const VALUE: usize = 1024;

/// Most patterns in one list: each call is tried with them one after the other.
const PATTERNS: usize = 32;

/// Longest pattern, in bytes: more than anybody can read.
const PATTERN: usize = 512;

/// Bytes that a pattern may take when it is compiled, and that its cache may take when it is used: matching a path takes time in proportion
/// to the product of this and the path's length.
const COMPILED: usize = 64 * 1024;

/// Longest name of a field, in bytes.
const NAME: usize = 100;

/// Fields of the connection, and those that frame or describe the content that was judged.
const FRAMING: [&str; 15] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// What only the gateway tells an upstream: who calls, and as what it was judged.
const TOLD: [&str; 5] = ["content-type", "forwarded", "traceparent", "tracestate", "x-real-ip"];

/// What else a request's field may not be set to: secrets do not stand in this file.
const SECRET: [&str; 2] = ["authorization", "cookie"];

/// What caches go by.
const CACHED: [&str; 1] = ["vary"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Reads what an API or a service changes.
pub(super) fn rewrite(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Rewrite {
    rewrite_below(fields, &[], mistakes)
}

/// Reads what an operation changes. `above` are the patterns of its API, whose groups its header fields may tell where it has none itself.
pub(super) fn rewrite_below(fields: &Fields<'_>, above: &[PathRewrite], mistakes: &mut Mistakes) -> Rewrite {
    let Some(node) = fields.get("rewrite") else { return Rewrite::default() };
    let fields = Fields::open(node, &settings::REWRITE, mistakes);
    let path = paths(&fields, mistakes);
    let groups: Vec<&str> =
        if path.is_empty() { above } else { &path }.iter().flat_map(|path| path.pattern.names()).collect();
    Rewrite {
        strip_prefix: prefix(&fields, "strip_prefix", mistakes),
        add_prefix: prefix(&fields, "add_prefix", mistakes),
        host: host(&fields, mistakes),
        request_headers: headers(fields.get("request_headers"), Side::Request, &groups, mistakes),
        response_headers: headers(fields.get("response_headers"), Side::Response, &groups, mistakes),
        path,
    }
}

fn prefix(fields: &Fields<'_>, name: &str, mistakes: &mut Mistakes) -> Option<String> {
    let prefix: String = fields.scalar(name, mistakes)?;
    if !prefix.starts_with('/') || prefix.ends_with('/') {
        mistakes.value(fields.place_of(name), "expected `/` and segments without a slash at the end");
    }
    Some(prefix)
}

fn host(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<HostRewrite> {
    let written: String = fields.scalar("host", mistakes)?;
    if written == "keep" {
        return Some(HostRewrite::Keep);
    }
    match HttpUrl::parse(&format!("http://{written}")) {
        Ok(url) if url.path == "/" && !written.ends_with('/') => {
            Some(HostRewrite::Name(written.to_ascii_lowercase()))
        }
        Ok(_) => {
            mistakes.value(fields.place_of("host"), "expected `keep`, or a host name and perhaps a port");
            None
        }
        Err(message) => {
            mistakes.value(fields.place_of("host"), message);
            None
        }
    }
}

fn paths(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Vec<PathRewrite> {
    let Some(node) = fields.get("path") else { return Vec::new() };
    let nodes = list(node, false, mistakes);
    if nodes.len() > PATTERNS {
        mistakes.value(node.place, format!("expected at most {PATTERNS} patterns"));
        return Vec::new();
    }
    nodes.into_iter().filter_map(|node| path(node, mistakes)).collect()
}

fn path(node: &Node, mistakes: &mut Mistakes) -> Option<PathRewrite> {
    let fields = Fields::open(node, &settings::REWRITE_PATH, mistakes);
    let (text, to): (Option<String>, Option<String>) =
        (fields.required("pattern", mistakes), fields.required("to", mistakes));
    let at = fields.place_of("pattern");
    let (pattern, to) = (pattern(&text?, at, mistakes)?, to?);
    let names: Vec<&str> = pattern.names().collect();
    for name in &names {
        if Fact::NAMED.iter().any(|(known, _)| known == name) {
            mistakes.value(
                at,
                format!("`{{{name}}}` has a meaning of its own in header fields: rename the group"),
            );
        }
    }
    let numbers: Vec<String> = (0..pattern.regex.captures_len()).map(|number| number.to_string()).collect();
    let known = names.iter().copied().chain(numbers.iter().map(String::as_str));
    let read = |name: &str| match name.parse() {
        Ok(number) if number < pattern.regex.captures_len() => Some(Group::Number(number)),
        Ok(_) => None,
        Err(_) => names.contains(&name).then(|| Group::Name(name.to_owned())),
    };
    let template = template(&to, fields.place_of("to"), known, read, mistakes);
    Some(PathRewrite { to: template?, pattern })
}

fn pattern(text: &str, at: Place, mistakes: &mut Mistakes) -> Option<Pattern> {
    if text.len() > PATTERN {
        mistakes.value(at, format!("a pattern has at most {PATTERN} characters"));
        return None;
    }
    let compile = |text: &str| {
        // Canonical paths are ASCII: bytes are matched, and classes are small.
        regex::bytes::RegexBuilder::new(text)
            .unicode(false)
            .size_limit(COMPILED)
            .dfa_size_limit(COMPILED)
            .build()
    };
    // By itself first: `a)(b` is no pattern, though it would be one between other parentheses.
    match compile(text).and_then(|_| compile(&format!("^(?:{text})$"))) {
        Ok(regex) => Some(Pattern { text: text.to_owned(), regex }),
        Err(regex::Error::CompiledTooBig(_)) => {
            mistakes
                .value(at, format!("the pattern is too large: it takes more than {} KiB", COMPILED / 1024));
            None
        }
        Err(error) => {
            let told = error.to_string();
            let why = told.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let help = "patterns are those of Rust's `regex`: no look-around, no back-references";
            let message = format!("the pattern cannot be used: {why}");
            mistakes.add(Diagnostic::new("invalid-value", message).at(at).help(help));
            None
        }
    }
}

/// Reads a text with placeholders; notes what stands between braces and is none.
fn template<'n, P>(
    text: &str,
    at: Place,
    known: impl Iterator<Item = &'n str> + Clone,
    read: impl Fn(&str) -> Option<P>,
    mistakes: &mut Mistakes,
) -> Option<Template<P>> {
    match Template::parse(text, known, read) {
        Ok(template) => Some(template),
        Err(error) => {
            mistakes.add(Diagnostic::new("invalid-value", error.message).at(at).help(error.help));
            None
        }
    }
}

fn headers(node: Option<&Node>, side: Side, groups: &[&str], mistakes: &mut Mistakes) -> HeaderChanges {
    let Some(node) = node else { return HeaderChanges::default() };
    let fields = Fields::open(node, &settings::REWRITE_HEADERS, mistakes);
    let mut changes = HeaderChanges::default();
    for what in ["set", "add"] {
        let into = if what == "set" { &mut changes.set } else { &mut changes.add };
        for (key, node) in fields.get(what).map(|node| entries(node, mistakes)).unwrap_or_default() {
            let name = header_name(&key.name, key.place, side, true, mistakes);
            let Some(value) = scalar::<String>(node, mistakes) else { continue };
            header_value(&value, node.place, mistakes);
            let known = Fact::NAMED.iter().map(|(name, _)| *name).chain(groups.iter().copied());
            let Some(value) = template(&value, node.place, known, |name| fact(name, groups), mistakes) else {
                continue;
            };
            if into.insert(name, value).is_some() {
                mistakes.value(key.place, "the field stands here twice: case does not count");
            }
        }
    }
    for node in fields.get("remove").map(|node| list(node, true, mistakes)).unwrap_or_default() {
        let Some(written) = scalar::<String>(node, mistakes) else { continue };
        let name = header_name(&written, node.place, side, false, mistakes);
        if changes.set.contains_key(&name) || changes.add.contains_key(&name) {
            mistakes.value(node.place, "the field is set and left out at once");
        }
        changes.remove.push(name);
    }
    if let Some(name) = changes.add.keys().find(|name| changes.set.contains_key(*name)) {
        mistakes.value(fields.place_of("add"), format!("`{name}` is set and added to at once"));
    }
    if [changes.set.len(), changes.add.len(), changes.remove.len()].iter().any(|fields| *fields > FIELDS) {
        mistakes.value(node.place, format!("expected at most {FIELDS} fields"));
    }
    changes
}

fn fact(name: &str, groups: &[&str]) -> Option<Fact> {
    let named = Fact::NAMED.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact.clone());
    named.or_else(|| groups.contains(&name).then(|| Fact::Group(name.to_owned())))
}

/// The field's name in lower case, if it may be changed.
pub(super) fn header_name(
    written: &str,
    place: Place,
    side: Side,
    sets: bool,
    mistakes: &mut Mistakes,
) -> String {
    let name = written.to_ascii_lowercase();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_one_of = |names: &[&str]| names.contains(&name.as_str());
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let ours = is_one_of(&FRAMING)
        || begins(&["sec-websocket-", "grpc-", "x-haechi-"])
        || match side {
            Side::Request => is_one_of(&TOLD) || begins(&["x-forwarded-"]),
            Side::Response => is_one_of(&CACHED),
        };
    let shown = shortened(written);
    if name.is_empty() || name.len() > NAME || !name.bytes().all(token) {
        mistakes.value(place, format!("`{shown}` is no name of a header field"));
    } else if ours {
        mistakes.value(place, format!("`{shown}` is the gateway's own to say, and cannot be rewritten"));
    } else if side == Side::Request && sets && is_one_of(&SECRET) {
        mistakes.value(place, format!("`{shown}` carries secrets, which do not stand in this file"));
    }
    name
}

/// Notes what cannot stand in a header field as it is written.
pub(super) fn header_value(value: &str, place: Place, mistakes: &mut Mistakes) {
    let visible = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !visible || value.trim() != value || value.len() > VALUE {
        mistakes.value(place, format!("expected at most {VALUE} visible ASCII characters"));
    }
}
