//! From (parent slot, name) to slot: open addressing, one tag and one slot number per entry.
//!
//! Names stand in the slots, so a table cannot compare or rehash by itself: callers pass closures
//! for both. The tag, fifteen bits of the hash, keeps most comparisons from touching a slot at all,
//! and growth too as long as a table has no more places than that. There are many tables, chosen by
//! the hash, so that none is large enough for its growth to hold a write up; they grow by a quarter
//! at a time, so that at most three places in ten are empty.

use std::hash::Hasher;

const EMPTY: u16 = 0;
const DELETED: u16 = 1;
/// Set in the tag of every entry in use.
const USED: u16 = 0x8000;
const SMALLEST: usize = 8;
/// Bits of the hash that choose a table.
const TABLE_BITS: u32 = 10;

/// All tables.
pub(super) struct Index(Vec<Table>);

#[derive(Clone, Default)]
struct Table {
    tags: Vec<u16>,
    slots: Vec<u32>,
    /// Entries in use.
    used: usize,
    /// Entries in use or deleted.
    filled: usize,
    /// Grows twofold.
    fast: bool,
}

/// The hash of a child's place, the same in every run.
pub(super) fn hash(parent: u32, name: &str) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write_u32(parent);
    hasher.write(name.as_bytes());
    // Tables and places in them use different bits, all of which must be good.
    let hash = hasher.finish();
    let hash = (hash ^ hash >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash ^ hash >> 29
}

/// The high bits of the place.
fn tag(hash: u64) -> u16 {
    (place(hash) >> 17) as u16 | USED
}

/// Where in a table of 2^32 places an entry would stand.
fn place(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Where an entry stands in a table of `size` places if nothing is in its way. In all but the largest
/// tables its tag alone decides.
fn home(tag: u16, place: impl FnOnce() -> u32, size: usize) -> usize {
    if size <= usize::from(USED) {
        (usize::from(tag & !USED) * size) >> 15
    } else {
        ((u64::from(place()) * size as u64) >> 32) as usize
    }
}

impl Index {
    /// Empty tables, which own no memory yet.
    pub fn new() -> Index {
        Index(vec![Table::default(); 1 << TABLE_BITS])
    }

    /// The slot with this hash that `is_it` accepts.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let table = &self.0[table(hash)];
        table.position(hash, is_it).map(|at| table.slots[at])
    }

    /// Adds a slot that is not there. `rehash` tells the hash of one that is.
    pub fn insert(&mut self, hash: u64, slot: u32, rehash: impl Fn(u32) -> u64) {
        let table = &mut self.0[table(hash)];
        if (table.filled + 1) * 8 > table.tags.len() * 7 {
            let size = table.next_size();
            table.rebuild(size, rehash);
        }
        table.put(
            home(tag(hash), || place(hash), table.tags.len()),
            tag(hash),
            slot,
        );
    }

    /// Adds many slots, each unless `same` says that it stands for what another one stands for; gives
    /// the first such slot and adds no more.
    ///
    /// The tables are too large for the processor's caches. Looking at all places first lets it
    /// fetch them side by side.
    pub fn insert_all(
        &mut self,
        entries: &[(u64, u32)],
        same: impl Fn(u32, u32) -> bool,
        rehash: impl Fn(u32) -> u64,
    ) -> Result<(), u32> {
        let first_looks = entries.iter().map(|(hash, _)| {
            let table = &self.0[table(*hash)];
            let size = table.tags.len();
            let at = home(tag(*hash), || place(*hash), size);
            table.tags.get(at).copied().unwrap_or(EMPTY)
        });
        std::hint::black_box(first_looks.fold(0, |all, tag| all ^ tag));
        for (hash, slot) in entries {
            if self.find(*hash, |other| same(other, *slot)).is_some() {
                return Err(*slot);
            }
            self.insert(*hash, *slot, &rehash);
        }
        Ok(())
    }

    /// Whether tables grow twofold, for a while in which many slots are added; ending it makes every
    /// table as small as its entries allow.
    pub fn grow_fast(&mut self, fast: bool, rehash: impl Fn(u32) -> u64) {
        for table in &mut self.0 {
            table.fast = fast;
            if !fast && !table.tags.is_empty() {
                let size = (table.used * 5 / 4).max(SMALLEST);
                table.rebuild(size, &rehash);
            }
        }
    }

    /// Takes `slot` out.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let table = &mut self.0[table(hash)];
        if let Some(at) = table.position(hash, |other| other == slot) {
            table.clear(at);
        }
    }
}

