//! Bugs that ZooKeeper or others had in their files, one test each, named after the number of the bug.

use super::*;

fn recover_with(disk: &SimDisk, options: &RecoverOptions) -> Result<Recovered, StorageError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    recover(&disk, &dirs(), options)
}

#[test]
fn zk_1069_a_shutdown_in_the_middle_of_a_write_leaves_a_usable_log() {
    let disk = disk_with_log(3);
    let mut server = Server::start(&disk).unwrap();
    server.create("/later", &[1; 5000]);
    // The file is made, the power fails in the write of the first record.
    disk.crash_at(2);
    assert!(server.log.sync().is_err());
    disk.reboot();
    let mut server = Server::start(&disk).unwrap();
    assert!(server.zxid >= Zxid(3));
    server.create("/after", b"");
    server.sync();
    let last = server.zxid;
    disk.reboot();
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, last);
}

#[test]
fn zk_2247_a_failed_write_is_an_error_for_good() {
    let disk = disk_with_log(1);
    let mut server = Server::start(&disk).unwrap();
    disk.set_capacity(100);
    server.create("/a", b"");
    assert!(matches!(server.log.sync(), Err(StorageError::Io { .. })));
    disk.set_capacity(u64::MAX);
    assert!(matches!(
        server.log.sync(),
        Err(StorageError::Stopped { .. })
    ));
}

#[test]
fn zk_2325_missing_or_empty_snapshots_never_make_an_empty_tree() {
    for snapshot in [None, Some(&b""[..]), Some(b"ZKSN")] {
        let disk = disk_with_log(3);
        match snapshot {
            None => disk.remove(&in_folder("snapshot.0")).unwrap(),
            Some(bytes) => disk.put(&in_folder("snapshot.0"), bytes),
        }
        let before = disk.changes();
        let error = recover_sim(&disk).err().expect("it started");
        let StorageError::LogsWithoutSnapshot { last, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*last, Zxid(3));
        assert_eq!(disk.changes(), before);
    }
    let no_logs = SimDisk::new(1);
    no_logs.put(&in_folder("snapshot.500"), b"");
    assert!(matches!(
        recover_sim(&no_logs),
        Err(StorageError::BehindSnapshot { .. })
    ));
}

#[test]
fn zk_3056_and_3644_the_escape_hatch_replays_the_logs() {
    let disk = disk_with_log(3);
    let expected = picture(&recover_sim(&disk).unwrap().tree);
    disk.remove(&in_folder("snapshot.0")).unwrap();
    let trusting = RecoverOptions {
        trust_empty_snapshot: true,
        ..options()
    };
    let recovered = recover_with(&disk, &trusting).unwrap();
    assert_eq!((recovered.base, recovered.replayed), (Base::TrustedLogs, 3));
    assert_eq!(picture(&recovered.tree), expected);
}

#[test]
fn zk_3781_the_escape_hatch_is_needed_only_once() {
    let disk = disk_with_log(3);
    disk.remove(&in_folder("snapshot.0")).unwrap();
    let trusting = RecoverOptions {
        trust_empty_snapshot: true,
        ..options()
    };
    recover_with(&disk, &trusting).unwrap();
    disk.reboot();
    let again = recover_sim(&disk).unwrap();
    assert_eq!(again.base, Base::Snapshot(in_folder("snapshot.3")));
}

#[test]
fn zk_2332_an_empty_last_log_file_does_not_block_the_start() {
    let disk = disk_with_log(3);
    disk.put(&in_folder("log.4"), b"");
    let mut server = Server::start(&disk).unwrap();
    assert_eq!(
        disk.get(&in_folder("log.4")),
        None,
        "Java would not start with it"
    );
    server.create("/later", b"");
    server.sync();
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(4));
    // On a new server it is the only file.
    let first = SimDisk::new(1);
    recover_sim(&first).unwrap();
    first.put(&in_folder("log.1"), b"");
    assert_eq!(recover_sim(&first).unwrap().last_zxid, Zxid(0));
}

