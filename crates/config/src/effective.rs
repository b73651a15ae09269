//! What holds for one operation: the one place where the file's levels (all, API, operation) are put together.

use std::time::Duration;

use haechi_guard::Mode;

use crate::config::Config;
use crate::model::{
    Api, AtLimit, Auth, BodyLimit, Callers, Compress, Operation, PlanChoice, Rewrite, Rule, Service, Waf,
    WafExclusion, WafSource,
};

/// How much of a body rules look at: more than any form and most documents, and a few milliseconds of work.
const WAF_BODY: u64 = 1024 * 1024;

/// What holds for one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationSettings {
    /// Whether it can be called.
    pub exposed: bool,
    /// Who may call.
    pub auth: Auth,
    /// How much they may do.
    pub plan: PlanChoice,
    /// The upstream's timeout.
    pub timeout: Duration,
    /// Largest body.
    pub body: BodyLimit,
    /// Which responses are compressed.
    pub compress: Compress,
    /// Whether a call may become a WebSocket connection, and from which web sites (any if empty).
    pub websocket: Option<Vec<String>>,
    /// Parameters and body.
    pub validate_request: Mode,
    /// The response.
    pub validate_response: Mode,
    /// Calls the contract does not name; the same for all operations of an API.
    pub unknown_paths: Mode,
    /// Query parameters the contract does not name.
    pub unknown_parameters: Mode,
    /// The guard of who is calling.
    pub identity: Mode,
    /// The guard of how much.
    pub limits: Mode,
    /// The guard of where calls come from.
    pub lists: Mode,
    /// Who may call, level by level, that of all calls first; levels on which nothing is written are left out. All of them hold.
    pub callers: Vec<Callers>,
    /// The guard of rules.
    pub access: Mode,
    /// Rules of all levels, in the order in which they are asked: they add up, those of all calls first.
    pub rules: Vec<Rule>,
    /// What is changed of its calls after they were judged.
    pub rewrite: Rewrite,
    /// The guard that looks for attacks.
    pub waf: Mode,
    /// What it asks.
    pub waf_settings: WafSettings,
}

/// Rules that look for attacks, as they hold for one operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WafSettings {
    /// Where rules come from; none if the guard does not run.
    pub rules: Vec<WafSource>,
    /// The rules up to this level are asked.
    pub paranoia: Option<u8>,
    /// The anomaly score at which a request is refused.
    pub inbound: Option<u64>,
    /// The anomaly score at which a response is refused.
    pub outbound: Option<u64>,
    /// What rules do not look at: all that the levels say, those of all calls first.
    pub exclusions: Vec<WafExclusion>,
    /// Whether responses are looked at.
    pub responses: bool,
    /// Bytes of a body that are looked at.
    pub body: u64,
    /// What becomes of a longer one.
    pub at_limit: AtLimit,
}

/// What holds for the operation `id` of `api`.
pub fn effective(config: &Config, api: &Api, id: &str) -> OperationSettings {
    combine(config, api, api.operations.get(id))
}

/// What holds for calls of `api` that belong to no operation.
pub fn api_defaults(config: &Config, api: &Api) -> OperationSettings {
    combine(config, api, None)
}

/// What holds for the calls of a service. There is no contract to check.
pub fn service_settings(config: &Config, service: &Service) -> OperationSettings {
    OperationSettings {
        exposed: true,
        auth: service.auth.clone(),
        plan: service.plan.clone(),
        timeout: service.target.upstream().map_or(Duration::ZERO, |upstream| upstream.timeout),
        body: service.body.unwrap_or(BodyLimit::Bytes(config.limits.body)),
        compress: service.compress.unwrap_or_default(),
        websocket: service.websocket.clone(),
        validate_request: Mode::Off,
        validate_response: Mode::Off,
        unknown_paths: Mode::Off,
        unknown_parameters: Mode::Off,
        identity: service.modes.identity.or(config.modes.identity).unwrap_or(Mode::Enforce),
        limits: service.modes.limits.or(config.modes.limits).unwrap_or(Mode::Enforce),
        lists: service.modes.lists.or(config.modes.lists).unwrap_or(Mode::Enforce),
        callers: levels([Some(&config.callers), Some(&service.callers), None]),
        access: service.modes.access.or(config.modes.access).unwrap_or(Mode::Enforce),
        rules: [&*config.rules, &*service.rules].concat(),
        rewrite: service.rewrite.clone(),
        waf: service.modes.waf.or(config.modes.waf).unwrap_or(Mode::Enforce),
        waf_settings: waf(&[&config.waf, &service.waf]),
    }
}

