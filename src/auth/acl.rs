//! ACL lists: what they allow, and what of them is stored and shown.

use jute::data::{Acl, Id};
use jute::{ErrorCode, Str};

use super::AuthOptions;
use super::scheme::Scheme;

/// Permission bits. Source: `ZooDefs.Perms`.
pub mod perms {
    /// Read data, children and stat.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the ACL.
    pub const ADMIN: i32 = 16;
}

/// Whether `ids` may do any of the `wanted` permission bits under `acl`. An empty list allows everything.
///
/// Source: `ZooKeeperServer.checkACL`.
pub fn permits(options: &AuthOptions, acl: &[Acl], wanted: i32, ids: &[Id]) -> bool {
    if options.skip_acl || acl.is_empty() {
        return true;
    }
    let granted = |entry: &Acl| entry.perms & wanted != 0 && is_meant(options, &entry.id, ids);
    acl.iter().any(granted) || ids.iter().any(|id| id.scheme.as_deref() == Some("super"))
}

fn is_meant(options: &AuthOptions, meant: &Id, ids: &[Id]) -> bool {
    let (Some(scheme), Some(expression)) = (meant.scheme.as_deref(), meant.id.as_deref()) else {
        return false;
    };
    if scheme == "world" {
        return expression == "anyone";
    }
    let Some(provider) = Scheme::provider(options, scheme) else {
        return false;
    };
    ids.iter().any(|id| {
        id.scheme.as_deref() == Some(scheme)
            && id
                .id
                .as_deref()
                .is_some_and(|id| provider.matches(id, expression))
    })
}

/// The list as it is stored: duplicates removed, `auth` replaced by what the caller has proved to be.
///
/// # Errors
/// INVALIDACL for an empty list and for every entry that no provider accepts; MARSHALLINGERROR for a null id where
/// one is looked at.
/// Source: `PrepRequestProcessor.fixupACL`.
pub fn fix_up(
    options: &AuthOptions,
    acl: Option<&[Acl]>,
    ids: &[Id],
) -> Result<Vec<Acl>, ErrorCode> {
    let mut wanted: Vec<&Acl> = Vec::new();
    for entry in acl.unwrap_or_default() {
        if !wanted.contains(&entry) {
            wanted.push(entry);
        }
    }
    if wanted.is_empty() {
        return Err(ErrorCode::INVALID_ACL);
    }
    let mut stored = Vec::with_capacity(wanted.len());
    for entry in wanted {
        let scheme = entry.id.scheme.as_deref().ok_or(ErrorCode::INVALID_ACL)?;
        match (scheme, entry.id.id.as_deref()) {
            ("world", None) => return Err(ErrorCode::MARSHALLING_ERROR),
            ("world", Some("anyone")) => stored.push(entry.clone()),
            ("auth", _) => {
                let before = stored.len();
                stored.extend(proved(options, ids).map(|id| Acl {
                    perms: entry.perms,
                    id,
                }));
                if stored.len() == before {
                    return Err(ErrorCode::INVALID_ACL);
                }
            }
            (scheme, id) => {
                let provider = Scheme::provider(options, scheme).ok_or(ErrorCode::INVALID_ACL)?;
                if !provider.is_valid(id.ok_or(ErrorCode::MARSHALLING_ERROR)?) {
                    return Err(ErrorCode::INVALID_ACL);
                }
                stored.push(entry.clone());
            }
        }
    }
    Ok(stored)
}

fn proved<'a>(options: &'a AuthOptions, ids: &'a [Id]) -> impl Iterator<Item = Id> + 'a {
    let is_proved = |id: &&Id| {
        let provider = id
            .scheme
            .as_deref()
            .and_then(|name| Scheme::provider(options, name));
        provider.is_some_and(Scheme::is_authenticated)
    };
    ids.iter().filter(is_proved).cloned()
}

/// The list for a reader without ADMIN: the hash of every digest entry replaced.
///
/// Source: `FinalRequestProcessor.processRequest`, getACL.
pub fn mask(acl: &[Acl]) -> Vec<Acl> {
    let masked = |entry: &Acl| {
        let mut entry = entry.clone();
        if entry.id.scheme.as_deref() == Some("digest") {
            entry.id.id = entry.id.id.map(|id| hidden(&id));
        }
        entry
    };
    acl.iter().map(masked).collect()
}

