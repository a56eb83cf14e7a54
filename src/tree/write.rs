//! The few ways a slot changes: each keeps digest, sizes and indexes right and saves what a frozen
//! view needs.

use super::payload::Edit;
use super::slot::{Family, NONE, Slot};
use super::{Tree, digest, index, kind};
use jute::data::StatPersisted;

/// Length of a path in UTF-16 units, which is what Java counts.
fn java_length(path: &str) -> u64 {
    if path.is_ascii() {
        return path.len() as u64;
    }
    path.encode_utf16().count() as u64
}

impl Tree {
    /// Adds a znode as the first child of `parent` (NONE for the root) and changes nothing else of
    /// the parent.
    ///
    /// `acl` already counts this user; `path` is the znode's, "" for the root.
    pub(super) fn attach(
        &mut self,
        parent: u32,
        path: &str,
        name: &str,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StatPersisted,
    ) -> u32 {
        let at = self.attach_unindexed(parent, path, name, data, acl, stat);
        if parent != NONE {
            let slab = &self.slab;
            self.index
                .insert(index::hash(parent, name), at, |at| slab.hash_of(at));
        }
        at
    }

    /// As [`Tree::attach`], but nobody finds the znode before it is indexed too.
    pub(super) fn attach_unindexed(
        &mut self,
        parent: u32,
        path: &str,
        name: &str,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StatPersisted,
    ) -> u32 {
        let crc = self.crc(path, data);
        let mut slot = Slot::new(stat, acl, crc, name, data, self.stamp);
        slot.parent = parent;
        if parent != NONE {
            self.save(parent);
            slot.next = self.slab.family(parent).first_child;
        }
        let next = slot.next;
        let at = self.slab.insert(slot, stat);
        if next != NONE {
            // Frozen views do not read this link.
            self.slab.get_mut(next).prev = at;
        }
        if parent != NONE {
            let above = self.slab.family_mut(parent);
            above.first_child = at;
            above.children += 1;
        }
        self.owners
            .add(kind(stat.ephemeral_owner, &self.options), at);
        self.data_size += java_length(if path.is_empty() { "/" } else { path });
        self.data_size += data.map_or(0, <[u8]>::len) as u64;
        self.count_in(at, path);
        at
    }

    /// Takes a znode without children out and changes nothing else of its parent.
    pub(super) fn detach(&mut self, at: u32, path: &str) {
        self.count_out(at, path);
        self.save(at);
        let slot = self.slab.get(at);
        let (parent, prev, next) = (slot.parent, slot.prev, slot.next);
        self.index.remove(index::hash(parent, slot.name()), at);
        if prev == NONE {
            self.save(parent);
            self.slab.family_mut(parent).first_child = next;
        } else {
            self.save(prev);
            self.slab.get_mut(prev).next = next;
        }
        if next != NONE {
            self.slab.get_mut(next).prev = prev;
        }
        self.save(parent);
        self.slab.family_mut(parent).children -= 1;
        let slot = self.slab.remove(at);
        self.owners.remove(kind(slot.owner(), &self.options), at);
        self.data_size -= java_length(path) + slot.data_len() as u64;
        self.acls.release(slot.acl);
        self.keep_payload(at, slot.payload);
    }

    /// Changes the stat of a znode.
    pub(super) fn update(&mut self, at: u32, path: &str, change: impl FnOnce(&mut Slot)) {
        self.count_out(at, path);
        self.save(at);
        change(self.slab.get_mut(at));
        self.count_in(at, path);
    }

    /// Changes what children change of a znode's stat.
    pub(super) fn update_family(&mut self, at: u32, path: &str, change: impl FnOnce(&mut Family)) {
        self.count_out(at, path);
        self.save(at);
        change(self.slab.family_mut(at));
        self.count_in(at, path);
    }

    /// Replaces the data of a znode, and the part of its stat that goes with it unless `edit` is
    /// None.
    pub(super) fn replace_data(
        &mut self,
        at: u32,
        path: &str,
        data: Option<&[u8]>,
        edit: Option<Edit>,
    ) {
        self.count_out(at, path);
        self.save(at);
        let crc = self.crc(path, data);
        let slot = self.slab.get_mut(at);
        self.data_size -= slot.data_len() as u64;
        self.data_size += data.map_or(0, <[u8]>::len) as u64;
        let edit = edit.unwrap_or(slot.edit());
        // A view may need what is there now.
        if self.view.is_some() || !slot.overwrite(data, edit, crc) {
            let old = slot.set(data, edit, crc);
            self.keep_payload(at, old);
        }
        self.count_in(at, path);
    }

    fn crc(&self, path: &str, data: Option<&[u8]>) -> u32 {
        if self.options.digest {
            digest::path_data_crc(path, data)
        } else {
            0
        }
    }

    fn count_in(&mut self, at: u32, path: &str) {
        self.digest = self.digest.wrapping_add(self.share(at, path));
    }

    fn count_out(&mut self, at: u32, path: &str) {
        self.digest = self.digest.wrapping_sub(self.share(at, path));
    }

    /// What a znode adds to the digest.
    fn share(&self, at: u32, path: &str) -> u64 {
        if !self.options.digest || !digest::counts(path) {
            return 0;
        }
        let slot = self.slab.get(at);
        digest::znode_digest(slot.crc, &self.slab.persisted(at))
    }
}
