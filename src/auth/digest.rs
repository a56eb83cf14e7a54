//! The scheme `digest`: a user name and the hash of name and password.
//!
//! Source: `DigestAuthenticationProvider`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jute::Str;
use sha1::Digest;

/// The hash function of the scheme `digest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlg {
    /// 20 bytes.
    #[default]
    Sha1,
    /// 28 bytes.
    Sha224,
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl DigestAlg {
    /// The function Java knows by `name`; None for one this server does not have.
    /// Source: `java.security.MessageDigest.getInstance`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "SHA1" | "SHA-1" | "SHA" => DigestAlg::Sha1,
            "SHA224" | "SHA-224" => DigestAlg::Sha224,
            "SHA256" | "SHA-256" => DigestAlg::Sha256,
            "SHA384" | "SHA-384" => DigestAlg::Sha384,
            "SHA512" | "SHA-512" => DigestAlg::Sha512,
            _ => return None,
        })
    }

    fn base64(self, text: &str) -> String {
        match self {
            DigestAlg::Sha1 => STANDARD.encode(sha1::Sha1::digest(text)),
            DigestAlg::Sha224 => STANDARD.encode(sha2::Sha224::digest(text)),
            DigestAlg::Sha256 => STANDARD.encode(sha2::Sha256::digest(text)),
            DigestAlg::Sha384 => STANDARD.encode(sha2::Sha384::digest(text)),
            DigestAlg::Sha512 => STANDARD.encode(sha2::Sha512::digest(text)),
        }
    }
}

/// `user:base64(hash(user:password))` of the bytes `user:password`. Without a colon all is the user.
///
/// Source: `DigestAuthenticationProvider.generateDigest`.
pub(super) fn generate(alg: DigestAlg, auth: &[u8]) -> String {
    let text = Str::from_java_utf8(Bytes::copy_from_slice(auth));
    let user = text.split(':').next().unwrap_or("");
    format!("{user}:{}", alg.base64(&text))
}

/// Whether splitting at colons, trailing empty parts dropped, gives exactly two parts.
pub(super) fn is_valid(id: &str) -> bool {
    id.trim_end_matches(':').matches(':').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_ones_java_makes() {
        let sha1 = |auth| generate(DigestAlg::Sha1, auth);
        assert_eq!(sha1(b"bob:pw"), "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
        assert_eq!(sha1(b"super:pw"), "super:0bX78nEegDzJM3ju0iLBEJdWzjg=");
        assert!(sha1(b"bob").starts_with("bob:"));
        assert!(sha1(b"a:b:c").starts_with("a:"));
        assert!(sha1(b"\xff:p").starts_with("\u{fffd}:"));
        assert_eq!(sha1(b"\xff:p"), sha1("\u{fffd}:p".as_bytes()));
        assert_eq!(sha1(b""), ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
    }

    #[test]
    fn the_hash_function_is_the_one_that_was_named() {
        let of = |name| DigestAlg::named(name).map(|alg| generate(alg, b"").len());
        for (name, length) in [
            ("SHA1", Some(29)),
            ("sha-1", Some(29)),
            ("SHA", Some(29)),
            ("SHA-224", Some(41)),
            ("SHA-256", Some(45)),
            ("SHA-384", Some(65)),
            ("SHA-512", Some(89)),
            ("MD5", None),
            ("", None),
        ] {
            assert_eq!(of(name), length, "{name}");
        }
    }

    #[test]
    fn an_id_in_an_acl_has_two_parts() {
        for good in ["a:b", ":b", "a:b:", "a:b::"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "a", "a:", "a::", ":", "::", "a:b:c", "a::b"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
