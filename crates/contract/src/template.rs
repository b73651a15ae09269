//! Path templates: `/pets/{id}`, `/files/{name}.json`, `/jobs/{id}:cancel`, `/{from}...{to}`.

use std::fmt::Write as _;

use crate::pointer::percent_decode;

/// A parsed path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Text, in the canonical form of paths.
    Static(String),
    /// Text and parameters in turn: `prefix`, then parameters each with the text after it.
    Pattern { prefix: String, parameters: Vec<(String, String)> },
}

impl Template {
    /// Parses a template, which starts with a slash.
    pub(crate) fn parse(template: &str) -> Result<Self, String> {
        let Some(rest) = template.strip_prefix('/') else {
            return Err("a path must start with `/`".to_owned());
        };
        if template.contains(['?', '#']) {
            return Err("a path holds neither `?` nor `#`; query parameters are declared".to_owned());
        }
        let segments = rest.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let parsed = Self { segments };
        let mut names: Vec<&str> = parsed.names().collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(format!("the parameter `{name}` stands twice in the path"));
        }
        Ok(parsed)
    }

    /// The names of the parameters, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flat_map(|segment| match segment {
                Segment::Static(_) => [].iter(),
                Segment::Pattern { parameters, .. } => parameters.iter(),
            })
            .map(|(name, _)| name.as_str())
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = text.split('{');
        let first = pieces.next().unwrap_or_default();
        if first.contains('}') {
            return Err("a `}` without its `{`".to_owned());
        }
        let prefix = canonical(first);
        let mut parameters: Vec<(String, String)> = Vec::new();
        for piece in pieces {
            let (name, after) = piece.split_once('}').ok_or("a `{` without its `}`")?;
            if name.is_empty() || after.contains('}') {
                return Err("a parameter of the path has no name, or a `}` without its `{`".to_owned());
            }
            if parameters.last().is_some_and(|(_, between)| between.is_empty()) {
                return Err(
                    "two parameters of the path stand side by side: nothing tells where one ends".to_owned()
                );
            }
            parameters.push((name.to_owned(), canonical(after)));
        }
        Ok(if parameters.is_empty() { Self::Static(prefix) } else { Self::Pattern { prefix, parameters } })
    }
}

/// The parts of `text` that the parameters of a pattern cover, if it matches. No part is empty;
/// each parameter but the last is as short as can be.
pub(crate) fn captures<'t>(
    prefix: &str,
    parameters: &[(String, String)],
    text: &'t str,
    out: &mut Vec<&'t str>,
) -> bool {
    let start = out.len();
    let mut matched = || {
        let mut rest = text.strip_prefix(prefix)?;
        let (last, earlier) = parameters.split_last()?;
        for (_, after) in earlier {
            // From the second byte on: a parameter is never empty.
            let skip = rest.chars().next()?.len_utf8();
            let at = rest.get(skip..)?.find(after.as_str())? + skip;
            out.push(rest.get(..at)?);
            rest = rest.get(at + after.len()..)?;
        }
        let value = rest.strip_suffix(last.1.as_str())?;
        out.push(value);
        (!value.is_empty()).then_some(())
    };
    let matches = matched().is_some();
    if !matches {
        out.truncate(start);
    }
    matches
}

/// Template text in the canonical form of request paths: what may stand bare stands bare, all
/// else is escaped with upper-case digits; an escape of a reserved character stays one.
fn canonical(text: &str) -> String {
    let mut canonical = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let escape = rest.get(..3).filter(|escape| escape.starts_with('%'));
        if let Some(decoded) = escape.and_then(percent_decode) {
            match decoded.bytes().next() {
                Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                    canonical.push(char::from(byte));
                }
                _ => canonical.push_str(&escape.unwrap_or_default().to_ascii_uppercase()),
            }
            rest = rest.get(3..).unwrap_or_default();
            continue;
        }
        let bare = character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@%".contains(character);
        if bare {
            canonical.push(character);
        } else {
            for byte in character.to_string().bytes() {
                let _ = write!(canonical, "%{byte:02X}");
            }
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched<'t>(segment: &str, text: &'t str) -> Option<Vec<&'t str>> {
        let mut out = Vec::new();
        let Segment::Pattern { prefix, parameters } = Segment::parse(segment).unwrap() else { return None };
        captures(&prefix, &parameters, text, &mut out).then_some(out)
    }

    #[test]
    fn a_segment_matches_text_around_parameters() {
        assert_eq!(matched("{id}", "7"), Some(vec!["7"]));
        assert_eq!(matched("{id}", ""), None);
        assert_eq!(matched("{id}.json", "a.json"), Some(vec!["a"]));
        assert_eq!(matched("{id}.json", ".json"), None);
        assert_eq!(matched("{id}:cancel", "a:b:cancel"), Some(vec!["a:b"]));
        assert_eq!(matched("v{major}.{minor}", "v1.2.3"), Some(vec!["1", "2.3"]));
        assert_eq!(matched("{a}-{b}", "--x"), Some(vec!["-", "x"]));
        assert_eq!(matched("{a}-{b}", "x-"), None);
    }

    #[test]
    fn template_text_is_canonical() {
        assert_eq!(canonical("caf\u{e9} %7euser%2f:x"), "caf%C3%A9%20~user%2F:x");
    }

    #[test]
    fn malformed_templates_are_refused() {
        for template in ["pets", "/{", "/}", "/{}", "/{a}{b}", "/{a}/{a}", "/a?b={c}", "/{a}}"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
    }
}
