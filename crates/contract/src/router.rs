//! Which operation a request means.
//!
//! One tree of path segments for each host. Within it, text wins over a pattern
//! (`{name}.json`, `{id}:cancel`) and a pattern over a bare parameter; among patterns, the one with
//! more text. The choice is made from left to right and taken back if it leads nowhere, so a path
//! that some template matches is always found. A tree node is visited at most once per look-up,
//! for a request fixes where segments begin and end.
//!
//! * A path is matched before the method: `DELETE /users/me` beside `GET /users/me` and
//!   `DELETE /users/{id}` is not allowed, as OpenAPI has it ("concrete before templated").
//! * `HEAD` means the operation of `GET` unless `HEAD` is declared (RFC 9110 section 9.3.2).
//!   `OPTIONS` is a method like others.
//! * A slash at the end is a difference: `/a` and `/a/` are two paths.
//! * A parameter matches neither nothing nor a segment whose escapes are no UTF-8 text.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use http::Method;

use crate::contract::Contract;
use crate::operation::OperationId;
use crate::pointer::percent_decode;
use crate::template::{self, Segment, Template};

/// The place of an API in the configuration; the caller's own numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiIndex(pub u32);

/// Puts contracts together into a [`Router`].
#[derive(Default)]
pub struct RouterBuilder {
    hosts: HashMap<HostPattern, Tree>,
}

/// Finds the operation for host, method and path. Immutable; share it.
pub struct Router {
    exact: HashMap<Box<str>, Tree>,
    /// Suffixes with their leading dot, the longest first.
    wildcards: Vec<(Box<str>, Tree)>,
    any: Option<Tree>,
}

/// What a look-up finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// An operation.
    Found(Match),
    /// The path is one of the contract, the method is not.
    MethodNotAllowed {
        /// The API.
        api: ApiIndex,
        /// The value for the `Allow` field.
        allow: Arc<str>,
    },
    /// The path lies under the API's base path, but its contract has no such path. Of several APIs
    /// with the longest base path that fits, the one added first.
    NoOperation {
        /// The API.
        api: ApiIndex,
    },
    /// No API is served on this host under this path.
    NoApi,
}

/// An operation and the values in its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The API.
    pub api: ApiIndex,
    /// Index into [`Contract::operations`].
    pub operation: usize,
    /// The values of the path parameters.
    pub params: Params,
}

/// Values of path parameters, percent-decoded, in the order of the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    values: Vec<(Arc<str>, Box<str>)>,
}

/// Two operations that cannot be told apart, or a base path or host that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConflict {
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum HostPattern {
    Exact(Box<str>),
    Suffix(Box<str>),
    Any,
}

/// The paths of one host.
#[derive(Default)]
struct Tree {
    nodes: Vec<Branch>,
    leaves: Vec<Leaf>,
}

#[derive(Default)]
struct Branch {
    /// Sorted by text.
    texts: Vec<(Box<str>, usize)>,
    /// The more text the earlier.
    patterns: Vec<Pattern>,
    bare: Option<usize>,
    leaf: Option<usize>,
    /// The API whose base path ends here, the first that was added.
    api: Option<ApiIndex>,
}

struct Pattern {
    prefix: String,
    /// The names are of the first template; leaves have their own.
    parameters: Vec<(String, String)>,
    to: usize,
}

/// The operations of one template.
struct Leaf {
    api: ApiIndex,
    template: String,
    methods: Vec<Endpoint>,
    allow: Arc<str>,
}

struct Endpoint {
    method: Method,
    api: ApiIndex,
    operation: usize,
    id: OperationId,
    /// Two templates that match the same paths may name their parameters differently.
    names: Arc<[Arc<str>]>,
}

// === impl RouterBuilder ===

