//! Targets: seeds, and the property that no input may break.

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use haechi_contract::json::parse_strict;
use haechi_identity::ApiKey;
use haechi_seclang::{InMemory, Request, Rules, Transaction};
use haechi_wire::h1::{BodyPart, BodyReader, HeadReader, Limits};
use haechi_wire::proxy::{Header, HeaderReader, ProxyRefusal};
use haechi_wire::websocket::{Frames, Sender};
use haechi_wire::{CanonicalPath, Query, shapes};

pub struct Target {
    pub name: &'static str,
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub run: fn(&[u8]),
}

pub const ALL: &[Target] = &[
    Target { name: "h1", seeds: messages, run: h1 },
    Target { name: "proxy", seeds: proxy_headers, run: proxy },
    Target { name: "path", seeds: paths, run: path },
    Target { name: "query", seeds: queries, run: query },
    Target { name: "json", seeds: documents, run: json },
    Target { name: "config", seeds: configurations, run: config },
    Target { name: "websocket", seeds: frames, run: websocket },
    Target { name: "credentials", seeds: credentials, run: credential },
    Target { name: "rules", seeds: rule_files, run: rules },
    Target { name: "bodies", seeds: bodies, run: body },
];

fn texts(list: &[&str]) -> Vec<Vec<u8>> {
    list.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn messages() -> Vec<Vec<u8>> {
    shapes::all().into_iter().map(|shape| shape.bytes).collect()
}

/// A connection's bytes mean the same however they are cut into reads.
fn h1(input: &[u8]) {
    let whole = connection(input, usize::MAX);
    assert_eq!(whole, connection(input, 1), "byte by byte");
    assert_eq!(whole, connection(input, 7), "seven bytes at a time");
}

/// What a connection's bytes mean: every request with its body, and why it ended.
fn connection(input: &[u8], step: usize) -> (Vec<(String, Vec<u8>)>, Option<&'static str>) {
    let limits = Limits::default();
    let mut buffer = BytesMut::new();
    let mut rest = input;
    let mut more = |buffer: &mut BytesMut| {
        let (now, later) = rest.split_at(step.min(rest.len()));
        rest = later;
        buffer.extend_from_slice(now);
        !now.is_empty()
    };
    let mut heads = HeadReader::new(limits.clone());
    let mut seen = Vec::new();
    loop {
        let head = loop {
            match heads.read(&mut buffer) {
                Ok(Some(head)) => break head,
                Ok(None) if more(&mut buffer) => {}
                Ok(None) => return (seen, None),
                Err(refusal) => return (seen, Some(refusal.code())),
            }
        };
        let mut reader = BodyReader::new(head.framing, &limits);
        let mut body = Vec::new();
        loop {
            match reader.read(&mut buffer) {
                Ok(BodyPart::Data(data)) => body.extend_from_slice(&data),
                Ok(BodyPart::End { .. }) => break,
                Ok(BodyPart::Incomplete) if more(&mut buffer) => {}
                Ok(BodyPart::Incomplete) => return (seen, None),
                Err(refusal) => return (seen, Some(refusal.code())),
            }
        }
        let name = format!("{} {}", head.method, String::from_utf8_lossy(head.target.raw()));
        seen.push((name, body));
        if !head.persistent {
            return (seen, None);
        }
    }
}

fn proxy_headers() -> Vec<Vec<u8>> {
    let mut seeds = texts(&[
        "PROXY TCP4 192.0.2.7 198.51.100.1 5000 443\r\nGET / HTTP/1.1\r\n",
        "PROXY TCP6 2001:db8::7 ::1 65535 443\r\n",
        "PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n",
    ]);
    for (command, family, block) in [
        (0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 19, 136, 1, 187, 4, 0, 2, 0, 0][..]),
        (0x21, 0x21, &[7; 36]),
        (0x20, 0x00, &[1, 0, 2, b'h', b'2', 3, 0, 4, 0, 0, 0, 0]),
    ] {
        let mut seed = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        seed.extend([command, family, 0, u8::try_from(block.len()).expect("short")]);
        seed.extend_from_slice(block);
        seeds.push(seed);
    }
    seeds
}

/// A header means the same however it is cut, and takes nothing of what follows.
fn proxy(input: &[u8]) {
    let whole = proxy_header(input, usize::MAX);
    assert_eq!(whole, proxy_header(input, 1), "byte by byte");
    assert_eq!(whole, proxy_header(input, 7), "seven bytes at a time");
    if let Ok((Some(_), taken)) = whole {
        let alone = input.get(..taken).expect("no more than there is");
        assert_eq!(proxy_header(alone, usize::MAX), whole, "what follows does not count");
    }
}

