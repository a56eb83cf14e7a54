//! Why bytes or packets of another server are refused.

use jute::DecodeError;

/// What is wrong with what came over a link to another server. The link is closed for all of them but
/// [`LinkError::UnknownPacket`], which Java logs and passes over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A field does not decode.
    #[error("{0}")]
    Malformed(#[from] DecodeError),
    /// No packet has this type.
    #[error("packet type {0} is unknown")]
    UnknownPacket(i32),
    /// A packet that only the other side may send.
    #[error("packet type {0} never travels this way")]
    WrongWay(i32),
    /// A packet without the data that its type needs.
    #[error("packet type {0} has no data")]
    NoData(i32),
    /// A packet, message or frame claims a size that is not allowed.
    #[error("{what} claims to be {claimed}, allowed is up to {limit}")]
    Size {
        /// Which size.
        what: &'static str,
        /// What it claims.
        claimed: i64,
        /// Bytes or elements.
        limit: usize,
    },
    /// An election link that begins with neither a server id nor a version that is known.
    #[error("election protocol version {0} is unknown")]
    ElectionVersion(i64),
    /// An address of an initial message that is not `host:port`.
    #[error("{0:?} is not an election address")]
    Address(String),
    /// A notification of a length that no version has.
    #[error("a notification of {0} bytes")]
    NotificationLength(usize),
}
