//! Our HTTP/1 codec beside hyper's and nginx's, on the same damaged bytes.
//!
//! What we take for one request must be the same one request to them: the same method, the same target, the same body, and
//! the next one beginning at the same byte. That we refuse what they take is our purpose; that we take what they
//! refuse, or take it otherwise, must be explained in [`EXPLAINED`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use haechi_e2e::{PATIENCE, have};
use haechi_wire::h1::{BodyPart, BodyReader, HeadReader, Limits};
use http_body_util::{BodyExt, Empty};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// Damaged messages that are tried.
const CASES: u64 = 6_000;

/// One request: method, target, body.
type Seen = (String, String, Vec<u8>);

/// Which other, what in the bytes, and why that is right.
type Explanation = (&'static str, fn(&[u8]) -> bool, &'static str);

/// Where we and another differ although we accept: which other, what in the bytes, and why that is right.
const EXPLAINED: &[Explanation] = &[
    (
        "nginx",
        |bytes| contains(bytes, b"\t"),
        "nginx trims spaces around a value only; RFC 9112, 5 says spaces and tabs",
    ),
    (
        "nginx",
        |bytes| {
            methods(bytes)
                .iter()
                .any(|method| !method.iter().all(|b| b.is_ascii_uppercase() || matches!(b, b'_' | b'-')))
        },
        "nginx knows methods in upper case, `_` and `-` only; RFC 9110 says any token, and our router refuses what no contract names",
    ),
    (
        "nginx",
        |bytes| contains(bytes, b"TRACE ") || contains(bytes, b"%00") || contains(bytes, b".."),
        "nginx refuses TRACE, %00 and climbing above the root while it reads; here the canonical path and the contract do",
    ),
    (
        "nginx",
        |bytes| {
            lower(bytes)
                .windows(3)
                .any(|w| w[0] == b'%' && !(w[1].is_ascii_hexdigit() && w[2].is_ascii_hexdigit()))
                || bytes.ends_with(b"%")
        },
        "nginx refuses broken percent escapes while it reads; here the canonical path does, with its own word",
    ),
    (
        "nginx",
        |bytes| bytes.iter().any(|byte| *byte >= 0x80),
        "bytes above 127 in targets: the canonical path decides, not the codec",
    ),
    (
        "hyper",
        |bytes| {
            bytes.iter().any(|byte| {
                *byte >= 0x80 || matches!(byte, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
            })
        },
        "hyper parses targets as URIs and refuses bytes that WAF rules must see; here the canonical path decides",
    ),
    (
        "hyper",
        |bytes| lower(bytes).windows(8).any(|w| w == b"expect: "),
        "hyper waits with a body that is expected but was not asked for",
    ),
    (
        "nginx",
        |bytes| contains(bytes, b"\r\n\r\n\r\nGET") || bytes.starts_with(b"\r\n"),
        "an empty line before a request is let through once (RFC 9112, 2.2); nginx lets it through too but counts it differently at a connection's start",
    ),
];

#[test]
fn what_we_accept_others_read_the_same() {
    let nginx = Nginx::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut stricter: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut accepted, mut explained) = (0, BTreeMap::<&str, u32>::new());
    let mut unexplained = Vec::new();
    for case in 0..CASES {
        let bytes = damaged(case);
        let (ours, refusal) = ours(&bytes);
        if let Some(code) = refusal {
            *stricter.entry(code).or_default() += 1;
        }
        if ours.is_empty() {
            continue;
        }
        accepted += 1;
        let theirs = runtime.block_on(hyper(&bytes));
        let mut compare = |other: &'static str, same: bool, theirs: String| {
            if same {
                return;
            }
            let known = EXPLAINED.iter().find(|(name, applies, _)| *name == other && applies(&bytes));
            let Some((_, _, why)) = known else {
                unexplained.push(format!(
                    "case {case}, {other}:\n{}\nours: {ours:?} {refusal:?}\ntheirs: {theirs}",
                    bytes.escape_ascii()
                ));
                return;
            };
            *explained.entry(why).or_default() += 1;
        };
        // Where we stopped they may go on; up to there they must have seen the same.
        let same = theirs.starts_with(&ours) && (refusal.is_some() || theirs.len() == ours.len());
        compare("hyper", same, format!("{theirs:?}"));
        if let Some(nginx) = &nginx {
            let count = nginx.accepted(&bytes);
            let same = count >= ours.len() && (refusal.is_some() || count == ours.len());
            compare("nginx", same, count.to_string());
        }
    }
    println!(
        "{accepted} of {CASES} accepted at least in part; refused: {stricter:?}; explained differences: {explained:?}"
    );
    let first: Vec<_> = unexplained.iter().take(10).map(String::as_str).collect();
    assert!(unexplained.is_empty(), "{} unexplained, the first:\n{}", unexplained.len(), first.join("\n\n"));
    assert!(accepted > CASES / 10, "the damage must not be too great to tell anything: {accepted}");
    assert!(stricter.len() > 20, "the damage must be of many kinds: {stricter:?}");
}

