//! What Java servers said to each other, read to the last byte and written again byte for byte.
//!
//! The captures under `tests/golden/wire` are one direction of one connection each: `c2s` is what the dialling server
//! sent, `s2c` what it was answered. Between them they hold elections, every way to synchronize, broadcast, sessions
//! on the move, observers, an observer master, reconfiguration, several addresses, and SASL between servers.

#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use jute::data::{Acl, StatPersisted};
use jute::quorum::QuorumAuthPacket;
use jute::txn::LoggedTxn;
use jute::{Reader, Str, Wire, Writer};
use oxkeeper::zab::packet::{FromLeader, FromLearner, take_packet};
use oxkeeper::zab::vote::{InitialMessage, Notification, take_frame};

const LIMIT: usize = 2 * 1_048_575;

/// First bytes of a step of SASL.
const SASL_MAGIC: [u8; 8] = 0x5F24_3501_3501_EDCC_u64.to_be_bytes();

/// How often each kind of message was met, over all captures.
type Met = BTreeMap<String, usize>;

fn captures() -> Vec<(String, BytesMut)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire");
    let mut found: Vec<(String, BytesMut)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            (
                entry.file_name().into_string().unwrap(),
                BytesMut::from(&bytes[..]),
            )
        })
        .collect();
    found.sort();
    found
}

#[test]
fn java_captures_decode_and_encode_byte_for_byte() {
    let mut met = Met::new();
    let captures = captures();
    assert_eq!(captures.len(), 116);
    for (name, mut stream) in captures {
        let whole = stream.clone();
        let mut again = BytesMut::new();
        take_sasl(&mut stream, &mut again);
        if name.contains("-election-") {
            election(&name, &mut stream, &mut again, &mut met);
        } else if name.ends_with(".c2s.bin") {
            learner(&name, &mut stream, &mut again, &mut met);
        } else {
            leader(&name, &mut stream, &mut again, &mut met);
        }
        assert!(stream.is_empty(), "{name}: {} bytes are left", stream.len());
        assert!(again == whole, "{name}: other bytes than Java's");
    }
    for kind in [
        "Request",
        "Ack",
        "Ping",
        "Revalidate",
        "FollowerInfo",
        "ObserverInfo",
        "AckEpoch",
        "Proposal",
        "Commit",
        "Revalidated",
        "Sync",
        "Inform",
        "CommitAndActivate",
        "NewLeader",
        "UpToDate",
        "Diff",
        "Trunc",
        "Snap",
        "LeaderInfo",
        "InformAndActivate",
        "V1",
        "V2",
        "Notification",
    ] {
        assert!(met.contains_key(kind), "no capture holds {kind}: {met:?}");
    }
}

/// Counts the variant that `Debug` begins with.
fn count(met: &mut Met, message: &impl std::fmt::Debug) {
    let text = format!("{message:?}");
    let kind: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    *met.entry(kind).or_default() += 1;
}

/// Copies the steps of SASL at the front of the stream.
fn take_sasl(stream: &mut BytesMut, again: &mut BytesMut) {
    while stream.starts_with(&SASL_MAGIC) {
        let mut r = Reader::new(stream.clone().freeze(), LIMIT);
        let step = QuorumAuthPacket::read(&mut r).unwrap();
        let _ = stream.split_to(stream.len() - r.left());
        step.write(&mut Writer::for_file(again));
    }
}

fn election(name: &str, stream: &mut BytesMut, again: &mut BytesMut, met: &mut Met) {
    // A capture that began within a connection has no initial message; what follows it is a frame.
    if name.ends_with(".c2s.bin") && stream.starts_with(&[0xff; 6]) {
        let message = InitialMessage::take(stream).unwrap().unwrap();
        assert_eq!(
            message.addresses().count() > 1,
            name.starts_with("g-"),
            "{name}"
        );
        count(met, &message);
        message.write(again);
        take_sasl(stream, again);
    }
    while !stream.is_empty() {
        let body = take_frame(stream).unwrap().unwrap();
        let notification = Notification::decode(body).unwrap();
        assert!(notification.state.state().is_some(), "{name}");
        count(met, &notification);
        notification.write(again);
    }
}

fn learner(name: &str, stream: &mut BytesMut, again: &mut BytesMut, met: &mut Met) {
    while !stream.is_empty() {
        let packet = take_packet(stream, LIMIT).unwrap().unwrap();
        let said = FromLearner::decode(packet).unwrap_or_else(|error| panic!("{name}: {error}"));
        count(met, &said);
        said.clone().encode().write(&mut Writer::for_file(again));
    }
}

fn leader(name: &str, stream: &mut BytesMut, again: &mut BytesMut, met: &mut Met) {
    while !stream.is_empty() {
        let packet = take_packet(stream, LIMIT).unwrap().unwrap();
        let said = FromLeader::decode(packet).unwrap_or_else(|error| panic!("{name}: {error}"));
        count(met, &said);
        said.clone().encode().write(&mut Writer::for_file(again));
        match said {
            FromLeader::Proposal { zxid, txn }
            | FromLeader::Inform { zxid, txn }
            | FromLeader::InformAndActivate { zxid, txn, .. } => {
                let logged = LoggedTxn::read(txn.clone()).unwrap();
                assert_eq!(logged.header.zxid, zxid.0, "{name}");
                let mut bytes = BytesMut::new();
                logged.write(&mut bytes);
                assert_eq!(bytes, txn, "{name}: transaction {zxid}");
            }
            FromLeader::Snap(_) => {
                let length = snapshot_length(stream.clone().freeze());
                again.extend_from_slice(&stream.split_to(length));
            }
            _ => {}
        }
    }
}

/// Bytes of the snapshot that follows a SNAP: the body of a snapshot file, then a signature.
fn snapshot_length(stream: Bytes) -> usize {
    let whole = stream.len();
    let mut r = Reader::new(stream, LIMIT);
    for _ in 0..r.i32().unwrap() {
        r.i64().unwrap();
        r.i32().unwrap();
    }
    for _ in 0..r.i32().unwrap() {
        r.i64().unwrap();
        Option::<Vec<Acl>>::read(&mut r).unwrap();
    }
    while r.text().unwrap().as_deref() != Some("/") {
        r.buffer().unwrap();
        r.i64().unwrap();
        StatPersisted::read(&mut r).unwrap();
    }
    assert_eq!(r.text().unwrap(), Some(Str::from("BenWasHere")));
    whole - r.left()
}
