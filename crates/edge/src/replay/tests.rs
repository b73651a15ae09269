//! An hour of made-up traffic, and deliberate changes: each must be named exactly, and nothing else.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use haechi_events::{KeptRequest, RequestId, Text};
use http::Method;
use serde_json::json;

use super::*;
use crate::files::Contents;

const CONFIG: &str = r#"haechi: 1
listen: [{ address: "127.0.0.1:0" }]
identity:
  customer: { api_key: { header: X-Customer, collection: customers } }
  partner: { api_key: { header: X-Partner, collection: partners } }
plans:
  steady: { rate: 10/s, burst: 10 }
apis:
  shop:
    openapi: shop.yaml
    upstream: { urls: ["http://127.0.0.1:1"] }
    auth: [customer, partner]
    plan: steady
    operations:
      getMenu: { auth: none, plan: { customer: steady } }
"#;

const SPEC: &str = r#"openapi: 3.1.0
info: { title: Shop, version: "1" }
paths:
  /menu:
    get:
      operationId: getMenu
      parameters: [{ name: size, in: query, schema: { type: string, enum: [S, M, L] } }]
      responses: { "200": { description: menu } }
  /orders/{id}:
    get:
      operationId: getOrder
      parameters: [{ name: id, in: path, required: true, schema: { type: string, pattern: "^[0-9]+$" } }]
      responses: { "200": { description: order } }
    delete:
      operationId: cancelOrder
      parameters: [{ name: id, in: path, required: true, schema: { type: string } }]
      responses: { "200": { description: gone } }
  /orders:
    post:
      operationId: createOrder
      requestBody: { required: true, content: { application/json: { schema: { type: object, required: [pizza] } } } }
      responses: { "201": { description: made } }
"#;

/// Calls of the hour.
const CALLS: u64 = 120_000;

fn evaluator(config: &str, spec: &str) -> Evaluator {
    let base = Path::new("/nowhere");
    let contents = Contents::from([("shop.yaml".to_owned(), spec.as_bytes().into())]);
    let config = Config::parse(config, &base.join("haechi.yaml")).expect("a configuration");
    match Evaluator::new(config, &mut Files::kept(base, contents)) {
        Ok(evaluator) => evaluator,
        Err(error) => panic!("{error:?}"),
    }
}

/// The hour: every caller and every kind of call, at known numbers. Call `n` is made 30 ms after the one before.
fn call(n: u64) -> Event {
    let time = Duration::from_millis(1_700_000_000_000 + n * 30);
    let mut event = Event {
        id: RequestId::generate(UNIX_EPOCH + time),
        time_us: u64::try_from(time.as_micros()).expect("a time"),
        weight: 1,
        client: Some(std::net::IpAddr::V4(Ipv4Addr::from(u32::try_from(n % 500).expect("small")))),
        host: "shop.example".into(),
        ..Event::default()
    };
    let (method, path, query): (Method, String, &str) = match n % 10 {
        0..=3 => (
            Method::GET,
            "/menu".to_owned(),
            ["", "size=S", "size=M", "size=L"][usize::try_from(n % 4).expect("small")],
        ),
        4..=6 => (Method::GET, format!("/orders/{}", n % 1000), ""),
        7 => (Method::DELETE, format!("/orders/{}", n % 1000), ""),
        8 => (Method::POST, "/orders".to_owned(), ""),
        _ => (Method::GET, "/secret".to_owned(), ""),
    };
    event.method = Text::from(method.as_str().to_owned());
    event.path = path.into();
    event.query = query.into();
    if n % 10 == 8 {
        event.request_bytes = 20;
        event.content_type = "application/json".into();
    }
    // A third of those who must are customers, a third partners, a third have a wrong key.
    if (4..=8).contains(&(n % 10)) {
        match n / 10 % 3 {
            2 => event.verdicts.push(VerdictRecord::denied(
                "identity",
                Mode::Enforce,
                vec![Reason::new("key-unknown", "")],
            )),
            kind => {
                event.identity = if kind == 0 { "customer" } else { "partner" }.into();
                event.subject = format!("{}", n / 10 % 300).into();
                event.credential = event.subject.clone();
                event.credential_kind = "api_key".into();
            }
        }
    }
    event
}

