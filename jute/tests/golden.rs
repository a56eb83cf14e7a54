//! Bytes that Java wrote, decoded and encoded again byte for byte; and every record there and back.
//!
//! The files in `golden/` hold a record or a frame a line: who speaks (`>` client, `<` server), the
//! names that `zookeeper.jute` gives, the bytes. `compat-tests/capture_frames.py` made them.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod golden {
    pub mod any;
}

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use golden::any::{Any, for_each_record};
use jute::txn::LoggedTxn;
use jute::{Cause, DecodeError, Op, Reader, Wire, Writer, data, persist, proto, quorum};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const FILES: [(&str, &str); 4] = [
    ("worked.hex", include_str!("golden/worked.hex")),
    ("client.hex", include_str!("golden/client.hex")),
    ("files.hex", include_str!("golden/files.hex")),
    ("ensemble.hex", include_str!("golden/ensemble.hex")),
];

/// Decodes one record off the front of a frame and encodes it again.
type Check = fn(&mut Reader, &mut BytesMut) -> Result<(), DecodeError>;

fn check<T: Wire>(r: &mut Reader, out: &mut BytesMut) -> Result<(), DecodeError> {
    let before = out.len();
    let record = T::read(r)?;
    Writer::for_client(out).put(&record);
    assert_eq!(record.size(), out.len() - before);
    Ok(())
}

/// Every record of `zookeeper.jute` that clients, files and servers of 3.9.5 exchange.
const RECORDS: &[(&str, Check)] = &[
    ("ACL", check::<data::Acl>),
    ("StatPersisted", check::<data::StatPersisted>),
    ("FileHeader", check::<persist::FileHeader>),
    ("LoggedTxn", logged_txn),
    ("QuorumPacket", check::<quorum::QuorumPacket>),
    ("LearnerInfo", check::<quorum::LearnerInfo>),
    ("QuorumAuthPacket", check::<quorum::QuorumAuthPacket>),
    ("ConnectRequest", check::<proto::ConnectRequest>),
    ("ConnectResponse", connect_response),
    ("RequestHeader", check::<proto::RequestHeader>),
    ("ReplyHeader", check::<proto::ReplyHeader>),
    ("CreateRequest", check::<proto::CreateRequest>),
    ("CreateTTLRequest", check::<proto::CreateTtlRequest>),
    ("DeleteRequest", check::<proto::DeleteRequest>),
    ("ExistsRequest", check::<proto::WatchableRequest>),
    ("GetDataRequest", check::<proto::WatchableRequest>),
    ("GetChildrenRequest", check::<proto::WatchableRequest>),
    ("GetChildren2Request", check::<proto::WatchableRequest>),
    ("SetDataRequest", check::<proto::SetDataRequest>),
    ("GetACLRequest", check::<proto::PathRequest>),
    ("SetACLRequest", check::<proto::SetAclRequest>),
    ("SyncRequest", check::<proto::PathRequest>),
    ("MultiRequest", multi_request),
    ("ReconfigRequest", check::<proto::ReconfigRequest>),
    ("CheckWatchesRequest", check::<proto::WatchesRequest>),
    ("RemoveWatchesRequest", check::<proto::WatchesRequest>),
    ("SetWatches", check::<proto::SetWatches>),
    ("SetWatches2", check::<proto::SetWatches2>),
    ("AddWatchRequest", check::<proto::AddWatchRequest>),
    ("AuthPacket", check::<proto::AuthPacket>),
    ("GetSASLRequest", check::<proto::SaslToken>),
    ("GetEphemeralsRequest", check::<proto::PathRequest>),
    ("GetAllChildrenNumberRequest", check::<proto::PathRequest>),
    ("CreateResponse", check::<proto::PathResponse>),
    ("Create2Response", check::<proto::Create2Response>),
    ("ExistsResponse", check::<proto::StatResponse>),
    ("GetDataResponse", check::<proto::GetDataResponse>),
    ("GetChildrenResponse", check::<proto::NamesResponse>),
    ("GetChildren2Response", check::<proto::GetChildren2Response>),
    ("SetDataResponse", check::<proto::StatResponse>),
    ("GetACLResponse", check::<proto::GetAclResponse>),
    ("SetACLResponse", check::<proto::StatResponse>),
    ("SyncResponse", check::<proto::PathResponse>),
    ("MultiResponse", multi_response),
    ("WatcherEvent", check::<proto::WatcherEvent>),
    ("SetSASLResponse", check::<proto::SaslToken>),
    ("GetEphemeralsResponse", check::<proto::NamesResponse>),
    (
        "GetAllChildrenNumberResponse",
        check::<proto::GetAllChildrenNumberResponse>,
    ),
    ("WhoAmIResponse", check::<proto::WhoAmIResponse>),
    ("ErrorResponse", check::<proto::ErrorResponse>),
];

