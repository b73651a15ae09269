//! What the documents say is done, as it is written.

use std::path::Path;
use std::process::Command;

use haechi_e2e::{binary, have};

/// The `sh` blocks of a page, in order.
fn commands(page: &str) -> String {
    let mut blocks = Vec::new();
    let mut block: Option<Vec<&str>> = None;
    for line in page.lines() {
        match (line, &mut block) {
            ("```sh", _) => block = Some(Vec::new()),
            ("```", Some(_)) => blocks.extend(block.take().map(|lines| lines.join("\n"))),
            (line, Some(lines)) => lines.push(line),
            _ => {}
        }
    }
    blocks.join("\n")
}

#[test]
fn the_guide_works_as_it_is_written() {
    if !have("curl") || !have("python3") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let guide = std::fs::read_to_string(root.join("docs/guide/getting-started.md")).expect("the guide");
    // The guide's ports may be in use here.
    let port = |_: u16| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").port().to_string()
    };
    let (service, gateway) = (port(9000), port(8080));
    let script = format!(
        "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n{}\nkill %2\n",
        commands(&guide).replace("9000", &service).replace(
            "--output haechi.yaml",
            &format!("--output haechi.yaml; sed -i 's/127.0.0.1:8080/127.0.0.1:{gateway}/' haechi.yaml")
        )
    )
    .replace("http://127.0.0.1:8080", &format!("http://127.0.0.1:{gateway}"));
    let dir = tempfile::tempdir().expect("a directory");
    let path = format!(
        "{}:{}",
        binary().parent().expect("a directory").display(),
        std::env::var("PATH").expect("a path")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for expected in [
        "haechi.yaml: good, 1 API with 1 operation",
        r#"{"name":"bulgogi","price":11}"#,
        "credentials-required",
        "unknown-operation",
        "contract-violation",
        "identity   refused",
        "loosened  plan",
        "activated ",
        "refused, as it should be",
        "credentials-refused",
    ] {
        assert!(stdout.contains(expected), "`{expected}` in\n{stdout}\n{stderr}");
    }
    assert!(stderr.contains("did you mean `clients`?"), "{stderr}");
    assert!(!stdout.contains("nobody should read this"));
}

