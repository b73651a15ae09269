//! Compiled schemas, and the translation of what they find into places of the specification.

use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, Keyword, PatternCache, PatternOptions, Registry, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::convert::{BASE, INTEGER_KEYWORD, uri};
use super::{Direction, Location, SchemaIndex};
use crate::error::Problem;
use crate::limits::Limits;
use crate::pointer;
use crate::source::Documents;
use crate::violation::{MAX_VIOLATIONS, excerpt, excerpt_of};

/// Bodies with more values than this stop at the first violation: the validator gathers all
/// errors before it hands out one, and a million wrong items would make a million of them.
pub(super) const MAX_VALUES_FOR_ALL_ERRORS: usize = 5_000;

/// All compiled schemas of one specification.
pub(crate) struct Schemas {
    compiled: Vec<Compiled>,
    /// How each file is written before the `#` of a place.
    files: Vec<String>,
}

struct Compiled {
    request: Validator,
    /// Where it differs from the request's.
    response: Option<Validator>,
}

/// One broken rule.
#[derive(Debug)]
pub(crate) struct Breach {
    /// JSON pointer into the value.
    pub(crate) at: String,
    /// Place in the specification.
    pub(crate) rule: String,
    pub(crate) keyword: String,
    pub(crate) message: String,
}

/// Compiles each pattern once, in the linear-time engine only.
pub(super) struct Patterns {
    cache: PatternCache,
    regex_bytes: usize,
}

pub(super) fn compile(
    documents: &Documents,
    request: Vec<Arc<Value>>,
    response: Option<Vec<Arc<Value>>>,
    used: &[Location],
    patterns: &Patterns,
) -> Result<Schemas, Vec<Problem>> {
    let whole =
        |error: String| vec![documents.problem(0, "", format!("the schemas do not compile: {error}"))];
    let request = registry(request).map_err(whole)?;
    let response = response.map(registry).transpose().map_err(whole)?;
    let mut compiled = Vec::with_capacity(used.len());
    let mut problems = Vec::new();
    for (file, place) in used {
        let build = |registry: &Registry<'_>| {
            let mut options = patterns
                .options()
                .with_registry(registry)
                .should_validate_formats(true)
                .with_format("byte", is_base64)
                .with_keyword(INTEGER_KEYWORD, integer_bounds);
            for unchecked in UNCHECKED_FORMATS {
                options = options.with_format(*unchecked, |_| true);
            }
            options.build(&json!({ "$ref": uri(*file, place) }))
        };
        let built = build(&request).and_then(|request| {
            let response = response.as_ref().map(build).transpose()?;
            Ok(Compiled { request, response })
        });
        match built {
            Ok(both) => compiled.push(both),
            Err(error) => {
                let message = format!("the schema does not compile: {}", excerpt_of(&error.to_string(), 300));
                problems.push(documents.problem(*file, place, message));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let files = (0..documents.paths().len())
        .map(|file| documents.place(file, "").trim_end_matches('#').to_owned())
        .collect();
    Ok(Schemas { compiled, files })
}

// === impl Schemas ===

impl Schemas {
    /// Whether `value` is valid, without finding out why not.
    pub(crate) fn accepts(&self, index: SchemaIndex, direction: Direction, value: &Value) -> bool {
        self.validator(index, direction).is_none_or(|validator| validator.is_valid(value))
    }

    /// The rules `value` breaks, at most [`MAX_VIOLATIONS`].
    pub(crate) fn breaches(&self, index: SchemaIndex, direction: Direction, value: &Value) -> Vec<Breach> {
        let Some(validator) = self.validator(index, direction) else { return Vec::new() };
        if validator.is_valid(value) {
            return Vec::new();
        }
        let mut budget = MAX_VALUES_FOR_ALL_ERRORS;
        if within(value, &mut budget) {
            validator.iter_errors(value).take(MAX_VIOLATIONS).map(|error| self.breach(&error)).collect()
        } else {
            validator.validate(value).err().iter().map(|error| self.breach(error)).collect()
        }
    }

    fn validator(&self, index: SchemaIndex, direction: Direction) -> Option<&Validator> {
        let compiled = self.compiled.get(index.0)?;
        match direction {
            Direction::Request => Some(&compiled.request),
            Direction::Response => compiled.response.as_ref().or(Some(&compiled.request)),
        }
    }

    fn breach(&self, error: &ValidationError<'_>) -> Breach {
        let location = error.absolute_keyword_location().map(|location| location.as_str());
        let rule = match location {
            Some(location) => self.place(location).unwrap_or_else(|| location.to_owned()),
            None => format!("#{}", error.schema_path().as_str()),
        };
        if let Some(rule) = rule.strip_suffix(INTEGER_KEYWORD) {
            let message = "is outside the range of its integer format".to_owned();
            let at = bounded_pointer(error.instance_path().as_str());
            return Breach { at, rule: format!("{rule}format"), keyword: "format".to_owned(), message };
        }
        let keyword = rule.rsplit('/').next().unwrap_or_default();
        let keyword = match error.kind() {
            // A `false` schema is reported under the keyword that holds it.
            ValidationErrorKind::FalseSchema if !keyword.is_empty() => keyword.to_owned(),
            kind => kind.keyword().to_owned(),
        };
        Breach { at: bounded_pointer(error.instance_path().as_str()), keyword, message: message(error), rule }
    }

    /// A place of the registry as a place of the files.
    fn place(&self, location: &str) -> Option<String> {
        let (file, fragment) = location.strip_prefix(BASE)?.split_once('#')?;
        let file = self.files.get(file.parse::<usize>().ok()?)?;
        Some(format!("{file}#{}", pointer::percent_decode(fragment)?))
    }
}

// === impl Patterns ===

impl Patterns {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { cache: PatternCache::new(), regex_bytes: limits.regex_bytes }
    }

    /// Why `pattern` cannot be used, if so.
    pub(super) fn check(&self, pattern: &str) -> Result<(), String> {
        self.options().build(&json!({ "pattern": pattern })).map(drop).map_err(|_| {
            format!(
                "the pattern `{}` is not a regular expression, or it needs look-around, back-references or more than {} bytes of memory, which are not supported: patterns run in linear time",
                excerpt(pattern),
                self.regex_bytes
            )
        })
    }

    fn options<'r>(&self) -> jsonschema::ValidationOptions<'r> {
        let engine = PatternOptions::regex().size_limit(self.regex_bytes).dfa_size_limit(self.regex_bytes);
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .with_pattern_options(engine)
            .with_pattern_cache(self.cache.clone())
    }
}

// === formats ===

/// Formats the validator knows and we leave unchecked: `regex` compiles what a caller sends;
/// `time` is written as local time (`09:30`) far more often than as RFC 3339; the others are so
/// rare and so seldom implemented alike that a refusal would mostly be wrong.
const UNCHECKED_FORMATS: &[&str] = &[
    "regex",
    "time",
    "duration",
    "idn-email",
    "idn-hostname",
    "iri",
    "iri-reference",
    "uri-template",
    "relative-json-pointer",
];

/// RFC 4648 section 4, padding required, no line breaks.
fn is_base64(text: &str) -> bool {
    let bytes = text.as_bytes();
    let padding = bytes.iter().rev().take(2).take_while(|byte| **byte == b'=').count();
    let data = bytes.get(..bytes.len() - padding).unwrap_or_default();
    bytes.len().is_multiple_of(4)
        && data.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

struct IntegerBounds {
    low: i64,
    high: i64,
}

impl<'i> Keyword<'i> for IntegerBounds {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) { Ok(()) } else { Err(ValidationError::custom("out of range")) }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let Value::Number(number) = instance else { return true };
        match number.as_i64() {
            Some(integer) => (self.low..=self.high).contains(&integer),
            // Beyond i64, or written with a fraction or exponent.
            None => number.as_f64().is_some_and(|float| {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "both bounds of i64 and i32 round outward by less than a step"
                )]
                let (low, high) = (self.low as f64, self.high as f64 + 1.0);
                float >= low && float < high
            }),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is the validator's")]
fn integer_bounds<'a>(
    _parent: &'a Map<String, Value>,
    value: &'a Value,
    _path: jsonschema::paths::Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    let (low, high) = match value.as_str() {
        Some("int32") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    Ok(Box::new(IntegerBounds { low, high }))
}

// === helpers ===

fn registry(roots: Vec<Arc<Value>>) -> Result<Registry<'static>, String> {
    let mut builder = Registry::new().draft(Draft::Draft202012).retriever(Refuse);
    for (file, root) in roots.into_iter().enumerate() {
        builder = builder.add(format!("{BASE}{file}"), root).map_err(|error| error.to_string())?;
    }
    builder.prepare().map_err(|error| error.to_string())
}

