//! What an event tells, for a person: `haechi why`.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{Event, Kind, Outcome};

/// Tells what happened and why, from the event alone: plain text, one fact a line, in the order of time.
///
/// What callers sent is shown without what would steer a terminal or turn the reading order around.
pub fn explain(event: &Event) -> String {
    let mut out = String::new();
    let _ = match event.kind {
        Kind::Request => request(&mut out, event),
        Kind::Control => control(&mut out, event),
    };
    out
}

fn control(out: &mut String, event: &Event) -> std::fmt::Result {
    writeln!(out, "{}", event.id)?;
    writeln!(out, "{} by {}", visible(&event.action), visible(&event.actor))?;
    writeln!(out)?;
    row(out, "at", &stamp(event))?;
    row(out, "object", &event.object)?;
    row(out, "detail", &event.error)
}

fn request(out: &mut String, event: &Event) -> std::fmt::Result {
    let Event { method, path, host, .. } = event;
    let call =
        if method.is_empty() { "bytes that are no request".to_owned() } else { format!("{method} {path}") };
    writeln!(out, "{}  {}", event.id, visible(&call))?;
    writeln!(out, "{}", visible(&verdict(event)))?;
    writeln!(out)?;
    let on = if host.is_empty() { String::new() } else { format!(" for {host}") };
    row(out, "received", &format!("{}{on}", stamp(event)))?;
    row(out, "from", &from(event))?;
    row(out, "over", &over(event))?;
    if !event.target.is_empty() {
        row(out, "as sent", &event.target)?;
    }
    row(out, "query", &event.query)?;
    row(out, "agent", &event.user_agent)?;
    row(out, "body", &body(event))?;
    if !event.api.is_empty() {
        row(out, "operation", &format!("{}.{}", event.api, event.operation))?;
    }
    let traffic = if event.traffic == "page" { " (a page)" } else { "" };
    if !event.channel.is_empty() || !traffic.is_empty() {
        let channel = if event.channel.is_empty() { "none" } else { event.channel.as_str() };
        row(out, "channel", &format!("{channel}{traffic}"))?;
    }
    row(out, "caller", &caller(event))?;
    for verdict in &event.verdicts {
        let what = match verdict.denied {
            false => "nothing against it".to_owned(),
            true if verdict.mode == haechi_guard::Mode::Enforce => "refused".to_owned(),
            true => format!("against it, and only in `{}`: the call went on", verdict.mode),
        };
        row(out, &verdict.guard, &what)?;
        if verdict.guard == "waf" {
            matches(out, event)?;
        }
        for reason in &verdict.reasons {
            let at = reason
                .at
                .as_ref()
                .filter(|at| !at.is_empty())
                .map(|at| format!(" at {at}"))
                .unwrap_or_default();
            row(out, "", &format!("{}{at}: {}", reason.code, reason.detail))?;
            if let Some(rule) = reason.rule.as_ref().filter(|rule| !rule.is_empty()) {
                row(out, "", &format!("by {rule}"))?;
            }
        }
    }
    row(out, "rewritten", &event.upstream_path)?;
    if event.judged_us > 0 {
        row(out, "sent on", &format!("after {}", micros(event.judged_us)))?;
    }
    if !event.upstream.is_empty() {
        let status = match event.upstream_status {
            0 => format!("no answer in {}", micros(event.upstream_us)),
            status => format!("{status} after {}", micros(event.upstream_us)),
        };
        let tries = if event.attempts > 1 { format!(", {} tries", event.attempts) } else { String::new() };
        let part = if event.split.is_empty() { String::new() } else { format!(" ({})", event.split) };
        row(out, "upstream", &format!("{}{part}: {status}{tries}", event.upstream))?;
    }
    // A guard's reasons stand at its verdict; the wire and the upstream have none.
    let decided_by_guard =
        event.verdicts.iter().any(|verdict| verdict.denied && verdict.guard == event.decided_by);
    if !decided_by_guard && !event.decided_by.is_empty() {
        let detail = if event.error.is_empty() { String::new() } else { format!(": {}", event.error) };
        row(out, "because", &format!("{} {}{detail}", event.decided_by, event.reason))?;
    }
    let sent = match event.status {
        0 => "nothing".to_owned(),
        status => format!("{status}, {} bytes, {} in all", event.response_bytes, micros(event.duration_us)),
    };
    row(out, "answered", &sent)?;
    let grpc = event.grpc_status.map(|status| format!(", which told {status}")).unwrap_or_default();
    row(out, "protocol", &format!("{}{grpc}", event.protocol))?;
    if event.weight > 1 {
        row(out, "stands for", &format!("{} events", event.weight))?;
    }
    let stage = if event.stage.is_empty() { String::new() } else { format!(" ({})", event.stage) };
    row(out, "snapshot", &format!("{}{stage}", event.snapshot))?;
    if let Some(trace) = event.trace_id {
        row(out, "trace", trace.encode().as_str())?;
    }
    Ok(())
}

