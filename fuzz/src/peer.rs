//! A member among servers that say anything at any time, and a disk that takes its time.
//!
//! The first byte says what the member is. Then four bytes make one event: its kind, and what it
//! says. Everything a real owner of the member promises it is kept: the disk reports what was asked
//! of it in order, a connection has one number, nothing is handed in between a SNAP and its stream.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use jute::txn::LoggedTxn;
use oxkeeper::base::{Epoch, Mono, ServerId, SessionId, Zxid};
use oxkeeper::zab::election::{LearnerType, Patience};
use oxkeeper::zab::history::{History, HistoryLimits, Logged};
use oxkeeper::zab::io::{Done, LearnerKind, LinkId, PeerOptions, Role, Stored};
use oxkeeper::zab::packet::{Forwarded, FromLeader, FromLearner, Registration, Touch};
use oxkeeper::zab::quorum::{QuorumSystem, Quorums};
use oxkeeper::zab::vote::{Choice, Notification, StateCode};
use oxkeeper::zab::{Effect, Input, Peer, Proposal};

use super::links::payload;

/// Effects that one event may cause at most: a bound on amplification, not a wish.
const EFFECTS_MAX: usize = 2000;

/// A member and what surrounds it.
struct World {
    peer: Peer,
    now: Mono,
    disk: VecDeque<Done>,
    owed: VecDeque<Input>,
    /// Accepted connections that were not closed.
    accepted: Vec<LinkId>,
    dialled: Option<LinkId>,
    wants: Option<ServerId>,
    next_link: u64,
    /// A SNAP was handed in, its stream was not.
    streaming: bool,
    delivered: Zxid,
    serving: Option<Role>,
}

/// Plays the input.
pub fn peer(input: &[u8]) {
    let Some((me, events)) = input.split_first() else {
        return;
    };
    let mut world = World::new(*me);
    world.peer.start(world.now);
    world.settle();
    for event in events.chunks_exact(4) {
        world.play(event[0], event[1], event[2], event[3]);
        world.settle();
    }
}

/// A small zxid: epochs and counters up to 15, and now and then an extreme one.
fn zxid(number: u8) -> Zxid {
    match number {
        0xff => Zxid(i64::MAX),
        0xfe => Zxid(-1),
        0xfd => Zxid(i64::MIN),
        0xfc => Zxid(0x7_ffff_ffff),
        _ => Zxid(i64::from(number >> 4) << 32 | i64::from(number & 0xf)),
    }
}

fn epoch(number: u8) -> Epoch {
    match number {
        0xff => Epoch(i64::from(i32::MAX)),
        0xfe => Epoch(-1),
        0xfd => Epoch(i64::from(u32::MAX)),
        _ => Epoch((number & 0xf).into()),
    }
}

fn options(me: u8) -> PeerOptions {
    let voters = [1, 2, 3].map(ServerId).into();
    PeerOptions {
        tuning: oxkeeper::zab::io::Tuning::default(),
        me: ServerId(if me & 1 == 0 { 2 } else { 4 }),
        learner: if me & 1 == 0 {
            LearnerType::Participant
        } else {
            LearnerType::Observer
        },
        quorums: Quorums::new(QuorumSystem::Majority { voters }, None),
        config: Bytes::from_static(b"version=0"),
        config_version: 0,
        tick: Duration::from_millis(100),
        init_limit: Duration::from_millis(1000),
        sync_limit: Duration::from_millis(500),
        patience: Patience::default(),
        history: HistoryLimits {
            count: 3,
            bytes: 10_000,
        },
    }
}

/// The disk of a server that logged a few transactions of epoch 1, or none.
fn stored(me: u8) -> Stored {
    let logged = i64::from(me >> 1 & 7);
    let limits = HistoryLimits {
        count: 3,
        bytes: 10_000,
    };
    let mut history = History::after(Zxid(0), limits);
    for counter in 1..=logged {
        let zxid = Zxid(1 << 32 | counter);
        let txn = payload(zxid.0, 0);
        history.push(Logged { zxid, txn });
    }
    let epoch = Epoch(i64::from(logged > 0));
    Stored {
        accepted_epoch: epoch,
        current_epoch: epoch,
        history,
        log_whole_after: Zxid(0),
        trusted: me & 0x10 == 0,
    }
}

impl World {
    fn new(me: u8) -> World {
        let stored = stored(me);
        World {
            delivered: stored.history.last(),
            peer: Peer::new(options(me), stored),
            now: Mono(1000),
            disk: VecDeque::new(),
            owed: VecDeque::new(),
            accepted: Vec::new(),
            dialled: None,
            wants: None,
            next_link: 1,
            streaming: false,
            serving: None,
        }
    }

