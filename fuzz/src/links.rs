//! What strangers and other servers may send to the ports of a member.

use bytes::{Bytes, BytesMut};
use jute::quorum::QuorumPacket;
use jute::{Wire, Writer};
use oxkeeper::zab::packet::{FromLeader, FromLearner, take_packet};
use oxkeeper::zab::vote::{InitialMessage, Notification, take_frame};

/// Bytes that a packet of the quorum port may hold.
const PACKET_LIMIT: usize = 1 << 20;

/// One direction of an election connection: first words, then notifications. What is understood is
/// written so that it is understood again.
pub fn election_link(input: &[u8]) {
    let mut stream = BytesMut::from(input);
    match InitialMessage::take(&mut stream) {
        Err(error) => return assert!(!error.to_string().is_empty()),
        Ok(None) => return assert_eq!(&stream[..], input),
        Ok(Some(first)) => {
            let mut out = BytesMut::new();
            first.write(&mut out);
            assert_eq!(InitialMessage::take(&mut out), Ok(Some(first.clone())));
            assert!(first.addresses().all(|address| !address.is_wildcard()));
        }
    }
    while let Ok(Some(body)) = take_frame(&mut stream) {
        let Ok(notification) = Notification::decode(body) else {
            continue;
        };
        let mut out = BytesMut::new();
        notification.write(&mut out);
        let again = take_frame(&mut out).map(|body| body.map(Notification::decode));
        // The old forms have no version to write.
        if notification.config.is_some() {
            assert_eq!(again, Ok(Some(Ok(notification))));
        }
    }
}

/// One direction of a connection of the quorum port, read as what a leader and as what a learner
/// says. What is understood is written so that it is understood again.
pub fn quorum_link(input: &[u8]) {
    let mut stream = BytesMut::from(input);
    loop {
        let before = stream.len();
        match take_packet(&mut stream, PACKET_LIMIT) {
            Ok(Some(packet)) => {
                assert!(stream.len() < before);
                both_ways(packet);
            }
            Ok(None) => return assert_eq!(stream.len(), before),
            Err(error) => return assert!(!error.to_string().is_empty()),
        }
    }
}

fn both_ways(packet: QuorumPacket) {
    if let Ok(said) = FromLeader::decode(packet.clone()) {
        assert_eq!(
            FromLeader::decode(over_the_wire(&said.clone().encode())),
            Ok(said)
        );
    }
    if let Ok(said) = FromLearner::decode(packet) {
        assert_eq!(
            FromLearner::decode(over_the_wire(&said.clone().encode())),
            Ok(said)
        );
    }
}

fn over_the_wire(packet: &QuorumPacket) -> QuorumPacket {
    let mut stream = BytesMut::new();
    Writer::for_file(&mut stream).put(packet);
    assert_eq!(stream.len(), packet.size());
    match take_packet(&mut stream, usize::MAX) {
        Ok(Some(packet)) if stream.is_empty() => packet,
        other => panic!("{packet:?} came over as {other:?}"),
    }
}

/// A transaction as a proposal carries it, or what only looks like one.
pub(super) fn payload(zxid: i64, tag: u8) -> Bytes {
    use jute::txn::{ErrorTxn, LoggedTxn, Txn, TxnHeader};
    if tag & 0x30 == 0x30 {
        return Bytes::from(vec![tag; usize::from(tag & 7)]);
    }
    let txn = Txn::Error(ErrorTxn { err: tag.into() });
    let header = TxnHeader {
        zxid: zxid.wrapping_add(i64::from(tag & 0x30 == 0x20)),
        kind: txn.op().into(),
        ..TxnHeader::default()
    };
    let logged = LoggedTxn {
        header,
        txn,
        digest: None,
    };
    let mut bytes = BytesMut::new();
    logged.write(&mut bytes);
    bytes.freeze()
}
