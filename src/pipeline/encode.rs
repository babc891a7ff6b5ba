//! From lines to the stored bytes of one object, compressed as they come.
//!
//! Fed by `batch`; the bytes end up in `segments`.

use std::io::{self, Write};
use std::sync::Arc;

use flate2::write::GzEncoder;

#[cfg(feature = "isal")]
use super::igzip::{self, Igzip};
use super::segments::Segments;
use crate::record::{Body, Compression, Spool};

/// The largest window that every reader takes (Trino refuses more than 8 MiB).
const ZSTD_WINDOW_LOG: u32 = 21;
const ZSTD_DEFAULT_LEVEL: i32 = 3;
/// ISA-L's first level takes a fraction of the time of zlib's sixth, for objects a sixth larger.
const GZIP_DEFAULT_LEVEL: i32 = if cfg!(feature = "isal") { 1 } else { 6 };
/// Who compresses to gzip in this build, for people.
pub const GZIP: &str = if cfg!(feature = "isal") { "ISA-L and zlib-rs" } else { "zlib-rs" };

/// Compresses the lines of one object.
pub(super) enum Encoder {
    #[cfg(feature = "isal")]
    FastGzip(Igzip),
    Gzip(Box<GzEncoder<Segments>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Segments>>),
    Plain(Segments),
}

/// Bytes that an encoder's own state takes beside what it wrote: window, hash tables, buffers.
pub const fn state_bytes(compression: Compression) -> u64 {
    match compression {
        #[cfg(feature = "isal")]
        Compression::Gzip => igzip::STATE_BYTES,
        #[cfg(not(feature = "isal"))]
        Compression::Gzip => 300 << 10,
        Compression::Zstd => 4 << 20,
        Compression::None => 0,
    }
}

impl Encoder {
    /// What exceeds the head of the object goes to the spool, if there is one.
    pub(super) fn new(
        compression: Compression,
        level: Option<i32>,
        spool: Option<Arc<dyn Spool>>,
    ) -> Self {
        let sink = Segments::new(spool);
        match compression {
            Compression::Gzip => {
                let level = level.unwrap_or(GZIP_DEFAULT_LEVEL).clamp(1, 9);
                gzip(level.unsigned_abs(), sink)
            }
            Compression::Zstd => {
                let level = level.unwrap_or(ZSTD_DEFAULT_LEVEL);
                Self::Zstd(Box::new(zstd_encoder(sink, level).expect("zstd parameters are valid")))
            }
            Compression::None => Self::Plain(sink),
        }
    }

    /// Adds bytes. Writing to memory does not fail.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let written = match self {
            #[cfg(feature = "isal")]
            Self::FastGzip(encoder) => {
                encoder.write(bytes);
                Ok(())
            }
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Plain(sink) => sink.write_all(bytes),
        };
        written.expect("compressing to memory");
    }

    /// The stored bytes so far: what the compressor gave out, not an estimate.
    pub(super) fn stored(&self) -> u64 {
        self.sink().len()
    }

    /// The memory that they take.
    pub(super) fn held(&self) -> u64 {
        self.sink().held()
    }

    fn sink(&self) -> &Segments {
        match self {
            #[cfg(feature = "isal")]
            Self::FastGzip(encoder) => encoder.sink(),
            Self::Gzip(encoder) => encoder.get_ref(),
            Self::Zstd(encoder) => encoder.get_ref(),
            Self::Plain(sink) => sink,
        }
    }

    /// Ends the one gzip member or zstd frame.
    pub(super) fn finish(self) -> Body {
        let sink = match self {
            #[cfg(feature = "isal")]
            Self::FastGzip(encoder) => Ok(encoder.finish()),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Plain(sink) => Ok(sink),
        };
        sink.expect("compressing to memory").into_body()
    }
}

/// Levels that both know are done by the faster of the two.
fn gzip(level: u32, sink: Segments) -> Encoder {
    #[cfg(feature = "isal")]
    if level <= igzip::LEVELS {
        return Encoder::FastGzip(Igzip::new(level, sink));
    }
    Encoder::Gzip(Box::new(GzEncoder::new(sink, flate2::Compression::new(level))))
}

fn zstd_encoder(
    sink: Segments,
    level: i32,
) -> io::Result<zstd::stream::write::Encoder<'static, Segments>> {
    let mut encoder = zstd::stream::write::Encoder::new(sink, level)?;
    encoder.window_log(ZSTD_WINDOW_LOG)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::super::segments::LARGEST_SEGMENT;
    use super::*;

    fn encode(compression: Compression, level: Option<i32>, lines: &[Vec<u8>]) -> Body {
        let mut encoder = Encoder::new(compression, level, None);
        lines.iter().for_each(|line| encoder.write(line));
        let before = encoder.stored();
        let body = encoder.finish();
        assert!(before <= body.len());
        body
    }

    fn joined(body: &Body) -> Vec<u8> {
        body.segments.iter().flatten().copied().collect()
    }

    fn decode(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match compression {
            // GzDecoder reads one member only: anything after it would be missed here.
            Compression::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap(),
            Compression::Zstd => zstd::stream::read::Decoder::new(bytes)
                .unwrap()
                .single_frame()
                .read_to_end(&mut out)
                .unwrap(),
            Compression::None => {
                out.extend_from_slice(bytes);
                0
            }
        };
        out
    }

    proptest! {
        #[test]
        fn every_byte_comes_back_from_one_member(
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..60),
        ) {
            let levels = (1..=9).map(|level| (Compression::Gzip, Some(level)));
            let others = [Compression::Gzip, Compression::Zstd, Compression::None];
            for (compression, level) in others.map(|it| (it, None)).into_iter().chain(levels) {
                let body = encode(compression, level, &lines);
                let bytes = joined(&body);
                prop_assert_eq!(bytes.len() as u64, body.len());
                prop_assert_eq!(crc32fast::hash(&bytes), body.crc32);
                prop_assert_eq!(decode(compression, &bytes), lines.concat());
            }
        }
    }

    #[test]
    fn large_objects_stand_in_segments_of_bounded_size() {
        let mut seed = 1u64;
        let noise: Vec<u8> = (0..5 << 20)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        let body = encode(Compression::None, None, std::slice::from_ref(&noise));
        assert_eq!(joined(&body), noise);
        assert!(body.segments.len() > 5);
        assert!(body.segments.iter().all(|segment| segment.len() <= LARGEST_SEGMENT));
    }

    #[test]
    fn large_objects_come_back_from_one_member() {
        let lines: Vec<Vec<u8>> = (0..60_000)
            .map(|i: u64| format!("{{\"id\":{i},\"text\":\"{:x}\"}}\n", i * i * 7919).into_bytes())
            .collect();
        let large = vec![b'x'; 3 << 20];
        for level in [1, 2, 3, 6] {
            let mut encoder = Encoder::new(Compression::Gzip, Some(level), None);
            lines.iter().for_each(|line| encoder.write(line));
            encoder.write(&large);
            lines.iter().for_each(|line| encoder.write(line));
            let bytes = joined(&encoder.finish());
            let wanted = [lines.concat(), large.clone(), lines.concat()].concat();
            assert!(decode(Compression::Gzip, &bytes) == wanted, "level {level}");
        }
    }
}
