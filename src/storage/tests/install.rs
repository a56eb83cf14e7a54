//! A snapshot that came from a leader: it replaces everything or nothing.

use super::*;
use crate::base::Epoch;
use crate::storage::install::install;

/// A server with zxids 1 to 6 in its log, a snapshot at 4 and its files.
fn six_writes() -> (SimDisk, Server) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 0..6 {
        server.create(&format!("/old{n}"), b"data");
        server.sync();
        if n == 3 {
            server.snapshot().unwrap();
        }
    }
    (disk, server)
}

/// A tree from elsewhere that went another way after zxid 3.
fn received(zxid: Zxid) -> Tree {
    let mut leader = Server::start(&SimDisk::new(2)).unwrap();
    for n in 0..5 {
        leader.create(&format!("/new{n}"), b"received");
    }
    leader.tree.set_last_zxid(zxid);
    leader.tree
}

fn put_in(
    disk: &SimDisk,
    zxid: Zxid,
    options: &SnapshotOptions,
) -> Result<snapshot::Written, StorageError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    install(&shared, &dirs(), &mut received(zxid), zxid, options)
}

fn names_of(disk: &SimDisk) -> Vec<String> {
    disk.list(&dirs().data).unwrap()
}

const LATER: Zxid = Zxid(0x2_0000_0005);

#[test]
fn a_received_snapshot_takes_the_place_of_everything_and_the_log_goes_on_behind_it() {
    for zxid in [LATER, Zxid::first_of(Epoch(2)), Zxid(3)] {
        let (disk, mut server) = six_writes();
        server.log.close();
        let written = put_in(&disk, zxid, &SnapshotOptions::default()).unwrap();
        let name = format!("snapshot.{:x}", zxid.0);
        assert_eq!((written.path, written.zxid), (in_folder(&name), zxid));
        server.log.continue_after(zxid);
        disk.reboot();
        let recovered = recover_sim(&disk).unwrap();
        assert_eq!(recovered.base, Base::Snapshot(in_folder(&name)));
        assert_eq!((recovered.last_zxid, recovered.base_zxid), (zxid, zxid));
        assert_eq!(picture(&recovered.tree), picture(&received(zxid)));
        assert!(
            !names_of(&disk)
                .iter()
                .any(|name| name == "intent" || name.starts_with("received."))
        );
        server.tree = recovered.tree;
        server.zxid = zxid;
        server.log = log_of(&disk);
        server.create("/behind", b"");
        server.sync();
        disk.reboot();
        let again = recover_sim(&disk).unwrap();
        assert!(again.tree.find("/behind").is_some() && again.tree.find("/new4").is_some());
        assert_eq!(Some(again.last_zxid), zxid.next());
    }
}

#[test]
fn snapshots_and_records_behind_a_received_one_do_not_come_back() {
    let (disk, _) = six_writes();
    put_in(&disk, Zxid(3), &SnapshotOptions::default()).unwrap();
    let expected = [
        "aside.snapshot.4",
        "installed",
        "log.1",
        "snapshot.0",
        "snapshot.3",
    ];
    assert_eq!(names_of(&disk), expected);
    // One of the same zxid, packed in another way, would be preferred.
    let (disk, _) = six_writes();
    let packed = SnapshotOptions {
        compression: Compression::Gz,
        ..SnapshotOptions::default()
    };
    put_in(&disk, Zxid(4), &packed).unwrap();
    assert!(names_of(&disk).contains(&"aside.snapshot.4".to_owned()));
    put_in(&disk, Zxid(4), &SnapshotOptions::default()).unwrap();
    let recovered = recover_sim(&disk).unwrap();
    assert_eq!(recovered.base, Base::Snapshot(in_folder("snapshot.4")));
    assert!(recovered.tree.find("/new0").is_some());
}

#[test]
fn zk_2872_and_3642_a_received_snapshot_is_there_as_a_whole_or_not_at_all() {
    let (whole, server) = six_writes();
    let old = picture(&server.tree);
    // A leader's, older than the log, at a snapshot; and restored: alone at the log's end, by a leader behind it.
    for zxid in [LATER, Zxid(3), Zxid(4), Zxid(6), Zxid(7)] {
        let new = picture(&received(zxid));
        let steps = {
            let disk = whole.fork(1);
            put_in(&disk, zxid, &SnapshotOptions::default()).unwrap();
            disk.changes()
        };
        let mut seen = [false; 2];
        for (seed, crash) in (0..12).flat_map(|seed| (1..=steps).map(move |crash| (seed, crash))) {
            let disk = whole.fork(seed * 100 + crash);
            disk.crash_at(crash);
            assert!(put_in(&disk, zxid, &SnapshotOptions::default()).is_err());
            disk.reboot();
            disk.crash_at(1 + (seed + crash) % 12);
            let _ = recover_sim(&disk);
            disk.reboot();
            let found = picture(&recover_sim(&disk).unwrap().tree);
            assert!(
                found == old || found == new,
                "{zxid}, seed {seed}, crash {crash}: {found:#?}"
            );
            seen[usize::from(found == new)] = true;
            let left = names_of(&disk);
            assert!(
                !left
                    .iter()
                    .any(|name| name == "intent" || name.starts_with("received.")),
                "{left:?}"
            );
        }
        assert_eq!(seen, [true, true]);
    }
}

