//! One schema of any dialect, checked keyword by keyword and rewritten to JSON Schema 2020-12.
//!
//! | written | becomes |
//! |---|---|
//! | 3.0 `nullable: true`, 2.0 `x-nullable: true` beside `type: T` | `type: [T, "null"]` |
//! | 2.0, 3.0 `exclusiveMinimum: true` beside `minimum: n` | `exclusiveMinimum: n` (maximum alike) |
//! | 2.0, 3.0 `$ref` with siblings | the `$ref` alone, as those versions define |
//! | 2.0 `type: file` | anything |
//! | `format: int32`, `int64` | a keyword of ours that checks the range |
//! | `required` of a `readOnly` property | not required in requests |
//! | `required` of a `writeOnly` property | not required in responses |
//! | `discriminator`, `xml`, `example`, `x-…`, descriptions | dropped: they do not constrain |
//!
//! `nullable` follows the clarification of OpenAPI 3.0.3: it widens the `type` beside it and
//! nothing else, so an `enum` still has to list `null`.

use serde_json::{Map, Value, json};

use super::compile::Patterns;
use super::{Dialect, Direction};
use crate::error::{Problem, Warning};
use crate::limits::Limits;
use crate::source::Node;

/// The scheme and authority under which the registry knows file number N.
pub(super) const BASE: &str = "haechi://spec/";

/// Our keyword for the range of an integer format; violations report it as `format`.
pub(super) const INTEGER_KEYWORD: &str = "x-haechi-integer";

pub(super) struct Conversion<'a, 'l> {
    dialect: Dialect,
    direction: Direction,
    limits: &'l Limits,
    patterns: &'l Patterns,
    /// Schema objects met.
    pub(super) nodes: usize,
    /// The targets of the references met.
    pub(super) references: Vec<Node<'a>>,
    /// The request and the response form differ.
    pub(super) directional: bool,
    pub(super) named: bool,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
    /// Below a schema with an `$id`, references are relative to that.
    below_id: usize,
}

impl<'a, 'l> Conversion<'a, 'l> {
    pub(super) fn new(
        dialect: Dialect,
        direction: Direction,
        limits: &'l Limits,
        patterns: &'l Patterns,
    ) -> Self {
        Self {
            dialect,
            direction,
            limits,
            patterns,
            nodes: 0,
            references: Vec::new(),
            directional: false,
            named: false,
            problems: Vec::new(),
            warnings: Vec::new(),
            below_id: 0,
        }
    }

    pub(super) fn schema(&mut self, node: &Node<'a>, depth: usize) -> Result<Value, Problem> {
        self.nodes += 1;
        if depth > self.limits.schema_depth {
            return Err(node.problem(format!("schemas nest deeper than {}", self.limits.schema_depth)));
        }
        if self.nodes > self.limits.schema_nodes {
            return Err(
                node.problem(format!("the schema holds more than {} schemas", self.limits.schema_nodes))
            );
        }
        let map = match node.value {
            Value::Object(map) => map,
            Value::Bool(boolean) if self.dialect == Dialect::V31 => return Ok(Value::Bool(*boolean)),
            _ => return Err(node.problem("a schema must be an object")),
        };
        if let (Some(_), true) = (map.get("$ref"), self.dialect != Dialect::V31) {
            let reference = self.reference(node)?;
            return Ok(json!({ "$ref": reference }));
        }
        let has_id = map.contains_key("$id") && self.dialect == Dialect::V31;
        self.below_id += usize::from(has_id);
        let mut out = Map::new();
        for (key, value) in map {
            let child = node.child(key, value);
            match self.keyword(node, key, &child, &mut out, depth) {
                Ok(()) => {}
                Err(problem) => self.problems.push(problem),
            }
        }
        self.below_id -= usize::from(has_id);
        // `int32` and `int64` are formats of numbers, which the validator's formats are not.
        if let Some(format @ ("int32" | "int64")) = map.get("format").and_then(Value::as_str) {
            out.insert(INTEGER_KEYWORD.to_owned(), json!(format));
        }
        Ok(Value::Object(out))
    }

