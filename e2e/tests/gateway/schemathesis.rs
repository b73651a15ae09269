//! Calls that a tool generates from the shop's contracts, good ones and bad ones, through the gateway.

use std::process::Command;

use haechi_demo::{FILES, Shop, config_yaml};
use haechi_e2e::{Gateway, python};

/// Calls generated for each operation.
const EXAMPLES: &str = "--max-examples=25";

#[test]
fn no_generated_call_finds_a_gateway_error() {
    let Some(python) = python() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let shop = runtime.block_on(Shop::open(dir.path())).expect("the shop opens");
    let listen = "127.0.0.1:0".parse().expect("an address");
    // The tool calls faster than any customer.
    let config = config_yaml(&shop, listen).replace("/s, burst: ", "0000/s, burst: 10000");
    let mut files = vec![("haechi.yaml", config.as_str())];
    files.extend(FILES);
    let gateway = Gateway::start(&files);
    let key = gateway.json(&[
        "keys",
        "create",
        "--collection",
        "delivery-partners",
        "--name",
        "st",
        "--format",
        "json",
    ]);
    for (name, text) in FILES {
        let api = name.trim_end_matches(".yaml");
        // `Connection: close`: the tool's own pool reports a closed idle connection as a failure.
        let output = Command::new(&python)
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
            .arg(format!("--header=Authorization: Bearer {}", shop.token(5)))
            .arg(format!("--header=X-Api-Key: {}", key["key"].as_str().expect("a key")))
            .arg(gateway.dir().join(name))
            .current_dir(dir.path())
            .output()
            .expect("schemathesis runs");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {report}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            report.contains("passed") || report.contains("generated"),
            "{name} was not tested:\n{report}"
        );
        assert!(text.contains("operationId"));
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
