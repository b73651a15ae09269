use std::path::Path;

use super::*;

const BASE: &str = r#"haechi: 1
listen:
  - { address: "127.0.0.1:8080", trusted_proxies: ["10.0.0.0/8"] }
  - { address: "127.0.0.1:8443", tls: { cert: "file:a", key: "file:b" } }
identity:
  user: { jwt: { issuer: "https://id.example", audience: [a, b], jwks: discover, algorithms: [ES256, EdDSA] } }
  partner: { api_key: { collection: partners } }
  other: { api_key: { header: X-Other, collection: others } }
lists:
  office: { entries: ["192.0.2.0/24"] }
  bad: { entries: ["198.51.100.0/24"] }
  spare: { entries: [KR] }
callers: { allow: [office], deny: [bad] }
plans:
  small: { rate: 10/s, burst: 20 }
  large: { rate: 20/s, burst: 20 }
apis:
  orders:
    openapi: orders.yaml
    upstream: { urls: ["http://orders:8080", "http://orders:8081"], timeout: 2s }
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
        .replace("[a, b]", "[b, a]")
        .replace("[ES256, EdDSA]", "[EdDSA, ES256]")
        .replace(
            "[\"http://orders:8080\", \"http://orders:8081\"]",
            "[\"http://orders:8081\", \"http://ORDERS:8080/\"]",
        )
        .replace("header: X-Other", "header: x-other")
        .replace("haechi: 1\n", "haechi: 1\ndata: haechi-data # the default\n")
        .replace("{ rate: 10/s, burst: 20 }", "{ burst: 20, per: principal, rate: 10/s } # as before")
        .replace("timeout: 2s", "timeout: 2000ms")
        .replace("    plan: small\n", "    plan: { default: small }\n    validate: { request: enforce }\n");
    assert_eq!(changes(BASE, &respelt), []);
}

