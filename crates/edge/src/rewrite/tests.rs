use std::path::Path;
use std::time::UNIX_EPOCH;

use haechi_config::Config;
use proptest::prelude::*;

use super::*;

/// A rewrite as it would be written.
fn rewrite(settings: &str) -> Rewrite {
    let text = format!(
        "haechi: 1\nlisten: [{{ address: \"127.0.0.1:1\" }}]\nservices:\n  a: {{ upstream: {{ urls: [\"http://a\"] }}, auth: none, rewrite: {{ {settings} }} }}\n"
    );
    let config = Config::parse(&text, Path::new("haechi.yaml")).unwrap_or_else(|wrong| panic!("{wrong}"));
    Rewrite::new(&config.services[0].1.rewrite)
}

fn sent(settings: &str, path: &str) -> Option<String> {
    let path = CanonicalPath::parse(path.as_bytes()).expect("a path");
    rewrite(settings).path(&path).map(|sent| sent.path.as_str().to_owned())
}

#[test]
fn whole_segments_are_taken_and_put() {
    for (settings, path, expected) in [
        ("strip_prefix: /v1", "/v1/items/7", "/items/7"),
        ("strip_prefix: /v1", "/v1", "/"),
        ("strip_prefix: /v1", "/v1/", "/"),
        ("strip_prefix: /v1", "/v10/items", "/v10/items"),
        ("strip_prefix: /v1, add_prefix: /internal", "/v1/items", "/internal/items"),
        ("strip_prefix: /v1, add_prefix: /internal", "/v1", "/internal"),
        ("add_prefix: /internal", "/", "/internal/"),
        ("host: keep", "/a/%2E%2e/b;c", "/b;c"),
        ("strip_prefix: /v1", "/v1/%252e%252e/x", "/%252e%252e/x"),
    ] {
        assert_eq!(sent(settings, path).as_deref(), Some(expected), "{settings} {path}");
    }
}

#[test]
fn the_first_pattern_that_fits_the_whole_path_makes_another_between_the_prefixes() {
    const SHOP: &str = r#"strip_prefix: /v1, add_prefix: /internal, path: [
        { pattern: "/shop/(?<item>[0-9]+)(?:/(?<part>[a-z]+))?", to: "/items/{item}/of/{part}" },
        { pattern: "/shop/(.*)", to: "/other/{1}" }, { pattern: "/all(/.*)?", to: "{1}" }, { pattern: "/", to: "/home" } ]"#;
    for (path, expected) in [
        ("/v1/shop/7/top", "/internal/items/7/of/top"),
        ("/v1/shop/7/", "/internal/other/7/"),
        ("/v1/shop/a/b/c", "/internal/other/a/b/c"),
        ("/v1/shop/a%20b", "/internal/other/a%20b"),
        ("/x/v1/shop/7", "/internal/x/v1/shop/7"),
        ("/v1/shopping/7", "/internal/shopping/7"),
        ("/v1/all", "/internal"),
        ("/v1/all/x", "/internal/x"),
        ("/v1", "/internal/home"),
        ("/v1/", "/internal/home"),
    ] {
        assert_eq!(sent(SHOP, path).as_deref(), Some(expected), "{path}");
    }
    let none = sent(SHOP, "/v1/shop/7");
    assert_eq!(none.as_deref(), Some("/internal/items/7/of/"), "a group that took no part is empty");
}

#[test]
fn what_is_not_canonical_is_never_sent() {
    for (settings, path) in [
        ("add_prefix: /internal/x//y", "/items"),
        ("add_prefix: /..", "/items"),
        ("add_prefix: /a%2", "/items"),
        ("path: [{ pattern: \"(.*)\", to: \"/a/{1}\" }]", "/x"),
        ("path: [{ pattern: \"/(.*)\", to: \"{1}\" }]", "/x"),
        ("path: [{ pattern: \"/a(.*)\", to: \"/{1}./x\" }]", "/a."),
        ("path: [{ pattern: \"(/[^/]*)(/.*)\", to: \"/a?b={2}\" }]", "/x/y"),
        ("path: [{ pattern: \"/.*%([0-9A-F])([0-9A-F])\", to: \"/%{2}{1}\" }]", "/%E2%82%AC/%C3%A9"),
    ] {
        assert_eq!(sent(settings, path), None, "{settings} {path}");
    }
}

