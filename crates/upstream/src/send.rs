//! Sending a call: one try, and when that fails, whether there is another.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::balance::{Choice, choose};
use crate::clock::Millis;
use crate::health::Ejection;
use crate::pool::{Lease, Pools, Taken};
use crate::random::random;
use crate::site::Peer;
use crate::upstream::Upstream;
use crate::{OutBody, UpstreamError};

/// Most addresses that one call is tried at, for whatever reasons.
const TRIES: usize = 8;

/// What became of a call.
pub struct Sent {
    /// The answer, or why there is none.
    pub outcome: Result<Reply, UpstreamError>,
    /// Addresses that were tried.
    pub attempts: u32,
    /// How often what was sent was sent again.
    pub retries: u32,
    /// The request, if there is no answer because it never left: another upstream may have it.
    pub unsent: Option<Request<OutBody>>,
}

/// An upstream's answer. The connection goes back to its pool through [`Lease::release`] once the body has ended.
pub struct Reply {
    /// Status, headers and body as they come.
    pub response: Response<Incoming>,
    /// Which endpoint answered.
    pub endpoint: Arc<str>,
    /// The connection in use.
    pub lease: Lease,
}

/// One call in flight to an address.
pub(crate) struct Flight {
    pub(crate) peer: Arc<Peer>,
    trial: bool,
    /// Its answer was a good one so far.
    good: bool,
}

/// A try that failed.
struct Fault {
    error: UpstreamError,
    /// The request, if it never left.
    unsent: Option<Request<OutBody>>,
    /// Nothing of the try reached the upstream.
    before: bool,
}

/// The progress of a call over its tries.
struct Course {
    tried: Vec<Arc<Peer>>,
    at: Option<Arc<str>>,
    attempts: u32,
    retries: u32,
    unsent: Option<Request<OutBody>>,
}

impl Pools {
    /// Sends a request and waits for the head of the response.
    ///
    /// The request's URI and `Host` are set here, from `target` and the endpoint that takes the call, unless the request has a
    /// [`ToldHost`](crate::ToldHost). A request that
    /// never left goes to another address. One that was sent is sent again only if its method is idempotent (RFC 9110,
    /// section 9.2.2), `again` can make it once more, and the upstream's rules and budget allow it. `again` is asked only
    /// then: copying each request for the rare case would cost more than making it anew.
    pub async fn send(
        &self,
        upstream: &Upstream,
        deadline: Duration,
        target: &PathAndQuery,
        request: Request<OutBody>,
        again: impl Fn() -> Option<Request<OutBody>>,
    ) -> Sent {
        let mut course = Course { tried: Vec::new(), at: None, attempts: 0, retries: 0, unsent: None };
        let pass = match &upstream.breaker {
            None => None,
            Some(rule) => match upstream.gate.breaker.enter(rule, Millis::now()) {
                Ok(pass) => Some(pass),
                Err(left) => {
                    course.unsent = Some(request);
                    return course.end(Err(UpstreamError::Open { left }));
                }
            },
        };
        if upstream.retries.max > 0 {
            upstream.gate.budget.earn(&upstream.retries.budget);
        }
        let tries = self.tries(upstream, &mut course, target, request, again);
        let outcome = match timeout(deadline, tries).await {
            Ok(outcome) => outcome,
            Err(_) => match course.at.clone() {
                Some(endpoint) => Err(UpstreamError::Timeout { endpoint }),
                None => Err(upstream.stalled()),
            },
        };
        if let Some(pass) = pass {
            match &outcome {
                Ok(reply) => pass.end(is_bad(&reply.response), Millis::now()),
                Err(error) if error.is_its_fault() => pass.end(true, Millis::now()),
                Err(_) => drop(pass),
            }
        }
        course.end(outcome)
    }

