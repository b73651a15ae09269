use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"haechi: 1
workers: 2
listen:
  - address: "127.0.0.1:8443"
    tls: { cert: file:tls.pem, key: secret:tls-key, min_version: "1.3" }
    trusted_proxies: ["10.0.0.0/8"]
    protocols: [http1, http2]
data: ./data
control: { socket: ./h.sock, metrics: "127.0.0.1:9464" }
secrets: { dir: ./secrets }
limits:
  head: 16KiB
  timeouts: { idle: 5s }
identity:
  customer: { jwt: { issuer: "https://id.example", audience: [pizza], jwks: discover, algorithms: [ES256] } }
  partner: { api_key: { header: X-Partner-Key, collection: partners } }
plans:
  default: { rate: 20/s, burst: 40 }
  partners: { rate: 200/s, per: credential }
apis:
  orders:
    openapi: ./orders.yaml
    host: api.example
    base_path: /v1
    upstream: { urls: ["http://127.0.0.1:9001"], timeout: 800ms }
    auth: [customer, partner]
    plan: { default: default, partner: partners }
    validate: { response: observe }
    operations:
      getMenu: { auth: none, body: 4KiB, expose: false }
events: { dir: ./events, max_size: 10MiB, max_age: 1d }
telemetry: { otlp: { endpoint: "http://127.0.0.1:4318", sample: 50% } }
modes: { limits: observe }
"#;

fn parse(text: &str) -> Result<Config, Diagnostics> {
    Config::parse(text, Path::new("/etc/haechi/haechi.yaml"))
}

/// The one mistake in `GOOD` with `from` replaced by `to`: place, message, help.
fn mistake(from: &str, to: &str) -> (usize, usize, String, String) {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "`{from}` is not there");
    let wrong = parse(&text).expect_err(to);
    let [one] = wrong.list() else { panic!("{wrong}") };
    (one.line, one.column, one.message.clone(), one.help.clone().unwrap_or_default())
}

#[test]
fn a_good_file_is_read_whole() {
    let config = parse(GOOD).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(config.workers, Some(2));
    assert_eq!(config.data, Path::new("/etc/haechi/./data"));
    assert!(!config.listen[0].tls.as_ref().expect("TLS").tls12);
    assert_eq!(config.limits.head, 16 * 1024);
    assert_eq!(config.limits.headers, 100);
    let orders = &config.apis[0].1;
    let settings = crate::effective(&config, orders, "getMenu");
    assert_eq!((settings.auth, settings.body, settings.exposed), (crate::model::Auth::None, 4096, false));
    assert_eq!(settings.limits, haechi_guard::Mode::Observe);
    assert_eq!(settings.timeout, std::time::Duration::from_millis(800));
    let other = crate::effective(&config, orders, "other");
    assert_eq!(other.body, 1024 * 1024);
    assert_eq!(config.plans["partners"].burst, 200);
}

/// Line and column of `place` in `GOOD` with `from` replaced by `to`.
fn position(from: &str, to: &str, place: &str) -> (usize, usize) {
    let text = GOOD.replacen(from, to, 1);
    let changed = GOOD.find(from).expect("there");
    let at = changed + text.split_at(changed).1.find(place).expect("there");
    let before = text.split_at(at).0;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, at - line_start + 1)
}

