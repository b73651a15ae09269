//! The lists of libinjection: attacks, and what is none. Found beside the project, left out where they are not.

#![expect(clippy::expect_used, clippy::panic, reason = "tests fail loudly")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use haechi_seclang::{FileSystem, Request, Rules};

/// Where the lists lie, or a line that says why a test is left out.
fn lists() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("HAECHI_SHARED").map_or(beside, PathBuf::from).join("data/libinjection/data");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no lists at {}", path.display());
    None
}

fn rules() -> Arc<Rules> {
    haechi_waf_rules::add(Rules::builder(&FileSystem)).build().unwrap_or_else(|errors| panic!("{errors}"))
}

/// What a form makes of a line: the lists are written so.
fn decoded(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let code = rest.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = rest.get(2..).unwrap_or_default();
            }
            _ => out.push(*first),
        }
    }
    out
}

/// How a value is sent, whatever it is.
fn encoded(value: &[u8]) -> String {
    value.iter().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"))
}

/// The rules that match a value in a query.
fn judged(rules: &Arc<Rules>, value: &[u8]) -> (bool, Vec<u64>) {
    let target = format!("/search?q={}", encoded(value));
    let headers: [(&[u8], &[u8]); 2] = [(b"Host", b"shop.example"), (b"User-Agent", b"Mozilla/5.0")];
    let mut transaction =
        rules.begin(&Request { target: target.as_bytes(), headers: &headers, ..Request::default() });
    transaction.request_head();
    transaction.request_body(b"");
    (transaction.would_refuse().is_some(), transaction.matches().iter().map(|one| one.rule).collect())
}

/// How many of the lines of the files whose names begin so are refused, as they stand and as a form decodes them, of how many.
fn refused(rules: &Arc<Rules>, dir: &Path, begins: &[&str], show: bool) -> (usize, usize, usize) {
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let (mut plain, mut twice, mut all) = (0, 0, 0);
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !begins.iter().any(|begin| name.starts_with(begin)) {
            continue;
        }
        let text = std::fs::read(&file).expect("a list");
        // A comment begins with `#` at the start of a line, as in the lists' own reader.
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            all += 1;
            let ((once, by), (again, by_again)) = (judged(rules, &decoded(line)), judged(rules, line));
            plain += usize::from(once);
            twice += usize::from(again);
            if (!once || !again) == show && std::env::var_os("HAECHI_SHOW").is_some() {
                println!("{name}: {once} {again} {by:?} {by_again:?} {}", line.escape_ascii());
            }
        }
    }
    (plain, twice, all)
}

#[test]
fn of_the_attacks_at_most_one_in_a_hundred_passes() {
    let Some(dir) = lists() else { return };
    let rules = rules();
    for family in [["sqli-"].as_slice(), &["xss-", "tbd-"]] {
        let (decoded, plain, all) = refused(&rules, &dir, family, true);
        println!("{family:?}: {decoded} decoded, {plain} as they stand, of {all}");
        assert!(
            decoded * 100 >= all * 99 && plain * 100 >= all * 99,
            "{family:?}: {decoded}, {plain} of {all}"
        );
    }
}

#[test]
fn of_what_is_no_attack_at_most_one_in_a_hundred_is_refused() {
    let Some(dir) = lists() else { return };
    let (decoded, plain, all) = refused(&rules(), &dir, &["false_positives"], false);
    println!("{decoded} decoded, {plain} as they stand, of {all}");
    assert!(decoded * 100 <= all && plain * 100 <= all, "{decoded}, {plain} of {all}");
}
