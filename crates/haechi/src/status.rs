//! `haechi status`: how the gateway is.

use std::process::ExitCode;

use clap::Args;
use haechi_control::{ServedStatus, Status as State};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::output::{Failure, Format, json, line, served};
use crate::{Target, converse};

/// Tell how the running gateway is.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    target: Target,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Status {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let client = self.target.client()?;
        let state: State = converse(client.get("/v1/status"))?;
        match self.format {
            Format::Json => json(&state)?,
            Format::Table => line(&shown(&state))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn shown(state: &State) -> String {
    let State { version, pid, uptime_seconds, config, snapshot, last_activation: last, edge, .. } = state;
    let mut out = format!("haechi {version}, process {pid}, up {uptime_seconds} s\n");
    let listening: Vec<_> =
        edge["listening"].as_array().into_iter().flatten().filter_map(|at| at.as_str()).collect();
    out += &format!("listening   {}\n", listening.join(", "));
    out += &format!("connections {}\n", edge["connections"]);
    out += &format!("config      {}\n", config.display());
    let good = if snapshot.is_last_good { ", the LAST GOOD one: what is on disk was refused" } else { "" };
    out += &format!("snapshot    {} of {}{good}\n", snapshot.digest, snapshot.compiled);
    let what = served(snapshot.apis.len(), snapshot.operations, snapshot.services.len());
    let names: Vec<_> = snapshot.apis.iter().chain(&snapshot.services).map(String::as_str).collect();
    out += &format!("serving     {what}: {}\n", names.join(", "));
    if let Some(candidate) = &state.candidate {
        out +=
            &format!("candidate   {} of {} in {}\n", candidate.digest, candidate.compiled, candidate.stage);
        if candidate.staging.requests > 0 {
            out += &format!("  staging   {}\n", counted(&candidate.staging));
        }
        if let Some(canary) = &candidate.canary {
            out += &format!("  canary    {}\n", counted(canary));
        }
    }
    if let Some(guard) =
        state.guard.as_ref().filter(|guard| guard.state != "off" || !guard.message.is_empty())
    {
        let message = if guard.message.is_empty() { String::new() } else { format!(": {}", guard.message) };
        out += &format!(
            "guard       {} of activation {} in {}{message}\n",
            guard.state, guard.activation, guard.stage
        );
    }
    if state.files_changed {
        out += "files       have CHANGED since: `haechi activate` serves them\n";
    }
    out += &format!("last change {} by {} at {} ({})", last.outcome, last.who, last.at, last.why);
    for provider in edge["providers"].as_array().into_iter().flatten() {
        let error = provider["error"].as_str().map(|error| format!(", {error}")).unwrap_or_default();
        out += &format!(
            "\nprovider    {}: {} keys{error}",
            provider["url"].as_str().unwrap_or_default(),
            provider["keys"]
        );
    }
    for one in edge["certificates"].as_array().into_iter().flatten() {
        out += &certificate(one);
    }
    for upstream in edge["upstreams"].as_array().into_iter().flatten() {
        out += &shown_upstream(upstream);
    }
    for split in edge["splits"].as_array().into_iter().flatten() {
        out += &shown_split(split);
    }
    for mirror in edge["mirrors"].as_array().into_iter().flatten() {
        let methods: Vec<_> =
            mirror["methods"].as_array().into_iter().flatten().filter_map(|one| one.as_str()).collect();
        out += &format!(
            "\nmirror      {}: {}% of {}",
            mirror["name"].as_str().unwrap_or_default(),
            mirror["share"].as_f64().unwrap_or_default() / 10.0,
            methods.join(", ")
        );
    }
    if !last.message.is_empty() {
        out += &format!("\n\n{}", last.message.trim_end());
    }
    out
}

fn counted(served: &ServedStatus) -> String {
    let ServedStatus { requests, failed, refused, p99_ms } = served;
    format!("{requests} requests, {failed} failed, {refused} refused, slowest hundredth from {p99_ms:.1} ms")
}

/// One line: whose, until when, from where, what is being done about it.
pub(crate) fn certificate(one: &serde_json::Value) -> String {
    let names: Vec<_> =
        one["names"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    let text = |name: &str| one[name].as_str().unwrap_or_default();
    let until = match one["not_after"].as_u64() {
        Some(end) => format!(" until {}", time(end)),
        None => String::new(),
    };
    let mut out =
        format!("\ncertificate {}: {}{until}, from {}", names.join(", "), text("state"), text("source"));
    if one["ordering"] == true {
        out += ", being ordered now";
    } else if let Some(next) = one["next"].as_u64() {
        out += &format!(", next order at {}", time(next));
    }
    if let Some(error) = one["error"].as_str() {
        out += &format!("\n            the last order failed: {error}");
    }
    out
}

/// Unix time as RFC 3339.
fn time(seconds: u64) -> String {
    let time =
        i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// How an upstream is split: each part and its share.
fn shown_split(split: &serde_json::Value) -> String {
    let part = |part: &serde_json::Value| {
        let share = part["share"].as_f64().unwrap_or_default() / 10.0;
        format!("{} {share}%", part["name"].as_str().unwrap_or_default())
    };
    let parts: Vec<_> = split["parts"].as_array().into_iter().flatten().map(part).collect();
    let sticky = split["sticky"].as_str().map(|by| format!(", callers stay by {by}")).unwrap_or_default();
    format!("\nsplit       {}: {}{sticky}", split["name"].as_str().unwrap_or_default(), parts.join(", "))
}

/// An upstream and its addresses, one a line.
fn shown_upstream(upstream: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!(
        "\nupstream    {}: breaker {}, {} retries left",
        text(&upstream["name"]),
        text(&upstream["breaker"]),
        upstream["retries_left"]
    );
    for at in upstream["endpoints"].as_array().into_iter().flatten() {
        let (endpoint, address) = (text(&at["endpoint"]), text(&at["address"]));
        let address = if address == endpoint { String::new() } else { format!(" ({address})") };
        let error = match (at["state"].as_str(), at["error"].as_str()) {
            (Some("healthy"), _) | (_, None) => String::new(),
            (_, Some(error)) => format!(": {error}"),
        };
        out += &format!(
            "\n            {endpoint}{address} {}, {} in flight{error}",
            text(&at["state"]),
            at["in_flight"]
        );
    }
    out
}
