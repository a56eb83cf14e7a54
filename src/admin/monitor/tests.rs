//! Keys and values of `mntr`. That they are Java's is compared in `compat-tests/admin/test_metrics.py`.

use super::*;
use crate::admin::tests::server;

fn admin(cfg: &str) -> Admin {
    server(&format!("dataDir=/d\nclientPort=2181\n{cfg}"), "1")
}

fn value(admin: &Admin, key: &str) -> Option<String> {
    let found = values(admin).into_iter().find(|(name, _)| name == key);
    found.map(|(_, value)| value.to_string())
}

#[test]
fn what_the_server_is_comes_first_and_then_every_metric() {
    let admin = admin("");
    let metrics = &admin.counters.metrics;
    metrics.readlatency.record(2);
    metrics.readlatency.record(5);
    metrics.quota_exceeded_error_per_namespace.at("app").inc();
    let text = mntr(&admin);
    let keys: Vec<&str> = text
        .lines()
        .map(|line| line.split_once('\t').unwrap().0)
        .collect();
    assert_eq!(keys[..2], ["zk_version", "zk_server_state"]);
    // 24 gauges, 51 counters, 42 basic and 23 advanced summaries, and the one key of a set.
    assert_eq!(keys.len(), 2 + 24 + 51 + 42 * 5 + 23 * 9 + 1);
    for (key, expected) in [
        ("server_state", "standalone"),
        ("znode_count", "5"),
        ("avg_readlatency", "3.5"),
        ("cnt_readlatency", "2"),
        ("p50_readlatency", "2"),
        ("p999_readlatency", "5"),
        ("avg_fsynctime", "0.0"),
        ("app_quota_exceeded_error_per_namespace", "1"),
        ("min_client_response_size", "-1"),
        ("connection_drop_probability", "0.0"),
    ] {
        assert_eq!(value(&admin, key).as_deref(), Some(expected), "{key}");
    }
    metrics.reset(false);
    assert_eq!(value(&admin, "cnt_readlatency").as_deref(), Some("0"));
}

#[test]
fn with_prometheus_as_provider_samples_are_shown() {
    let class = "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n";
    let admin = admin(class);
    admin.counters.metrics.readlatency.record(2);
    for (key, expected) in [
        ("server_state", "standalone"),
        ("znode_count", "5.0"),
        ("readlatency{quantile=\"0.5\"}", "2.0"),
        ("readlatency_count", "1.0"),
        ("updatelatency{quantile=\"0.9\"}", "NaN"),
        ("oxkeeper_zxids_left", "4.294967295E9"),
    ] {
        assert_eq!(value(&admin, key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(value(&admin, "avg_readlatency"), None);
    let json = values(&admin)
        .into_iter()
        .find(|(key, _)| key.starts_with("updatelatency{"));
    assert_eq!(serde_json::Value::from(json.unwrap().1), "NaN");
}

#[test]
fn a_member_without_a_leader_shows_what_needs_none() {
    let member =
        admin("initLimit=5\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n");
    let keys: Vec<String> = values(&member).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys[0], "version");
    assert!(keys.iter().any(|key| key == "znode_count"));
    for absent in ["server_state", "uptime", "learners", "leader_uptime"] {
        assert!(!keys.iter().any(|key| key == absent), "{absent}");
    }
    assert_eq!(value(&member, "quorum_size").as_deref(), Some("3"));
    assert_eq!(value(&member, "peer_state").as_deref(), Some("looking"));
}

#[test]
fn a_member_says_how_far_it_is_on_its_way_to_serve() {
    let member =
        admin("initLimit=5\nsyncLimit=5\nserver.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n");
    let (leading, following) = (Role::Leading, Role::Following);
    for (place, expected) in [
        (Place::Discovery(leading), "leading - discovery"),
        (
            Place::Synchronization(leading, None),
            "leading - synchronization",
        ),
        (
            Place::Synchronization(following, Some(SyncWay::Trunc)),
            "following - synchronization - trunc",
        ),
        (Place::Broadcast(Role::Observing), "observing - broadcast"),
    ] {
        member.counters.publish(EnsembleStatus {
            place,
            ..EnsembleStatus::default()
        });
        assert_eq!(value(&member, "peer_state").as_deref(), Some(expected));
    }
}

#[test]
fn quotas_of_a_namespace_add_up() {
    let track = |text: &str| StatsTrack::parse(Some(text.as_bytes()));
    let sums = QuotaSums::of(
        [
            (
                track("count=10,bytes=-1"),
                track("count=3,bytes=30"),
                "/a".to_owned(),
            ),
            (
                track("count=5,bytes=7=;countHardLimit=8"),
                track("count=1,bytes=2"),
                "/a/b".to_owned(),
            ),
            (track("count=-1,bytes=-1"), None, "/c".to_owned()),
        ]
        .into_iter(),
    );
    let of = |sums: Vec<(String, Number)>| -> Vec<String> {
        let shown = sums
            .into_iter()
            .map(|(key, value)| format!("{key}={}", value.float()));
        shown.collect()
    };
    assert_eq!(of(sums.count_limit), ["a=18", "c=-1"]);
    assert_eq!(of(sums.bytes_limit), ["a=6", "c=-1"]);
    assert_eq!(of(sums.count_usage), ["a=4"]);
    assert_eq!(of(sums.bytes_usage), ["a=32"]);
}

#[test]
fn the_numbers_of_an_epoch_run_out() {
    assert_eq!(zxids_left(Zxid(0)), 0xffff_ffff);
    assert_eq!(zxids_left(Zxid(0x5_ffff_fff0)), 15);
}
