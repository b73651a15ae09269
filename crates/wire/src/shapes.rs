//! The catalogue of request-smuggling and desync shapes: each a byte sequence that at least one server or proxy once
//! read differently from its neighbour, with where it was described and what this codec answers.
//!
//! Every shape carries, as the request it tries to hide, `GET /smuggled-<name>`: an end-to-end test sends all of them
//! and checks that no upstream ever sees such a path. The shapes that are taken have one meaning here, in which the
//! hidden request is content.

mod chunks;
mod encoding;
mod head;
mod length;
mod routing;

use crate::RefusalKind;

/// The host that every shape asks for, where it asks for a good one.
pub const HOST: &str = "haechi.test";

/// One shape.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Unique, kebab-case.
    pub name: &'static str,
    /// What kind of disagreement it provokes.
    pub family: &'static str,
    /// Where it was described: an RFC section, an advisory, an article.
    pub source: &'static str,
    /// What is sent, whole, on a new connection.
    pub bytes: Vec<u8>,
    /// What this codec makes of it.
    pub expected: Expected,
}

/// What the codec makes of a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Refused, in the head or in the body.
    Refused {
        /// [`Refusal::code`](crate::Refusal::code).
        code: &'static str,
        /// [`Refusal::status`](crate::Refusal::status).
        status: u16,
    },
    /// Taken as the one request that the explanation tells.
    AcceptedAs(&'static str),
}

/// A row of the catalogue: name, family, source, what is expected, and the text.
///
/// In the text `{hidden}` stands for the hidden request; every character is one byte (Latin-1).
type Row = (&'static str, &'static str, &'static str, Outcome, &'static str);

#[derive(Clone, Copy)]
enum Outcome {
    Refused(RefusalKind),
    Taken(&'static str),
}

/// All shapes, family by family.
pub fn all() -> Vec<Shape> {
    let rows = [encoding::ROWS, length::ROWS, chunks::ROWS, head::ROWS, routing::ROWS];
    rows.into_iter().flatten().map(|row| Shape::from_row(*row)).collect()
}

// === impl Shape ===

impl Shape {
    /// The path of the request that the shape tries to hide.
    pub fn marker(&self) -> String {
        format!("/smuggled-{}", self.name)
    }

    fn from_row((name, family, source, outcome, text): Row) -> Self {
        let hidden = format!("GET /smuggled-{name} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let text = text.replace("{long}", &"x".repeat(256)).replace("{hidden}", &hidden);
        // A Content-Length that covers exactly the body.
        let content = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        let text = text.replace("{length}", itoa::Buffer::new().format(content));
        Self {
            name,
            family,
            source,
            bytes: text.chars().filter_map(|character| u8::try_from(u32::from(character)).ok()).collect(),
            expected: match outcome {
                Outcome::Refused(kind) => Expected::Refused { code: kind.code(), status: kind.status() },
                Outcome::Taken(explanation) => Expected::AcceptedAs(explanation),
            },
        }
    }
}

/// A POST to `/` with these header lines after a good Host, and this body.
macro_rules! post {
    ($lines:literal, $body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: haechi.test\r\n", $lines, "\r\n\r\n", $body)
    };
}
use post;

#[cfg(test)]
mod tests;
