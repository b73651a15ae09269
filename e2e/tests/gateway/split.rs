//! Upstreams whose calls are split, under load: who gets how many, who stays where, and what a dead part costs.

use std::collections::HashMap;
use std::net::SocketAddr;

use haechi_e2e::{Fault, Faulty, Gateway, Origin, Raw, eventually};

use crate::upstreams::Load;
use crate::{SPEC, config, metric};

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n";

/// The items behind `main`, split like this.
fn yaml(main: SocketAddr, split: &str) -> String {
    let upstream = format!("upstream: {{ urls: [\"http://{main}\"] }}");
    config(main)
        .replace(&upstream, &format!("upstream:\n      urls: [\"http://{main}\"]\n      split: {split}"))
        .replace("listen:", "workers: 2\nactivation: { on_change: nothing }\nlisten:")
}

fn gateway(main: SocketAddr, split: &str) -> Gateway {
    Gateway::start(&[("haechi.yaml", &yaml(main, split)), ("items.yaml", SPEC)])
}

fn green(share: &str, at: SocketAddr) -> String {
    format!("{{ parts: {{ green: {{ share: {share}, urls: [\"http://{at}\"] }} }} }}")
}

/// Calls by the part of the upstream they were sent to, from the metrics.
fn sent_to(gateway: &Gateway, part: &str) -> u64 {
    metric(gateway, &format!("haechi_split_requests_total{{upstream=\"items\",part=\"{part}\"}}"))
}

#[test]
fn each_part_gets_its_share_of_some_thousand_calls_exactly() {
    let (main, green, next) = (Faulty::start(), Faulty::start(), Faulty::start());
    let split = format!(
        "{{ parts: {{ green: {{ share: 25%, urls: [\"http://{}\"] }}, next: {{ share: 0.5%, urls: [\"http://{}\"] }} }} }}",
        green.address(),
        next.address()
    );
    let gateway = gateway(main.address(), &split);
    let address = gateway.address();
    let caller = |_| {
        std::thread::spawn(move || {
            let mut raw = Raw::connect(address);
            (0..1000).filter(|_| raw.send(GET).response().expect("an answer").status == 200).count()
        })
    };
    // Four callers at once, and two workers.
    let callers: Vec<_> = (0..4).map(caller).collect();
    let good: usize = callers.into_iter().map(|caller| caller.join().expect("a caller that ends")).sum();
    assert_eq!(good, 4000);
    eventually("all are counted", || main.served() + green.served() + next.served() == 4000);
    assert_eq!((main.served(), green.served(), next.served()), (2980, 1000, 20));
    assert_eq!(["main", "green", "next"].map(|part| sent_to(&gateway, part)), [2980, 1000, 20]);
    let status = String::from_utf8_lossy(&gateway.verb(&["status"]).stdout).into_owned();
    assert!(status.contains("split       items: main 74.5%, green 25%, next 0.5%\n"), "{status}");
    assert!(status.contains("upstream    items/green: breaker closed"), "{status}");
    let of_green = gateway.event("of green", |event| event["split"] == "green");
    let id = of_green["id"].as_str().expect("an id").to_owned();
    let why = String::from_utf8_lossy(&gateway.verb(&["why", &id]).stdout).into_owned();
    assert!(why.contains(&format!("upstream   {} (green): 200", green.address())), "{why}");
    let counts = gateway.json(&["events", "count", "--by", "split", "--format", "json"]);
    let groups = counts["groups"].as_array().expect("groups");
    assert!(groups.iter().any(|group| group["values"][0] == "green"), "{counts}");
}

#[test]
fn a_switch_from_blue_to_green_and_back_drops_nothing() {
    let (blue, other) = (Faulty::start(), Faulty::start());
    let gateway = gateway(blue.address(), &green("0%", other.address()));
    let load = Load::start(gateway.address());
    eventually("blue serves", || blue.served() > 100);
    assert_eq!(other.served(), 0);
    let switch = |share: &str, from: &Faulty, to: &Faulty| {
        gateway.replace("haechi.yaml", &yaml(blue.address(), &green(share, other.address())));
        let output = gateway.verb(&["activate", "--no-guard"]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && told.contains("split.green"), "{output:?}");
        // Calls in flight end where they are; then nothing goes there any more.
        eventually("all goes to the other", || {
            let (left, before) = (from.served(), to.served());
            eventually("the other serves", || to.served() > before + 100);
            from.served() == left
        });
    };
    for _ in 0..3 {
        switch("100%", &blue, &other);
        switch("0%", &other, &blue);
    }
    let met = load.end("six switches between blue and green");
    assert_eq!((met.bad, met.cut), (0, 0));
}

