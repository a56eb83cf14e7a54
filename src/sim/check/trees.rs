//! S1: equal trees at equal zxids: every znode, every session, and the digest.
//!
//! Source: zab.md 12; `DataTree` digests.

use std::collections::BTreeSet;

use crate::base::path;
use crate::tree::{Tree, Znode};

/// The first thing in which two trees differ, but for their position.
pub(in crate::sim) fn difference(one: &Tree, other: &Tree) -> Option<String> {
    let sessions: (Vec<_>, Vec<_>) = (one.sessions().collect(), other.sessions().collect());
    if sessions.0 != sessions.1 {
        return Some(format!("sessions {:?} and {:?}", sessions.0, sessions.1));
    }
    let mut paths = vec!["/".to_owned()];
    while let Some(path) = paths.pop() {
        let (Some(mine), Some(theirs)) = (one.find(&path), other.find(&path)) else {
            return Some(format!("{path} is on one of them only"));
        };
        let (mut names, others) = (names(one, mine), names(other, theirs));
        if names != others {
            return Some(format!("{path} has children {names:?} and {others:?}"));
        }
        if path != path::CONFIG {
            let stats = (one.persisted(mine), other.persisted(theirs));
            if stats.0 != stats.1 {
                return Some(format!("{path} has {:?} and {:?}", stats.0, stats.1));
            }
            if one.data(mine) != other.data(theirs) || one.acl(mine) != other.acl(theirs) {
                return Some(format!("{path} has other data or permissions"));
            }
        }
        let prefix = if path == "/" { "" } else { &path };
        while let Some(name) = names.pop_last() {
            paths.push(format!("{prefix}/{name}"));
        }
    }
    (one.digest() != other.digest()).then(|| {
        let digests = (one.digest(), other.digest());
        format!("digests {:#x} and {:#x}", digests.0, digests.1)
    })
}

/// Every path there is.
pub(in crate::sim) fn paths(tree: &Tree) -> BTreeSet<String> {
    let (mut paths, mut open) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = open.pop() {
        if let Some(znode) = tree.find(&path) {
            let prefix = if path == "/" { "" } else { &path };
            open.extend(tree.children(znode).map(|name| format!("{prefix}/{name}")));
        }
        paths.insert(path);
    }
    paths
}

fn names(tree: &Tree, znode: Znode) -> BTreeSet<String> {
    tree.children(znode).map(str::to_owned).collect()
}
