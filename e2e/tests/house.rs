//! The house's own rules: who may import whom, and which crates may not do I/O.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each crate may import of this workspace. Top to bottom: an arrow that is not here is a design decision, to be
/// taken in ARCHITECTURE.md and an ADR first.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "haechi",
        &["config", "contract", "control", "demo", "edge", "events", "seclang", "upstream", "waf-rules"],
    ),
    ("control", &["config", "contract", "edge", "events", "guard", "identity", "store"]),
    (
        "edge",
        &[
            "access", "acme", "config", "contract", "events", "expr", "guard", "identity", "limits", "lists",
            "seclang", "upstream", "waf", "wire",
        ],
    ),
    ("access", &["expr", "guard"]),
    ("identity", &["guard", "wire"]),
    ("limits", &["guard", "wire"]),
    ("lists", &["guard"]),
    ("waf", &["guard", "seclang", "waf-rules"]),
    ("events", &["guard"]),
    ("expr", &["guard", "wire"]),
    ("config", &["guard"]),
    ("contract", &[]),
    ("guard", &["wire"]),
    ("seclang", &[]),
    ("waf-rules", &["seclang"]),
    ("wire", &[]),
    ("acme", &["upstream"]),
    ("upstream", &[]),
    ("store", &[]),
    ("demo", &[]),
];

/// Crates that hold no asynchronous code, and so do no I/O on the request path.
const WITHOUT_IO: &[&str] = &[
    "wire",
    "guard",
    "contract",
    "config",
    "identity",
    "limits",
    "lists",
    "expr",
    "access",
    "seclang",
    "waf",
    "waf-rules",
];

/// Libraries that do I/O.
const IO: &[&str] = &["tokio", "hyper", "axum", "hyper-util"];

#[test]
fn imports_run_one_way() {
    let crates = imports();
    for (name, imports) in &crates {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            assert_eq!(name, "e2e", "`{name}` is not in the list of arrows");
            continue;
        };
        let inner = imports.iter().filter_map(|import| import.strip_prefix("haechi-"));
        for import in inner {
            assert!(allowed.contains(&import), "`{name}` may not import `{import}`");
        }
        if WITHOUT_IO.contains(&name.as_str()) {
            let io: Vec<_> = imports.iter().filter(|import| IO.contains(&import.as_str())).collect();
            assert!(io.is_empty(), "`{name}` holds no asynchronous code, yet imports {io:?}");
        }
    }
    for (name, _) in ARROWS {
        assert!(crates.contains_key(*name), "`{name}` is in the list of arrows, but is no crate");
    }
}

/// Normal (not development or build) dependencies of each crate of the workspace.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().expect("a name");
            let imports = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
                .collect();
            (name.strip_prefix("haechi-").unwrap_or(name).to_owned(), imports)
        })
        .collect()
}
