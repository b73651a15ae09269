//! A call as its event tells it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haechi_events::{Event, KeptRequest, Text};
use haechi_guard::{Arrival, CredentialKind, Principal};
use haechi_wire::{Authority, CanonicalPath, Headers, HeadersBuilder, Query};
use http::Method;

use crate::snapshot::Whereabouts;

/// Ends a text that was cut; stands for a value that was hidden.
const ELLIPSIS: &str = "…";

/// Headers that events tell.
const RECORDED: [&str; 3] = ["host", "user-agent", "content-type"];

/// A call as its event tells it.
pub(super) struct Recorded {
    pub(super) time: SystemTime,
    pub(super) client: IpAddr,
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) path: CanonicalPath,
    pub(super) query: Query,
    /// Parameters whose values are hidden.
    pub(super) hidden: Vec<String>,
    pub(super) headers: Headers,
    /// Headers that were cut when they were recorded.
    cut: Vec<&'static str>,
    /// The request, if it was kept.
    pub(super) kept: Option<KeptRequest>,
    /// Its body.
    pub(super) body: Option<Vec<u8>>,
    pub(super) channel: String,
    scheme: String,
    tls: [String; 3],
    protocol: String,
    pub(super) body_length: u64,
    pub(super) principal: Option<Arc<Principal>>,
    /// Why the identity guard was against it.
    pub(super) identity_refused: Option<String>,
}

// === impl Recorded ===

impl Recorded {
    /// Nothing if the event does not hold enough: a text was cut.
    pub(super) fn read(event: &Event, kept: Option<KeptRequest>) -> Option<Self> {
        if [&event.path, &event.query, &event.host].iter().any(|text| is_cut(text)) {
            return None;
        }
        let authority = Authority::parse(event.host.as_bytes()).ok();
        let (query, hidden) = query(&event.query)?;
        let body = kept.as_ref().and_then(|kept| serde_json::to_vec(kept.body.as_ref()?).ok());
        let (headers, cut) = headers(event, kept.as_ref());
        let identity = event.verdicts.iter().find(|verdict| *verdict.guard == *"identity" && verdict.denied);
        Some(Self {
            time: UNIX_EPOCH + Duration::from_micros(event.time_us),
            client: event.client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            method: Method::from_bytes(event.method.as_bytes()).ok()?,
            host: authority.as_ref().map_or("", |authority| authority.host()).to_owned(),
            path: CanonicalPath::parse(event.path.as_bytes()).ok()?,
            query,
            hidden,
            headers,
            cut,
            kept,
            body,
            channel: event.channel.to_string(),
            tls: [&event.tls_version, &event.tls_cipher, &event.tls_name].map(ToString::to_string),
            scheme: event.scheme.to_string(),
            protocol: event.http_version.to_string(),
            body_length: event.request_bytes,
            principal: principal(event),
            identity_refused: identity
                .and_then(|verdict| Some(verdict.reasons.first()?.code.to_string()))
                .filter(|_| event.identity.is_empty()),
        })
    }
}

impl Recorded {
    /// Whether the header of this name is as it was, or is known not to have been there.
    pub(super) fn knows_header(&self, name: &str) -> bool {
        match &self.kept {
            Some(kept) => !kept.hidden_headers.iter().any(|hidden| hidden.eq_ignore_ascii_case(name)),
            None => {
                RECORDED.iter().any(|known| known.eq_ignore_ascii_case(name) && !self.cut.contains(known))
            }
        }
    }

    /// Places in the body that are hidden.
    pub(super) fn hidden_in_body(&self) -> &[String] {
        self.kept.as_ref().map_or(&[], |kept| &kept.hidden)
    }

    /// Whether the caller came over TLS. What a proxy says of that was not always recorded.
    pub(super) fn is_secure(&self) -> bool {
        if self.scheme.is_empty() {
            self.tls.first().is_some_and(|version| !version.is_empty())
        } else {
            self.scheme == "https"
        }
    }

