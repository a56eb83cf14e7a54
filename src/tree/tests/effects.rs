//! One transaction at a time: outcomes, changes and stats.

use super::*;

#[test]
fn the_virgin_tree_is_javas() {
    let tree = Tree::new(TreeOptions::default());
    assert_eq!(tree.digest(), 0x51c6_d660);
    assert_eq!((tree.znode_count(), tree.data_size()), (5, 44));
    assert_eq!(tree.descendant_count(tree.find("/").unwrap()), 3);
    for (path, cversion, aversion, children) in [
        ("/", -1, 0, 1),
        ("/zookeeper", -2, 0, 2),
        ("/zookeeper/quota", 0, 0, 0),
        ("/zookeeper/config", 0, -1, 0),
    ] {
        let at = tree.find(path).unwrap();
        let expected = Stat {
            cversion,
            aversion,
            num_children: children,
            ..Stat::default()
        };
        assert_eq!(tree.stat(at), expected, "{path}");
        assert_eq!(tree.data(at), Some(&b""[..]));
        let perms = if path == "/zookeeper/config" { 1 } else { 31 };
        assert_eq!(tree.acl(at)[..], [world(perms)]);
    }
}

#[test]
fn what_is_not_a_path_is_nowhere() {
    let mut applier = Applier::new();
    applier.one(Txn::Create(create("/a", "")));
    for path in [
        "a",
        "//",
        "/a/",
        "//a",
        "zookeeper",
        "/zookeeper//quota",
        " ",
        "/b",
    ] {
        assert_eq!(applier.tree.find(path), None, "{path:?}");
    }
    assert_eq!(applier.tree.find(""), applier.tree.find("/"));
}

#[test]
fn creates_answer_with_the_stat_except_the_first_kind() {
    let mut applier = Applier::new();
    assert_eq!(applier.one(Txn::Create(create("/a", "hi"))).stat, None);
    let outcome = applier.one(Txn::Create2(create("/a/b", "hi")));
    assert_eq!(
        (outcome.op, outcome.path),
        (Op::Create2, Some("/a/b".into()))
    );
    let expected = Stat {
        czxid: 2,
        mzxid: 2,
        pzxid: 2,
        ctime: 1_000_020,
        mtime: 1_000_020,
        data_length: 2,
        ..Stat::default()
    };
    assert_eq!(outcome.stat, Some(expected));
    let parent = applier.tree.stat(applier.at("/a"));
    assert_eq!((parent.cversion, parent.pzxid, parent.mzxid), (1, 2, 1));
}

#[test]
fn set_data_and_set_acl_move_only_their_own_numbers() {
    let mut applier = Applier::new();
    applier.one(Txn::Create(create("/a", "hi")));
    let before = applier.tree.stat(applier.at("/a"));
    let outcome = applier.one(set_data("/a", "hello", 1));
    let data_set = Stat {
        mzxid: 2,
        mtime: 1_000_020,
        version: 1,
        data_length: 5,
        ..before
    };
    assert_eq!(outcome.stat, Some(data_set.clone()));
    let outcome = applier.one(set_acl("/a", 1, 1));
    let acl_set = Stat {
        aversion: 1,
        ..data_set
    };
    assert_eq!(outcome.stat, Some(acl_set));
    assert_eq!(applier.tree.acl(applier.at("/a"))[..], [world(1)]);
    assert_eq!(applier.heard(), ["+/a", "=/a"]);
}

#[test]
fn what_cannot_be_applied_says_so_and_changes_nothing_it_should_not() {
    let mut applier = Applier::new();
    applier.one(Txn::Create(create("/a", "")));
    applier.heard();
    for (txn, err) in [
        (Txn::Create(create("/x/y", "")), ErrorCode::NO_NODE),
        (Txn::Create(create("nowhere", "")), ErrorCode::NO_NODE),
        (Txn::Create(create("//x", "")), ErrorCode::NO_NODE),
        (Txn::Create(create("/a", "")), ErrorCode::NODE_EXISTS),
        (Txn::Create(create("/", "")), ErrorCode::NODE_EXISTS),
        (Txn::Create(create("/a/", "")), ErrorCode::BAD_ARGUMENTS),
        (Txn::Create(CreateTxn::default()), ErrorCode::NO_NODE),
        (delete("/b"), ErrorCode::NO_NODE),
        (delete("/b/c"), ErrorCode::NO_NODE),
        (delete("b"), ErrorCode::NO_NODE),
        (delete(""), ErrorCode::NO_NODE),
        (delete("/"), ErrorCode::BAD_ARGUMENTS),
        (set_data("/b", "", 1), ErrorCode::NO_NODE),
        (set_acl("/b", 1, 1), ErrorCode::NO_NODE),
        (Txn::SetData(SetDataTxn::default()), ErrorCode::NO_NODE),
        (Txn::Error(ErrorTxn { err: -103 }), ErrorCode::BAD_VERSION),
    ] {
        let outcome = applier.one(txn.clone());
        assert_eq!((outcome.err, outcome.stat), (err, None), "{txn:?}");
    }
    assert!(applier.heard().is_empty());
    assert_eq!(applier.tree.znode_count(), 6);
    assert_eq!(applier.tree.last_zxid(), Zxid(applier.zxid));
}

