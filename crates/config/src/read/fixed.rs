//! What becomes of a service's calls: sent on, sent elsewhere, or answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::rewrite::{Side, header_name, header_value};
use super::upstream;
use crate::diagnostic::Diagnostic;
use crate::model::{Content, Destination, Origin, Place, Redirect, Respond, Target};
use crate::reader::{Fields, Mistakes, entries, scalar, word};
use crate::settings::{self, REDIRECTS};
use crate::template::Template;
use crate::tree::{Node, Place as At};
use crate::value::HttpUrl;

/// What a service does, of which it does one.
const TARGETS: [&str; 3] = ["upstream", "redirect", "respond"];

/// What is said of an upstream and its answers.
const OF_UPSTREAMS: [&str; 4] = ["body", "upgrade", "origins", "rewrite"];

/// Statuses that a fixed answer cannot have, and why.
const NOT_FIXED: [(std::ops::RangeInclusive<u64>, &str); 5] = [
    (205..=206, "speaks of what a caller did or asked for"),
    (300..=399, "sends the caller elsewhere or to its cache: write `redirect`"),
    (401..=401, "asks for credentials: that is what `auth` does"),
    (407..=407, "asks for credentials: that is what `auth` does"),
    (426..=426, "asks for another protocol"),
];

/// Fields of a fixed answer that follow from its content.
const CONTENT: [&str; 4] = ["accept-ranges", "content-type", "etag", "last-modified"];

/// Longest text of `content_type`, in bytes.
const CONTENT_TYPE: usize = 256;

pub(super) fn target(fields: &Fields<'_>, base: &Path, mistakes: &mut Mistakes) -> Option<Target> {
    let written: Vec<_> = TARGETS.into_iter().filter(|name| fields.has(name)).collect();
    match written.as_slice() {
        ["upstream"] => {
            let upstream = fields.get("upstream").and_then(|node| upstream(node, mistakes))?;
            return Some(Target::Upstream(Box::new(upstream)));
        }
        [] => {
            let message = "a service has one of `upstream`, `redirect` and `respond`";
            let help = "where do its calls go, or what are they answered?";
            let diagnostic = Diagnostic::new("missing-field", message).at(fields.place());
            mistakes.add(diagnostic.help(help));
            return None;
        }
        [_] => {}
        [first, second, ..] => {
            let message = format!("a service has one of `{first}` and `{second}`");
            mistakes.value(fields.place_of(second), message);
            return None;
        }
    }
    for name in OF_UPSTREAMS.into_iter().filter(|name| fields.get(name).is_some()) {
        mistakes.value(fields.place_of(name), format!("`{name}` is for services with an `upstream`"));
    }
    match (fields.get("redirect"), fields.get("respond")) {
        (Some(node), _) => redirect(node, fields.get("host").is_some(), mistakes).map(Target::Redirect),
        (_, Some(node)) => respond(node, base, mistakes).map(Target::Respond),
        (None, None) => None,
    }
}

fn redirect(node: &Node, has_host: bool, mistakes: &mut Mistakes) -> Option<Redirect> {
    let fields = Fields::open(node, &settings::REDIRECT, mistakes);
    let to: Option<String> = fields.required("to", mistakes);
    let status = match fields.get("status") {
        Some(node) => word(node, &REDIRECTS.map(|status| (status, status)), mistakes)?,
        None => "308",
    };
    let keep_query = fields.scalar("keep_query", mistakes);
    let to = destination(&to?, fields.place_of("to"), has_host, mistakes);
    Some(Redirect { to: to?, status: status.parse().ok()?, keep_query: keep_query? })
}

/// Reads where a redirect leads. What a caller writes comes into the path only, and is judged there.
fn destination(text: &str, at: At, has_host: bool, mistakes: &mut Mistakes) -> Option<Destination> {
    let rest = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => Some((scheme == "https", rest)),
        None if text.starts_with(['/', '{']) => None,
        _ => {
            mistakes.value(at, "expected a path, or a URL that begins with `https://` or `http://`");
            return None;
        }
    };
    let (origin, rest) = match rest {
        Some((tls, rest)) => {
            let (origin, rest) = origin(tls, rest, at, has_host, mistakes)?;
            (Some(origin), rest)
        }
        None => (None, text),
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
    if let Some(query) = query
        && !query.bytes().all(plain)
    {
        mistakes.value(at, "the query of a redirect is a fixed text: no placeholders, no `#`, no blanks");
        return None;
    }
    let read = |name: &str| match name {
        "path" => Some(Place::Path),
        "rest" => Some(Place::Rest),
        _ => None,
    };
    match Template::parse(path, ["path", "rest"].into_iter(), read) {
        Ok(path) => {
            let (text, query) = (text.to_owned(), query.filter(|query| !query.is_empty()).map(str::to_owned));
            Some(Destination { text, origin, path, query })
        }
        Err(_) if path.contains("{host}") => {
            mistakes.value(at, "`{host}` is a URL's whole host, as in `https://{host}{path}`");
            None
        }
        Err(error) => {
            mistakes.add(Diagnostic::new("invalid-value", error.message).at(at).help(error.help));
            None
        }
    }
}

