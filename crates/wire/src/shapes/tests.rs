use bytes::BytesMut;

use super::*;
use crate::Refusal;
use crate::h1::{BodyPart, BodyReader, HeadReader, Limits};

/// The targets of the requests read, and how the connection ended.
fn serve(bytes: &[u8]) -> (Vec<String>, Result<(), Refusal>) {
    let limits = Limits::default();
    let mut reader = HeadReader::new(limits.clone());
    let mut buffer = BytesMut::from(bytes);
    let mut targets = Vec::new();
    let mut run = || {
        while let Some(head) = reader.read(&mut buffer)? {
            targets.push(String::from_utf8_lossy(head.target.raw()).into_owned());
            let mut body = BodyReader::new(head.framing, &limits);
            while let BodyPart::Data(_) = body.read(&mut buffer)? {}
            if !body.is_done() {
                break;
            }
        }
        Ok(())
    };
    let end = run();
    (targets, end)
}

#[test]
fn every_shape_ends_as_the_catalogue_says() {
    for shape in all() {
        let (targets, end) = serve(&shape.bytes);
        match shape.expected {
            Expected::Refused { code, status } => {
                let refusal = end.expect_err(shape.name);
                assert_eq!((refusal.code(), refusal.status()), (code, status), "{}", shape.name);
                assert!(targets.len() <= 1, "{}: {targets:?}", shape.name);
            }
            Expected::AcceptedAs(_) => {
                assert_eq!(end, Ok(()), "{}", shape.name);
                assert_eq!(targets.len(), 1, "{}: {targets:?}", shape.name);
            }
        }
        assert!(!targets.iter().any(|target| target.contains("smuggled")), "{}: {targets:?}", shape.name);
    }
}

#[test]
fn every_shape_hides_its_own_request() {
    for shape in all() {
        let hidden = format!("GET {} HTTP/1.1\r\n", shape.marker());
        assert!(
            shape.bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes()),
            "{}",
            shape.name
        );
        assert!(!shape.source.is_empty() && !shape.family.is_empty());
    }
}

#[test]
fn names_are_unique_and_the_catalogue_is_large() {
    let names: std::collections::BTreeSet<_> = all().iter().map(|shape| shape.name).collect();
    assert_eq!(names.len(), all().len());
    assert!(names.iter().all(|name| {
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }));
    assert!(names.len() >= 150, "{}", names.len());
}
