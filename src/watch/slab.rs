//! Records by small numbers that are used again.

use std::ops::{Index, IndexMut};

/// Position of a record in a [`Slab`].
pub(super) type At = u32;
/// No record: the end of a list.
pub(super) const END: At = At::MAX;

/// Records of one type. A position stays valid until it is freed.
#[derive(Debug)]
pub(super) struct Slab<T> {
    records: Vec<T>,
    free: Vec<At>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            records: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T: Default> Slab<T> {
    /// Stores `record`.
    pub(super) fn insert(&mut self, record: T) -> At {
        if let Some(at) = self.free.pop() {
            self[at] = record;
            return at;
        }
        assert!(
            self.records.len() < END as usize,
            "memory ends long before positions do"
        );
        self.records.push(record);
        (self.records.len() - 1) as At
    }

    /// Takes the record at `at` out; the position will name another one.
    pub(super) fn take(&mut self, at: At) -> T {
        self.free.push(at);
        std::mem::take(&mut self[at])
    }

    /// Records ever needed at once.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
}

impl<T> Index<At> for Slab<T> {
    type Output = T;
    fn index(&self, at: At) -> &T {
        &self.records[at as usize]
    }
}

impl<T> IndexMut<At> for Slab<T> {
    fn index_mut(&mut self, at: At) -> &mut T {
        &mut self.records[at as usize]
    }
}
