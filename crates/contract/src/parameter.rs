//! Parameters: from the text of a request to a value of the contract's schema.

mod shape;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub(crate) use shape::Shape;

use crate::json;
use crate::schema::{Breach, Direction, SchemaIndex, Schemas};
use crate::violation::{Place, Violation};

/// A parameter of an operation.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) required: bool,
    /// OpenAPI `allowEmptyValue`: `?flag` alone is fine.
    pub(crate) allow_empty: bool,
    pub(crate) style: Style,
    pub(crate) explode: bool,
    /// The parameter is a JSON text (`content: application/json`).
    pub(crate) json: bool,
    pub(crate) shape: Shape,
    pub(crate) schema: Option<SchemaIndex>,
    /// Where the parameter is declared, for messages.
    pub(crate) rule: String,
}

/// How a parameter's values are written (OpenAPI `style`, 2.0 `collectionFormat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `a,b` or, exploded, `n=a&n=b`.
    Form,
    /// `a,b`.
    Simple,
    /// `.a.b` in a path.
    Label,
    /// `;n=a,b` in a path.
    Matrix,
    /// `a b`.
    Space,
    /// `a|b`.
    Pipe,
    /// Tab separated; OpenAPI 2.0 only.
    Tab,
    /// `n[key]=a`.
    Deep,
}

/// A decoded name and value as they were sent, in order.
pub(crate) type Pairs<'a> = [(Cow<'a, str>, Cow<'a, str>)];

impl Parameter {
    /// Checks what `pairs` hold for this parameter (a query, a form or cookies).
    pub(crate) fn check_pairs(
        &self,
        pairs: &Pairs<'_>,
        schemas: &Schemas,
        depth: usize,
        out: &mut Vec<Violation>,
    ) {
        let own = || pairs.iter().filter(|(name, _)| *name == self.name).map(|(_, value)| value.as_ref());
        let candidates = if self.json {
            match own().next() {
                Some(text) => return self.check_text(text, schemas, depth, out),
                None => Vec::new(),
            }
        } else if self.style == Style::Deep {
            self.shape
                .object(pairs.iter().filter_map(|(name, value)| Some((self.deep_key(name)?, value.as_ref()))))
        } else if self.explode && self.shape.is_object() {
            self.shape.object(
                pairs
                    .iter()
                    .filter(|(name, _)| self.shape.has_property(name))
                    .map(|(name, value)| (name.as_ref(), value.as_ref())),
            )
        } else {
            let values: Vec<&str> = own().collect();
            match values.as_slice() {
                [] => Vec::new(),
                [""] if self.allow_empty => return,
                values if self.explode && self.shape.is_array() => {
                    vec![self.shape.array(values.iter().copied())]
                }
                [text] => self.candidates(text),
                // Upstreams disagree on which of several counts, so none may be hidden.
                _ => return out.push(self.violation("repeated", "stands more than once")),
            }
        };
        self.check_candidates(&candidates, schemas, out);
    }

    /// Checks the one text of a path, header or JSON parameter.
    pub(crate) fn check_text(&self, text: &str, schemas: &Schemas, depth: usize, out: &mut Vec<Violation>) {
        if !self.json {
            return self.check_candidates(&self.candidates(text), schemas, out);
        }
        match json::parse_strict(text.as_bytes(), depth) {
            Ok(value) => self.check_candidates(&[value], schemas, out),
            Err(error) => {
                out.push(
                    self.violation(&format!("json-{}", error.kind.name()), &format!("is not JSON: {error}")),
                );
            }
        }
    }

    /// Whether a query parameter of this name belongs to this parameter.
    pub(crate) fn owns(&self, name: &str) -> bool {
        if self.style == Style::Deep {
            return self.deep_key(name).is_some();
        }
        if self.explode && self.shape.is_object() && !self.json {
            return self.shape.has_property(name);
        }
        self.name == name
    }

    pub(crate) fn violation(&self, keyword: &str, message: &str) -> Violation {
        Violation {
            place: self.place,
            name: self.name.clone(),
            schema_pointer: self.rule.clone(),
            keyword: keyword.to_owned(),
            message: message.to_owned(),
        }
    }

    /// Valid if one reading of the text is; otherwise the first reading says what is wrong.
    fn check_candidates(&self, candidates: &[Value], schemas: &Schemas, out: &mut Vec<Violation>) {
        let Some(first) = candidates.first() else {
            if self.required {
                out.push(self.violation("missing", "is required but was not sent"));
            }
            return;
        };
        let Some(schema) = self.schema else { return };
        if candidates.iter().any(|value| schemas.accepts(schema, Direction::Request, value)) {
            return;
        }
        for Breach { at, rule, keyword, message } in schemas.breaches(schema, Direction::Request, first) {
            let message = if at.is_empty() { message } else { format!("at `{at}`: {message}") };
            let name = self.name.clone();
            out.push(Violation { place: self.place, name, schema_pointer: rule, keyword, message });
        }
    }

    /// The values a single text may stand for, the likeliest first.
    fn candidates(&self, text: &str) -> Vec<Value> {
        let text = match self.style {
            Style::Label => text.strip_prefix('.').unwrap_or(text),
            Style::Matrix => text.strip_prefix(';').unwrap_or(text),
            _ => text,
        };
        let named = format!("{}=", self.name);
        let text = match self.style {
            Style::Matrix if !(self.explode && self.shape.is_object()) => {
                text.strip_prefix(&named).unwrap_or(text)
            }
            _ => text,
        };
        let separator = match (self.style, self.explode) {
            (Style::Space, _) => ' ',
            (Style::Pipe, _) => '|',
            (Style::Tab, _) => '\t',
            (Style::Label, true) => '.',
            (Style::Matrix, true) => ';',
            _ => ',',
        };
        let mut candidates = Vec::new();
        if self.shape.is_array() {
            let items = text.split(separator).map(|item| match self.style {
                Style::Matrix if self.explode => item.strip_prefix(&named).unwrap_or(item),
                _ => item,
            });
            // Nothing between no separators: an empty list, or a list of one empty text.
            if text.is_empty() {
                candidates.push(Value::Array(Vec::new()));
            }
            candidates.push(self.shape.array(items));
        } else if self.shape.is_object() {
            candidates.extend(if self.explode {
                self.shape.object(text.split(separator).filter_map(|pair| pair.split_once('=')))
            } else {
                let mut parts = text.split(separator);
                self.shape
                    .object(std::iter::from_fn(|| Some((parts.next()?, parts.next().unwrap_or_default()))))
            });
            if candidates.is_empty() {
                candidates.push(Value::Object(Map::new()));
            }
        }
        candidates.extend(self.shape.scalars(text));
        candidates
    }

    fn deep_key<'n>(&self, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(self.name.as_str())?.strip_prefix('[')?.strip_suffix(']')
    }
}

#[cfg(test)]
mod tests;
