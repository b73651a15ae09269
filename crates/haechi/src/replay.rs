//! `haechi replay`: what would a candidate have decided differently?

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use haechi_config::Config;
use haechi_control::{Source, Sources};
use haechi_edge::{Contents, Evaluator, EvaluatorError, Files, Replay as Judges, Report};
use haechi_events::{KeptRequest, Spool};

use crate::output::{Failure, Format, json, line, table};
use crate::{Target, converse};

/// Judge recorded traffic by a candidate configuration, and tell which decisions would differ.
///
/// Events are read from `events.dir`, and judged by the configuration that serves now and by the candidate, both with the code that
/// judges live traffic, both with counters of their own and the recorded time as their clock. Headers and bodies are known of the requests
/// that `events.requests` has kept. What is not known (others, secrets, credentials) is not guessed: calls for which it could make a
/// difference are counted as not judged.
///
/// Exit codes: 0 if nothing would differ, 2 if something would.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    target: Target,
    /// The candidate configuration
    #[arg(long, value_name = "FILE")]
    candidate: PathBuf,
    /// How far to go back: `90s`, `15m`, `24h`, `7d`
    #[arg(long, default_value = "24h", value_parser = since)]
    since: Duration,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Replay {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let (config, mut files) = self.active()?;
        let dir = config.events.dir.clone();
        let active = evaluator(config, &mut files)?;
        let candidate = Config::load(&self.candidate)?;
        let mut files = Files::on_disk(candidate.base());
        let mut judges = Judges::new(active, evaluator(candidate, &mut files)?);
        let since = SystemTime::now().checked_sub(self.since).unwrap_or(SystemTime::UNIX_EPOCH);
        let failed = |error: std::io::Error| {
            Failure::new(format!("cannot read events in `{}`: {error}", dir.display()))
        };
        let unreadable_requests =
            KeptRequest::read(&dir, since, |request| judges.keep(request)).map_err(failed)?;
        let unreadable = Spool::read(&dir, since, |event| judges.feed(event)).map_err(failed)?;
        let unreadable = unreadable + unreadable_requests;
        let report = judges.finish();
        match self.format {
            Format::Json => json(&report)?,
            Format::Table => shown(&report, unreadable)?,
        }
        Ok(if report.different == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
    }

    /// What serves now; what is on disk if no gateway runs.
    fn active(&self) -> Result<(Config, Files), Failure> {
        let client = self.target.client()?;
        let fetched: Result<Sources, Failure> = converse(async {
            let mut lines = client.follow("/v1/sources").await?;
            let mut sources = Sources::default();
            while let Some(source) = lines.next::<Source>().await? {
                sources.take(source);
            }
            Ok(sources)
        });
        match fetched {
            Ok(sources) => {
                // Relative paths of what serves are as the gateway sees them.
                let own = sources.file.clone();
                let config = Config::parse(&sources.config, Path::new(&own))?;
                let contents: Contents =
                    sources.files.into_iter().map(|(path, text)| (path, text.into_bytes().into())).collect();
                let files = Files::kept(config.base(), contents);
                Ok((config, files))
            }
            Err(_) => {
                eprintln!("no gateway answers: comparing with `{}` on disk", self.target.config.display());
                let config = Config::load(&self.target.config)?;
                let files = Files::on_disk(config.base());
                Ok((config, files))
            }
        }
    }
}

fn evaluator(config: Config, files: &mut Files) -> Result<Evaluator, Failure> {
    Evaluator::new(config, files).map_err(|error| match error {
        EvaluatorError::Config(wrong) => Failure::from(wrong),
        EvaluatorError::System(error) => Failure::from(error),
    })
}

fn since(text: &str) -> Result<Duration, String> {
    haechi_config::value::duration(text)
}

fn shown(report: &Report, unreadable: u64) -> Result<(), Failure> {
    line(&format!(
        "{} calls judged by {} and by {}: {} alike, {} differently",
        report.requests, report.active, report.candidate, report.same, report.different
    ))?;
    if report.with_body > 0 {
        line(&format!("{} of them with their recorded bodies", report.with_body))?;
    }
    if !report.differences.is_empty() {
        line("")?;
        let rows = report.differences.iter().map(|difference| {
            vec![
                difference.count.to_string(),
                format!("{}.{}", difference.api, difference.operation),
                difference.from.clone(),
                difference.to.clone(),
                difference.examples.first().cloned().unwrap_or_default(),
            ]
        });
        table(&["calls", "operation", "now", "then", "for example"], rows.collect(), "")?;
    }
    if !report.unjudged.is_empty() {
        line("\nnot judged, for what could make a difference is not recorded:")?;
        let rows = report.unjudged.iter().map(|unjudged| {
            vec![
                unjudged.count.to_string(),
                format!("{}.{}", unjudged.api, unjudged.operation),
                unjudged.why.clone(),
            ]
        });
        table(&["calls", "operation", "why"], rows.collect(), "")?;
    }
    if report.left_out > 0 {
        line(&format!(
            "\n{} calls are not judged, for their events were left out under load",
            report.left_out
        ))?;
    }
    if unreadable > 0 {
        line(&format!("\n{unreadable} recorded lines cannot be read"))?;
    }
    Ok(())
}
