//! What kinds of values a schema allows, as far as reading text needs to know.

use serde_json::{Map, Number, Value};

use crate::error::Problem;
use crate::limits::Limits;
use crate::source::Node;

/// Parameters nest little; deeper schemas are read as text.
const MAX_DEPTH: usize = 4;

/// The kinds of value a schema allows: text is read as one of them before it is validated.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shape {
    text: bool,
    number: bool,
    boolean: bool,
    null: bool,
    array: bool,
    object: bool,
    items: Option<Box<Shape>>,
    properties: Vec<(String, Shape)>,
}

impl Shape {
    /// Reads the shape off a schema, through references and compositions.
    pub(crate) fn of(node: &Node<'_>, limits: &Limits) -> Result<Self, Problem> {
        let mut shape = Self::default();
        shape.learn(node, limits, 0)?;
        Ok(shape)
    }

    pub(crate) fn is_array(&self) -> bool {
        self.array
    }

    pub(crate) fn is_object(&self) -> bool {
        self.object && !self.array
    }

    pub(crate) fn has_property(&self, name: &str) -> bool {
        self.property(name).is_some()
    }

    pub(crate) fn property(&self, name: &str) -> Option<&Shape> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, shape)| shape)
    }

    /// The values a text may stand for, the likeliest first; text itself if nothing else fits.
    pub(crate) fn scalars(&self, text: &str) -> Vec<Value> {
        let mut values = Vec::new();
        if self.number
            && text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            && let Ok(number) = serde_json::from_str::<Number>(text)
        {
            values.push(Value::Number(number));
        }
        match text {
            "true" if self.boolean => values.push(Value::Bool(true)),
            "false" if self.boolean => values.push(Value::Bool(false)),
            "" | "null" if self.null => values.push(Value::Null),
            _ => {}
        }
        let only_structured = (self.array || self.object) && !self.text;
        if self.text || (values.is_empty() && !only_structured) {
            values.push(Value::String(text.to_owned()));
        }
        values
    }

    /// A list of texts as an array.
    pub(crate) fn array<'t>(&self, texts: impl Iterator<Item = &'t str>) -> Value {
        let any = Shape::default();
        let items = self.items.as_deref().unwrap_or(&any);
        Value::Array(texts.map(|text| items.scalar(text)).collect())
    }

    /// Names and texts as an object; nothing if there are none. A repeated name of an array
    /// property gathers; any other keeps its last.
    pub(crate) fn object<'t>(&self, pairs: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<Value> {
        let any = Shape::default();
        let mut map = Map::new();
        for (name, text) in pairs {
            let shape = self.property(name).unwrap_or(&any);
            if shape.array {
                let item = shape.items.as_deref().unwrap_or(&any).scalar(text);
                match map.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                    Value::Array(items) => items.push(item),
                    other => *other = item,
                }
            } else {
                map.insert(name.to_owned(), shape.scalar(text));
            }
        }
        if map.is_empty() { Vec::new() } else { vec![Value::Object(map)] }
    }

    fn scalar(&self, text: &str) -> Value {
        self.scalars(text).into_iter().next().unwrap_or_else(|| Value::String(text.to_owned()))
    }

    fn learn(&mut self, node: &Node<'_>, limits: &Limits, depth: usize) -> Result<(), Problem> {
        if depth > MAX_DEPTH {
            return Ok(());
        }
        let node = node.dereference(limits)?;
        match node.value.get("type") {
            Some(Value::String(name)) => self.kind(name),
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).for_each(|name| self.kind(name))
            }
            _ => self.learn_untyped(&node),
        }
        if ["nullable", "x-nullable"].iter().any(|key| node.value.get(key) == Some(&Value::Bool(true))) {
            self.null = true;
        }
        for composition in ["allOf", "oneOf", "anyOf"] {
            if let Some(list) = node.get(composition) {
                for schema in list.items()? {
                    self.learn(&schema, limits, depth + 1)?;
                }
            }
        }
        if let Some(items) = node.get("items").filter(|items| items.value.is_object()) {
            let mut shape = self.items.take().unwrap_or_default();
            shape.learn(&items, limits, depth + 1)?;
            self.items = Some(shape);
        }
        if let Some(properties) = node.get("properties") {
            for (name, schema) in properties.members()? {
                let mut shape = Shape::default();
                shape.learn(&schema, limits, depth + 1)?;
                self.properties.push((name.clone(), shape));
            }
        }
        Ok(())
    }

    /// Without a `type`, other keywords tell.
    fn learn_untyped(&mut self, node: &Node<'_>) {
        self.object |= node.value.get("properties").is_some();
        self.array |= node.value.get("items").is_some();
        let listed = node.value.get("enum").and_then(Value::as_array).into_iter().flatten();
        for value in listed.chain(node.value.get("const")) {
            match value {
                Value::Null => self.null = true,
                Value::Bool(_) => self.boolean = true,
                Value::Number(_) => self.number = true,
                Value::String(_) => self.text = true,
                Value::Array(_) | Value::Object(_) => {}
            }
        }
    }

    fn kind(&mut self, name: &str) {
        match name {
            "string" | "file" => self.text = true,
            "integer" | "number" => self.number = true,
            "boolean" => self.boolean = true,
            "null" => self.null = true,
            "array" => self.array = true,
            "object" => self.object = true,
            _ => {}
        }
    }
}
