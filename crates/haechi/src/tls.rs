//! `haechi tls`: who speaks which TLS.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use haechi_control::TlsReport;
use serde_json::Value;

use crate::keys::duration;
use crate::output::{Failure, Format, json, line, table};
use crate::{Target, converse};

/// See who speaks which TLS.
#[derive(Debug, Args)]
pub(crate) struct Tls {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Post-quantum and classic handshakes, failed ones, certificates, and what would break without TLS 1.2
    Report {
        #[command(flatten)]
        target: Target,
        /// Calls of how long; handshakes are counted since the gateway started
        #[arg(long, value_parser = duration, default_value = "1d", value_name = "TIME")]
        since: Duration,
        /// How it is printed
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

impl Tls {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let Verb::Report { target, since, format } = self.verb;
        let client = target.client()?;
        let report: TlsReport = converse(client.get(&format!("/v1/tls?since={}", since.as_secs())))?;
        match format {
            Format::Json => json(&report)?,
            Format::Table => show(&report)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(report: &TlsReport) -> Result<(), Failure> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let handshakes = list(&report.handshakes);
    let count = |is: &dyn Fn(&Value) -> bool| -> u64 {
        handshakes.iter().filter(|one| is(one)).filter_map(|one| one["count"].as_u64()).sum()
    };
    let all = count(&|_| true);
    line(&format!(
        "{all} handshakes in {} s: {} post-quantum, {} classic, {} resumed",
        report.counted_seconds,
        share(count(&|one| one["post_quantum"] == true), all),
        share(count(&|one| one["post_quantum"] == false), all),
        share(count(&|one| one["resumed"] == true), all),
    ))?;
    let text = |one: &Value, name: &str| match &one[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let rows = |list: &[Value], names: &[&str]| {
        list.iter().map(|one| names.iter().map(|name| text(one, name)).collect()).collect::<Vec<Vec<_>>>()
    };
    let names = ["listener", "version", "group", "cipher", "signature", "resumed", "count"];
    table(&names, rows(&handshakes, &names), "no handshakes")?;
    let names = ["listener", "cause", "count"];
    line("")?;
    table(&["listener", "failed", "count"], rows(&list(&report.failed), &names), "none failed")?;
    line(&format!("\ncalls over TLS in the last {} s", report.since_seconds))?;
    let calls = report.calls.iter().map(|calls| {
        let columns = [&calls.listener, &calls.program, &calls.version, &calls.group];
        columns.into_iter().cloned().chain([calls.count.to_string()]).collect()
    });
    table(&["listener", "program", "version", "group", "count"], calls.collect(), "none")?;
    let without = &report.without_tls12;
    let who = |names: &[String]| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    line(&format!(
        "\nwithout TLS 1.2: {} of {} calls ({}) would fail, of {}; upstreams that spoke it: {}",
        without.calls,
        without.of,
        share(without.calls, without.of),
        who(&without.programs),
        who(&without.upstreams),
    ))?;
    let names = ["endpoint", "version", "group", "count"];
    line("")?;
    table(
        &["upstream", "version", "group", "count"],
        rows(&list(&report.upstreams), &names),
        "no upstream over TLS",
    )?;
    for one in list(&report.certificates) {
        line(crate::status::certificate(&one).trim_start())?;
    }
    Ok(())
}

fn share(part: u64, all: u64) -> String {
    format!("{}%", part.saturating_mul(100).checked_div(all).unwrap_or_default())
}
