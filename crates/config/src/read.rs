//! From the tree to the model, one function a section. Defaults come from the list of settings.

mod access;
mod acme;
mod fixed;
mod lists;
mod rewrite;
mod services;
mod upstream;
mod waf;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use haechi_guard::Mode;

use crate::diagnostic::{Diagnostic, meant};
use crate::model::{
    Activation, ActivationGuard, Api, ApiKey, Auth, BodyLimit, Compress, Control, Deal, Dpop, Events,
    Identity, JwksSource, Jwt, KeptRequests, Limits, Listen, Modes, OnChange, Operation, Otlp, PathRewrite,
    Per, Plan, PlanChoice, Scheme, Settings, Timeouts, Tls, Validate,
};
use crate::reader::{Fields, Mistakes, Share, entries, list, names, scalar, shortened, word};
use crate::secret::SecretRef;
use crate::settings;
use crate::tree::{Node, Value};
use crate::value::{HttpUrl, Rate};

use self::upstream::upstream;

const ONE_BODY: &str = "a single body (`body`) may be larger than all bodies together (`body_memory`)";

/// Largest head. Every connection may hold one.
const HEAD: u64 = 1024 * 1024;

/// Shortest window of comparison: the figures are looked at some times within it.
const WINDOW: std::time::Duration = std::time::Duration::from_secs(1);

/// Least room for events: less than one segment keeps none.
const EVENTS: u64 = 1024 * 1024;

/// Longest body that is kept for replays: a queue of them waits in memory.
const KEPT_BODY: u64 = 64 * 1024;

/// Headers that frame or route a message, or carry other credentials: no header for API keys.
const OTHER_HEADERS: [&str; 15] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
];

/// What `auth` and `plan` mean by these words, which therefore name no identity.
const RESERVED: [&str; 2] = ["none", "default"];

/// What one section may refer to in another.
struct Known {
    identities: Vec<String>,
    plans: Vec<String>,
    lists: Vec<String>,
    body_memory: Option<usize>,
}

/// Reads the whole file. Paths are made relative to `base`.
pub(crate) fn settings(root: &Node, base: &Path, mistakes: &mut Mistakes) -> Option<Settings> {
    let fields = Fields::open(root, &settings::ROOT, mistakes);
    fields.require("haechi", mistakes);
    fields.number("haechi", mistakes);
    let path = |path: PathBuf| base.join(path);
    let workers = fields.number("workers", mistakes).and_then(|workers| usize::try_from(workers).ok());
    let listen = fields.require("listen", mistakes).map(|node| listeners(node, mistakes)).unwrap_or_default();
    let data: Option<PathBuf> = fields.scalar("data", mistakes);
    let control = control(&section(&fields, "control", &settings::CONTROL, mistakes), &listen, mistakes);
    let secrets = fields.get("secrets").map(|node| Fields::open(node, &settings::SECRETS, mistakes));
    let secrets_dir = secrets.and_then(|secrets| secrets.required("dir", mistakes)).map(path);
    let limits = limits(&section(&fields, "limits", &settings::LIMITS, mistakes), mistakes);
    let identity = by_name(fields.get("identity"), &RESERVED, mistakes, identity);
    let plans = by_name(fields.get("plans"), &[], mistakes, plan);
    let known = Known {
        identities: declared(fields.get("identity")),
        plans: declared(fields.get("plans")),
        lists: declared(fields.get("lists")),
        body_memory: limits.as_ref().map(|limits| limits.body_memory),
    };
    let channels = services::channels(fields.get("channels"), &known, mistakes);
    // A gateway without an API has a service.
    let written = if fields.get("services").is_some() && !fields.has("apis") {
        None
    } else {
        fields.require("apis", mistakes)
    };
    let apis = written.map(|node| apis(node, base, &known, mistakes)).unwrap_or_default();
    let services =
        services::services(fields.get("services"), base, &declared(fields.get("apis")), &known, mistakes);
    let events = events(&section(&fields, "events", &settings::EVENTS, mistakes), mistakes);
    let activation = activation(&section(&fields, "activation", &settings::ACTIVATION, mistakes), mistakes);
    let telemetry = section(&fields, "telemetry", &settings::TELEMETRY, mistakes);
    let otlp = telemetry.get("otlp").and_then(|node| otlp(node, mistakes));
    let modes = modes(fields.get("modes"), mistakes);
    let lists = lists::lists(fields.get("lists"), base, mistakes);
    let geo = lists::geo(&section(&fields, "geo", &settings::GEO, mistakes), base, mistakes);
    let callers = lists::callers(&fields, &known, mistakes);
    let rules = access::rules(&fields, mistakes);
    let waf = waf::waf(&fields, base, mistakes);
    let (control, events) = (control?, events?);
    Some(Settings {
        workers,
        listen,
        data: path(data?),
        control: Control { socket: path(control.socket), ..control },
        secrets_dir,
        limits: limits.map(|limits| Limits { body_dir: path(limits.body_dir), ..limits })?,
        identity,
        plans,
        channels,
        apis,
        services,
        lists,
        geo,
        callers,
        rules,
        waf,
        events: Events { dir: path(events.dir), ..events },
        activation: activation?,
        otlp,
        modes,
    })
}

