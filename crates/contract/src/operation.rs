//! One operation of a contract, and what it says about a request and its response.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use crate::json;
use crate::media::{self, Format, MediaType};
use crate::parameter::{Parameter, Shape};
use crate::router::Params;
use crate::schema::{Direction, SchemaIndex, Schemas};
use crate::violation::{MAX_VIOLATIONS, Place, Violation, excerpt};

/// The name of an operation, unique in its API.
///
/// It is the specification's `operationId`. An operation without one is named by its method and
/// template, as in `GET /orders/{id}`, which no two operations share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(Arc<str>);

/// One operation: a method on a path template.
pub struct Operation {
    pub(crate) id: OperationId,
    pub(crate) method: Method,
    pub(crate) template: Arc<str>,
    pub(crate) summary: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) deprecated: bool,
    pub(crate) security: bool,
    pub(crate) parameters: Vec<Parameter>,
    /// Query parameters that carry credentials: never unknown.
    pub(crate) key_parameters: Arc<[String]>,
    pub(crate) body: Option<Body>,
    pub(crate) responses: Vec<(Status, Vec<Media>)>,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) rule: String,
    pub(crate) body_depth: usize,
    pub(crate) fingerprint: u64,
}

/// What the contract says about a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyNeed {
    /// The operation takes none: one that is not empty is a violation.
    None,
    /// There may be one.
    Optional,
    /// There must be one.
    Required,
}

/// Which optional checks of the head to make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadOptions {
    /// Report query parameters the contract does not name.
    pub unknown_parameters: bool,
}

/// The parts of a request's head that contracts speak about. Implemented by whoever holds the
/// request; values are lent, nothing has to be copied.
pub trait HeadView {
    /// Calls `visit` with each query parameter's name and value, decoded, in order.
    fn query<'a>(&'a self, visit: &mut dyn FnMut(&'a [u8], &'a [u8]));

    /// Calls `visit` with the value of each header field of this name, in order. Names compare
    /// without regard to case.
    fn header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8]));
}

/// A declared request body.
pub(crate) struct Body {
    pub(crate) required: bool,
    pub(crate) content: Vec<Media>,
    /// OpenAPI 2.0 `formData` parameters, which take the place of a schema.
    pub(crate) form: Vec<Parameter>,
    pub(crate) rule: String,
}

/// A media type with the schema of its content.
pub(crate) struct Media {
    pub(crate) range: MediaType,
    pub(crate) schema: Option<SchemaIndex>,
    pub(crate) shape: Shape,
    pub(crate) rule: String,
}

/// A key of `responses`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Exact(u16),
    /// `2XX`: the first digit.
    Class(u16),
    Default,
}

// === impl OperationId ===

