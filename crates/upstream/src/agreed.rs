//! What TLS agreed on with upstreams, counted since the process began, for reports.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rustls::ClientConnection;

/// Endpoints, times what may be agreed on, that are told apart; more are not counted.
const MOST: usize = 4096;

static AGREED: Mutex<BTreeMap<(String, &'static str, &'static str), u64>> = Mutex::new(BTreeMap::new());

/// Connections to one upstream that agreed on the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// `host:port`.
    pub endpoint: String,
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The key exchange's group.
    pub group: &'static str,
    /// How many.
    pub count: u64,
}

/// What TLS agreed on with upstreams so far.
pub fn agreed() -> Vec<Agreed> {
    let agreed = AGREED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = agreed.iter().map(|((endpoint, version, group), count)| Agreed {
        endpoint: endpoint.clone(),
        version,
        group,
        count: *count,
    });
    all.collect()
}

/// Counts a new connection.
pub(crate) fn note(endpoint: &str, session: &ClientConnection) {
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        _ => "",
    };
    let group =
        session.negotiated_key_exchange_group().and_then(|group| group.name().as_str()).unwrap_or_default();
    let mut agreed = AGREED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (endpoint.to_owned(), version, group);
    if agreed.len() < MOST || agreed.contains_key(&key) {
        *agreed.entry(key).or_default() += 1;
    }
}
