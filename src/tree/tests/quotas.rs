//! Quotas: texts and accounting.

use super::*;

const STATS: &str = "/zookeeper/quota/a/zookeeper_stats";
const LIMITS: &str = "/zookeeper/quota/a/zookeeper_limits";

/// `/a` with five bytes, and a quota on it.
fn limited() -> Applier {
    let mut applier = Applier::new();
    for (path, data) in [
        ("/a", "12345"),
        ("/zookeeper/quota/a", ""),
        (LIMITS, "count=10,bytes=-1"),
        (STATS, "junk"),
    ] {
        assert_eq!(
            applier.one(Txn::Create(create(path, data))).err,
            ErrorCode::OK
        );
    }
    applier
}

#[test]
fn texts_are_read_as_java_reads_them() {
    for (text, expected) in [
        ("", Some((-1, -1, -1, -1))),
        ("count=5,bytes=10", Some((5, 10, -1, -1))),
        (
            "count=5,bytes=-1=;byteHardLimit=7;countHardLimit=9",
            Some((5, -1, 9, 7)),
        ),
        ("bytes=3;;,count==9,", Some((-1, 3, -1, -1))),
        (",", Some((-1, -1, -1, -1))),
        ("count=", None),
        ("junk", None),
        ("count=x", None),
        (",count=1", None),
        ("=", None),
        ("count=99999999999999999999", None),
    ] {
        let track = StatsTrack::parse(Some(text.as_bytes()));
        let numbers = track.map(|t| {
            (
                t.count(),
                t.bytes(),
                t.count_hard_limit(),
                t.byte_hard_limit(),
            )
        });
        assert_eq!(numbers, expected, "{text:?}");
    }
    assert_eq!(StatsTrack::parse(None), None);
}

#[test]
fn texts_are_written_so_that_old_readers_stop_in_time() {
    for (text, expected) in [
        ("bytes=2,count=1", "count=1,bytes=2"),
        ("", "count=-1,bytes=-1"),
        (
            "z=1,count=5,byteHardLimit=7",
            "count=5,bytes=-1=;byteHardLimit=7;z=1",
        ),
    ] {
        let track = StatsTrack::parse(Some(text.as_bytes())).unwrap();
        assert_eq!(track.to_string(), expected);
    }
}

#[test]
fn stats_follow_create_delete_and_set_data_without_version_or_change() {
    let mut applier = limited();
    assert_eq!(applier.text(STATS), "count=1,bytes=5");
    applier.heard();
    let before = applier.tree.persisted(applier.at(STATS));
    for (txn, expected) in [
        (Txn::Create(create("/a/b", "123")), "count=2,bytes=8"),
        (set_data("/a/b", "1", 1), "count=2,bytes=6"),
        (set_data("/a", "", 1), "count=2,bytes=1"),
        (set_acl("/a", 1, 1), "count=2,bytes=1"),
        (Txn::Create(create("/ab", "123")), "count=2,bytes=1"),
        (delete("/a/b"), "count=1,bytes=0"),
        (delete("/a/missing"), "count=1,bytes=0"),
    ] {
        applier.one(txn);
        assert_eq!(applier.text(STATS), expected);
    }
    assert_eq!(applier.heard(), ["+/a/b", "=/a/b", "=/a", "+/ab", "-/a/b"]);
    assert_eq!(applier.tree.persisted(applier.at(STATS)), before);
}

#[test]
fn the_nearest_quota_counts() {
    let mut applier = limited();
    for path in [
        "/zookeeper/quota/a/b",
        "/zookeeper/quota/a/b/zookeeper_limits",
        "/zookeeper/quota/a/b/zookeeper_stats",
        "/a/b",
        "/a/b/c",
    ] {
        applier.one(Txn::Create(create(path, "")));
    }
    assert_eq!(applier.text(STATS), "count=1,bytes=5");
    assert_eq!(
        applier.text("/zookeeper/quota/a/b/zookeeper_stats"),
        "count=2,bytes=0"
    );
    let quota = applier.tree.quota_of("/a/b/c/d").unwrap();
    assert_eq!(quota.path, "/a/b");
    assert_eq!(applier.tree.quota_of("/a/bc").unwrap().path, "/a");
    assert_eq!(
        quota.limits,
        applier.tree.find("/zookeeper/quota/a/b/zookeeper_limits")
    );
    applier.one(delete("/zookeeper/quota/a/b/zookeeper_limits"));
    assert_eq!(applier.tree.quota_of("/a/b/c").unwrap().path, "/a");
    applier.one(delete(LIMITS));
    assert_eq!(applier.tree.quota_of("/a/b/c"), None);
}

#[test]
fn stats_nobody_can_read_are_counted_anew() {
    let mut applier = limited();
    applier.one(set_data(STATS, "junk", 1));
    applier.one(Txn::Create(create("/a/b", "123")));
    assert_eq!(applier.text(STATS), "count=2,bytes=8");
}

#[test]
fn a_quota_of_the_root_or_of_nothing_does_no_harm() {
    let mut applier = Applier::new();
    for path in [
        "/zookeeper/quota/zookeeper_limits",
        "/zookeeper/quota/zookeeper_stats",
        "/zookeeper/x",
        "/zookeeper/x/zookeeper_limits",
        "/zookeeper/quota/b",
        "/zookeeper/quota/b/zookeeper_stats",
        "/a",
    ] {
        assert_eq!(
            applier.one(Txn::Create(create(path, "1"))).err,
            ErrorCode::OK
        );
    }
    assert_eq!(applier.tree.quota_of("/a"), None);
    assert_eq!(
        applier.text("/zookeeper/quota/b/zookeeper_stats"),
        "count=0,bytes=0"
    );
    for path in [
        "/zookeeper/quota/zookeeper_limits",
        "/zookeeper/x/zookeeper_limits",
    ] {
        assert_eq!(applier.one(delete(path)).err, ErrorCode::OK);
    }
}

#[test]
fn loading_counts_quotas_anew() {
    let mut applier = limited();
    applier.one(set_data(STATS, "count=77,bytes=77", 1));
    let mut out = bytes::BytesMut::new();
    let mut frozen = applier.tree.freeze().unwrap();
    frozen.header(&mut out);
    assert!(frozen.emit(&applier.tree, 100, &mut out));
    let mut loaded = super::frozen::load(&out, frozen.zxid());
    let stats = loaded.find(STATS).unwrap();
    assert_eq!(loaded.data(stats), Some(&b"count=1,bytes=5"[..]));
    let txn = delete("/a");
    loaded.replay(&header(1, 50, &txn), &txn);
    assert_eq!(
        loaded.data(loaded.find(STATS).unwrap()),
        Some(&b"count=0,bytes=0"[..])
    );
}
