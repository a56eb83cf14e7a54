//! Counts allocations, which needs a process of its own.

use jute::txn::{CreateTxn, Txn, TxnHeader};
use oxkeeper::tree::{Tree, TreeOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn reads_do_not_allocate() {
    let mut tree = Tree::new(TreeOptions::default());
    for (nth, path) in ["/a", "/a/b", "/a/c"].into_iter().enumerate() {
        let txn = Txn::Create(CreateTxn {
            path: Some(path.into()),
            data: Some(vec![0; 100].into()),
            parent_cversion: -1,
            ..CreateTxn::default()
        });
        let header = TxnHeader {
            zxid: nth as i64 + 1,
            kind: txn.op().into(),
            ..TxnHeader::default()
        };
        tree.apply(&header, &txn, &mut Vec::new());
    }
    let before = ALLOCATIONS.get();
    let a = tree.find("/a").unwrap();
    let seen = (
        tree.stat(a).num_children,
        tree.data(a).map(<[u8]>::len),
        tree.acl(a).len(),
        tree.children(a).map(str::len).sum::<usize>(),
        tree.descendant_count(a),
        tree.find("/a/x"),
        tree.quota_of("/a/b"),
    );
    assert_eq!(ALLOCATIONS.get(), before);
    assert_eq!(seen, (2, Some(100), 1, 2, 2, None, None));
}
