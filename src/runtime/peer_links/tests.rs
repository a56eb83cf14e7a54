//! The quorum port against itself and against raw sockets, on loopback.

use std::io::{Read, Write};
use std::net::TcpStream as RawStream;

use bytes::Bytes;
use jute::quorum::QuorumPacket;
use jute::{Wire, Writer};
use tokio::runtime::Runtime;

use super::*;
use crate::base::{Epoch, Zxid};
use crate::runtime::ports::BindTries;
use crate::tree::TreeOptions;

const PATIENCE: Duration = Duration::from_secs(60);

/// Takes everything up to the signature for a snapshot.
struct UpToSignature;

impl SnapshotSink for UpToSignature {
    fn feed(&mut self, bytes: &mut BytesMut) -> Result<Option<Box<Tree>>, SnapshotProblem> {
        let signature = b"\0\0\0\x0aBenWasHere";
        let found = bytes
            .windows(signature.len())
            .position(|window| window == signature);
        Ok(found.map(|at| {
            let _ = bytes.split_to(at + signature.len());
            Box::new(Tree::new(TreeOptions::default()))
        }))
    }
}

struct Pieces(Vec<Bytes>);

impl SnapshotSource for Pieces {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        Ok(self.0.pop())
    }
}

/// One server's port, and what it reports.
struct Port {
    links: PeerLinks,
    mailbox: Arc<Mailbox>,
    unread: Vec<Message>,
    address: Address,
}

impl Port {
    /// Server 1 leads whoever dials; `leader` is where it is.
    fn start(runtime: &Runtime, leader: Option<&Address>) -> Port {
        let once = BindTries {
            most: 1,
            pause: Duration::ZERO,
        };
        let host = "127.0.0.1".to_owned();
        let any = Address {
            host: host.clone(),
            port: 0,
        };
        let listeners = runtime.block_on(ports::listen(&[any], once)).unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        let options = PeerPortOptions {
            members: leader
                .map(|at| (ServerId(1), vec![at.clone()]))
                .into_iter()
                .collect(),
            registration_timeout: Duration::from_millis(1500),
            dial_timeout: PATIENCE,
            dial_pause: Duration::ZERO,
            log: Arc::default(),
            metrics: Arc::default(),
            packet_limit: 1 << 20,
            snapshots: Arc::new(|_| Box::new(UpToSignature)),
        };
        let (_inside, mailbox) = (runtime.enter(), Arc::new(Mailbox::default()));
        Port {
            links: PeerLinks::start(options, listeners, mailbox.clone()),
            mailbox,
            unread: Vec::new(),
            address: Address { host, port },
        }
    }

    fn next_message(&mut self) -> Message {
        let start = Instant::now();
        while self.unread.is_empty() {
            assert!(start.elapsed() < PATIENCE, "nothing was reported");
            self.mailbox.take(&mut self.unread, Duration::from_secs(1));
        }
        self.unread.remove(0)
    }

    fn next(&mut self) -> Input {
        match self.next_message() {
            Message::Input(crate::replica::Input::Peer(input)) => input,
            _ => panic!("not what was expected"),
        }
    }

    fn joined(&mut self) -> LinkId {
        match self.next() {
            Input::Joined { link, .. } => link,
            other => panic!("{other:?}"),
        }
    }

    fn lost(&mut self) -> LinkId {
        match self.next() {
            Input::LinkLost { link } => link,
            other => panic!("{other:?}"),
        }
    }

