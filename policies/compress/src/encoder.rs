//! What compresses: one encoder for each response.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use structured_zstd::encoding::{CompressionLevel, CompressionParameters, StreamingEncoder};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Brotli,
    Zstd,
}

/// Window of brotli and zstd, as a power of two: what a response may repeat from further back is not seen.
/// HTTP allows zstd 23 (RFC 9659).
const WINDOW: u32 = 18;

/// Length of zstd's tables of what it saw, as a power of two. Its levels would take up to 9 MiB more for
/// windows that are larger than this one.
const ZSTD_TABLE: u32 = 16;

impl Coding {
    pub const COUNT: usize = 3;

    /// The coding of a name in lower case.
    pub fn named(name: &str) -> Option<Coding> {
        match name {
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "br" => Some(Coding::Brotli),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }

    /// What an encoder takes of memory, rather too much: measured by the tests.
    pub fn bytes(self) -> usize {
        match self {
            Coding::Gzip => 512 << 10,
            Coding::Brotli | Coding::Zstd => 3 << 20,
        }
    }
}

/// Compresses one body, piece by piece, in the same memory however long it is.
pub enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<StreamingEncoder<Vec<u8>>>),
}

impl Encoder {
    pub fn new(coding: Coding, level: u32) -> Self {
        match coding {
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::new(level))),
            Coding::Brotli => Encoder::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                16 << 10,
                level,
                WINDOW,
            ))),
            Coding::Zstd => Encoder::Zstd(Box::new(zstd(level))),
        }
    }

    pub fn coding(&self) -> Coding {
        match self {
            Encoder::Gzip(_) => Coding::Gzip,
            Encoder::Brotli(_) => Coding::Brotli,
            Encoder::Zstd(_) => Coding::Zstd,
        }
    }

    /// Takes a piece in and returns what is there of it; with flush, all of it is.
    pub fn write(&mut self, piece: &[u8], flush: bool) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(gzip) => {
                gzip.write_all(piece)?;
                if flush {
                    gzip.flush()?;
                }
                Ok(std::mem::take(gzip.get_mut()))
            }
            Encoder::Brotli(brotli) => {
                brotli.write_all(piece)?;
                if flush {
                    brotli.flush()?;
                }
                Ok(std::mem::take(brotli.get_mut()))
            }
            Encoder::Zstd(zstd) => {
                zstd.write_all(piece)?;
                if flush {
                    zstd.flush()?;
                }
                Ok(std::mem::take(zstd.get_mut()))
            }
        }
    }

    /// Returns the rest.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(gzip) => gzip.finish(),
            Encoder::Brotli(brotli) => Ok(brotli.into_inner()),
            Encoder::Zstd(zstd) => zstd.finish(),
        }
    }
}

fn zstd(level: u32) -> StreamingEncoder<Vec<u8>> {
    let level = CompressionLevel::from_level(level as i32);
    let parameters = CompressionParameters::builder(level).window_log(WINDOW);
    let parameters = parameters.hash_log(ZSTD_TABLE).chain_log(ZSTD_TABLE).build().expect("within the format's bounds");
    let mut encoder = StreamingEncoder::new(Vec::new(), level);
    encoder.set_parameters(&parameters).expect("nothing is written yet");
    encoder
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_flush_leaves_nothing_behind() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let mut encoder = Encoder::new(coding, 5);
            let mut sent = encoder.write(b"data: one\n\n", true).unwrap();
            assert_eq!(decode(coding, &sent), b"data: one\n\n", "{coding:?}");
            sent.extend(encoder.write(b"data: two\n\n", false).unwrap());
            sent.extend(encoder.finish().unwrap());
            assert_eq!(decode(coding, &sent), b"data: one\n\ndata: two\n\n", "{coding:?}");
        }
    }

    #[test]
    fn zstd_takes_no_more_than_it_counts_as() {
        let piece: Vec<u8> = (0..16 << 10).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 27) as u8).collect();
        for level in 1..=9 {
            let mut encoder = zstd(level);
            for _ in 0..64 {
                encoder.write_all(&piece).unwrap();
            }
            let taken = encoder.heap_size();
            assert!(taken <= Coding::Zstd.bytes(), "level {level}: {taken}");
        }
    }

    /// What can be read of a body so far.
    fn decode(coding: Coding, sent: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match coding {
            Coding::Gzip => {
                let mut decoder = flate2::write::GzDecoder::new(&mut text);
                decoder.write_all(sent).unwrap();
                decoder.flush().unwrap();
                drop(decoder);
            }
            Coding::Brotli => {
                let mut decoder = brotli::DecompressorWriter::new(&mut text, 4096);
                decoder.write_all(sent).unwrap();
                decoder.flush().unwrap();
                drop(decoder);
            }
            Coding::Zstd => {
                let mut decoder = structured_zstd::decoding::StreamingDecoder::new(sent);
                // A frame that goes on ends in an error, after all that is there.
                let mut byte = [0];
                while let Ok(1) = decoder.read(&mut byte) {
                    text.push(byte[0]);
                }
            }
        }
        text
    }
}
