//! The epoch files: Java's format, files that are missing or lag behind, crashes.

use super::*;
use crate::base::Epoch;
use crate::storage::epochs::{Epochs, load, save_accepted, save_current};

const ACCEPTED: &str = "acceptedEpoch";
const CURRENT: &str = "currentEpoch";

fn with_files(accepted: Option<&str>, current: Option<&str>) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(&dirs().data).unwrap();
    for (name, text) in [(ACCEPTED, accepted), (CURRENT, current)] {
        if let Some(text) = text {
            disk.put(&in_folder(name), text.as_bytes());
        }
    }
    disk
}

fn epochs(disk: &SimDisk, last: i64) -> (i64, i64) {
    let Epochs {
        accepted, current, ..
    } = load(disk, &dirs(), Zxid(last)).unwrap();
    (accepted.0, current.0)
}

fn files(disk: &SimDisk) -> Vec<(String, String)> {
    let names = disk.list(&dirs().data).unwrap().into_iter();
    let with_content = names.map(|name| {
        let bytes = disk.get(&in_folder(&name)).unwrap();
        (name, String::from_utf8(bytes).unwrap())
    });
    with_content.collect()
}

fn pair(accepted: &str, current: &str) -> Vec<(String, String)> {
    vec![
        (ACCEPTED.into(), accepted.into()),
        (CURRENT.into(), current.into()),
    ]
}

#[test]
fn javas_files_are_read_and_written_as_java_does() {
    for (folder, epoch) in [("s1-after-trunc", 2), ("s3-leader", 1), ("s4-observer", 1)] {
        let disk = SimDisk::new(1);
        for name in [ACCEPTED, CURRENT] {
            disk.put(
                &in_folder(name),
                &golden(&format!("ensemble-3.9.5/{folder}/{name}")),
            );
        }
        let before = disk.changes();
        assert_eq!(epochs(&disk, 0x1_0000_0004), (epoch, epoch));
        let text = epoch.to_string();
        assert_eq!(files(&disk), pair(&text, &text));
        assert_eq!(
            disk.changes() - before,
            2,
            "looking for unfinished files only"
        );
    }
    let disk = with_files(Some("7\r\n"), Some("+5\nand more"));
    assert_eq!(epochs(&disk, 0x5_0000_0001), (7, 5));
    save_accepted(&disk, &dirs(), Epoch(12)).unwrap();
    save_current(&disk, &dirs(), Epoch(12)).unwrap();
    disk.reboot();
    assert_eq!(files(&disk), pair("12", "12"));
}

#[test]
fn missing_files_get_the_epoch_of_the_last_zxid() {
    for (accepted, current, last, expected) in [
        (None, None, 0, (0, 0)),
        (None, None, -1, (0, 0)),
        (None, None, 0x3_0000_0009, (3, 3)),
        (None, Some("5"), 0x3_0000_0009, (5, 5)),
        (Some("6"), None, 0x3_0000_0009, (6, 3)),
    ] {
        let disk = with_files(accepted, current);
        assert_eq!(epochs(&disk, last), expected);
        disk.reboot();
        assert_eq!(
            files(&disk),
            pair(&expected.0.to_string(), &expected.1.to_string())
        );
    }
    // What Java writes for a server without data.
    assert_eq!(epochs(&with_files(Some("-1"), Some("-1")), -1), (0, 0));
}

#[test]
fn zk_2307_and_2354_history_that_was_saved_before_its_epoch_does_not_block_the_start() {
    let disk = with_files(Some("4"), Some("2"));
    let loaded = load(&disk, &dirs(), Zxid(0x4_0000_0003)).unwrap();
    assert_eq!((loaded.accepted, loaded.current), (Epoch(4), Epoch(4)));
    assert!(
        loaded.notes[0].contains("set from 2 to 4"),
        "{:?}",
        loaded.notes
    );
    disk.reboot();
    assert_eq!(files(&disk), pair("4", "4"));
}

