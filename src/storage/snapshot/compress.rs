//! The three containers of a snapshot: plain, gzip, and the one of snappy-java.

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};

/// How a snapshot is packed. Java: `zookeeper.snapshot.compression.method`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Plain.
    #[default]
    None,
    /// One gzip member.
    Gz,
    /// Blocks of 32 KiB in the container of snappy-java, which is not the official snappy frame format.
    Snappy,
}

impl Compression {
    /// The method of that name; every other name means none.
    /// Source: `SnapStream.StreamMode.fromString`.
    pub fn from_name(name: &str) -> Compression {
        if name.eq_ignore_ascii_case("gz") {
            Compression::Gz
        } else if name.eq_ignore_ascii_case("snappy") {
            Compression::Snappy
        } else {
            Compression::None
        }
    }

    /// The method a file name asks for with its last suffix.
    /// Source: `SnapStream.getStreamMode`.
    pub fn of_file(name: &str) -> Compression {
        name.rsplit_once('.')
            .map_or(Compression::None, |(_, suffix)| Self::from_name(suffix))
    }

    /// The method that a file was packed with, by its first bytes.
    pub fn of_bytes(head: &[u8]) -> Compression {
        if head.starts_with(&GZ_MAGIC) {
            Compression::Gz
        } else if head.starts_with(&SNAPPY_MAGIC) {
            Compression::Snappy
        } else {
            Compression::None
        }
    }

    /// What the file name ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gz => ".gz",
            Compression::Snappy => ".snappy",
        }
    }

    /// The plain bytes of `packed`.
    pub(super) fn unpack<'a>(self, packed: impl Read + Send + 'a) -> Box<dyn Read + Send + 'a> {
        match self {
            Compression::None => Box::new(packed),
            Compression::Gz => Box::new(GzDecoder::new(packed)),
            Compression::Snappy => Box::new(SnappyReader::new(packed)),
        }
    }
}

/// Packs a stream into a buffer that the owner empties.
pub(super) enum Packer {
    None(Vec<u8>),
    Gz(GzEncoder<Vec<u8>>),
    Snappy(Box<SnappyWriter>),
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Packer {
        match compression {
            Compression::None => Packer::None(Vec::new()),
            Compression::Gz => {
                Packer::Gz(GzEncoder::new(Vec::new(), flate2::Compression::default()))
            }
            Compression::Snappy => Packer::Snappy(Box::new(SnappyWriter::new())),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Packer::None(out) => out.extend_from_slice(bytes),
            Packer::Gz(encoder) => encoder.write_all(bytes)?,
            Packer::Snappy(writer) => writer.write(bytes)?,
        }
        Ok(())
    }

    /// Packs what is held back. Nothing may be written afterwards.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            Packer::None(_) => Ok(()),
            Packer::Gz(encoder) => encoder.try_finish(),
            Packer::Snappy(writer) => writer.pack_block(),
        }
    }

    /// What is packed and not taken yet.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Packer::None(out) => out,
            Packer::Gz(encoder) => encoder.get_mut(),
            Packer::Snappy(writer) => &mut writer.out,
        }
    }
}

/// Header of the container: magic, version, lowest compatible version.
/// Source: `org.xerial.snappy.SnappyCodec`.
const SNAPPY_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// The part of the header that marks a file as snappy.
pub(super) const SNAPPY_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";

/// The part of a gzip member that marks a file as such.
pub(super) const GZ_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Plain bytes in a block. Source: `SnappyOutputStream.DEFAULT_BLOCK_SIZE`.
const BLOCK: usize = 32 << 10;

/// No block of a file written by anyone unpacks to more.
const BLOCK_MAX: usize = 512 << 20;

/// Snappy's longest copy is 64 bytes and takes two or more: no block unpacks to more than this many times its size.
const RATIO_MAX: usize = 64;

pub(super) struct SnappyWriter {
    plain: Vec<u8>,
    encoder: snap::raw::Encoder,
    out: Vec<u8>,
}

