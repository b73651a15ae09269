//! Reading typed values from the tree: every mistake is noted with its place, and reading goes on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use haechi_guard::Mode;
use ipnet::IpNet;

use crate::diagnostic::{Diagnostic, meant};
use crate::secret::SecretRef;
use crate::settings::Section;
use crate::tree::{Key, Node, Place, Value};
use crate::value::{self, HttpUrl, Rate};

/// Mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(pub(crate) Vec<Diagnostic>);

/// A mapping with fixed names, being read.
pub(crate) struct Fields<'a> {
    entries: &'a [(Key, Node)],
    section: &'static Section,
    place: Place,
}

/// A scalar type.
pub(crate) trait Scalar: Sized {
    fn read(node: &Node) -> Result<Self, String>;
}

// === impl Mistakes ===

impl Mistakes {
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Notes that a value is not what is expected.
    pub(crate) fn value(&mut self, place: Place, message: impl Into<String>) {
        self.add(Diagnostic::new("invalid-value", message).at(place));
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Opens a mapping; names that do not exist are noted.
    pub(crate) fn open(node: &'a Node, section: &'static Section, mistakes: &mut Mistakes) -> Self {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                mistakes.value(node.place, format!("expected a mapping, found {}", node.kind()));
                &[]
            }
        };
        for (key, _) in entries {
            if section.find(&key.name).is_none() {
                let help = match meant(&key.name, section.names()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => {
                        let names: Vec<_> = section.names().map(|name| format!("`{name}`")).collect();
                        format!("possible here: {}", names.join(", "))
                    }
                };
                let message = format!("unknown field `{}`", key.name);
                mistakes.add(Diagnostic::new("unknown-field", message).at(key.place).help(help));
            }
        }
        Self { entries, section, place: node.place }
    }

    /// The value of a setting, if it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(self.section.find(name).is_some(), "`{name}` is not in the list of settings");
        let node = self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        node.filter(|node| !matches!(node.value, Value::Null))
    }

    /// The value of a setting that must be written.
    pub(crate) fn require(&self, name: &str, mistakes: &mut Mistakes) -> Option<&'a Node> {
        let node = self.get(name);
        let misspelt = |(key, _): &(Key, Node)| {
            self.section.find(&key.name).is_none() && meant(&key.name, self.section.names()) == Some(name)
        };
        if node.is_none() && !self.entries.iter().any(misspelt) {
            let meaning = self.section.find(name).map_or("", |setting| setting.meaning);
            let message = format!("the field `{name}` is missing");
            mistakes.add(Diagnostic::new("missing-field", message).at(self.place).help(meaning));
        }
        node
    }

    /// A scalar, or its default from the list of settings.
    pub(crate) fn scalar<T: Scalar>(&self, name: &str, mistakes: &mut Mistakes) -> Option<T> {
        match self.get(name) {
            Some(node) => scalar(node, mistakes),
            None => {
                let default = self.section.find(name).map_or("", |setting| setting.default);
                let node = Node { place: self.place, value: Value::Text(default.to_owned()) };
                if default.is_empty() { None } else { T::read(&node).ok() }
            }
        }
    }

    /// A scalar that must be written.
    pub(crate) fn required<T: Scalar>(&self, name: &str, mistakes: &mut Mistakes) -> Option<T> {
        let node = self.require(name, mistakes)?;
        scalar(node, mistakes)
    }

    /// A whole number within the bounds of its setting.
    pub(crate) fn number(&self, name: &str, mistakes: &mut Mistakes) -> Option<u64> {
        let number: u64 = self.scalar(name, mistakes)?;
        let Some(crate::settings::Form::Number { min, max }) =
            self.section.find(name).map(|setting| &setting.form)
        else {
            return Some(number);
        };
        if (*min..=*max).contains(&number) {
            return Some(number);
        }
        let place = self.get(name).map_or(self.place, |node| node.place);
        mistakes.value(place, format!("`{name}` is a number from {min} to {max}"));
        None
    }

    /// The mapping's own place.
    pub(crate) fn place(&self) -> Place {
        self.place
    }
}

/// Reads a scalar.
pub(crate) fn scalar<T: Scalar>(node: &Node, mistakes: &mut Mistakes) -> Option<T> {
    T::read(node).map_err(|message| mistakes.value(node.place, message)).ok()
}

/// Reads a list; a single value stands for a list of one where `single` says so.
pub(crate) fn list<'a>(node: &'a Node, single: bool, mistakes: &mut Mistakes) -> Vec<&'a Node> {
    match &node.value {
        Value::List(items) => items.iter().collect(),
        Value::Text(_) if single => vec![node],
        _ => {
            mistakes.value(node.place, format!("expected a list, found {}", node.kind()));
            Vec::new()
        }
    }
}