/// What our codec makes of the bytes, and why it stopped.
fn ours(bytes: &[u8]) -> (Vec<Seen>, Option<&'static str>) {
    let limits = Limits::default();
    let mut buffer = BytesMut::from(bytes);
    let mut heads = HeadReader::new(limits.clone());
    let mut seen = Vec::new();
    loop {
        let head = match heads.read(&mut buffer) {
            Ok(Some(head)) => head,
            Ok(None) => return (seen, (!buffer.is_empty()).then_some("incomplete")),
            Err(refusal) => return (seen, Some(refusal.code())),
        };
        let mut reader = BodyReader::new(head.framing, &limits);
        let mut body = Vec::new();
        loop {
            match reader.read(&mut buffer) {
                Ok(BodyPart::Data(data)) => body.extend_from_slice(&data),
                Ok(BodyPart::End { .. }) => break,
                Ok(BodyPart::Incomplete) => return (seen, Some("incomplete")),
                Err(refusal) => return (seen, Some(refusal.code())),
            }
        }
        seen.push((head.method.to_string(), String::from_utf8_lossy(head.target.raw()).into_owned(), body));
        if !head.persistent {
            return (seen, Some("closed"));
        }
    }
}

/// What hyper makes of them.
async fn hyper(bytes: &[u8]) -> Vec<Seen> {
    let seen: Rc<RefCell<Vec<Seen>>> = Rc::default();
    let log = seen.clone();
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let log = log.clone();
        async move {
            let method = request.method().to_string();
            // hyper adds the `/` that an absolute target without a path stands for.
            let target = request.uri().to_string();
            let target = if target == "http://x.test/" { "http://x.test".to_owned() } else { target };
            #[expect(clippy::disallowed_methods, reason = "the body is a few bytes of this test")]
            if let Ok(body) = request.into_body().collect().await {
                log.borrow_mut().push((method, target, body.to_bytes().to_vec()));
            }
            Ok::<_, std::convert::Infallible>(http::Response::new(Empty::<Bytes>::new()))
        }
    });
    let (mut client, server) = tokio::io::duplex(1 << 20);
    tokio::io::AsyncWriteExt::write_all(&mut client, bytes).await.expect("written");
    tokio::io::AsyncWriteExt::shutdown(&mut client).await.expect("shut down");
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(server), service);
    let _ = tokio::time::timeout(Duration::from_secs(5), connection).await;
    seen.take()
}

/// nginx, which answers every request with 200.
struct Nginx {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Option<Self> {
        if !have("nginx") {
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let path = dir.path().display();
        let config = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; keepalive_timeout 5; client_body_temp_path {path}/b; lingering_close off;\n\
             server {{ listen {address}; location / {{ return 200 ok; }} }} }}\n"
        );
        std::fs::write(dir.path().join("nginx.conf"), config).expect("written");
        let child = Command::new("nginx")
            .arg("-c")
            .arg(dir.path().join("nginx.conf"))
            .arg("-p")
            .arg(dir.path())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        while TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        Some(Self { child, address, _dir: dir })
    }

    /// How many requests it takes.
    fn accepted(&self, bytes: &[u8]) -> usize {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers);
        String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whole messages, which are then damaged.
const SEEDS: [&str; 6] = [
    "GET /a?b=c HTTP/1.1\r\nHost: x.test\r\nAccept: */*\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 5\r\n\r\ndoughGET /b HTTP/1.1\r\nHost: x.test\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndough\r\n3;a=b\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: x.test\r\n\r\n",
    "PUT /long/path/here HTTP/1.1\r\nHost: x.test\r\nConnection: keep-alive\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
    "GET http://x.test/abs HTTP/1.1\r\nHost: x.test\r\nUser-Agent: t\r\n\r\nGET /c HTTP/1.1\r\nHost: x.test\r\n\r\n",
    "POST /t HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n4\r\nabcd\r\n0\r\nX-T: v\r\n\r\n",
];

/// What is put in: what parsers trip over.
const JUNK: [&str; 34] = [
    "\r",
    "\n",
    "\r\n",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "=",
    "\"",
    "0",
    "00",
    "+",
    "-",
    "0x",
    "a",
    "Z",
    "%",
    "%2e",
    "..",
    "//",
    "\\",
    "\0",
    "\u{b}",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding: identity\r\n",
    "Host: y.test\r\n",
    "X: \r\n y\r\n",
    "Connection: close\r\n",
    "chunked",
    "HTTP/1.0",
    "0\r\n\r\n",
    "_",
];

fn damaged(case: u64) -> Vec<u8> {
    let mut state = case.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).expect("small")
    };
    let mut bytes = SEEDS[next(SEEDS.len())].as_bytes().to_vec();
    for _ in 0..1 + next(2) {
        let at = next(bytes.len());
        let end = (at + 1 + next(4)).min(bytes.len());
        let junk = JUNK[next(JUNK.len())].bytes();
        match next(4) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..end, junk)),
            2 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => drop(bytes.splice(at..at, junk)),
        }
    }
    bytes
}

fn methods(bytes: &[u8]) -> Vec<&[u8]> {
    ours(bytes).0.iter().filter_map(|(method, _, _)| find(bytes, method.as_bytes())).collect()
}

fn find<'a>(bytes: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(needle.len()).position(|window| window == needle)?;
    bytes.get(at..at + needle.len())
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    find(bytes, needle).is_some()
}

fn lower(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_lowercase()
}
