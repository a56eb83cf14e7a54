//! A view of one zxid that stays while the tree goes on.
//!
//! The writer saves a slot's record before its first change after the freeze, unless the walk has
//! passed it. The walk takes a znode's first child and next sibling from the same record it emits
//! and keeps both on its own stack, so whatever is deleted or reused later, it sees every znode of
//! the frozen tree once and no other.

use super::payload::Payload;
use super::slot::{NONE, ROOT};
use super::{AclList, Tree};
use crate::base::flaw::Flaw;
use crate::base::{SessionId, Zxid};
use bytes::BytesMut;
use jute::Writer;
use jute::data::StatPersisted;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What one step of the walk writes at most, give or take a znode: readers of large data must not
/// hold a guard, or a buffer, for hundreds of megabytes.
const STEP_BYTES: usize = 1 << 20;

/// The tree's side of a freeze.
pub(super) struct View {
    stamp: u32,
    passed: Arc<Passed>,
    saved: FxHashMap<u32, Saved>,
}

/// A slot as it was.
struct Saved {
    stat: StatPersisted,
    /// Id as files know it: the index may stand for another list by now.
    acl: i64,
    first_child: u32,
    next: u32,
    /// None as long as the slot still has the same one.
    payload: Option<Payload>,
}

/// One bit per slot that existed at the freeze: the walk needs it no longer.
///
/// The walk sets bits under a read guard and the writer reads them under a write guard, which
/// orders the two.
struct Passed(Vec<AtomicU64>);

impl Passed {
    fn set(&self, at: u32) {
        self.0[at as usize / 64].fetch_or(1 << (at % 64), Ordering::Relaxed);
    }

    fn get(&self, at: u32) -> bool {
        self.0[at as usize / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1
    }
}

/// The reader's side of a freeze: sessions, ACLs, zxid and digest of that moment, and a walk over
/// its znodes.
///
/// Dropping it ends the freeze at the tree's next write; [`Tree::thaw`] ends it now.
pub struct Frozen {
    zxid: Zxid,
    digest: u64,
    sessions: Vec<(SessionId, i32)>,
    acls: Vec<(i64, AclList)>,
    passed: Arc<Passed>,
    /// Where to go on: a slot, and how much of `path` belongs to its parent.
    stack: Vec<(u32, usize)>,
    path: String,
    done: bool,
}

impl Tree {
    /// Begins a view of this moment, or None while there is one. Costs sessions and distinct ACLs,
    /// and a bit per slot.
    pub fn freeze(&mut self) -> Option<Frozen> {
        self.end_abandoned_view();
        if self.view.is_some() {
            return None;
        }
        self.stamp += 1;
        let words = self.slab.len().div_ceil(64) as usize;
        let passed = Arc::new(Passed((0..words).map(|_| AtomicU64::new(0)).collect()));
        self.view = Some(View {
            stamp: self.stamp,
            passed: passed.clone(),
            saved: FxHashMap::default(),
        });
        Some(Frozen {
            zxid: self.last_zxid,
            digest: self.digest,
            sessions: match Flaw::SessionsMissingInSnapshots.is_made() {
                true => self.sessions().skip(1).collect(),
                false => self.sessions().collect(),
            },
            acls: self.acls.table(),
            passed,
            stack: vec![(ROOT, 0)],
            path: String::new(),
            done: false,
        })
    }

    /// Ends a view, finished or not.
    pub fn thaw(&mut self, frozen: Frozen) {
        if frozen.is_of(self) {
            self.view = None;
        }
    }

    /// Ends the view there may be: its walk sees that it is [no longer of](Frozen::is_of) this tree.
    pub fn end_view(&mut self) {
        self.view = None;
    }

    /// Nobody but the tree knows of the bits any more: the walk was dropped.
    pub(super) fn end_abandoned_view(&mut self) {
        if self
            .view
            .as_ref()
            .is_some_and(|view| Arc::strong_count(&view.passed) == 1)
        {
            self.view = None;
        }
    }