/// Reads a mapping with names of the user's choice.
pub(crate) fn names<'a>(node: &'a Node, mistakes: &mut Mistakes) -> &'a [(Key, Node)] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Null => &[],
        _ => {
            mistakes.value(node.place, format!("expected a mapping, found {}", node.kind()));
            &[]
        }
    }
}

fn text(node: &Node) -> Result<&str, String> {
    match &node.value {
        Value::Text(text) | Value::Number(text) => Ok(text),
        _ => Err(format!("expected a text, found {}", node.kind())),
    }
}

impl Scalar for String {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Text(text) if !text.is_empty() => Ok(text.clone()),
            Value::Text(_) => Err("expected a text that is not empty".to_owned()),
            _ => Err(format!("expected a text, found {}", node.kind())),
        }
    }
}

impl Scalar for bool {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Bool(value) => Ok(*value),
            Value::Text(text) => match text.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                "yes" | "on" | "Yes" | "YES" | "True" | "TRUE" => {
                    Err(format!("expected true or false, found `{text}`: write `true`"))
                }
                "no" | "off" | "No" | "NO" | "False" | "FALSE" => {
                    Err(format!("expected true or false, found `{text}`: write `false`"))
                }
                _ => Err("expected true or false, found a text".to_owned()),
            },
            _ => Err(format!("expected true or false, found {}", node.kind())),
        }
    }
}

impl Scalar for u64 {
    fn read(node: &Node) -> Result<Self, String> {
        text(node)?.parse().map_err(|_| "expected a whole number".to_owned())
    }
}

impl Scalar for Duration {
    fn read(node: &Node) -> Result<Self, String> {
        value::duration(text(node)?)
    }
}

impl Scalar for Rate {
    fn read(node: &Node) -> Result<Self, String> {
        value::rate(text(node)?)
    }
}

impl Scalar for SecretRef {
    fn read(node: &Node) -> Result<Self, String> {
        Self::parse(text(node)?)
    }
}

impl Scalar for HttpUrl {
    fn read(node: &Node) -> Result<Self, String> {
        Self::parse(text(node)?)
    }
}

impl Scalar for PathBuf {
    fn read(node: &Node) -> Result<Self, String> {
        String::read(node).map(PathBuf::from)
    }
}

impl Scalar for Mode {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            // YAML 1.1 readers would take a bare `off` for false; here it is a word.
            Value::Bool(false) => {
                Err("expected `off`, `observe` or `enforce`, found false: write `off`".to_owned())
            }
            _ => text(node)?.parse().map_err(|error: haechi_guard::ParseModeError| error.to_string()),
        }
    }
}

impl Scalar for SocketAddr {
    fn read(node: &Node) -> Result<Self, String> {
        let shape = || "expected an address and a port such as `0.0.0.0:8443` or `[::]:8443`".to_owned();
        text(node)?.parse().map_err(|_| shape())
    }
}

impl Scalar for IpNet {
    fn read(node: &Node) -> Result<Self, String> {
        let text = text(node)?;
        let address = text.parse::<std::net::IpAddr>().map(Self::from);
        text.parse().or(address).map_err(|_| "expected a network such as `10.0.0.0/8`".to_owned())
    }
}

/// A size in bytes.
pub(crate) struct Size(pub(crate) u64);

impl Scalar for Size {
    fn read(node: &Node) -> Result<Self, String> {
        value::size(text(node)?).map(Self)
    }
}

/// A share of 0 to 1.
pub(crate) struct Share(pub(crate) f64);

impl Scalar for Share {
    fn read(node: &Node) -> Result<Self, String> {
        value::percent(text(node)?).map(Self)
    }
}

/// One of a few words.
pub(crate) fn word<T: Copy>(node: &Node, words: &[(&str, T)], mistakes: &mut Mistakes) -> Option<T> {
    let found = text(node).ok().and_then(|text| words.iter().find(|(word, _)| *word == text));
    if found.is_none() {
        let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let typed = text(node).unwrap_or_default();
        let help =
            meant(typed, words.iter().map(|(word, _)| *word)).map(|word| format!("did you mean `{word}`?"));
        let message = format!("expected {}", or(&list));
        mistakes.add(Diagnostic::new("invalid-value", message).at(node.place).help_if(help));
    }
    found.map(|(_, value)| *value)
}

fn or(list: &[String]) -> String {
    match list {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}
