//! The election port against itself and against raw sockets, on loopback.

use std::io::{Read, Write};
use std::net::{TcpListener as RawListener, TcpStream as RawStream};
use std::time::Instant;

use tokio::runtime::Runtime;

use super::*;
use crate::base::{Epoch, Mono, Zxid};
use crate::runtime::ports::BindTries;
use crate::zab::election::{LearnerType, Patience};
use crate::zab::history::{History, HistoryLimits};
use crate::zab::io::{PeerOptions, Stored, Tuning};
use crate::zab::quorum::{QuorumSystem, Quorums};
use crate::zab::vote::{Choice, ServerState, take_frame};
use crate::zab::{Effect, Peer};

const PATIENCE: Duration = Duration::from_secs(60);

fn word(round: i64) -> Notification {
    let choice = Choice {
        epoch: Epoch(0),
        zxid: Zxid(0),
        leader: ServerId(1),
    };
    Notification::new(
        ServerState::Looking,
        choice,
        round,
        Bytes::from_static(b"version=0"),
    )
}

fn bytes_of(notification: &Notification) -> Vec<u8> {
    let mut out = BytesMut::new();
    notification.write(&mut out);
    out.to_vec()
}

fn local(port: u16) -> Address {
    let host = "127.0.0.1".to_owned();
    Address { host, port }
}

/// Sockets on free ports, one per server.
fn sockets(
    runtime: &Runtime,
    count: usize,
) -> (Vec<TcpListener>, BTreeMap<ServerId, Vec<Address>>) {
    let once = BindTries {
        most: 1,
        pause: Duration::ZERO,
    };
    let any: Vec<Address> = (0..count).map(|_| local(0)).collect();
    let listeners = runtime.block_on(ports::listen(&any, once)).unwrap();
    let ports = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port());
    let members = (1..)
        .map(ServerId)
        .zip(ports.map(|port| vec![local(port)]))
        .collect();
    (listeners, members)
}

/// One server's port, and what it reports.
struct Side {
    links: ElectionLinks,
    mailbox: Arc<Mailbox>,
    unread: Vec<Input>,
}

impl Side {
    fn start(
        runtime: &Runtime,
        me: i64,
        listener: TcpListener,
        members: &BTreeMap<ServerId, Vec<Address>>,
    ) -> Side {
        let options = ElectionOptions {
            me: ServerId(me),
            members: members.clone(),
            multi_address: false,
            connect_timeout: PATIENCE,
            handshake_timeout: Duration::from_millis(1500),
            keep_alive: true,
        };
        let (_inside, mailbox) = (runtime.enter(), Arc::new(Mailbox::default()));
        let links = ElectionLinks::start(options, vec![listener], mailbox.clone());
        Side {
            links,
            mailbox,
            unread: Vec::new(),
        }
    }

    /// The next report.
    fn next(&mut self) -> Input {
        let start = Instant::now();
        let mut messages = Vec::new();
        while self.unread.is_empty() {
            assert!(start.elapsed() < PATIENCE, "nothing was reported");
            self.mailbox.take(&mut messages, Duration::from_secs(1));
            self.unread
                .extend(messages.drain(..).map(|message| match message {
                    Message::Input(crate::replica::Input::Peer(input)) => input,
                    _ => panic!("not of another server"),
                }));
        }
        self.unread.remove(0)
    }

