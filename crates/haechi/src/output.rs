//! What verbs print, and how they fail.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How lists are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Why a verb failed; printed on standard error.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure(error.to_string()))?;
    line(&text)
}

/// Prints a line. A reader that has gone away (`| head`) is no failure.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Prints a table; `none` if it has no rows.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>, none: &str) -> Result<(), Failure> {
    if rows.is_empty() {
        return line(none);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    line(&text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// Prints on standard error what is served although somebody should look at it.
pub(crate) fn warn(config: &haechi_config::Config) {
    let warnings = config.warnings();
    if !warnings.list().is_empty() {
        eprint!("{}", warnings.render(color()));
    }
}

/// How much is served, in words.
pub(crate) fn served(apis: usize, operations: usize, services: usize) -> String {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let apis_shown = format!("{apis} API{} with {operations} operation{}", plural(apis), plural(operations));
    let services_shown = format!("{services} service{}", plural(services));
    match (apis, services) {
        (_, 0) => apis_shown,
        (0, _) => services_shown,
        _ => format!("{apis_shown}, {services_shown}"),
    }
}

/// Whether standard error shows colours.
pub(crate) fn color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<haechi_control::ClientError> for Failure {
    fn from(error: haechi_control::ClientError) -> Self {
        Self(error.to_string())
    }
}

impl From<haechi_config::Diagnostics> for Failure {
    fn from(wrong: haechi_config::Diagnostics) -> Self {
        Self(wrong.render(color()))
    }
}

impl From<haechi_edge::GatewayError> for Failure {
    fn from(error: haechi_edge::GatewayError) -> Self {
        Self(error.to_string())
    }
}