impl RouterBuilder {
    /// A builder without APIs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an API under a host and a base path.
    ///
    /// `host` is a name, `*.` and a name for everything below it, or `None` for any host. The base
    /// path is empty or starts with a slash, and may hold parameters as templates do.
    ///
    /// # Errors
    /// [`RouteConflict`] when an operation cannot be told from one that was added before, or when
    /// host or base path are malformed. The builder then holds part of the API and is of no use.
    pub fn add(
        &mut self,
        api: ApiIndex,
        host: Option<&str>,
        base_path: &str,
        contract: &Contract,
    ) -> Result<(), RouteConflict> {
        let host = HostPattern::parse(host)?;
        let base_path = base_path.trim_end_matches('/');
        let tree = self.hosts.entry(host).or_default();
        tree.reserve_base(api, base_path)?;
        for (index, operation) in contract.operations().iter().enumerate() {
            tree.insert(api, base_path, operation.template(), operation.method(), index, operation.id())?;
        }
        Ok(())
    }

    /// The router.
    #[must_use]
    pub fn build(self) -> Router {
        let mut router = Router { exact: HashMap::new(), wildcards: Vec::new(), any: None };
        for (host, mut tree) in self.hosts {
            tree.seal();
            match host {
                HostPattern::Exact(name) => drop(router.exact.insert(name, tree)),
                HostPattern::Suffix(suffix) => router.wildcards.push((suffix, tree)),
                HostPattern::Any => router.any = Some(tree),
            }
        }
        router.wildcards.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        router
    }
}

// === impl Router ===

impl Router {
    /// Finds the operation.
    ///
    /// `host` is without a port and compares without regard to case. `path` is the canonical path:
    /// unreserved characters bare, escapes of reserved ones kept (`%2F` is no slash).
    ///
    /// The exact host is asked first, then wildcards from the longest, then the APIs of any host.
    /// The first that knows the path decides.
    #[must_use]
    pub fn lookup(&self, host: &str, method: &Method, path: &str) -> Lookup {
        let lowered;
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            lowered = host.to_ascii_lowercase();
            lowered.as_str()
        } else {
            host
        };
        let mut fallback = Lookup::NoApi;
        for tree in self.trees(host) {
            match tree.lookup(method, path) {
                Lookup::NoApi => {}
                Lookup::NoOperation { api } => {
                    if fallback == Lookup::NoApi {
                        fallback = Lookup::NoOperation { api };
                    }
                }
                decided => return decided,
            }
        }
        fallback
    }

    fn trees<'r>(&'r self, host: &str) -> impl Iterator<Item = &'r Tree> {
        let wildcards = self.wildcards.iter().filter(move |(suffix, _)| {
            // `*.example.com` is for names below, not for `.example.com` itself.
            host.len() > suffix.len() && host.ends_with(&**suffix)
        });
        let exact = self.exact.get(host);
        exact.into_iter().chain(wildcards.map(|(_, tree)| tree)).chain(&self.any)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("hosts", &self.exact.len()).finish_non_exhaustive()
    }
}

// === impl Params ===

