//! Certificates that the gateway gets itself.

use std::net::IpAddr;

use crate::diagnostic::Diagnostic;
use crate::model::{Acme, Challenge, Listen};
use crate::reader::{Fields, Mistakes, list, scalar, shortened, word};
use crate::settings;
use crate::tree::{Node, Value};
use crate::value::HttpUrl;

/// Most names of one certificate: what public authorities take.
const DOMAINS: usize = 100;

pub(super) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Acme> {
    let fields = Fields::open(node, &settings::ACME, mistakes);
    let directory: Option<HttpUrl> = fields.required("directory", mistakes);
    if let (Some(url), Some(node)) = (&directory, fields.get("directory"))
        && !url.tls
    {
        mistakes.value(
            node.place,
            "a directory is an `https` URL: who changes it on the way gets the certificates",
        );
    }
    let domains = fields.require("domains", mistakes).map(|node| {
        let nodes = list(node, true, mistakes);
        if matches!(node.value, Value::List(_)) && (nodes.is_empty() || nodes.len() > DOMAINS) {
            mistakes.value(node.place, format!("expected 1 to {DOMAINS} host names"));
        }
        nodes.into_iter().filter_map(|node| domain(node, mistakes)).collect::<Vec<_>>()
    });
    let contact = fields.get("contact").map(|node| list(node, true, mistakes)).unwrap_or_default();
    let contact = contact.into_iter().filter_map(|node| mail(node, mistakes)).collect();
    let challenge = match fields.get("challenge") {
        Some(node) => {
            word(node, &[("tls-alpn-01", Challenge::TlsAlpn), ("http-01", Challenge::Http)], mistakes)?
        }
        None => Challenge::TlsAlpn,
    };
    let accepted: Option<bool> = fields.required("accept_terms", mistakes);
    if accepted == Some(false) {
        let message = "a certificate is issued only to those who accept the authority's terms of service";
        mistakes.value(fields.place_of("accept_terms"), message);
    }
    let ca = fields.scalar("ca", mistakes);
    let mut domains = domains?;
    domains.dedup();
    Some(Acme { directory: directory?, domains, contact, challenge, ca })
}

/// A host name, as it may stand in a certificate that these challenges bring.
fn domain(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text: String = scalar(node, mistakes)?;
    let name = text.to_ascii_lowercase();
    if name.starts_with("*.") {
        let message = format!("`{}`: neither challenge can show a wildcard to be yours", shortened(&text));
        let help =
            "list the names, or get the certificate by DNS elsewhere and refer to it under `certificates`";
        mistakes.add(Diagnostic::new("invalid-value", message).at(node.place).help(help));
        return None;
    }
    let label = |label: &str| {
        let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(valid)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) || name.parse::<IpAddr>().is_ok() {
        mistakes.value(node.place, format!("`{}` is no host name", shortened(&text)));
        return None;
    }
    Some(name)
}

fn mail(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text: String = scalar(node, mistakes)?;
    let address = text.strip_prefix("mailto:").and_then(|address| address.split_once('@'));
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b',' && b != b'?');
    if address.is_none_or(|(user, host)| !plain(user) || !plain(host)) {
        mistakes.value(node.place, "a contact is a `mailto:` URL, as in `mailto:ops@pizza.example`");
        return None;
    }
    Some(text)
}

/// A validation over HTTP needs a listener that it can come to.
pub(super) fn check_listeners(node: &Node, listeners: &[Listen], mistakes: &mut Mistakes) {
    let by_http = |listen: &Listen| {
        listen
            .tls
            .as_ref()
            .and_then(|tls| tls.acme.as_ref())
            .is_some_and(|acme| acme.challenge == Challenge::Http)
    };
    if listeners.iter().any(by_http) && !listeners.iter().any(|listen| listen.tls.is_none() && listen.http1) {
        let message = "`http-01` needs a plaintext listener that speaks `http1`, to which the authority's port 80 leads";
        mistakes.add(Diagnostic::new("missing-field", message).at(node.place));
    }
}
