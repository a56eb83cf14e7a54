//! A restore, from being sent to being served.

use super::ensemble::Ensemble;
use super::*;
use crate::zab::packet::FromLeader;

#[test]
fn a_restore_is_on_from_the_moment_clients_are_cut_off_until_it_is_served() {
    let mut world = World::new();
    let conn = world.open();
    world.send(&conn, 1, create("/a"));
    let tree = Box::new(Tree::new(TreeOptions::default()));
    // What is under way keeps it waiting.
    world.replica.step(world.now, Input::Restore { tree });
    assert!(world.counters.restores() && conn.outbox.is_closed());
    world.commit();
    let mut outputs = Vec::new();
    world.replica.take_outputs(&mut outputs);
    let tree = outputs.into_iter().find_map(|output| match output {
        Output::Disk(DiskOp::InstallSnapshot { tree, .. }) => Some(tree),
        _ => None,
    });
    assert!(world.counters.restores());
    let tree = tree.unwrap();
    world.replica.step(world.now, Input::Installed { tree });
    assert!(!world.counters.restores() && !world.exists("/a"));
    world.open();
}

#[test]
fn a_restore_of_an_ensemble_is_on_until_its_leader_serves_again() {
    let mut ensemble = Ensemble::of_three();
    let leader = ensemble.leader();
    let conn = ensemble.open(leader);
    ensemble.stalled = |packet| matches!(packet, FromLeader::Proposal { .. });
    ensemble.send(leader, &conn, 1, create("/a"));
    let tree = Box::new(Tree::new(TreeOptions::default()));
    ensemble.step(leader, Input::Restore { tree });
    assert!(ensemble.members[&leader].counters.restores());
    ensemble.unstall();
    ensemble.settle();
    assert!(!ensemble.members[&leader].counters.restores());
    ensemble.check();
}
