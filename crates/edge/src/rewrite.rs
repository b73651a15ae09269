//! What is changed of a call after it was judged, and of its response.
//!
//! A path is sent only in canonical form, and a value only if it can stand in a header field: whatever patterns and placeholders make of
//! what a caller writes, it adds no segment that climbs, no line and no field.

use std::borrow::Cow;
use std::net::IpAddr;

use haechi_config::model::{self, Fact, Group};
use haechi_config::template::Template;
use haechi_events::RequestId;
use haechi_guard::Principal;
use haechi_upstream::ToldHost;
use haechi_wire::CanonicalPath;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Longest value of a field that is made of a call, in bytes: as long as a target may be by default.
const VALUE: usize = 8 * 1024;

/// What is changed of a call after it was judged, and of its response.
#[derive(Debug)]
pub(crate) struct Rewrite {
    strip: Option<Box<str>>,
    paths: Vec<model::PathRewrite>,
    add: Option<Box<str>>,
    host: Option<Host>,
    pub(crate) request: HeaderChanges,
    pub(crate) response: HeaderChanges,
}

/// What an upstream is told as its host.
#[derive(Debug)]
enum Host {
    /// The one that the caller asked for.
    Keep,
    Name(HeaderValue),
}

/// What is changed of headers.
#[derive(Debug)]
pub(crate) struct HeaderChanges {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, Value)>,
    add: Vec<(HeaderName, Value)>,
}

#[derive(Debug)]
enum Value {
    Fixed(HeaderValue),
    /// Made for each call.
    Made(Template<Fact>),
}

/// Named groups of a pattern, and what fitted them.
type Groups = Vec<(Box<str>, String)>;

/// The path that is sent, and the named groups of the pattern that fitted.
#[derive(Debug)]
pub(crate) struct SentPath {
    pub(crate) path: CanonicalPath,
    pub(crate) groups: Groups,
}

/// What header fields may tell of a call.
pub(crate) struct Told<'a> {
    pub(crate) id: RequestId,
    pub(crate) client: IpAddr,
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) api: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) channel: &'a str,
    pub(crate) method: &'a str,
    pub(crate) secure: bool,
    pub(crate) host: &'a str,
    /// As it was judged.
    pub(crate) path: &'a str,
    pub(crate) groups: &'a [(Box<str>, String)],
}

/// Changes of headers, made for one call.
pub(crate) struct Written<'a> {
    remove: &'a [HeaderName],
    /// Nothing stands where there is no value.
    set: Vec<(&'a HeaderName, Option<HeaderValue>)>,
    add: Vec<(&'a HeaderName, HeaderValue)>,
    /// A field whose value cannot stand there; it is left out.
    pub(crate) unwritable: Option<&'a HeaderName>,
}

/// A value that cannot stand in a header field.
struct Unwritable;

// === impl Rewrite ===

impl Rewrite {
    pub(crate) fn new(rewrite: &model::Rewrite) -> Self {
        Self {
            strip: rewrite.strip_prefix.as_deref().map(Into::into),
            paths: rewrite.path.clone(),
            add: rewrite.add_prefix.as_deref().map(Into::into),
            host: rewrite.host.as_ref().and_then(|host| match host {
                model::HostRewrite::Keep => Some(Host::Keep),
                model::HostRewrite::Name(name) => HeaderValue::from_str(name).ok().map(Host::Name),
            }),
            request: HeaderChanges::new(&rewrite.request_headers),
            response: HeaderChanges::new(&rewrite.response_headers),
        }
    }

    /// The path that is sent; nothing if it would not be in canonical form, and so might be read as another.
    pub(crate) fn path(&self, judged: &CanonicalPath) -> Option<SentPath> {
        if self.strip.is_none() && self.add.is_none() && self.paths.is_empty() {
            return Some(SentPath { path: judged.clone(), groups: Vec::new() });
        }
        let path = judged.as_str();
        // Whole segments: `/v1` is not taken from `/v10`.
        let rest = self
            .strip
            .as_deref()
            .and_then(|prefix| path.strip_prefix(prefix))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .unwrap_or(path);
        let (made, groups) = match self.fitted(if rest.is_empty() { "/" } else { rest }) {
            Some((made, groups)) => (Cow::Owned(made), groups),
            None => (Cow::Borrowed(rest), Vec::new()),
        };
        let sent = format!("{}{made}", self.add.as_deref().unwrap_or_default());
        let sent = if sent.is_empty() { "/" } else { &sent };
        let path = CanonicalPath::parse(sent.as_bytes()).ok().filter(|path| path.as_str() == sent)?;
        Some(SentPath { path, groups })
    }

    /// What the first pattern that fits makes of a path, and its named groups.
    fn fitted(&self, path: &str) -> Option<(String, Groups)> {
        let (rewrite, captures) =
            self.paths.iter().find_map(|rewrite| Some((rewrite, rewrite.pattern.captures(path)?)))?;
        let text = |group: Option<regex::bytes::Match<'_>>| {
            // A canonical path is ASCII. A group that took no part is empty.
            group.and_then(|group| path.get(group.range())).unwrap_or_default()
        };
        let made = rewrite.to.render(|group| match group {
            Group::Number(number) => text(captures.get(*number)),
            Group::Name(name) => text(captures.name(name)),
        });
        let groups = rewrite.pattern.names().map(|name| (name.into(), text(captures.name(name)).to_owned()));
        Some((made, groups.collect()))
    }

    /// The host that the upstream is told, where that is not its own name. `asked` is what the caller asked for.
    pub(crate) fn host(&self, asked: &str) -> Option<ToldHost> {
        match self.host.as_ref()? {
            Host::Keep if asked.is_empty() => None,
            Host::Keep => HeaderValue::from_str(asked).ok().map(ToldHost),
            Host::Name(name) => Some(ToldHost(name.clone())),
        }
    }
}

