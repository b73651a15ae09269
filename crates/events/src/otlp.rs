//! Spans as OTLP/HTTP JSON.
//!
//! The OpenTelemetry SDK would bring some sixty crates and its own queues for what is one document of a dozen members;
//! the encoding is a stable standard (OTLP 1.x, JSON of protobuf), so it is written here.

use serde_json::{Map, Value, json};

use crate::event::{Event, Outcome};
use crate::id::{SpanId, TraceId};

/// `SPAN_KIND_SERVER`.
const SERVER: u8 = 2;
/// `SPAN_KIND_CLIENT`.
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// The flag of W3C Trace Context that every exported span has.
const SAMPLED: u32 = 1;
/// Methods that the semantic conventions know; others could make any number of values.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// An `ExportTraceServiceRequest` with the spans of these events: one of the server kind each, and one of the client kind
/// for the call to the upstream. Names, attributes and states follow the stable HTTP semantic conventions (1.27).
pub fn encode(events: &[Event]) -> Vec<u8> {
    let spans: Vec<Value> = events.iter().flat_map(spans).collect();
    let resource = Attributes::default()
        .text("service.name", "haechi")
        .text("service.version", env!("CARGO_PKG_VERSION"));
    let scope = json!({ "name": "haechi", "version": env!("CARGO_PKG_VERSION") });
    let document = json!({
        "resourceSpans": [{
            "resource": { "attributes": resource.0 },
            "scopeSpans": [{ "scope": scope, "spans": spans }],
        }],
    });
    serde_json::to_vec(&document).unwrap_or_default()
}

fn spans(event: &Event) -> Vec<Value> {
    let (Some(trace), Some(id)) = (event.trace_id, event.span_id) else { return Vec::new() };
    let server = Span {
        trace,
        id,
        parent: event.parent_span_id,
        // One of few: never what a caller makes up.
        name: if event.operation.is_empty() { method(event) } else { &event.operation },
        kind: SERVER,
        start: event.time_us,
        end: event.time_us.saturating_add(event.duration_us),
        // A caller's mistake is no error of the server.
        error: (event.outcome == Outcome::Failed || event.status >= 500)
            .then(|| error_type(event, event.status)),
        attributes: server_attributes(event),
    };
    let client = event.upstream_span_id.filter(|_| !event.upstream.is_empty()).map(|id| {
        let start = event.time_us.saturating_add(event.judged_us);
        Span {
            trace,
            id,
            parent: Some(server.id),
            name: method(event),
            kind: CLIENT,
            start,
            end: start.saturating_add(event.upstream_us),
            error: (!(100..400).contains(&event.upstream_status))
                .then(|| error_type(event, event.upstream_status)),
            attributes: client_attributes(event),
        }
    });
    std::iter::once(server).chain(client).map(Span::into_json).collect()
}

fn server_attributes(event: &Event) -> Attributes {
    let (host, port) = host_and_port(&event.host);
    let peer = event.peer.map(|peer| (peer.ip().to_canonical().to_string(), peer.port()));
    Attributes::default()
        .method(event)
        .text("url.scheme", if event.tls_version.is_empty() { "http" } else { "https" })
        .text("url.path", &event.path)
        .text("url.query", &event.query)
        .number("http.response.status_code", event.status.into())
        .text("server.address", host)
        .number("server.port", port)
        .text("client.address", &event.client.map(|client| client.to_string()).unwrap_or_default())
        .text("network.peer.address", peer.as_ref().map_or("", |(address, _)| address))
        .number("network.peer.port", peer.as_ref().map_or(0, |(_, port)| (*port).into()))
        .text("network.protocol.version", &event.http_version)
        .text("haechi.protocol", &event.protocol)
        .text("user_agent.original", &event.user_agent)
        .text("haechi.request_id", event.id.encode().as_str())
        .text("haechi.api", &event.api)
        .text("haechi.operation", &event.operation)
        .text("haechi.outcome", event.outcome.as_str())
        .text("haechi.decided_by", &event.decided_by)
        .text("haechi.reason", &event.reason)
}

fn client_attributes(event: &Event) -> Attributes {
    let (scheme, authority) = event.upstream.split_once("://").unwrap_or(("", &event.upstream));
    let (host, port) = host_and_port(authority.split('/').next().unwrap_or_default());
    Attributes::default()
        .method(event)
        .text("url.scheme", scheme)
        .text("server.address", host)
        .number("server.port", port)
        .number("http.response.status_code", event.upstream_status.into())
}