#[test]
fn zk_2623_a_check_outside_of_a_multi_can_be_loaded() {
    let disk = disk_with_log(2);
    let mut server = Server::start(&disk).unwrap();
    server.write(Txn::Check(CheckVersionTxn {
        path: Some("/z0".into()),
        version: 1,
    }));
    server.create("/later", b"");
    server.sync();
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(4));
}

#[test]
fn zk_3231_purging_does_not_count_snapshots_that_are_not_complete() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 0..6 {
        server.create(&format!("/z{n}"), b"");
        server.sync();
        server.snapshot().unwrap();
    }
    for zxid in [4, 5, 6] {
        disk.put(&in_folder(&format!("snapshot.{zxid}")), b"half");
    }
    let removed = purge::purge(&disk, &dirs(), 3).unwrap();
    assert_eq!(removed, [in_folder("snapshot.0")]);
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(6));
}

#[test]
fn zk_3496_3593_4843_large_records_and_znodes_can_be_read_back() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create("/large", &vec![1; 3 << 20]);
    server.sync();
    server.snapshot().unwrap();
    server.set("/large", &vec![2; 4 << 20]);
    server.sync();
    let recovered = recover_sim(&disk).unwrap();
    assert_eq!(recovered.base, Base::Snapshot(in_folder("snapshot.1")));
    let large = recovered.tree.find("/large").unwrap();
    assert_eq!(recovered.tree.data(large), Some(&vec![2; 4 << 20][..]));
}

#[test]
fn zk_4269_leftover_unfinished_files_are_ignored() {
    let disk = disk_with_log(3);
    let complete = disk.get(&in_folder("snapshot.0")).unwrap();
    disk.put(&in_folder("snapshot.100.tmp"), &complete);
    disk.put(&in_folder("snapshot.200.gz.tmp"), &complete[..50]);
    let recovered = recover_sim(&disk).unwrap();
    assert_eq!(recovered.base, Base::Snapshot(in_folder("snapshot.0")));
    assert_eq!((recovered.last_zxid, recovered.skipped.len()), (Zxid(3), 0));
    let mut server = Server::start(&disk).unwrap();
    server.zxid = Zxid(0xff);
    server.tree.set_last_zxid(Zxid(0x100));
    server.zxid = Zxid(0x100);
    server.snapshot().unwrap();
    assert_eq!(disk.get(&in_folder("snapshot.100.tmp")), None);
}

#[test]
fn zk_4846_and_3306_a_znode_whose_acl_is_not_in_the_table_loads_and_is_repaired_by_the_log() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create("/a", b"x");
    server.sync();
    server.snapshot().unwrap();
    let mut private = anyone().unwrap();
    private[0].perms = 1;
    let acl = Some(private.clone());
    server.write(Txn::SetAcl(SetAclTxn {
        path: Some("/a".into()),
        acl,
        version: 1,
    }));
    server.sync();
    // As a fuzzy snapshot has it: the znode already refers to a list that the table, written before, lacks.
    let path = in_folder("snapshot.1");
    let mut bytes = disk.get(&path).unwrap();
    let name = bytes
        .windows(7)
        .position(|window| window == b"\0\0\0\x02/a\0")
        .unwrap();
    let id = name + 6 + 4 + 1;
    bytes[id..id + 8].copy_from_slice(&77i64.to_be_bytes());
    reseal(&mut bytes);
    disk.put(&path, &bytes);
    let recovered = recover_sim(&disk).unwrap();
    assert_eq!(recovered.base, Base::Snapshot(path));
    let znode = recovered.tree.find("/a").unwrap();
    assert_eq!(recovered.tree.acl(znode)[..], private[..]);
}