impl OperationId {
    pub(crate) fn new(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Operation ===

impl Operation {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> &OperationId {
        &self.id
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// A digest of all that its contract says of it: what two operations with the same one are asked, they answer alike. It is of this
    /// process only. What operations refer to is not told apart: a change of a shared schema changes them all.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Its path template as written, without the base path.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.template
    }

    /// The author's one-line summary.
    #[must_use]
    pub fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// The author's tags.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Whether the author marked it as deprecated.
    #[must_use]
    pub fn is_deprecated(&self) -> bool {
        self.deprecated
    }

    /// Whether the specification demands credentials: a security requirement applies, and none of
    /// its alternatives is empty. A hint for posture and for `check`; what is enforced is
    /// configured.
    #[must_use]
    pub fn declares_security(&self) -> bool {
        self.security
    }

    /// Names and places of the declared parameters.
    pub fn parameters(&self) -> impl Iterator<Item = (Place, &str)> {
        self.parameters.iter().map(|parameter| (parameter.place, parameter.name.as_str()))
    }

    /// Whether a request body is wanted.
    #[must_use]
    pub fn wants_body(&self) -> BodyNeed {
        match &self.body {
            None => BodyNeed::None,
            Some(body) if body.required => BodyNeed::Required,
            Some(_) => BodyNeed::Optional,
        }
    }

    /// Whether [`Self::validate_body`] looks into the bytes. If not, it only needs to know whether
    /// the body is empty and its `Content-Type`, and the body may be passed on as a stream.
    #[must_use]
    pub fn inspects_body(&self) -> bool {
        self.body.as_ref().is_some_and(|body| {
            !body.form.is_empty()
                || body
                    .content
                    .iter()
                    .any(|media| media.schema.is_some() || media.range.format() == Format::Json)
        })
    }

    /// Whether [`Self::validate_response`] looks into the bytes.
    #[must_use]
    pub fn inspects_response(&self) -> bool {
        self.responses.iter().any(|(_, content)| content.iter().any(|media| media.schema.is_some()))
    }

    /// Checks path, query, header and cookie parameters.
    ///
    /// Text is read as the schema's type says (`7` as a number where numbers are allowed) before
    /// it is validated. A delimiter that was percent-encoded counts as a delimiter, for the query
    /// is decoded already. A parameter that is not an array and stands twice is a violation.
    pub fn validate_head(
        &self,
        head: &dyn HeadView,
        params: &Params,
        options: HeadOptions,
    ) -> Vec<Violation> {
        let mut out = Vec::new();
        let needs_query = options.unknown_parameters || self.has(Place::Query);
        let query = if needs_query { self.query(head, &mut out) } else { Vec::new() };
        let cookies = if self.has(Place::Cookie) { cookies(head) } else { Vec::new() };
        for parameter in &self.parameters {
            match parameter.place {
                Place::Path => match params.get(&parameter.name) {
                    Some(text) => parameter.check_text(text, &self.schemas, self.body_depth, &mut out),
                    None => out.push(parameter.violation("missing", "is not in the path")),
                },
                Place::Query => parameter.check_pairs(&query, &self.schemas, self.body_depth, &mut out),
                Place::Cookie => parameter.check_pairs(&cookies, &self.schemas, self.body_depth, &mut out),
                Place::Header => self.header(parameter, head, &mut out),
                Place::Body | Place::Response => {}
            }
            if out.len() >= MAX_VIOLATIONS {
                break;
            }
        }
        if options.unknown_parameters {
            self.unknown(&query, &mut out);
        }
        out.truncate(MAX_VIOLATIONS);
        out
    }

    /// Checks a request body. `content_type` is the field's value, if there is one.
    ///
    /// JSON is read strictly ([`json::parse_strict`]) and validated against the schema; forms are
    /// read into an object and validated; of any other media type only the type is checked.
    pub fn validate_body(&self, content_type: Option<&str>, bytes: &[u8]) -> Vec<Violation> {
        let Some(body) = &self.body else {
            if bytes.is_empty() {
                return Vec::new();
            }
            return vec![violation(
                Place::Body,
                &self.rule,
                "unexpected-body",
                "the operation takes no body",
            )];
        };
        if bytes.is_empty() {
            if body.required {
                return vec![violation(Place::Body, &body.rule, "missing-body", "a body is required")];
            }
            return Vec::new();
        }
        let (media, actual) = match select(Place::Body, &body.content, content_type, &body.rule) {
            Ok(selected) => selected,
            Err(refused) => return vec![refused],
        };
        if actual.format() == Format::Form && !body.form.is_empty() {
            return self.form_parameters(body, bytes);
        }
        self.content(Place::Body, media, &actual, bytes)
    }

    /// Checks a response. An empty body is never a violation (`HEAD`, `304`); neither is a body
    /// where the contract describes none. A status the contract does not list is.
    pub fn validate_response(&self, status: u16, content_type: Option<&str>, bytes: &[u8]) -> Vec<Violation> {
        if self.responses.is_empty() {
            return Vec::new();
        }
        let rank = |known: Status| match known {
            Status::Exact(code) => (code == status).then_some(2),
            Status::Class(class) => (class == status / 100).then_some(1),
            Status::Default => Some(0),
        };
        let best = self.responses.iter().filter_map(|(known, content)| Some((rank(*known)?, content)));
        let Some((_, content)) = best.max_by_key(|(rank, _)| *rank) else {
            let message = format!("the contract does not list status {status}");
            return vec![violation(Place::Response, &format!("{}/responses", self.rule), "status", &message)];
        };
        if content.is_empty() || bytes.is_empty() {
            return Vec::new();
        }
        match select(Place::Response, content, content_type, &self.rule) {
            Ok((media, actual)) => self.content(Place::Response, media, &actual, bytes),
            Err(refused) => vec![refused],
        }
    }

    fn has(&self, place: Place) -> bool {
        self.parameters.iter().any(|parameter| parameter.place == place)
    }

    fn query<'h>(
        &self,
        head: &'h dyn HeadView,
        out: &mut Vec<Violation>,
    ) -> Vec<(Cow<'h, str>, Cow<'h, str>)> {
        let mut pairs = Vec::new();
        head.query(&mut |name, value| match (std::str::from_utf8(name), std::str::from_utf8(value)) {
            (Ok(name), Ok(value)) => pairs.push((Cow::Borrowed(name), Cow::Borrowed(value))),
            _ if out.len() < MAX_VIOLATIONS => {
                let mut refused = violation(Place::Query, &self.rule, "encoding", "is not UTF-8 text");
                refused.name = excerpt(&String::from_utf8_lossy(name));
                out.push(refused);
            }
            _ => {}
        });
        pairs
    }

    fn header(&self, parameter: &Parameter, head: &dyn HeadView, out: &mut Vec<Violation>) {
        let mut values: Vec<&[u8]> = Vec::new();
        head.header(&parameter.name, &mut |value| values.push(value));
        let text = match values.as_slice() {
            [] => {
                if parameter.required {
                    out.push(parameter.violation("missing", "is required but was not sent"));
                }
                return;
            }
            // Several lines of a list field are one list (RFC 9110 section 5.3).
            values if parameter.shape.is_array() => values.join(&b","[..]),
            [value] => value.to_vec(),
            _ => return out.push(parameter.violation("repeated", "stands more than once")),
        };
        let Ok(text) = String::from_utf8(text) else {
            return out.push(parameter.violation("encoding", "is not UTF-8 text"));
        };
        if parameter.shape.is_array() {
            // White space around the items of a list is not part of them.
            let items: Vec<&str> = text.split(',').map(str::trim).collect();
            return parameter.check_text(&items.join(","), &self.schemas, self.body_depth, out);
        }
        parameter.check_text(text.trim(), &self.schemas, self.body_depth, out);
    }

    fn unknown(&self, query: &[(Cow<'_, str>, Cow<'_, str>)], out: &mut Vec<Violation>) {
        for (name, _) in query {
            let known = self
                .parameters
                .iter()
                .any(|parameter| parameter.place == Place::Query && parameter.owns(name))
                || self.key_parameters.iter().any(|key| key == name);
            if !known && out.len() < MAX_VIOLATIONS {
                let mut refused =
                    violation(Place::Query, &self.rule, "unknown", "the contract does not name it");
                refused.name = excerpt(name);
                out.push(refused);
            }
        }
    }

    /// OpenAPI 2.0: each field is a parameter of its own.
    fn form_parameters(&self, body: &Body, bytes: &[u8]) -> Vec<Violation> {
        let mut out = Vec::new();
        match media::form_pairs(bytes) {
            Ok(pairs) => {
                let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> =
                    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
                for field in &body.form {
                    field.check_pairs(&pairs, &self.schemas, self.body_depth, &mut out);
                }
            }
            Err(offset) => out.push(undecodable(Place::Body, &body.rule, offset)),
        }
        out.truncate(MAX_VIOLATIONS);
        out
    }

    fn content(&self, place: Place, media: &Media, actual: &MediaType, bytes: &[u8]) -> Vec<Violation> {
        let value = match actual.format() {
            Format::Opaque => return Vec::new(),
            Format::Json => match json::parse_strict(bytes, self.body_depth) {
                Ok(value) => value,
                Err(error) => {
                    let keyword = format!("json-{}", error.kind.name());
                    let mut refused = violation(place, &media.rule, &keyword, &error.to_string());
                    refused.name = crate::violation::excerpt_of(&error.pointer, 200);
                    return vec![refused];
                }
            },
            Format::Form => match media::form_pairs(bytes) {
                Ok(pairs) => media
                    .shape
                    .object(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
                    .pop()
                    .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
                Err(offset) => return vec![undecodable(place, &media.rule, offset)],
            },
        };
        let Some(schema) = media.schema else { return Vec::new() };
        let direction = if place == Place::Response { Direction::Response } else { Direction::Request };
        self.schemas
            .breaches(schema, direction, &value)
            .into_iter()
            .map(|breach| Violation {
                place,
                name: breach.at,
                schema_pointer: breach.rule,
                keyword: breach.keyword,
                message: breach.message,
            })
            .collect()
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

// === helpers ===

fn violation(place: Place, rule: &str, keyword: &str, message: &str) -> Violation {
    Violation {
        place,
        name: String::new(),
        schema_pointer: rule.to_owned(),
        keyword: keyword.to_owned(),
        message: message.to_owned(),
    }
}

fn undecodable(place: Place, rule: &str, offset: usize) -> Violation {
    violation(place, rule, "encoding", &format!("the form cannot be decoded to text at byte {offset}"))
}

/// The declared media type that covers the actual one best.
fn select<'m>(
    place: Place,
    content: &'m [Media],
    content_type: Option<&str>,
    rule: &str,
) -> Result<(&'m Media, MediaType), Violation> {
    let refused = |message: &str| violation(place, rule, "media-type", message);
    let text = content_type.ok_or_else(|| refused("there is a body but no Content-Type"))?;
    let actual = MediaType::parse(text).ok_or_else(|| refused("the Content-Type is malformed"))?;
    let covering = content.iter().filter_map(|media| Some((media.range.covers(&actual)?, media)));
    let Some((_, media)) = covering.max_by_key(|(rank, _)| *rank) else {
        return Err(refused(&format!("`{}` is not a media type of the contract", excerpt(text))));
    };
    if actual.format() != Format::Opaque && actual.is_foreign_text() {
        return Err(refused("the text must be UTF-8"));
    }
    Ok((media, actual))
}

/// The cookies of a request (RFC 6265 section 5.4), in order; those that are no text are left out.
fn cookies<'h>(head: &'h dyn HeadView) -> Vec<(Cow<'h, str>, Cow<'h, str>)> {
    let mut cookies = Vec::new();
    head.header("cookie", &mut |line: &'h [u8]| {
        let Ok(line) = std::str::from_utf8(line) else { return };
        for pair in line.split(';') {
            if let Some((name, value)) = pair.trim().split_once('=') {
                cookies.push((Cow::Borrowed(name), Cow::Borrowed(value)));
            }
        }
    });
    cookies
}

#[cfg(test)]
mod tests;