    async fn tries(
        &self,
        upstream: &Upstream,
        course: &mut Course,
        target: &PathAndQuery,
        request: Request<OutBody>,
        again: impl Fn() -> Option<Request<OutBody>>,
    ) -> Result<Reply, UpstreamError> {
        let rules = &upstream.retries;
        let idempotent = request.method().is_idempotent();
        let again = || again().filter(|_| idempotent);
        let mut request = request;
        let mut last = None;
        loop {
            let choice = match self.choice(upstream, course).await {
                Ok(Some(choice)) => choice,
                none => {
                    course.unsent = Some(request);
                    return Err(none.err().or(last).unwrap_or(UpstreamError::NoEndpoint));
                }
            };
            course.at = Some(choice.target.endpoint.name().clone());
            course.attempts += 1;
            let mut flight = Flight::new(&choice);
            let trying = self.attempt(upstream, &choice, target, request, &again);
            let result = match upstream.try_timeout {
                None => trying.await,
                Some(limit) => match timeout(limit, trying).await {
                    Ok(result) => result,
                    Err(_) => Err(Fault {
                        error: UpstreamError::Timeout { endpoint: choice.target.endpoint.name().clone() },
                        unsent: None,
                        before: false,
                    }),
                },
            };
            let more = course.retries < rules.max && course.tried.len() < TRIES;
            let budget = || upstream.gate.budget.spend(&rules.budget, Millis::now());
            let fault = match result {
                Ok((response, taken)) => {
                    flight.answered(&response, &upstream.ejection);
                    let status = response.status().as_u16();
                    if more
                        && rules.statuses.contains(&status)
                        && let Some(once_more) = again()
                        && budget()
                    {
                        course.retry(choice.peer);
                        request = once_more;
                        continue;
                    }
                    let endpoint = choice.target.endpoint.name().clone();
                    return Ok(Reply { response, endpoint, lease: taken.lease(flight) });
                }
                Err(fault) => fault,
            };
            flight.failed(&fault.error);
            let wanted = match &fault.error {
                UpstreamError::Timeout { .. } => rules.timeout,
                UpstreamError::Broken { source, .. } => rules.reset && !source.is_user(),
                _ => false,
            };
            match (fault.unsent, fault.before) {
                // Nothing left: any other address may have it. The one there is was tried.
                (Some(unsent), true) => {
                    course.tried.push(choice.peer);
                    if course.tried.len() > TRIES || upstream.is_exhausted(&course.tried) {
                        course.unsent = Some(unsent);
                        return Err(fault.error);
                    }
                    request = unsent;
                    last = Some(fault.error);
                }
                (_, false) if more && wanted => match again() {
                    Some(once_more) if budget() => {
                        course.retry(choice.peer);
                        request = once_more;
                        last = Some(fault.error);
                    }
                    _ => return Err(fault.error),
                },
                _ => return Err(fault.error),
            }
        }
    }

