//! ACL lists, each kept once, with the ids that Java's files use.

use super::AclList;
use jute::data::{Acl, Id};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Id of `world:anyone` with all permissions where a file gives no list; never in the table of a
/// file.
/// Source: `ReferenceCountedACLCache.OPEN_UNSAFE_ACL_ID`.
const OPEN_ID: i64 = -1;
/// Index of that list.
pub(super) const OPEN: u32 = 0;

/// The lists by index; what counts their users are the slots.
pub(super) struct Acls {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_list: FxHashMap<AclList, u32>,
    by_id: FxHashMap<i64, u32>,
    last_id: i64,
    /// Ids that were asked for and stood in no table.
    lost: BTreeSet<i64>,
}

struct Entry {
    id: i64,
    list: AclList,
    users: u64,
}

/// One entry for everybody.
pub(super) fn world(perms: i32) -> Acl {
    let id = Id {
        scheme: Some(jute::Str::from_static("world")),
        id: Some(jute::Str::from_static("anyone")),
    };
    Acl { perms, id }
}

impl Acls {
    /// Only the open list.
    pub fn new() -> Acls {
        let open = Entry {
            id: OPEN_ID,
            list: Arc::from([world(31)]),
            users: 0,
        };
        Acls {
            entries: vec![open],
            free: Vec::new(),
            by_list: FxHashMap::default(),
            by_id: FxHashMap::default(),
            last_id: 0,
            lost: BTreeSet::new(),
        }
    }

    /// The list at `index`.
    pub fn list(&self, index: u32) -> &AclList {
        &self.entries[index as usize].list
    }

    /// The id files know it by.
    pub fn id(&self, index: u32) -> i64 {
        self.entries[index as usize].id
    }

    /// The index of a list, which gets one user more; null is the open list.
    /// Source: `ReferenceCountedACLCache.convertAcls`.
    pub fn intern(&mut self, list: Option<&[Acl]>) -> u32 {
        let Some(list) = list else { return OPEN };
        if let Some(&index) = self.by_list.get(list) {
            self.entries[index as usize].users += 1;
            return index;
        }
        self.last_id = self.last_id.saturating_add(1);
        let list: AclList = Arc::from(list);
        let index = self.put(self.last_id, list.clone());
        self.by_list.insert(list, index);
        self.entries[index as usize].users = 1;
        index
    }

    /// One user less; a list nobody uses is forgotten, and its id is not used again.
    /// Source: `ReferenceCountedACLCache.removeUsage`.
    pub fn release(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        if index == OPEN {
            return;
        }
        assert!(entry.users > 0, "a list is released once per user");
        entry.users -= 1;
        if entry.users == 0 {
            self.forget(index);
        }
    }

    /// A line of a file's table. The open list has none; a later line for the same id counts.
    pub fn define(&mut self, id: i64, list: Vec<Acl>) {
        if id == OPEN_ID {
            return;
        }
        if let Some(&old) = self.by_id.get(&id) {
            self.forget(old);
        }
        self.last_id = self.last_id.max(id);
        let list: AclList = Arc::from(list);
        let index = self.put(id, list.clone());
        self.by_list.insert(list, index);
    }

    /// The index of an id in a file, with one user more.
    ///
    /// Java's snapshots may name an id that came after their table was written; the log repairs
    /// that. Until then nobody has any permission.
    pub fn resolve(&mut self, id: i64) -> u32 {
        if id == OPEN_ID {
            return OPEN;
        }
        let index = match self.by_id.get(&id) {
            Some(&index) => index,
            None => {
                self.last_id = self.last_id.max(id);
                self.lost.insert(id);
                self.put(id, Arc::from([world(0)]))
            }
        };
        self.entries[index as usize].users += 1;
        index
    }

    /// Forgets every list without a user.
    /// Source: `ReferenceCountedACLCache.purgeUnused`.
    pub fn purge_unused(&mut self) {
        let unused = |&index: &u32| self.entries[index as usize].users == 0;
        let mut indices: Vec<u32> = self.by_id.values().copied().filter(unused).collect();
        indices.sort_unstable();
        indices.into_iter().for_each(|index| self.forget(index));
    }

    /// How many znodes have a list that no table of a file had and no transaction has brought since.
    pub fn lost_users(&self) -> u64 {
        let users = |id| {
            self.by_id
                .get(id)
                .map(|&index| self.entries[index as usize].users)
        };
        self.lost.iter().filter_map(users).sum()
    }

    /// What files keep: every list but the open one, by ascending id.
    pub fn table(&self) -> Vec<(i64, AclList)> {
        let row = |(&id, &index): (&i64, &u32)| (id, self.list(index).clone());
        let mut rows: Vec<(i64, AclList)> = self.by_id.iter().map(row).collect();
        rows.sort_unstable_by_key(|(id, _)| *id);
        rows
    }

    fn put(&mut self, id: i64, list: AclList) -> u32 {
        let entry = Entry { id, list, users: 0 };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.by_id.insert(id, index);
        index
    }

    fn forget(&mut self, index: u32) {
        let open = self.entries[OPEN as usize].list.clone();
        let entry = &mut self.entries[index as usize];
        let list = std::mem::replace(&mut entry.list, open);
        self.by_id.remove(&entry.id);
        if self.by_list.get(&list) == Some(&index) {
            self.by_list.remove(&list);
        }
        self.free.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(acls: &Acls) -> Vec<i64> {
        acls.table().iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn an_explicit_open_list_has_an_id_of_its_own() {
        let mut acls = Acls::new();
        assert_eq!(acls.intern(None), OPEN);
        let open = acls.intern(Some(&[world(31)]));
        assert_eq!((acls.id(OPEN), acls.id(open)), (-1, 1));
        assert_eq!(acls.list(OPEN), acls.list(open));
    }

    #[test]
    fn an_unused_list_is_forgotten_and_comes_back_under_a_new_id() {
        let mut acls = Acls::new();
        let read = acls.intern(Some(&[world(1)]));
        assert_eq!(acls.intern(Some(&[world(1)])), read);
        acls.release(read);
        assert_eq!(ids(&acls), [1]);
        acls.release(read);
        assert!(acls.table().is_empty());
        let again = acls.intern(Some(&[world(1)]));
        assert_eq!(acls.id(again), 2);
    }

    #[test]
    fn ids_go_on_after_the_highest_of_a_file() {
        let mut acls = Acls::new();
        acls.define(7, vec![world(1)]);
        acls.define(3, vec![world(2)]);
        assert_eq!(acls.list(acls.by_id[&3])[0].perms, 2);
        acls.resolve(7);
        acls.purge_unused();
        assert_eq!(ids(&acls), [7]);
        let new = acls.intern(Some(&[world(2)]));
        assert_eq!(acls.id(new), 8);
    }

    #[test]
    fn an_id_without_a_list_permits_nothing() {
        let mut acls = Acls::new();
        let lost = acls.resolve(9);
        assert_eq!(acls.list(lost)[..], [world(0)]);
        assert_eq!(acls.lost_users(), 1);
        let new = acls.intern(Some(&[world(0)]));
        assert_eq!(acls.id(new), 10);
        acls.release(lost);
        assert_eq!(acls.lost_users(), 0);
    }
}
