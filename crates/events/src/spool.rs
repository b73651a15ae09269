//! Events on disk: segments of lines of JSON.
//!
//! A segment is named by the time of its beginning, grows to its size, and is then only read. Dropping the oldest
//! segment is retention. A line is complete when it ends in a newline: what a crash cut off is not an event.

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memchr::memmem;
use serde::de::DeserializeOwned;

use crate::event::Event;
use crate::id::RequestId;

/// Largest segment; smaller ones if the whole spool is small.
const SEGMENT: u64 = 64 * 1024 * 1024;
/// Smallest segment: below, there would be a file for every few dozen events.
const SMALLEST: u64 = 64 * 1024;
/// Longest time a segment is written to: what few calls leave behind must grow too old as well.
const LONGEST_OPEN: Duration = Duration::from_secs(24 * 3600);
/// Shortest: below, there would be a file for every few turns of the writer.
const SHORTEST_OPEN: Duration = Duration::from_secs(1);
/// Retention drops whole segments: a spool has at least so many, of size and of time.
const PARTS: u32 = 8;
/// How much of a segment's end is read at first to find its last lines.
const TAIL: u64 = 256 * 1024;
/// How much later (in milliseconds) than a segment's beginning a request may have been made whose event is in the segment
/// before it: a segment is named by the time at which the writer began its turn, and clocks are corrected a little.
const SLACK: u64 = 60_000;
/// How long a request may have lasted, or a clock have been set back, for its event to be found: an id that is no longer kept
/// must not have the whole spool read.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Events on disk. One writer; any number of readers.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    max_size: u64,
    max_age: Duration,
    current: Option<Segment>,
    /// Beginning of the newest segment, of this process or an earlier one: names never repeat and always grow.
    last_start: u64,
    found_torn_line: bool,
}

#[derive(Debug)]
struct Segment {
    file: File,
    /// Bytes of whole lines.
    len: u64,
    began: SystemTime,
}

// === impl Spool ===

