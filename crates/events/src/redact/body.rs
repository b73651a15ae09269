//! What of a JSON body may be written down: all but secrets, in whose place stand values of the same type.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{HIDDEN, is_sensitive, looks_secret};

/// The body without its secrets, and JSON pointers (RFC 6901) to what stands for them: `…`, `0`, `false`, `{}` or `[]`.
///
/// Nothing if it is no JSON, names a member twice (whoever reads it might take either), or has a secret for a member's name.
pub(crate) fn redact_body(body: &[u8]) -> Option<(Value, Vec<String>)> {
    let Unambiguous(mut value) = serde_json::from_slice(body).ok()?;
    let mut hidden = Vec::new();
    redact(&mut value, &mut String::new(), &mut hidden)?;
    Some((value, hidden))
}

/// No deeper than the JSON reader goes, which is 128.
fn redact(value: &mut Value, at: &mut String, hidden: &mut Vec<String>) -> Option<()> {
    let length = at.len();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if looks_secret(name) {
                    return None;
                }
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                if is_sensitive(name) {
                    hide(member, at, hidden);
                } else {
                    redact(member, at, hidden)?;
                }
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                at.push_str(&format!("/{index}"));
                redact(item, at, hidden)?;
                at.truncate(length);
            }
        }
        Value::String(text) if looks_secret(text) => hide(value, at, hidden),
        Value::Number(number) if looks_secret(&number.to_string()) => hide(value, at, hidden),
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
    Some(())
}

fn hide(value: &mut Value, at: &str, hidden: &mut Vec<String>) {
    *value = match value {
        // That there is none is no secret.
        Value::Null => return,
        Value::Bool(_) => Value::Bool(false),
        Value::Number(_) => Value::Number(Number::from(0)),
        Value::String(_) => Value::String(HIDDEN.to_owned()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Object(_) => Value::Object(Map::new()),
    };
    hidden.push(at.to_owned());
}

/// JSON that names no member twice.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON that names no member twice")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(member))) = members.next_entry::<String, _>()? {
            if object.insert(name, member).is_some() {
                return Err(de::Error::custom("a member is named twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(value: &Value) -> (Value, Vec<String>) {
        redact_body(value.to_string().as_bytes()).expect("kept")
    }

    #[test]
    fn secrets_give_way_to_values_of_their_type() {
        let (value, hidden) = redacted(&json!({
            "pizza": "Margherita", "size": 30, "password": "s3cret", "pin": 1234, "a/b": { "apiKey": true, "token": null },
            "card": { "number": "1", "holder": "x" }, "tokens": ["s3cret"], "list": [1, "hch_live_abc", { "q": "Bearer s3cret" }],
            "paid_with": 4_111_111_111_111_111_u64, "note": "call me at https://x.example/?access_token=s3cret",
        }));
        assert_eq!(
            value,
            json!({
                "pizza": "Margherita", "size": 30, "password": "…", "pin": 0, "a/b": { "apiKey": false, "token": null },
                "card": {}, "tokens": [], "list": [1, "…", { "q": "…" }], "paid_with": 0, "note": "…",
            })
        );
        assert_eq!(
            hidden,
            [
                "/password",
                "/pin",
                "/a~1b/apiKey",
                "/card",
                "/tokens",
                "/list/1",
                "/list/2/q",
                "/paid_with",
                "/note"
            ]
        );
    }

    #[test]
    fn a_secret_within_a_text_hides_the_text() {
        for text in [
            "see eyJhbGciOiJFUzI1NiJ9.e30.c2ln please",
            "curl -H 'Authorization: Basic czNjcmV0'",
            "x,hch_live_abc",
            "password=s3cret",
            "my password: s3cret",
            "my card is 4111 1111 1111 1111, thanks",
            "{\"password\": \"s3cret\"}",
            "https://user/hch_live_abc",
        ] {
            assert_eq!(redacted(&json!([text])).0, json!(["…"]), "{text}");
        }
        for text in ["Margherita", "2026-11-25T17:00:00Z", "https://x.example/?q=1", "a: b", "0131 4111", ""]
        {
            assert_eq!(redacted(&json!([text])).0, json!([text]), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_redacted_is_not_kept() {
        for body in ["", "password=s3cret", "{\"a\": 1, \"a\": 2}", "{\"hch_live_abc\": 1}", "[1", "\u{1}"] {
            assert_eq!(redact_body(body.as_bytes()), None, "{body}");
        }
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        assert_eq!(redact_body(deep.as_bytes()), None);
    }
}
