//! The scheme `digest`: a user name and the hash of name and password.
//!
//! Source: `DigestAuthenticationProvider`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jute::Str;
use sha1::{Digest, Sha1};

/// `user:base64(sha1(user:password))` of the bytes `user:password`. A missing colon makes the whole text the user.
pub(super) fn generate(auth: &[u8]) -> String {
    let text = Str::from_java_utf8(Bytes::copy_from_slice(auth));
    let user = text.split(':').next().unwrap_or("");
    format!("{user}:{}", STANDARD.encode(Sha1::digest(text.as_bytes())))
}

/// Whether splitting at colons, trailing empty parts dropped, gives exactly two parts.
pub(super) fn is_valid(id: &str) -> bool {
    let kept = id.trim_end_matches(':');
    // Without any colon the id is one part, and with nothing but colons there is none.
    !kept.is_empty() && kept.matches(':').count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_ones_java_makes() {
        assert_eq!(generate(b"bob:pw"), "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=");
        assert_eq!(generate(b"super:pw"), "super:0bX78nEegDzJM3ju0iLBEJdWzjg=");
        assert!(generate(b"bob").starts_with("bob:"));
        assert!(generate(b"a:b:c").starts_with("a:"));
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