fn replay(config: &str, spec: &str) -> Report {
    let mut replay = Replay::new(evaluator(CONFIG, SPEC), evaluator(config, spec));
    // Recorded when they end, so not in order.
    let mut numbers: Vec<u64> = (0..CALLS).collect();
    numbers.chunks_mut(50).for_each(<[u64]>::reverse);
    numbers.into_iter().for_each(|number| replay.feed(call(number)));
    replay.finish()
}

fn differences(report: &Report) -> BTreeMap<(&str, &str, &str), u64> {
    report
        .differences
        .iter()
        .map(|d| ((d.operation.as_str(), d.from.as_str(), d.to.as_str()), d.count))
        .collect()
}

/// How many calls of the hour are so.
fn count(is_so: impl Fn(u64) -> bool) -> u64 {
    (0..CALLS).filter(|number| is_so(*number)).count() as u64
}

#[test]
fn nothing_differs_where_nothing_changed() {
    let report = replay(CONFIG, SPEC);
    assert_eq!((report.requests, report.same, report.different), (CALLS, CALLS, 0));
    assert!(report.unjudged.is_empty(), "{:?}", report.unjudged);
    let reworded = CONFIG.replace("apis:", "# a comment\napis:");
    assert_eq!(replay(&reworded, SPEC).same, CALLS);
}

#[test]
fn an_operation_that_is_hidden_is_named_and_nothing_else() {
    let report = replay(&format!("{CONFIG}      cancelOrder: {{ expose: false }}\n"), SPEC);
    let known = count(|n| n % 10 == 7 && n / 10 % 3 != 2);
    let unknown = count(|n| n % 10 == 7 && n / 10 % 3 == 2);
    assert_eq!(
        differences(&report),
        BTreeMap::from([
            (("cancelOrder", "admitted", "404 contract:unknown-operation"), known),
            (("cancelOrder", "401 identity:key-unknown", "404 contract:unknown-operation"), unknown),
        ])
    );
    assert_eq!(report.same, CALLS - known - unknown);
    assert!(report.unjudged.is_empty(), "{:?}", report.unjudged);
    assert_eq!(report.differences[0].examples.len(), 3);
}

#[test]
fn an_identity_that_is_no_longer_accepted_is_named_and_nothing_else() {
    let report = replay(&format!("{CONFIG}      getOrder: {{ auth: [customer] }}\n"), SPEC);
    let partners = count(|n| (4..=6).contains(&(n % 10)) && n / 10 % 3 == 1);
    assert_eq!(
        differences(&report),
        BTreeMap::from([(("getOrder", "admitted", "401 identity:identity-not-accepted"), partners)])
    );
    assert_eq!(report.same, CALLS - partners);
    assert!(report.unjudged.is_empty(), "{:?}", report.unjudged);
}

#[test]
fn a_rule_is_judged_by_what_is_recorded() {
    let rule = "rules: [{ name: no-partners, when: \"principal.identity == 'partner' && operation == 'getOrder'\" }]\n";
    let report = replay(&format!("{CONFIG}{rule}"), SPEC);
    let partners = count(|n| (4..=6).contains(&(n % 10)) && n / 10 % 3 == 1);
    assert_eq!(
        differences(&report),
        BTreeMap::from([(("getOrder", "admitted", "403 access:rule"), partners)])
    );
    assert!(report.unjudged.is_empty(), "{:?}", report.unjudged);
}

/// The shop, whose menu a list of addresses may not see.
fn listed() -> String {
    let menu = CONFIG.replace("getMenu: {", "getMenu: { callers: { deny: [low] },");
    format!(
        "{menu}      getOrder: {{ callers: {{ deny: [low] }} }}\nlists: {{ low: {{ entries: [\"0.0.0.0/28\"] }} }}\n"
    )
}