fn logged_txn(r: &mut Reader, out: &mut BytesMut) -> Result<(), DecodeError> {
    // Bytes behind a transaction are ignored, so that the comparison has to find them.
    LoggedTxn::read(r.take_rest())?.write(out);
    Ok(())
}

/// The server only writes it, so it is read here.
fn connect_response(r: &mut Reader, out: &mut BytesMut) -> Result<(), DecodeError> {
    assert_eq!(r.i32()?, 0, "protocol version");
    let (timeout, session_id) = (r.i32()?, r.i64()?);
    let password = r.buffer()?.unwrap_or_default();
    let read_only = if r.left() > 0 { Some(r.bool()?) } else { None };
    let response = proto::ConnectResponse {
        timeout,
        session_id,
        password: password[..].try_into().expect("16 bytes"),
        read_only,
    };
    response.write(&mut Writer::for_client(out));
    Ok(())
}

/// Both what the server decodes in one piece, and the parts that clients write.
fn multi_request(r: &mut Reader, out: &mut BytesMut) -> Result<(), DecodeError> {
    let mut whole = Reader::new(Bytes::copy_from_slice(r.rest()), usize::MAX);
    let ops = proto::MultiRequest::read(&mut whole)?.ops;
    for op in &ops {
        let kind = multi_header(r, out)?.op.op().expect("an op");
        match kind {
            Op::CreateTtl => check::<proto::CreateTtlRequest>(r, out)?,
            Op::Create | Op::Create2 | Op::CreateContainer => {
                check::<proto::CreateRequest>(r, out)?
            }
            Op::Delete => check::<proto::DeleteRequest>(r, out)?,
            Op::SetData => check::<proto::SetDataRequest>(r, out)?,
            Op::Check => check::<proto::CheckVersionRequest>(r, out)?,
            _ => check::<proto::WatchableRequest>(r, out)?,
        }
        assert_eq!(op.is_read(), matches!(kind, Op::GetData | Op::GetChildren));
    }
    assert!(multi_header(r, out)?.done);
    Ok(())
}

fn multi_response(r: &mut Reader, out: &mut BytesMut) -> Result<(), DecodeError> {
    loop {
        let header = multi_header(r, out)?;
        match header.op.op() {
            Some(Op::Error) if header.done => return Ok(()),
            Some(Op::Error) => check::<proto::ErrorResponse>(r, out)?,
            Some(Op::Create) => check::<proto::PathResponse>(r, out)?,
            Some(Op::Create2) => check::<proto::Create2Response>(r, out)?,
            Some(Op::SetData) => check::<proto::StatResponse>(r, out)?,
            Some(Op::GetData) => check::<proto::GetDataResponse>(r, out)?,
            Some(Op::GetChildren) => check::<proto::NamesResponse>(r, out)?,
            other => assert!(matches!(other, Some(Op::Delete | Op::Check)), "{header:?}"),
        }
    }
}

fn multi_header(r: &mut Reader, out: &mut BytesMut) -> Result<proto::MultiHeader, DecodeError> {
    let header = proto::MultiHeader::read(r)?;
    Writer::for_client(out).put(&header);
    Ok(header)
}

fn unhex(text: &str) -> Bytes {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a hex digit") as u8;
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    assert_eq!(rest, []);
    pairs
        .iter()
        .map(|[high, low]| digit(*high) << 4 | digit(*low))
        .collect()
}

/// The records and the bytes of each line.
fn lines() -> impl Iterator<Item = (String, Vec<&'static str>, Bytes)> {
    FILES.iter().flat_map(|(file, text)| {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.starts_with('#'));
        lines.map(move |(number, line)| {
            let line = line.trim_start_matches(['>', '<', ' ']);
            let (names, hex) = line.split_once(' ').expect("names and bytes");
            (
                format!("{file}:{}", number + 1),
                names.split('+').collect(),
                unhex(hex),
            )
        })
    })
}

