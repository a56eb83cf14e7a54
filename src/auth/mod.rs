//! Who a connection is, and what that allows.
//!
//! Source: `server.auth.*`, `ServerCnxn.authInfo`, `ZooKeeperServer.checkACL`, `PrepRequestProcessor.fixupACL`.

mod acl;
mod digest;
mod ip;
mod scheme;

use std::net::IpAddr;
use std::sync::Arc;

use jute::Str;
use jute::data::{ClientInfo, Id};

pub use acl::{fix_up, mask, permits, perms};
use scheme::Scheme;

/// The identities of a connection, in the order in which Java's hash set hands them out.
pub type Identities = Arc<[Id]>;

/// How identities are made and judged.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// Whether the scheme `digest` exists. Java: `zookeeper.DigestAuthenticationProvider.enabled`.
    pub digest_enabled: bool,
    /// `super:<base64>` of whoever may do everything. Java: `….superDigest`.
    pub super_digest: Option<String>,
    /// Whether nothing is checked. Java: `zookeeper.skipACL=yes`.
    pub skip_acl: bool,
}

impl Default for AuthOptions {
    fn default() -> Self {
        AuthOptions {
            digest_enabled: true,
            super_digest: None,
            skip_acl: false,
        }
    }
}

/// The scheme is unknown or does not accept what was sent. The connection closes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthFailed;

/// What a connection is before it says anything: its address.
pub fn initial(remote: IpAddr) -> Identities {
    Identities::from([id("ip", ip::java_text(remote))])
}

/// The identities after an auth packet: `current` and what `scheme` makes of `auth`.
///
/// # Errors
/// [`AuthFailed`] for an unknown scheme, and for digest without data.
/// Source: `ZooKeeperServer.processPacket`, `DigestAuthenticationProvider.handleAuthentication`.
pub fn authenticate(
    options: &AuthOptions,
    scheme: Option<&str>,
    auth: Option<&[u8]>,
    remote: IpAddr,
    current: &Identities,
) -> Result<Identities, AuthFailed> {
    let mut ids = current.to_vec();
    let mut add = |id: Id| {
        if !ids.contains(&id) {
            ids.push(id);
        }
    };
    match scheme
        .and_then(|name| Scheme::provider(options, name))
        .ok_or(AuthFailed)?
    {
        Scheme::Ip => add(id("ip", ip::java_text(remote))),
        Scheme::Digest => {
            let digest = digest::generate(auth.ok_or(AuthFailed)?);
            if options.super_digest.as_deref() == Some(&*digest) {
                add(id("super", String::new()));
            }
            add(id("digest", digest));
        }
    }
    in_hash_order(&mut ids);
    Ok(ids.into())
}

/// What whoAmI answers: schemes and user names, no secrets.
///
/// Source: `AuthUtil.getClientInfos`.
pub fn who_am_i(ids: &[Id]) -> Vec<ClientInfo> {
    let user = |id: &Id| match id.scheme.as_deref() {
        Some("digest") => id
            .id
            .as_deref()
            .map(|id| id.split(':').next().unwrap_or("").into()),
        Some("ip") => id.id.clone(),
        _ => Some(Str::default()),
    };
    ids.iter()
        .map(|id| ClientInfo {
            auth_scheme: id.scheme.clone(),
            user: user(id),
        })
        .collect()
}

fn id(scheme: &'static str, id: String) -> Id {
    Id {
        scheme: Some(Str::from_static(scheme)),
        id: Some(id.into()),
    }
}

/// Sorts into the order a Java concurrent hash map of these keys iterates in; keys of one bin keep their order.
///
/// Source: `java.util.concurrent.ConcurrentHashMap` (`spread`, growth at three quarters of 16, 32, ...).
fn in_hash_order(ids: &mut [Id]) {
    let mut bins: u32 = 16;
    while ids.len() as u32 >= bins / 4 * 3 {
        bins *= 2;
    }
    ids.sort_by_key(|id| {
        let hash = java_hash(id);
        (hash ^ (hash >> 16)) & 0x7fff_ffff & (bins - 1)
    });
}

/// Source: `hashCode` as the jute compiler writes it for `Id`.
fn java_hash(id: &Id) -> u32 {
    [&id.scheme, &id.id]
        .into_iter()
        .fold(17, |hash: u32, text| {
            let text = text.as_deref().map_or(0, java_string_hash);
            hash.wrapping_mul(37).wrapping_add(text)
        })
}

/// Source: `String.hashCode`.
fn java_string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn auth(scheme: &str, data: Option<&[u8]>) -> Result<Identities, AuthFailed> {
        let digest = "super:0bX78nEegDzJM3ju0iLBEJdWzjg=".to_owned();
        let options = AuthOptions {
            super_digest: Some(digest),
            ..AuthOptions::default()
        };
        authenticate(&options, Some(scheme), data, HOME, &initial(HOME))
    }

    fn shown(ids: &[Id]) -> Vec<String> {
        let part = |part: &Option<Str>| part.as_deref().unwrap_or("-").to_owned();
        ids.iter()
            .map(|id| format!("{}={}", part(&id.scheme), part(&id.id)))
            .collect()
    }

    #[test]
    fn digest_adds_to_the_address_in_javas_order() {
        let ids = auth("digest", Some(b"bob:pw")).unwrap();
        assert_eq!(
            shown(&ids),
            ["digest=bob:ikIaKsbtGweaHnb/jKn7OHqbunM=", "ip=127.0.0.1"]
        );
        let who = who_am_i(&ids);
        assert_eq!(who[0].user.as_deref(), Some("bob"));
        assert_eq!(who[1].user.as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn the_super_digest_adds_an_identity_without_a_name() {
        let ids = auth("digest", Some(b"super:pw")).unwrap();
        assert!(shown(&ids).contains(&"super=".to_owned()));
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn unknown_schemes_and_missing_data_are_refused() {
        assert_eq!(auth("sasl", Some(b"x")), Err(AuthFailed));
        assert_eq!(auth("world", Some(b"x")), Err(AuthFailed));
        assert_eq!(auth("digest", None), Err(AuthFailed));
        assert_eq!(shown(&auth("ip", None).unwrap()), ["ip=127.0.0.1"]);
    }

    #[test]
    fn ipv6_addresses_print_uncompressed() {
        let ids = initial(std::net::Ipv6Addr::LOCALHOST.into());
        assert_eq!(shown(&ids), ["ip=0:0:0:0:0:0:0:1"]);
    }
}
