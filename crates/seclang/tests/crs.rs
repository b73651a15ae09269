//! The Core Rule Set, unmodified, and its regression suite. Found beside the project, left out where it is not.

#![expect(clippy::panic, clippy::unwrap_used, reason = "tests fail loudly")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use haechi_seclang::ftw::{Overrides, Report, Runner, Suite};
use haechi_seclang::{FileSystem, Request, Rules, Transaction, Vars};

/// Where the Core Rule Set lies, or a line that says why a test is left out.
fn crs() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("HAECHI_SHARED").map_or(beside, PathBuf::from).join("data/crs");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: no Core Rule Set at {}", path.display());
    None
}

/// As the suite's README wants it, and what ModSecurity's recommended configuration adds.
const SETUP: &str = "SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecAction \"id:900005,phase:1,nolog,pass,\\
  setvar:tx.blocking_paranoia_level=4,\\
  setvar:tx.crs_validate_utf8_encoding=1,\\
  setvar:tx.arg_name_length=100,\\
  setvar:tx.arg_length=400,\\
  setvar:tx.total_arg_length=64000,\\
  setvar:tx.max_num_args=255,\\
  setvar:tx.max_file_size=64100,\\
  setvar:tx.combined_file_sizes=65535\"
SecRuleRemoveById 910000
";

fn rules(crs: &Path, setup: &str) -> Arc<Rules> {
    let rules = Rules::builder(&FileSystem)
        .text("setup.conf", setup)
        .path(crs.join("crs-setup.conf.example"))
        .path(crs.join("rules/*.conf"))
        .build();
    rules.unwrap_or_else(|errors| panic!("{errors}"))
}

/// What this engine does otherwise than the suite expects, and why.
const OVERRIDES: &str = "
test_overrides:
  - rule_id: 920620
    test_ids: [1]
    reason: 'two Content-Type headers stay two, so that the rule sees what it was written for; httpd would join them'
    output:
      status: 200
      log:
        expect_ids: [920620]
";

/// 5,051 in `.yaml` files, 37 in a `.yml` file.
const STAGES: usize = 5_088;

fn suites(crs: &Path) -> Vec<Suite> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(crs.join("regression")).unwrap() {
        files.extend(std::fs::read_dir(folder.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        Suite::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().map(read).collect()
}

fn run(runner: &Runner, suites: &[Suite]) {
    let mut report = Report::default();
    for suite in suites {
        runner.run(suite, &mut report);
    }
    for failure in &report.failures {
        println!("{}: {}", failure.test, failure.why);
    }
    assert_eq!((report.passed, report.failures.len()), (STAGES, 0));
}

#[test]
fn every_stage_of_the_regression_suite_passes() {
    let Some(crs) = crs() else { return };
    let suites = suites(&crs);
    assert_eq!(suites.iter().map(Suite::stages).sum::<usize>(), STAGES);
    let rules = rules(&crs, SETUP);
    let overrides = || Overrides::parse(OVERRIDES).unwrap();
    run(&Runner::new(Arc::clone(&rules)).overrides(overrides()), &suites);
    run(&Runner::new(rules).overrides(overrides()).plainly(), &suites);
}

/// What must be the same however a transaction is run.
type Judged = (Vec<haechi_seclang::Match>, haechi_seclang::Verdict, Vars);

fn judged(transaction: &Transaction) -> Judged {
    (transaction.matches().to_vec(), transaction.verdict().clone(), transaction.tx().clone())
}

#[test]
fn the_engine_equals_the_plain_interpreter_on_the_regression_suite() {
    let Some(crs) = crs() else { return };
    // Blocking, at each paranoia level: what is jumped over and what is folded differs.
    for level in 1..=4 {
        let setup = format!(
            "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level={level}\"\nSecResponseBodyAccess On\n"
        );
        let rules = rules(&crs, &setup);
        let (fast, plain) = (Runner::new(Arc::clone(&rules)), Runner::new(rules).plainly());
        for suite in suites(&crs).iter().skip(level % 2).step_by(2) {
            let mut expected = Vec::new();
            plain.visit(suite, &mut |_, transaction| expected.push(judged(transaction)));
            let mut expected = expected.into_iter();
            fast.visit(suite, &mut |test, transaction| {
                assert_eq!(judged(transaction), expected.next().expect("as many"), "{test} at level {level}");
            });
        }
    }
}

/// Marsaglia's xorshift: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % bound.max(1)
    }
}

/// The attack lists of libinjection, and what they become when bytes are changed. `HAECHI_MUTATIONS=1000000` for the long run.
#[test]
fn the_engine_equals_the_plain_interpreter_on_mutated_attacks() {
    let Some(crs) = crs() else { return };
    let rules = rules(&crs, SETUP);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for file in std::fs::read_dir(crs.join("../libinjection/data")).unwrap() {
        let text = std::fs::read(file.unwrap().path()).unwrap();
        lines.extend(text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec));
    }
    lines.sort();
    let count = std::env::var("HAECHI_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(400usize);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..count {
        let mut value = lines.get(random.below(lines.len())).cloned().unwrap_or_default();
        for _ in 0..random.below(4) {
            let at = random.below(value.len() + 1);
            let marks = b"'\"<>%&\\/*;=()|${}\0 \n\xffaZ0";
            let mark = marks.get(random.below(marks.len())).copied().unwrap_or(0);
            if random.below(3) == 0 && at < value.len() {
                value.remove(at);
            } else {
                value.insert(at, mark);
            }
        }
        let cookie = [b"a=", value.as_slice()].concat();
        let headers: Vec<(&[u8], &[u8])> = vec![
            (b"Host", b"localhost"),
            (b"User-Agent", if round % 3 == 0 { &value } else { b"Mozilla/5.0" }),
            (b"Cookie", if round % 3 == 1 { &cookie } else { b"a=b" }),
            (b"Content-Type", b"application/x-www-form-urlencoded"),
        ];
        let body: Vec<u8> = [b"x=".to_vec(), value.clone(), b"&y=plain&z%00=1".to_vec()].concat();
        let request = Request { method: b"POST", headers: &headers, ..Request::default() };
        let run = |mut transaction: Transaction| {
            transaction.request_head();
            transaction.request_body(&body);
            transaction.finish(1);
            judged(&transaction)
        };
        let (fast, plain) = (run(rules.begin(&request)), run(rules.begin_plainly(&request)));
        assert_eq!(fast, plain, "round {round}: {}", value.escape_ascii());
    }
}
