//! Rules that look for attacks: small ones of the tests' own, and the Core Rule Set where it lies beside the project.

use std::path::{Path, PathBuf};
use std::process::Command;

use haechi_e2e::{Gateway, Origin, Raw, Response, eventually, free, have, python, run};

use crate::{SPEC, config, metric};

/// Rules as somebody might write them.
const RULES: &str =
    "SecRule ARGS|ARGS_NAMES \"@detectSQLi\" \"id:10,phase:2,deny,log,tag:attack-sqli,msg:'SQL injection'\"
SecRule ARGS|REQUEST_HEADERS:User-Agent \"@detectXSS\" \"id:11,phase:2,deny,log,msg:'a script'\"
SecRule REQUEST_URI_RAW \"@contains ..\" \"id:12,phase:1,deny,log,msg:'traversal'\"
SecRule RESPONSE_BODY \"@contains ORA-00933\" \"id:13,phase:4,deny,log,msg:'an error of the database'\"
";

/// What an injection looks like in a query.
const SQL: &str = "1%27%20OR%20%271%27=%271";

/// The items and a service for all else, with these lines below `waf:`, these modes, and these lines of the service.
fn files(origin: &Origin, waf: &str, modes: &str, service: &str) -> String {
    let address = origin.address();
    format!(
        "{}services:\n  pages: {{ upstream: {{ urls: [\"http://{address}\"] }}, auth: none, methods: [GET, HEAD, POST, PUT, OPTIONS, PATCH, DELETE], {service} }}\n\
         modes: {{ {modes} }}\nwaf:\n  rules: [attacks.conf]\n{waf}",
        config(address).replace("    auth: none\n", "    auth: none\n    base_path: /shop\n")
    )
}

fn start(origin: &Origin, waf: &str, modes: &str, service: &str) -> Gateway {
    let yaml = files(origin, waf, modes, service);
    Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC), ("attacks.conf", RULES)])
}

fn send(gateway: &Gateway, request: &str) -> Response {
    Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response")
}

fn get(gateway: &Gateway, target: &str) -> u16 {
    send(gateway, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).status
}

