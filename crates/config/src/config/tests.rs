use proptest::prelude::*;

use super::*;
use crate::model::BodyLimit;

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
fn lists_are_read_and_their_mistakes_told() {
    let lists = "lists: { office: { entries: [\"192.0.2.0/24\", NO, AS4766], files: ./office.txt } }\n\
        geo: { asn: ./asn.mmdb }\ncallers: { allow: office }\napis:";
    let config = parse(&GOOD.replacen("apis:", lists, 1)).unwrap_or_else(|wrong| panic!("{wrong}"));
    let office = &config.lists["office"];
    let shown: Vec<_> = office.entries.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["192.0.2.0/24", "NO", "AS4766"], "a country is no boolean");
    assert_eq!(office.files, [Path::new("/etc/haechi/./office.txt")]);
    assert_eq!(config.geo.asn.as_deref(), Some(Path::new("/etc/haechi/./asn.mmdb")));
    assert_eq!(config.callers.allow, ["office"]);
    let with = |lists: &str| mistake("apis:", &format!("{lists}\napis:"));
    let (line, column, message, _) = with("lists: { a: { entries: [KR, 10.0.0.1/8] } }");
    assert_eq!((line, column), (20, 29));
    assert!(message.contains("write that, or `10.0.0.1` alone"), "{message}");
    assert!(with("lists: { a: { entries: [4766] } }").2.contains("(`AS4766`), found a number"));
    let (.., message, help) = with("lists: { a: {} }");
    assert!(message.contains("holds nobody") && help.contains("one entry a line"));
    let (.., message, help) = with("lists: { office: { entries: [KR] } }\ncallers: { deny: [ofice] }");
    assert_eq!((message.as_str(), help.as_str()), ("no list is named `ofice`", "did you mean `office`?"));
    let many: Vec<_> = (0..65).map(|n| format!("l{n}: {{ entries: [KR] }}")).collect();
    assert!(with(&format!("lists: {{ {} }}", many.join(", "))).2.contains("at most 64 lists"));
    assert!(
        parse(&GOOD.replacen("apis:", &format!("lists: {{ {} }}\napis:", many[1..].join(", ")), 1)).is_ok()
    );
    let files = ["f.txt"; 17].join(", ");
    assert!(with(&format!("lists: {{ a: {{ files: [{files}] }} }}")).2.contains("at most 16 files"));
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
    assert_eq!(
        (settings.auth, settings.body, settings.exposed),
        (crate::model::Auth::None, BodyLimit::Bytes(4096), false)
    );
    assert_eq!(settings.limits, haechi_guard::Mode::Observe);
    assert_eq!(settings.timeout, std::time::Duration::from_millis(800));
    let other = crate::effective(&config, orders, "other");
    assert_eq!(other.body, BodyLimit::Bytes(1024 * 1024));
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
        ("{ idle: 5s }", "{ idle: 0s }", "0s", "a time of zero would end everything at once", ""),
        ("timeout: 800ms", "timeout: 0ms", "0ms", "a time of zero would end everything at once", ""),
        ("workers: 2", "workers: \"2\"", "\"2\"", "expected a whole number: write 2, without quotes", ""),
        ("workers: 2", "workers: 010", "010", "expected a whole number, found a text", ""),
        ("workers: 2", "workers: 1_0", "1_0", "expected a whole number, found a text", ""),
        ("workers: 2", "workers: 2.0", "2.0", "expected a whole number", ""),
        (
            "expose: false",
            "expose: \"false\"",
            "\"false\"",
            "expected true or false, found `false`: write `false` without quotes",
            "",
        ),
        (
            "data: ./data",
            "data: !!str ./data",
            "./data",
            "expected a text, found a tag, which is not used here",
            "",
        ),
        ("data: ./data", "data: [./data]", "[", "expected a text, found a list", ""),
        ("modes: { limits: observe }", "modes: 5", "5", "expected a mapping, found a number", ""),
        (
            "[customer, partner]",
            "[customer, none]",
            "none]",
            "`none` is no identity",
            "write `auth: none`, without a list, if everybody may call",
        ),
        (
            "auth: none,",
            "auth: None,",
            "None",
            "`None` is no identity",
            "write `auth: none`, without a list, if everybody may call",
        ),
        (
            "  head: 16KiB",
            "  head: 4KiB",
            "4KiB",
            "the target (`target`) is part of the head (`head`): it is no larger",
            "",
        ),
        ("  head: 16KiB", "  head: 1025KiB", "1025KiB", "`head` is at most 1MiB", ""),
        (
            "  head: 16KiB",
            "  body: 257MiB",
            "257MiB",
            "a single body (`body`) may be larger than all bodies together (`body_memory`)",
            "",
        ),
        (
            "body: 4KiB",
            "body: 257MiB",
            "257MiB",
            "a single body (`body`) may be larger than all bodies together (`body_memory`)",
            "",
        ),
        (
            "expose: false }",
            "validate: { unknown_paths: observe } }",
            "unknown_paths",
            "unknown field `unknown_paths`",
            "possible here: `request`, `response`, `unknown_parameters`",
        ),
        (
            "X-Partner-Key",
            "Cookie",
            "Cookie",
            "`cookie` cannot carry keys: name a header of its own, such as `X-Api-Key`",
            "",
        ),
        (
            "metrics: \"127.0.0.1:9464\"",
            "metrics: \"127.0.0.1:8443\"",
            "\"127",
            "`127.0.0.1:8443` is a listener's address already",
            "",
        ),
        ("max_size: 10MiB", "max_size: 10KiB", "10KiB", "`max_size` is at least 1MiB", ""),
        (
            "sample: 50%",
            "sample: 101%",
            "101%",
            "expected a percentage from 0% to 100% such as `1%` or `0.5%`",
            "",
        ),
        ("[pizza]", "[]", "[]", "expected at least one audience", ""),
        ("jwks: discover", "jwks: somewhere", "somewhere", "expected a URL, `file:PATH` or `discover`", ""),
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
fn an_unfinished_field_is_not_an_unwritten_one() {
    for (from, to) in [
        ("    plan: { default: default, partner: partners }", "    plan:"),
        ("    auth: [customer, partner]", "    auth:"),
        ("auth: none,", "auth: ~,"),
        ("trusted_proxies: [\"10.0.0.0/8\"]", "trusted_proxies:"),
        ("  head: 16KiB", "  head:"),
    ] {
        let (line, column, message, help) = mistake(from, to);
        let field = to.trim_start().split(':').next().expect("a name");
        let at = position(from, to, field);
        assert_eq!((line, column, message), (at.0, at.1, format!("the field `{field}` has no value")));
        assert_eq!(help, "write one, or remove the field");
    }
    // Plaintext is spoken where `tls` is not written, not where it is not finished.
    let text = GOOD.replace("tls: { cert: file:tls.pem, key: secret:tls-key, min_version: \"1.3\" }", "tls:");
    let wrong = parse(&text).expect_err("refused");
    let found: Vec<_> = wrong.list().iter().map(|one| (one.line, one.column, one.message.as_str())).collect();
    assert_eq!(found, [(5, 5, "the field `cert` is missing"), (5, 5, "the field `key` is missing")]);
    // A section that has no required field may stand empty.
    parse(&GOOD.replace("modes: { limits: observe }", "modes:\n")).expect("read");
}

