//! A test for each clause of the Zab paper, and for each name of `zookeeper-specifications/` (zab.md 12).
//!
//! Steps are those of algorithms 1 to 3 of "Zab: High-performance broadcast for primary-backup systems" (DSN 2011):
//! CEPOCH is FOLLOWERINFO here, NEWEPOCH is LEADERINFO, ACK-E is ACKEPOCH, and COMMIT of phase 2 is UPTODATE. Where the
//! election has chosen the leader for its history, step l.1.2 selects its own. Every script is also held to all of
//! [`Promises`](super::promises::Promises), and random ensembles (`random.rs`) to nothing else.

use super::scenarios::trace;

const THREE: &str = "
    voters 3
    server 1 2 3 epoch=1 log=1:1
    boot 1 2 3
    run 300
";

/// Where in a trace a line is.
fn at(trace: &[String], line: &str) -> usize {
    let found = trace.iter().position(|other| other.starts_with(line));
    found.unwrap_or_else(|| panic!("no {line:?} in {trace:#?}"))
}

fn in_order(trace: &[String], lines: &[&str]) {
    let places: Vec<usize> = lines.iter().map(|line| at(trace, line)).collect();
    assert!(
        places.is_sorted(),
        "{lines:?} are at {places:?} of {trace:#?}"
    );
}

fn has(trace: &[String], line: &str) -> bool {
    trace.iter().any(|other| other.starts_with(line))
}

fn play(rest: &str) -> Vec<String> {
    trace(&format!("{THREE}{rest}"))
}

/// Phase 1, f.1.1 and l.1.1.
#[test]
fn a_leader_proposes_an_epoch_later_than_all_of_a_quorum_have_accepted() {
    let seen = trace(
        "voters 3
         server 1 epoch=1 accepted=7 log=1:1
         server 2 3 epoch=1 log=1:1
         boot 1 3
         run 300",
    );
    in_order(&seen, &["1 -> 3 FOLLOWERINFO 7", "3 -> 1 LEADERINFO 8"]);
    let alone = trace("voters 3\nserver 3\nboot 3\nrun 3000");
    assert!(!has(&alone, "3 disk has accepted"), "{alone:?}");
}

/// Phase 1, f.1.2; E1.
#[test]
fn a_follower_answers_an_epoch_when_it_is_durable_and_accepts_no_older_one() {
    let seen = play("");
    in_order(
        &seen,
        &[
            "1 disk has accepted epoch 2",
            "1 -> 3 ACKEPOCH 1:1 current=1",
        ],
    );
    in_order(
        &seen,
        &["3 disk has accepted epoch 2", "3 -> 1 LEADERINFO 2"],
    );
    // 2 comes when the epoch is decided, and has accepted a later one: only another election helps.
    let late = trace(
        "voters 3
         server 1 3 epoch=1 log=1:1
         server 2 epoch=1 accepted=9 log=1:1
         boot 1 3
         run 300
         boot 2
         run 1000",
    );
    in_order(
        &late,
        &[
            "3 Leading in epoch 2",
            "2 -> 3 FOLLOWERINFO 9",
            "3 gives up",
            "3 Leading in epoch 10",
        ],
    );
    let answers = |line: &&String| line.starts_with("2 -> 3 ACKEPOCH");
    assert_eq!(late.iter().filter(answers).count(), 1, "{late:#?}");
}

/// Phase 1, l.1.2: the history of the epoch is the newest of a quorum.
#[test]
fn the_history_of_an_epoch_is_the_newest_of_a_quorum() {
    let seen = trace(
        "voters 3
         server 1 epoch=2 log=1:1,2:1
         server 2 3 epoch=1 log=1:1-1:9
         boot 1 3
         run 300",
    );
    in_order(
        &seen,
        &[
            "3 follows 1",
            "1 -> 3 SNAP",
            "1 Leading in epoch 3 with 2:1",
        ],
    );
}

/// Phase 2, l.2.1 and f.2.1; E2. The paper lets a follower change its epoch and its history atomically; here the
/// history is durable first.
#[test]
fn newleader_is_acknowledged_when_the_history_and_then_the_epoch_are_durable() {
    let seen = trace(
        "voters 3
         server 1 epoch=1 log=1:1
         server 3 epoch=1 log=1:1-1:3
         server 2
         boot 1 3
         run 300",
    );
    in_order(
        &seen,
        &[
            "3 disk has current epoch 2",
            "3 -> 1 DIFF 1:3",
            "3 -> 1 PROPOSAL 1:2",
            "3 -> 1 PROPOSAL 1:3",
            "3 -> 1 NEWLEADER 2:0",
            "1 disk has 1:2",
            "1 disk has 1:3",
            "1 disk has current epoch 2",
            "1 -> 3 ACK 2:0",
        ],
    );
}

