//! Every setting there is: its name, its form, its default and its meaning. The one list from which `haechi.yaml` is
//! read, the JSON Schema and the manual's reference are written, and misspelt names are recognised.

mod fixed;
mod lists;
mod rewrite;
mod upstream;
mod waf;

pub(crate) use fixed::{REDIRECT, REDIRECTS, RESPOND};
pub(crate) use lists::{CALLERS, GEO, LIST};
pub(crate) use rewrite::{REWRITE, REWRITE_HEADERS, REWRITE_PATH};
pub(crate) use upstream::{
    RETRIED, UPSTREAM, UPSTREAM_BREAKER, UPSTREAM_EJECTION, UPSTREAM_HEALTH, UPSTREAM_MIRROR, UPSTREAM_PART,
    UPSTREAM_RETRIES, UPSTREAM_SPLIT, UPSTREAM_TLS, UPSTREAM_URL,
};
pub(crate) use waf::{WAF, WAF_EXCLUSION};
use waf::{WAF_BELOW, WAF_MEANING};

/// A mapping with fixed names.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) settings: &'static [Setting],
}

/// One setting.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    /// As it would be written; empty where there is none.
    pub(crate) default: &'static str,
    pub(crate) meaning: &'static str,
}

/// What a setting looks like.
#[derive(Debug)]
pub(crate) enum Form {
    Text,
    Bool,
    Number {
        min: u64,
        max: u64,
    },
    Duration,
    Size,
    Rate,
    Percent,
    Secret,
    Url,
    SocketAddress,
    Network,
    Path,
    Word(&'static [&'static str]),
    List(&'static Form),
    /// Names chosen by the user.
    Names(&'static Form),
    Section(&'static Section),
    Either(&'static [Form]),
}

const fn setting(name: &'static str, form: Form, default: &'static str, meaning: &'static str) -> Setting {
    Setting { name, form, default, meaning }
}

/// JOSE names of the signature algorithms that can be accepted (RFC 7518, RFC 8037).
pub(crate) const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

const MODE: Form = Form::Word(&["off", "observe", "enforce"]);

const BODY: Setting = setting(
    "body",
    Form::Either(&[Form::Size, Form::Word(&["stream"])]),
    "",
    "Largest body of a call; or `stream`: bodies pass unread both ways, whatever a contract says of them.",
);

const COMPRESS: Form = Form::Word(&["off", "public", "all"]);

const COMPRESS_MEANING: &str = "Responses that are compressed for callers that take it: none, those to callers without credentials that carry none, or all.";

const REWRITE_MEANING: &str = "What is changed of a call after it was judged, and of its response.";

const UPGRADE: Setting =
    setting("upgrade", Form::Word(&["websocket"]), "", "The protocol that a call may change to.");

const ORIGINS: Setting = setting(
    "origins",
    Form::List(&Form::Text),
    "",
    "Web sites that may open a WebSocket connection, as in `https://www.example.com`; any if not set.",
);

const SCHEME: Setting = setting(
    "scheme",
    Form::Word(&["http", "https"]),
    "",
    "The scheme it is served under, as its callers use it; both if not set.",
);

const CALLERS_MEANING: &str =
    "Who may call by where the call comes from, beside what the levels above refuse.";

const RULES: Form = Form::List(&Form::Section(&RULE));

const RULES_MEANING: &str = "Calls that are refused beside those that rules of the levels above refuse.";

pub(crate) static ROOT: Section = Section {
    settings: &[
        setting("haechi", Form::Number { min: 1, max: 1 }, "", "Version of this file's form: 1. Required."),
        setting(
            "workers",
            Form::Number { min: 1, max: 256 },
            "",
            "Threads that serve; as many as the machine has processors if not set. Read at the start only.",
        ),
        setting("listen", Form::List(&Form::Section(&LISTEN)), "", "Where callers connect. Required."),
        setting(
            "data",
            Form::Path,
            "./haechi-data",
            "Directory of what changes at run time: keys, history. Only its owner may open it.",
        ),
        setting("control", Form::Section(&CONTROL), "", "How the gateway itself is controlled."),
        setting("secrets", Form::Section(&SECRETS), "", "Where `secret:NAME` is looked up."),
        setting(
            "limits",
            Form::Section(&LIMITS),
            "",
            "What callers may make the gateway hold, and how long they may take.",
        ),
        setting(
            "identity",
            Form::Names(&Form::Section(&IDENTITY)),
            "",
            "Ways to prove who is calling, by a name that `auth` refers to.",
        ),
        setting(
            "plans",
            Form::Names(&Form::Section(&PLAN)),
            "",
            "How much a caller may do, by a name that `plan` refers to.",
        ),
        setting(
            "channels",
            Form::Names(&Form::Section(&CHANNEL)),
            "",
            "How callers arrive, by name: the first whose `when` is true is the call's channel.",
        ),
        setting(
            "apis",
            Form::Names(&Form::Section(&API)),
            "",
            "The APIs that are served, by name. There is at least one API or service.",
        ),
        setting(
            "services",
            Form::Names(&Form::Section(&SERVICE)),
            "",
            "What is served without a contract (pages, what is old), by a name that no API has.",
        ),
        setting(
            "lists",
            Form::Names(&Form::Section(&LIST)),
            "",
            "Callers by where they come from, by a name that `callers` refers to.",
        ),
        setting(
            "geo",
            Form::Section(&GEO),
            "",
            "Files that tell the country and the operator of an address.",
        ),
        setting(
            "callers",
            Form::Section(&CALLERS),
            "",
            "Who may call by where the call comes from. Asked before anybody is asked for credentials.",
        ),
        setting(
            "rules",
            RULES,
            "",
            "Calls that are refused, in the order of the list. Asked before those of APIs and services.",
        ),
        setting("waf", Form::Section(&WAF), "", WAF_MEANING),
        setting("events", Form::Section(&EVENTS), "", "Where events are kept, and for how long."),
        setting("activation", Form::Section(&ACTIVATION), "", "How changes are activated, and taken back."),
        setting("telemetry", Form::Section(&TELEMETRY), "", "Where traces are sent."),
        setting(
            "modes",
            Form::Section(&MODES),
            "",
            "How far each guard may go, unless an API or an operation says otherwise.",
        ),
    ],
};

pub(crate) static LISTEN: Section = Section {
    settings: &[
        setting(
            "address",
            Form::SocketAddress,
            "",
            "Address and port, as in `0.0.0.0:8443` or `[::]:8443`. Required.",
        ),
        setting("tls", Form::Section(&TLS), "", "Certificates; without it the listener speaks plaintext."),
        setting(
            "trusted_proxies",
            Form::List(&Form::Network),
            "[]",
            "Networks whose `Forwarded` and `X-Forwarded-*` are believed, and whose PROXY header.",
        ),
        setting(
            "proxy_protocol",
            Form::Word(&["off", "required"]),
            "off",
            "Whether every connection begins with a PROXY header (version 1 or 2) of a trusted proxy.",
        ),
        setting(
            "protocols",
            Form::List(&Form::Word(&["http1", "http2"])),
            "[http1, http2]",
            "What is spoken.",
        ),
        setting(
            "stage",
            Form::Word(&["production", "staging"]),
            "production",
            "`staging`: what comes in here is served by the staged candidate, or by production if there is none.",
        ),
    ],
};

pub(crate) static TLS: Section = Section {
    settings: &[
        setting(
            "cert",
            Form::Secret,
            "",
            "Certificate chain in PEM, the server's own first. Required unless there are others.",
        ),
        setting("key", Form::Secret, "", "Its private key in PEM."),
        setting(
            "certificates",
            Form::List(&Form::Section(&CERTIFICATE)),
            "",
            "More certificates, chosen by the name the caller asks for.",
        ),
        setting(
            "acme",
            Form::Section(&ACME),
            "",
            "A certificate that the gateway gets and renews itself (RFC 8555), beside or instead of the others.",
        ),
        setting("min_version", Form::Word(&["1.2", "1.3"]), "1.2", "Oldest TLS version that is spoken."),
    ],
};

pub(crate) static ACME: Section = Section {
    settings: &[
        setting(
            "directory",
            Form::Url,
            "",
            "The certificate authority's directory, an `https` URL. Required.",
        ),
        setting("domains", Form::List(&Form::Text), "", "Host names of the certificate. Required."),
        setting("contact", Form::List(&Form::Text), "[]", "Whom the authority may write to: `mailto:` URLs."),
        setting(
            "challenge",
            Form::Word(&["tls-alpn-01", "http-01"]),
            "tls-alpn-01",
            "How the authority sees that the names are yours: on port 443 by TLS, or on port 80 by a plaintext listener.",
        ),
        setting(
            "ca",
            Form::Secret,
            "",
            "Authorities of the directory's own certificate; the web's if not set.",
        ),
        setting(
            "accept_terms",
            Form::Bool,
            "",
            "`true`: the authority's terms of service are accepted. Required.",
        ),
    ],
};

pub(crate) static CERTIFICATE: Section = Section {
    settings: &[
        setting("cert", Form::Secret, "", "Certificate chain in PEM. Required."),
        setting("key", Form::Secret, "", "Its private key in PEM. Required."),
    ],
};

pub(crate) static CONTROL: Section = Section {
    settings: &[
        setting(
            "socket",
            Form::Path,
            "./haechi.sock",
            "Unix socket of the control API; only its owner may open it.",
        ),
        setting(
            "metrics",
            Form::SocketAddress,
            "",
            "Loopback address where `/metrics` is served to a collector.",
        ),
    ],
};

pub(crate) static SECRETS: Section =
    Section { settings: &[setting("dir", Form::Path, "", "Directory with one file a secret. Required.")] };

pub(crate) static LIMITS: Section = Section {
    settings: &[
        setting("head", Form::Size, "32KiB", "A request's head."),
        setting("headers", Form::Number { min: 1, max: 1000 }, "100", "Header fields of a request."),
        setting("target", Form::Size, "8KiB", "A request's target (path and query)."),
        setting("body", Form::Size, "1MiB", "A request's body, unless the operation says otherwise."),
        setting(
            "body_memory",
            Form::Size,
            "256MiB",
            "All bodies that are being judged, together. Read at the start only.",
        ),
        setting(
            "body_in_memory",
            Form::Size,
            "256KiB",
            "One body that is being read to be judged; what is beyond waits on disk. Read at the start only.",
        ),
        setting(
            "body_disk",
            Form::Size,
            "1GiB",
            "All bodies that wait on disk, together. Read at the start only.",
        ),
        setting(
            "body_dir",
            Form::Path,
            "./haechi-data",
            "Directory where bodies wait, in files without a name. Read at the start only.",
        ),
        setting(
            "stream_body",
            Form::Size,
            "16GiB",
            "A request's body that passes unread because the operation says `body: stream`.",
        ),
        setting(
            "stream_rate",
            Form::Size,
            "1KiB",
            "What such a body must bring each second, on the average of the time that its caller makes the gateway wait.",
        ),
        setting("websocket_message", Form::Size, "1MiB", "A message of a WebSocket connection."),
        setting(
            "streams",
            Form::Number { min: 1, max: 10_000 },
            "128",
            "Concurrent streams of an HTTP/2 connection.",
        ),
        setting("connections", Form::Number { min: 1, max: 10_000_000 }, "10000", "Open connections."),
        setting(
            "connections_per_address",
            Form::Number { min: 1, max: 10_000_000 },
            "1000",
            "Open connections of one address (IPv6: of one /64).",
        ),
        setting("timeouts", Form::Section(&TIMEOUTS), "", "How long callers may take."),
    ],
};

pub(crate) static TIMEOUTS: Section = Section {
    settings: &[
        setting("proxy_header", Form::Duration, "5s", "The PROXY header, where one is required."),
        setting("tls_handshake", Form::Duration, "10s", "The TLS handshake."),
        setting(
            "first_byte",
            Form::Duration,
            "10s",
            "From the connection to the first byte of the first request.",
        ),
        setting("head", Form::Duration, "10s", "From a head's first byte to its last."),
        setting(
            "body",
            Form::Duration,
            "30s",
            "A body that is judged; the longest silence in one that passes.",
        ),
        setting("idle", Form::Duration, "60s", "Between two requests of a connection."),
        setting(
            "stream",
            Form::Duration,
            "5m",
            "Longest silence of a WebSocket connection, a gRPC stream, or a stream of events.",
        ),
        setting("websocket", Form::Duration, "24h", "Longest life of a WebSocket connection."),
        setting(
            "write",
            Form::Duration,
            "30s",
            "Longest time in which a caller reads nothing of its response.",
        ),
        setting(
            "drain",
            Form::Duration,
            "20s",
            "What requests in progress get to end when the gateway stops.",
        ),
    ],
};

pub(crate) static IDENTITY: Section = Section {
    settings: &[
        setting("jwt", Form::Section(&JWT), "", "Signed tokens (RFC 7519) in `Authorization: Bearer`."),
        setting("api_key", Form::Section(&API_KEY), "", "API keys that `haechi keys create` makes."),
    ],
};

pub(crate) static JWT: Section = Section {
    settings: &[
        setting("issuer", Form::Text, "", "Exactly what `iss` must be. Required."),
        setting("audience", Form::List(&Form::Text), "", "What `aud` must hold one of. Required."),
        setting(
            "jwks",
            Form::Either(&[Form::Word(&["discover"]), Form::Url, Form::Secret]),
            "",
            "The provider's public keys (RFC 7517): a URL, `file:PATH`, or `discover` from the issuer. Required.",
        ),
        setting(
            "algorithms",
            Form::List(&Form::Word(&ALGORITHMS)),
            "[ES256, RS256]",
            "Signature algorithms that are accepted; symmetric ones and `none` do not exist here.",
        ),
        setting("leeway", Form::Duration, "30s", "How far clocks may differ."),
        setting(
            "dpop",
            Form::Word(&["off", "allowed", "required"]),
            "allowed",
            "Proof of possession (RFC 9449): `allowed` asks it of tokens that are bound to a key (`cnf.jkt`); `required` takes no other \
             token; `off` lets whoever has a bound token use it.",
        ),
        setting(
            "dpop_nonce",
            Form::Word(&["off", "required"]),
            "off",
            "Whether a proof holds a nonce that the gateway gave out in the last 2 to 4 minutes.",
        ),
    ],
};

pub(crate) static API_KEY: Section = Section {
    settings: &[
        setting("header", Form::Text, "X-Api-Key", "The header that carries the key."),
        setting("collection", Form::Text, "", "The collection a key must belong to. Required."),
    ],
};

pub(crate) static PLAN: Section = Section {
    settings: &[
        setting("rate", Form::Rate, "", "Calls in a time: `20/s`, `600/min`. Required."),
        setting(
            "burst",
            Form::Number { min: 1, max: 1_000_000_000 },
            "",
            "Calls at once after a pause; the rate's count if not set.",
        ),
        setting(
            "per",
            Form::Word(&["principal", "credential", "address"]),
            "principal",
            "Whose calls are counted together. Callers without a credential are counted by address.",
        ),
    ],
};

pub(crate) static API: Section = Section {
    settings: &[
        setting("openapi", Form::Path, "", "The contract: an OpenAPI 2.0, 3.0 or 3.1 file. Required."),
        setting("host", Form::Text, "", "Host name the API is served under, or `*.domain`; any if not set."),
        setting(
            "base_path",
            Form::Path,
            "",
            "Path the contract's paths are below; that of its first server if not set.",
        ),
        SCHEME,
        setting("upstream", Form::Section(&UPSTREAM), "", "Where calls go. Required."),
        setting(
            "auth",
            Form::Either(&[Form::Word(&["none"]), Form::List(&Form::Text)]),
            "",
            "Identities of which one is needed, or `none`. Required: nothing is open by accident.",
        ),
        setting(
            "plan",
            Form::Either(&[Form::Text, Form::Names(&Form::Text)]),
            "",
            "The plan, or a plan for each identity and one for `default`.",
        ),
        setting("validate", Form::Section(&VALIDATE), "", "What is checked against the contract."),
        setting("compress", COMPRESS, "public", COMPRESS_MEANING),
        setting("modes", Form::Section(&MODES), "", "How far each guard may go."),
        setting("callers", Form::Section(&CALLERS), "", CALLERS_MEANING),
        setting("rules", RULES, "", RULES_MEANING),
        setting("waf", Form::Section(&WAF), "", WAF_BELOW),
        setting("rewrite", Form::Section(&REWRITE), "", REWRITE_MEANING),
        setting(
            "operations",
            Form::Names(&Form::Section(&OPERATION)),
            "",
            "What is different for single operations, by operation id.",
        ),
    ],
};

pub(crate) static CHANNEL: Section = Section {
    settings: &[
        setting(
            "when",
            Form::Text,
            "",
            "A condition in CEL, as in `claims.client_id in ['ios', 'android']`; see the chapter on rules. Required.",
        ),
        setting(
            "max_body",
            Form::Size,
            "",
            "Largest body of a call on this channel, where the operation takes more.",
        ),
    ],
};

/// Methods that a service may take.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

pub(crate) static SERVICE: Section = Section {
    settings: &[
        setting(
            "host",
            Form::Text,
            "",
            "Host name the service is served under, or `*.domain`; any if not set.",
        ),
        setting("prefix", Form::Path, "", "Path the service's paths are below; `/` if not set."),
        setting("path", Form::Path, "", "The service's one path, instead of all below a prefix."),
        SCHEME,
        setting("upstream", Form::Section(&UPSTREAM), "", "Where calls go."),
        setting("redirect", Form::Section(&REDIRECT), "", "Where callers are sent, instead of an upstream."),
        setting("respond", Form::Section(&RESPOND), "", "What calls are answered, instead of an upstream."),
        setting(
            "auth",
            Form::Either(&[Form::Word(&["none"]), Form::List(&Form::Text)]),
            "",
            "Identities of which one is needed, or `none`. Required: nothing is open by accident.",
        ),
        setting(
            "plan",
            Form::Either(&[Form::Text, Form::Names(&Form::Text)]),
            "",
            "The plan, or a plan for each identity and one for `default`.",
        ),
        setting("modes", Form::Section(&MODES), "", "How far each guard may go."),
        setting("callers", Form::Section(&CALLERS), "", CALLERS_MEANING),
        setting("rules", RULES, "", RULES_MEANING),
        setting("waf", Form::Section(&WAF), "", WAF_BELOW),
        setting(
            "methods",
            Form::List(&Form::Word(&METHODS)),
            "[GET, HEAD, POST]",
            "Methods that are let through; `HEAD` goes with `GET`.",
        ),
        BODY,
        setting("compress", COMPRESS, "public", COMPRESS_MEANING),
        UPGRADE,
        ORIGINS,
        setting("rewrite", Form::Section(&REWRITE), "", REWRITE_MEANING),
    ],
};

pub(crate) static VALIDATE: Section = Section {
    settings: &[
        setting("request", MODE, "enforce", "Parameters and body."),
        setting("response", MODE, "off", "The upstream's response."),
        setting("unknown_paths", MODE, "enforce", "Calls that the contract does not name."),
        setting("unknown_parameters", MODE, "enforce", "Query parameters that the contract does not name."),
    ],
};

pub(crate) static OPERATION_VALIDATE: Section = Section {
    settings: &[
        setting("request", MODE, "", "As for the API."),
        setting("response", MODE, "", "As for the API."),
        setting("unknown_parameters", MODE, "", "As for the API."),
    ],
};

pub(crate) static RULE: Section = Section {
    settings: &[
        setting("name", Form::Text, "", "What events and `haechi why` call it. Required."),
        setting(
            "when",
            Form::Text,
            "",
            "A condition in CEL; see the chapter on rules. One that cannot be told refuses, too. Required.",
        ),
        setting("then", Form::Word(&["deny"]), "deny", "What becomes of the call."),
        setting("status", Form::Number { min: 400, max: 499 }, "403", "The status of the refusal."),
        setting("detail", Form::Text, "", "What the caller is told."),
    ],
};

pub(crate) static MODES: Section = Section {
    settings: &[
        setting("identity", MODE, "enforce", "Who is calling."),
        setting("limits", MODE, "enforce", "How much a caller may do."),
        setting("lists", MODE, "enforce", "Where calls come from: the lists of `callers`."),
        setting("access", MODE, "enforce", "The rules of `rules`."),
        setting("waf", MODE, "enforce", "The rules of `waf`."),
    ],
};

pub(crate) static OPERATION: Section = Section {
    settings: &[
        setting(
            "auth",
            Form::Either(&[Form::Word(&["none"]), Form::List(&Form::Text)]),
            "",
            "As for the API.",
        ),
        setting("plan", Form::Either(&[Form::Text, Form::Names(&Form::Text)]), "", "As for the API."),
        setting("timeout", Form::Duration, "", "The upstream's timeout for this operation."),
        BODY,
        setting("compress", COMPRESS, "", "As for the API."),
        UPGRADE,
        ORIGINS,
        setting("expose", Form::Bool, "true", "Whether the operation can be called at all."),
        setting(
            "validate",
            Form::Section(&OPERATION_VALIDATE),
            "",
            "As for the API, except for `unknown_paths`, which are no operation's.",
        ),
        setting("modes", Form::Section(&MODES), "", "As for the API."),
        setting("callers", Form::Section(&CALLERS), "", CALLERS_MEANING),
        setting("rules", RULES, "", RULES_MEANING),
        setting("waf", Form::Section(&WAF), "", WAF_BELOW),
        setting(
            "rewrite",
            Form::Section(&REWRITE),
            "",
            "What is changed of its calls, instead of what the API says of the same; of header fields one by one.",
        ),
    ],
};

pub(crate) static EVENTS: Section = Section {
    settings: &[
        setting("dir", Form::Path, "./haechi-events", "Directory of the events."),
        setting("max_size", Form::Size, "1GiB", "All events together; the oldest go first."),
        setting("max_age", Form::Duration, "7d", "How long events are kept."),
        setting(
            "requests",
            Form::Section(&EVENTS_REQUESTS),
            "",
            "Keeps headers and JSON bodies of some requests, redacted, for `haechi replay`. Off unless written.",
        ),
    ],
};

pub(crate) static EVENTS_REQUESTS: Section = Section {
    settings: &[
        setting("sample", Form::Percent, "1%", "Share of requests that are kept."),
        setting("max_body", Form::Size, "16KiB", "Of longer bodies nothing is kept. At most `64KiB`."),
        setting("max_size", Form::Size, "256MiB", "All kept requests together; the oldest go first."),
        setting("max_age", Form::Duration, "1d", "How long requests are kept."),
    ],
};

pub(crate) static ACTIVATION: Section = Section {
    settings: &[
        setting(
            "on_change",
            Form::Word(&["production", "staging", "nothing"]),
            "production",
            "What becomes of a file that has changed: it is served, it is staged, or nothing until `haechi activate`.",
        ),
        setting(
            "deal",
            Form::Word(&["request", "address"]),
            "request",
            "How a canary's share is dealt: request by request, or all requests of one address (IPv6: of one /64) alike.",
        ),
        setting("guard", Form::Section(&ACTIVATION_GUARD), "", "When a change is taken back by itself."),
    ],
};

pub(crate) static ACTIVATION_GUARD: Section = Section {
    settings: &[
        setting(
            "mode",
            MODE,
            "enforce",
            "`enforce` takes the change back, `observe` only says that it should be.",
        ),
        setting(
            "window",
            Form::Duration,
            "1m",
            "The time over which a candidate is compared with production, or a new production with what was before.",
        ),
        setting(
            "watch",
            Form::Duration,
            "10m",
            "How long a new production is compared with what was before.",
        ),
        setting(
            "least_requests",
            Form::Number { min: 1, max: 1_000_000 },
            "20",
            "Requests of the candidate without which nothing is said of it.",
        ),
        setting(
            "server_errors",
            Form::Percent,
            "1%",
            "How much greater the share of calls with a status of 500 or more may be, in points.",
        ),
        setting(
            "refusals",
            Form::Percent,
            "5%",
            "How much greater the share of refused calls may be, in points.",
        ),
        setting(
            "slower",
            Form::Percent,
            "100%",
            "How much longer the slowest hundredth may take, and 50 ms at least.",
        ),
    ],
};

pub(crate) static TELEMETRY: Section =
    Section { settings: &[setting("otlp", Form::Section(&OTLP), "", "OpenTelemetry over HTTP.")] };

pub(crate) static OTLP: Section = Section {
    settings: &[
        setting("endpoint", Form::Url, "", "Base URL of the collector; `/v1/traces` is added. Required."),
        setting("sample", Form::Percent, "1%", "Share of traces that are sent."),
    ],
};

// === impl Form ===

impl Form {
    /// Whether it is a mapping and nothing else.
    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self, Self::Section(_) | Self::Names(_))
    }
}

// === impl Section ===

impl Section {
    /// The setting of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.settings.iter().map(|setting| setting.name)
    }
}

#[cfg(test)]
mod tests;