#[test]
fn callers_stay_on_their_part_and_a_share_that_grows_takes_nobody_off_it() {
    let answer = |text: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    let (main, other) = (Origin::answering(answer("main")), Origin::answering(answer("green")));
    let sticky = |share: &str| {
        let split = green(share, other.address()).replacen('{', "{ sticky: address,", 1);
        let trusted = "address: \"127.0.0.1:0\"\n    trusted_proxies: [\"127.0.0.0/8\"]";
        yaml(main.address(), &split).replace("address: \"127.0.0.1:0\"", trusted)
    };
    let gateway = Gateway::start(&[("haechi.yaml", &sticky("20%")), ("items.yaml", SPEC)]);
    let mut raw = Raw::connect(gateway.address());
    let mut round = || -> HashMap<u32, String> {
        let mut part = |caller: u32| {
            let call =
                format!("GET /items/7 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.{caller}\r\n\r\n");
            let answer = raw.send(call.as_bytes()).response().expect("an answer");
            String::from_utf8_lossy(&answer.body).into_owned()
        };
        (0..250).map(|caller| (caller, part(caller))).collect()
    };
    let few = round();
    let on = |round: &HashMap<u32, String>| round.values().filter(|part| *part == "green").count();
    assert!((25..80).contains(&on(&few)), "{} of 250 are no fifth", on(&few));
    assert_eq!(few, round(), "every caller stays");
    gateway.replace("haechi.yaml", &sticky("60%"));
    assert!(gateway.verb(&["activate", "--no-guard"]).status.success());
    let many = round();
    assert!((110..190).contains(&on(&many)), "{} of 250 are no three fifths", on(&many));
    assert!(few.iter().all(|(caller, part)| part == "main" || many[caller] == "green"));
}

#[test]
fn a_part_that_dies_is_served_by_main_and_callers_do_not_notice() {
    let (main, other) = (Faulty::start(), Faulty::start());
    let split = format!("{}\n      ejection: {{ for: 1s, longest: 2s }}", green("50%", other.address()));
    let gateway = gateway(main.address(), &split);
    let load = Load::start(gateway.address());
    eventually("both serve", || main.served() > 100 && other.served() > 100);
    other.stop();
    let fallbacks = "haechi_split_fallbacks_total{upstream=\"items\",part=\"green\"}";
    eventually("main serves for it", || metric(&gateway, fallbacks) > 200);
    let state = || {
        let status = gateway.json(&["status", "--format", "json"]);
        let upstreams = status["edge"]["upstreams"].as_array().expect("upstreams").clone();
        let part = upstreams.iter().find(|one| one["name"] == "items/green").expect("the part");
        part["endpoints"][0]["state"].as_str().expect("a state").to_owned()
    };
    eventually("its only address is left out", || state() == "ejected");
    let back = Faulty::at(other.address());
    eventually("it serves again", || back.served() > 100);
    let met = load.end("a part that dies and comes back");
    assert_eq!((met.bad, met.cut), (0, 0));
}

#[test]
fn what_never_left_for_a_part_goes_to_main_whatever_its_method() {
    let (main, gone) = (Origin::start(), Faulty::start());
    gone.stop();
    let gateway = gateway(main.address(), &green("100%", gone.address()));
    let body = r#"{"name": "pizza", "quantity": 1}"#;
    let post = format!(
        "POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = Raw::connect(gateway.address()).send(post.as_bytes()).response().expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(main.seen().len(), 1);
    assert_eq!(main.seen()[0].body, body.as_bytes());
    let told = gateway.event("of the call", |event| event["operation"] == "createItem");
    assert_eq!((told["split"].as_str(), told["attempts"].as_u64()), (Some("main"), Some(2)), "{told}");
}

#[test]
fn what_a_part_answers_is_the_answer_and_its_retries_stay_with_it() {
    let (main, other) = (Faulty::start(), Faulty::start());
    let split = green("100%", other.address());
    let more = format!("{}\n      retries: {{ on: [reset, timeout, 503] }}\n", split);
    let gateway = gateway(main.address(), &more);
    other.set(Fault::Unavailable);
    let answer = Raw::connect(gateway.address()).send(GET).response().expect("an answer");
    assert_eq!((answer.status, main.served()), (503, 0));
    let told = gateway.event("of the call", |event| event["operation"] == "getItem");
    assert_eq!((told["split"].as_str(), told["attempts"].as_u64()), (Some("green"), Some(3)), "{told}");
}
