//! Texts with placeholders, as in `https://{host}{path}`. What may stand there is a type of its own for each place, so that no text
//! asks for what is not known where it is written out.

use std::fmt;

use crate::diagnostic::meant;

/// Most placeholders of one text: each is looked up for each call.
const PLACEHOLDERS: usize = 32;

/// A text with placeholders of these kinds. Braces that mean themselves are written twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<P> {
    /// As it was written.
    text: String,
    parts: Vec<Part<P>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part<P> {
    Text(String),
    Value(P),
}

/// Why a text is no template: a message, and what helps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    pub(crate) message: String,
    pub(crate) help: String,
}

// === impl Template ===

impl<P> Template<P> {
    /// Reads a text. `known` are the names that may stand between braces, for messages; `read` tells what they stand for.
    pub(crate) fn parse<'n>(
        text: &str,
        known: impl Iterator<Item = &'n str> + Clone,
        read: impl Fn(&str) -> Option<P>,
    ) -> Result<Self, TemplateError> {
        let wrong = |message: &str, help: &str| TemplateError { message: message.into(), help: help.into() };
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.extend(from.chars().next());
                rest = after;
                continue;
            }
            let Some(inside) = from.strip_prefix('{') else {
                return Err(wrong("`}` closes nothing", "a brace that means itself is written `}}`"));
            };
            let Some((name, after)) = inside.split_once('}') else {
                return Err(wrong("`{` is not closed", "a brace that means itself is written `{{`"));
            };
            let Some(value) = read(name) else {
                return Err(unknown(name, known));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Value(value));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        let template = Self { text: text.to_owned(), parts };
        if template.values().count() > PLACEHOLDERS {
            let message = format!("expected at most {PLACEHOLDERS} placeholders");
            return Err(wrong(&message, "each is looked up for each call"));
        }
        Ok(template)
    }

    /// What its placeholders stand for, in order.
    pub fn values(&self) -> impl Iterator<Item = &P> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(value) => Some(value),
            Part::Text(_) => None,
        })
    }

    /// Writes it out.
    pub fn render<V: AsRef<str>>(&self, value: impl Fn(&P) -> V) -> String {
        let mut out = String::with_capacity(self.text.len().saturating_add(64));
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(place) => out.push_str(value(place).as_ref()),
            }
        }
        out
    }
}

impl<P> fmt::Display for Template<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn unknown<'n>(name: &str, known: impl Iterator<Item = &'n str> + Clone) -> TemplateError {
    let message = format!("no placeholder is named `{{{}}}`", crate::reader::shortened(name));
    let help = match meant(name, known.clone()) {
        Some(meant) => format!("did you mean `{{{meant}}}`?"),
        None => {
            let names: Vec<_> = known.map(|name| format!("`{{{name}}}`")).collect();
            format!("possible here: {}; a brace that means itself is written `{{{{`", names.join(", "))
        }
    };
    TemplateError { message, help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template<char>, TemplateError> {
        Template::parse(text, ["host", "path"].into_iter(), |name| match name {
            "host" => Some('h'),
            "path" => Some('p'),
            _ => None,
        })
    }

    #[test]
    fn placeholders_stand_for_values_and_double_braces_for_themselves() {
        for (text, written) in [
            ("", ""),
            ("plain", "plain"),
            ("https://{host}{path}", "https://<h><p>"),
            ("{{{host}}}", "{<h>}"),
            ("{{\"a\":1}}", "{\"a\":1}"),
            ("é{path}é", "é<p>é"),
        ] {
            let template = parse(text).expect("a template");
            assert_eq!(template.render(|place| format!("<{place}>")), written, "{text}");
            assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_template_is_told_with_what_there_is() {
        for (text, message, help) in [
            ("{hots}", "no placeholder is named `{hots}`", "did you mean `{host}`?"),
            ("{}", "no placeholder is named `{}`", "possible here: `{host}`, `{path}`"),
            ("{zebra}", "no placeholder is named `{zebra}`", "possible here: `{host}`, `{path}`"),
            ("a{host", "`{` is not closed", "written `{{`"),
            ("a}b", "`}` closes nothing", "written `}}`"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.message.contains(message) && error.help.contains(help), "{text}: {error:?}");
        }
    }

    #[test]
    fn placeholders_are_bounded() {
        assert!(parse(&"{host}".repeat(PLACEHOLDERS)).is_ok());
        assert!(parse(&"{host}".repeat(PLACEHOLDERS + 1)).is_err());
    }
}
