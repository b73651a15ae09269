//! What is written.

use bytes::BytesMut;
use http::{StatusCode, Version};

use super::super::*;
use super::read_body;
use crate::HeadersBuilder;

// --- responses

fn response(
    status: u16,
    headers: &[(&str, &str)],
    framing: ResponseFraming,
    persistent: bool,
    version: Version,
) -> String {
    let mut out = BytesMut::new();
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    write_response_head(
        &mut out,
        StatusCode::from_u16(status).unwrap(),
        headers,
        framing,
        persistent,
        version,
    );
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_response_says_its_framing_once() {
    let said =
        [("Content-Length", "9"), ("transfer-encoding", "gzip"), ("Connection", "x"), ("ETag", "\"1\"")];
    let of = |framing| response(200, &said, framing, true, Version::HTTP_11);
    assert_eq!(of(ResponseFraming::Length(5)), "HTTP/1.1 200 OK\r\nETag: \"1\"\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(
        of(ResponseFraming::Chunked),
        "HTTP/1.1 200 OK\r\nETag: \"1\"\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(of(ResponseFraming::None), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: \"1\"\r\n\r\n");
    assert_eq!(
        of(ResponseFraming::UntilClose),
        "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn a_response_says_whether_the_connection_goes_on() {
    let of = |persistent, version| response(204, &[], ResponseFraming::None, persistent, version);
    assert_eq!(of(true, Version::HTTP_11), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(of(false, Version::HTTP_11), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    assert_eq!(of(true, Version::HTTP_10), "HTTP/1.1 204 No Content\r\nconnection: keep-alive\r\n\r\n");
    assert_eq!(of(false, Version::HTTP_10), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
    let switch = [("Connection", "upgrade"), ("Upgrade", "websocket")];
    assert_eq!(
        response(101, &switch, ResponseFraming::None, false, Version::HTTP_11),
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    assert_eq!(response(799, &[], ResponseFraming::None, true, Version::HTTP_11), "HTTP/1.1 799 \r\n\r\n");
}

#[test]
fn no_response_header_can_end_the_head() {
    let evil = [("X", "a\r\nSet-Cookie: b\0"), ("Y\r\nZ", "c"), ("", "d")];
    let text = response(200, &evil, ResponseFraming::None, true, Version::HTTP_11);
    assert_eq!(text, "HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b \r\n\r\n");
}

#[test]
fn written_chunks_are_read_back() {
    let mut out = BytesMut::new();
    let mut sent = Vec::new();
    for length in [1, 9, 10, 15, 16, 255, 256, 4096, 65_537] {
        write_chunk(&mut out, length);
        let data = vec![b'x'; length];
        out.extend_from_slice(&data);
        out.extend_from_slice(CHUNK_TAIL);
        sent.extend(data);
    }
    write_chunk(&mut out, 0);
    let mut trailers = HeadersBuilder::with_capacity(1, 16);
    trailers.push(b"x-sum", b"1");
    write_last_chunk(&mut out, Some(&trailers.finish()));
    let (data, trailers, left) = read_body(Framing::Chunked, &Limits::default(), &out).unwrap();
    assert_eq!((data, left), (sent, 0));
    assert_eq!(trailers.unwrap().get_str("x-sum"), Some("1"));
    out.clear();
    write_last_chunk(&mut out, None);
    assert_eq!(out, "0\r\n\r\n");
}
