//! What is recorded, and with which values.

use bytes::Bytes;
use jute::OpCode;
use jute::proto::xid;
use jute::txn::{CreateTxn, DeleteTxn, ErrorTxn};

use super::*;
use crate::base::Epoch;
use crate::metrics::Summary;

const MS: u64 = 1_000_000;

fn measures() -> Measures {
    Measures::new(Arc::new(Metrics::default()), None)
}

fn of(summary: &Summary) -> (u64, u64) {
    let shown = summary.since_reset();
    (shown.count, shown.sum)
}

fn header(zxid: i64, time: i64) -> TxnHeader {
    TxnHeader {
        client_id: 1,
        cxid: xid::PING,
        zxid,
        time,
        kind: OpCode(1),
    }
}

#[test]
fn a_leader_measures_from_its_proposal_to_the_quorum() {
    let mut measures = measures();
    measures.set_stamp(Stamp(10 * MS));
    measures.append(Zxid(1));
    measures.append(Zxid(2));
    measures.set_stamp(Stamp(20 * MS));
    measures.append(Zxid(3));
    measures.set_stamp(Stamp(50 * MS));
    for zxid in 1..=3 {
        measures.apply(&header(zxid, 1000), Standing::Leading, WallMs(1040));
    }
    measures.flush(Mono(0));
    let metrics = &measures.metrics;
    let quorum = metrics.request_stage_seconds[Stage::Quorum].read();
    assert_eq!(quorum.at_most.last(), Some(&3));
    assert!((quorum.seconds - 0.110).abs() < 1e-9, "40 + 40 + 30 ms");
    assert_eq!(of(&metrics.quorum_ack_latency), (3, 120));
    assert_eq!(of(&metrics.propagation_latency), (3, 120));
    assert_eq!(of(&metrics.commit_propagation_latency), (0, 0));
    assert_eq!(measures.work.applied, 3);
}

#[test]
fn a_clock_behind_the_leaders_measures_nothing() {
    let mut measures = measures();
    measures.apply(&header(1, 1000), Standing::Learning, WallMs(999));
    measures.flush(Mono(0));
    assert_eq!(of(&measures.metrics.propagation_latency), (0, 0));
}

#[test]
fn a_time_without_a_leader_ends_when_clients_are_served() {
    let mut measures = measures();
    measures.look(Mono(1000));
    measures.elected(Mono(1200));
    measures.elected(Mono(1300));
    measures.hear(Mono(1250), WallMs(0), &FromLeader::Diff(Zxid(1)), false);
    measures.serve(Mono(1600), Role::Following);
    measures.look(Mono(5000));
    measures.serve(Mono(5100), Role::Leading);
    let metrics = &measures.metrics;
    assert_eq!(metrics.looking_count.total(), 2);
    assert_eq!(of(&metrics.election_time), (2, 200 + 100));
    assert_eq!(of(&metrics.unavailable_time), (2, 600 + 100));
    assert_eq!(of(&metrics.leader_unavailable_time), (1, 100));
    assert_eq!(of(&metrics.follower_sync_time), (1, 350));
}

#[test]
fn learners_that_are_brought_up_to_date_are_counted_at_both_ends() {
    let mut measures = measures();
    let done = FromLeader::NewLeader {
        zxid: Zxid::first_of(Epoch(1)),
        config: None,
    };
    measures.tell(LinkId(1), &FromLeader::Snap(Zxid(1)));
    measures.tell(LinkId(2), &FromLeader::Snap(Zxid(1)));
    measures.tell(LinkId(3), &FromLeader::Trunc(Zxid(1)));
    measures.tell(LinkId(1), &done);
    measures.forget(LinkId(2));
    measures.tell(LinkId(3), &done);
    let metrics = &measures.metrics;
    let counts = (metrics.snap_count.total(), metrics.diff_count.total());
    assert_eq!(counts, (2, 1));
    assert_eq!(of(&metrics.inflight_snap_count), (3, 1 + 2 + 1));
    assert_eq!(of(&metrics.inflight_diff_count), (2, 1));
}

#[test]
fn writes_are_counted_where_they_are_made() {
    let mut measures = measures();
    let create = Txn::Create(CreateTxn {
        path: Some("/app/a".into()),
        data: Some(Bytes::from_static(b"xyz")),
        ..CreateTxn::default()
    });
    let delete = Txn::Delete(DeleteTxn {
        path: Some("/\u{e4}/b".into()),
    });
    measures.changed(&Txn::Multi(vec![create.clone(), delete]));
    measures.changed(&Txn::Multi(vec![
        create,
        Txn::Error(ErrorTxn { err: -101 }),
    ]));
    measures.flush(Mono(0));
    let written = &measures.metrics.write_per_namespace;
    assert_eq!(of(&written.at("app")), (1, 9));
    assert_eq!(of(&written.at("\u{e4}")), (1, 4));
    assert_eq!(namespace("/"), None);
}
