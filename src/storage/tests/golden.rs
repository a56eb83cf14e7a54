//! Files that Java servers wrote, against their decoded text.

use super::*;
use crate::storage::txnlog::{End, scan};
use jute::data::StatPersisted;
use std::fmt::Write;

/// Logs with a decoded text.
const LOGS: [&str; 8] = [
    "standalone-3.9.5/log.1",
    "standalone-3.9.5/log.22",
    "standalone-3.8.0/log.1",
    "ensemble-3.9.5/s3-leader/log.100000001",
    "ensemble-3.9.5/s4-observer/log.100000005",
    "ensemble-3.9.5/s1-after-trunc/log.100000001",
    "variants/digest-off/log.1",
    "variants/ascii-locale-digest/log.1",
];

/// Snapshots with a decoded text.
const SNAPSHOTS: [&str; 13] = [
    "standalone-3.9.5/snapshot.0",
    "standalone-3.9.5/snapshot.21",
    "standalone-3.9.5/snapshot.23",
    "standalone-3.9.5/snapshot.23.gz",
    "standalone-3.8.0/snapshot.0",
    "standalone-3.8.0/snapshot.21",
    "ensemble-3.9.5/s3-leader/snapshot.0",
    "ensemble-3.9.5/s4-observer/snapshot.0",
    "ensemble-3.9.5/s4-observer/snapshot.100000004",
    "ensemble-3.9.5/s1-after-trunc/snapshot.100000004",
    "ensemble-3.9.5/s1-after-trunc/snapshot.10000000a",
    "variants/ascii-locale-digest/snapshot.0",
    "standalone-3.9.5/snapshot.23.snappy",
];

fn decoded_text(name: &str) -> String {
    // The two packed ones hold the same database.
    let name = name.replace(".snappy", ".gz");
    String::from_utf8(golden(&format!("{name}.decoded.txt")).to_vec()).unwrap()
}

fn loaded(name: &str) -> snapshot::Loaded {
    let file = Path::new(name).file_name().unwrap().to_str().unwrap();
    let (zxid, compression) = (
        names::parse_snapshot(file).unwrap(),
        Compression::of_file(file),
    );
    snapshot::check(golden(name), compression, zxid, extended()).unwrap()
}

fn replayed(mut tree: Tree, name: &str) -> (Tree, u64, u64) {
    let (txns, _) = scan(golden(name)).unwrap();
    let (mut equal, mut different) = (0, 0);
    for logged in txns {
        tree.replay(&logged.header, &logged.txn);
        match logged.digest {
            Some(digest) if digest.tree_digest as u64 == tree.digest() => equal += 1,
            Some(_) => different += 1,
            None => {}
        }
    }
    (tree, equal, different)
}

/// As the decoded texts print values.
mod python {
    use super::*;

    pub fn bytes(data: Option<&[u8]>) -> String {
        let Some(data) = data else {
            return "None".into();
        };
        let quote = if data.contains(&b'\'') && !data.contains(&b'"') {
            '"'
        } else {
            '\''
        };
        let mut out = format!("b{quote}");
        for byte in data {
            match byte {
                b'\n' => out.push_str("\\n"),
                b'\r' => out.push_str("\\r"),
                b'\t' => out.push_str("\\t"),
                b'\\' => out.push_str("\\\\"),
                0x20..0x7f => out.push(*byte as char),
                _ => write!(out, "\\x{byte:02x}").unwrap(),
            }
        }
        out.push(quote);
        out
    }

    pub fn text(text: &Option<jute::Str>) -> String {
        format!("'{}'", text.as_deref().unwrap())
    }

    pub fn acl(acl: &[Acl]) -> String {
        let one = |acl: &Acl| {
            format!(
                "({}, {}, {})",
                acl.perms,
                text(&acl.id.scheme),
                text(&acl.id.id)
            )
        };
        format!("[{}]", acl.iter().map(one).collect::<Vec<_>>().join(", "))
    }

    pub fn stat(stat: &StatPersisted) -> String {
        format!(
            "{{'czxid': '{:#x}', 'mzxid': '{:#x}', 'ctime': {}, 'mtime': {}, 'version': {}, 'cversion': {}, \
             'aversion': {}, 'eowner': '{:#x}', 'pzxid': '{:#x}'}}",
            stat.czxid,
            stat.mzxid,
            stat.ctime,
            stat.mtime,
            stat.version,
            stat.cversion,
            stat.aversion,
            stat.ephemeral_owner,
            stat.pzxid
        )
    }

