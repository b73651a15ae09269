//! Heads, one test a rule.

use bytes::BytesMut;
use http::Version;

use super::super::*;
use super::{code, head, head_with, read, request, with};

// --- requests that are taken

#[test]
fn an_ordinary_request_is_read_as_it_is() {
    let bytes =
        b"GET /menu?size=L&x HTTP/1.1\r\nHost: Pizza.example:8080\r\nX-Odd:\t a b \t\r\nEmpty:\r\n\r\nrest";
    let mut buffer = BytesMut::from(&bytes[..]);
    let head = HeadReader::new(Limits::default()).read(&mut buffer).unwrap().unwrap();
    assert_eq!(head.method, "GET");
    assert_eq!(head.target.raw(), "/menu?size=L&x");
    assert_eq!(head.target.path_raw(), "/menu");
    assert_eq!(head.target.query_raw().unwrap(), "size=L&x");
    assert_eq!(head.target.form(), TargetForm::Origin);
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.authority.unwrap().as_str(), "pizza.example:8080");
    assert_eq!(head.framing, Framing::Empty);
    assert!(head.persistent && !head.expect_continue && !head.upgrade);
    let fields: Vec<_> = head.headers.iter().map(|field| (field.name, field.value)).collect();
    assert_eq!(fields, [(&b"Host"[..], &b"Pizza.example:8080"[..]), (b"X-Odd", b"a b"), (b"Empty", b"")]);
    assert_eq!(head.raw.len(), bytes.len() - 4);
    assert_eq!(buffer, "rest");
}

#[test]
fn any_token_is_a_method_in_its_own_case() {
    for method in ["get", "PROPFIND", "M-SEARCH", "a!#$%&'*+-.^_`|~9"] {
        assert_eq!(head(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).method.as_str(), method);
    }
}

