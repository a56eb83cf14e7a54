//! What each fuzz target does with its input. `tests/fuzz_inputs.rs` compiles this file too, and
//! replays every kept input on the stable toolchain.
//!
//! A target ends quietly for any input, or panics: by itself, or because a promise below is broken.

mod http;
mod links;
mod peer;
mod session;

use bytes::{Bytes, BytesMut};
use jute::proto::ConnectRequest;
use jute::txn::{LoggedTxn, Txn};
use jute::{Reader, Wire, Writer, data, persist, proto, quorum, txn};
use oxkeeper::base::Zxid;
use oxkeeper::client_port::codec;
use oxkeeper::config::{Config, ConfigSources, Pointers, jvm};
use oxkeeper::storage::{snapshot as snapshots, txnlog};
use oxkeeper::tree::TreeOptions;

pub use http::http;
pub use links::{election_link, quorum_link};
pub use peer::peer;
pub use session::session;

/// A target: its name, which is also that of its folders of inputs, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 9] = [
    ("client_frame", client_frame),
    ("session", session),
    ("txn_log", txn_log),
    ("snapshot", snapshot),
    ("config", config),
    ("election_link", election_link),
    ("quorum_link", quorum_link),
    ("peer", peer),
    ("http", http),
];

/// The largest frame of a server of default settings, in bytes.
const FRAME_LIMIT: usize = 0xf_ffff;

/// One frame of a client, without its length: as any record, as the first frame, as a later one.
/// What decodes encodes to as many bytes as it says, and those decode to the same.
pub fn client_frame(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    for limit in [FRAME_LIMIT, 16] {
        if let Err(error) = codec::decode(frame.clone(), limit) {
            assert!(!error.to_string().is_empty());
        }
    }
    for skip in [0, 8.min(frame.len())] {
        records(&frame.slice(skip..));
    }
    if let Ok(logged) = LoggedTxn::read(frame) {
        logged_txn(&logged);
    }
}

macro_rules! again {
    ($bytes:expr, $($record:ty),* $(,)?) => {$( again::<$record>($bytes); )*};
}

fn records(bytes: &Bytes) {
    again!(
        bytes,
        ConnectRequest,
        proto::RequestHeader,
        proto::ReplyHeader,
        proto::MultiHeader,
        proto::CreateRequest,
        proto::CreateTtlRequest,
        proto::DeleteRequest,
        proto::WatchableRequest,
        proto::SetDataRequest,
        proto::PathRequest,
        proto::SetAclRequest,
        proto::CheckVersionRequest,
        proto::ReconfigRequest,
        proto::AuthPacket,
        proto::SaslToken,
        proto::SetWatches,
        proto::SetWatches2,
        proto::WatcherEvent,
        proto::WatchesRequest,
        proto::AddWatchRequest,
        proto::GetChildren2Response,
        proto::GetAclResponse,
        proto::WhoAmIResponse,
        data::Id,
        data::Acl,
        data::Stat,
        data::StatPersisted,
        persist::FileHeader,
        quorum::LearnerInfo,
        quorum::QuorumPacket,
        quorum::QuorumAuthPacket,
        txn::TxnHeader,
        txn::TxnDigest,
        txn::CloseSessionTxn,
        txn::StoredMulti,
    );
    // Its ops become other ops while they are read, so it has no way back.
    let _ = proto::MultiRequest::read(&mut Reader::new(bytes.clone(), FRAME_LIMIT));
}

fn again<T: Wire + PartialEq + std::fmt::Debug>(bytes: &Bytes) {
    let Ok(record) = T::read(&mut Reader::new(bytes.clone(), FRAME_LIMIT)) else {
        return;
    };
    let mut out = BytesMut::new();
    Writer::for_file(&mut out).put(&record);
    assert_eq!(out.len(), record.size());
    let mut reader = Reader::new(out.freeze(), usize::MAX);
    assert_eq!(T::read(&mut reader), Ok(record));
    assert_eq!(reader.finish(), Ok(()));
}

