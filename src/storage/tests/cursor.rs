//! Reading on from a position in the log.

use super::*;
use crate::storage::txnlog::cursor::{LogCursor, probe, read_after};
use crate::storage::txnlog::truncate;

fn zxids(records: &[(Zxid, Bytes)]) -> Vec<i64> {
    records.iter().map(|(zxid, _)| zxid.0).collect()
}

fn read(disk: &SimDisk, after: i64, upto: i64, max_bytes: usize) -> Result<Vec<i64>, StorageError> {
    let records = read_after(disk, &dirs(), Zxid(after), Zxid(upto), max_bytes)?;
    Ok(zxids(&records))
}

fn is_missing(result: Result<Vec<i64>, StorageError>) -> bool {
    matches!(result, Err(StorageError::NotInLog { .. }))
}

/// Zxids 1 to 9 in three files.
fn three_files() -> (SimDisk, Server) {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 0..9 {
        server.create(&format!("/z{n}"), b"some data");
        server.sync();
        if n % 3 == 2 {
            server.log.roll();
        }
    }
    (disk, server)
}

#[test]
fn records_come_in_order_across_files_and_within_the_limits() {
    let (disk, _) = three_files();
    assert_eq!(
        read(&disk, 0, 9, 1 << 20).unwrap(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9]
    );
    assert_eq!(read(&disk, 3, 4, 1 << 20).unwrap(), [4]);
    assert_eq!(read(&disk, 2, 7, 1 << 20).unwrap(), [3, 4, 5, 6, 7]);
    assert_eq!(read(&disk, 2, 7, 0).unwrap(), [3]);
    let one = read_after(&disk, &dirs(), Zxid(2), Zxid(3), 0).unwrap()[0]
        .1
        .len();
    assert_eq!(read(&disk, 2, 9, one + 1).unwrap(), [3, 4]);
    assert!(is_missing(read(&disk, 9, 12, 1 << 20)));
    // More was asked for than there is.
    assert_eq!(read(&disk, 7, 12, 1 << 20).unwrap(), [8, 9]);
}

#[test]
fn a_cursor_goes_on_where_it_was_while_the_log_is_written() {
    let (disk, mut server) = three_files();
    let mut cursor = LogCursor::new();
    let mut at = 0;
    for n in 9..60 {
        server.create(&format!("/z{n}"), &[7; 300]);
        if n % 4 == 0 {
            server.sync();
        }
        if n % 20 == 0 {
            server.log.roll();
        }
        let upto = server.log.synced().unwrap();
        while at < upto.0 {
            let records = cursor
                .read_after(&disk, &dirs(), Zxid(at), upto, 700)
                .unwrap();
            let expected: Vec<i64> = (at + 1..).take(records.len()).collect();
            assert_eq!(zxids(&records), expected);
            at = expected[expected.len() - 1];
        }
    }
    // Anywhere else, too.
    let records = cursor
        .read_after(&disk, &dirs(), Zxid(2), Zxid(4), 700)
        .unwrap();
    assert_eq!(zxids(&records), [3, 4]);
}

#[test]
fn what_is_not_durable_yet_is_not_looked_at() {
    let (disk, _) = three_files();
    let mut log = disk.get(&in_folder("log.7")).unwrap();
    let end = log.iter().rposition(|byte| *byte != 0).unwrap();
    log[end - 30] ^= 1;
    disk.put(&in_folder("log.7"), &log);
    assert_eq!(read(&disk, 5, 8, 1 << 20).unwrap(), [6, 7, 8]);
    assert!(matches!(
        read(&disk, 5, 9, 1 << 20),
        Err(StorageError::DamagedLog { .. })
    ));
    // For the cost it does not matter how the log ends.
    assert!(probe(&disk, &dirs(), Zxid(5), 0.0).unwrap());
}

#[test]
fn zk_4925_a_hole_within_an_epoch_is_never_crossed() {
    let (disk, _) = three_files();
    disk.remove(&in_folder("log.4")).unwrap();
    assert!(is_missing(read(&disk, 2, 9, 1 << 20)));
    assert!(is_missing(read(&disk, 3, 9, 1 << 20)));
    assert!(is_missing(read(&disk, 4, 9, 1 << 20)));
    assert_eq!(read(&disk, 2, 3, 1 << 20).unwrap(), [3]);
    assert_eq!(read(&disk, 6, 9, 1 << 20).unwrap(), [7, 8, 9]);
    assert!(!probe(&disk, &dirs(), Zxid(2), 0.0).unwrap());
    assert!(probe(&disk, &dirs(), Zxid(7), 0.0).unwrap());
}

