//! From a configuration to a snapshot. `check` and `run` both come through here: what one refuses, the other does.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use haechi_access::Rules;
use haechi_config::model::{self, Auth, BodyLimit, Identity, JwksSource, Per};
use haechi_config::plan::{OperationView, Operations};
use haechi_config::{
    Config, Diagnostic, Diagnostics, OperationSettings, WafSettings, api_defaults, effective,
    service_settings,
};
use haechi_contract::{ApiIndex, Contract, HeadOptions, RouterBuilder};
use haechi_expr::Expression;
use haechi_guard::{Guard, Mode};
use haechi_identity::{
    Accepted, Algorithm, Binding, Dpop, IdentityGuard, JwksHandle, KeySet, TokenPolicy, TokenVerifier,
};
use haechi_limits::{LimitsGuard, Plan, Plans, Rate};
use haechi_lists::List;
use haechi_waf::Waf;
use haechi_wire::{CanonicalPath, h1};
use http::{HeaderName, Method};

use super::{
    Api, Contracted, Kind, Operation, Reach, Service, ServiceRoutes, Snapshot, Target, Timeouts, WebSocket,
};
use crate::export::collector;
use crate::files::Files;
use crate::jwks::{JwksUrl, Source};
use crate::lasting::Lasting;
use crate::tunnel::TunnelLimits;

/// Longest file of signing keys; a set of a hundred RSA keys is a third of it.
const KEY_SET: u64 = 256 * 1024;

/// What identities are made into, shared by all operations.
struct Identities {
    accepted: HashMap<String, Accepted>,
    sources: HashMap<Arc<str>, Arc<Source>>,
    key_headers: Vec<HeaderName>,
}

/// A snapshot in the making.
pub(super) struct Compiler<'a> {
    pub(super) config: &'a Config,
    pub(super) lasting: &'a Lasting,
    pub(super) sources: &'a mut Files,
    files: Vec<PathBuf>,
    pub(super) digest: blake3::Hasher,
    contracts: Operations,
    pub(super) wrong: Option<Diagnostics>,
    begins: Vec<Begin>,
    /// Lists by name.
    pub(super) lists: HashMap<String, Arc<List>>,
    /// The conditions of rules, by their text.
    pub(super) conditions: HashMap<String, Arc<Expression>>,
    /// What expressions speak of: principals hold no other claims.
    pub(super) claims: Vec<String>,
    /// Rules that look for attacks, and what tells them apart.
    pub(super) wafs: HashMap<WafSettings, (Arc<Waf>, Arc<str>)>,
    /// What was refused, where that could be told more than once.
    pub(super) told: HashSet<String>,
}

/// Where an API begins.
struct Begin {
    api: Arc<str>,
    host: Option<String>,
    /// Without a slash at its end.
    path: String,
    scheme: Option<model::Scheme>,
}

impl Snapshot {
    /// Loads contracts, keys and certificates, and builds routes and guards.
    ///
    /// # Errors
    /// All mistakes, each at its place in `haechi.yaml`.
    pub fn compile(config: &Config, lasting: &Lasting) -> Result<Self, Diagnostics> {
        Self::compile_from(config, lasting, &mut Files::on_disk(config.base()))
    }

