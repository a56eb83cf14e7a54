//! The record of one znode: 96 bytes, checked at compile time.
//! thousand.

use super::payload::Payload;
use jute::data::{Stat, StatPersisted};

/// No slot.
pub(super) const NONE: u32 = u32::MAX;
/// The slot of the root.
pub(super) const ROOT: u32 = 0;

/// A znode without its path: position in the tree, stat, and where its bytes are.
pub(super) struct Slot {
    pub czxid: i64,
    pub mzxid: i64,
    pub pzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    /// Session, or the owner values of container and TTL znodes.
    pub owner: i64,
    pub version: i32,
    /// Children ever created.
    pub cversion: i32,
    pub aversion: i32,
    pub parent: u32,
    pub first_child: u32,
    pub prev: u32,
    pub next: u32,
    /// Index into the table of ACL lists.
    pub acl: u32,
    /// Children there are.
    pub children: u32,
    /// CRC-32 of path and data, which the stat bytes extend to the znode's digest.
    pub crc: u32,
    /// None in a slot that is free.
    pub payload: Option<Payload>,
}

const _: () = assert!(size_of::<Slot>() == 96);

impl Slot {
    /// A znode that is linked nowhere yet.
    pub fn new(stat: &StatPersisted, acl: u32, crc: u32, payload: Option<Payload>) -> Slot {
        Slot {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            pzxid: stat.pzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            owner: stat.ephemeral_owner,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            parent: NONE,
            first_child: NONE,
            prev: NONE,
            next: NONE,
            acl,
            children: 0,
            crc,
            payload,
        }
    }

    /// What stands in a slot that no znode uses.
    pub fn vacant() -> Slot {
        Slot::new(&StatPersisted::default(), 0, 0, None)
    }

    /// The last component of the path.
    pub fn name(&self) -> &str {
        self.payload.as_ref().map_or("", Payload::name)
    }

    /// The data, None for null.
    pub fn data(&self) -> Option<&[u8]> {
        self.payload.as_ref().and_then(Payload::data)
    }

    /// Bytes of data, 0 for null.
    pub fn data_len(&self) -> usize {
        self.payload.as_ref().map_or(0, Payload::data_len)
    }

    /// The stat as files keep it.
    pub fn persisted(&self) -> StatPersisted {
        StatPersisted {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.cversion,
            aversion: self.aversion,
            ephemeral_owner: self.owner,
            pzxid: self.pzxid,
        }
    }

    /// The stat as clients see it: creations counted twice minus the children there are is
    /// creations plus deletions.
    /// Source: `DataNode.copyStat`.
    pub fn visible(&self, owner: i64) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self
                .cversion
                .wrapping_mul(2)
                .wrapping_sub(self.children as i32),
            aversion: self.aversion,
            ephemeral_owner: owner,
            data_length: self.data_len() as i32,
            num_children: self.children as i32,
            pzxid: self.pzxid,
        }
    }
}