#[test]
fn a_later_epoch_begins_with_its_first_record() {
    let (disk, mut server) = three_files();
    server.zxid = Zxid(0x2_0000_0000);
    server.create("/epoch2", b"");
    server.sync();
    assert_eq!(
        read(&disk, 8, 0x2_0000_0001, 1 << 20).unwrap(),
        [9, 0x2_0000_0001]
    );
    assert!(
        probe(&disk, &dirs(), Zxid(0x1_0000_0000), 0.0).unwrap(),
        "a marker"
    );
    server.zxid = Zxid(0x3_0000_0004);
    server.create("/epoch3", b"");
    server.sync();
    assert!(is_missing(read(&disk, 8, 0x3_0000_0005, 1 << 20)));
    assert!(!probe(&disk, &dirs(), Zxid(8), 0.0).unwrap());
}

/// Puts a snapshot of `zxid` in the place of everything on the disk.
fn begin_at(disk: &SimDisk, server: &mut Server, zxid: Zxid) {
    for name in disk.list(&dirs().data).unwrap() {
        disk.remove(&in_folder(&name)).unwrap();
    }
    server.log.close();
    server.log.continue_after(zxid);
    server.zxid = zxid;
    server.tree.set_last_zxid(zxid);
    server.snapshot().unwrap();
}

fn names(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.list(&dirs().data).unwrap();
    names.sort();
    names
}

#[test]
fn epochs_that_were_purged_are_not_taken_for_empty_ones() {
    let (disk, mut server) = three_files();
    for epoch in [2, 3] {
        server.log.roll();
        server.zxid = Zxid(epoch << 32);
        server.create(&format!("/epoch{epoch}"), b"");
        server.sync();
    }
    let marker = Zxid(1 << 32);
    assert!(probe(&disk, &dirs(), marker, 0.0).unwrap());
    for n in 0..3 {
        server.snapshot().unwrap();
        server.create(&format!("/more{n}"), b"");
        server.sync();
    }
    crate::storage::purge::purge(&disk, &dirs(), 3).unwrap();
    assert_eq!(names(&disk)[0], "log.300000001");
    assert!(!probe(&disk, &dirs(), marker, 0.0).unwrap());
    assert!(is_missing(read(&disk, marker.0, 0x3_0000_0001, 1 << 20)));
    // What comes right behind a marker is missing nothing.
    assert!(probe(&disk, &dirs(), Zxid(0x3_0000_0000), 0.0).unwrap());
    assert_eq!(
        read(&disk, 0x3_0000_0000, 0x3_0000_0001, 1 << 20).unwrap(),
        [0x3_0000_0001]
    );
}

#[test]
fn a_log_that_begins_with_a_later_epoch_behind_a_kept_snapshot_is_whole() {
    let (disk, mut server) = three_files();
    let base = Zxid(0x1_ffff_ff1e);
    begin_at(&disk, &mut server, base);
    server.zxid = Zxid(0x2_0000_0000);
    server.create("/epoch2", b"");
    server.create("/more", b"");
    server.sync();
    assert_eq!(names(&disk), ["log.200000001", "snapshot.1ffffff1e"]);
    let all = [0x2_0000_0001, 0x2_0000_0002];
    assert_eq!(read(&disk, base.0, all[1], 1 << 20).unwrap(), all);
    assert_eq!(read(&disk, base.0 + 1, all[1], 1 << 20).unwrap(), all);
    assert!(
        is_missing(read(&disk, base.0 - 1, all[1], 1 << 20)),
        "the snapshot holds something behind it"
    );
    // Not in the log, so that nobody knows whether it is in the history; a marker behind the snapshot is.
    assert!(!probe(&disk, &dirs(), base, 0.0).unwrap());
    let marker = Zxid(0x1_0000_0000);
    assert!(!probe(&disk, &dirs(), marker, 0.0).unwrap());
    begin_at(&disk, &mut server, marker);
    server.zxid = Zxid(0x2_0000_0000);
    server.create("/epoch2", b"");
    server.sync();
    assert!(probe(&disk, &dirs(), marker, 0.0).unwrap());
}

