//! That the list of settings, the reader, `effective` and `plan` speak of the same settings and the same defaults.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::Config;
use crate::plan::{OperationView, Operations, diff};

/// An upstream with every section that is written to be there.
fn upstream(url: &str) -> Value {
    json!({
        "urls": [url],
        "tls": { "ca": "file:ca", "cert": "file:a", "key": "file:b" },
        "breaker": { "failures": "50%" },
        "health": { "path": "/up" },
        "mirror": { "urls": ["http://mirror"] },
        "split": { "parts": { "green": { "share": "10%", "urls": ["http://green"] } } },
    })
}

fn minimal() -> Value {
    json!({
        "haechi": 1,
        "listen": [{ "address": "127.0.0.1:8443", "tls": { "cert": "file:a", "key": "file:b", "acme": {
            "directory": "https://acme.example/directory", "domains": ["a.example"], "ca": "file:ca", "accept_terms": true } }, "trusted_proxies": ["10.9.0.0/16"] }, { "address": "127.0.0.1:8080" }],
        "identity": {
            "user": { "jwt": { "issuer": "https://id.example", "audience": "api", "jwks": "discover" } },
            "client": { "api_key": { "collection": "clients" } },
        },
        "plans": { "small": { "rate": "5/s" }, "large": { "rate": "50/s" } },
        "apis": { "orders": {
            "openapi": "orders.yaml",
            "upstream": upstream("http://orders"),
            "auth": ["user", "client"],
            "plan": "small",
            "rules": [{ "name": "a", "when": "false" }], "waf": { "rules": ["a.conf"], "exclusions": [{ "rules": [1], "reason": "r" }] },
            "operations": { "get": { "auth": ["user"], "rules": [{ "name": "a", "when": "false" }], "waf": { "rules": ["a.conf"], "exclusions": [{ "rules": [1], "reason": "r" }] } }, "list": { "upgrade": "websocket" } },
        } },
        "rules": [{ "name": "a", "when": "false" }], "waf": { "rules": ["a.conf"], "exclusions": [{ "rules": [1], "reason": "r" }] },
        "lists": { "office": { "entries": ["192.0.2.0/24"] }, "bad": { "entries": ["KR"] } },
        "channels": { "app": { "when": "claims.client_id == 'ios'" } },
        "services": { "website": { "upstream": upstream("http://web"), "auth": ["user", "client"], "plan": "small", "rules": [{ "name": "a", "when": "false" }], "waf": { "rules": ["a.conf"], "exclusions": [{ "rules": [1], "reason": "r" }] } },
            "moved": { "prefix": "/moved", "redirect": { "to": "/new{rest}" }, "auth": "none" },
            "robots": { "path": "/robots.txt", "respond": { "status": 200, "body": "User-agent: *" }, "auth": "none" },
            "logo": { "path": "/logo.svg", "respond": { "status": 200, "body_file": "logo.svg" }, "auth": "none" },
            "chat": { "prefix": "/chat", "upstream": { "urls": ["http://chat"] }, "auth": "none", "upgrade": "websocket" } },
        "events": { "requests": {} },
        "telemetry": { "otlp": { "endpoint": "http://127.0.0.1:4318" } },
    })
}