fn decode(names: &[&str], bytes: Bytes) -> Result<BytesMut, DecodeError> {
    let mut reader = Reader::new(bytes, usize::MAX);
    let mut out = BytesMut::new();
    for name in names {
        let found = RECORDS.iter().find(|(known, _)| known == name);
        let (_, check) = found.unwrap_or_else(|| panic!("unknown record {name}"));
        check(&mut reader, &mut out)?;
    }
    reader.finish()?;
    Ok(out)
}

#[test]
fn what_java_wrote_is_encoded_again_byte_for_byte() {
    for (place, names, bytes) in lines() {
        let out = decode(&names, bytes.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(out, bytes, "{place}");
    }
}

#[test]
fn every_record_was_captured() {
    let seen: BTreeSet<&str> = lines().flat_map(|(_, names, _)| names).collect();
    let known: BTreeSet<&str> = RECORDS.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen, known);
}

#[test]
fn every_kind_of_transaction_was_captured() {
    use Op::*;
    let mut seen = BTreeSet::new();
    for (_, names, bytes) in lines() {
        if names == ["LoggedTxn"] {
            let logged = LoggedTxn::read(bytes).unwrap();
            if let jute::txn::Txn::Multi(txns) = &logged.txn {
                seen.extend(txns.iter().map(|txn| txn.op() as i32));
            }
            seen.insert(logged.txn.op() as i32);
        }
    }
    let known = [
        CreateSession,
        CloseSession,
        Error,
        Create,
        Create2,
        CreateContainer,
        CreateTtl,
        Delete,
        DeleteContainer,
        SetData,
        Reconfig,
        SetAcl,
        Check,
        Multi,
    ];
    assert_eq!(seen, known.into_iter().map(|op| op as i32).collect());
}

#[test]
fn bytes_behind_a_frame_are_noticed() {
    for (place, names, mut bytes) in lines() {
        bytes = [&bytes[..], &[0]].concat().into();
        let last = names[names.len() - 1];
        let ignores = last == "LoggedTxn" || last.starts_with("Connect") && bytes.len() % 2 == 1;
        match decode(&names, bytes.clone()) {
            Err(error) => assert_eq!(error.cause, Cause::LeftOver(1), "{place}"),
            Ok(out) => assert!(ignores && out.len() <= bytes.len(), "{place}"),
        }
    }
}

#[test]
fn a_frame_that_ends_too_early_is_refused() {
    for (place, names, bytes) in lines() {
        let optional_tail = names[0].starts_with("Connect") || names[0] == "LoggedTxn";
        for end in (0..bytes.len()).filter(|_| !optional_tail) {
            assert!(
                decode(&names, bytes.slice(..end)).is_err(),
                "{place} up to {end}"
            );
        }
    }
}

fn there_and_back<T: Wire + Any + PartialEq + Debug + 'static>(name: &str) {
    let config = ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(&T::any(), |record| {
        let mut out = BytesMut::new();
        Writer::for_file(&mut out).put(&record);
        prop_assert_eq!(out.len(), record.size());
        let bytes = out.freeze();
        let mut reader = Reader::new(bytes.clone(), usize::MAX);
        prop_assert_eq!(T::read(&mut reader), Ok(record));
        prop_assert_eq!(reader.finish(), Ok(()));
        let mut reader = Reader::new([&bytes[..], &[1]].concat().into(), usize::MAX);
        T::read(&mut reader).unwrap();
        prop_assert_eq!(reader.finish(), Err(Cause::LeftOver(1).into()));
        Ok(())
    });
    assert_eq!(result, Ok(()), "{name}");
}

#[test]
fn every_record_survives_the_way_there_and_back() {
    macro_rules! each {
        ($($record:ty),* $(,)?) => {$( there_and_back::<$record>(stringify!($record)); )*};
    }
    for_each_record!(each);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_transaction_survives_the_way_there_and_back(logged in LoggedTxn::any()) {
        let mut out = BytesMut::new();
        logged.write(&mut out);
        prop_assert_eq!(LoggedTxn::read(out.freeze()), Ok(logged));
    }
}