/// Nothing is fetched: every file was read before.
struct Refuse;

impl jsonschema::Retrieve for Refuse {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`{uri}` is not part of the specification, and nothing is fetched").into())
    }
}

/// Whether `value` holds at most `budget` values.
fn within(value: &Value, budget: &mut usize) -> bool {
    let Some(left) = budget.checked_sub(1) else { return false };
    *budget = left;
    match value {
        Value::Array(items) => items.iter().all(|item| within(item, budget)),
        Value::Object(map) => map.values().all(|member| within(member, budget)),
        _ => true,
    }
}

/// A pointer holds property names of the caller, so it is cut as well.
fn bounded_pointer(pointer: &str) -> String {
    excerpt_of(pointer, 200)
}

fn message(error: &ValidationError<'_>) -> String {
    use ValidationErrorKind as Kind;
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let shown: Vec<String> =
                unexpected.iter().take(4).map(|name| format!("`{}`", excerpt(name))).collect();
            let more = if unexpected.len() > shown.len() { " and more" } else { "" };
            format!("holds properties the contract does not know: {}{more}", shown.join(", "))
        }
        Kind::Required { property } => {
            format!("lacks the property {}", excerpt_of(&property.to_string(), 80))
        }
        Kind::Enum { options } => {
            let options = excerpt_of(&options.to_string(), 160);
            format!("is none of {options}")
        }
        Kind::Constant { expected_value } => {
            format!("is not {}", excerpt_of(&expected_value.to_string(), 80))
        }
        Kind::Pattern { pattern } => format!("does not match `{}`", excerpt_of(pattern, 80)),
        Kind::Format { format } => format!("is no `{}`", excerpt(format)),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "matches none of the allowed forms".to_owned(),
        Kind::OneOfMultipleValid { .. } => {
            "matches more than one of forms that exclude each other".to_owned()
        }
        Kind::Not { .. } => "has a form that is excluded".to_owned(),
        Kind::FalseSchema => "is not allowed here".to_owned(),
        Kind::PropertyNames { .. } => "has a property whose name is not allowed".to_owned(),
        // The other messages hold only the rule; the value is masked.
        _ => excerpt_of(&error.masked_with("it").to_string(), 160),
    }
}
