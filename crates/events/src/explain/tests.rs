use haechi_guard::{Mode, Reason};

use super::*;
use crate::event::VerdictRecord;
use crate::text::Text;

#[test]
fn a_refusal_is_told_from_the_event_alone() {
    let event = Event {
        id: "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60".parse().expect("an id"),
        time_us: 1_732_438_000_123_456,
        outcome: Outcome::Refused,
        weight: 1,
        client: Some([192, 0, 2, 7].into()),
        peer: Some(([10, 0, 0, 1], 4711).into()),
        listener: "0.0.0.0:8443".into(),
        http_version: "1.1".into(),
        tls_version: "1.3".into(),
        tls_cipher: "TLS13_AES_256_GCM_SHA384".into(),
        method: "POST".into(),
        path: "/orders".into(),
        host: "api.pizza.example".into(),
        user_agent: "evil\x1b[2J".into(),
        api: "orders".into(),
        operation: "createOrder".into(),
        identity: "partner".into(),
        subject: "k7".into(),
        credential_kind: "api_key".into(),
        collection: "delivery".into(),
        status: 400,
        duration_us: 1_250,
        response_bytes: 310,
        decided_by: "contract".into(),
        reason: "minimum".into(),
        verdicts: vec![
            VerdictRecord::allowed("identity", Mode::Enforce),
            VerdictRecord::denied("limits", Mode::Observe, vec![Reason::new("rate-exceeded", "too many")]),
            VerdictRecord::denied(
                "contract",
                Mode::Enforce,
                vec![Reason::new("minimum", "0 is less than 1").at("/quantity").rule("#/x/minimum")],
            ),
        ],
        snapshot: "3f2a".into(),
        ..Event::default()
    };
    let expected = "\
0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60  POST /orders
refused with 400 by contract: minimum

  received   2024-11-24T08:46:40.123456Z for api.pizza.example
  from       192.0.2.7 through 10.0.0.1:4711
  over       HTTP/1.1 on 0.0.0.0:8443, TLS 1.3 TLS13_AES_256_GCM_SHA384
  agent      evil\u{fffd}[2J
  operation  orders.createOrder
  caller     k7 (api key of identity `partner`, collection delivery)
  identity   nothing against it
  limits     against it, and only in `observe`: the call went on
             rate-exceeded: too many
  contract   refused
             minimum at /quantity: 0 is less than 1
             by #/x/minimum
  answered   400, 310 bytes, 1.2 ms in all
  snapshot   3f2a
";
    assert_eq!(explain(&event), expected);
}

#[test]
fn what_rules_found_is_told_with_their_verdict() {
    use crate::event::RuleMatch;
    let one = |rule, at: &'static str, value: &'static str, message: &'static str| RuleMatch {
        rule,
        at: at.into(),
        value: value.into(),
        message: message.into(),
    };
    let event = Event {
        verdicts: vec![VerdictRecord::denied(
            "waf",
            Mode::Observe,
            vec![Reason::new("waf-rule", "score 10")],
        )],
        waf_score: 10,
        waf_outbound: 4,
        waf_matches: vec![one(942_100, "ARGS:q", "1' or\u{1b}", "SQL"), one(7, "QUERY_STRING", "", "more")],
        ..Event::default()
    };
    let told = explain(&event);
    let expected = "  waf        against it, and only in `observe`: the call went on
             anomaly score 10, of the response 4
             942100 at ARGS:q = 1' or\u{fffd}: SQL
             7 at QUERY_STRING: more
             waf-rule: score 10
";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn a_forwarded_call_is_told_in_the_order_of_time() {
    let event = Event {
        id: "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60".parse().expect("an id"),
        time_us: 1_732_438_000_000_000,
        outcome: Outcome::Forwarded,
        weight: 4,
        client: Some([192, 0, 2, 7].into()),
        peer: Some(([192, 0, 2, 7], 4711).into()),
        listener: "0.0.0.0:8080".into(),
        http_version: "2".into(),
        method: "GET".into(),
        path: "/orders/7".into(),
        target: "/orders/./7".into(),
        query: "size=L&token=…".into(),
        api: "orders".into(),
        operation: "getOrder".into(),
        identity: "customer".into(),
        subject: "alice".into(),
        credential: "t:9f3c".into(),
        credential_kind: "token".into(),
        client_id: "ios".into(),
        verdicts: vec![VerdictRecord::allowed("identity", Mode::Enforce)],
        judged_us: 42,
        upstream: "http://orders:8080".into(),
        split: "green".into(),
        upstream_status: 200,
        upstream_us: 2_345,
        status: 200,
        response_bytes: 1_024,
        duration_us: 1_234_567,
        ..Event::default()
    };
    let expected = "\
0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60  GET /orders/7
forwarded, answered 200

  received   2024-11-24T08:46:40Z
  from       192.0.2.7:4711
  over       HTTP/2 on 0.0.0.0:8080, plaintext
  as sent    /orders/./7
  query      size=L&token=…
  operation  orders.getOrder
  caller     alice (token of identity `customer`, client ios, credential t:9f3c)
  identity   nothing against it
  sent on    after 42 µs
  upstream   http://orders:8080 (green): 200 after 2.3 ms
  answered   200, 1024 bytes, 1.2 s in all
  stands for 4 events
";
    assert_eq!(explain(&event), expected);
}

