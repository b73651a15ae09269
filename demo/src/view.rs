//! What is seen while it runs: tables that are redrawn in a terminal, else a line now and then.

mod screen;

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::attacks::Family;
use crate::channels::NAMES;
use crate::data::Data;
use crate::day::Day;
use crate::summary::{millis, percent};
use crate::tally::{Counts, Line, Tally};

use screen::{DIM, GREEN, PLAIN, RED, Segment, beside};
pub use screen::{Size, size};

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(500);
/// How often a line is written where nobody looks.
const LINE: Duration = Duration::from_secs(5);

/// What is shown.
struct Scene<'a> {
    counts: &'a Counts,
    last: &'a Counts,
    families: &'a [Family],
    data: &'a Data,
    title: &'a str,
    clock: String,
    elapsed: Duration,
}

/// Shows what happens until it is dropped (its task is aborted).
pub(crate) async fn show(
    tally: Tally,
    data: Data,
    families: Vec<Family>,
    day: Day,
    title: String,
    live: bool,
) {
    let began = Instant::now();
    let mut every = tokio::time::interval(if live { REDRAW } else { LINE });
    let mut drawn = 0;
    let mut last = Counts::default();
    every.tick().await;
    loop {
        every.tick().await;
        let counts = tally.snapshot();
        let (clock, elapsed) = (day.clock(Instant::now()), began.elapsed());
        let scene = Scene {
            counts: &counts,
            last: &last,
            families: &families,
            data: &data,
            title: &title,
            clock,
            elapsed,
        };
        let mut out = std::io::stderr().lock();
        if live {
            let lines = scene.lines(size());
            // Up to where the last drawing began, and clear what is below.
            let up = if drawn > 0 { format!("\x1b[{drawn}A\x1b[J") } else { String::new() };
            drawn = lines.len();
            let _ = writeln!(out, "{up}{}", lines.join("\n"));
        } else {
            let _ = writeln!(out, "{}", scene.line());
        }
        drop(out);
        last = counts;
    }
}

// === impl Scene ===

impl Scene<'_> {
    /// Where nobody looks.
    fn line(&self) -> String {
        let Self { counts, families, data, .. } = self;
        let sent: u64 = counts.channels.values().map(|channel| channel.sent).sum();
        let trouble: u64 = counts.channels.values().map(Line::complaints).sum();
        let tries: u64 = counts.attacks.values().map(|attack| attack.sent).sum();
        let blocked: u64 = counts.attacks.values().map(|attack| attack.blocked).sum();
        let reached = families.iter().filter(|family| family.succeeded(data) > 0).count();
        format!(
            "{:>4} s  {}  customers: {sent} calls, {trouble} in trouble; attackers: {tries} tries, {blocked} blocked, {reached} of {} goals reached",
            self.elapsed.as_secs(),
            self.clock,
            families.len()
        )
    }

    /// All lines, as many and as long as the terminal can show.
    fn lines(&self, size: Size) -> Vec<String> {
        let title = format!("{}   {} s   it is {}", self.title, self.elapsed.as_secs(), self.clock);
        let mut lines = vec![Segment::new("\x1b[1m", title).drawn(size.columns)];
        let (channels, attacks) = (self.channels(), self.attacks());
        if size.columns >= screen::WIDE {
            // Services beside channels, attacks below the channels.
            let mut left = channels;
            left.push(Segment::new(PLAIN, String::new()));
            left.extend(attacks);
            lines.push(String::new());
            lines.extend(beside(&left, &self.services(), size.columns));
        } else {
            lines.extend(channels.iter().chain(&attacks).map(|line| line.drawn(size.columns)));
        }
        lines.push(Segment::new(DIM, self.footer()).drawn(size.columns));
        lines.truncate(usize::from(size.rows.saturating_sub(1)));
        lines
    }

    fn channels(&self) -> Vec<Segment> {
        let mut lines = vec![Segment::new(
            DIM,
            row("channel", "calls", "per s", "pages", "own", "refused", "failed", "p50", "p99"),
        )];
        for name in NAMES {
            let line = self.counts.channels.get(name).cloned().unwrap_or_default();
            let before = self.last.channels.get(name).map_or(0, |channel| channel.sent);
            let rate = (line.sent - before) * 1000 / u64::try_from(REDRAW.as_millis()).unwrap_or(1);
            lines.push(shown(name, &line, &rate.to_string()));
        }
        lines
    }

    fn services(&self) -> Vec<Segment> {
        let mut lines = vec![Segment::new(DIM, service("service", "calls", "p50", "p99"))];
        for (name, line) in &self.counts.services {
            let (p50, p99) = (line.latencies.quantile_us(0.5), line.latencies.quantile_us(0.99));
            let style = if line.complaints() > 0 { RED } else { PLAIN };
            lines
                .push(Segment::new(style, service(name, &line.sent.to_string(), &millis(p50), &millis(p99))));
        }
        lines
    }

    fn attacks(&self) -> Vec<Segment> {
        let head = format!("  {:<20} {:>8} {:>8} {:>8}", "attack", "tries", "blocked", "reached");
        let mut lines = vec![Segment::new(DIM, head)];
        for family in self.families {
            let attack = self.counts.attacks.get(family).copied().unwrap_or_default();
            let reached = family.succeeded(self.data);
            let text =
                format!("  {:<20} {:>8} {:>8} {reached:>8}", family.as_str(), attack.sent, attack.blocked);
            lines.push(Segment::new(if reached > 0 { RED } else { GREEN }, text));
        }
        lines
    }

    fn footer(&self) -> String {
        let mut text = String::new();
        let times = &self.counts.latencies;
        let _ = write!(
            text,
            "  half answered within {}, 99 of 100 within {}   Ctrl-C to end",
            millis(times.quantile_us(0.5)),
            millis(times.quantile_us(0.99))
        );
        text
    }
}

fn shown(name: &str, line: &Line, rate: &str) -> Segment {
    let (p50, p99) = (line.latencies.quantile_us(0.5), line.latencies.quantile_us(0.99));
    let text = row(
        name,
        &line.sent.to_string(),
        rate,
        &percent(line.pages, line.sent),
        &line.expected.to_string(),
        &line.refused.to_string(),
        &line.errors.to_string(),
        &millis(p50),
        &millis(p99),
    );
    Segment::new(if line.complaints() > 0 { RED } else { PLAIN }, text)
}

#[expect(clippy::too_many_arguments, reason = "one a column")]
fn row(
    name: &str,
    sent: &str,
    rate: &str,
    pages: &str,
    expected: &str,
    refused: &str,
    failed: &str,
    p50: &str,
    p99: &str,
) -> String {
    format!(
        "  {name:<12} {sent:>6} {rate:>5} {pages:>6} {expected:>5} {refused:>7} {failed:>6} {p50:>10} {p99:>10}"
    )
}

fn service(name: &str, sent: &str, p50: &str, p99: &str) -> String {
    format!("{name:<14} {sent:>6} {p50:>10} {p99:>10}")
}
