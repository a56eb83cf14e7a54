//! The table as a whole.

mod doc;

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

fn all() -> impl Iterator<Item = &'static Declared> {
    Metrics::DECLARED.iter().chain(Gauges::DECLARED)
}

#[test]
fn every_metric_of_java_is_declared_once() {
    let mut names = BTreeSet::new();
    for declared in all() {
        assert!(names.insert(declared.name), "{} twice", declared.name);
        assert!(declared.help.ends_with('.'), "{}", declared.name);
    }
    let java = |declared: &&Declared| matches!(declared.origin, Origin::Java | Origin::Silent);
    let of = |kind: Kind, label: Option<&str>| {
        let found = Metrics::DECLARED.iter().filter(java);
        found
            .filter(|declared| declared.kind == kind && declared.label == label)
            .count()
    };
    assert_eq!(of(Kind::Counter, None), 51);
    assert_eq!(of(Kind::Counter, Some("key")), 1);
    assert_eq!(of(Kind::Basic, None), 42);
    assert_eq!(of(Kind::Advanced, None), 23);
    assert_eq!(of(Kind::Basic, Some("key")), 3);
    assert_eq!(of(Kind::Advanced, Some("key")), 2);
}

#[test]
fn each_shows_every_handle_with_its_own_declaration() {
    let metrics = Metrics::default();
    metrics.proposal_count.add(3);
    metrics.fsynctime.record(7);
    let mut seen = Vec::new();
    metrics.each(&mut |declared, reading| match reading {
        Reading::Counter(counter) if counter.total() > 0 => seen.push(declared.name),
        Reading::Summary(summary) if summary.since_reset().count > 0 => seen.push(declared.name),
        _ => {}
    });
    assert_eq!(seen, ["fsynctime", "proposal_count"]);
    let gauges = Gauges {
        znode_count: Some(5_i64.into()),
        quorum_size: Some(3_i64.into()),
        ..Gauges::default()
    };
    let mut seen = Vec::new();
    gauges.each(&mut |declared, reading| {
        if let Reading::Number(value) = reading {
            seen.push((declared.name, value));
        }
    });
    assert_eq!(
        seen,
        [
            ("znode_count", Number::Int(5)),
            ("quorum_size", Number::Int(3))
        ]
    );
}

#[test]
fn a_reset_leaves_proportions_alone_where_prometheus_provides() {
    let metrics = Metrics::default();
    let record = || {
        metrics.commit_count.inc();
        metrics.stats.packets_received.add(2);
        metrics.stats.latency.record(9);
        metrics.stats.auth_failed.inc();
    };
    record();
    metrics.reset(true);
    assert_eq!(metrics.commit_count.since_reset(), 1);
    assert_eq!(metrics.stats.packets_received.since_reset(), 0);
    assert_eq!(metrics.stats.latency.since_reset().max, 0);
    assert_eq!(metrics.stats.auth_failed.since_reset(), 1);
    metrics.reset(false);
    assert_eq!(metrics.commit_count.since_reset(), 0);
    assert_eq!(metrics.commit_count.total(), 1);
}

#[test]
fn windows_move_with_the_time() {
    let metrics = Metrics::default();
    let at = |minutes: u64| Mono(1) + Duration::from_secs(60 * minutes);
    metrics.tick(at(0));
    metrics.readlatency.record(50);
    let median = || metrics.readlatency.lately().quantiles[0];
    for minute in 1..=9 {
        metrics.tick(at(minute));
        assert!((median() - 50.0).abs() < 1.0, "minute {minute}");
    }
    metrics.tick(at(10));
    assert!(median().is_nan());
    metrics.readlatency.record(3);
    metrics.tick(at(60));
    assert!(median().is_nan(), "a long sleep ends every window");
}
