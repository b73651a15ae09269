//! Bodies and trailers, one test a rule.

use bytes::BytesMut;

use super::super::*;
use super::{chunked, read_body, trailer};

// --- bodies

#[test]
fn a_body_of_known_length_ends_to_the_byte() {
    let limits = Limits::default();
    let read = |framing, bytes| read_body(framing, &limits, bytes).map(|(data, _, left)| (data, left));
    assert_eq!(read(Framing::Length(3), b"abcGET"), Ok((b"abc".to_vec(), 3)));
    assert_eq!(read(Framing::Length(0), b"GET"), Ok((vec![], 3)));
    assert_eq!(read(Framing::Empty, b"GET"), Ok((vec![], 3)));
    assert_eq!(read(Framing::Length(3), b"ab"), Err("incomplete"));
    assert_eq!(read(Framing::Length(u64::MAX), b"ab"), Err("incomplete"));
}

#[test]
fn chunks_are_joined() {
    assert_eq!(chunked("3\r\nabc\r\n0A\r\n0123456789\r\n000\r\n\r\n"), Ok(b"abc0123456789".to_vec()));
    assert_eq!(chunked("0\r\n\r\n"), Ok(vec![]));
    assert_eq!(chunked("0000000000000001\r\nx\r\n0\r\n\r\n"), Ok(b"x".to_vec()));
    let (_, trailers, left) =
        read_body(Framing::Chunked, &Limits::default(), b"1\r\nx\r\n0\r\n\r\nGET").unwrap();
    assert!(trailers.is_none());
    assert_eq!(left, 3);
}

#[test]
fn chunk_sizes_are_hexadecimal_digits_only() {
    for size in [
        "",
        "x",
        "0x1",
        "+1",
        "-1",
        " 1",
        "1 ",
        "\t1",
        "1\t",
        "1_0",
        "1.0",
        "\"1\"",
        "00000000000000001",
        "1,1",
        "g",
        "1h",
        "١",
        "1\u{b}",
    ] {
        assert_eq!(chunked(format!("{size}\r\nx\r\n0\r\n\r\n")), Err("invalid-chunk-size"), "{size:?}");
    }
    assert_eq!(chunked("ffffffffffffffff\r\nx"), Err("incomplete"));
    assert_eq!(chunked("1ffffffffffffffff\r\nx"), Err("invalid-chunk-size"));
}

#[test]
fn chunk_lines_end_in_cr_lf() {
    assert_eq!(chunked("1\nx\r\n0\r\n\r\n"), Err("bare-lf"));
    assert_eq!(chunked("1\rx\r\n0\r\n\r\n"), Err("bare-cr"));
    assert_eq!(chunked("1;\nx\r\n0\r\n\r\n"), Err("bare-lf"));
    assert_eq!(chunked("1;a=\"\n\"\r\nx\r\n0\r\n\r\n"), Err("bare-lf"));
    assert_eq!(chunked("1;a\rX\r\nx\r\n0\r\n\r\n"), Err("bare-cr"));
    assert_eq!(chunked("1\r\nx\r\n0\n\r\n"), Err("bare-lf"));
    assert_eq!(chunked("1\r\nx\r\n0\r\n\n"), Err("bare-lf"));
}

#[test]
fn chunk_extensions_follow_the_grammar() {
    for extension in [";a", ";a=b", ";a=\"b;c \\\" \t\"", ";a;b=c;d", ";a=\"\"", ";a=\"\\\\\""] {
        assert_eq!(
            chunked(format!("1{extension}\r\nx\r\n0{extension}\r\n\r\n")),
            Ok(b"x".to_vec()),
            "{extension}"
        );
    }
    for extension in [
        ";",
        ";;",
        ";a=",
        ";=b",
        "; a",
        ";a =b",
        ";a= b",
        ";a=\"b",
        ";a=\"b\"c",
        ";a b",
        ";a=\"\\",
        ";a=b\"",
        ";\0",
        ";a=\"\u{1}\"",
    ] {
        assert_eq!(
            chunked(format!("1{extension}\r\nx\r\n0\r\n\r\n")),
            Err("invalid-chunk-extension"),
            "{extension:?}"
        );
    }
}

