//! Strings as slices of the frame they came in.

use bytes::Bytes;
use std::{borrow::Borrow, fmt, hash, ops::Deref};

/// Immutable UTF-8 text that shares the bytes of the frame or file it was read from.
///
/// Cloning and slicing copy no text. Compares, hashes and prints as the text.
#[derive(Clone, Default, Eq)]
pub struct Str(Bytes);

impl Str {
    /// Text from `bytes`, copied only where they are not UTF-8.
    ///
    /// Malformed sequences become U+FFFD exactly as Java's decoder does it: like Rust's, except that a surrogate
    /// encoded in three bytes is one malformed sequence and not three.
    /// Source: `java.lang.String(byte[], UTF_8)`.
    pub fn from_java_utf8(bytes: Bytes) -> Self {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Str(bytes),
            Err(_) => Str(Bytes::from(replace_malformed(&bytes))),
        }
    }

    /// Text that lives as long as the program.
    pub const fn from_static(text: &'static str) -> Self {
        Str(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor takes text that is UTF-8 already or makes it so, and the bytes are immutable.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The bytes of the text, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// `part`, which must be a slice of this text, sharing its bytes.
    ///
    /// # Panics
    /// If `part` does not lie inside this text.
    pub fn share(&self, part: &str) -> Str {
        Str(self.0.slice_ref(part.as_bytes()))
    }
}

fn replace_malformed(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                out.extend_from_slice(rest.as_bytes());
                return out;
            }
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                out.extend_from_slice(good);
                out.extend_from_slice("\u{FFFD}".as_bytes());
                let skip = match bad {
                    [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..] => 3,
                    [0xED, 0xA0..=0xBF, ..] => 2,
                    _ => error.error_len().unwrap_or(bad.len()),
                };
                bytes = &bad[skip..];
            }
        }
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl hash::Hash for Str {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl From<&str> for Str {
    fn from(text: &str) -> Self {
        Str(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Str(Bytes::from(text))
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &'static [u8]) -> String {
        Str::from_java_utf8(Bytes::from_static(bytes)).to_string()
    }

    #[test]
    fn well_formed_text_is_shared_and_not_copied() {
        let frame = Bytes::from_static("/a/ü".as_bytes());
        let text = Str::from_java_utf8(frame.clone());
        assert_eq!(text.bytes().as_ptr(), frame.as_ptr());
        assert_eq!(text.share(&text[2..]), "/ü");
    }

    #[test]
    fn malformed_text_is_replaced_as_java_does() {
        assert_eq!(decode(b"a\xffb"), "a\u{FFFD}b");
        assert_eq!(decode(b"\xe0\x80x"), "\u{FFFD}\u{FFFD}x");
        assert_eq!(decode(b"a\xed\xa0\xbd\xed\xb8\x80x"), "a\u{FFFD}\u{FFFD}x");
        assert_eq!(decode(b"\xed\xa0"), "\u{FFFD}");
        assert_eq!(decode(b"\xf0\x9f\x98"), "\u{FFFD}");
        assert_eq!(decode("\u{1F600}".as_bytes()), "\u{1F600}");
    }
}
