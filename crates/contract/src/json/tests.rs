use proptest::prelude::*;

use super::*;

fn refused(text: &[u8]) -> (JsonErrorKind, usize, String) {
    let error = parse_strict(text, 8).expect_err("must be refused");
    (error.kind, error.offset, error.pointer)
}

#[test]
fn a_key_that_stands_twice_is_refused_at_any_depth_and_spelling() {
    use JsonErrorKind::DuplicateKey;
    assert_eq!(refused(br#"{"a":1,"a":1}"#), (DuplicateKey, 7, "/a".into()));
    assert_eq!(refused(br#"[{"x":{"a":1,"b":2,"\u0061":3}}]"#), (DuplicateKey, 19, "/0/x/a".into()));
    assert!(parse_strict(br#"{"a":{"a":1},"b":{"a":1}}"#, 8).is_ok());
}

#[test]
fn depth_is_counted_in_arrays_and_objects() {
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse_strict(nested(8).as_bytes(), 8).is_ok());
    assert_eq!(refused(nested(9).as_bytes()).0, JsonErrorKind::TooDeep);
    assert!(parse_strict(b"1", 0).is_ok());
    assert!(parse_strict(b"[]", 0).is_err());
    assert!(parse_strict(nested(MAX_DEPTH).as_bytes(), usize::MAX).is_ok());
    assert_eq!(
        parse_strict(nested(MAX_DEPTH + 1).as_bytes(), usize::MAX).unwrap_err().kind,
        JsonErrorKind::TooDeep
    );
}

#[test]
fn errors_name_the_place() {
    let error = parse_strict(b"{\n  \"\xc3\xa4\": [1,\n   tru]}", 8).unwrap_err();
    assert_eq!((error.line, error.column, error.pointer.as_str()), (3, 7, "/ä/1"));
    assert_eq!(error.to_string(), "an unexpected character at line 3, column 7 (in `/ä/1`)");
}

#[test]
fn what_parsers_disagree_about_is_refused() {
    use JsonErrorKind::*;
    let cases: &[(&[u8], JsonErrorKind, usize)] = &[
        (b"", UnexpectedEnd, 0),
        (b"  ", UnexpectedEnd, 2),
        (b"{} {}", TrailingBytes, 3),
        (b"{}\0", TrailingBytes, 2),
        (b"\xef\xbb\xbf{}", UnexpectedByte, 0),
        (b"[1,]", UnexpectedByte, 3),
        (b"{\"a\":1,}", UnexpectedByte, 7),
        (b"{a:1}", UnexpectedByte, 1),
        (b"'a'", UnexpectedByte, 0),
        (b"NaN", UnexpectedByte, 0),
        (b"[1 2]", UnexpectedByte, 3),
        (b"// x\n1", UnexpectedByte, 0),
        (b"\"a\nb\"", ControlCharacter, 2),
        (b"\"\\x41\"", InvalidEscape, 1),
        (b"\"\\ud800\"", InvalidEscape, 1),
        (b"\"\\ud800\\u0041\"", InvalidEscape, 1),
        (b"\"\\udc00\"", InvalidEscape, 1),
        (b"\"\\u00g0\"", InvalidEscape, 1),
        (b"01", InvalidNumber, 2),
        (b"-", InvalidNumber, 1),
        (b"1.", InvalidNumber, 2),
        (b".5", UnexpectedByte, 0),
        (b"+1", UnexpectedByte, 0),
        (b"1e", InvalidNumber, 2),
        (b"1e400", NumberOutOfRange, 0),
        (b"[\"a\xff\"]", InvalidUtf8, 3),
        (b"[1]\xff", InvalidUtf8, 3),
        (b"{\"a\":1,\"a\":2,\"\xff\"", DuplicateKey, 7),
        (b"\"abc", UnexpectedEnd, 4),
        (b"\"abc\\", UnexpectedEnd, 5),
        (b"{\"a\"", UnexpectedEnd, 4),
    ];
    for (text, kind, offset) in cases {
        let (found, at, _) = refused(text);
        assert_eq!((found, at), (*kind, *offset), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn surrogate_pairs_and_escapes_are_read() {
    let value = parse_strict(br#""\ud83d\ude00\n\/\u00e9""#, 0).unwrap();
    assert_eq!(value, serde_json::json!("😀\n/é"));
}

#[test]
fn positions_are_found_by_pointer() {
    let text = "{\n  \"a\": {\"x\": 1},\n  \"b/c\": [10,\n    {\"k\": true}]\n}";
    assert_eq!(position_of(text, ""), Some((1, 1)));
    assert_eq!(position_of(text, "/a/x"), Some((2, 14)));
    assert_eq!(position_of(text, "/b~1c/1/k"), Some((4, 11)));
    assert_eq!(position_of(text, "/b~1c/2"), None);
    assert_eq!(position_of(text, "/nothing"), None);
}

/// JSON-like text: valid documents with a few bytes changed.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        "\"([ -!#-\\[\\]-~]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fD-F]{4}|é){0,6}\"",
    ];
    let tree = leaf.prop_recursive(6, 48, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            proptest::collection::vec(("[a-e]", inner), 0..5).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(name, value)| format!("\"{name}\":\t{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..3);
    (tree, edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (index, byte, edit) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

/// Whether an object holds a key twice, found by reading with serde's own visitor.
fn has_duplicates(bytes: &[u8]) -> bool {
    use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
    struct Unique;
    impl<'de> DeserializeSeed<'de> for Unique {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    impl<'de> Visitor<'de> for Unique {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("json")
        }
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
            while items.next_element_seed(Unique)?.is_some() {}
            Ok(())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
            let mut seen = std::collections::HashSet::new();
            while let Some(key) = members.next_key::<String>()? {
                if !seen.insert(key) {
                    return Err(A::Error::custom("duplicate"));
                }
                members.next_value_seed(Unique)?;
            }
            Ok(())
        }
    }
    Unique.deserialize(&mut serde_json::Deserializer::from_slice(bytes)).is_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// The same texts are read to the same values as by serde_json, but for doubled keys.
    #[test]
    fn agrees_with_serde_json(bytes in nearly_json()) {
        let ours = parse_strict(&bytes, MAX_DEPTH);
        let theirs = serde_json::from_slice::<Value>(&bytes);
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => {
                prop_assert_eq!(&ours, &theirs);
                prop_assert!(!has_duplicates(&bytes));
            }
            (Err(error), Ok(_)) => prop_assert_eq!(error.kind, JsonErrorKind::DuplicateKey),
            (Ok(value), Err(error)) => prop_assert!(false, "read {} though {}", value, error),
            (Err(error), Err(_)) => prop_assert!(error.offset <= bytes.len()),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Err(error) = parse_strict(&bytes, 8) {
            prop_assert!(error.offset <= bytes.len());
        }
    }

    /// Every value of a document is found where serde_json's writer put it.
    #[test]
    fn positions_point_at_the_value(bytes in nearly_json()) {
        if let Ok(value @ Value::Object(_)) = parse_strict(&bytes, 64) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let mut stack = vec![(String::new(), &value)];
            while let Some((pointer, value)) = stack.pop() {
                let (line, column) = position_of(&text, &pointer).expect("is there");
                let rest: String = text.lines().nth(line - 1).unwrap().chars().skip(column - 1).collect();
                let first = value.to_string().chars().next().unwrap();
                prop_assert_eq!(rest.chars().next(), Some(first));
                match value {
                    Value::Object(map) => stack.extend(map.iter().map(|(key, v)| (pointer::join(&pointer, key), v))),
                    Value::Array(items) => {
                        stack.extend(items.iter().enumerate().map(|(at, v)| (format!("{pointer}/{at}"), v)));
                    }
                    _ => {}
                }
            }
        }
    }
}
