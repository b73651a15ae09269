//! Every rule matches what it is for, and lets be what only looks like it.

use std::collections::BTreeSet;
use std::path::Path;

use haechi_seclang::ftw::{Report, Runner, Suite};
use haechi_seclang::{FileSystem, Rules};

/// Rules that prepare: what they do shows in all others.
const SETUP: std::ops::Range<u64> = 9_000_000..9_010_000;

#[test]
fn every_rule_passes_tests_of_its_own() {
    let setup = "SecRuleEngine DetectionOnly\nSecResponseBodyAccess On\nSecResponseBodyMimeType text/html\n";
    let rules = haechi_waf_rules::add(Rules::builder(&FileSystem).text("setup.conf", setup)).build();
    let rules = rules.unwrap_or_else(|errors| panic!("{errors}"));
    let mut untested: BTreeSet<u64> = rules.ids().filter(|id| !SETUP.contains(id)).collect();
    let runner = Runner::new(rules);
    let mut report = Report::default();
    for file in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules")).expect("a folder")
    {
        let text = std::fs::read_to_string(file.expect("an entry").path()).expect("a suite");
        let suite = Suite::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let has = |kind: &str| text.lines().any(|line| line.trim() == format!("{kind}: [{}]", suite.rule_id));
        assert!(has("expect_ids") && has("no_expect_ids"), "{} has no two sides", suite.rule_id);
        assert!(untested.remove(&suite.rule_id), "{} is no rule", suite.rule_id);
        runner.run(&suite, &mut report);
    }
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    assert_eq!(untested, BTreeSet::new(), "rules without tests");
}
