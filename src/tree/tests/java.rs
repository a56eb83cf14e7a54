//! A log and the snapshot at its end as Java 3.9.5 wrote them.

use super::*;
use bytes::{Bytes, BytesMut};

const LOG: &[u8] = include_bytes!("../../../tests/golden/standalone-log.1");
const SNAPSHOT: &[u8] = include_bytes!("../../../tests/golden/standalone-snapshot.21");
/// Length of the snapshot file's header.
const FILE_HEADER: usize = 16;
/// Where its body ends.
const BODY_END: usize = 1756;

fn log() -> Vec<LoggedTxn> {
    let mut txns = Vec::new();
    let mut rest = &LOG[16..];
    while let Some((length, behind)) = rest.get(8..).and_then(<[u8]>::split_first_chunk) {
        let length = i32::from_be_bytes(*length) as usize;
        txns.push(LoggedTxn::read(Bytes::copy_from_slice(&behind[..length])).unwrap());
        rest = &behind[length + 1..];
    }
    txns
}

fn body(tree: &mut Tree) -> BytesMut {
    let mut frozen = tree.freeze().unwrap();
    let mut body = BytesMut::new();
    frozen.header(&mut body);
    assert!(frozen.emit(tree, usize::MAX, &mut body));
    tree.thaw(frozen);
    body
}

#[test]
fn every_digest_of_a_java_log_is_reached() {
    let mut tree = Tree::new(TreeOptions::default());
    let log = log();
    assert_eq!(log.len(), 33);
    for logged in &log {
        tree.apply(&logged.header, &logged.txn, &mut Vec::new());
        if let Some(digest) = &logged.digest {
            assert_eq!(
                tree.digest(),
                digest.tree_digest as u64,
                "{}",
                logged.header.zxid
            );
        }
    }
    assert_eq!((tree.last_zxid(), tree.digest()), (Zxid(33), 22647615774));
}

#[test]
fn a_java_log_gives_the_znodes_of_the_java_snapshot() {
    let mut ours = Tree::new(TreeOptions::default());
    for logged in &log() {
        ours.apply(&logged.header, &logged.txn, &mut Vec::new());
    }
    let java = BytesMut::from(&SNAPSHOT[FILE_HEADER..BODY_END]);
    let mut java = super::frozen::load(&java, Zxid(33));
    assert_eq!(java.digest(), 22647615774);
    assert_eq!(java.znode_count(), ours.znode_count());
    // Sorted by content: the order of siblings is nobody's.
    let sorted = |body: BytesMut| {
        let mut bytes = body.to_vec();
        bytes.sort_unstable();
        bytes
    };
    assert_eq!(ours.acls.table(), java.acls.table());
    assert_eq!(sorted(body(&mut ours)), sorted(body(&mut java)));
    for at in java.subtree(slot::ROOT) {
        let path = java.path_of(Znode(at));
        let (theirs, same) = (Znode(at), ours.find(&path).unwrap());
        assert_eq!(java.stat(theirs), ours.stat(same), "{path}");
        assert_eq!(java.data(theirs), ours.data(same), "{path}");
        assert_eq!(java.acl(theirs), ours.acl(same), "{path}");
    }
}