    fn keyword(
        &mut self,
        parent: &Node<'a>,
        key: &str,
        node: &Node<'a>,
        out: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), Problem> {
        let modern = self.dialect == Dialect::V31;
        let converted = match key {
            "$ref" => Value::String(self.reference(parent)?),
            "type" => match self.types(parent, node)? {
                Some(types) => types,
                None => return Ok(()),
            },
            "nullable" if self.dialect == Dialect::V30 => return self.nullable(parent, node),
            "x-nullable" if self.dialect == Dialect::V20 => return self.nullable(parent, node),
            "enum" => {
                let values = node.value.as_array().ok_or_else(|| node.problem("`enum` must be an array"))?;
                if values.len() > self.limits.enum_values {
                    return Err(
                        node.problem(format!("`enum` has more than {} values", self.limits.enum_values))
                    );
                }
                node.value.clone()
            }
            "const" if modern => node.value.clone(),
            "exclusiveMinimum" | "exclusiveMaximum" if !modern => {
                let exclusive = node
                    .value
                    .as_bool()
                    .ok_or_else(|| node.problem(format!("`{key}` must be true or false")))?;
                let plain = if key == "exclusiveMinimum" { "minimum" } else { "maximum" };
                match parent.get(plain) {
                    Some(bound) if exclusive => bound.value.clone(),
                    _ => return Ok(()),
                }
            }
            "minimum" | "maximum" if !modern => {
                number(node, key)?;
                let exclusive = if key == "minimum" { "exclusiveMinimum" } else { "exclusiveMaximum" };
                if parent.get(exclusive).is_some_and(|flag| flag.value == &Value::Bool(true)) {
                    return Ok(());
                }
                node.value.clone()
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                number(node, key)?;
                node.value.clone()
            }
            "multipleOf" => {
                if number(node, key)? <= 0.0 {
                    return Err(node.problem("`multipleOf` must be greater than 0"));
                }
                node.value.clone()
            }
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                count(node, key)?
            }
            "minContains" | "maxContains" if modern => count(node, key)?,
            "uniqueItems" => {
                node.value.as_bool().ok_or_else(|| node.problem("`uniqueItems` must be true or false"))?;
                node.value.clone()
            }
            "pattern" => {
                let pattern =
                    node.value.as_str().ok_or_else(|| node.problem("`pattern` must be a string"))?;
                if !self.usable(pattern, node)? {
                    return Ok(());
                }
                node.value.clone()
            }
            "format" => {
                node.value.as_str().ok_or_else(|| node.problem("`format` must be a string"))?;
                node.value.clone()
            }
            "required" => self.required(parent, node)?,
            "items" if !modern || !node.value.is_array() => self.schema(node, depth + 1)?,
            "items" => {
                return Err(
                    node.problem("`items` must be one schema; a list of schemas is `prefixItems` in 2020-12")
                );
            }
            "not" => self.schema(node, depth + 1)?,
            "additionalProperties" => match node.value {
                Value::Bool(_) => node.value.clone(),
                _ => self.schema(node, depth + 1)?,
            },
            "allOf" | "anyOf" | "oneOf" => self.schemas(node, depth)?,
            "properties" => self.schema_map(node, depth)?,
            "prefixItems" if modern => self.schemas(node, depth)?,
            "if"
            | "then"
            | "else"
            | "contains"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "contentSchema"
                if modern =>
            {
                self.schema(node, depth + 1)?
            }
            "$defs" | "definitions" | "dependentSchemas" if modern => self.schema_map(node, depth)?,
            "patternProperties" if modern => {
                let mut usable = Map::new();
                for (pattern, member) in node.members()? {
                    if self.usable(pattern, &member)? {
                        usable.insert(pattern.clone(), self.schema(&member, depth + 1)?);
                    }
                }
                Value::Object(usable)
            }
            "dependentRequired" if modern => {
                for (_, member) in node.members()? {
                    names(&member)?;
                }
                node.value.clone()
            }
            "$id" | "$anchor" | "$dynamicAnchor" | "$dynamicRef" if modern => {
                node.value.as_str().ok_or_else(|| node.problem(format!("`{key}` must be a string")))?;
                self.named |= key != "$dynamicRef";
                node.value.clone()
            }
            "$schema" if modern => {
                let dialect = node.value.as_str().unwrap_or_default().trim_end_matches('#');
                if !matches!(
                    dialect,
                    "https://json-schema.org/draft/2020-12/schema"
                        | "https://spec.openapis.org/oas/3.1/dialect/base"
                ) {
                    return Err(node.problem("only JSON Schema 2020-12 is understood here"));
                }
                return Ok(());
            }
            // Everything else says nothing about which values are valid.
            _ => return Ok(()),
        };
        out.insert(key.to_owned(), converted);
        Ok(())
    }

    /// Checks the reference of a schema and writes it the one way the registry knows.
    fn reference(&mut self, parent: &Node<'a>) -> Result<String, Problem> {
        let Some(node) = parent.get("$ref") else { return Ok(String::new()) };
        let text = node.value.as_str().ok_or_else(|| node.problem("`$ref` must be a string"))?;
        let by_name = text
            .split_once('#')
            .map_or(!text.is_empty(), |(_, fragment)| !fragment.is_empty() && !fragment.starts_with('/'));
        // Names are resolved by the registry, which knows nothing but these files.
        if self.dialect == Dialect::V31 && (self.below_id > 0 || (by_name && node.resolve(text).is_err())) {
            return Ok(text.to_owned());
        }
        let (file, pointer) = node.resolve(text)?;
        let target = node
            .documents
            .node(file, &pointer)
            .ok_or_else(|| node.problem(format!("`{text}` names nothing")))?;
        self.references.push(target);
        Ok(uri(file, &pointer))
    }

    /// The `type`; `None` where any value is meant.
    fn types(&mut self, parent: &Node<'a>, node: &Node<'a>) -> Result<Option<Value>, Problem> {
        let known = |name: &str| {
            matches!(name, "string" | "number" | "integer" | "boolean" | "array" | "object")
                || (name == "null" && self.dialect == Dialect::V31)
        };
        match node.value {
            Value::String(name) if name == "file" && self.dialect == Dialect::V20 => Ok(None),
            Value::String(name) if known(name) => {
                let nullable = match self.dialect {
                    Dialect::V20 => parent.get("x-nullable"),
                    Dialect::V30 => parent.get("nullable"),
                    Dialect::V31 => None,
                };
                let nullable = nullable.is_some_and(|flag| flag.value == &Value::Bool(true));
                Ok(Some(if nullable { json!([name, "null"]) } else { node.value.clone() }))
            }
            Value::Array(names)
                if self.dialect == Dialect::V31
                    && !names.is_empty()
                    && names.iter().all(|name| name.as_str().is_some_and(known)) =>
            {
                Ok(Some(node.value.clone()))
            }
            Value::String(name) => {
                Err(node.problem(format!("`{}` is not a type", crate::violation::excerpt(name))))
            }
            _ => Err(node.problem("`type` must name a type of JSON")),
        }
    }

    fn nullable(&mut self, parent: &Node<'a>, node: &Node<'a>) -> Result<(), Problem> {
        let nullable =
            node.value.as_bool().ok_or_else(|| node.problem("`nullable` must be true or false"))?;
        let composed = ["allOf", "oneOf", "anyOf"].iter().any(|key| parent.get(key).is_some());
        if nullable && composed && parent.get("type").is_none() && self.direction == Direction::Request {
            self.warnings.push(node.problem(
                "`nullable` has no effect without a `type` beside it (OpenAPI 3.0.3): null is still refused where the composed schemas refuse it",
            ));
        }
        Ok(())
    }

    /// `required` without the properties that do not travel in this direction.
    fn required(&mut self, parent: &Node<'a>, node: &Node<'a>) -> Result<Value, Problem> {
        let names = names(node)?;
        let (absent, other) = match self.direction {
            Direction::Request => ("readOnly", "writeOnly"),
            Direction::Response => ("writeOnly", "readOnly"),
        };
        let properties = parent.get("properties");
        let marked = |name: &str, mark: &str| {
            let property = properties.as_ref().and_then(|properties| properties.get(name))?;
            if property.value.get(mark) == Some(&Value::Bool(true)) {
                return Some(());
            }
            let target = property.dereference(self.limits).ok()?;
            (target.value.get(mark) == Some(&Value::Bool(true))).then_some(())
        };
        let mut kept = Vec::new();
        for name in names {
            let leaves_out = marked(name, absent).is_some();
            self.directional |= leaves_out || marked(name, other).is_some();
            if !leaves_out {
                kept.push(Value::String(name.to_owned()));
            }
        }
        Ok(Value::Array(kept))
    }

    /// Whether a pattern can be checked. Skipping one is a warning where the limits allow it.
    fn usable(&mut self, pattern: &str, node: &Node<'a>) -> Result<bool, Problem> {
        match self.patterns.check(pattern) {
            Ok(()) => Ok(true),
            Err(message) if self.limits.skip_unsupported_patterns => {
                self.warnings.push(node.problem(format!("{message}; it is not checked")));
                Ok(false)
            }
            Err(message) => Err(node.problem(message)),
        }
    }

    fn schemas(&mut self, node: &Node<'a>, depth: usize) -> Result<Value, Problem> {
        let mut out = Vec::new();
        for item in node.items()? {
            out.push(self.schema(&item, depth + 1)?);
        }
        if out.is_empty() {
            return Err(node.problem("at least one schema is needed here"));
        }
        Ok(Value::Array(out))
    }

    fn schema_map(&mut self, node: &Node<'a>, depth: usize) -> Result<Value, Problem> {
        let mut out = Map::new();
        for (name, member) in node.members()? {
            out.insert(name.clone(), self.schema(&member, depth + 1)?);
        }
        Ok(Value::Object(out))
    }
}

