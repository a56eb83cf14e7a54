//! The same semantics over a sorted map of full paths, slow and obvious.

use super::*;
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq)]
pub struct TwinZnode {
    pub data: Option<Vec<u8>>,
    pub acl: Vec<Acl>,
    pub stat: StatPersisted,
}

/// Keys are full paths, "" for the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    pub znodes: BTreeMap<String, TwinZnode>,
    pub sessions: BTreeMap<i64, i32>,
    pub zxid: i64,
}

impl Twin {
    pub fn new() -> Twin {
        let znode = |perms, aversion| TwinZnode {
            data: Some(vec![]),
            acl: vec![world(perms)],
            stat: StatPersisted {
                aversion,
                ..StatPersisted::default()
            },
        };
        let znodes = [
            (String::new(), znode(31, 0)),
            (path::ZOOKEEPER.to_owned(), znode(31, 0)),
            (path::QUOTA.to_owned(), znode(31, 0)),
            (path::CONFIG.to_owned(), znode(1, -1)),
        ];
        Twin {
            znodes: znodes.into(),
            sessions: BTreeMap::new(),
            zxid: 0,
        }
    }

    pub fn children(&self, path: &str) -> BTreeSet<String> {
        let below = self
            .znodes
            .keys()
            .filter(|other| path::parent(other) == Some(path));
        below.map(|child| path::name(child).to_owned()).collect()
    }

