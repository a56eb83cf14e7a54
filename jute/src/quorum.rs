//! Module `org.apache.zookeeper.server.quorum`.

use crate::Buffer;
use crate::data::Id;
use crate::record::records;

records! {
    /// What a learner says of itself when it registers.
    LearnerInfo {
        /// Its server id.
        server_id: i64,
        /// Learner protocol, 0x10000.
        protocol_version: i32,
        /// Version of its committed configuration.
        config_version: i64,
    }
    /// Every packet on the quorum port.
    QuorumPacket {
        /// Packet type.
        kind: i32,
        /// Meaning depends on the type.
        zxid: i64,
        /// Meaning depends on the type.
        data: Buffer,
        /// Identities of a forwarded request.
        auth_info: Option<Vec<Id>>,
    }
    /// One step of SASL between servers.
    QuorumAuthPacket {
        /// Marks the packet.
        magic: i64,
        /// 0 in progress, 1 success, -1 error.
        status: i32,
        /// SASL token.
        token: Buffer,
    }
}
