//! Measures the engine: `bench --rules PATH… [--plain] [--rounds N] [--paranoia N] [--case NAME]`, or writes the requests: `bench --write FOLDER`.
//!
//! Prints for each request the median and the 99th percentile in microseconds of phases 1 and 2: `warm`, the same request again and again; `fresh`, with values
//! that never came before under the names that come each time; `cold`, with everything forgotten that the engine remembers between transactions. Automata that
//! patterns build lazily stay warm in all three.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for a terminal")]

use std::sync::Arc;
use std::time::Instant;

use haechi_seclang::{FileSystem, Request, Rules, Verdict};

#[derive(Clone)]
struct Case {
    name: &'static str,
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn main() {
    let mut paths = Vec::new();
    let mut rounds = 1_000usize;
    let mut paranoia = 1u8;
    let mut plain = false;
    let mut only = String::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rules" => {}
            "--rounds" => {
                rounds = arguments.next().and_then(|text| text.parse().ok()).expect("a number of rounds")
            }
            "--paranoia" => {
                paranoia = arguments.next().and_then(|text| text.parse().ok()).expect("a paranoia level")
            }
            "--plain" => plain = true,
            "--write" => return write(arguments.next().expect("a folder").as_ref()),
            "--case" => only = arguments.next().expect("the beginning of a request's name"),
            _ => paths.push(argument),
        }
    }
    let setup = format!(
        "SecAction \"id:900000,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level={paranoia}\"\nSecRequestBodyNoFilesLimit 1048576\nSecArgumentsLimit 10000\n"
    );
    let mut builder = Rules::builder(&FileSystem).text("bench.conf", setup);
    for path in paths {
        builder = builder.path(path);
    }
    let began = Instant::now();
    let rules = builder.build().unwrap_or_else(|errors| {
        println!("{errors}");
        std::process::exit(1)
    });
    println!("loaded in {} ms", began.elapsed().as_millis());
    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}  verdict",
        "request, µs", "warm", "p99", "fresh", "p99", "cold", "p99"
    );
    for (index, case) in cases(0).into_iter().enumerate().filter(|(_, case)| case.name.starts_with(&only)) {
        let mut verdict = Verdict::Pass;
        let rounds = if case.body.len() > 8_000 { rounds / 4 } else { rounds }.max(20);
        let warm = measure(rounds, || verdict = run(&rules, &case, plain), || {});
        let (mut salt, fresh) = (0, std::cell::RefCell::new(case.clone()));
        let renew = || {
            salt += 1;
            fresh.replace(cases(salt).swap_remove(index));
        };
        let fresh = measure(rounds, || verdict = run(&rules, &fresh.borrow(), plain), renew);
        let cold = measure(rounds, || verdict = run(&rules, &case, plain), || rules.forget());
        let told = if verdict == Verdict::Pass { "pass".to_owned() } else { format!("{verdict:?}") };
        println!(
            "{:<20} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}  {told}",
            case.name, warm.0, warm.1, fresh.0, fresh.1, cold.0, cold.1
        );
    }
}

/// The requests as they are sent, for other engines.
fn write(folder: &std::path::Path) {
    for (index, case) in cases(0).into_iter().enumerate() {
        let mut raw = format!("{} {} HTTP/1.1\r\n", case.method, case.target);
        case.headers.iter().for_each(|(name, value)| raw += &format!("{name}: {value}\r\n"));
        let raw = [raw.as_bytes(), b"\r\n", &case.body].concat();
        std::fs::write(folder.join(format!("{index}.http")), raw).expect("the folder is there");
    }
}

fn measure(rounds: usize, mut run: impl FnMut(), mut before: impl FnMut()) -> (f64, f64) {
    for _ in 0..rounds / 10 + 3 {
        before();
        run();
    }
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            before();
            let began = Instant::now();
            run();
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at =
        |part: usize| times.get((times.len() * part / 100).min(times.len() - 1)).copied().unwrap_or_default();
    (at(50), at(99))
}

fn run(rules: &Arc<Rules>, case: &Case, plain: bool) -> Verdict {
    let headers: Vec<(&[u8], &[u8])> =
        case.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let request = Request {
        method: case.method.as_bytes(),
        target: case.target.as_bytes(),
        headers: &headers,
        unique_id: "aSfDBX8AAAEAABIxKlcAAAAB",
        now: 1_764_083_461_000_000,
        ..Request::default()
    };
    let mut transaction = begin(rules, &request, plain);
    transaction.request_head();
    transaction.request_body(&case.body)
}

