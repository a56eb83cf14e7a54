//! Snapshots between servers: Java's captured ones, our own files, and what a hostile peer may send.

use super::*;
use crate::storage::snapshot::SnapshotProblem;
use crate::storage::snapshot::stream::{SIGNATURE, SnapBody, SnapParser, newest};

const LIMIT: usize = 4 << 20;

/// What follows a SNAP packet in a capture, with its zxid.
fn captured(name: &str, range: std::ops::Range<usize>) -> Bytes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire");
    let bytes = Bytes::from(std::fs::read(folder.join(name)).unwrap());
    bytes.slice(range)
}

fn captures() -> [(Zxid, Bytes); 2] {
    [
        (
            Zxid(0x1_0000_0000),
            captured("a-cold-start-05-quorum-to-21021.s2c.bin", 44..647),
        ),
        (
            Zxid(0x1_0000_000f),
            captured("d-snap-sync-07-quorum-to-21021.s2c.bin", 44..1177),
        ),
    ]
}

fn parse(zxid: Zxid, stream: &[u8], step: usize) -> Result<Option<Tree>, SnapshotProblem> {
    let mut parser = SnapParser::new(zxid, extended(), LIMIT);
    let mut waiting = BytesMut::new();
    for part in stream.chunks(step) {
        waiting.extend_from_slice(part);
        if let Some(tree) = parser.feed(&mut waiting)? {
            assert!(waiting.is_empty() || part.len() == stream.len());
            return Ok(Some(tree));
        }
    }
    Ok(None)
}

fn tree_of(zxid: Zxid, stream: &[u8]) -> Tree {
    parse(zxid, stream, stream.len()).unwrap().unwrap()
}

/// The stream that a server makes of its snapshot file.
fn stream_of(disk: &SimDisk, path: &Path) -> Result<Vec<u8>, SnapshotProblem> {
    let mut body = SnapBody::open(disk, path, LIMIT)?;
    let mut stream = Vec::new();
    while let Some(part) = body.next_part()? {
        assert!(!part.is_empty());
        stream.extend_from_slice(&part);
    }
    stream.extend_from_slice(SIGNATURE);
    Ok(stream)
}

fn written(tree: &mut Tree, compression: Compression) -> (SimDisk, PathBuf) {
    let disk = SimDisk::new(1);
    disk.create_dir(&dirs().data).unwrap();
    let options = SnapshotOptions {
        compression,
        ..SnapshotOptions::default()
    };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let written = snapshot::write_tree(shared, &dirs().data, tree, &options)
        .unwrap()
        .unwrap();
    (disk, written.path)
}

#[test]
fn javas_streams_become_trees_and_go_round_through_our_files() {
    for (zxid, stream) in captures() {
        let mut tree = tree_of(zxid, &stream);
        assert_eq!(tree.last_zxid(), zxid);
        let expected = picture(&tree);
        assert!(
            expected
                .iter()
                .any(|line| line.starts_with("/zookeeper/config "))
        );
        for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
            let (disk, path) = written(&mut tree, compression);
            let ours = stream_of(&disk, &path).unwrap();
            assert_eq!(picture(&tree_of(zxid, &ours)), expected, "{compression:?}");
            // The order of siblings is free.
            assert_eq!(ours.len(), stream.len());
        }
    }
}

#[test]
fn javas_files_are_streamed_as_they_are() {
    for (name, zxid) in [
        ("standalone-3.9.5/snapshot.23", 0x23),
        ("standalone-3.9.5/snapshot.23.gz", 0x23),
        ("standalone-3.9.5/snapshot.23.snappy", 0x23),
        ("standalone-3.8.0/snapshot.21", 0x21),
        ("variants/digest-off/snapshot.4", 4),
    ] {
        let disk = SimDisk::new(1);
        let file = name.rsplit('/').next().unwrap();
        disk.put(&in_folder(file), &golden(name));
        let stream = stream_of(&disk, &in_folder(file)).unwrap();
        let loaded = snapshot::read(&disk, &in_folder(file), Zxid(zxid), extended()).unwrap();
        assert_eq!(
            picture(&tree_of(Zxid(zxid), &stream)),
            picture(&loaded.tree),
            "{name}"
        );
        let plain = golden(&name.replace(".gz", "").replace(".snappy", ""));
        let body = &stream[..stream.len() - SIGNATURE.len()];
        assert!(plain[16..].starts_with(body), "{name}");
    }
}

#[test]
fn a_stream_may_arrive_in_any_pieces_with_packets_behind_it() {
    for (zxid, stream) in captures() {
        let expected = picture(&tree_of(zxid, &stream));
        for step in [1, 2, 3, 7, 64, 500] {
            let tree = parse(zxid, &stream, step).unwrap().unwrap();
            assert_eq!(picture(&tree), expected, "in steps of {step}");
        }
        let mut parser = SnapParser::new(zxid, extended(), LIMIT);
        let mut waiting = BytesMut::from(&stream[..]);
        waiting.extend_from_slice(b"a packet");
        assert!(parser.feed(&mut waiting).unwrap().is_some());
        assert_eq!(&waiting[..], b"a packet");
    }
}

#[test]
fn a_stream_that_ends_anywhere_makes_no_tree() {
    let (zxid, stream) = &captures()[1];
    for len in 0..stream.len() {
        assert!(
            parse(*zxid, &stream[..len], len.max(1)).unwrap().is_none(),
            "{len}"
        );
    }
    let mut other = stream.to_vec();
    let end = other.len() - 1;
    other[end] = b'E';
    assert!(matches!(
        parse(*zxid, &other, 1),
        Err(SnapshotProblem::Signature)
    ));
}

