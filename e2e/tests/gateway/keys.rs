//! Who may call: keys, tokens, rates; and what the event tells of it.

use haechi_e2e::{Gateway, Origin, Raw};
use serde_json::Value;

use crate::{SPEC, config};

fn guarded(origin: &Origin) -> Gateway {
    let yaml = config(origin.address()).replace("auth: none", "auth: [partner]\n    plan: small").replace(
        "apis:",
        "identity:\n  partner: { api_key: { header: X-Api-Key, collection: partners } }\n\
         plans:\n  small: { rate: 3/h, burst: 3, per: credential }\napis:",
    );
    Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)])
}

fn create(gateway: &Gateway, collection: &str) -> (String, String) {
    let made =
        gateway.json(&["keys", "create", "--collection", collection, "--name", "test", "--format", "json"]);
    let text = |member: &str| made[member].as_str().expect("a text").to_owned();
    (text("id"), text("key"))
}

fn call(gateway: &Gateway, key: Option<&str>) -> haechi_e2e::Response {
    let header = key.map(|key| format!("X-Api-Key: {key}\r\n")).unwrap_or_default();
    let request = format!("GET /items/7 HTTP/1.1\r\nHost: a\r\n{header}\r\n");
    Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response")
}

#[test]
fn a_key_opens_its_collection_until_it_is_revoked() {
    let origin = Origin::start();
    let gateway = guarded(&origin);
    let none = call(&gateway, None);
    assert_eq!(none.status, 401);
    assert!(none.head.to_ascii_lowercase().contains("www-authenticate:"), "{}", none.head);
    let (id, key) = create(&gateway, "partners");
    let (_, other) = create(&gateway, "others");
    assert_eq!(call(&gateway, Some(&key)).status, 200);
    assert_eq!(call(&gateway, Some(&other)).status, 401, "a key of another collection");
    let mut wrong = key.clone();
    wrong.replace_range(key.len() - 1.., if key.ends_with('a') { "b" } else { "a" });
    assert_eq!(call(&gateway, Some(&wrong)).status, 401);
    assert!(gateway.verb(&["keys", "revoke", &id]).status.success());
    assert_eq!(call(&gateway, Some(&key)).status, 401, "revoked with the next request");
    let upstream = origin.seen();
    assert_eq!(upstream.len(), 1);
    assert!(!upstream[0].head.contains(&key), "the upstream has no use for its callers' keys");
    assert!(
        upstream[0].head.to_ascii_lowercase().contains("x-haechi-identity: partner\r\n"),
        "{}",
        upstream[0].head
    );
}

#[test]
fn a_rate_is_told_and_kept() {
    let origin = Origin::start();
    let gateway = guarded(&origin);
    let (_, key) = create(&gateway, "partners");
    for left in [2, 1, 0] {
        let response = call(&gateway, Some(&key));
        assert_eq!(response.status, 200);
        let head = response.head.to_ascii_lowercase();
        assert!(head.contains(&format!("ratelimit: \"small\";r={left}")), "{head}");
    }
    let refused = call(&gateway, Some(&key));
    assert_eq!(refused.status, 429);
    assert!(refused.head.to_ascii_lowercase().contains("retry-after: "), "{}", refused.head);
    let (_, other) = create(&gateway, "partners");
    assert_eq!(call(&gateway, Some(&other)).status, 200, "another credential has its own rate");
    assert_eq!(origin.seen().len(), 4);
}

#[test]
fn why_tells_what_happened_to_a_request() {
    let origin = Origin::start();
    let gateway = guarded(&origin);
    let refused = call(&gateway, Some("hch_live_nonsense"));
    let problem: Value = serde_json::from_slice(&refused.body).expect("problem details");
    let id = problem["instance"].as_str().expect("an instance").trim_start_matches("urn:uuid:");
    let output = gateway.verb(&["why", id]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for expected in [id, "/items/7", "identity", "401"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("hch_live_nonsense"), "no credential is ever written: {text}");
    let tail = gateway.verb(&["events", "tail", "--lines", "5", "--format", "json"]);
    assert!(String::from_utf8_lossy(&tail.stdout).contains(id));
    let unknown = gateway.verb(&["why", "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn metrics_count_what_happens() {
    let origin = Origin::start();
    let yaml = config(origin.address()).replace("apis:", "control: { metrics: \"127.0.0.1:PORT\" }\napis:");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let yaml = yaml.replace("PORT", &free.port().to_string());
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    assert_eq!(call(&gateway, None).status, 200);
    let mut raw = Raw::connect(gateway.address());
    assert_eq!(raw.send(b"nonsense\r\n\r\n").response().expect("a response").status, 400);
    let mut collector = Raw::connect(free);
    let start = std::time::Instant::now();
    // A call is counted when its response has left, which the caller may see a moment earlier.
    loop {
        let metrics =
            collector.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").response().expect("metrics");
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let expected = [
            r#"haechi_requests_total{api="items",operation="getItem",status="2xx",outcome="forwarded"} 1"#,
            r#"haechi_requests_total{api="-",operation="-",status="4xx",outcome="refused"} 1"#,
            r#"haechi_activations_total{outcome="activated"} 1"#,
        ];
        let Some(missing) = expected.into_iter().find(|line| !text.contains(line)) else { break };
        assert!(start.elapsed() < haechi_e2e::PATIENCE, "{missing} in\n{text}");
    }
}

#[test]
fn traces_reach_the_collector() {
    let (origin, collector) = (Origin::start(), Origin::start());
    let telemetry =
        format!("telemetry: {{ otlp: {{ endpoint: \"http://{}\", sample: 100% }} }}\n", collector.address());
    let gateway =
        Gateway::start(&[("haechi.yaml", &(config(origin.address()) + &telemetry)), ("items.yaml", SPEC)]);
    assert_eq!(call(&gateway, None).status, 200);
    let start = std::time::Instant::now();
    let document = loop {
        if let Some(seen) = collector.seen().first() {
            assert!(seen.head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{}", seen.head);
            break serde_json::from_slice::<Value>(&seen.body).expect("JSON");
        }
        assert!(start.elapsed() < haechi_e2e::PATIENCE, "no trace was sent");
        std::thread::yield_now();
    };
    let spans = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let sent = &origin.seen()[0].head;
    let trace = spans[0]["traceId"].as_str().expect("a trace id");
    assert!(
        sent.contains(&format!("traceparent: 00-{trace}-")),
        "the upstream goes on with the trace: {sent}"
    );
    assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
}

#[test]
fn a_rotated_key_keeps_working_for_its_grace() {
    let origin = Origin::start();
    let gateway = guarded(&origin);
    let (id, old) = create(&gateway, "partners");
    let rotated = gateway.json(&["keys", "rotate", &id, "--grace", "1h", "--format", "json"]);
    let new = rotated["key"].as_str().expect("a key");
    assert_eq!(call(&gateway, Some(&old)).status, 200);
    assert_eq!(call(&gateway, Some(new)).status, 200);
    let again = gateway.json(&[
        "keys",
        "rotate",
        rotated["id"].as_str().expect("an id"),
        "--grace",
        "0s",
        "--format",
        "json",
    ]);
    assert_eq!(call(&gateway, Some(new)).status, 401, "without grace the old key is gone");
    assert_eq!(call(&gateway, again["key"].as_str()).status, 200);
}
