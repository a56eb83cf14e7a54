//! The tools on files, run as a person runs them. What Java's classes print of the same files is in
//! `tests/golden/tools`.

#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn log() -> PathBuf {
    golden("storage/standalone-3.9.5/log.1")
}

fn snapshot() -> PathBuf {
    golden("storage/standalone-3.9.5/snapshot.23")
}

fn oxkeeper(words: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
        .args(words)
        .arg(path)
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn objects(text: &str) -> Vec<Value> {
    let object = |line| serde_json::from_str(line).unwrap();
    text.lines().map(object).collect()
}

/// A folder with Java's files in its version-2.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = dir.path().join("version-2");
    fs::create_dir(&files).unwrap();
    for name in [
        "log.1",
        "log.22",
        "snapshot.0",
        "snapshot.21",
        "snapshot.23",
    ] {
        let from = golden("storage/standalone-3.9.5").join(name);
        fs::copy(from, files.join(name)).unwrap();
    }
    dir
}

fn picture(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(dir.join("version-2")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let with_bytes = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    files.into_iter().map(with_bytes).collect()
}

#[test]
fn texts_are_javas() {
    for (words, path, name) in [
        (&["log"][..], log(), "tools/log.1.txt"),
        (&["snapshot", "-d"], snapshot(), "tools/snapshot.23.txt"),
        (&["snapshot", "summary"], snapshot(), "tools/summary.txt"),
    ] {
        let expected = fs::read_to_string(golden(name)).unwrap();
        assert_eq!(text(&oxkeeper(words, &path)), expected, "{words:?}");
    }
    let ncdu = text(&oxkeeper(&["snapshot", "--ncdu"], &snapshot()));
    let mut ncdu: Value = serde_json::from_str(&ncdu).unwrap();
    ncdu[2]["timestamp"] = 0.into();
    let java = fs::read_to_string(golden("tools/snapshot.23.ncdu")).unwrap();
    assert_eq!(ncdu.to_string(), java);
}

#[test]
fn every_transaction_is_an_object_and_filters_choose_among_them() {
    let all = objects(&text(&oxkeeper(&["log", "--json"], &log())));
    assert_eq!(all.len(), 33);
    assert_eq!(all[1]["path"], "/a");
    assert_eq!(all[1]["data"], "aGVsbG8=");
    assert_eq!(all[0x14]["ops"].as_array().unwrap().len(), 6);
    let some = oxkeeper(&["log", "--json", "--from", "0x10", "--to", "0x12"], &log());
    assert_eq!(objects(&text(&some)).len(), 3);
    let path = oxkeeper(&["log", "--json", "--path", "/cont"], &log());
    let zxids = objects(&text(&path));
    let zxids: Vec<&Value> = zxids.iter().map(|object| &object["zxid"]).collect();
    assert_eq!(zxids, ["0xa", "0xb", "0x19", "0x20"]);
    let session = oxkeeper(&["log", "--json", "--session", "0x1000019d7c50001"], &log());
    assert_eq!(objects(&text(&session)).len(), 3);
}

#[test]
fn every_znode_is_an_object() {
    let all = objects(&text(&oxkeeper(&["snapshot", "--json", "-d"], &snapshot())));
    let of = |kind: &str| all.iter().filter(|object| object["kind"] == kind).count();
    assert_eq!((of("session"), of("znode"), of("end")), (1, 18, 1));
}

#[test]
fn a_repair_keeps_the_file_as_it_was() {
    let dir = folder();
    let file = dir.path().join("version-2/log.1");
    let whole = fs::read(&file).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&file, &whole[..end - 20]).unwrap();
    let said = text(&oxkeeper(&["log", "--repair"], &file));
    assert!(said.contains("after zxid 0x20"), "{said}");
    let kept = fs::read(dir.path().join("version-2/aside.log.1")).unwrap();
    assert_eq!(kept, &whole[..end - 20]);
    let left = objects(&text(&oxkeeper(&["log", "--json"], &file)));
    assert_eq!(left.len(), 32);
    assert!(text(&oxkeeper(&["log", "--repair"], &file)).contains("nothing to repair"));
}