#[test]
fn a_time_to_live_that_does_not_fit_creates_nothing() {
    let mut applier = Applier::new();
    for ttl in [0, -1, MAX_TTL + 1, i64::MIN] {
        let txn = Txn::CreateTtl(CreateTtlTxn {
            path: Some("/t".into()),
            ttl,
            ..CreateTtlTxn::default()
        });
        assert_eq!(applier.one(txn).err, ErrorCode::BAD_ARGUMENTS);
    }
    assert_eq!(applier.tree.digest(), 0x51c6_d660);
}

#[test]
fn ttl_znodes_are_hidden_with_extended_types_and_ephemeral_but_no_orphans_without() {
    for extended_types in [false, true] {
        let mut tree = Tree::new(TreeOptions {
            extended_types,
            ..TreeOptions::default()
        });
        let txn = Txn::CreateTtl(CreateTtlTxn {
            path: Some("/t".into()),
            ttl: 60_000,
            ..CreateTtlTxn::default()
        });
        tree.apply(&header(1, 1, &txn), &txn, &mut Vec::new());
        let at = tree.find("/t").unwrap();
        let owner = 0xff << 56 | 60_000;
        assert_eq!(tree.persisted(at).ephemeral_owner, owner);
        assert_eq!(tree.orphan_sessions(), []);
        if extended_types {
            assert_eq!(tree.kind(at), Kind::Ttl { ms: 60_000 });
            assert_eq!(tree.stat(at).ephemeral_owner, 0);
            assert_eq!(tree.containers_and_ttls().collect::<Vec<_>>(), [at]);
        } else {
            assert_eq!(tree.kind(at), Kind::Ephemeral(SessionId(owner)));
            assert_eq!(tree.stat(at).ephemeral_owner, owner);
            assert_eq!(tree.ephemeral_count(), 1);
        }
    }
}

#[test]
fn closing_a_session_deletes_the_list_first_and_then_what_is_left() {
    let mut applier = Applier::new();
    applier.apply_for(7, Txn::CreateSession(CreateSessionTxn { timeout: 4000 }));
    assert_eq!(applier.tree.session_timeout(SessionId(7)), Some(4000));
    for path in ["/a", "/b", "/c"] {
        applier.apply_for(7, ephemeral(path));
    }
    applier.apply_for(8, ephemeral("/d"));
    applier.heard();
    applier.apply_for(7, close(Some(&["/c", "/gone", "/a"])));
    assert_eq!(applier.heard(), ["-/c", "-/a", "-/b"]);
    assert_eq!(applier.tree.session_timeout(SessionId(7)), None);
    assert_eq!(applier.tree.orphan_sessions(), [SessionId(8)]);
    applier.apply_for(8, close(None));
    assert_eq!(applier.heard(), ["-/d"]);
    assert_eq!(applier.tree.ephemeral_count(), 0);
}

#[test]
fn a_failed_multi_is_all_errors_and_no_effect() {
    let mut applier = Applier::new();
    let applied = applier.apply_for(
        7,
        Txn::Multi(vec![
            Txn::Create(create("/a", "")),
            delete("/a"),
            Txn::Error(ErrorTxn { err: -101 }),
            Txn::Error(ErrorTxn { err: -2 }),
            set_data("/", "x", 1),
        ]),
    );
    let Applied::Multi(outcomes) = applied else {
        panic!("a multi");
    };
    let codes: Vec<i32> = outcomes.iter().map(|outcome| outcome.err.0).collect();
    assert_eq!(codes, [0, 0, -101, -2, -2]);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.op == Op::Error && outcome.stat.is_none())
    );
    assert!(applier.heard().is_empty());
    assert_eq!(
        (applier.tree.digest(), applier.tree.last_zxid()),
        (0x51c6_d660, Zxid(1))
    );
}

