//! Module `org.apache.zookeeper.data`.

use crate::Str;
use crate::record::{elements, records};

records! {
    /// An identity: a scheme such as `digest` and that scheme's id.
    Id {
        /// `world`, `ip`, `digest`, `auth`, `x509`, `sasl`, `super`.
        scheme: Option<Str>,
        /// What the scheme says it is; `user:base64` for `digest`.
        id: Option<Str>,
    }
    /// Permissions granted to one identity.
    Acl {
        /// READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16; other bits are kept as they came.
        perms: i32,
        /// Who has them.
        id: Id,
    }
    /// What a client sees of a znode besides its data. 68 bytes.
    Stat {
        /// zxid of the creating transaction.
        czxid: i64,
        /// zxid of the last setData, or of the creation.
        mzxid: i64,
        /// Creation, ms since the epoch.
        ctime: i64,
        /// Last setData, ms since the epoch.
        mtime: i64,
        /// Number of setData since creation.
        version: i32,
        /// Creations and deletions of children.
        cversion: i32,
        /// Number of setACL since creation.
        aversion: i32,
        /// Session of an ephemeral znode, 0 for every other kind.
        ephemeral_owner: i64,
        /// Bytes of data, 0 for null.
        data_length: i32,
        /// Direct children.
        num_children: i32,
        /// zxid of the last creation or deletion of a child.
        pzxid: i64,
    }
    /// What files keep of a znode besides its data. 60 bytes.
    StatPersisted {
        /// As [`Stat::czxid`].
        czxid: i64,
        /// As [`Stat::mzxid`].
        mzxid: i64,
        /// As [`Stat::ctime`].
        ctime: i64,
        /// As [`Stat::mtime`].
        mtime: i64,
        /// As [`Stat::version`].
        version: i32,
        /// Children ever created; not what clients see.
        cversion: i32,
        /// As [`Stat::aversion`].
        aversion: i32,
        /// Session, or the owner values of container and TTL znodes.
        ephemeral_owner: i64,
        /// As [`Stat::pzxid`].
        pzxid: i64,
    }
    /// One identity of a connection, as whoAmI tells it.
    ClientInfo {
        /// Scheme of the identity.
        auth_scheme: Option<Str>,
        /// User name without any secret.
        user: Option<Str>,
    }
}

elements! { Id = 8, Acl = 12, ClientInfo = 8 }
