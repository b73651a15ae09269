//! Copies of calls: what is copied, and that callers never notice what becomes of it.

use std::net::SocketAddr;

use haechi_e2e::{Fault, Faulty, Gateway, Origin, Raw, eventually};

use crate::upstreams::Load;
use crate::{SPEC, config, metric};

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: a\r\nX-Haechi-Mirror: 0\r\n\r\n";

/// The items behind `main`, copied like this.
fn gateway(main: SocketAddr, mirror: &str) -> Gateway {
    let upstream = format!("upstream: {{ urls: [\"http://{main}\"] }}");
    let mirrored =
        format!("upstream:\n      urls: [\"http://{main}\"]\n      body_timeout: 5s\n      mirror: {mirror}");
    let yaml = config(main).replace(&upstream, &mirrored).replace("listen:", "workers: 2\nlisten:");
    Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)])
}

fn copies(gateway: &Gateway, outcome: &str) -> u64 {
    let labels = format!("{{upstream=\"items\",outcome=\"{outcome}\"}}");
    metric(gateway, &format!("haechi_mirror_requests_total{labels}"))
}

fn field(head: &str, name: &str) -> Option<String> {
    let head = head.to_ascii_lowercase();
    head.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
}

#[test]
fn a_share_of_the_calls_is_copied_exactly_and_the_copies_are_marked() {
    let (main, mirror) = (Origin::start(), Origin::start());
    let gateway =
        gateway(main.address(), &format!("{{ urls: [\"http://{}\"], share: 12.5% }}", mirror.address()));
    let mut raw = Raw::connect(gateway.address());
    for _ in 0..2000 {
        assert_eq!(raw.send(GET).response().expect("an answer").status, 200);
    }
    // On a busy machine some may find no room.
    eventually("all copies are counted", || copies(&gateway, "sent") + copies(&gateway, "dropped") == 250);
    assert_eq!(copies(&gateway, "failed"), 0);
    let (calls, copied) = (main.seen(), mirror.seen());
    assert_eq!((calls.len(), copied.len() as u64), (2000, copies(&gateway, "sent")));
    assert!(calls.iter().all(|call| field(&call.head, "x-haechi-mirror").is_none()));
    for copy in &copied {
        assert!(copy.head.starts_with("GET /items/7 HTTP/1.1\r\n"), "{}", copy.head);
        assert_eq!(field(&copy.head, "x-haechi-mirror").as_deref(), Some("1"));
        let id = field(&copy.head, "x-request-id").expect("an id");
        assert!(calls.iter().any(|call| field(&call.head, "x-request-id").as_ref() == Some(&id)));
    }
    let status = String::from_utf8_lossy(&gateway.verb(&["status"]).stdout).into_owned();
    assert!(status.contains("mirror      items: 12.5% of GET, HEAD"), "{status}");
    assert!(status.contains("upstream    items/mirror: "), "{status}");
}

#[test]
fn bodies_that_were_judged_are_copied_and_those_that_pass_are_not() {
    let (main, mirror) = (Origin::start(), Origin::start());
    let mirrored = format!("{{ urls: [\"http://{}\"], methods: [POST, PUT] }}", mirror.address());
    let gateway = gateway(main.address(), &mirrored);
    let body = r#"{"name": "pizza", "quantity": 1}"#;
    let call = |line: &str, kind: &str| {
        let length = body.len();
        format!(
            "{line} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let mut raw = Raw::connect(gateway.address());
    let put = call("PUT /files/a", "application/octet-stream");
    for call in [put, call("POST /items", "application/json")] {
        assert_eq!(raw.send(call.as_bytes()).response().expect("an answer").status, 200);
    }
    assert_eq!(raw.send(GET).response().expect("an answer").status, 200, "of another method");
    eventually("one is copied", || copies(&gateway, "sent") == 1);
    let (calls, copied) = (main.seen(), mirror.seen());
    assert_eq!((calls.len(), copied.len()), (3, 1));
    assert!(copied[0].head.starts_with("POST /items "), "{}", copied[0].head);
    assert_eq!(copied[0].body, body.as_bytes());
}

#[test]
fn a_mirror_that_fails_is_not_noticed_by_callers_whatever_it_does() {
    let (main, mirror) = (Faulty::start(), Faulty::start());
    let gateway = gateway(main.address(), &format!("{{ urls: [\"http://{}\"] }}", mirror.address()));
    let load = Load::start(gateway.address());
    eventually("copies are sent", || mirror.served() > 100);
    for fault in [Fault::Unavailable, Fault::ResetMidBody, Fault::SlowBody, Fault::Kill] {
        let (failed, served) = (copies(&gateway, "failed"), main.served());
        mirror.set(fault);
        eventually("copies fail", || copies(&gateway, "failed") > failed + 10);
        eventually("calls go on", || main.served() > served + 500);
        let served = mirror.served();
        mirror.set(Fault::None);
        eventually("copies are sent again", || mirror.served() > served + 20);
    }
    mirror.set(Fault::Hang);
    eventually("there is no room for more", || copies(&gateway, "dropped") > 100);
    let served = main.served();
    eventually("calls go on", || main.served() > served + 500);
    mirror.stop();
    let (failed, served) = (copies(&gateway, "failed"), main.served());
    eventually("nobody is there any more", || copies(&gateway, "failed") > failed + 100);
    eventually("calls go on", || main.served() > served + 500);
    let status = gateway.json(&["status", "--format", "json"]);
    let upstreams = status["edge"]["upstreams"].as_array().expect("upstreams");
    let items = upstreams.iter().find(|one| one["name"] == "items").expect("the items");
    assert_eq!(
        (items["endpoints"][0]["failures"].as_u64(), items["endpoints"][0]["state"].as_str()),
        (Some(0), Some("healthy"))
    );
    let met = load.end("a mirror that answers 503, breaks off, stops, is killed, hangs and is gone");
    assert_eq!((met.bad, met.cut), (0, 0));
}
