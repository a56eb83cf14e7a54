//! Who a connection is, and what that allows.
//!
//! Source: `server.auth.*`, `ServerCnxn.authInfo`, `ZooKeeperServer.checkACL`,
//! `PrepRequestProcessor.fixupACL`.

mod acl;
mod digest;
mod dn;
mod identity;
mod ip;
mod scheme;

use std::net::IpAddr;

use jute::Str;
use jute::data::{ClientInfo, Id};

pub use acl::{fix_up, mask, permits, perms};
pub use digest::DigestAlg;
pub use identity::Identities;
use identity::id;
use scheme::Scheme;

/// How identities are made and judged.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// Whether the scheme `digest` exists. Java: `zookeeper.DigestAuthenticationProvider.enabled`.
    pub digest_enabled: bool,
    /// The hash function of the scheme `digest`. Java: `….digestAlg`.
    pub digest_alg: DigestAlg,
    /// `super:<base64>` of whoever may do everything. Java: `….superDigest`.
    pub super_digest: Option<String>,
    /// Whether nothing is checked. Java: `zookeeper.skipACL=yes`.
    pub skip_acl: bool,
    /// Whether the scheme `sasl` exists. Java: `zookeeper.authProvider.<n>`.
    pub sasl_enabled: bool,
    /// What an ACL calls any `sasl` identity. Java: `zookeeper.letAnySaslUserDoX`.
    pub any_sasl_user: Option<String>,
    /// Whether the scheme `x509` exists. Java: where there is a secure client port.
    pub x509_enabled: bool,
    /// The subject that may do everything. Java: `zookeeper.X509AuthenticationProvider.superUser`.
    pub x509_super_user: Option<String>,
}

impl Default for AuthOptions {
    fn default() -> Self {
        AuthOptions {
            digest_enabled: true,
            digest_alg: DigestAlg::default(),
            super_digest: None,
            skip_acl: false,
            sasl_enabled: false,
            any_sasl_user: None,
            x509_enabled: false,
            x509_super_user: None,
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
/// [`AuthFailed`] for an unknown scheme, for digest without data, and for sasl and x509, which are
/// proved elsewhere.
/// Source: `ZooKeeperServer.processPacket`, `DigestAuthenticationProvider.handleAuthentication`.
pub fn authenticate(
    options: &AuthOptions,
    scheme: Option<&str>,
    auth: Option<&[u8]>,
    remote: IpAddr,
    current: &Identities,
) -> Result<Identities, AuthFailed> {
    let mut ids = current.to_vec();
    match scheme
        .and_then(|name| Scheme::provider(options, name))
        .ok_or(AuthFailed)?
    {
        Scheme::Ip => identity::insert(&mut ids, id("ip", ip::java_text(remote))),
        Scheme::Digest => {
            let digest = digest::generate(options.digest_alg, auth.ok_or(AuthFailed)?);
            if options.super_digest.as_deref() == Some(&*digest) {
                identity::insert(&mut ids, id("super", String::new()));
            }
            identity::insert(&mut ids, id("digest", digest));
        }
        Scheme::Sasl | Scheme::X509 => return Err(AuthFailed),
    }
    Ok(ids.into())
}

/// What whoAmI answers: schemes and user names, no secrets.
///
/// Differs from Java in that the scheme of an identity counts, not whether its provider is enabled:
/// without the provider there is no such identity.
/// Source: `AuthUtil.getClientInfos`.
pub fn who_am_i(ids: &[Id]) -> Vec<ClientInfo> {
    let user = |id: &Id| match id.scheme.as_deref() {
        Some("digest") => id
            .id
            .as_deref()
            .map(|id| id.split(':').next().unwrap_or("").into()),
        Some("super") => Some(Str::default()),
        _ => id.id.clone(),
    };
    ids.iter()
        .map(|id| ClientInfo {
            auth_scheme: id.scheme.clone(),
            user: user(id),
        })
        .collect()
}

/// The names among `ids`, comma-separated, as the audit log has them; None if there is none.
///
/// Source: `AuthUtil.getUsers`.
pub fn user_names(ids: &[Id]) -> Option<Str> {
    let named = who_am_i(ids).into_iter().filter_map(|info| info.user);
    let names: Vec<Str> = named.filter(|name| !name.trim().is_empty()).collect();
    (!names.is_empty()).then(|| Str::from(names.join(",")))
}

/// An address as Java prints it: IPv6 uncompressed.
pub fn address_text(address: IpAddr) -> String {
    ip::java_text(address)
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
        assert_eq!(auth("super", Some(b"")), Err(AuthFailed));
        assert_eq!(shown(&auth("ip", None).unwrap()), ["ip=127.0.0.1"]);
        assert_eq!(
            authenticate(&AuthOptions::default(), None, None, HOME, &initial(HOME)),
            Err(AuthFailed)
        );
        let no_digest = AuthOptions {
            digest_enabled: false,
            sasl_enabled: true,
            x509_enabled: true,
            ..AuthOptions::default()
        };
        for scheme in ["digest", "sasl", "x509"] {
            let refused =
                authenticate(&no_digest, Some(scheme), Some(b"a:b"), HOME, &initial(HOME));
            assert_eq!(refused, Err(AuthFailed));
        }
    }

    #[test]
    fn whoami_tells_users_and_not_secrets() {
        let ids = [
            id("digest", "bob:hash".into()),
            id("super", "x".into()),
            id("ip", "::1".into()),
        ];
        let told: Vec<_> = who_am_i(&ids)
            .into_iter()
            .map(|info| info.user.unwrap())
            .collect();
        assert_eq!(told, ["bob".into(), Str::default(), "::1".into()]);
    }

    #[test]
    fn only_identities_with_a_name_are_users() {
        let named = |pairs: &[(&'static str, &str)]| {
            let ids: Vec<Id> = pairs
                .iter()
                .map(|(scheme, text)| id(scheme, (*text).into()))
                .collect();
            user_names(&ids).map(|names| names.to_string())
        };
        let both = [("super", ""), ("digest", "bob:hash"), ("ip", "::1")];
        assert_eq!(named(&both).as_deref(), Some("bob,::1"));
        assert_eq!(named(&[("super", ""), ("digest", ":hash")]), None);
    }

    #[test]
    fn ipv6_addresses_print_uncompressed() {
        let ids = initial(std::net::Ipv6Addr::LOCALHOST.into());
        assert_eq!(shown(&ids), ["ip=0:0:0:0:0:0:0:1"]);
        let mapped = initial("::ffff:10.0.0.1".parse().unwrap());
        assert_eq!(shown(&mapped), ["ip=10.0.0.1"]);
    }
}
