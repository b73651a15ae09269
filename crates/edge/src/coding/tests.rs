use std::io::Write;

use haechi_wire::{Headers, HeadersBuilder};
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::budget::Budget;

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];
const PLENTY: usize = 256 * 1024 * 1024;

/// Coded as a caller's own library would.
fn coded(coding: Coding, plain: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Coding::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 9, 22);
            encoder.write_all(plain).unwrap();
            encoder.into_inner()
        }
        Coding::Zstd => zstd::encode_all(plain, 19).unwrap(),
    }
}

fn decoded(coding: Coding, coded: &[u8], step: usize, limit: u64) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(coding, limit, Budget::new(PLENTY).share())?;
    for piece in coded.chunks(step) {
        decoder.push(piece)?;
    }
    Ok(decoder.finish()?.0)
}

/// Text that does not repeat itself too much.
fn text(length: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"abcdefgh {}:,\""[state as usize >> 16 & 7]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn what_others_coded_is_decoded_however_it_is_cut() {
    let plain = text(100_000);
    for coding in ALL {
        let coded = coded(coding, &plain);
        for step in [1, 7, coded.len()] {
            assert_eq!(decoded(coding, &coded, step, 100_000).unwrap(), plain, "{coding:?} by {step}");
        }
        assert_eq!(decoded(coding, &coded, 4096, 99_999), Err(DecodeError::TooLarge), "{coding:?}");
    }
}

#[test]
fn what_ends_early_or_is_no_such_coding_is_malformed() {
    for coding in ALL {
        let whole = coded(coding, &text(5000));
        for cut in [1, 2, whole.len() / 2] {
            let short = &whole[..whole.len() - cut];
            assert_eq!(decoded(coding, short, 512, 10_000), Err(DecodeError::Malformed), "{coding:?} -{cut}");
        }
        assert_eq!(decoded(coding, b"{\"plain\": \"json\"}", 512, 10_000), Err(DecodeError::Malformed));
        assert_eq!(decoded(coding, b"", 512, 10_000).map(drop), Err(DecodeError::Malformed), "{coding:?}");
    }
}

#[test]
fn bytes_after_the_end_are_malformed() {
    for coding in ALL {
        let mut bytes = coded(coding, &text(500));
        bytes.extend_from_slice(b"DELETE / HTTP/1.1\r\n\r\n");
        assert_eq!(decoded(coding, &bytes, 64, 10_000), Err(DecodeError::Malformed), "{coding:?}");
    }
}

#[test]
fn a_bomb_is_stopped_before_it_takes_memory() {
    let zeros = vec![0; 64 * 1024 * 1024];
    for coding in ALL {
        let bomb = coded(coding, &zeros);
        assert!(bomb.len() < 100_000, "{coding:?}: {}", bomb.len());
        assert_eq!(decoded(coding, &bomb, 64, PLENTY as u64), Err(DecodeError::Bomb), "{coding:?}");
        assert_eq!(decoded(coding, &bomb, bomb.len(), 1 << 15), Err(DecodeError::TooLarge), "{coding:?}");
    }
    // Upon one another: what is inside is never looked at.
    assert_eq!(Coded::read([&b"gzip, gzip"[..]].into_iter()), Coded::Unknown);
}

#[test]
fn a_ratio_that_honest_text_has_is_none() {
    let row = |id: u32| format!(r#"{{"id":{id},"pizza":"margherita","size":"L","price":11}},"#);
    let rows: Vec<u8> = (0..20_000).flat_map(|id| row(id).into_bytes()).collect();
    for coding in ALL {
        let coded = coded(coding, &rows);
        assert!(rows.len() / coded.len() > 10, "{coding:?}: {}", rows.len() / coded.len());
        assert_eq!(decoded(coding, &coded, 4096, PLENTY as u64).unwrap(), rows, "{coding:?}");
    }
}

#[test]
fn decoders_take_their_memory_of_the_budget_and_give_it_back() {
    let budget = Budget::new(20 * 1024 * 1024);
    let first = Decoder::new(Coding::Brotli, 1000, budget.share()).unwrap();
    assert!(matches!(Decoder::new(Coding::Brotli, 1000, budget.share()), Err(DecodeError::NoMemory)));
    drop(first);
    assert!(Decoder::new(Coding::Zstd, 1000, budget.share()).is_ok());
    let small = Budget::new(100 * 1024);
    let mut decoder = Decoder::new(Coding::Gzip, 1 << 20, small.share()).unwrap();
    assert_eq!(decoder.push(&coded(Coding::Gzip, &text(100_000))), Err(DecodeError::NoMemory));
}

#[test]
fn content_encoding_is_read() {
    for (values, expected) in [
        (&[][..], Coded::Plain),
        (&["identity"], Coded::Plain),
        (&["GZip"], Coded::Once(Coding::Gzip)),
        (&["identity, br"], Coded::Once(Coding::Brotli)),
        (&["zstd"], Coded::Once(Coding::Zstd)),
        (&["deflate"], Coded::Once(Coding::Deflate)),
        (&["gzip", "br"], Coded::Unknown),
        (&["compress"], Coded::Unknown),
    ] {
        assert_eq!(Coded::read(values.iter().map(|value| value.as_bytes())), expected, "{values:?}");
    }
}

#[test]
fn what_is_compressed_can_be_decoded_at_every_flush() {
    let budget = Budget::new(PLENTY);
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let mut encoder = Encoder::new(coding, &budget).unwrap();
        let mut sent = encoder.push(b"first, ").unwrap().to_vec();
        assert!(encoder.holds());
        sent.extend_from_slice(&encoder.flush().unwrap());
        assert!(!encoder.holds() && !sent.is_empty());
        let flushed = sent.len();
        sent.extend_from_slice(&encoder.push(b"second").unwrap());
        sent.extend_from_slice(&encoder.finish().unwrap());
        assert_eq!(decoded(coding, &sent, 3, 100).unwrap(), b"first, second", "{coding:?}");
        assert!(flushed < sent.len());
    }
    assert!(Encoder::new(Coding::Gzip, &Budget::new(1000)).is_none());
    assert!(Encoder::new(Coding::Deflate, &budget).is_none());
}

fn asked(fields: &[(&str, &str)]) -> Headers {
    let mut builder = HeadersBuilder::with_capacity(fields.len(), 256);
    for (name, value) in fields {
        builder.push(name.as_bytes(), value.as_bytes());
    }
    builder.finish()
}

fn head(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

#[test]
fn the_callers_weights_decide() {
    let json = head(&[("content-type", "application/json; charset=utf-8")]);
    for (accept, expected) in [
        ("gzip, deflate, br, zstd", Negotiation::Compressed(Coding::Zstd)),
        ("gzip, deflate, br", Negotiation::Compressed(Coding::Brotli)),
        ("gzip;q=1.0, br;q=0.5", Negotiation::Compressed(Coding::Gzip)),
        ("*", Negotiation::Compressed(Coding::Zstd)),
        ("*;q=0.1, zstd;q=0", Negotiation::Compressed(Coding::Brotli)),
        ("gzip;q=0", Negotiation::Plain),
        ("gzip;q=0.001", Negotiation::Compressed(Coding::Gzip)),
        ("identity, gzip;q=0.5", Negotiation::Plain),
        ("gzip;q=2", Negotiation::Plain),
        ("gzip;q=0.0001", Negotiation::Plain),
        ("deflate", Negotiation::Plain),
        ("", Negotiation::Plain),
    ] {
        let asked = asked(&[("accept-encoding", accept)]);
        assert_eq!(negotiate(&asked, StatusCode::OK, &json, None, false, false), expected, "{accept}");
    }
}

#[test]
fn what_would_gain_nothing_or_tell_a_secret_is_not_compressed() {
    let good = [("content-type", "application/json")];
    let takes = ("accept-encoding", "gzip");
    let never =
        |request: &[(&str, &str)], status: u16, response: &[(&'static str, &'static str)], length, secret| {
            let status = StatusCode::from_u16(status).unwrap();
            let outcome = negotiate(&asked(request), status, &head(response), length, secret, false);
            outcome == Negotiation::Never
        };
    assert!(!never(&[takes], 200, &good, Some(1024), false));
    assert!(never(&[takes], 200, &good, Some(1023), false));
    assert!(never(&[takes], 206, &good, None, false));
    assert!(never(&[takes, ("range", "bytes=0-1")], 200, &good, None, false));
    assert!(never(&[takes], 200, &good, None, true), "the caller has a credential");
    for header in [("cookie", "a=b"), ("authorization", "Bearer x")] {
        assert!(never(&[takes, header], 200, &good, None, false), "{header:?}");
    }
    for header in [
        ("content-encoding", "br"),
        ("content-range", "bytes 0-1/2"),
        ("cache-control", "public, No-Transform"),
        ("cache-control", "private"),
        ("set-cookie", "a=b"),
    ] {
        assert!(never(&[takes], 200, &[good[0], header], None, false), "{header:?}");
    }
    for kind in ["image/png", "text/event-stream", "application/grpc", "application/zip", ""] {
        assert!(never(&[takes], 200, &[("content-type", kind)], None, false), "{kind}");
    }
    for kind in ["text/html", "application/problem+json", "image/svg+xml", "application/soap+xml"] {
        assert!(!never(&[takes], 200, &[("content-type", kind)], None, false), "{kind}");
    }
    let all = negotiate(&asked(&[takes]), StatusCode::OK, &head(&good), None, true, true);
    assert_eq!(all, Negotiation::Compressed(Coding::Gzip));
}

#[test]
fn the_head_says_what_was_done_and_nothing_of_other_bytes() {
    let mut headers = head(&[
        ("content-type", "text/html"),
        ("content-length", "5000"),
        ("accept-ranges", "bytes"),
        ("etag", "\"v1\""),
        ("content-digest", "sha-256=:x:"),
        ("vary", "Origin"),
    ]);
    compressed_head(&mut headers, Coding::Brotli);
    vary(&mut headers);
    vary(&mut headers);
    assert_eq!(headers["content-encoding"], "br");
    assert_eq!(headers[ETAG], "W/\"v1\"");
    assert_eq!(headers.get_all("vary").iter().collect::<Vec<_>>(), ["Origin", "Accept-Encoding"]);
    for absent in ["content-length", "accept-ranges", "content-digest"] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
    assert_eq!(headers[CONTENT_TYPE], "text/html");
    compressed_head(&mut headers, Coding::Brotli);
    assert_eq!(headers[ETAG], "W/\"v1\"", "weak already");
}
