//! Error numbers in reply headers and multi results.

use crate::{DecodeError, Reader, Wire, Writer};

/// A result code; zero is success. Any number decodes.
/// Source: `KeeperException.Code`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i32);

impl ErrorCode {
    /// Success.
    pub const OK: ErrorCode = ErrorCode(0);
    /// Not produced by request handling.
    pub const SYSTEM_ERROR: ErrorCode = ErrorCode(-1);
    /// In a multi, an op after the failed one.
    pub const RUNTIME_INCONSISTENCY: ErrorCode = ErrorCode(-2);
    /// Not produced.
    pub const DATA_INCONSISTENCY: ErrorCode = ErrorCode(-3);
    /// Client side only.
    pub const CONNECTION_LOSS: ErrorCode = ErrorCode(-4);
    /// A request that does not decode, or a null where none may be.
    pub const MARSHALLING_ERROR: ErrorCode = ErrorCode(-5);
    /// An operation this server does not have.
    pub const UNIMPLEMENTED: ErrorCode = ErrorCode(-6);
    /// Client side only.
    pub const OPERATION_TIMEOUT: ErrorCode = ErrorCode(-7);
    /// A bad path, flag, ttl or configuration text.
    pub const BAD_ARGUMENTS: ErrorCode = ErrorCode(-8);
    /// Internal.
    pub const UNKNOWN_SESSION: ErrorCode = ErrorCode(-12);
    /// Reconfig without a quorum of the new configuration.
    pub const NEW_CONFIG_NO_QUORUM: ErrorCode = ErrorCode(-13);
    /// Another reconfig is pending.
    pub const RECONFIG_IN_PROGRESS: ErrorCode = ErrorCode(-14);
    /// Marker only.
    pub const API_ERROR: ErrorCode = ErrorCode(-100);
    /// The znode does not exist.
    pub const NO_NODE: ErrorCode = ErrorCode(-101);
    /// The ACL does not allow it.
    pub const NO_AUTH: ErrorCode = ErrorCode(-102);
    /// The version given is not the znode's.
    pub const BAD_VERSION: ErrorCode = ErrorCode(-103);
    /// An ephemeral znode cannot have children.
    pub const NO_CHILDREN_FOR_EPHEMERALS: ErrorCode = ErrorCode(-108);
    /// The znode exists.
    pub const NODE_EXISTS: ErrorCode = ErrorCode(-110);
    /// The znode has children.
    pub const NOT_EMPTY: ErrorCode = ErrorCode(-111);
    /// The session is closing or gone.
    pub const SESSION_EXPIRED: ErrorCode = ErrorCode(-112);
    /// Client side only.
    pub const INVALID_CALLBACK: ErrorCode = ErrorCode(-113);
    /// The ACL list is not acceptable.
    pub const INVALID_ACL: ErrorCode = ErrorCode(-114);
    /// Authentication failed; the connection closes.
    pub const AUTH_FAILED: ErrorCode = ErrorCode(-115);
    /// Internal: the connection closes.
    pub const SESSION_MOVED: ErrorCode = ErrorCode(-118);
    /// A write on a read-only server.
    pub const NOT_READ_ONLY: ErrorCode = ErrorCode(-119);
    /// A local session cannot own an ephemeral znode.
    pub const EPHEMERAL_ON_LOCAL_SESSION: ErrorCode = ErrorCode(-120);
    /// No such watch.
    pub const NO_WATCHER: ErrorCode = ErrorCode(-121);
    /// Client side only.
    pub const REQUEST_TIMEOUT: ErrorCode = ErrorCode(-122);
    /// reconfigEnabled is false.
    pub const RECONFIG_DISABLED: ErrorCode = ErrorCode(-123);
    /// Enforced authentication is missing.
    pub const SESSION_CLOSED_REQUIRE_SASL_AUTH: ErrorCode = ErrorCode(-124);
    /// A hard quota would be exceeded.
    pub const QUOTA_EXCEEDED: ErrorCode = ErrorCode(-125);
    /// The request waited too long.
    pub const THROTTLED_OP: ErrorCode = ErrorCode(-127);
}

impl Wire for ErrorCode {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.i32().map(ErrorCode)
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.i32(self.0);
    }
    fn size(&self) -> usize {
        4
    }
}
