//! The schemes this server has a provider for.

use super::{AuthOptions, digest, dn, ip};

/// A scheme that can be authenticated with and stand in an ACL.
///
/// `world`, `auth` and `super` are not among them: the first two are resolved before a provider is
/// asked, the last cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Ip,
    Digest,
    Sasl,
    X509,
}

impl Scheme {
    /// Source: `ProviderRegistry.getServerProvider`.
    pub(super) fn provider(options: &AuthOptions, name: &str) -> Option<Scheme> {
        match name {
            "ip" => Some(Scheme::Ip),
            "digest" if options.digest_enabled => Some(Scheme::Digest),
            "sasl" if options.sasl_enabled => Some(Scheme::Sasl),
            "x509" if options.x509_enabled => Some(Scheme::X509),
            _ => None,
        }
    }

    /// Whether an identity of this scheme was proved, so that `auth` stands for it.
    pub(super) fn is_authenticated(self) -> bool {
        self != Scheme::Ip
    }

    /// Whether `id` may stand in an ACL.
    pub(super) fn is_valid(self, id: &str) -> bool {
        match self {
            Scheme::Ip => ip::Block::parse(id).is_some(),
            Scheme::Digest => digest::is_valid(id),
            Scheme::Sasl => is_kerberos_name(id),
            Scheme::X509 => dn::is_valid(id),
        }
    }

    /// Whether the identity `id` is meant by `expression` of an ACL.
    ///
    /// Source: `matches` of each `AuthenticationProvider`.
    pub(super) fn matches(self, options: &AuthOptions, id: &str, expression: &str) -> bool {
        match self {
            Scheme::Ip => ip::Block::parse(expression).is_some_and(|block| block.holds(id)),
            Scheme::Digest => id == expression,
            Scheme::Sasl => {
                let open = options.any_sasl_user.as_deref();
                id == "super" || id == expression || open == Some(expression)
            }
            Scheme::X509 => id == expression || options.x509_super_user.as_deref() == Some(id),
        }
    }
}

/// `name`, `name@realm`, `name/host@realm`, and any text without `@`.
/// Source: `KerberosName(String)`.
fn is_kerberos_name(id: &str) -> bool {
    match id.split_once('@') {
        None => true,
        Some((name, realm)) => name.matches('/').count() <= 1 && !realm.contains(['/', '@']),
    }
}
