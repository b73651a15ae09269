//! A request's content.

use bytes::{Bytes, BytesMut};

use super::lines::Lines;
use super::{Framing, Limits, field, rules};
use crate::bytes_class::{hex_value, is_field_value, is_token};
use crate::headers::Span;
use crate::{Headers, Refusal, RefusalKind};

/// Reads one request's content from a connection's bytes, to its exact end.
///
/// After a refusal the reader only repeats it: the connection is to be closed.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    lines: Lines,
    /// Bytes of chunk extensions so far.
    extensions: usize,
    /// Trailer fields so far.
    spans: Vec<Span>,
    limits: BodyLimits,
    refused: Option<Refusal>,
}

/// What [`BodyReader::read`] found.
#[derive(Clone, Debug)]
pub enum BodyPart {
    /// Content, never empty, sharing the buffer's bytes.
    Data(Bytes),
    /// More bytes are needed.
    Incomplete,
    /// The content is complete; the buffer's next byte is the next request's.
    End {
        /// The trailer fields of a chunked body that has some; handed out once.
        trailers: Option<Headers>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of content are missing.
    Length(u64),
    /// At the start of, or within, a chunk size line.
    ChunkSize,
    /// So many bytes of the chunk are missing.
    ChunkData(u64),
    /// At the CR LF after a chunk's data.
    ChunkEnd,
    /// At the start of, or within, the trailer section.
    Trailers,
    Done,
}

/// The part of [`Limits`] that content is under.
#[derive(Debug)]
struct BodyLimits {
    chunk_line_bytes: usize,
    chunk_extension_bytes: usize,
    trailer_bytes: usize,
    headers: usize,
}

/// Most digits of a chunk size: what fits in 64 bits.
const SIZE_DIGITS: usize = 16;

// === impl BodyReader ===

impl BodyReader {
    /// A reader for content framed this way.
    pub fn new(framing: Framing, limits: &Limits) -> Self {
        Self {
            state: match framing {
                Framing::Empty | Framing::Length(0) => State::Done,
                Framing::Length(length) => State::Length(length),
                Framing::Chunked => State::ChunkSize,
            },
            lines: Lines::default(),
            extensions: 0,
            spans: Vec::new(),
            limits: BodyLimits {
                chunk_line_bytes: limits.chunk_line_bytes,
                chunk_extension_bytes: limits.chunk_extension_bytes,
                trailer_bytes: limits.trailer_bytes,
                headers: limits.headers,
            },
            refused: None,
        }
    }

    /// Takes the next part from the front of `buffer`. Between calls the caller only appends to `buffer`.
    ///
    /// # Errors
    /// A [`Refusal`] as soon as the bytes seen cannot become one unambiguous body.
    pub fn read(&mut self, buffer: &mut BytesMut) -> Result<BodyPart, Refusal> {
        if let Some(refusal) = self.refused {
            return Err(refusal);
        }
        let part = self.advance(buffer);
        if let Err(refusal) = part {
            self.refused = Some(refusal);
        }
        part
    }

    /// Whether the content is complete.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn advance(&mut self, buffer: &mut BytesMut) -> Result<BodyPart, Refusal> {
        loop {
            match self.state {
                State::Done => return Ok(BodyPart::End { trailers: None }),
                State::Length(missing) => {
                    let Some((data, missing)) = take(buffer, missing) else {
                        return Ok(BodyPart::Incomplete);
                    };
                    self.state = if missing == 0 { State::Done } else { State::Length(missing) };
                    return Ok(BodyPart::Data(data));
                }
                State::ChunkData(missing) => {
                    let Some((data, missing)) = take(buffer, missing) else {
                        return Ok(BodyPart::Incomplete);
                    };
                    self.state = if missing == 0 { State::ChunkEnd } else { State::ChunkData(missing) };
                    return Ok(BodyPart::Data(data));
                }
                State::ChunkEnd => match buffer.as_ref() {
                    [b'\r', b'\n', ..] => {
                        let _ = buffer.split_to(2);
                        self.state = State::ChunkSize;
                    }
                    [] | [b'\r'] => return Ok(BodyPart::Incomplete),
                    _ => return Err(RefusalKind::InvalidChunkEnd.into()),
                },
                State::ChunkSize => {
                    let Some(size) = self.read_size(buffer)? else { return Ok(BodyPart::Incomplete) };
                    self.state = if size == 0 { State::Trailers } else { State::ChunkData(size) };
                }
                State::Trailers => {
                    let Some(trailers) = self.read_trailers(buffer)? else { return Ok(BodyPart::Incomplete) };
                    self.state = State::Done;
                    return Ok(BodyPart::End { trailers: (!trailers.is_empty()).then_some(trailers) });
                }
            }
        }
    }

