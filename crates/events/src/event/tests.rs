use proptest::prelude::*;

use super::*;

#[test]
fn absent_columns_are_not_written() {
    let event = Event { time_us: 5, weight: 1, path: "/orders".into(), ..Event::default() };
    let expected = "{\"id\":\"00000000-0000-0000-0000-000000000000\",\"time_us\":5,\"kind\":\"request\",\
                    \"outcome\":\"aborted\",\"weight\":1,\"path\":\"/orders\"}";
    assert_eq!(serde_json::to_string(&event).expect("json"), expected);
}

#[test]
fn a_line_of_another_version_is_read() {
    let line = "{\"id\":\"01935d5a-01fb-7000-8000-000000000001\",\"path\":\"/\",\"column_of_tomorrow\":[1]}";
    let event: Event = serde_json::from_str(line).expect("an event");
    assert_eq!(event.path, "/");
    assert_eq!(event.kind, Kind::Request);
}

proptest! {
    #[test]
    fn every_event_is_one_line_that_reads_back(event in event()) {
        let line = serde_json::to_string(&event).expect("json");
        prop_assert!(!line.contains(['\n', '\r']));
        prop_assert_eq!(serde_json::from_str::<Event>(&line).expect("an event"), event);
    }
}

fn event() -> impl Strategy<Value = Event> {
    let numbers = (any::<u128>(), any::<[u64; 8]>(), any::<[u16; 2]>(), any::<Option<u16>>(), any::<bool>());
    let texts = proptest::collection::vec(text(), 42);
    let addresses = (any::<Option<IpAddr>>(), any::<Option<SocketAddr>>());
    let ids = (any::<Option<u128>>(), any::<[Option<u64>; 3]>());
    let words = (0..2usize, 0..4usize);
    let verdicts = proptest::collection::vec(verdict(), 0..4);
    (numbers, texts, addresses, ids, words, verdicts).prop_map(
        |(
            (id, numbers, statuses, grpc_status, sampled),
            texts,
            (client, peer),
            (trace, spans),
            (kind, outcome),
            verdicts,
        )| {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().expect("as many as columns");
            let span = |value: Option<u64>| SpanId::parse(format!("{:016x}", value?).as_bytes());
            Event {
                id: format!("{id:032x}").parse().expect("an id"),
                time_us: numbers[0],
                kind: [Kind::Request, Kind::Control][kind],
                outcome: [Outcome::Forwarded, Outcome::Refused, Outcome::Failed, Outcome::Aborted][outcome],
                weight: numbers[1],
                duration_us: numbers[2],
                worker: numbers[3],
                listener: text(),
                client,
                // JSON has no place for the flow and the scope of an IPv6 address.
                peer: peer.map(|peer| SocketAddr::new(peer.ip(), peer.port())),
                tls_version: text(),
                tls_cipher: text(),
                tls_group: text(),
                tls_signature: text(),
                tls_resumed: sampled,
                tls_name: text(),
                scheme: text(),
                http_version: text(),
                protocol: text(),
                method: text(),
                host: text(),
                path: text(),
                target: text(),
                query: text(),
                api: text(),
                operation: text(),
                channel: text(),
                traffic: text(),
                country: text(),
                asn: statuses[0].into(),
                waf_score: numbers[0],
                waf_outbound: numbers[1],
                waf_matches: vec![RuleMatch { rule: numbers[2], message: text(), at: text(), value: text() }],
                user_agent: text(),
                content_type: text(),
                request_bytes: numbers[4],
                response_bytes: numbers[5],
                status: statuses[0],
                grpc_status,
                decided_by: text(),
                reason: text(),
                verdicts,
                identity: text(),
                subject: text(),
                credential: text(),
                credential_kind: text(),
                collection: text(),
                client_id: text(),
                upstream: text(),
                split: text(),
                upstream_path: text(),
                upstream_status: statuses[1],
                attempts: statuses[0].into(),
                upstream_us: numbers[6],
                judged_us: numbers[7],
                trace_id: trace.and_then(|trace| TraceId::parse(format!("{trace:032x}").as_bytes())),
                span_id: span(spans[0]),
                parent_span_id: span(spans[1]),
                upstream_span_id: span(spans[2]),
                sampled,
                stage: text(),
                snapshot: text(),
                error: text(),
                action: text(),
                actor: text(),
                object: text(),
            }
        },
    )
}

/// Any text, the absent one often.
fn text() -> impl Strategy<Value = Text> {
    proptest::option::of(".{0,20}|[\\x00-\\x1f\"\\\\\u{7f}\u{2028}]{1,4}")
        .prop_map(|text| text.map_or(Text::EMPTY, Text::from))
}

fn verdict() -> impl Strategy<Value = VerdictRecord> {
    let reason = ("[a-z-]{1,12}", ".{0,30}", any::<Option<String>>(), any::<Option<String>>())
        .prop_map(|(code, detail, at, rule)| Reason { code: code.into(), detail, at, rule });
    (text(), 0..3usize, any::<bool>(), proptest::collection::vec(reason, 0..3)).prop_map(
        |(guard, mode, denied, reasons)| VerdictRecord {
            guard,
            mode: [Mode::Off, Mode::Observe, Mode::Enforce][mode],
            denied,
            reasons,
        },
    )
}
