//! Bodies in both directions: streams, large ones, compressed ones, parts of them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use haechi_e2e::{Gateway, Origin, Peer, Raw, eventually, have, python, run};
use serde_json::Value;

const SPEC: &str = r#"
openapi: 3.1.0
info: { title: Streams, version: "1" }
paths:
  /events: { get: { operationId: events, responses: { "200": { description: one by one, content: { text/event-stream: { schema: { type: string } } } } } } }
  /next: { post: { operationId: next, responses: { "200": { description: the next one } } } }
  /trailers: { get: { operationId: trailers, responses: { "200": { description: a body and what comes after } } } }
  /early: { get: { operationId: early, responses: { "200": { description: hints first } } } }
  /text: { get: { operationId: text, responses: { "200": { description: much text } } } }
  /slowly: { get: { operationId: slowly, responses: { "200": { description: in two parts } } } }
  /gzipped:
    get:
      operationId: gzipped
      parameters: [{ name: which, in: query, required: true, schema: { type: string } }]
      responses:
        "200":
          description: compressed by the service
          content:
            application/json:
              schema: { type: object, properties: { price: { type: integer } } }
  /orders:
    post:
      operationId: order
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [items]
              additionalProperties: false
              properties: { items: { type: array, items: { type: string, maxLength: 100 } } }
      responses: { "200": { description: taken } }
  /upload:
    put:
      operationId: upload
      requestBody: { content: { application/json: { schema: { type: object } }, application/octet-stream: {} } }
      responses: { "200": { description: counted } }
  /raw:
    put:
      operationId: raw
      requestBody: { content: { application/octet-stream: {} } }
      responses: { "200": { description: counted } }
"#;

/// A gateway before `streams_server.py`, with these settings besides.
fn gateway(peer: std::net::SocketAddr, api: &str, top: &str) -> Gateway {
    let config = format!(
        "{}    operations:\n      upload: {{ body: stream }}\n      order: {{ body: 32MiB }}\n{api}{top}",
        crate::config(peer).replace("items", "streams")
    );
    Gateway::start(&[("haechi.yaml", &config), ("streams.yaml", SPEC)])
}

fn started() -> Option<(PathBuf, Peer)> {
    let python = python()?;
    have("curl").then_some(())?;
    let peer = Peer::start(&python, "streams_server.py");
    Some((python, peer))
}

fn curl(gateway: &Gateway, path: &str, arguments: &[&str]) -> String {
    run(Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "120"])
        .args(arguments)
        .arg(format!("http://{}{path}", gateway.address())))
}

#[test]
fn events_come_one_by_one_over_both_versions() {
    let Some((_, peer)) = started() else { return };
    // Judged responses are read whole; this one must not be.
    let gateway = gateway(peer.address(), "    validate: { response: enforce }\n    compress: all\n", "");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let mut client = Command::new("curl")
            .args(["--silent", "--no-buffer", "--max-time", "120", "--compressed", version])
            .arg(format!("http://{}/events", gateway.address()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl starts");
        let mut reader = std::io::BufReader::new(client.stdout.take().expect("piped"));
        for number in 0..3 {
            let mut line = String::new();
            while line.trim().is_empty() {
                line.clear();
                let read = std::io::BufRead::read_line(&mut reader, &mut line).expect("readable");
                assert!(read > 0, "{version}: the stream ended at {number}");
            }
            assert_eq!(line.trim(), format!("data: {number}"), "{version}");
            // The service sends the next one only now.
            assert_eq!(curl(&gateway, "/next", &["--request", "POST"]), "next");
        }
        assert!(client.wait().expect("its end").success());
    }
    eventually("both are recorded", || {
        let events = gateway.events(100);
        events.iter().filter(|event| event["protocol"] == "event-stream").count() == 2
    });
}

/// Regression: over HTTP/2 a silent stream of events was taken for a caller that does not read.
#[test]
fn events_may_be_silent_for_longer_than_a_caller_may() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "limits: { timeouts: { write: 200ms } }\n");
    let mut client = Command::new("curl")
        .args(["--silent", "--no-buffer", "--max-time", "120", "--http2-prior-knowledge"])
        .arg(format!("http://{}/events", gateway.address()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl starts");
    let mut reader = client.stdout.take().expect("piped");
    let mut first = [0; 9];
    std::io::Read::read_exact(&mut reader, &mut first).expect("the first event");
    // Other calls go on meanwhile, for many times what a caller may read nothing.
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_millis(1500) {
        assert!(curl(&gateway, "/text", &[]).len() > 1000);
    }
    assert_eq!(curl(&gateway, "/next", &["--request", "POST"]), "next");
    let mut second = [0; 9];
    std::io::Read::read_exact(&mut reader, &mut second).expect("the second event");
    assert_eq!(&second, b"data: 1\n\n");
    client.kill().expect("killed");
    client.wait().expect("its end");
}

#[test]
fn a_caller_that_leaves_a_stream_of_events_is_noticed() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "");
    let mut raw = Raw::connect(gateway.address());
    raw.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(raw.line_with("data: 0"), "the first event");
    drop(raw);
    gateway.event("it is noticed", |event| event["outcome"] == "aborted");
}

