//! Sessions that a leader does not know: nobody is told that they are over before a quorum has confirmed the leader.

use super::ensemble::Ensemble;
use super::*;
use crate::zab::packet::FromLeader;

fn is_ping(packet: &FromLeader) -> bool {
    matches!(packet, FromLeader::Ping { .. })
}

fn is_ping_or_commit(packet: &FromLeader) -> bool {
    is_ping(packet) || matches!(packet, FromLeader::Commit(_))
}

/// Whether the client was told that it has no session.
fn refused(conn: &Conn) -> bool {
    let frames = taken(conn);
    frames.len() == 1 && frames[0][4..8] == [0; 4] && conn.outbox.has_last_word()
}

fn is_silent(conn: &Conn) -> bool {
    taken(conn).is_empty() && !conn.outbox.has_last_word()
}

#[test]
fn nobody_is_told_that_a_session_is_over_before_a_quorum_confirms_the_leader() {
    for at_leader in [true, false] {
        let mut ensemble = Ensemble::of_three();
        let id = match at_leader {
            true => ensemble.leader(),
            false => ensemble.learners()[0],
        };
        ensemble.stalled = is_ping;
        let (one, other) = (
            ensemble.connect(id, SessionId(77)),
            ensemble.connect(id, SessionId(78)),
        );
        assert!(is_silent(&one) && is_silent(&other));
        // Who has a session is let in without asking anybody.
        let known = ensemble.open(id);
        let back = ensemble.move_to(id, &known);
        assert_eq!(taken(&back).len(), 0);
        ensemble.unstall();
        assert!(refused(&one) && refused(&other));
        ensemble.check();
    }
}

#[test]
fn a_leader_that_is_deposed_and_does_not_know_it_gives_up_no_session_of_its_successor() {
    let mut ensemble = Ensemble::of_three();
    let leader = ensemble.leader();
    // It hears of nobody any more, as if it had been replaced.
    ensemble.stalled = |_| true;
    let local = ensemble.connect(leader, SessionId(77));
    ensemble.pass(10_000);
    assert!(taken(&local).is_empty() && local.outbox.is_closed());
    ensemble.kept.clear();
    ensemble.stalled = |_| false;
    ensemble.settle();
    let id = ensemble.leader();
    let again = ensemble.connect(id, SessionId(77));
    assert!(refused(&again), "nothing of the old leadership is left");
    ensemble.check();
}

#[test]
fn a_session_is_called_over_only_once_its_end_is_agreed() {
    let mut ensemble = Ensemble::of_three();
    let leader = ensemble.leader();
    let conn = ensemble.open(leader);
    // Its end is judged and proposed; no follower has acknowledged it.
    ensemble.stalled = |packet| matches!(packet, FromLeader::Proposal { .. });
    ensemble.send(leader, &conn, 1, close());
    let back = ensemble.connect(leader, session(&conn));
    assert!(is_silent(&back));
    ensemble.unstall();
    assert!(refused(&back));
    ensemble.check();
}

#[test]
fn a_client_that_hangs_up_while_its_leader_is_in_doubt_leaves_nothing_behind() {
    let mut ensemble = Ensemble::of_three();
    let leader = ensemble.leader();
    ensemble.stalled = is_ping_or_commit;
    let gone = ensemble.connect(leader, SessionId(77));
    let patient = ensemble.connect(leader, SessionId(77));
    ensemble.hang_up(leader, &gone);
    ensemble.unstall();
    assert!(taken(&gone).is_empty() && gone.lane.get().is_none());
    assert!(refused(&patient));
    ensemble.check();
}

#[test]
fn a_server_alone_needs_no_round_to_call_a_session_over() {
    let mut server = World::new();
    let id = SessionId(77);
    let conn = server.connect(id, &crate::session::password::of(id));
    assert!(refused(&conn));
}