    /// Keeps what a view needs of a slot that is about to change.
    pub(super) fn save(&mut self, at: u32) {
        let Some(view) = &mut self.view else { return };
        if self.slab.get(at).stamp >= view.stamp || view.passed.get(at) {
            return;
        }
        let slot = self.slab.get(at);
        let saved = Saved {
            stat: self.slab.persisted(at),
            acl: self.acls.id(slot.acl),
            first_child: self.slab.family(at).first_child,
            next: slot.next,
            payload: None,
        };
        view.saved.insert(at, saved);
        self.slab.get_mut(at).stamp = view.stamp;
    }

    /// Gives a view the bytes that a slot had when it was saved; drops them if no view needs them.
    pub(super) fn keep_payload(&mut self, at: u32, payload: Option<Payload>) {
        let Some(view) = &mut self.view else { return };
        match view.saved.get_mut(&at) {
            Some(saved) if saved.payload.is_none() && !view.passed.get(at) => {
                saved.payload = payload;
            }
            _ => {}
        }
    }
}

impl Frozen {
    /// Whether `tree` is the one that was frozen, and still keeps what this view needs. A server may
    /// have put another tree in its place; the walk has to be given up then.
    pub fn is_of(&self, tree: &Tree) -> bool {
        let view = tree.view.as_ref();
        view.is_some_and(|view| Arc::ptr_eq(&view.passed, &self.passed))
    }

    /// The last transaction it contains.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// The tree's digest at that moment.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Appends the beginning of a snapshot's body: sessions and ACL lists.
    pub fn header(&self, out: &mut BytesMut) {
        let mut w = Writer::for_file(out);
        w.i32(self.sessions.len() as i32);
        for (id, timeout) in &self.sessions {
            w.i64(id.0);
            w.i32(*timeout);
        }
        w.i32(self.acls.len() as i32);
        for (id, list) in &self.acls {
            w.i64(*id);
            w.i32(list.len() as i32);
            list.iter().for_each(|acl| w.put(acl));
        }
    }

    /// Appends the next znodes, at most `max_znodes` of them and about a megabyte, parents first.
    /// True once all are written, with the terminator behind the last.
    ///
    /// # Panics
    /// If the view is not [of](Frozen::is_of) `tree`.
    pub fn emit(&mut self, tree: &Tree, max_znodes: usize, out: &mut BytesMut) -> bool {
        let view = tree.view.as_ref().filter(|_| self.is_of(tree));
        let Some(view) = view else {
            panic!("a frozen view is walked over the tree it belongs to");
        };
        let full = out.len().saturating_add(STEP_BYTES);
        for _ in 0..max_znodes {
            if out.len() >= full {
                break;
            }
            let Some((at, above)) = self.stack.pop() else {
                break;
            };
            self.emit_one(tree, view, at, above, &mut Writer::for_file(out));
        }
        if self.stack.is_empty() && !self.done {
            Writer::for_file(out).text(Some("/"));
            self.done = true;
        }
        self.done
    }

    fn emit_one(&mut self, tree: &Tree, view: &View, at: u32, above: usize, w: &mut Writer<'_>) {
        let slot = tree.slab.get(at);
        let saved = view.saved.get(&at);
        let payload = saved
            .and_then(|saved| saved.payload.as_ref())
            .or(slot.payload.as_ref());
        let name = payload.map_or("", Payload::name);
        self.path.truncate(above);
        if at != ROOT {
            self.path.push('/');
            self.path.push_str(name);
        }
        w.text(Some(&self.path));
        w.buffer(payload.and_then(Payload::data));
        let (first_child, next) = match saved {
            Some(saved) => {
                w.i64(saved.acl);
                w.put(&saved.stat);
                (saved.first_child, saved.next)
            }
            None => {
                w.i64(tree.acls.id(slot.acl));
                w.put(&tree.slab.persisted(at));
                (tree.slab.family(at).first_child, slot.next)
            }
        };
        self.passed.set(at);
        if next != NONE {
            self.stack.push((next, above));
        }
        if first_child != NONE {
            self.stack.push((first_child, self.path.len()));
        }
    }
}
