//! The power fails at every step: what was synced is there afterwards, and nothing is there in part.

use super::*;
use crate::sim::disk::Tear;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What happened until the power failed.
struct Outcome {
    /// The last zxid whose sync returned.
    synced: Zxid,
    /// The tree's digest at each zxid.
    history: BTreeMap<Zxid, u64>,
    failed: bool,
}

/// Runs a server that writes, syncs, rolls, takes snapshots and purges at random, until the power fails or `steps`
/// are over. `history` is what was there before.
fn run(disk: &SimDisk, seed: u64, steps: usize, mut history: BTreeMap<Zxid, u64>) -> Outcome {
    let mut synced = history.keys().next_back().copied().unwrap_or(Zxid::ZERO);
    let Ok(mut server) = Server::start(disk) else {
        return Outcome {
            synced,
            history,
            failed: true,
        };
    };
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut failed = false;
    for _ in 0..steps {
        let result = match rng.random_range(0..20) {
            0 => {
                // As the runtime does it: what the tree holds is synced before a snapshot claims it.
                server.log.sync().map(drop).and_then(|()| {
                    synced = server.zxid;
                    server.snapshot()
                })
            }
            1 => {
                server.log.roll();
                Ok(())
            }
            2 => purge::purge(disk, &dirs(), 3).map(drop),
            3..=8 => server.log.sync().map(|report| {
                assert_eq!(report.records == 0, report.bytes == 0);
                synced = server.zxid;
            }),
            _ => {
                let data = vec![rng.random(); rng.random_range(0..1500)];
                let path = format!("/z{}", rng.random_range(0..30));
                match server.tree.find(&path) {
                    Some(_) => server.set(&path, &data),
                    None => server.create(&path, &data),
                }
                Ok(())
            }
        };
        if result.is_err() {
            failed = true;
            break;
        }
    }
    history.append(&mut server.history);
    Outcome {
        synced,
        history,
        failed,
    }
}

fn check_recovered(recovered: &Recovered, outcome: &Outcome, what: &str) {
    let last = recovered.last_zxid;
    assert!(
        last >= outcome.synced,
        "{what}: {last} of {} is there",
        outcome.synced
    );
    if let Some(digest) = outcome.history.get(&last) {
        assert_eq!(recovered.tree.digest(), *digest, "{what}: at {last}");
    } else {
        assert_eq!(last, Zxid::ZERO, "{what}");
    }
    assert_eq!(recovered.digests.mismatched, 0, "{what}");
}

