//! Cutting the history: bugs that others had in it, and crashes at every step.

use super::*;

/// A server that wrote `/z0` .. `/z5` as zxids 1 to 6, with a snapshot at 2 and one at 4.
fn six_writes() -> (SimDisk, Server) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 0..6 {
        server.create(&format!("/z{n}"), b"data");
        server.sync();
        if n == 1 || n == 3 {
            server.snapshot().unwrap();
        }
    }
    (disk, server)
}

fn cut(disk: &SimDisk, to: i64, reload: bool) -> Result<Truncation, StorageError> {
    truncate_to(disk, &dirs(), Zxid(to), reload, &options())
}

fn done(disk: &SimDisk, to: i64, reload: bool) -> Truncated {
    match cut(disk, to, reload).unwrap() {
        Truncation::Done(truncated) => truncated,
        Truncation::NoWay(why) => panic!("{why}"),
    }
}

fn no_way(disk: &SimDisk, to: i64) -> String {
    let before = disk.changes();
    match cut(disk, to, true).unwrap() {
        Truncation::Done(_) => panic!("it was cut"),
        Truncation::NoWay(why) => {
            assert_eq!(disk.changes(), before, "{why}");
            why
        }
    }
}

fn names_of(disk: &SimDisk) -> Vec<String> {
    disk.list(&dirs().data).unwrap()
}

#[test]
fn zk_1489_what_is_appended_behind_a_cut_is_there_after_a_restart() {
    let (disk, mut server) = six_writes();
    server.log.close();
    done(&disk, 5, false);
    server.log.continue_after(Zxid(5));
    let truncated = recover_sim(&disk).unwrap();
    assert_eq!(truncated.last_zxid, Zxid(5));
    server.tree = truncated.tree;
    server.zxid = Zxid(5);
    server.create("/other", b"");
    server.sync();
    assert!(names_of(&disk).contains(&"log.6".to_owned()));
    disk.reboot();
    let again = recover_sim(&disk).unwrap();
    assert_eq!(again.last_zxid, Zxid(6));
    assert!(again.tree.find("/other").is_some() && again.tree.find("/z5").is_none());
    assert_eq!(again.digests.mismatched, 0);
}

#[test]
fn zk_1154_and_1156_a_cut_removes_what_is_behind_it_and_nothing_else() {
    for to in 0..=6 {
        let (disk, server) = six_writes();
        let digest = |to| server.history.get(&Zxid(to)).copied();
        let truncated = done(&disk, to, true);
        let tree = truncated.tree.unwrap();
        assert_eq!(tree.last_zxid(), Zxid(to));
        assert_eq!(Some(tree.digest()), digest(to).or(Some(tree.digest())));
        disk.reboot();
        let recovered = recover_sim(&disk).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(to));
        assert_eq!(picture(&recovered.tree), picture(&tree));
        assert_eq!(recovered.tree.find("/z5").is_some(), to == 6);
    }
}

#[test]
fn zk_4837_a_snapshot_newer_than_the_cut_is_set_aside_and_not_built_on() {
    let (disk, _) = six_writes();
    let truncated = done(&disk, 3, true);
    assert_eq!(truncated.set_aside, [in_folder("aside.snapshot.4")]);
    assert!(truncated.tree.unwrap().find("/z3").is_none());
    assert_eq!(
        names_of(&disk),
        [
            "aside.snapshot.4",
            "log.1",
            "log.3",
            "snapshot.0",
            "snapshot.2"
        ]
    );
    // Also where the tree was not ahead: a restart would find it.
    let (disk, _) = six_writes();
    let truncated = done(&disk, 3, false);
    assert!(truncated.tree.is_none() && truncated.set_aside.len() == 1);
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(3));
}

#[test]
fn zk_4837_javas_own_files_show_the_bug_and_are_not_built_on() {
    let disk = SimDisk::new(1);
    for name in ["log.100000001", "snapshot.100000004", "snapshot.10000000a"] {
        disk.put(
            &in_folder(name),
            &golden(&format!("ensemble-3.9.5/s1-after-trunc/{name}")),
        );
    }
    // The snapshot of that very zxid is wrong, and nothing in it says so; but to the ones before it there is no way.
    done(&disk, 0x1_0000_0004, true);
    assert_eq!(
        names_of(&disk),
        [
            "aside.snapshot.10000000a",
            "log.100000001",
            "snapshot.100000004"
        ]
    );
    assert!(no_way(&disk, 0x1_0000_0003).contains("no snapshot"));
}

#[test]
fn names_of_what_was_set_aside_are_never_taken_twice() {
    let (disk, mut server) = six_writes();
    done(&disk, 3, true);
    server.log.continue_after(Zxid(3));
    server.tree = recover_sim(&disk).unwrap().tree;
    server.zxid = Zxid(3);
    server.create("/again", b"");
    server.sync();
    server.snapshot().unwrap();
    let truncated = done(&disk, 3, true);
    assert_eq!(truncated.set_aside, [in_folder("aside.snapshot.4.1")]);
    assert!(names_of(&disk).contains(&"aside.snapshot.4".to_owned()));
}

