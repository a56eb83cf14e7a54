//! Slots by index, in chunks so that growing copies nothing, with a free list.

use super::slot::Slot;

/// Slots per chunk; a chunk is 400 KB.
const CHUNK: usize = 4096;

/// All slots. No reference outlives a call; what others keep is the index.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Chunk>,
    len: u32,
    free: Vec<u32>,
}

struct Chunk {
    slots: Vec<Slot>,
    /// Which freeze last saw each slot saved or made.
    stamps: Vec<u32>,
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
        &self.chunks[at as usize / CHUNK].slots[at as usize % CHUNK]
    }

    /// As [`Slab::get`].
    pub fn get_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.chunks[at as usize / CHUNK].slots[at as usize % CHUNK]
    }

    /// The stamp it was last given.
    pub fn stamp(&self, at: u32) -> u32 {
        self.chunks[at as usize / CHUNK].stamps[at as usize % CHUNK]
    }

    /// Marks the slot as saved in freeze `stamp`.
    pub fn set_stamp(&mut self, at: u32, stamp: u32) {
        self.chunks[at as usize / CHUNK].stamps[at as usize % CHUNK] = stamp;
    }

    /// Puts `slot` where there is room.
    ///
    /// # Panics
    /// At four billion znodes.
    pub fn insert(&mut self, slot: Slot, stamp: u32) -> u32 {
        if let Some(at) = self.free.pop() {
            *self.get_mut(at) = slot;
            self.set_stamp(at, stamp);
            return at;
        }
        let at = self.len;
        assert!(at < u32::MAX - 1, "the tree is full");
        if at as usize == self.chunks.len() * CHUNK {
            self.chunks.push(Chunk {
                slots: Vec::with_capacity(CHUNK),
                stamps: Vec::with_capacity(CHUNK),
            });
        }
        let chunk = &mut self.chunks[at as usize / CHUNK];
        chunk.slots.push(slot);
        chunk.stamps.push(stamp);
        self.len += 1;
        at
    }

    /// Frees the slot and returns what was in it.
    pub fn remove(&mut self, at: u32) -> Slot {
        let slot = std::mem::replace(self.get_mut(at), Slot::vacant());
        assert!(slot.payload.is_some(), "a slot is freed once");
        self.free.push(at);
        slot
    }
}