    pub fn txn(txn: &Txn) -> (&'static str, String) {
        let create = |t: &CreateTxn| {
            let (path, data, acl) = (
                text(&t.path),
                bytes(t.data.as_deref()),
                acl(t.acl.as_deref().unwrap()),
            );
            let ephemeral = if t.ephemeral { "True" } else { "False" };
            let cversion = t.parent_cversion;
            format!(
                "{{'path': {path}, 'data': {data}, 'acl': {acl}, 'eph': {ephemeral}, 'pcv': {cversion}}}"
            )
        };
        let set = |t: &SetDataTxn| {
            let (path, data) = (text(&t.path), bytes(t.data.as_deref()));
            format!(
                "{{'path': {path}, 'data': {data}, 'version': {}}}",
                t.version
            )
        };
        match txn {
            Txn::CreateSession(t) => ("createSession", format!("{{'timeout': {}}}", t.timeout)),
            Txn::CloseSession(t) => {
                let paths = t.clone().unwrap().paths.unwrap();
                let paths: Vec<String> = paths.into_iter().map(|path| text(&Some(path))).collect();
                (
                    "closeSession",
                    format!("{{'paths': [{}]}}", paths.join(", ")),
                )
            }
            Txn::Error(t) => ("error", format!("{{'err': {}}}", t.err)),
            Txn::Create(t) => ("create", create(t)),
            Txn::Create2(t) => ("create2", create(t)),
            Txn::CreateContainer(t) => {
                let (path, data, acl) = (
                    text(&t.path),
                    bytes(t.data.as_deref()),
                    acl(t.acl.as_deref().unwrap()),
                );
                let cversion = t.parent_cversion;
                (
                    "createContainer",
                    format!("{{'path': {path}, 'data': {data}, 'acl': {acl}, 'pcv': {cversion}}}"),
                )
            }
            Txn::CreateTtl(t) => {
                let (path, data, acl) = (
                    text(&t.path),
                    bytes(t.data.as_deref()),
                    acl(t.acl.as_deref().unwrap()),
                );
                let (cversion, ttl) = (t.parent_cversion, t.ttl);
                let text = format!(
                    "{{'path': {path}, 'data': {data}, 'acl': {acl}, 'pcv': {cversion}, 'ttl': {ttl}}}"
                );
                ("createTTL", text)
            }
            Txn::Delete(t) => ("delete", format!("{{'path': {}}}", text(&t.path))),
            Txn::DeleteContainer(t) => {
                ("deleteContainer", format!("{{'path': {}}}", text(&t.path)))
            }
            Txn::SetData(t) => ("setData", set(t)),
            Txn::Reconfig(t) => ("reconfig", set(t)),
            Txn::SetAcl(t) => {
                let acl = acl(t.acl.as_deref().unwrap());
                let text = format!(
                    "{{'path': {}, 'acl': {acl}, 'version': {}}}",
                    text(&t.path),
                    t.version
                );
                ("setACL", text)
            }
            Txn::Check(t) => (
                "check",
                format!("{{'path': {}, 'version': {}}}", text(&t.path), t.version),
            ),
            Txn::Multi(txns) => {
                let one = |t: &Txn| {
                    let (name, text) = self::txn(t);
                    format!("('{name}', {text})")
                };
                (
                    "multi",
                    format!("[{}]", txns.iter().map(one).collect::<Vec<_>>().join(", ")),
                )
            }
        }
    }
}

#[test]
fn every_record_of_javas_logs_is_read_as_decoded() {
    for name in LOGS {
        let mut reader =
            txnlog::LogReader::new(Box::new(MemoryFile(golden(name))), PathBuf::from(name))
                .unwrap();
        let text = decoded_text(name);
        let mut lines = text.lines().filter(|line| line.starts_with('@'));
        loop {
            let record = match reader.step().unwrap() {
                txnlog::Step::Record(record) => record,
                txnlog::Step::End(end) => {
                    assert!(matches!(end, End::Clean { .. }), "{name}: {end:?}");
                    break;
                }
            };
            let size = record.payload.len();
            let logged = LoggedTxn::read(record.payload.clone()).unwrap();
            let header = &logged.header;
            let (kind, txn) = python::txn(&logged.txn);
            let digest = match &logged.digest {
                Some(digest) => format!("({}, '{:#x}')", digest.version, digest.tree_digest),
                None => "None".into(),
            };
            let line = format!(
                "@{} crc={:08x} len={size} sess={:#x} cxid={} zxid={:#x} time={} type={kind}({}) {txn} \
                 digest={digest} rest=0",
                record.offset,
                simd_adler32::adler32(&&record.payload[..]),
                header.client_id,
                header.cxid,
                header.zxid,
                header.time,
                header.kind.0,
            );
            assert_eq!(Some(&line[..]), lines.next(), "{name}");
            let mut again = BytesMut::new();
            logged.write(&mut again);
            assert_eq!(again.freeze(), record.payload, "{name}: {line}");
        }
        assert_eq!(lines.next(), None, "{name}");
    }
}

