//! Bodies of replies, for tests and tools: the server writes most of them straight from the tree.

use crate::data::{Acl, ClientInfo, Stat};
use crate::record::records;
use crate::{Buffer, Str};

records! {
    /// Answer to create and sync.
    PathResponse {
        /// The created path, or the path of the sync.
        path: Option<Str>,
    }
    /// Answer to create2, createContainer and createTTL.
    Create2Response {
        /// The created path.
        path: Option<Str>,
        /// The new znode.
        stat: Stat,
    }
    /// Answer to exists, setData and setACL.
    StatResponse {
        /// The znode after the operation.
        stat: Stat,
    }
    /// Answer to getData and reconfig.
    GetDataResponse {
        /// The data.
        data: Buffer,
        /// The znode.
        stat: Stat,
    }
    /// Answer to getChildren and getEphemerals.
    NamesResponse {
        /// Names of children, or paths of ephemerals; in no order.
        names: Option<Vec<Str>>,
    }
    /// Answer to getChildren2.
    GetChildren2Response {
        /// Names of children, in no order.
        children: Option<Vec<Str>>,
        /// The znode.
        stat: Stat,
    }
    /// Answer to getACL.
    GetAclResponse {
        /// The ACL, secrets masked for callers without ADMIN.
        acl: Option<Vec<Acl>>,
        /// The znode.
        stat: Stat,
    }
    /// Answer to getAllChildrenNumber.
    GetAllChildrenNumberResponse {
        /// Number of all descendants.
        total_number: i32,
    }
    /// Answer to whoAmI.
    WhoAmIResponse {
        /// Identities of the connection.
        client_info: Option<Vec<ClientInfo>>,
    }
    /// Answer to addWatch, and a failed op inside a multi.
    ErrorResponse {
        /// Result code.
        err: i32,
    }
}