#[test]
fn trailers_pass_but_for_those_that_would_speak_after_the_guards() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "");
    let mut raw = Raw::connect(gateway.address());
    let response = raw.send(b"GET /trailers HTTP/1.1\r\nHost: a\r\n\r\n").response().expect("a response");
    assert_eq!(response.body, b"pizza");
    assert!(response.trailers.is_empty(), "nobody asked: {:?}", response.trailers);
    raw.send(b"GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    let response = raw.response().expect("a response");
    assert_eq!(response.trailers.to_ascii_lowercase(), "digest-of-it: abc\r\n");
    assert!(response.head.to_ascii_lowercase().contains("trailer: digest-of-it\r\n"), "{}", response.head);

    raw.send(b"PUT /raw HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTrailer: Checksum\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw.send(b"5\r\npizza\r\n0\r\nChecksum: 7\r\n\r\n");
    let said: Value = serde_json::from_slice(&raw.response().expect("a response").body).expect("JSON");
    assert_eq!(said["trailers"]["checksum"], "7", "{said}");

    raw.send(b"PUT /raw HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    raw.send(b"5\r\npizza\r\n0\r\nContent-Length: 3\r\n\r\n");
    assert_eq!(raw.response().expect("a response").status, 400);
    // Over HTTP/2 curl shows trailers after the body.
    let out = curl(&gateway, "/trailers", &["--http2-prior-knowledge", "--include"]);
    assert!(out.ends_with("digest-of-it: abc\r\n\r\n") || out.contains("digest-of-it: abc"), "{out}");
    assert!(!out.contains("stolen"), "{out}");
}

#[test]
fn interim_responses_stay_on_their_hop() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "");
    let mut raw = Raw::connect(gateway.address());
    let response = raw.send(b"GET /early HTTP/1.1\r\nHost: a\r\n\r\n").response().expect("a response");
    assert_eq!((response.status, response.body.as_slice()), (200, &b"late"[..]));
}

/// Peak memory of a process, in kilobytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// 256 MiB, or 2 GiB with `HAECHI_TEST_LARGE=1`.
#[test]
fn a_large_upload_passes_in_constant_memory() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "");
    let large = std::env::var_os("HAECHI_TEST_LARGE").is_some();
    let length: u64 = if large { 2 << 30 } else { 256 << 20 };
    let file = gateway.dir().join("large");
    std::fs::File::create(&file).and_then(|file| file.set_len(length)).expect("a file with nothing in it");
    let before = peak(gateway.pid());
    let upload = format!("{}", file.display());
    for arguments in [
        &["--http1.1"][..],
        &["--http1.1", "--header", "Transfer-Encoding: chunked"],
        &["--http2-prior-knowledge"],
    ] {
        let start = std::time::Instant::now();
        let mut all = vec![
            "--upload-file",
            &upload,
            "--header",
            "Content-Type: application/json",
            "--header",
            "Expect:",
        ];
        all.extend(arguments);
        let said: Value = serde_json::from_str(&curl(&gateway, "/upload", &all)).expect("JSON");
        assert_eq!(said["bytes"], length, "{arguments:?}");
        println!("{arguments:?}: {length} bytes in {:?}, peak {} kB", start.elapsed(), peak(gateway.pid()));
    }
    let grown = peak(gateway.pid()) - before;
    assert!(grown < 32 * 1024, "the gateway grew by {grown} kB");
    let event = gateway.event("of the upload", |event| event["request_bytes"] == length);
    assert_eq!(event["outcome"], "forwarded");
}

#[test]
fn a_body_that_passes_unread_has_a_longest_length() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "limits: { stream_body: 1KiB }\n");
    let put = |length: usize| {
        format!(
            "PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x}\r\n{}\r\n0\r\n\r\n",
            "x".repeat(length)
        )
    };
    // Not even JSON: it is not looked at.
    assert_eq!(
        Raw::connect(gateway.address()).send(put(1024).as_bytes()).response().expect("a response").status,
        200
    );
    assert_eq!(
        Raw::connect(gateway.address()).send(put(1025).as_bytes()).response().expect("a response").status,
        413
    );
}