#[test]
fn every_znode_of_javas_snapshots_is_loaded_as_decoded() {
    for name in SNAPSHOTS {
        let loaded = loaded(name);
        let text = decoded_text(name);
        let acls = text
            .lines()
            .find_map(|line| line.strip_prefix("acls "))
            .unwrap();
        let acl_text = |id: &str| match id {
            "-1" => "[(31, 'world', 'anyone')]".to_owned(),
            id => {
                let (_, rest) = acls.split_once(&format!("({id}, [")).unwrap();
                format!("[{}]", rest.split_once(']').unwrap().0)
            }
        };
        let mut expected = Vec::new();
        for line in text.lines() {
            if let Some((front, stat)) = line.split_once(" {'czxid'") {
                let (front, acl) = front.rsplit_once(' ').unwrap();
                expected.push(format!("{front} {} {{'czxid'{stat}", acl_text(acl)));
            }
        }
        let tree = &loaded.tree;
        let mut found = Vec::new();
        let mut todo = vec![String::new()];
        while let Some(path) = todo.pop() {
            let znode = tree.find(&path).unwrap();
            let (data, acl) = (
                python::bytes(tree.data(znode)),
                python::acl(tree.acl(znode)),
            );
            found.push(format!(
                "'{path}' {data} {acl} {}",
                python::stat(&tree.persisted(znode))
            ));
            todo.extend(tree.children(znode).map(|child| format!("{path}/{child}")));
        }
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
        let sessions: Vec<String> = tree
            .sessions()
            .map(|(id, ms)| format!("('{id}', {ms})"))
            .collect();
        assert!(
            text.contains(&format!("\nsessions [{}]", sessions.join(", "))),
            "{name}: {sessions:?}"
        );
        let digest = loaded
            .digest
            .map_or((0, 0), |(zxid, digest)| (zxid.0, digest));
        let written = [
            format!("\ndigest ({}, 2, {})", digest.0, digest.1),
            "\ndigest None".to_owned(),
        ];
        assert!(
            written.iter().any(|line| text.contains(line)),
            "{name}: {digest:?}"
        );
        let last = loaded
            .last_zxid
            .map_or("None".to_owned(), |zxid| zxid.0.to_string());
        assert!(
            text.contains(&format!("\nlastzxid {last}")),
            "{name}: {last}"
        );
    }
}

#[test]
fn digests_hold_along_every_log() {
    let digests = |snapshot: &str, log: &str| {
        let (_, equal, different) = replayed(loaded(snapshot).tree, log);
        (equal, different)
    };
    assert_eq!(
        digests("standalone-3.9.5/snapshot.0", "standalone-3.9.5/log.1"),
        (31, 0)
    );
    assert_eq!(
        digests("standalone-3.9.5/snapshot.21", "standalone-3.9.5/log.22"),
        (2, 0)
    );
    assert_eq!(
        digests("standalone-3.8.0/snapshot.0", "standalone-3.8.0/log.1"),
        (31, 0)
    );
    let leader = "ensemble-3.9.5/s3-leader/";
    let (equal, different) = digests(
        &format!("{leader}snapshot.0"),
        &format!("{leader}log.100000001"),
    );
    assert!(equal > 10 && different == 0, "{equal} {different}");
    let observer = "ensemble-3.9.5/s4-observer/";
    let (equal, different) = digests(
        &format!("{observer}snapshot.100000004"),
        &format!("{observer}log.100000005"),
    );
    assert!(equal > 5 && different == 0, "{equal} {different}");
}

#[test]
fn a_snapshot_equals_the_replayed_log_it_was_made_from() {
    let (tree, _, _) = replayed(
        loaded("standalone-3.9.5/snapshot.0").tree,
        "standalone-3.9.5/log.1",
    );
    assert_eq!(
        picture(&tree),
        picture(&loaded("standalone-3.9.5/snapshot.21").tree)
    );
    for other in [
        "standalone-3.9.5/snapshot.23.gz",
        "standalone-3.9.5/snapshot.23.snappy",
    ] {
        assert_eq!(
            picture(&loaded("standalone-3.9.5/snapshot.23").tree),
            picture(&loaded(other).tree)
        );
    }
}

