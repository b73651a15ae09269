//! Rules away from any gateway: tested, measured, explained.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use haechi_e2e::binary;
use serde_json::Value;

fn waf(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).arg("waf").args(arguments).current_dir(dir).output().expect("haechi runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The last line of what was printed.
fn last(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).expect("JSON in the last line")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

const SUITE: &str = r#"
rule_id: 9010100
tests:
  - test_id: 1
    stages:
      - input: { uri: "/?q=1%27%20or%201%3D1--", headers: { Host: a, User-Agent: b } }
        output: { log: { expect_ids: [9010100] } }
  - test_id: 2
    stages:
      - input: { uri: "/?q=pizza", headers: { Host: a, User-Agent: b } }
        output: { log: { expect_ids: [9010100] } }
"#;

#[test]
fn a_suite_that_fails_tells_which_test_and_why() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("suite.yaml"), SUITE).expect("written");
    let output = waf(dir.path(), &["test", "--tests", ".", "--format", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let outcome = last(&output);
    assert_eq!(
        (&outcome["passed"], &outcome["failed"], &outcome["skipped"]),
        (&1.into(), &1.into(), &0.into())
    );
    assert_eq!(outcome["failures"][0]["test"], "9010100-2");
    assert!(outcome["failures"][0]["why"].as_str().is_some_and(|why| why.contains("9010100 expected")));

    let overrides = "test_overrides: [{ rule_id: 9010100, test_ids: [2], reason: no attack }]\n";
    std::fs::write(dir.path().join("overrides"), overrides).expect("written");
    let output = waf(dir.path(), &["test", "--tests", ".", "--overrides", "overrides", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(last(&output)["skipped"], 1);
}

#[test]
fn the_built_in_rules_pass_their_own_suites() {
    let tests = root().join("crates/waf-rules/tests/rules");
    let output = waf(&root(), &["test", "--tests", &tests.to_string_lossy(), "--format", "json"]);
    let outcome = last(&output);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(outcome["passed"].as_u64().is_some_and(|passed| passed > 150), "{outcome}");
}

/// The Core Rule Set's suite, by the verb. Found beside the project, left out where it is not.
#[test]
fn the_core_rule_set_passes_its_suite_by_the_verb() {
    let beside = root().join("../shared");
    let crs = std::env::var_os("HAECHI_SHARED").map_or(beside, PathBuf::from).join("data/crs");
    if !crs.is_dir() {
        println!("skipped: no Core Rule Set at {}", crs.display());
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let overrides = "test_overrides:\n  - rule_id: 920620\n    test_ids: [1]\n    reason: two Content-Type headers stay two\n    output: { log: { expect_ids: [920620] } }\n";
    std::fs::write(dir.path().join("overrides.yaml"), overrides).expect("written");
    let (crs, tests) = (crs.to_string_lossy(), crs.join("regression").to_string_lossy().into_owned());
    let arguments =
        ["test", "--rules", &crs, "--tests", &tests, "--paranoia", "4", "--overrides", "overrides.yaml"];
    let output = waf(dir.path(), &[&arguments[..], &["--format", "json"]].concat());
    let outcome = last(&output);
    assert_eq!(output.status.code(), Some(0), "{outcome}");
    assert!(outcome["passed"].as_u64().is_some_and(|passed| passed >= 5_051), "{outcome}");
}

#[test]
fn requests_are_measured_and_explained_without_their_secrets() {
    let dir = tempfile::tempdir().expect("a directory");
    let request = |name: &str, body: &str| {
        let head =
            "POST /accounts HTTP/1.1\r\nHost: a\r\nUser-Agent: b\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        std::fs::write(dir.path().join(name), request).expect("written");
    };
    request("good.http", r#"{"name":"O'Brien","password":"hunter2"}"#);
    request("bad.http", r#"{"name":"x' union select 1,2--","password":"hunter2' or 1=1--"}"#);

    let arguments = ["bench", "--request", "good.http", "bad.http", "--rounds", "20", "--format", "json"];
    let output = waf(dir.path(), &arguments);
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&all[0]["request"], &all[0]["verdict"]), (&"good.http".into(), &"pass".into()), "{all}");
    assert_eq!(all[1]["verdict"], "block");
    assert!(all[1]["rules"].as_array().is_some_and(|rules| rules.contains(&9_010_110.into())), "{all}");
    let times = |one: &Value| Some((one["median_us"].as_f64()?, one["p99_us"].as_f64()?));
    assert!(times(&all[0]).is_some_and(|(median, p99)| 0.0 < median && median <= p99), "{all}");

    let explained = text(&waf(dir.path(), &["explain", "bad.http"]));
    for expected in
        ["9010110 in phase 2: SQL: UNION SELECT", "ARGS:json.name = x' union", "verdict: block", "with 403"]
    {
        assert!(explained.contains(expected), "`{expected}` in\n{explained}");
    }
    assert!(!explained.contains("hunter2"), "{explained}");
    assert!(text(&waf(dir.path(), &["explain", "good.http"])).contains("no rule matches"));
}

#[test]
fn the_level_of_paranoia_reaches_the_rules() {
    let dir = tempfile::tempdir().expect("a directory");
    let rule = "SecRule TX:blocking_paranoia_level \"@ge 3\" \"id:1,phase:1,deny,msg:'suspicious'\"\n";
    std::fs::write(dir.path().join("own.conf"), rule).expect("written");
    std::fs::write(dir.path().join("a.http"), "GET / HTTP/1.1\nHost: a\n").expect("written");
    for (level, verdict) in [("2", "verdict: pass"), ("3", "verdict: block")] {
        let output = waf(dir.path(), &["explain", "a.http", "--rules", "own.conf", "--paranoia", level]);
        assert!(text(&output).contains(verdict), "{}", text(&output));
    }
}

#[test]
fn a_mistake_in_a_rule_is_told_with_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("own.conf"), "\nSecRule ARGS \"@rxx a\" \"id:1\"\n").expect("written");
    std::fs::write(dir.path().join("a.http"), "GET / HTTP/1.1\nHost: a\n").expect("written");
    let output = waf(dir.path(), &["bench", "--rules", "own.conf", "--request", "a.http"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("own.conf:2:"), "{}", text(&output));
}