    fn link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    fn play(&mut self, kind: u8, a: u8, b: u8, c: u8) {
        let now = self.now;
        match kind % 16 {
            0 | 1 => {
                let from = ServerId(i64::from(a & 7) + 1);
                let notification = Notification {
                    state: StateCode(i32::from(b & 7)),
                    choice: Choice {
                        epoch: epoch(c >> 4),
                        zxid: zxid(c),
                        leader: ServerId(i64::from(b >> 3 & 3) + 1),
                    },
                    round: (a >> 4).into(),
                    version: i32::from(b >> 5 & 3),
                    config: None,
                };
                self.step(Input::Notification { from, notification });
            }
            2 => self.step(Input::ElectionLink {
                server: ServerId(i64::from(a & 7) + 1),
                up: b & 1 == 0,
            }),
            3 | 4 => self.join(a, b, c),
            5..=7 => self.learner_says(a, b, c),
            8..=10 => self.leader_says(a, b, c),
            11 => self.lose(a),
            12 => {
                self.now = now + Duration::from_millis(u64::from(a) * 4);
                self.peer.tick(self.now);
            }
            13 => self.sync_disk(usize::from(a)),
            14 => self.answer(b),
            _ => self.clients(a, b, c),
        }
    }

    fn step(&mut self, input: Input) {
        self.peer.step(self.now, input);
    }

    fn join(&mut self, a: u8, b: u8, c: u8) {
        let link = self.link();
        self.accepted.push(link);
        let known = |at: u8| c >> at & 1 == 0;
        self.step(Input::Joined {
            link,
            kind: if a & 0x10 == 0 {
                LearnerKind::Follower
            } else {
                LearnerKind::Observer
            },
            registration: Registration {
                accepted_epoch: epoch(b),
                server: known(0).then_some(ServerId(i64::from(a % 6))),
                protocol_version: known(1).then_some(0x10000),
                config_version: known(2).then_some(i64::from(c >> 6)),
            },
        });
    }

    fn learner_says(&mut self, a: u8, b: u8, c: u8) {
        if self.accepted.is_empty() {
            return;
        }
        let link = self.accepted[usize::from(a >> 4) % self.accepted.len()];
        let touch = Touch {
            session: SessionId(b.into()),
            timeout_ms: c.into(),
        };
        let packet = match a & 0xf {
            0..=5 => FromLearner::Ack(zxid(c)),
            6 | 7 => FromLearner::AckEpoch {
                last: zxid(c),
                current_epoch: (b != 0xfc).then_some(epoch(b)),
            },
            8 => FromLearner::Ping {
                last_proposed: zxid(c),
                touched: vec![touch],
            },
            9 => FromLearner::Revalidate(touch),
            10 => FromLearner::FollowerInfo(Registration::new(epoch(b), ServerId(c.into()), 0)),
            11 => FromLearner::ObserverInfo(Registration::new(epoch(b), ServerId(c.into()), 0)),
            // What is asked of the disk, or what was delivered, is acknowledged most of the time.
            12 => FromLearner::Ack(self.peer.last_proposed()),
            13 => FromLearner::Ack(Zxid(self.peer.epoch().0 << 32)),
            _ => FromLearner::Request(forwarded(b, c)),
        };
        self.step(Input::FromLearner { link, packet });
    }

    fn leader_says(&mut self, a: u8, b: u8, c: u8) {
        let Some(link) = self.dialled else { return };
        if self.streaming {
            self.streaming = false;
            return self.step(Input::SnapshotReceived { link });
        }
        // The next in order, or any.
        let last = self.peer.last_proposed();
        let at = match b & 3 {
            0 => zxid(c),
            1 => Zxid(last.0.wrapping_add(1)),
            2 => Zxid(
                self.peer
                    .epoch()
                    .0
                    .wrapping_shl(32)
                    .wrapping_add((c & 3).into()),
            ),
            _ => last,
        };
        let txn = payload(at.0, b);
        let packet = match a & 0xf {
            0 | 1 => FromLeader::Proposal { zxid: at, txn },
            2 | 3 => FromLeader::Commit(at),
            4 => FromLeader::Ping { last_proposed: at },
            5 => FromLeader::Revalidated {
                session: SessionId(c.into()),
                valid: b & 4 == 0,
            },
            6 => FromLeader::Sync,
            7 => FromLeader::Inform { zxid: at, txn },
            8 => FromLeader::NewLeader {
                zxid: at,
                config: None,
            },
            9 => FromLeader::UpToDate,
            10 => FromLeader::Diff(at),
            11 => FromLeader::Trunc(at),
            12 => {
                self.streaming = true;
                FromLeader::Snap(at)
            }
            13 => FromLeader::LeaderInfo {
                epoch: epoch(c),
                protocol_version: i32::from(b) << 12,
            },
            14 => FromLeader::CommitAndActivate {
                zxid: at,
                leader: ServerId(c.into()),
            },
            _ => FromLeader::InformAndActivate {
                zxid: at,
                leader: ServerId(c.into()),
                txn,
            },
        };
        self.step(Input::FromLeader { link, packet });
    }