#[test]
fn damage_with_transactions_behind_it_is_cut_off_only_with_consent() {
    let dir = folder();
    let file = dir.path().join("version-2/log.1");
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(5).position(|part| part == b"hello").unwrap();
    bytes[at] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let refused = oxkeeper(&["log", "--repair"], &file);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("after zxid 0x1: ") && !said.contains("starting"),
        "{said}"
    );
    assert_eq!(fs::read(&file).unwrap(), bytes);
    text(&oxkeeper(&["log", "--repair", "--accept-loss"], &file));
    assert_eq!(
        objects(&text(&oxkeeper(&["log", "--json"], &file))).len(),
        1
    );
}

#[test]
fn a_file_that_is_no_log_is_not_repaired_into_an_empty_one() {
    let dir = folder();
    for name in ["version-2/snapshot.23", "zoo.cfg"] {
        let file = dir.path().join(name);
        if !file.exists() {
            fs::write(&file, "dataDir=/data\n").unwrap();
        }
        let before = fs::read(&file).unwrap();
        let refused = oxkeeper(&["log", "--repair", "--accept-loss"], &file);
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Invalid magic number"));
        assert_eq!(fs::read(&file).unwrap(), before);
    }
}

#[test]
fn the_doctor_changes_nothing_unasked_and_copies_before_it_does() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(oxkeeper(&["doctor"], dir.path()).status.code(), Some(2));
    let dir = folder();
    let healthy = oxkeeper(&["doctor"], dir.path());
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    fs::write(dir.path().join("version-2/snapshot.99.tmp"), b"ZKSN").unwrap();
    let before = picture(dir.path());
    assert_eq!(oxkeeper(&["doctor"], dir.path()).status.code(), Some(1));
    assert_eq!(picture(dir.path()), before);
    let copy = dir.path().join("copy");
    let copy_to = copy.display().to_string();
    text(&oxkeeper(
        &["doctor", "--fix", "--copy-to", &copy_to],
        dir.path(),
    ));
    assert!(copy.join("version-2/snapshot.99.tmp").exists());
    assert!(!dir.path().join("version-2/snapshot.99.tmp").exists());
    assert_eq!(oxkeeper(&["doctor"], dir.path()).status.code(), Some(0));
}

#[test]
fn purge_says_so_when_there_is_nothing_it_could_purge() {
    let dir = folder();
    let purge = |path: &Path| oxkeeper(&["purge", "-n", "3"], path);
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let inside = purge(&dir.path().join("version-2"));
    assert!(inside.status.success());
    assert!(said(&inside).contains("version-2/version-2 does not exist"));
    let file = purge(&dir.path().join("version-2/log.1"));
    assert_eq!(file.status.code(), Some(1));
    assert!(said(&file).contains("log.1' is not a folder"));
    let right = purge(dir.path());
    assert!(right.status.success() && right.stderr.is_empty());
}

#[test]
fn output_that_nobody_reads_ends_no_command() {
    let dir = folder();
    let cfg = dir.path().join("zoo.cfg");
    fs::write(
        &cfg,
        format!("dataDir={}\nclientPort=0\n", dir.path().display()),
    )
    .unwrap();
    let cfg = cfg.to_str().unwrap();
    let data = dir.path().to_str().unwrap();
    for words in [
        &["config", "check", cfg][..],
        &["config", "reference"],
        &["completions", "bash"],
        &["doctor", data],
        &["version"],
        &[
            "snapshot",
            "--json",
            &format!("{data}/version-2/snapshot.23"),
        ],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_oxkeeper"));
        let done = command.args(words).stdout(writer).output().unwrap();
        assert_eq!(
            (done.status.code(), &*done.stderr),
            (Some(0), &b""[..]),
            "{words:?}"
        );
    }
}
