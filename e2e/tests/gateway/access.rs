//! Who may not call, whatever the credentials: rules, and what does not lead around them.

use haechi_e2e::{Gateway, Origin, Raw, Response};

use crate::{SPEC, config};

fn send(gateway: &Gateway, request: &str) -> Response {
    Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response")
}

fn get(gateway: &Gateway, path: &str, fields: &str) -> Response {
    send(gateway, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
}

/// The items with these lines for all and for the operation `getItem`.
fn start(origin: &Origin, all: &str, listener: &str) -> Gateway {
    let yaml = config(origin.address())
        .replace("address: \"127.0.0.1:0\"", &format!("address: \"127.0.0.1:0\"{listener}"));
    Gateway::start(&[("haechi.yaml", &format!("{yaml}{all}")), ("items.yaml", SPEC)])
}

#[test]
fn rules_of_all_levels_add_up_and_the_first_that_holds_refuses() {
    let origin = Origin::start();
    let rules = "    rules: [{ name: bots, when: \"request.headers['user-agent'].startsWith('bot/')\", status: 404, detail: Not for bots. }]\n\
        rules: [{ name: inside, when: \"request.path.startsWith('/items/9')\" }]\n";
    let gateway = start(&origin, rules, "");
    assert_eq!(get(&gateway, "/items/1", "User-Agent: me\r\n").status, 200);
    let bot = get(&gateway, "/items/2", "User-Agent: bot/1\r\n");
    assert_eq!(bot.status, 404);
    let said = String::from_utf8_lossy(&bot.body).into_owned();
    assert!(said.contains("access-denied") && said.contains("Not for bots."), "{said}");
    assert_eq!(get(&gateway, "/items/9", "User-Agent: bot/1\r\n").status, 403, "the rules of all come first");
    // No spelling of the path and no shape of the header leads around.
    for path in ["/items/%39", "/items//9", "/items/1/../9", "/./items/%39", "/items/1/%2e%2e/9"] {
        let status = get(&gateway, path, "User-Agent: me\r\n").status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    for fields in ["", "User-Agent: me\r\nUser-Agent: bot/1\r\n", "user-agent: \u{e9}\r\nUSER-AGENT: me\r\n"]
    {
        assert_eq!(get(&gateway, "/items/3", fields).status, 404, "{fields:?}");
    }
    assert_eq!(origin.seen().len(), 1, "only what no rule refuses is sent on");
    let of = |path: &str| gateway.event(path, |event| event["path"] == path);
    assert_eq!(
        (of("/items/2")["decided_by"].as_str(), of("/items/2")["reason"].as_str()),
        (Some("access"), Some("rule"))
    );
    assert_eq!(of("/items/3")["reason"], "rule-error", "one that cannot be told refuses");
    let refused = of("/items/2");
    let why = gateway.verb(&["why", refused["id"].as_str().expect("an id")]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("the rule `bots` refuses the call"), "{why}");
}

#[test]
fn a_rule_that_is_only_observed_is_told_and_lets_through() {
    let origin = Origin::start();
    let all = "    modes: { access: observe }\nrules: [{ name: nobody, when: 'true' }]\n";
    let gateway = start(&origin, all, "");
    assert_eq!(get(&gateway, "/items/1", "").status, 200);
    let events = gateway.requests(1);
    let verdict =
        events[0]["verdicts"].as_array().expect("verdicts").iter().find(|one| one["guard"] == "access");
    let verdict = verdict.expect("the guard's");
    assert_eq!((&verdict["mode"], &verdict["denied"]), (&"observe".into(), &true.into()));
    assert_eq!(verdict["reasons"][0]["rule"], "nobody");
}

#[test]
fn rules_know_the_caller_behind_trusted_proxies_and_nobody_elses_word() {
    let origin = Origin::start();
    let rules = "rules: [{ name: inside, when: \"!client.ip.inNetwork('192.0.2.0/24')\" }]\n";
    let trusting = start(&origin, rules, "\n    trusted_proxies: [\"127.0.0.0/8\"]");
    assert_eq!(get(&trusting, "/items/1", "").status, 403);
    assert_eq!(get(&trusting, "/items/1", "X-Forwarded-For: 192.0.2.1\r\n").status, 200);
    assert_eq!(
        get(&trusting, "/items/1", "X-Forwarded-For: ::ffff:192.0.2.1\r\n").status,
        200,
        "the same address"
    );
    assert_eq!(get(&trusting, "/items/1", "X-Forwarded-For: 192.0.2.1, 198.51.100.1\r\n").status, 403);
    let alone = start(&origin, rules, "");
    assert_eq!(get(&alone, "/items/1", "X-Forwarded-For: 192.0.2.1\r\n").status, 403);
}

#[test]
fn a_rule_that_cannot_be_read_is_refused_where_it_stands() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |rule: &str| {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
        let yaml = format!("{}rules:\n  - {{ name: a, {rule} }}\n", config(address));
        std::fs::write(directory.path().join("haechi.yaml"), yaml).expect("written");
        std::fs::write(directory.path().join("items.yaml"), SPEC).expect("written");
        let mut command = std::process::Command::new(haechi_e2e::binary());
        let output = command.arg("check").current_dir(directory.path()).output().expect("haechi runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(check("when: 'false'").0);
    for (rule, message) in [
        ("when: \"reqest.path == '/'\"", "no variable is named `reqest`"),
        ("when: \"request.path\"", "expected a condition"),
        ("when: 'true', status: 302", "302"),
        ("when: 'true', status: 401", "asks for credentials"),
        ("when: 'true', then: allow", "expected `deny`"),
        ("then: deny", "`when` is missing"),
    ] {
        let (good, said) = check(rule);
        assert!(!good && said.contains(message) && said.contains("haechi.yaml:10:"), "{rule}: {said}");
    }
}

#[test]
fn the_rules_of_the_manual_are_good() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/manual/rules.md");
    let page = std::fs::read_to_string(page).expect("the chapter");
    let mut examples = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let example = examples.find(|example| example.starts_with("rules:")).expect("the example of rules");
    let directory = tempfile::tempdir().expect("a directory");
    let yaml = format!(
        "haechi: 1\nlisten: [{{ address: \"127.0.0.1:0\" }}]\nidentity: {{ partner: {{ api_key: {{ collection: partners }} }} }}\n{example}"
    );
    let spec = "openapi: 3.1.0\ninfo: { title: Shop, version: '1' }\npaths:\n  \
        /orders: { post: { operationId: createOrder, responses: { '201': { description: made } } } }\n";
    std::fs::write(directory.path().join("haechi.yaml"), yaml).expect("written");
    std::fs::write(directory.path().join("shop.yaml"), spec).expect("written");
    let mut command = std::process::Command::new(haechi_e2e::binary());
    let output = command.arg("check").current_dir(directory.path()).output().expect("haechi runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
