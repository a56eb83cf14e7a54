//! Appends jute primitives to a growing buffer.

use crate::Wire;
use bytes::{BufMut, BytesMut};

/// Writes records at the end of a buffer that the caller owns.
///
/// For clients, characters outside the BMP are written as Java's server writes them: each UTF-16 unit on its own, so
/// a pair of three-byte sequences. For files and other servers they are written as proper UTF-8, because Java's own
/// reader turns its pairs into replacement characters.
/// Source: `BinaryOutputArchive.stringToByteBuffer`.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut BytesMut,
    java_strings: bool,
}

impl<'a> Writer<'a> {
    /// Writes what a client will read.
    pub fn for_client(out: &'a mut BytesMut) -> Self {
        Writer {
            out,
            java_strings: true,
        }
    }

    /// Writes what a file keeps or another server reads.
    pub fn for_file(out: &'a mut BytesMut) -> Self {
        Writer {
            out,
            java_strings: false,
        }
    }

    /// Writes `body` behind its length: an `i32` that counts the bytes `body` wrote.
    pub fn framed(&mut self, body: impl FnOnce(&mut Writer<'_>)) {
        let start = self.out.len();
        self.out.put_i32(0);
        body(&mut Writer {
            out: self.out,
            java_strings: self.java_strings,
        });
        let length = (self.out.len() - start - 4) as u32;
        self.out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Writes a record.
    pub fn put(&mut self, record: &impl Wire) {
        record.write(self);
    }

    /// Writes four bytes, big-endian.
    pub fn i32(&mut self, value: i32) {
        self.out.put_i32(value);
    }

    /// Writes eight bytes, big-endian.
    pub fn i64(&mut self, value: i64) {
        self.out.put_i64(value);
    }

    /// Writes one byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.out.put_u8(value.into());
    }

    /// Writes a length and the bytes; None is length -1.
    pub fn buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.out.put_i32(-1),
            Some(bytes) => {
                self.out.put_i32(bytes.len() as i32);
                self.out.put_slice(bytes);
            }
        }
    }

    /// Writes a string; None is length -1.
    pub fn text(&mut self, value: Option<&str>) {
        match value {
            // Only a character outside the BMP has a byte of 0xF0 or more.
            Some(text) if self.java_strings && text.bytes().any(|byte| byte >= 0xF0) => {
                self.framed(|w| w.utf16_units(text));
            }
            _ => self.buffer(value.map(str::as_bytes)),
        }
    }

    fn utf16_units(&mut self, text: &str) {
        for character in text.chars() {
            if (character as u32) < 0x10000 {
                self.out
                    .put_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                let unit = *unit;
                self.out.put_u8(0xE0 | (unit >> 12) as u8);
                self.out.put_u8(0x80 | (unit >> 6 & 0x3F) as u8);
                self.out.put_u8(0x80 | (unit & 0x3F) as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_carries_the_length_of_its_body() {
        let mut out = BytesMut::new();
        Writer::for_client(&mut out).framed(|w| w.text(Some("ab")));
        assert_eq!(out[..], [0, 0, 0, 6, 0, 0, 0, 2, b'a', b'b']);
    }

    #[test]
    fn clients_see_surrogates_one_by_one_and_files_do_not() {
        let mut out = BytesMut::new();
        Writer::for_client(&mut out).text(Some("u\u{1F600}:x"));
        assert_eq!(out[4..], *b"u\xed\xa0\xbd\xed\xb8\x80:x");
        let mut out = BytesMut::new();
        Writer::for_file(&mut out).text(Some("\u{1F600}"));
        assert_eq!(out[4..], *"\u{1F600}".as_bytes());
    }
}
