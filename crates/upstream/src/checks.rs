//! Attending to a site: its name is resolved again, its addresses are asked whether they are well.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::Millis;
use crate::connect::connect;
use crate::site::{Peer, Site};
use crate::{Endpoint, OutBody, random};

/// How often it is looked whether a site is still wanted.
const LOOK: Duration = Duration::from_secs(1);

/// How an endpoint is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked for with `GET`.
    pub path: PathAndQuery,
    /// How often; a tenth more or less, so that gateways do not ask in step.
    pub interval: Duration,
    /// How long it may take, connection included.
    pub timeout: Duration,
    /// Good answers in a row after which it is well again.
    pub healthy: u32,
    /// Bad ones in a row after which it is not.
    pub unhealthy: u32,
    /// What is a good answer; any 2xx if empty.
    pub expect: Vec<u16>,
}

/// Attends to a site as long as somebody wants it.
pub(crate) async fn attend(site: Weak<Site>) {
    let mut due = Instant::now();
    loop {
        let Some(site) = site.upgrade() else { return };
        if !site.is_fresh(Millis::now()) {
            // A resolver that hangs must not hold up the checks.
            let site = site.clone();
            tokio::task::spawn_local(async move { site.resolve().await.ok() });
        }
        let now = Instant::now();
        let interval = match &site.spec().check {
            Some(check) if due <= now => {
                for peer in site.peers().iter() {
                    tokio::task::spawn_local(ask(site.clone(), peer.clone(), check.clone()));
                }
                due = now + jittered(check.interval);
                due - now
            }
            Some(_) => due - now,
            None => LOOK,
        };
        drop(site);
        sleep_until(now + interval.min(LOOK)).await;
    }
}

async fn ask(site: Arc<Site>, peer: Arc<Peer>, check: Check) {
    let outcome = match timeout(check.timeout, probe(&site, &peer, &check)).await {
        Ok(outcome) => outcome,
        Err(_) => Err("the check took too long".to_owned()),
    };
    peer.health
        .checked(outcome.as_ref().map(|_| ()).map_err(String::as_str), (check.healthy, check.unhealthy));
}

async fn probe(site: &Site, peer: &Peer, check: &Check) -> Result<(), String> {
    let spec = site.spec();
    let endpoint =
        Endpoint::new(spec.scheme, &spec.host, spec.port, "").map_err(|error| error.to_string())?;
    let connecting = connect(spec, spec.protocol, peer);
    let mut sender = connecting.await.map_err(|error| error.to_string())?;
    let mut request = http::Request::new(OutBody::Empty);
    *request.method_mut() = Method::GET;
    request.headers_mut().insert(HOST, endpoint.authority().clone());
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("haechi-health"));
    let answer = sender.send(request, &endpoint, &check.path).await;
    let status = answer.map_err(|error| error.into_error().to_string())?.status();
    let good = match check.expect.as_slice() {
        [] => status.is_success(),
        expected => expected.contains(&status.as_u16()),
    };
    if good { Ok(()) } else { Err(format!("the check was answered {}", status.as_u16())) }
}

fn jittered(interval: Duration) -> Duration {
    let tenth = u32::try_from(random() % 201).unwrap_or(100);
    interval * (900 + tenth) / 1000
}
