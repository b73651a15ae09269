use std::time::SystemTime;

use proptest::prelude::*;

use super::*;
use crate::id::{SpanId, TraceId};

fn options(dir: &Path, queue: usize) -> Options {
    Options {
        dir: dir.to_owned(),
        max_size: 1 << 24,
        max_age: Duration::from_secs(1 << 20),
        workers: 1,
        queue,
        requests: None,
        export: None,
    }
}

fn recorder(dir: &Path, queue: usize) -> (Recorder, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    (Recorder::start(options(dir, queue), metrics.clone()).expect("started"), metrics)
}

fn event(outcome: Outcome) -> Event {
    Event { id: RequestId::generate(SystemTime::now()), weight: 1, outcome, ..Event::default() }
}

/// A writer that writes when told, and its sinks.
struct Bench {
    dir: tempfile::TempDir,
    writer: Writer,
    shared: Arc<Shared>,
    sinks: Vec<Sink>,
    metrics: Arc<Metrics>,
}

impl Bench {
    fn new(workers: usize, queue: usize) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let metrics = Arc::new(Metrics::default());
        let shared = Arc::new(Shared {
            dir: dir.path().join("events"),
            queues: (0..workers).map(|_| Arc::new(Queues::new(queue))).collect(),
            lines: broadcast::Sender::new(LAG),
            metrics: metrics.clone(),
        });
        let sink =
            |queues: &Arc<Queues>| Sink { queues: queues.clone(), requests: None, metrics: metrics.clone() };
        let sinks = shared.queues.iter().map(sink).collect();
        let spool = Spool::open(&shared.dir, 1 << 30, Duration::from_secs(1 << 30)).expect("open");
        Self { dir, writer: Writer::new(shared.clone(), spool, None), shared, sinks, metrics }
    }

    fn turn(&mut self) {
        self.writer.turn(SystemTime::now());
    }

    fn lines(&self) -> Vec<Event> {
        let lines = Spool::tail(&self.dir.path().join("events"), usize::MAX).expect("read");
        lines.iter().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }

    fn weight(&self, plain: bool) -> u64 {
        self.lines().iter().filter(|event| is_plain(event) == plain).map(|event| event.weight).sum()
    }

    fn counted(&self, name: &str) -> u64 {
        counted(&self.metrics, name)
    }
}

fn counted(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.encode();
    let name = format!("haechi_{name}_total ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name)).expect("such a counter");
    value.parse().expect("a number")
}

#[test]
fn what_is_recorded_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    let (recorder, _) = recorder(dir.path(), 64);
    let event = event(Outcome::Forwarded);
    recorder.sink(0).expect("a sink").record(event.clone());
    assert_eq!(recorder.find(event.id).expect("read"), Some(event));
}