/// Everything from a colon to the end of its line is replaced: the pattern's dot does not match line ends.
fn hidden(id: &Str) -> Str {
    let mut shown = String::new();
    for line in id.split_inclusive(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        match line.split_once(':') {
            None => shown.push_str(line),
            Some((user, rest)) => {
                shown.push_str(user);
                shown.push_str(":x");
                let end = |c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
                shown.extend(rest.chars().last().filter(|c| end(*c)));
            }
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::id;

    fn entry(perms: i32, scheme: &'static str, text: &str) -> Acl {
        Acl {
            perms,
            id: id(scheme, text.to_owned()),
        }
    }

    fn fixed(entries: &[Acl], ids: &[Id]) -> Result<Vec<Acl>, ErrorCode> {
        fix_up(&AuthOptions::default(), Some(entries), ids)
    }

    #[test]
    fn ids_are_accepted_as_java_accepts_them() {
        let bad = Err(ErrorCode::INVALID_ACL);
        for (scheme, text, good) in [
            ("world", "anyone", true),
            ("world", "everyone", false),
            ("digest", "a:b", true),
            ("digest", "a", false),
            ("ip", "1.2.3.4/8", true),
            ("ip", "1.2.3.4/", false),
            ("super", "", false),
            ("sasl", "a", false),
            ("x509", "CN=a", false),
            ("none", "x", false),
        ] {
            let entries = [entry(1, scheme, text)];
            let want = if good {
                Ok(entries.to_vec())
            } else {
                bad.clone()
            };
            assert_eq!(fixed(&entries, &[]), want, "{scheme}:{text}");
        }
        assert_eq!(fixed(&[], &[]), bad);
        assert_eq!(fix_up(&AuthOptions::default(), None, &[]), bad);
    }

    #[test]
    fn nulls_fail_where_java_looks_at_them() {
        let null = |scheme| Acl {
            perms: 1,
            id: Id { scheme, id: None },
        };
        assert_eq!(fixed(&[null(None)], &[]), Err(ErrorCode::INVALID_ACL));
        let world = null(Some("world".into()));
        assert_eq!(fixed(&[world], &[]), Err(ErrorCode::MARSHALLING_ERROR));
        let digest = null(Some("digest".into()));
        assert_eq!(fixed(&[digest], &[]), Err(ErrorCode::MARSHALLING_ERROR));
    }

    #[test]
    fn auth_stands_for_what_was_proved_and_duplicates_go_first() {
        let ids = [
            id("digest", "a:h".into()),
            id("ip", "127.0.0.1".into()),
            id("super", "".into()),
        ];
        let wanted = [
            entry(3, "auth", ""),
            entry(3, "auth", ""),
            entry(3, "digest", "a:h"),
        ];
        let stored = fixed(&wanted, &ids).unwrap();
        assert_eq!(
            stored,
            [entry(3, "digest", "a:h"), entry(3, "digest", "a:h")]
        );
        assert_eq!(fixed(&wanted, &ids[1..]), Err(ErrorCode::INVALID_ACL));
    }

    #[test]
    fn any_wanted_bit_of_a_matching_entry_is_enough() {
        let options = AuthOptions::default();
        let bob = [id("digest", "bob:h".into())];
        let acl = [
            entry(perms::READ, "digest", "bob:h"),
            entry(perms::ADMIN, "ip", "10.0.0.0/8"),
        ];
        let may = |wanted, ids: &[Id]| permits(&options, &acl, wanted, ids);
        assert!(may(perms::READ, &bob));
        assert!(!may(perms::WRITE, &bob));
        assert!(!may(perms::READ, &[id("ip", "10.1.1.1".into())]));
        assert!(may(
            perms::READ | perms::ADMIN,
            &[id("ip", "10.1.1.1".into())]
        ));
        assert!(may(perms::WRITE, &[id("super", "".into())]));
        assert!(permits(&options, &[], perms::WRITE, &[]));
        let open = AuthOptions {
            skip_acl: true,
            ..AuthOptions::default()
        };
        assert!(permits(&open, &acl, perms::WRITE, &[]));
    }

    #[test]
    fn hashes_are_hidden_up_to_the_end_of_their_line() {
        let shown = |text: &str| mask(&[entry(1, "digest", text)])[0].id.id.clone().unwrap();
        assert_eq!(shown("bob:hash"), "bob:x");
        assert_eq!(shown("bob"), "bob");
        assert_eq!(shown("a:b\nc:d"), "a:x\nc:x");
    }
}