#[test]
fn a_list_is_judged_by_the_recorded_address() {
    let report = replay(&listed(), SPEC);
    let low = |kinds: std::ops::RangeInclusive<u64>| count(|n| kinds.contains(&(n % 10)) && n % 500 < 16);
    let bad_key = count(|n| (4..=6).contains(&(n % 10)) && n % 500 < 16 && n / 10 % 3 == 2);
    assert_eq!(
        differences(&report),
        BTreeMap::from([
            (("getMenu", "admitted", "403 lists:listed"), low(0..=3)),
            (("getOrder", "401 identity:key-unknown", "403 lists:listed"), bad_key),
            (("getOrder", "admitted", "403 lists:listed"), low(4..=6) - bad_key),
        ])
    );
    assert!(report.unjudged.is_empty(), "{:?}", report.unjudged);
}

#[test]
fn whom_a_list_refused_is_not_guessed_to_have_credentials() {
    let mut replay = Replay::new(evaluator(&listed(), SPEC), evaluator(CONFIG, SPEC));
    let asks = |n: &u64| (4..=6).contains(&(n % 10)) && n % 500 < 16;
    (0..CALLS).filter(asks).for_each(|number| {
        let mut event = call(number);
        // The list came first: nothing was learned of the caller.
        event.identity = Text::EMPTY;
        event.verdicts = vec![VerdictRecord::denied("lists", Mode::Enforce, vec![Reason::new("listed", "")])];
        replay.feed(event);
    });
    let report = replay.finish();
    assert_eq!(report.different, 0, "{:?}", report.differences);
    assert_eq!(
        report.unjudged.iter().map(|one| one.count).sum::<u64>(),
        (0..CALLS).filter(asks).count() as u64
    );
    assert!(report.unjudged[0].why.contains("credentials"), "{:?}", report.unjudged);
}

#[test]
fn a_rule_that_reads_what_is_not_recorded_is_not_guessed() {
    let rule = "      getOrder: { rules: [{ name: app, when: \"request.headers['x-app'] != 'pizza'\" }] }\n";
    let report = replay(&format!("{CONFIG}{rule}"), SPEC);
    assert_eq!(report.different, 0, "{:?}", report.differences);
    let admitted = count(|n| (4..=6).contains(&(n % 10)) && n / 10 % 3 != 2);
    let unjudged: Vec<_> = report.unjudged.iter().map(|u| (u.operation.as_str(), u.count)).collect();
    assert_eq!(unjudged, [("getOrder", admitted)]);
    assert!(report.unjudged[0].why.contains("what a rule reads"), "{:?}", report.unjudged);
    // Both ask alike: both answer alike.
    let both = format!("{CONFIG}{rule}");
    let mut replay = Replay::new(evaluator(&both, SPEC), evaluator(&both, SPEC));
    (0..1000).for_each(|number| replay.feed(call(number)));
    assert_eq!(replay.finish().same, 1000);
}

#[test]
fn credentials_that_nobody_asked_for_are_not_guessed() {
    let report = replay(&CONFIG.replace("getMenu: { auth: none", "getMenu: { auth: [customer]"), SPEC);
    assert_eq!(report.different, 0, "{:?}", report.differences);
    let menu = count(|n| n % 10 <= 3);
    let unjudged: Vec<_> = report.unjudged.iter().map(|u| (u.operation.as_str(), u.count)).collect();
    assert_eq!(unjudged, [("getMenu", menu)]);
    assert!(report.unjudged[0].why.contains("credentials"), "{:?}", report.unjudged);
}

#[test]
fn an_operation_that_is_opened_admits_all() {
    let report = replay(&format!("{CONFIG}      getOrder: {{ auth: none }}\n"), SPEC);
    let refused = count(|n| (4..=6).contains(&(n % 10)) && n / 10 % 3 == 2);
    assert_eq!(
        differences(&report),
        BTreeMap::from([(("getOrder", "401 identity:key-unknown", "admitted"), refused)])
    );
}

