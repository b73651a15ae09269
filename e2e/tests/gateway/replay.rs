//! Requests that are kept for replays: redacted, and judged with their bodies.

use haechi_e2e::{Gateway, Origin, Raw, eventually};
use serde_json::{Value, json};
use std::path::Path;

use crate::{SPEC, config, metric};

/// Sent in every place where a secret may stand.
const SECRET: &str = "s3cr3t-v4lue";

/// The manual's own example, with all requests for a sample.
fn kept(origin: &Origin) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/manual/change.md");
    let page = std::fs::read_to_string(page).expect("the chapter");
    let example =
        page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let identity = "identity: { customer: { api_key: { header: X-Customer, collection: customers } } }\n";
    format!("{}{identity}{}", config(origin.address()), example.replace("sample: 1%", "sample: 100%"))
}

fn post(headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Every file below a directory, as text.
fn texts(dir: &Path, take: &mut dyn FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            texts(&path, take);
        } else {
            take(&path, &String::from_utf8_lossy(&std::fs::read(&path).expect("a file")));
        }
    }
}

#[test]
fn a_narrowed_body_is_judged_by_kept_requests_that_hold_no_secret() {
    let origin = Origin::start();
    let spec = SPEC.replace("additionalProperties: false", "additionalProperties: true");
    let gateway = Gateway::start(&[("haechi.yaml", &kept(&origin)), ("items.yaml", &spec)]);
    let mut raw = Raw::connect(gateway.address());
    let secrets = format!("Authorization: Custom {SECRET}\r\nCookie: a={SECRET}\r\nX-Customer: {SECRET}\r\n");
    let bodies = [
        json!({ "name": "kimchi", "quantity": 3 }),
        json!({ "name": "mandu", "quantity": 9 }),
        json!({ "name": "tteok", "quantity": 9, "password": SECRET }),
        json!({ "name": "gimbap", "quantity": 3, "account": { "apiKey": SECRET } }),
        // Longer than what is kept.
        json!({ "name": "ramyeon", "quantity": 9, "note": "n".repeat(20_000) }),
    ];
    for body in &bodies {
        let status = raw.send(&post(&secrets, body)).response().expect("a response").status;
        assert!(status < 300, "{status} for {body}");
    }
    let query = format!("GET /items/7?token={SECRET} HTTP/1.1\r\nHost: a\r\n\r\n");
    raw.send(query.as_bytes()).response().expect("a response");
    eventually("they are kept", || metric(&gateway, "haechi_requests_kept_total") >= 6);
    gateway.requests(6);

    let (mut files, mut found) = (0, false);
    texts(&gateway.dir().join("haechi-events"), &mut |path, text| {
        files += 1;
        found |= text.contains("mandu");
        assert!(!text.contains(SECRET), "{}", path.display());
    });
    assert!(files >= 2 && found, "{files} files");

    std::fs::create_dir(gateway.dir().join("next")).expect("made");
    gateway.replace("next/items.yaml", &spec.replace("maximum: 20", "maximum: 5"));
    gateway.replace("next/haechi.yaml", &kept(&origin));
    let arguments = ["replay", "--socket", "haechi.sock", "--candidate", "next/haechi.yaml", "--since", "1h"];
    let output = gateway.verb(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    // Two kept bodies ask for too many; of one it cannot be said, for a secret is hidden, and one was too long.
    assert_eq!((&report["different"], &report["with_body"]), (&json!(2), &json!(3)), "{report}");
    assert_eq!(report["differences"][0]["to"], json!("400 contract:maximum"), "{report}");
    let unjudged: Vec<_> = report["unjudged"].as_array().expect("a list").iter().collect();
    let whys: Vec<_> = unjudged.iter().filter_map(|one| one["why"].as_str()).collect();
    assert_eq!(unjudged.iter().filter_map(|one| one["count"].as_u64()).sum::<u64>(), 2, "{report}");
    assert!(whys.iter().any(|why| why.contains("secrets")), "{report}");
    let told = String::from_utf8_lossy(&gateway.verb(&arguments).stdout).into_owned();
    assert!(told.contains("3 of them with their recorded bodies"), "{told}");
}
