//! What the simulator must find: known mistakes, put back on purpose, each within a stated number of seeds.
//!
//! `src/zab/tests/random.rs` does the same with bare peers for every mistake of the protocol. Here are those that whole
//! ensembles show soon, and those of what stands around a replica, which peers alone cannot show.

use std::time::Duration;

use crate::base::flaw::Flaw;
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

/// Links that fall silent without breaking, for longer than sessions live: a leader ends sessions whose clients go on
/// writing, and cannot have their end agreed on.
fn silent_links(plan: &mut Plan) {
    (plan.voters, plan.observers, plan.clients) = (3, 0, 6);
    (plan.tick, plan.sync_ticks, plan.init_ticks) = (Duration::from_millis(50), 100, 200);
    (plan.think, plan.fault_gap, plan.faulty) = (10_000, 1_000_000, 20_000_000);
    (plan.rollover, plan.delay) = (false, (100, 2_000));
    plan.sync_time = (1_000, 30_000);
    plan.faults = vec![(Fault::QuorumPort, 10), (Fault::IsolateLeader, 10)];
}

/// Machines that lose their power again and again in the middle of a write.
fn powerless(plan: &mut Plan) {
    (plan.voters, plan.observers, plan.clients) = (3, 0, 4);
    (plan.think, plan.fault_gap, plan.faulty) = (10_000, 1_500_000, 20_000_000);
    (plan.rollover, plan.delay) = (false, (100, 2_000));
    (plan.sync_time, plan.power_steps) = ((20_000, 100_000), 3);
    plan.faults = vec![(Fault::PowerLoss, 10), (Fault::Blackout, 3)];
}

/// Disks that fail to sync, on machines that lose their power later.
fn bad_disks(plan: &mut Plan) {
    powerless(plan);
    (plan.fault_gap, plan.power_steps) = (300_000, 12);
    plan.faults = vec![
        (Fault::SyncFails, 10),
        (Fault::Kill, 5),
        (Fault::PowerLoss, 3),
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

fn must_find_flaw(flaw: Flaw, change: Option<fn(&mut Plan)>, within: u64, properties: &[&str]) {
    let options = Options {
        flaw: Some(flaw),
        change,
        ..Options::default()
    };
    must_find(&format!("{flaw:?}"), options, within, properties);
}

#[test]
fn zk_1046_counters_that_are_not_restored() {
    must_find_flaw(Flaw::CountersNotRestored, None, 3, &["S1"]);
}

#[test]
fn zk_1208_a_write_behind_the_pending_end_of_its_session() {
    let properties = ["nothing of a session comes after its end"];
    must_find_flaw(
        Flaw::PendingEndsIgnored,
        Some(silent_links),
        20,
        &properties,
    );
}

#[test]
fn zk_1496_a_write_of_a_session_that_is_over() {
    let properties = ["nothing of a session comes after its end"];
    must_find_flaw(
        Flaw::EndedSessionsWrite,
        Some(silent_links),
        20,
        &properties,
    );
}

#[test]
fn zk_2355_ephemerals_that_stay_on_a_learner() {
    let properties = ["PrefixConsistency", "S1"];
    must_find_flaw(Flaw::EphemeralsStayOnLearners, None, 3, &properties);
}

#[test]
fn zk_3144_a_snapshot_that_lacks_a_session() {
    let flaw = Flaw::SessionsMissingInSnapshots;
    must_find_flaw(flaw, Some(restless), 5, &["S1"]);
}

#[test]
fn zk_2926_a_session_that_is_told_before_it_is_agreed() {
    let properties = ["a session begins when it is agreed on"];
    must_find_flaw(Flaw::WelcomeBeforeAgreed, None, 3, &properties);
}

#[test]
fn zk_1412_watches_set_again_without_a_look_at_what_was_missed() {
    let properties = ["no watch is lost by a move"];
    must_find_flaw(Flaw::WatchesSetAgainBlindly, None, 12, &properties);
}

#[test]
fn zk_3145_a_pzxid_that_is_stale_after_a_replay() {
    must_find_flaw(Flaw::ReplayedEndsKeepPzxid, None, 3, &["S1"]);
}

#[test]
fn zk_1863_a_read_before_the_writes_that_it_follows() {
    let properties = ["session order: replies come in order"];
    must_find_flaw(Flaw::ReadsOvertake, None, 3, &properties);
}

#[test]
fn zk_3127_a_position_in_the_middle_of_a_multi() {
    must_find_flaw(Flaw::PositionAmidMulti, None, 12, &["S1"]);
}

#[test]
fn zk_882_917_1319_1367_a_start_without_the_end_of_the_log() {
    let properties = ["what was durable survives"];
    must_find_flaw(Flaw::LastLogNotRead, None, 3, &properties);
}

#[test]
fn zk_596_a_torn_record_that_counts() {
    let properties = [
        "Integrity",
        "PrefixConsistency",
        "what was durable",
        "the ensemble recovers",
    ];
    must_find_flaw(Flaw::TornRecordCounts, Some(powerless), 20, &properties);
}

#[test]
fn zk_1489_a_log_written_on_where_it_was_cut() {
    let properties = ["a server starts", "what was durable survives"];
    must_find_flaw(Flaw::WriterBehindTheCut, Some(restless), 25, &properties);
}

#[test]
fn zk_1818_3109_votes_of_other_rounds() {
    let properties = ["the ensemble recovers"];
    must_find_flaw(Flaw::VotesOfOtherRoundsCount, None, 12, &properties);
}

#[test]
fn zk_1549_2845_memory_that_holds_what_is_not_agreed() {
    let properties = ["PrimaryIntegrity", "PrefixConsistency", "TotalOrder"];
    must_find_mistake(Mistake::DeliverWhenProposed, 8, &properties);
}

#[test]
fn zk_2846_a_log_that_is_sent_as_agreed() {
    must_find_mistake(Mistake::AgreedTooEarly, 12, &["D2"]);
}

#[test]
fn zk_508_a_history_without_its_commits() {
    must_find_mistake(Mistake::SyncWithoutCommits, 5, &["E2", "S1", "Prefix"]);
}

#[test]
fn zk_4352_memory_taken_for_the_whole_history() {
    let properties = ["PrefixConsistency", "S1"];
    must_find_mistake(Mistake::MemoryTakenForWhole, 3, &properties);
}

#[test]
fn zk_2247_4882_a_failed_sync_that_is_ignored() {
    let options = Options {
        slip: Some(Slip::FailedSyncIgnored),
        change: Some(bad_disks),
        ..Options::default()
    };
    let properties = ["what was durable survives", "a server starts"];
    must_find("FailedSyncIgnored", options, 10, &properties);
}

/// As many seeds of each kind as `MISTAKE_SEEDS` says.
#[test]
fn without_a_mistake_nothing_is_found() {
    let wanted = std::env::var("MISTAKE_SEEDS").ok();
    let seeds: u64 = wanted.and_then(|text| text.parse().ok()).unwrap_or(1);
    for change in [restless, silent_links, powerless, bad_disks] {
        let options = Options {
            change: Some(change),
            ..Options::default()
        };
        if let Some((seed, broken)) = found(options, seeds) {
            panic!("{seed}: {broken}");
        }
    }
}