#[test]
fn rewritten_snapshots_reload_equal_in_every_container() {
    for name in SNAPSHOTS {
        let mut tree = loaded(name).tree;
        for compression in [Compression::None, Compression::Gz, Compression::Snappy] {
            for serialize_last_zxid in [true, false] {
                let disk = SimDisk::new(1);
                disk.put(&in_folder("x"), b"");
                let options = SnapshotOptions {
                    compression,
                    serialize_last_zxid,
                };
                let shared: Arc<dyn Disk> = Arc::new(disk.clone());
                let written = snapshot::write_tree(shared, &dirs().data, &mut tree, &options)
                    .unwrap()
                    .unwrap();
                assert!(snapshot::looks_complete(&disk, &written.path).unwrap());
                let again =
                    snapshot::read(&disk, &written.path, tree.last_zxid(), extended()).unwrap();
                assert_eq!(
                    picture(&tree),
                    picture(&again.tree),
                    "{name} {compression:?}"
                );
                let zxid = tree.last_zxid();
                let digest = (zxid != Zxid::ZERO).then(|| (zxid, tree.digest()));
                assert_eq!(again.digest, digest);
                assert_eq!(again.last_zxid, serialize_last_zxid.then_some(zxid));
            }
        }
    }
}

#[test]
fn a_snapshot_of_a_new_database_is_byte_for_byte_javas() {
    let disk = SimDisk::new(1);
    recover_sim(&disk).unwrap();
    let ours = disk.get(&in_folder("snapshot.0")).unwrap();
    assert_eq!(ours, golden("standalone-3.9.5/snapshot.0"));
}

#[test]
fn folders_of_java_servers_open_in_place() {
    let open = |folder: &str, files: &[&str]| {
        let disk = SimDisk::new(1);
        for file in files {
            disk.put(&in_folder(file), &golden(&format!("{folder}/{file}")));
        }
        recover_sim(&disk).unwrap()
    };
    let standalone = open("standalone-3.9.5", &["snapshot.0", "log.1", "log.22"]);
    assert_eq!(
        (standalone.last_zxid, standalone.replayed),
        (Zxid(0x23), 0x23)
    );
    assert_eq!(standalone.digests.mismatched, 0);
    assert_eq!(standalone.notes, Vec::<String>::new());
    assert_eq!(
        picture(&standalone.tree),
        picture(&loaded("standalone-3.9.5/snapshot.23").tree)
    );
    let newest = open(
        "standalone-3.9.5",
        &["snapshot.0", "snapshot.21", "log.1", "log.22"],
    );
    assert_eq!((newest.last_zxid, newest.replayed), (Zxid(0x23), 2));
    assert_eq!(newest.base, Base::Snapshot(in_folder("snapshot.21")));
    let leader = open("ensemble-3.9.5/s3-leader", &["snapshot.0", "log.100000001"]);
    assert_eq!(leader.digests.mismatched, 0);
    let off = open("variants/digest-off", &["snapshot.4", "log.1"]);
    assert_eq!((off.last_zxid, off.replayed), (Zxid(4), 0));
}

#[test]
fn digests_of_an_ascii_server_are_reported_and_not_fatal() {
    let disk = SimDisk::new(1);
    for file in ["snapshot.0", "log.1"] {
        disk.put(
            &in_folder(file),
            &golden(&format!("variants/ascii-locale-digest/{file}")),
        );
    }
    let recovered = recover_sim(&disk).unwrap();
    assert_eq!(recovered.digests.first_mismatch, Some(Zxid(0xd)));
    assert!(
        recovered
            .notes
            .iter()
            .any(|note| note.contains("first after 0xd"))
    );
}

#[test]
fn a_log_without_path_lists_of_closed_sessions_is_read() {
    let disk = SimDisk::new(1);
    disk.put(
        &in_folder("log.1"),
        &golden("variants/closesessiontxn-off/log.1"),
    );
    let trusting = RecoverOptions {
        trust_empty_snapshot: true,
        ..options()
    };
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let recovered = recover(&shared, &dirs(), &trusting).unwrap();
    assert_eq!(recovered.base, Base::TrustedLogs);
    assert_eq!(recovered.digests.mismatched, 0);
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, recovered.last_zxid);
    let (txns, _) = scan(golden("variants/closesessiontxn-off/log.1")).unwrap();
    assert!(
        txns.iter()
            .any(|logged| logged.txn == Txn::CloseSession(None))
    );
}