/// A section that may be left out, in which case its defaults hold.
fn section<'a>(
    fields: &Fields<'a>,
    name: &str,
    section: &'static settings::Section,
    mistakes: &mut Mistakes,
) -> Fields<'a> {
    static NOTHING: Node =
        Node { place: crate::tree::Place { line: 0, column: 0, len: 1 }, value: Value::Null };
    Fields::open(fields.get(name).unwrap_or(&NOTHING), section, mistakes)
}

fn declared(node: Option<&Node>) -> Vec<String> {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(key, _)| key.name.clone()).collect(),
        _ => Vec::new(),
    }
}

/// Reads a mapping with names of the user's choice.
fn by_name<T>(
    node: Option<&Node>,
    reserved: &[&str],
    mistakes: &mut Mistakes,
    read: impl Fn(&Node, &mut Mistakes) -> Option<T>,
) -> BTreeMap<String, T> {
    let Some(node) = node else { return BTreeMap::new() };
    names(node, reserved, mistakes)
        .iter()
        .filter_map(|(key, node)| Some((key.name.clone(), read(node, mistakes)?)))
        .collect()
}

fn listeners(node: &Node, mistakes: &mut Mistakes) -> Vec<Listen> {
    let nodes = list(node, false, mistakes);
    if nodes.is_empty() && matches!(node.value, Value::List(_)) {
        mistakes.value(node.place, "expected at least one listener");
    }
    let mut seen: Vec<SocketAddr> = Vec::new();
    let listeners: Vec<_> = nodes
        .into_iter()
        .filter_map(|node| {
            let listen = listener(node, mistakes)?;
            if listen.address.port() != 0 && seen.contains(&listen.address) {
                mistakes.value(node.place, format!("`{}` is listened to twice", listen.address));
            }
            seen.push(listen.address);
            Some(listen)
        })
        .collect();
    acme::check_listeners(node, &listeners, mistakes);
    listeners
}

