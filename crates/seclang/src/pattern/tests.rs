use super::Pattern;

fn finds(pattern: &str, text: &[u8]) -> bool {
    Pattern::new(pattern.as_bytes(), false)
        .unwrap_or_else(|error| panic!("{pattern}: {error:?}"))
        .is_match(text)
}

fn wrong(pattern: &str) -> String {
    Pattern::new(pattern.as_bytes(), false).map(|pattern| pattern.source).unwrap_err().0
}

#[test]
fn patterns_see_bytes() {
    assert!(finds(r"^\x{bc}[^>\x{be}]*[>\x{be}]$", b"\xbcscript\xbe"));
    assert!(finds("^.$", b"\xe4") && finds("^a.b$", b"a\nb"));
    assert!(!finds("(?i)\u{e9}", "\u{c9}".as_bytes()), "ASCII only");
    assert!(finds("é", "é".as_bytes()));
    assert!(finds(r"^[^\x00-\x7f]{2}$", "é".as_bytes()));
}

#[test]
fn a_dollar_is_the_very_end() {
    assert!(!finds(r"^\d+$", b"1\n") && !finds(r"^b$", b"a\nb\nc"));
    assert!(finds(r"^1\Z", b"1\n") && finds(r"(?m)^b$", b"a\nb\nc"));
}

#[test]
fn what_regex_spells_otherwise_is_translated() {
    for (pattern, text) in [
        (r"^[]a]+$", &b"]a"[..]),
        (r"^[^]]$", b"["),
        (r"^[[a&&b~~c]+$", b"[a&b~c"),
        (r"^[\w-]+$", b"a-b"),
        (r"^[a\-z]+$", b"a-z"),
        (r"^[!-/:-@\[-`{-~]+$", b"~^[`!"),
        (r"^[[:alpha:][:^alpha:]]{2}$", b"a1"),
        (r"^\<\>\_\/\-\#\&$", b"<>_/-#&"),
        (r"^{a}{,2}x{2}$", b"{a}{,2}xx"),
        (r"^\0\012\x1\cA\e$", b"\0\n\x01\x01\x1b"),
        (r"^\Qa.b[\E.$", b"a.b[c"),
        (r"^a(?#comment)b(?<name>c)(?'n2'd)$", b"abcd"),
        (r"^\h\v\R\N$", b"\xa0\n\r\nx"),
        (r"(?i:A)b", b"ab"),
        (r"a(?i)B", b"ab"),
        (r"^a*?b+?c{1,2}?$", b"aabc"),
    ] {
        assert!(finds(pattern, text), "{pattern}");
    }
}

#[test]
fn what_takes_more_than_linear_time_is_refused() {
    for (pattern, told) in [
        ("a(?=b)", "`(?=` is look-ahead, which is not supported"),
        ("(?<!b)a", "`(?<!` is look-behind, which is not supported"),
        (r"(a)\1", r"`\1` refers to a group, which is not supported"),
        ("a++", "possessive repetitions are not supported"),
        ("(?>a)", "`(?>` is an atomic group, which is not supported"),
        (r"\p{L}", r"`\p` is about Unicode; patterns see bytes"),
        (r"\x{20ac}", "an escape is larger than a byte"),
        ("[a", "a class is never closed"),
        ("(a", "the pattern is wrong: unclosed group"),
        ("a\\", "a backslash ends the pattern"),
    ] {
        assert_eq!(wrong(pattern), told, "{pattern}");
    }
    assert_eq!(wrong(r"(?:\w{1000}){1000}"), "the pattern compiles to more than 8388608 bytes");
}
