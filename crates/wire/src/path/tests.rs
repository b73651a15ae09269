use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn path(raw: &str) -> String {
    CanonicalPath::parse(raw.as_bytes())
        .unwrap_or_else(|refusal| panic!("{raw}: {refusal}"))
        .as_str()
        .to_owned()
}

fn code(raw: impl AsRef<[u8]>) -> &'static str {
    CanonicalPath::parse(raw.as_ref()).unwrap_err().code()
}

fn traits(raw: &str) -> Vec<&'static str> {
    CanonicalPath::parse(raw.as_bytes()).unwrap().traits().names().collect()
}

#[test]
fn a_canonical_path_is_left_as_it_is() {
    for raw in ["/", "/a", "/a/b/", "/a.b/c..d/~e", "/a:@!$&'()*+,=", "/...", "/..a", "/%2B%3C", "/%E2%82%AC"]
    {
        assert_eq!(path(raw), raw);
        assert!(CanonicalPath::parse(raw.as_bytes()).unwrap().traits().is_empty(), "{raw}");
    }
}

#[test]
fn dot_segments_are_removed_bare_or_escaped() {
    for (raw, expected) in [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/.", "/"),
        ("/a/..", "/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/%2e/a", "/a"),
        ("/a/b/../../c", "/c"),
    ] {
        assert_eq!(path(raw), expected, "{raw}");
        assert!(traits(raw).contains(&"dot-segments"), "{raw}");
    }
}

#[test]
fn leaving_the_root_is_refused() {
    for raw in ["/..", "/../a", "/a/../..", "/a/../../b", "/%2e%2e/a", "/./..", "//.."] {
        assert_eq!(code(raw), "path-above-root", "{raw}");
    }
}

#[test]
fn slashes_are_merged_before_dots_are_followed() {
    assert_eq!(path("//a///b//"), "/a/b/");
    assert_eq!(path("/a//../b"), "/b");
    assert_eq!(traits("//a"), ["merged-slashes"]);
}

#[test]
fn only_unreserved_characters_are_decoded() {
    assert_eq!(path("/%61%2D%2e%5f%7Eb"), "/a-._~b");
    assert_eq!(traits("/%61"), ["decoded"]);
    assert_eq!(path("/%3a%2b%40"), "/%3A%2B%40");
    assert_eq!(traits("/%3a"), ["recased"]);
}

#[test]
fn what_may_not_stand_bare_is_escaped() {
    assert_eq!(path("/a\"<>^`{|}[]é"), "/a%22%3C%3E%5E%60%7B%7C%7D%5B%5D%C3%A9");
    assert_eq!(traits("/é"), ["encoded"]);
}

#[test]
fn a_second_layer_of_escapes_is_data() {
    assert_eq!(path("/%2541/%252e%252e/"), "/%2541/%252e%252e/");
    assert_eq!(traits("/%2541"), ["double-encoded"]);
    assert!(traits("/100%25").is_empty());
}

#[test]
fn bad_escapes_are_refused() {
    for raw in ["/%", "/%4", "/%zz", "/%4g", "/a%u0041", "/% 41", "/%-1"] {
        assert_eq!(code(raw), "path-invalid-escape", "{raw}");
    }
}

#[test]
fn control_characters_are_refused_bare_or_escaped() {
    for raw in ["/\0", "/%00", "/a%0d%0aX", "/\t", "/%7f", "/%C2%85", "/a%00.jpg"] {
        assert_eq!(code(raw), "path-control-character", "{raw:?}");
    }
}

#[test]
fn backslashes_are_refused_bare_or_escaped() {
    for raw in ["/a\\b", "/..\\a", "/%5c", "/a%5C..%5Cb"] {
        assert_eq!(code(raw), "path-backslash", "{raw}");
    }
}

#[test]
fn what_is_not_utf_8_is_refused_bare_or_escaped() {
    for raw in [
        &b"/\xff"[..],
        b"/%ff",
        b"/%C0%AF",
        b"/%c0%ae%c0%ae/",
        b"/%E0%80%AF",
        b"/\xc0\xaf",
        b"/%ED%A0%80",
        b"/%C3",
        b"/%C3/%A9",
    ] {
        assert_eq!(code(raw), "path-invalid-utf-8", "{}", raw.escape_ascii());
    }
    assert_eq!(CanonicalPath::parse(b"/\xc3%a9").unwrap().as_str(), "/%C3%A9", "half bare, half escaped");
}

#[test]
fn delimiters_and_relative_paths_are_refused() {
    for raw in ["/a b", "/a?b", "/a#b"] {
        assert_eq!(code(raw), "path-delimiter", "{raw}");
    }
    for raw in ["", "a", "*", "%2Fa", "http://a/"] {
        assert_eq!(code(raw), "path-not-absolute", "{raw}");
    }
}

#[test]
fn an_escaped_slash_is_refused_unless_the_policy_keeps_it() {
    assert_eq!(code("/a%2fb"), "path-encoded-slash");
    let keep = PathPolicy { encoded_slash: EncodedSlash::Keep };
    let kept = CanonicalPath::parse_with(b"/a%2fb/c", &keep).unwrap();
    assert_eq!(kept.as_str(), "/a%2Fb/c");
    assert_eq!(kept.segments().collect::<Vec<_>>(), ["a%2Fb", "c"]);
    assert!(kept.traits().contains(PathTraits::ENCODED_SLASH));
    for raw in ["/a/..%2fb", "/x%2F..", "/%2e%2e%2Fb", "/a%2F.%2Fb"] {
        assert_eq!(
            CanonicalPath::parse_with(raw.as_bytes(), &keep).unwrap_err(),
            PathRefusal::HiddenDotSegment,
            "{raw}"
        );
    }
}