fn post(gateway: &Gateway, path: &str, kind: &str, fields: &str, body: &str) -> Response {
    let length = body.len();
    send(
        gateway,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
        ),
    )
}

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn attacks_are_refused_wherever_they_are_and_the_event_says_why() {
    let origin = Origin::start();
    let gateway = start(&origin, "", "", "");
    assert_eq!(get(&gateway, "/pages?q=pizza"), 200);
    assert_eq!(post(&gateway, "/pages", FORM, "", "q=pizza").status, 200);
    let refused = send(&gateway, &format!("GET /pages?q={SQL}&password=hunter2 HTTP/1.1\r\nHost: a\r\n\r\n"));
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert_eq!(refused.status, 403, "{said}");
    assert!(said.contains("request-refused"), "{said}");
    for detail in ["SQL", "10", "ARGS", "rule"] {
        assert!(
            !said.contains(&format!("\"{detail}")) && !said.contains(&format!(" {detail}")),
            "{detail}: {said}"
        );
    }
    for (kind, body) in [
        (FORM, format!("a=b&q={SQL}")),
        ("application/json", "{\"a\": {\"q\": [\"1' OR '1'='1\"]}}".to_owned()),
        (
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n1' OR '1'='1\r\n--x--\r\n".to_owned(),
        ),
        (FORM, "q=%3Cscript%3Ealert(1)%3C/script%3E".to_owned()),
    ] {
        assert_eq!(post(&gateway, "/pages", kind, "", &body).status, 403, "{kind}: {body}");
    }
    let agent = "GET /agent HTTP/1.1\r\nHost: a\r\nUser-Agent: <script>alert(1)</script>\r\n\r\n";
    assert_eq!(send(&gateway, agent).status, 403);
    assert_eq!(get(&gateway, "/x/%2e%2e/y/../z"), 403, "the bytes that were sent are judged, too");
    assert_eq!(get(&gateway, &format!("/shop/items/7?size={SQL}")), 400, "the contract is asked first");
    assert_eq!(get(&gateway, &format!("/shop/items/{SQL}")), 200, "no rule of this file looks at paths");
    let event = gateway.event("the refused query", |event| {
        event["decided_by"] == "waf"
            && event["query"].as_str().is_some_and(|query| query.contains("password"))
    });
    assert_eq!(event["reason"], "waf-rule");
    let found = &event["waf_matches"][0];
    assert_eq!((&found["rule"], &found["at"]), (&10.into(), &"ARGS:q".into()), "{event}");
    assert!(found["value"].as_str().is_some_and(|value| value.contains("OR")), "{event}");
    assert!(!event.to_string().contains("hunter2"), "{event}");
    let why = gateway.verb(&["why", event["id"].as_str().expect("an id")]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(
        why.contains("waf        refused") && why.contains("10 at ARGS:q") && why.contains("SQL injection"),
        "{why}"
    );
    eventually("the rule is counted", || metric(&gateway, "haechi_waf_matches_total{rule=\"10\"} ") >= 4);
    let seen = origin.seen();
    assert!(seen.iter().all(|seen| !seen.head.contains("hunter2")), "nothing refused is sent on");
}

#[test]
fn a_secret_that_matches_is_not_written_down() {
    let origin = Origin::start();
    let gateway = start(&origin, "", "", "");
    assert_eq!(get(&gateway, &format!("/secret?password={SQL}")), 403);
    let event = gateway.event("the refused call", |event| event["path"] == "/secret");
    assert_eq!(event["waf_matches"][0]["at"], "ARGS:password");
    assert_eq!(event["waf_matches"][0]["value"], "…", "{event}");
}

#[test]
fn observing_records_what_would_be_refused_and_lets_it_through() {
    let origin = Origin::start();
    let gateway = start(&origin, "", "waf: observe", "");
    assert_eq!(get(&gateway, &format!("/seen?q={SQL}")), 200);
    assert_eq!(get(&gateway, &format!("/a/../seen2?q={SQL}")), 200);
    let event = gateway.event("the observed call", |event| event["path"] == "/seen");
    let verdicts = event["verdicts"].as_array().expect("verdicts");
    let waf: Vec<_> = verdicts.iter().filter(|one| one["guard"] == "waf").collect();
    assert_eq!(
        (waf.len(), &waf[0]["denied"], &waf[0]["mode"]),
        (1, &true.into(), &"observe".into()),
        "{event}"
    );
    assert_eq!(event["waf_matches"][0]["rule"], 10);
    // One that phase 1 would have refused is told once.
    let event = gateway.event("the other", |event| event["path"] == "/seen2");
    let verdicts = event["verdicts"].as_array().expect("verdicts");
    assert_eq!(verdicts.iter().filter(|one| one["guard"] == "waf").count(), 1, "{event}");
    let off = start(&origin, "", "waf: enforce", "modes: { waf: off }");
    assert_eq!(get(&off, &format!("/seen?q={SQL}")), 200);
}

#[test]
fn exclusions_hold_where_they_are_written() {
    let origin = Origin::start();
    let waf = "  exclusions: [{ tags: [attack-sqli], parameter: note.*, reason: free text }]\n";
    let service = "waf: { exclusions: [{ rules: [10], parameter: filter, reason: a query language }] }";
    let gateway = start(&origin, waf, "", service);
    for (path, status) in [("/?filter=", 200), ("/?note.de=", 200), ("/?other=", 403), ("/?notex=", 403)] {
        assert_eq!(get(&gateway, &format!("{path}{SQL}")), status, "{path}");
    }
    assert_eq!(
        get(&gateway, "/?filter=%3Cscript%3Ealert(1)%3C/script%3E"),
        403,
        "other rules still look at it"
    );
}

/// What `haechi check` says of a configuration with these lines and rules.
fn check(waf: &str, rules: &str) -> (bool, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let yaml = format!("{}waf:\n{waf}", config(([127, 0, 0, 1], 9).into()));
    std::fs::write(directory.path().join("haechi.yaml"), yaml).expect("written");
    std::fs::write(directory.path().join("items.yaml"), SPEC).expect("written");
    std::fs::write(directory.path().join("attacks.conf"), rules).expect("written");
    let mut command = Command::new(haechi_e2e::binary());
    let output = command.arg("check").current_dir(directory.path()).output().expect("haechi runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let (good, said) = check("  rules: [attacks.conf]\n", RULES);
    assert!(good, "{said}");
    for (waf, rules, messages) in [
        (
            "  rules: [attacks.conf]\n",
            "SecAction \"id:1,pass\"\nSecRule ARGS \"@frob x\" \"id:2\"\n",
            ["attacks.conf:2:", "haechi.yaml:10:"],
        ),
        ("  rules: [gone.conf]\n", "", ["gone.conf", "haechi.yaml:10:"]),
        ("  rules: [gone/*.conf]\n", "", ["no file matches", "haechi.yaml:10:"]),
        (
            "  rules: [attacks.conf]\n  exclusions: [{ rules: [99], reason: x }]\n",
            RULES,
            ["no rule is `99`", "haechi.yaml:11:"],
        ),
        (
            "  rules: [attacks.conf]\n  exclusions:\n    - { rules: [10], reason: x }\n    - { tags: [sqli], reason: x }\n",
            RULES,
            ["no rule is tagged `sqli`", "haechi.yaml:13:"],
        ),
        (
            "  rules: [attacks.conf]\n  exclusions: [{ parameter: q, reason: x }]\n",
            RULES,
            ["name rules by", "haechi.yaml:11:"],
        ),
        (
            "  rules: [attacks.conf]\n  exclusions: [{ rules: [10], parameter: \"a|!ARGS\", reason: x }]\n",
            RULES,
            ["expected a name", "haechi.yaml:11:"],
        ),
        ("  paranoia: 2\n", "", ["no rules that look for attacks are named", "haechi.yaml:9:"]),
        (
            "  rules: [attacks.conf]\n  paranoia: 5\n",
            RULES,
            ["`paranoia` is a number from 1 to 4", "haechi.yaml:11:"],
        ),
    ] {
        let (good, said) = check(waf, rules);
        assert!(!good && messages.iter().all(|message| said.contains(message)), "{waf}: {said}");
    }
}

#[test]
fn a_broken_rule_file_never_takes_over_and_a_good_one_does_by_itself() {
    let origin = Origin::start();
    let gateway = start(&origin, "", "", "");
    assert_eq!(get(&gateway, &format!("/?q={SQL}")), 403);
    gateway.replace("attacks.conf", "SecRule ARGS \"@frob\" \"id:1,phase:2,deny\"\n");
    let refused = gateway.verb(&["activate"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("attacks.conf:1:"), "{said}");
    assert_eq!(get(&gateway, &format!("/?q={SQL}")), 403, "the last good rules are asked");
    gateway.replace("attacks.conf", "SecRule ARGS \"@streq anchovies\" \"id:1,phase:2,deny,log\"\n");
    eventually("the new rules are asked", || get(&gateway, "/?q=anchovies") == 403);
    assert_eq!(get(&gateway, &format!("/?q={SQL}")), 200);
}

#[test]
fn responses_are_judged_where_the_operation_says_so() {
    let leak = "ORA-00933: SQL command not properly ended";
    let answer = |kind: &str| {
        let length = leak.len();
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{leak}")
    };
    let page = Origin::answering(answer("text/html"));
    assert_eq!(get(&start(&page, "", "", ""), "/"), 200, "responses are looked at only if asked for");
    let gateway = start(&page, "  responses: true\n", "", "");
    let refused = send(&gateway, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(refused.status, 502);
    assert!(!String::from_utf8_lossy(&refused.body).contains("ORA"), "the response stays inside");
    let event = gateway.event("the refused response", |event| event["decided_by"] == "waf-response");
    assert_eq!(event["waf_matches"][0]["rule"], 13, "{event}");
    let observing = start(&page, "  responses: true\n", "waf: observe", "");
    let passed = send(&observing, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((passed.status, String::from_utf8_lossy(&passed.body).into_owned()), (200, leak.to_owned()));
    let image = Origin::answering(answer("image/png"));
    assert_eq!(get(&start(&image, "  responses: true\n", "", ""), "/"), 200, "an image passes unread");
}

#[test]
fn a_body_at_the_limit_is_judged_and_beyond_it_what_is_set_is_done() {
    let origin = Origin::start();
    let body =
        |length: usize, end: &str| format!("{}{end}", "a=".to_owned() + &"x".repeat(length - 2 - end.len()));
    let attack = format!("&q={SQL}");
    let rejecting = start(&origin, "  body: 2KiB\n", "", "");
    let judge = |gateway: &Gateway, body: &str| post(gateway, "/", FORM, "", body).status;
    assert_eq!(judge(&rejecting, &body(2048, "")), 200);
    assert_eq!(judge(&rejecting, &body(2048, &attack)), 403);
    assert_eq!(judge(&rejecting, &body(2049, "")), 413);
    let observing = start(&origin, "  body: 2KiB\n", "waf: observe", "");
    assert_eq!(judge(&observing, &body(2049, "")), 200, "what is observed is not refused");
    let partial = start(&origin, "  body: 2KiB\n  at_limit: process_partial\n", "", "");
    assert_eq!(judge(&partial, &format!("q={SQL}&a={}", "x".repeat(4096))), 403);
    assert_eq!(judge(&partial, &body(4096, &attack)), 200, "what is beyond is not looked at");
    let whole = origin.seen().iter().map(|seen| seen.body.len()).max();
    assert_eq!(whole, Some(4096), "it is sent whole");
    let streaming = start(&origin, "", "", "body: stream");
    assert_eq!(judge(&streaming, &format!("q={SQL}")), 200, "bodies that pass unread are not looked at");
    assert_eq!(post(&streaming, &format!("/?q={SQL}"), FORM, "", "a=b").status, 403, "the head is");
}

#[test]
fn what_is_hidden_in_a_coding_or_is_large_is_judged_all_the_same() {
    let origin = Origin::start();
    let gateway = start(&origin, "", "", "");
    // Longer than what is judged on the worker's own thread.
    let large = format!("a={}&q={SQL}", "x".repeat(200_000));
    assert_eq!(post(&gateway, "/", FORM, "", &large).status, 403);
    assert_eq!(post(&gateway, "/", FORM, "", &large.replace(SQL, "pizza")).status, 200);
    assert_eq!(post(&gateway, "/", FORM, "Content-Encoding: frob\r\n", "q=pizza").status, 415);
    let mut raw = Raw::connect(gateway.address());
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nq=\r\n{:x}\r\n{SQL}\r\n0\r\n\r\n",
        SQL.len()
    );
    assert_eq!(raw.send(chunked.as_bytes()).response().expect("a response").status, 403);
    if !have("gzip") || !have("curl") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("form"), format!("q={SQL}")).expect("written");
    run(Command::new("gzip").arg("form").current_dir(dir.path()));
    let status = run(Command::new("curl")
        .args([
            "--silent",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code}",
            "--data-binary",
            "@form.gz",
        ])
        .args(["--header", "Content-Encoding: gzip"])
        .arg(format!("http://{}/", gateway.address()))
        .current_dir(dir.path()));
    assert_eq!(status, "403");
}

#[test]
fn hostile_inputs_are_bounded() {
    let origin = Origin::start();
    let gateway = start(&origin, "", "", "");
    let many = (0..5_000).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&");
    assert_eq!(post(&gateway, "/", FORM, "", &many).status, 413, "more arguments than rules look at");
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(post(&gateway, "/", "application/json", "", &deep).status, 413, "deeper than rules look");
    let cookies = (0..2_000).map(|n| format!("c{n}=1")).collect::<Vec<_>>().join("; ");
    let status = send(&gateway, &format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookies}\r\n\r\n")).status;
    assert!((400..500).contains(&status), "{status}");
    for body in ["", "%", "=&=&", "\u{0}", "{\"a\":", "--x"] {
        for kind in [FORM, "application/json", "text/xml", "multipart/form-data; boundary=x", "", "x/y"] {
            let status = post(&gateway, "/", kind, "", body).status;
            assert!(status < 500, "{kind}: {body:?}: {status}");
        }
    }
    assert_eq!(get(&gateway, "/?q=pizza"), 200, "it is still there");
}

/// Where the Core Rule Set lies, or a line that says why a test is left out.
fn crs() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("HAECHI_SHARED").map_or(beside, PathBuf::from).join("data/crs");
    if path.is_dir() {
        return std::path::absolute(path).ok();
    }
    eprintln!("left out: no Core Rule Set at {}", path.display());
    None
}

#[test]
fn the_core_rule_set_refuses_attacks_by_their_score() {
    let Some(crs) = crs().filter(|_| have("curl")) else { return };
    let origin = Origin::start();
    let yaml = files(&origin, "  paranoia: 1\n", "", "").replace("attacks.conf", &crs.display().to_string());
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--path-as-is"]);
        let (last, others) = arguments.split_last().expect("a path");
        run(command.args(others).arg(format!("http://{}{last}", gateway.address())))
    };
    assert_eq!(curl(&["/menu?size=large"]), "200");
    assert_eq!(
        curl(&["--json", "{\"name\": \"O'Brien\", \"note\": \"no onions, please\"}", "/orders"]),
        "200"
    );
    for attack in [
        &["/menu?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20"][..],
        &["/menu?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E"],
        &["/menu?file=../../../../etc/passwd"],
        &["/../../../../etc/passwd"],
        &["--data", "cmd=;cat /etc/passwd", "/menu"],
        &["--json", "{\"a\": {\"b\": \"<script>alert(1)</script>\"}}", "/orders"],
        &["--header", "User-Agent: sqlmap/1.7", "/menu"],
    ] {
        let status = curl(attack);
        assert!(status == "403" || status == "400", "{attack:?}: {status}");
    }
    let event = gateway.event("the injection", |event| {
        event["decided_by"] == "waf" && event["query"].as_str().is_some_and(|query| query.contains("UNION"))
    });
    assert!(event["waf_score"].as_u64().is_some_and(|score| score >= 5), "{event}");
    assert_eq!(
        event["verdicts"].as_array().and_then(|all| all.last()).map(|one| &one["reasons"][0]["rule"]),
        Some(&"949110".into()),
        "{event}"
    );
    // A higher threshold lets the same through, and the event still tells of it.
    let lenient = yaml.replace("  paranoia: 1\n", "  paranoia: 1\n  inbound: 1000\n");
    gateway.replace("haechi.yaml", &lenient);
    let activated = gateway.verb(&["activate"]);
    assert!(activated.status.success(), "{}", String::from_utf8_lossy(&activated.stderr));
    assert_eq!(curl(&["/lenient?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20"]), "200");
    let event = gateway.event("the call", |event| event["path"] == "/lenient");
    assert!(
        event["waf_matches"].as_array().is_some_and(|all| all.iter().any(|one| one["rule"] == 942_100)),
        "{event}"
    );
}

