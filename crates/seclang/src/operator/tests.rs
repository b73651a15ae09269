use super::*;
use crate::error::Place;
use crate::injection::Libinjection;

struct Files;

impl Surroundings for Files {
    fn file(&mut self, name: &str) -> Result<Vec<u8>, String> {
        match name {
            "words" => Ok(b"# comment\n\n Select \nunion all\n".to_vec()),
            "nets" => Ok(b"10.0.0.0/8\n2001:db8::1\n".to_vec()),
            _ => Err(format!("`{name}` cannot be read")),
        }
    }
}

fn compile(name: &str, argument: &str) -> Result<Operator, Wrong> {
    let test = Test {
        place: Place { file: "a".into(), line: 1, column: 1 },
        negated: false,
        operator: OperatorName::parse(name).unwrap(),
        argument: argument.as_bytes().to_vec(),
    };
    Operator::compile(&test, &mut Files)
}

fn asked(name: &str, argument: &str, value: &[u8]) -> Option<Vec<String>> {
    let operator = compile(name, argument).unwrap_or_else(|error| panic!("@{name} {argument}: {error:?}"));
    let filled = operator.argument().map(|text| text.source()).unwrap_or_default();
    let mut captures = Vec::new();
    let held = operator.holds(value, &filled, &Libinjection, Some(&mut captures));
    assert_eq!(
        held,
        operator.holds(value, &filled, &Libinjection, None),
        "capturing changes the answer of @{name}"
    );
    held.then(|| captures.iter().map(|text| text.escape_ascii().to_string()).collect())
}

#[test]
fn operators_hold_where_they_should_and_nowhere_else() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("beginsWith", "ab", "abc", "cab"),
        ("endsWith", "bc", "abc", "bca"),
        ("contains", "b", "abc", "aac"),
        ("containsWord", "or", "a or b", "for_or"),
        ("strmatch", "b", "abc", "aac"),
        ("streq", "abc", "abc", "ABC"),
        ("within", "GET POST", "POST", "PUT"),
        ("eq", "5", "5x", "6"),
        ("ge", "-5", "-5", "-6"),
        ("gt", "0", "1", "x"),
        ("le", "5", "5", "6"),
        ("lt", "5", "", "5"),
        ("pm", "select |75 6e|ion", "x UNION", "une"),
        ("pmFromFile", "words", "a union ALL b", "union"),
        ("ipMatch", "10.0.0.0/8,::1", "10.1.2.3", "11.0.0.1"),
        ("ipMatchFromFile", "nets", "2001:db8::1", "2001:db8::2"),
        ("validateByteRange", "32-126", "a\tb", "a b"),
        ("validateUrlEncoding", "", "a%2", "a%20"),
        ("verifyCC", r"\d{13,16}", "card 4111111111111111", "card 4111111111111112"),
        ("verifySSN", r"\d{3}-\d{2}-\d{4}", "219-09-9999", "000-09-9999"),
        ("verifyCPF", r"\d{11}", "52998224725", "52998224724"),
        ("verifySVNR", r"\d{10}", "1237010180", "1234010180"),
        ("detectSQLi", "", "1' or '1'='1", "margherita"),
        ("detectXSS", "", "<script>alert(1)</script>", "a <b and c> d"),
    ];
    for (name, argument, holds, not) in cases {
        assert!(asked(name, argument, holds.as_bytes()).is_some(), "@{name} {argument} of {holds}");
        assert!(asked(name, argument, not.as_bytes()).is_none(), "@{name} {argument} of {not}");
    }
    assert!(asked("validateUtf8Encoding", "", b"\xff").is_some());
    assert!(asked("validateUtf8Encoding", "", "é".as_bytes()).is_none());
}

#[test]
fn captures_are_groups() {
    assert_eq!(
        asked("rx", "(a)(x)?(b)(y)?", b"-ab"),
        Some(vec!["ab".into(), "a".into(), String::new(), "b".into()])
    );
    assert_eq!(asked("rxGlobal", "a.", b"a1a2"), Some(vec!["a1".into(), "a2".into()]));
    assert_eq!(asked("pm", "b abc", b"xABCx"), Some(vec!["ABC".into()]));
    assert_eq!(asked("unconditionalMatch", "", b"v"), Some(vec!["v".into()]));
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    for (name, argument, told) in [
        ("rx", "^%{TX.a}$", "the pattern holds `%{TX.a}`, which changes with each transaction"),
        ("ipMatch", "10.0.0.0/40", "`10.0.0.0/40` is neither an address nor a network"),
        ("validateByteRange", "9-300", "`9-300` is no range of bytes"),
        ("pmFromFile", "none", "`none` cannot be read"),
        ("pmFromFile", "https://x/y", "`https://x/y` is not loaded"),
        ("pm", " ", "at least one phrase was expected"),
        ("eq", "%{NOPE}", "`%{NOPE}` names no variable"),
    ] {
        assert_eq!(compile(name, argument).unwrap_err().0, told);
    }
    assert!(compile("rx", "^50%{2}$").is_ok(), "a repetition is no variable");
}

#[test]
fn numbers_are_read_as_c_reads_them() {
    assert_eq!(
        [number(b" 12x"), number(b"-3"), number(b"x"), number(b"99999999999999999999")],
        [12, -3, 0, i64::MAX]
    );
}
