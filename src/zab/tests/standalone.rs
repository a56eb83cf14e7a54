//! A server on its own.

use bytes::Bytes;
use jute::txn::{ErrorTxn, LoggedTxn, Txn, TxnHeader};

use crate::base::{Mono, Zxid};
use crate::zab::io::Done;
use crate::zab::{Effect, Input, Peer, Proposal};

fn proposal(zxid: Zxid) -> Proposal {
    let txn = Txn::Error(ErrorTxn { err: -101 });
    let header = TxnHeader {
        zxid: zxid.0,
        kind: txn.op().into(),
        ..TxnHeader::default()
    };
    Proposal {
        zxid,
        txn: Box::new(LoggedTxn {
            header,
            txn,
            digest: None,
        }),
        payload: Bytes::new(),
    }
}

fn delivered(peer: &mut Peer) -> Vec<i64> {
    std::iter::from_fn(|| peer.next_effect())
        .filter_map(|effect| match effect {
            Effect::Deliver(proposal) => Some(proposal.zxid.0),
            _ => None,
        })
        .collect()
}

fn logged(peer: &mut Peer, upto: i64) {
    let upto = Zxid(upto);
    peer.step(Mono(0), Input::Done(Done::Logged { upto }));
}

#[test]
fn nothing_is_delivered_before_it_is_durable() {
    let mut peer = Peer::standalone(Zxid(7));
    for zxid in 8..=10 {
        peer.propose(Mono(0), proposal(Zxid(zxid)));
    }
    assert!(delivered(&mut peer).is_empty());
    logged(&mut peer, 9);
    assert_eq!(delivered(&mut peer), [8, 9]);
    logged(&mut peer, 10);
    assert_eq!(delivered(&mut peer), [10]);
}

#[test]
fn a_standalone_server_counts_past_the_end_of_an_epoch() {
    let mut peer = Peer::standalone(Zxid(0xffff_ffff));
    assert_eq!(peer.next_zxid(), Some(Zxid(0x1_0000_0000)));
    peer.propose(Mono(0), proposal(Zxid(0x1_0000_0000)));
    logged(&mut peer, 0x1_0000_0000);
    assert_eq!(delivered(&mut peer), [0x1_0000_0000]);
}
