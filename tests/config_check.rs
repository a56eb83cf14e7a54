//! `oxkeeper config check` on files as operators write them.

#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::process::Command;

/// Exit code and output for a zoo.cfg of this text.
fn check(text: &str, more: &[&str]) -> (i32, String) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("zoo.cfg");
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(&file, text.replace("DATA", data.to_str().unwrap())).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
        .args(["config", "check"])
        .args(more)
        .arg(&file)
        .env_remove("JVMFLAGS")
        .env_remove("SERVER_JVMFLAGS")
        .output()
        .unwrap();
    let out = String::from_utf8(run.stdout).unwrap();
    (run.status.code().unwrap(), out)
}

#[test]
fn a_good_file_is_explained_and_passes() {
    let (code, out) = check("dataDir=DATA\nclientPort=2181\ntickTime=2000\n", &[]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("  tickTime=2000\n      Unit of time"), "{out}");
    assert!(
        out.ends_with("A standalone server starts with this: clients on port 2181.\n"),
        "{out}"
    );
    assert!(!out.contains("warning"), "{out}");
}

#[test]
fn a_missing_myid_is_an_error_and_a_slip_a_warning() {
    let text = "dataDir=DATA/none\nclientPort=2181\ntickTme=2000\ninitLimit=5\nsyncLimit=2\n\
                server.1=127.0.0.1:2888:3888\nserver.2=127.0.0.1:2889:3889\n";
    let (code, out) = check(text, &["-q"]);
    // Without a myid nobody knows which of them this server is.
    assert_eq!(code, 2, "{out}");
    let text = text.replace("DATA/none", "DATA");
    let (code, out) = check(&text.replace("server.2=127.0.0.1:2889:3889\n", ""), &["-q"]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("tickTme: unknown key, did you mean tickTime?"),
        "{out}"
    );
    assert!(!out.contains("Unit of time"), "{out}");
}

#[test]
fn what_a_server_refuses_is_an_error_with_its_line() {
    let (code, out) = check("dataDir=DATA\nclientPort=99999999\n", &["-q"]);
    assert_eq!(code, 2, "{out}");
    assert!(
        out.contains("zoo.cfg:2: clientPort=99999999: must be from 0 to 65535"),
        "{out}"
    );
    assert!(
        out.ends_with("A server does not start with this.\n"),
        "{out}"
    );
}