    /// The address of the next try. One that was tried is taken again for a retry if there is no other.
    async fn choice<'u>(
        &self,
        upstream: &'u Upstream,
        course: &Course,
    ) -> Result<Option<Choice<'u>>, UpstreamError> {
        let pick = |tried: &[Arc<Peer>]| choose(upstream, tried, Millis::now(), random);
        let picked = pick(&course.tried).or_else(|| pick(&[]));
        let stale = upstream.targets.iter().filter(|target| target.site.peers().is_empty());
        let mut failure = None;
        if picked.is_none() {
            // Not resolved yet: the first calls find the addresses themselves.
            for target in stale {
                let endpoint = target.endpoint.name().clone();
                match timeout(upstream.connect_timeout, target.site.resolve()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(source)) => failure = Some(UpstreamError::Connect { endpoint, source }),
                    Err(_) => failure = Some(UpstreamError::ConnectTimeout { endpoint }),
                }
            }
        }
        match (picked.or_else(|| pick(&[])), failure) {
            (None, Some(failure)) => Err(failure),
            (picked, _) => Ok(picked),
        }
    }

    /// One try at one address. A kept connection that turns out to be closed is no fault of the address: the request
    /// goes out again on a new one.
    async fn attempt(
        &self,
        upstream: &Upstream,
        choice: &Choice<'_>,
        target: &PathAndQuery,
        mut request: Request<OutBody>,
        again: &impl Fn() -> Option<Request<OutBody>>,
    ) -> Result<(Response<Incoming>, Taken), Fault> {
        let endpoint = &choice.target.endpoint;
        let mut fresh_only = false;
        loop {
            let taken = self.take(upstream, choice, fresh_only).await;
            let mut taken = match taken {
                Ok(taken) => taken,
                Err(error) => return Err(Fault { error, unsent: Some(request), before: true }),
            };
            match taken.sender.send(request, endpoint, target).await {
                Ok(response) => return Ok((response, taken)),
                Err(mut error) => {
                    let unsent = error.take_message();
                    let source = error.into_error();
                    if taken.reused && !source.is_user() {
                        // It broke before any answer, as connections do that the other side closes just then.
                        match unsent.or_else(again) {
                            Some(once_more) => {
                                request = once_more;
                                fresh_only = true;
                                continue;
                            }
                            None => {
                                return Err(Fault {
                                    error: broken(endpoint, source),
                                    unsent: None,
                                    before: false,
                                });
                            }
                        }
                    }
                    let before = unsent.is_some();
                    return Err(Fault { error: broken(endpoint, source), unsent, before });
                }
            }
        }
    }
}

fn broken(endpoint: &crate::Endpoint, source: hyper::Error) -> UpstreamError {
    UpstreamError::Broken { endpoint: endpoint.name().clone(), source }
}

/// Whether the answer says that nobody is at home.
fn is_bad(response: &Response<Incoming>) -> bool {
    matches!(response.status().as_u16(), 502..=504)
}

// === impl Sent ===

impl Sent {
    /// What is said of a call that was sent and given up.
    pub fn nothing(error: UpstreamError) -> Self {
        Self { outcome: Err(error), attempts: 1, retries: 0, unsent: None }
    }
}

// === impl Course ===

impl Course {
    fn retry(&mut self, peer: Arc<Peer>) {
        self.tried.push(peer);
        self.retries += 1;
    }

    fn end(self, outcome: Result<Reply, UpstreamError>) -> Sent {
        let Self { attempts, retries, unsent, .. } = self;
        Sent { outcome, attempts, retries, unsent }
    }
}

// === impl Flight ===

impl Flight {
    pub(crate) fn new(choice: &Choice<'_>) -> Self {
        choice.peer.health.enter();
        Self { peer: choice.peer.clone(), trial: choice.trial, good: false }
    }

    /// A head has come. Whether the call went well is known when its body has ended.
    fn answered(&mut self, response: &Response<Incoming>, rule: &Ejection) {
        self.good = !is_bad(response);
        if !self.good {
            self.peer.health.failed(&format!("answered {}", response.status().as_u16()), self.trial);
        } else if self.trial {
            self.peer.health.promises(rule);
        }
    }

    /// Its response came whole.
    pub(crate) fn ended_well(&self) {
        if self.good {
            self.peer.health.succeeded();
        }
    }

    fn failed(&self, error: &UpstreamError) {
        if error.is_its_fault() {
            self.peer.health.failed(&error.to_string(), self.trial);
        }
    }

    /// Its response ended before its end.
    pub(crate) fn broke(&self, why: &str) {
        self.peer.health.failed(why, false);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.peer.health.leave();
        if self.trial {
            self.peer.health.end_trial();
        }
    }
}

// === impl Upstream ===

impl Upstream {
    /// Whether every address was tried.
    fn is_exhausted(&self, tried: &[Arc<Peer>]) -> bool {
        let is_tried = |peer: &Arc<Peer>| tried.iter().any(|other| Arc::ptr_eq(peer, other));
        self.targets.iter().all(|target| target.site.peers().iter().all(is_tried))
    }
}
