//! The codec against the plain parser, and against itself with the bytes cut elsewhere.

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::{BodyPart, BodyReader, Framing, Head, HeadReader, Limits};
use super::reference;
use crate::{Headers, Refusal};

/// Text that was meaningful to some parser once.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ": ",
    "\0",
    "\u{b}",
    ";",
    ",",
    "=",
    "\"",
    "0",
    "1",
    "5",
    "0x5",
    "+5",
    "GET",
    "POST",
    "CONNECT",
    "TRACE",
    "OPTIONS",
    "/",
    "*",
    "http://a/",
    "https://a.example",
    "/x?y#z",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/2.0",
    "http/1.1",
    "Host: a\r\n",
    "Host: b\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 05\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer_Encoding: chunked\r\n",
    "transfer-encoding:chunked\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\n",
    "Connection: keep-alive, x\r\n",
    "Connection: content-length\r\n",
    "Upgrade: websocket\r\n",
    "Upgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "X: y\r\n",
    " X: folded\r\n",
    "X : y\r\n",
    "\u{e9}",
    "chunked",
    "identity",
];

/// Whole requests, most of them good, some spoilt in a few places.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let lines =
        select(PIECES.iter().filter(|piece| piece.len() > 3 && piece.ends_with("\r\n")).collect::<Vec<_>>());
    let start = (
        select(vec!["GET", "POST", "OPTIONS", "TRACE", "x-y", "CONNECT"]),
        select(vec!["/", "/a?b", "*", "http://a/c"]),
    );
    let version = select(vec!["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2"]);
    let host = prop_oneof![8 => Just("Host: a\r\n"), 1 => Just("")];
    (start, version, host, prop::collection::vec(lines, 0..4), edits()).prop_map(
        |((method, target), version, host, lines, edits)| {
            let mut text = format!("{method} {target} {version}\r\n{host}").into_bytes();
            lines.iter().for_each(|line| text.extend_from_slice(line.as_bytes()));
            text.extend_from_slice(b"\r\nrest");
            apply(&mut text, &edits);
            text
        },
    )
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let sizes = select(vec![
        "1",
        "3",
        "0",
        "03",
        "a",
        "A",
        "ffffffffffffffff",
        "10000000000000000",
        "0x1",
        " 1",
        "1 ",
        "",
    ]);
    let extension = select(vec!["", "", "", ";a", ";a=b;c=\"d\\\"\"", ";", "; a", ";a=\"", ";a=b\u{b}"]);
    let chunk = (
        prop_oneof![6 => Just("3"), 1 => sizes],
        extension,
        select(vec!["\r\n", "\r\n", "\r\n", "\n", "\r"]),
        select(vec!["\r\n", "\r\n", "\r\n", "\n", ""]),
    );
    let end = select(vec![
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "00;a\r\nX: y\r\nZ:\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\n\r\n",
        "0\r\n",
        "0\r\n\n",
    ]);
    (prop::collection::vec(chunk, 0..4), end, edits()).prop_map(|(chunks, end, edits)| {
        let mut text = Vec::new();
        for (size, extension, line_end, tail) in chunks {
            text.extend_from_slice(format!("{size}{extension}{line_end}abc{tail}").as_bytes());
        }
        text.extend_from_slice(end.as_bytes());
        text.extend_from_slice(b"rest");
        apply(&mut text, &edits);
        text
    })
}

#[derive(Clone, Debug)]
enum Edit {
    Insert(Index, &'static str),
    Remove(Index, usize),
    Replace(Index, u8),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), 1..4_usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
    ];
    prop_oneof![2 => Just(Vec::new()), 3 => prop::collection::vec(edit, 1..4)]
}

fn apply(text: &mut Vec<u8>, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Insert(at, piece) => {
                let at = at.index(text.len() + 1);
                text.splice(at..at, piece.bytes());
            }
            Edit::Remove(at, count) if !text.is_empty() => {
                let at = at.index(text.len());
                text.drain(at..text.len().min(at + count));
            }
            Edit::Replace(at, byte) if !text.is_empty() => {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            _ => {}
        }
    }
}

/// All that can be told of a head, to compare with.
fn told(head: &Head) -> String {
    let Head {
        method,
        target,
        version,
        headers,
        framing,
        persistent,
        expect_continue,
        upgrade,
        authority,
        raw,
    } = head;
    let fields: Vec<_> = headers.iter().map(|field| (field.name, field.value)).collect();
    format!(
        "{method} {target:?} {version:?} {fields:?} {framing:?} {persistent} {expect_continue} {upgrade} {authority:?} {}",
        raw.len()
    )
}

fn pairs(headers: &Headers) -> reference::Fields {
    headers.iter().map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
}