    fn lose(&mut self, a: u8) {
        let link = if a & 1 == 0 {
            self.streaming = false;
            self.dialled.take()
        } else if self.accepted.is_empty() {
            None
        } else {
            let at = usize::from(a >> 1) % self.accepted.len();
            Some(self.accepted.remove(at))
        };
        if let Some(link) = link {
            self.step(Input::LinkLost { link });
        }
    }

    /// The disk completes as much as this.
    fn sync_disk(&mut self, count: usize) {
        for _ in 0..=count {
            let Some(done) = self.disk.pop_front() else {
                return;
            };
            self.step(Input::Done(done));
            self.settle();
        }
    }

    /// The oldest thing that somebody else has to answer is answered.
    fn answer(&mut self, b: u8) {
        if self.wants.take().is_some() {
            if b & 1 == 1 {
                return self.step(Input::LeaderUnreachable);
            }
            let link = self.link();
            self.dialled = Some(link);
            self.streaming = false;
            return self.step(Input::LeaderReached { link });
        }
        if let Some(input) = self.owed.pop_front() {
            self.step(input);
        }
    }

    /// What this server's own clients ask for.
    fn clients(&mut self, a: u8, b: u8, c: u8) {
        match self.serving {
            Some(Role::Leading) if a & 7 == 7 => self.peer.sync(None),
            Some(Role::Leading) => {
                let Some(zxid) = self.peer.next_zxid() else {
                    return;
                };
                let payload = payload(zxid.0, 0);
                if let Ok(txn) = LoggedTxn::read(payload.clone()) {
                    self.peer.propose(
                        self.now,
                        Proposal {
                            zxid,
                            txn: Box::new(txn),
                            payload,
                        },
                    );
                }
            }
            Some(_) if a & 7 == 7 => self.peer.revalidate(Touch {
                session: SessionId(b.into()),
                timeout_ms: c.into(),
            }),
            Some(_) => self.peer.forward(forwarded(b, c)),
            None => {}
        }
    }

    /// Takes what the member owes.
    fn settle(&mut self) {
        let mut effects = 0;
        while let Some(effect) = self.peer.next_effect() {
            effects += 1;
            assert!(effects < EFFECTS_MAX, "{effect:?} and no end");
            self.take(effect);
        }
    }

    fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Append { zxid, .. } => self.disk.push_back(Done::Logged { upto: zxid }),
            Effect::SaveAcceptedEpoch(epoch) => self.disk.push_back(Done::AcceptedEpoch(epoch)),
            Effect::SaveCurrentEpoch(epoch) => self.disk.push_back(Done::CurrentEpoch(epoch)),
            Effect::Truncate { to, .. } => {
                self.delivered = self.delivered.min(to);
                let done = if to.0 & 1 == 0 {
                    Done::Truncated
                } else {
                    Done::NotTruncated
                };
                self.disk.push_back(done);
            }
            Effect::InstallSnapshot { zxid } => {
                self.delivered = zxid;
                self.disk.push_back(Done::Installed);
            }
            Effect::Dial { leader } => self.wants = Some(leader),
            Effect::Close { link } => {
                self.accepted.retain(|other| *other != link);
                self.dialled.take_if(|other| *other == link);
            }
            Effect::ReportDrained { link } => self.owed.push_back(Input::Drained { link }),
            Effect::MakeSnapshot { link, at_least } => {
                let zxid = Some(self.delivered.max(at_least));
                self.owed.push_back(Input::SnapshotReady { link, zxid });
            }
            Effect::ReadLog { link, .. } => self.owed.push_back(Input::LogRead {
                link,
                records: None,
            }),
            Effect::ProbeLog { link, .. } => self.owed.push_back(Input::LogProbed {
                link,
                usable: false,
            }),
            Effect::Deliver(proposal) => {
                assert!(self.serving.is_some(), "{} is delivered", proposal.zxid);
                assert!(proposal.zxid > self.delivered, "{} again", proposal.zxid);
                self.delivered = proposal.zxid;
            }
            Effect::Replay(proposal) => {
                assert!(self.serving.is_none(), "{} is replayed", proposal.zxid);
                self.delivered = proposal.zxid;
            }
            Effect::Looking => {
                self.serving = None;
                self.wants = None;
            }
            Effect::Serving { role, epoch } => {
                self.serving = Some(role);
                assert_eq!(self.peer.epoch(), epoch);
            }
            Effect::Revalidate { link, touch } => {
                self.peer.revalidated(link, touch.session, true);
            }
            Effect::TouchesWanted { last_proposed } => {
                self.peer.touches(last_proposed, Vec::new());
            }
            _ => {}
        }
    }
}

fn forwarded(b: u8, c: u8) -> Forwarded {
    use jute::Op;
    Forwarded {
        session: SessionId(b.into()),
        cxid: c.into(),
        op: if c & 1 == 0 {
            Op::Sync.into()
        } else {
            Op::Create.into()
        },
        body: Bytes::new(),
        auth_info: None,
    }
}
