//! What is changed of a call after it was judged.

use crate::model::{HeaderChanges, Rewrite};
use crate::reader::{Fields, Mistakes, entries, list, scalar, shortened};
use crate::settings;
use crate::tree::{Node, Place};

/// Most fields that are set, and most that are left out: each call has them all.
const FIELDS: usize = 64;

/// Longest value of a field, in bytes: a few of them still fit the smallest head that servers take (8 KiB).
const VALUE: usize = 1024;

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

pub(super) fn rewrite(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Rewrite {
    let Some(node) = fields.get("rewrite") else { return Rewrite::default() };
    let fields = Fields::open(node, &settings::REWRITE, mistakes);
    Rewrite {
        strip_prefix: prefix(&fields, "strip_prefix", mistakes),
        add_prefix: prefix(&fields, "add_prefix", mistakes),
        request_headers: headers(fields.get("request_headers"), Side::Request, mistakes),
        response_headers: headers(fields.get("response_headers"), Side::Response, mistakes),
    }
}

fn prefix(fields: &Fields<'_>, name: &str, mistakes: &mut Mistakes) -> Option<String> {
    let prefix: String = fields.scalar(name, mistakes)?;
    if !prefix.starts_with('/') || prefix.ends_with('/') {
        mistakes.value(fields.place_of(name), "expected `/` and segments without a slash at the end");
    }
    Some(prefix)
}

fn headers(node: Option<&Node>, side: Side, mistakes: &mut Mistakes) -> HeaderChanges {
    let Some(node) = node else { return HeaderChanges::default() };
    let fields = Fields::open(node, &settings::REWRITE_HEADERS, mistakes);
    let mut changes = HeaderChanges::default();
    for (key, node) in fields.get("set").map(|node| entries(node, mistakes)).unwrap_or_default() {
        let name = header_name(&key.name, key.place, side, true, mistakes);
        let Some(value) = scalar::<String>(node, mistakes) else { continue };
        header_value(&value, node.place, mistakes);
        if changes.set.insert(name, value).is_some() {
            mistakes.value(key.place, "the field stands here twice: case does not count");
        }
    }
    for node in fields.get("remove").map(|node| list(node, true, mistakes)).unwrap_or_default() {
        let Some(written) = scalar::<String>(node, mistakes) else { continue };
        let name = header_name(&written, node.place, side, false, mistakes);
        if changes.set.contains_key(&name) {
            mistakes.value(node.place, "the field is set and left out at once");
        }
        changes.remove.push(name);
    }
    if changes.set.len() > FIELDS || changes.remove.len() > FIELDS {
        mistakes.value(node.place, format!("expected at most {FIELDS} fields"));
    }
    changes
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
