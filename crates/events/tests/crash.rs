//! What a crash and a full disk leave behind. The test binary runs itself as the process that dies.

#![cfg(test)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use haechi_events::{Event, Kind, Metrics, Options, Outcome, Recorder, RequestId, Spool};

/// Where the process that dies keeps its events; only it has this variable.
const DIR: &str = "HAECHI_EVENTS_TEST_DIR";

fn recorder(dir: &Path) -> (Recorder, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let options = Options {
        dir: dir.to_owned(),
        max_size: 1 << 30,
        max_age: Duration::from_secs(1 << 30),
        workers: 1,
        queue: 64,
        requests: None,
        export: None,
    };
    (Recorder::start(options, metrics.clone()).expect("started"), metrics)
}

fn event(kind: Kind) -> Event {
    Event {
        id: RequestId::generate(SystemTime::now()),
        kind,
        outcome: Outcome::Refused,
        weight: 1,
        object: "x".repeat(300).into(),
        ..Event::default()
    }
}

/// Runs one of the functions below in a process of its own.
fn run(test: &str, dir: &Path, limits: &str) -> Child {
    let this = std::env::current_exe().expect("a path");
    Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$0\" --exact {test} --nocapture")])
        .arg(this)
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell")
}

/// The rest of a line of the child after `word`.
fn told(child: &mut Child, word: &str) -> impl Iterator<Item = String> + use<> {
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let word = format!("{word} ");
    out.lines().map_while(Result::ok).filter_map(move |line| Some(line.split_once(&word)?.1.to_owned()))
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = run("child_that_is_killed", dir.path(), "");
    let mut acknowledged = told(&mut child, "acknowledged");
    let mut ids: Vec<RequestId> = Vec::new();
    ids.extend(acknowledged.by_ref().take(50).map(|id| id.parse::<RequestId>().expect("an id")));
    child.kill().expect("killed");
    // What it said before it died, it had done.
    ids.extend(acknowledged.filter_map(|id| id.parse::<RequestId>().ok()));
    child.wait().expect("ended");
    assert!(ids.len() >= 50);

    let (recorder, _) = recorder(dir.path());
    let next = event(Kind::Control);
    recorder.record_durable(next.clone()).expect("kept");
    for id in ids.into_iter().chain([next.id]) {
        assert_eq!(recorder.find(id).expect("read").map(|event| event.id), Some(id));
    }
}

/// Records until it is killed.
#[test]
fn child_that_is_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let (recorder, _) = recorder(&dir);
    let sink = recorder.sink(0).expect("a sink");
    loop {
        let durable = event(Kind::Control);
        let id = durable.id;
        sink.record(event(Kind::Request));
        recorder.record_durable(durable).expect("kept");
        println!("\nacknowledged {id}");
    }
}

#[test]
fn a_full_disk_refuses_is_counted_and_cuts_no_line() {
    let dir = tempfile::tempdir().expect("a directory");
    // A file may have 32 KiB, and to write more is an error, not a signal: for the process the disk is full.
    let mut child = run("child_on_a_full_disk", dir.path(), "trap '' XFSZ; ulimit -f 64;");
    let told: Vec<String> = told(&mut child, "told").collect();
    assert!(child.wait().expect("ended").success());
    let [refused, errors] = told.first().expect("a line").splitn(2, ' ').collect::<Vec<_>>()[..] else {
        panic!("{told:?}");
    };
    assert_eq!((refused, errors), ("true", "haechi_spool_errors_total 1"));
}

/// Records until the disk refuses; says whether it did, and how that was counted.
#[test]
fn child_on_a_full_disk() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let (recorder, metrics) = recorder(&dir);
    let mut kept = Vec::new();
    let refused = (0..1000).any(|_| {
        let event = event(Kind::Control);
        let id = event.id;
        let refused = recorder.record_durable(event).is_err();
        if !refused {
            kept.push(id);
        }
        refused
    });
    let text = metrics.encode();
    let errors = text.lines().find(|line| line.starts_with("haechi_spool_errors_total")).unwrap_or_default();
    println!("\ntold {refused} {errors}");
    // No half line is left behind, and all that was acknowledged is there.
    for entry in std::fs::read_dir(&dir).expect("read") {
        let bytes = std::fs::read(entry.expect("read").path()).expect("read");
        assert_eq!(bytes.last(), Some(&b'\n'));
    }
    let lines = Spool::tail(&dir, usize::MAX).expect("read");
    let ids: Vec<_> =
        lines.iter().map(|line| serde_json::from_str::<Event>(line).expect("an event").id).collect();
    assert_eq!(ids, kept);
}