#[test]
fn words_with_a_meaning_name_no_identity() {
    for name in ["none", "default"] {
        let text = GOOD
            .replacen("  partner: {", &format!("  {name}: {{"), 1)
            .replace("[customer, partner]", "[customer]")
            .replace("{ default: default, partner: partners }", "default");
        let wrong = parse(&text).expect_err(name);
        let one = wrong.list().first().expect("a mistake");
        assert_eq!((one.code, one.line, one.column), ("invalid-name", 16, 3), "{wrong}");
    }
    let long = "n".repeat(100);
    parse(&GOOD.replace("customer", &long)).expect("a name of the largest length");
    for name in [&format!("{long}n"), "\"\"", "\"a b\"", "\"\\e[2J\""] {
        let text = GOOD.replacen("  customer: {", &format!("  {name}: {{"), 1);
        let wrong = parse(&text).expect_err(name);
        assert_eq!(
            wrong.list().first().map(|one| (one.code, one.line)),
            Some(("invalid-name", 15)),
            "{wrong}"
        );
        assert!(!wrong.render(false).contains('\x1b'));
    }
}

#[test]
fn mistakes_beside_each_other_are_all_found() {
    for (from, to) in [
        ("{ idle: 5s }", "{ idle: soon, head: soon }"),
        ("], timeout: 800ms }", "], timeout: soon, connect_timeout: soon }"),
        ("jwks: discover,", "jwks: somewhere, leeway: soon,"),
        ("dir: ./events, max_size: 10MiB", "dir: [], max_size: 10"),
        ("head: 16KiB", "head: 16\n  target: 8"),
    ] {
        let wrong = parse(&GOOD.replacen(from, to, 1)).expect_err(to);
        assert_eq!(wrong.list().len(), 2, "{wrong}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_never_shown() {
    for (from, to) in [
        ("key: secret:tls-key", "key: hunter2"),
        ("key: secret:tls-key", "keyy: hunter2"),
        ("cert: file:tls.pem, key: secret:tls-key", "cert: 5, key: hunter2, colour: red"),
        ("\"http://127.0.0.1:9001\"", "\"http://bob:hunter2@h\""),
        ("\"http://127.0.0.1:9001\"", "\"http://bob:hunter2/x@h\""),
        ("jwks: discover", "jwks: \"https://bob:hunter2@id.example\""),
        ("endpoint: \"http://127.0.0.1:4318\"", "endpoint: \"http://bob:hunter2@h\""),
    ] {
        let wrong = parse(&GOOD.replacen(from, to, 1)).expect_err(to);
        for shown in [
            wrong.render(false),
            wrong.render(true),
            wrong.to_string(),
            format!("{wrong:?}"),
            wrong.to_json().to_string(),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(wrong.render(false).contains("*****"), "{wrong}");
    }
    let fine = parse(&GOOD.replacen("timeout: 800ms", "timeout: 800", 1)).expect_err("refused");
    assert!(fine.render(false).contains("http://127.0.0.1:9001"), "an honest URL is shown");
}

#[test]
fn the_list_of_mistakes_ends() {
    let many: String = (0..5_000).map(|n| format!("field{n}: 1\n")).collect();
    let wrong = parse(&format!("{GOOD}{many}")).expect_err("refused");
    assert_eq!(wrong.list().len(), 101);
    let more = wrong.list().iter().find(|one| one.code == "more").expect("says that there are more");
    assert_eq!(more.message, "the file has 4900 more mistakes");
}

#[test]
fn a_setting_is_found_by_its_keys() {
    let config = parse(GOOD).expect("good");
    let at = |path: &[&str]| config.locate(path).map(|place| (place.line, place.column));
    assert_eq!(at(&["apis", "orders", "openapi"]), Some((22, 14)));
    assert_eq!(at(&["apis", "orders", "operations", "getMenu"]), Some((30, 7)));
    assert_eq!(at(&["listen", "0", "tls", "key"]), Some((5, 37)));
    assert_eq!(at(&["apis", "orders", "operations", "getMenuu"]), at(&["apis", "orders", "operations"]));
    let path = ["apis", "orders", "openapi"];
    let wrong = config.diagnose(&path, Diagnostic::new("contract", "does not load").help("write one"));
    let expected = "error: does not load\n  --> /etc/haechi/haechi.yaml:22:14\n   |\n22 |     openapi: ./orders.yaml\n   |              ^^^^^^^^^^^^^\n   = help: write one\n\n";
    assert_eq!(wrong.render(false), expected);
}

#[test]
fn keys_that_others_can_read_or_change_are_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("tls.key");
    std::fs::write(&key, "key").expect("written");
    let text = GOOD.replace("secret:tls-key", "file:tls.key");
    let warnings = |mode: u32, text: &str| {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).expect("set");
        let config = Config::parse(text, &dir.path().join("haechi.yaml")).expect("good");
        let list: Vec<_> = config.warnings().list().iter().map(|one| (one.code, one.line)).collect();
        list
    };
    assert_eq!(warnings(0o640, &text), []);
    assert_eq!(warnings(0o644, &text), [("open-key", 5)]);
    let plaintext = |issuer: &str| text.replace("https://id.example", issuer);
    assert_eq!(warnings(0o600, &plaintext("http://id.example")), [("plaintext-keys", 15)]);
    assert_eq!(warnings(0o600, &plaintext("http://127.0.0.1:9")), []);
    let config = parse(&GOOD.replace("https://id", "http://id")).expect("good");
    assert!(config.warnings().render(false).starts_with("warning: the keys that `customer` trusts"));
}

#[test]
fn what_yaml_offers_beyond_plain_values_is_refused() {
    for (from, to, line, code) in [
        ("data: ./data", "data: ./data\ndata: ./other", 9, "duplicate-key"),
        ("data: ./data", "data: &d ./data", 8, "anchor"),
        ("control: {", "control: { <<: { socket: a },", 9, "merge-key"),
        ("  head: 16KiB", "\thead: 16KiB", 12, "yaml"),
        ("data: ./data", "data: *table", 8, "anchor"),
        ("data: ./data", "data: !include ./data", 8, "tag"),
        ("data: ./data", "? [data]\n: ./data", 8, "yaml"),
        ("data: ./data", "---\ndata: ./data", 8, "yaml"),
        ("workers: 2", "workers: .inf", 2, "yaml"),
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

/// Found by fuzzing: YAML counted lines that the file does not have.
#[test]
fn a_bare_carriage_return_is_refused_where_it_is() {
    let wrong = parse("haechi: 1\n  # x\rlisten: []\n").expect_err("refused");
    let [one] = wrong.list() else { panic!("{wrong}") };
    assert_eq!((one.line, one.column), (2, 6), "{wrong}");
    assert!(parse(&GOOD.replace('\n', "\r\n")).is_ok(), "lines may end as on Windows");
}

#[test]
fn a_bomb_is_refused() {
    let code = |text: &str| parse(text).expect_err("refused").list().first().map(|one| one.code);
    assert_eq!(code(&format!("haechi: {}1{}", "[".repeat(5_000), "]".repeat(5_000))), Some("too-large"));
    assert_eq!(code(&format!("haechi: {}", "[".repeat(100_000))), Some("too-large"));
    assert_eq!(code(&format!("haechi: [{}]", "a,".repeat(500_000))), Some("too-large"));
    assert_eq!(code("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"), Some("anchor"));
}

#[test]
fn a_file_of_the_largest_size_is_read_and_a_larger_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("haechi.yaml");
    let padded = |size: usize| format!("{GOOD}#{}", "x".repeat(size - GOOD.len() - 1));
    let largest = padded(4 * 1024 * 1024);
    parse(&largest).expect("read");
    for text in [format!("{largest}x"), format!("{largest}{largest}")] {
        std::fs::write(&file, &text).expect("written");
        for refused in [parse(&text), Config::load(&file)] {
            let wrong = refused.expect_err("refused");
            assert_eq!(wrong.list().first().map(|one| one.code), Some("too-large"));
        }
    }
    let missing = Config::load(&dir.path().join("nothing.yaml")).expect_err("refused");
    assert_eq!(missing.list().first().map(|one| (one.code, one.line)), Some(("unreadable", 0)));
}

/// That every mistake lies inside the file, and none is about the file as a whole where a place is known.
fn inside(text: &str, wrong: &Diagnostics) -> Result<(), TestCaseError> {
    prop_assert!(!wrong.list().is_empty());
    let lines: Vec<_> = text.split('\n').collect();
    for one in wrong.list() {
        let length =
            one.line.checked_sub(1).and_then(|line| lines.get(line)).map(|line| line.chars().count());
        prop_assert!(length.is_some_and(|length| (1..=length + 1).contains(&one.column)), "{:?}", one);
    }
    let _ = (wrong.render(true), wrong.to_json());
    Ok(())
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
            inside(&text, &wrong)?;
        }
    }

    #[test]
    fn a_file_with_moved_lines_never_panics_and_every_mistake_lies_inside(
        steps in proptest::collection::vec((0..4, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
    ) {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        for (step, one, other) in steps {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            match step {
                0 if lines.len() > 1 => drop(lines.remove(one)),
                1 => lines.insert(other, lines[one].clone()),
                2 => lines.swap(one, other),
                _ => lines[one] = lines[one].replacen(':', "x:", 1),
            }
        }
        let text = lines.join("\n");
        if let Err(wrong) = parse(&text) {
            inside(&text, &wrong)?;
        }
    }

    #[test]
    fn what_is_read_is_valid_by_the_schema(
        at in any::<prop::sample::Index>(),
        value in prop::sample::select(vec![
            "", "~", "5", "5s", "0s", "4KiB", "1MiB", "20/s", "2k/min", "1%", "0.5%", "none", "off", "observe", "true",
            "\"true\"", "\"5\"", "1.2", "\"1.2\"", "[]", "{}", "customer", "[customer]", "partners", "file:x", "env:X",
            "discover", "http://a", "[http://a]", "\"127.0.0.1:1\"", "10.0.0.0/8", "http2", "ES256", "4 KiB", "5 s", "1 %",
        ]),
    ) {
        // One value of the file is another one; what the reader takes the editor must not underline.
        let places: Vec<_> = GOOD.match_indices(": ").map(|(at, _)| at + 2).collect();
        let (before, after) = GOOD.split_at(places[at.index(places.len())]);
        let end = match after.as_bytes()[0] {
            b'{' => after.find('\n').expect("an end"),
            b'[' => after.find(']').expect("an end") + 1,
            _ => after.find([',', ' ', '\n']).expect("an end"),
        };
        let text = format!("{before}{value}{}", after.split_at(end).1);
        if parse(&text).is_ok() {
            let valid = schema().validate(&json(&text)).map_err(|error| error.to_string());
            prop_assert!(valid.is_ok(), "{:?}\n{}", valid, text);
        }
    }
}

/// As an editor reads it, by YAML 1.2.
fn json(text: &str) -> serde_json::Value {
    let mut options = serde_saphyr::Options::default();
    options.strict_booleans = true;
    serde_saphyr::from_str_with_options(text, options).expect("YAML")
}

fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: std::sync::LazyLock<jsonschema::Validator> =
        std::sync::LazyLock::new(|| jsonschema::validator_for(&crate::json_schema()).expect("a schema"));
    &SCHEMA
}

#[test]
fn the_schema_knows_the_good_file_and_the_mistakes() {
    assert!(schema().is_valid(&json(GOOD)));
    for (from, to) in [
        ("listen:", "lissten:"),
        ("timeout: 800ms", "timeout: 800"),
        ("timeout: 800ms", "timeout: soon"),
        ("head: 16KiB", "head: 16"),
        ("rate: 20/s", "rate: 20"),
        ("expose: false", "expose: \"false\""),
        ("response: observe", "response: observed"),
        ("key: secret:tls-key", "key: hunter2"),
        ("key: secret:tls-key", "key: secret:../x"),
        ("haechi: 1", "haechi: 2"),
        ("workers: 2", "workers: \"2\""),
        ("[ES256]", "[HS256]"),
        ("[\"http://127.0.0.1:9001\"]", "[\"ftp://a\"]"),
        ("    auth: [customer, partner]\n", ""),
        ("    plan: { default: default, partner: partners }", "    plan:"),
        ("expose: false }", "validate: { unknown_paths: observe } }"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "`{from}` is not there");
        assert!(!schema().is_valid(&json(&text)), "{to}");
        assert!(parse(&text).is_err(), "{to}");
    }
}

#[test]
fn what_a_split_cannot_be_is_told_where_it_stands() {
    let from = "timeout: 800ms }";
    let parts = |parts: &str| format!("timeout: 800ms, split: {parts} }}");
    let green =
        |share: &str| format!("{{ parts: {{ green: {{ share: {share}, urls: [\"http://green\"] }} }} }}");
    let url = "urls: [\"http://a\"]";
    for (split, place, message) in [
        (green("100.1%"), "100.1%", "expected a percentage"),
        (green("0.55%"), "0.55%", "a share is told to a tenth of a percent"),
        (green("10"), "10, urls", "expected a percentage"),
        (green("10%").replace("green:", "main:"), "main: { share", "`main` has a meaning of its own"),
        (green("10%").replace("green:", "mirror:"), "mirror: { share", "`mirror` has a meaning of its own"),
        (
            format!("{{ parts: {{ a: {{ share: 60%, {url} }}, b: {{ share: 40.1%, {url} }} }} }}"),
            "40.1%",
            "the parts up to here take 100.1% of the calls",
        ),
        ("{ sticky: principal }".to_owned(), "split", "the field `parts` is missing"),
        ("{ parts: {} }".to_owned(), "parts", "expected at least one part"),
        ("{ parts: { a: { share: 1% } } }".to_owned(), "a: {", "the field `urls` is missing"),
        (format!("{{ parts: {{ a: {{ {url} }} }} }}"), "a: {", "the field `share` is missing"),
        ("{ parts: { a: { share: 1%, urls: [] } } }".to_owned(), "[] }", "expected at least one URL"),
        (green("10%").replace("{ parts", "{ sticky: user, parts"), "user, parts", "expected `principal`"),
    ] {
        let to = parts(&split);
        let (line, column, text, _) = mistake(from, &to);
        assert_eq!((line, column), position(from, &to, place), "{split}");
        assert!(text.contains(message), "{split}: {text}");
    }
    let many = |count: usize| {
        let parts: Vec<_> = (0..count).map(|n| format!("p{n}: {{ share: 1%, {url} }}")).collect();
        GOOD.replacen(from, &format!("timeout: 800ms, split: {{ parts: {{ {} }} }} }}", parts.join(", ")), 1)
    };
    assert!(parse(&many(8)).is_ok());
    let wrong = parse(&many(9)).expect_err("nine").to_string();
    assert!(wrong.contains("expected at most 8 parts"), "{wrong}");
    for share in ["0%", "0.1%", "12.5%", "99.9%", "100%"] {
        let text = GOOD.replacen(from, &parts(&green(share)), 1);
        let config = parse(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
        let split = config.apis[0].1.upstream.split.as_ref().expect("a split");
        assert_eq!(format!("{}%", f64::from(split.parts[0].1.share) / 10.0), share);
    }
}

#[test]
fn what_a_mirror_cannot_be_is_told_where_it_stands() {
    let from = "timeout: 800ms }";
    let url = "urls: [\"http://a\"]";
    for (mirror, place, message) in [
        ("{ share: 5% }".to_owned(), "mirror", "the field `urls` is missing"),
        ("{ urls: [] }".to_owned(), "[] }", "expected at least one URL"),
        (format!("{{ {url}, share: 100.5% }}"), "100.5%", "expected a percentage"),
        (format!("{{ {url}, share: 0.01% }}"), "0.01%", "a share is told to a tenth of a percent"),
        (format!("{{ {url}, methods: [] }}"), "[] }", "expected at least one method"),
        (format!("{{ {url}, methods: [GET, TRACE] }}"), "TRACE", "expected `GET`"),
    ] {
        let to = format!("timeout: 800ms, mirror: {mirror} }}");
        let (line, column, text, _) = mistake(from, &to);
        assert_eq!((line, column), position(from, &to, place), "{mirror}");
        assert!(text.contains(message), "{mirror}: {text}");
    }
    let text = GOOD.replacen(from, &format!("timeout: 800ms, mirror: {{ {url} }} }}"), 1);
    let config = parse(&text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let mirror = config.apis[0].1.upstream.mirror.as_ref().expect("a mirror");
    assert_eq!((mirror.share, mirror.methods.join(" ")), (1000, "GET HEAD".to_owned()));
}
