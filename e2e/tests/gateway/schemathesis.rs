//! Calls that a tool generates from the shop's contracts, good ones and bad ones, through the gateway.

use std::process::{Child, Command, Stdio};

use haechi_demo::FILES;
use haechi_e2e::python;

use crate::shop::{Open, open};

/// Calls generated for each operation and phase.
const EXAMPLES: &str = "--max-examples=20";
/// Contracts that are tried at once: the tool itself is what takes the time.
const AT_ONCE: usize = 3;

#[test]
fn no_generated_call_finds_a_gateway_error() {
    let Some(python) = python() else { return };
    let Open { gateway, shop, dir, .. } = &open();
    let key = |collection: &str| {
        let arguments = ["keys", "create", "--collection", collection, "--name", "st", "--format", "json"];
        gateway.json(&arguments)["key"].as_str().expect("a key").to_owned()
    };
    let (partner, kiosk, voice) = (key("delivery-partners"), key("kiosks"), key("voice-providers"));
    let start = |name: &str| {
        let api = name.trim_end_matches(".yaml");
        let key = match api {
            "cash" => &kiosk,
            "calls" => &voice,
            _ => &partner,
        };
        // `Connection: close`: the tool's own pool reports a closed idle connection as a failure.
        Command::new(&python)
            .args([
                "-m",
                "schemathesis.cli",
                "run",
                EXAMPLES,
                "--seed=7",
                "--phases=examples,coverage,fuzzing",
                "--no-color",
            ])
            .args(["--checks=not_a_server_error,content_type_conformance", "--request-timeout=10"])
            .arg(format!("--url=http://{}/{api}", gateway.address()))
            .arg(format!("--header=Authorization: Bearer {}", shop.token(5, "web")))
            .arg(format!("--header=X-Api-Key: {key}"))
            .arg(gateway.dir().join(name))
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("schemathesis runs")
    };
    let end = |name: &str, tool: Child| {
        let output = tool.wait_with_output().expect("its end");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {report}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            report.contains("passed") || report.contains("generated"),
            "{name} was not tested:\n{report}"
        );
    };
    for files in FILES.chunks(AT_ONCE) {
        let tools: Vec<_> = files.iter().map(|(name, _)| (*name, start(name))).collect();
        for (name, tool) in tools {
            end(name, tool);
        }
    }
    for (name, _) in FILES {
        let api = name.trim_end_matches(".yaml");
        gateway.event(&format!("a generated call of {api} was served"), |event| {
            event["api"] == api && event["outcome"] == "forwarded"
        });
    }
    // It has tried many calls that the contract refuses, and some that it does not.
    let metrics = gateway.events(100_000);
    let count = |outcome: &str| metrics.iter().filter(|event| event["outcome"] == outcome).count();
    assert!(
        count("forwarded") > 100 && count("refused") > 100,
        "{} and {}",
        count("forwarded"),
        count("refused")
    );
    assert_eq!(count("failed"), 0, "{:?}", metrics.iter().find(|event| event["outcome"] == "failed"));
}
