//! The list of settings, for editors (JSON Schema) and for people (the manual).

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::settings::{self, Form, Section};

/// A JSON Schema (2020-12) of `haechi.yaml`.
pub fn json_schema() -> Value {
    let mut schema = section(&settings::ROOT);
    if let Value::Object(object) = &mut schema {
        object.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        object.insert("title".to_owned(), "haechi.yaml".into());
    }
    schema
}

/// The manual's reference: a table for each section.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
One file, `haechi.yaml`, says how your APIs are guarded. Unknown fields, duplicate keys, anchors and `yes`/`no` are refused; every\n\
mistake is reported with its line and column. This page is written from the list of settings that the gateway reads by.\n\n\
Durations are written `800ms`, `2s`, `5m`, `1h`, `7d`; sizes `512B`, `4KiB`, `1MiB`; rates `20/s`, `600/min`, `50k/day`. A secret is never\n\
written here but referred to: `file:PATH`, `env:NAME`, or `secret:NAME` (a file in `secrets.dir`).\n",
    );
    table(&mut out, "haechi.yaml", &settings::ROOT);
    out
}

fn table(out: &mut String, title: &str, section: &'static Section) {
    let _ = write!(out, "\n## {title}\n\n| setting | form | default | meaning |\n|---|---|---|---|\n");
    for setting in section.settings {
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        let _ = writeln!(
            out,
            "| `{}` | {} | {default} | {} |",
            setting.name,
            shown(&setting.form),
            setting.meaning
        );
    }
    for setting in section.settings {
        if let Some(inner) = inner(&setting.form) {
            // Sections that several places share are shown once.
            let heading = match (title, setting.name) {
                ("haechi.yaml", name) => name.to_owned(),
                (title, name) => format!("{title}.{name}"),
            };
            let shared = [
                "apis.operations.validate",
                "apis.operations.modes",
                "apis.modes",
                "services.modes",
                "services.upstream",
                "services.rewrite",
                "apis.rewrite.response_headers",
                "apis.operations.rewrite",
            ];
            if !shared.contains(&heading.as_str()) {
                table(out, &heading, inner);
            }
        }
    }
}

fn inner(form: &'static Form) -> Option<&'static Section> {
    match form {
        Form::Section(section) => Some(section),
        Form::List(form) | Form::Names(form) => inner(form),
        _ => None,
    }
}

fn shown(form: &Form) -> String {
    match form {
        Form::Text => "text".to_owned(),
        Form::Bool => "`true` or `false`".to_owned(),
        Form::Number { min, max } if min == max => format!("{min}"),
        Form::Number { min, max } => format!("{min} to {max}"),
        Form::Duration => "duration".to_owned(),
        Form::Size => "size".to_owned(),
        Form::Rate => "rate".to_owned(),
        Form::Percent => "percentage".to_owned(),
        Form::Secret => "reference to a secret".to_owned(),
        Form::Url => "URL".to_owned(),
        Form::SocketAddress => "address and port".to_owned(),
        Form::Network => "network".to_owned(),
        Form::Path => "path".to_owned(),
        Form::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Form::List(form) => format!("list of {}", shown(form)),
        Form::Names(form) => format!("name → {}", shown(form)),
        Form::Section(_) => "section".to_owned(),
        Form::Either(forms) => forms.iter().map(shown).collect::<Vec<_>>().join("; or "),
    }
}

/// The schema of one mapping.
pub(crate) fn section(section: &Section) -> Value {
    let properties: Map<String, Value> = section
        .settings
        .iter()
        .map(|setting| {
            let mut schema = or_nothing(&setting.form);
            if let Value::Object(object) = &mut schema {
                object.insert("description".to_owned(), setting.meaning.into());
                if !setting.default.is_empty() {
                    object.insert("default".to_owned(), default(&setting.form, setting.default));
                }
            }
            (setting.name.to_owned(), schema)
        })
        .collect();
    let required: Vec<_> = section
        .settings
        .iter()
        .filter(|setting| setting.meaning.contains("Required"))
        .map(|setting| setting.name)
        .collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "required": required,
    })
}

