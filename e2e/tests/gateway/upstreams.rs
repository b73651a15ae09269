//! Upstreams that fail, under load: what callers see of it, and that it is over when the fault is.
//!
//! Each test says what it has seen on standard error; the table in the manual is made from that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use haechi_e2e::{Fault, Faulty, Gateway, PATIENCE, Peer, Raw, eventually};

use crate::SPEC;

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n";
/// Callers at once.
const CALLERS: usize = 8;

/// What one caller met.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    pub(crate) good: usize,
    pub(crate) bad: usize,
    /// Answers that broke off, as their caller could tell.
    pub(crate) cut: usize,
    slowest: Duration,
}

/// Steady load until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    callers: Vec<std::thread::JoinHandle<Met>>,
}

impl Load {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let caller = |_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut met = Met::default();
                let mut raw = Raw::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let answer = raw.send(GET).response();
                    met.slowest = met.slowest.max(start.elapsed());
                    match answer {
                        Some(answer) if answer.status == 200 && answer.body == b"true" => met.good += 1,
                        Some(_) => met.bad += 1,
                        None => {
                            met.cut += 1;
                            raw = Raw::connect(address);
                        }
                    }
                }
                met
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Self { stop, callers }
    }

    pub(crate) fn end(self, what: &str) -> Met {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Met::default();
        for caller in self.callers {
            let met = caller.join().expect("a caller that ends");
            all.good += met.good;
            all.bad += met.bad;
            all.cut += met.cut;
            all.slowest = all.slowest.max(met.slowest);
        }
        eprintln!("measured: {what}: {all:?}");
        assert!(all.slowest < PATIENCE, "{what}: a caller hung");
        all
    }
}

fn yaml(urls: &str, more: &str) -> String {
    format!(
        "haechi: 1\nworkers: 2\nlisten:\n  - address: \"127.0.0.1:0\"\napis:\n  items:\n    openapi: ./items.yaml\n    auth: none\n    \
         upstream:\n      urls: [{urls}]\n      timeout: 10s\n      try_timeout: 300ms\n      body_timeout: 300ms\n      \
         ejection: {{ failures: 3, for: 1s, longest: 2s }}\n{more}"
    )
}

fn gateway(urls: &str, more: &str) -> Gateway {
    Gateway::start(&[("haechi.yaml", &yaml(urls, more)), ("items.yaml", SPEC)])
}

fn over(origins: &[&Faulty]) -> Gateway {
    let urls: Vec<_> = origins.iter().map(|origin| format!("\"http://{}\"", origin.address())).collect();
    gateway(&urls.join(", "), "")
}

/// The state of an address, as `haechi status` tells it.
fn state(gateway: &Gateway, of: &Faulty) -> String {
    let status = gateway.json(&["status", "--format", "json"]);
    let endpoints = status["edge"]["upstreams"][0]["endpoints"].as_array().expect("endpoints").clone();
    let one = endpoints.iter().find(|one| one["address"] == of.address().to_string()).expect("the address");
    one["state"].as_str().expect("a state").to_owned()
}

/// Retries that were made, from the metrics.
fn retries(gateway: &Gateway) -> usize {
    let mut stream = std::os::unix::net::UnixStream::connect(gateway.dir().join("haechi.sock"))
        .expect("the control socket");
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).expect("written");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).expect("read");
    let line = text.lines().find_map(|line| line.strip_prefix("haechi_upstream_retries_total "));
    line.expect("the counter").trim().parse().expect("a number")
}

/// One of two has the fault, and then no more. Whether callers see it, what is left of it, how much was sent twice.
fn one_of_two(fault: Fault) -> Met {
    let (good, bad) = (Faulty::start(), Faulty::start());
    let gateway = over(&[&good, &bad]);
    let load = Load::start(gateway.address());
    eventually("both serve", || good.served() > 50 && bad.served() > 50);
    bad.set(fault);
    eventually("it is left out", || state(&gateway, &bad) == "ejected");
    let before = good.served();
    eventually("the other serves on", || good.served() > before + 100);
    bad.set(Fault::None);
    let before = bad.served();
    eventually("it serves again", || state(&gateway, &bad) == "healthy" && bad.served() > before + 50);
    let met = load.end(&format!("{fault:?}, one of two"));
    let (calls, again) = (met.good + met.bad + met.cut, retries(&gateway));
    eprintln!("measured: {fault:?}: {again} retries of {calls} calls");
    assert!(
        again <= calls / 5 + 100 + 10 * usize::try_from(PATIENCE.as_secs()).expect("small"),
        "{again} of {calls}"
    );
    met
}