    /// How it arrived. Where the caller is, each configuration's own files tell.
    pub(super) fn arrival<'a>(&'a self, place: &'a Whereabouts) -> Arrival<'a> {
        let [tls_version, tls_cipher, tls_name] = &self.tls;
        Arrival {
            host: &self.host,
            secure: self.is_secure(),
            protocol: &self.protocol,
            tls_version,
            tls_cipher,
            tls_name,
            country: place.country.as_str(),
            asn: place.asn,
        }
    }
}

/// All that were kept; of others, what the event tells. And which of those were cut when they were recorded.
fn headers(event: &Event, kept: Option<&KeptRequest>) -> (Headers, Vec<&'static str>) {
    let mut headers = HeadersBuilder::with_capacity(3, 256);
    let mut cut = Vec::new();
    if let Some(kept) = kept {
        for (name, value) in &kept.headers {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        return (headers.finish(), cut);
    }
    for (name, value) in RECORDED.into_iter().zip([&event.host, &event.user_agent, &event.content_type]) {
        if is_cut(value) {
            cut.push(name);
        } else if !value.is_empty() {
            headers.push(name.as_bytes(), value.as_bytes());
        }
    }
    (headers.finish(), cut)
}

fn principal(event: &Event) -> Option<Arc<Principal>> {
    if event.identity.is_empty() {
        return None;
    }
    let shared = |text: &Text| Arc::<str>::from(text.as_str());
    let maybe = |text: &Text| (!text.is_empty()).then(|| shared(text));
    Some(Arc::new(Principal {
        identity: shared(&event.identity),
        subject: shared(&event.subject),
        credential: shared(&event.credential),
        kind: if *event.credential_kind == *"api_key" {
            CredentialKind::ApiKey
        } else {
            CredentialKind::Token
        },
        collection: maybe(&event.collection),
        client: maybe(&event.client_id),
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
    }))
}

/// The query as it was, and the names whose values are hidden.
fn query(text: &str) -> Option<(Query, Vec<String>)> {
    let (mut raw, mut hidden) = (String::new(), Vec::new());
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (plain(name), if value == ELLIPSIS { String::new() } else { plain(value) });
        if !raw.is_empty() {
            raw.push('&');
        }
        encode(&mut raw, &name);
        raw.push('=');
        encode(&mut raw, &value);
        if pair.ends_with(ELLIPSIS) {
            hidden.push(name);
        }
    }
    let raw = (!raw.is_empty()).then_some(raw);
    Some((Query::parse(raw.as_deref().map(str::as_bytes), usize::MAX).ok()?, hidden))
}

/// What [`haechi_events::redact_query`] has encoded, decoded.
fn plain(text: &str) -> String {
    text.replace("%26", "&").replace("%3D", "=").replace("%E2%80%A6", ELLIPSIS).replace("%25", "%")
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Whether a text was cut to its bound. A hidden value at a query's end is short of it.
fn is_cut(text: &str) -> bool {
    text.len() > 505 && text.ends_with(ELLIPSIS)
}

#[cfg(test)]
mod tests {
    use haechi_events::redact_query;

    use super::*;

    #[test]
    fn a_recorded_query_is_the_query_that_was_but_for_what_is_hidden() {
        let pairs = [("q", "a b&c=d%26…"), ("ü[x]", "+1"), ("token", "s3cret"), ("empty", "")];
        let (query, hidden) = query(&redact_query(pairs.into_iter(), 512)).expect("read");
        let read: Vec<_> = query.pairs().collect();
        assert_eq!(read, [("q", "a b&c=d%26…"), ("ü[x]", "+1"), ("token", ""), ("empty", "")]);
        assert_eq!(hidden, ["token"]);
    }

    #[test]
    fn what_was_cut_is_not_judged() {
        let mut event = Event { method: "GET".into(), path: "/a".into(), ..Event::default() };
        assert!(Recorded::read(&event, None).is_some());
        event.path = Text::lossy(format!("/{}", "a".repeat(600)).as_bytes(), 512);
        assert!(Recorded::read(&event, None).is_none());
    }
}
