//! The PROXY protocol, with those who send it: haproxy, curl, and raw bytes.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use haechi_e2e::{Gateway, Origin, PATIENCE, Raw, have, run};

use crate::{SPEC, config, metric};

const GET: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n";

/// Two listeners, plaintext and TLS, that require a header of loopback.
fn gateway(origin: &Origin, more: &str) -> Gateway {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let required = "proxy_protocol: required\n    trusted_proxies: [127.0.0.0/8]";
    let yaml = config(origin.address()).replace(
        "  - address: \"127.0.0.1:0\"",
        &format!(
            "  - address: \"127.0.0.1:0\"\n    {required}\n  - address: \"127.0.0.1:0\"\n    {required}\n    tls: {{ cert: file:tls.pem, key: file:tls.key }}"
        ),
    );
    Gateway::start(&[
        ("haechi.yaml", &format!("{yaml}{more}")),
        ("items.yaml", SPEC),
        ("tls.pem", &made.cert.pem()),
        ("tls.key", &made.signing_key.serialize_pem()),
    ])
}

fn refusals(gateway: &Gateway, code: &str) -> u64 {
    metric(gateway, &format!("haechi_proxy_headers_total{{result=\"{code}\"}}"))
}

struct Haproxy(Child);

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// haproxy on a port of its own that passes TCP on to `backend` and announces the caller.
fn haproxy(gateway: &Gateway, backend: SocketAddr, how: &str) -> (Haproxy, SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let file = gateway.dir().join(format!("haproxy-{}.cfg", address.port()));
    std::fs::write(
        &file,
        format!(
            "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 30s\n  timeout client 30s\n  timeout server 30s\nlisten l\n  bind {address}\n  server s {backend} {how}\n"
        ),
    )
    .expect("written");
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    let child = Haproxy(command.spawn().expect("haproxy starts"));
    let start = Instant::now();
    while std::net::TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < PATIENCE, "haproxy does not listen");
        std::thread::yield_now();
    }
    (child, address)
}

/// What the event of the last of so many calls says of the caller and of the other end.
fn last(gateway: &Gateway, made: usize) -> (String, String, String) {
    let event = gateway.requests(made).pop().expect("one");
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    (text("client"), text("peer"), text("http_version"))
}

#[test]
fn haproxy_says_who_is_calling_over_every_protocol() {
    if !have("haproxy") || !have("curl") {
        return;
    }
    let origin = Origin::start();
    let gateway = gateway(&origin, "");
    let (plain, tls) = (gateway.addresses()[0], gateway.addresses()[1]);
    let mut made = 0;
    for how in ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"] {
        let (_plain, plain) = haproxy(&gateway, plain, how);
        let (_tls, tls) = haproxy(&gateway, tls, how);
        for (arguments, address, scheme, version) in [
            (&["--http1.1"][..], plain, "http", "1.1"),
            (&["--http2-prior-knowledge"], plain, "http", "2"),
            (&["--http1.1", "--insecure"], tls, "https", "1.1"),
            (&["--http2", "--insecure"], tls, "https", "2"),
        ] {
            let out = run(Command::new("curl")
                .args(["--silent", "--fail", "--interface", "127.0.0.9"])
                .args(arguments)
                .arg(format!("{scheme}://{address}/items/7")));
            assert_eq!(out, "{\"ok\": true}\n", "{how} {arguments:?}");
            made += 1;
            let (client, peer, http) = last(&gateway, made);
            assert_eq!((client.as_str(), http.as_str()), ("127.0.0.9", version), "{how} {arguments:?}");
            assert!(peer.starts_with("127.0.0.1:"), "{peer}");
        }
    }
    let heads = origin.seen();
    let told = |head: &str| head.to_ascii_lowercase().contains("x-forwarded-for: 127.0.0.9\r\n");
    assert!(heads.len() == 12 && heads.iter().all(|seen| told(&seen.head)), "{heads:?}");
}

#[test]
fn health_checks_of_haproxy_are_answered() {
    if !have("haproxy") || !have("curl") {
        return;
    }
    let origin = Origin::start();
    let gateway = gateway(&origin, "");
    let (_proxy, address) = haproxy(&gateway, gateway.address(), "send-proxy-v2 check inter 50ms");
    let start = Instant::now();
    while refusals(&gateway, "local") == 0 {
        assert!(start.elapsed() < PATIENCE, "no health check came");
    }
    assert_eq!(Raw::connect(address).send(GET).response().expect("a response").status, 200);
}

#[test]
fn curl_says_who_is_calling() {
    if !have("curl") {
        return;
    }
    let origin = Origin::start();
    let gateway = gateway(&origin, "");
    let (plain, tls) = (gateway.addresses()[0], gateway.addresses()[1]);
    let urls = [format!("http://{plain}/items/7"), format!("https://{tls}/items/7")];
    for (made, url) in urls.into_iter().enumerate() {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--fail",
            "--insecure",
            "--haproxy-protocol",
            "--interface",
            "127.0.0.7",
            &url,
        ]);
        assert_eq!(run(&mut curl), "{\"ok\": true}\n");
        assert_eq!(last(&gateway, made + 1).0, "127.0.0.7");
    }
    assert_eq!(refusals(&gateway, "v1"), 2);
}