// === impl HeaderChanges ===

impl HeaderChanges {
    fn new(changes: &model::HeaderChanges) -> Self {
        let name = |name: &String| HeaderName::from_bytes(name.as_bytes()).ok();
        let fields = |fields: &std::collections::BTreeMap<String, Template<Fact>>| {
            fields.iter().filter_map(|(field, value)| Some((name(field)?, Value::new(value)?))).collect()
        };
        Self {
            set: fields(&changes.set),
            add: fields(&changes.add),
            remove: changes.remove.iter().filter_map(name).collect(),
        }
    }

    /// The changes of one call.
    pub(crate) fn write(&self, told: &Told<'_>) -> Written<'_> {
        let mut unwritable = None;
        let mut value = |name, value: &Value| match value.write(told) {
            Ok(value) => value,
            Err(Unwritable) => {
                unwritable.get_or_insert(name);
                None
            }
        };
        let set: Vec<_> = self.set.iter().map(|(name, made)| (name, value(name, made))).collect();
        let add = self.add.iter().filter_map(|(name, made)| Some((name, value(name, made)?))).collect();
        Written { remove: &self.remove, set, add, unwritable }
    }
}

// === impl Written ===

impl Written<'_> {
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            match value {
                Some(value) => drop(headers.insert(*name, value.clone())),
                None => drop(headers.remove(*name)),
            }
        }
        for (name, value) in &self.add {
            headers.append(*name, value.clone());
        }
    }
}

// === impl Value ===

impl Value {
    fn new(template: &Template<Fact>) -> Option<Self> {
        if template.values().next().is_some() {
            return Some(Self::Made(template.clone()));
        }
        let text = template.render(|_| "");
        HeaderValue::try_from(text).ok().map(Self::Fixed)
    }

    /// The value; nothing where it is empty.
    fn write(&self, told: &Told<'_>) -> Result<Option<HeaderValue>, Unwritable> {
        let template = match self {
            Self::Fixed(value) => return Ok(Some(value.clone())),
            Self::Made(template) => template,
        };
        let text = template.render(|fact| told.of(fact));
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > VALUE {
            return Err(Unwritable);
        }
        HeaderValue::try_from(text).map(Some).map_err(|_| Unwritable)
    }
}

// === impl Told ===

impl Told<'_> {
    fn of(&self, fact: &Fact) -> Cow<'_, str> {
        Cow::Borrowed(match fact {
            Fact::Client => return self.client.to_string().into(),
            Fact::RequestId => return self.id.to_string().into(),
            Fact::Api => self.api,
            Fact::Channel => self.channel,
            Fact::Host => self.host,
            Fact::Identity => self.principal.map_or("", |principal| &principal.identity),
            Fact::Method => self.method,
            Fact::Operation => self.operation,
            Fact::Path => self.path,
            Fact::Principal => self.principal.map_or("", |principal| &principal.subject),
            Fact::Scheme if self.secure => "https",
            Fact::Scheme => "http",
            Fact::Group(name) => {
                let group = self.groups.iter().find(|(known, _)| **known == **name);
                group.map_or("", |(_, text)| text)
            }
        })
    }
}

#[cfg(test)]
mod tests;
