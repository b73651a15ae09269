//! Who may not call by where the call comes from: networks, countries, operators.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use haechi_e2e::{Gateway, Origin, PATIENCE, Raw, Response, binary, have};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{SPEC, config, metric};

/// The items behind a listener that believes this machine, with these lines for their API and for all.
fn yaml(origin: &Origin, api: &str, all: &str) -> String {
    let address = "address: \"127.0.0.1:0\"";
    let trusting = format!("{address}\n    trusted_proxies: [\"127.0.0.1/32\"]");
    format!("{}{api}{all}", config(origin.address()).replace(address, &trusting))
}

fn from(gateway: &Gateway, client: &str, path: &str) -> Response {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
    Raw::connect(gateway.address()).send(request.as_bytes()).response().expect("a response")
}

/// The last events, once there are so many of requests.
fn events(gateway: &Gateway, least: usize) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let mut events = gateway.events(1000);
        events.retain(|event| event["kind"] == "request");
        if events.len() >= least {
            return events;
        }
        assert!(start.elapsed() < PATIENCE, "{} of {least} events", events.len());
        std::thread::yield_now();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/lists/tests/data").join(name)
}

fn check(dir: &Path) -> (bool, String) {
    let output = Command::new(binary()).arg("check").current_dir(dir).output().expect("haechi runs");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn lists_of_all_levels_hold_before_anybody_is_asked_for_credentials() {
    let origin = Origin::start();
    let api = "    callers: { deny: [bad] }\n    operations:\n      getFile: { modes: { lists: observe } }\n\
        \x20     getItem: { callers: { allow: [six, some] } }\n";
    let all = "lists:\n  office: { entries: [\"192.0.2.0/24\", \"2001:db8::/32\"] }\n  bad: { files: ./bad.txt }\n\
        \x20 six: { entries: [\"2001:db8::/32\"] }\n  some: { entries: [\"192.0.2.0/25\"] }\ncallers: { allow: [office] }\n\
        identity: { partner: { api_key: { collection: partners } } }\n";
    let yaml = yaml(&origin, api, all);
    let yaml = yaml.replace("      getItem: {", "      getItem: { auth: [partner],");
    let bad = "# seen last week\n192.0.2.66 ; scans\n2001:db8:bad::/48\n";
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC), ("bad.txt", bad)]);
    for (client, status, why) in [
        ("192.0.2.1", 200, ""),
        ("::ffff:192.0.2.1", 200, ""),
        ("2001:db8::1", 200, ""),
        ("192.0.2.66", 200, "listed bad"),
        ("198.51.100.1", 200, "not-listed office"),
    ] {
        assert_eq!(from(&gateway, client, "/files/seen").status, status, "{client}: only observed, {why}");
    }
    assert_eq!(origin.seen().len(), 5);
    let mut raw = Raw::connect(gateway.address());
    let mut create = |client: &str| {
        let body = "{\"name\":\"a\",\"quantity\":1}";
        let request = format!(
            "POST /items HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        raw.send(request.as_bytes()).response().expect("a response")
    };
    assert_eq!(create("192.0.2.1").status, 200);
    for client in
        ["192.0.2.66", "::ffff:192.0.2.66", "2001:db8:bad::1", "198.51.100.1", "10.0.0.1, 198.51.100.1"]
    {
        let refused = create(client);
        let said = String::from_utf8_lossy(&refused.body).into_owned();
        assert_eq!(refused.status, 403, "{client}: {said}");
        assert!(
            said.contains("problems/address-refused")
                && said.contains("Calls from this address are not taken.")
        );
        assert!(!said.contains("bad") && !said.contains("office") && !said.contains("192.0.2"), "{said}");
    }
    // Who may come by where it comes from is asked for its key, and who may not is not.
    let statuses = ["192.0.2.1", "2001:db8::1", "192.0.2.200", "192.0.2.66"]
        .map(|client| from(&gateway, client, "/items/1").status);
    assert_eq!(statuses, [401, 401, 403, 403]);
    assert_eq!(origin.seen().len(), 6, "nothing that is refused is sent on");

    let events = events(&gateway, 15);
    let of = |path: &str, client: &str| {
        events.iter().find(|event| event["path"] == path && event["client"] == client).expect("its event")
    };
    let observed = &of("/files/seen", "192.0.2.66")["verdicts"][0];
    assert_eq!(
        (&observed["guard"], &observed["mode"], &observed["denied"]),
        (&json!("lists"), &json!("observe"), &json!(true))
    );
    let refused = of("/items", "192.0.2.66");
    assert_eq!((&refused["decided_by"], &refused["reason"]), (&json!("lists"), &json!("listed")));
    let why = gateway.verb(&["why", refused["id"].as_str().expect("an id")]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("the list `bad` holds the caller by its address 192.0.2.66"), "{why}");
    assert_eq!(of("/items/1", "192.0.2.200")["verdicts"][0]["reasons"][0]["rule"], "six, some");
    let series = "haechi_denials_total{api=\"items\",operation=\"createItem\",guard=\"lists\",code=\"listed\",mode=\"enforce\"}";
    if have("curl") {
        assert_eq!(metric(&gateway, series), 3);
    }
}