fn table(hash: u64) -> usize {
    hash as usize & ((1 << TABLE_BITS) - 1)
}

impl Table {
    fn position(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let size = self.tags.len();
        if size == 0 {
            return None;
        }
        let wanted = tag(hash);
        let mut at = home(wanted, || place(hash), size);
        // An eighth of the table is empty, so this ends.
        loop {
            let found = self.tags[at];
            if found == EMPTY {
                return None;
            }
            if found == wanted && is_it(self.slots[at]) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.tags.len() { 0 } else { at + 1 }
    }

    fn before(&self, at: usize) -> usize {
        at.checked_sub(1).unwrap_or(self.tags.len() - 1)
    }

    fn put(&mut self, home: usize, tag: u16, slot: u32) {
        let mut at = home;
        while self.tags[at] >= USED {
            at = self.after(at);
        }
        if self.tags[at] == EMPTY {
            self.filled += 1;
        }
        self.used += 1;
        self.tags[at] = tag;
        self.slots[at] = slot;
    }

    fn clear(&mut self, mut at: usize) {
        self.used -= 1;
        self.tags[at] = DELETED;
        // Deleted entries only serve to keep searches going; before an empty one there is nothing
        // to go on to.
        while self.tags[self.after(at)] == EMPTY && self.tags[at] == DELETED {
            self.tags[at] = EMPTY;
            self.filled -= 1;
            at = self.before(at);
        }
    }

    /// A quarter more where seven places in ten are really in use; otherwise many are deleted, and
    /// it is enough to drop those.
    fn next_size(&self) -> usize {
        let size = self.tags.len();
        if self.used * 10 < size * 7 {
            return size;
        }
        let more = if self.fast { size } else { size / 4 };
        size + more.max(SMALLEST)
    }

    /// Moves the entries in use to `size` places, which are enough for one more.
    fn rebuild(&mut self, size: usize, rehash: impl Fn(u32) -> u64) {
        let tags = std::mem::replace(&mut self.tags, vec![EMPTY; size]);
        let slots = std::mem::replace(&mut self.slots, vec![0; size]);
        (self.used, self.filled) = (0, 0);
        for (tag, slot) in tags.into_iter().zip(slots) {
            if tag >= USED {
                self.put(home(tag, || place(rehash(slot)), size), tag, slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Few distinct hashes, all of one table, so that most entries collide.
    fn colliding(slot: u32) -> u64 {
        u64::from(slot % 37).wrapping_mul(0x9E37_79B9_7F4A_7C15) << TABLE_BITS
    }

    #[test]
    fn entries_survive_growth_past_what_their_tags_tell() {
        let spread = |slot: u32| u64::from(slot).wrapping_mul(0x9E37_79B9_7F4A_7C15) << TABLE_BITS;
        let mut index = Index::new();
        for slot in 0..60_000 {
            index.insert(spread(slot), slot, spread);
        }
        assert!(index.0[0].tags.len() > usize::from(USED));
        for slot in 0..60_000 {
            assert_eq!(index.find(spread(slot), |other| other == slot), Some(slot));
        }
    }

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
            let hash = colliding(slot);
            if twin.remove(&slot).is_some() {
                index.remove(hash, slot);
            } else {
                index.insert(hash, slot, |slot| twin[&slot]);
                twin.insert(slot, hash);
            }
            assert_eq!(index.0[0].used, twin.len());
        }
        for slot in 0..700 {
            let found = index.find(colliding(slot), |other| other == slot);
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
        assert_eq!((index.0[3].used, index.0[3].filled), (0, 0));
        assert_eq!(index.find(3, |_| true), None);
    }

    #[test]
    fn hashes_spread_over_tables_places_and_tags() {
        for bits in [0, TABLE_BITS, 57] {
            let mut seen = [0u32; 64];
            for nth in 0..64 * 100 {
                let hash = hash(nth % 3, &format!("member-{nth:010}"));
                seen[(hash >> bits) as usize % 64] += 1;
            }
            assert!(
                seen.iter().all(|&n| (50..200).contains(&n)),
                "{bits}: {seen:?}"
            );
        }
    }
}
