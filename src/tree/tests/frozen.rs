//! Frozen views: exact whatever is written during the walk.

use super::history::Writer;
use super::twin::Twin;
use super::*;
use bytes::BytesMut;
use jute::{Buffer, Reader, Wire};
use rand::Rng;

/// The tree that a snapshot's body makes.
pub fn load(body: &BytesMut, zxid: Zxid) -> Tree {
    let limit = body.len();
    let mut r = Reader::new(body.clone().freeze(), limit);
    let mut loader = Loader::new(TreeOptions::default());
    for _ in 0..r.i32().unwrap() {
        loader.session(r.i64().unwrap(), r.i32().unwrap());
    }
    for _ in 0..r.i32().unwrap() {
        let id = r.i64().unwrap();
        let list: Option<Vec<Acl>> = Wire::read(&mut r).unwrap();
        loader.acl(id, list.unwrap()).unwrap();
    }
    loop {
        let path: Option<Str> = Wire::read(&mut r).unwrap();
        let path = path.unwrap();
        if path == "/" {
            break;
        }
        let data: Buffer = Wire::read(&mut r).unwrap();
        let acl = r.i64().unwrap();
        let stat: StatPersisted = Wire::read(&mut r).unwrap();
        loader.znode(&path, data.as_deref(), acl, &stat).unwrap();
    }
    assert_eq!(r.left(), 0);
    loader.finish(zxid).unwrap()
}

/// A walk under way, what it must show, and what it wrote.
struct Walk {
    frozen: Frozen,
    expected: Twin,
    body: BytesMut,
}

impl Walk {
    fn begin(tree: &mut Tree, twin: &Twin) -> Walk {
        let frozen = tree.freeze().unwrap();
        let mut body = BytesMut::new();
        frozen.header(&mut body);
        assert_eq!(frozen.zxid(), Zxid(twin.zxid));
        assert_eq!(frozen.digest(), twin.digest());
        Walk {
            frozen,
            expected: twin.clone(),
            body,
        }
    }

    fn end(self, tree: &mut Tree) {
        self.expected.check(&load(&self.body, self.frozen.zxid()));
        tree.thaw(self.frozen);
    }
}

#[test]
fn a_frozen_view_shows_its_moment_whatever_is_written_later() {
    for seed in 0..10 {
        let mut writer = Writer::new(1000 + seed, false);
        let mut tree = Tree::new(TreeOptions::default());
        let mut walk: Option<Walk> = None;
        let mut finished = 0;
        for _ in 0..1000 {
            let (header, txn, _) = writer.next();
            tree.apply(&header, &txn, &mut Vec::new());
            let chunk = writer.rng.random_range(0..3);
            walk = match walk.take() {
                None => Some(Walk::begin(&mut tree, &writer.twin)),
                Some(mut walk) => {
                    assert!(tree.freeze().is_none());
                    if walk.frozen.emit(&tree, chunk, &mut walk.body) {
                        walk.end(&mut tree);
                        finished += 1;
                        None
                    } else {
                        Some(walk)
                    }
                }
            };
        }
        assert!(finished > 5, "seed {seed}: {finished}");
        writer.twin.check(&tree);
    }
}

#[test]
fn a_dropped_view_does_not_block_the_next() {
    let mut tree = Tree::new(TreeOptions::default());
    let frozen = tree.freeze().unwrap();
    assert!(tree.freeze().is_none());
    drop(frozen);
    let second = tree.freeze().unwrap();
    tree.thaw(second);
    assert!(tree.freeze().is_some());
}

#[test]
fn large_znodes_make_short_steps() {
    let mut applier = Applier::new();
    let data = "x".repeat(1 << 20);
    for path in ["/a", "/b", "/c"] {
        applier.one(Txn::Create(create(path, &data)));
    }
    let mut frozen = applier.tree.freeze().unwrap();
    let mut steps = 1;
    while !frozen.emit(&applier.tree, usize::MAX, &mut BytesMut::new()) {
        steps += 1;
    }
    assert_eq!(steps, 4);
}

#[test]
fn a_finished_walk_stays_finished() {
    let mut tree = Tree::new(TreeOptions::default());
    let mut frozen = tree.freeze().unwrap();
    let mut out = BytesMut::new();
    assert!(frozen.emit(&tree, 4, &mut out));
    let length = out.len();
    assert!(frozen.emit(&tree, 4, &mut out));
    assert_eq!(out.len(), length);
}

#[test]
fn what_is_no_tree_does_not_load() {
    let stat = StatPersisted::default();
    let loader = || Loader::new(TreeOptions::default());
    assert_eq!(loader().finish(Zxid(1)).err(), Some(LoadError::NoRoot));
    let orphan = LoadError::NoParent("/a".to_owned());
    assert_eq!(loader().znode("/a", None, -1, &stat), Err(orphan));
    let mut rooted = loader();
    rooted.znode("", None, -1, &stat).unwrap();
    rooted.znode("/a", None, -1, &stat).unwrap();
    for path in ["a", "/a/", "//a"] {
        let error = LoadError::NotAPath(path.to_owned());
        assert_eq!(rooted.znode(path, None, -1, &stat), Err(error));
    }
    let twice = |path: &str| LoadError::Twice(path.to_owned());
    assert_eq!(rooted.znode("", None, -1, &stat), Err(twice("")));
    let max = LoadError::AclId(i64::MAX);
    assert_eq!(rooted.znode("/b", None, i64::MAX, &stat), Err(max));
    assert!(rooted.finish(Zxid(1)).is_ok());
}

#[test]
fn a_path_that_stands_there_twice_does_not_load_wherever_it_comes_again() {
    let stat = StatPersisted::default();
    for between in [0, 1, 63, 64, 500] {
        let mut loader = Loader::new(TreeOptions::default());
        let mut load = || -> Result<(), LoadError> {
            loader.znode("", None, -1, &stat)?;
            loader.znode("/a", None, -1, &stat)?;
            for n in 0..between {
                loader.znode(&format!("/a/{n}"), None, -1, &stat)?;
            }
            loader.znode("/a", None, -1, &stat)
        };
        let loaded = load().and_then(|()| loader.finish(Zxid(1)).map(|_| ()));
        assert_eq!(loaded, Err(LoadError::Twice("/a".to_owned())), "{between}");
    }
}

#[test]
fn parents_are_found_however_deep_and_in_whatever_order_they_stand() {
    let stat = StatPersisted::default();
    let mut loader = Loader::new(TreeOptions::default());
    let paths = [
        "", "/a", "/a/b", "/a/b/c", "/ab", "/a/d", "/ab/b", "/a/b/e", "/a/b/c/f", "/g",
    ];
    for path in paths {
        loader.znode(path, None, -1, &stat).unwrap();
    }
    let tree = loader.finish(Zxid(1)).unwrap();
    for path in paths {
        let znode = tree.find(path).unwrap();
        assert_eq!(
            tree.path_of(znode),
            if path.is_empty() { "/" } else { path }
        );
    }
}

#[test]
fn a_view_is_not_of_the_tree_that_replaced_its_own() {
    let mut tree = Tree::new(TreeOptions::default());
    let frozen = tree.freeze().unwrap();
    assert!(frozen.is_of(&tree));
    let mut other = Tree::new(TreeOptions::default());
    let of_other = other.freeze().unwrap();
    tree = other;
    assert!(!frozen.is_of(&tree) && of_other.is_of(&tree));
    tree.thaw(frozen);
    assert!(of_other.is_of(&tree), "ending the old view ends no other");
}
