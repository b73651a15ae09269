//! What is seen while it runs: a table that is redrawn in a terminal, else a line now and then.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::attacks::Family;
use crate::data::Data;
use crate::summary::millis;
use crate::tally::{Counts, Tally};

/// How often a terminal is redrawn.
const REDRAW: Duration = Duration::from_millis(500);
/// How often a line is written where nobody looks.
const LINE: Duration = Duration::from_secs(5);

/// Shows what happens until it is dropped (its task is aborted).
pub(crate) async fn show(tally: Tally, data: Data, families: Vec<Family>, title: String, live: bool) {
    let began = Instant::now();
    let mut every = tokio::time::interval(if live { REDRAW } else { LINE });
    let mut drawn = 0;
    let mut last = Counts::default();
    every.tick().await;
    loop {
        every.tick().await;
        let counts = tally.snapshot();
        if live {
            let text = table(&counts, &last, &families, &data, &title, began.elapsed());
            let mut out = std::io::stderr().lock();
            // Up to where the last drawing began, and clear what is below.
            let up = if drawn > 0 { format!("\x1b[{drawn}A\x1b[J") } else { String::new() };
            let _ = write!(out, "{up}{text}");
            drawn = text.lines().count();
        } else {
            let _ = writeln!(std::io::stderr(), "{}", line(&counts, &families, &data, began.elapsed()));
        }
        last = counts;
    }
}

fn line(counts: &Counts, families: &[Family], data: &Data, elapsed: Duration) -> String {
    let sent: u64 = counts.channels.values().map(|channel| channel.sent).sum();
    let trouble: u64 = counts.channels.values().map(|channel| channel.refused + channel.errors).sum();
    let tries: u64 = counts.attacks.values().map(|attack| attack.sent).sum();
    let blocked: u64 = counts.attacks.values().map(|attack| attack.blocked).sum();
    let reached = families.iter().filter(|family| family.succeeded(data) > 0).count();
    format!(
        "{:>4} s  customers: {sent} calls, {trouble} in trouble; attackers: {tries} tries, {blocked} blocked, {reached} of {} goals reached",
        elapsed.as_secs(),
        families.len()
    )
}

fn table(
    counts: &Counts,
    last: &Counts,
    families: &[Family],
    data: &Data,
    title: &str,
    elapsed: Duration,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "\x1b[1m{title}\x1b[0m   {} s   Ctrl-C to end", elapsed.as_secs());
    let _ = writeln!(
        out,
        "\n  \x1b[2m{:<20} {:>8} {:>8} {:>8} {:>8}\x1b[0m",
        "channel", "calls", "per s", "refused", "failed"
    );
    for (name, channel) in &counts.channels {
        let before = last.channels.get(name).map_or(0, |channel| channel.sent);
        let rate = (channel.sent - before) * 1000 / u64::try_from(REDRAW.as_millis()).unwrap_or(1);
        let mark = if channel.refused + channel.errors > 0 { "\x1b[31m" } else { "" };
        let _ = writeln!(
            out,
            "  {name:<20} {:>8} {rate:>8} {mark}{:>8} {:>8}\x1b[0m",
            channel.sent, channel.refused, channel.errors
        );
    }
    let _ = writeln!(
        out,
        "  half answered within {}, 99 of 100 within {}",
        millis(counts.latency_us(0.5)),
        millis(counts.latency_us(0.99))
    );
    let _ =
        writeln!(out, "\n  \x1b[2m{:<20} {:>8} {:>8} {:>8}\x1b[0m", "attack", "tries", "blocked", "reached");
    for family in families {
        let attack = counts.attacks.get(family).copied().unwrap_or_default();
        let reached = family.succeeded(data);
        let mark = if reached > 0 { "\x1b[1;31m" } else { "\x1b[32m" };
        let _ = writeln!(
            out,
            "  {:<20} {:>8} {:>8} {mark}{reached:>8}\x1b[0m",
            family.as_str(),
            attack.sent,
            attack.blocked
        );
    }
    out
}