#[test]
fn a_connection_without_a_valid_header_is_closed_without_a_word() {
    let origin = Origin::start();
    let gateway = gateway(&origin, "limits: { timeouts: { proxy_header: 200ms } }\n");
    for (bytes, code) in [
        (GET, "signature"),
        (b"PROXY TCP4 192.0.2.07 198.51.100.1 5000 443\r\nGET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n", "line"),
        (b"PROXY UDP4 192.0.2.7 198.51.100.1 5000 443\r\nGET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n", "family"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x13\x88\x01\xbb", "family"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", "block-too-long"),
        (b"PROXY TCP4 192.0.2.7", "too-slow"),
        (b"", "too-slow"),
    ] {
        for address in gateway.addresses() {
            let before = refusals(&gateway, code);
            let mut raw = Raw::connect(*address);
            assert!(raw.send(bytes).is_closed(), "{}: {}", bytes.escape_ascii(), raw.take());
            assert_eq!(refusals(&gateway, code), before + 1, "{code}");
        }
    }
    assert!(origin.seen().is_empty(), "{:?}", origin.seen());
}

#[test]
fn a_header_counts_only_from_a_trusted_proxy() {
    let origin = Origin::start();
    let yaml = config(origin.address()).replace(
        "address: \"127.0.0.1:0\"",
        "address: \"127.0.0.1:0\"\n    proxy_protocol: required\n    trusted_proxies: [192.0.2.0/24]",
    );
    let gateway = Gateway::start(&[("haechi.yaml", &yaml), ("items.yaml", SPEC)]);
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n").send(GET);
    assert!(raw.is_closed());
    assert_eq!(refusals(&gateway, "untrusted"), 1);
    assert!(origin.seen().is_empty());
}

#[test]
fn a_listener_that_does_not_require_a_header_never_reads_one() {
    let origin = Origin::start();
    let gateway = crate::items(&origin);
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n").send(GET);
    assert_eq!(raw.response().expect("a response").status, 400);
    assert!(origin.seen().is_empty());
}

#[test]
fn connections_are_counted_for_the_caller_and_not_for_the_proxy() {
    let origin = Origin::start();
    let gateway = gateway(&origin, "limits: { connections_per_address: 1 }\n");
    let open = |caller: &str| {
        let mut raw = Raw::connect(gateway.address());
        raw.send(format!("PROXY TCP4 {caller} 198.51.100.1 5000 443\r\n").as_bytes()).send(GET);
        raw
    };
    let mut one = open("192.0.2.1");
    assert_eq!(one.response().expect("a response").status, 200);
    let mut other = open("192.0.2.2");
    assert_eq!(other.response().expect("another caller").status, 200);
    assert!(open("192.0.2.1").is_closed(), "a second connection of the same caller");
    assert_eq!(metric(&gateway, "haechi_connections_refused_total"), 1);
}

#[test]
fn limits_and_events_know_the_caller() {
    let origin = Origin::start();
    let more = "    plan: slow\nplans: { slow: { rate: 1/h, per: address } }\n";
    let gateway = gateway(&origin, more);
    let call = |caller: &str| {
        let mut raw = Raw::connect(gateway.address());
        raw.send(format!("PROXY TCP6 {caller} ::1 5000 443\r\n").as_bytes()).send(GET);
        raw.response().expect("a response").status
    };
    assert_eq!([call("2001:db8:1::1"), call("2001:db8:2::1"), call("2001:db8:1::1")], [200, 200, 429]);
    assert_eq!(last(&gateway, 3).0, "2001:db8:1::1");
}

#[test]
fn headers_about_the_caller_are_believed_by_the_same_rule_as_ever() {
    let origin = Origin::start();
    let gateway = gateway(&origin, "");
    let forged = b"GET /items/7 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    let cases = [
        // Nobody's word: the caller wrote the field itself.
        ("PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\n", "192.0.2.7"),
        // The connection's other end is trusted, but it passes on what it does not know.
        ("PROXY UNKNOWN\r\n", "127.0.0.1"),
        // The caller is itself a trusted proxy.
        ("PROXY TCP4 127.0.0.5 127.0.0.1 5000 443\r\n", "203.0.113.9"),
    ];
    for (made, (header, client)) in cases.into_iter().enumerate() {
        let mut raw = Raw::connect(gateway.address());
        assert_eq!(raw.send(header.as_bytes()).send(forged).response().expect("a response").status, 200);
        assert_eq!(last(&gateway, made + 1).0, client, "{header:?}");
    }
}