#[test]
fn the_rules_that_come_with_the_program_need_nothing_else() {
    let origin = Origin::start();
    let yaml = files(&origin, "", "", "").replace("attacks.conf", "builtin");
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    assert_eq!(get(&gateway, "/menu?size=large"), 200);
    assert_eq!(get(&gateway, "/menu?id=1%27%20UNION%20SELECT%20password%20FROM%20users--%20"), 403);
    let event = gateway.event("the injection", |event| event["decided_by"] == "waf");
    assert!(event["waf_score"].as_u64().is_some_and(|score| score >= 5), "{event}");
}

/// What the suite's README asks for.
const SUITE: &str = "SecResponseBodyMimeType text/plain text/html text/xml application/json
SecAction \"id:900005,phase:1,nolog,pass,\\
  setvar:tx.blocking_paranoia_level=4,\\
  setvar:tx.crs_validate_utf8_encoding=1,\\
  setvar:tx.arg_name_length=100,\\
  setvar:tx.arg_length=400,\\
  setvar:tx.total_arg_length=64000,\\
  setvar:tx.max_num_args=255,\\
  setvar:tx.max_file_size=64100,\\
  setvar:tx.combined_file_sizes=65535\"
SecRuleRemoveById 910000
";

/// Every stage is sent through the gateway, and its event held against what the suite expects, or what the overrides say.
#[test]
fn the_regression_suite_of_the_core_rule_set_passes_through_the_gateway() {
    let (Some(crs), Some(python)) = (crs(), python()) else { return };
    let upstream = free();
    let yaml = format!(
        "haechi: 1\nworkers: 1\nlisten: [{{ address: \"127.0.0.1:0\" }}]\nservices:\n  all: {{ upstream: {{ urls: [\"http://{upstream}\"] }}, \
         auth: none, methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS] }}\nmodes: {{ waf: observe }}\n\
         waf: {{ rules: [suite.conf, {}], responses: true }}\n",
        crs.display()
    );
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("suite.conf", SUITE)]);
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let told = run(Command::new(python)
        .arg(peers.join("ftw.py"))
        .args([gateway.address().port().to_string(), upstream.port().to_string()])
        .args([
            gateway.dir().join("haechi-events"),
            crs.join("regression"),
            peers.join("crs-overrides.yaml"),
        ]));
    let last = told.lines().last().unwrap_or_default();
    let (passed, all) = last.split_once(" of ").expect("a sum");
    assert_eq!(format!("{passed} stages passed"), all, "{told}");
    assert!(passed.parse::<u32>().is_ok_and(|passed| passed > 5_000), "{told}");
}