fn order(items: usize) -> String {
    let items: Vec<_> = (0..items).map(|id| format!("\"pizza number {id} with everything on it\"")).collect();
    format!("{{\"items\":[{}]}}", items.join(","))
}

#[test]
fn an_inspected_body_waits_on_disk_and_is_judged_and_sent_whole() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(
        peer.address(),
        "",
        "limits: { body_in_memory: 64KiB, body_disk: 24MiB, body_dir: ./waiting }\n",
    );
    let good = order(400_000);
    assert!(good.len() > 15 << 20, "{}", good.len());
    let file = gateway.dir().join("order.json");
    std::fs::write(&file, &good).expect("written");
    let upload = format!("@{}", file.display());
    let json = ["--header", "Content-Type: application/json", "--header", "Expect:"];
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let mut all = vec![version, "--data-binary", &upload];
        all.extend(json);
        let said: Value = serde_json::from_str(&curl(&gateway, "/orders", &all)).expect("JSON");
        assert_eq!(said["bytes"], good.len(), "{version}: {said}");
        assert_eq!(said["sha256"], sha256(&file), "{version}");
    }
    let waiting = gateway.dir().join("waiting");
    assert_eq!(std::fs::read_dir(&waiting).expect("the directory").count(), 0, "files without a name");
    // A wrong one is found all the same, and more than the disk may hold is refused.
    for (body, status) in [(good.replace("\"items\"", "\"item\""), "400"), (order(700_000), "503")] {
        std::fs::write(&file, body).expect("written");
        let mut all = vec!["--data-binary", &upload, "--output", "/dev/null", "--write-out", "%{http_code}"];
        all.extend(json);
        assert_eq!(curl(&gateway, "/orders", &all), status);
    }
    gateway.event("of a full disk", |event| event["reason"] == "body-disk");
}

/// A slow upload holds its descriptor on disk, and no memory.
#[test]
fn slow_uploads_hold_no_memory() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "limits: { body_in_memory: 64KiB, body_disk: 256MiB }\n");
    let before = peak(gateway.pid());
    let piece = vec![b' '; 1 << 20];
    let mut uploads: Vec<_> = (0..16).map(|_| Raw::connect(gateway.address())).collect();
    for raw in &mut uploads {
        let length = (8 << 20) + 12;
        raw.send(format!("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n").as_bytes());
        for _ in 0..8 {
            raw.send(&piece);
        }
    }
    // 128 MiB have arrived when all but the ends of the bodies have been taken; then they end one after the other.
    for raw in &mut uploads {
        let response = raw.send(b"{\"items\":[]}").response().expect("a response");
        assert_eq!(response.status, 200, "{}", response.head);
    }
    let grown = peak(gateway.pid()) - before;
    assert!(grown < 64 * 1024, "the gateway grew by {grown} kB for 131072 kB of bodies");
}

fn sha256(file: &std::path::Path) -> String {
    run(Command::new("sha256sum").arg(file)).split(' ').next().expect("a sum").to_owned()
}