#[test]
fn a_multi_applies_in_order_and_each_stat_is_of_its_moment() {
    let mut applier = Applier::new();
    let applied = applier.apply_for(
        7,
        Txn::Multi(vec![
            Txn::Create2(create("/a", "")),
            Txn::Create2(create("/a/b", "")),
            set_data("/a", "xyz", 1),
            delete("/a/b"),
            Txn::Check(CheckVersionTxn::default()),
        ]),
    );
    let Applied::Multi(outcomes) = applied else {
        panic!("a multi");
    };
    let stat = |nth: usize| outcomes[nth].stat.as_ref().unwrap();
    assert_eq!((stat(0).num_children, stat(0).data_length), (0, 0));
    assert_eq!(
        (stat(2).num_children, stat(2).cversion, stat(2).data_length),
        (1, 1, 3)
    );
    assert!(outcomes.iter().all(|outcome| outcome.err == ErrorCode::OK));
    assert_eq!(applier.heard(), ["+/a", "+/a/b", "=/a", "-/a/b"]);
}

#[test]
fn changes_carry_the_acls_that_watches_are_judged_by() {
    let mut applier = Applier::new();
    applier.one(set_acl("/", 3, 1));
    applier.one(Txn::Create(CreateTxn {
        acl: Some(vec![world(5)]),
        ..create("/a", "")
    }));
    applier.one(set_data("/a", "", 1));
    applier.one(set_acl("/a", 7, 1));
    applier.one(delete("/a"));
    let perms = |change: &Change| (change.acl[0].perms, change.parent_acl[0].perms);
    let perms: Vec<_> = applier.changes.iter().map(perms).collect();
    assert_eq!(perms, [(5, 3), (5, 5), (7, 3)]);
}

#[test]
fn an_old_snapshot_gets_the_config_znode_and_unused_acls_go() {
    let mut loader = Loader::new(TreeOptions::default());
    let stat = StatPersisted::default();
    loader.acl(4, vec![world(9)]).unwrap();
    for path in ["", "/zookeeper", "/zookeeper/quota"] {
        loader.znode(path, Some(b""), -1, &stat).unwrap();
    }
    let tree = loader.finish(Zxid(9)).unwrap();
    assert_eq!((tree.digest(), tree.znode_count()), (0x51c6_d660, 5));
    let config = tree.find("/zookeeper/config").unwrap();
    assert_eq!(tree.stat(config).aversion, -1);
    assert_eq!(tree.acls.table().len(), 1);
}

#[test]
fn a_hundred_thousand_ephemerals_go_at_once() {
    let mut applier = Applier::new();
    let paths: Vec<String> = (0..100_000).map(|nth| format!("/e{nth}")).collect();
    for path in &paths {
        applier.one(ephemeral(path));
    }
    applier.heard();
    let listed: Vec<&str> = paths.iter().take(50_000).map(String::as_str).collect();
    applier.apply_for(7, close(Some(&listed)));
    assert_eq!(applier.changes.len(), 100_000);
    assert_eq!(applier.tree.znode_count(), 5);
}

#[test]
fn slots_and_names_are_used_again() {
    let mut applier = Applier::new();
    for round in 0..50 {
        for nth in 0..40 {
            applier.one(Txn::Create(create(&format!("/{nth}"), "")));
        }
        for nth in (0..40).rev() {
            applier.one(delete(&format!("/{}", (nth * 7 + round) % 40)));
        }
    }
    assert_eq!(applier.tree.slab.len(), 44);
    let root = applier.tree.stat(applier.at("/"));
    assert_eq!((root.num_children, root.cversion), (1, 2 * 2000 - 1));
}

#[test]
fn without_digests_nothing_is_hashed() {
    let mut tree = Tree::new(TreeOptions {
        digest: false,
        ..TreeOptions::default()
    });
    let txn = Txn::Create(create("/a", "hi"));
    tree.apply(&header(1, 1, &txn), &txn, &mut Vec::new());
    let at = tree.find("/a").unwrap();
    assert_eq!((tree.digest(), tree.path_data_crc(at)), (0, 0));
}

#[test]
fn a_tree_and_its_view_may_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Tree>();
    crosses::<Frozen>();
    crosses::<Loader>();
}
