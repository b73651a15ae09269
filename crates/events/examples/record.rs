//! What an event costs: on the request's path, and off it.
//!
//! `cargo run --release -p haechi-events --example record`

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use haechi_events::{
    Event, Metrics, Options, Outcome, Recorder, RequestId, Sink, Text, TraceContext, VerdictRecord,
    redact_query,
};
use haechi_guard::Mode;

const EVENTS: usize = 1_000_000;
/// Events between two rests, as many as the queue holds: what is measured is recording, not leaving out.
const BURST: usize = 8192;

fn main() -> std::io::Result<()> {
    let dir = std::env::temp_dir().join(format!("haechi-events-example-{}", std::process::id()));
    let figures = measure(&dir);
    std::fs::remove_dir_all(&dir)?;
    figures
}

fn measure(dir: &Path) -> std::io::Result<()> {
    println!("event                {:>8} bytes in memory", size_of::<Event>());
    println!(
        "id and trace         {:>8.0} ns",
        nanos(EVENTS, || {
            black_box((RequestId::generate(black_box(SystemTime::now())), TraceContext::start(0.01)));
        })
    );
    let names = Names::new();
    println!(
        "fill                 {:>8.0} ns",
        nanos(EVENTS, || {
            black_box(names.event());
        })
    );
    let query = [("size", "L"), ("topping", "mushrooms"), ("access_token", "abc")];
    println!(
        "redact a query       {:>8.0} ns",
        nanos(EVENTS, || {
            black_box(redact_query(black_box(query).into_iter(), 512));
        })
    );
    let event = names.event();
    println!(
        "encode               {:>8.0} ns",
        nanos(EVENTS / 4, || {
            black_box(serde_json::to_vec(black_box(&event)).unwrap_or_default());
        })
    );
    println!("a line               {:>8} bytes", serde_json::to_vec(&event)?.len());

    let metrics = Arc::new(Metrics::default());
    let operation = metrics.operation("orders", "createOrder");
    println!(
        "count a request      {:>8.0} ns",
        nanos(EVENTS, || {
            operation.record(
                200,
                Outcome::Forwarded,
                Duration::from_micros(740),
                Some(Duration::from_micros(31)),
            );
        })
    );
    println!(
        "count a denial       {:>8.0} ns",
        nanos(EVENTS, || {
            metrics.denied(&operation, "limits", "enforce", "rate-exceeded");
        })
    );

    let options = Options {
        dir: dir.to_owned(),
        max_size: 4 << 30,
        max_age: Duration::from_secs(86_400),
        workers: 1,
        queue: BURST,
        requests: None,
        export: None,
    };
    let recorder = Recorder::start(options, metrics)?;
    let sink = recorder.sink(0).ok_or_else(|| std::io::Error::other("no sink"))?;
    let (recorded, written) = record(&recorder, &sink, &names);
    println!("record               {recorded:>8.0} ns");
    println!("write, with encoding {written:>8.0} ns");
    let full = (0..BURST * 40).map(|_| Box::new(names.refusal())).collect::<Vec<_>>();
    let start = Instant::now();
    let count = full.len();
    for event in full {
        sink.record(event);
    }
    println!("record into a flood  {:>8.0} ns", per(start.elapsed(), count));
    Ok(())
}

/// Nanoseconds to record one event, and to write one.
fn record(recorder: &Recorder, sink: &Sink, names: &Names) -> (f64, f64) {
    let (mut recording, mut writing) = (Duration::ZERO, Duration::ZERO);
    let rounds = 40;
    for _ in 0..rounds {
        let events: Vec<_> = (0..BURST / 2).map(|_| Box::new(names.event())).collect();
        let start = Instant::now();
        for event in events {
            sink.record(event);
        }
        recording += start.elapsed();
        let _ = recorder.tail(0);
        writing += start.elapsed();
    }
    (per(recording, rounds * BURST / 2), per(writing, rounds * BURST / 2))
}

/// What the configuration and the connection share with the events.
struct Names {
    listener: Arc<str>,
    api: Arc<str>,
    operation: Arc<str>,
    subject: Arc<str>,
    upstream: Arc<str>,
    snapshot: Arc<str>,
}

impl Names {
    fn new() -> Self {
        Self {
            listener: "0.0.0.0:8443".into(),
            api: "orders".into(),
            operation: "createOrder".into(),
            subject: "customer-4711".into(),
            upstream: "http://orders:8080".into(),
            snapshot: "3f2a5c1d9e8b7a60".into(),
        }
    }

    fn event(&self) -> Event {
        let trace = TraceContext::start(0.0);
        Event {
            id: RequestId::generate(SystemTime::UNIX_EPOCH + Duration::from_secs(1_732_438_000)),
            time_us: 1_732_438_000_123_456,
            outcome: Outcome::Forwarded,
            weight: 1,
            duration_us: 740,
            listener: Text::from(&self.listener),
            client: Some([192, 0, 2, 7].into()),
            peer: Some(([192, 0, 2, 7], 51_234).into()),
            tls_version: "1.3".into(),
            tls_cipher: "TLS13_AES_256_GCM_SHA384".into(),
            http_version: "2".into(),
            method: Text::from(&http::Method::POST),
            host: Text::lossy(b"api.pizza.example", 512),
            path: Text::lossy(b"/v1/orders/0192f0c1", 512),
            query: Text::lossy(b"size=L", 512),
            api: Text::from(&self.api),
            operation: Text::from(&self.operation),
            user_agent: Text::lossy(
                b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
                512,
            ),
            content_type: Text::lossy(b"application/json", 512),
            request_bytes: 120,
            response_bytes: 940,
            status: 201,
            verdicts: vec![
                VerdictRecord::allowed("identity", Mode::Enforce),
                VerdictRecord::allowed("limits", Mode::Enforce),
                VerdictRecord::allowed("contract", Mode::Enforce),
            ],
            identity: "customer".into(),
            subject: Text::from(&self.subject),
            credential: Text::from(&self.subject),
            credential_kind: "token".into(),
            upstream: Text::from(&self.upstream),
            upstream_status: 201,
            upstream_us: 690,
            judged_us: 31,
            trace_id: Some(trace.trace_id),
            span_id: Some(trace.span_id),
            upstream_span_id: Some(trace.upstream_span_id),
            snapshot: Text::from(&self.snapshot),
            ..Event::default()
        }
    }

    fn refusal(&self) -> Event {
        Event {
            outcome: Outcome::Refused,
            status: 429,
            decided_by: "limits".into(),
            reason: "rate-exceeded".into(),
            ..self.event()
        }
    }
}

fn nanos(times: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        work();
    }
    per(start.elapsed(), times)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per(elapsed: Duration, times: usize) -> f64 {
    elapsed.as_nanos() as f64 / times as f64
}