impl Spool {
    /// A spool in `dir`, which is made (mode 0700) if it is not there. Segments that are there are only read.
    ///
    /// # Errors
    /// When the directory cannot be made or read.
    pub fn open(dir: &Path, max_size: u64, max_age: Duration) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let newest = segments(dir)?.pop();
        let found_torn_line = newest.as_ref().is_some_and(|(_, path)| !ends_whole(path).unwrap_or(true));
        let last_start = newest.map_or(0, |(start, _)| start);
        Ok(Self { dir: dir.to_owned(), max_size, max_age, current: None, last_start, found_torn_line })
    }

    /// Whether a crash has cut off the last line of the process before. It is skipped, by all readers.
    pub(crate) fn found_torn_line(&self) -> bool {
        self.found_torn_line
    }

    /// Appends whole lines. On an error nothing of them is kept.
    pub(crate) fn append(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|segment| self.is_due(segment, now)) {
            self.close();
        }
        if self.current.is_none() {
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
                if segment.file.set_len(segment.len).is_err() {
                    self.current = None;
                }
                Err(error)
            }
        }
    }

    /// Has what was appended reach the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let Some(segment) = &self.current else { return Ok(()) };
        let synced = segment.file.sync_data();
        if synced.is_err() {
            // The system has dropped what it could not write, and would say nothing the next time.
            self.current = None;
        }
        synced
    }

    /// Drops segments that are too old or too many.
    pub(crate) fn retain(&mut self, now: SystemTime) {
        if self.current.as_ref().is_some_and(|segment| self.is_due(segment, now)) {
            self.close();
        }
        let Ok(segments) = segments(&self.dir) else { return };
        let oldest = millis(now.checked_sub(self.max_age).unwrap_or(UNIX_EPOCH));
        let mut total = 0u64;
        let mut newer_start = None;
        for (start, path) in segments.into_iter().rev() {
            let Ok(metadata) = fs::metadata(&path) else { continue };
            total = total.saturating_add(metadata.len());
            // A segment ends where the next one begins; the newest may be being written.
            let end = match newer_start {
                Some(newer) => newer,
                None if self.current.is_some() => u64::MAX,
                None => metadata.modified().map_or(u64::MAX, millis),
            };
            let too_many = newer_start.is_some() && total > self.max_size;
            newer_start = Some(start);
            if end < oldest || too_many {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn is_due(&self, segment: &Segment, now: SystemTime) -> bool {
        let size = (self.max_size / u64::from(PARTS)).clamp(SMALLEST, SEGMENT);
        let time = (self.max_age / PARTS).clamp(SHORTEST_OPEN, LONGEST_OPEN);
        segment.len >= size || now.duration_since(segment.began).is_ok_and(|open| open > time)
    }

    fn begin(&mut self, now: SystemTime) -> io::Result<()> {
        // Also when the clock was set back.
        let start = millis(now).max(self.last_start.saturating_add(1));
        let path = self.dir.join(format!("events-{start:013}.ndjson"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        // The name reaches the disk too, or a durable event is in a file nobody finds.
        File::open(&self.dir)?.sync_all()?;
        self.last_start = start;
        self.current = Some(Segment { file, len: 0, began: now });
        Ok(())
    }

    fn close(&mut self) {
        let _ = self.sync();
        self.current = None;
    }

    /// The event of a request.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn find(dir: &Path, id: RequestId) -> io::Result<Option<Event>> {
        let made = id.time().map_or(0, millis);
        let segments = segments(dir)?;
        // Recorded when the request ended, so not before the segment that was open when it began. Later
        // ones hold what went on for long, and all of a clock that was set back.
        let open = segments.iter().rposition(|(start, _)| start.saturating_add(SLACK) <= made).unwrap_or(0);
        let until = id.time().map_or(u64::MAX, |made| millis(made).saturating_add(millis_of(LONGEST)));
        for (_, path) in segments.iter().skip(open).take_while(|(start, _)| *start <= until) {
            let Some(bytes) = unless_dropped(fs::read(path))? else { continue };
            if let Some(event) = event_in(&bytes, id) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Hands over every event recorded since a moment, in the order in which they were recorded; answers how many lines could not be
    /// read. Holds one segment in memory.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn read(dir: &Path, since: SystemTime, take: impl FnMut(Event)) -> io::Result<u64> {
        Self::read_lines(dir, since, |event: &Event| event.time_us, take)
    }

    /// The same of whatever the lines are; `time` is in Unix microseconds.
    pub(crate) fn read_lines<T: DeserializeOwned>(
        dir: &Path,
        since: SystemTime,
        time: impl Fn(&T) -> u64,
        mut take: impl FnMut(T),
    ) -> io::Result<u64> {
        let (since, mut unreadable) = (millis(since), 0);
        let segments = segments(dir)?;
        // A segment ends where the next begins.
        let from = segments.iter().rposition(|(start, _)| start.saturating_add(SLACK) <= since).unwrap_or(0);
        for (_, path) in segments.iter().skip(from) {
            let Some(bytes) = unless_dropped(fs::read(path))? else { continue };
            for line in bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
                match serde_json::from_slice::<T>(line) {
                    Ok(line) if time(&line) / 1000 >= since => take(line),
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                }
            }
        }
        Ok(unreadable)
    }

    /// The last `count` events as lines of JSON, the oldest first. Holds them all in memory.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn tail(dir: &Path, count: usize) -> io::Result<Vec<String>> {
        let mut newest_first: Vec<String> = Vec::new();
        for (_, path) in segments(dir)?.iter().rev() {
            let wanted = count.saturating_sub(newest_first.len());
            if wanted == 0 {
                break;
            }
            if let Some(bytes) = unless_dropped(last_lines(path, wanted))? {
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                let lines = lines.map(|line| String::from_utf8_lossy(line).into_owned());
                newest_first.extend(lines.rev().take(wanted));
            }
        }
        newest_first.reverse();
        Ok(newest_first)
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

/// Retention may drop a segment while it is read: then its events are gone, and nothing is wrong.
fn unless_dropped<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a segment is empty or ends in a newline.
fn ends_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The end of a segment: at least its last `count` whole lines, or all of them; no part of a line.
fn last_lines(path: &Path, count: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut size = TAIL;
    loop {
        let from = len.saturating_sub(size);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(len - from).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        if from == 0 {
            return Ok(bytes);
        }
        let first = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.drain(..first);
        if memchr::memchr_iter(b'\n', &bytes).count() >= count {
            return Ok(bytes);
        }
        size = size.saturating_mul(4);
    }
}

/// The event with this id among whole lines.
fn event_in(bytes: &[u8], id: RequestId) -> Option<Event> {
    // Quotes within a text are escaped, so that no text can look like this column.
    let needle = format!("\"id\":\"{}\"", id.encode().as_str());
    memmem::find_iter(bytes, needle.as_bytes()).find_map(|at| {
        let (before, rest) = bytes.split_at_checked(at)?;
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let end = at + memchr::memchr(b'\n', rest)?;
        let event: Event = serde_json::from_slice(bytes.get(start..end)?).ok()?;
        (event.id == id).then_some(event)
    })
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis_of)
}

fn millis_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