/// Corrects the three checksums of a plain snapshot.
fn reseal(bytes: &mut [u8]) {
    for behind in [54 + 13, 21 + 13, 13] {
        let at = bytes.len() - behind;
        let sum = u64::from(simd_adler32::adler32(&&bytes[..at]));
        bytes[at..at + 8].copy_from_slice(&sum.to_be_bytes());
    }
}

#[test]
fn directories_are_synced_so_that_new_files_cannot_vanish() {
    // As CH#111339: a power failure right after the first sync of each new file, many times.
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let mut server = Server::start(&disk).unwrap();
        for n in 0..5 {
            server.log.roll();
            server.create(&format!("/z{n}"), b"");
            server.sync();
            if n % 2 == 0 {
                server.snapshot().unwrap();
            }
            let crashed = disk.fork(seed);
            crashed.reboot();
            assert_eq!(recover_sim(&crashed).unwrap().last_zxid, server.zxid);
        }
    }
}

#[test]
fn a_snapshot_that_is_finished_cannot_vanish() {
    // Without it the log beside it, which is in another folder, would be worthless.
    let apart = Dirs::new(Path::new("/d"), Path::new("/l"));
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        recover(&shared, &apart, &options()).unwrap();
        disk.reboot();
        let again = recover(&shared, &apart, &options()).unwrap();
        assert_eq!(again.base, Base::Snapshot(in_folder("snapshot.0")));
    }
}

#[test]
fn the_real_disk_keeps_its_promises_too() {
    let folder = tempfile::tempdir().unwrap();
    let dirs = Dirs::new(&folder.path().join("data"), &folder.path().join("logs"));
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let mut tree = recover(&disk, &dirs, &options()).unwrap().tree;
    let mut log = LogWriter::new(disk.clone(), dirs.log.clone(), LogOptions::default());
    for logged in txnlog::scan(golden("standalone-3.9.5/log.1")).unwrap().0 {
        tree.replay(&logged.header, &logged.txn);
        let mut payload = BytesMut::new();
        logged.write(&mut payload);
        log.append(Zxid(logged.header.zxid), &payload);
    }
    assert_eq!(log.sync().unwrap().upto, Some(Zxid(0x21)));
    let file = dirs.log.join("log.1");
    assert_eq!(disk.open(&file).unwrap().size().unwrap(), (64 << 20) + 16);
    let java = golden("standalone-3.9.5/log.1");
    let mut ours = vec![0; java.len()];
    disk.open(&file).unwrap().read_at(0, &mut ours).unwrap();
    assert!(ours == java, "not the bytes that Java wrote");
    let recovered = recover(&disk, &dirs, &options()).unwrap();
    assert_eq!(
        (recovered.replayed, recovered.digests.mismatched),
        (0x21, 0)
    );
    assert_eq!(picture(&recovered.tree), picture(&tree));
    snapshot::write_tree(
        disk.clone(),
        &dirs.data,
        &mut tree,
        &SnapshotOptions::default(),
    )
    .unwrap();
    let again = recover(&disk, &dirs, &options()).unwrap();
    assert_eq!(again.base, Base::Snapshot(dirs.data.join("snapshot.21")));
    assert_eq!(picture(&again.tree), picture(&tree));
    assert_eq!(
        disk.list(&dirs.data).unwrap(),
        ["snapshot.0", "snapshot.21"]
    );
}

#[test]
fn znodes_with_a_time_to_live_outlive_a_start_with_extended_types_off() {
    let disk = SimDisk::new(1);
    for file in ["snapshot.0", "snapshot.21", "log.1", "log.22"] {
        disk.put(
            &in_folder(file),
            &golden(&format!("standalone-3.9.5/{file}")),
        );
    }
    let off = RecoverOptions {
        tree: TreeOptions::default(),
        ..options()
    };
    let recovered = recover_with(&disk, &off).unwrap();
    for path in ["/ttl", "/mttl"] {
        assert!(recovered.tree.find(path).is_some(), "{path}");
    }
    assert_eq!(recovered.tree.orphan_sessions(), []);
    assert!(
        recovered
            .notes
            .iter()
            .any(|note| note.contains("extendedTypesEnabled"))
    );
}