#[test]
fn a_file_that_changes_takes_over_and_a_broken_one_never_does() {
    let origin = Origin::start();
    let yaml =
        yaml(&origin, "", "lists: { office: { files: [./office.txt] } }\ncallers: { allow: [office] }\n");
    let files = [("haechi.yaml", &*yaml), ("items.yaml", SPEC), ("office.txt", "192.0.2.0/24\n")];
    let gateway = Gateway::start(&files);
    let status = |client: &str| from(&gateway, client, "/items/1").status;
    assert_eq!((status("192.0.2.1"), status("198.51.100.1")), (200, 403));
    gateway.replace("office.txt", "198.51.100.0/24\n");
    until("the new list is served", || status("198.51.100.1") == 200);
    assert_eq!(status("192.0.2.1"), 403);
    gateway.replace("office.txt", "198.51.100.0/24\n\n192.0.2.1/24 # new\nnowhere\n");
    let (good, said) = check(gateway.dir());
    assert!(
        !good
            && said.contains(
                "office.txt`, line 3: the network of this length around `192.0.2.1` is `192.0.2.0/24`"
            ),
        "{said}"
    );
    assert!(said.contains("office.txt`, line 4: expected an address or network"), "{said}");
    until("the broken list is refused", || {
        gateway.json(&["status", "--format", "json"])["snapshot"]["is_last_good"] == true
    });
    assert_eq!((status("198.51.100.1"), status("192.0.2.1")), (200, 403), "the last good one goes on");
}

#[test]
fn countries_and_operators_are_told_by_maxmind_files() {
    if !have("curl") {
        return;
    }
    let origin = Origin::start();
    let api = "    rules: [{ name: swedes, when: \"client.country == 'SE'\", status: 410 }]\n";
    let all = "geo: { country: ./country.mmdb, asn: ./asn.mmdb }\nlists: { far: { entries: [NO, AS64500] } }\ncallers: { deny: [far] }\n";
    let yaml = yaml(&origin, api, all).replace(
        "apis:",
        "  - { address: \"127.0.0.1:0\", proxy_protocol: required, trusted_proxies: [\"127.0.0.0/8\"] }\napis:",
    );
    let dir = TempDir::new().expect("a directory");
    for (name, text) in [("haechi.yaml", &*yaml), ("items.yaml", SPEC)] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    for name in ["country.mmdb", "asn.mmdb"] {
        std::fs::copy(data(name), dir.path().join(name)).expect("copied");
    }
    let gateway = Gateway::start_in(dir);
    // A foreign client, from other addresses of this machine.
    let curl = |from: &str| -> u16 {
        let url = format!("http://{}/items/1", gateway.address());
        let output = Command::new("curl")
            .args([
                "--silent",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
                "--interface",
                from,
                &url,
            ])
            .output()
            .expect("curl runs");
        String::from_utf8_lossy(&output.stdout).parse().expect("a status")
    };
    assert_eq!(
        [curl("127.0.0.5"), curl("127.0.0.6"), curl("127.0.0.7"), curl("127.0.0.8")],
        [200, 403, 403, 200]
    );
    let proxied = |source: &str| {
        let request =
            format!("PROXY TCP4 {source} 127.0.0.1 1 1\r\nGET /items/2 HTTP/1.1\r\nHost: a\r\n\r\n");
        Raw::connect(gateway.addresses()[1]).send(request.as_bytes()).response().expect("a response").status
    };
    assert_eq!([proxied("198.51.100.1"), proxied("198.51.100.200"), proxied("192.0.2.200")], [403, 410, 200]);
    // Bytes that are no request come from somewhere, too.
    Raw::connect(gateway.address()).send(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n").response();

    let recorded = events(&gateway, 8);
    let of = |client: &str| recorded.iter().find(|event| event["client"] == client).expect("its event");
    let place = |client: &str| (of(client)["country"].clone(), of(client)["asn"].clone());
    assert_eq!(place("127.0.0.5"), (json!("KR"), json!(4766)));
    assert_eq!(place("127.0.0.6"), (json!("NO"), Value::Null));
    assert_eq!(place("127.0.0.8"), (Value::Null, Value::Null));
    assert_eq!(place("192.0.2.200"), (json!("KR"), json!(64501)));
    let reason = |client: &str| of(client)["verdicts"][0]["reasons"][0]["detail"].clone();
    assert_eq!(reason("127.0.0.6"), "the list `far` holds the caller by its country NO");
    assert_eq!(reason("127.0.0.7"), "the list `far` holds the caller by its operator AS64500");
    let why = gateway.verb(&["why", of("127.0.0.5")["id"].as_str().expect("an id")]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("(KR, AS4766)"), "{why}");
    let counts = gateway.json(&["events", "count", "--by", "country,asn", "--format", "json"]);
    let groups = counts["groups"].as_array().expect("groups");
    let group = |values: Value| groups.iter().find(|group| group["values"] == values).expect("a group");
    assert_eq!(group(json!(["NO", ""]))["refused"], 2);
    assert_eq!(group(json!(["KR", "4766"]))["count"], 1);

    // A candidate that also denies one more country would have refused exactly its calls.
    std::fs::create_dir(gateway.dir().join("next")).expect("made");
    for name in ["items.yaml", "country.mmdb", "asn.mmdb"] {
        std::fs::copy(gateway.dir().join(name), gateway.dir().join("next").join(name)).expect("copied");
    }
    gateway.replace("next/haechi.yaml", &yaml.replace("[NO, AS64500]", "[NO, AS64500, KR]"));
    let arguments = [
        "replay",
        "--socket",
        "haechi.sock",
        "--candidate",
        "next/haechi.yaml",
        "--since",
        "1h",
        "--format",
        "json",
    ];
    let output = gateway.verb(&arguments);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["different"], &report["differences"][0]["to"]),
        (&json!(2), &json!("403 lists:listed")),
        "{report}"
    );

    // A file that is moved over another takes over; a damaged one, or one of another type, never does.
    let put = |content: &[u8]| {
        std::fs::write(gateway.dir().join("new"), content).expect("written");
        std::fs::rename(gateway.dir().join("new"), gateway.dir().join("country.mmdb")).expect("moved");
    };
    let later = std::fs::read(data("country-later.mmdb")).expect("read");
    put(&later);
    until("the address has moved to another country", || curl("127.0.0.5") == 410);
    for broken in
        [&later[..later.len() / 2], &std::fs::read(data("asn.mmdb")).expect("read"), b"192.0.2.0/24\n"]
    {
        put(broken);
        let (good, said) = check(gateway.dir());
        assert!(
            !good && said.contains("country.mmdb` cannot be used") && said.contains("haechi.yaml:"),
            "{said}"
        );
        until("it is refused", || {
            gateway.json(&["status", "--format", "json"])["snapshot"]["is_last_good"] == true
        });
        assert_eq!([curl("127.0.0.5"), curl("127.0.0.6")], [410, 403], "the last good one goes on");
        put(&later);
        until("a good one serves", || {
            gateway.json(&["status", "--format", "json"])["snapshot"]["is_last_good"] == false
        });
    }
}