#[test]
fn one_of_two_that_is_killed_is_not_noticed_by_callers() {
    let met = one_of_two(Fault::Kill);
    assert_eq!((met.bad, met.cut), (0, 0));
}

#[test]
fn one_of_two_that_hangs_costs_time_and_no_call() {
    let met = one_of_two(Fault::Hang);
    assert_eq!((met.bad, met.cut), (0, 0));
}

#[test]
fn one_of_two_that_breaks_off_its_answers_is_left_out_and_callers_can_tell() {
    let met = one_of_two(Fault::ResetMidBody);
    assert_eq!(met.bad, 0);
    // Those in flight, three in a row, and the trials after that. What has begun cannot be sent again.
    assert!((3..=3 + 4 * CALLERS).contains(&met.cut), "{met:?}");
}

#[test]
fn one_of_two_whose_answers_stop_is_left_out_and_nobody_waits_for_ever() {
    let met = one_of_two(Fault::SlowBody);
    assert_eq!(met.bad, 0);
    assert!((3..=3 + 4 * CALLERS).contains(&met.cut), "{met:?}");
}

#[test]
fn with_no_upstream_left_calls_fail_at_once_and_recover() {
    let origin = Faulty::start();
    let breaker = "      breaker: { failures: 50%, least_calls: 10, open: 1s }\n";
    let gateway = gateway(&format!("\"http://{}\"", origin.address()), breaker);
    let load = Load::start(gateway.address());
    eventually("it serves", || origin.served() > 50);
    origin.set(Fault::Unavailable);
    let mut raw = Raw::connect(gateway.address());
    eventually("the breaker opens", || {
        let answer = raw.send(GET).response().expect("an answer");
        answer.head.to_ascii_lowercase().contains("retry-after: 1\r\n")
            && String::from_utf8_lossy(&answer.body).contains("problems/upstream-unavailable")
    });
    gateway.event("the breaker refused", |event| event["reason"] == "upstream-open");
    origin.set(Fault::None);
    let before = origin.served();
    eventually("it serves again", || origin.served() > before + 50);
    let status = gateway.json(&["status", "--format", "json"]);
    assert_eq!(status["edge"]["upstreams"][0]["breaker"], "closed", "{status}");
    let met = load.end("503 of the only one, with a breaker");
    assert!(met.bad > 0 && met.cut == 0, "{met:?}");
}

#[test]
fn what_is_known_of_an_upstream_survives_an_activation() {
    let (good, bad) = (Faulty::start(), Faulty::start());
    let gateway = over(&[&good, &bad]);
    bad.set(Fault::Kill);
    let load = Load::start(gateway.address());
    eventually("it is left out", || state(&gateway, &bad) == "ejected");
    let yaml = std::fs::read_to_string(gateway.dir().join("haechi.yaml")).expect("the file");
    gateway.replace("haechi.yaml", &yaml.replace("timeout: 10s", "timeout: 9s"));
    assert!(gateway.verb(&["activate"]).status.success());
    // Out, or tried and out again: never taken for new.
    let status = gateway.json(&["status", "--format", "json"]);
    let endpoints = status["edge"]["upstreams"][0]["endpoints"].as_array().expect("endpoints");
    let one = endpoints.iter().find(|one| one["address"] == bad.address().to_string()).expect("the address");
    assert!(one["failures"].as_u64() >= Some(3), "{status}");
    let met = load.end("killed, one of two, over an activation");
    assert_eq!((met.bad, met.cut), (0, 0));
}