#[test]
fn every_mistake_is_located_and_explained() {
    for (from, to, place, message, help) in [
        ("listen:", "lissten:", "lissten", "unknown field `lissten`", "did you mean `listen`?"),
        ("    host: api", "    hots: api", "hots", "unknown field `hots`", "did you mean `host`?"),
        ("timeout: 800ms", "timeout: 800", "800 ", "a duration needs a unit: `ms`, `s`, `m`, `h` or `d`", ""),
        (
            "timeout: 800ms",
            "timeout: soon",
            "soon",
            "expected a duration such as `800ms`, `2s`, `5m`, `1h` or `7d`",
            "",
        ),
        ("head: 16KiB", "head: 16", "16\n", "a size needs a unit: `B`, `KiB`, `MiB` or `GiB`", ""),
        ("rate: 20/s", "rate: 20", "20,", "expected a rate such as `20/s`, `600/min` or `50k/day`", ""),
        (
            "[customer, partner]",
            "[custommer, partner]",
            "custommer",
            "no identity is named `custommer`",
            "did you mean `customer`?",
        ),
        (
            "default: default,",
            "default: nothing,",
            "nothing",
            "no plan is named `nothing`",
            "declared under `plans`: default, partners",
        ),
        (
            "[customer, partner]",
            "[]",
            "[]\n",
            "an empty list lets nobody in: name identities, or write `auth: none`",
            "",
        ),
        ("expose: false", "expose: no", "no }", "expected true or false, found `no`: write `false`", ""),
        ("response: observe", "response: observed", "observed", "expected `off`, `observe` or `enforce`", ""),
        (
            "key: secret:tls-key",
            "key: hunter2",
            "hunter2",
            "expected a reference to a secret: `file:PATH`, `env:NAME` or `secret:NAME`",
            "",
        ),
        ("haechi: 1", "haechi: 2", "2\n", "`haechi` is a number from 1 to 1", ""),
        (
            "metrics: \"127.0.0.1:9464\"",
            "metrics: \"0.0.0.0:9464\"",
            "\"0.0.0.0:9464",
            "metrics are served on a loopback address only",
            "",
        ),
        (
            "[ES256]",
            "[HS256]",
            "HS256",
            "expected `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384` or `EdDSA`",
            "did you mean `RS256`?",
        ),
        (
            "[\"http://127.0.0.1:9001\"]",
            "[\"ftp://a\"]",
            "\"ftp",
            "expected a URL that begins with `http://` or `https://`",
            "",
        ),
    ] {
        let (found, at) = (mistake(from, to), position(from, to, place));
        assert_eq!((found.2.as_str(), found.0, found.1), (message, at.0, at.1), "{to}");
        assert_eq!(found.3, help, "{to}");
    }
}

#[test]
fn missing_authentication_is_not_open() {
    let (line, _, message, help) = mistake("    auth: [customer, partner]\n", "");
    assert_eq!((line, message.as_str()), (21, "the field `auth` is missing: who may call this API?"));
    assert_eq!(help, "write `auth: [customer]`, or `auth: none` if everybody may");
}

#[test]
fn what_yaml_offers_beyond_plain_values_is_refused() {
    for (from, to, line, code) in [
        ("data: ./data", "data: ./data\ndata: ./other", 9, "duplicate-key"),
        ("data: ./data", "data: &d ./data", 8, "anchor"),
        ("control: {", "control: { <<: { socket: a },", 9, "merge-key"),
        ("  head: 16KiB", "\thead: 16KiB", 12, "yaml"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        let wrong = parse(&text).expect_err(to);
        let [one] = wrong.list() else { panic!("{wrong}") };
        assert_eq!((one.code, one.line), (code, line), "{wrong}");
    }
}

#[test]
fn all_mistakes_are_found_at_once() {
    let text = GOOD.replace("16KiB", "16").replace("20/s", "20").replace("observe", "watch");
    assert_eq!(parse(&text).expect_err("refused").list().len(), 4);
}

#[test]
fn an_empty_file_says_what_is_missing() {
    let wrong = parse("").expect_err("refused");
    let messages: Vec<_> = wrong.list().iter().map(|one| one.message.as_str()).collect();
    for field in ["haechi", "listen", "apis"] {
        assert!(messages.contains(&format!("the field `{field}` is missing").as_str()), "{messages:?}");
    }
}

#[test]
fn a_bomb_is_refused() {
    let deep = format!("haechi: {}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(parse(&deep).is_err());
    assert!(parse(&"a".repeat(5 * 1024 * 1024)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_file_never_panics_and_every_mistake_lies_inside(
        at in 0..GOOD.len(), len in 0usize..12, junk in "[ -~\\n\\t]{0,6}",
    ) {
        let mut text = GOOD.to_owned();
        text.replace_range(at..(at + len).min(GOOD.len()), &junk);
        if let Err(wrong) = parse(&text) {
            prop_assert!(!wrong.list().is_empty());
            for one in wrong.list() {
                prop_assert!(one.line <= text.lines().count() + 1, "{}", wrong);
            }
            let _ = (wrong.render(true), wrong.to_json());
        }
    }
}
