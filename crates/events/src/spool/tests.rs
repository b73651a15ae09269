use std::os::unix::fs::PermissionsExt;

use super::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn line(id: RequestId) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Event { id, weight: 1, ..Event::default() }).expect("json");
    line.push(b'\n');
    line
}

fn ids(lines: &[String]) -> Vec<RequestId> {
    lines.iter().map(|line| serde_json::from_str::<Event>(line).expect("an event").id).collect()
}

fn starts(dir: &Path) -> Vec<u64> {
    segments(dir).expect("read").into_iter().map(|(start, _)| start).collect()
}

#[test]
fn an_event_is_found_in_the_segment_of_its_time_or_a_later_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut spool = Spool::open(dir.path(), 1 << 20, YEAR).expect("open");
    let made: Vec<_> = (1..=5).map(|hour| RequestId::generate(at(hour * 100))).collect();
    for (index, id) in made.iter().enumerate() {
        spool.current = None;
        spool.append(&line(*id), at((index as u64 + 1) * 100 + 30)).expect("appended");
    }
    // A day on the line, and a request whose id is of another kind.
    let long = RequestId::generate(at(100));
    let foreign: RequestId = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6".parse().expect("an id");
    for id in [long, foreign] {
        spool.current = None;
        spool.append(&line(id), at(100) + LONGEST).expect("appended");
    }
    let too_long = RequestId::generate(at(99));
    spool.append(&line(too_long), at(100) + LONGEST).expect("appended");
    assert_eq!(Spool::find(dir.path(), too_long).expect("read"), None);
    for id in made.iter().chain([&long, &foreign]) {
        assert_eq!(Spool::find(dir.path(), *id).expect("read").map(|event| event.id), Some(*id));
    }
    assert_eq!(Spool::find(dir.path(), RequestId::generate(at(250))).expect("read"), None);
    let tail = Spool::tail(dir.path(), 5).expect("read");
    assert_eq!(ids(&tail), [made[3], made[4], long, foreign, too_long]);
}

/// Regression: an event recorded in the millisecond in which the next segment began was not found.
#[test]
fn an_event_is_found_in_the_segment_before_one_of_its_own_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut spool = Spool::open(dir.path(), 1 << 20, YEAR).expect("open");
    let made = [0, 1, SLACK - 1].map(|later| RequestId::generate(at(100) + Duration::from_millis(later)));
    spool.append(&made.map(line).concat(), at(90)).expect("appended");
    spool.current = None;
    spool.append(&line(RequestId::generate(at(101))), at(100)).expect("appended");
    for id in made {
        assert_eq!(Spool::find(dir.path(), id).expect("read").map(|event| event.id), Some(id));
    }
}

#[test]
fn an_id_within_a_text_is_not_the_event() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut spool = Spool::open(dir.path(), 1 << 20, YEAR).expect("open");
    let wanted = RequestId::generate(at(100));
    let other = RequestId::generate(at(100));
    let decoy = Event { id: other, user_agent: format!("\"id\":\"{wanted}\"").into(), ..Event::default() };
    let mut lines = serde_json::to_vec(&decoy).expect("json");
    lines.push(b'\n');
    lines.extend(line(wanted));
    spool.append(&lines, at(100)).expect("appended");
    assert_eq!(Spool::find(dir.path(), wanted).expect("read").map(|event| event.id), Some(wanted));
}

#[test]
fn a_line_cut_anywhere_is_no_event_and_hides_no_other() {
    let whole = line(RequestId::generate(at(1)));
    let cut = line(RequestId::generate(at(2)));
    for length in 0..cut.len() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bytes = whole.clone();
        bytes.extend_from_slice(&cut[..length]);
        fs::write(dir.path().join("events-0000000000001.ndjson"), &bytes).expect("written");
        assert_eq!(Spool::tail(dir.path(), 10).expect("read").len(), 1, "{length}");
        let mut spool = Spool::open(dir.path(), 1 << 20, YEAR).expect("open");
        assert_eq!(spool.found_torn_line(), length > 0, "{length}");
        let next = RequestId::generate(at(3));
        spool.append(&line(next), at(3)).expect("appended");
        assert!(Spool::find(dir.path(), next).expect("read").is_some(), "{length}");
        assert_eq!(Spool::tail(dir.path(), 10).expect("read").len(), 2, "{length}");
    }
}

