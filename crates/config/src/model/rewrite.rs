//! What is changed of a call after it was judged, and of its response.

use std::collections::BTreeMap;

use crate::template::Template;

/// What is changed of a call after it was judged, and of its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Segments that are taken from the beginning of the path, where they stand there.
    pub strip_prefix: Option<String>,
    /// What makes another path of what is left: the first whose pattern fits.
    pub path: Vec<PathRewrite>,
    /// Segments that are put before the path.
    pub add_prefix: Option<String>,
    /// What the upstream is told as its host; its own name if not set.
    pub host: Option<HostRewrite>,
    /// Of the request.
    pub request_headers: HeaderChanges,
    /// Of the upstream's response.
    pub response_headers: HeaderChanges,
}

/// What makes another path of one that fits a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRewrite {
    /// What a whole path has to fit.
    pub pattern: Pattern,
    /// The path that is sent instead.
    pub to: Template<Group>,
}

/// A regular expression that whole paths have to fit. Paths are ASCII, and matching takes time in proportion to their length.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub(crate) text: String,
    pub(crate) regex: regex::bytes::Regex,
}

/// A group of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// By its place; 0 is all that fits.
    Number(usize),
    /// By its name.
    Name(String),
}

/// What an upstream is told as its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRewrite {
    /// The one that the caller asked for.
    Keep,
    /// This one, with a port if need be.
    Name(String),
}

/// What is changed of headers. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// What stands there instead of whatever stood there.
    pub set: BTreeMap<String, Template<Fact>>,
    /// What stands there beside it.
    pub add: BTreeMap<String, Template<Fact>>,
    /// What is left out.
    pub remove: Vec<String>,
}

/// What a header field may tell of a call. What is not known is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The API or service.
    Api,
    /// The channel.
    Channel,
    /// The caller's address.
    Client,
    /// The host the caller asked for, with its port.
    Host,
    /// The identity that the caller proved to be.
    Identity,
    /// The method.
    Method,
    /// The operation.
    Operation,
    /// The path that was judged.
    Path,
    /// Whom the credential names.
    Principal,
    /// The request's id.
    RequestId,
    /// `http` or `https`, as the caller used it.
    Scheme,
    /// A named group of the pattern that fitted the path.
    Group(String),
}

// === impl Rewrite ===

impl Rewrite {
    /// What holds where this is written below `above`: what it says stands instead of what is said there, of headers field by field.
    #[must_use]
    pub(crate) fn below(&self, above: &Self) -> Self {
        Self {
            strip_prefix: self.strip_prefix.clone().or_else(|| above.strip_prefix.clone()),
            path: if self.path.is_empty() { above.path.clone() } else { self.path.clone() },
            add_prefix: self.add_prefix.clone().or_else(|| above.add_prefix.clone()),
            host: self.host.clone().or_else(|| above.host.clone()),
            request_headers: self.request_headers.below(&above.request_headers),
            response_headers: self.response_headers.below(&above.response_headers),
        }
    }
}

// === impl Pattern ===

impl Pattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its groups in a path that fits it.
    pub fn captures<'p>(&self, path: &'p str) -> Option<regex::bytes::Captures<'p>> {
        self.regex.captures(path.as_bytes())
    }

    /// The names of its groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.regex.capture_names().flatten()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

// === impl HeaderChanges ===

impl HeaderChanges {
    fn below(&self, above: &Self) -> Self {
        let is_said = |name: &String| {
            self.set.contains_key(name) || self.add.contains_key(name) || self.remove.contains(name)
        };
        let mut both = above.clone();
        both.set.retain(|name, _| !is_said(name));
        both.add.retain(|name, _| !is_said(name));
        both.remove.retain(|name| !is_said(name));
        both.set.extend(self.set.clone());
        both.add.extend(self.add.clone());
        both.remove.extend(self.remove.iter().cloned());
        both
    }
}

// === impl Fact ===

impl Fact {
    /// What may stand between braces, beside names of groups.
    pub(crate) const NAMED: [(&'static str, Self); 11] = [
        ("api", Self::Api),
        ("channel", Self::Channel),
        ("client", Self::Client),
        ("host", Self::Host),
        ("identity", Self::Identity),
        ("method", Self::Method),
        ("operation", Self::Operation),
        ("path", Self::Path),
        ("principal", Self::Principal),
        ("request_id", Self::RequestId),
        ("scheme", Self::Scheme),
    ];
}
