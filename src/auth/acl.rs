//! ACL lists: what they allow, and what of them is stored and shown.

use std::collections::BTreeSet;

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

/// More entries than any request can hold: expanding `auth` must not multiply without end.
const ENTRIES_MAX: usize = 1 << 20;

/// Whether `ids` may do any of the `wanted` permission bits under `acl`.
///
/// An empty list allows everything.
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
                .is_some_and(|id| provider.matches(options, id, expression))
    })
}

/// The list as it is stored: duplicates removed, `auth` replaced by what the caller has proved to be.
///
/// # Errors
/// INVALIDACL for an empty list and for every entry that no provider accepts; MARSHALLINGERROR where
/// Java looks at a null.
/// Source: `PrepRequestProcessor.fixupACL`.
pub fn fix_up(
    options: &AuthOptions,
    acl: Option<&[Acl]>,
    ids: &[Id],
) -> Result<Vec<Acl>, ErrorCode> {
    let wanted = without_duplicates(acl.unwrap_or_default())?;
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
                if stored.len() > ENTRIES_MAX {
                    return Err(ErrorCode::MARSHALLING_ERROR);
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

/// The first of each. A null is an error only where it is compared: behind an entry that is equal so
/// far.
///
/// Source: `PrepRequestProcessor.removeDuplicates`.
fn without_duplicates(acl: &[Acl]) -> Result<Vec<&Acl>, ErrorCode> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(acl.len());
    for entry in acl {
        let (perms, scheme, id) = (
            entry.perms,
            entry.id.scheme.as_deref(),
            entry.id.id.as_deref(),
        );
        if scheme.is_none() || id.is_none() {
            let next = seen.range((perms, scheme, None)..).next();
            let is_compared = next.is_some_and(|&(other_perms, other_scheme, _)| {
                other_perms == perms && (scheme.is_none() || other_scheme == scheme)
            });
            if is_compared {
                return Err(ErrorCode::MARSHALLING_ERROR);
            }
        }
        if seen.insert((perms, scheme, id)) {
            kept.push(entry);
        }
    }
    Ok(kept)
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
    use crate::auth::identity::id;

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
        let options = AuthOptions {
            sasl_enabled: true,
            x509_enabled: true,
            ..AuthOptions::default()
        };
        let bad = Err(ErrorCode::INVALID_ACL);
        for (scheme, good, refused) in [
            ("world", &["anyone"][..], &["everyone", "", "Anyone"][..]),
            (
                "digest",
                &["a:b", ":b", "a:b:"],
                &["a", "a:", "a:b:c", ":", ""],
            ),
            (
                "ip",
                &[
                    "1.2.3.4",
                    "1.2.3.4/0",
                    "1.2.3.4/32",
                    "::1",
                    "1:2:3:4:5:6:7:8",
                    "fe80::/10",
                    "::/128",
                ],
                &[
                    "1.2.3.4/",
                    "1.2.3.4/33",
                    "1.2.3",
                    "::1/129",
                    "fe80::1%2",
                    "::1.2.3.4",
                    "1::2::3",
                    "",
                ],
            ),
            (
                "sasl",
                &["a", "a@R", "a/h@R", "a/b/c", ""],
                &["a/b/c@R", "x@y@z", "a@R/x"],
            ),
            ("x509", &["CN=a,O=b", ""], &["a", "CN"]),
            ("super", &[], &["", "a:b"]),
            ("none", &[], &["x"]),
            ("", &[], &["x"]),
        ] {
            for text in good {
                let entries = [entry(1, scheme, text)];
                assert_eq!(
                    fix_up(&options, Some(&entries), &[]),
                    Ok(entries.to_vec()),
                    "{scheme}:{text}"
                );
            }
            for text in refused {
                let entries = [entry(1, scheme, text)];
                assert_eq!(
                    fix_up(&options, Some(&entries), &[]),
                    bad,
                    "{scheme}:{text}"
                );
            }
        }
        assert_eq!(fixed(&[], &[]), bad);
        assert_eq!(fix_up(&AuthOptions::default(), None, &[]), bad);
        let skip = AuthOptions {
            skip_acl: true,
            ..AuthOptions::default()
        };
        assert_eq!(fix_up(&skip, None, &[]), bad);
    }

    #[test]
    fn schemes_without_a_provider_accept_nothing() {
        let none = AuthOptions {
            digest_enabled: false,
            ..AuthOptions::default()
        };
        for (scheme, text) in [("digest", "a:b"), ("sasl", "a"), ("x509", "CN=a")] {
            let entries = [entry(1, scheme, text)];
            assert_eq!(
                fix_up(&none, Some(&entries), &[]),
                Err(ErrorCode::INVALID_ACL)
            );
            let ids = [id(scheme, text.to_owned())];
            assert!(!permits(&none, &entries, perms::READ, &ids), "{scheme}");
            assert_eq!(
                fix_up(&none, Some(&[entry(1, "auth", "")]), &ids),
                Err(ErrorCode::INVALID_ACL)
            );
        }
    }

    #[test]
    fn permission_bits_are_kept_as_they_came() {
        let entries = [0, -1, 32, i32::MIN].map(|perms| entry(perms, "world", "anyone"));
        assert_eq!(fixed(&entries, &[]), Ok(entries.to_vec()));
    }

    #[test]
    fn sasl_and_x509_have_identities_that_match_more() {
        let options = AuthOptions {
            sasl_enabled: true,
            any_sasl_user: Some("any".into()),
            x509_enabled: true,
            x509_super_user: Some("CN=root".into()),
            ..AuthOptions::default()
        };
        for (scheme, who, expression, matches) in [
            ("sasl", "a", "a", true),
            ("sasl", "a", "b", false),
            ("sasl", "a", "any", true),
            ("sasl", "super", "b", true),
            ("x509", "CN=a", "CN=a", true),
            ("x509", "CN=a", "CN=b", false),
            ("x509", "CN=root", "CN=b", true),
        ] {
            let acl = [entry(perms::READ, scheme, expression)];
            let permitted = permits(&options, &acl, perms::READ, &[id(scheme, who.to_owned())]);
            assert_eq!(permitted, matches, "{scheme}: {who} as {expression}");
        }
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
        let unknown = null(Some("none".into()));
        assert_eq!(fixed(&[unknown], &[]), Err(ErrorCode::INVALID_ACL));
        // Looking for duplicates compares a null with what has the same permissions before it.
        let open = entry(1, "world", "anyone");
        assert_eq!(
            fixed(&[open.clone(), null(None)], &[]),
            Err(ErrorCode::MARSHALLING_ERROR)
        );
        assert_eq!(
            fixed(&[Acl { perms: 2, ..open }, null(None)], &[]),
            Err(ErrorCode::INVALID_ACL)
        );
        let nobody = id("digest", "a:h".into());
        let auth = null(Some("auth".into()));
        let expanded = Acl {
            perms: 1,
            id: nobody.clone(),
        };
        assert_eq!(
            fixed(std::slice::from_ref(&auth), std::slice::from_ref(&nobody)),
            Ok(vec![expanded])
        );
        assert_eq!(
            fixed(&[auth.clone(), auth], &[nobody]),
            Err(ErrorCode::MARSHALLING_ERROR)
        );
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
