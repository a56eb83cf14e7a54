//! What the simulator must find: known mistakes, put back on purpose, each within a stated number of seeds.
//!
//! `src/zab/tests/random.rs` does the same with bare peers for every mistake of the protocol. Here are those that whole
//! ensembles show soon, and those of what stands around a replica, which peers alone cannot show.

use crate::sim::Broken;
use crate::sim::plan::{Fault, Plan};
use crate::sim::run::{Options, guarded};
use crate::sim::shell::Slip;
use crate::zab::mistake::Mistake;

/// The first seed of so many that shows it, and what does not hold then.
fn found(options: Options, within: u64) -> Option<(u64, Broken)> {
    (0..within).find_map(|seed| guarded(seed, &options).broken.map(|broken| (seed, broken)))
}

/// Panics unless the mistake is found, by the properties that are meant to find it.
fn must_find(what: &str, options: Options, within: u64, properties: &[&str]) {
    let Some((seed, broken)) = found(options, within) else {
        panic!("{what}: not found within {within} seeds");
    };
    assert!(
        properties
            .iter()
            .any(|property| broken.property.starts_with(property)),
        "{what}: seed {seed} breaks something else: {broken}"
    );
    println!("{what}: seed {seed}: {broken}");
}

/// Leaders that come and go under load, so that what they wrote alone has to be cut off.
fn restless(plan: &mut Plan) {
    (plan.voters, plan.observers, plan.clients) = (3, 0, 4);
    (plan.think, plan.fault_gap, plan.faulty) = (20_000, 300_000, 20_000_000);
    (plan.rollover, plan.delay) = (false, (100, 2_000));
    plan.history.count = 500;
    plan.history.bytes = 1 << 20;
    plan.snap_count = 100;
    plan.faults = vec![
        (Fault::KillLeader, 10),
        (Fault::IsolateLeader, 20),
        (Fault::PauseLeader, 5),
        (Fault::QuorumPort, 10),
        (Fault::Kill, 8),
    ];
}

fn must_find_mistake(mistake: Mistake, within: u64, properties: &[&str]) {
    let options = Options {
        mistake: Some(mistake),
        ..Options::default()
    };
    must_find(&format!("{mistake:?}"), options, within, properties);
}

fn must_find_slip(slip: Slip, within: u64, properties: &[&str]) {
    let options = Options {
        slip: Some(slip),
        ..Options::default()
    };
    must_find(&format!("{slip:?}"), options, within, properties);
}

#[test]
fn zk_3023_4394_an_answer_before_the_epoch() {
    must_find_mistake(Mistake::AnswerBeforeEpoch, 3, &["E2"]);
}

#[test]
fn an_acknowledgement_before_the_sync() {
    must_find_mistake(Mistake::AckBeforeSync, 3, &["D1"]);
}

#[test]
fn the_leaders_own_word_before_its_sync() {
    must_find_mistake(
        Mistake::OwnAckBeforeSync,
        8,
        &["D2", "Integrity", "PrimaryIntegrity"],
    );
}

#[test]
fn an_accepted_epoch_in_memory_only() {
    must_find_mistake(Mistake::AcceptedEpochOnlyInMemory, 3, &["E1", "E2"]);
}

#[test]
fn zk_1154_1156_no_truncation() {
    let options = Options {
        mistake: Some(Mistake::NoTruncation),
        change: Some(restless),
        ..Options::default()
    };
    let properties = ["S1", "PrimaryIntegrity", "PrefixConsistency"];
    must_find("NoTruncation", options, 20, &properties);
}

#[test]
fn zk_3104_newleader_too_early() {
    must_find_mistake(
        Mistake::NewLeaderTooEarly,
        12,
        &["E2", "PrimaryIntegrity", "S1"],
    );
}

#[test]
fn zk_335_1081_service_before_a_quorum_has_the_history() {
    must_find_mistake(Mistake::ServeBeforeQuorum, 3, &["E3", "Leadership"]);
}

#[test]
fn an_initial_history_that_is_never_delivered() {
    must_find_mistake(
        Mistake::InitialHistoryNotDelivered,
        8,
        &["S1", "PrimaryIntegrity"],
    );
}

#[test]
fn a_session_called_over_by_a_leader_that_is_deposed() {
    let options = Options {
        mistake: Some(Mistake::RefuseWithoutRound),
        change: Some(restless),
        ..Options::default()
    };
    let properties = ["a session lives until its end is agreed on"];
    must_find("RefuseWithoutRound", options, 60, &properties);
}

fn must_find_in_restores(mistake: Mistake, properties: &[&str]) {
    let options = Options {
        mistake: Some(mistake),
        change: Some(Plan::restore_often),
        ..Options::default()
    };
    must_find(&format!("{mistake:?}"), options, 10, properties);
}

#[test]
fn a_restored_database_at_a_position_that_was_given_out() {
    must_find_in_restores(Mistake::RestoreInPlace, &["Integrity"]);
}

#[test]
fn zxids_of_a_restored_database_that_are_given_out_again() {
    let properties = ["Integrity: no zxid is given out again"];
    must_find_in_restores(Mistake::RestoredEpochsForgotten, &properties);
}

#[test]
fn zk_4785_records_reported_before_they_are_synced() {
    must_find_slip(Slip::LogBeforeSync, 6, &["what was durable survives"]);
}

#[test]
fn zk_3701_a_truncation_reported_and_not_done() {
    let options = Options {
        slip: Some(Slip::TruncateNothing),
        change: Some(restless),
        ..Options::default()
    };
    let properties = [
        "a log holds",
        "PrimaryIntegrity",
        "S1",
        "TotalOrder",
        "a server starts",
    ];
    must_find("TruncateNothing", options, 30, &properties);
}

#[test]
fn zk_2872_a_received_snapshot_reported_and_not_written() {
    must_find_slip(
        Slip::InstallNothing,
        8,
        &["what was durable survives", "a server starts", "P", "S1"],
    );
}

#[test]
fn zk_2307_2354_epochs_reported_and_not_written() {
    must_find_slip(Slip::EpochsInMemory, 6, &["E1", "E2", "a server starts"]);
}
