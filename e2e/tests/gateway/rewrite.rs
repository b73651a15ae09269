//! What is changed after judgement: exactly what is configured, on a path that was judged, and nothing a caller writes.

use haechi_e2e::{Gateway, Origin, Raw, Response, have};

use crate::{SPEC, config};

const REWRITE: &str = "    base_path: /v1\n    rewrite:\n      strip_prefix: /v1\n      add_prefix: /internal\n      \
    request_headers: { set: { X-Tenant: pizza }, remove: [X-Debug] }\n      \
    response_headers: { set: { Cache-Control: no-store }, remove: [Server] }\n";

fn served(api: &Origin, pages: &Origin) -> Gateway {
    let pages = pages.address();
    let yaml = config(api.address()).replace("    auth: none\n", &format!("    auth: none\n{REWRITE}"))
        + &format!(
            "services:\n  old: {{ prefix: /old, upstream: {{ urls: [\"http://{pages}/base\"] }}, auth: none, rewrite: {{ strip_prefix: /old }} }}\n"
        );
    Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)])
}

fn get(gateway: &Gateway, path: &str, fields: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response")
}

fn first(origin: &Origin) -> Option<String> {
    origin.seen().last().map(|seen| seen.head.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn what_was_judged_is_sent_with_exactly_the_configured_changes() {
    let api = Origin::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nserver: old\r\ncache-control: public\r\ncontent-length: 2\r\n\r\n{}",
    );
    let pages = Origin::start();
    let gateway = served(&api, &pages);
    let response = get(&gateway, "/v1/items/7?size=M", "X-Tenant: evil\r\nx-tenant: worse\r\nX-Debug: 1\r\n");
    assert_eq!(response.status, 200);
    let head = response.head.to_ascii_lowercase();
    assert!(head.contains("cache-control: no-store\r\n") && !head.contains("public"), "{head}");
    assert!(!head.contains("server:"), "{head}");
    let sent = api.seen()[0].head.to_ascii_lowercase();
    assert!(sent.starts_with("get /internal/items/7?size=m http/1.1\r\n"), "{sent}");
    assert!(sent.contains("x-tenant: pizza\r\n") && sent.matches("x-tenant").count() == 1, "{sent}");
    assert!(!sent.contains("x-debug"), "{sent}");
    // What the contract says is asked of the path that came, not of the one that is sent.
    assert_eq!(get(&gateway, "/internal/items/7", "").status, 404);
    assert_eq!(get(&gateway, "/v1/items/7?size=XL", "").status, 400);
    assert_eq!(api.seen().len(), 1);
    if have("curl") {
        let url = format!("http://{}/v1/items/8", gateway.address());
        let head = haechi_e2e::run(
            std::process::Command::new("curl")
                .args(["--silent", "--http2-prior-knowledge", "--dump-header", "-", "--output", "/dev/null"])
                .args(["--header", "X-Debug: 1", &url]),
        );
        assert!(head.starts_with("HTTP/2 200") && head.contains("cache-control: no-store"), "{head}");
        let sent = api.seen().last().expect("one more").head.to_ascii_lowercase();
        assert!(sent.starts_with("get /internal/items/8 ") && !sent.contains("x-debug"), "{sent}");
    }
    gateway.event("of the path as it was asked for", |event| {
        event["path"] == "/v1/items/7" && event["status"] == 200
    });
}

#[test]
fn no_spelling_leads_a_rewritten_path_elsewhere() {
    let (api, pages) = (Origin::start(), Origin::start());
    let gateway = served(&api, &pages);
    for (path, sent) in [
        ("/old/page", "/base/page"),
        ("/old", "/base/"),
        ("//old//page", "/base/page"),
        ("/x/%2e%2e/old/page", "/base/page"),
        ("/old/a/../page", "/base/page"),
        ("/%6fld/page", "/base/page"),
        ("/old/old/page", "/base/old/page"),
        ("/old/%252e%252e/page", "/base/%252e%252e/page"),
    ] {
        assert_eq!(get(&gateway, path, "").status, 200, "{path}");
        assert_eq!(first(&pages), Some(format!("GET {sent} HTTP/1.1")), "{path}");
    }
    let before = pages.seen().len();
    for (path, status) in [
        ("/old/../page", 404),
        ("/old/../../page", 400),
        ("/old/..;/page", 400),
        ("/old/%2e%2e%2fpage", 400),
        ("/old\\..\\page", 400),
        ("/older/page", 404),
    ] {
        assert_eq!(get(&gateway, path, "").status, status, "{path}");
    }
    assert_eq!(pages.seen().len(), before);
    assert!(api.seen().is_empty());
}

#[test]
fn a_rewrite_of_what_is_the_gateways_is_refused_where_it_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |rewrite: &str| {
        let origin = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let yaml = format!("{}    rewrite:\n      {rewrite}\n", config(origin));
        std::fs::write(directory.path().join("haechi.yaml"), yaml).expect("written");
        std::fs::write(directory.path().join("items.yaml"), SPEC).expect("written");
        let mut command = std::process::Command::new(haechi_e2e::binary());
        let output = command.arg("check").current_dir(directory.path()).output().expect("haechi runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(check("request_headers: { set: { X-Tenant: a }, remove: [Authorization] }").0);
    for (rewrite, message) in [
        ("strip_prefix: v1", "expected `/` and segments"),
        ("strip_prefix: /v1/", "expected `/` and segments"),
        ("strip_prefix: /%761", "the prefix is written `/v1`"),
        ("add_prefix: /a/../b", "the prefix is written `/b`"),
        ("add_prefix: /a?b", "the prefix is no path"),
        ("add_prefix: /..", "the prefix is no path"),
        ("request_headers: { set: { Host: a } }", "`Host` is the gateway's own"),
        ("request_headers: { set: { Content-Length: '1' } }", "`Content-Length` is the gateway's own"),
        ("request_headers: { remove: [Transfer-Encoding] }", "`Transfer-Encoding` is the gateway's own"),
        ("request_headers: { set: { X-Forwarded-For: a } }", "`X-Forwarded-For` is the gateway's own"),
        ("request_headers: { set: { X-Haechi-Subject: a } }", "`X-Haechi-Subject` is the gateway's own"),
        ("request_headers: { set: { Content-Type: a } }", "`Content-Type` is the gateway's own"),
        ("request_headers: { set: { Authorization: a } }", "`Authorization` carries secrets"),
        ("response_headers: { set: { Connection: a } }", "`Connection` is the gateway's own"),
        ("response_headers: { remove: [Vary] }", "`Vary` is the gateway's own"),
        ("request_headers: { set: { \"X-A\": \"a\\r\\nX-B: b\" } }", "visible ASCII"),
        ("request_headers: { set: { \"X-A\": \"a\\tb\" } }", "visible ASCII"),
        ("request_headers: { set: { \"X A\": a } }", "no name of a header field"),
        ("request_headers: { set: { X-A: a, x-a: b } }", "stands here twice"),
        ("request_headers: { set: { X-A: a }, remove: [x-a] }", "set and left out"),
        ("request_headers: { add: { X-A: a }, remove: [x-a] }", "set and left out"),
        ("request_headers: { set: { X-A: a }, add: { x-a: b } }", "`x-a` is set and added to at once"),
        ("response_headers: { add: { Content-Length: '1' } }", "`Content-Length` is the gateway's own"),
        ("request_headers: { set: { X-A: \"{principle}\" } }", "did you mean `{principal}`?"),
        (
            "request_headers: { set: { X-A: \"{colour}\" } }",
            "possible here: `{api}`, `{channel}`, `{client}`",
        ),
        ("request_headers: { set: { X-A: \"{tenant}\" } }", "no placeholder is named `{tenant}`"),
        ("request_headers: { set: { X-A: \"a{\" } }", "`{` is not closed"),
        ("path: [{ pattern: \"/(?<a>.*)\", to: \"/{zebra}\" }]", "possible here: `{a}`, `{0}`, `{1}`"),
        ("path: [{ pattern: \"/(.*)\", to: \"/{2}\" }]", "no placeholder is named `{2}`"),
        ("path: [{ pattern: \"/(.*\", to: \"/\" }]", "the pattern cannot be used: unclosed group"),
        ("path: [{ pattern: \"a)(b\", to: \"/\" }]", "the pattern cannot be used: unopened group"),
        ("path: [{ pattern: \"(?=a)\", to: \"/\" }]", "no look-around"),
        ("path: [{ pattern: \"(?:[a-z]{1,99}){1,99}\", to: \"/\" }]", "the pattern is too large"),
        ("path: [{ pattern: \"/(?<client>.*)\", to: \"/\" }]", "rename the group"),
        ("path: [{ pattern: \"/(.*)\", to: \"/a?b={1}\" }]", "makes no path in canonical form"),
        ("path: [{ pattern: \"/(.*)\", to: \"//{1}\" }]", "makes no path in canonical form"),
        ("path: [{ pattern: \"/(.*)\", to: \"/a/../{1}\" }]", "makes no path in canonical form"),
        ("path: [{ pattern: \"/(.*)\" }]", "the field `to` is missing"),
        ("host: \"a/b\"", "expected `keep`, or a host name"),
        ("host: \"u:p@a\"", "no user name"),
    ] {
        let (good, said) = check(rewrite);
        assert!(!good && said.contains(message) && said.contains("haechi.yaml:10:"), "{rewrite}\n{said}");
    }
}

const SHOP: &str = r#"    rewrite:
      strip_prefix: /v1
      path:
        - { pattern: "/items/(?<item>[0-9]+)", to: "/{item}/show" }
        - { pattern: "/items/x(.*)", to: "{1}" }
      host: keep
      request_headers:
        set: { X-Call: "{api}.{operation} {method} {path}", X-Item: "{item}", X-Client: "{client}", X-Id: "{request_id}", X-Who: "{principal}" }
        add: { X-Trail: "{channel}" }
      response_headers: { set: { X-Served: "{operation}" }, add: { Vary-By: "{item}" } }
    operations:
      getItem: { rewrite: { request_headers: { set: { X-Call: "own {item}" }, remove: [X-Trail] } } }
      getFile: { rewrite: { path: [{ pattern: "/files/(.+)", to: "/{1}" }], host: "files.example:81" } }
channels:
  app: { when: "request.headers['x-app'] == 'pizza'" }
"#;

fn shop(api: &Origin) -> Gateway {
    let yaml = config(api.address())
        .replace("    auth: none\n", &format!("    auth: none\n    base_path: /v1\n{SHOP}"));
    Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)])
}

