//! `haechi waf bench`: what rules cost requests.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use haechi_seclang::Verdict;
use serde::Serialize;

use super::request::RawRequest;
use super::rules::RuleOptions;
use crate::output::{Failure, Format, json, table};

/// Runs before any is measured: automata of patterns are built lazily.
const WARM: usize = 50;
/// A request is not measured longer than this, however many rounds are left.
const LONGEST: Duration = Duration::from_secs(20);

/// What the engine may take in without refusing: a large form is worth measuring. Files that say otherwise come later, and win.
const SETUP: &str = "SecRequestBodyAccess On\nSecRequestBodyNoFilesLimit 1048576\nSecArgumentsLimit 10000\n";

/// Measure what rules cost requests.
///
/// A file holds one request as it would be on the wire. What is measured is all that rules do with it until it could be sent on: head and body
/// read, phases 1 and 2.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    rules: RuleOptions,
    /// Files with requests
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    request: Vec<PathBuf>,
    /// How often each is judged
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), value_name = "N")]
    rounds: u32,
    /// Forget before each round what the engine remembers from one request to the next: the price of requests that are all new
    #[arg(long)]
    cold: bool,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Serialize)]
struct Measured {
    request: String,
    median_us: f64,
    p99_us: f64,
    verdict: &'static str,
    rules: Vec<u64>,
}

// === impl Bench ===

impl Bench {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let rules = self.rules.load(SETUP)?;
        let requests: Vec<_> =
            self.request.iter().map(|path| RawRequest::read(path)).collect::<Result<_, _>>()?;
        let mut all = Vec::new();
        for request in &requests {
            let headers = request.headers();
            let transaction = request.judge(&rules, &headers);
            let verdict = if *transaction.verdict() == Verdict::Pass { "pass" } else { "block" };
            let ids = transaction.matches().iter().filter(|one| one.log).map(|one| one.rule).collect();
            drop(transaction);
            let mut times = Vec::new();
            let began = Instant::now();
            let rounds = usize::try_from(self.rounds).unwrap_or(usize::MAX);
            for round in 0..WARM.min(rounds) + rounds {
                if self.cold {
                    rules.forget();
                }
                let started = Instant::now();
                let transaction = request.judge(&rules, &headers);
                let took = started.elapsed();
                drop(transaction);
                if round >= WARM.min(rounds) {
                    times.push(took);
                }
                if began.elapsed() > LONGEST && !times.is_empty() {
                    break;
                }
            }
            times.sort_unstable();
            let (median_us, p99_us) = (percentile(&times, 50), percentile(&times, 99));
            all.push(Measured { request: request.name(), median_us, p99_us, verdict, rules: ids });
        }
        match self.format {
            Format::Json => json(&all)?,
            Format::Table => show(all)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Of sorted times, in microseconds with one place after the point.
fn percentile(times: &[Duration], part: usize) -> f64 {
    let at = (times.len() * part / 100).min(times.len().saturating_sub(1));
    let time = times.get(at).copied().unwrap_or_default();
    (time.as_secs_f64() * 1e7).round() / 10.0
}

fn show(all: Vec<Measured>) -> Result<(), Failure> {
    let rows = all.into_iter().map(|one| {
        let rules: Vec<_> = one.rules.iter().map(u64::to_string).collect();
        let times = [format!("{:.1}", one.median_us), format!("{:.1}", one.p99_us)];
        [vec![one.request], times.to_vec(), vec![one.verdict.to_owned(), rules.join(" ")]].concat()
    });
    table(&["request", "median µs", "p99 µs", "verdict", "rules"], rows.collect(), "no requests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!((percentile(&times, 50), percentile(&times, 99)), (101.0, 199.0));
        assert_eq!(percentile(&times[..1], 99), 1.0);
    }
}