fn config(value: &Value) -> Config {
    // JSON is YAML.
    let text = value.to_string();
    Config::parse(&text, Path::new("haechi.yaml")).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn operations() -> Operations {
    let view = |id: &str| OperationView { id: id.into(), method: "GET".into(), path: format!("/{id}") };
    Operations::from([("orders".to_owned(), vec![view("get"), view("list")])])
}

/// Writes out every default that is not written.
fn spell_out(value: &mut Value, section: &'static Section) {
    let schema = crate::reference::section(section);
    let object = value.as_object_mut().expect("a mapping");
    for setting in section.settings {
        let default = schema.pointer(&format!("/properties/{}/default", setting.name));
        match (object.get_mut(setting.name), default) {
            (None, Some(default)) => drop(object.insert(setting.name.to_owned(), default.clone())),
            (None, None) => {
                if let Form::Section(inner) = setting.form
                    && inner.settings.iter().any(|setting| !setting.default.is_empty())
                    && !inner.settings.iter().any(|setting| setting.meaning.contains("Required"))
                {
                    let mut value = Value::Object(Map::new());
                    spell_out(&mut value, inner);
                    object.insert(setting.name.to_owned(), value);
                }
            }
            (Some(value), _) => match &setting.form {
                Form::Section(inner) => spell_out(value, inner),
                Form::Names(Form::Section(inner)) => {
                    value
                        .as_object_mut()
                        .expect("names")
                        .values_mut()
                        .for_each(|value| spell_out(value, inner));
                }
                Form::List(Form::Section(inner)) => {
                    value
                        .as_array_mut()
                        .expect("a list")
                        .iter_mut()
                        .for_each(|value| spell_out(value, inner));
                }
                _ => {}
            },
        }
    }
}

#[test]
fn a_default_spelt_out_changes_nothing() {
    let short = minimal();
    let mut long = short.clone();
    spell_out(&mut long, &ROOT);
    assert_eq!(long.pointer("/limits/timeouts/drain"), Some(&json!("20s")));
    assert_eq!(long.pointer("/apis/orders/operations/get/expose"), Some(&json!(true)));
    assert_eq!(long.pointer("/apis/orders/validate/response"), Some(&json!("off")));
    let (short, long) = (config(&short), config(&long));
    let changes = diff((&short, &operations()), (&long, &operations()));
    assert!(changes.is_empty(), "{changes:?}");
}

#[test]
fn every_default_is_valid_by_its_own_schema() {
    let mut value = minimal();
    spell_out(&mut value, &ROOT);
    let validator = jsonschema::validator_for(&crate::json_schema()).expect("a schema");
    if let Err(error) = validator.validate(&value) {
        panic!("{error} at {}", error.instance_path());
    }
}

/// Every setting there is, by its keys; `*` for names and indices.
fn every_setting(section: &'static Section, above: &str, found: &mut BTreeSet<String>) {
    for setting in section.settings {
        let path = format!("{above}/{}", setting.name);
        match &setting.form {
            Form::Section(inner) => every_setting(inner, &path, found),
            Form::Names(Form::Section(inner)) | Form::List(Form::Section(inner)) => {
                every_setting(inner, &format!("{path}/*"), found);
            }
            _ => drop(found.insert(path)),
        }
    }
}

/// Each setting with another value, as pointer and value.
fn other_values() -> Vec<(String, Value)> {
    let upstream = UPSTREAM_VALUES.iter().flat_map(|(name, value)| {
        let value: Value = serde_json::from_str(value).expect("JSON");
        ["apis/orders", "services/website"].map(|at| (format!("/{at}/upstream/{name}"), value.clone()))
    });
    let rewrites = REWRITE_VALUES.iter().flat_map(|(name, value)| {
        let value: Value = serde_json::from_str(value).expect("JSON");
        ["apis/orders", "apis/orders/operations/get", "services/website"]
            .map(|at| (format!("/{at}/rewrite/{name}"), value.clone()))
    });
    let wafs = WAF_VALUES.iter().flat_map(|(name, value)| {
        let value: Value = serde_json::from_str(value).expect("JSON");
        ["", "/apis/orders", "/apis/orders/operations/get", "/services/website"]
            .map(|at| (format!("{at}/waf/{name}"), value.clone()))
    });
    let others = others().into_iter().map(|(pointer, value)| (pointer.to_owned(), value));
    let levels = ["", "/apis/orders", "/apis/orders/operations/get", "/services/website"];
    let callers = levels.into_iter().flat_map(|at| {
        let of = |name: &str| (format!("{at}/callers/{name}"), json!(["office"]));
        [of("allow"), of("deny"), (format!("{at}/modes/lists"), json!("observe"))]
    });
    others.chain(upstream).chain(rewrites).chain(callers).chain(wafs).collect()
}

/// What an upstream's settings may be changed to; APIs and services have the same ones.
const UPSTREAM_VALUES: &[(&str, &str)] = &[
    ("urls", r#"["http://other"]"#),
    ("protocol", r#""http2""#),
    ("timeout", r#""5s""#),
    ("connect_timeout", r#""5s""#),
    ("max_connections", "5"),
    ("body_timeout", r#""1s""#),
    ("try_timeout", r#""1s""#),
    ("refresh", r#""1s""#),
    ("retries/max", "1"),
    ("retries/on", r#"["reset", "503"]"#),
    ("retries/share", r#""10%""#),
    ("retries/floor", "3"),
    ("ejection/failures", "3"),
    ("ejection/for", r#""1s""#),
    ("ejection/longest", r#""1m""#),
    ("ejection/at_most", r#""30%""#),
    ("breaker/failures", r#""30%""#),
    ("breaker/least_calls", "5"),
    ("breaker/window", r#""1s""#),
    ("breaker/open", r#""1s""#),
    ("breaker/trials", "1"),
    ("health/path", r#""/other""#),
    ("health/interval", r#""1s""#),
    ("health/timeout", r#""1s""#),
    ("health/healthy", "1"),
    ("health/unhealthy", "1"),
    ("health/expect", "[204]"),
    ("tls/cert", r#""file:other""#),
    ("tls/key", r#""file:other""#),
    ("tls/name", r#""other.example""#),
    ("tls/pins", r#"["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]"#),
    ("tls/ca", r#""file:other""#),
    ("mirror/urls", r#"["http://other"]"#),
    ("mirror/share", r#""5%""#),
    ("mirror/methods", r#"["GET", "POST"]"#),
    ("split/sticky", r#""principal""#),
    ("split/parts/green/share", r#""10.1%""#),
    ("split/parts/green/urls", r#"["http://other"]"#),
];

/// What a rewrite may be changed to; APIs, services and operations have the same ones.
const REWRITE_VALUES: &[(&str, &str)] = &[
    ("strip_prefix", r#""/v1""#),
    ("add_prefix", r#""/internal""#),
    ("path", r#"[{ "pattern": "/a/(.+)", "to": "/{1}" }]"#),
    ("host", r#""keep""#),
    ("request_headers/add", r#"{ "X-Tenant": "{principal}" }"#),
    ("response_headers/add", r#"{ "X-Tenant": "{principal}" }"#),
    ("request_headers/set", r#"{ "X-Tenant": "pizza" }"#),
    ("request_headers/remove", r#"["X-Debug", "X-Trace"]"#),
    ("response_headers/set", r#"{ "Cache-Control": "no-store" }"#),
    ("response_headers/remove", r#"["Server"]"#),
];

/// What rules that look for attacks may be changed to, on all levels.
const WAF_VALUES: &[(&str, &str)] = &[
    ("rules", r#"["other.conf"]"#),
    ("paranoia", "3"),
    ("inbound", "9"),
    ("outbound", "9"),
    ("exclusions/0/rules", "[2]"),
    ("exclusions/0/tags", r#"["other"]"#),
    ("exclusions/0/parameter", r#""other""#),
    ("exclusions/0/header", r#""other""#),
    ("exclusions/0/cookie", r#""other""#),
    ("exclusions/0/reason", r#""other""#),
    ("responses", "true"),
    ("body", r#""2MiB""#),
    ("at_limit", r#""process_partial""#),
];

fn others() -> Vec<(&'static str, Value)> {
    vec![
        ("/workers", json!(3)),
        ("/listen/0/address", json!("127.0.0.1:8444")),
        ("/listen/0/tls/cert", json!("file:c")),
        ("/listen/0/tls/key", json!("file:c")),
        ("/listen/0/tls/certificates", json!([{ "cert": "file:c", "key": "file:d" }])),
        ("/listen/0/tls/acme/directory", json!("https://acme2.example/directory")),
        ("/listen/0/tls/acme/domains", json!(["b.example"])),
        ("/listen/0/tls/acme/contact", json!(["mailto:a@b.example"])),
        ("/listen/0/tls/acme/challenge", json!("http-01")),
        ("/listen/0/tls/acme/ca", json!("file:other")),
        ("/listen/0/tls/min_version", json!("1.3")),
        ("/listen/0/trusted_proxies", json!(["10.0.0.0/8"])),
        ("/listen/0/proxy_protocol", json!("required")),
        ("/listen/0/protocols", json!(["http2"])),
        ("/listen/0/stage", json!("staging")),
        ("/data", json!("elsewhere")),
        ("/control/socket", json!("elsewhere")),
        ("/control/metrics", json!("127.0.0.1:9464")),
        ("/secrets/dir", json!("elsewhere")),
        ("/limits/head", json!("16KiB")),
        ("/limits/headers", json!(50)),
        ("/limits/target", json!("4KiB")),
        ("/limits/body", json!("2MiB")),
        ("/limits/body_memory", json!("2MiB")),
        ("/limits/body_in_memory", json!("64KiB")),
        ("/limits/body_disk", json!("2GiB")),
        ("/limits/body_dir", json!("elsewhere")),
        ("/limits/stream_body", json!("1GiB")),
        ("/limits/stream_rate", json!("1B")),
        ("/limits/websocket_message", json!("1KiB")),
        ("/limits/streams", json!(5)),
        ("/limits/connections", json!(5)),
        ("/limits/connections_per_address", json!(5)),
        ("/limits/timeouts/proxy_header", json!("1s")),
        ("/limits/timeouts/tls_handshake", json!("5s")),
        ("/limits/timeouts/first_byte", json!("5s")),
        ("/limits/timeouts/head", json!("5s")),
        ("/limits/timeouts/body", json!("5s")),
        ("/limits/timeouts/idle", json!("5s")),
        ("/limits/timeouts/stream", json!("5s")),
        ("/limits/timeouts/websocket", json!("5s")),
        ("/limits/timeouts/write", json!("5s")),
        ("/limits/timeouts/drain", json!("5s")),
        ("/identity/user/jwt/issuer", json!("https://id2.example")),
        ("/identity/user/jwt/audience", json!("other")),
        ("/identity/user/jwt/jwks", json!("file:jwks.json")),
        ("/identity/user/jwt/algorithms", json!(["ES256"])),
        ("/identity/user/jwt/leeway", json!("1s")),
        ("/identity/user/jwt/dpop", json!("required")),
        ("/identity/user/jwt/dpop_nonce", json!("required")),
        ("/identity/client/api_key/header", json!("X-Other")),
        ("/identity/client/api_key/collection", json!("others")),
        ("/plans/small/rate", json!("6/s")),
        ("/plans/small/burst", json!(9)),
        ("/plans/small/per", json!("address")),
        ("/apis/orders/openapi", json!("other.yaml")),
        ("/apis/orders/host", json!("api.example")),
        ("/apis/orders/auth", json!("none")),
        ("/apis/orders/plan", json!({ "client": "large" })),
        ("/apis/orders/validate/request", json!("observe")),
        ("/apis/orders/validate/response", json!("observe")),
        ("/apis/orders/validate/unknown_paths", json!("observe")),
        ("/apis/orders/validate/unknown_parameters", json!("observe")),
        ("/apis/orders/compress", json!("off")),
        ("/apis/orders/modes/identity", json!("observe")),
        ("/apis/orders/modes/limits", json!("observe")),
        ("/apis/orders/operations/get/auth", json!("none")),
        ("/apis/orders/operations/get/plan", json!("large")),
        ("/apis/orders/operations/get/timeout", json!("5s")),
        ("/apis/orders/operations/get/body", json!("4KiB")),
        ("/apis/orders/operations/get/compress", json!("all")),
        ("/apis/orders/operations/get/upgrade", json!("websocket")),
        ("/apis/orders/operations/list/origins", json!(["https://www.example.com"])),
        ("/apis/orders/operations/get/expose", json!(false)),
        ("/apis/orders/operations/get/validate/request", json!("observe")),
        ("/apis/orders/operations/get/validate/response", json!("observe")),
        ("/apis/orders/operations/get/validate/unknown_parameters", json!("observe")),
        ("/apis/orders/operations/get/modes/identity", json!("observe")),
        ("/apis/orders/operations/get/modes/limits", json!("observe")),
        ("/apis/orders/modes/access", json!("observe")),
        ("/apis/orders/operations/get/modes/access", json!("observe")),
        ("/services/website/modes/access", json!("observe")),
        ("/modes/access", json!("observe")),
        ("/apis/orders/modes/waf", json!("observe")),
        ("/apis/orders/operations/get/modes/waf", json!("observe")),
        ("/services/website/modes/waf", json!("observe")),
        ("/modes/waf", json!("observe")),
        ("/apis/orders/rules/0/name", json!("b")),
        ("/apis/orders/rules/0/when", json!("true")),
        ("/apis/orders/rules/0/status", json!(404)),
        ("/apis/orders/rules/0/detail", json!("no")),
        ("/apis/orders/operations/get/rules/0/name", json!("b")),
        ("/apis/orders/operations/get/rules/0/when", json!("true")),
        ("/apis/orders/operations/get/rules/0/status", json!(404)),
        ("/apis/orders/operations/get/rules/0/detail", json!("no")),
        ("/services/website/rules/0/name", json!("b")),
        ("/services/website/rules/0/when", json!("true")),
        ("/services/website/rules/0/status", json!(404)),
        ("/services/website/rules/0/detail", json!("no")),
        ("/rules/0/name", json!("b")),
        ("/rules/0/when", json!("true")),
        ("/rules/0/status", json!(404)),
        ("/rules/0/detail", json!("no")),
        ("/lists/office/entries", json!(["192.0.2.0/25"])),
        ("/lists/office/files", json!(["./office.txt"])),
        ("/geo/country", json!("country.mmdb")),
        ("/geo/asn", json!("asn.mmdb")),
        ("/channels/app/when", json!("true")),
        ("/channels/app/max_body", json!("4KiB")),
        ("/services/website/host", json!("www.example")),
        ("/services/website/prefix", json!("/pages")),
        ("/services/website/path", json!("/index.html")),
        ("/services/website/scheme", json!("https")),
        ("/apis/orders/scheme", json!("https")),
        ("/services/moved/redirect/to", json!("https://new.example{path}")),
        ("/services/moved/redirect/status", json!(302)),
        ("/services/moved/redirect/keep_query", json!(false)),
        ("/services/robots/respond/status", json!(503)),
        ("/services/robots/respond/headers", json!({ "Retry-After": "60" })),
        ("/services/robots/respond/content_type", json!("text/html")),
        ("/services/robots/respond/body", json!("User-agent: pizza")),
        ("/services/logo/respond/body_file", json!("other.svg")),
        ("/services/website/auth", json!("none")),
        ("/services/website/plan", json!({ "client": "large" })),
        ("/services/website/modes/identity", json!("observe")),
        ("/services/website/modes/limits", json!("observe")),
        ("/services/website/methods", json!(["GET"])),
        ("/services/website/body", json!("4KiB")),
        ("/services/website/compress", json!("all")),
        ("/services/website/upgrade", json!("websocket")),
        ("/services/chat/origins", json!(["https://www.example.com"])),
        ("/events/dir", json!("elsewhere")),
        ("/events/max_size", json!("2GiB")),
        ("/events/max_age", json!("1d")),
        ("/events/requests/sample", json!("2%")),
        ("/events/requests/max_body", json!("4KiB")),
        ("/events/requests/max_size", json!("1GiB")),
        ("/events/requests/max_age", json!("2d")),
        ("/activation/on_change", json!("staging")),
        ("/activation/deal", json!("address")),
        ("/activation/guard/mode", json!("observe")),
        ("/activation/guard/window", json!("2m")),
        ("/activation/guard/watch", json!("2m")),
        ("/activation/guard/least_requests", json!(5)),
        ("/activation/guard/server_errors", json!("2%")),
        ("/activation/guard/refusals", json!("2%")),
        ("/activation/guard/slower", json!("50%")),
        ("/telemetry/otlp/endpoint", json!("http://127.0.0.1:4319")),
        ("/telemetry/otlp/sample", json!("2%")),
        ("/modes/identity", json!("observe")),
        ("/modes/limits", json!("observe")),
    ]
}

fn set(value: &mut Value, pointer: &str, new: Value) {
    let mut at = value;
    for key in pointer.trim_start_matches('/').split('/') {
        at = match key.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[key],
        };
    }
    *at = new;
}

#[test]
fn no_setting_changes_unnoticed() {
    let old = config(&minimal());
    for (pointer, new) in other_values() {
        let mut value = minimal();
        set(&mut value, &pointer, new);
        let new = config(&value);
        let changes = diff((&old, &operations()), (&new, &operations()));
        assert!(!changes.is_empty(), "{pointer} changes, and the plan says nothing");
        assert!(diff((&new, &operations()), (&new, &operations())).is_empty(), "{pointer}");
        let back = diff((&new, &operations()), (&old, &operations()));
        assert!(!back.is_empty(), "{pointer} changes back, and the plan says nothing");
    }
}

#[test]
fn the_settings_that_change_are_all_there_are() {
    let mut all = BTreeSet::new();
    every_setting(&ROOT, "", &mut all);
    let tested: BTreeSet<String> = other_values()
        .into_iter()
        .map(|(pointer, _)| {
            let mut keys: Vec<_> = pointer.split('/').collect();
            let above = [
                "listen",
                "identity",
                "plans",
                "lists",
                "channels",
                "apis",
                "operations",
                "services",
                "rules",
                "parts",
                "exclusions",
            ];
            for at in 1..keys.len() {
                if above.contains(&keys[at - 1]) {
                    keys[at] = "*";
                }
            }
            keys.join("/")
        })
        .collect();
    let untested: Vec<_> = all.difference(&tested).map(String::as_str).collect();
    // The file's version and the terms have one value. A rule denies. The base path is part of the operations' paths. Further certificates and lists of patterns are set whole.
    let known = [
        "/apis/*/base_path",
        "/apis/*/operations/*/rewrite/path/*/pattern",
        "/apis/*/operations/*/rewrite/path/*/to",
        "/apis/*/operations/*/rules/*/then",
        "/apis/*/rewrite/path/*/pattern",
        "/apis/*/rewrite/path/*/to",
        "/apis/*/rules/*/then",
        "/haechi",
        "/listen/*/tls/acme/accept_terms",
        "/listen/*/tls/certificates/*/cert",
        "/listen/*/tls/certificates/*/key",
        "/rules/*/then",
        "/services/*/rewrite/path/*/pattern",
        "/services/*/rewrite/path/*/to",
        "/services/*/rules/*/then",
    ];
    assert_eq!(untested, known);
}