/// Regression: the upstream's error was left out when a guard in `observe` was against the call.
#[test]
fn a_failure_is_told_with_its_cause() {
    let event = Event {
        time_us: 1_732_438_000_000_000,
        outcome: Outcome::Failed,
        weight: 1,
        listener: "0.0.0.0:8080".into(),
        http_version: "1.1".into(),
        method: "POST".into(),
        path: "/orders".into(),
        content_type: "application/json".into(),
        request_bytes: 120,
        verdicts: vec![VerdictRecord::denied(
            "limits",
            Mode::Observe,
            vec![Reason::new("rate-exceeded", "21/s")],
        )],
        judged_us: 50,
        upstream: "http://orders:8080".into(),
        upstream_us: 800_000,
        status: 504,
        duration_us: 800_100,
        decided_by: "upstream".into(),
        reason: "timeout".into(),
        error: "no response within 800 ms".into(),
        ..Event::default()
    };
    let expected = "\
00000000-0000-0000-0000-000000000000  POST /orders
failed with 504 by upstream: timeout

  received   2024-11-24T08:46:40Z
  over       HTTP/1.1 on 0.0.0.0:8080, plaintext
  body       120 bytes of application/json
  limits     against it, and only in `observe`: the call went on
             rate-exceeded: 21/s
  sent on    after 50 µs
  upstream   http://orders:8080: no answer in 800.0 ms
  because    upstream timeout: no response within 800 ms
  answered   504, 0 bytes, 800.1 ms in all
";
    assert_eq!(explain(&event), expected);
}

#[test]
fn bytes_that_are_no_request_are_told_as_such() {
    let event = Event {
        time_us: 1_732_438_000_000_000,
        outcome: Outcome::Refused,
        weight: 250,
        peer: Some(([192, 0, 2, 7], 4711).into()),
        listener: "0.0.0.0:8080".into(),
        status: 400,
        decided_by: "wire".into(),
        reason: "bare-lf".into(),
        error: "a line ends in LF alone".into(),
        ..Event::default()
    };
    let expected = "\
00000000-0000-0000-0000-000000000000  bytes that are no request
refused with 400 by wire: bare-lf

  received   2024-11-24T08:46:40Z
  from       192.0.2.7:4711
  over       on 0.0.0.0:8080, plaintext
  because    wire bare-lf: a line ends in LF alone
  answered   400, 0 bytes, 0 µs in all
  stands for 250 events
";
    assert_eq!(explain(&event), expected);
}

#[test]
fn a_control_event_is_told_with_who_did_it() {
    let event = Event {
        time_us: 1_732_438_000_000_000,
        kind: Kind::Control,
        outcome: Outcome::Forwarded,
        weight: 1,
        action: "key-revoked".into(),
        actor: "uid 1000".into(),
        object: "k7".into(),
        ..Event::default()
    };
    let expected = "\
00000000-0000-0000-0000-000000000000
key-revoked by uid 1000

  at         2024-11-24T08:46:40Z
  object     k7
";
    assert_eq!(explain(&event), expected);
}

#[test]
fn what_is_spoken_above_http_is_told() {
    let event = Event { protocol: "grpc".into(), grpc_status: Some(14), ..Event::default() };
    assert!(explain(&event).contains("protocol   grpc, which told 14"), "{}", explain(&event));
    assert!(!explain(&Event::default()).contains("protocol"));
}

/// Regression: the first line and those of control events were shown as sent.
#[test]
fn no_column_steers_the_terminal() {
    let evil = || Text::from("a\x1b]0;owned\x07\u{9b}2J\r\n\u{202e}b\u{2066}".to_owned());
    for kind in [Kind::Request, Kind::Control] {
        let event = Event {
            kind,
            outcome: Outcome::Refused,
            listener: evil(),
            tls_version: evil(),
            tls_cipher: evil(),
            http_version: evil(),
            protocol: evil(),
            method: evil(),
            host: evil(),
            path: evil(),
            target: evil(),
            query: evil(),
            api: evil(),
            operation: evil(),
            user_agent: evil(),
            content_type: evil(),
            decided_by: evil(),
            reason: evil(),
            identity: evil(),
            subject: evil(),
            credential: evil(),
            credential_kind: evil(),
            collection: evil(),
            client_id: evil(),
            upstream: evil(),
            snapshot: evil(),
            error: evil(),
            action: evil(),
            actor: evil(),
            object: evil(),
            verdicts: vec![VerdictRecord {
                guard: evil(),
                mode: Mode::Observe,
                denied: true,
                reasons: vec![
                    Reason::new("x", evil().to_string()).at(evil().to_string()).rule(evil().to_string()),
                ],
            }],
            ..Event::default()
        };
        let text = explain(&event);
        let steers = |c: char| c != '\n' && c.is_control() || matches!(c, '\u{202e}' | '\u{2066}');
        assert!(!text.contains(steers), "{text:?}");
        assert!(text.lines().all(|line| !line.starts_with("\u{fffd}b")), "{text}");
    }
}