    /// The same with files from elsewhere. All that is no secret is read through `sources`, which then hold what this snapshot was made
    /// from.
    ///
    /// # Errors
    /// As for [`compile`](Self::compile).
    pub fn compile_from(
        config: &Config,
        lasting: &Lasting,
        sources: &mut Files,
    ) -> Result<Self, Diagnostics> {
        let mut compiler = Compiler {
            config,
            lasting,
            sources,
            files: Vec::new(),
            digest: blake3::Hasher::new(),
            contracts: Operations::new(),
            wrong: None,
            begins: Vec::new(),
            lists: HashMap::new(),
            conditions: HashMap::new(),
            claims: Vec::new(),
            wafs: HashMap::new(),
            told: HashSet::new(),
        };
        compiler.file(config.file().to_owned());
        compiler.digest.update(config.text().as_bytes());
        let listeners = compiler.listeners();
        let geo = compiler.geo();
        compiler.lists = compiler.lists();
        let channels = compiler.channels();
        compiler.conditions();
        compiler.load_wafs();
        let identities = compiler.identities();
        let plans = compiler.plans();
        let mut router = RouterBuilder::new();
        let mut apis = Vec::with_capacity(config.apis.len());
        for (index, (name, api)) in config.apis.iter().enumerate() {
            let index = ApiIndex(u32::try_from(index).unwrap_or(u32::MAX));
            apis.push(compiler.api(index, name, api, &identities, &plans, &mut router));
        }
        let mut services = Vec::with_capacity(config.services.len());
        for (name, service) in &config.services {
            services.push(compiler.service(name, service, &identities, &plans));
        }
        let service_routes = ServiceRoutes::new(config.services.iter().map(|(_, service)| service));
        if let Some(otlp) = &config.otlp
            && let Err(message) = collector(otlp)
        {
            compiler.refuse(&["telemetry", "otlp", "endpoint"], Diagnostic::new("url", message));
        }
        if let Some(wrong) = compiler.wrong {
            return Err(wrong);
        }
        let limits = &config.limits;
        let snapshot = Self {
            digest: compiler.digest.finalize().to_hex().get(..16).unwrap_or_default().into(),
            compiled_at: SystemTime::now(),
            files: compiler.files,
            contracts: compiler.contracts,
            drain: limits.timeouts.drain,
            workers: config.workers.unwrap_or_else(processors),
            router: router.build(),
            apis: apis.into_iter().flatten().collect(),
            geo,
            channels,
            no_channel: lasting.metrics.channel(None),
            service_routes,
            services: services.into_iter().flatten().collect(),
            listeners,
            wire: h1::Limits {
                head_bytes: limits.head,
                headers: limits.headers,
                target_bytes: limits.target,
                ..h1::Limits::default()
            },
            timeouts: Arc::new(Timeouts {
                proxy_header: limits.timeouts.proxy_header,
                tls_handshake: limits.timeouts.tls_handshake,
                first_byte: limits.timeouts.first_byte,
                head: limits.timeouts.head,
                body: limits.timeouts.body,
                idle: limits.timeouts.idle,
                write: limits.timeouts.write,
            }),
            max_streams: limits.streams,
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
            body_memory: limits.body_memory,
            body_in_memory: limits.body_in_memory,
            body_disk: limits.body_disk,
            body_dir: limits.body_dir.clone(),
            tunnels: TunnelLimits {
                idle: limits.timeouts.stream,
                lifetime: limits.timeouts.websocket,
                message: limits.websocket_message,
            },
            sample: config.otlp.as_ref().map_or(0.0, |otlp| otlp.sample),
            key_headers: identities.key_headers,
            jwks: identities.sources,
        };
        match snapshot.loops(config) {
            Some(wrong) => Err(wrong),
            None => Ok(snapshot),
        }
    }
}

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn refuse(&mut self, path: &[&str], diagnostic: Diagnostic) {
        let more = self.config.diagnose(path, diagnostic);
        match &mut self.wrong {
            Some(wrong) => wrong.extend(more),
            None => self.wrong = Some(more),
        }
    }

    /// A file the snapshot is made from.
    pub(super) fn file(&mut self, path: PathBuf) {
        if !self.files.contains(&path) {
            self.files.push(path);
        }
    }

    /// A secret, or a diagnostic.
    pub(super) fn secret(
        &mut self,
        path: &[&str],
        reference: &haechi_config::SecretRef,
    ) -> Option<haechi_config::SecretBytes> {
        let sources = self.config.secrets();
        if let Some(file) = reference.path(&sources) {
            self.file(file);
        }
        match reference.resolve(&sources) {
            Ok(secret) => {
                self.digest.update(secret.expose());
                Some(secret)
            }
            Err(error) => {
                self.refuse(path, Diagnostic::new("secret", error.to_string()));
                None
            }
        }
    }

    fn identities(&mut self) -> Identities {
        let mut identities =
            Identities { accepted: HashMap::new(), sources: HashMap::new(), key_headers: Vec::new() };
        for (name, identity) in &self.config.identity {
            let accepted = match identity {
                Identity::ApiKey(key) => {
                    if let Ok(header) = HeaderName::from_bytes(key.header.as_bytes()) {
                        identities.key_headers.push(header);
                    }
                    Accepted::Key {
                        identity: name.as_str().into(),
                        header: key.header.as_str().into(),
                        collection: key.collection.as_str().into(),
                        ring: self.lasting.keys.clone(),
                    }
                }
                Identity::Jwt(jwt) => {
                    let Some(keys) = self.signing_keys(name, jwt, &mut identities) else { continue };
                    let policy = TokenPolicy {
                        identity: name.as_str().into(),
                        issuer: jwt.issuer.clone(),
                        audience: jwt.audience.clone(),
                        algorithms: jwt.algorithms.iter().filter_map(|name| Algorithm::parse(name)).collect(),
                        leeway: jwt.leeway,
                        claims: self.claims.clone(),
                    };
                    let binding = Binding {
                        dpop: match jwt.dpop {
                            model::Dpop::Off => Dpop::Off,
                            model::Dpop::Allowed => Dpop::Allowed,
                            model::Dpop::Required => Dpop::Required,
                        },
                        nonce: jwt.dpop_nonce,
                        proofs: self.lasting.proofs.clone(),
                    };
                    Accepted::Token { verifier: Arc::new(TokenVerifier::new(policy, keys)), binding }
                }
            };
            identities.accepted.insert(name.clone(), accepted);
        }
        identities
    }

    fn signing_keys(
        &mut self,
        name: &str,
        jwt: &model::Jwt,
        identities: &mut Identities,
    ) -> Option<Arc<JwksHandle>> {
        let path = ["identity", name, "jwt", "jwks"];
        let url = match &jwt.jwks {
            JwksSource::File(file) => {
                let file = self.config.secrets().base.join(file);
                self.file(file.clone());
                let keys = self
                    .sources
                    .read(&file, KEY_SET)
                    .map_err(|error| format!("cannot read `{}`: {error}", file.display()))
                    .and_then(|document| {
                        self.digest.update(&document);
                        KeySet::parse(&document).map_err(|error| format!("`{}`: {error}", file.display()))
                    });
                return match keys {
                    Ok(keys) if keys.is_empty() => {
                        let message = format!("`{}` holds no key that can verify tokens", file.display());
                        let why = keys.skipped().join("; ");
                        self.refuse(&path, Diagnostic::new("keys", message).help(why));
                        None
                    }
                    Ok(keys) => Some(Arc::new(JwksHandle::new(keys))),
                    Err(message) => {
                        self.refuse(&path, Diagnostic::new("keys", message));
                        None
                    }
                };
            }
            JwksSource::Url(url) => jwks_url(url, None),
            JwksSource::Discover(url) => jwks_url(url, Some(&jwt.issuer)),
        };
        let source = self.lasting.jwks.source(url);
        let handle = source.handle().clone();
        identities.sources.insert(name.into(), source);
        Some(handle)
    }

    fn plans(&self) -> HashMap<String, Arc<Plan>> {
        let plan = |name: &str, plan: &model::Plan| {
            let per = match plan.per {
                Per::Principal => haechi_limits::Per::Principal,
                Per::Credential => haechi_limits::Per::Credential,
                Per::Address => haechi_limits::Per::Address,
            };
            Arc::new(Plan::new(name, Rate::new(plan.rate.count, plan.rate.period, plan.burst), per))
        };
        self.config.plans.iter().map(|(name, settings)| (name.clone(), plan(name, settings))).collect()
    }

    fn api(
        &mut self,
        index: ApiIndex,
        name: &str,
        api: &model::Api,
        identities: &Identities,
        plans: &HashMap<String, Arc<Plan>>,
        router: &mut RouterBuilder,
    ) -> Option<Api> {
        let contract = self.contract(name, &api.openapi)?;
        let base_path = api.base_path.as_deref().unwrap_or_else(|| contract.base_path());
        if let Err(conflict) = router.add(index, api.host.as_deref(), base_path, &contract) {
            self.refuse(&["apis", name], Diagnostic::new("route-conflict", conflict.to_string()));
        }
        let view = |operation: &Arc<haechi_contract::Operation>| OperationView {
            id: operation.id().as_str().to_owned(),
            method: operation.method().to_string(),
            path: format!("{}{}", base_path.trim_end_matches('/'), operation.template()),
        };
        self.contracts.insert(name.to_owned(), contract.operations().iter().map(view).collect());
        for id in api.operations.keys() {
            if contract.operation(id).is_none() {
                let message = format!("the contract `{}` has no operation `{id}`", api.openapi.display());
                let known: Vec<_> =
                    contract.operations().iter().take(8).map(|known| known.id().as_str()).collect();
                let help =
                    format!("operations: {}{}", known.join(", "), if known.len() == 8 { ", …" } else { "" });
                self.refuse(
                    &["apis", name, "operations", id],
                    Diagnostic::new("unknown-operation", message).help(help),
                );
            }
        }
        for (id, operation) in &api.operations {
            let path = ["apis", name, "operations", id, "upgrade"];
            self.upgradeable(&path, &api.upstream, operation.websocket.as_ref());
        }
        let ways = self.upstream(["apis", name, "upstream"], &api.upstream)?;
        let rewrite = self.rewrite(&["apis", name, "rewrite"], &api.rewrite);
        let mut rewrites = HashMap::new();
        for (id, operation) in &api.operations {
            if operation.rewrite != model::Rewrite::default() {
                let path = ["apis", name, "operations", id, "rewrite"];
                let all = effective(self.config, api, id).rewrite;
                rewrites.insert(id.as_str(), self.rewrite(&path, &all));
            }
        }
        let shared: Arc<str> = name.into();
        let build =
            |id: &str, settings: OperationSettings, contract: Option<&Arc<haechi_contract::Operation>>| {
                let rules = self.rules(&settings);
                Operation {
                    api: shared.clone(),
                    id: id.into(),
                    kind: Kind::Api,
                    exposed: settings.exposed,
                    accepts: accepts(&settings),
                    guards: self.guards(&settings, identities, plans, rules.as_ref()),
                    rules,
                    contract: contract
                        .filter(|_| {
                            settings.validate_request != Mode::Off || settings.validate_response != Mode::Off
                        })
                        .map(|operation| contracted(&settings, operation)),
                    waf: self.waf(&settings),
                    body_limit: self.body_limit(&settings),
                    rate: self.body_rate(&settings),
                    compress: settings.compress,
                    websocket: settings.websocket.clone().map(|origins| WebSocket { origins }),
                    timeout: settings.timeout,
                    target: Target::Upstream(ways.clone()),
                    rewrite: rewrites.get(id).unwrap_or(&rewrite).clone(),
                    metrics: self.lasting.metrics.operation(name, id),
                }
            };
        let operations = contract
            .operations()
            .iter()
            .map(|operation| {
                let id = operation.id().as_str();
                build(id, effective(self.config, api, id), Some(operation))
            })
            .collect();
        let defaults = api_defaults(self.config, api);
        let fallback = (defaults.unknown_paths != Mode::Enforce).then(|| build("-", defaults, None));
        let path = base_path.trim_end_matches('/').to_owned();
        self.begins.push(Begin { api: shared.clone(), host: api.host.clone(), path, scheme: api.scheme });
        let reach = Reach::new(api.host.as_deref(), base_path, (false, api.scheme));
        Some(Api { name: shared, reach, scheme: api.scheme, operations, fallback })
    }

    fn service(
        &mut self,
        name: &str,
        service: &model::Service,
        identities: &Identities,
        plans: &HashMap<String, Arc<Plan>>,
    ) -> Option<Service> {
        let path = ["services", name];
        if let Err(message) = check_route(service.host.as_deref(), &service.prefix) {
            self.refuse(&path, Diagnostic::new("route", message));
        }
        let others = self.config.services.iter().take_while(|(known, _)| known != name);
        let place = |one: &model::Service| (one.host.clone(), one.prefix.clone(), one.exact, one.scheme);
        let same = |other: &model::Service| place(other) == place(service);
        if let Some((other, _)) = others.into_iter().find(|(_, other)| same(other)) {
            let message = format!("the service `{other}` has the same host, path and scheme");
            self.refuse(&path, Diagnostic::new("route-conflict", message));
        }
        // An API answers for all paths it begins with, so that nothing would ever reach a service in the same place.
        let prefix = service.prefix.trim_end_matches('/');
        if let Some(begin) =
            self.begins.iter().find(|begin| begin.host == service.host && begin.path == prefix)
            && (service.exact, service.scheme) == (false, begin.scheme)
        {
            let message = format!(
                "nothing would reach the service: the API `{}` answers for every path below `{}` on this host",
                begin.api, service.prefix
            );
            let help = "give the service a host or a longer prefix, or the API a `base_path`";
            self.refuse(&path, Diagnostic::new("route-conflict", message).help(help));
        }
        let target = self.target(name, service)?;
        let rewrite = self.rewrite(&["services", name, "rewrite"], &service.rewrite);
        let settings = service_settings(self.config, service);
        let rules = self.rules(&settings);
        let operation = Operation {
            api: name.into(),
            id: "-".into(),
            kind: Kind::Service,
            exposed: true,
            accepts: accepts(&settings),
            guards: self.guards(&settings, identities, plans, rules.as_ref()),
            rules,
            contract: None,
            waf: self.waf(&settings),
            body_limit: self.body_limit(&settings),
            rate: self.body_rate(&settings),
            compress: settings.compress,
            websocket: settings.websocket.clone().map(|origins| WebSocket { origins }),
            timeout: settings.timeout,
            target,
            rewrite,
            metrics: self.lasting.metrics.operation(name, "-"),
        };
        let methods = service.methods.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok());
        Some(Service { operation, methods: methods.collect(), allow: service.methods.join(", ").into() })
    }

    fn contract(&mut self, name: &str, openapi: &Path) -> Option<Contract> {
        let limits = haechi_contract::Limits::default();
        let mut read = |path: &Path| self.sources.read(path, limits.file_bytes);
        match Contract::load_with(openapi, &limits, &mut read) {
            Ok(contract) => {
                for file in contract.files() {
                    self.file(file.clone());
                    if let Ok(bytes) = self.sources.read(file, limits.file_bytes) {
                        self.digest.update(&bytes);
                    }
                }
                Some(contract)
            }
            Err(error) => {
                self.file(openapi.to_owned());
                for problem in error.problems() {
                    let place = match problem.position() {
                        Some((line, column)) => format!("{}:{line}:{column}", problem.file().display()),
                        None => problem.file().display().to_string(),
                    };
                    let at = if problem.pointer().is_empty() {
                        String::new()
                    } else {
                        format!(" at `{}`", problem.pointer())
                    };
                    let message = format!("the contract cannot be used: {place}{at}: {}", problem.message());
                    self.refuse(&["apis", name, "openapi"], Diagnostic::new("contract", message));
                }
                None
            }
        }
    }

    /// A WebSocket handshake is HTTP/1.1: an upstream that is spoken to in HTTP/2 would never see it.
    pub(super) fn upgradeable(
        &mut self,
        path: &[&str],
        upstream: &model::Upstream,
        websocket: Option<&Vec<String>>,
    ) {
        if websocket.is_some() && upstream.protocol == model::UpstreamProtocol::Http2 {
            let message = "`upgrade: websocket` needs an upstream that is spoken to in HTTP/1.1";
            let help = "leave `protocol: http2` out, or serve these calls as a service of their own";
            self.refuse(path, Diagnostic::new("upgrade", message).help(help));
        }
    }

    fn body_limit(&self, settings: &OperationSettings) -> u64 {
        match settings.body {
            BodyLimit::Bytes(bytes) => bytes,
            BodyLimit::Stream => self.config.limits.stream_body,
        }
    }

    fn body_rate(&self, settings: &OperationSettings) -> Option<u64> {
        (settings.body == BodyLimit::Stream).then_some(self.config.limits.stream_rate)
    }

    fn guards(
        &self,
        settings: &OperationSettings,
        identities: &Identities,
        plans: &HashMap<String, Arc<Plan>>,
        rules: Option<&Arc<Rules>>,
    ) -> Vec<(Mode, Arc<dyn Guard>)> {
        let mut guards: Vec<(Mode, Arc<dyn Guard>)> = Vec::new();
        // It needs nothing but the address, and whom it refuses costs no look at credentials.
        if let Some(lists) = self.callers(settings) {
            guards.push((settings.lists, Arc::new(lists)));
        }
        if let Auth::Any(names) = &settings.auth
            && settings.identity != Mode::Off
        {
            let accepted = names.iter().filter_map(|name| identities.accepted.get(name).cloned()).collect();
            guards.push((settings.identity, Arc::new(IdentityGuard::new(accepted))));
        }
        if let Some(rules) = rules {
            guards.push((settings.access, rules.clone()));
        }
        let choice = &settings.plan;
        let has_plan = choice.default.is_some() || !choice.by_identity.is_empty();
        if has_plan && settings.limits != Mode::Off {
            let find = |name: &String| plans.get(name).cloned();
            let by_identity = choice
                .by_identity
                .iter()
                .filter_map(|(identity, plan)| Some((identity.as_str().into(), find(plan)?)))
                .collect();
            let plans = Plans { default: choice.default.as_ref().and_then(find), by_identity };
            guards.push((settings.limits, Arc::new(LimitsGuard::new(plans, self.lasting.counters.clone()))));
        }
        guards
    }
}

