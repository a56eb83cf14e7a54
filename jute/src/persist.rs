//! Module `org.apache.zookeeper.server.persistence`.

use crate::record::records;

records! {
    /// The first 16 bytes of a transaction log or snapshot.
    FileHeader {
        /// `ZKLG` or `ZKSN`.
        magic: i32,
        /// 2.
        version: i32,
        /// 0 in logs, -1 in snapshots.
        dbid: i64,
    }
}

impl FileHeader {
    /// Header of a transaction log. Source: `FileTxnLog.TXNLOG_MAGIC`.
    pub const LOG: FileHeader = FileHeader {
        magic: i32::from_be_bytes(*b"ZKLG"),
        version: 2,
        dbid: 0,
    };
    /// Header of a snapshot. Source: `FileSnap.SNAPSHOT_MAGIC`.
    pub const SNAPSHOT: FileHeader = FileHeader {
        magic: i32::from_be_bytes(*b"ZKSN"),
        version: 2,
        dbid: -1,
    };
    /// Length in bytes.
    pub const SIZE: usize = 16;
}