/// The word for what went wrong: the reason where the gateway has one, else the status.
fn error_type(event: &Event, status: u16) -> String {
    match event.outcome {
        Outcome::Failed if !event.reason.is_empty() => event.reason.to_string(),
        _ => status.to_string(),
    }
}

fn method(event: &Event) -> &'static str {
    METHODS.into_iter().find(|known| event.method == *known).unwrap_or("HTTP")
}

/// `host:port` or `[::1]:port`; a port of 0 is none.
fn host_and_port(authority: &str) -> (&str, u64) {
    let split = authority.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let (host, port) =
        split.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))).unwrap_or((authority, 0));
    (host.trim_start_matches('[').trim_end_matches(']'), port.into())
}

struct Span<'a> {
    trace: TraceId,
    id: SpanId,
    parent: Option<SpanId>,
    name: &'a str,
    kind: u8,
    /// Microseconds since 1970.
    start: u64,
    end: u64,
    /// The word for what went wrong, if it did.
    error: Option<String>,
    attributes: Attributes,
}

// === impl Span ===

impl Span<'_> {
    fn into_json(self) -> Value {
        let mut span = Map::new();
        let mut put = |key: &str, value: Value| span.insert(key.to_owned(), value);
        put("traceId", self.trace.encode().as_str().into());
        put("spanId", self.id.encode().as_str().into());
        if let Some(parent) = self.parent {
            put("parentSpanId", parent.encode().as_str().into());
        }
        put("flags", SAMPLED.into());
        put("name", self.name.into());
        put("kind", self.kind.into());
        put("startTimeUnixNano", nanos(self.start));
        put("endTimeUnixNano", nanos(self.end));
        let mut attributes = self.attributes;
        if let Some(error) = &self.error {
            put("status", json!({ "code": ERROR }));
            attributes = attributes.text("error.type", error);
        }
        put("attributes", attributes.0.into());
        Value::Object(span)
    }
}

/// A list of `KeyValue`. What is empty or 0 is not known, and left out.
#[derive(Default)]
struct Attributes(Vec<Value>);

// === impl Attributes ===

impl Attributes {
    fn text(mut self, key: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.0.push(json!({ "key": key, "value": { "stringValue": value } }));
        }
        self
    }

    fn number(mut self, key: &str, value: u64) -> Self {
        if value != 0 {
            // 64-bit numbers are texts in the JSON of protobuf.
            self.0.push(json!({ "key": key, "value": { "intValue": value.to_string() } }));
        }
        self
    }

    fn method(self, event: &Event) -> Self {
        match method(event) {
            "HTTP" => {
                self.text("http.request.method", "_OTHER").text("http.request.method_original", &event.method)
            }
            known => self.text("http.request.method", known),
        }
    }
}

