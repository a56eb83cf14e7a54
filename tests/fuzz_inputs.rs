//! Every kept input of every fuzz target, and thousands of small changes to them, on the stable
//! toolchain. New inputs come from `fuzz/run`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

#[test]
fn client_frames_of_any_bytes_do_no_harm() {
    replay("client_frame", &[], 20_000);
}

#[test]
fn clients_that_send_any_bytes_do_no_harm() {
    replay("session", &[], 6000);
}

#[test]
fn whatever_is_sent_to_the_admin_server_does_no_harm() {
    replay("http", &[], 6000);
}

#[test]
fn logs_of_any_bytes_do_no_harm() {
    replay("txn_log", &["tests/golden"], 4000);
}

#[test]
fn snapshots_of_any_bytes_do_no_harm() {
    replay("snapshot", &["tests/golden"], 4000);
}

#[test]
fn configurations_of_any_bytes_do_no_harm() {
    replay("config", &["tests/golden", "zoo.cfg.example"], 1200);
}

#[test]
fn election_links_of_any_bytes_do_no_harm() {
    replay("election_link", &["tests/golden/wire"], 10_000);
}

#[test]
fn quorum_links_of_any_bytes_do_no_harm() {
    replay("quorum_link", &["tests/golden/wire"], 10_000);
}

#[test]
fn servers_that_say_anything_to_a_member_do_no_harm() {
    replay("peer", &[], 20_000);
}

/// Runs the seeds, the found inputs, and the files of `more` whose names fit; then `changed`
/// changed ones.
fn replay(target: &str, more: &[&str], changed: usize) {
    let run = fuzz::TARGETS
        .iter()
        .find(|(name, _)| *name == target)
        .map(|(_, run)| *run)
        .expect("the target exists");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    walk(&root.join("fuzz/seeds").join(target), &mut paths);
    walk(&root.join("fuzz/found").join(target), &mut paths);
    for place in more {
        let mut files = Vec::new();
        walk(&root.join(place), &mut files);
        paths.extend(files.into_iter().filter(|path| fits(target, path)));
    }
    let inputs: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!inputs.is_empty(), "no inputs for {target}");
    for (path, input) in paths.iter().zip(&inputs) {
        println!("{}", path.display());
        run(input);
    }
    let mut random = SmallRng::seed_from_u64(1);
    for round in 0..changed {
        let index = round % inputs.len();
        let input = change(&inputs[index], &mut random);
        println!("change {round}, of {}", paths[index].display());
        run(&input);
    }
}

/// Whether a file of a server is an input of the target.
fn fits(target: &str, path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    if let Some(port) = target.strip_suffix("_link") {
        return name.contains(&format!("-{port}-to-")) && name.ends_with(".bin");
    }
    let prefix = match target {
        "txn_log" => ["log.", "standalone-log."],
        "snapshot" => ["snapshot.", "standalone-snapshot."],
        _ => ["zoo.cfg", "zoo.cfg."],
    };
    prefix.iter().any(|prefix| name.starts_with(prefix)) && !name.ends_with(".txt")
}

/// The files under a folder, or the one file.
fn walk(place: &Path, into: &mut Vec<PathBuf>) {
    if place.is_file() {
        into.push(place.to_path_buf());
    }
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        walk(&path, into);
    }
}

/// Numbers that lengths, counts and flags are often wrong with.
const ODD: [u32; 8] = [
    0,
    1,
    2,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0xffff_fffe,
    0x0010_0000,
];

/// The input with a few bytes changed, taken out, repeated or cut off.
fn change(input: &[u8], random: &mut SmallRng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.random_range(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.random_range(0..bytes.len());
        let end = (at + random.random_range(1..20)).min(bytes.len());
        match random.random_range(0..7) {
            0 | 1 => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes[at] = random.random(),
            3 => {
                let odd = ODD[random.random_range(0..ODD.len())].to_be_bytes();
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&odd[..end - at]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            _ => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}
