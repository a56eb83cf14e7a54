//! What stands before every request and reply after the handshake.

use crate::record::records;
use crate::{ErrorCode, OpCode};

records! {
    /// Before every request. Source: `zookeeper.jute`, `proto.RequestHeader`.
    RequestHeader {
        /// Chosen by the client, echoed in the reply.
        xid: i32,
        /// Raw number, so that an op nobody knows still decodes.
        op: OpCode,
    }
    /// Before every reply and watch event. Source: `zookeeper.jute`, `proto.ReplyHeader`.
    ReplyHeader {
        /// The request's, or one of the [`xid`] constants.
        xid: i32,
        /// zxid of the write, or the last one applied here.
        zxid: i64,
        /// 0 is success.
        err: ErrorCode,
    }
}

/// Numbers an xid has of its own.
pub mod xid {
    /// A watch event.
    pub const NOTIFICATION: i32 = -1;
    /// Every answer to a ping.
    pub const PING: i32 = -2;
}