#[test]
fn what_a_full_queue_leaves_out_is_carried_by_the_next_plain_event() {
    let mut bench = Bench::new(1, 8);
    let sink = bench.sinks[0].clone();
    for _ in 0..8 {
        sink.record(event(Outcome::Forwarded));
    }
    assert_eq!(bench.counted("events_left_out"), 0);
    sink.record(event(Outcome::Forwarded));
    sink.record(event(Outcome::Forwarded));
    assert_eq!(bench.counted("events_left_out"), 2);
    bench.turn();
    let weights: Vec<_> = bench.lines().iter().map(|event| event.weight).collect();
    assert_eq!(weights, [3, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(bench.counted("events_written"), 8);
}

#[test]
fn refusals_have_a_reserve_and_are_summed_up_beyond_it() {
    let mut bench = Bench::new(1, 4);
    let sink = bench.sinks[0].clone();
    let refusal = |client: u8| Event {
        client: Some([192, 0, 2, client].into()),
        reason: "key-revoked".into(),
        ..event(Outcome::Refused)
    };
    for number in 0..20 {
        sink.record(refusal(number % 2));
    }
    bench.turn();
    let lines = bench.lines();
    // Four in the queue, four in the reserve, and the twelve others in one line for each source.
    assert_eq!(lines.iter().map(|event| event.weight).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 1, 1, 1, 6, 6]);
    assert_eq!((bench.counted("events_written"), bench.counted("events_rolled_up")), (10, 10));
    assert_eq!((bench.counted("events_left_out"), bench.counted("events_lost")), (0, 0));
}

#[test]
fn a_disk_that_is_away_loses_plain_events_before_refusals_and_counts_both() {
    let mut bench = Bench::new(1, 64);
    let events = bench.dir.path().join("events");
    std::fs::remove_dir(&events).expect("removed");
    let text = "x".repeat(64 * 1024);
    let sink = bench.sinks[0].clone();
    let mut sent = 0;
    let mut send = |bench: &mut Bench, outcome, count| {
        for _ in 0..count {
            sent += 1;
            sink.record(Event { error: text.clone().into(), ..event(outcome) });
        }
        bench.turn();
        sent
    };
    // Half of the backlog's 8 MiB are for all, the other half for refusals alone.
    for _ in 0..4 {
        send(&mut bench, Outcome::Forwarded, 20);
    }
    let lost = bench.counted("events_lost");
    assert!((14..=18).contains(&lost), "{lost}");
    for _ in 0..3 {
        send(&mut bench, Outcome::Refused, 20);
    }
    assert_eq!(bench.counted("events_lost"), lost);
    send(&mut bench, Outcome::Refused, 20);
    let lost = bench.counted("events_lost");
    assert!(lost > 18, "{lost}");
    assert_eq!(bench.counted("events_written"), 0);
    assert_eq!(bench.counted("spool_errors"), 8, "the disk is asked once a turn");

    std::fs::create_dir(&events).expect("made");
    let sent = send(&mut bench, Outcome::Refused, 1);
    assert_eq!(bench.counted("events_written"), bench.lines().len() as u64);
    assert_eq!(bench.counted("events_written") + bench.counted("events_lost"), sent);
}

proptest! {
    /// However workers and the writer take turns: every event is a line, or in the weight of one, or still left out.
    #[test]
    fn no_order_of_turns_loses_a_count(
        queue in 1..8usize,
        steps in proptest::collection::vec((0..3usize, 0..5u8), 0..200),
    ) {
        let mut bench = Bench::new(2, queue);
        let (mut plain, mut refused) = (0, 0);
        for (worker, kind) in steps {
            let Some(sink) = bench.sinks.get(worker) else {
                bench.turn();
                continue;
            };
            if kind < 2 {
                plain += 1;
                sink.record(event(Outcome::Forwarded));
            } else {
                refused += 1;
                let client = Some([192, 0, 2, kind].into());
                sink.record(Event { client, ..event(if kind == 4 { Outcome::Failed } else { Outcome::Refused }) });
            }
        }
        bench.turn();
        let left: u64 = bench.sinks.iter().map(|sink| sink.queues.left_out.load(Ordering::Relaxed)).sum();
        prop_assert_eq!(bench.weight(true) + left, plain);
        prop_assert_eq!(bench.weight(false), refused);
        let (written, left_out, rolled_up) =
            (bench.counted("events_written"), bench.counted("events_left_out"), bench.counted("events_rolled_up"));
        prop_assert_eq!(written, bench.lines().len() as u64);
        prop_assert_eq!(written + left_out + rolled_up, plain + refused);
    }
}

#[test]
fn workers_that_outrun_the_writer_lose_no_count() {
    let dir = tempfile::tempdir().expect("a directory");
    let metrics = Arc::new(Metrics::default());
    let recorder =
        Recorder::start(Options { workers: 2, ..options(dir.path(), 16) }, metrics.clone()).expect("started");
    let workers: Vec<_> = (0..2)
        .map(|worker| {
            let sink = recorder.sink(worker).expect("a sink");
            std::thread::spawn(move || {
                for number in 0..20_000u64 {
                    sink.record(event(if number % 3 == 0 { Outcome::Refused } else { Outcome::Forwarded }));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("joined");
    }
    drop(recorder);
    let all = ["events_written", "events_left_out", "events_rolled_up", "events_lost"];
    assert_eq!(all.map(|name| counted(&metrics, name)).iter().sum::<u64>(), 40_000);
}

#[test]
fn a_durable_event_is_there_when_it_is_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let (recorder, metrics) = recorder(dir.path(), 8);
    let event = event(Outcome::Forwarded);
    recorder.record_durable(event.clone()).expect("kept");
    assert_eq!(Spool::find(dir.path(), event.id).expect("read"), Some(event));
    assert_eq!(counted(&metrics, "events_written"), 1);
}

#[test]
fn a_durable_event_the_disk_does_not_take_is_not_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    let (recorder, metrics) = recorder(&dir.path().join("events"), 8);
    std::fs::remove_dir(dir.path().join("events")).expect("removed");
    let mut lines = recorder.subscribe();
    recorder.record_durable(event(Outcome::Forwarded)).expect_err("nowhere to write");
    assert_eq!(counted(&metrics, "spool_errors"), 1);
    assert!(lines.try_recv().is_err());
}

#[test]
fn a_subscriber_sees_what_comes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (recorder, _) = recorder(dir.path(), 8);
    let mut lines = recorder.subscribe();
    let (refused, durable) = (event(Outcome::Refused), event(Outcome::Forwarded));
    recorder.sink(0).expect("a sink").record(refused.clone());
    recorder.flush();
    recorder.record_durable(durable.clone()).expect("kept");
    for expected in [refused, durable] {
        let line = lines.try_recv().expect("a line");
        assert_eq!(serde_json::from_str::<Event>(&line).expect("an event"), expected);
    }
}

#[test]
fn a_subscriber_that_lags_is_told_how_much_it_lost() {
    let mut bench = Bench::new(1, LAG + 10);
    let mut lines = bench.shared.lines.subscribe();
    for _ in 0..LAG + 10 {
        bench.sinks[0].record(event(Outcome::Forwarded));
    }
    bench.turn();
    assert_eq!(lines.try_recv(), Err(broadcast::error::TryRecvError::Lagged(10)));
    assert!(lines.try_recv().is_ok());
}

#[test]
fn what_is_queued_at_the_end_is_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let (recorder, _) = recorder(dir.path(), 8);
    let event = event(Outcome::Forwarded);
    recorder.sink(0).expect("a sink").record(event.clone());
    drop(recorder);
    assert_eq!(Spool::find(dir.path(), event.id).expect("read"), Some(event));
}

/// Regression: what was recorded after the writer's last look at the queues and before its order to stop was lost.
#[test]
fn what_is_queued_while_the_writer_obeys_is_written_before_it_stops() {
    let bench = Bench::new(1, 8);
    let mut lines = bench.shared.lines.subscribe();
    let (commands, told) = sync_channel(2);
    let (done, wait) = sync_channel(0);
    commands.send(Command::Durable(Box::new(event(Outcome::Forwarded)), done)).expect("room");
    commands.send(Command::Stop).expect("room");
    let writer = std::thread::spawn(move || bench.writer.run(&told));
    lines.blocking_recv().expect("the durable event");
    // The writer is among its commands, until it is listened to.
    let last = event(Outcome::Forwarded);
    bench.sinks[0].record(last.clone());
    wait.recv().expect("an answer").expect("kept");
    writer.join().expect("ended");
    assert_eq!(Spool::find(&bench.shared.dir, last.id).expect("read"), Some(last));
}

#[test]
fn a_torn_line_is_counted_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("events-0000000000001.ndjson"), b"{\"id\":").expect("written");
    let (_recorder, metrics) = recorder(dir.path(), 8);
    assert_eq!(counted(&metrics, "events_torn"), 1);
}

#[test]
fn sampled_events_are_exported_and_no_others() {
    struct Kept(SyncSender<Vec<u8>>);
    impl Export for Kept {
        fn export(&mut self, document: Vec<u8>) {
            self.0.send(document).expect("room");
        }
    }
    let (kept, documents) = sync_channel(16);
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { export: Some(Box::new(Kept(kept))), ..options(dir.path(), 1024) };
    let recorder = Recorder::start(options, Arc::default()).expect("started");
    let sink = recorder.sink(0).expect("a sink");
    for number in 0..600 {
        sink.record(Event {
            sampled: number % 2 == 0,
            trace_id: Some(TraceId::generate()),
            span_id: Some(SpanId::generate()),
            ..event(Outcome::Forwarded)
        });
    }
    drop(recorder);
    let spans: Vec<_> = documents
        .iter()
        .map(|document| {
            let document: serde_json::Value = serde_json::from_slice(&document).expect("json");
            document["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").len()
        })
        .collect();
    assert_eq!(spans.iter().sum::<usize>(), 300);
    assert!(spans.iter().all(|count| *count <= 256), "{spans:?}");
}
