//! `check` refuses everything that `run` refuses, over damaged configurations: every mutant that `check` accepts is activated by a
//! running gateway and started by a fresh one; none that it refuses is. A broken file never takes over.
//!
//! The one exception: an address that cannot be listened to. Whether it can is known when it is tried.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail loudly")]

mod bases;
mod mutate;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Component, Path};
use std::time::Duration;

use haechi_config::Config;
use haechi_control::{Activation, Client, ClientError, Options, Server, Status, vet};
use haechi_edge::{Files, Lasting};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bases::{Contents, FILES, bases};
use crate::mutate::{Random, damage, mutate, pointers};

/// Mutants of each base that a running gateway is asked to activate.
const ACTIVATED: u64 = 600;
/// Of those that are refused, one of so many is also given to a process of its own; of the others every one is.
const STARTED: u64 = 25;

/// What became of the mutants.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    unbound: u64,
    outside: u64,
    started: u64,
}

/// What `haechi check` does.
fn check(dir: &Path, lasting: &Lasting) -> Result<Config, String> {
    let config = Config::load(&dir.join("haechi.yaml")).map_err(|wrong| wrong.to_string())?;
    vet(&config, lasting, &mut Files::on_disk(config.base())).map_err(|wrong| wrong.to_string())?;
    Ok(config)
}

fn options(dir: &Path) -> Options {
    Options {
        config: dir.join("haechi.yaml"),
        listen: None,
        who: "test".to_owned(),
        notices: false,
        fresh: true,
    }
}

/// Whether an address could not be listened to: the exception.
fn is_bind(message: &str) -> bool {
    message.contains("cannot listen on") || message.contains("cannot serve metrics on")
}

/// Whether everything that a gateway would make lies in its own directory: a test makes nothing elsewhere.
fn stays_inside(config: &Config, dir: &Path) -> bool {
    [&config.data, &config.events.dir, &config.limits.body_dir, &config.control.socket]
        .into_iter()
        .all(|path| path.starts_with(dir) && !path.components().any(|one| one == Component::ParentDir))
}

/// What the running gateway answers to a call that its contract does not allow, and to one that nothing names.
fn answers(address: SocketAddr) -> [String; 2] {
    ["PUT /v1/items HTTP/1.1\r\nHost: a.pizza.example", "GET /elsewhere HTTP/1.1\r\nHost: a"].map(|head| {
        let mut tcp = TcpStream::connect(address).expect("it still listens");
        tcp.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        tcp.write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes()).expect("sent");
        let mut answer = String::new();
        let _ = tcp.read_to_string(&mut answer);
        answer.lines().next().unwrap_or_default().to_owned()
    })
}

#[test]
fn the_bases_name_every_setting() {
    fn known(schema: &Value, names: &mut BTreeSet<String>) {
        if let Some(Value::Object(properties)) = schema.get("properties") {
            names.extend(properties.keys().cloned());
        }
        match schema {
            Value::Object(map) => map.values().for_each(|inner| known(inner, names)),
            Value::Array(list) => list.iter().for_each(|inner| known(inner, names)),
            _ => {}
        }
    }
    let (mut all, mut named) = (BTreeSet::new(), BTreeSet::new());
    known(&haechi_config::json_schema(), &mut all);
    for base in bases() {
        let mut at = Vec::new();
        pointers(&base, "", &mut at);
        named.extend(at.iter().filter_map(|at| Some(at.rsplit_once('/')?.1.to_owned())));
    }
    let left: Vec<_> = all.difference(&named).collect();
    assert!(left.is_empty(), "settings that no base has, and no mutant damages: {left:?}");
}

#[test]
fn check_accepts_exactly_what_a_gateway_activates_and_starts() {
    let mut tally = Tally::default();
    let lasting = Lasting::for_check().expect("random bytes");
    for (number, base) in bases().into_iter().enumerate() {
        over(number, &base, &lasting, &mut tally);
    }
    println!("{tally:?}");
    assert!(
        tally.accepted > 100 && tally.refused > 100,
        "the mutants are not what they should be: {tally:?}"
    );
}