/// The URI under which the registry has a place.
pub(super) fn uri(file: usize, pointer: &str) -> String {
    format!("{BASE}{file}#{}", crate::pointer::to_fragment(pointer))
}

fn number(node: &Node<'_>, key: &str) -> Result<f64, Problem> {
    node.value.as_f64().ok_or_else(|| node.problem(format!("`{key}` must be a number")))
}

/// A non-negative integer; `1.0` counts, as JSON Schema has it, and is written as `1`.
fn count(node: &Node<'_>, key: &str) -> Result<Value, Problem> {
    let refused = || node.problem(format!("`{key}` must be a whole number of at least 0"));
    match (node.value.as_u64(), node.value.as_f64()) {
        (Some(count), _) => Ok(json!(count)),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and small"
        )]
        (None, Some(float)) if float >= 0.0 && float.fract() == 0.0 && float <= 9e15 => {
            Ok(json!(float as u64))
        }
        _ => Err(refused()),
    }
}

fn names<'a>(node: &Node<'a>) -> Result<Vec<&'a str>, Problem> {
    let mut names = Vec::new();
    for item in node.items()? {
        let Some(name) = item.value.as_str() else {
            return Err(item.problem("the name of a property is expected here"));
        };
        names.push(name);
    }
    Ok(names)
}
