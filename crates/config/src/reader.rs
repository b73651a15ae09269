//! Reading typed values from the tree: every mistake is noted with its place, and reading goes on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use haechi_guard::Mode;
use ipnet::IpNet;

use crate::diagnostic::{Diagnostic, Diagnostics, MOST, meant};
use crate::secret::SecretRef;
use crate::settings::{Form, Section, Setting};
use crate::tree::{Key, Node, Place, Value};
use crate::value::{self, HttpUrl, Rate};

/// Longest name of an API, an identity or a plan, in characters. Names are labels of metrics and columns of tables.
const NAME: usize = 100;

/// Mistakes found so far: the first [`MOST`] and how many more there are.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    list: Vec<Diagnostic>,
    more: usize,
    hidden: Vec<Place>,
}

/// A mapping with fixed names, being read.
pub(crate) struct Fields<'a> {
    entries: &'a [(Key, Node)],
    section: &'static Section,
    place: Place,
}

/// A scalar type.
pub(crate) trait Scalar: Sized {
    fn read(node: &Node) -> Result<Self, String>;

    /// Whether what is not such a value may be a secret, so that it is not shown.
    fn may_be_secret(_: &Node) -> bool {
        false
    }
}

// === impl Mistakes ===

impl Mistakes {
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.list.push(diagnostic);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether further ones are only counted.
    fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// Notes that what stands here may be a secret.
    pub(crate) fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// All of them, in the order of the file.
    pub(crate) fn into_diagnostics(mut self, text: Arc<str>, file: &Path) -> Diagnostics {
        if self.more > 0 {
            let message = format!("the file has {} more mistakes", self.more);
            self.list.push(Diagnostic::new("more", message));
        }
        Diagnostics::new(self.list, text, file).hiding(self.hidden)
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
        for (key, node) in entries {
            match section.find(&key.name) {
                // A section whose fields are all left out is one with its defaults. Anything else without a value is
                // unfinished, and taking it for unwritten would drop what was meant: a plan, for instance.
                Some(setting) if matches!(node.value, Value::Null) && !setting.form.is_mapping() => {
                    let message = format!("the field `{}` has no value", key.name);
                    let help = "write one, or remove the field";
                    mistakes.add(Diagnostic::new("missing-value", message).at(key.place).help(help));
                }
                Some(_) => {}
                None => unknown(key, node, section, mistakes),
            }
        }
        Self { entries, section, place: node.place }
    }

    /// The value of a setting, if it is written.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        debug_assert!(self.section.find(name).is_some(), "`{name}` is not in the list of settings");
        let setting = self.section.find(name)?;
        let node = self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node);
        node.filter(|node| setting.form.is_mapping() || !matches!(node.value, Value::Null))
    }

    /// Whether the name is written, be it without a value or, as far as can be told, misspelt. That is reported already.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| {
            key.name == name
                || self.section.find(&key.name).is_none()
                    && meant(&key.name, self.section.names()) == Some(name)
        })
    }

    /// The value of a setting that must be written.
    pub(crate) fn require(&self, name: &str, mistakes: &mut Mistakes) -> Option<&'a Node> {
        let node = self.get(name);
        if node.is_none() && (mistakes.is_full() || !self.has(name)) {
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
                let value = match default.parse::<u64>() {
                    Ok(_) => Value::Number(default.to_owned()),
                    Err(_) if ["true", "false"].contains(&default) => Value::Bool(default == "true"),
                    Err(_) => Value::Text(default.to_owned()),
                };
                if default.is_empty() { None } else { T::read(&Node { place: self.place, value }).ok() }
            }
        }
    }

    /// A scalar that must be written.
    pub(crate) fn required<T: Scalar>(&self, name: &str, mistakes: &mut Mistakes) -> Option<T> {
        let node = self.require(name, mistakes)?;
        scalar(node, mistakes)
    }

    /// A time that is not zero, or its default.
    pub(crate) fn time(&self, name: &str, mistakes: &mut Mistakes) -> Option<Duration> {
        let time: Duration = self.scalar(name, mistakes)?;
        if time.is_zero() {
            mistakes.value(self.place_of(name), "a time of zero would end everything at once");
            return None;
        }
        Some(time)
    }

    /// A size within these bounds, or its default.
    pub(crate) fn size(&self, name: &str, min: u64, max: u64, mistakes: &mut Mistakes) -> Option<u64> {
        let size = self.scalar::<Size>(name, mistakes)?.0;
        if (min..=max).contains(&size) {
            return Some(size);
        }
        let (least, bound) = if size < min { ("least", min) } else { ("most", max) };
        mistakes.value(self.place_of(name), format!("`{name}` is at {least} {}", value::show_size(bound)));
        None
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
        mistakes.value(self.place_of(name), format!("`{name}` is a number from {min} to {max}"));
        None
    }

    /// Where a setting's value stands, or else the mapping.
    pub(crate) fn place_of(&self, name: &str) -> Place {
        self.get(name).map_or(self.place, |node| node.place)
    }

    /// The mapping's own place.
    pub(crate) fn place(&self) -> Place {
        self.place
    }
}

