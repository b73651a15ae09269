//! YAML as a tree in which every key and every value knows where it stands.
//!
//! The typed configuration is read from this tree, not by serde: so every mistake is found at once, each with its
//! place, and nothing is interpreted twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Budget, Error, Options, Spanned, Tagged};

use crate::diagnostic::Diagnostic;

/// Largest `haechi.yaml`. A thousand APIs need a tenth of it.
pub(crate) const BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting; the deepest setting is at 7.
const DEPTH: usize = 16;
/// Most values. A thousand APIs with fifty settings each need a fifth of it.
const NODES: usize = 500_000;

const TOO_MUCH: &str = "the file is nested deeper, or holds more values, than any configuration needs";

/// A place in the file: line and column (both from 1, in characters) and how many characters it spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Characters from there on; at least 1.
    pub len: usize,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// In the order of the file.
    Map(Vec<(Key, Node)>),
    List(Vec<Node>),
    Text(String),
    Bool(bool),
    /// A number, as it would be written in decimal.
    Number(String),
    Null,
    /// A value with a tag such as `!!str`, which is never what is expected.
    Tagged,
}

/// A key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// Reads one document. What YAML offers beyond a tree of plain values is refused: anchors and aliases, merge keys, tags,
/// duplicate keys.
pub(crate) fn parse(text: &str) -> Result<Node, Diagnostic> {
    if text.len() > BYTES {
        return Err(Diagnostic::new("too-large", format!("the file is larger than {BYTES} bytes")));
    }
    if let Some(place) = bare_carriage_return(text) {
        // YAML ends a line there, and nobody who looks at the file sees it.
        let message = "a carriage return without a line feed after it";
        return Err(Diagnostic::new("yaml", message).at(place).help("end lines with a line feed"));
    }
    let spanned: Spanned<Tagged<Value>> =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| explain(&error))?;
    Ok(spanned.into())
}

fn bare_carriage_return(text: &str) -> Option<Place> {
    let at = text
        .bytes()
        .zip(text.bytes().skip(1).chain([0]))
        .position(|pair| pair.0 == b'\r' && pair.1 != b'\n')?;
    let before = text.get(..at)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..)?.chars().count() + 1;
    Some(Place { line: before.matches('\n').count() + 1, column, len: 1 })
}

fn options() -> Options {
    let mut options = Options::default();
    options.strict_booleans = true;
    // `010` and `1_000` mean different numbers to different readers; here they are no numbers.
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    options.merge_keys = serde_saphyr::MergeKeyPolicy::Error;
    options.duplicate_keys = serde_saphyr::DuplicateKeyPolicy::Error;
    options.reject_unsupported_tags = true;
    options.with_snippet = false;
    let mut budget = Budget::default();
    budget.max_anchors = 0;
    budget.max_aliases = 0;
    budget.max_depth = DEPTH;
    budget.max_documents = 1;
    budget.max_nodes = NODES;
    options.budget = Some(budget);
    options
}

/// The parser's errors in our words, where ours help more.
fn explain(error: &Error) -> Diagnostic {
    let error = error.without_snippet();
    let (code, message, help) = match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().map_or_else(|| "a key".to_owned(), |key| format!("the key `{key}`"));
            ("duplicate-key", format!("{key} stands twice in a mapping"), Some("remove one"))
        }
        Error::UnknownAnchor { .. }
        | Error::AliasError { .. }
        | Error::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. } => (
            "anchor",
            "anchors and aliases are not used in haechi.yaml".to_owned(),
            Some("write the value out in each place"),
        ),
        Error::MergeKeyNotAllowed { .. } | Error::MergeValueNotMapOrSeqOfMaps { .. } => (
            "merge-key",
            "merge keys (`<<`) are not used in haechi.yaml".to_owned(),
            Some("write the fields out"),
        ),
        Error::UnsupportedTag { tag, .. } => {
            ("tag", format!("tags such as `{tag}` are not used in haechi.yaml"), Some("remove the tag"))
        }
        Error::MultipleDocuments { .. } | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => (
            "yaml",
            "haechi.yaml is a single document".to_owned(),
            Some("remove `---` and what belongs to another file"),
        ),
        Error::Budget { .. } => ("too-large", TOO_MUCH.to_owned(), None),
        Error::Unexpected { expected: "string scalar", .. } => {
            ("yaml", "a key is a single text, not a list or a mapping".to_owned(), None)
        }
        Error::NonFiniteFloat { .. } => {
            ("yaml", "infinity and not-a-number are no values here".to_owned(), None)
        }
        // The parser's own guard against depth, before the budget's.
        other if other.to_string().contains("recursion limit") => ("too-large", TOO_MUCH.to_owned(), None),
        other => {
            let message = strip(&other.to_string());
            let help = message.contains("tab").then_some("indent with spaces, not with tabs");
            ("yaml", message, help)
        }
    };
    let place = error.location().map_or(Place { line: 1, column: 1, len: 1 }, place);
    Diagnostic::new(code, message).at(place).help_if(help)
}

/// The first line of the parser's message without the place, which is said by us.
fn strip(message: &str) -> String {
    let message = message.lines().next().unwrap_or("the file is not YAML");
    let message = message.split(" at line ").next().unwrap_or(message);
    message.trim_end_matches([':', ',', ' ', '.']).to_owned()
}

fn place(location: serde_saphyr::Location) -> Place {
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Place {
        line: number(location.line()).max(1),
        column: number(location.column()).max(1),
        len: number(location.span().len()).max(1),
    }
}

// === impl Node ===

impl From<Spanned<Tagged<Value>>> for Node {
    fn from(spanned: Spanned<Tagged<Value>>) -> Self {
        let Tagged(value, tag) = spanned.value;
        Self { place: place(spanned.referenced), value: if tag.is_some() { Value::Tagged } else { value } }
    }
}

impl Node {
    /// The child under these keys.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.name == *first)?.1.find(rest),
            Value::List(items) => items.get(first.parse::<usize>().ok()?)?.find(rest),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Map(_) => "a mapping",
            Value::List(_) => "a list",
            Value::Text(_) => "a text",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Null => "nothing",
            Value::Tagged => "a tag, which is not used here",
        }
    }
}

// === impl Value ===

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // `10.0` is no whole number.
        Ok(Value::Number(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Tagged<Value>>>()? {
            list.push(item.into());
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let key = Key { place: place(key.referenced), name: key.value };
            let mut node: Node = entries.next_value::<Spanned<Tagged<Value>>>()?.into();
            if matches!(node.value, Value::Map(_) | Value::Null) {
                // What is wrong with a whole mapping, or with nothing, is shown at its name.
                node.place = key.place;
            }
            map.push((key, node));
        }
        Ok(Value::Map(map))
    }
}