/// Phase 2, l.2.2 and f.2.2; E3: no proposal and no delivery before a quorum has the history.
#[test]
fn an_epoch_begins_when_a_quorum_has_its_history_and_delivers_it_first() {
    let seen = play("write 3\nrun");
    in_order(
        &seen,
        &[
            "1 -> 3 ACK 2:0",
            "3 Leading in epoch 2",
            "3 -> 1 UPTODATE",
            "1 Following",
            "3 -> 1 PROPOSAL 2:1",
        ],
    );
    let stalled = trace(
        "voters 3
         server 1 2 3 epoch=1 log=1:1
         boot 1 2 3
         run until=3_->_1_NEWLEADER
         stall 1 2
         run 500",
    );
    assert!(
        !has(&stalled, "3 Leading") && !has(&stalled, "3 -> 1 UPTODATE"),
        "{stalled:#?}"
    );
}

/// Phase 3, l.3.1, f.3.1 and f.3.2; D1. LocalPrimaryOrder.
#[test]
fn proposals_go_out_in_order_and_are_acknowledged_when_durable() {
    let seen = play("write 3\nwrite 3\nrun");
    in_order(
        &seen,
        &[
            "3 -> 1 PROPOSAL 2:1",
            "3 -> 1 PROPOSAL 2:2",
            "1 disk has 2:1",
            "1 -> 3 ACK 2:1",
        ],
    );
    in_order(&seen, &["1 disk has 2:2", "1 -> 3 ACK 2:2"]);
    in_order(&seen, &["1 delivers 2:1", "1 delivers 2:2"]);
    let stalled = play("stall 1 2\nwrite 3\nrun 100");
    assert!(!has(&stalled, "1 -> 3 ACK 2:1"));
}

/// Phase 3, l.3.2 and f.3.3; D2. The leader's own disk is one of the quorum and no more.
#[test]
fn a_proposal_is_agreed_when_a_quorum_has_it() {
    let own = play("stall 1 2\nwrite 3\nrun 100");
    assert!(
        has(&own, "3 disk has 2:1") && !has(&own, "3 delivers 2:1"),
        "{own:#?}"
    );
    let others = play("stall 3\nwrite 3\nrun 100");
    in_order(
        &others,
        &[
            "1 -> 3 ACK 2:1",
            "2 -> 3 ACK 2:1",
            "3 -> 1 COMMIT 2:1",
            "3 delivers 2:1",
        ],
    );
    assert!(!has(&others, "3 disk has 2:1"));
}

/// Phase 3, l.3.3 and l.3.4: a follower that comes late gets the epoch, the history and what was proposed since.
#[test]
fn a_late_follower_gets_the_history_and_what_was_proposed_since() {
    let seen = trace(
        "voters 3
         server 1 2 3 epoch=1 log=1:1
         boot 2 3
         run 300
         write 3
         run
         boot 1
         run 300",
    );
    in_order(
        &seen,
        &[
            "3 -> 1 LEADERINFO 2",
            "3 -> 1 PROPOSAL 2:1",
            "3 -> 1 NEWLEADER 2:0",
            "1 -> 3 ACK 2:0",
            "3 -> 1 UPTODATE",
        ],
    );
}

/// Properties: Agreement, TotalOrder, GlobalPrimaryOrder, PrimaryIntegrity; D3. What a leader told its client is in the
/// next epoch, before anything of that.
#[test]
fn what_one_primary_delivered_comes_before_what_the_next_one_proposes() {
    let seen = play(
        "write 3
         run until=2_->_3_ACK_2:1
         cut 3 1 2
         run until=3_delivers_2:1
         crash 3
         run 1500
         write 2
         run
         heal
         boot 3
         run 500",
    );
    in_order(&seen, &["2 Leading in epoch 3 with 2:1", "2 delivers 3:1"]);
    assert!(has(&seen, "3 Following in epoch 3 with 3:1"), "{seen:#?}");
}

/// Property: Integrity; S3. What no quorum had is nowhere once the others went on.
#[test]
fn what_only_a_dead_primary_had_is_never_delivered() {
    let seen = play(
        "cut 3 1 2
         write 3
         run
         crash 3
         run 1500
         write 2
         run
         heal
         boot 3
         run 500
         show 3",
    );
    in_order(
        &seen,
        &[
            "3 disk has 2:1",
            "2 Leading in epoch 3 with 1:1",
            "2 delivers 3:1",
        ],
    );
    assert!(has(&seen, "3 holds 1:1 3:1"), "{seen:#?}");
}

/// D3: everything that was answered is there after the power failed everywhere.
#[test]
fn nothing_agreed_is_lost_when_the_power_fails_everywhere() {
    let seen = play(
        "stall 2
         write 3
         run
         crash 1 2 3
         go 2
         boot 1 2 3
         run 500",
    );
    in_order(&seen, &["3 delivers 2:1", "3 crashes"]);
    assert!(has(&seen, "2 Following in epoch 3 with 2:1"), "{seen:#?}");
}

/// Leadership1, Leadership2 and Q1: a leader without a quorum steps down, and the next one has another epoch.
#[test]
fn an_epoch_has_one_leader_and_one_without_a_quorum_steps_down() {
    let seen = play("isolate 3\nrun 3000\nheal\nrun 1500");
    in_order(
        &seen,
        &[
            "3 Leading in epoch 2",
            "3 gives up: only 1 servers",
            "2 Leading in epoch 3",
            "3 Following in epoch 3",
        ],
    );
}
