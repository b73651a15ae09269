//! Contracts others wrote: every specification of Twilio and Adyen in one router, as one configuration would have them.

#![expect(clippy::expect_used, reason = "tests fail loudly")]

use std::path::{Path, PathBuf};
use std::process::Command;

use haechi_contract::{ApiIndex, Contract, Limits, Lookup, RouterBuilder};

/// Operations in both sets.
const OPERATIONS: usize = 2_927;

#[test]
fn every_operation_of_every_specification_routes_to_itself() {
    let archives = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/specs");
    if !archives.exists() {
        eprintln!("left out: `{}` is not there", archives.display());
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    for archive in ["adyen.tar.gz", "twilio.tar.gz"] {
        let status =
            Command::new("tar").arg("xzf").arg(archives.join(archive)).arg("-C").arg(dir.path()).status();
        assert!(status.expect("tar runs").success(), "{archive}");
    }
    let mut files = Vec::new();
    collect(dir.path(), &mut files);
    files.sort();
    let load =
        |file: &PathBuf| Contract::load(file, &Limits::default()).unwrap_or_else(|error| panic!("{error}"));
    let contracts: Vec<_> =
        files.iter().map(load).filter(|contract| !contract.operations().is_empty()).collect();
    let mut router = RouterBuilder::new();
    for (number, contract) in contracts.iter().enumerate() {
        let index = ApiIndex(u32::try_from(number).expect("few"));
        router
            .add(index, None, &format!("/api{number}"), contract)
            .unwrap_or_else(|conflict| panic!("{conflict}"));
    }
    let router = router.build();
    let mut routed = 0;
    for (number, contract) in contracts.iter().enumerate() {
        for (index, operation) in contract.operations().iter().enumerate() {
            // `/Accounts/{Sid}.json` is called as `/Accounts/a-Sid-1.json`.
            let path = format!("/api{number}{}", operation.template()).replace('{', "a-").replace('}', "-1");
            match router.lookup("api.example", operation.method(), &path) {
                Lookup::Found(found) => {
                    let meant = (usize::try_from(found.api.0).expect("few"), found.operation);
                    assert_eq!(meant, (number, index), "{} {path}", operation.method());
                    for (name, value) in found.params.iter() {
                        assert_eq!(value, format!("a-{name}-1"), "{path}");
                    }
                }
                other => panic!("{} {path}: {other:?}", operation.method()),
            }
            routed += 1;
        }
    }
    assert_eq!(routed, OPERATIONS);
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "yaml") {
            files.push(path);
        }
    }
}