fn nanos(micros: u64) -> Value {
    micros.saturating_mul(1000).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceContext;

    fn event() -> Event {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = TraceContext::continued(caller.as_bytes()).expect("valid");
        Event {
            id: "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60".parse().expect("an id"),
            time_us: 1_000_000,
            duration_us: 500,
            judged_us: 20,
            upstream_us: 400,
            outcome: Outcome::Forwarded,
            status: 200,
            upstream_status: 200,
            method: "GET".into(),
            path: "/orders/7".into(),
            host: "api.pizza.example:8443".into(),
            client: Some([192, 0, 2, 7].into()),
            peer: Some(([10, 0, 0, 1], 4711).into()),
            http_version: "2".into(),
            tls_version: "1.3".into(),
            api: "orders".into(),
            operation: "getOrder".into(),
            upstream: "http://orders:8080".into(),
            trace_id: Some(trace.trace_id),
            span_id: SpanId::parse(b"00000000000000a1"),
            parent_span_id: trace.parent_span_id,
            upstream_span_id: SpanId::parse(b"00000000000000a2"),
            ..Event::default()
        }
    }

    fn exported(events: &[Event]) -> Value {
        let document: Value = serde_json::from_slice(&encode(events)).expect("json");
        document["resourceSpans"][0]["scopeSpans"][0]["spans"].clone()
    }

    fn attributes(span: &Value) -> Vec<(String, String)> {
        let list = span["attributes"].as_array().expect("a list");
        let value =
            |value: &Value| value["stringValue"].as_str().or(value["intValue"].as_str()).map(str::to_owned);
        list.iter()
            .map(|item| {
                (item["key"].as_str().expect("a key").to_owned(), value(&item["value"]).expect("a value"))
            })
            .collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_request_is_a_server_span_and_a_client_span_below_it() {
        let mut spans = exported(&[event()]);
        let [server, client] = &mut spans.as_array_mut().expect("a list")[..] else { panic!("not two") };
        assert_eq!(
            attributes(server),
            pairs(&[
                ("http.request.method", "GET"),
                ("url.scheme", "https"),
                ("url.path", "/orders/7"),
                ("http.response.status_code", "200"),
                ("server.address", "api.pizza.example"),
                ("server.port", "8443"),
                ("client.address", "192.0.2.7"),
                ("network.peer.address", "10.0.0.1"),
                ("network.peer.port", "4711"),
                ("network.protocol.version", "2"),
                ("haechi.request_id", "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60"),
                ("haechi.api", "orders"),
                ("haechi.operation", "getOrder"),
                ("haechi.outcome", "forwarded"),
            ])
        );
        assert_eq!(
            attributes(client),
            pairs(&[
                ("http.request.method", "GET"),
                ("url.scheme", "http"),
                ("server.address", "orders"),
                ("server.port", "8080"),
                ("http.response.status_code", "200"),
            ])
        );
        for span in [&mut *server, &mut *client] {
            span.as_object_mut().expect("a span").remove("attributes");
        }
        assert_eq!(
            *server,
            json!({
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                "spanId": "00000000000000a1",
                "parentSpanId": "00f067aa0ba902b7",
                "flags": 1,
                "name": "getOrder",
                "kind": 2,
                "startTimeUnixNano": "1000000000",
                "endTimeUnixNano": "1000500000",
            })
        );
        assert_eq!(
            *client,
            json!({
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                "spanId": "00000000000000a2",
                "parentSpanId": "00000000000000a1",
                "flags": 1,
                "name": "GET",
                "kind": 3,
                "startTimeUnixNano": "1000020000",
                "endTimeUnixNano": "1000420000",
            })
        );
    }

    #[test]
    fn errors_are_the_servers_own_and_a_callers_mistake_is_none() {
        // Outcome, status, upstream's status; whether the server and the client span are errors.
        for (outcome, status, upstream, server, client) in [
            (Outcome::Forwarded, 404, 404, None, Some("404")),
            (Outcome::Forwarded, 503, 503, Some("503"), Some("503")),
            (Outcome::Failed, 504, 0, Some("timeout"), Some("timeout")),
        ] {
            let reason = if outcome == Outcome::Failed { "timeout" } else { "" };
            let event =
                Event { outcome, status, upstream_status: upstream, reason: reason.into(), ..event() };
            let spans = exported(&[event]);
            for (span, expected) in [(&spans[0], server), (&spans[1], client)] {
                assert_eq!(span["status"]["code"] == 2, expected.is_some(), "{outcome:?} {status}");
                let kind = attributes(span).into_iter().find(|(key, _)| key == "error.type");
                assert_eq!(kind.map(|(_, value)| value).as_deref(), expected, "{outcome:?} {status}");
            }
        }
        let refused = Event { outcome: Outcome::Refused, status: 403, upstream: "".into(), ..event() };
        let spans = exported(&[refused]);
        assert_eq!(spans.as_array().expect("a list").len(), 1, "nothing went to the upstream");
        assert_eq!(spans[0]["status"], Value::Null);
    }

    #[test]
    fn no_caller_makes_up_names_of_spans() {
        let event = Event { method: "X123".into(), operation: "".into(), ..event() };
        let spans = exported(&[event]);
        assert_eq!((&spans[0]["name"], &spans[1]["name"]), (&"HTTP".into(), &"HTTP".into()));
        assert_eq!(
            attributes(&spans[0])[..2],
            pairs(&[("http.request.method", "_OTHER"), ("http.request.method_original", "X123")])
        );
    }

    #[test]
    fn an_event_without_a_trace_has_no_span() {
        assert_eq!(exported(&[Event { trace_id: None, ..event() }]), json!([]));
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (authority, host, port) in [
            ("a.example", "a.example", 0),
            ("a.example:80", "a.example", 80),
            ("[::1]:8443", "::1", 8443),
            ("[::1]", "::1", 0),
            ("::1", "::1", 0),
            ("a.example:x", "a.example:x", 0),
            ("", "", 0),
        ] {
            assert_eq!(host_and_port(authority), (host, port), "{authority}");
        }
    }
}
