//! The pizza shop behind the gateway, as `haechi demo` runs it, and as a tool that generates calls from its contracts sees it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use haechi_demo::{FILES, Shop, config_yaml, tls};
use haechi_e2e::{Gateway, binary};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The shop behind a gateway, without anybody in it.
pub(crate) struct Open {
    pub(crate) gateway: Gateway,
    pub(crate) shop: Shop,
    pub(crate) dir: TempDir,
    _runtime: Runtime,
}

/// Opens it. Whoever comes may call as fast as tools do.
pub(crate) fn open() -> Open {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let shop = runtime.block_on(Shop::open(dir.path())).expect("the shop opens");
    tls(dir.path()).expect("a certificate");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect(name);
    let config = config_yaml(&shop, "127.0.0.1:0".parse().expect("an address"));
    let config = config.replace("/s, burst: ", "0000/s, burst: 10000");
    let (certificate, key) = (read("tls.pem"), read("tls.key"));
    let mut files = vec![("haechi.yaml", config.as_str()), ("tls.pem", &certificate), ("tls.key", &key)];
    files.extend(FILES);
    let gateway = Gateway::start(&files);
    Open { gateway, shop, dir, _runtime: runtime }
}

/// Runs the demo and reads the last line of what it prints; and what came last of the look that it tells how to take, which
/// is taken each time it says how far it is.
fn demo(arguments: &[&str]) -> (Value, String) {
    let mut demo = Command::new(binary())
        .arg("demo")
        .args(["--listen", "127.0.0.1:0", "--summary", "json"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("haechi runs");
    let (mut told, mut look, mut seen) = (String::new(), None, String::new());
    for line in BufReader::new(demo.stderr.take().expect("piped")).lines().map_while(Result::ok) {
        if let Some(command) = line.strip_prefix("look closer: haechi ") {
            look = Some(command.split(' ').map(str::to_owned).collect::<Vec<_>>());
        } else if let Some(look) = look.as_ref().filter(|_| line.contains(" customers: ")) {
            let taken = Command::new(binary()).args(look).output().expect("haechi runs");
            // The last one may come too late.
            if taken.status.success() {
                seen = String::from_utf8_lossy(&taken.stdout).into_owned();
            }
        }
        told = format!("{told}{line}\n");
    }
    let output = demo.wait_with_output().expect("it ends");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{stdout}\n{told}");
    (serde_json::from_str(stdout.lines().last().expect("a last line")).expect("a JSON object"), seen)
}

const FAMILIES: [&str; 11] = [
    "no-key",
    "forged-token",
    "over-rate",
    "unknown-path",
    "contract-violation",
    "smuggling",
    "sqli",
    "nosqli",
    "xss",
    "template-injection",
    "scanner",
];

const CHANNELS: [&str; 10] =
    ["web", "app", "speaker", "tv", "messenger", "watch", "kiosk", "call-centre", "voice", "partner"];

#[test]
fn behind_haechi_no_attack_reaches_its_goal_and_no_customer_is_refused() {
    let (summary, seen) = demo(&["--for", "24s"]);
    let legitimate = &summary["legitimate"];
    assert!(legitimate["sent"].as_u64() > Some(50), "{summary}");
    assert_eq!((&legitimate["refused"], &legitimate["errors"]), (&0.into(), &0.into()), "{summary}");
    for family in FAMILIES {
        let attack = &summary["attacks"][family];
        assert!(attack["sent"].as_u64() > Some(0), "{family}: {summary}");
        assert_eq!((&attack["succeeded"], &attack["met"]), (&0.into(), &true.into()), "{family}: {summary}");
    }
    assert!(summary["latency_us"]["p50"].as_u64() > Some(0), "{summary}");
    // Every channel came in its hours, erred as it does, and was served; every service was called.
    for channel in CHANNELS {
        let line = &summary["channels"][channel];
        assert!(line["sent"].as_u64() > Some(5), "{channel}: {summary}");
        assert!(line["expected"].as_u64() > Some(0), "{channel}: {summary}");
        assert!(line["latency_us"]["p50"].as_u64() > Some(0), "{channel}: {summary}");
    }
    // What the gateway says of each channel is what the channel itself counted; all else is nobody's.
    for channel in CHANNELS {
        let (own, seen) = (&summary["channels"][channel], &summary["gateway"][channel]);
        assert_eq!(
            (&own["sent"], &own["pages"]),
            (&seen["requests"], &seen["pages"]),
            "{channel}: {summary}"
        );
        let shares = seen["api"].as_u64().zip(seen["pages"].as_u64()).map(|(api, pages)| api + pages);
        assert_eq!(shares, own["sent"].as_u64(), "{channel}: {summary}");
    }
    assert!(summary["gateway"]["web"]["pages"].as_u64() > Some(0), "{summary}");
    assert!(summary["gateway"]["none"]["refused"].as_u64() > Some(0), "{summary}");
    assert_eq!(
        summary["gateway"].as_object().map(serde_json::Map::len),
        Some(CHANNELS.len() + 1),
        "{summary}"
    );
    // A service that failed was no trouble to anybody, for the gateway asked its other instance.
    assert!(summary["upstreams"]["away"].as_u64() > Some(2), "{summary}");
    assert!(summary["upstreams"]["retried"].as_u64() > Some(0), "{summary}");
    // Whoever looks closer sees every channel, and what of it was API and what pages.
    let share = |channel: &str, traffic: &str| {
        let row = seen.lines().find(|line| {
            let words: Vec<_> = line.split_whitespace().take(2).collect();
            words == [channel, traffic]
        });
        row.is_some_and(|row| row.contains(" %"))
    };
    for channel in CHANNELS {
        assert!(share(channel, "api"), "{channel}: {seen}");
    }
    assert!(share("web", "page"), "{seen}");
    for (file, _) in haechi_demo::FILES {
        let service = file.trim_end_matches(".yaml");
        assert!(summary["services"][service]["sent"].as_u64() > Some(0), "{service}: {summary}");
    }
}

#[test]
fn without_haechi_every_attack_reaches_its_goal() {
    let (summary, _) = demo(&["--for", "15s", "--protect", "off"]);
    for family in FAMILIES {
        assert!(summary["attacks"][family]["succeeded"].as_u64() > Some(0), "{family}: {summary}");
    }
    // And the shop is open all the same: its customers have nothing to complain about but the neighbours.
    for channel in CHANNELS {
        assert!(summary["channels"][channel]["sent"].as_u64() > Some(0), "{channel}: {summary}");
    }
    assert_eq!(summary["legitimate"]["refused"], 0, "{summary}");
}
