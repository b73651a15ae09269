//! Media types (RFC 9110 section 8.3.1) as contracts name and requests carry them.

/// A media type or range of a contract's `content` map, or of a `Content-Type` field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaType {
    kind: String,
    subtype: String,
    charset: Option<String>,
}

/// How a body of a media type is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json` or a `+json` type.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Anything else: only the type itself is checked.
    Opaque,
}

impl MediaType {
    /// Parses `type/subtype; parameters`. `None` when it is not of that form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let token = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        };
        if !token(kind) || !token(subtype) {
            return None;
        }
        let mut charset = None;
        for parameter in parts {
            if parameter.trim().is_empty() {
                continue;
            }
            let (name, value) = parameter.split_once('=')?;
            if name.trim().eq_ignore_ascii_case("charset") {
                if charset.is_some() {
                    return None;
                }
                charset = Some(value.trim().trim_matches('"').to_ascii_lowercase());
            }
        }
        Some(Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), charset })
    }

    /// How well this range covers `actual`: exact 3, `type/*+suffix` or `type/*` 2, `*/*` 1.
    pub(crate) fn covers(&self, actual: &Self) -> Option<u8> {
        if self.kind == "*" && self.subtype == "*" {
            return Some(1);
        }
        if self.kind != actual.kind {
            return None;
        }
        if self.subtype == actual.subtype {
            return Some(3);
        }
        match self.subtype.strip_prefix('*') {
            Some("") => Some(2),
            Some(suffix) if suffix.starts_with('+') && actual.subtype.ends_with(suffix) => Some(2),
            _ => None,
        }
    }

    pub(crate) fn format(&self) -> Format {
        if self.subtype == "json" || self.subtype.ends_with("+json") {
            Format::Json
        } else if self.kind == "application" && self.subtype == "x-www-form-urlencoded" {
            Format::Form
        } else {
            Format::Opaque
        }
    }

    /// Whether this is a range that covers forms.
    pub(crate) fn covers_form(&self) -> bool {
        Self::parse("application/x-www-form-urlencoded").is_some_and(|form| self.covers(&form).is_some())
    }

    /// Whether the text is declared to be something other than UTF-8: what we read and what an
    /// upstream that honours the parameter reads would differ.
    pub(crate) fn is_foreign_text(&self) -> bool {
        self.charset.as_deref().is_some_and(|charset| !matches!(charset, "utf-8" | "utf8" | "us-ascii"))
    }
}

/// The name and value pairs of an `application/x-www-form-urlencoded` body (WHATWG URL), or the
/// byte offset of what cannot be decoded to UTF-8 text.
pub(crate) fn form_pairs(body: &[u8]) -> Result<Vec<(String, String)>, usize> {
    let mut pairs = Vec::new();
    let mut offset = 0;
    for pair in body.split(|byte| *byte == b'&') {
        if !pair.is_empty() {
            let (name, value) = match memchr::memchr(b'=', pair) {
                Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default()),
                None => (pair, &b""[..]),
            };
            match (form_text(name), form_text(value)) {
                (Some(name), Some(value)) => pairs.push((name, value)),
                _ => return Err(offset),
            }
        }
        offset += pair.len() + 1;
    }
    Ok(pairs)
}

fn form_text(bytes: &[u8]) -> Option<String> {
    let spaced = std::str::from_utf8(bytes).ok()?.replace('+', " ");
    crate::pointer::percent_decode(&spaced).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(text: &str) -> MediaType {
        MediaType::parse(text).unwrap()
    }

    #[test]
    fn ranges_cover_by_specificity() {
        let actual = media("Application/Vnd.API+JSON; charset=\"UTF-8\"");
        assert_eq!(media("application/vnd.api+json").covers(&actual), Some(3));
        assert_eq!(media("application/*").covers(&actual), Some(2));
        assert_eq!(media("application/*+json").covers(&actual), Some(2));
        assert_eq!(media("*/*").covers(&actual), Some(1));
        assert_eq!(media("application/json").covers(&actual), None);
        assert_eq!(media("text/*").covers(&actual), None);
        assert_eq!(actual.format(), Format::Json);
        assert!(!actual.is_foreign_text());
        assert!(media("application/json;charset=utf-7").is_foreign_text());
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for text in ["", "json", "a/", "/b", "a/b c", "a/b; charset", "a/b; charset=x; charset=y"] {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn form_pairs_decode_or_say_where_not() {
        let pairs = form_pairs(b"a=1+2&&b=%26&c").unwrap();
        assert_eq!(
            pairs,
            [("a".into(), "1 2".into()), ("b".into(), "&".into()), ("c".into(), String::new())]
        );
        assert_eq!(form_pairs(b"a=1&b=%zz"), Err(4));
        assert_eq!(form_pairs(b"a=%ff"), Err(0));
    }
}