#[test]
fn what_nothing_could_ever_tell_is_refused_by_check() {
    let dir = TempDir::new().expect("a directory");
    std::fs::write(dir.path().join("items.yaml"), SPEC).expect("written");
    std::fs::write(dir.path().join("list.txt"), "192.0.2.0/24\nKR\n").expect("written");
    std::fs::write(dir.path().join("latin.txt"), b"192.0.2.0/24\n# caf\xe9\n").expect("written");
    for name in ["country.mmdb", "asn.mmdb"] {
        std::fs::copy(data(name), dir.path().join(name)).expect("copied");
    }
    let with = |lines: &str| {
        let yaml = format!("{}{lines}\n", config("127.0.0.1:9".parse().expect("an address")));
        std::fs::write(dir.path().join("haechi.yaml"), yaml).expect("written");
        check(dir.path())
    };
    for good in [
        "geo: { country: ./country.mmdb }\nlists: { a: { entries: [KR], files: [./list.txt] } }",
        "geo: { asn: ./asn.mmdb }\nlists: { a: { entries: [AS4766] } }\nrules: [{ name: a, when: \"client.asn == 4766\" }]",
    ] {
        let (is_good, said) = with(good);
        assert!(is_good, "{good}: {said}");
    }
    for (lines, message) in [
        ("lists: { a: { entries: [KR] } }", "`KR` is a country, and nothing tells the country of an address"),
        (
            "geo: { country: ./country.mmdb }\nlists: { a: { entries: [AS4766] } }",
            "`AS4766` is an operator, and nothing tells",
        ),
        ("lists: { a: { files: [./list.txt] } }", "list.txt`, line 2: `KR` is a country, and nothing tells"),
        ("lists: { a: { files: [./latin.txt] } }", "latin.txt` cannot be used: line 2 is not UTF-8"),
        ("lists: { a: { files: [./gone.txt] } }", "gone.txt` cannot be used"),
        ("geo: { country: ./gone.mmdb }", "gone.mmdb` cannot be used"),
        ("geo: { country: ./asn.mmdb }", "none of its records tells a country: it is a `GeoLite2-ASN`"),
        ("geo: { asn: ./country.mmdb }", "none of its records tells the number of an operator"),
        ("rules: [{ name: a, when: \"client.country == 'KR'\" }]", "`client.country` is never known"),
        ("channels: { a: { when: \"channel == '' || client.asn == 1\" } }", "`client.asn` is never known"),
        ("callers: { deny: [nobody] }", "no list is named `nobody`"),
    ] {
        let (good, said) = with(lines);
        assert!(!good && said.contains(message) && said.contains("haechi.yaml:"), "{lines}: {said}");
    }
}