fn listener(node: &Node, mistakes: &mut Mistakes) -> Option<Listen> {
    let fields = Fields::open(node, &settings::LISTEN, mistakes);
    let address = fields.required("address", mistakes);
    let tls = fields.get("tls").map(|node| tls(node, mistakes));
    let trusted = fields.get("trusted_proxies").map(|node| list(node, true, mistakes)).unwrap_or_default();
    let trusted_proxies = trusted.into_iter().filter_map(|node| scalar(node, mistakes)).collect::<Vec<_>>();
    let proxy_protocol = fields
        .get("proxy_protocol")
        .and_then(|node| word(node, &[("off", false), ("required", true)], mistakes))
        .unwrap_or_default();
    if proxy_protocol && trusted_proxies.is_empty() && fields.get("trusted_proxies").is_none() {
        let message = "a PROXY header says who is calling: whose is believed?";
        let help = "list the load balancers in `trusted_proxies`; all other connections are closed";
        let place = fields.place_of("proxy_protocol");
        mistakes.add(Diagnostic::new("missing-field", message).at(place).help(help));
    } else if proxy_protocol && trusted_proxies.is_empty() {
        let message = "every connection would be closed: `proxy_protocol` needs at least one trusted proxy";
        mistakes.value(fields.place_of("trusted_proxies"), message);
    }
    let (mut http1, mut http2) = (true, true);
    if let Some(node) = fields.get("protocols") {
        let words = [("http1", 1), ("http2", 2)];
        let spoken: Vec<_> =
            list(node, true, mistakes).into_iter().filter_map(|node| word(node, &words, mistakes)).collect();
        (http1, http2) = (spoken.contains(&1), spoken.contains(&2));
        if spoken.is_empty() {
            mistakes.value(node.place, "expected at least one of `http1` and `http2`");
        }
    }
    let staging = match fields.get("stage") {
        Some(node) => word(node, &[("production", false), ("staging", true)], mistakes)?,
        None => false,
    };
    Some(Listen {
        address: address?,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        trusted_proxies,
        proxy_protocol,
        staging,
        http1,
        http2,
    })
}

fn tls(node: &Node, mistakes: &mut Mistakes) -> Option<Tls> {
    let fields = Fields::open(node, &settings::TLS, mistakes);
    let mut certificates = Vec::new();
    let has_others = fields.get("certificates").is_some() || fields.has("acme");
    if !has_others || fields.get("cert").is_some() || fields.get("key").is_some() {
        let cert: Option<SecretRef> = fields.required("cert", mistakes);
        let key: Option<SecretRef> = fields.required("key", mistakes);
        certificates.extend(cert.zip(key));
    }
    for node in fields.get("certificates").map(|node| list(node, false, mistakes)).unwrap_or_default() {
        let fields = Fields::open(node, &settings::CERTIFICATE, mistakes);
        let cert: Option<SecretRef> = fields.required("cert", mistakes);
        let key: Option<SecretRef> = fields.required("key", mistakes);
        certificates.extend(cert.zip(key));
    }
    let tls12 = match fields.get("min_version") {
        Some(node) => word(node, &[("1.2", true), ("1.3", false)], mistakes)?,
        None => true,
    };
    let acme = match fields.get("acme") {
        Some(node) => Some(acme::read(node, mistakes)?),
        None => None,
    };
    Some(Tls { certificates, acme, tls12 })
}

fn control(fields: &Fields<'_>, listen: &[Listen], mistakes: &mut Mistakes) -> Option<Control> {
    let socket: Option<PathBuf> = fields.scalar("socket", mistakes);
    let metrics: Option<SocketAddr> = fields.scalar("metrics", mistakes);
    if let Some(address) = metrics {
        let place = fields.place_of("metrics");
        if !address.ip().is_loopback() {
            mistakes.value(place, "metrics are served on a loopback address only");
        } else if address.port() != 0 && listen.iter().any(|listen| listen.address == address) {
            mistakes.value(place, format!("`{address}` is a listener's address already"));
        }
    }
    Some(Control { socket: socket?, metrics })
}