/// Identities of which one is needed.
fn accepts(settings: &OperationSettings) -> Vec<Arc<str>> {
    match &settings.auth {
        Auth::Any(names) if settings.identity != Mode::Off => {
            names.iter().map(|name| name.as_str().into()).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a service can be found under this host and prefix.
fn check_route(host: Option<&str>, prefix: &str) -> Result<(), String> {
    if let Some(host) = host {
        let name = host.strip_prefix("*.").unwrap_or(host);
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let literal = name == host && name.starts_with('[') && name.ends_with(']');
        if name.is_empty() || !(literal || name.bytes().all(known)) {
            return Err("the host is a name, `*.` and a name, or not set; it has no port".to_owned());
        }
    }
    canonical(prefix)
}

/// Whether a prefix is in canonical form, as the paths of requests are: another spelling would never be met.
pub(super) fn canonical(prefix: &str) -> Result<(), String> {
    match CanonicalPath::parse(prefix.as_bytes()) {
        Ok(path) if path.as_str() == prefix => Ok(()),
        Ok(path) => Err(format!("the prefix is written `{path}`: paths are compared in that form")),
        Err(refusal) => Err(format!("the prefix is no path: {refusal}")),
    }
}

fn contracted(settings: &OperationSettings, operation: &Arc<haechi_contract::Operation>) -> Contracted {
    Contracted {
        request: settings.validate_request,
        response: if operation.inspects_response() && settings.body != BodyLimit::Stream {
            settings.validate_response
        } else {
            Mode::Off
        },
        head_options: HeadOptions { unknown_parameters: settings.unknown_parameters != Mode::Off },
        unknown_parameters: settings.unknown_parameters,
        inspects_body: settings.validate_request != Mode::Off
            && settings.body != BodyLimit::Stream
            && operation.inspects_body(),
        operation: operation.clone(),
    }
}

/// Where a key set is, or the metadata of `issuer` that names it.
fn jwks_url(url: &haechi_config::value::HttpUrl, issuer: Option<&str>) -> JwksUrl {
    let path = match issuer {
        Some(_) => format!("{}/.well-known/openid-configuration", url.path.trim_end_matches('/')),
        None => url.path.clone(),
    };
    JwksUrl {
        tls: url.tls,
        host: url.host.as_str().into(),
        port: url.port,
        path: path.into(),
        issuer: issuer.map(Into::into),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
