//! `./check` tells by its exit status whether everything passed: what it runs is replaced by stand-ins here.
#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A folder with `check` and stand-ins; they fail if the environment's `FAILS` is part of how they are called.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("check");
    fs::copy(check, folder.path().join("check")).unwrap();
    fs::create_dir(folder.path().join("compat-tests")).unwrap();
    for name in ["cargo", "compat-tests/install", "compat-tests/run"] {
        let path = folder.path().join(name);
        let script = "#!/bin/sh\necho \"ran ${0##*/} $*\"\ncase \"${0##*/} $*\" in *$FAILS*) exit 7 ;; esac\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// The exit status, and what was printed, when the calls with `fails` in them fail.
fn check(fails: &str) -> (Option<i32>, String) {
    let folder = folder();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new(folder.path().join("check"))
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("FAILS", fails)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&printed).into_owned(),
    )
}

/// One test: a file that is being written while another thread starts a process cannot be run for a moment.
#[test]
fn a_check_ends_with_0_only_if_every_part_passes() {
    let (status, printed) = check("nothing");
    assert_eq!(status, Some(0), "{printed}");
    let parts = [
        "fmt",
        "clippy",
        "cargo test",
        "build --release",
        "install 3",
        "--bench versus",
        "--bench ensemble",
        "run -n",
    ];
    for part in parts {
        let ran = printed
            .lines()
            .any(|line| line.contains("ran ") && line.contains(part));
        assert!(ran, "{part}: {printed}");
        let (status, printed) = check(part);
        assert_eq!(status, Some(7), "{part}: {printed}");
    }
}
