//! Decoding within limits.

use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::Coding;
use crate::budget::Share;

/// How many times its own length a body may become, beyond the first 64 KiB: text shrinks to a tenth, machine-made JSON
/// to a hundredth; gzip reaches a thousand, zstd and brotli far more, with nothing but zeros.
const MOST_RATIO: u64 = 200;
const FREE_OF_RATIO: u64 = 64 * 1024;

/// Largest window of zstd, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

/// Decodes one body, piece by piece.
pub(crate) struct Decoder {
    engine: Engine,
    taken: u64,
}

enum Engine {
    Gzip(Box<MultiGzDecoder<Sink>>),
    Deflate(Box<ZlibDecoder<Sink>>),
    Brotli(Box<brotli::DecompressorWriter<Sink>>),
    Zstd(Box<Zstd>),
}

struct Zstd {
    decoder: ZstdDecoder<'static>,
    /// Whether the bytes so far end with a frame.
    whole: bool,
    sink: Sink,
}

/// Where decoded bytes go, within the limits. Memory is taken of the budget before it is used.
struct Sink {
    bytes: Vec<u8>,
    limit: u64,
    /// Bytes that the coded ones so far may become.
    ratio: u64,
    share: Share,
    stopped: Option<DecodeError>,
}

/// Why a body cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It is not of its coding, or it ends early.
    Malformed,
    /// It becomes longer than allowed.
    TooLarge,
    /// It becomes too many times its own length.
    Bomb,
    /// The memory for bodies is used up.
    NoMemory,
}

// === impl Decoder ===

impl Decoder {
    /// A decoder that gives `limit` bytes at most. What it needs itself is taken of `share`, as well as what it gives.
    pub(crate) fn new(coding: Coding, limit: u64, mut share: Share) -> Result<Self, DecodeError> {
        share.take(coding.window()).map_err(|_| DecodeError::NoMemory)?;
        let sink = Sink { bytes: Vec::new(), limit, ratio: FREE_OF_RATIO, share, stopped: None };
        let engine = match coding {
            Coding::Gzip => Engine::Gzip(Box::new(MultiGzDecoder::new(sink))),
            Coding::Deflate => Engine::Deflate(Box::new(ZlibDecoder::new(sink))),
            Coding::Brotli => Engine::Brotli(Box::new(brotli::DecompressorWriter::new(sink, BUFFER))),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::new().map_err(|_| DecodeError::NoMemory)?;
                decoder
                    .set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(ZSTD_WINDOW_LOG))
                    .map_err(|_| DecodeError::NoMemory)?;
                Engine::Zstd(Box::new(Zstd { decoder, whole: false, sink }))
            }
        };
        Ok(Self { engine, taken: 0 })
    }

    /// Decodes the next piece.
    pub(crate) fn push(&mut self, coded: &[u8]) -> Result<(), DecodeError> {
        self.taken = self.taken.saturating_add(coded.len() as u64);
        let ratio = self.taken.saturating_mul(MOST_RATIO).saturating_add(FREE_OF_RATIO);
        self.sink(|sink| sink.ratio = ratio);
        let outcome = match &mut self.engine {
            Engine::Gzip(engine) => engine.write_all(coded),
            Engine::Deflate(engine) => engine.write_all(coded),
            Engine::Brotli(engine) => engine.write_all(coded),
            Engine::Zstd(zstd) => zstd.push(coded),
        };
        outcome.map_err(|_| self.sink(|sink| sink.stopped).unwrap_or(DecodeError::Malformed))
    }

    /// The decoded bytes and the memory they hold, if the coded ones have come to their end.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, Share), DecodeError> {
        let outcome = match &mut self.engine {
            Engine::Gzip(engine) => engine.try_finish(),
            Engine::Deflate(engine) => engine.try_finish(),
            Engine::Brotli(engine) => engine.close(),
            Engine::Zstd(zstd) if zstd.whole => Ok(()),
            Engine::Zstd(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        outcome.map_err(|_| self.sink(|sink| sink.stopped).unwrap_or(DecodeError::Malformed))?;
        Ok(self.sink(|sink| {
            (std::mem::take(&mut sink.bytes), std::mem::replace(&mut sink.share, Share::none()))
        }))
    }

    fn sink<T>(&mut self, work: impl FnOnce(&mut Sink) -> T) -> T {
        match &mut self.engine {
            Engine::Gzip(engine) => work(engine.get_mut()),
            Engine::Deflate(engine) => work(engine.get_mut()),
            Engine::Brotli(engine) => work(engine.get_mut()),
            Engine::Zstd(zstd) => work(&mut zstd.sink),
        }
    }
}

/// What is decoded at once.
const BUFFER: usize = 16 * 1024;

// === impl Zstd ===

impl Zstd {
    fn push(&mut self, coded: &[u8]) -> io::Result<()> {
        let mut input = InBuffer::around(coded);
        let mut space = [0; BUFFER];
        loop {
            let mut output = OutBuffer::around(&mut space[..]);
            let hint = self.decoder.run(&mut input, &mut output)?;
            let made = output.pos();
            self.sink.write_all(space.get(..made).unwrap_or_default())?;
            self.whole = hint == 0;
            // All is taken, and nothing waits to be given.
            if input.pos() == coded.len() && made < space.len() {
                return Ok(());
            }
        }
    }
}

// === impl Sink ===

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let length = (self.bytes.len() as u64).saturating_add(data.len() as u64);
        self.stopped = if length > self.limit {
            Some(DecodeError::TooLarge)
        } else if length > self.ratio {
            Some(DecodeError::Bomb)
        } else {
            // Twice: a vector that grows holds the old and the new for a moment, and then room to spare.
            self.share.take(data.len().saturating_mul(2)).err().map(|_| DecodeError::NoMemory)
        };
        if self.stopped.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Coding ===

impl Coding {
    /// Memory that a decoder may need beside what it gives: its window, and its tables.
    fn window(self) -> usize {
        match self {
            Self::Gzip | Self::Deflate => 64 * 1024,
            Self::Brotli => 16 * 1024 * 1024,
            Self::Zstd => 1 << (ZSTD_WINDOW_LOG + 1),
        }
    }
}

// === impl DecodeError ===

impl DecodeError {
    /// Stable kebab-case word for events.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Malformed => "body-coding",
            Self::TooLarge => "body-too-large",
            Self::Bomb => "body-bomb",
            Self::NoMemory => "body-memory",
        }
    }
}
