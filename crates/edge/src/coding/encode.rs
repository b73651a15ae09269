//! Compressing responses as they pass.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;

use super::Coding;
use crate::budget::{Budget, Share};

/// gzip's level: a third of the default's time for a few percent.
const GZIP_LEVEL: u32 = 4;
/// Brotli's quality, and its window of 256 KiB: what pays for answers that are made anew each time.
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW_LOG: u32 = 18;
/// zstd's level, and its window of 256 KiB.
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW_LOG: u32 = 18;

/// Compresses one body, piece by piece.
pub(crate) struct Encoder {
    engine: Engine,
    /// Bytes were taken that nobody could decode yet.
    held: bool,
    _share: Share,
}

enum Engine {
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
}

// === impl Encoder ===

impl Encoder {
    /// An encoder, if there is memory for one.
    pub(crate) fn new(coding: Coding, budget: &Budget) -> Option<Self> {
        let mut share = budget.share();
        share.take(coding.state()?).ok()?;
        let engine = match coding {
            Coding::Gzip => {
                Engine::Gzip(Box::new(GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))))
            }
            Coding::Brotli => Engine::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                4096,
                BROTLI_QUALITY,
                BROTLI_WINDOW_LOG,
            ))),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).ok()?;
                encoder.window_log(ZSTD_WINDOW_LOG).ok()?;
                Engine::Zstd(Box::new(encoder))
            }
            Coding::Deflate => return None,
        };
        Some(Self { engine, held: false, _share: share })
    }

    /// Takes a piece; what of it can leave already.
    pub(crate) fn push(&mut self, data: &[u8]) -> io::Result<Bytes> {
        self.held = true;
        match &mut self.engine {
            Engine::Gzip(engine) => engine.write_all(data)?,
            Engine::Brotli(engine) => engine.write_all(data)?,
            Engine::Zstd(engine) => engine.write_all(data)?,
        }
        Ok(self.take())
    }

    /// Whether bytes were taken that have not left.
    pub(crate) fn holds(&self) -> bool {
        self.held
    }

    /// All that was taken, so that it can be decoded now: the rest is not there yet.
    pub(crate) fn flush(&mut self) -> io::Result<Bytes> {
        self.held = false;
        match &mut self.engine {
            Engine::Gzip(engine) => engine.flush()?,
            Engine::Brotli(engine) => engine.flush()?,
            Engine::Zstd(engine) => engine.flush()?,
        }
        Ok(self.take())
    }

    /// What is left, and the end.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::from(match self.engine {
            Engine::Gzip(engine) => engine.finish()?,
            Engine::Brotli(engine) => engine.into_inner(),
            Engine::Zstd(engine) => engine.finish()?,
        }))
    }

    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(match &mut self.engine {
            Engine::Gzip(engine) => engine.get_mut(),
            Engine::Brotli(engine) => engine.get_mut(),
            Engine::Zstd(engine) => engine.get_mut(),
        }))
    }
}

// === impl Coding ===

impl Coding {
    /// Memory that an encoder holds while its response passes. None for a coding that is only decoded.
    fn state(self) -> Option<usize> {
        match self {
            Self::Gzip => Some(384 * 1024),
            Self::Brotli => Some(2 * 1024 * 1024),
            Self::Zstd => Some(1536 * 1024),
            Self::Deflate => None,
        }
    }
}
