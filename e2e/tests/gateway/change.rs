//! Change: staging, canaries, rollbacks, replay; activations under load; what a restart serves.
//!
//! `HAECHI_FULL=1` runs what the issue asks for in full (1,000 activations, 200 canaries); else a part of it that ends soon.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use haechi_e2e::{Gateway, Origin, Raw, eventually, have};
use serde_json::Value;

use crate::{SPEC, config};

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n";

fn full() -> bool {
    std::env::var_os("HAECHI_FULL").is_some()
}

fn status(address: std::net::SocketAddr, request: &[u8]) -> u16 {
    Raw::connect(address).send(request).response().expect("a response").status
}

/// A production listener and one for staging; files change nothing by themselves, and a window is a second.
fn staged(origin: &Origin) -> String {
    config(origin.address()).replace(
        "listen:\n  - address: \"127.0.0.1:0\"\n",
        "listen:\n  - address: \"127.0.0.1:0\"\n  - { address: \"127.0.0.1:0\", stage: staging }\nactivation: { on_change: nothing, guard: { window: 1s, watch: 2s } }\n",
    )
}

fn hidden(yaml: &str) -> String {
    format!("{yaml}    operations: {{ getItem: {{ expose: false }} }}\n")
}

fn gateway(origin: &Origin) -> Gateway {
    Gateway::start(&[("haechi.yaml", &staged(origin)), ("items.yaml", SPEC)])
}