#[test]
fn a_received_snapshot_without_room_changes_nothing() {
    let (disk, server) = six_writes();
    disk.set_capacity(17_500);
    let error = put_in(&disk, LATER, &SnapshotOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("received.snapshot.200000005"),
        "{error}"
    );
    assert_eq!(
        picture(&recover_sim(&disk).unwrap().tree),
        picture(&server.tree)
    );
}

#[test]
fn a_received_snapshot_that_cannot_be_read_any_more_is_dropped_as_long_as_nothing_was_changed() {
    let (disk, server) = six_writes();
    disk.put(
        &in_folder("received.snapshot.200000005"),
        b"ZKSN and then nothing",
    );
    disk.put(
        &in_folder("intent"),
        b"install 200000005 snapshot.200000005\n",
    );
    let recovered = recover_sim(&disk).unwrap();
    assert!(
        recovered.notes[0].contains("is dropped"),
        "{:?}",
        recovered.notes
    );
    assert_eq!(picture(&recovered.tree), picture(&server.tree));
    assert_eq!(
        names_of(&disk),
        ["log.1", "log.5", "snapshot.0", "snapshot.4"]
    );
}

#[test]
fn a_received_snapshot_that_is_nowhere_costs_nothing_else() {
    let (disk, server) = six_writes();
    disk.put(
        &in_folder("intent"),
        b"install 200000005 snapshot.200000005\n",
    );
    let recovered = recover_sim(&disk).unwrap();
    assert!(
        recovered.notes[0].contains("is not there"),
        "{:?}",
        recovered.notes
    );
    assert_eq!(picture(&recovered.tree), picture(&server.tree));
}

#[test]
fn what_another_server_wrote_after_an_interruption_is_never_cut_off() {
    let interrupted = |install: bool| {
        let (disk, server) = six_writes();
        // Far enough for the intent to be durable.
        (1..40).find(|crash| {
            let attempt = disk.fork(*crash);
            attempt.crash_at(*crash);
            let _ = match install {
                true => put_in(&attempt, Zxid(3), &SnapshotOptions::default()).is_ok(),
                false => truncate_to(&attempt, &dirs(), Zxid(3), true, &options()).is_ok(),
            };
            attempt.reboot();
            let noted = names_of(&attempt).contains(&"intent".to_owned());
            if noted {
                for name in names_of(&attempt) {
                    disk.put(&in_folder(&name), &attempt.get(&in_folder(&name)).unwrap());
                }
            }
            noted
        });
        assert!(names_of(&disk).contains(&"intent".to_owned()));
        (disk, server)
    };
    for install in [true, false] {
        // A Java server goes on: it knows nothing of the intent.
        let (disk, mut server) = interrupted(install);
        server.log = log_of(&disk);
        server.create("/java", b"");
        server.sync();
        let recovered = recover_sim(&disk).unwrap();
        assert!(
            recovered.notes[0].contains("another server wrote log.7"),
            "{:?}",
            recovered.notes
        );
        assert!(recovered.tree.find("/java").is_some() && recovered.tree.find("/old5").is_some());
        // One that received a snapshot.
        let (disk, _) = interrupted(install);
        let later = SimDisk::new(3);
        later.create_dir(&dirs().data).unwrap();
        put_in(&later, LATER, &SnapshotOptions::default()).unwrap();
        let name = in_folder("snapshot.200000005");
        disk.put(&name, &later.get(&name).unwrap());
        assert_eq!(recover_sim(&disk).unwrap().last_zxid, LATER);
        // Nobody.
        let (disk, _) = interrupted(install);
        assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(3));
    }
}

