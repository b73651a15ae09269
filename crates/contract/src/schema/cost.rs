//! What a schema costs per request, bounded when it is loaded.
//!
//! A schema applies to one value together with all it reaches through `$ref`, `allOf`, `oneOf` and
//! the other keywords that stay on that value. If that leads back to itself, validation would
//! never end; if it fans out at each link, a few lines cost every request millions of steps.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::Location;
use super::convert::BASE;
use crate::error::Problem;
use crate::limits::Limits;
use crate::pointer;
use crate::source::Documents;

/// Links of references and compositions on one value. Each takes stack when validating.
const MAX_CHAIN: usize = 128;

/// Checks every schema of the rewritten documents.
pub(super) fn check<'l>(
    documents: &Documents,
    roots: &[Arc<Value>],
    locations: impl Iterator<Item = &'l Location>,
    limits: &Limits,
) -> Vec<Problem> {
    let mut meter = Meter { roots, known: HashMap::new(), limit: limits.schema_applications };
    let mut problems = Vec::new();
    for (file, start) in locations {
        let Some(schema) = roots.get(*file).and_then(|root| pointer::lookup(root, start)) else { continue };
        let mut stack = vec![(start.clone(), schema)];
        while let Some((place, schema)) = stack.pop() {
            if meter.measured(schema) {
                continue;
            }
            match meter.applications(schema, 0) {
                Ok(_) => {}
                Err(refused) => {
                    let message = match refused {
                        Refused::Circle => "the schema applies to a value again and again: it refers to itself without going into a property or an item".to_owned(),
                        Refused::TooMany => format!("more than {} schemas apply to one value here", limits.schema_applications),
                        Refused::TooLong => format!("more than {MAX_CHAIN} references and compositions follow on each other"),
                    };
                    problems.push(documents.problem(*file, &place, message));
                    return problems;
                }
            }
            for (keyword, child) in children(schema, false) {
                stack.push((format!("{place}{keyword}"), child));
            }
        }
    }
    problems
}

struct Meter<'v> {
    roots: &'v [Arc<Value>],
    /// By the address of the schema; `None` while it is being measured.
    known: HashMap<usize, Option<u64>>,
    limit: u64,
}

enum Refused {
    Circle,
    TooMany,
    TooLong,
}

impl<'v> Meter<'v> {
    fn measured(&self, schema: &Value) -> bool {
        self.known.contains_key(&address(schema))
    }

    fn applications(&mut self, schema: &'v Value, chain: usize) -> Result<u64, Refused> {
        if chain > MAX_CHAIN {
            return Err(Refused::TooLong);
        }
        match self.known.get(&address(schema)) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(Refused::Circle),
            None => {}
        }
        self.known.insert(address(schema), None);
        let mut sum = 1_u64;
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| self.target(reference));
        for child in target.into_iter().chain(children(schema, true).map(|(_, child)| child)) {
            sum = sum.saturating_add(self.applications(child, chain + 1)?);
            if sum > self.limit {
                return Err(Refused::TooMany);
            }
        }
        self.known.insert(address(schema), Some(sum));
        Ok(sum)
    }

    fn target(&self, reference: &str) -> Option<&'v Value> {
        let (file, fragment) = reference.strip_prefix(BASE)?.split_once('#')?;
        let root = self.roots.get(file.parse::<usize>().ok()?)?;
        pointer::lookup(root, &pointer::percent_decode(fragment)?)
    }
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

/// The schemas within a schema with their pointers; with `in_place`, only those that apply to the
/// same value.
fn children(schema: &Value, in_place: bool) -> impl Iterator<Item = (String, &Value)> {
    schema.as_object().into_iter().flatten().flat_map(move |(key, value)| {
        let mut found: Vec<(String, &Value)> = Vec::new();
        match key.as_str() {
            "allOf" | "anyOf" | "oneOf" => list(key, value, &mut found),
            "not" | "if" | "then" | "else" => found.push((format!("/{key}"), value)),
            "dependentSchemas" => map(key, value, &mut found),
            _ if in_place => {}
            "prefixItems" => list(key, value, &mut found),
            "properties" | "patternProperties" | "$defs" | "definitions" => map(key, value, &mut found),
            "items"
            | "additionalProperties"
            | "contains"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => found.push((format!("/{key}"), value)),
            _ => {}
        }
        found
    })
}

fn list<'v>(key: &str, value: &'v Value, found: &mut Vec<(String, &'v Value)>) {
    let items = value.as_array().into_iter().flatten().enumerate();
    found.extend(items.map(|(index, item)| (format!("/{key}/{index}"), item)));
}

fn map<'v>(key: &str, value: &'v Value, found: &mut Vec<(String, &'v Value)>) {
    let members = value.as_object().into_iter().flatten();
    found.extend(members.map(|(name, member)| (pointer::join(&format!("/{key}"), name), member)));
}
