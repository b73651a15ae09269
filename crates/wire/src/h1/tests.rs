//! What the codec takes and refuses, one test a rule; and the comparison with the plain reference parser.

use bytes::BytesMut;

use super::*;
use crate::{Headers, Refusal};

mod against_reference;
mod bodies;
mod heads;
mod reference;
mod responses;

fn read(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
    HeadReader::new(Limits::default()).read(&mut BytesMut::from(bytes))
}

/// The head of an accepted request.
fn head(text: impl AsRef<[u8]>) -> Head {
    read(text.as_ref()).unwrap().expect("a whole head")
}

/// The code of a refused request.
fn code(text: impl AsRef<[u8]>) -> &'static str {
    match read(text.as_ref()) {
        Err(refusal) => refusal.code(),
        Ok(Some(head)) => panic!("taken: {head:?}"),
        Ok(None) => "incomplete",
    }
}

/// The code for a GET with these header lines after Host.
fn with(lines: impl AsRef<[u8]>) -> &'static str {
    code(request(lines))
}

fn request(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"POST / HTTP/1.1\r\nHost: a.example\r\n", lines.as_ref(), b"\r\n\r\n"].concat()
}

/// The head with these header lines after Host.
fn head_with(lines: impl AsRef<[u8]>) -> Head {
    head(request(lines))
}

fn read_body(
    framing: Framing,
    limits: &Limits,
    bytes: &[u8],
) -> Result<(Vec<u8>, Option<Headers>, usize), &'static str> {
    let mut buffer = BytesMut::from(bytes);
    let mut reader = BodyReader::new(framing, limits);
    let mut data = Vec::new();
    loop {
        match reader.read(&mut buffer).map_err(Refusal::code)? {
            BodyPart::Data(part) => {
                assert!(!part.is_empty());
                data.extend_from_slice(&part);
            }
            BodyPart::Incomplete => return Err("incomplete"),
            BodyPart::End { trailers } => {
                assert!(reader.is_done());
                return Ok((data, trailers, buffer.len()));
            }
        }
    }
}

fn chunked(bytes: impl AsRef<[u8]>) -> Result<Vec<u8>, &'static str> {
    read_body(Framing::Chunked, &Limits::default(), bytes.as_ref()).map(|(data, ..)| data)
}

fn trailer(line: &str) -> Result<Option<Headers>, &'static str> {
    let bytes = format!("0\r\n{line}\r\n\r\n");
    read_body(Framing::Chunked, &Limits::default(), bytes.as_bytes()).map(|(_, trailers, _)| trailers)
}