#[test]
fn a_compressed_body_is_judged_decoded_and_sent_as_it_was_judged() {
    let Some((python, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "");
    let program = r#"
import gzip, json, sys, urllib.error, urllib.request, zlib
base = sys.argv[1]
def post(body, coding):
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    try:
        with urllib.request.urlopen(urllib.request.Request(base + "/orders", body, headers)) as answer:
            said = json.load(answer)
            return answer.status, said["bytes"], said["coding"]
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers.get("Accept-Encoding")
good = json.dumps({"items": [f"pizza {n}" for n in range(1000)]}).encode()
bad = json.dumps({"items": [1]}).encode()
for coding, coded in [("gzip", gzip.compress), ("deflate", zlib.compress)]:
    assert post(coded(good), coding) == (200, len(good), ""), coding
    assert post(coded(bad), coding) == (400, None), coding
assert post(good, "identity") == (200, len(good), "identity")
assert post(gzip.compress(good)[:-9], "gzip") == (400, None)
assert post(gzip.compress(gzip.compress(good)), "gzip, gzip") == (415, "gzip, br, zstd, deflate")
assert post(good, "compress") == (415, "gzip, br, zstd, deflate")
bomb = gzip.compress(b" " * (33 << 20))
assert len(bomb) < 40_000
assert post(bomb, "gzip") == (413, None)
print("all", post(gzip.compress(good), "x-gzip")[0])
"#;
    let out = run(Command::new(python).args(["-c", program]).arg(format!("http://{}", gateway.address())));
    assert_eq!(out, "all 200\n");
    for reason in ["body-bomb", "body-coding", "encoding"] {
        gateway.event(reason, |event| event["reason"] == reason);
    }
}

#[test]
fn responses_are_compressed_for_those_who_take_it_and_carry_no_secret() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "");
    let plain = "margherita, ".repeat(4000);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (accept, coding) in
            [("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("br;q=0.1, gzip;q=0.5", "gzip")]
        {
            let accept = format!("Accept-Encoding: {accept}");
            let head = curl(
                &gateway,
                "/text",
                &[version, "--header", &accept, "--dump-header", "-", "--output", "/dev/null"],
            );
            let lower = head.to_ascii_lowercase();
            assert!(lower.contains(&format!("content-encoding: {coding}\r\n")), "{version} {accept}: {head}");
            assert!(lower.contains("vary: accept-encoding") && lower.contains("etag: w/\"v1\""), "{head}");
            assert!(!lower.contains("accept-ranges") && !lower.contains("content-length"), "{head}");
        }
        // A real client decodes what it is sent.
        assert_eq!(curl(&gateway, "/text", &[version, "--compressed"]), plain);
        let size = curl(
            &gateway,
            "/text",
            &[version, "--compressed", "--output", "/dev/null", "--write-out", "%{size_download}"],
        );
        assert!(size.parse::<usize>().expect("a number") < 2000, "{size}");
        for header in
            ["Cookie: session=1", "Authorization: Bearer x", "Range: bytes=0-", "Accept-Encoding: identity"]
        {
            let mut arguments = vec![version, "--header", header, "--dump-header", "-"];
            if !header.starts_with("Accept") {
                arguments.push("--compressed");
            }
            let out = curl(&gateway, "/text", &arguments);
            assert!(
                out.ends_with(&plain) && !out.to_ascii_lowercase().contains("content-encoding"),
                "{header}"
            );
        }
    }
}

#[test]
fn a_compressed_response_does_not_wait_for_its_end() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "");
    let mut client = Command::new("curl")
        .args(["--silent", "--no-buffer", "--max-time", "120", "--compressed"])
        .arg(format!("http://{}/slowly", gateway.address()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl starts");
    let mut reader = client.stdout.take().expect("piped");
    let mut first = vec![0; 1800];
    std::io::Read::read_exact(&mut reader, &mut first).expect("the first part");
    assert_eq!(curl(&gateway, "/next", &["--request", "POST"]), "next");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut reader, &mut rest).expect("the rest");
    assert_eq!(rest, "and the rest");
    assert!(client.wait().expect("its end").success());
}

#[test]
fn a_response_that_the_service_compressed_is_judged_decoded_and_sent_as_it_was() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "    validate: { response: enforce }\n", "");
    let head = curl(
        &gateway,
        "/gzipped?which=good",
        &["--header", "Accept-Encoding: gzip", "--dump-header", "-", "--output", "/dev/null"],
    );
    assert!(head.to_ascii_lowercase().contains("content-encoding: gzip"), "{head}");
    assert_eq!(curl(&gateway, "/gzipped?which=good", &["--compressed"]), r#"{"name":"pizza","price":9}"#);
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    assert_eq!(curl(&gateway, "/gzipped?which=bad", &code), "502");
    gateway.event("of a response that is not the contract's", |event| event["reason"] == "type");
}

