//! What is served without a contract: where it begins, what guards it, and that no spelling of a path leads around a contract.

use haechi_e2e::{Gateway, Origin, Raw, Response};

use crate::{SPEC, config};

/// The items below `/v1`, pages beside them, what is old behind a key, and all pages of another host.
fn served(api: &Origin, pages: &Origin, old: &Origin) -> Gateway {
    let (pages, old) = (pages.address(), old.address());
    let yaml = config(api.address()).replace("    auth: none\n", "    auth: none\n    base_path: /v1\n")
        + &format!(
            r#"services:
  website: {{ upstream: {{ urls: ["http://{pages}"] }}, auth: none, methods: GET }}
  old: {{ prefix: /old/, upstream: {{ urls: ["http://{old}"] }}, auth: [partner], plan: small, body: 16B }}
  other: {{ host: "*.other.example", upstream: {{ urls: ["http://{old}/other"] }}, auth: none }}
identity:
  partner: {{ api_key: {{ header: X-Api-Key, collection: partners }} }}
plans:
  small: {{ rate: 3/h, burst: 3, per: credential }}
"#
        );
    Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)])
}

fn send(gateway: &Gateway, request: &str) -> Response {
    Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response")
}

fn get(gateway: &Gateway, host: &str, path: &str) -> Response {
    send(gateway, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

#[test]
fn a_service_is_routed_by_host_and_prefix_after_the_contracts() {
    let (api, pages, old) = (Origin::start(), Origin::start(), Origin::start());
    let gateway = served(&api, &pages, &old);
    let first = |origin: &Origin| {
        origin.seen().last().map(|seen| seen.head.lines().next().expect("a line").to_owned())
    };
    assert_eq!(get(&gateway, "a", "/v1/items/7").status, 200);
    assert_eq!(first(&api).as_deref(), Some("GET /v1/items/7 HTTP/1.1"));
    assert_eq!(get(&gateway, "a", "/index.html?x=1").status, 200);
    assert_eq!(first(&pages).as_deref(), Some("GET /index.html?x=1 HTTP/1.1"));
    assert_eq!(get(&gateway, "a", "/older").status, 200, "whole segments are compared");
    assert_eq!(get(&gateway, "shop.Other.example", "/v2/any").status, 200);
    assert_eq!(first(&old).as_deref(), Some("GET /other/v2/any HTTP/1.1"));
    // Where a contract begins, it answers for what it does not name.
    assert_eq!(get(&gateway, "a", "/v1/index.html").status, 404);
    let wrong_method = send(&gateway, "DELETE /v1/items/7 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wrong_method.status, 405);
    // On a host of its own a service is more specific than an API of any host, but for what the contract names.
    assert_eq!(get(&gateway, "shop.other.example", "/v1/unknown").status, 200);
    assert_eq!(get(&gateway, "shop.other.example", "/v1/items/8").status, 200);
    assert_eq!(first(&api).as_deref(), Some("GET /v1/items/8 HTTP/1.1"));
    let posted = send(&gateway, "POST /form HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(posted.status, 405);
    assert!(posted.head.to_ascii_lowercase().contains("allow: get, head\r\n"), "{}", posted.head);
    let page = gateway.event("of the page", |event| event["path"] == "/index.html");
    assert_eq!((page["api"].as_str(), page["operation"].as_str()), (Some("website"), Some("-")));
    let refused = gateway.event("of the form", |event| event["path"] == "/form");
    assert_eq!((refused["api"].as_str(), refused["decided_by"].as_str()), (Some("website"), Some("service")));
    assert_eq!(refused["reason"], "method-not-allowed");
    let metrics = String::from_utf8_lossy(&gateway.verb(&["status"]).stdout).into_owned();
    assert!(metrics.contains("1 API with 4 operations, 3 services"), "{metrics}");
}

#[test]
fn a_service_has_the_guards_of_operations() {
    let (api, pages, old) = (Origin::start(), Origin::start(), Origin::start());
    let gateway = served(&api, &pages, &old);
    assert_eq!(get(&gateway, "a", "/old/page").status, 401);
    let made =
        gateway.json(&["keys", "create", "--collection", "partners", "--name", "p", "--format", "json"]);
    let key = made["key"].as_str().expect("a key");
    let call = |method: &str, body: &str| {
        let length = body.len();
        let head = format!(
            "{method} /old/page HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\nContent-Length: {length}\r\n\r\n"
        );
        send(&gateway, &format!("{head}{body}"))
    };
    assert_eq!(call("POST", "0123456789abcdef").status, 200);
    assert_eq!(call("POST", "0123456789abcdefg").status, 413);
    assert_eq!(call("GET", "").status, 200);
    assert_eq!(call("GET", "").status, 429);
    assert!(pages.seen().is_empty());
    assert_eq!(old.seen().len(), 2);
}

#[test]
fn no_spelling_leads_around_a_contract_or_a_key() {
    let (api, pages, old) = (Origin::start(), Origin::start(), Origin::start());
    let gateway = served(&api, &pages, &old);
    for (path, status) in [
        ("/x/../old/page", 401),
        ("/%6fld/page", 401),
        ("//old/page", 401),
        ("/old//page", 401),
        ("/x/%2e%2e/old/page", 401),
        ("/./old", 401),
        ("/old%2Fpage", 400),
        ("/x/..;/old/page", 400),
        ("/old\\page", 400),
        ("/../old/page", 400),
        ("/old/../v1/secret", 404),
        ("/v1/../v1/secret", 404),
        ("/old/../v1/items/7", 200),
    ] {
        assert_eq!(get(&gateway, "a", path).status, status, "{path}");
    }
    assert!(old.seen().is_empty() && pages.seen().is_empty());
    // Another case is another path: it is the website's, and stays so.
    assert_eq!(get(&gateway, "a", "/OLD/page").status, 200);
    assert!(pages.seen()[0].head.starts_with("GET /OLD/page "));
    // A host that is named twice, or in the target, does not choose between two services.
    let two = "GET /old/page HTTP/1.1\r\nHost: x.other.example\r\nHost: a\r\n\r\n";
    assert_eq!(send(&gateway, two).status, 400);
    let absolute = "GET http://a/old/page HTTP/1.1\r\nHost: x.other.example\r\n\r\n";
    assert!([400, 401].contains(&send(&gateway, absolute).status));
    assert_eq!(get(&gateway, "other.example", "/old/page").status, 401, "`*.` is for names below");
    assert!(old.seen().is_empty());
    assert_eq!(get(&gateway, "x.other.example.", "/old/page").status, 200, "a final dot is no other host");
    assert!(old.seen()[0].head.starts_with("GET /other/old/page "));
}

#[test]
fn a_service_that_nothing_would_reach_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |yaml: &str| {
        std::fs::write(directory.path().join("haechi.yaml"), yaml).expect("written");
        std::fs::write(directory.path().join("items.yaml"), SPEC).expect("written");
        let mut command = std::process::Command::new(haechi_e2e::binary());
        let output = command.arg("check").current_dir(directory.path()).output().expect("haechi runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let service = |settings: &str| {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        format!(
            "{}services:\n  web: {{ upstream: {{ urls: [\"http://w\"] }}, auth: none{settings} }}\n",
            config(address)
        )
    };
    let (good, said) = check(&service(""));
    assert!(!good && said.contains("nothing would reach the service"), "{said}");
    assert!(check(&service(", prefix: /pages")).0);
    assert!(check(&service(", host: www.example")).0);
    for (settings, message) in [
        (", prefix: /%70ages", "the prefix is written `/pages`"),
        (", prefix: /a/../b", "the prefix is written `/b`"),
        (", prefix: pages", "a prefix begins with `/`"),
        (", host: \"a:80\"", "it has no port"),
        (", prefix: /x, methods: [TRACE]", "expected `GET`"),
    ] {
        let (good, said) = check(&service(settings));
        assert!(!good && said.contains(message) && said.contains("haechi.yaml:"), "{said}");
    }
    let only = service("").replace("apis:", "apis_:").split("apis_:").next().expect("the head").to_owned()
        + "services:\n  web: { upstream: { urls: [\"http://w\"] }, auth: none }\n";
    assert!(check(&only).0, "a gateway may serve services only");
}

#[test]
fn the_first_channel_that_fits_is_the_calls() {
    let (api, pages, old) = (
        Origin::start(),
        Origin::answering("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi"),
        Origin::start(),
    );
    let (web, legacy) = (pages.address(), old.address());
    let yaml = config(api.address()).replace("    auth: none\n", "    auth: none\n    base_path: /v1\n")
        + &format!(
            r#"services:
  website: {{ upstream: {{ urls: ["http://{web}"] }}, auth: none }}
  legacy: {{ prefix: /old, upstream: {{ urls: ["http://{legacy}"] }}, auth: [partner] }}
identity:
  partner: {{ api_key: {{ header: X-Api-Key, collection: partners }} }}
channels:
  batch: {{ when: "principal.collection == 'partners'" }}
  watch: {{ when: "request.headers['user-agent'].startsWith('Watch/')", max_body: 8B }}
  app: {{ when: "request.headers['x-app'] == 'pizza' || request.headers['user-agent'].startsWith('Watch/')" }}
  web: {{ when: "request.host == 'www.example' && request.scheme == 'http'" }}
"#
        );
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let made =
        gateway.json(&["keys", "create", "--collection", "partners", "--name", "p", "--format", "json"]);
    let key = made["key"].as_str().expect("a key");
    let call = |path: &str, host: &str, fields: &str| {
        send(&gateway, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")).status
    };
    assert_eq!(call("/v1/items/1", "a", "User-Agent: Watch/1\r\n"), 200);
    assert_eq!(call("/v1/items/2", "a", "X-App: pizza\r\nUser-Agent: x\r\n"), 200);
    assert_eq!(call("/v1/items/3", "a", "X-App: pizza\r\nX-App: pizza\r\nUser-Agent: x\r\n"), 200);
    assert_eq!(call("/index", "WWW.example", ""), 200);
    assert_eq!(call("/old/1", "a", &format!("X-Api-Key: {key}\r\nUser-Agent: Watch/1\r\n")), 200);
    assert_eq!(call("/old/2", "www.example", "Accept: text/html\r\n"), 401);
    let body = |length: usize| {
        let body = format!("{{\"name\":\"a\",\"quantity\":1}}{}", " ".repeat(length));
        let head = format!(
            "POST /v1/items HTTP/1.1\r\nHost: a\r\nUser-Agent: Watch/1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        send(&gateway, &format!("{head}{body}")).status
    };
    assert_eq!(body(0), 413, "more than the channel takes");
    let told = |path: &str| {
        let event = gateway.event(path, |event| event["path"] == path);
        (
            event["channel"].as_str().unwrap_or_default().to_owned(),
            event["traffic"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let pair = |channel: &str, traffic: &str| (channel.to_owned(), traffic.to_owned());
    assert_eq!(told("/v1/items/1"), pair("watch", "api"), "the first that fits");
    assert_eq!(told("/v1/items/2"), pair("app", "api"));
    assert_eq!(told("/v1/items/3"), pair("", "api"), "a header that stands twice has no one value");
    assert_eq!(told("/index"), pair("web", "page"));
    assert_eq!(told("/old/1"), pair("batch", "api"), "who is calling is known first");
    assert_eq!(told("/old/2"), pair("web", "page"), "also of a call that is refused");
    let id = gateway.event("of the page", |event| event["path"] == "/index")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let why = String::from_utf8(gateway.verb(&["why", &id]).stdout).expect("text");
    assert!(why.contains("web (a page)"), "{why}");
    let counts = gateway.json(&["events", "count", "--by", "channel,traffic", "--format", "json"]);
    let count = |channel: &str, traffic: &str| {
        let groups = counts["groups"].as_array().expect("groups");
        let group = groups.iter().find(|group| group["values"] == serde_json::json!([channel, traffic]));
        group.map(|group| {
            (group["count"].as_u64().expect("a number"), group["refused"].as_u64().expect("a number"))
        })
    };
    assert_eq!(counts["total"], 7, "{counts}");
    assert_eq!(count("watch", "api"), Some((2, 1)), "{counts}");
    assert_eq!(count("web", "page"), Some((2, 1)), "{counts}");
    assert_eq!(count("batch", "api"), Some((1, 0)), "{counts}");
    assert_eq!(count("", "api"), Some((1, 0)), "{counts}");
    let table = gateway.verb(&["events", "count", "--by", "traffic"]).stdout;
    let table = String::from_utf8(table).expect("text");
    assert!(table.contains("71.4 %") && table.contains("28.6 %"), "{table}");
    let wrong = gateway.verb(&["events", "count", "--by", "colour"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("the columns are"), "what can be asked is told");
}

#[test]
fn a_condition_that_cannot_hold_is_refused_where_it_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let yaml = config(address) + "channels:\n  app: { when: \"reqest.path == '/'\" }\n";
    std::fs::write(directory.path().join("haechi.yaml"), yaml).expect("written");
    std::fs::write(directory.path().join("items.yaml"), SPEC).expect("written");
    let mut command = std::process::Command::new(haechi_e2e::binary());
    let output = command.arg("check").current_dir(directory.path()).output().expect("haechi runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("haechi.yaml:10:16"), "{said}");
    assert!(said.contains("at character 1: no variable is named `reqest`"), "{said}");
}