proptest! {
    /// Whatever a caller writes, and whatever a pattern makes of it: what is sent is canonical, or nothing is.
    #[test]
    fn a_rewritten_path_is_canonical_or_refused(
        raw in r"(/|[a-z.;:@%]|%2e|%2f|%5c|%00|\.\.|//|é|[\x00-\x20]){1,16}",
        pattern in prop::sample::select(vec!["(.*)", "/(.*)", "/([^/]*)(/.*)?", "/?([.%;]*)(.*)", "(?<a>/.)(?<b>.*)"]),
        to in prop::sample::select(vec!["{0}", "/{0}", "{1}", "/{1}/", "/x{1}", "/..{1}", "/{1}/../x", "/%2{1}", "/.{1}", "{1}{1}"]),
        around in prop::sample::select(vec!["host: keep", "strip_prefix: /a", "add_prefix: /b", "strip_prefix: /a, add_prefix: /b"]),
    ) {
        let Ok(path) = CanonicalPath::parse(raw.as_bytes()) else { return Ok(()) };
        let rewrite = rewrite(&format!("{around}, path: [{{ pattern: \"{pattern}\", to: \"{to}\" }}]"));
        if let Some(SentPath { path: sent, .. }) = rewrite.path(&path) {
            let text = sent.as_str();
            let again = CanonicalPath::parse(text.as_bytes()).expect("a path");
            prop_assert_eq!(again.as_str(), text);
            prop_assert!(text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
            let climbs = text.split('/').any(|segment| matches!(segment, "." | ".."));
            prop_assert!(!climbs && !text.contains("//") && !text.contains(['?', '#', '\\']), "{}", text);
        }
    }

    /// Whoever calls, by whatever name: a value is one line of its own field, or the field is not written.
    #[test]
    fn no_value_becomes_another_field(subject in r"([a-z]|\r\n|\n|\x00|\t|: |é|X-B: b){0,12}") {
        let principal = principal(&subject);
        let told = Told { principal: Some(&principal), ..told() };
        let rewrite = rewrite(r#"request_headers: { set: { X-A: "a{principal}", X-B: "{principal}" }, add: { X-C: "{principal}" } }"#);
        let mut headers = HeaderMap::from_iter([(HeaderName::from_static("x-b"), HeaderValue::from_static("caller"))]);
        let written = rewrite.request.write(&told);
        written.apply(&mut headers);
        let hidden = |byte: u8| byte.is_ascii_control() && byte != b'\t';
        prop_assert_eq!(written.unwritable.is_some(), subject.bytes().any(hidden));
        for (name, value) in &headers {
            prop_assert!(["x-a", "x-b", "x-c"].contains(&name.as_str()) && !value.as_bytes().iter().copied().any(hidden));
        }
        let caller = headers.get_all("x-b").iter().any(|value| value == "caller");
        prop_assert!(!caller, "what the caller said is gone, whether or not there is something else to say");
    }
}

fn principal(subject: &str) -> Principal {
    Principal {
        identity: "customer".into(),
        subject: subject.into(),
        credential: "x".into(),
        kind: haechi_guard::CredentialKind::Token,
        collection: None,
        client: None,
        scopes: Vec::new(),
        claims: serde_json::Map::new(),
    }
}

fn told() -> Told<'static> {
    Told {
        id: RequestId::generate(UNIX_EPOCH),
        client: IpAddr::from([192, 0, 2, 7]),
        principal: None,
        api: "items",
        operation: "getItem",
        channel: "app",
        method: "GET",
        secure: true,
        host: "a.example:8443",
        path: "/items/7",
        groups: &[],
    }
}

#[test]
fn values_tell_of_the_call_and_what_is_not_known_is_not_told() {
    let rewrite = rewrite(
        r#"path: [{ pattern: "/(?<tenant>[a-z]+)/.*", to: "/" }],
        request_headers: {
            set: { X-Call: "{api}.{operation} {method} {scheme}://{host}{path}", X-Who: "{client} {channel} {request_id}",
                   X-Subject: "{principal}", X-Tenant: "{tenant}", X-Fixed: "{{a}}" },
            add: { Via: "1.1 {api}" }, remove: [X-Debug] }"#,
    );
    let mut headers = HeaderMap::new();
    for name in ["x-call", "x-subject", "x-tenant", "x-debug", "via"] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static("caller"));
    }
    let told = told();
    rewrite.request.write(&told).apply(&mut headers);
    assert_eq!(headers["x-call"], "items.getItem GET https://a.example:8443/items/7");
    assert_eq!(headers["x-who"], format!("192.0.2.7 app {}", told.id));
    assert_eq!(headers["x-fixed"], "{a}");
    assert_eq!(headers.get_all("via").iter().collect::<Vec<_>>(), ["caller", "1.1 items"]);
    for absent in ["x-subject", "x-tenant", "x-debug"] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
    let groups = [("tenant".into(), "pizza".to_owned())];
    let principal = principal("u-1");
    let told = Told { groups: &groups, principal: Some(&principal), ..told };
    rewrite.request.write(&told).apply(&mut headers);
    assert_eq!(
        (&headers["x-tenant"], &headers["x-subject"]),
        (&"pizza".parse().unwrap(), &"u-1".parse().unwrap())
    );
}

#[test]
fn a_value_is_as_long_as_a_target_may_be_and_no_longer() {
    let rewrite = rewrite(r#"request_headers: { set: { X-Path: "{path}" } }"#);
    for (length, fits) in [(VALUE, true), (VALUE + 1, false)] {
        let path = "/".repeat(length);
        let told = Told { path: &path, ..told() };
        assert_eq!(rewrite.request.write(&told).unwritable.is_none(), fits, "{length}");
    }
}

#[test]
fn an_upstream_is_told_its_own_name_or_the_callers_or_a_third() {
    for (settings, asked, told) in [
        ("add_prefix: /a", "a.example", None),
        ("host: keep", "a.example:81", Some("a.example:81")),
        ("host: keep", "", None),
        ("host: Shop.example:82", "a.example", Some("shop.example:82")),
    ] {
        let host = rewrite(settings).host(asked);
        assert_eq!(host.as_ref().and_then(|ToldHost(host)| host.to_str().ok()), told, "{settings}");
    }
}