/// Runs a verb that must succeed; its standard output.
fn verb(gateway: &Gateway, arguments: &[&str]) -> String {
    let output = gateway.verb(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_change_goes_from_staging_to_a_canary_to_production() {
    let origin = Origin::start();
    let gateway = gateway(&origin);
    let [production, staging] = gateway.addresses() else { panic!("two listeners") };
    assert_eq!(status(*staging, GET), 200, "without a candidate staging is served by production");
    gateway.replace("haechi.yaml", &hidden(&staged(&origin)));
    let told = verb(&gateway, &["activate", "--stage", "staging", "--why", "hide the items"]);
    assert!(told.contains("in staging") && told.contains("no longer exposed"), "{told}");
    assert_eq!((status(*production, GET), status(*staging, GET)), (200, 404));
    // The file changes again: what goes on is the candidate.
    gateway.replace("haechi.yaml", "haechi: 1\nnonsense: true\n");
    let canary = gateway.verb(&["activate", "--stage", "canary=50%", "--no-guard"]);
    assert!(String::from_utf8_lossy(&canary.stderr).contains("files have changed"), "{canary:?}");
    let calls = 400;
    let mut raw = Raw::connect(*production);
    let refused = (0..calls).filter(|_| raw.send(GET).response().expect("a response").status == 404).count();
    assert!((120..280).contains(&refused), "{refused} of {calls} is no half");
    let state = gateway.json(&["status", "--format", "json"]);
    let counted = &state["candidate"]["canary"];
    assert_eq!(state["candidate"]["stage"], "canary=50%");
    eventually("every request of the canary is told by its event", || {
        gateway.events(1000).iter().filter(|event| event["stage"] == "canary").count() == refused
    });
    eventually("it is counted exactly", || {
        let state = gateway.json(&["status", "--format", "json"]);
        state["candidate"]["canary"]["requests"] == refused
    });
    assert!(counted["refused"].is_u64());
    assert_eq!(status(*staging, GET), 404);
    verb(&gateway, &["activate", "--no-guard"]);
    assert_eq!((status(*production, GET), status(*staging, GET)), (404, 404));
    let history = gateway.json(&["history", "--format", "json"]);
    let stages: Vec<_> =
        history.as_array().expect("a list").iter().map(|row| row["stage"].as_str()).collect();
    assert_eq!(stages, [Some("production"), Some("canary=50%"), Some("staging"), Some("production")]);
    assert_eq!(history[0]["digest"], history[2]["digest"], "it is the same candidate all the way");
    assert_eq!(history[2]["why"], "hide the items");
    assert!(history[2]["who"].as_str().expect("who").starts_with("uid "));
    assert_eq!(history[0]["changes"][0]["operation"], "getItem");
}

#[test]
fn a_file_that_changes_does_what_the_configuration_says() {
    let origin = Origin::start();
    let yaml = staged(&origin).replace("on_change: nothing", "on_change: staging");
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let [production, staging] = gateway.addresses() else { panic!("two listeners") };
    gateway.replace("haechi.yaml", &hidden(&yaml));
    eventually("it is staged", || status(*staging, GET) == 404);
    assert_eq!(status(*production, GET), 200);
    verb(&gateway, &["rollback"]);
    assert_eq!(status(*staging, GET), 200, "a candidate that is taken back serves nowhere");
    let state = gateway.json(&["status", "--format", "json"]);
    assert!(state["candidate"].is_null() && state["guard"].is_null(), "nor is it compared: {state}");
    let nothing = yaml.replace("on_change: staging", "on_change: nothing");
    gateway.replace("haechi.yaml", &nothing);
    verb(&gateway, &["activate", "--no-guard"]);
    gateway.replace("haechi.yaml", &hidden(&nothing));
    eventually("it is told", || gateway.json(&["status", "--format", "json"])["files_changed"] == true);
    assert_eq!((status(*production, GET), status(*staging, GET)), (200, 200));
}

#[test]
fn the_gateways_own_file_is_watched_though_another_one_serves() {
    let origin = Origin::start();
    let yaml = staged(&origin).replace("on_change: nothing", "on_change: production");
    let gateway = Gateway::start(&[
        ("haechi.yaml", &yaml),
        ("items.yaml", SPEC),
        ("next/haechi.yaml", &hidden(&yaml)),
        ("next/items.yaml", SPEC),
    ]);
    verb(&gateway, &["activate", "--candidate", "next/haechi.yaml", "--no-guard"]);
    assert_eq!(status(gateway.address(), GET), 404);
    gateway.replace("haechi.yaml", &format!("{yaml}# mended\n"));
    eventually("it is noticed", || status(gateway.address(), GET) == 200);
}

#[test]
fn a_rollback_serves_what_was_though_files_have_changed_and_revives_no_key() {
    let origin = Origin::start();
    let keyed = staged(&origin)
        .replace("auth: none", "auth: [partner]")
        .replace("apis:", "identity:\n  partner: { api_key: { collection: partners } }\napis:");
    let gateway = Gateway::start(&[("haechi.yaml", &keyed), ("items.yaml", SPEC)]);
    let made =
        gateway.json(&["keys", "create", "--collection", "partners", "--name", "p", "--format", "json"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let call = format!("GET /items/7 HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n\r\n");
    let asks = || status(gateway.address(), call.as_bytes());
    assert_eq!(asks(), 200);
    // The contract changes with the configuration; both are gone from the disk when the rollback comes.
    gateway.replace("items.yaml", &SPEC.replace("/items/{id}", "/menus/{id}"));
    gateway.replace("haechi.yaml", &format!("{keyed}    modes: {{ limits: observe }}\n"));
    verb(&gateway, &["activate"]);
    assert_eq!(asks(), 404);
    verb(&gateway, &["keys", "revoke", id]);
    gateway.replace("items.yaml", "not even yaml: [");
    let told = verb(&gateway, &["rollback", "--why", "the menu is not ready"]);
    assert!(told.starts_with("rolled-back "), "{told}");
    assert_eq!(asks(), 401, "the old contract serves again, and the key stays revoked");
    assert_eq!(gateway.verb(&["rollback"]).status.code(), Some(1), "nothing served before");
    // Forward again, by number, from what was kept.
    let history = gateway.json(&["history", "--format", "json"]);
    assert_eq!(history[0]["outcome"], "rolled-back");
    let forward = history[1]["id"].to_string();
    verb(&gateway, &["rollback", "--to", &forward]);
    assert_eq!(asks(), 404);
    assert_eq!(gateway.verb(&["rollback", "--to", "999"]).status.code(), Some(1));
    // And after a kill, what was decided is served, whatever is on disk.
    let gateway = Gateway::start_in(gateway.kill());
    assert_eq!(status(gateway.address(), call.as_bytes()), 404);
    assert_eq!(gateway.json(&["status", "--format", "json"])["snapshot"]["is_last_good"], true);
}

#[test]
fn what_was_rolled_back_does_not_come_back_by_a_restart() {
    let origin = Origin::start();
    let gateway = gateway(&origin);
    gateway.replace("haechi.yaml", &hidden(&staged(&origin)));
    verb(&gateway, &["activate"]);
    assert_eq!(status(gateway.address(), GET), 404);
    verb(&gateway, &["rollback"]);
    let gateway = Gateway::start_in(gateway.kill());
    assert_eq!(status(gateway.address(), GET), 200, "the file on disk is still the bad one");
    verb(&gateway, &["activate"]);
    assert_eq!(status(gateway.address(), GET), 404, "asked for, it is served");
}

#[test]
fn a_broken_file_never_takes_over_not_even_after_a_kill() {
    let origin = Origin::start();
    let gateway = gateway(&origin);
    let broken = staged(&origin).replace("auth: none", "auth: [nobody]");
    gateway.replace("haechi.yaml", &broken);
    for stage in ["staging", "canary=5%", "production"] {
        let refused = gateway.verb(&["activate", "--stage", stage]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("nobody"), "{refused:?}");
    }
    assert_eq!(status(gateway.address(), GET), 200);
    let mut dir = gateway.kill();
    for wrong in [broken.as_str(), "\tno yaml: {", ""] {
        std::fs::write(dir.path().join("haechi.yaml"), wrong).expect("written");
        let gateway = Gateway::start_in(dir);
        assert_eq!(status(gateway.address(), GET), 200, "{wrong}");
        let state = verb(&gateway, &["status"]);
        assert!(state.contains("LAST GOOD"), "{state}");
        dir = gateway.kill();
    }
}

#[test]
fn a_kill_in_the_middle_of_an_activation_leaves_a_snapshot_that_serves() {
    let origin = Origin::start();
    let mut gateway = gateway(&origin);
    for round in 0..5 {
        let yaml = format!("{}# {round}\n", staged(&origin));
        gateway.replace("haechi.yaml", &yaml);
        let mut activating = Command::new(haechi_e2e::binary())
            .arg("activate")
            .current_dir(gateway.dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        // At another moment each time: as soon as the process answers anything, it is killed.
        for _ in 0..round {
            status(gateway.address(), GET);
        }
        let dir = gateway.kill();
        activating.wait().expect("its end");
        gateway = Gateway::start_in(dir);
        assert_eq!(status(gateway.address(), GET), 200);
    }
}

/// Calls without pause on some connections, until it is dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Traffic {
    fn on(address: std::net::SocketAddr, connections: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..connections)
            .map(|_| {
                let stop = stop.clone();
                std::thread::spawn(move || {
                    let mut raw = Raw::connect(address);
                    while !stop.load(Ordering::Relaxed) {
                        if raw.send(GET).response().is_none() {
                            raw = Raw::connect(address);
                        }
                    }
                })
            })
            .collect();
        Self { stop, threads }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[test]
fn faulty_canaries_are_taken_back_and_good_ones_are_not() {
    canaries("window: 1s, watch: 2s", if full() { 200 } else { 8 });
    if full() {
        canaries("", 8);
    }
}

/// Puts canaries beside production under traffic, every other of them faulty, by these settings of the guard.
fn canaries(guard: &str, canaries: usize) {
    let (origin, slow) = (Origin::forgetful(Duration::ZERO), Origin::forgetful(Duration::from_millis(200)));
    let yaml = staged(&origin).replace("window: 1s, watch: 2s", guard);
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let traffic = Traffic::on(gateway.address(), 8);
    let gone = haechi_e2e::free();
    let good: [Box<dyn Fn(usize) -> String>; 2] = [
        Box::new(|n| format!("{yaml}# as good as before, number {n}\n")),
        Box::new(|n| {
            yaml.replace(
                "    auth: none",
                &format!("    validate: {{ response: observe }} # {n}\n    auth: none"),
            )
        }),
    ];
    let faulty: [Box<dyn Fn(usize) -> String>; 3] = [
        Box::new(|n| yaml.replace(&origin.address().to_string(), &gone.to_string()) + &format!("# {n}\n")),
        Box::new(|n| hidden(&yaml) + &format!("# {n}\n")),
        Box::new(|n| {
            yaml.replace(&origin.address().to_string(), &slow.address().to_string()) + &format!("# {n}\n")
        }),
    ];
    let (mut kept, mut taken, mut slowest) = (0, 0, Duration::ZERO);
    for number in 0..canaries {
        let is_faulty = number % 2 == 1;
        let text = if is_faulty { faulty[number / 2 % 3](number) } else { good[number / 2 % 2](number) };
        gateway.replace("haechi.yaml", &text);
        let started = Instant::now();
        let output =
            gateway.verb(&["activate", "--candidate", "haechi.yaml", "--stage", "canary=25%", "--wait"]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        if is_faulty {
            assert_eq!(output.status.code(), Some(4), "canary {number} is faulty: {told}");
            taken += 1;
            slowest = slowest.max(started.elapsed());
        } else {
            assert_eq!(output.status.code(), Some(0), "canary {number} is good: {told}");
            kept += 1;
            verb(&gateway, &["rollback"]);
        }
    }
    drop(traffic);
    let _ = writeln!(
        std::io::stderr(),
        "canaries: {kept} good of {} held, {taken} faulty of {} taken back, the slowest after {slowest:.1?} (guard: {{ {guard} }})",
        canaries / 2,
        canaries / 2
    );
    let history = gateway.json(&["history", "--format", "json"]);
    let rolled_back =
        history.as_array().expect("a list").iter().find(|row| row["who"] == "guard").expect("one");
    assert!(rolled_back["message"].as_str().expect("figures").contains(" of "), "{rolled_back}");
}

#[test]
fn a_new_production_that_is_worse_than_before_is_taken_back() {
    let origin = Origin::forgetful(Duration::ZERO);
    let gateway = gateway(&origin);
    let traffic = Traffic::on(gateway.address(), 4);
    eventually("there is something to compare with", || gateway.events(100).len() >= 100);
    let served = || gateway.json(&["status", "--format", "json"])["snapshot"]["digest"].clone();
    let before = served();
    // The guard looks ten times within its window: it must have seen some of the time before.
    let looked = Instant::now();
    eventually("a window has passed", || looked.elapsed() > Duration::from_secs(2));
    gateway.replace("haechi.yaml", &staged(&origin).replace(&origin.address().to_string(), "127.0.0.1:9"));
    let output = gateway.verb(&["activate", "--wait"]);
    drop(traffic);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(4), "{told}");
    assert!(told.contains("ROLLED BACK: calls failed"), "{told}");
    assert_eq!(served(), before);
    assert_eq!(status(gateway.address(), GET), 200);
}

/// `h2load` against an address.
fn load(url: String, arguments: &[String]) -> Child {
    Command::new("h2load")
        .args(arguments)
        .arg(url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("h2load starts")
}

fn resident(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("readable");
    let pages: u64 = text.split(' ').nth(1).expect("a number").parse().expect("a number");
    pages * 4096
}

#[test]
fn activations_under_load_drop_nothing_and_leave_nothing_behind() {
    if !have("h2load") {
        return;
    }
    let (activations, seconds) = if full() { (1000, 180) } else { (60, 12) };
    let origin = Origin::forgetful(Duration::ZERO);
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let settings = "activation: { on_change: nothing }\nlimits: { connections_per_address: 10000 }\nlisten:\n  - { address: \"127.0.0.1:0\", tls: { cert: file:tls.pem, key: file:tls.key } }\n";
    let yaml = config(origin.address()).replace("listen:\n", settings);
    let gateway = Gateway::start(&[
        ("haechi.yaml", &yaml),
        ("items.yaml", SPEC),
        ("tls.pem", &made.cert.pem()),
        ("tls.key", &made.signing_key.serialize_pem()),
    ]);
    let [tls, plain] = gateway.addresses() else { panic!("two listeners") };
    let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let end = format!("-D{seconds}");
    // 2,000 requests a second: kept connections of both protocols, with TLS and without, and 200 connections a second with a request each.
    let running = [
        load(format!("https://{tls}/items/7"), &words(format!("-c8 -m4 --rps=100 {end}"))),
        load(format!("http://{plain}/items/7"), &words(format!("--h1 -c8 --rps=125 {end}"))),
        load(format!("https://{tls}/items/7"), &words(format!("--h1 -n{0} -c{0} -r200", seconds * 200))),
    ];
    let (started, mut grown) = (Instant::now(), Vec::new());
    for number in 0..activations {
        let body = 100_000 + number;
        gateway.replace(
            "haechi.yaml",
            &format!("{yaml}    operations: {{ createItem: {{ body: {body}B }} }}\n"),
        );
        let told = verb(&gateway, &["activate", "--no-guard"]);
        assert!(told.starts_with("activated "), "{told}");
        if number % (activations / 5) == 0 {
            grown.push(resident(gateway.pid()));
        }
        // Spread over the time of the load.
        let due = Duration::from_secs(seconds) * (number + 1) / activations;
        eventually("it is due", || started.elapsed() >= due.mul_f64(0.9));
    }
    let took = started.elapsed();
    let end = resident(gateway.pid());
    let mut requests = 0;
    for load in running {
        let output = load.wait_with_output().expect("its end");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = |name: &str| report.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(line("requests:").contains(" 0 failed, 0 errored, 0 timeout"), "{report}");
        let codes = line("status codes:");
        assert!(codes.contains(" 0 3xx, 0 4xx, 0 5xx"), "{report}");
        requests += codes.split(' ').nth(2).and_then(|count| count.parse::<u64>().ok()).expect("a count");
    }
    let _ = writeln!(
        std::io::stderr(),
        "{activations} activations in {took:.1?}, {requests} requests answered 2xx, none dropped, none 5xx; resident MiB after each fifth of them: {:?}",
        grown.iter().chain([&end]).map(|bytes| bytes >> 20).collect::<Vec<_>>()
    );
    let warm = grown[1];
    // Every snapshot that stayed would be 100 KiB and more; so many activations would be far beyond this.
    assert!(end < warm + warm / 4 + (16 << 20), "from {warm} to {end} bytes");
}

#[test]
fn replay_names_what_a_candidate_would_decide_differently() {
    let origin = Origin::start();
    let gateway = gateway(&origin);
    let mut raw = Raw::connect(gateway.address());
    for size in ["S", "M", "L", "S"] {
        let request = format!("GET /items/7?size={size} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(raw.send(request.as_bytes()).response().expect("a response").status, 200);
    }
    assert_eq!(status(gateway.address(), b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), 404);
    gateway.requests(5);
    std::fs::create_dir(gateway.dir().join("next")).expect("made");
    gateway.replace("next/items.yaml", &SPEC.replace("enum: [S, M, L]", "enum: [S, M]"));
    gateway.replace("next/haechi.yaml", &staged(&origin));
    // What serves is compared with, not what is on disk by now.
    gateway.replace("haechi.yaml", "nonsense");
    let arguments = ["replay", "--socket", "haechi.sock", "--candidate", "next/haechi.yaml", "--since", "1h"];
    let output = gateway.verb(&arguments);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("5 calls judged") && told.contains("4 alike, 1 differently"), "{told}");
    assert!(told.contains("items.getItem") && told.contains("400 contract:enum"), "{told}");
    let output = gateway.verb(&[&arguments[..], &["--format", "json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["differences"].as_array().expect("a list").len(), 1, "{report}");
    assert_eq!(report["unjudged"], serde_json::json!([]));
    let example = report["differences"][0]["examples"][0].as_str().expect("an id");
    assert!(verb(&gateway, &["why", example, "--socket", "haechi.sock"]).contains("size=L"));
}