#[test]
fn a_snapshot_that_a_purge_may_have_begun_with_does_not_vouch_for_the_log() {
    let (disk, mut server) = three_files();
    let base = Zxid(0x1_ffff_ff1e);
    begin_at(&disk, &mut server, base);
    let name = in_folder("snapshot.1ffffff1e");
    let whole = disk.get(&name).unwrap();
    for epoch in 2..5 {
        server.zxid = Zxid(epoch << 32);
        server.create(&format!("/epoch{epoch}"), b"");
        server.sync();
        let upto = server.zxid.0;
        let first = [0x2_0000_0001];
        assert_eq!(read(&disk, base.0, first[0], 1 << 20).unwrap(), first);
        disk.put(&name, &whole[..whole.len() - 3]);
        let torn = read(&disk, base.0, upto, 1 << 20);
        assert!(is_missing(torn), "no purge counts a snapshot that is torn");
        disk.put(&name, &whole);
        server.snapshot().unwrap();
    }
    // Java's purge removes logs first: here it was interrupted behind the first one.
    assert_eq!(names(&disk)[0], "log.200000001");
    disk.remove(&in_folder("log.200000001")).unwrap();
    assert!(is_missing(read(&disk, base.0, 0x4_0000_0001, 1 << 20)));
    let kept = read(&disk, 0x2_0000_0001, 0x4_0000_0001, 1 << 20).unwrap();
    assert_eq!(kept, [0x3_0000_0001, 0x4_0000_0001]);
}

#[test]
fn a_received_snapshot_is_never_crossed() {
    let (disk, mut server) = three_files();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut tree = Server::start(&SimDisk::new(2)).unwrap().tree;
    let zxid = Zxid(0x2_0000_0000);
    crate::storage::install::install(
        &shared,
        &dirs(),
        &mut tree,
        zxid,
        &SnapshotOptions::default(),
    )
    .unwrap();
    server.log.continue_after(zxid);
    server.tree = tree;
    server.zxid = zxid;
    server.create("/behind", b"");
    server.sync();
    assert!(is_missing(read(&disk, 8, 0x2_0000_0001, 1 << 20)));
    assert!(!probe(&disk, &dirs(), Zxid(8), 0.0).unwrap());
    assert_eq!(
        read(&disk, zxid.0, 0x2_0000_0001, 1 << 20).unwrap(),
        [0x2_0000_0001]
    );
    assert!(probe(&disk, &dirs(), zxid, 0.0).unwrap());
}

#[test]
fn a_log_is_usable_if_it_holds_the_learners_end_and_costs_less_than_a_snapshot() {
    let (disk, mut server) = three_files();
    let usable = |disk: &SimDisk, learner: i64, factor: f64| {
        probe(disk, &dirs(), Zxid(learner), factor).unwrap()
    };
    for learner in 1..=9 {
        assert!(usable(&disk, learner, 0.0), "any cost is fine");
        assert!(!usable(&disk, learner, -1.0), "never");
    }
    assert!(!usable(&disk, 10, 0.0), "not in the log");
    // Padding (16 KiB a file) does not count.
    let snapshot = disk.get(&in_folder("snapshot.0")).unwrap().len();
    let record = read_after(&disk, &dirs(), Zxid(8), Zxid(9), 0).unwrap()[0]
        .1
        .len()
        + 13;
    let records = |count: f64| (count * record as f64 + 1.0) / snapshot as f64;
    assert!(usable(&disk, 8, records(1.0)) && !usable(&disk, 7, records(1.0)));
    assert!(usable(&disk, 5, records(4.0)) && !usable(&disk, 4, records(4.0)));
    server.create("/large", &[1; 5000]);
    server.sync();
    assert!(!usable(&disk, 9, 1.0));
    server.snapshot().unwrap();
    assert!(usable(&disk, 9, 1.0));
    disk.remove(&in_folder("log.1")).unwrap();
    assert!(!usable(&disk, 2, 0.0), "older than the log");
}

#[test]
fn zk_1489_a_cursor_survives_a_cut_of_the_log_below_it() {
    let (disk, mut server) = three_files();
    let mut cursor = LogCursor::new();
    let read = |cursor: &mut LogCursor, after, upto| {
        cursor.read_after(&disk, &dirs(), Zxid(after), Zxid(upto), 1 << 20)
    };
    read(&mut cursor, 3, 9).unwrap();
    server.log.close();
    truncate(&disk, &dirs().log, Zxid(7)).unwrap();
    server.log.continue_after(Zxid(7));
    server.zxid = Zxid(7);
    server.create("/another8", b"");
    server.create("/another9", b"");
    server.create("/another10", b"");
    server.sync();
    // Its place is gone: an error, or the right record, but nothing else.
    if let Ok(records) = read(&mut cursor, 9, 10) {
        assert_eq!(zxids(&records), [10]);
    }
    assert_eq!(zxids(&read(&mut cursor, 7, 9).unwrap()), [8, 9]);
}
