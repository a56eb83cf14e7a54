//! Slots by index, in chunks so that growing copies nothing, with a free list; and the families of
//! those that have or had children.

use super::index;
use super::slot::{Family, NONE, Slot};
use jute::data::{Stat, StatPersisted};

/// Slots per chunk; a chunk is 224 KB.
const CHUNK: usize = 4096;

/// All slots. No reference outlives a call; what others keep is the index.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Slot>>,
    len: u32,
    free: Vec<u32>,
    families: Vec<Family>,
    free_families: Vec<u32>,
}

impl Slab {
    /// Indices ever used: every index is below this.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Znodes there are.
    pub fn live(&self) -> usize {
        self.len as usize - self.free.len()
    }

    /// The slot.
    ///
    /// # Panics
    /// If this slab never gave that index out.
    pub fn get(&self, at: u32) -> &Slot {
        &self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// As [`Slab::get`].
    pub fn get_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// The hash of the slot's place among its siblings.
    pub fn hash_of(&self, at: u32) -> u64 {
        let slot = self.get(at);
        index::hash(slot.parent, slot.name())
    }

    /// What children have made of the slot's stat, and its first child.
    pub fn family(&self, at: u32) -> Family {
        let slot = self.get(at);
        match slot.family {
            NONE => slot.childless(),
            family => self.families[family as usize],
        }
    }

    /// As [`Slab::family`], to be changed.
    pub fn family_mut(&mut self, at: u32) -> &mut Family {
        let slot = self.get(at);
        let mut place = slot.family;
        if place == NONE {
            let family = slot.childless();
            place = match self.free_families.pop() {
                Some(place) => {
                    self.families[place as usize] = family;
                    place
                }
                // As many as slots at most, so the number fits.
                None => {
                    self.families.push(family);
                    (self.families.len() - 1) as u32
                }
            };
            self.get_mut(at).family = place;
        }
        &mut self.families[place as usize]
    }

    /// The slot's stat as files keep it.
    pub fn persisted(&self, at: u32) -> StatPersisted {
        let (slot, family) = (self.get(at), self.family(at));
        let edit = slot.edit();
        StatPersisted {
            czxid: slot.czxid,
            mzxid: edit.mzxid,
            ctime: slot.ctime,
            mtime: edit.mtime,
            version: edit.version,
            cversion: family.cversion,
            aversion: slot.aversion,
            ephemeral_owner: slot.owner(),
            pzxid: family.pzxid,
        }
    }

    /// The stat as clients see it: creations counted twice minus the children there are is
    /// creations plus deletions. Source: `DataNode.copyStat`.
    pub fn visible(&self, at: u32, owner: i64) -> Stat {
        let (slot, family) = (self.get(at), self.family(at));
        let edit = slot.edit();
        Stat {
            czxid: slot.czxid,
            mzxid: edit.mzxid,
            ctime: slot.ctime,
            mtime: edit.mtime,
            version: edit.version,
            cversion: family
                .cversion
                .wrapping_mul(2)
                .wrapping_sub(family.children as i32),
            aversion: slot.aversion,
            ephemeral_owner: owner,
            data_length: slot.data_len() as i32,
            num_children: family.children as i32,
            pzxid: family.pzxid,
        }
    }

    /// Puts `slot` where there is room, with the family that `stat` tells of.
    ///
    /// # Panics
    /// At four billion znodes.
    pub fn insert(&mut self, slot: Slot, stat: &StatPersisted) -> u32 {
        let childless = slot.childless();
        let at = self.place(slot);
        let family = Family {
            pzxid: stat.pzxid,
            cversion: stat.cversion,
            ..childless
        };
        if family != childless {
            *self.family_mut(at) = family;
        }
        at
    }

    fn place(&mut self, slot: Slot) -> u32 {
        if let Some(at) = self.free.pop() {
            *self.get_mut(at) = slot;
            return at;
        }
        let at = self.len;
        assert!(at < u32::MAX - 1, "the tree is full");
        let chunk = at as usize / CHUNK;
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[chunk].push(slot);
        self.len += 1;
        at
    }

    /// Frees the slot and its family and returns what was in it.
    pub fn remove(&mut self, at: u32) -> Slot {
        let slot = std::mem::replace(self.get_mut(at), Slot::vacant());
        assert!(slot.payload.is_some(), "a slot is freed once");
        if slot.family != NONE {
            self.free_families.push(slot.family);
        }
        self.free.push(at);
        slot
    }
}
