//! Replay over snapshots that were written while transactions were applied, as Java writes them.

use super::history::Writer;
use super::*;
use rand::Rng;

/// Java's walk: each znode with its children is read whole when it is visited, at whatever moment
/// that is.
struct FuzzyWalk {
    stack: Vec<String>,
    loader: Loader,
    acls: Acls,
}

impl FuzzyWalk {
    fn begin(writer: &Writer) -> FuzzyWalk {
        let mut loader = Loader::new(TreeOptions::default());
        for (&id, &timeout) in &writer.twin.sessions {
            loader.session(id, timeout);
        }
        FuzzyWalk {
            stack: vec![String::new()],
            loader,
            acls: Acls::new(),
        }
    }

    /// Visits one znode, and is over when there is none left.
    fn step(&mut self, writer: &Writer) -> bool {
        let Some(path) = self.stack.pop() else {
            return true;
        };
        if let Some(znode) = writer.twin.znodes.get(&path) {
            let index = self.acls.intern(Some(&znode.acl));
            // The table was written before the walk began: what is new since then has an id and no
            // line.
            let id = self.acls.id(index);
            self.loader
                .znode(&path, znode.data.as_deref(), id, &znode.stat)
                .unwrap();
            for name in writer.twin.children(&path) {
                self.stack.push(format!("{path}/{name}"));
            }
        }
        false
    }
}

#[test]
fn replay_over_a_fuzzy_snapshot_ends_where_a_clean_history_ends() {
    for seed in 0..40 {
        let mut writer = Writer::new(2000 + seed, true);
        for _ in 0..100 {
            writer.next();
        }
        let start = Zxid(writer.zxid);
        let mut walk = FuzzyWalk::begin(&writer);
        for znode in writer.twin.znodes.values() {
            walk.acls.intern(Some(&znode.acl));
        }
        for (id, list) in walk.acls.table() {
            walk.loader.acl(id, list.to_vec()).unwrap();
        }
        let mut log = Vec::new();
        loop {
            for _ in 0..writer.rng.random_range(0..3) {
                log.push(writer.next());
            }
            if walk.step(&writer) {
                break;
            }
        }
        let mut tree = walk.loader.finish(start).unwrap();
        for (header, txn, _) in &log {
            tree.replay(header, txn);
        }
        writer.twin.check(&tree);
    }
}

#[test]
fn a_child_caught_before_its_parents_deletion_is_replayed_is_reachable_afterwards() {
    // At zxid 2 there is /a. Then it is deleted (3), created (4) and gets /a/b (5), all of it
    // before the walk comes.
    let mut loader = Loader::new(TreeOptions::default());
    let mut clean = Applier::new();
    let mut txns = [
        Txn::Create(create("/a", "")),
        Txn::Create(create("/other", "")),
        delete("/a"),
        Txn::Create(create("/a", "new")),
        Txn::Create(create("/a/b", "")),
    ];
    for (nth, txn) in txns.iter_mut().enumerate() {
        if let Txn::Create(create) = txn {
            create.parent_cversion = [1, 2, 0, 3, 1][nth];
        }
        clean.one(txn.clone());
    }
    for path in ["", "/zookeeper", "/other", "/a", "/a/b"] {
        let at = clean.at(path);
        loader
            .znode(path, clean.tree.data(at), -1, &clean.tree.persisted(at))
            .unwrap();
    }
    let mut tree = loader.finish(Zxid(2)).unwrap();
    for (nth, txn) in txns.iter().enumerate().skip(2) {
        tree.replay(&header(7, nth as i64 + 1, txn), txn);
    }
    assert_eq!(tree.digest(), clean.tree.digest());
    let a = tree.find("/a").unwrap();
    assert_eq!(tree.children(a).collect::<Vec<_>>(), ["b"]);
}