#[test]
fn a_snapshot_that_may_hold_more_than_the_cut_is_not_built_on() {
    let (disk, _) = six_writes();
    // As if Java had written it while it applied 3 to 6: the sections behind the body say so.
    let later = disk.get(&in_folder("snapshot.4")).unwrap();
    disk.put(&in_folder("snapshot.2"), &later);
    let truncated = done(&disk, 3, true);
    assert_eq!(
        truncated.set_aside,
        [in_folder("aside.snapshot.4"), in_folder("aside.snapshot.2")]
    );
    assert!(truncated.tree.unwrap().find("/z3").is_none());
    // One that does not say how far it goes.
    let (disk, _) = six_writes();
    let whole = disk.get(&in_folder("snapshot.2")).unwrap();
    disk.put(&in_folder("snapshot.2"), &whole[..whole.len() - 54]);
    assert!(
        done(&disk, 3, true)
            .set_aside
            .contains(&in_folder("aside.snapshot.2"))
    );
    disk.reboot();
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(3));
}

#[test]
fn without_a_way_to_the_cut_nothing_is_changed() {
    // Not in the log.
    let (disk, _) = six_writes();
    assert!(no_way(&disk, 9).contains("does not go through 0x9"));
    // Nothing to build on.
    let (disk, _) = six_writes();
    for name in ["snapshot.0", "snapshot.2"] {
        disk.remove(&in_folder(name)).unwrap();
    }
    assert!(no_way(&disk, 3).contains("no snapshot"));
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(6));
    // Records missing on the way.
    let (disk, _) = six_writes();
    disk.remove(&in_folder("log.3")).unwrap();
    disk.remove(&in_folder("snapshot.4")).unwrap();
    assert!(no_way(&disk, 5).contains("records are missing"));
    // The record of the cut is damaged.
    let (disk, _) = six_writes();
    let mut log = disk.get(&in_folder("log.5")).unwrap();
    log[60] ^= 1;
    disk.put(&in_folder("log.5"), &log);
    assert!(no_way(&disk, 5).contains("damaged"));
}

#[test]
fn damage_behind_the_cut_goes_with_the_rest() {
    let (disk, _) = six_writes();
    let mut log = disk.get(&in_folder("log.3")).unwrap();
    let end = log.iter().rposition(|byte| *byte != 0).unwrap();
    log[end - 20] ^= 1;
    disk.put(&in_folder("log.3"), &log);
    done(&disk, 3, true);
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(3));
}

#[test]
fn zk_3701_a_truncation_that_fails_is_an_error_and_completed_by_the_next_start() {
    for good in 0..4 {
        let (disk, _) = six_writes();
        disk.fail_syncs_after(good);
        assert!(cut(&disk, 3, true).is_err(), "after {good} good syncs");
        disk.reboot();
        let last = recover_sim(&disk).unwrap().last_zxid;
        assert!(
            last == Zxid(3) || last == Zxid(6),
            "{last} after {good} good syncs"
        );
    }
    let (disk, _) = six_writes();
    disk.set_capacity(10);
    assert!(cut(&disk, 3, true).is_err(), "the disk is full");
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(6));
}

#[test]
fn a_truncation_is_done_or_not_done_after_a_crash_at_every_step() {
    for (to, seeds) in [(3, 15), (1, 8), (5, 8), (0, 4)] {
        let (whole, server) = six_writes();
        let start = whole.changes();
        let steps = {
            let disk = whole.fork(1);
            done(&disk, to, true);
            disk.changes()
        };
        assert!(start > 0 && steps > 5);
        let mut seen = [false; 2];
        for (seed, crash) in (0..seeds).flat_map(|seed| (1..=steps).map(move |crash| (seed, crash)))
        {
            let disk = whole.fork(seed * 100 + crash);
            disk.crash_at(crash);
            assert!(cut(&disk, to, true).is_err());
            disk.reboot();
            // The power may fail again while the work is completed.
            disk.crash_at(1 + (seed + crash) % 9);
            let _ = recover_sim(&disk);
            disk.reboot();
            let recovered = recover_sim(&disk).unwrap();
            let last = recovered.last_zxid;
            assert!(
                last == Zxid(to) || last == Zxid(6),
                "to {to}, seed {seed}, crash {crash}: {last}"
            );
            if let Some(digest) = server.history.get(&last) {
                assert_eq!(recovered.tree.digest(), *digest);
            }
            assert!(!names_of(&disk).contains(&"intent".to_owned()));
            seen[usize::from(last == Zxid(to))] = true;
        }
        assert_eq!(seen, [true, true], "to {to}");
    }
}
