use super::*;

#[test]
fn what_is_counted_is_shown() {
    let metrics = Metrics::default();
    let operation = metrics.operation("orders", "getOrder");
    let silent = metrics.operation("orders", "never \"called\"");
    operation.record(200, Outcome::Forwarded, Duration::from_millis(3), Some(Duration::from_micros(40)));
    operation.record(200, Outcome::Forwarded, Duration::from_millis(4), Some(Duration::from_micros(60)));
    operation.upstream_answered(Duration::from_millis(2));
    operation.record(0, Outcome::Aborted, Duration::from_secs(20), None);
    metrics.unrouted().record(404, Outcome::Refused, Duration::from_micros(9), None);
    metrics.denied(&operation, "identity", "enforce", "key-revoked");
    metrics.denied(&operation, "identity", "enforce", "key-revoked");
    metrics.denied(&silent, "limits", "observe", "rate-exceeded");
    metrics.upstream_failed("connect");
    metrics.tls_done(":8443", "1.3", "X25519MLKEM768", false);
    metrics.tls_failed(":8443", "not-tls");
    metrics.set_connections(7);
    metrics.connection_refused();
    metrics.accept_failed();
    metrics.event_left_out(3);
    metrics.set_snapshot("0000", UNIX_EPOCH);
    metrics.set_snapshot("3f2a", UNIX_EPOCH + Duration::from_secs(1_732_438_000));
    metrics.activation("activated");
    metrics.key_changed("revoked");
    let served = [metrics.in_flight(), metrics.in_flight()];
    drop(metrics.in_flight());

    // Series within a family are in no order, buckets without an observation say nothing more.
    let text = metrics.encode();
    let mut lines: Vec<_> =
        text.lines().filter(|line| !line.contains("_bucket{") || line.contains("le=\"0.00005\"")).collect();
    let mut expected: Vec<_> = EXPECTED.lines().collect();
    assert_eq!(lines.last(), Some(&"# EOF"));
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines.join("\n"), expected.join("\n"));
    drop(served);
    assert!(metrics.encode().contains("haechi_requests_in_flight 0\n"));
}