#[test]
fn logs_and_snapshots_in_two_folders_change_together_too() {
    let (one, server) = six_writes();
    let two = Dirs::new(Path::new("/snapshots"), Path::new("/logs"));
    let whole = SimDisk::new(1);
    for name in names_of(&one) {
        let dir = if name.starts_with("log.") {
            &two.log
        } else {
            &two.data
        };
        whole.put(&dir.join(&name), &one.get(&in_folder(&name)).unwrap());
    }
    let start = |disk: &SimDisk| {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        recover(&shared, &two, &options()).map(|recovered| picture(&recovered.tree))
    };
    let old = picture(&server.tree);
    let cut = {
        let disk = whole.fork(1);
        truncate_to(&disk, &two, Zxid(3), true, &options()).unwrap();
        start(&disk).unwrap()
    };
    let places = [LATER, Zxid(6), Zxid(7)];
    for (seed, crash) in (0..20).flat_map(|seed| (1..=30).map(move |crash| (seed, crash))) {
        let zxid = places[seed as usize / 2 % places.len()];
        let disk = whole.fork(seed * 100 + crash);
        disk.crash_at(crash);
        let complete = if seed % 2 == 0 {
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let options = SnapshotOptions::default();
            install(&shared, &two, &mut received(zxid), zxid, &options).is_ok()
        } else {
            truncate_to(&disk, &two, Zxid(3), true, &options()).is_ok()
        };
        disk.reboot();
        disk.crash_at(1 + (seed + crash) % 12);
        let _ = start(&disk);
        disk.reboot();
        let found = start(&disk).unwrap();
        let new = picture(&received(zxid));
        let other = if seed % 2 == 0 { &new } else { &cut };
        assert!(
            !complete && found == old || found == *other,
            "seed {seed}, crash {crash}: {found:#?}"
        );
    }
}

#[test]
fn an_intent_that_says_nothing_is_refused() {
    let (disk, _) = six_writes();
    disk.put(&in_folder("intent"), b"install the thing\n");
    let before = disk.changes();
    let error = recover_sim(&disk).err().unwrap();
    assert!(matches!(error, StorageError::Intent { .. }), "{error}");
    assert_eq!(disk.changes(), before);
}

#[test]
fn nobody_builds_on_what_is_older_than_a_received_snapshot_that_is_damaged() {
    let (disk, mut server) = six_writes();
    let zxid = Zxid::first_of(Epoch(2));
    put_in(&disk, zxid, &SnapshotOptions::default()).unwrap();
    // The log goes on as if it followed what the server had before.
    server.log = log_of(&disk);
    server.zxid = zxid;
    server.create("/behind", b"");
    server.sync();
    let name = in_folder("snapshot.200000000");
    let mut bytes = disk.get(&name).unwrap();
    bytes[40] ^= 1;
    disk.put(&name, &bytes);
    let error = recover_sim(&disk).err().expect("it started");
    assert!(
        matches!(error, StorageError::BehindSnapshot { .. }),
        "{error}"
    );
}

#[test]
fn the_tail_of_the_log_is_handed_out_within_its_limits() {
    let (disk, _) = six_writes();
    disk.remove(&in_folder("snapshot.4")).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let tail = |count, bytes| {
        let limited = RecoverOptions {
            tail_count: count,
            tail_bytes: bytes,
            ..options()
        };
        let recovered = recover(&shared, &dirs(), &limited).unwrap();
        assert_eq!(recovered.base_zxid, Zxid(0));
        recovered.tail
    };
    let all = tail(100, 1 << 20);
    let zxids: Vec<i64> = all.iter().map(|(zxid, _)| zxid.0).collect();
    assert_eq!(zxids, [1, 2, 3, 4, 5, 6]);
    for (zxid, payload) in &all {
        let logged = LoggedTxn::read(payload.clone()).unwrap();
        assert!(logged.header.zxid == zxid.0 && logged.digest.is_some());
    }
    assert_eq!(tail(2, 1 << 20), all[4..]);
    assert_eq!(tail(100, all[5].1.len() * 3), all[3..]);
    assert_eq!(tail(100, 10), []);
    assert_eq!(tail(0, 1 << 20), []);
}

#[test]
fn what_javas_servers_of_an_ensemble_left_is_handed_out_too() {
    let disk = SimDisk::new(1);
    for name in ["log.100000005", "snapshot.0", "snapshot.100000004"] {
        disk.put(
            &in_folder(name),
            &golden(&format!("ensemble-3.9.5/s4-observer/{name}")),
        );
    }
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let limited = RecoverOptions {
        tail_count: 500,
        tail_bytes: 1 << 20,
        ..options()
    };
    let recovered = recover(&shared, &dirs(), &limited).unwrap();
    assert_eq!(recovered.base_zxid, Zxid(0x1_0000_0004));
    assert_eq!(recovered.tail[0].0, Zxid(0x1_0000_0005));
    assert_eq!(recovered.tail.last().unwrap().0, recovered.last_zxid);
}
