//! What is changed of a call after it was judged, and of its response.

use haechi_config::model;
use haechi_wire::CanonicalPath;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What is changed of a call after it was judged, and of its response.
#[derive(Debug)]
pub(crate) struct Rewrite {
    strip: Option<Box<str>>,
    add: Option<Box<str>>,
    pub(crate) request: HeaderChanges,
    pub(crate) response: HeaderChanges,
}

/// What is changed of headers.
#[derive(Debug)]
pub(crate) struct HeaderChanges {
    set: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

// === impl Rewrite ===

impl Rewrite {
    pub(crate) fn new(rewrite: &model::Rewrite) -> Self {
        Self {
            strip: rewrite.strip_prefix.as_deref().map(Into::into),
            add: rewrite.add_prefix.as_deref().map(Into::into),
            request: HeaderChanges::new(&rewrite.request_headers),
            response: HeaderChanges::new(&rewrite.response_headers),
        }
    }

    /// The path that is sent; nothing if it would not be in canonical form, and so not be what was judged.
    pub(crate) fn path(&self, judged: &CanonicalPath) -> Option<CanonicalPath> {
        if self.strip.is_none() && self.add.is_none() {
            return Some(judged.clone());
        }
        let path = judged.as_str();
        // Whole segments: `/v1` is not taken from `/v10`.
        let rest = self
            .strip
            .as_deref()
            .and_then(|prefix| path.strip_prefix(prefix))
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .unwrap_or(path);
        let sent = format!("{}{rest}", self.add.as_deref().unwrap_or_default());
        let sent = if sent.is_empty() { "/" } else { &sent };
        CanonicalPath::parse(sent.as_bytes()).ok().filter(|path| path.as_str() == sent)
    }
}

// === impl HeaderChanges ===

impl HeaderChanges {
    fn new(changes: &model::HeaderChanges) -> Self {
        let name = |name: &String| HeaderName::from_bytes(name.as_bytes()).ok();
        Self {
            set: changes
                .set
                .iter()
                .filter_map(|(field, value)| Some((name(field)?, HeaderValue::from_str(value).ok()?)))
                .collect(),
            remove: changes.remove.iter().filter_map(name).collect(),
        }
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(strip: Option<&str>, add: Option<&str>, path: &str) -> Option<String> {
        let rewrite = model::Rewrite {
            strip_prefix: strip.map(str::to_owned),
            add_prefix: add.map(str::to_owned),
            ..model::Rewrite::default()
        };
        let path = CanonicalPath::parse(path.as_bytes()).expect("a path");
        Rewrite::new(&rewrite).path(&path).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn whole_segments_are_taken_and_put() {
        for (strip, add, path, expected) in [
            (Some("/v1"), None, "/v1/items/7", "/items/7"),
            (Some("/v1"), None, "/v1", "/"),
            (Some("/v1"), None, "/v1/", "/"),
            (Some("/v1"), None, "/v10/items", "/v10/items"),
            (Some("/v1"), Some("/internal"), "/v1/items", "/internal/items"),
            (Some("/v1"), Some("/internal"), "/v1", "/internal"),
            (None, Some("/internal"), "/", "/internal/"),
            (None, None, "/a/%2E%2e/b;c", "/b;c"),
            (Some("/v1"), None, "/v1/%252e%252e/x", "/%252e%252e/x"),
        ] {
            assert_eq!(sent(strip, add, path).as_deref(), Some(expected), "{strip:?} {add:?} {path}");
        }
    }

    #[test]
    fn what_is_not_canonical_is_never_sent() {
        assert_eq!(sent(None, Some("/internal/"), "/items"), None);
        assert_eq!(sent(None, Some("/.."), "/items"), None);
        assert_eq!(sent(None, Some("/a%2"), "/items"), None);
    }
}