#[cfg(feature = "reference")]
fn begin(rules: &Arc<Rules>, request: &Request<'_>, plain: bool) -> haechi_seclang::Transaction {
    if plain { rules.begin_plainly(request) } else { rules.begin(request) }
}

#[cfg(not(feature = "reference"))]
fn begin(rules: &Arc<Rules>, request: &Request<'_>, plain: bool) -> haechi_seclang::Transaction {
    assert!(!plain, "built without the plain interpreter");
    rules.begin(request)
}

/// With a salt, every value is one that never was.
fn cases(salt: usize) -> Vec<Case> {
    let headers = |content: Option<&str>, length: usize| {
        let mut list = vec![
            ("Host", "api.pizza.example".to_owned()),
            ("User-Agent", "PizzaApp/4.2 (iPhone; iOS 18.1)".to_owned()),
            ("Accept", "application/json".to_owned()),
            ("Accept-Language", "en-GB,en;q=0.9".to_owned()),
            ("Accept-Encoding", "gzip, br".to_owned()),
            ("X-Request-Id", format!("7f3c9a52-61d4-4f0e-9a38-{:012x}", salt * 0x9e37_79b9 + 0x0c3f)),
            ("Authorization", "Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1MTIzIn0.c2lnbmF0dXJl".to_owned()),
            ("Connection", "keep-alive".to_owned()),
        ];
        if let Some(content) = content {
            list.push(("Content-Type", content.to_owned()));
            list.push(("Content-Length", length.to_string()));
        }
        list.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>()
    };
    let post = |name, content: &str, body: Vec<u8>| Case {
        name,
        method: "POST",
        target: "/v1/orders?channel=app&lang=en".to_owned(),
        headers: headers(Some(content), body.len()),
        body,
    };
    vec![
        Case {
            name: "GET, 8 headers",
            method: "GET",
            target: format!("/v1/menu/pizzas?size=large{}&page={}", letters(salt, 0), salt + 2),
            headers: headers(None, 0),
            body: Vec::new(),
        },
        post("POST, 1 KB JSON", "application/json", order(1_024, salt)),
        post("POST, 16 KB JSON", "application/json", order(16 * 1_024, salt)),
        post("POST, 64 KB form", "application/x-www-form-urlencoded", form(64 * 1_024, salt)),
    ]
}

const WORDS: &[&str] = &[
    "margherita",
    "Quattro Formaggi",
    "extra cheese",
    "no onions please",
    "Main Street 12",
    "2026-11-24T18:30:00Z",
    "12.50",
    "true",
    "leave at the door",
    "+44 20 7946 0958",
    "anna.schmidt@example.org",
    "Tomato, basil & mozzarella",
    "3",
    "gluten-free",
];

fn word(number: usize, salt: usize) -> String {
    WORDS.get(number % WORDS.len()).copied().unwrap_or_default().to_owned() + &letters(salt, number)
}

/// Three letters that tell salts and numbers apart.
fn letters(salt: usize, number: usize) -> String {
    let mut mixed = salt.wrapping_mul(0x9e37_79b9).wrapping_add(number.wrapping_mul(0x85eb_ca6b)) >> 3;
    let letter = |_| {
        let letter = char::from(b'a' + u8::try_from(mixed % 26).unwrap_or_default());
        mixed /= 26;
        letter
    };
    if salt == 0 { String::new() } else { (0..3).map(letter).collect() }
}

fn order(size: usize, salt: usize) -> Vec<u8> {
    let mut text = String::from("{\"customer\":{\"id\":\"c-10293\",\"name\":\"Anna Schmidt\"},\"items\":[");
    let mut number = 0;
    while text.len() + 90 < size {
        if number > 0 {
            text.push(',');
        }
        text.push_str(&format!(
            "{{\"sku\":\"pz-{number}\",\"name\":\"{}\",\"note\":\"{}\",\"quantity\":{}}}",
            word(number, salt),
            word(number * 5 + 2, salt),
            number % 4 + 1
        ));
        number += 1;
    }
    text.push_str("]}");
    text.into_bytes()
}

fn form(size: usize, salt: usize) -> Vec<u8> {
    let mut text = String::from("customer=c-10293");
    let mut number = 0;
    while text.len() + 80 < size {
        let value = word(number * 3 + 1, salt).replace('&', "%26").replace('+', "%2B").replace(' ', "+");
        text.push_str(&format!("&item_{number}_name={value}&item_{number}_quantity={}", number % 4 + 1));
        number += 1;
    }
    text.into_bytes()
}
