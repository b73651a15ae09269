//! What the gateway answers itself: redirects, and fixed answers. A call gets here when its guards have nothing against it.
//!
//! A redirect leads where its configuration says and nowhere else: what a caller writes comes into the path of the new place only, and that
//! path is canonical or the call fails. So no spelling makes `//evil.example`, another host, or another header field of it.

use bytes::Bytes;
use haechi_config::model::{self, Place};
use haechi_wire::{CanonicalPath, Headers, Query};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::answer::{Answer, AnswerBody};

/// What the gateway answers itself.
pub(crate) enum Fixed {
    /// Callers are sent elsewhere.
    Redirect(Redirect),
    /// Calls are answered.
    Respond(Respond),
}

/// Where callers are sent.
pub(crate) struct Redirect {
    status: StatusCode,
    to: model::Destination,
    keep_query: bool,
    /// Without a slash at its end.
    prefix: Box<str>,
}

/// A fixed answer.
pub(crate) struct Respond {
    status: StatusCode,
    headers: HeaderMap,
    content: Bytes,
}

// === impl Redirect ===

impl Redirect {
    /// Of a service whose paths are below `prefix`.
    pub(crate) fn new(redirect: &model::Redirect, prefix: &str) -> Self {
        Self {
            status: StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::PERMANENT_REDIRECT),
            to: redirect.to.clone(),
            keep_query: redirect.keep_query,
            prefix: prefix.trim_end_matches('/').into(),
        }
    }

    /// Whether it leads to `https`, and the host; of a call of this scheme and host.
    pub(crate) fn origin<'a>(&'a self, (secure, host): (bool, &'a str)) -> (bool, &'a str) {
        match &self.to.origin {
            Some(origin) => (origin.tls, origin.host.as_deref().unwrap_or(host)),
            None => (secure, host),
        }
    }

    /// The path it leads to; nothing if it would not be in canonical form, and so might be read as something else.
    pub(crate) fn path(&self, asked: &CanonicalPath) -> Option<CanonicalPath> {
        let rest = asked.as_str().strip_prefix(&*self.prefix).unwrap_or_default();
        let path = self.to.path.render(|place| match place {
            Place::Path => asked.as_str(),
            Place::Rest => rest,
        });
        let path = if path.is_empty() { "/" } else { &path };
        CanonicalPath::parse(path.as_bytes()).ok().filter(|parsed| parsed.as_str() == path)
    }

    /// The value of `Location`. `host` is the one that the service was found by.
    fn location(&self, host: &str, asked: &CanonicalPath, query: &Query) -> Option<HeaderValue> {
        let mut location = String::new();
        if let Some(origin) = &self.to.origin {
            location.push_str(if origin.tls { "https://" } else { "http://" });
            location.push_str(origin.host.as_deref().unwrap_or(host));
            if let Some(port) = origin.port {
                location.push_str(&format!(":{port}"));
            }
        }
        location.push_str(self.path(asked)?.as_str());
        let kept = query.canonical().filter(|_| self.keep_query);
        for (query, before) in self.to.query.as_deref().into_iter().chain(kept).zip(["?", "&"]) {
            location.push_str(before);
            location.push_str(query);
        }
        HeaderValue::try_from(location).ok()
    }
}

// === impl Respond ===

impl Respond {
    pub(crate) fn new(respond: &model::Respond, content: Bytes) -> Self {
        let mut headers = HeaderMap::with_capacity(respond.headers.len() + 2);
        for (name, value) in &respond.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        let status = StatusCode::from_u16(respond.status).unwrap_or(StatusCode::OK);
        if !content.is_empty() {
            headers.extend(HeaderValue::try_from(&respond.content_type).map(|kind| (CONTENT_TYPE, kind)));
            let digest = blake3::hash(&content).to_hex();
            let etag = format!("\"{}\"", digest.get(..32).unwrap_or_default());
            if status == StatusCode::OK {
                headers.extend(HeaderValue::try_from(etag).map(|etag| (ETAG, etag)));
            }
        }
        Self { status, headers, content }
    }

    fn answer(&self, method: &Method, asked: &Headers) -> Answer {
        let mut headers = self.headers.clone();
        let reads = matches!(*method, Method::GET | Method::HEAD);
        if reads && headers.get(ETAG).is_some_and(|etag| is_held(etag.as_bytes(), asked)) {
            headers.remove(CONTENT_TYPE);
            return Answer { status: StatusCode::NOT_MODIFIED, headers, body: AnswerBody::Empty };
        }
        let body = if self.content.is_empty() {
            AnswerBody::Empty
        } else if method == Method::HEAD {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(self.content.len()));
            AnswerBody::Empty
        } else {
            AnswerBody::Full(self.content.clone())
        };
        Answer { status: self.status, headers, body }
    }
}

/// Whether the caller holds the content already (RFC 9110, section 13.1.2; tags are compared weakly).
fn is_held(etag: &[u8], asked: &Headers) -> bool {
    let opaque = |tag: &[u8]| tag.strip_prefix(b"W/").map(<[u8]>::to_vec).unwrap_or(tag.to_vec());
    asked
        .get_all(IF_NONE_MATCH.as_str())
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|tag| tag == b"*" || opaque(tag) == etag)
}

// === impl Fixed ===

impl Fixed {
    /// The word of events.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Redirect(_) => "redirect",
            Self::Respond(_) => "respond",
        }
    }

    /// The answer to a call; nothing if it cannot be made. `host` is the one that the service was found by.
    pub(crate) fn answer(
        &self,
        (method, host): (&Method, &str),
        path: &CanonicalPath,
        query: &Query,
        headers: &Headers,
    ) -> Option<Answer> {
        match self {
            Self::Respond(respond) => Some(respond.answer(method, headers)),
            Self::Redirect(redirect) => {
                let location = redirect.location(host, path, query)?;
                let headers = HeaderMap::from_iter([(LOCATION, location)]);
                Some(Answer { status: redirect.status, headers, body: AnswerBody::Empty })
            }
        }
    }
}

#[cfg(test)]
mod tests;