#[test]
fn chunk_lines_and_extensions_are_bounded() {
    let limits = Limits { chunk_line_bytes: 8, chunk_extension_bytes: 10, ..Limits::default() };
    let read = |text: &str| read_body(Framing::Chunked, &limits, text.as_bytes()).map(|(data, ..)| data);
    assert_eq!(read("1;aaaaaa\r\nx\r\n0\r\n\r\n"), Ok(b"x".to_vec()));
    assert_eq!(read("1;aaaaaaa\r\nx\r\n0\r\n\r\n"), Err("chunk-line-too-long"));
    assert_eq!(read("1;aaaaaaaaaa"), Err("chunk-line-too-long"), "refused before it is whole");
    assert_eq!(read("1;aaaa\r\nx\r\n1;aaaa\r\nx\r\n0\r\n\r\n"), Ok(b"xx".to_vec()));
    assert_eq!(read("1;aaaa\r\nx\r\n1;aaaaa\r\nx\r\n0\r\n\r\n"), Err("chunk-extensions-too-long"));
}

#[test]
fn chunk_data_is_followed_by_cr_lf() {
    for text in [
        "1\r\nxx\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
    ] {
        assert_eq!(chunked(text), Err("invalid-chunk-end"), "{text:?}");
    }
}

#[test]
fn the_last_chunk_is_followed_by_an_empty_line() {
    assert_eq!(chunked("0\r\n"), Err("incomplete"));
    assert_eq!(chunked("0\r\nGET / HTTP/1.1\r\n"), Err("invalid-header-name"));
    assert_eq!(chunked("0\r\n \r\n\r\n"), Err("leading-whitespace"));
}

// --- trailers

#[test]
fn trailers_are_handed_out_once() {
    let mut buffer = BytesMut::from("1\r\nx\r\n0\r\nGrpc-Status: 0\r\nX-Sum:  ab \r\n\r\nGET");
    let mut reader = BodyReader::new(Framing::Chunked, &Limits::default());
    assert!(matches!(reader.read(&mut buffer), Ok(BodyPart::Data(_))));
    let Ok(BodyPart::End { trailers: Some(trailers) }) = reader.read(&mut buffer) else {
        panic!("no trailers")
    };
    assert_eq!((trailers.get_str("grpc-status"), trailers.get_str("x-sum")), (Some("0"), Some("ab")));
    assert!(matches!(reader.read(&mut buffer), Ok(BodyPart::End { trailers: None })));
    assert_eq!(buffer, "GET");
}

#[test]
fn trailers_are_under_the_rules_of_fields() {
    assert_eq!(trailer("X : a").unwrap_err(), "space-before-colon");
    assert_eq!(trailer("X: a\r\n b").unwrap_err(), "obs-fold");
    assert_eq!(trailer("X").unwrap_err(), "missing-colon");
    assert_eq!(trailer("X: \0").unwrap_err(), "invalid-header-value");
    assert_eq!(trailer("X: a\nY: b").unwrap_err(), "bare-lf");
}

#[test]
fn trailers_that_frame_route_or_authenticate_are_refused() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Content_Length",
        "Host",
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Encoding",
        "X-Forwarded-For",
        "X-Api-Key",
        "Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Range",
        "Cache-Control",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "X-Haechi-Subject",
        "Transfer.Encoding",
        "WWW-Authenticate",
        "Proxy-Connection",
    ] {
        assert_eq!(trailer(&format!("{name}: 1")).unwrap_err(), "forbidden-trailer", "{name}");
    }
}

#[test]
fn trailers_are_bounded() {
    let limits = Limits { trailer_bytes: 16, headers: 2, ..Limits::default() };
    let read = |text: &str| {
        read_body(Framing::Chunked, &limits, text.as_bytes()).map(|(_, trailers, _)| trailers.unwrap().len())
    };
    assert_eq!(read("0\r\nX: 123456789\r\n\r\n"), Ok(1));
    assert_eq!(read("0\r\nX: 1234567890\r\n\r\n"), Err("trailers-too-large"));
    assert_eq!(read("0\r\nX: 1234567890123"), Err("trailers-too-large"), "refused before it is whole");
    assert_eq!(read("0\r\nA:\r\nB:\r\n\r\n"), Ok(2));
    assert_eq!(read("0\r\nA:\r\nB:\r\nC:\r\n\r\n"), Err("too-many-headers"));
}
