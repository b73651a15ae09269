//! What an event tells, for a person: `haechi why`.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::event::{Event, Kind, Outcome};

/// Tells what happened and why, from the event alone.
pub fn explain(event: &Event) -> String {
    let mut out = String::new();
    let _ = match event.kind {
        Kind::Request => request(&mut out, event),
        Kind::Control => control(&mut out, event),
    };
    out
}

fn control(out: &mut String, event: &Event) -> std::fmt::Result {
    writeln!(out, "{}  {} by {}", stamp(event), event.action, event.actor)?;
    row(out, "object", &event.object)?;
    row(out, "detail", &event.error)
}

fn request(out: &mut String, event: &Event) -> std::fmt::Result {
    let Event { method, path, host, .. } = event;
    let call =
        if method.is_empty() { "bytes that are no request".to_owned() } else { format!("{method} {path}") };
    writeln!(out, "{}  {call}", event.id)?;
    writeln!(out, "{}", verdict(event))?;
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
    if !event.api.is_empty() {
        row(out, "operation", &format!("{}.{}", event.api, event.operation))?;
    }
    if !event.subject.is_empty() {
        let client =
            if event.client_id.is_empty() { String::new() } else { format!(", client {}", event.client_id) };
        let collection = if event.collection.is_empty() {
            String::new()
        } else {
            format!(", collection {}", event.collection)
        };
        row(
            out,
            "caller",
            &format!(
                "{} ({} of identity `{}`{collection}{client})",
                event.subject,
                event.credential_kind.replace('_', " "),
                event.identity
            ),
        )?;
    }
    for verdict in &event.verdicts {
        let what = match verdict.denied {
            false => "nothing against it".to_owned(),
            true if verdict.mode == haechi_guard::Mode::Enforce => "refused".to_owned(),
            true => format!("against it, and only in `{}`: the call went on", verdict.mode),
        };
        row(out, &verdict.guard, &what)?;
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
    if event.verdicts.iter().all(|verdict| !verdict.denied) && !event.error.is_empty() {
        row(out, &event.decided_by, &format!("{}: {}", event.reason, event.error))?;
    }
    if !event.upstream.is_empty() {
        let status = match event.upstream_status {
            0 => "no answer".to_owned(),
            status => format!("{status} after {}", micros(event.upstream_us)),
        };
        row(out, "upstream", &format!("{}: {status}", event.upstream))?;
    }
    let sent = match event.status {
        0 => "nothing".to_owned(),
        status => format!("{status}, {} bytes, {} in all", event.response_bytes, micros(event.duration_us)),
    };
    row(out, "answered", &sent)?;
    if event.weight > 1 {
        row(out, "stands for", &format!("{} events", event.weight))?;
    }
    row(out, "snapshot", &event.snapshot)?;
    if let Some(trace) = event.trace_id {
        row(out, "trace", trace.encode().as_str())?;
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
        Outcome::Forwarded => format!("forwarded, answered {}", event.status),
        Outcome::Refused => format!("refused with {}{why}", event.status),
        Outcome::Failed => format!("failed with {}{why}", event.status),
        Outcome::Aborted => "the caller went away before the answer was complete".to_owned(),
    }
}

fn from(event: &Event) -> String {
    match (event.client, event.peer) {
        (Some(client), Some(peer)) if client != peer.ip().to_canonical() => {
            format!("{client} through {peer}")
        }
        (_, Some(peer)) => peer.to_string(),
        (Some(client), None) => client.to_string(),
        (None, None) => String::new(),
    }
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
    // A caller's bytes must not steer the terminal.
    let safe: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    writeln!(out, "  {name:<10} {safe}")
}

#[cfg(test)]
mod tests {
    use haechi_guard::{Mode, Reason};

    use super::*;
    use crate::event::VerdictRecord;

    #[test]
    fn a_refusal_is_told_from_the_event_alone() {
        let event = Event {
            id: "0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60".parse().expect("an id"),
            time_us: 1_732_438_000_123_456,
            outcome: Outcome::Refused,
            weight: 1,
            client: Some([192, 0, 2, 7].into()),
            peer: Some(([10, 0, 0, 1], 4711).into()),
            listener: "0.0.0.0:8443".into(),
            http_version: "1.1".into(),
            tls_version: "1.3".into(),
            tls_cipher: "TLS13_AES_256_GCM_SHA384".into(),
            method: "POST".into(),
            path: "/orders".into(),
            host: "api.pizza.example".into(),
            user_agent: "evil\x1b[2J".into(),
            api: "orders".into(),
            operation: "createOrder".into(),
            identity: "partner".into(),
            subject: "k7".into(),
            credential_kind: "api_key".into(),
            collection: "delivery".into(),
            status: 400,
            duration_us: 1_250,
            response_bytes: 310,
            decided_by: "contract".into(),
            reason: "minimum".into(),
            verdicts: vec![
                VerdictRecord::allowed("identity", Mode::Enforce),
                VerdictRecord::denied(
                    "limits",
                    Mode::Observe,
                    vec![Reason::new("rate-exceeded", "too many")],
                ),
                VerdictRecord::denied(
                    "contract",
                    Mode::Enforce,
                    vec![Reason::new("minimum", "0 is less than 1").at("/quantity").rule("#/x/minimum")],
                ),
            ],
            snapshot: "3f2a".into(),
            ..Event::default()
        };
        let expected = "\
0192f0c1-6f5e-7a31-8c5d-2b9e4d7f1a60  POST /orders
refused with 400 by contract: minimum

  received   2024-11-24T08:46:40.123456Z for api.pizza.example
  from       192.0.2.7 through 10.0.0.1:4711
  over       HTTP/1.1 on 0.0.0.0:8443, TLS 1.3 TLS13_AES_256_GCM_SHA384
  agent      evil\u{fffd}[2J
  operation  orders.createOrder
  caller     k7 (api key of identity `partner`, collection delivery)
  identity   nothing against it
  limits     against it, and only in `observe`: the call went on
             rate-exceeded: too many
  contract   refused
             minimum at /quantity: 0 is less than 1
             by #/x/minimum
  answered   400, 310 bytes, 1.2 ms in all
  snapshot   3f2a
";
        assert_eq!(explain(&event), expected);
    }
}