#[test]
fn an_address_that_flaps_by_its_checks_is_left_out_and_taken_back() {
    let (good, bad) = (Faulty::start(), Faulty::start());
    let urls = format!("\"http://{}\", \"http://{}\"", good.address(), bad.address());
    let health = "      health: { path: /up, interval: 100ms, timeout: 500ms, healthy: 1, unhealthy: 2 }\n      retries: { on: [reset, timeout, 503] }\n";
    let gateway = gateway(&urls, health);
    let load = Load::start(gateway.address());
    for _ in 0..3 {
        bad.set(Fault::Unavailable);
        eventually("its checks fail", || state(&gateway, &bad) == "unhealthy");
        bad.set(Fault::None);
        eventually("its checks are good", || state(&gateway, &bad) == "healthy");
    }
    let met = load.end("flapping, one of two");
    assert_eq!((met.bad, met.cut), (0, 0));
}

/// Runs the gateway with a hosts file of its own; not everybody may.
fn with_hosts(hosts: &str, files: &[(&str, String)]) -> Option<Gateway> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    std::fs::write(dir.path().join("hosts"), hosts).expect("written");
    let script = "mount --bind ./hosts /etc/hosts && exec \"$0\" \"$@\"";
    let mut own = std::process::Command::new("unshare");
    own.args(["--mount", "sh", "-c", script]).current_dir(dir.path());
    if !std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "true"])
        .current_dir(dir.path())
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("left out: no mount namespace of its own may be made here");
        return None;
    }
    Some(Gateway::start_as(dir, own.arg(haechi_e2e::binary()).arg("run")))
}

#[test]
fn a_name_that_moves_is_followed_and_one_that_vanishes_keeps_its_addresses() {
    let old = Faulty::at(SocketAddr::from(([127, 0, 0, 2], 0)));
    let new = Faulty::at(SocketAddr::from(([127, 0, 0, 3], old.address().port())));
    let yaml = format!(
        "haechi: 1\nlisten:\n  - address: \"127.0.0.1:0\"\napis:\n  items:\n    openapi: ./items.yaml\n    auth: none\n    \
         upstream: {{ urls: [\"http://kitchen.test:{}\"], refresh: 100ms }}\n",
        old.address().port()
    );
    let files = [("haechi.yaml", yaml), ("items.yaml", SPEC.to_owned())];
    let Some(gateway) = with_hosts("127.0.0.2 kitchen.test\n", &files) else { return };
    let hosts = |text: &str| std::fs::write(gateway.dir().join("hosts"), text).expect("written");
    let load = Load::start(gateway.address());
    eventually("the old address serves", || old.served() > 50);
    hosts("127.0.0.3 kitchen.test\n");
    eventually("the new address serves", || new.served() > 50);
    eventually("the old address has ended its calls", || {
        let status = gateway.json(&["status", "--format", "json"]);
        let endpoints = status["edge"]["upstreams"][0]["endpoints"].as_array().expect("endpoints");
        endpoints.len() == 1 && endpoints[0]["address"] == new.address().to_string()
    });
    let (served, before) = (old.served(), new.served());
    hosts("# nothing\n");
    eventually("the new address serves on", || new.served() > before + 200);
    assert_eq!(old.served(), served, "nothing goes to the old address any more");
    let met = load.end("a name that moves, then vanishes");
    assert_eq!((met.bad, met.cut), (0, 0));
}

/// A host of its own: a network namespace, joined to this one by a pair of devices. Gone when dropped.
struct Host {
    name: String,
    here: String,
    there: String,
}