#[test]
fn path_parameters_are_data_but_may_not_hide_dots() {
    assert_eq!(path("/a;v=1/b;"), "/a;v=1/b;");
    assert_eq!(path("/a%3bv"), "/a%3Bv");
    assert_eq!(traits("/a;v=1"), ["parameters"]);
    assert_eq!(path("/;x/a"), "/;x/a");
    for raw in ["/a/..;/b", "/..;x=1/", "/a/.;/b", "/%2e%2e;/", "/a/..%3b/b", "/a/..;"] {
        assert_eq!(code(raw), "path-hidden-dot-segment", "{raw}");
    }
}

#[test]
fn segments_are_what_stands_between_slashes() {
    let segments = |raw: &str| {
        CanonicalPath::parse(raw.as_bytes()).unwrap().segments().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(segments("/"), [""]);
    assert_eq!(segments("/a/b"), ["a", "b"]);
    assert_eq!(segments("/a/"), ["a", ""]);
}

#[test]
fn a_segment_is_decoded_once() {
    assert_eq!(decode_segment("plain"), "plain");
    assert_eq!(decode_segment("%E2%82%AC%2541+"), "€%41+");
    assert_eq!(decode_segment("100%"), "100%");
    assert_eq!(decode_segment("%ff"), "%ff");
}

#[test]
fn codes_are_unique() {
    let codes: std::collections::BTreeSet<_> =
        PathRefusal::ALL.iter().map(|refusal| refusal.code()).collect();
    assert_eq!(codes.len(), PathRefusal::ALL.len());
}

fn paths() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => select(vec![
            "/", "/", "/", ".", "..", "%2e", "%2E", "a", "B", "%61", ";", "%3b", "%2f", "%2F", "%25", "41", "%", "%5c", "\\", "é",
            "%C3%A9", "%c3", "%a9", "%00", "~", "<", "[", "+", "%2b", ":", "%20", "%ED%A0%80", "/..", "/../", "/./",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| [b"/".to_vec(), pieces.concat()].concat())
}

/// What a path means, told in a slower way: decode all, with separators marked, then follow the dots.
fn reference(raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut segments: Vec<Vec<u8>> = vec![];
    let parts: Vec<&[u8]> = raw.strip_prefix(b"/")?.split(|byte| *byte == b'/').collect();
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        let data = decode(part)?;
        match data.as_slice() {
            b"" if !last => {}
            b"." if last => segments.push(vec![]),
            b"." => {}
            b".." => {
                segments.pop()?;
                if last {
                    segments.push(vec![]);
                }
            }
            _ => segments.push(data),
        }
    }
    Some(segments)
}

fn decode(part: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![];
    let mut at = 0;
    while at < part.len() {
        if part[at] == b'%' {
            let digits = std::str::from_utf8(part.get(at + 1..at + 3)?).ok()?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(part[at]);
            at += 1;
        }
    }
    Some(out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn normalising_twice_changes_nothing(raw in paths()) {
        for policy in [PathPolicy::default(), PathPolicy { encoded_slash: EncodedSlash::Keep }] {
            if let Ok(once) = CanonicalPath::parse_with(&raw, &policy) {
                let twice = CanonicalPath::parse_with(once.as_str().as_bytes(), &policy).unwrap();
                prop_assert_eq!(&twice, &once);
                let changes = [
                    PathTraits::DOT_SEGMENTS, PathTraits::MERGED_SLASHES, PathTraits::DECODED, PathTraits::ENCODED, PathTraits::RECASED,
                ];
                prop_assert!(changes.iter().all(|change| !twice.traits().contains(*change)));
            }
        }
    }

    #[test]
    fn a_canonical_path_means_what_the_raw_one_means(raw in paths()) {
        let policy = PathPolicy { encoded_slash: EncodedSlash::Keep };
        if let Ok(path) = CanonicalPath::parse_with(&raw, &policy) {
            let seen: Vec<_> = path.segments().map(|segment| decode_segment(segment).into_owned().into_bytes()).collect();
            prop_assert_eq!(Some(seen), reference(&raw));
        }
    }

    #[test]
    fn what_is_refused_has_a_reason(raw in paths()) {
        if let Err(refusal) = CanonicalPath::parse(&raw) {
            let decoded = decode(&raw);
            let holds = match refusal {
                PathRefusal::InvalidEscape => decoded.is_none(),
                PathRefusal::InvalidUtf8 => std::str::from_utf8(&decoded.unwrap()).is_err(),
                PathRefusal::ControlCharacter => String::from_utf8(decoded.unwrap()).unwrap().contains(char::is_control),
                PathRefusal::Backslash => raw.contains(&b'\\') || raw.windows(3).any(|w| w.eq_ignore_ascii_case(b"%5c")),
                PathRefusal::EncodedSlash => raw.windows(3).any(|w| w.eq_ignore_ascii_case(b"%2f")),
                PathRefusal::Delimiter => raw.iter().any(|byte| b" ?#".contains(byte)),
                PathRefusal::AboveRoot => reference(&raw).is_none(),
                PathRefusal::HiddenDotSegment => raw.contains(&b';') || raw.windows(3).any(|w| w.eq_ignore_ascii_case(b"%3b")),
                PathRefusal::NotAbsolute => false,
            };
            prop_assert!(holds, "{} {}", raw.escape_ascii(), refusal);
        }
    }
}