/// Feeds the bytes in pieces of these sizes (over and over), and tells how it ended and what was left over.
fn read_head(bytes: &[u8], sizes: &[usize]) -> (Result<Option<String>, Refusal>, usize) {
    let mut reader = HeadReader::new(Limits::default());
    let mut buffer = BytesMut::new();
    let mut fed = 0;
    for size in sizes.iter().cycle() {
        let piece = &bytes[fed..bytes.len().min(fed + size)];
        buffer.extend_from_slice(piece);
        fed += piece.len();
        match reader.read(&mut buffer) {
            Ok(None) if fed < bytes.len() => {}
            Ok(head) => return (Ok(head.as_ref().map(told)), fed - buffer.len()),
            Err(refusal) => return (Err(refusal), 0),
        }
    }
    unreachable!("sizes are not empty")
}

type BodyOutcome = Result<Option<(Vec<u8>, reference::Fields, usize)>, Refusal>;

fn read_body(framing: Framing, bytes: &[u8], sizes: &[usize]) -> BodyOutcome {
    let mut reader = BodyReader::new(framing, &Limits::default());
    let mut buffer = BytesMut::new();
    let (mut fed, mut data) = (0, Vec::new());
    for size in sizes.iter().cycle() {
        let piece = &bytes[fed..bytes.len().min(fed + size)];
        buffer.extend_from_slice(piece);
        fed += piece.len();
        loop {
            match reader.read(&mut buffer)? {
                BodyPart::Data(part) => data.extend_from_slice(&part),
                BodyPart::Incomplete if fed < bytes.len() => break,
                BodyPart::Incomplete => return Ok(None),
                BodyPart::End { trailers } => {
                    return Ok(Some((
                        data,
                        trailers.as_ref().map(pairs).unwrap_or_default(),
                        fed - buffer.len(),
                    )));
                }
            }
        }
    }
    unreachable!("sizes are not empty")
}

fn check_head(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    let read = HeadReader::new(Limits::default()).read(&mut buffer);
    match (reference::request(bytes), read) {
        (Ok(Some(expected)), Ok(Some(head))) => {
            let seen = reference::Request {
                method: head.method.to_string(),
                target: head.target.raw().to_vec(),
                minor: u8::from(head.version == http::Version::HTTP_11),
                fields: pairs(&head.headers),
                framing: head.framing,
                persistent: head.persistent,
                expect_continue: head.expect_continue,
                upgrade: head.upgrade,
                authority: head.authority.map(|authority| authority.to_string()),
                consumed: bytes.len() - buffer.len(),
            };
            assert_eq!(seen, expected);
        }
        // Of what is not whole the reference knows nothing; it may be refused early.
        (Err(()), Err(_)) | (Ok(None), Err(_) | Ok(None)) => {}
        (expected, seen) => panic!("{}\nreference: {expected:?}\ncodec: {seen:?}", bytes.escape_ascii()),
    }
}

fn check_body(bytes: &[u8]) {
    match (reference::chunked(bytes), read_body(Framing::Chunked, bytes, &[bytes.len().max(1)])) {
        (Ok(Some(expected)), Ok(Some((data, trailers, consumed)))) => {
            assert_eq!(reference::Body { data, trailers, consumed }, expected);
        }
        (Ok(Some(_)), Err(refusal)) if refusal.code() == "forbidden-trailer" => {}
        (Err(()), Err(_)) | (Ok(None), Err(_) | Ok(None)) => {}
        (expected, seen) => panic!("{}\nreference: {expected:?}\ncodec: {seen:?}", bytes.escape_ascii()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn heads_mean_what_the_reference_says(bytes in requests()) {
        check_head(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_no_request_unless_the_reference_says_so(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        check_head(&bytes);
        check_body(&bytes);
    }

    #[test]
    fn bodies_mean_what_the_reference_says(bytes in bodies()) {
        check_body(&bytes);
    }

    #[test]
    fn a_head_is_the_same_however_it_arrives(bytes in requests(), sizes in prop::collection::vec(1..40_usize, 1..6)) {
        let whole = read_head(&bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(&read_head(&bytes, &sizes), &whole);
        prop_assert_eq!(&read_head(&bytes, &[1]), &whole);
    }

    #[test]
    fn a_body_is_the_same_however_it_arrives(bytes in bodies(), sizes in prop::collection::vec(1..9_usize, 1..6)) {
        for framing in [Framing::Chunked, Framing::Length(7)] {
            let whole = read_body(framing, &bytes, &[bytes.len().max(1)]);
            prop_assert_eq!(&read_body(framing, &bytes, &sizes), &whole);
            prop_assert_eq!(&read_body(framing, &bytes, &[1]), &whole);
        }
    }
}

/// The generator is of use only if a fair share of what it makes is taken.
#[test]
fn the_generator_makes_good_and_bad_requests() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..1000 {
        match read_head(&requests().new_tree(&mut runner).unwrap().current(), &[4096]).0 {
            Ok(Some(_)) => taken += 1,
            Err(_) => refused += 1,
            Ok(None) => {}
        }
    }
    assert!(taken > 100 && refused > 300, "{taken} taken, {refused} refused");
}