/// A field that the origin was last sent.
fn told(origin: &Origin, name: &str) -> Option<String> {
    let head = origin.seen().last().expect("one").head.clone();
    let mut fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

#[test]
fn patterns_and_placeholders_make_what_is_sent() {
    let api = Origin::start();
    let gateway = shop(&api);
    let answer = get(&gateway, "/v1/items/7?size=M", "X-Item: evil\r\nX-Who: root\r\nX-Trail: first\r\n");
    assert_eq!(answer.status, 200);
    assert_eq!(first(&api).as_deref(), Some("GET /7/show?size=M HTTP/1.1"));
    assert_eq!(told(&api, "x-call").as_deref(), Some("own 7"), "the operation's own word");
    assert_eq!(told(&api, "x-item").as_deref(), Some("7"));
    assert_eq!(told(&api, "x-client").as_deref(), Some("127.0.0.1"));
    assert_eq!(told(&api, "x-id"), told(&api, "x-request-id"));
    assert_eq!(
        (told(&api, "x-who"), told(&api, "x-trail")),
        (None, None),
        "nobody is no one, whoever says so"
    );
    assert_eq!(told(&api, "host").as_deref(), Some("a"));
    let head = answer.head.to_ascii_lowercase();
    assert!(head.contains("x-served: getitem\r\n") && head.contains("vary-by: 7\r\n"), "{head}");
    assert_eq!(get(&gateway, "/v1/files/a%20b", "").status, 200);
    assert_eq!(first(&api).as_deref(), Some("GET /a%20b HTTP/1.1"));
    assert_eq!(told(&api, "host").as_deref(), Some("files.example:81"));
    assert_eq!(told(&api, "x-call").as_deref(), Some("items.getFile GET /v1/files/a%20b"));
    let body = r#"{"name":"a","quantity":1}"#;
    let post = format!(
        "POST /v1/items HTTP/1.1\r\nHost: b:8080\r\nX-App: pizza\r\nX-Trail: first\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let posted = Raw::connect(gateway.address()).send(post.as_bytes()).response().expect("a response");
    assert_eq!(posted.status, 200);
    assert_eq!(first(&api).as_deref(), Some("POST /items HTTP/1.1"), "none fits");
    let sent = api.seen().last().expect("one").head.to_ascii_lowercase();
    assert!(sent.contains("x-trail: first\r\n") && sent.contains("x-trail: app\r\n"), "{sent}");
    assert!(sent.contains("host: b:8080\r\n") && !sent.contains("x-item"), "{sent}");
    // What a pattern makes of a path is judged once more.
    let before = api.seen().len();
    assert_eq!(get(&gateway, "/v1/items/x.", "").status, 500);
    assert_eq!(api.seen().len(), before);
    let event = gateway.event("of what was not sent", |event| event["path"] == "/v1/items/x.");
    assert_eq!((&event["decided_by"], &event["reason"]), (&"wire".into(), &"rewrite".into()), "{event}");
    let event = gateway.event("of what was", |event| event["path"] == "/v1/items/7");
    assert_eq!(event["upstream_path"], "/7/show");
    let why =
        String::from_utf8(gateway.verb(&["why", event["id"].as_str().expect("an id")]).stdout).expect("text");
    assert!(why.contains("rewritten  /7/show"), "{why}");
    if have("curl") {
        let url = format!("http://{}/v1/items/8", gateway.address());
        let head = haechi_e2e::run(
            std::process::Command::new("curl")
                .args(["--silent", "--http2-prior-knowledge", "--dump-header", "-", "--output", "/dev/null"])
                .args(["--header", "Host: Pizza.example:81", &url]),
        );
        assert!(head.starts_with("HTTP/2 200") && head.contains("vary-by: 8"), "{head}");
        assert_eq!(first(&api).as_deref(), Some("GET /8/show HTTP/1.1"));
        assert_eq!(told(&api, "host").as_deref(), Some("pizza.example:81"));
    }
}

#[test]
fn the_plan_tells_what_is_rewritten_where_it_is_written() {
    let api = Origin::start();
    let gateway = shop(&api);
    let file = gateway.dir().join("haechi.yaml");
    let yaml = std::fs::read_to_string(&file).expect("read");
    let other = yaml
        .replace("to: \"/{item}/show\"", "to: \"/{item}/tell\"")
        .replace("own {item}", "{item}")
        .replace("files.example:81", "keep");
    std::fs::write(gateway.dir().join("other.yaml"), other).expect("written");
    let plan = gateway.verb(&["plan", "haechi.yaml", "other.yaml", "--format", "json"]);
    let told = format!("{}{}", String::from_utf8_lossy(&plan.stdout), String::from_utf8_lossy(&plan.stderr));
    for line in [
        "/{item}/show` → `/items/(?<item>[0-9]+) → /{item}/tell`",
        "`own {item}` → `{item}`",
        "rewrite.host: `files.example:81` → `keep`",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
}
