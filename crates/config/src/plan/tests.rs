use std::path::Path;

use super::*;

const BASE: &str = r#"haechi: 1
listen:
  - { address: "127.0.0.1:8080", trusted_proxies: ["10.0.0.0/8"] }
identity:
  partner: { api_key: { collection: partners } }
  other: { api_key: { header: X-Other, collection: others } }
plans:
  small: { rate: 10/s, burst: 20 }
apis:
  orders:
    openapi: orders.yaml
    upstream: { urls: ["http://orders:8080"], timeout: 2s }
    auth: [partner]
    plan: small
    operations:
      hidden: { expose: false }
"#;

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("haechi.yaml")).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn operations() -> Operations {
    let view = |id: &str, method: &str, path: &str| OperationView {
        id: id.to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
    };
    let list = vec![
        view("create", "POST", "/orders"),
        view("get", "GET", "/orders/{id}"),
        view("hidden", "GET", "/debug"),
    ];
    Operations::from([("orders".to_owned(), list)])
}

fn changes(from: &str, to: &str) -> Vec<(Effect, &'static str)> {
    let operations = operations();
    let list = diff((&config(from), &operations), (&config(to), &operations));
    list.iter().map(|change| (change.effect, change.kind)).collect()
}

#[test]
fn the_same_meaning_is_no_change() {
    let respelt = BASE
        .replace("{ rate: 10/s, burst: 20 }", "{ burst: 20, per: principal, rate: 10/s } # as before")
        .replace("timeout: 2s", "timeout: 2000ms")
        .replace("    plan: small\n", "    plan: { default: small }\n    validate: { request: enforce }\n");
    assert_eq!(changes(BASE, &respelt), []);
}

#[test]
fn each_change_is_named_and_goes_the_other_way_backwards() {
    use Effect::{Loosened, Tightened};
    for (from, to, effect, kind) in [
        ("auth: [partner]", "auth: none", Loosened, "authentication"),
        ("auth: [partner]", "auth: [partner, other]", Loosened, "authentication"),
        ("      hidden: { expose: false }", "      hidden: {}", Loosened, "exposure"),
        ("      hidden:", "      create: { expose: false }\n      hidden:", Tightened, "exposure"),
        ("rate: 10/s", "rate: 20/s", Loosened, "plan"),
        ("    plan: small\n", "", Loosened, "plan"),
        ("timeout: 2s", "timeout: 3s", Loosened, "timeout"),
        ("      hidden:", "      create: { body: 2KiB }\n      hidden:", Tightened, "body"),
        ("    plan: small", "    plan: small\n    validate: { request: observe }", Loosened, "mode"),
        (
            "    plan: small",
            "    plan: small\n    validate: { unknown_paths: observe }",
            Loosened,
            "exposure",
        ),
        ("    plan: small", "    plan: small\n    modes: { limits: off }", Loosened, "mode"),
        ("    plan: small", "    plan: small\n    host: api.example", Tightened, "exposure"),
        ("haechi: 1", "haechi: 1\nlimits: { head: 64KiB }", Loosened, "limit"),
        ("haechi: 1", "haechi: 1\nlimits: { timeouts: { idle: 5s } }", Tightened, "limit"),
        ("[\"10.0.0.0/8\"]", "[\"10.0.0.0/8\", \"192.168.0.0/16\"]", Loosened, "listener"),
    ] {
        let other = BASE.replace(from, to);
        assert_ne!(other, BASE, "{from}");
        let forward = changes(BASE, &other);
        assert!(
            !forward.is_empty() && forward.iter().all(|change| *change == (effect, kind)),
            "{to}: {forward:?}"
        );
        let opposite = match effect {
            Loosened => Tightened,
            Tightened => Loosened,
            Effect::Changed => continue,
        };
        let backward = changes(&other, BASE);
        assert!(
            !backward.is_empty() && backward.iter().all(|change| *change == (opposite, kind)),
            "{to}: {backward:?}"
        );
    }
}

#[test]
fn a_new_api_names_every_operation_it_exposes() {
    let two = BASE.replace(
        "apis:\n",
        "apis:\n  more:\n    openapi: m.yaml\n    upstream: { urls: [\"http://m\"] }\n    auth: none\n",
    );
    let mut more = operations();
    more.insert(
        "more".to_owned(),
        vec![OperationView { id: "a".into(), method: "GET".into(), path: "/a".into() }],
    );
    let list = diff((&config(BASE), &operations()), (&config(&two), &more));
    let lines: Vec<_> = list.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["loosened: more.a: `GET /a` is newly exposed without authentication"]);
}
