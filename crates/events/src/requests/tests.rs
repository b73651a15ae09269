use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::UNIX_EPOCH;

use serde_json::json;

use super::*;

fn options() -> RequestOptions {
    RequestOptions { sample: 1.0, max_body: 256, max_size: 1 << 20, max_age: Duration::from_secs(1 << 30) }
}

fn id(n: u64) -> RequestId {
    RequestId::generate(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + n))
}

fn keeping(sink: &RequestSink, id: RequestId, headers: &[(&str, &str)], body: &[u8]) -> Option<Box<Keeping>> {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let mut keeping = sink.begin(id, 1, headers, |name| name == "x-customer")?;
    keeping.body(body, sink);
    Some(keeping)
}

fn read(dir: &Path) -> Vec<KeptRequest> {
    let mut all = Vec::new();
    assert_eq!(KeptRequest::read(dir, UNIX_EPOCH, |kept| all.push(kept)).expect("read"), 0);
    all
}

#[test]
fn no_secret_of_a_head_or_a_body_reaches_the_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let recorder = RequestRecorder::start(dir.path(), &options(), Arc::default()).expect("started");
    let sink = recorder.sink();
    let headers = [
        ("Authorization", "Custom s3cret"),
        ("Proxy-Authorization", "Custom s3cret"),
        ("Cookie", "a=s3cret"),
        ("X-Customer", "s3cret"),
        ("X-Session-Token", "s3cret"),
        ("X-Odd", "Bearer s3cret"),
        ("Referer", "https://x.example/?access_token=s3cret"),
        ("X-Color", "red"),
    ];
    let body = br#"{"password":"s3cret","pizza":"Margherita"}"#;
    sink.keep(keeping(&sink, id(1), &headers, body).expect("sampled"));
    drop(recorder);
    let kept = read(dir.path()).remove(0);
    assert_eq!(kept.headers, [("x-color".to_owned(), "red".to_owned())]);
    assert_eq!(kept.hidden_headers.len(), 7, "{:?}", kept.hidden_headers);
    assert_eq!(kept.body, Some(json!({ "password": "…", "pizza": "Margherita" })));
    assert_eq!(kept.hidden, ["/password"]);
    let folder = dir.path().join(DIR);
    assert_eq!(fs::metadata(&folder).expect("there").permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&folder).expect("there") {
        let path = entry.expect("an entry").path();
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&path).expect("text").contains("s3cret"));
    }
}

#[test]
fn a_body_at_the_limit_is_kept_and_a_longer_one_is_not() {
    let (sink, _told) = RequestSink::new(&options(), 1, Arc::default());
    for (length, is_kept) in [(256, true), (257, false)] {
        let body = format!("\"{}\"", "x".repeat(length - 2));
        let kept = keeping(&sink, id(1), &[], body.as_bytes()).expect("sampled").redacted();
        assert_eq!(kept.body.is_some(), is_kept, "{length}");
    }
}

#[test]
fn a_head_at_the_limit_is_kept_and_a_longer_one_is_counted() {
    let metrics = Arc::new(Metrics::default());
    let (sink, _told) = RequestSink::new(&options(), 1, metrics.clone());
    for (length, is_kept) in [(HEAD - 1, true), (HEAD, false)] {
        let value = "y".repeat(length);
        assert_eq!(keeping(&sink, id(1), &[("x", &value)], b"").is_some(), is_kept, "{length}");
    }
    assert!(metrics.encode().contains("haechi_requests_left_out_total 1\n"));
}

#[test]
fn a_full_queue_takes_nothing_more_and_counts_it() {
    let metrics = Arc::new(Metrics::default());
    let (sink, told) = RequestSink::new(&options(), 2, metrics.clone());
    for n in 0..5 {
        sink.keep(keeping(&sink, id(n), &[], b"").expect("sampled"));
    }
    assert_eq!(told.try_iter().count(), 2);
    assert!(metrics.encode().contains("haechi_requests_left_out_total 3\n"));
}

#[test]
fn the_sample_is_told_by_the_id() {
    let share = |sample: f64| {
        let (sink, _told) = RequestSink::new(&RequestOptions { sample, ..options() }, 1, Arc::default());
        (0..10_000)
            .filter(|n| {
                let id = id(*n);
                let kept = keeping(&sink, id, &[], b"").is_some();
                assert_eq!(kept, id.is_sampled(sample));
                kept
            })
            .count()
    };
    assert_eq!((share(0.0), share(1.0)), (0, 10_000));
    // Ten standard deviations of the binomial distribution to either side.
    let tenth = share(0.1);
    assert!((700..1300).contains(&tenth), "{tenth}");
}

#[test]
fn what_is_kept_is_bounded_by_size_and_age() {
    let dir = tempfile::tempdir().expect("a directory");
    let day = Duration::from_secs(86_400);
    let mut spool = Spool::open(dir.path(), 1 << 20, day).expect("open");
    let (sink, _told) =
        RequestSink::new(&RequestOptions { max_body: 65_536, ..options() }, 1, Arc::default());
    let body = format!("\"{}\"", "z".repeat(60_000));
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let size = || -> u64 {
        fs::read_dir(dir.path())
            .expect("there")
            .map(|file| file.expect("one").metadata().expect("there").len())
            .sum()
    };
    for n in 0..100 {
        let keeping = keeping(&sink, id(n), &[], body.as_bytes()).expect("sampled");
        append(&mut spool, *keeping, now + Duration::from_secs(n)).expect("written");
        spool.retain(now + Duration::from_secs(n));
        // The segment that is being written comes on top.
        assert!(size() <= (1 << 20) + (1 << 18), "{}", size());
    }
    // All but the newest, whose end is when the system wrote to it last.
    spool.retain(now + 3 * day);
    assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
}

#[test]
fn nothing_is_read_where_nothing_was_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(read(dir.path()).is_empty());
}
