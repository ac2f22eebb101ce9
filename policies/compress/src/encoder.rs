//! What compresses: one encoder for each response.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Brotli,
}

/// Window of brotli, as a power of two: what a response may repeat from further back is not seen.
const BROTLI_WINDOW: u32 = 18;

impl Coding {
    pub const COUNT: usize = 2;

    /// The coding of a name in lower case.
    pub fn named(name: &str) -> Option<Coding> {
        match name {
            "gzip" | "x-gzip" => Some(Coding::Gzip),
            "br" => Some(Coding::Brotli),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
        }
    }

    /// What an encoder takes of memory, rather too much: measured by the tests.
    pub fn bytes(self) -> usize {
        match self {
            Coding::Gzip => 512 << 10,
            Coding::Brotli => 3 << 20,
        }
    }
}

/// Compresses one body, piece by piece, in the same memory however long it is.
pub enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    pub fn new(coding: Coding, level: u32) -> Self {
        match coding {
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::new(level))),
            Coding::Brotli => Encoder::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                16 << 10,
                level,
                BROTLI_WINDOW,
            ))),
        }
    }

    pub fn coding(&self) -> Coding {
        match self {
            Encoder::Gzip(_) => Coding::Gzip,
            Encoder::Brotli(_) => Coding::Brotli,
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
        }
    }

    /// Returns the rest.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(gzip) => gzip.finish(),
            Encoder::Brotli(brotli) => Ok(brotli.into_inner()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_leaves_nothing_behind() {
        for coding in [Coding::Gzip, Coding::Brotli] {
            let mut encoder = Encoder::new(coding, 5);
            let mut sent = encoder.write(b"data: one\n\n", true).unwrap();
            assert_eq!(decode(coding, &sent), b"data: one\n\n", "{coding:?}");
            sent.extend(encoder.write(b"data: two\n\n", false).unwrap());
            sent.extend(encoder.finish().unwrap());
            assert_eq!(decode(coding, &sent), b"data: one\n\ndata: two\n\n", "{coding:?}");
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
        }
        text
    }
}
