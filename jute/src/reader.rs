//! Checked reads from shared bytes.

use crate::{Buffer, Cause, DecodeError, Str};
use bytes::Bytes;

/// Reads jute primitives off the front of a frame. Strings and buffers share its bytes.
///
/// Invariants: never reads past the end; never allocates a claimed length; a string or buffer longer than the limit
/// is an error even when its bytes are there.
/// Source: `BinaryInputArchive`.
#[derive(Debug)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
    limit: usize,
}

impl Reader {
    /// Reads `bytes`; `limit` bounds every string and buffer, in bytes (Java: `jute.maxbuffer` + extra size).
    pub fn new(bytes: Bytes, limit: usize) -> Self {
        Reader {
            bytes,
            at: 0,
            limit,
        }
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes not read yet, shared; the reader stands at the end afterwards.
    pub fn take_rest(&mut self) -> Bytes {
        let rest = self.bytes.slice(self.at..);
        self.at = self.bytes.len();
        rest
    }

    /// The bytes not read yet, in place.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Ends a record after which nothing may follow.
    ///
    /// # Errors
    /// [`Cause::LeftOver`] if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.left() {
            0 => Ok(()),
            n => Err(Cause::LeftOver(n).into()),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(Cause::Truncated {
                want: N,
                left: self.left(),
            }
            .into()),
        }
    }

    /// # Errors
    /// [`Cause::Truncated`].
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    /// # Errors
    /// [`Cause::Truncated`].
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Any non-zero byte is true.
    ///
    /// # Errors
    /// [`Cause::Truncated`].
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.array::<1>().map(|[byte]| byte != 0)
    }

    /// A length-prefixed run of bytes; length -1 is null.
    ///
    /// # Errors
    /// [`Cause::Truncated`], [`Cause::NegativeLength`], [`Cause::TooLong`].
    pub fn buffer(&mut self) -> Result<Buffer, DecodeError> {
        let claimed = self.i32()?;
        if claimed == -1 {
            return Ok(None);
        }
        let Ok(length) = usize::try_from(claimed) else {
            return Err(Cause::NegativeLength(claimed).into());
        };
        if length > self.limit {
            return Err(Cause::TooLong {
                length,
                limit: self.limit,
            }
            .into());
        }
        if length > self.left() {
            return Err(Cause::Truncated {
                want: length,
                left: self.left(),
            }
            .into());
        }
        let bytes = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Ok(Some(bytes))
    }

    /// A string; malformed UTF-8 is replaced, never refused.
    ///
    /// # Errors
    /// As [`Reader::buffer`].
    pub fn text(&mut self) -> Result<Option<Str>, DecodeError> {
        Ok(self.buffer()?.map(Str::from_java_utf8))
    }

    /// The count of a vector: None is null, every other count below one is zero.
    ///
    /// # Errors
    /// [`Cause::Truncated`].
    pub fn count(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok(match self.i32()? {
            -1 => None,
            n => Some(usize::try_from(n).unwrap_or(0)),
        })
    }
}