/// Writes mutants of one base over a running gateway's file.
fn over(number: usize, base: &Value, lasting: &Lasting, tally: &mut Tally) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (temp, contents) = (TempDir::new().expect("a directory"), Contents::new());
    let dir = temp.path();
    contents.write(dir, &base.to_string());
    check(dir, lasting).unwrap_or_else(|wrong| panic!("base {number}: {wrong}"));
    let server = Server::start(&options(dir)).unwrap_or_else(|error| panic!("base {number}: {error}"));
    let client = Client::new(server.socket());
    let good = answers(server.addresses()[0]);
    assert!(good[0].contains("405") && (good[1].contains("404") || good[1].contains("401")), "{good:?}");
    let activate = || {
        // By its name: nothing else is promoted, whatever a mutant has made of `on_change`.
        let request = json!({ "why": "a mutant", "guard": false, "file": dir.join("haechi.yaml") });
        match runtime.block_on(client.post::<Activation>("/v1/activate", &request)) {
            Ok(_) => Ok(()),
            Err(ClientError::Refused { message, .. }) => Err(message),
            Err(other) => panic!("{other}"),
        }
    };
    for seed in 0..ACTIVATED {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number as u64);
        let mut mutant = base.clone();
        for _ in 0..=random.below(2) {
            mutate(&mut mutant, &mut random);
        }
        contents.write(dir, "");
        let text = damage(dir, mutant.to_string(), &mut random);
        std::fs::write(dir.join("haechi.yaml"), &text).expect("written");
        let checked = check(dir, lasting);
        let is_outside = checked.as_ref().is_ok_and(|config| !stays_inside(config, dir));
        let checked = checked.map(drop);
        let activated = activate();
        let about =
            || format!("base {number}, seed {seed}\n{text}\ncheck: {checked:?}\nactivate: {activated:?}");
        match (&checked, &activated) {
            (Ok(()), Ok(())) => tally.accepted += 1,
            (Ok(()), Err(message)) if is_bind(message) => tally.unbound += 1,
            (Err(_), Err(_)) => tally.refused += 1,
            _ => panic!("they disagree: {}", about()),
        }
        if is_outside {
            tally.outside += 1;
        } else if checked.is_ok() || seed % STARTED == 0 {
            tally.started += 1;
            let fresh = TempDir::new().expect("a directory");
            std::fs::create_dir(fresh.path().join("secrets")).expect("a directory");
            for name in FILES.iter().chain(&["haechi.yaml"]) {
                let _ = std::fs::copy(dir.join(name), fresh.path().join(name));
            }
            match (&checked, Server::start(&options(fresh.path()))) {
                (Ok(()), Ok(_)) | (Err(_), Err(_)) => {}
                (Ok(()), Err(error)) if is_bind(&error.to_string()) => {}
                (_, started) => {
                    let started = started.map(drop).map_err(|error| error.to_string());
                    panic!("they disagree: {}\nstart: {started:?}", about())
                }
            }
        }
        if activated.is_ok() {
            // It serves; the base takes over again.
            contents.write(dir, &base.to_string());
            activate().unwrap_or_else(|error| panic!("the base again: {error}\n{}", about()));
            assert_eq!(answers(server.addresses()[0]), good, "{}", about());
        } else if seed % 10 == 0 {
            // The broken file is still there: the last good one goes on.
            assert_eq!(answers(server.addresses()[0]), good, "{}", about());
            let status: Status = runtime.block_on(client.get("/v1/status")).expect("a status");
            assert!(checked.is_ok() || status.snapshot.is_last_good, "{}", about());
        }
    }
}

/// Whether `check` and a start both refuse what this mutant says, at its place.
#[track_caller]
fn both_refuse(pointer: &str, value: Value) {
    let (temp, contents) = (TempDir::new().expect("a directory"), Contents::new());
    let dir = temp.path();
    let mut mutant = bases()[1].clone();
    *mutant.pointer_mut(pointer).expect("there") = value;
    contents.write(dir, &mutant.to_string());
    let lasting = Lasting::for_check().expect("random bytes");
    let before = std::fs::read_dir(dir).expect("a directory").count();
    let message = check(dir, &lasting).map(drop).expect_err("refused");
    assert!(message.contains("haechi.yaml:1"), "{message}");
    assert_eq!(std::fs::read_dir(dir).expect("a directory").count(), before, "nothing is made by looking");
    let Err(error) = Server::start(&options(dir)) else { panic!("{pointer}: started") };
    assert_eq!(error.to_string(), message, "{pointer}");
    for name in FILES {
        assert!(dir.join(name).exists(), "{name}: a file that was there was removed");
    }
}

#[test]
fn what_stands_where_a_directory_should_be_is_found_by_check() {
    both_refuse("/data", json!("./items.yaml"));
    both_refuse("/events/dir", json!("./items.yaml/events"));
    both_refuse("/events/dir", json!(format!("./new/{}", "n".repeat(256))));
}

#[test]
fn a_directory_of_state_whose_path_is_too_long_for_its_database_is_found_by_check() {
    both_refuse("/data", json!("d/".repeat(240)));
}

#[test]
fn a_control_socket_that_cannot_be_is_found_by_check() {
    for socket in ["./items.yaml", ".", "./new/", "./items.yaml/sock"] {
        both_refuse("/control/socket", json!(socket));
    }
    both_refuse("/control/socket", json!(format!("./{}.sock", "s".repeat(120))));
}

#[test]
fn a_control_socket_where_a_directory_is_yet_to_be_made_is_found_by_check() {
    both_refuse("/control/socket", json!("./state"));
    both_refuse("/control/socket", json!("./events"));
    both_refuse("/data", json!("./haechi.sock/below"));
}

#[test]
fn a_collector_that_cannot_be_asked_is_found_by_check() {
    both_refuse("/telemetry/otlp/endpoint", json!("http://[::1]:1/a b"));
}