fn proxy_header(input: &[u8], step: usize) -> Result<(Option<Header>, usize), ProxyRefusal> {
    let mut reader = HeaderReader::default();
    let mut taken = 0;
    for piece in input.chunks(step) {
        let read = reader.read(piece)?;
        taken += read.taken;
        if read.header.is_some() {
            return Ok((read.header, taken));
        }
        assert_eq!(read.taken, piece.len());
    }
    Ok((None, taken))
}

fn paths() -> Vec<Vec<u8>> {
    texts(&[
        "/",
        "/a/b/c",
        "/a/%2e%2e/b",
        "/%7euser/x",
        "/a//b/./c/",
        "/%ed%94%bc%ec%9e%90",
        "/a;v=1/b",
        "/a%2541",
    ])
}

fn path(input: &[u8]) {
    let Ok(once) = CanonicalPath::parse(input) else { return };
    let text = once.as_str();
    let twice = CanonicalPath::parse(text.as_bytes()).expect("a canonical path is a path");
    assert_eq!(text, twice.as_str());
    assert!(
        text.starts_with('/')
            && !text.contains("//")
            && !text.bytes().any(|b| b.is_ascii_control() || b == b'\\')
    );
    assert!(!text.split('/').any(|segment| segment == "." || segment == ".."), "{text}");
}

fn queries() -> Vec<Vec<u8>> {
    texts(&["a=b&c=d", "a", "a=&=b", "q=%ed%94%bc+x", "a=1&a=2", "x[y]=z", "", "a=b=c"])
}

fn query(input: &[u8]) {
    let Ok(query) = Query::parse(Some(input), 64) else { return };
    let sent = query.canonical().map(str::to_owned);
    let again = Query::parse(sent.as_deref().map(str::as_bytes), 64).expect("what is sent can be read");
    assert!(query.pairs().eq(again.pairs()), "{sent:?}");
}

fn documents() -> Vec<Vec<u8>> {
    texts(&[
        r#"{"a":[1,2.5,-3e2,null,true,"x\u00e9\n"],"b":{"c":{}}}"#,
        r#"[{"pizza":1,"quantity":2},{"pizza":3}]"#,
        r#""\ud83c\udf55""#,
        "0",
        r#"{"a":1,"a":2}"#,
    ])
}

fn json(input: &[u8]) {
    let Ok(value) = parse_strict(input, 16) else { return };
    let text = value.to_string();
    let again = parse_strict(text.as_bytes(), 16).expect("what was read can be written and read");
    assert_eq!(value, again);
}

fn configurations() -> Vec<Vec<u8>> {
    texts(&[
        "haechi: 1\nlisten: [{ address: \"127.0.0.1:1\" }]\nplans:\n  p: { rate: 1/s }\napis:\n  a:\n    openapi: a.yaml\n    upstream: { urls: [\"http://a\"], timeout: 2s }\n    auth: none\n    plan: p\n",
        "haechi: 1\nidentity:\n  k: { api_key: { collection: c } }\nlimits: { head: 4KiB, timeouts: { idle: 1m } }\n",
    ])
}

fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Err(wrong) = haechi_config::Config::parse(&text, std::path::Path::new("haechi.yaml")) else { return };
    assert!(!wrong.list().is_empty());
    for one in wrong.list() {
        assert!(one.line <= text.lines().count() + 1, "{wrong}");
    }
    let _ = (wrong.render(true), wrong.to_json());
}

fn frames() -> Vec<Vec<u8>> {
    let long = [&[0x82, 0xfe, 1, 0, 9, 9, 9, 9][..], &[b'x'; 256]].concat();
    let fragments = vec![0x01, 0x82, 0, 0, 0, 0, b'a', b'b', 0x89, 0x80, 0, 0, 0, 0, 0x80, 0x80, 0, 0, 0, 0];
    vec![
        long,
        fragments,
        vec![0x88, 0x82, 0, 0, 0, 0, 3, 0xe8],
        vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0],
    ]
}

/// Frames mean the same however they are cut into reads.
fn websocket(input: &[u8]) {
    for (sender, extended) in [(Sender::Client, false), (Sender::Server, true)] {
        let outcome = |step: usize| {
            let mut frames = Frames::new(sender, extended, 1000);
            input
                .chunks(step)
                .try_for_each(|part| frames.follow(part))
                .map(|()| (frames.is_between(), frames.is_closed()))
        };
        let whole = outcome(input.len().max(1));
        assert_eq!(whole, outcome(1), "byte by byte");
        assert_eq!(whole, outcome(7), "seven bytes at a time");
    }
}

