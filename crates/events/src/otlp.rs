//! Spans as OTLP/HTTP JSON.
//!
//! The OpenTelemetry SDK would bring some sixty crates and its own queues for what is one document of a dozen members;
//! the encoding is a stable standard (OTLP 1.x, JSON of protobuf), so it is written here.

use serde_json::{Value, json};

use crate::event::{Event, Outcome};

/// An `ExportTraceServiceRequest` with the spans of these events: one of the server kind each, and one of the client kind
/// for the call to the upstream. Attributes follow the HTTP semantic conventions (1.27).
pub fn encode(events: &[Event]) -> Vec<u8> {
    let spans: Vec<Value> = events.iter().flat_map(spans).collect();
    let document = json!({
        "resourceSpans": [{
            "resource": { "attributes": [text("service.name", "haechi")] },
            "scopeSpans": [{ "scope": { "name": "haechi", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
        }],
    });
    serde_json::to_vec(&document).unwrap_or_default()
}

fn spans(event: &Event) -> Vec<Value> {
    let (Some(trace), Some(span)) = (event.trace_id, event.span_id) else { return Vec::new() };
    let trace = trace.encode().as_str().to_owned();
    let server_id = span.encode().as_str().to_owned();
    let name =
        if event.operation.is_empty() { event.method.to_string() } else { event.operation.to_string() };
    let mut server = json!({
        "traceId": trace,
        "spanId": server_id,
        "name": name,
        "kind": 2,
        "startTimeUnixNano": nanos(event.time_us),
        "endTimeUnixNano": nanos(event.time_us + event.duration_us),
        "status": { "code": if event.outcome == Outcome::Failed { 2 } else { 0 } },
        "attributes": attributes(&[
            ("http.request.method", &event.method),
            ("url.path", &event.path),
            ("server.address", &event.host),
            ("user_agent.original", &event.user_agent),
            ("network.protocol.version", &event.http_version),
            ("haechi.request_id", event.id.encode().as_str()),
            ("haechi.api", &event.api),
            ("haechi.outcome", event.outcome.as_str()),
            ("haechi.reason", &event.reason),
        ], Some(event.status)),
    });
    if let (Some(parent), Value::Object(server)) = (event.parent_span_id, &mut server) {
        server.insert("parentSpanId".to_owned(), parent.encode().as_str().into());
    }
    let mut list = vec![server];
    if let Some(upstream) = event.upstream_span_id.filter(|_| event.upstream_us > 0) {
        let start = event.time_us + event.judged_us;
        list.push(json!({
            "traceId": trace,
            "spanId": upstream.encode().as_str(),
            "parentSpanId": server_id,
            "name": event.method.as_str(),
            "kind": 3,
            "startTimeUnixNano": nanos(start),
            "endTimeUnixNano": nanos(start + event.upstream_us),
            "status": { "code": if event.upstream_status >= 500 { 2 } else { 0 } },
            "attributes": attributes(
                &[("server.address", &event.upstream), ("http.request.method", &event.method)],
                Some(event.upstream_status),
            ),
        }));
    }
    list
}

fn attributes(texts: &[(&str, &str)], status: Option<u16>) -> Vec<Value> {
    let mut list: Vec<_> =
        texts.iter().filter(|(_, value)| !value.is_empty()).map(|(key, value)| text(key, value)).collect();
    if let Some(status) = status.filter(|status| *status != 0) {
        let value = json!({ "intValue": status.to_string() });
        list.push(json!({ "key": "http.response.status_code", "value": value }));
    }
    list
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// 64-bit numbers are texts in the JSON of protobuf.
fn nanos(micros: u64) -> String {
    micros.saturating_mul(1000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceContext;

    #[test]
    fn a_request_is_a_server_span_and_a_client_span_below_it() {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = TraceContext::continued(caller.as_bytes()).expect("valid");
        let event = Event {
            time_us: 1_000_000,
            duration_us: 500,
            judged_us: 20,
            upstream_us: 400,
            status: 200,
            upstream_status: 200,
            operation: "getOrder".into(),
            trace_id: Some(trace.trace_id),
            span_id: Some(trace.span_id),
            parent_span_id: trace.parent_span_id,
            upstream_span_id: Some(trace.upstream_span_id),
            ..Event::default()
        };
        let document: Value = serde_json::from_slice(&encode(&[event])).expect("json");
        let spans = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(spans[0]["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!((&spans[0]["name"], &spans[0]["kind"]), (&"getOrder".into(), &2.into()));
        assert_eq!(spans[0]["endTimeUnixNano"], "1000500000");
        assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(
            (&spans[1]["startTimeUnixNano"], &spans[1]["endTimeUnixNano"]),
            (&"1000020000".into(), &"1000420000".into())
        );
    }
}