impl Params {
    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values, in the order of the path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<Arc<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self { values: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

// === impl RouteConflict ===

impl RouteConflict {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for RouteConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RouteConflict {}

// === impl HostPattern ===

impl HostPattern {
    fn parse(host: Option<&str>) -> Result<Self, RouteConflict> {
        let Some(host) = host else { return Ok(Self::Any) };
        let (wildcard, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let literal_v6 = !wildcard && name.starts_with('[') && name.ends_with(']');
        if name.is_empty() || !(literal_v6 || name.bytes().all(known)) {
            return Err(RouteConflict::new(format!(
                "`{}` is no host: a name, `*.` and a name, or nothing is expected, without a port",
                crate::violation::excerpt(host)
            )));
        }
        let name = name.to_ascii_lowercase();
        Ok(if wildcard { Self::Suffix(format!(".{name}").into()) } else { Self::Exact(name.into()) })
    }
}

// === impl Tree ===

impl Tree {
    /// Marks where an API begins, so that what it lacks can be told from what nobody serves.
    fn reserve_base(&mut self, api: ApiIndex, base_path: &str) -> Result<(), RouteConflict> {
        let segments = match base_path {
            "" => Vec::new(),
            path => parse(path)?.segments,
        };
        let node = self.walk(&segments);
        if let Some(branch) = self.nodes.get_mut(node) {
            branch.api.get_or_insert(api);
        }
        Ok(())
    }

    fn insert(
        &mut self,
        api: ApiIndex,
        base_path: &str,
        template: &str,
        method: &Method,
        operation: usize,
        id: &OperationId,
    ) -> Result<(), RouteConflict> {
        let full = format!("{base_path}{template}");
        let parsed = parse(&full)?;
        let node = self.walk(&parsed.segments);
        let names: Arc<[Arc<str>]> = parsed.names().map(Arc::from).collect();
        let next = self.leaves.len();
        let Some(branch) = self.nodes.get_mut(node) else { return Ok(()) };
        let leaf = *branch.leaf.get_or_insert(next);
        if leaf == next {
            self.leaves.push(Leaf { api, template: full.clone(), methods: Vec::new(), allow: Arc::from("") });
        }
        let Some(leaf) = self.leaves.get_mut(leaf) else { return Ok(()) };
        if let Some(other) = leaf.methods.iter().find(|endpoint| endpoint.method == *method) {
            return Err(RouteConflict::new(format!(
                "`{id}` ({method} {full}) matches the same requests as `{}` ({method} {})",
                other.id, leaf.template
            )));
        }
        leaf.methods.push(Endpoint { method: method.clone(), api, operation, id: id.clone(), names });
        Ok(())
    }

    /// The node of a path, made where it is missing.
    fn walk(&mut self, segments: &[Segment]) -> usize {
        if self.nodes.is_empty() {
            self.nodes.push(Branch::default());
        }
        let mut at = 0;
        for segment in segments {
            let next = self.nodes.len();
            let Some(branch) = self.nodes.get_mut(at) else { return at };
            let to = match segment {
                Segment::Static(text) => {
                    match branch.texts.binary_search_by(|(known, _)| (**known).cmp(text)) {
                        Ok(found) => branch.texts.get(found).map_or(next, |(_, to)| *to),
                        Err(place) => {
                            branch.texts.insert(place, (text.as_str().into(), next));
                            next
                        }
                    }
                }
                Segment::Pattern { prefix, parameters } if prefix.is_empty() && is_bare(parameters) => {
                    *branch.bare.get_or_insert(next)
                }
                Segment::Pattern { prefix, parameters } => {
                    let same = |pattern: &&Pattern| {
                        pattern.prefix == *prefix
                            && pattern
                                .parameters
                                .iter()
                                .map(|(_, text)| text)
                                .eq(parameters.iter().map(|(_, text)| text))
                    };
                    if let Some(known) = branch.patterns.iter().find(same) {
                        known.to
                    } else {
                        let pattern =
                            Pattern { prefix: prefix.clone(), parameters: parameters.clone(), to: next };
                        let place = branch.patterns.partition_point(|known| known.rank() >= pattern.rank());
                        branch.patterns.insert(place, pattern);
                        next
                    }
                }
            };
            if to == next {
                self.nodes.push(Branch::default());
            }
            at = to;
        }
        at
    }

    /// Writes the `Allow` values once all methods are known.
    fn seal(&mut self) {
        for leaf in &mut self.leaves {
            let mut names: BTreeMap<&str, ()> =
                leaf.methods.iter().map(|endpoint| (endpoint.method.as_str(), ())).collect();
            if names.contains_key("GET") {
                names.insert("HEAD", ());
            }
            leaf.allow = names.into_keys().collect::<Vec<_>>().join(", ").into();
        }
    }

    fn lookup(&self, method: &Method, path: &str) -> Lookup {
        let mut search = Search { tree: self, captured: Vec::new(), api: None };
        let found = path.strip_prefix('/').and_then(|rest| search.descend(0, Some(rest), 0));
        let Some(leaf) = found.and_then(|leaf| self.leaves.get(leaf)) else {
            return search.api.map_or(Lookup::NoApi, |(_, api)| Lookup::NoOperation { api });
        };
        let find = |wanted: &Method| leaf.methods.iter().find(|endpoint| endpoint.method == *wanted);
        let endpoint = match find(method) {
            None if *method == Method::HEAD => find(&Method::GET),
            found => found,
        };
        let Some(endpoint) = endpoint else {
            return Lookup::MethodNotAllowed { api: leaf.api, allow: Arc::clone(&leaf.allow) };
        };
        let values = endpoint.names.iter().zip(&search.captured).map(|(name, value)| {
            // Checked to be decodable while matching.
            (Arc::clone(name), Box::from(percent_decode(value).unwrap_or_default()))
        });
        Lookup::Found(Match {
            api: endpoint.api,
            operation: endpoint.operation,
            params: Params { values: values.collect() },
        })
    }
}

/// One walk down a tree.
struct Search<'t, 'p> {
    tree: &'t Tree,
    captured: Vec<&'p str>,
    /// The deepest base path passed, with its depth.
    api: Option<(usize, ApiIndex)>,
}

impl<'p> Search<'_, 'p> {
    /// The leaf for the rest of a path, `None` being its end.
    fn descend(&mut self, node: usize, rest: Option<&'p str>, depth: usize) -> Option<usize> {
        let branch = self.tree.nodes.get(node)?;
        if let Some(api) = branch.api
            && self.api.is_none_or(|(known, _)| depth > known)
        {
            self.api = Some((depth, api));
        }
        let Some(rest) = rest else { return branch.leaf };
        let (segment, rest) = match memchr::memchr(b'/', rest.as_bytes()) {
            Some(at) => (rest.get(..at)?, Some(rest.get(at + 1..)?)),
            None => (rest, None),
        };
        if let Ok(found) = branch.texts.binary_search_by(|(known, _)| (**known).cmp(segment))
            && let Some((_, to)) = branch.texts.get(found)
            && let Some(leaf) = self.descend(*to, rest, depth + 1)
        {
            return Some(leaf);
        }
        if branch.patterns.is_empty() && branch.bare.is_none() {
            return None;
        }
        if segment.is_empty() || percent_decode(segment).is_none() {
            return None;
        }
        let mark = self.captured.len();
        for pattern in &branch.patterns {
            if template::captures(&pattern.prefix, &pattern.parameters, segment, &mut self.captured) {
                if self.captured.iter().skip(mark).all(|value| percent_decode(value).is_some())
                    && let Some(leaf) = self.descend(pattern.to, rest, depth + 1)
                {
                    return Some(leaf);
                }
                self.captured.truncate(mark);
            }
        }
        let bare = branch.bare?;
        self.captured.push(segment);
        let found = self.descend(bare, rest, depth + 1);
        if found.is_none() {
            self.captured.truncate(mark);
        }
        found
    }
}

impl Pattern {
    /// More text first, then a longer beginning: the order does not depend on who was added first.
    fn rank(&self) -> (usize, usize) {
        let text: usize = self.parameters.iter().map(|(_, text)| text.len()).sum();
        (self.prefix.len() + text, self.prefix.len())
    }
}

fn is_bare(parameters: &[(String, String)]) -> bool {
    matches!(parameters, [(_, after)] if after.is_empty())
}

fn parse(path: &str) -> Result<Template, RouteConflict> {
    Template::parse(path).map_err(|message| {
        RouteConflict::new(format!("`{}`: {message}", crate::violation::excerpt_of(path, 120)))
    })
}

#[cfg(test)]
mod tests;