    fn raw(&self) -> RawStream {
        let stream = RawStream::connect(("127.0.0.1", self.address.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn registration() -> Registration {
    Registration::new(Epoch(3), ServerId(2), 0)
}

fn bytes_of(packet: &QuorumPacket) -> Vec<u8> {
    let mut out = BytesMut::new();
    packet.write(&mut Writer::for_file(&mut out));
    out.to_vec()
}

/// A leader and its learner, connected and registered; each with its end of the connection.
fn pair(runtime: &Runtime) -> ((Port, LinkId), (Port, LinkId)) {
    let mut leader = Port::start(runtime, None);
    let mut learner = Port::start(runtime, Some(&leader.address));
    learner.links.dial(ServerId(1));
    let Input::LeaderReached { link: there } = learner.next() else {
        panic!("not reached");
    };
    let first = FromLearner::FollowerInfo(registration());
    let mut round = learner.links.round();
    round.to_leader(there, first);
    round.flush();
    match leader.next() {
        Input::Joined {
            link,
            kind: LearnerKind::Follower,
            registration: said,
        } => {
            assert_eq!(said, registration());
            ((leader, link), (learner, there))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_learner_registers_and_both_hear_each_other_in_order() {
    let runtime = runtime();
    let ((mut leader, here), (mut learner, there)) = pair(&runtime);
    let large = Bytes::from(vec![1; 100_000]);
    let (mut down, mut up) = (leader.links.round(), learner.links.round());
    for n in 1..=300 {
        let zxid = Zxid(n);
        let txn = if n % 50 == 0 {
            large.clone()
        } else {
            Bytes::from_static(b"txn")
        };
        down.to_learner(here, FromLeader::Proposal { zxid, txn });
        up.to_leader(there, FromLearner::Ack(zxid));
    }
    down.flush();
    up.flush();
    for n in 1..=300 {
        match learner.next() {
            Input::FromLeader {
                link,
                packet: FromLeader::Proposal { zxid, txn },
            } => {
                assert_eq!((link, zxid), (there, Zxid(n)));
                assert_eq!(txn.len(), if n % 50 == 0 { large.len() } else { 3 });
            }
            other => panic!("{other:?}"),
        }
    }
    let mut acked = 0;
    while acked < 300 {
        match leader.next() {
            Input::FromLearner {
                link,
                packet: FromLearner::Ack(Zxid(upto)),
            } => {
                assert_eq!(link, here);
                assert!(acked < upto && upto <= 300, "{upto} behind {acked}");
                acked = upto;
            }
            other => panic!("{other:?}"),
        }
    }
    leader.links.report_drained(here);
    assert!(matches!(leader.next(), Input::Drained { link } if link == here));
    runtime.block_on(leader.links.stop());
    assert_eq!(learner.lost(), there);
}

#[test]
fn what_is_no_registration_is_closed_and_nobody_hears_of_it() {
    let runtime = runtime();
    let mut port = Port::start(&runtime, None);
    let ack = bytes_of(&FromLearner::Ack(Zxid(1)).encode());
    let mut huge = ack[..12].to_vec();
    huge.extend_from_slice(&i32::MAX.to_be_bytes());
    for bytes in [b"GET / HTTP/1.1\r\n\r\n", &ack[..], &huge, b"", b"\0\0"] {
        let mut stream = port.raw();
        stream.write_all(bytes).unwrap();
        let mut read = Vec::new();
        match stream.read_to_end(&mut read) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => assert_eq!(read, b"", "{bytes:?}"),
        }
    }
    let mut stream = port.raw();
    let first = FromLearner::ObserverInfo(registration()).encode();
    stream.write_all(&bytes_of(&first)).unwrap();
    port.joined();
}

#[test]
fn garbage_behind_a_registration_loses_the_link_and_an_unknown_packet_does_not() {
    let runtime = runtime();
    let mut port = Port::start(&runtime, None);
    let mut stream = port.raw();
    let unknown = QuorumPacket {
        kind: 99,
        ..QuorumPacket::default()
    };
    let mut said = bytes_of(&FromLearner::FollowerInfo(registration()).encode());
    said.extend(bytes_of(&unknown));
    said.extend(bytes_of(&FromLearner::Ack(Zxid(5)).encode()));
    stream.write_all(&said).unwrap();
    let link = port.joined();
    match port.next() {
        Input::FromLearner { packet, .. } => assert_eq!(packet, FromLearner::Ack(Zxid(5))),
        other => panic!("{other:?}"),
    }
    // Only a leader says this.
    stream
        .write_all(&bytes_of(&FromLeader::UpToDate.encode()))
        .unwrap();
    assert_eq!(port.lost(), link);
    let mut round = port.links.round();
    round.to_learner(link, FromLeader::Sync);
    round.close(link);
}

#[test]
fn a_learner_that_does_not_read_is_dropped_at_its_budget_and_told_of_once() {
    let runtime = runtime();
    let mut port = Port::start(&runtime, None);
    let mut stream = port.raw();
    let first = FromLearner::FollowerInfo(registration()).encode();
    stream.write_all(&bytes_of(&first)).unwrap();
    let link = port.joined();
    let txn = Bytes::from(vec![0; 1 << 20]);
    let room = limits::PEER_LINK_BYTES >> 20;
    for n in 0..2 * room as i64 {
        let (zxid, txn) = (Zxid(n), txn.clone());
        let mut round = port.links.round();
        round.to_learner(link, FromLeader::Proposal { zxid, txn });
        round.flush();
    }
    assert_eq!(port.lost(), link);
    port.links.report_drained(link);
    let mut rest = Vec::new();
    port.mailbox.take(&mut rest, Duration::ZERO);
    assert!(rest.is_empty());
}

#[test]
fn a_closed_link_still_takes_what_waits_and_is_not_heard_of_again() {
    let runtime = runtime();
    let ((leader, here), (mut learner, there)) = pair(&runtime);
    let mut round = leader.links.round();
    for n in 1..=100 {
        round.to_learner(here, FromLeader::Commit(Zxid(n)));
    }
    round.close(here);
    for n in 1..=100 {
        match learner.next() {
            Input::FromLeader { packet, .. } => assert_eq!(packet, FromLeader::Commit(Zxid(n))),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(learner.lost(), there);
    let again = pair(&runtime);
    drop(again);
    let mut rest = Vec::new();
    leader.mailbox.take(&mut rest, Duration::ZERO);
    assert!(rest.is_empty());
}

#[test]
fn a_snapshot_comes_in_its_place_and_packets_go_on_behind_it() {
    let runtime = runtime();
    let ((leader, here), (mut learner, there)) = pair(&runtime);
    let pieces: Vec<Bytes> = (0..40).map(|n| Bytes::from(vec![n; 50_000])).collect();
    leader.links.snapshot_ready(here, Box::new(Pieces(pieces)));
    let mut round = leader.links.round();
    round.to_learner(here, FromLeader::Snap(Zxid(7)));
    round.stream_snapshot(here);
    round.to_learner(here, FromLeader::UpToDate);
    round.flush();
    assert!(matches!(
        learner.next(),
        Input::FromLeader {
            packet: FromLeader::Snap(Zxid(7)),
            ..
        }
    ));
    match learner.next_message() {
        Message::Input(crate::replica::Input::SnapshotReceived { link, .. }) => {
            assert_eq!(link, there)
        }
        _ => panic!("no snapshot"),
    }
    assert!(matches!(
        learner.next(),
        Input::FromLeader {
            packet: FromLeader::UpToDate,
            ..
        }
    ));
}

#[test]
fn a_leader_that_falls_silent_amid_a_snapshot_is_given_up() {
    let runtime = runtime();
    let ((leader, here), (mut learner, there)) = pair(&runtime);
    let mut round = leader.links.round();
    round.to_learner(here, FromLeader::Snap(Zxid(7)));
    round.flush();
    assert!(matches!(learner.next(), Input::FromLeader { .. }));
    assert_eq!(learner.lost(), there);
}

#[test]
fn a_leader_that_refuses_is_unreachable_after_a_few_tries() {
    let runtime = runtime();
    let gone = Port::start(&runtime, None);
    runtime.block_on(gone.links.stop());
    let mut learner = Port::start(&runtime, Some(&gone.address));
    learner.links.dial(ServerId(1));
    assert!(matches!(learner.next(), Input::LeaderUnreachable));
    learner.links.dial(ServerId(9));
    assert!(
        matches!(learner.next(), Input::LeaderUnreachable),
        "it is not configured"
    );
}

#[test]
fn only_the_last_dial_counts() {
    let runtime = runtime();
    let leader = Port::start(&runtime, None);
    let mut learner = Port::start(&runtime, Some(&leader.address));
    let mut links = Vec::new();
    for _ in 0..2 {
        learner.links.dial(ServerId(1));
        match learner.next() {
            Input::LeaderReached { link } => links.push(link),
            other => panic!("{other:?}"),
        }
    }
    let current = links.iter().map(|link| learner.links.is_current(*link));
    assert_eq!(current.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn an_ack_stands_for_those_right_before_it_but_not_for_that_of_newleader() {
    let runtime = runtime();
    let mut port = Port::start(&runtime, None);
    let mut stream = port.raw();
    let epoch = Zxid::first_of(Epoch(3)).0;
    let mut said = bytes_of(&FromLearner::FollowerInfo(registration()).encode());
    for zxid in [epoch, epoch + 1, epoch + 2, epoch + 3] {
        said.extend(bytes_of(&FromLearner::Ack(Zxid(zxid)).encode()));
    }
    said.extend(bytes_of(&FromLearner::Ack(Zxid(epoch + 2)).encode()));
    let ping = FromLearner::Ping {
        last_proposed: Zxid(epoch),
        touched: Vec::new(),
    };
    said.extend(bytes_of(&ping.encode()));
    // All of it comes behind the registration at once.
    stream.write_all(&said).unwrap();
    port.joined();
    let mut heard = Vec::new();
    loop {
        match port.next() {
            Input::FromLearner {
                packet: FromLearner::Ack(zxid),
                ..
            } => heard.push(zxid.0),
            Input::FromLearner {
                packet: FromLearner::Ping { .. },
                ..
            } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard[0], epoch);
    assert_eq!(heard[heard.len() - 2..], [epoch + 3, epoch + 2]);
}
