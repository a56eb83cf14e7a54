//! Restoring: to the end, to every position, to a time; into folders of every state.

use std::fs;
use std::path::Path;

use super::whole::{Options, Restored, Target, plan, restore};
use crate::base::Zxid;
use crate::cli::backup::error::BackupError;
use crate::cli::backup::tests::{Server, time_at};
use crate::cli::backup::{run, verify};
use crate::runtime::data_lock::DataLock;
use crate::runtime::restored::Homes;

fn restore_to(
    backup: &Path,
    home: &Path,
    target: Target,
    force: bool,
) -> Result<Restored, BackupError> {
    let manifest = verify::read(backup)?;
    let plan = plan(backup, &manifest, target)?;
    let options = Options {
        homes: Homes {
            data: home.to_path_buf(),
            log: home.to_path_buf(),
        },
        force,
        myid: None,
    };
    restore(backup, &manifest, &plan, &options)
}

/// A server with 30 transactions and a snapshot in the middle, backed up in three runs.
fn backed_up(home: &Path, backup: &Path) -> Server {
    let mut server = Server::start(home);
    for part in ["a", "b", "c"] {
        server.write_some(part, 10);
        run::from_data_dir(backup, &server.dirs, part == "b").unwrap();
        server.snapshot();
    }
    server
}

#[test]
fn every_position_gives_the_tree_of_that_position() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = backed_up(home.path(), backup.path());
    for (zxid, digest) in &server.digests {
        let fresh = tempfile::tempdir().unwrap();
        let restored = restore_to(backup.path(), fresh.path(), Target::Zxid(*zxid), false).unwrap();
        assert_eq!((restored.upto, restored.digest), (*zxid, *digest));
        assert_eq!(restored.digest_mismatches, 0);
        let opened = Server::start(fresh.path());
        assert_eq!((opened.zxid, opened.tree.digest()), (*zxid, *digest));
    }
    let fresh = tempfile::tempdir().unwrap();
    let restored = restore_to(backup.path(), fresh.path(), Target::Latest, false).unwrap();
    assert_eq!(restored.upto, Zxid(30));
}

#[test]
fn a_time_gives_the_last_transaction_at_or_before_it() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    backed_up(home.path(), backup.path());
    let to = |ms| {
        let fresh = tempfile::tempdir().unwrap();
        restore_to(backup.path(), fresh.path(), Target::Time(ms), false)
            .map(|restored| restored.upto)
    };
    for n in [1, 9, 10, 11, 30] {
        assert_eq!(to(time_at(Zxid(n))).unwrap(), Zxid(n));
    }
    assert_eq!(to(i64::MAX).unwrap(), Zxid(30));
    assert!(matches!(
        to(time_at(Zxid(0))),
        Err(BackupError::OutOfReach { .. })
    ));
}

#[test]
fn positions_that_no_chain_goes_through_are_refused_with_those_that_one_does() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = Server::start(home.path());
    server.write_some("a", 5);
    run::from_data_dir(backup.path(), &server.dirs, false).unwrap();
    server.write_some("b", 5);
    server.snapshot();
    server.write_some("c", 5);
    fs::remove_file(server.dirs.log.join("log.1")).unwrap();
    run::from_data_dir(backup.path(), &server.dirs, false).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    for lost in [6, 9, 16] {
        let refused = restore_to(backup.path(), fresh.path(), Target::Zxid(Zxid(lost)), false);
        let text = refused.err().unwrap().to_string();
        assert!(text.contains("0x0 to 0x5 and from 0xa to 0xf"), "{text}");
    }
    for there in [5, 10, 15] {
        let restored = restore_to(backup.path(), fresh.path(), Target::Zxid(Zxid(there)), true);
        assert_eq!(restored.unwrap().digest, server.digests[&Zxid(there)]);
    }
}

#[test]
fn a_database_is_not_overwritten_unless_told_and_kept_then() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut server = backed_up(home.path(), backup.path());
    server.write_some("d", 5);
    let end = (server.zxid, server.tree.digest());
    let refused = restore_to(backup.path(), home.path(), Target::Latest, false);
    assert!(matches!(refused, Err(BackupError::NotEmpty { .. })));
    drop(server);
    let restored = restore_to(backup.path(), home.path(), Target::Latest, true).unwrap();
    assert_eq!(Server::start(home.path()).zxid, Zxid(30));
    let kept = &restored.kept[0];
    let again = tempfile::tempdir().unwrap();
    fs::rename(kept, again.path().join("version-2")).unwrap();
    let before = Server::start(again.path());
    assert_eq!((before.zxid, before.tree.digest()), end);
}

#[test]
fn a_folder_in_use_is_refused_even_when_told() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = backed_up(home.path(), backup.path());
    let _lock = DataLock::take(&server.dirs.data).unwrap();
    let refused = restore_to(backup.path(), home.path(), Target::Latest, true);
    assert!(matches!(refused, Err(BackupError::Lock(_))));
}

#[test]
fn a_damaged_backup_puts_nothing_in_place() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = backed_up(home.path(), backup.path());
    let log = backup.path().join("2/version-2/log.15");
    let mut bytes = fs::read(&log).unwrap();
    bytes[100] ^= 1;
    fs::write(&log, bytes).unwrap();
    let refused = restore_to(backup.path(), home.path(), Target::Latest, true);
    assert!(matches!(refused, Err(BackupError::Damaged { .. })));
    drop(server);
    assert_eq!(Server::start(home.path()).zxid, Zxid(30));
    assert!(!home.path().join("restore.tmp").exists());
}

#[test]
fn separate_folders_get_their_files_and_epochs_cover_what_clients_saw() {
    let (home, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(home.path());
    fs::write(server.dirs.data.join("acceptedEpoch"), "7").unwrap();
    let mut server = server;
    server.write_some("a", 5);
    run::from_data_dir(backup.path(), &server.dirs, false).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let homes = Homes {
        data: fresh.path().join("data"),
        log: fresh.path().join("log"),
    };
    let options = Options {
        homes: homes.clone(),
        force: false,
        myid: Some(3),
    };
    let manifest = verify::read(backup.path()).unwrap();
    let plan = plan(backup.path(), &manifest, Target::Latest).unwrap();
    restore(backup.path(), &manifest, &plan, &options).unwrap();
    let read = |path: &str| fs::read_to_string(fresh.path().join(path)).unwrap();
    assert_eq!(read("data/version-2/acceptedEpoch"), "7");
    assert_eq!(read("data/version-2/currentEpoch"), "0");
    assert_eq!(read("data/myid"), "3\n");
    assert!(fresh.path().join("log/version-2/log.1").exists());
    assert!(fresh.path().join("data/version-2/snapshot.0").exists());
}