    /// The next report as `+server`, `-server` or `round from server`.
    fn said(&mut self) -> String {
        match self.next() {
            Input::ElectionLink { server, up } => format!("{}{server}", if up { '+' } else { '-' }),
            Input::Notification { from, notification } => {
                format!("{} from {from}", notification.round)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Server `me` of 1 and 2, and the raw socket of the other one.
fn side_and_raw(runtime: &Runtime, me: i64) -> (Side, u16, RawListener) {
    let (mut listeners, members) = sockets(runtime, 2);
    let raw = listeners.remove(2 - me as usize).into_std().unwrap();
    raw.set_nonblocking(false).unwrap();
    let listener = listeners.remove(0);
    let port = listener.local_addr().unwrap().port();
    (Side::start(runtime, me, listener, &members), port, raw)
}

fn call(raw: &RawListener) -> RawStream {
    let (stream, _) = raw.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn hello(server: i64, port: u16) -> Vec<u8> {
    let host = "127.0.0.1".to_owned();
    let own = ElectionAddress { host, port };
    let mut out = BytesMut::new();
    InitialMessage::V1(ServerId(server), vec![own]).write(&mut out);
    out.to_vec()
}

fn read_exactly(stream: &mut RawStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, bytes);
}

/// Reads up to the end, which may be a reset.
fn read_to_end(stream: &mut RawStream) -> Vec<u8> {
    let mut read = Vec::new();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read_to_end(&mut read) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => read,
    }
}

#[test]
fn two_servers_hear_each_other_whoever_speaks_first() {
    for first in [0, 1] {
        let runtime = runtime();
        let (listeners, members) = sockets(&runtime, 2);
        let mut sides: Vec<Side> = (1..)
            .zip(listeners)
            .map(|(me, listener)| Side::start(&runtime, me, listener, &members))
            .collect();
        let ids = [ServerId(1), ServerId(2)];
        sides[first].links.notify(ids[1 - first], &word(7));
        let second = &mut sides[1 - first];
        assert_eq!(second.said(), format!("+{}", ids[first]));
        assert_eq!(second.said(), format!("7 from {}", ids[first]));
        second.links.notify(ids[first], &word(8));
        assert_eq!(sides[first].said(), format!("+{}", ids[1 - first]));
        assert_eq!(sides[first].said(), format!("8 from {}", ids[1 - first]));
        runtime.block_on(sides[first].links.stop());
        assert_eq!(sides[1 - first].said(), format!("-{}", ids[first]));
    }
}

#[test]
fn the_larger_id_keeps_the_connection_it_dialled() {
    let runtime = runtime();
    let (mut side, port, raw) = side_and_raw(&runtime, 2);
    side.links.notify(ServerId(1), &word(1));
    let mut stream = call(&raw);
    read_exactly(&mut stream, &hello(2, port));
    read_exactly(&mut stream, &bytes_of(&word(1)));
    assert_eq!(side.said(), "+1");
    stream.write_all(&bytes_of(&word(5))).unwrap();
    assert_eq!(side.said(), "5 from 1");
    drop(stream);
    assert_eq!(side.said(), "-1");
}

#[test]
fn the_smaller_id_asks_to_be_called_and_closes() {
    let runtime = runtime();
    let (mut side, port, raw) = side_and_raw(&runtime, 1);
    side.links.notify(ServerId(2), &word(1));
    side.links.notify(ServerId(2), &word(2));
    assert_eq!(read_to_end(&mut call(&raw)), hello(1, port));
    let mut stream = RawStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(&hello(2, raw.local_addr().unwrap().port()))
        .unwrap();
    assert_eq!(side.said(), "+2");
    read_exactly(&mut stream, &bytes_of(&word(2)));
}

#[test]
fn a_smaller_id_that_calls_is_called_back_where_it_says() {
    let runtime = runtime();
    let (mut side, port, raw) = side_and_raw(&runtime, 2);
    let elsewhere = RawListener::bind(("127.0.0.1", 0)).unwrap();
    // Twice: the second time it was restarted without a word, and the old connection is of no use.
    let mut last = None;
    for _ in 0..2 {
        let mut asking = RawStream::connect(("127.0.0.1", port)).unwrap();
        asking
            .write_all(&hello(1, elsewhere.local_addr().unwrap().port()))
            .unwrap();
        assert_eq!(read_to_end(&mut asking), b"");
        let mut stream = call(&elsewhere);
        read_exactly(&mut stream, &hello(2, port));
        assert_eq!(
            side.said(),
            "+1",
            "what replaces a connection does not say that it was lost"
        );
        last = Some(stream);
    }
    side.links.notify(ServerId(1), &word(3));
    read_exactly(&mut last.unwrap(), &bytes_of(&word(3)));
    drop(raw);
}

#[test]
fn a_new_connection_replaces_the_old_and_begins_with_the_last_word() {
    let runtime = runtime();
    let (mut side, port, raw) = side_and_raw(&runtime, 1);
    let own = raw.local_addr().unwrap().port();
    let connect = || {
        let mut stream = RawStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&hello(2, own)).unwrap();
        stream
    };
    let mut first = connect();
    assert_eq!(side.said(), "+2");
    side.links.notify(ServerId(2), &word(1));
    read_exactly(&mut first, &bytes_of(&word(1)));
    let mut second = connect();
    read_exactly(&mut second, &bytes_of(&word(1)));
    assert_eq!(read_to_end(&mut first), b"");
    assert_eq!(side.said(), "+2");
    second.write_all(&bytes_of(&word(4))).unwrap();
    assert_eq!(side.said(), "4 from 2");
}

#[test]
fn who_refuses_is_reported_and_dialled_again_only_for_a_new_word() {
    let runtime = runtime();
    let (mut side, port, raw) = side_and_raw(&runtime, 2);
    let own = raw.local_addr().unwrap();
    drop(raw);
    side.links.notify(ServerId(1), &word(1));
    assert_eq!(side.said(), "-1");
    let raw = RawListener::bind(own).unwrap();
    side.links.notify(ServerId(1), &word(2));
    let mut stream = call(&raw);
    read_exactly(&mut stream, &hello(2, port));
    read_exactly(&mut stream, &bytes_of(&word(2)));
    assert_eq!(side.said(), "+1");
}

#[test]
fn garbage_silence_and_our_own_id_are_closed() {
    let runtime = runtime();
    let (mut side, port, _raw) = side_and_raw(&runtime, 2);
    let mut too_long = hello(3, 1);
    too_long.extend_from_slice(&(1_i32 << 20).to_be_bytes());
    let cases: [&[u8]; 5] = [
        b"\xff\xff\xff\xff\xff\xff\xff\xff and more",
        b"GET / HTTP/1.1\r\n\r\n",
        b"",
        &hello(2, 1),
        &too_long,
    ];
    for bytes in cases {
        let mut stream = RawStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(bytes).unwrap();
        assert_eq!(read_to_end(&mut stream), b"", "{bytes:?}");
    }
    let peers = || side.links.shared.peers.lock().len();
    let start = Instant::now();
    while peers() > 1 {
        assert!(start.elapsed() < PATIENCE, "strangers are remembered");
        std::thread::yield_now();
    }
    // The port goes on; what cannot be read as a vote is dropped and the connection stays.
    let mut stream = RawStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(&hello(3, 1)).unwrap();
    stream.write_all(&[0, 0, 0, 3, 1, 2, 3]).unwrap();
    stream.write_all(&bytes_of(&word(9))).unwrap();
    assert_eq!(side.said(), "9 from 3");
}

/// A file of `tests/golden/wire`.
fn golden(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire");
    std::fs::read(folder.join(name)).unwrap()
}

/// Server 1 of three with nothing on its disk, and no more of it than its elections.
fn voter_without_history(config: &[u8]) -> Peer {
    let history = HistoryLimits {
        count: 100,
        bytes: 1 << 20,
    };
    let voters = [1, 2, 3].map(ServerId).into();
    let options = PeerOptions {
        me: ServerId(1),
        learner: LearnerType::Participant,
        quorums: Quorums::new(QuorumSystem::Majority { voters }, None),
        config: Bytes::copy_from_slice(config),
        config_version: 0,
        tick: Duration::from_secs(2),
        init_limit: Duration::from_secs(20),
        sync_limit: Duration::from_secs(10),
        patience: Patience::default(),
        history,
        tuning: Tuning::default(),
    };
    let stored = Stored {
        accepted_epoch: Epoch(0),
        current_epoch: Epoch(0),
        history: History::after(Zxid::ZERO, history),
        log_whole_after: Zxid::ZERO,
        trusted: true,
    };
    Peer::new(options, stored)
}

/// Lets the links of `side` say to server 2 what the peer wants to say.
fn pass_on(peer: &mut Peer, side: &Side) {
    while let Some(effect) = peer.next_effect() {
        if let Effect::Notify { to, notification } = effect
            && to == ServerId(2)
        {
            side.links.notify(to, &notification);
        }
    }
}

#[test]
fn a_captured_exchange_is_answered_byte_for_byte() {
    // All that server 2 of a Java ensemble said to server 1 and was told by it, when both started with empty disks.
    let said = golden("a-cold-start-01-election-to-21012.c2s.bin");
    let answers = golden("a-cold-start-01-election-to-21012.s2c.bin");
    let hello = 35;
    let mut answer = BytesMut::from(&answers[..]);
    let first = take_frame(&mut answer).unwrap().unwrap();
    let config = Notification::decode(first).unwrap().config.unwrap();
    let runtime = runtime();
    let (mut side, port, _raw) = side_and_raw(&runtime, 1);
    let mut peer = voter_without_history(&config);
    let mut stream = RawStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // In two pieces, at which Java gives up.
    stream.write_all(&said[..11]).unwrap();
    stream.write_all(&said[11..hello]).unwrap();
    assert_eq!(side.said(), "+2");
    peer.start(Mono(0));
    pass_on(&mut peer, &side);
    read_exactly(&mut stream, &answers[..answers.len() - answer.len()]);
    stream.write_all(&said[hello..]).unwrap();
    let heard = side.next();
    assert!(matches!(&heard, Input::Notification { from, .. } if *from == ServerId(2)));
    peer.step(Mono(0), heard);
    pass_on(&mut peer, &side);
    read_exactly(&mut stream, &answer);
    // And nothing else.
    runtime.block_on(side.links.stop());
    assert_eq!(read_to_end(&mut stream), b"");
}
