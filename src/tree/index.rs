//! From (parent slot, name) to slot: open addressing, one tag byte and one slot number per entry.
//!
//! Names stand in the slots, so the table cannot compare or rehash by itself: callers pass closures for both. The
//! tag byte keeps most comparisons from touching a slot at all.

use std::hash::Hasher;

const EMPTY: u8 = 0;
const DELETED: u8 = 1;
/// Set in the tag of every entry in use.
const USED: u8 = 0x80;
const SMALLEST: usize = 16;

/// The table.
pub(super) struct Index {
    tags: Vec<u8>,
    slots: Vec<u32>,
    /// Entries in use.
    used: usize,
    /// Entries in use or deleted.
    filled: usize,
}

/// The hash of a child's place, the same in every run.
pub(super) fn hash(parent: u32, name: &str) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write_u32(parent);
    hasher.write(name.as_bytes());
    hasher.finish()
}

fn tag(hash: u64) -> u8 {
    (hash >> 57) as u8 | USED
}

impl Index {
    /// An empty table.
    pub fn new() -> Index {
        Index {
            tags: vec![EMPTY; SMALLEST],
            slots: vec![0; SMALLEST],
            used: 0,
            filled: 0,
        }
    }

    /// The slot with this hash that `is_it` accepts.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let at = self.position(hash, is_it)?;
        Some(self.slots[at])
    }

    /// Adds a slot that is not in the table. `rehash` tells the hash of one that is.
    pub fn insert(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) {
        if (self.filled + 1) * 8 > self.tags.len() * 7 {
            self.rebuild(rehash);
        }
        self.place(hash, slot);
    }

    /// Takes `slot` out.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let Some(mut at) = self.position(hash, |other| other == slot) else {
            return;
        };
        let mask = self.tags.len() - 1;
        self.used -= 1;
        self.tags[at] = DELETED;
        // Deleted entries only serve to keep searches going; before an empty one there is nothing to go on to.
        while self.tags[(at + 1) & mask] == EMPTY && self.tags[at] == DELETED {
            self.tags[at] = EMPTY;
            self.filled -= 1;
            at = at.wrapping_sub(1) & mask;
        }
    }

    fn position(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mask = self.tags.len() - 1;
        let wanted = tag(hash);
        let mut at = hash as usize & mask;
        // An eighth of the table is empty, so this ends.
        loop {
            let found = self.tags[at];
            if found == EMPTY {
                return None;
            }
            if found == wanted && is_it(self.slots[at]) {
                return Some(at);
            }
            at = (at + 1) & mask;
        }
    }

    fn place(&mut self, hash: u64, slot: u32) {
        let mask = self.tags.len() - 1;
        let mut at = hash as usize & mask;
        while self.tags[at] >= USED {
            at = (at + 1) & mask;
        }
        if self.tags[at] == EMPTY {
            self.filled += 1;
        }
        self.used += 1;
        self.tags[at] = tag(hash);
        self.slots[at] = slot;
    }

    /// Drops deleted entries, and doubles where more than half is really in use.
    fn rebuild(&mut self, rehash: impl Fn(u32) -> u64) {
        let size = if self.used * 2 >= self.tags.len() {
            self.tags.len() * 2
        } else {
            self.tags.len()
        };
        let tags = std::mem::replace(&mut self.tags, vec![EMPTY; size]);
        let slots = std::mem::replace(&mut self.slots, vec![0; size]);
        (self.used, self.filled) = (0, 0);
        for (tag, slot) in tags.into_iter().zip(slots) {
            if tag >= USED {
                self.place(rehash(slot), slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn entries_survive_growth_collisions_and_deletions() {
        let mut index = Index::new();
        let mut twin: BTreeMap<u32, u64> = BTreeMap::new();
        let mut state = 7u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let slot = (state >> 33) as u32 % 700;
            // Few distinct hashes, so that most entries collide.
            let hash = u64::from(slot % 37).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            if twin.remove(&slot).is_some() {
                index.remove(hash, slot);
            } else {
                index.insert(hash, slot, |slot| twin[&slot]);
                twin.insert(slot, hash);
            }
            assert_eq!(index.used, twin.len());
        }
        for slot in 0..700 {
            let hash = u64::from(slot % 37).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let found = index.find(hash, |other| other == slot);
            assert_eq!(found.is_some(), twin.contains_key(&slot), "{slot}");
        }
    }

    #[test]
    fn a_table_that_was_emptied_has_no_deleted_entries_left() {
        let mut index = Index::new();
        for slot in 0..10 {
            index.insert(3, slot, |_| 3);
        }
        for slot in 0..10 {
            index.remove(3, slot);
        }
        assert_eq!((index.used, index.filled), (0, 0));
    }
}