#[test]
fn the_raw_target_keeps_what_the_rules_want_to_see() {
    let target = "/a%2e/<script>\"{}|^`\\?q='%zz&é";
    let head = head(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(head.target.raw(), target);
}

#[test]
fn obs_text_is_let_through_in_values() {
    assert_eq!(head_with(b"X: \xff\x80").headers.get("x"), Some(&b"\xff\x80"[..]));
}

#[test]
fn one_empty_line_before_a_request_is_let_through() {
    assert_eq!(head("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").raw.len(), 27);
    assert_eq!(code("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "empty-lines");
    assert_eq!(code("\r\n\r\n"), "empty-lines");
    assert_eq!(code("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "bare-lf");
}

#[test]
fn pipelined_requests_are_parted_to_the_byte() {
    let one = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let two = "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let three = "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut buffer = BytesMut::from(format!("{one}{two}{three}").as_str());
    let mut reader = HeadReader::new(Limits::default());
    let mut seen = Vec::new();
    while !buffer.is_empty() {
        assert!(reader.is_fresh());
        let head = reader.read(&mut buffer).unwrap().unwrap();
        let mut body = BodyReader::new(head.framing, &Limits::default());
        let mut data = Vec::new();
        while let BodyPart::Data(part) = body.read(&mut buffer).unwrap() {
            data.extend_from_slice(&part);
        }
        assert!(body.is_done());
        seen.push((head.target.raw().clone(), data));
    }
    assert_eq!(seen, [("/1".into(), b"abc".to_vec()), ("/2".into(), b"x".to_vec()), ("/3".into(), vec![])]);
}

#[test]
fn a_reader_is_fresh_until_the_first_byte_of_a_head() {
    let mut reader = HeadReader::new(Limits::default());
    let mut buffer = BytesMut::new();
    assert!(reader.read(&mut buffer).unwrap().is_none() && reader.is_fresh());
    buffer.extend_from_slice(b"\r\n");
    assert!(reader.read(&mut buffer).unwrap().is_none() && reader.is_fresh());
    buffer.extend_from_slice(b"G");
    assert!(reader.read(&mut buffer).unwrap().is_none() && !reader.is_fresh());
    buffer.extend_from_slice(b"ET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(reader.read(&mut buffer).unwrap().is_some() && reader.is_fresh());
}

#[test]
fn a_refusal_is_repeated_whatever_follows() {
    let mut reader = HeadReader::new(Limits::default());
    let refusal = reader.read(&mut BytesMut::from("GET / HTTP/1.1\n")).unwrap_err();
    let again = reader.read(&mut BytesMut::from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap_err();
    assert_eq!(refusal, again);
    let mut body = BodyReader::new(Framing::Chunked, &Limits::default());
    let refusal = body.read(&mut BytesMut::from("x\r\n")).unwrap_err();
    assert_eq!(refusal, body.read(&mut BytesMut::from("0\r\n\r\n")).unwrap_err());
}

// --- lines

#[test]
fn a_bare_line_feed_is_refused() {
    assert_eq!(code("GET / HTTP/1.1\nHost: a\r\n\r\n"), "bare-lf");
    assert_eq!(code("GET / HTTP/1.1\r\nHost: a\n\r\n"), "bare-lf");
    assert_eq!(code("GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n"), "bare-lf");
    assert_eq!(code("GET / HTTP/1.1\r\nHost: a\r\n\n"), "bare-lf");
    assert_eq!(code("GET / HTTP/1.1\n"), "bare-lf", "at once, not after a whole head");
}

#[test]
fn a_bare_carriage_return_is_refused() {
    assert_eq!(code("GET / HTTP/1.1\rHost: a\r\n\r\n"), "bare-cr");
    assert_eq!(with("X: a\rTransfer-Encoding: chunked"), "bare-cr");
    assert_eq!(with("X: a\r\r\nY: b"), "bare-cr");
}

#[test]
fn a_folded_line_is_refused() {
    assert_eq!(with("X: a\r\n b"), "obs-fold");
    assert_eq!(with("Transfer-Encoding:\r\n\tchunked"), "obs-fold");
    assert_eq!(with(" "), "obs-fold");
}

#[test]
fn whitespace_on_the_first_header_line_is_refused() {
    assert_eq!(code("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "leading-whitespace");
    assert_eq!(code("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n"), "leading-whitespace");
}

// --- the request line

#[test]
fn the_request_line_has_exactly_two_single_spaces() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET",
        "GET /",
        "GET HTTP/1.1",
        "GET / HTTP/1.1 x",
    ] {
        assert_eq!(code(format!("{line}\r\nHost: a\r\n\r\n")), "invalid-request-line", "{line}");
    }
    assert_eq!(code(" GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "invalid-method");
    assert_eq!(code("GET /\tHTTP/1.1\r\nHost: a\r\n\r\n"), "invalid-request-line");
    assert_eq!(code("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n"), "invalid-target");
}

#[test]
fn a_method_is_a_token_of_at_most_32_bytes() {
    for method in ["G(T", "G\0T", "G/T", "\"GET\"", "G\u{e9}T", &"A".repeat(33)] {
        assert_eq!(code(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")), "invalid-method", "{method}");
    }
    assert_eq!(head(format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(32))).method.as_str().len(), 32);
}

#[test]
fn what_cannot_be_a_method_is_refused_at_its_first_byte() {
    assert_eq!(code(b"\x16\x03\x01"), "invalid-method", "a TLS ClientHello");
    assert_eq!(code(b"\0"), "invalid-method");
}

#[test]
fn http_0_9_is_refused() {
    assert_eq!(code("GET /\r\n"), "invalid-request-line");
    assert_eq!(code("GET / HTTP/0.9\r\n\r\n"), "unsupported-version");
}

#[test]
fn other_versions_are_505() {
    for version in ["HTTP/1.2", "HTTP/2.0", "HTTP/3.0", "HTTP/9.9"] {
        let refusal = read(format!("GET / {version}\r\nHost: a\r\n\r\n").as_bytes()).unwrap_err();
        assert_eq!((refusal.status(), refusal.code()), (505, "unsupported-version"));
    }
    assert_eq!(code("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "unsupported-version");
}

#[test]
fn the_version_is_spelt_exactly() {
    for version in
        ["http/1.1", "HTTP/1.10", "HTTP/11", "HTTP/1,1", "HTTP/1.1\u{b}", "HTTP /1.1", "HTTPS/1.1", "HTTP/1."]
    {
        let code = code(format!("GET / {version}\r\nHost: a\r\n\r\n"));
        assert!(matches!(code, "invalid-version" | "invalid-request-line"), "{version:?}: {code}");
    }
}

#[test]
fn connect_is_refused() {
    assert_eq!(code("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"), "connect-refused");
    assert_eq!(code("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"), "connect-refused");
}

#[test]
fn the_asterisk_is_for_options_only() {
    assert_eq!(head("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").target.form(), TargetForm::Asterisk);
    assert_eq!(code("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), "asterisk-target");
}

#[test]
fn targets_in_no_form_are_refused() {
    for target in [
        "menu",
        "a.example:443",
        "ftp://a/",
        "http:/a",
        "?x",
        "**",
        "/a\u{7f}",
        "/\u{1}",
        "http:",
        "//",
        "@a",
    ] {
        let result = read(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        match target {
            "//" => assert_eq!(result.unwrap().unwrap().target.path_raw(), "//"),
            _ => assert_eq!(result.unwrap_err().code(), "invalid-target", "{target:?}"),
        }
    }
}

#[test]
fn a_fragment_in_the_target_is_refused() {
    assert_eq!(code("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), "fragment-in-target");
}

#[test]
fn the_absolute_form_agrees_with_host() {
    let head1 = head("GET HTTP://A.example/x?y HTTP/1.1\r\nHost: a.EXAMPLE\r\n\r\n");
    assert_eq!(head1.target.form(), TargetForm::Absolute);
    assert_eq!(
        (head1.target.path_raw().as_ref(), head1.target.query_raw().unwrap().as_ref()),
        (&b"/x"[..], &b"y"[..])
    );
    assert_eq!(head("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").target.path_raw(), "/");
    assert_eq!(head("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n").target.query_raw().unwrap(), "q");
    for (target, host) in [("http://a/", "b"), ("http://a:80/", "a"), ("https://a/", "a:443")] {
        assert_eq!(code(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")), "host-mismatch");
    }
    assert_eq!(code("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"), "user-info");
    assert_eq!(code("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"), "invalid-host");
    assert_eq!(code("GET http://a/ HTTP/1.1\r\n\r\n"), "missing-host");
}

// --- fields

#[test]
fn whitespace_before_the_colon_is_refused() {
    for line in ["Transfer-Encoding : chunked", "Content-Length\t: 3", "X  : a"] {
        assert_eq!(with(line), "space-before-colon", "{line}");
    }
}

#[test]
fn names_are_tokens() {
    for line in [
        "X Y: a",
        "X\0: a",
        "X(: a",
        "\"X\": a",
        "X\u{e9}: a",
        "X/Y: a",
        "X\u{b}: a",
        "Content-Length\u{b}: 3",
    ] {
        assert_eq!(with(line), "invalid-header-name", "{line:?}");
    }
    assert_eq!(with(": a"), "empty-header-name");
    assert_eq!(with("X"), "missing-colon");
}

#[test]
fn control_bytes_in_values_are_refused() {
    for byte in (0..0x20).chain([0x7f]).filter(|byte| !matches!(byte, b'\t' | b'\r' | b'\n')) {
        assert_eq!(with([b"X: a", &[byte][..], b"b"].concat()), "invalid-header-value", "{byte:#x}");
    }
    let refusal = read(&request("X: a\0")).unwrap_err();
    assert_eq!(refusal.offset(), Some(38));
}

#[test]
fn names_that_only_look_like_framing_are_refused() {
    for line in [
        "Transfer_Encoding: chunked",
        "Content_Length: 3",
        "transfer.encoding: chunked",
        "CONTENT~LENGTH: 3",
        "Content|Length: 3",
        "Transfer'Encoding: x",
    ] {
        assert_eq!(with(line), "look-alike-header", "{line}");
    }
    assert!(head_with("X-Content-Length: 3").headers.get("x-content-length").is_some());
    assert_eq!(head_with("Content-Lengths: 3").framing, Framing::Empty);
}

// --- host

#[test]
fn http_1_1_needs_exactly_one_host() {
    assert_eq!(code("GET / HTTP/1.1\r\nX: a\r\n\r\n"), "missing-host");
    assert_eq!(code("GET / HTTP/1.1\r\n\r\n"), "missing-host");
    assert_eq!(with("Host: a.example"), "repeated-host");
    assert_eq!(with("HOST: b.example"), "repeated-host");
    assert_eq!(code("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), "repeated-host");
    assert_eq!(head("GET / HTTP/1.0\r\n\r\n").authority, None);
}

#[test]
fn an_invalid_host_is_refused() {
    for host in ["", "a b", "a,b", "a/b", "a?", "127.1", "a:", "a:99999", "[::1", "a%00"] {
        assert_eq!(code(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), "invalid-host", "{host}");
    }
    assert_eq!(code("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), "user-info");
}

// --- framing

#[test]
fn content_length_is_one_plain_number() {
    assert_eq!(head_with("Content-Length: 0").framing, Framing::Length(0));
    assert_eq!(head_with("content-length:\t18446744073709551615 ").framing, Framing::Length(u64::MAX));
    for value in [
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5;",
        "5.0",
        "\"5\"",
        "",
        "05",
        "00",
        "18446744073709551616",
        "99999999999999999999",
        "5\u{a0}",
        "١",
    ] {
        assert_eq!(with(format!("Content-Length: {value}")), "invalid-content-length", "{value}");
    }
}

#[test]
fn several_content_lengths_are_refused_even_equal_ones() {
    assert_eq!(with("Content-Length: 5\r\nContent-Length: 5"), "repeated-content-length");
    assert_eq!(with("Content-Length: 5\r\ncontent-length: 6"), "repeated-content-length");
    assert_eq!(with("Content-Length: 5, 5"), "repeated-content-length");
    assert_eq!(with("Content-Length: 5,"), "repeated-content-length");
}

#[test]
fn length_and_encoding_together_are_refused() {
    assert_eq!(
        with("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        "content-length-with-transfer-encoding"
    );
    assert_eq!(
        with("Transfer-Encoding: chunked\r\nContent-Length: 0"),
        "content-length-with-transfer-encoding"
    );
}

#[test]
fn transfer_encoding_is_exactly_chunked() {
    assert_eq!(head_with("Transfer-Encoding: chunked").framing, Framing::Chunked);
    assert_eq!(head_with("TRANSFER-ENCODING: \tChUnKeD ").framing, Framing::Chunked);
    for value in [
        "identity",
        "identity, chunked",
        "chunked, identity",
        "chunked, chunked",
        "gzip, chunked",
        "gzip",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        "",
        "chun ked",
        "'chunked'",
        "cow",
        "chunked\u{a0}",
        "ch\u{fb}nked",
    ] {
        assert_eq!(with(format!("Transfer-Encoding: {value}")), "invalid-transfer-encoding", "{value}");
    }
    for byte in [b'\x0b', b'\x0c', b'\0', b'\x1c'] {
        assert_eq!(with([b"Transfer-Encoding: ", &[byte][..], b"chunked"].concat()), "invalid-header-value");
    }
    assert_eq!(
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        "repeated-transfer-encoding"
    );
    assert_eq!(with("Transfer-Encoding: chunked\r\nTransfer-encoding: cow"), "repeated-transfer-encoding");
}

#[test]
fn http_1_0_has_no_transfer_encoding() {
    assert_eq!(
        code("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "transfer-encoding-in-http-1-0"
    );
}

#[test]
fn any_method_but_trace_may_have_content() {
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        assert_eq!(
            head(format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")).framing,
            Framing::Length(3)
        );
    }
    assert_eq!(code("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"), "trace-with-body");
    assert_eq!(code("TRACE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), "trace-with-body");
    assert_eq!(head("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").method, "TRACE");
}

// --- the connection

#[test]
fn persistence_follows_version_and_connection() {
    let persistent =
        |version: &str, line: &str| head(format!("GET / {version}\r\nHost: a\r\n{line}\r\n")).persistent;
    assert!(persistent("HTTP/1.1", ""));
    assert!(!persistent("HTTP/1.1", "Connection: Close\r\n"));
    assert!(!persistent("HTTP/1.1", "Connection: keep-alive\r\nConnection: x, close\r\n"));
    assert!(!persistent("HTTP/1.0", ""));
    assert!(persistent("HTTP/1.0", "Connection: , Keep-Alive ,\r\n"));
    assert!(!persistent("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn connection_may_not_name_fields_that_frame_route_or_authenticate() {
    for name in [
        "Content-Length",
        "transfer-encoding",
        "Host",
        "Authorization",
        "Cookie",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "Forwarded",
        "X-Api-Key",
        "Content-Type",
        "X-Real-IP",
    ] {
        assert_eq!(with(format!("Connection: close, {name}")), "connection-names-end-to-end-field", "{name}");
    }
    for value in ["a b", "\"close\"", "close;x", "a/b"] {
        assert_eq!(with(format!("Connection: {value}")), "invalid-connection", "{value}");
    }
    assert!(!head_with("Connection: close, TE, X-Mine").persistent);
}

#[test]
fn expect_is_exactly_100_continue() {
    let expects = |lines: &str| head_with(lines).expect_continue;
    assert!(expects("Expect: 100-Continue\r\nContent-Length: 3"));
    assert!(!expects("Expect: 100-continue"));
    assert!(!expects("Expect: 100-continue\r\nContent-Length: 0"));
    for lines in [
        "Expect: 100-continue, x",
        "Expect: y 100-continue",
        "Expect:",
        "Expect: 100-continue\r\nExpect: 100-continue",
    ] {
        let refusal = read(&request(lines)).unwrap_err();
        assert_eq!((refusal.status(), refusal.code()), (417, "unsupported-expectation"), "{lines}");
    }
    let old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    assert!(!head(old).expect_continue);
}

#[test]
fn an_upgrade_is_recorded_but_never_to_h2c() {
    let upgrade = |lines: &str| head_with(lines).upgrade;
    assert!(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket"));
    assert!(!upgrade("Upgrade: websocket"));
    assert!(!upgrade("Connection: Upgrade"));
    assert!(!upgrade("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABk"));
    assert!(!upgrade("Connection: Upgrade\r\nUpgrade: websocket, h2c"));
    assert!(!upgrade("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket"));
    assert!(!head("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n").upgrade);
    assert_eq!(with("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3"), "upgrade-with-body");
    assert_eq!(
        head_with("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3").framing,
        Framing::Length(3)
    );
}

// --- limits

#[test]
fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
    let limits = Limits { head_bytes: 64, target_bytes: 16, ..Limits::default() };
    let of_length = |length: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(length - start.len() - 4))
    };
    let read = |text: &str| HeadReader::new(limits.clone()).read(&mut BytesMut::from(text));
    assert_eq!(read(&of_length(64)).unwrap().unwrap().raw.len(), 64);
    assert_eq!(read(&of_length(65)).unwrap_err().code(), "head-too-large");
    assert_eq!(read(&of_length(65)).unwrap_err().status(), 431);
    assert!(read(of_length(1000).get(..63).unwrap()).unwrap().is_none());
    assert_eq!(
        read(of_length(1000).get(..64).unwrap()).unwrap_err().code(),
        "head-too-large",
        "refused before it is whole"
    );
}

#[test]
fn a_head_may_have_as_many_fields_as_the_limit_and_no_more() {
    let limits = Limits { headers: 3, ..Limits::default() };
    let read = |fields: usize| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(fields - 1));
        HeadReader::new(limits.clone())
            .read(&mut BytesMut::from(text.as_str()))
            .map(|head| head.unwrap().headers.len())
    };
    assert_eq!(read(3), Ok(3));
    assert_eq!(read(4).unwrap_err().code(), "too-many-headers");
}

#[test]
fn a_target_may_be_as_long_as_the_limit_and_no_longer() {
    let limits = Limits { target_bytes: 100, ..Limits::default() };
    let read = |text: &str| HeadReader::new(limits.clone()).read(&mut BytesMut::from(text));
    let of_length = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    assert!(read(&of_length(100)).unwrap().is_some());
    assert_eq!(read(&of_length(101)).unwrap_err().status(), 414);
    assert_eq!(
        read(of_length(9000).get(..200).unwrap()).unwrap_err().code(),
        "target-too-long",
        "refused before it is whole"
    );
}