    pub fn of_session(&self, session: i64) -> BTreeSet<String> {
        let owned = self
            .znodes
            .iter()
            .filter(|(_, znode)| znode.stat.ephemeral_owner == session);
        owned.map(|(path, _)| path.clone()).collect()
    }

    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn) -> i32 {
        let err = match txn {
            Txn::Multi(txns) if txns.iter().any(|txn| matches!(txn, Txn::Error(_))) => 0,
            Txn::Multi(txns) => {
                txns.iter().for_each(|txn| {
                    self.one(header, txn);
                });
                0
            }
            txn => self.one(header, txn),
        };
        self.zxid = header.zxid;
        err
    }

    fn one(&mut self, header: &TxnHeader, txn: &Txn) -> i32 {
        match txn {
            Txn::Create(t) | Txn::Create2(t) => {
                let owner = if t.ephemeral { header.client_id } else { 0 };
                self.create(header, &t.path, &t.data, &t.acl, owner, t.parent_cversion)
            }
            Txn::CreateContainer(t) => self.create(
                header,
                &t.path,
                &t.data,
                &t.acl,
                i64::MIN,
                t.parent_cversion,
            ),
            Txn::CreateTtl(t) => {
                let owner = 0xff << 56 | t.ttl;
                self.create(header, &t.path, &t.data, &t.acl, owner, t.parent_cversion)
            }
            Txn::Delete(t) | Txn::DeleteContainer(t) => {
                self.delete(t.path.as_ref().unwrap(), header.zxid)
            }
            Txn::SetData(t) | Txn::Reconfig(t) => {
                let Some(znode) = self.znodes.get_mut(key(t.path.as_ref().unwrap())) else {
                    return -101;
                };
                znode.data = t.data.as_ref().map(|data| data.to_vec());
                znode.stat.mzxid = header.zxid;
                znode.stat.mtime = header.time;
                znode.stat.version = t.version;
                0
            }
            Txn::SetAcl(t) => {
                let Some(znode) = self.znodes.get_mut(key(t.path.as_ref().unwrap())) else {
                    return -101;
                };
                znode.acl = t.acl.clone().unwrap_or_else(|| vec![world(31)]);
                znode.stat.aversion = t.version;
                0
            }
            Txn::CreateSession(t) => {
                self.sessions.insert(header.client_id, t.timeout);
                0
            }
            Txn::CloseSession(t) => {
                let listed = t.as_ref().and_then(|t| t.paths.clone()).unwrap_or_default();
                for path in listed {
                    self.delete(&path, header.zxid);
                }
                for path in self.of_session(header.client_id) {
                    self.delete(&path, header.zxid);
                }
                self.sessions.remove(&header.client_id);
                0
            }
            Txn::Error(t) => t.err,
            Txn::Check(_) | Txn::Multi(_) => 0,
        }
    }

    fn create(
        &mut self,
        header: &TxnHeader,
        path: &Option<Str>,
        data: &jute::Buffer,
        acl: &Option<Vec<Acl>>,
        owner: i64,
        cversion: i32,
    ) -> i32 {
        let path = path.as_ref().unwrap();
        let acl = acl.clone().unwrap_or_else(|| vec![world(31)]);
        let Some(parent) = self.znodes.get_mut(path::parent(path).unwrap()) else {
            return -101;
        };
        let cversion = if cversion == -1 {
            parent.stat.cversion + 1
        } else {
            cversion
        };
        if cversion > parent.stat.cversion {
            parent.stat.cversion = cversion;
            parent.stat.pzxid = header.zxid;
        }
        if let Some(there) = self.znodes.get_mut(path.as_str()) {
            there.acl = acl;
            return -110;
        }
        let stat = StatPersisted {
            czxid: header.zxid,
            mzxid: header.zxid,
            pzxid: header.zxid,
            ctime: header.time,
            mtime: header.time,
            ephemeral_owner: owner,
            ..StatPersisted::default()
        };
        let data = data.as_ref().map(|data| data.to_vec());
        self.znodes
            .insert(path.to_string(), TwinZnode { data, acl, stat });
        0
    }

    fn delete(&mut self, path: &str, zxid: i64) -> i32 {
        let Some(parent) = self.znodes.get_mut(path::parent(path).unwrap()) else {
            return -101;
        };
        parent.stat.pzxid = parent.stat.pzxid.max(zxid);
        let below = format!("{path}/");
        self.znodes.retain(|other, _| !other.starts_with(&below));
        if self.znodes.remove(path).is_some() {
            0
        } else {
            -101
        }
    }

    /// The digest over everything, from the bytes as Java lays them out.
    pub fn digest(&self) -> u64 {
        let mut sum = 0u64;
        for (path, znode) in &self.znodes {
            if path.starts_with("/zookeeper/") {
                continue;
            }
            let mut bytes = path.as_bytes().to_vec();
            bytes.extend(znode.data.iter().flatten());
            let s = &znode.stat;
            for long in [s.czxid, s.mzxid, s.pzxid, s.ctime, s.mtime] {
                bytes.extend(long.to_be_bytes());
            }
            for int in [s.version, s.cversion, s.aversion] {
                bytes.extend(int.to_be_bytes());
            }
            bytes.extend(s.ephemeral_owner.to_be_bytes());
            sum = sum.wrapping_add(u64::from(crc32fast::hash(&bytes)));
        }
        sum
    }

    /// Everything that can be asked of `tree` answers as this twin would.
    pub fn check(&self, tree: &Tree) {
        assert_eq!(tree.last_zxid(), Zxid(self.zxid));
        assert_eq!(tree.digest(), self.digest(), "digest at {}", self.zxid);
        assert_eq!(tree.znode_count(), self.znodes.len() + 1);
        let size = |(path, znode): (&String, &TwinZnode)| {
            path.chars().map(char::len_utf16).sum::<usize>()
                + znode.data.as_ref().map_or(0, Vec::len)
        };
        assert_eq!(
            tree.data_size() as usize,
            1 + self.znodes.iter().map(size).sum::<usize>()
        );
        let sessions: Vec<_> = self
            .sessions
            .iter()
            .map(|(&id, &ms)| (SessionId(id), ms))
            .collect();
        assert_eq!(tree.sessions().collect::<Vec<_>>(), sessions);
        for (path, znode) in &self.znodes {
            self.check_znode(tree, path, znode);
        }
        self.check_owners(tree);
    }

    fn check_znode(&self, tree: &Tree, path: &str, znode: &TwinZnode) {
        let at = tree
            .find(path)
            .unwrap_or_else(|| panic!("{path} is missing"));
        assert_eq!(tree.path_of(at), if path.is_empty() { "/" } else { path });
        assert_eq!(tree.persisted(at), znode.stat, "{path}");
        assert_eq!(tree.data(at), znode.data.as_deref(), "{path}");
        assert_eq!(tree.acl(at)[..], znode.acl[..], "{path}");
        let crc = digest::path_data_crc(path, znode.data.as_deref());
        assert_eq!(tree.path_data_crc(at), crc, "{path}");
        let children = self.children(path);
        let stat = tree.stat(at);
        assert_eq!(tree.child_count(at) as usize, children.len());
        assert_eq!(stat.num_children as usize, children.len());
        assert_eq!(
            stat.cversion,
            znode.stat.cversion * 2 - children.len() as i32
        );
        let below = format!("{path}/");
        let descendants = self
            .znodes
            .keys()
            .filter(|other| other.starts_with(&below))
            .count();
        assert_eq!(tree.descendant_count(at), descendants, "{path}");
        let mut names: Vec<&str> = tree.children(at).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            children.iter().map(String::as_str).collect::<Vec<_>>(),
            "{path}"
        );
    }

    fn check_owners(&self, tree: &Tree) {
        let owners = self.znodes.values().map(|znode| znode.stat.ephemeral_owner);
        let mut sessions: BTreeSet<i64> = owners.collect();
        sessions.remove(&0);
        sessions.remove(&i64::MIN);
        let mut count = 0;
        for &session in sessions.iter().chain(self.sessions.keys()) {
            let paths: BTreeSet<String> = tree.ephemerals(SessionId(session)).collect();
            assert_eq!(paths, self.of_session(session));
        }
        for &session in &sessions {
            count += self.of_session(session).len();
        }
        assert_eq!(tree.ephemeral_count(), count);
        let containers: BTreeSet<String> = tree
            .containers_and_ttls()
            .map(|at| tree.path_of(at))
            .collect();
        assert_eq!(containers, self.of_session(i64::MIN));
    }
}

fn key(path: &str) -> &str {
    if path == "/" { "" } else { path }
}
