//! Random histories, the same for the same seed.

use super::twin::Twin;
use super::*;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// Writes random transactions that a twin says are possible, and some that are not.
pub struct Writer {
    pub rng: SmallRng,
    pub twin: Twin,
    pub zxid: i64,
    /// Only what an orderer of today writes: explicit cversions, path lists, no mistakes.
    pub strict: bool,
}

impl Writer {
    pub fn new(seed: u64, strict: bool) -> Writer {
        Writer {
            rng: SmallRng::seed_from_u64(seed),
            twin: Twin::new(),
            zxid: 0,
            strict,
        }
    }

    /// The next transaction, which the twin has applied, and the twin's error.
    pub fn next(&mut self) -> (TxnHeader, Txn, i32) {
        self.zxid += 1;
        let session = self.rng.random_range(1..=4);
        let txn = if self.rng.random_ratio(1, 10) {
            self.multi(session)
        } else {
            self.one(session)
        };
        let header = header(session, self.zxid, &txn);
        let err = self.twin.apply(&header, &txn);
        (header, txn, err)
    }

    fn multi(&mut self, session: i64) -> Txn {
        // Each op is judged after the ones before it, as in a real multi.
        let before = self.twin.clone();
        let mut txns = Vec::new();
        for _ in 0..self.rng.random_range(0..5) {
            let txn = loop {
                let txn = self.one(session);
                if !matches!(
                    txn,
                    Txn::CreateSession(_) | Txn::CloseSession(_) | Txn::SetAcl(_)
                ) {
                    break txn;
                }
            };
            self.twin.apply(&header(session, self.zxid, &txn), &txn);
            txns.push(txn);
        }
        self.twin = before;
        Txn::Multi(txns)
    }

    fn one(&mut self, session: i64) -> Txn {
        match self.rng.random_range(0..100) {
            0..40 => self.create(),
            40..55 => delete(&self.leaf()),
            55..75 => self.set_data(),
            75..83 => {
                let (path, version) = self.existing(|stat| stat.aversion);
                set_acl(&path, self.rng.random_range(0..32), version + 1)
            }
            83..90 => Txn::CreateSession(CreateSessionTxn { timeout: 4000 }),
            90..96 => self.close(session),
            _ => Txn::Error(ErrorTxn { err: -103 }),
        }
    }

    fn create(&mut self) -> Txn {
        let (parent, cversion) = self.existing(|stat| stat.cversion);
        let parent = if parent == "/" { String::new() } else { parent };
        let name = *["a", "b", "c", "ünï", "日本-0000000001"]
            .choose(&mut self.rng)
            .unwrap();
        let name = if self.rng.random_ratio(1, 8) {
            &format!("n{}", self.zxid)
        } else {
            name
        };
        let path = format!("{parent}/{name}");
        if self.strict && self.twin.znodes.contains_key(&path) {
            return Txn::Error(ErrorTxn { err: -110 });
        }
        let parent_cversion = match self.rng.random_range(0..4) {
            0 if !self.strict => -1,
            1 if !self.strict => cversion,
            _ => cversion + 1,
        };
        let acl = Some(vec![world(self.rng.random_range(0..4))]);
        let acl = acl.filter(|_| self.rng.random_ratio(9, 10));
        let (path, data) = (Some(path.into()), self.data());
        let create = CreateTxn {
            path: path.clone(),
            data: data.clone(),
            acl: acl.clone(),
            ephemeral: self.rng.random_ratio(1, 3),
            parent_cversion,
        };
        match self.rng.random_range(0..10) {
            0 => Txn::CreateContainer(CreateContainerTxn {
                path,
                data,
                acl,
                parent_cversion,
            }),
            1 => Txn::CreateTtl(CreateTtlTxn {
                path,
                data,
                acl,
                parent_cversion,
                ttl: self.rng.random_range(1..3),
            }),
            2..5 => Txn::Create2(create),
            _ => Txn::Create(create),
        }
    }

    fn data(&mut self) -> jute::Buffer {
        let length = self.rng.random_range(0..20);
        (length > 0).then(|| vec![b'x'; length - 1].into())
    }

    fn set_data(&mut self) -> Txn {
        let (path, version) = self.existing(|stat| stat.version);
        Txn::SetData(SetDataTxn {
            path: Some(path.into()),
            data: self.data(),
            version: version + 1,
        })
    }

    fn close(&mut self, session: i64) -> Txn {
        let mut paths: Vec<String> = self.twin.of_session(session).into_iter().collect();
        // What has children is not an ephemeral of a real tree; deepest first keeps the twin right
        // all the same.
        paths.reverse();
        if !self.strict && self.rng.random() {
            paths.pop();
            if self.rng.random() {
                return close(None);
            }
        }
        close(Some(&paths.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    /// A path, mostly of a znode there is, and a number of its stat.
    fn existing(&mut self, of: impl Fn(&StatPersisted) -> i32) -> (String, i32) {
        if !self.strict && self.rng.random_ratio(1, 20) {
            return ("/not/there".to_owned(), 0);
        }
        let open = |path: &&String| self.twin.znodes[*path].stat.ephemeral_owner <= 0;
        let paths: Vec<&String> = self.twin.znodes.keys().filter(open).collect();
        let path = *paths.choose(&mut self.rng).unwrap();
        let number = of(&self.twin.znodes[path].stat);
        (
            if path.is_empty() {
                "/".to_owned()
            } else {
                path.clone()
            },
            number,
        )
    }

    /// A znode that may be deleted; where mistakes are allowed, also one with children, or none.
    fn leaf(&mut self) -> String {
        let any = !self.strict && self.rng.random_ratio(1, 10);
        let is_leaf = |path: &&String| {
            !path.starts_with("/zookeeper")
                && !path.is_empty()
                && (any || self.twin.children(path).is_empty())
        };
        let leaves: Vec<&String> = self.twin.znodes.keys().filter(is_leaf).collect();
        match leaves.choose(&mut self.rng) {
            Some(&path) if self.strict || self.rng.random_ratio(9, 10) => path.clone(),
            _ => "/gone".to_owned(),
        }
    }
}

#[test]
fn any_history_gives_what_the_slow_twin_says() {
    for seed in 0..12 {
        let mut writer = Writer::new(seed, false);
        let mut tree = Tree::new(TreeOptions::default());
        for step in 0..600 {
            let (header, txn, err) = writer.next();
            let applied = tree.apply(&header, &txn, &mut Vec::new());
            if let Applied::One(outcome) = applied {
                assert_eq!(outcome.err.0, err, "seed {seed}, {header:?} {txn:?}");
                assert!(outcome.stat.is_none() || outcome.err == ErrorCode::OK);
            }
            if step % 20 == 0 {
                writer.twin.check(&tree);
            }
        }
        writer.twin.check(&tree);
    }
}

#[test]
fn replaying_a_history_gives_the_same_as_applying_it() {
    let mut writer = Writer::new(99, false);
    let mut tree = Tree::new(TreeOptions::default());
    for _ in 0..500 {
        let (header, txn, _) = writer.next();
        tree.replay(&header, &txn);
    }
    writer.twin.check(&tree);
}