#[test]
fn each_change_is_named_and_goes_the_other_way_backwards() {
    use Effect::{Changed, Loosened, Tightened};
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
        ("    plan: small", "    plan: { other: small }", Loosened, "plan"),
        ("    plan: small", "    plan: large", Loosened, "plan"),
        ("burst: 20 }", "burst: 20, per: credential }", Loosened, "plan"),
        ("burst: 20 }", "burst: 20, per: address }", Changed, "plan"),
        ("rate: 10/s", "rate: 600/min", Changed, "plan"),
        ("    plan: small", "    plan: small\n    modes: { identity: observe }", Loosened, "mode"),
        ("    plan: small", "    plan: small\n    validate: { response: enforce }", Tightened, "mode"),
        ("http://orders:8081", "http://else:8081", Changed, "upstream"),
        ("timeout: 2s }", "timeout: 2s, tls: { ca: \"file:ca\" } }", Changed, "upstream"),
        ("timeout: 2s }", "timeout: 2s, connect_timeout: 3s }", Loosened, "timeout"),
        ("timeout: 2s }", "timeout: 2s, max_connections: 300 }", Loosened, "limit"),
        ("openapi: orders.yaml", "openapi: new.yaml", Changed, "contract"),
        ("audience: [a, b]", "audience: [a, b, c]", Loosened, "identity"),
        ("algorithms: [ES256, EdDSA]", "algorithms: [ES256]", Tightened, "identity"),
        ("algorithms: [ES256, EdDSA]", "algorithms: [ES256, EdDSA], leeway: 60s", Loosened, "identity"),
        ("header: X-Other", "header: X-New", Changed, "identity"),
        ("key: \"file:b\" }", "key: \"file:b\", min_version: \"1.3\" }", Tightened, "listener"),
        (", tls: { cert: \"file:a\", key: \"file:b\" }", "", Loosened, "listener"),
        ("cert: \"file:a\"", "cert: \"file:c\"", Changed, "listener"),
        ("\"127.0.0.1:8443\",", "\"127.0.0.1:8443\", protocols: [http1],", Tightened, "listener"),
        (
            "  - { address: \"127.0.0.1:8443\"",
            "  - { address: \"127.0.0.1:1\" }\n  - { address: \"127.0.0.1:8443\"",
            Loosened,
            "listener",
        ),
        ("deny: [bad]", "deny: [bad, spare]", Tightened, "list"),
        ("deny: [bad]", "deny: []", Loosened, "list"),
        ("allow: [office]", "allow: [office, spare]", Loosened, "list"),
        ("allow: [office]", "allow: []", Loosened, "list"),
        ("    plan: small", "    plan: small\n    callers: { allow: [spare] }", Tightened, "list"),
        ("    plan: small", "    plan: small\n    modes: { lists: off }", Loosened, "mode"),
        ("[\"192.0.2.0/24\"]", "[\"192.0.2.0/24\", KR]", Loosened, "list"),
        ("[\"198.51.100.0/24\"]", "[\"198.51.100.0/24\", AS4766]", Tightened, "list"),
        ("[KR]", "[KR, NO]", Changed, "list"),
        (
            "  spare: { entries: [KR] }\n",
            "  spare: { entries: [KR] }\n  new: { files: [new.txt] }\n",
            Changed,
            "list",
        ),
        ("entries: [KR]", "entries: [KR], files: [more.txt]", Changed, "list"),
        ("haechi: 1", "haechi: 1\ngeo: { country: c.mmdb }", Changed, "list"),
        ("haechi: 1", "haechi: 1\nlimits: { body_memory: 512MiB }", Loosened, "limit"),
        ("haechi: 1", "haechi: 1\ndata: elsewhere", Changed, "gateway"),
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
            Changed => Changed,
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

#[test]
fn another_signer_lets_others_in_either_way() {
    for (from, to) in [
        ("collection: partners", "collection: people"),
        ("https://id.example", "https://other.example"),
        ("jwks: discover", "jwks: file:jwks.json"),
        (
            "other: { api_key: { header: X-Other, collection: others } }",
            "other: { jwt: { issuer: i, audience: a, jwks: \"file:j\" } }",
        ),
    ] {
        let other = BASE.replace(from, to);
        assert_ne!(other, BASE, "{from}");
        for found in [changes(BASE, &other), changes(&other, BASE)] {
            assert!(
                !found.is_empty() && found.iter().all(|change| *change == (Effect::Loosened, "identity")),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_plan_is_told_for_the_callers_it_concerns() {
    let tell = |from: &str, to: &str| {
        let text = |plan: &str| {
            BASE.replace("auth: [partner]", "auth: [partner, other]")
                .replace("    plan: small", &format!("    plan: {plan}"))
        };
        let operations = operations();
        let list = diff((&config(&text(from)), &operations), (&config(&text(to)), &operations));
        list.iter()
            .filter(|change| change.operation.as_deref() == Some("get"))
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(tell("small", "{ default: small, partner: small }"), [""; 0]);
    assert_eq!(
        tell("small", "large"),
        ["loosened: orders.get: plan `small` (10/s burst 20) → `large` (20/s burst 20)"]
    );
    assert_eq!(tell("small", "{ other: small }"), ["loosened: orders.get: `partner`: newly without a plan"]);
    assert_eq!(
        tell("{ default: large, other: small }", "small"),
        ["tightened: orders.get: `partner`: plan `large` (20/s burst 20) → `small` (10/s burst 20)"]
    );
}

#[test]
fn calls_without_a_contract_are_told_like_an_operation() {
    let open = BASE.replace("    plan: small", "    plan: small\n    validate: { unknown_paths: observe }");
    let public = open.replace("auth: [partner]", "auth: none");
    let tell = |from: &str, to: &str| {
        let operations = Operations::from([("orders".to_owned(), Vec::new())]);
        let list = diff((&config(from), &operations), (&config(to), &operations));
        list.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let opened = "loosened: orders: calls that the contract does not name are let through";
    assert_eq!(tell(BASE, &open), [opened]);
    assert_eq!(tell(BASE, &public), [format!("{opened} without authentication")]);
    assert_eq!(tell(&open, &public), ["loosened: orders: newly without authentication"]);
    assert_eq!(tell(&open, BASE), ["tightened: orders: calls that the contract does not name are refused"]);
}

#[test]
fn the_directory_of_a_file_is_no_change() {
    let at = |dir: &str| Config::parse(BASE, &Path::new(dir).join("haechi.yaml")).expect("good");
    let (here, there) = (at(""), at("/etc/haechi"));
    assert_eq!(diff((&here, &operations()), (&there, &operations())), []);
}
