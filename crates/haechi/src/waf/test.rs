//! `haechi waf test`: regression tests written for go-ftw, in process.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use haechi_seclang::ftw::{Overrides, Report, Runner, Suite};
use serde::Serialize;

use super::rules::RuleOptions;
use crate::output::{Failure, Format, line};

/// How deep folders of tests may lie in one another.
const DEPTH: usize = 16;
/// The largest file of tests, in bytes.
const LARGEST: u64 = 16 << 20;

/// What suites expect of the engine before any rule is read: what go-ftw and the Core Rule Set's suite say of their set-up. Files that say
/// otherwise come later, and win.
const SETUP: &str = "SecRequestBodyAccess On
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecAction \"id:9000009,phase:1,nolog,pass,\\
  setvar:tx.crs_validate_utf8_encoding=1,\\
  setvar:tx.arg_name_length=100,\\
  setvar:tx.arg_length=400,\\
  setvar:tx.total_arg_length=64000,\\
  setvar:tx.max_num_args=255,\\
  setvar:tx.max_file_size=64100,\\
  setvar:tx.combined_file_sizes=65535\"
";

/// Run regression tests written for go-ftw.
///
/// No server is needed: requests go straight to the rules, and what these log is the log. Rules only detect unless `--enforce` is given, as suites
/// want it; limits are those the Core Rule Set's suite asks for.
///
/// Exit codes: 0 if all tests pass, 1 if any fails.
#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    rules: RuleOptions,
    /// A folder of test files, or one
    #[arg(long, value_name = "DIR")]
    tests: PathBuf,
    /// What is expected instead of what tests say (go-ftw's `test_overrides`); tests whose override expects nothing are skipped
    #[arg(long, value_name = "FILE")]
    overrides: Option<PathBuf>,
    /// Let rules refuse
    #[arg(long)]
    enforce: bool,
    /// How the outcome is printed; `json` is one object in the last line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The last line, for programs.
#[derive(Serialize)]
struct Outcome<'a> {
    passed: usize,
    failed: usize,
    skipped: usize,
    failures: Vec<Failed<'a>>,
}

#[derive(Serialize)]
struct Failed<'a> {
    test: &'a str,
    why: &'a str,
}

// === impl Test ===

impl Test {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let mode = if self.enforce { "On" } else { "DetectionOnly" };
        let rules = self.rules.load(&format!("SecRuleEngine {mode}\n{SETUP}"))?;
        let mut runner = Runner::new(rules);
        if let Some(path) = &self.overrides {
            let overrides = Overrides::parse(&text(path)?).map_err(|why| at(path, &why))?;
            runner = runner.overrides(overrides);
        }
        let mut files = Vec::new();
        gather(&self.tests, DEPTH, &mut files)?;
        let mut suites = Vec::new();
        for file in &files {
            suites.push(Suite::parse(&text(file)?).map_err(|why| at(file, &why))?);
        }
        let stages: usize = suites.iter().map(Suite::stages).sum();
        if stages == 0 {
            return Err(at(&self.tests, &"no tests (`*.yaml`, `*.yml`) are there"));
        }
        let mut report = Report::default();
        let mut progress = Progress::of(stages);
        for suite in &suites {
            runner.run(suite, &mut report);
            progress.reached(report.passed + report.failures.len() + report.skipped);
        }
        progress.end();
        self.show(&report)?;
        Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn show(&self, report: &Report) -> Result<(), Failure> {
        match self.format {
            Format::Table => {
                for failure in &report.failures {
                    line(&format!("{}: {}", failure.test, failure.why))?;
                }
                line(&format!(
                    "{} passed, {} failed, {} skipped",
                    report.passed,
                    report.failures.len(),
                    report.skipped
                ))
            }
            Format::Json => {
                let failures = report.failures.iter();
                let outcome = Outcome {
                    passed: report.passed,
                    failed: report.failures.len(),
                    skipped: report.skipped,
                    failures: failures.map(|one| Failed { test: &one.test, why: &one.why }).collect(),
                };
                let text =
                    serde_json::to_string(&outcome).map_err(|error| Failure::new(error.to_string()))?;
                line(&text)
            }
        }
    }
}

/// Files of tests, in the order of their paths.
fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Err(at(path, &format!("folders lie more than {DEPTH} deep")));
    }
    let entries = std::fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut inside: Vec<_> =
        entries.map_err(|error| at(path, &error))?.into_iter().map(|entry| entry.path()).collect();
    inside.sort();
    for path in inside {
        let is_test = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if path.is_dir() || is_test {
            gather(&path, depth - 1, files)?;
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, Failure> {
    let length = std::fs::metadata(path).map_err(|error| at(path, &error))?.len();
    if length > LARGEST {
        return Err(at(path, &format!("more than {LARGEST} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| at(path, &error))
}

fn at(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {why}", path.display()))
}

/// How far a long run is, on a terminal.
struct Progress {
    all: usize,
    told: usize,
    shown: bool,
}

impl Progress {
    fn of(all: usize) -> Self {
        Self { all, told: 0, shown: std::io::stderr().is_terminal() }
    }

    fn reached(&mut self, done: usize) {
        // Not more often than it can be read.
        if self.shown && done >= self.told + self.all.div_ceil(50) {
            self.told = done;
            let _ = write!(std::io::stderr(), "\r{done} of {} tests", self.all);
        }
    }

    fn end(&self) {
        if self.told > 0 {
            let _ = write!(std::io::stderr(), "\r{:30}\r", "");
        }
    }
}
