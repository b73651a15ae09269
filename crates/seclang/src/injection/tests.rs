use std::path::{Path, PathBuf};

use libinjectionrs::xss::{Html5Flags, Html5State};

use super::sql::{detect, folded_for_tests, tokens_for_tests};
use super::*;

const HARMLESS: &[&str] = &[
    "",
    "margherita",
    "Quattro Formaggi",
    "no onions please",
    "2026-11-24T18:30:00Z",
    "+44 20 7946 0958",
    "anna.schmidt@example.org",
    "Tomato, basil & mozzarella",
    "O'Neill",
    "Fish and chips",
    "a <b and c> d",
    "x=1",
];

#[test]
fn injections_are_found_and_plain_texts_are_not() {
    for (value, print) in [
        ("1' or '1'='1", "s&sos"),
        ("1 UNION SELECT password FROM users", "1UEnk"),
        ("' or 1=1 --", "s&1c"),
        ("1/* */", "1c"),
        ("1; drop table x", "1;T"),
    ] {
        let found = Libinjection.sql(value.as_bytes());
        assert!(found.is_some(), "{value}");
        assert_eq!(
            found.as_deref().map(|found| found.starts_with(print.get(..2).unwrap())),
            Some(true),
            "{value}: {found:?}"
        );
    }
    for value in [
        "<script>alert(1)</script>",
        "x onerror=alert(1)",
        "' href=javascript:x",
        "<!--`-->",
        "a hr\0ef=javascript:x",
    ] {
        assert!(Libinjection.script(value.as_bytes()), "{value}");
    }
    for value in HARMLESS {
        assert_eq!(Libinjection.sql(value.as_bytes()), None, "{value}");
        assert!(!Libinjection.script(value.as_bytes()), "{value}");
    }
}

/// The port compares the second word of `into outfile` with regard to case, and does not know words that are part of longer ones.
#[test]
fn words_that_belong_together_have_no_case() {
    for value in ["1 into outfile 'x'", "1 INTO OUTFILE 'x'", "1 into dumpfile 'x'"] {
        assert!(Libinjection.sql(value.as_bytes()).is_some(), "{value}");
    }
}

/// Where libinjection's own tests lie, or a line that says why a test is left out.
fn vectors() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("HAECHI_SHARED").map_or(beside, PathBuf::from).join("data/libinjection");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no vectors of libinjection at {}", path.display());
    None
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// What stands between two headings.
fn between<'t>(text: &'t [u8], from: &str, to: Option<&str>) -> &'t [u8] {
    let start = memchr::memmem::find(text, from.as_bytes()).unwrap() + from.len();
    let end = to.map_or(text.len(), |to| memchr::memmem::find(text, to.as_bytes()).unwrap());
    text.get(start..end).unwrap()
}

#[test]
fn every_vector_of_libinjection_agrees() {
    let Some(path) = vectors() else { return };
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, text) in files(&path.join("tests")) {
        let input = between(&text, "--INPUT--\n", Some("--EXPECTED--"));
        let input = input.strip_suffix(b"\n").unwrap_or(input);
        let expected = trimmed(&String::from_utf8_lossy(between(&text, "--EXPECTED--", None)));
        let found = if name.starts_with("test-sqli") {
            detect(input).unwrap_or_default()
        } else if name.starts_with("test-folding") {
            folded_for_tests(input)
        } else if name.starts_with("test-tokens") {
            tokens_for_tests(input)
        } else {
            pieces(input)
        };
        count += 1;
        // Words that were two are spelled as the list of words spells them.
        if !trimmed(&found).eq_ignore_ascii_case(&expected) {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "of {count}");
    assert_eq!(count, 480);
}

/// Without blanks at the ends of lines.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// HTML as libinjection cuts it; what finds scripts is built on it.
fn pieces(input: &[u8]) -> String {
    let mut html = Html5State::new(input, Html5Flags::DataState);
    let mut out = String::new();
    while html.next() {
        let text = html.token_start.get(..html.token_len).unwrap();
        out += &format!("{},{},{}\n", html.token_type, html.token_len, String::from_utf8_lossy(text));
    }
    out
}

/// Whether the port finds SQL. It differs from libinjection in three things: it looks at the case of `INTO`, it does not join words that are only names together,
/// and it keeps the `@` of variables.
fn port(value: &[u8]) -> Option<String> {
    let result = libinjectionrs::detect_sqli(value);
    result.is_injection().then(|| result.fingerprint.map(|print| print.to_string()).unwrap_or_default())
}

#[test]
fn attack_lines_and_their_mutations_are_judged_as_the_port_judges_them() {
    let Some(path) = vectors() else { return };
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for (_, text) in files(&path.join("data")) {
        lines.extend(text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(decoded));
    }
    let count =
        std::env::var("HAECHI_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000usize);
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 16).unwrap() % bound.max(1)
    };
    let (mut differ, mut scripts) = (Vec::new(), 0);
    let mut found = 0;
    for round in 0..lines.len() + count {
        let mut value = match lines.get(round) {
            Some(line) => line.clone(),
            None => lines[below(lines.len())].clone(),
        };
        if round >= lines.len() {
            for _ in 0..1 + below(4) {
                let at = below(value.len() + 1);
                let marks = b"'\"<>%&\\/*;=()|${}\0 \n\xffaZ0`@#-.,xXeEuUnNqQbB[]!~:?+^";
                match below(4) {
                    0 if at < value.len() => drop(value.remove(at)),
                    1 => value.truncate(at),
                    _ => value.insert(at, marks[below(marks.len())]),
                }
            }
        }
        let (own, other) = (detect(&value), port(&value));
        found += usize::from(own.is_some());
        if own != other {
            differ.push((value.escape_ascii().to_string(), own, other));
        }
        assert_eq!(Libinjection.script(&value), libinjectionrs::detect_xss(&value).is_injection());
        scripts += usize::from(Libinjection.script(&value));
    }
    let lost: Vec<_> = differ.iter().filter(|(_, own, _)| own.is_none()).collect();
    println!(
        "{} values, {found} with SQL, {scripts} with scripts; {} judged otherwise than by the port, {} of them harmless",
        lines.len() + count,
        differ.len(),
        lost.len()
    );
    for one in differ.iter().take(40) {
        println!("{one:?}");
    }
    assert!(differ.len() * 1_000 < lines.len() + count, "too many");
    assert!(lost.is_empty());
}

/// `%27` to `'`: the lists hold lines as they stand in logs.
fn decoded(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::transform::apply(crate::names::Transform::UrlDecode, line, &mut out);
    out
}
