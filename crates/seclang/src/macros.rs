//! Text with variables in it: `found within %{MATCHED_VAR_NAME}`.

use crate::names::{ABSENT, Collection};

/// Text with variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Macro {
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Vec<u8>),
    /// The first value of a collection, or of a name in it (in lower case).
    Variable(Collection, Option<Vec<u8>>),
}

impl Macro {
    /// The error is a message about the variable that does not exist.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(start) = memchr::memmem::find(rest, b"%{") {
            let (before, after) = rest.split_at(start);
            let Some(end) = memchr::memchr(b'}', after) else { break };
            let (inside, tail) = after.split_at(end);
            literal.extend_from_slice(before);
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(variable(inside.get(2..).unwrap_or_default())?);
            rest = tail.get(1..).unwrap_or_default();
        }
        literal.extend_from_slice(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// What it says when no variable is in it.
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(b""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before the first variable.
    pub(crate) fn prefix(&self) -> &[u8] {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => b"",
        }
    }

    /// As it was written.
    pub(crate) fn source(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Variable(collection, key) => {
                    out.extend_from_slice(b"%{");
                    out.extend_from_slice(collection.name().as_bytes());
                    if let Some(key) = key {
                        out.push(b'.');
                        out.extend_from_slice(key);
                    }
                    out.push(b'}');
                }
            }
        }
        out
    }
}

fn variable(inside: &[u8]) -> Result<Part, String> {
    let (name, key) = match inside.iter().position(|byte| matches!(byte, b'.' | b':')) {
        Some(dot) => (inside.get(..dot).unwrap_or_default(), inside.get(dot + 1..)),
        None => (inside, None),
    };
    let name = String::from_utf8_lossy(name);
    let Some(collection) = Collection::parse(&name) else {
        let why = ABSENT.iter().find(|(absent, _)| absent.eq_ignore_ascii_case(&name));
        return Err(match why {
            Some((_, why)) => format!("`%{{{name}}}` has no value here: {why}"),
            None => format!("`%{{{}}}` names no variable", String::from_utf8_lossy(inside)),
        });
    };
    match (key, collection.is_map()) {
        (Some(_), false) => Err(format!("`{}` is one value: it has no names", collection.name())),
        (key, _) => Ok(Part::Variable(collection, key.map(<[u8]>::to_ascii_lowercase))),
    }
}