/// The form, or nothing where that stands for a mapping whose defaults all hold.
fn or_nothing(shape: &Form) -> Value {
    let mut schema = form(shape);
    let required = schema.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty());
    if shape.is_mapping()
        && !required
        && let Value::Object(object) = &mut schema
    {
        object.insert("type".to_owned(), json!(["object", "null"]));
    }
    schema
}

/// A default as JSON, from how it is written in YAML.
fn default(shape: &Form, written: &str) -> Value {
    match shape {
        Form::Number { .. } | Form::Bool => serde_json::from_str(written).unwrap_or_default(),
        Form::List(item) => {
            let items = written.trim_matches(['[', ']']).split(", ").filter(|item| !item.is_empty());
            items.map(|written| default(item, written)).collect()
        }
        _ => written.into(),
    }
}

fn form(shape: &Form) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    match shape {
        Form::Text | Form::Path | Form::SocketAddress | Form::Network => {
            json!({ "type": "string", "minLength": 1 })
        }
        Form::Bool => json!({ "type": "boolean" }),
        Form::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Form::Duration => pattern("^[0-9]+ ?(ms|s|m|min|h|d)$"),
        Form::Size => pattern("^[0-9]+ ?(B|KiB|MiB|GiB|KB|kB|MB|GB)$"),
        Form::Rate => pattern("^[0-9]+ ?[kM]?/(s|sec|second|m|min|minute|h|hour|d|day)$"),
        Form::Percent => pattern("^[0-9.]+%$"),
        Form::Secret => pattern("^(file:.+|(env|secret):[A-Za-z0-9_-][A-Za-z0-9_.-]*)$"),
        Form::Url => pattern("^https?://"),
        Form::Word(words) => {
            // `1.2` without quotes is a number to YAML.
            let numbers = words.iter().filter_map(|word| word.parse::<f64>().ok().map(Value::from));
            json!({ "enum": words.iter().map(|word| Value::from(*word)).chain(numbers).collect::<Vec<_>>() })
        }
        Form::List(item @ Form::Section(_)) => json!({ "type": "array", "items": form(item) }),
        // A single value stands for a list of one.
        Form::List(item) => json!({ "anyOf": [form(item), { "type": "array", "items": form(item) }] }),
        Form::Names(value) => json!({ "type": "object", "additionalProperties": or_nothing(value) }),
        Form::Section(inner) => section(inner),
        Form::Either(forms) => json!({ "anyOf": forms.iter().map(form).collect::<Vec<_>>() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_is_what_the_settings_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/manual/configuration.md");
        if std::env::var_os("HAECHI_WRITE_DOCS").is_some() {
            std::fs::write(path, markdown()).expect("written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == markdown(),
            "docs/manual/configuration.md is out of date: test with HAECHI_WRITE_DOCS=1"
        );
    }

    #[test]
    fn the_schema_tells_good_from_bad() {
        let validator = jsonschema::validator_for(&json_schema()).expect("a schema");
        let good = json!({
            "haechi": 1,
            "listen": [{ "address": "127.0.0.1:1", "tls": { "cert": "file:a", "key": "secret:b" } }],
            "apis": { "a": { "openapi": "a.yaml", "upstream": { "urls": ["http://a"], "timeout": "2s" }, "auth": "none" } },
        });
        assert!(validator.is_valid(&good));
        for (pointer, value) in [
            ("/haechi", json!(2)),
            ("/listen", json!("127.0.0.1:1")),
            ("/listen/0/tls/key", json!("hunter2")),
            ("/apis/a/auth", json!(false)),
            ("/apis/a/upstream/timeout", json!(2)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).expect("there") = value;
            assert!(!validator.is_valid(&bad), "{pointer}");
        }
        let mut unknown = good;
        unknown["apis"]["a"]["colour"] = json!("red");
        assert!(!validator.is_valid(&unknown));
    }
}
