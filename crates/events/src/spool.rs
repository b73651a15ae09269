//! Events on disk: segments of lines of JSON.
//!
//! A segment is named by the time of its beginning, grows to its size, and is then only read. Dropping the oldest
//! segment is retention. A line is complete when it ends in a newline: what a crash cut off is not an event.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memchr::memmem;

use crate::event::Event;
use crate::id::RequestId;

/// Largest segment; smaller ones if the whole spool is small.
const SEGMENT: u64 = 64 * 1024 * 1024;
/// How much of a segment's end is read to find its last lines.
const TAIL: u64 = 4 * 1024 * 1024;
/// How long before a segment's beginning a request in it may have begun.
const LONGEST: Duration = Duration::from_secs(3600);

/// Events on disk. One writer; any number of readers.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    max_size: u64,
    max_age: Duration,
    current: Option<Segment>,
    last_start: u64,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Bytes of whole lines.
    len: u64,
}

// === impl Spool ===

impl Spool {
    /// A spool in `dir`, which is made (mode 0700) if it is not there.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(dir: &Path, max_size: u64, max_age: Duration) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Self { dir: dir.to_owned(), max_size, max_age, current: None, last_start: 0 })
    }

    /// Appends whole lines. On an error nothing of them is kept.
    pub(crate) fn append(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        let size = (self.max_size / 8).clamp(64 * 1024, SEGMENT);
        if self.current.as_ref().is_none_or(|segment| segment.len >= size) {
            self.begin(now)?;
            self.retain(now);
        }
        let Some(segment) = &mut self.current else { return Ok(()) };
        match segment.file.write_all(lines) {
            Ok(()) => {
                segment.len += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A full disk leaves half a line: take it back, or go on in another segment.
                if segment
                    .file
                    .set_len(segment.len)
                    .and_then(|()| segment.file.seek(SeekFrom::End(0)))
                    .is_err()
                {
                    self.current = None;
                }
                Err(error)
            }
        }
    }

    /// Has what was appended reach the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.current.as_ref().map_or(Ok(()), |segment| segment.file.sync_data())
    }

    /// Drops segments that are too old or too many.
    pub(crate) fn retain(&mut self, now: SystemTime) {
        let Ok(segments) = segments(&self.dir) else { return };
        let oldest = millis(now.checked_sub(self.max_age).unwrap_or(UNIX_EPOCH));
        let mut total = 0u64;
        let mut newer_start = u64::MAX;
        for (start, path) in segments.into_iter().rev() {
            let len = fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or_default();
            total = total.saturating_add(len);
            // A segment ends where the next one begins; the newest is being written.
            let too_old = newer_start != u64::MAX && newer_start < oldest;
            let too_many = newer_start != u64::MAX && total > self.max_size;
            newer_start = start;
            if too_old || too_many {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn begin(&mut self, now: SystemTime) -> io::Result<()> {
        self.last_start = millis(now).max(self.last_start + 1);
        let path = self.dir.join(format!("events-{:013}.ndjson", self.last_start));
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let len = file.metadata()?.len();
        self.current = Some(Segment { file, len });
        Ok(())
    }

    /// The event of a request.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn find(dir: &Path, id: RequestId) -> io::Result<Option<Event>> {
        let text = id.encode();
        let made = id.time().map_or(0, millis);
        let segments = segments(dir)?;
        // Recorded when the request ended, so not before the segment that was open when it began.
        let open = segments.iter().rposition(|(start, _)| *start <= made).unwrap_or(0);
        let needle = format!("\"id\":\"{}\"", text.as_str());
        let finder = memmem::Finder::new(needle.as_bytes());
        let until = made.saturating_add(millis_of(LONGEST));
        for (start, path) in segments.iter().skip(open) {
            if *start > until {
                break;
            }
            let bytes = fs::read(path)?;
            if let Some(at) = finder.find(&bytes)
                && let Some(event) = line_around(&bytes, at)
            {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The last `count` events, the oldest first.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn tail(dir: &Path, count: usize) -> io::Result<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        for (_, path) in segments(dir)?.iter().rev() {
            if found.len() >= count {
                break;
            }
            let mut file = File::open(path)?;
            let len = file.metadata()?.len();
            let from = len.saturating_sub(TAIL);
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            bytes.truncate(whole);
            let skip = usize::from(from > 0);
            let lines: Vec<_> =
                bytes.split(|byte| *byte == b'\n').skip(skip).filter(|line| !line.is_empty()).collect();
            let wanted = count - found.len();
            let newer = std::mem::take(&mut found);
            found.extend(
                lines
                    .iter()
                    .skip(lines.len().saturating_sub(wanted))
                    .map(|line| String::from_utf8_lossy(line).into_owned()),
            );
            found.extend(newer);
        }
        Ok(found)
    }
}

/// Beginnings (Unix milliseconds) and paths, the oldest first.
fn segments(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut list: Vec<_> = fs::read_dir(dir)?
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let start = name.strip_prefix("events-")?.strip_suffix(".ndjson")?.parse().ok()?;
            Some((start, path))
        })
        .collect();
    list.sort();
    Ok(list)
}

fn line_around(bytes: &[u8], at: usize) -> Option<Event> {
    let start = bytes.get(..at)?.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = at + bytes.get(at..)?.iter().position(|byte| *byte == b'\n')?;
    serde_json::from_slice(bytes.get(start..end)?).ok()
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis_of)
}

fn millis_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn line(id: RequestId) -> Vec<u8> {
        let mut line = serde_json::to_vec(&Event { id, weight: 1, ..Event::default() }).expect("json");
        line.push(b'\n');
        line
    }

    #[test]
    fn an_event_is_found_in_the_segment_of_its_time_or_a_later_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut spool = Spool::open(dir.path(), 1 << 20, Duration::from_secs(1 << 20)).expect("open");
        let ids: Vec<_> = (1..=5).map(|hour| RequestId::generate(at(hour * 100))).collect();
        for (index, id) in ids.iter().enumerate() {
            spool.current = None;
            spool.append(&line(*id), at((index as u64 + 1) * 100 + 30)).expect("appended");
        }
        for id in &ids {
            assert_eq!(Spool::find(dir.path(), *id).expect("read").map(|event| event.id), Some(*id));
        }
        assert_eq!(Spool::find(dir.path(), RequestId::generate(at(250))).expect("read"), None);
        let tail = Spool::tail(dir.path(), 3).expect("read");
        let tail: Vec<Event> =
            tail.iter().map(|line| serde_json::from_str(line).expect("an event")).collect();
        assert_eq!(tail.iter().map(|event| event.id).collect::<Vec<_>>(), ids[2..]);
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
            let mut spool = Spool::open(dir.path(), 1 << 20, Duration::from_secs(9)).expect("open");
            let next = RequestId::generate(at(3));
            spool.append(&line(next), at(3)).expect("appended");
            assert!(Spool::find(dir.path(), next).expect("read").is_some(), "{length}");
        }
    }

    #[test]
    fn old_and_surplus_segments_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut spool = Spool::open(dir.path(), 200 * 1024, Duration::from_secs(1000)).expect("open");
        let chunk = [&[b'x'; 64 * 1024 - 1][..], b"\n"].concat();
        for second in 0..10 {
            spool.append(&chunk, at(2000 + second)).expect("appended");
        }
        let size = |dir: &Path| segments(dir).expect("read").len();
        assert!(size(dir.path()) <= 4, "{}", size(dir.path()));
        spool.append(&chunk, at(9000)).expect("appended");
        spool.retain(at(9000));
        assert!(size(dir.path()) <= 2, "{}", size(dir.path()));
    }
}
