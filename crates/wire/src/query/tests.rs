use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn parse(raw: &[u8]) -> Result<Query, QueryRefusal> {
    Query::parse(Some(raw), 8)
}

fn pairs(raw: &str) -> Vec<(String, String)> {
    let query = parse(raw.as_bytes()).unwrap();
    query.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn canonical(raw: &str) -> String {
    parse(raw.as_bytes()).unwrap().canonical().unwrap().to_owned()
}

#[test]
fn pairs_are_decoded_once_in_order() {
    let expected = [("a", "1 2"), ("b", ""), ("a", "x=y"), ("é", "%41")];
    assert_eq!(
        pairs("a=1+2&b&a=x=y&%C3%A9=%2541"),
        expected.map(|(name, value)| (name.into(), value.into()))
    );
    let query = parse(b"a=1&b=2&a=3").unwrap();
    assert_eq!(query.get_all("a").collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!((query.get("b"), query.get("c"), query.len()), (Some("2"), None, 3));
}

#[test]
fn an_empty_query_is_none() {
    for raw in [None, Some(&b""[..]), Some(b"&"), Some(b"&&&")] {
        let query = Query::parse(raw, 0).unwrap();
        assert!(query.is_empty() && query.canonical().is_none() && query.pairs().next().is_none());
        assert_eq!(query, Query::default());
    }
}

#[test]
fn one_spelling_is_sent_upstream() {
    for (raw, expected) in [
        ("a=1+2", "a=1%202"),
        ("%61=%7e", "a=~"),
        ("a=%2b%26%3d%23", "a=%2B%26%3D%23"),
        ("a=x=y", "a=x%3Dy"),
        ("a&&b=", "a&b="),
        ("a=1;b=2", "a=1%3Bb%3D2"),
        ("a[]=<\"é", "a%5B%5D=%3C%22%C3%A9"),
        ("u=http://a/?b,c", "u=http://a/?b,c"),
        ("=x", "=x"),
    ] {
        assert_eq!(canonical(raw), expected, "{raw}");
    }
}

#[test]
fn faults_are_refused() {
    for raw in ["a=%", "a=%4", "%zz", "a=%u0041"] {
        assert_eq!(parse(raw.as_bytes()).unwrap_err().code(), "query-invalid-escape", "{raw}");
    }
    for raw in ["a=%00", "a=\0", "a=\n", "a=%1b", "%7f"] {
        assert_eq!(parse(raw.as_bytes()).unwrap_err().code(), "query-control-character", "{raw:?}");
    }
    for raw in [&b"a=%ff"[..], b"a=\xff", b"%c0%af=1", b"a=%C3&b=%A9"] {
        assert_eq!(parse(raw).unwrap_err().code(), "query-invalid-utf-8", "{}", raw.escape_ascii());
    }
    assert_eq!(pairs("t=a%0D%0A%09b"), [("t".into(), "a\r\n\tb".into())], "as text fields send them");
}

#[test]
fn pairs_are_bounded() {
    assert_eq!(parse(b"a&b&c&d&e&f&g&h").unwrap().len(), 8);
    assert_eq!(parse(b"a&b&c&d&e&f&g&h&").unwrap().len(), 8);
    assert_eq!(parse(b"a&b&c&d&e&f&g&h&i").unwrap_err(), QueryRefusal::TooManyPairs);
}

fn queries() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => select(vec!["a", "b", "=", "&", "+", "%20", "%26", "%3D", "%2B", "%25", "41", "%C3%A9", "é", ";", "/", "[", "%0A"])
            .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_sent_means_what_was_judged(raw in queries()) {
        if let Ok(query) = Query::parse(Some(&raw), 64) {
            let again = Query::parse(query.canonical().map(str::as_bytes), 64).unwrap();
            prop_assert!(again.pairs().eq(query.pairs()));
            prop_assert_eq!(again.canonical(), query.canonical(), "one spelling");
            let safe = |byte: u8| byte.is_ascii_graphic() && !b"#+;\"<>[]\\^`{|}".contains(&byte);
            prop_assert!(query.canonical().unwrap_or_default().bytes().all(safe));
        }
    }
}