fn combine(config: &Config, api: &Api, operation: Option<&Operation>) -> OperationSettings {
    let validate = operation.map(|operation| operation.validate).unwrap_or_default();
    let modes = operation.map(|operation| operation.modes).unwrap_or_default();
    OperationSettings {
        exposed: operation.and_then(|operation| operation.expose).unwrap_or(true),
        auth: operation.and_then(|operation| operation.auth.clone()).unwrap_or_else(|| api.auth.clone()),
        plan: operation.and_then(|operation| operation.plan.clone()).unwrap_or_else(|| api.plan.clone()),
        timeout: operation.and_then(|operation| operation.timeout).unwrap_or(api.upstream.timeout),
        body: operation.and_then(|operation| operation.body).unwrap_or(BodyLimit::Bytes(config.limits.body)),
        compress: operation.and_then(|operation| operation.compress).or(api.compress).unwrap_or_default(),
        websocket: operation.and_then(|operation| operation.websocket.clone()),
        validate_request: validate.request.or(api.validate.request).unwrap_or(Mode::Enforce),
        validate_response: validate.response.or(api.validate.response).unwrap_or(Mode::Off),
        unknown_paths: api.validate.unknown_paths.unwrap_or(Mode::Enforce),
        unknown_parameters: validate
            .unknown_parameters
            .or(api.validate.unknown_parameters)
            .unwrap_or(Mode::Enforce),
        identity: modes.identity.or(api.modes.identity).or(config.modes.identity).unwrap_or(Mode::Enforce),
        limits: modes.limits.or(api.modes.limits).or(config.modes.limits).unwrap_or(Mode::Enforce),
        lists: modes.lists.or(api.modes.lists).or(config.modes.lists).unwrap_or(Mode::Enforce),
        callers: levels([
            Some(&config.callers),
            Some(&api.callers),
            operation.map(|operation| &operation.callers),
        ]),
        access: modes.access.or(api.modes.access).or(config.modes.access).unwrap_or(Mode::Enforce),
        rules: [&*config.rules, &*api.rules, operation.map_or(&[][..], |operation| &operation.rules)]
            .concat(),
        rewrite: operation
            .map_or_else(|| api.rewrite.clone(), |operation| operation.rewrite.below(&api.rewrite)),
        waf: modes.waf.or(api.modes.waf).or(config.modes.waf).unwrap_or(Mode::Enforce),
        waf_settings: match operation {
            Some(operation) => waf(&[&config.waf, &api.waf, &operation.waf]),
            None => waf(&[&config.waf, &api.waf]),
        },
    }
}

/// What levels say together, the most general first: the most special word holds.
fn waf(levels: &[&Waf]) -> WafSettings {
    fn last<T>(levels: &[&Waf], said: impl Fn(&Waf) -> Option<T>) -> Option<T> {
        levels.iter().rev().find_map(|level| said(level))
    }
    WafSettings {
        rules: last(levels, |level| level.rules.clone()).unwrap_or_default(),
        paranoia: last(levels, |level| level.paranoia),
        inbound: last(levels, |level| level.inbound),
        outbound: last(levels, |level| level.outbound),
        exclusions: levels.iter().flat_map(|level| level.exclusions.clone()).collect(),
        responses: last(levels, |level| level.responses).unwrap_or(false),
        body: last(levels, |level| level.body).unwrap_or(WAF_BODY),
        at_limit: last(levels, |level| level.at_limit).unwrap_or_default(),
    }
}

/// The levels on which something is written.
fn levels(all: [Option<&Callers>; 3]) -> Vec<Callers> {
    all.into_iter().flatten().filter(|level| **level != Callers::default()).cloned().collect()
}

#[cfg(test)]
mod tests;
