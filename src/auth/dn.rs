//! The scheme `x509`: distinguished names, only as far as an ACL needs to know a name from none.
//!
//! Source: `X509AuthenticationProvider.isValid`, that is `javax.security.auth.x500.X500Principal`.

/// Attribute types that may be named by a word. Source: `sun.security.x509.AVAKeyword`.
const WORDS: [&str; 23] = [
    "CN",
    "C",
    "L",
    "S",
    "ST",
    "O",
    "OU",
    "T",
    "IP",
    "STREET",
    "DC",
    "DNQUALIFIER",
    "DNQ",
    "SURNAME",
    "GIVENNAME",
    "INITIALS",
    "GENERATION",
    "EMAIL",
    "EMAILADDRESS",
    "UID",
    "SERIALNUMBER",
    "TITLE",
    "PSEUDONYM",
];

/// Whether `text` is a distinguished name: `type=value` pairs between commas, semicolons and plus
/// signs. The empty name is one.
pub(super) fn is_valid(text: &str) -> bool {
    text.is_empty() || pairs(text).is_some_and(|pairs| pairs.into_iter().all(is_pair))
}

/// The text between separators that are neither quoted nor escaped; None with an open quote or a
/// backslash at the end.
fn pairs(text: &str) -> Option<Vec<&str>> {
    let (mut pairs, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' | '+' if !quoted => {
                pairs.push(&text[start..at]);
                start = at + 1;
            }
            _ => (),
        }
    }
    pairs.push(&text[start..]);
    (!quoted && !escaped).then_some(pairs)
}

fn is_pair(pair: &str) -> bool {
    let Some((name, value)) = pair.split_once('=') else {
        return false;
    };
    let (name, value) = (name.trim().to_ascii_uppercase(), value.trim());
    let hex_only = value.strip_prefix('#').is_none_or(|hex| {
        !hex.is_empty() && hex.len() % 2 == 0 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    hex_only && (WORDS.contains(&name.as_str()) || is_oid(&name))
}

/// Dotted numbers, at least two.
fn is_oid(name: &str) -> bool {
    let name = name.strip_prefix("OID.").unwrap_or(name);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    name.contains('.') && name.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_other_text() {
        for good in [
            "",
            "CN=a",
            "cn=a, OU = b; O=c",
            "CN=a+UID=b",
            "CN=\"a,b\"",
            "CN=a\\,b",
            "1.2.3=a",
            "OID.1.2=#0c01",
        ] {
            assert!(is_valid(good), "{good}");
        }
        for bad in [
            "a", "CN", "CN=a,", "XX=a", "CN=\"a", "CN=a\\", "1=a", "CN=#0", "=a",
        ] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