const EXPECTED: &str = r#"# EOF
# HELP haechi_accept_errors Connections the system could not give.
# HELP haechi_activations Snapshots activated and refused.
# HELP haechi_build The program.
# HELP haechi_connections Open connections of callers.
# HELP haechi_connections_refused Connections beyond the limits.
# HELP haechi_denials What guards were against, also where they only observe.
# HELP haechi_events_left_out Plain events a full queue did not take.
# HELP haechi_events_lost Events the disk did not take in time.
# HELP haechi_events_rolled_up Refusals summed up in the line of another that is the same.
# HELP haechi_events_torn Lines that a crash has cut off, found at the start.
# HELP haechi_events_written Events written to the spool, each a line.
# HELP haechi_key_changes API keys created, rotated and revoked.
# HELP haechi_overhead_seconds What the gateway itself took before the request was sent on.
# HELP haechi_request_duration_seconds From the complete head to the end of the response.
# HELP haechi_requests Requests by operation, class of status and outcome.
# HELP haechi_requests_in_flight Requests that are being served.
# HELP haechi_requests_kept Requests kept for replays.
# HELP haechi_requests_left_out Requests of the sample that are not kept: a full queue or disk, or too large a head.
# HELP haechi_snapshot_activation_timestamp_seconds Since when it is served, in Unix time.
# HELP haechi_snapshot_active The snapshot that is served.
# HELP haechi_spool_errors Writes the disk refused.
# HELP haechi_tls_handshakes TLS handshakes by what was agreed on.
# HELP haechi_tls_handshakes_failed TLS handshakes that failed, by cause.
# HELP haechi_upstream_duration_seconds From sending the request to the head of the response.
# HELP haechi_upstream_errors Calls an upstream did not answer.
# HELP haechi_upstream_retries Calls that were sent once more.
# TYPE haechi_accept_errors counter
# TYPE haechi_activations counter
# TYPE haechi_build info
# TYPE haechi_connections gauge
# TYPE haechi_connections_refused counter
# TYPE haechi_denials counter
# TYPE haechi_events_left_out counter
# TYPE haechi_events_lost counter
# TYPE haechi_events_rolled_up counter
# TYPE haechi_events_torn counter
# TYPE haechi_events_written counter
# TYPE haechi_key_changes counter
# TYPE haechi_overhead_seconds histogram
# TYPE haechi_request_duration_seconds histogram
# TYPE haechi_requests counter
# TYPE haechi_requests_in_flight gauge
# TYPE haechi_requests_kept counter
# TYPE haechi_requests_left_out counter
# TYPE haechi_snapshot_activation_timestamp_seconds gauge
# TYPE haechi_snapshot_active gauge
# TYPE haechi_spool_errors counter
# TYPE haechi_tls_handshakes counter
# TYPE haechi_tls_handshakes_failed counter
# TYPE haechi_upstream_duration_seconds histogram
# TYPE haechi_upstream_errors counter
# TYPE haechi_upstream_retries counter
# UNIT haechi_overhead_seconds seconds
# UNIT haechi_request_duration_seconds seconds
# UNIT haechi_snapshot_activation_timestamp_seconds seconds
# UNIT haechi_upstream_duration_seconds seconds
haechi_accept_errors_total 1
haechi_activations_total{outcome="activated"} 1
haechi_build_info{version="0.1.0"} 1
haechi_connections 7
haechi_connections_refused_total 1
haechi_denials_total{api="orders",operation="getOrder",guard="identity",code="key-revoked",mode="enforce"} 2
haechi_denials_total{api="orders",operation="never \"called\"",guard="limits",code="rate-exceeded",mode="observe"} 1
haechi_events_left_out_total 3
haechi_events_lost_total 0
haechi_events_rolled_up_total 0
haechi_events_torn_total 0
haechi_events_written_total 0
haechi_key_changes_total{action="revoked"} 1
haechi_overhead_seconds_bucket{le="0.00005"} 1
haechi_overhead_seconds_count 2
haechi_overhead_seconds_sum 0.0001
haechi_request_duration_seconds_bucket{le="0.00005",api="-",operation="-"} 1
haechi_request_duration_seconds_bucket{le="0.00005",api="orders",operation="getOrder"} 0
haechi_request_duration_seconds_count{api="-",operation="-"} 1
haechi_request_duration_seconds_count{api="orders",operation="getOrder"} 3
haechi_request_duration_seconds_sum{api="-",operation="-"} 0.000009
haechi_request_duration_seconds_sum{api="orders",operation="getOrder"} 20.007
haechi_requests_in_flight 2
haechi_requests_kept_total 0
haechi_requests_left_out_total 0
haechi_requests_total{api="-",operation="-",status="4xx",outcome="refused"} 1
haechi_requests_total{api="orders",operation="getOrder",status="2xx",outcome="forwarded"} 2
haechi_requests_total{api="orders",operation="getOrder",status="none",outcome="aborted"} 1
haechi_snapshot_activation_timestamp_seconds 1732438000
haechi_snapshot_active{digest="3f2a"} 1
haechi_spool_errors_total 0
haechi_tls_handshakes_failed_total{listener=":8443",cause="not-tls"} 1
haechi_tls_handshakes_total{listener=":8443",version="1.3",group="X25519MLKEM768",kind="full"} 1
haechi_upstream_duration_seconds_bucket{le="0.00005",api="orders",operation="getOrder"} 0
haechi_upstream_duration_seconds_count{api="orders",operation="getOrder"} 1
haechi_upstream_duration_seconds_sum{api="orders",operation="getOrder"} 0.002
haechi_upstream_errors_total{code="connect"} 1
haechi_upstream_retries_total 0"#;

#[test]
fn an_operation_is_the_same_over_snapshots() {
    let metrics = Metrics::default();
    assert!(Arc::ptr_eq(&metrics.operation("a", "b"), &metrics.operation("a", "b")));
    assert!(!Arc::ptr_eq(&metrics.operation("a", "b"), &metrics.operation("a", "c")));
}

#[test]
fn the_words_of_denials_are_bounded_and_their_count_is_exact() {
    let metrics = Metrics::default();
    let operation = metrics.operation("orders", "getOrder");
    for _ in 0..2 {
        for number in 0..DENIALS + 10 {
            metrics.denied(&operation, "contract", "enforce", &format!("code-{number}"));
        }
    }
    let text = metrics.encode();
    let series: Vec<_> = text.lines().filter(|line| line.starts_with("haechi_denials_total")).collect();
    assert_eq!(series.len(), DENIALS + 1);
    let count = |line: &&str| line.rsplit(' ').next().expect("a value").parse::<u64>().expect("a number");
    assert_eq!(series.iter().map(count).sum::<u64>(), 2 * (DENIALS as u64 + 10));
    let rest = series.iter().find(|line| line.contains("code=\"-\"")).expect("the rest");
    assert_eq!(count(rest), 20);
}

#[test]
fn workers_count_into_the_same_series() {
    let metrics = Metrics::default();
    let operation = metrics.operation("orders", "getOrder");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    operation.record(200, Outcome::Forwarded, Duration::from_micros(5), None);
                    metrics.denied(&operation, "limits", "enforce", "rate-exceeded");
                }
            });
        }
    });
    let text = metrics.encode();
    for line in [
        r#"haechi_requests_total{api="orders",operation="getOrder",status="2xx",outcome="forwarded"} 20000"#,
        r#"haechi_denials_total{api="orders",operation="getOrder",guard="limits",code="rate-exceeded",mode="enforce"} 20000"#,
        r#"haechi_request_duration_seconds_bucket{le="0.00001",api="orders",operation="getOrder"} 20000"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