impl SnappyWriter {
    fn new() -> Self {
        SnappyWriter {
            plain: Vec::with_capacity(BLOCK),
            encoder: snap::raw::Encoder::new(),
            out: SNAPPY_HEADER.to_vec(),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.plain.len()));
            self.plain.extend_from_slice(now);
            bytes = later;
            if self.plain.len() == BLOCK {
                self.pack_block()?;
            }
        }
        Ok(())
    }

    fn pack_block(&mut self) -> io::Result<()> {
        if self.plain.is_empty() {
            return Ok(());
        }
        let packed = self
            .encoder
            .compress_vec(&self.plain)
            .map_err(io::Error::other)?;
        self.out
            .extend_from_slice(&(packed.len() as u32).to_be_bytes());
        self.out.extend_from_slice(&packed);
        self.plain.clear();
        Ok(())
    }
}

struct SnappyReader<R> {
    packed: R,
    header_read: bool,
    block: Vec<u8>,
    at: usize,
}

impl<R: Read> SnappyReader<R> {
    fn new(packed: R) -> Self {
        SnappyReader {
            packed,
            header_read: false,
            block: Vec::new(),
            at: 0,
        }
    }

    fn read_header(&mut self) -> io::Result<()> {
        let mut header = [0; SNAPPY_HEADER.len()];
        self.packed.read_exact(&mut header)?;
        if header[..SNAPPY_MAGIC.len()] != SNAPPY_MAGIC {
            return Err(invalid("not a snappy stream"));
        }
        self.header_read = true;
        Ok(())
    }

    /// False at the end of the stream.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut size = [0; 4];
        match self.packed.read(&mut size[..1])? {
            0 => return Ok(false),
            _ => self.packed.read_exact(&mut size[1..])?,
        }
        let size = u32::from_be_bytes(size);
        if size > i32::MAX as u32 {
            return Err(invalid("snappy block of negative size"));
        }
        let mut packed = Vec::new();
        (&mut self.packed)
            .take(size.into())
            .read_to_end(&mut packed)?;
        if packed.len() != size as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let plain = snap::raw::decompress_len(&packed).map_err(io::Error::other)?;
        if plain > BLOCK_MAX.min(packed.len().saturating_mul(RATIO_MAX)) {
            return Err(invalid("snappy block claims more than it can hold"));
        }
        self.block.resize(plain, 0);
        snap::raw::Decoder::new()
            .decompress(&packed, &mut self.block)
            .map_err(io::Error::other)?;
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for SnappyReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.header_read {
            self.read_header()?;
        }
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = buf.len().min(self.block.len() - self.at);
        buf[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(compression: Compression, plain: &[u8], step: usize) -> Vec<u8> {
        let mut packer = Packer::new(compression);
        let mut packed = Vec::new();
        for part in plain.chunks(step) {
            packer.write(part).unwrap();
            packed.append(packer.out());
        }
        packer.finish().unwrap();
        packed.append(packer.out());
        let mut back = Vec::new();
        compression
            .unpack(&packed[..])
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == plain, "{compression:?} in steps of {step}");
        packed
    }

    #[test]
    fn every_container_gives_back_what_was_put_in() {
        let plain: Vec<u8> = (0..200_000u32)
            .flat_map(|n| (n / 7).to_be_bytes())
            .collect();
        for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
            for step in [1_000, BLOCK, plain.len()] {
                round_trip(compression, &plain, step);
            }
            round_trip(compression, &[], 1);
            round_trip(compression, &[7], 1);
        }
    }

    #[test]
    fn a_snappy_stream_cut_short_is_an_error_and_not_an_end() {
        let packed = round_trip(Compression::Snappy, &[9; 100], 100);
        for len in 17..packed.len() {
            let result = Compression::Snappy
                .unpack(&packed[..len])
                .read_to_end(&mut Vec::new());
            assert!(result.is_err(), "cut to {len}");
        }
    }

    #[test]
    fn a_snappy_block_that_claims_gigabytes_allocates_nothing() {
        let mut packed = SNAPPY_HEADER.to_vec();
        packed.extend_from_slice(&[0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(
            Compression::Snappy
                .unpack(&packed[..])
                .read_to_end(&mut Vec::new())
                .is_err()
        );
        packed.truncate(16);
        packed.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff, 1]);
        assert!(
            Compression::Snappy
                .unpack(&packed[..])
                .read_to_end(&mut Vec::new())
                .is_err()
        );
    }

    #[test]
    fn the_last_suffix_names_the_method() {
        assert_eq!(Compression::of_file("snapshot.1.GZ"), Compression::Gz);
        assert_eq!(Compression::of_file("snapshot.1.gz.bak"), Compression::None);
        assert_eq!(Compression::from_name("lz4"), Compression::None);
    }
}