fn logged_txn(logged: &LoggedTxn) {
    // A list of two empty paths looks like no list and a digest; no real path is empty.
    if matches!(logged.txn, Txn::CloseSession(_)) && logged.digest.is_none() {
        return;
    }
    let mut out = BytesMut::new();
    logged.write(&mut out);
    assert_eq!(LoggedTxn::read(out.freeze()).as_ref(), Ok(logged));
}

/// A transaction log file. What was read before its end lies in front of it and is in order of its
/// place.
pub fn txn_log(input: &[u8]) {
    match txnlog::scan(Bytes::copy_from_slice(input)) {
        Ok((txns, txnlog::End::Clean { offset } | txnlog::End::Torn { offset, .. })) => {
            assert!(offset <= input.len() as u64);
            assert!(
                txns.len() as u64 * 45 <= offset,
                "{} txns in {offset} bytes",
                txns.len()
            );
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A snapshot file, in the container that its first bytes name. A tree that loads can be walked.
pub fn snapshot(input: &[u8]) {
    let container = match input {
        [0x1f, 0x8b, ..] => snapshots::Compression::Gz,
        [0x82, b'S', b'N', b'A', ..] => snapshots::Compression::Snappy,
        _ => snapshots::Compression::None,
    };
    for extended_types in [false, true] {
        let options = TreeOptions {
            extended_types,
            ..TreeOptions::default()
        };
        let bytes = Bytes::copy_from_slice(input);
        match snapshots::check(bytes, container, Zxid(7), options) {
            Err(problem) => assert!(!problem.to_string().is_empty()),
            Ok(loaded) => walk(loaded.tree),
        }
    }
    if container == snapshots::Compression::None {
        stream(input.get(16..).unwrap_or_default());
    }
}

/// The same body as a leader sends it, in pieces.
fn stream(input: &[u8]) {
    let longest = 1 << 20;
    let mut parser = snapshots::stream::SnapParser::new(Zxid(7), TreeOptions::default(), longest);
    let mut waiting = BytesMut::new();
    for piece in input.chunks(100) {
        waiting.extend_from_slice(piece);
        match parser.feed(&mut waiting) {
            Ok(None) => assert!(waiting.len() < 3 * longest, "this much may not wait"),
            Ok(Some(tree)) => return walk(tree),
            Err(problem) => {
                assert!(!problem.to_string().is_empty());
                return;
            }
        }
    }
}

fn walk(mut tree: oxkeeper::tree::Tree) {
    let Some(mut frozen) = tree.freeze() else {
        unreachable!("nobody froze the tree before");
    };
    let mut body = BytesMut::new();
    frozen.header(&mut body);
    while !frozen.emit(&tree, 100, &mut body) {}
    tree.thaw(frozen);
    for session in tree.orphan_sessions() {
        assert!(tree.ephemerals(session).next().is_some());
    }
}

/// Texts of a configuration, with a zero byte after each: zoo.cfg, the dynamic file, myid, and the
/// words of a command line.
pub fn config(input: &[u8]) {
    let mut texts = input.splitn(4, |byte| *byte == 0);
    let cfg = texts.next().unwrap_or_default();
    let dynamic = texts
        .next()
        .map(|text| ("zoo.cfg.dynamic.7".to_owned(), text.to_vec()));
    let myid = texts.next().map(<[u8]>::to_vec);
    let words = String::from_utf8_lossy(texts.next().unwrap_or_default()).into_owned();
    let _ = Pointers::parse(cfg);
    let sources = ConfigSources {
        cfg_name: "zoo.cfg".to_owned(),
        cfg: cfg.to_vec(),
        next_dynamic: dynamic
            .as_ref()
            .map(|(_, text)| ("zoo.cfg.dynamic.next".to_owned(), text.clone())),
        dynamic,
        myid,
        system_properties: jvm::split_jvm_flags(&words).properties,
        embedded: false,
    };
    match Config::parse(&sources) {
        Ok(loaded) => assert_eq!(loaded.config.zoo_cfg, cfg),
        Err(invalid) => assert!(invalid.errors().next().is_some()),
    }
}