/// Notes a name that does not exist.
fn unknown(key: &Key, node: &Node, section: &'static Section, mistakes: &mut Mistakes) {
    if mistakes.is_full() {
        mistakes.more += 1;
        return;
    }
    let meant = meant(&key.name, section.names());
    let secret = |name| matches!(section.find(name), Some(Setting { form: Form::Secret, .. }));
    if meant.is_some_and(secret) && SecretRef::read(node).is_err() {
        mistakes.hide(node.place);
    }
    let help = match meant {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let names: Vec<_> = section.names().map(|name| format!("`{name}`")).collect();
            format!("possible here: {}", names.join(", "))
        }
    };
    let message = format!("unknown field `{}`", shortened(&key.name));
    mistakes.add(Diagnostic::new("unknown-field", message).at(key.place).help(help));
}

/// A user's word as it is repeated in a message.
pub(crate) fn shortened(word: &str) -> String {
    match word.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or_default()),
        None => word.to_owned(),
    }
}

/// Reads a scalar.
pub(crate) fn scalar<T: Scalar>(node: &Node, mistakes: &mut Mistakes) -> Option<T> {
    match T::read(node) {
        Ok(value) => Some(value),
        Err(message) => {
            if T::may_be_secret(node) {
                mistakes.hide(node.place);
            }
            mistakes.value(node.place, message);
            None
        }
    }
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

/// Reads a mapping with keys of the user's choice.
pub(crate) fn entries<'a>(node: &'a Node, mistakes: &mut Mistakes) -> &'a [(Key, Node)] {
    match &node.value {
        Value::Map(entries) => entries,
        Value::Null => &[],
        _ => {
            mistakes.value(node.place, format!("expected a mapping, found {}", node.kind()));
            &[]
        }
    }
}

/// Reads a mapping with names of the user's choice. They stand in metrics, events and commands, so they are plain.
pub(crate) fn names<'a>(node: &'a Node, reserved: &[&str], mistakes: &mut Mistakes) -> &'a [(Key, Node)] {
    let entries = entries(node, mistakes);
    for (key, _) in entries {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if key.name.is_empty() || key.name.chars().count() > NAME || !key.name.chars().all(plain) {
            let message = format!("a name is 1 to {NAME} letters, digits, `-`, `_` and `.`");
            mistakes.add(Diagnostic::new("invalid-name", message).at(key.place));
        } else if reserved.contains(&key.name.as_str()) {
            let message = format!("`{}` has a meaning of its own here: choose another name", key.name);
            mistakes.add(Diagnostic::new("invalid-name", message).at(key.place));
        }
    }
    entries
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
            Value::Text(text) => {
                let meant = match text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" => "true",
                    "false" | "no" | "off" => "false",
                    _ => return Err("expected true or false, found a text".to_owned()),
                };
                let quotes = if meant == text { " without quotes" } else { "" };
                Err(format!("expected true or false, found `{text}`: write `{meant}`{quotes}"))
            }
            _ => Err(format!("expected true or false, found {}", node.kind())),
        }
    }
}

impl Scalar for u64 {
    fn read(node: &Node) -> Result<Self, String> {
        match &node.value {
            Value::Number(text) => text.parse().map_err(|_| "expected a whole number".to_owned()),
            Value::Text(text) if text.parse::<u64>().is_ok_and(|number| number.to_string() == *text) => {
                Err(format!("expected a whole number: write {text}, without quotes"))
            }
            _ => Err(format!("expected a whole number, found {}", node.kind())),
        }
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

    fn may_be_secret(_: &Node) -> bool {
        true
    }
}

impl Scalar for HttpUrl {
    fn read(node: &Node) -> Result<Self, String> {
        Self::parse(text(node)?)
    }

    fn may_be_secret(node: &Node) -> bool {
        text(node).is_ok_and(|text| text.contains('@'))
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
