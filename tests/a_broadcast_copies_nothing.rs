//! Counts the bytes that are allocated while a large write crosses an ensemble, which needs a process of its own.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use jute::txn::{LoggedTxn, SetDataTxn, Txn, TxnHeader};
use oxkeeper::base::{Epoch, Mono, ServerId, Zxid};
use oxkeeper::zab::history::{History, HistoryLimits};
use oxkeeper::zab::io::{Done, LearnerKind, LinkId, PeerOptions, Stored};
use oxkeeper::zab::packet::{FromLeader, FromLearner};
use oxkeeper::zab::quorum::{QuorumSystem, Quorums};
use oxkeeper::zab::{Effect, Input, Peer, Proposal, election};
use std::time::Duration;

struct Counting;

thread_local! {
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.set(BYTES.get() + layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SERVERS: [ServerId; 3] = [ServerId(1), ServerId(2), ServerId(3)];

/// Three servers whose disks and connections take no time.
struct Ensemble {
    now: Mono,
    peers: BTreeMap<ServerId, Peer>,
    /// The two ends of each connection: who has which, at the learner and at the leader.
    links: BTreeMap<(ServerId, LinkId), (ServerId, LinkId)>,
    inputs: VecDeque<(ServerId, Input)>,
    /// Where the bytes of each proposal lie that went to a disk, to a link or to a tree.
    payloads: Vec<*const u8>,
    delivered: usize,
}

impl Ensemble {
    fn elected() -> (Self, ServerId) {
        let peers = SERVERS.map(|server| (server, Peer::new(options(server), stored())));
        let mut ensemble = Ensemble {
            now: Mono(0),
            peers: peers.into(),
            links: BTreeMap::new(),
            inputs: VecDeque::new(),
            payloads: Vec::with_capacity(100),
            delivered: 0,
        };
        for server in SERVERS {
            ensemble.with(server, |peer, now| peer.start(now));
        }
        while !ensemble.peers.values().all(Peer::is_serving) {
            ensemble.run();
            let deadlines = ensemble.peers.values().filter_map(Peer::next_deadline);
            ensemble.now = deadlines.min().unwrap();
            for server in SERVERS {
                ensemble.with(server, Peer::tick);
            }
        }
        ensemble.run();
        let leader = ensemble.peers[&ServerId(1)].leader().unwrap();
        (ensemble, leader)
    }

    /// Until nothing is on its way.
    fn run(&mut self) {
        while let Some((server, input)) = self.inputs.pop_front() {
            self.with(server, |peer, now| peer.step(now, input));
        }
    }

    fn with(&mut self, server: ServerId, call: impl FnOnce(&mut Peer, Mono)) {
        let peer = self.peers.get_mut(&server).unwrap();
        call(peer, self.now);
        let mut effects = Vec::new();
        while let Some(effect) = peer.next_effect() {
            effects.push(effect);
        }
        for effect in effects {
            self.carry_out(server, effect);
        }
    }

    fn carry_out(&mut self, server: ServerId, effect: Effect) {
        let done = match effect {
            Effect::Append { zxid, payload } => {
                self.payloads.push(payload.as_ptr());
                Done::Logged { upto: zxid }
            }
            Effect::SaveAcceptedEpoch(epoch) => Done::AcceptedEpoch(epoch),
            Effect::SaveCurrentEpoch(epoch) => Done::CurrentEpoch(epoch),
            Effect::Notify { to, notification } => {
                let from = server;
                return self.tell(to, Input::Notification { from, notification });
            }
            Effect::Dial { leader } => return self.connect(server, leader),
            Effect::ToLeader { link, packet } => return self.send_up((server, link), packet),
            Effect::ToLearner { link, packet } => {
                let sent = packet.clone().encode();
                if let (FromLeader::Proposal { .. }, Some(data)) = (&packet, &sent.data) {
                    self.payloads.push(data.as_ptr());
                }
                let (learner, link) = self.links[&(server, link)];
                return self.tell(learner, Input::FromLeader { link, packet });
            }
            Effect::Deliver(proposal) => {
                self.payloads.push(proposal.payload.as_ptr());
                self.delivered += 1;
                return;
            }
            _ => return,
        };
        self.tell(server, Input::Done(done));
    }

    fn tell(&mut self, server: ServerId, input: Input) {
        self.inputs.push_back((server, input));
    }

    fn connect(&mut self, learner: ServerId, leader: ServerId) {
        let number = self.links.len() as u64;
        let (here, there) = (LinkId(number), LinkId(number + 1));
        self.links.insert((learner, here), (leader, there));
        self.links.insert((leader, there), (learner, here));
        self.tell(learner, Input::LeaderReached { link: here });
    }

    fn send_up(&mut self, from: (ServerId, LinkId), packet: FromLearner) {
        let (leader, link) = self.links[&from];
        let input = match packet {
            FromLearner::FollowerInfo(registration) => Input::Joined {
                link,
                kind: LearnerKind::Follower,
                registration,
            },
            packet => Input::FromLearner { link, packet },
        };
        self.tell(leader, input);
    }
}

fn options(me: ServerId) -> PeerOptions {
    let voters = SERVERS.into();
    PeerOptions {
        tuning: oxkeeper::zab::io::Tuning::default(),
        me,
        learner: election::LearnerType::Participant,
        quorums: Quorums::new(QuorumSystem::Majority { voters }, None),
        config: Bytes::new(),
        config_version: 0,
        tick: Duration::from_secs(2),
        init_limit: Duration::from_secs(20),
        sync_limit: Duration::from_secs(10),
        patience: election::Patience::default(),
        history: LIMITS,
    }
}

fn stored() -> Stored {
    Stored {
        accepted_epoch: Epoch(0),
        current_epoch: Epoch(0),
        history: History::after(Zxid::ZERO, LIMITS),
        log_whole_after: Zxid::ZERO,
        trusted: true,
    }
}

const LIMITS: HistoryLimits = HistoryLimits {
    count: 500,
    bytes: 100 << 20,
};

#[test]
fn a_write_is_encoded_once_for_every_disk_and_every_link() {
    const DATA: usize = 1 << 20;
    let (mut ensemble, leader) = Ensemble::elected();
    let zxid = ensemble.peers[&leader].next_zxid().unwrap();
    let txn = Txn::SetData(SetDataTxn {
        path: Some("/a".into()),
        data: Some(vec![7; DATA].into()),
        version: 1,
    });
    let header = TxnHeader {
        zxid: zxid.0,
        kind: txn.op().into(),
        ..TxnHeader::default()
    };
    let txn = LoggedTxn {
        header,
        txn,
        digest: None,
    };
    let mut payload = BytesMut::new();
    txn.write(&mut payload);
    let payload = payload.freeze();
    let encoded = payload.as_ptr();
    let before = BYTES.get();
    let txn = Box::new(txn);
    let proposal = Proposal { zxid, txn, payload };
    ensemble.with(leader, |peer, now| peer.propose(now, proposal));
    ensemble.run();
    let allocated = BYTES.get() - before;
    assert_eq!(ensemble.delivered, SERVERS.len());
    // Three disks, two links, three trees.
    assert_eq!(ensemble.payloads, [encoded; 8]);
    assert!(allocated < DATA / 10, "{allocated} bytes were allocated");
}