fn limits(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Limits> {
    let times = section(fields, "timeouts", &settings::TIMEOUTS, mistakes);
    let [
        proxy_header,
        tls_handshake,
        first_byte,
        head_time,
        body_time,
        idle,
        stream,
        websocket,
        write,
        drain,
    ] = [
        "proxy_header",
        "tls_handshake",
        "first_byte",
        "head",
        "body",
        "idle",
        "stream",
        "websocket",
        "write",
        "drain",
    ]
    .map(|name| times.time(name, mistakes));
    let head = fields.size("head", 1024, HEAD, mistakes);
    let target = fields.size("target", 256, HEAD, mistakes);
    let body = fields.size("body", 0, u64::MAX, mistakes);
    let body_memory = fields.size("body_memory", 0, u64::MAX, mistakes);
    let [body_in_memory, body_disk] =
        ["body_in_memory", "body_disk"].map(|name| fields.size(name, 0, u64::MAX, mistakes));
    let body_dir: Option<PathBuf> = fields.scalar("body_dir", mistakes);
    let [stream_body, stream_rate, websocket_message] = ["stream_body", "stream_rate", "websocket_message"]
        .map(|name| fields.size(name, 0, u64::MAX, mistakes));
    let [headers, streams, connections, connections_per_address] =
        ["headers", "streams", "connections", "connections_per_address"]
            .map(|name| fields.number(name, mistakes));
    if target > head && head.is_some() {
        let written = if fields.get("target").is_some() { "target" } else { "head" };
        mistakes.value(
            fields.place_of(written),
            "the target (`target`) is part of the head (`head`): it is no larger",
        );
    }
    if body > body_memory && body_memory.is_some() {
        let written = if fields.get("body").is_some() { "body" } else { "body_memory" };
        mistakes.value(fields.place_of(written), ONE_BODY);
    }
    let timeouts = Timeouts {
        proxy_header: proxy_header?,
        tls_handshake: tls_handshake?,
        first_byte: first_byte?,
        head: head_time?,
        body: body_time?,
        idle: idle?,
        stream: stream?,
        websocket: websocket?,
        write: write?,
        drain: drain?,
    };
    let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Some(Limits {
        head: narrow(head?),
        headers: narrow(headers?),
        target: narrow(target?),
        body: body?,
        body_memory: narrow(body_memory?),
        body_in_memory: narrow(body_in_memory?),
        body_disk: narrow(body_disk?),
        body_dir: body_dir?,
        stream_body: stream_body?,
        stream_rate: stream_rate?,
        websocket_message: websocket_message?,
        streams: u32::try_from(streams?).ok()?,
        connections: narrow(connections?),
        connections_per_address: u32::try_from(connections_per_address?).ok()?,
        timeouts,
    })
}

fn identity(node: &Node, mistakes: &mut Mistakes) -> Option<Identity> {
    let fields = Fields::open(node, &settings::IDENTITY, mistakes);
    match (fields.get("jwt"), fields.get("api_key")) {
        (Some(node), None) => jwt(node, mistakes).map(Identity::Jwt),
        (None, Some(node)) => api_key(node, mistakes).map(Identity::ApiKey),
        _ => {
            mistakes.value(node.place, "an identity is one of `jwt` and `api_key`");
            None
        }
    }
}

fn jwt(node: &Node, mistakes: &mut Mistakes) -> Option<Jwt> {
    let fields = Fields::open(node, &settings::JWT, mistakes);
    let issuer: Option<String> = fields.required("issuer", mistakes);
    let audience = fields.require("audience", mistakes).map(|node| {
        let list = list(node, true, mistakes);
        if list.is_empty() && matches!(node.value, Value::List(_)) {
            mistakes.value(node.place, "expected at least one audience");
        }
        list
    });
    let audience =
        audience.unwrap_or_default().into_iter().filter_map(|node| scalar(node, mistakes)).collect();
    let algorithms = algorithms(&fields, mistakes);
    let jwks = fields.require("jwks", mistakes).and_then(|node| jwks(node, issuer.as_deref(), mistakes));
    let leeway = fields.scalar("leeway", mistakes);
    let dpop = match fields.get("dpop") {
        Some(node) => {
            let words = [("off", Dpop::Off), ("allowed", Dpop::Allowed), ("required", Dpop::Required)];
            word(node, &words, mistakes)?
        }
        None => Dpop::Allowed,
    };
    let dpop_nonce = match fields.get("dpop_nonce") {
        Some(node) => {
            let required = word(node, &[("off", false), ("required", true)], mistakes)?;
            if required && dpop == Dpop::Off {
                mistakes.value(node.place, "without `dpop` there is no proof to hold a nonce");
            }
            required
        }
        None => false,
    };
    Some(Jwt { issuer: issuer?, audience, jwks: jwks?, algorithms, leeway: leeway?, dpop, dpop_nonce })
}

fn algorithms(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Vec<String> {
    let Some(node) = fields.get("algorithms") else { return vec!["ES256".to_owned(), "RS256".to_owned()] };
    let words: Vec<_> = settings::ALGORITHMS.iter().map(|name| (*name, *name)).collect();
    let list = list(node, true, mistakes);
    if list.is_empty() && matches!(node.value, Value::List(_)) {
        mistakes.value(node.place, "expected at least one algorithm");
    }
    list.into_iter().filter_map(|node| word(node, &words, mistakes)).map(str::to_owned).collect()
}

fn jwks(node: &Node, issuer: Option<&str>, mistakes: &mut Mistakes) -> Option<JwksSource> {
    let text: String = scalar(node, mistakes)?;
    if text == "discover" {
        return match HttpUrl::parse(issuer?) {
            Ok(issuer) => Some(JwksSource::Discover(issuer)),
            Err(message) => {
                mistakes.value(node.place, format!("`discover` needs an issuer that is a URL: {message}"));
                None
            }
        };
    }
    match text.strip_prefix("file:") {
        Some("") => mistakes.value(node.place, "expected a path after `file:`"),
        Some(path) => return Some(JwksSource::File(PathBuf::from(path))),
        None if text.contains("://") => return scalar(node, mistakes).map(JwksSource::Url),
        None => mistakes.value(node.place, "expected a URL, `file:PATH` or `discover`"),
    }
    None
}

fn api_key(node: &Node, mistakes: &mut Mistakes) -> Option<ApiKey> {
    let fields = Fields::open(node, &settings::API_KEY, mistakes);
    let collection = fields.required("collection", mistakes);
    let header: String = fields.scalar("header", mistakes)?;
    let header = header.to_ascii_lowercase();
    let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if !header.bytes().all(token) || OTHER_HEADERS.contains(&header.as_str()) {
        mistakes.value(
            fields.place_of("header"),
            format!(
                "`{}` cannot carry keys: name a header of its own, such as `X-Api-Key`",
                shortened(&header)
            ),
        );
    }
    Some(ApiKey { header, collection: collection? })
}

fn plan(node: &Node, mistakes: &mut Mistakes) -> Option<Plan> {
    let fields = Fields::open(node, &settings::PLAN, mistakes);
    let rate: Option<Rate> = fields.required("rate", mistakes);
    let burst = fields.number("burst", mistakes);
    let per = match fields.get("per") {
        Some(node) => {
            let words =
                [("principal", Per::Principal), ("credential", Per::Credential), ("address", Per::Address)];
            word(node, &words, mistakes)?
        }
        None => Per::Principal,
    };
    let rate = rate?;
    Some(Plan { rate, burst: burst.unwrap_or(rate.count), per })
}

fn apis(node: &Node, base: &Path, known: &Known, mistakes: &mut Mistakes) -> Vec<(String, Api)> {
    let entries = names(node, &[], mistakes);
    if entries.is_empty() && matches!(node.value, Value::Map(_) | Value::Null) {
        mistakes.add(Diagnostic::new("missing-field", "no API is served").at(node.place));
    }
    entries
        .iter()
        .filter_map(|(key, node)| Some((key.name.clone(), api(node, base, known, mistakes)?)))
        .collect()
}

fn api(node: &Node, base: &Path, known: &Known, mistakes: &mut Mistakes) -> Option<Api> {
    let fields = Fields::open(node, &settings::API, mistakes);
    let openapi: Option<PathBuf> = fields.required("openapi", mistakes);
    let upstream = fields.require("upstream", mistakes).and_then(|node| upstream(node, mistakes));
    let auth = written_auth(&fields, "API", known, mistakes);
    let base_path: Option<String> = fields.scalar("base_path", mistakes);
    if let (Some(path), Some(node)) = (&base_path, fields.get("base_path"))
        && !path.starts_with('/')
    {
        mistakes.value(node.place, "a base path begins with `/`");
    }
    let plan = fields.get("plan").map(|node| plan_choice(node, known, mistakes)).unwrap_or_default();
    let rewrite = rewrite::rewrite(&fields, mistakes);
    let operations = fields.get("operations").map(|node| entries(node, mistakes)).unwrap_or_default();
    let operations = operations
        .iter()
        .filter_map(|(key, node)| {
            Some((key.name.clone(), operation(node, base, known, &rewrite.path, mistakes)?))
        })
        .collect();
    let rules = access::rules(&fields, mistakes);
    let (host, validate, modes) = (
        fields.scalar::<String>("host", mistakes),
        validate(fields.get("validate"), &settings::VALIDATE, mistakes),
        modes(fields.get("modes"), mistakes),
    );
    Some(Api {
        openapi: base.join(openapi?),
        host: host.map(|host| host.to_ascii_lowercase()),
        base_path,
        scheme: scheme(&fields, mistakes),
        upstream: upstream?,
        auth: auth?,
        plan,
        validate,
        modes,
        compress: compress(&fields, mistakes),
        callers: lists::callers(&fields, known, mistakes),
        rules,
        waf: waf::waf(&fields, base, mistakes),
        rewrite,
        operations,
    })
}

/// Who may call, which must be written.
fn written_auth(fields: &Fields<'_>, what: &str, known: &Known, mistakes: &mut Mistakes) -> Option<Auth> {
    if let Some(node) = fields.get("auth") {
        return auth(node, known, mistakes);
    }
    if !fields.has("auth") {
        let message = format!("the field `auth` is missing: who may call this {what}?");
        let help = match known.identities.first() {
            Some(identity) => format!("write `auth: [{identity}]`, or `auth: none` if everybody may"),
            None => "declare an identity under `identity`, or write `auth: none` if everybody may".to_owned(),
        };
        mistakes.add(Diagnostic::new("missing-field", message).at(fields.place()).help(help));
    }
    None
}

fn auth(node: &Node, known: &Known, mistakes: &mut Mistakes) -> Option<Auth> {
    if matches!(&node.value, Value::Text(text) if text == "none") {
        return Some(Auth::None);
    }
    let nodes = list(node, true, mistakes);
    if nodes.is_empty() && matches!(node.value, Value::List(_)) {
        mistakes.value(node.place, "an empty list lets nobody in: name identities, or write `auth: none`");
        return None;
    }
    let names: Vec<_> = nodes
        .into_iter()
        .filter_map(|node| match &node.value {
            Value::Text(text) if text.eq_ignore_ascii_case("none") => {
                let message = format!("`{text}` is no identity");
                let help = "write `auth: none`, without a list, if everybody may call";
                mistakes.add(Diagnostic::new("undeclared-name", message).at(node.place).help(help));
                None
            }
            _ => reference(node, "identity", &known.identities, mistakes),
        })
        .collect();
    Some(Auth::Any(names))
}

fn plan_choice(node: &Node, known: &Known, mistakes: &mut Mistakes) -> PlanChoice {
    let Value::Map(entries) = &node.value else {
        return PlanChoice {
            default: reference(node, "plan", &known.plans, mistakes),
            ..PlanChoice::default()
        };
    };
    let mut choice = PlanChoice::default();
    for (key, node) in entries {
        let plan = reference(node, "plan", &known.plans, mistakes);
        if key.name == "default" {
            choice.default = plan;
        } else if known.identities.contains(&key.name) {
            choice.by_identity.extend(plan.map(|plan| (key.name.clone(), plan)));
        } else {
            undeclared(&key.name, key.place, "identity", &known.identities, mistakes);
        }
    }
    choice
}

/// A name that must be declared elsewhere in the file.
fn reference(node: &Node, what: &str, declared: &[String], mistakes: &mut Mistakes) -> Option<String> {
    let name: String = scalar(node, mistakes)?;
    if declared.contains(&name) {
        return Some(name);
    }
    undeclared(&name, node.place, what, declared, mistakes);
    None
}

fn undeclared(
    name: &str,
    place: crate::tree::Place,
    what: &str,
    declared: &[String],
    mistakes: &mut Mistakes,
) {
    let section = match what {
        "plan" => "plans",
        "list" => "lists",
        _ => "identity",
    };
    let help = match meant(name, declared.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if declared.is_empty() => format!("declare it under `{section}`"),
        None => format!("declared under `{section}`: {}", declared.join(", ")),
    };
    let message = format!("no {what} is named `{}`", shortened(name));
    mistakes.add(Diagnostic::new("undeclared-name", message).at(place).help(help));
}

fn validate(node: Option<&Node>, section: &'static settings::Section, mistakes: &mut Mistakes) -> Validate {
    let Some(node) = node else { return Validate::default() };
    let fields = Fields::open(node, section, mistakes);
    let mut mode = |name| fields.get(name).and_then(|node| scalar::<Mode>(node, mistakes));
    Validate {
        request: mode("request"),
        response: mode("response"),
        unknown_paths: section.find("unknown_paths").and_then(|setting| mode(setting.name)),
        unknown_parameters: mode("unknown_parameters"),
    }
}

fn modes(node: Option<&Node>, mistakes: &mut Mistakes) -> Modes {
    let Some(node) = node else { return Modes::default() };
    let fields = Fields::open(node, &settings::MODES, mistakes);
    let mut mode = |name| fields.get(name).and_then(|node| scalar::<Mode>(node, mistakes));
    Modes {
        identity: mode("identity"),
        limits: mode("limits"),
        lists: mode("lists"),
        access: mode("access"),
        waf: mode("waf"),
    }
}

fn operation(
    node: &Node,
    base: &Path,
    known: &Known,
    above: &[PathRewrite],
    mistakes: &mut Mistakes,
) -> Option<Operation> {
    let fields = Fields::open(node, &settings::OPERATION, mistakes);
    Some(Operation {
        auth: fields.get("auth").and_then(|node| auth(node, known, mistakes)),
        plan: fields.get("plan").map(|node| plan_choice(node, known, mistakes)),
        timeout: fields.time("timeout", mistakes),
        body: body_limit(&fields, known, mistakes),
        compress: compress(&fields, mistakes),
        websocket: websocket(&fields, mistakes),
        expose: fields.get("expose").and_then(|node| scalar(node, mistakes)),
        validate: validate(fields.get("validate"), &settings::OPERATION_VALIDATE, mistakes),
        modes: modes(fields.get("modes"), mistakes),
        callers: lists::callers(&fields, known, mistakes),
        rules: access::rules(&fields, mistakes),
        rewrite: rewrite::rewrite_below(&fields, above, mistakes),
        waf: waf::waf(&fields, base, mistakes),
    })
}

/// A largest body, which is no larger than all bodies together.
fn body_size(fields: &Fields<'_>, name: &str, known: &Known, mistakes: &mut Mistakes) -> Option<u64> {
    let body = fields.size(name, 0, u64::MAX, mistakes);
    if body > known.body_memory.map(|most| most as u64).or(body) {
        mistakes.value(fields.place_of(name), ONE_BODY);
    }
    body
}

fn body_limit(fields: &Fields<'_>, known: &Known, mistakes: &mut Mistakes) -> Option<BodyLimit> {
    if fields.get("body").is_some_and(|node| matches!(&node.value, Value::Text(text) if text == "stream")) {
        return Some(BodyLimit::Stream);
    }
    body_size(fields, "body", known, mistakes).map(BodyLimit::Bytes)
}

fn compress(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Compress> {
    let words = [("off", Compress::Off), ("public", Compress::Public), ("all", Compress::All)];
    fields.get("compress").and_then(|node| word(node, &words, mistakes))
}

fn scheme(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Scheme> {
    let words = [Scheme::Http, Scheme::Https].map(|scheme| (scheme.as_str(), scheme));
    fields.get("scheme").and_then(|node| word(node, &words, mistakes))
}

fn websocket(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let upgrade = fields.get("upgrade").and_then(|node| word(node, &[("websocket", ())], mistakes));
    let nodes = fields.get("origins").map(|node| {
        let nodes = list(node, true, mistakes);
        if nodes.is_empty() && matches!(node.value, Value::List(_)) {
            mistakes.value(node.place, "an empty list lets no web site in: leave it out if any may");
        }
        if fields.get("upgrade").is_none() {
            mistakes.value(node.place, "`origins` is for operations with `upgrade: websocket`");
        }
        nodes
    });
    let origins = nodes.unwrap_or_default().into_iter().filter_map(|node| {
        let text: String = scalar(node, mistakes)?;
        match HttpUrl::parse(&text) {
            Ok(url) if url.path.trim_matches('/').is_empty() && !text.ends_with('/') => Some(text),
            _ => {
                mistakes.value(node.place, "expected scheme, host and port, as in `https://www.example.com`");
                None
            }
        }
    });
    let origins: Vec<_> = origins.collect();
    upgrade.map(|()| origins)
}

fn events(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Events> {
    let dir = fields.scalar("dir", mistakes);
    let max_size = fields.size("max_size", EVENTS, u64::MAX, mistakes);
    let max_age = fields.time("max_age", mistakes);
    let requests = match fields.get("requests") {
        Some(node) => Some(kept_requests(node, mistakes)?),
        None => None,
    };
    Some(Events { dir: dir?, max_size: max_size?, max_age: max_age?, requests })
}

fn kept_requests(node: &Node, mistakes: &mut Mistakes) -> Option<KeptRequests> {
    let fields = Fields::open(node, &settings::EVENTS_REQUESTS, mistakes);
    let sample = fields.scalar::<Share>("sample", mistakes);
    let max_body = fields.size("max_body", 0, KEPT_BODY, mistakes);
    let max_size = fields.size("max_size", EVENTS, u64::MAX, mistakes);
    let max_age = fields.time("max_age", mistakes);
    Some(KeptRequests { sample: sample?.0, max_body: max_body?, max_size: max_size?, max_age: max_age? })
}

fn activation(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Option<Activation> {
    let guard = section(fields, "guard", &settings::ACTIVATION_GUARD, mistakes);
    let on_change = match fields.get("on_change") {
        Some(node) => {
            let words = [
                ("production", OnChange::Production),
                ("staging", OnChange::Staging),
                ("nothing", OnChange::Nothing),
            ];
            word(node, &words, mistakes)
        }
        None => Some(OnChange::Production),
    };
    let deal = match fields.get("deal") {
        Some(node) => word(node, &[("request", Deal::Request), ("address", Deal::Address)], mistakes),
        None => Some(Deal::Request),
    };
    let window = guard.time("window", mistakes);
    if window.is_some_and(|window| window < WINDOW) {
        mistakes.value(guard.place_of("window"), "a window is at least `1s` long");
    }
    let mode = guard.scalar("mode", mistakes);
    let (watch, least_requests) = (guard.time("watch", mistakes), guard.number("least_requests", mistakes));
    let [server_errors, refusals, slower] = ["server_errors", "refusals", "slower"]
        .map(|name| guard.scalar::<Share>(name, mistakes).map(|share| share.0));
    let guard = ActivationGuard {
        mode: mode?,
        window: window?,
        watch: watch?,
        least_requests: least_requests?,
        server_errors: server_errors?,
        refusals: refusals?,
        slower: slower?,
    };
    Some(Activation { on_change: on_change?, deal: deal?, guard })
}

fn otlp(node: &Node, mistakes: &mut Mistakes) -> Option<Otlp> {
    let fields = Fields::open(node, &settings::OTLP, mistakes);
    let endpoint = fields.required("endpoint", mistakes);
    let sample = fields.scalar::<Share>("sample", mistakes);
    Some(Otlp { endpoint: endpoint?, sample: sample?.0 })
}
