//! Content codings (RFC 9110, section 8.4): what callers and upstreams compress is decoded to be judged, and
//! responses are compressed for callers that take it.

mod decode;
mod encode;
mod negotiate;

pub(crate) use decode::{DecodeError, Decoder};
pub(crate) use encode::Encoder;
pub(crate) use negotiate::{Negotiation, compressed_head, negotiate, vary};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// DEFLATE with gzip's frame (RFC 1952).
    Gzip,
    /// DEFLATE with zlib's frame (RFC 1950); without it, as some send it, it is malformed.
    Deflate,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878), with a window of 8 MiB at most (RFC 9659).
    Zstd,
}

/// What `Content-Encoding` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coded {
    /// The content is as it is.
    Plain,
    /// It has one coding that is known.
    Once(Coding),
    /// It has another, or several. Each coding upon another multiplies what a byte can become, and nobody needs two.
    Unknown,
}

/// The codings that are decoded, as callers are told.
pub(crate) const ACCEPTED: &str = "gzip, br, zstd, deflate";

// === impl Coded ===

impl Coded {
    /// Of all values of `Content-Encoding`, in order.
    pub(crate) fn read<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut names = values
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"));
        match (names.next(), names.next()) {
            (None, _) => Self::Plain,
            (Some(name), None) => Coding::parse(name).map_or(Self::Unknown, Self::Once),
            (Some(_), Some(_)) => Self::Unknown,
        }
    }
}

// === impl Coding ===

impl Coding {
    fn parse(name: &[u8]) -> Option<Self> {
        let named = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if named("gzip") || named("x-gzip") {
            Some(Self::Gzip)
        } else if named("deflate") {
            Some(Self::Deflate)
        } else if named("br") {
            Some(Self::Brotli)
        } else if named("zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }

    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

#[cfg(test)]
mod tests;