impl Host {
    /// Nothing if no namespace may be made here.
    fn start() -> Option<Self> {
        let id = std::process::id();
        let (net, at) = (id / 64 % 256, id % 64 * 4);
        let host = Self {
            name: format!("haechi-{id}"),
            here: format!("10.213.{net}.{}", at + 1),
            there: format!("10.213.{net}.{}", at + 2),
        };
        let (near, far) = (format!("hn{id}"), format!("hf{id}"));
        let made = ip(&["netns", "add", &host.name])
            && ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &host.name])
            && ip(&["addr", "add", &format!("{}/30", host.here), "dev", &near])
            && ip(&["link", "set", &near, "up"])
            && ip(&["-n", &host.name, "addr", "add", &format!("{}/30", host.there), "dev", &far])
            && ip(&["-n", &host.name, "link", "set", &far, "up"]);
        if !made {
            eprintln!("left out: no network namespace may be made here");
        }
        made.then_some(host)
    }

    fn python(&self, python: &std::path::Path, arguments: &[&str]) -> Peer {
        let mut command = std::process::Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(python);
        Peer::run(command.arg(haechi_e2e::peer(arguments[0])).args(&arguments[1..]))
    }

    /// What it is sent arrives; nothing that it sends does, not even that it has received.
    fn falls_silent(&self) {
        assert!(ip(&["-n", &self.name, "route", "add", "blackhole", &self.here]));
    }

    fn speaks_again(&self) {
        assert!(ip(&["-n", &self.name, "route", "del", "blackhole", &self.here]));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    let output = std::process::Command::new("ip").args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// The state of an address that is no `Faulty`.
fn state_at(gateway: &Gateway, address: &str) -> serde_json::Value {
    let status = gateway.json(&["status", "--format", "json"]);
    let endpoints = status["edge"]["upstreams"][0]["endpoints"].as_array().expect("endpoints").clone();
    endpoints.into_iter().find(|one| one["address"] == address).expect("the address")
}

#[test]
fn one_of_two_whose_connections_are_half_open_is_left_out_and_nobody_hangs() {
    let Some(python) = haechi_e2e::python() else { return };
    let Some(host) = Host::start() else { return };
    let (good, bad) = (Faulty::start(), host.python(&python, &["kitchen.py", &host.there]));
    let at = bad.address().to_string();
    let gateway =
        gateway(&format!("\"http://{}\", \"http://{at}\"", good.address()), "      connect_timeout: 300ms\n");
    let load = Load::start(gateway.address());
    let answers = |count: u64| {
        let counts = gateway.json(&["events", "count", "--by", "upstream", "--format", "json"]);
        let groups = counts["groups"].as_array().expect("groups").clone();
        groups.iter().any(|group| group["values"][0] == at && group["count"].as_u64() > Some(count))
    };
    eventually("both serve", || good.served() > 50 && answers(50));
    host.falls_silent();
    eventually("it is left out", || state_at(&gateway, &at)["state"] == "ejected");
    let before = good.served();
    eventually("the other serves on", || good.served() > before + 100);
    host.speaks_again();
    eventually("it serves again", || state_at(&gateway, &at)["state"] == "healthy");
    let met = load.end("half-open connections to one of two");
    // Whoever has the head of an answer already can only be told that the rest does not come.
    assert!(met.bad == 0 && met.cut <= CALLERS, "{met:?}");
}

#[test]
fn one_of_two_whose_certificate_ends_is_left_out_until_it_is_renewed() {
    let Some(python) = haechi_e2e::python() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("a CA");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let (certificate, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    let own = rcgen::KeyPair::generate().expect("a key");
    std::fs::write(&key, own.serialize_pem()).expect("written");
    let issue = |until: std::time::SystemTime| {
        let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        params.not_after = until.into();
        let new = dir.path().join("new.pem");
        std::fs::write(&new, params.signed_by(&own, &issuer).expect("signed").pem()).expect("written");
        std::fs::rename(new, &certificate).expect("moved");
    };
    issue(std::time::SystemTime::now() + Duration::from_secs(6));
    let mut command = std::process::Command::new(&python);
    command.arg(haechi_e2e::peer("kitchen.py")).arg("127.0.0.1").arg(&certificate).arg(&key);
    let (good, bad) = (Faulty::start(), Peer::run(&mut command));
    let at = bad.address().to_string();
    let gateway = Gateway::start(&[
        (
            "haechi.yaml",
            &yaml(
                &format!("\"http://{}\", \"https://{at}\"", good.address()),
                "      tls: { ca: \"file:./ca.pem\" }\n",
            ),
        ),
        ("items.yaml", SPEC),
        ("ca.pem", &ca_pem),
    ]);
    let load = Load::start(gateway.address());
    let is = |state: &str| state_at(&gateway, &at)["state"] == state;
    let ended =
        || state_at(&gateway, &at)["error"].as_str().is_some_and(|error| error.contains("certificate"));
    eventually("its certificate ends", ended);
    eventually("it is left out", || is("ejected"));
    issue(std::time::SystemTime::now() + Duration::from_secs(24 * 3600));
    eventually("it serves again", || is("healthy"));
    let met = load.end("a certificate that ends, of one of two");
    assert_eq!((met.bad, met.cut), (0, 0));
}