/// Host and port, and what stands behind them.
fn origin<'t>(
    tls: bool,
    rest: &'t str,
    at: At,
    has_host: bool,
    mistakes: &mut Mistakes,
) -> Option<(Origin, &'t str)> {
    let (asked, behind) = match rest.strip_prefix("{host}") {
        Some(behind) => (true, behind),
        None => (false, rest),
    };
    if asked && !has_host {
        let help = "give the service a `host`, or name one instead of `{host}`";
        let message = "a caller could make up the host, and so lead others wherever it likes";
        mistakes.add(Diagnostic::new("open-redirect", message).at(at).help(help));
        return None;
    }
    let end = behind.find(['/', '?', '{']).unwrap_or(behind.len());
    let (authority, path) = behind.split_at_checked(end)?;
    // A placeholder of the path begins with a slash or is empty; anything else would become part of the host.
    let written = if asked { format!("host.invalid{authority}") } else { authority.to_owned() };
    let port_only = !asked || authority.is_empty() || authority.starts_with(':');
    match HttpUrl::parse(&format!("http://{written}")) {
        Ok(url) if port_only => {
            let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
            let host = (!asked)
                .then(|| if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() });
            Some((Origin { tls, host, port: port.map(|_| url.port) }, path))
        }
        Ok(_) => {
            mistakes.value(at, "behind `{host}` stands a port, a path, or nothing");
            None
        }
        Err(message) => {
            mistakes.value(at, message);
            None
        }
    }
}

fn respond(node: &Node, base: &Path, mistakes: &mut Mistakes) -> Option<Respond> {
    let fields = Fields::open(node, &settings::RESPOND, mistakes);
    fields.require("status", mistakes);
    let status = fields.number("status", mistakes)?;
    if let Some((_, why)) = NOT_FIXED.iter().find(|(statuses, _)| statuses.contains(&status)) {
        mistakes.value(fields.place_of("status"), format!("a fixed answer cannot be {status}, which {why}"));
    }
    let mut headers = BTreeMap::new();
    for (key, node) in fields.get("headers").map(|node| entries(node, mistakes)).unwrap_or_default() {
        let name = header_name(&key.name, key.place, Side::Response, true, mistakes);
        if CONTENT.contains(&name.as_str()) {
            mistakes.value(key.place, format!("`{}` follows from the content", key.name));
        }
        let Some(value) = scalar::<String>(node, mistakes) else { continue };
        header_value(&value, node.place, mistakes);
        if headers.insert(name, value).is_some() {
            mistakes.value(key.place, "the field stands here twice: case does not count");
        }
    }
    let content_type: String = fields.scalar("content_type", mistakes)?;
    if !content_type.contains('/') || content_type.len() > CONTENT_TYPE {
        mistakes.value(fields.place_of("content_type"), "expected a type such as `text/html; charset=utf-8`");
    }
    header_value(&content_type, fields.place_of("content_type"), mistakes);
    let (body, file): (Option<String>, Option<PathBuf>) =
        (fields.scalar("body", mistakes), fields.scalar("body_file", mistakes));
    let content = match (body, file) {
        (Some(_), Some(_)) => {
            mistakes.value(fields.place_of("body_file"), "the content is one of `body` and `body_file`");
            return None;
        }
        (Some(text), None) => Content::Text(text),
        (None, Some(file)) => Content::File(base.join(file)),
        (None, None) => Content::Empty,
    };
    if status == 204 && content != Content::Empty {
        mistakes.value(fields.place_of("status"), "an answer with the status 204 has no content");
    }
    Some(Respond { status: u16::try_from(status).ok()?, headers, content_type, content })
}