#[test]
fn parts_of_files_pass_as_nginx_sends_them() {
    if !have("nginx") || !have("curl") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let page = "0123456789".repeat(1000);
    std::fs::create_dir_all(dir.path().join("www/files")).expect("created");
    std::fs::write(dir.path().join("www/files/a.txt"), &page).expect("written");
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("an address").port()
    };
    let conf = format!(
        "daemon off; master_process off; pid {0}/pid; error_log stderr crit;\nevents {{}}\nhttp {{ access_log off; \
         client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
         types {{ text/plain txt; }} server {{ listen 127.0.0.1:{port}; root {0}/www; }} }}\n",
        dir.path().display()
    );
    std::fs::File::create(dir.path().join("nginx.conf"))
        .and_then(|mut file| file.write_all(conf.as_bytes()))
        .expect("written");
    let mut nginx = Command::new("nginx")
        .arg("-c")
        .arg(dir.path().join("nginx.conf"))
        .arg("-p")
        .arg(dir.path())
        .spawn()
        .expect("nginx starts");
    let start = std::time::Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < haechi_e2e::PATIENCE, "nginx does not listen");
    }
    let config =
        format!("{}    validate: {{ response: enforce }}\n", crate::config(([127, 0, 0, 1], port).into()));
    let gateway = Gateway::start(&[("haechi.yaml", &config), ("items.yaml", crate::SPEC)]);
    let whole = curl(&gateway, "/files/a.txt", &["--include"]);
    let etag = whole.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag").trim().to_owned();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let part = curl(&gateway, "/files/a.txt", &[version, "--compressed", "--include", "--range", "5-14"]);
        assert!(part.contains(" 206") && part.ends_with("5678901234"), "{part}");
        assert!(part.to_ascii_lowercase().contains("content-range: bytes 5-14/10000"), "{part}");
        let parts = curl(&gateway, "/files/a.txt", &[version, "--include", "--range", "0-1,-2"]);
        assert!(parts.contains("multipart/byteranges; boundary=") && parts.contains("\r\n01\r\n"), "{parts}");
        let same = format!("If-Range: {etag}");
        let part = curl(&gateway, "/files/a.txt", &[version, "--range", "0-2", "--header", &same]);
        assert_eq!(part, "012");
        let other =
            curl(&gateway, "/files/a.txt", &[version, "--range", "0-2", "--header", "If-Range: \"other\""]);
        assert_eq!(other.len(), 10_000);
        let head = curl(&gateway, "/files/a.txt", &[version, "--head"]);
        assert!(
            head.contains(" 200") && head.to_ascii_lowercase().contains("content-length: 10000"),
            "{head}"
        );
        let status = ["--output", "/dev/null", "--write-out", "%{http_code}", "--header"];
        let unchanged = format!("If-None-Match: {etag}");
        assert_eq!(
            curl(&gateway, "/files/a.txt", &[&status[..], &[unchanged.as_str(), version]].concat()),
            "304"
        );
        assert_eq!(
            curl(&gateway, "/files/a.txt", &[&status[..], &["Range: bytes=20000-", version]].concat()),
            "416"
        );
    }
    nginx.kill().expect("killed");
    nginx.wait().expect("its end");
}

#[test]
fn a_refused_upload_is_refused_before_it_is_sent() {
    let Some((_, peer)) = started() else { return };
    let gateway = gateway(peer.address(), "", "limits: { stream_body: 1MiB }\n");
    let file = gateway.dir().join("large");
    std::fs::File::create(&file).and_then(|file| file.set_len(64 << 20)).expect("a file");
    let out = curl(
        &gateway,
        "/upload",
        &[
            "--upload-file",
            &file.display().to_string(),
            "--header",
            "Content-Type: application/json",
            "--header",
            "Expect: 100-continue",
            "--expect100-timeout",
            "60",
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{size_upload}",
        ],
    );
    assert_eq!(out, "413 0");
}

#[test]
fn a_page_with_events_and_compression_works_in_chromium() {
    let Some((_, peer)) = started() else { return };
    let Some(chromium) = ["chromium", "chromium-browser"].into_iter().find(|program| have(program)) else {
        return;
    };
    let page = "<!doctype html><title>streams</title><p id=out>waiting</p><script>\
        let seen = '';\
        const source = new EventSource('/events');\
        source.onmessage = m => { seen += m.data; if (seen == '012') { source.close(); finish() } fetch('/next', { method: 'POST' }) };\
        async function finish() { const r = await fetch('/text');\
          out.textContent = 'events ' + seen + ' ' + r.headers.get('content-encoding') + ' ' + (await r.text()).length }\
        (async () => { for (let i = 0; i < 3000 && out.textContent == 'waiting'; i++) await fetch('/page') })();</script>";
    let pages = Origin::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncache-control: no-store\r\ncontent-length: {}\r\n\r\n{page}",
        page.len()
    ));
    let top = format!(
        "services:\n  pages: {{ prefix: /page, upstream: {{ urls: [\"http://{}\"] }}, auth: none }}\n",
        pages.address()
    );
    let gateway = gateway(peer.address(), "", &top);
    let out = run(Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", gateway.dir().join("profile").display()))
        .arg(format!("http://{}/page", gateway.address()))
        .stderr(Stdio::null()));
    // Which coding is the browser's choice.
    assert!(out.contains("events 012 ") && out.contains(" 48000<") && !out.contains("null"), "{out}");
}
