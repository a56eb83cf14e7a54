//! Bodies of requests.

use crate::data::Acl;
use crate::record::records;
use crate::{Buffer, Str};

records! {
    /// Body of create, create2 and createContainer.
    CreateRequest {
        /// Wanted path; sequential modes append a number.
        path: Option<Str>,
        /// Initial data.
        data: Buffer,
        /// Who may do what.
        acl: Option<Vec<Acl>>,
        /// Create mode, 0 to 6.
        flags: i32,
    }
    /// Body of createTTL.
    CreateTtlRequest {
        /// As [`CreateRequest::path`].
        path: Option<Str>,
        /// As [`CreateRequest::data`].
        data: Buffer,
        /// As [`CreateRequest::acl`].
        acl: Option<Vec<Acl>>,
        /// As [`CreateRequest::flags`].
        flags: i32,
        /// Time to live in ms.
        ttl: i64,
    }
    /// Body of delete.
    DeleteRequest {
        /// The znode.
        path: Option<Str>,
        /// Expected data version, -1 for any.
        version: i32,
    }
    /// Body of exists, getData, getChildren and getChildren2.
    WatchableRequest {
        /// The znode.
        path: Option<Str>,
        /// Whether to set a one-shot watch.
        watch: bool,
    }
    /// Body of setData.
    SetDataRequest {
        /// The znode.
        path: Option<Str>,
        /// New data.
        data: Buffer,
        /// Expected data version, -1 for any.
        version: i32,
    }
    /// Body of getACL, sync, getAllChildrenNumber and getEphemerals (where it is a prefix).
    PathRequest {
        /// The znode.
        path: Option<Str>,
    }
    /// Body of setACL.
    SetAclRequest {
        /// The znode.
        path: Option<Str>,
        /// New ACL.
        acl: Option<Vec<Acl>>,
        /// Expected ACL version, -1 for any.
        version: i32,
    }
    /// Body of check, inside a multi.
    CheckVersionRequest {
        /// The znode.
        path: Option<Str>,
        /// Expected data version, -1 for any.
        version: i32,
    }
    /// Body of reconfig.
    ReconfigRequest {
        /// Incremental: servers that join.
        joining_servers: Option<Str>,
        /// Incremental: ids of servers that leave.
        leaving_servers: Option<Str>,
        /// Full replacement.
        new_members: Option<Str>,
        /// Expected version of the configuration, -1 for any.
        cur_config_id: i64,
    }
    /// Body of auth.
    AuthPacket {
        /// Ignored.
        kind: i32,
        /// Authentication scheme.
        scheme: Option<Str>,
        /// What the scheme wants.
        auth: Buffer,
    }
    /// Body of a sasl request and of its answer.
    SaslToken {
        /// SASL token.
        token: Buffer,
    }
}