/// Regression: a process that starts in the millisecond of a segment, or with a clock that was set back, appended to that
/// segment behind its torn line.
#[test]
fn a_segment_is_never_written_by_two_processes() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("events-0000000005000.ndjson"), b"{\"torn").expect("written");
    for now in [at(5), at(1)] {
        let mut spool = Spool::open(dir.path(), 1 << 20, YEAR).expect("open");
        let id = RequestId::generate(now);
        spool.append(&line(id), now).expect("appended");
        assert!(Spool::find(dir.path(), id).expect("read").is_some());
    }
    assert_eq!(starts(dir.path()), [5000, 5001, 5002]);
}

/// Regression: only the last 4 MiB of each segment were looked at, and the lines before them left out of the middle.
#[test]
fn the_last_lines_are_without_a_hole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut spool = Spool::open(dir.path(), 1 << 30, YEAR).expect("open");
    let made: Vec<_> = (0..3000).map(|second| RequestId::generate(at(second))).collect();
    let padding = "x".repeat(400);
    for (index, id) in made.iter().enumerate() {
        if index % 1300 == 0 {
            spool.current = None;
        }
        let event = Event { id: *id, user_agent: padding.clone().into(), ..Event::default() };
        let mut line = serde_json::to_vec(&event).expect("json");
        line.push(b'\n');
        spool.append(&line, at(index as u64)).expect("appended");
    }
    for count in [0, 1, 399, 400, 401, 1700, 2999, 3000, 3001, usize::MAX] {
        let tail = ids(&Spool::tail(dir.path(), count).expect("read"));
        assert_eq!(tail, made[made.len() - count.min(made.len())..], "{count}");
    }
}

#[test]
fn surplus_segments_go_and_the_newest_stay() {
    let dir = tempfile::tempdir().expect("a directory");
    let max = 16 * SMALLEST;
    let mut spool = Spool::open(dir.path(), max, YEAR).expect("open");
    let mut chunk = vec![b'x'; 8 * 1024];
    chunk.push(b'\n');
    for second in 0..1000 {
        spool.append(&chunk, at(second)).expect("appended");
        let sizes: Vec<_> = segments(dir.path())
            .expect("read")
            .iter()
            .map(|(_, path)| fs::metadata(path).expect("there").len())
            .collect();
        let total: u64 = sizes.iter().sum();
        let segment = max / u64::from(PARTS) + chunk.len() as u64;
        assert!(total <= max + segment, "{total}");
        assert!(second < 200 || total + segment >= max, "more was dropped than needed: {total}");
    }
}

/// Regression: a segment that few calls go to was written to for ever, and so never too old.
#[test]
fn a_segment_ends_with_its_time_and_goes_with_its_age() {
    let dir = tempfile::tempdir().expect("a directory");
    let hour = Duration::from_secs(3600);
    let mut spool = Spool::open(dir.path(), 1 << 30, hour * 8).expect("open");
    let one = line(RequestId::generate(at(0)));
    for minutes in (10..=24 * 60).step_by(10) {
        spool.append(&one, at(minutes * 60)).expect("appended");
        spool.retain(at(minutes * 60));
        let oldest = starts(dir.path())[0];
        // What is kept is at most one segment's time older than it may be.
        assert!(minutes * 60_000 - oldest <= 9 * 3_600_000 + 10 * 60_000, "{minutes}: {oldest}");
        assert!(minutes < 600 || minutes * 60_000 - oldest >= 8 * 3_600_000, "{minutes}: {oldest}");
    }
    // Nobody calls any more: all of it goes.
    for (start, path) in segments(dir.path()).expect("read") {
        let file = OpenOptions::new().append(true).open(path).expect("open");
        file.set_modified(UNIX_EPOCH + Duration::from_millis(start) + hour).expect("set");
    }
    spool.retain(at(40 * 3600));
    assert_eq!(starts(dir.path()), [] as [u64; 0]);
}

#[test]
fn only_the_owner_can_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let inner = dir.path().join("data/events");
    let mut spool = Spool::open(&inner, 1 << 20, YEAR).expect("open");
    spool.append(b"{}\n", at(1)).expect("appended");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    assert_eq!(mode(&segments(&inner).expect("read")[0].1), 0o600);
}

#[test]
fn a_disk_that_refuses_is_asked_again_in_a_new_segment() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut spool = Spool::open(dir.path(), 1 << 20, YEAR).expect("open");
    let full = OpenOptions::new().append(true).open("/dev/full").expect("open");
    spool.current = Some(Segment { file: full, len: 0, began: at(1) });
    spool.append(b"{}\n", at(1)).expect_err("no room");
    let id = RequestId::generate(at(2));
    spool.append(&line(id), at(2)).expect("appended");
    assert_eq!(Spool::find(dir.path(), id).expect("read").map(|event| event.id), Some(id));
}