    /// Reads `chunk-size [ chunk-ext ] CRLF` (RFC 9112, 7.1).
    fn read_size(&mut self, buffer: &mut BytesMut) -> Result<Option<u64>, Refusal> {
        let limit = self.limits.chunk_line_bytes.saturating_add(2);
        let Some(line) = self.lines.next(buffer, limit, RefusalKind::ChunkLineTooLong)? else {
            return Ok(None);
        };
        let text = buffer.get(..line.end).unwrap_or_default();
        let digits = text.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extensions) = text.split_at_checked(digits).unwrap_or_default();
        if size.is_empty() || size.len() > SIZE_DIGITS {
            return Err(Refusal::at(RefusalKind::InvalidChunkSize, 0));
        }
        let size = size
            .iter()
            .filter_map(|&digit| hex_value(digit))
            .fold(0, |sum, digit| sum << 4 | u64::from(digit));
        if !extensions.is_empty() {
            if extensions.first() != Some(&b';') {
                return Err(Refusal::at(RefusalKind::InvalidChunkSize, digits));
            }
            check_extensions(extensions).ok_or(Refusal::at(RefusalKind::InvalidChunkExtension, digits))?;
            self.extensions = self.extensions.saturating_add(extensions.len());
            if self.extensions > self.limits.chunk_extension_bytes {
                return Err(RefusalKind::ChunkExtensionsTooLong.into());
            }
        }
        let length = self.lines.position();
        let _ = buffer.split_to(length);
        self.lines = Lines::default();
        Ok(Some(size))
    }

    /// Reads the trailer section with its final empty line (RFC 9112, 7.1.2).
    fn read_trailers(&mut self, buffer: &mut BytesMut) -> Result<Option<Headers>, Refusal> {
        loop {
            let next = self.lines.next(buffer, self.limits.trailer_bytes, RefusalKind::TrailersTooLarge)?;
            let Some(line) = next else { return Ok(None) };
            if line.start == line.end {
                break;
            }
            let span = field::read(buffer, line, line.start == 0)?;
            if !rules::may_trail(span.name(buffer)) {
                return Err(Refusal::at(RefusalKind::ForbiddenTrailer, line.start));
            }
            if self.spans.len() >= self.limits.headers {
                return Err(Refusal::at(RefusalKind::TooManyHeaders, line.start));
            }
            self.spans.push(span);
        }
        let length = self.lines.position();
        let bytes = buffer.split_to(length).freeze();
        self.lines = Lines::default();
        Ok(Some(Headers::from_parts(bytes, &self.spans)))
    }
}

/// Takes what is there of `missing` bytes, and says how many are missing then.
fn take(buffer: &mut BytesMut, missing: u64) -> Option<(Bytes, u64)> {
    let there = usize::try_from(missing).unwrap_or(usize::MAX).min(buffer.len());
    if there == 0 {
        return None;
    }
    Some((buffer.split_to(there).freeze(), missing - there as u64))
}

/// Checks `*( ";" chunk-ext-name [ "=" chunk-ext-val ] )` (RFC 9112, 7.1.1), without the whitespace that the RFC
/// calls bad.
fn check_extensions(mut rest: &[u8]) -> Option<()> {
    while let [b';', tail @ ..] = rest {
        rest = skip_token(tail)?;
        if let [b'=', tail @ ..] = rest {
            rest = match tail {
                [b'"', quoted @ ..] => skip_quoted(quoted)?,
                token => skip_token(token)?,
            };
        }
    }
    rest.is_empty().then_some(())
}

fn skip_token(text: &[u8]) -> Option<&[u8]> {
    let len = text.iter().take_while(|&&byte| is_token(byte)).count();
    if len == 0 { None } else { text.get(len..) }
}

/// After the opening quote, to after the closing one (RFC 9110, 5.6.4).
fn skip_quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', byte, tail @ ..] if is_field_value(*byte) => tail,
            [byte, tail @ ..] if *byte != b'\\' && is_field_value(*byte) => tail,
            _ => return None,
        };
    }
}