#[test]
fn zk_4269_leftovers_of_an_interrupted_write_mean_nothing_and_go() {
    let disk = with_files(Some("4"), Some("2"));
    disk.put(&in_folder("acceptedEpoch.tmp"), b"9");
    disk.put(&in_folder("currentEpoch.tmp"), b"3");
    assert_eq!(epochs(&disk, 0x4_0000_0003), (4, 4));
    disk.reboot();
    assert_eq!(files(&disk), pair("4", "4"));
    // A rename that did not happen: the older promise is lower than what is there.
    let disk = with_files(Some("1"), Some("2"));
    disk.put(&in_folder("acceptedEpoch.tmp"), b"2");
    let loaded = load(&disk, &dirs(), Zxid(0x1_0000_0003)).unwrap();
    assert_eq!((loaded.accepted, loaded.current), (Epoch(2), Epoch(2)));
    assert!(
        loaded.notes[0].contains("raised from 1 to 2"),
        "{:?}",
        loaded.notes
    );
}

#[test]
fn a_log_beyond_what_was_ever_accepted_is_refused_and_nothing_changed() {
    let disk = with_files(Some("2"), Some("2"));
    let before = disk.changes();
    let error = load(&disk, &dirs(), Zxid(0x4_0000_0003)).unwrap_err();
    assert!(matches!(error, StorageError::EpochBehindLog { .. }));
    assert!(
        error
            .to_string()
            .contains("acceptedEpoch says 2, but the log goes to 0x400000003")
    );
    assert_eq!(disk.changes(), before);
}

#[test]
fn files_without_a_number_are_refused() {
    for odd in [
        "",
        " 3",
        "3 ",
        "three",
        "\n3",
        "0x3",
        "-2",
        "99999999999999999999",
        "4294967296",
    ] {
        let disk = with_files(Some("4"), Some(odd));
        let error = load(&disk, &dirs(), Zxid(0)).unwrap_err();
        assert!(
            matches!(error, StorageError::EpochFile { .. }),
            "{odd:?}: {error}"
        );
    }
    let disk = with_files(Some("4"), None);
    disk.put(&in_folder(CURRENT), &[0xff; 1000]);
    assert!(load(&disk, &dirs(), Zxid(0)).is_err());
}

#[test]
fn zk_4269_a_failed_write_leaves_the_old_epoch() {
    for good in 0..2 {
        let disk = with_files(Some("4"), Some("4"));
        disk.fail_syncs_after(good);
        assert!(save_accepted(&disk, &dirs(), Epoch(5)).is_err());
        disk.reboot();
        let accepted = epochs(&disk, 0x4_0000_0001).0;
        assert!(
            accepted == 4 || good == 1 && accepted == 5,
            "{accepted} after {good} syncs"
        );
    }
    let disk = with_files(Some("4"), Some("4"));
    disk.set_capacity(2);
    assert!(save_accepted(&disk, &dirs(), Epoch(5)).is_err());
    assert_eq!(files(&disk), pair("4", "4"));
}

#[test]
fn an_epoch_is_the_old_or_the_new_one_after_a_crash_at_every_step() {
    for seed in 0..20 {
        for crash in 1..=10 {
            let disk = with_files(Some("4"), Some("3"));
            let disk = disk.fork(seed * 16 + crash);
            disk.crash_at(crash);
            let accepted = save_accepted(&disk, &dirs(), Epoch(5));
            let current = save_current(&disk, &dirs(), Epoch(5));
            disk.reboot();
            // Loading may be interrupted, too.
            let attempt = disk.fork(seed);
            attempt.crash_at(1 + seed % 6);
            let _ = load(&attempt, &dirs(), Zxid(0x3_0000_0001));
            attempt.reboot();
            for disk in [disk, attempt] {
                let found = epochs(&disk, 0x3_0000_0001);
                let kept = (accepted.is_ok(), current.is_ok());
                assert!(matches!(found.0, 4 | 5) && matches!(found.1, 3 | 5));
                assert!(
                    !kept.0 || found.0 == 5,
                    "seed {seed}, crash {crash}: {found:?}"
                );
                assert!(
                    !kept.1 || found.1 == 5,
                    "seed {seed}, crash {crash}: {found:?}"
                );
            }
        }
    }
}