#[test]
fn what_was_synced_survives_a_crash_at_every_step() {
    let steps = 120;
    for seed in 0..6 {
        let changes = {
            let disk = SimDisk::new(seed);
            run(&disk, seed, steps, BTreeMap::new());
            disk.changes()
        };
        for crash in 1..=changes {
            let disk = SimDisk::new(seed ^ crash << 8);
            disk.crash_at(crash);
            let outcome = run(&disk, seed, steps, BTreeMap::new());
            assert!(outcome.failed);
            disk.reboot();
            let what = format!("seed {seed}, crash at {crash}");
            let recovered = recover_sim(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            check_recovered(&recovered, &outcome, &what);
        }
    }
}

#[test]
fn what_was_synced_survives_many_crashes_in_a_row() {
    for seed in 0..40 {
        let disk = SimDisk::new(seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut history = BTreeMap::new();
        for life in 0..12 {
            disk.crash_at(rng.random_range(1..60));
            let mut outcome = run(&disk, rng.random(), 100, history);
            disk.reboot();
            let what = format!("seed {seed}, life {life}");
            // The power may fail while recovery tidies up, too.
            for crash in 1..5 {
                let attempt = disk.fork(seed + life);
                attempt.crash_at(crash);
                let _ = recover_sim(&attempt);
                attempt.reboot();
                let again = recover_sim(&attempt).unwrap_or_else(|error| panic!("{what}: {error}"));
                check_recovered(&again, &outcome, &what);
            }
            let recovered = recover_sim(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            check_recovered(&recovered, &outcome, &what);
            outcome
                .history
                .retain(|zxid, _| *zxid <= recovered.last_zxid);
            history = outcome.history;
        }
    }
}

#[test]
fn sectors_written_out_of_order_never_cost_a_synced_record() {
    let (mut started, mut refused) = (0, 0);
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        disk.set_tear(Tear::OutOfOrder);
        disk.crash_at(5 + seed % 60);
        let outcome = run(&disk, seed, 200, BTreeMap::new());
        disk.reboot();
        match recover_sim(&disk) {
            Ok(recovered) => {
                started += 1;
                check_recovered(&recovered, &outcome, &format!("seed {seed}"));
            }
            // Whole records behind a torn one cannot be told from damage.
            Err(error @ StorageError::DamagedLog { .. }) => {
                refused += 1;
                assert!(
                    error.to_string().contains("follows"),
                    "seed {seed}: {error}"
                );
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(
        started > 4 * refused,
        "{started} started, {refused} refused"
    );
}

#[test]
fn after_a_failed_sync_nothing_is_written_any_more() {
    for good in 0..4 {
        let disk = disk_with_log(3);
        let mut server = Server::start(&disk).unwrap();
        disk.fail_syncs_after(good);
        let mut synced = server.zxid;
        let mut failed = false;
        for n in 0..6 {
            server.create(&format!("/later{n}"), b"");
            match server.log.sync() {
                Ok(report) => {
                    assert!(!failed);
                    synced = report.upto.unwrap();
                }
                Err(StorageError::Stopped { .. }) => assert!(failed),
                Err(_) => failed = true,
            }
        }
        assert!(failed);
        disk.reboot();
        assert!(recover_sim(&disk).unwrap().last_zxid >= synced);
    }
}

#[test]
fn a_full_disk_stops_the_log_and_leaves_no_half_snapshot() {
    let disk = disk_with_log(3);
    let mut server = Server::start(&disk).unwrap();
    disk.set_capacity(16_800);
    let error = server.snapshot().unwrap_err();
    assert!(error.to_string().contains("snapshot.3.tmp"), "{error}");
    assert_eq!(disk.list(&dirs().data).unwrap(), ["log.1", "snapshot.0"]);
    server.create("/large", &[1; 3000]);
    assert!(server.log.sync().is_err());
    disk.reboot();
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(3));
}

#[test]
fn without_force_sync_nothing_is_synced_but_all_is_written() {
    let disk = SimDisk::new(1);
    Server::start(&disk).unwrap();
    let options = LogOptions {
        force_sync: false,
        ..small_logs()
    };
    let mut log = LogWriter::new(Arc::new(disk.clone()), dirs().log, options);
    disk.fail_syncs_after(0);
    log.append(Zxid(1), &[1; 50]);
    let report = log.sync().unwrap();
    assert_eq!((report.upto, report.records), (Some(Zxid(1)), 1));
    assert!(disk.get(&in_folder("log.1")).unwrap().len() > 79);
}

#[test]
fn all_that_waits_takes_one_write_and_one_sync() {
    let disk = disk_with_log(1);
    let mut server = Server::start(&disk).unwrap();
    server.create("/begin", b"");
    server.sync();
    let before = disk.changes();
    for n in 0..100 {
        server.create(&format!("/z{}", n + 10), b"x");
    }
    assert_eq!(server.log.waiting(), 100);
    let report = server.log.sync().unwrap();
    assert_eq!(
        (report.records, report.new_files, report.upto),
        (100, 0, Some(Zxid(102)))
    );
    assert_eq!(disk.changes() - before, 2);
}

#[test]
fn files_grow_in_javas_steps() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create("/a", b"");
    server.sync();
    let size = |name: &str| disk.get(&in_folder(name)).unwrap().len();
    assert_eq!(size("log.1"), 16_400);
    server.create("/b", &[1; 13_000]);
    server.sync();
    assert_eq!(size("log.1"), 16_400);
    server.create("/c", b"");
    server.sync();
    assert_eq!(size("log.1"), 32_784);
    server.create("/d", &[1; 50_000]);
    server.sync();
    assert_eq!(size("log.1"), 65_536);
    assert_eq!(server.log.size(), 65_536);
    server.log.roll();
    assert_eq!(server.log.size(), 0);
}

#[test]
fn a_size_limit_begins_a_new_file() {
    let disk = SimDisk::new(1);
    Server::start(&disk).unwrap();
    let options = LogOptions {
        preallocate_bytes: 0,
        size_limit_bytes: Some(200),
        force_sync: true,
    };
    let mut log = LogWriter::new(Arc::new(disk.clone()), dirs().log, options);
    for zxid in 1..=6 {
        log.append(Zxid(zxid), &[1; 87]);
        log.sync().unwrap();
    }
    let names = disk.list(&dirs().log).unwrap();
    assert_eq!(names, ["log.1", "log.3", "log.5", "snapshot.0"]);
    assert_eq!(log.size(), 3 * 216);
}

/// Writes a snapshot as Java does: each znode as it is when the walk comes by, while `server` goes on writing.
fn write_fuzzy(server: &mut Server, rng: &mut SmallRng) {
    let (zxid, disk) = (server.zxid, Arc::new(server.disk.clone()));
    let options = SnapshotOptions::default();
    let mut writer =
        snapshot::SnapshotWriter::begin(disk, &dirs().data, zxid, None, &options).unwrap();
    let mut out = BytesMut::new();
    let frozen = server.tree.freeze().unwrap();
    frozen.header(&mut out);
    server.tree.thaw(frozen);
    let mut todo = vec![String::new()];
    while let Some(path) = todo.pop() {
        for _ in 0..rng.random_range(0..3) {
            write_anything(server, rng);
        }
        let Some(znode) = server.tree.find(&path) else {
            continue;
        };
        let mut w = jute::Writer::for_file(&mut out);
        w.text(Some(&path));
        w.buffer(server.tree.data(znode));
        // The first line of the ACL table is that of the config, which is the first to need one.
        w.i64(if path == "/zookeeper/config" { 1 } else { -1 });
        w.put(&server.tree.persisted(znode));
        let mut children: Vec<_> = server.tree.children(znode).collect();
        children.sort_unstable();
        todo.extend(children.iter().map(|name| format!("{path}/{name}")));
    }
    jute::Writer::for_file(&mut out).text(Some("/"));
    writer.body(&out).unwrap();
    writer.finish().unwrap();
}

/// A create, setData or delete in a small tree of two levels.
pub(super) fn write_anything(server: &mut Server, rng: &mut SmallRng) {
    let parent = format!("/p{}", rng.random_range(0..4));
    if server.tree.find(&parent).is_none() {
        return server.create(&parent, b"");
    }
    let child = format!("{parent}/c{}", rng.random_range(0..4));
    let has_children = server.tree.child_count(server.tree.find(&parent).unwrap()) > 0;
    match (server.tree.find(&child).is_some(), rng.random_range(0..3)) {
        (false, 0) if !has_children => delete(server, &parent),
        (false, _) => server.create(&child, b"new"),
        (true, 0) => delete(server, &child),
        (true, n) => server.set(&child, &[n]),
    }
}

fn delete(server: &mut Server, path: &str) {
    server.write(Txn::Delete(DeleteTxn {
        path: Some(path.into()),
    }));
}

#[test]
fn a_fuzzy_snapshot_and_the_log_give_the_tree_of_a_clean_replay() {
    let mut grown = 0;
    for seed in 0..100 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let disk = SimDisk::new(seed);
        let mut server = Server::start(&disk).unwrap();
        (0..40).for_each(|_| write_anything(&mut server, &mut rng));
        let begun = server.zxid;
        write_fuzzy(&mut server, &mut rng);
        grown += server.zxid.0 - begun.0;
        (0..10).for_each(|_| write_anything(&mut server, &mut rng));
        server.sync();
        let fuzzy = recover_sim(&disk).unwrap();
        let name = format!("snapshot.{:x}", begun.0);
        assert_eq!(fuzzy.base, Base::Snapshot(in_folder(&name)));
        assert_eq!(picture(&fuzzy.tree), picture(&server.tree), "seed {seed}");
        disk.remove(&in_folder(&name)).unwrap();
        let clean = recover_sim(&disk).unwrap();
        assert_eq!(picture(&clean.tree), picture(&server.tree), "seed {seed}");
    }
    assert!(grown > 500, "{grown} writes during the walks");
}