#[test]
fn a_log_is_never_begun_over_one_that_holds_records() {
    let disk = disk_with_log(3);
    let before = disk.get(&in_folder("log.1")).unwrap();
    let mut log = log_of(&disk);
    log.append(Zxid(1), &[1; 40]);
    assert!(matches!(
        log.sync(),
        Err(StorageError::WouldOverwrite { .. })
    ));
    assert_eq!(disk.get(&in_folder("log.1")).unwrap(), before);
}

#[test]
fn files_in_the_wrong_folder_stop_the_start() {
    let apart = Dirs::new(Path::new("/d"), Path::new("/l"));
    for (stray, home) in [
        ("/l/version-2/snapshot.0", "/d"),
        ("/d/version-2/log.1", "/l"),
    ] {
        let disk = SimDisk::new(1);
        disk.put(Path::new(stray), b"");
        let shared: Arc<dyn Disk> = Arc::new(disk);
        let error = recover(&shared, &apart, &options())
            .err()
            .expect("it started");
        assert!(matches!(error, StorageError::Misplaced { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(stray) && text.contains(home), "{text}");
    }
}

#[test]
fn missing_folders_are_made_only_where_that_is_allowed() {
    let disk = SimDisk::new(1);
    let strict = RecoverOptions {
        create_dirs: false,
        ..options()
    };
    assert!(matches!(
        recover_with(&disk, &strict),
        Err(StorageError::MissingDir { .. })
    ));
    assert_eq!(
        recover_with(&disk, &options()).unwrap().base,
        Base::NewDatabase
    );
    assert_eq!(
        recover_with(&disk, &strict).unwrap().base,
        Base::Snapshot(in_folder("snapshot.0"))
    );
}

#[test]
fn an_empty_database_begins_only_with_leave_and_uses_it_up() {
    let strict = RecoverOptions {
        create_database: false,
        ..options()
    };
    let disk = SimDisk::new(1);
    let missing = recover_with(&disk, &strict).unwrap();
    assert_eq!((missing.base, missing.last_zxid), (Base::Missing, Zxid(-1)));
    disk.put(&dirs().initialize_marker(), b"");
    let begun = recover_with(&disk, &strict).unwrap();
    assert_eq!((begun.base, begun.last_zxid), (Base::NewDatabase, Zxid(0)));
    assert_eq!(disk.get(Path::new("/d/initialize")), None);
    assert_eq!(recover_with(&disk, &strict).unwrap().last_zxid, Zxid(0));
}

#[test]
fn purging_keeps_the_log_that_leads_to_the_oldest_kept_snapshot() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 0..10 {
        server.create(&format!("/z{n}"), b"");
        server.create(&format!("/y{n}"), b"");
        server.sync();
        server.snapshot().unwrap();
    }
    disk.put(&in_folder("log.old"), b"");
    disk.put(&in_folder("snapshot.old"), b"");
    disk.put(&in_folder("snapshot.5.tmp"), b"");
    disk.put(&in_folder("snapshot.15.tmp"), b"");
    purge::purge(&disk, &dirs(), 1).unwrap();
    let names = disk.list(&dirs().data).unwrap();
    let expected = [
        "log.11",
        "log.13",
        "log.f",
        "log.old",
        "snapshot.10",
        "snapshot.12",
        "snapshot.14",
        "snapshot.15.tmp",
        "snapshot.old",
    ];
    assert_eq!(names, expected);
    for newest in ["snapshot.14", "snapshot.12"] {
        disk.put(&in_folder(newest), b"");
        assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(0x14));
    }
    assert!(purge::purge(&SimDisk::new(2), &dirs(), 3).is_err());
}