/// What rules found, and where.
fn matches(out: &mut String, event: &Event) -> std::fmt::Result {
    if event.waf_score > 0 || event.waf_outbound > 0 {
        let response = match event.waf_outbound {
            0 => String::new(),
            score => format!(", of the response {score}"),
        };
        row(out, "", &format!("anomaly score {}{response}", event.waf_score))?;
    }
    for one in &event.waf_matches {
        let at = if one.at.is_empty() { String::new() } else { format!(" at {}", one.at) };
        let value = if one.value.is_empty() { String::new() } else { format!(" = {}", one.value) };
        row(out, "", &format!("{}{at}{value}: {}", one.rule, one.message))?;
    }
    Ok(())
}

fn verdict(event: &Event) -> String {
    let why = match (event.decided_by.as_str(), event.reason.as_str()) {
        ("", _) => String::new(),
        (guard, "") => format!(" by {guard}"),
        (guard, reason) => format!(" by {guard}: {reason}"),
    };
    match event.outcome {
        Outcome::Forwarded if event.upstream.is_empty() && !why.is_empty() => {
            format!("answered here with {}{why}", event.status)
        }
        Outcome::Forwarded => format!("forwarded, answered {}", event.status),
        Outcome::Refused => format!("refused with {}{why}", event.status),
        Outcome::Failed => format!("failed with {}{why}", event.status),
        Outcome::Aborted => "the caller went away before the answer was complete".to_owned(),
    }
}

fn body(event: &Event) -> String {
    match (event.content_type.as_str(), event.request_bytes) {
        ("", 0) => String::new(),
        ("", bytes) => format!("{bytes} bytes"),
        (kind, bytes) => format!("{bytes} bytes of {kind}"),
    }
}

fn caller(event: &Event) -> String {
    if event.subject.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "{} ({} of identity `{}`",
        event.subject,
        event.credential_kind.replace('_', " "),
        event.identity
    );
    for (name, value) in [("collection", &event.collection), ("client", &event.client_id)] {
        if !value.is_empty() {
            let _ = write!(text, ", {name} {value}");
        }
    }
    if !event.credential.is_empty() && event.credential != event.subject {
        let _ = write!(text, ", credential {}", event.credential);
    }
    text.push(')');
    text
}

fn from(event: &Event) -> String {
    let mut place = Vec::new();
    place.extend((!event.country.is_empty()).then(|| event.country.to_string()));
    place.extend((event.asn != 0).then(|| format!("AS{}", event.asn)));
    let place = if place.is_empty() { String::new() } else { format!(" ({})", place.join(", ")) };
    let address = match (event.client, event.peer) {
        (Some(client), Some(peer)) if client != peer.ip().to_canonical() => {
            format!("{client} through {peer}")
        }
        (_, Some(peer)) => peer.to_string(),
        (Some(client), None) => client.to_string(),
        (None, None) => String::new(),
    };
    format!("{address}{place}")
}

fn over(event: &Event) -> String {
    let http =
        if event.http_version.is_empty() { String::new() } else { format!("HTTP/{} ", event.http_version) };
    let tls = if event.tls_version.is_empty() {
        "plaintext".to_owned()
    } else {
        format!("TLS {} {}", event.tls_version, event.tls_cipher)
    };
    format!("{http}on {}, {tls}", event.listener)
}

fn stamp(event: &Event) -> String {
    let time = UNIX_EPOCH + Duration::from_micros(event.time_us);
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
    }
}

fn row(out: &mut String, name: &str, text: &str) -> std::fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {:<10} {}", visible(name), visible(text))
}

/// A caller's bytes must not steer the terminal, and not be read in another order than they stand.
fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}
