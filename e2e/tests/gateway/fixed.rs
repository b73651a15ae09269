//! What the gateway answers itself: redirects that lead nowhere but where they say, and fixed answers.

use std::process::Command;

use haechi_e2e::{Gateway, Origin, Raw, Response, eventually, free, have, run};

use crate::{SPEC, config};

fn check(services: &str) -> (bool, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let origin = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let yaml = config(origin).replace("    auth: none\n", "    auth: none\n    base_path: /v1\n")
        + &format!("services:\n{services}");
    std::fs::write(directory.path().join("haechi.yaml"), yaml).expect("written");
    std::fs::write(directory.path().join("items.yaml"), SPEC).expect("written");
    std::fs::write(directory.path().join("long.txt"), vec![b'x'; 1024 * 1024 + 1]).expect("written");
    std::fs::write(directory.path().join("most.txt"), vec![b'x'; 1024 * 1024]).expect("written");
    let mut command = Command::new(haechi_e2e::binary());
    let output = command.arg("check").current_dir(directory.path()).output().expect("haechi runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn send(gateway: &Gateway, request: &str) -> Response {
    Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response")
}

fn field(response: &Response, name: &str) -> Option<String> {
    let mut fields = response.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

/// A gateway with an API over `https` only, and a redirect to there, on two listeners.
fn upgrading(origin: &Origin) -> (Gateway, u16) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let secure = free();
    let yaml = config(origin.address())
        .replace(
            "  - address: \"127.0.0.1:0\"\n",
            &format!(
                "  - address: \"127.0.0.1:0\"\n  - {{ address: \"{secure}\", tls: {{ cert: file:tls.pem, key: file:tls.key }} }}\n"
            ),
        )
        .replace("    auth: none\n", "    auth: none\n    scheme: https\n")
        + &format!(
            "services:\n  upgrade: {{ host: localhost, scheme: http, auth: none, methods: [GET, POST], \
             redirect: {{ to: \"https://{{host}}:{}{{path}}\" }} }}\n",
            secure.port()
        );
    let gateway = Gateway::start(&[
        ("haechi.yaml", &yaml),
        ("items.yaml", SPEC),
        ("tls.pem", &made.cert.pem()),
        ("tls.key", &made.signing_key.serialize_pem()),
    ]);
    (gateway, secure.port())
}

#[test]
fn curl_follows_from_http_to_https_without_a_loop() {
    if !have("curl") {
        return;
    }
    let origin = Origin::start();
    let (gateway, _) = upgrading(&origin);
    let url = format!("http://localhost:{}/items/7?size=M", gateway.address().port());
    for version in ["--http1.1", "--http2"] {
        let out = run(Command::new("curl").args([
            "--silent",
            "--insecure",
            "--ipv4",
            "--location",
            version,
            "--write-out",
            "%{http_code} %{num_redirects} %{scheme}",
            "--output",
            "/dev/null",
            &url,
        ]));
        assert_eq!(out.to_lowercase(), "200 1 https");
        let sent = origin.seen().last().expect("one more").head.clone();
        assert!(sent.starts_with("GET /items/7?size=M HTTP/1.1\r\n"), "{sent}");
    }
    // 308 keeps the method and the body, and the body is not read here.
    let url = url.replace("/items/7?size=M", "/items");
    let out = run(Command::new("curl").args([
        "--silent",
        "--insecure",
        "--ipv4",
        "--location",
        "--json",
        r#"{"name":"a","quantity":1}"#,
        "--write-out",
        "%{http_code} %{num_redirects}",
        "--output",
        "/dev/null",
        &url,
    ]));
    assert_eq!(out, "200 1");
    assert!(origin.seen().last().expect("one more").head.starts_with("POST /items HTTP/1.1\r\n"));
    assert_eq!(origin.seen().len(), 3, "what came over http was never sent on");
    let events = gateway.requests(6);
    let redirected: Vec<_> = events.iter().filter(|event| event["status"] == 308).collect();
    assert_eq!(redirected.len(), 3);
    for event in redirected {
        assert_eq!(
            (&event["decided_by"], &event["reason"]),
            (&"service".into(), &"redirect".into()),
            "{event}"
        );
        assert_eq!((&event["outcome"], &event["api"]), (&"forwarded".into(), &"upgrade".into()), "{event}");
    }
    let id = events.iter().find(|event| event["status"] == 308).expect("one")["id"].as_str().expect("an id");
    let why = String::from_utf8(gateway.verb(&["why", id]).stdout).expect("text");
    assert!(why.contains("answered here with 308 by service: redirect"), "{why}");
}

#[test]
fn no_spelling_leads_a_redirect_elsewhere() {
    let origin = Origin::start();
    let (gateway, port) = upgrading(&origin);
    let at_home = format!("https://localhost:{port}");
    for (target, location) in [
        ("/items", Some("/items")),
        ("//evil.example/", Some("/evil.example/")),
        ("///evil.example", Some("/evil.example")),
        ("/%2e%2e", None),
        ("/a/..//evil.example", Some("/evil.example")),
        ("/%5Cevil.example", None),
        ("/\\evil.example", None),
        ("/%2F%2Fevil.example", None),
        ("/%0d%0aSet-Cookie:a=b", None),
        ("/a?b=%0d%0aSet-Cookie:a=b", Some("/a?b=%0D%0ASet-Cookie:a%3Db")),
        ("/@evil.example", Some("/@evil.example")),
        ("/.evil.example", Some("/.evil.example")),
        ("/;@evil.example", Some("/;@evil.example")),
        ("/a#b", None),
        ("http://localhost/absolute", Some("/absolute")),
        ("http://evil.example/absolute", None),
        ("http://localhost@evil.example/", None),
    ] {
        let answer = send(&gateway, &format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        match location {
            Some(location) => {
                assert_eq!(answer.status, 308, "{target}: {}", answer.head);
                let expected = format!("{at_home}{location}");
                assert_eq!(field(&answer, "location").as_deref(), Some(&*expected), "{target}");
            }
            None => {
                assert!([400, 404].contains(&answer.status), "{target}: {}", answer.head);
                assert_eq!(field(&answer, "location"), None, "{target}");
            }
        }
        assert_eq!(field(&answer, "set-cookie"), None, "{target}");
    }
    // No other host is led anywhere, whoever names it.
    for fields in [
        "Host: evil.example\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: localhost:80@evil.example\r\n",
        "Host: evil.example\r\nX-Forwarded-Host: localhost\r\n",
    ] {
        let answer = send(&gateway, &format!("GET /items HTTP/1.1\r\n{fields}\r\n"));
        assert!([400, 404].contains(&answer.status), "{fields}: {}", answer.head);
        assert_eq!(field(&answer, "location"), None, "{fields}");
    }
    let forwarded = "GET /items HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(field(&send(&gateway, forwarded), "location"), Some(format!("{at_home}/items")));
    assert!(origin.seen().is_empty());
}

#[test]
fn a_proxys_word_about_the_scheme_counts_where_it_is_trusted() {
    let origin = Origin::start();
    let yaml = config(origin.address())
        .replace("\"127.0.0.1:0\"\n", "\"127.0.0.1:0\"\n    trusted_proxies: [127.0.0.1]\n")
        .replace("    auth: none\n", "    auth: none\n    scheme: https\n")
        + "services:\n  upgrade: { host: a, scheme: http, auth: none, redirect: { to: \"https://{host}{path}\" } }\n";
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let get = |proto: &str| {
        let request = format!(
            "GET /items/7 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: {proto}\r\n\r\n"
        );
        send(&gateway, &request)
    };
    assert_eq!(field(&get("http"), "location").as_deref(), Some("https://a/items/7"));
    assert_eq!(get("https").status, 200);
    let events = gateway.requests(2);
    let scheme = |status: u16| {
        events.iter().find(|event| event["status"] == status).expect("its event")["scheme"].clone()
    };
    assert_eq!((scheme(200), scheme(308)), ("https".into(), serde_json::Value::Null));
}

#[test]
fn fixed_answers_are_guarded_held_and_compressed() {
    let origin = Origin::start();
    let page = "<p>closed</p>".repeat(200);
    let yaml = config(origin.address()).replace("    auth: none\n", "    auth: none\n    base_path: /v1\n")
        + r#"services:
  robots: { path: /robots.txt, auth: none, respond: { status: 200, body: "User-agent: *\nDisallow: /v1\n", headers: { Cache-Control: max-age=3600 } } }
  closed: { prefix: /shop, auth: none, methods: [GET, POST], respond: { status: 503, headers: { Retry-After: "120" }, content_type: "text/html; charset=utf-8", body_file: closed.html } }
  up: { path: /up, auth: none, respond: { status: 204 } }
  secret: { path: /secret, auth: [partner], respond: { status: 200, body: secret } }
  home: { path: /, auth: none, plan: small, redirect: { to: /shop, status: 302 } }
identity:
  partner: { api_key: { header: X-Api-Key, collection: partners } }
plans:
  small: { rate: 1/h, burst: 1, per: address }
"#;
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC), ("closed.html", &page)]);
    let get =
        |path: &str, fields: &str| send(&gateway, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    let robots = get("/robots.txt", "");
    assert_eq!((robots.status, robots.body.as_slice()), (200, b"User-agent: *\nDisallow: /v1\n".as_slice()));
    assert_eq!(field(&robots, "content-type").as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(field(&robots, "cache-control").as_deref(), Some("max-age=3600"));
    let etag = field(&robots, "etag").expect("a tag");
    let held = get("/robots.txt", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((held.status, field(&held, "etag")), (304, Some(etag)));
    assert_eq!(get("/robots.txt/x", "").status, 404, "one path");
    assert_eq!(get("/Robots.txt", "").status, 404);
    assert_eq!(get("/x/../robots.txt", "").status, 200);
    let posted = send(&gateway, "POST /shop/cart HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!((posted.status, field(&posted, "retry-after").as_deref()), (503, Some("120")));
    assert_eq!(posted.body, page.as_bytes());
    let packed = get("/shop", "Accept-Encoding: gzip\r\n");
    assert_eq!(field(&packed, "content-encoding").as_deref(), Some("gzip"));
    assert!(packed.body.len() < page.len() / 2);
    assert_eq!(get("/up", "").status, 204);
    assert_eq!(get("/secret", "").status, 401);
    assert_eq!((get("/", "").status, get("/", "").status), (302, 429), "limits hold here, too");
    assert_eq!(send(&gateway, "DELETE /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n").status, 405);
    if have("curl") {
        let url = format!("http://{}/robots.txt", gateway.address());
        let head = run(Command::new("curl").args(["--silent", "--http2-prior-knowledge", "--head", &url]));
        assert!(head.starts_with("HTTP/2 200") && head.contains("content-length: 28"), "{head}");
        let body = run(Command::new("curl").args(["--silent", "--http2-prior-knowledge", &url]));
        assert!(body.contains("Disallow: /v1"), "{body}");
    }
    assert!(origin.seen().is_empty());
    let closed = gateway.event("of the shop", |event| event["path"] == "/shop/cart");
    assert_eq!((&closed["outcome"], &closed["reason"]), (&"forwarded".into(), &"respond".into()), "{closed}");
    // Another content is another snapshot, and is served by itself.
    std::fs::write(gateway.dir().join("closed.html"), "open soon").expect("written");
    eventually("the other content is served", || get("/shop", "").body == b"open soon");
}

#[test]
fn what_would_lead_astray_is_refused_where_it_stands() {
    for good in [
        "  a: { path: /, auth: none, redirect: { to: /shop } }\n",
        "  a: { host: a, scheme: http, auth: none, redirect: { to: \"https://{host}{path}\" } }\n  b: { host: a, scheme: https, auth: none, respond: { status: 204 } }\n",
        "  a: { host: pizza.example, auth: none, redirect: { to: \"https://www.pizza.example{path}\" } }\n",
        "  a: { auth: none, host: \"*.x\", redirect: { to: \"https://www.x{path}\" } }\n  b: { host: www.x, auth: none, respond: { status: 204 } }\n",
        "  a: { prefix: /old, auth: none, redirect: { to: \"/new{rest}\" } }\n  b: { prefix: /new, auth: none, redirect: { to: \"/v1/items{rest}\" } }\n",
        "  a: { prefix: /a, auth: none, respond: { status: 200, body_file: most.txt } }\n",
        "  a: { path: /a, auth: none, respond: { status: 204 } }\n  b: { prefix: /a, auth: none, respond: { status: 204 } }\n",
    ] {
        let (is_good, said) = check(good);
        assert!(is_good, "{good}{said}");
    }
    for (services, message) in [
        ("redirect: { to: \"{path}\" }", "leads to itself"),
        ("prefix: /old, redirect: { to: \"/old/new{rest}\" }", "leads to itself"),
        ("host: a, redirect: { to: \"https://{host}{path}\" }", "leads to itself"),
        ("host: a, scheme: https, redirect: { to: \"https://a:8443{path}\" }", "leads to itself"),
        ("redirect: { to: \"https://www.example{path}\" }", "leads to itself"),
        (
            "prefix: /x, redirect: { to: \"/y{rest}\" } }\n  b: { auth: none, prefix: /y, redirect: { to: \"/x{rest}\" }",
            "leads to itself, over `b`",
        ),
        ("redirect: { to: \"https://{host}{path}\" }", "a caller could make up the host"),
        ("host: a, redirect: { to: \"https://{host}.evil{path}\" }", "behind `{host}` stands a port"),
        ("host: a, redirect: { to: \"https://x.{host}{path}\" }", "a URL's whole host"),
        ("host: a, redirect: { to: \"https://{path}\" }", "no host name"),
        ("host: a, redirect: { to: \"https://u:p@b/\" }", "no user name"),
        ("host: a, redirect: { to: \"https://b:0/\" }", "no port"),
        ("host: a, redirect: { to: \"//b{path}\" }", "not in canonical form"),
        ("host: a, redirect: { to: \"/{path}\" }", "not in canonical form"),
        ("host: a, redirect: { to: \"/a/../b\" }", "not in canonical form"),
        ("host: a, redirect: { to: \"https://b{rest}c\" }, prefix: /x", "not in canonical form"),
        ("host: a, redirect: { to: \"javascript:alert(1)\" }", "expected a path, or a URL"),
        ("host: a, redirect: { to: \"ftp://a/b\" }", "expected a path, or a URL"),
        ("host: a, redirect: { to: \"/a?b={path}\" }", "a fixed text"),
        ("host: a, redirect: { to: \"/a{hots}\" }", "no placeholder is named `{hots}`"),
        ("host: a, redirect: { to: \"/a/{host}\" }", "a URL's whole host"),
        ("redirect: { to: /a, status: 300 }", "expected `301`"),
        (
            "redirect: { to: /a }, rewrite: { strip_prefix: /a }",
            "`rewrite` is for services with an `upstream`",
        ),
        ("redirect: { to: /a }, respond: { status: 204 }", "one of `redirect` and `respond`"),
        ("methods: [GET]", "one of `upstream`, `redirect` and `respond`"),
        ("path: /a, prefix: /a, respond: { status: 204 }", "one of `path` and `prefix`"),
        ("path: a, respond: { status: 204 }", "a path begins with `/`"),
        ("path: /%61, respond: { status: 204 }", "the prefix is written `/a`"),
        ("respond: { status: 304 }", "write `redirect`"),
        ("respond: { status: 401 }", "that is what `auth` does"),
        ("respond: { status: 204, body: a }", "has no content"),
        ("respond: { status: 200, body: a, body_file: b }", "one of `body` and `body_file`"),
        ("respond: { status: 200, body_file: missing.txt }", "cannot read"),
        ("respond: { status: 200, body_file: long.txt }", "longer than 1 MiB"),
        ("respond: { status: 200, content_type: html }", "expected a type such as"),
        (
            "respond: { status: 200, headers: { Content-Length: \"1\" } }",
            "`Content-Length` is the gateway's own",
        ),
        ("respond: { status: 200, headers: { ETag: a } }", "follows from the content"),
        ("respond: { status: 200, headers: { X-A: \"a\\r\\nX-B: b\" } }", "visible ASCII"),
    ] {
        let (is_good, said) = check(&format!("  a: {{ auth: none, {services} }}\n"));
        assert!(!is_good && said.contains(message) && said.contains("haechi.yaml:"), "{services}\n{said}");
    }
}