#[test]
fn an_enum_that_is_narrowed_is_named_and_nothing_else() {
    let report = replay(CONFIG, &SPEC.replace("enum: [S, M, L]", "enum: [S, M]"));
    let large = count(|n| n % 10 <= 3 && n % 4 == 3);
    assert_eq!(differences(&report), BTreeMap::from([(("getMenu", "admitted", "400 contract:enum"), large)]));
    assert!(report.unjudged.is_empty(), "bodies of other operations are judged alike: {:?}", report.unjudged);
}

#[test]
fn a_path_that_is_removed_is_named_and_nothing_else() {
    let from = SPEC.find("  /orders:\n").expect("there");
    let report = replay(CONFIG, SPEC.get(..from).expect("there"));
    let (known, unknown) =
        (count(|n| n % 10 == 8 && n / 10 % 3 != 2), count(|n| n % 10 == 8 && n / 10 % 3 == 2));
    assert_eq!(
        differences(&report),
        BTreeMap::from([
            (("createOrder", "admitted", "404 contract:unknown-operation"), known),
            (("createOrder", "401 identity:key-unknown", "404 contract:unknown-operation"), unknown),
        ])
    );
}

#[test]
fn a_body_that_was_not_recorded_is_not_guessed() {
    let report = replay(CONFIG, &SPEC.replace("required: [pizza]", "required: [pizza, size]"));
    assert_eq!(report.different, 0, "{:?}", report.differences);
    let orders = count(|n| n % 10 == 8 && n / 10 % 3 != 2);
    let unjudged: Vec<_> = report.unjudged.iter().map(|u| (u.operation.as_str(), u.count)).collect();
    assert_eq!(unjudged, [("createOrder", orders)]);
}

#[test]
fn a_rate_that_is_halved_is_counted_in_recorded_time() {
    // One caller, a call every 100 ms for a while: 10 a second are all admitted, 5 a second are not.
    let steady = |rate: &str| CONFIG.replace("rate: 10/s, burst: 10", rate);
    let mut replay = Replay::new(
        evaluator(&steady("rate: 10/s, burst: 1"), SPEC),
        evaluator(&steady("rate: 5/s, burst: 1"), SPEC),
    );
    for number in 0..1000u64 {
        let mut event = call(4);
        event.time_us += number * 100_000;
        replay.feed(event);
    }
    let report = replay.finish();
    assert_eq!(
        differences(&report),
        BTreeMap::from([(("getOrder", "admitted", "429 limits:rate-exceeded"), 500)])
    );
}

#[test]
fn what_events_stand_for_is_counted_or_told() {
    let mut replay = Replay::new(evaluator(CONFIG, SPEC), evaluator(CONFIG, SPEC));
    // Refusals that were summed up are their like; plain calls that were left out are not.
    replay.feed(Event { weight: 5, outcome: Outcome::Refused, ..call(9) });
    replay.feed(Event { weight: 3, outcome: Outcome::Forwarded, ..call(10) });
    replay.feed(Event { path: Text::EMPTY, ..call(11) });
    let report = replay.finish();
    assert_eq!((report.requests, report.same, report.left_out), (6, 6, 2));
}

/// The request of an order as it is kept: of every fifth one, with bodies of three kinds. In one a secret is hidden.
fn kept(n: u64) -> Option<KeptRequest> {
    let (body, hidden) = match n / 150 % 3 {
        0 => (json!({ "pizza": "Margherita", "size": "L" }), None),
        1 => (json!({ "pizza": "Margherita" }), None),
        _ => (json!({ "pizza": "Margherita", "size": "L", "password": "…" }), Some("/password".to_owned())),
    };
    (n % 50 == 8).then(|| KeptRequest {
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        hidden_headers: vec!["x-customer".to_owned()],
        body: Some(body),
        hidden: hidden.into_iter().collect(),
        ..KeptRequest::default()
    })
}

/// The hour, with the requests that were kept.
fn replay_kept(spec: &str) -> Report {
    let mut replay = Replay::new(evaluator(CONFIG, SPEC), evaluator(CONFIG, spec));
    for event in (0..CALLS).map(call) {
        // Ids have a random part.
        let number = (event.time_us / 1000 - 1_700_000_000_000) / 30;
        if let Some(kept) = kept(number) {
            replay.keep(KeptRequest { id: event.id, ..kept });
        }
        replay.feed(event);
    }
    replay.finish()
}

