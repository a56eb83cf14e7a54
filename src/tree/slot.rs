//! The record of one znode: less than a cache line.

use super::payload::{Edit, Payload};
use jute::data::StatPersisted;

/// No slot.
pub(super) const NONE: u32 = u32::MAX;
/// The slot of the root.
pub(super) const ROOT: u32 = 0;

/// A znode without its path: position in the tree, stat, and where its bytes are.
///
/// Most znodes never have a child, are never set and belong to nobody, so what only children change stands in a
/// [`Family`] elsewhere, and the owner and what only setData changes in the payload, which setData replaces anyway.
pub(super) struct Slot {
    pub czxid: i64,
    pub ctime: i64,
    /// None in a slot that is free.
    pub payload: Option<Payload>,
    pub parent: u32,
    pub prev: u32,
    pub next: u32,
    /// Index into the table of ACL lists.
    pub acl: u32,
    /// CRC-32 of path and data, which the stat bytes extend to the znode's digest.
    pub crc: u32,
    pub aversion: i32,
    /// Where its family stands, or NONE.
    pub(super) family: u32,
    /// Which freeze last saw it saved or made.
    pub(super) stamp: u32,
}

const _: () = assert!(size_of::<Slot>() == 56);

/// What children change of a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub pzxid: i64,
    /// Children ever created.
    pub cversion: i32,
    /// Children there are.
    pub children: u32,
    pub first_child: u32,
}

impl Slot {
    /// A znode that is linked nowhere yet; its family is the slab's business.
    pub fn new(
        stat: &StatPersisted,
        acl: u32,
        crc: u32,
        name: &str,
        data: Option<&[u8]>,
        stamp: u32,
    ) -> Slot {
        let edit = Edit {
            mzxid: stat.mzxid,
            mtime: stat.mtime,
            version: stat.version,
        };
        let mut slot = Slot {
            czxid: stat.czxid,
            ctime: stat.ctime,
            acl,
            crc,
            aversion: stat.aversion,
            stamp,
            ..Slot::vacant()
        };
        let edit = (edit != slot.edit()).then_some(edit);
        slot.payload = Some(Payload::new(name, data, stat.ephemeral_owner, edit));
        slot
    }

    /// What stands in a slot that no znode uses.
    pub fn vacant() -> Slot {
        Slot {
            czxid: 0,
            ctime: 0,
            payload: None,
            parent: NONE,
            prev: NONE,
            next: NONE,
            acl: 0,
            crc: 0,
            aversion: 0,
            family: NONE,
            stamp: 0,
        }
    }

    /// The last component of the path.
    pub fn name(&self) -> &str {
        self.payload.as_ref().map_or("", Payload::name)
    }

    /// Session, or the owner values of container and TTL znodes; 0 for none.
    pub fn owner(&self) -> i64 {
        self.payload.as_ref().map_or(0, Payload::owner)
    }

    /// The data, None for null.
    pub fn data(&self) -> Option<&[u8]> {
        self.payload.as_ref().and_then(Payload::data)
    }

    /// Bytes of data, 0 for null.
    pub fn data_len(&self) -> usize {
        self.payload.as_ref().map_or(0, Payload::data_len)
    }

    /// The last setData, or else the creation.
    pub fn edit(&self) -> Edit {
        let edit = self.payload.as_ref().and_then(Payload::edit);
        edit.unwrap_or(Edit {
            mzxid: self.czxid,
            mtime: self.ctime,
            version: 0,
        })
    }

    /// Puts new data in without asking for memory, if it takes as much as what was there.
    pub fn overwrite(&mut self, data: Option<&[u8]>, edit: Edit, crc: u32) -> bool {
        let payload = self.payload.as_mut();
        let done = payload.is_some_and(|payload| payload.overwrite(data, edit));
        if done {
            self.crc = crc;
        }
        done
    }

    /// Puts new data in and returns the bytes that were there.
    pub fn set(&mut self, data: Option<&[u8]>, edit: Edit, crc: u32) -> Option<Payload> {
        let payload = Payload::new(self.name(), data, self.owner(), Some(edit));
        self.crc = crc;
        self.payload.replace(payload)
    }

    /// The family of a znode that never had a child.
    pub fn childless(&self) -> Family {
        Family {
            pzxid: self.czxid,
            cversion: 0,
            children: 0,
            first_child: NONE,
        }
    }
}
