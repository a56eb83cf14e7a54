//! The schemes this server has a provider for.

use super::{AuthOptions, digest, ip};

/// A scheme that can be authenticated with and stand in an ACL. `world`, `auth` and `super` are not among them: the
/// first two are resolved before a provider is asked, the last cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Ip,
    Digest,
}

impl Scheme {
    /// Source: `ProviderRegistry.getServerProvider`.
    pub(super) fn provider(options: &AuthOptions, name: &str) -> Option<Scheme> {
        match name {
            "ip" => Some(Scheme::Ip),
            "digest" if options.digest_enabled => Some(Scheme::Digest),
            _ => None,
        }
    }

    /// Whether an identity of this scheme was proved, so that `auth` stands for it.
    pub(super) fn is_authenticated(self) -> bool {
        self == Scheme::Digest
    }

    /// Whether `id` may stand in an ACL.
    pub(super) fn is_valid(self, id: &str) -> bool {
        match self {
            Scheme::Ip => ip::Block::parse(id).is_some(),
            Scheme::Digest => digest::is_valid(id),
        }
    }

    /// Whether the identity `id` is meant by `expression` of an ACL.
    pub(super) fn matches(self, id: &str, expression: &str) -> bool {
        match self {
            Scheme::Ip => ip::Block::parse(expression).is_some_and(|block| block.holds(id)),
            Scheme::Digest => id == expression,
        }
    }
}