fn unjudged(report: &Report) -> BTreeMap<&str, u64> {
    report.unjudged.iter().map(|u| (u.why.as_str(), u.count)).collect()
}

/// Orders that are let in: all, and of those whose requests were kept those of a kind.
fn orders() -> (u64, impl Fn(u64) -> u64) {
    let is_order = |n: u64| n % 10 == 8 && n / 10 % 3 != 2;
    (count(is_order), move |kind| count(|n| is_order(n) && n % 50 == 8 && n / 150 % 3 == kind))
}

#[test]
fn a_narrowed_body_names_exactly_the_recorded_ones_that_would_differ() {
    let report = replay_kept(&SPEC.replace("required: [pizza]", "required: [pizza, size]"));
    let (all, of) = orders();
    assert!(of(0) > 0 && of(1) > 0 && of(2) > 0);
    assert_eq!(
        differences(&report),
        BTreeMap::from([(("createOrder", "admitted", "400 contract:required"), of(1))])
    );
    assert_eq!(
        unjudged(&report),
        BTreeMap::from([
            ("the body is not recorded", all - of(0) - of(1) - of(2)),
            // It would be let in, if there is nothing about the secret.
            ("values in the body are not recorded, for they are secrets", of(2)),
        ])
    );
    let refused_anyway = count(|n| n % 50 == 8 && n / 10 % 3 == 2);
    assert_eq!(report.with_body, of(0) + of(1) + refused_anyway);
}

#[test]
fn what_stands_for_a_secret_is_not_held_against_a_call() {
    // The `…` that stands for the password is too short; what was sent may not have been.
    let schema = "required: [pizza], properties: { password: { type: string, minLength: 8 } }";
    let report = replay_kept(&SPEC.replace("required: [pizza]", schema));
    let (all, of) = orders();
    assert_eq!(report.different, 0, "{:?}", report.differences);
    assert_eq!(unjudged(&report).values().sum::<u64>(), all - of(0) - of(1));
    // Of another type it cannot have been.
    let report = replay_kept(
        &SPEC.replace("required: [pizza]", "required: [pizza], properties: { password: { type: integer } }"),
    );
    assert_eq!(
        differences(&report),
        BTreeMap::from([(("createOrder", "admitted", "400 contract:type"), of(2))])
    );
}

#[test]
fn a_header_is_judged_where_the_head_was_recorded() {
    let (all, of) = orders();
    let kept = of(0) + of(1) + of(2);
    let with = |name: &str| {
        let parameter = format!(
            "operationId: createOrder\n      parameters: [{{ name: {name}, in: header, required: true, schema: {{ type: string }} }}]"
        );
        replay_kept(&SPEC.replace("operationId: createOrder", &parameter))
    };
    let report = with("X-Shop");
    assert_eq!(
        differences(&report),
        BTreeMap::from([(("createOrder", "admitted", "400 contract:missing"), kept)])
    );
    assert_eq!(unjudged(&report).values().sum::<u64>(), all - kept);
    // A header that is hidden was sent, and nobody knows what it said.
    let report = with("X-Customer");
    assert_eq!(report.different, 0, "{:?}", report.differences);
    assert_eq!(unjudged(&report).values().sum::<u64>(), all);
}

#[test]
fn an_event_that_stands_for_others_does_not_tell_their_bodies() {
    let spec = SPEC.replace("required: [pizza]", "required: [pizza, size]");
    let mut replay = Replay::new(evaluator(CONFIG, SPEC), evaluator(CONFIG, &spec));
    let event = Event { weight: 2, outcome: Outcome::Refused, ..call(58) };
    let body = Some(json!({ "pizza": "Margherita" }));
    replay.keep(KeptRequest { id: event.id, body, ..KeptRequest::default() });
    replay.feed(Event { identity: "customer".into(), verdicts: Vec::new(), ..event });
    let report = replay.finish();
    assert_eq!((report.different, unjudged(&report).values().sum::<u64>()), (0, 2));
}