#[test]
fn lengths_that_lie_are_refused_before_anything_waits_for_them() {
    let counts = |words: &[i32]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    let mut list = counts(&[0, 1, 0, 7, 1, 31]);
    list.extend_from_slice(&counts(&[LIMIT as i32 + 1]));
    for (what, bytes) in [
        ("sessions", counts(&[-2])),
        ("ACL lists", counts(&[0, -3])),
        ("an ACL list", counts(&[0, 1, 0, 7, -2])),
        ("a text", list),
        ("a path", counts(&[0, 0, LIMIT as i32 + 1])),
        ("a path", counts(&[0, 0, i32::MAX])),
        ("data", counts(&[0, 0, 0, LIMIT as i32 + 1])),
        ("data", counts(&[0, 0, 0, -2])),
    ] {
        let result = parse(Zxid(1), &bytes, bytes.len());
        assert!(
            matches!(result, Err(SnapshotProblem::Value { .. })),
            "{what}"
        );
    }
    // Entries that are small, but have no end.
    let mut endless = counts(&[0, 1, 0, 7, i32::MAX]);
    let entry = [counts(&[31, 1000]), vec![b'x'; 1000], counts(&[0])].concat();
    while endless.len() < LIMIT + 10_000 {
        endless.extend_from_slice(&entry);
    }
    let result = parse(Zxid(1), &endless, 100_000);
    assert!(matches!(result, Err(SnapshotProblem::Value { .. })));
    // Counts alone cost nothing.
    assert!(parse(Zxid(1), &counts(&[i32::MAX]), 4).unwrap().is_none());
}

#[test]
fn a_fuzzy_stream_with_an_acl_that_is_missing_is_taken() {
    let (zxid, stream) = &captures()[1];
    let mut changed = stream.to_vec();
    // The table of ACL lists: sessions, count, then the first line, whose id nobody has now.
    assert_eq!(changed[4..16], [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]);
    changed[15] = 9;
    let tree = tree_of(*zxid, &changed);
    assert!(tree.find("/zookeeper/config").is_some());
}

#[test]
fn a_damaged_file_is_never_streamed_to_its_end() {
    let name = "standalone-3.9.5/snapshot.23";
    let whole = golden(name);
    let disk = SimDisk::new(1);
    let path = in_folder("snapshot.23");
    disk.put(&path, &whole);
    let body = stream_of(&disk, &path).unwrap().len() - SIGNATURE.len();
    for at in 0..16 + body + 8 {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 4;
        disk.put(&path, &bytes);
        assert!(stream_of(&disk, &path).is_err(), "a bit flipped at {at}");
    }
    for len in 0..16 + body + 8 {
        disk.put(&path, &whole[..len]);
        assert!(stream_of(&disk, &path).is_err(), "cut to {len}");
    }
}

#[test]
fn any_bytes_make_an_error_or_wait_for_more() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand::rngs::SmallRng::seed_from_u64(11);
    let [_, (zxid, stream)] = captures();
    for _ in 0..3000 {
        let mut bytes = stream.to_vec();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        let _ = parse(zxid, &bytes, rng.random_range(1..2000));
    }
}

#[test]
fn the_newest_finished_snapshot_is_sent_if_it_is_recent_enough() {
    let disk = disk_with_log(3);
    let mut server = Server::start(&disk).unwrap();
    server.snapshot().unwrap();
    disk.put(&in_folder("snapshot.9"), b"ZKSN and no end");
    let found = |at_least| newest(&disk, &dirs(), Zxid(at_least)).unwrap();
    assert_eq!(found(0), Some((Zxid(3), in_folder("snapshot.3"))));
    assert_eq!(found(3), Some((Zxid(3), in_folder("snapshot.3"))));
    assert_eq!(found(4), None);
}

#[test]
fn large_znodes_pass_in_both_directions() {
    let mut server = Server::start(&SimDisk::new(1)).unwrap();
    for n in 0..4 {
        server.create(&format!("/large{n}"), &vec![n; 700_000 + usize::from(n)]);
        server.create(&format!("/small{n}"), b"");
    }
    let (disk, path) = written(&mut server.tree, Compression::Snappy);
    let stream = stream_of(&disk, &path).unwrap();
    let tree = parse(server.zxid, &stream, 10_000).unwrap().unwrap();
    assert_eq!(picture(&tree), picture(&server.tree));
    assert!(
        SnapBody::open(&disk, &path, 1000)
            .unwrap()
            .next_part()
            .is_err()
    );
}

/// How far a snapshot's writer had come is found without making a tree of it.
#[test]
fn how_far_the_writer_of_a_snapshot_was_is_what_loading_it_says() {
    for name in [
        "standalone-3.9.5/snapshot.21",
        "standalone-3.9.5/snapshot.23.gz",
        "standalone-3.9.5/snapshot.23.snappy",
        "standalone-3.8.0/snapshot.21",
        "ensemble-3.9.5/s1-after-trunc/snapshot.10000000a",
    ] {
        let disk = SimDisk::new(1);
        let path = in_folder(name.rsplit('/').next().unwrap());
        disk.put(&path, &golden(name));
        let zxid = names::parse_snapshot(names::of(&path)).unwrap();
        let loaded = snapshot::read(&disk, &path, zxid, extended()).unwrap();
        let expected = loaded.digest.map(|(zxid, _)| zxid).max(loaded.last_zxid);
        let written_at = || SnapBody::open(&disk, &path, LIMIT).unwrap().written_at();
        assert_eq!(written_at().unwrap(), expected, "{name}");
        if name.ends_with(".21") {
            let whole = golden(name);
            for at in whole.len() - 40..whole.len() - 5 {
                let mut bytes = whole.to_vec();
                bytes[at] ^= 1;
                disk.put(&path, &bytes);
                assert!(written_at().is_err(), "{name} at {at}");
            }
        }
    }
}