/// The YAML examples of a page.
fn examples(page: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(page).expect("the chapter");
    let fenced = text.split("```yaml\n").skip(1);
    fenced.filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

/// `haechi check` accepts these files, of which one is `haechi.yaml`.
fn is_good(files: &[(&str, &str)]) {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let output = Command::new(binary()).arg("check").current_dir(dir.path()).output().expect("haechi runs");
    assert!(output.status.success(), "{}\n{}", files[0].1, String::from_utf8_lossy(&output.stderr));
}

/// The chapter's examples are parts of a `haechi.yaml`: what they leave out is the same for all.
#[test]
fn the_listeners_of_the_manual_are_good() {
    let examples = examples("docs/manual/tls.md");
    assert!(!examples.is_empty());
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let rest = crate::config("127.0.0.1:1".parse().expect("an address"));
    let (_, apis) = rest.split_once("apis:").expect("the APIs");
    for example in examples {
        is_good(&[
            ("haechi.yaml", &format!("haechi: 1\n{example}apis:{apis}")),
            ("items.yaml", crate::SPEC),
            ("tls.pem", &made.cert.pem()),
            ("tls.key", &made.signing_key.serialize_pem()),
            ("ca.pem", &made.cert.pem()),
        ]);
    }
}

/// The chapter's example: rules of one's own in the place of the Core Rule Set, with the ids and tags that are excluded.
#[test]
fn the_rules_against_attacks_of_the_manual_are_good() {
    let [example] = <[String; 1]>::try_from(examples("docs/manual/waf.md")).expect("one example");
    let spec = "openapi: 3.1.0\ninfo: { title: Shop, version: '1' }\npaths:\n  \
        /orders: { post: { operationId: createOrder, responses: { '201': { description: made } } } }\n";
    let rules = "SecRule ARGS \"@detectSQLi\" \"id:942100,phase:2,deny\"\n\
        SecRule ARGS \"@detectXSS\" \"id:941100,phase:2,deny,tag:attack-xss\"\n";
    let yaml = format!("haechi: 1\nlisten: [{{ address: \"127.0.0.1:0\" }}]\n{example}");
    let yaml = yaml.replace("[./crs, ./own/*.conf]", "[./attacks.conf, ./own*.conf]");
    is_good(&[("haechi.yaml", &yaml), ("shop.yaml", spec), ("attacks.conf", rules), ("own.conf", "")]);
}

/// The chapter's examples: APIs and services as they stand, operations as those of an API.
#[test]
fn the_protocols_of_the_manual_are_good() {
    let examples = examples("docs/manual/protocols.md");
    assert_eq!(examples.len(), 3);
    let spec = "openapi: 3.1.0\ninfo: { title: Chat, version: '1' }\npaths:\n  \
        /talk: { get: { operationId: talk, responses: { '200': { description: ok } } } }\n  \
        /upload: { put: { operationId: upload, responses: { '200': { description: ok } } } }\n";
    for example in examples {
        let example = match example.strip_prefix("operations:") {
            Some(operations) => format!(
                "apis:\n  chat:\n    openapi: ./chat.yaml\n    upstream: {{ urls: [\"http://chat\"] }}\n    auth: none\n    operations:{}",
                operations.replace('\n', "\n    ").trim_end()
            ),
            None => example,
        };
        let rest = "haechi: 1\nlisten: [{ address: \"127.0.0.1:0\" }]\n\
            identity: { customer: { api_key: { collection: customers } } }\n";
        is_good(&[("haechi.yaml", &format!("{rest}{example}\n")), ("chat.yaml", spec)]);
    }
}

/// The chapter's examples: services beside an API, and APIs as they stand.
#[test]
fn the_services_of_the_manual_are_good() {
    let examples = examples("docs/manual/services.md");
    assert_eq!(examples.len(), 3);
    for example in examples {
        let rest = "haechi: 1\nlisten: [{ address: \"127.0.0.1:0\" }]\n\
            identity: { partner: { api_key: { collection: partners } } }\nplans: { small: { rate: 5/s } }\n";
        is_good(&[("haechi.yaml", &format!("{rest}{example}")), ("items.yaml", crate::SPEC)]);
    }
}

/// The chapter's examples: upstreams of a service.
#[test]
fn the_upstreams_of_the_manual_are_good() {
    let examples = examples("docs/manual/upstreams.md");
    assert_eq!(examples.len(), 3);
    for example in examples {
        let upstream = example.trim_end().replace('\n', "\n    ");
        let rest =
            "haechi: 1\nlisten: [{ address: \"127.0.0.1:0\" }]\nservices:\n  website:\n    auth: none\n    ";
        is_good(&[("haechi.yaml", &format!("{rest}{upstream}\n"))]);
    }
}

/// The chapter's example, with files that others made.
#[test]
fn the_lists_of_the_manual_are_good() {
    let examples = examples("docs/manual/lists.md");
    assert_eq!(examples.len(), 1);
    let dir = tempfile::tempdir().expect("a directory");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lists/tests/data");
    for (from, to) in [("country.mmdb", "GeoLite2-Country.mmdb"), ("asn.mmdb", "GeoLite2-ASN.mmdb")] {
        std::fs::copy(data.join(from), dir.path().join(to)).expect("copied");
    }
    let rest = "haechi: 1\nlisten: [{ address: \"127.0.0.1:0\" }]\n\
        identity: { partner: { api_key: { collection: partners } } }\n";
    let spec = "openapi: 3.1.0\ninfo: { title: Shop, version: '1' }\npaths:\n  \
        /deliveries: { post: { operationId: deliver, responses: { '200': { description: ok } } } }\n";
    for (name, text) in [
        ("haechi.yaml", &*format!("{rest}{}", examples[0])),
        ("shop.yaml", spec),
        ("couriers.txt", "AS64500 # bicycles\n"),
        ("scanners.txt", "1.10.16.0/20 ; SBL256894\n"),
    ] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let output = Command::new(binary()).arg("check").current_dir(dir.path()).output().expect("haechi runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_guide_to_change_works_as_it_is_written() {
    if !have("curl") || !have("python3") {
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/change.md");
    let mut script = commands(&std::fs::read_to_string(page).expect("the guide"));
    // The guide's ports may be in use here.
    for port in ["9000", "8080", "8081"] {
        script = script.replace(port, &haechi_e2e::free().port().to_string());
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = format!(
        "{}:{}",
        binary().parent().expect("a directory").display(),
        std::env::var("PATH").expect("a path")
    );
    let output = Command::new("bash")
        .args(["-c", &format!("set -eu\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n{script}\n")])
        .current_dir(dir.path())
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for expected in [
        "400 contract:enum",
        "in staging",
        "contract-violation",
        "ROLLED BACK: calls refused by `contract:enum`",
        "held: as good as what was there",
        "activated ",
        "rolled-back ",
        "the oven is too small",
    ] {
        assert!(stdout.contains(expected), "`{expected}` in\n{stdout}\n{stderr}");
    }
}

#[test]
fn the_rules_of_the_manual_are_tested_measured_and_explained() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manual/waf-rules.md");
    let script = commands(&std::fs::read_to_string(page).expect("the chapter"));
    let dir = tempfile::tempdir().expect("a directory");
    let path = format!(
        "{}:{}",
        binary().parent().expect("a directory").display(),
        std::env::var("PATH").expect("a path")
    );
    let output = Command::new("bash")
        .args(["-euc", &script])
        .current_dir(dir.path())
        .env("PATH", path)
        .output()
        .expect("bash runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        "9010110 in phase 2: SQL: UNION SELECT",
        "no rule matches",
        "\"verdict\": \"pass\"",
        "2 passed, 0 failed, 0 skipped",
        "{\"passed\":2,\"failed\":0,\"skipped\":0,\"failures\":[]}",
    ] {
        assert!(stdout.contains(expected), "`{expected}` in\n{stdout}");
    }
}

#[test]
fn the_readmes_name_the_same_commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect(name);
    let plain = |text: String| -> Vec<String> {
        text.lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim().to_owned())
            .map(|line| {
                // What is in quotes may be translated.
                line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
            })
            .collect()
    };
    let (english, korean) = (commands(&read("README.md")), commands(&read("README.ko.md")));
    assert_eq!(plain(english.clone()), plain(korean));
    let makefile = read("Makefile");
    for command in english.lines().filter_map(|line| line.strip_prefix("make ")) {
        let target = command.split_whitespace().next().expect("a target");
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
}