fn credentials() -> Vec<Vec<u8>> {
    let mut seeds = texts(&["hch_live_", "eyJhbGciOiJFUzI1NiJ9.e30.AA"]);
    seeds.extend((0..4).map(|byte| ApiKey::from_random(&[byte; 33]).expose().as_bytes().to_vec()));
    seeds
}

fn credential(input: &[u8]) {
    if let Ok(key) = ApiKey::parse(input) {
        assert_eq!(key.expose().as_bytes(), input, "a key is what it is");
    }
}

fn rule_files() -> Vec<Vec<u8>> {
    texts(&[
        "SecRule ARGS|!ARGS:/^a/|&TX:b \"@rx (?i)[\\x{41}-z]+\\d{2,}\" \\\n \"id:1,phase:2,t:none,t:urlDecodeUni,deny,msg:'%{MATCHED_VAR}',setvar:'tx.a=+%{tx.b}'\"\n",
        "SecRule REQUEST_HEADERS:Host \"!@pm a |62 63|\" \"id:2,phase:1,chain,block\"\n SecRule XML:/* \"@detectSQLi\" \"ctl:ruleRemoveTargetById=1;ARGS:x\"\nSecMarker END\n",
        "SecDefaultAction \"phase:2,log,pass\"\nSecAction \"id:3,skipAfter:END\"\nSecMarker \"END\"\nSecRuleUpdateTargetById 3 !ARGS\nSecRuleRemoveByTag x\n",
    ])
}

/// Every mistake lies inside the file; what compiles, runs.
fn rules(input: &[u8]) {
    let lines = u32::try_from(input.split(|byte| *byte == b'\n').count()).expect("few lines");
    match Rules::builder(&InMemory::default()).text("a.conf", input).build() {
        Ok(rules) => judge(&rules, &Request { target: b"/a?x=1%27+or+1", ..Request::default() }, b"a=b"),
        Err(errors) => {
            assert!(!errors.list().is_empty());
            for one in errors.list() {
                assert!((1..=lines).contains(&one.place().line), "{one}");
            }
        }
    }
}

/// The engine and the plain interpreter come to the same.
fn judge(rules: &Arc<Rules>, request: &Request<'_>, body: &[u8]) {
    let run = |mut transaction: Transaction| {
        transaction.request_head();
        transaction.request_body(body);
        transaction.finish(1);
        transaction
    };
    let (fast, plain) = (run(rules.begin(request)), run(rules.begin_plainly(request)));
    assert_eq!(fast.matches(), plain.matches());
    assert_eq!((fast.verdict(), fast.tx()), (plain.verdict(), plain.tx()));
}

fn bodies() -> Vec<Vec<u8>> {
    texts(&[
        "application/json\n{\"a\":[1,{\"b\":\"<script>\"}],\"c\":\"1' or '1'='1\"}",
        "application/x-www-form-urlencoded\na=%3Cscript%3E&b=%27+union+select",
        "text/xml\n<?xml version=\"1.0\"?><a b=\"x\">y &lt;script&gt;<![CDATA[z]]></a>",
        "multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.php\"\r\n\r\nx\r\n--b--\r\n",
    ])
}

const RULES: &str = "SecRule ARGS|ARGS_NAMES|FILES|XML:/*|XML://@* \"@rx (?i)<script|union\\s+select\" \"id:1,phase:2,pass,log,capture,t:none,t:urlDecodeUni,t:htmlEntityDecode,t:lowercase,multiMatch,msg:'%{TX.0} in %{MATCHED_VAR_NAME}'\"
SecRule ARGS|!ARGS:/json.c/|XML:/* \"@detectSQLi\" \"id:2,phase:2,pass,log,t:none,t:replaceComments,setvar:'tx.n_%{MATCHED_VAR_NAME}=+1'\"
SecRule FILES \"@pm .php .exe\" \"id:3,phase:2,pass,log,t:lowercase,chain\"
  SecRule MATCHED_VARS \"!@endsWith .txt\" \"\"
SecRule REQBODY_ERROR \"@eq 1\" \"id:4,phase:2,deny,log,msg:'%{REQBODY_ERROR_MSG}'\"";

/// A body after the line with its type.
fn body(input: &[u8]) {
    static LOADED: LazyLock<Arc<Rules>> = LazyLock::new(|| {
        Rules::builder(&InMemory::default()).text("fuzz.conf", RULES).build().expect("the rules are right")
    });
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let content_type = parts.next().unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    let headers: [(&[u8], &[u8]); 1] = [(b"Content-Type", content_type)];
    judge(&LOADED, &Request { method: b"POST", headers: &headers, ..Request::default() }, body);
}
