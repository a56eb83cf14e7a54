//! Links of the quorum port: in order, with a delay, and broken or hanging when the world says so.
//!
//! Packets travel as the bytes of the wire. What is sent into a partition waits, as TCP lets it, and arrives when the
//! partition is over, unless an end gives up before. A process that ends says so to the other end; a machine without
//! power says nothing, and whoever sends to it after its return hears of it then.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use jute::quorum::QuorumPacket;
use jute::{Wire as _, Writer};
use rand::Rng;

use super::election_net::ElectionNet;
use super::queue::Event;
use super::{Us, World};
use crate::base::ServerId;
use crate::replica::Input;
use crate::storage::snapshot::stream::SnapParser;
use crate::zab::io::{Input as PeerInput, LearnerKind, LinkId};
use crate::zab::packet::{FromLeader, FromLearner};

/// Who can be cut off from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    Server(ServerId),
    Client(usize),
}

/// Over which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Port {
    Quorum,
    Election,
    Client,
}

/// A direction in which nothing gets through.
pub(super) type Cut = (Point, Point, Port);

/// All that connects servers.
#[derive(Default)]
pub(super) struct Net {
    cuts: BTreeMap<Cut, u32>,
    /// How many times slower a server's network is.
    pub(super) slow: BTreeMap<ServerId, Us>,
    pub(super) links: BTreeMap<u64, Link>,
    pub(super) next_link: u64,
    pub(super) election: ElectionNet,
}

/// One connection of the quorum port.
pub(super) struct Link {
    /// Who dialled, and who accepted.
    pub(super) ends: [End; 2],
}

/// One side of it.
pub(super) struct End {
    pub(super) server: ServerId,
    pub(super) boot: u64,
    pub(super) open: bool,
    coming: VecDeque<(Us, Wire)>,
    /// Bytes in `coming` that no flow control holds back.
    waiting: usize,
    armed: bool,
    registered: bool,
    snapshot: Option<(SnapParser, BytesMut)>,
    /// The other end waits for little to be left in `coming`.
    drain_wanted: bool,
    /// Since when nothing gets through.
    stuck: Option<Us>,
    /// When something arrived last.
    heard: Us,
}

/// What travels.
#[derive(Debug)]
pub(super) enum Wire {
    Packet(Bytes),
    /// A part of a snapshot.
    Body(Bytes),
    /// The other end is closed.
    End,
}

/// The dialling end, a learner's.
pub(super) const DIALLER: usize = 0;
/// The accepting end, a leader's.
pub(super) const ACCEPTOR: usize = 1;

/// How long a direction stands still before the next look.
const RETRY: Us = 40_000;
/// So many packets are little.
const LITTLE: usize = 4;

impl Net {
    pub(super) fn cut(&mut self, cut: Cut) {
        *self.cuts.entry(cut).or_default() += 1;
    }

    pub(super) fn mend(&mut self, cut: Cut) {
        if let Some(count) = self.cuts.get_mut(&cut) {
            *count -= 1;
            if *count == 0 {
                self.cuts.remove(&cut);
            }
        }
    }

    pub(super) fn is_cut(&self, from: Point, to: Point, port: Port) -> bool {
        !self.cuts.is_empty() && self.cuts.contains_key(&(from, to, port))
    }

    fn is_cut_between(&self, from: ServerId, to: ServerId, port: Port) -> bool {
        self.is_cut(Point::Server(from), Point::Server(to), port)
    }

    /// Whether neither direction is cut.
    pub(super) fn is_open(&self, one: ServerId, other: ServerId, port: Port) -> bool {
        !self.is_cut_between(one, other, port) && !self.is_cut_between(other, one, port)
    }
}

impl End {
    fn new(server: ServerId, boot: u64) -> Self {
        End {
            server,
            boot,
            open: true,
            coming: VecDeque::new(),
            waiting: 0,
            armed: false,
            registered: false,
            snapshot: None,
            drain_wanted: false,
            stuck: None,
            heard: 0,
        }
    }
}

impl World {
    /// Time on the way between two servers.
    pub(super) fn delay(&mut self, from: ServerId, to: ServerId) -> Us {
        let slow = |id| self.net.slow.get(&id).copied().unwrap_or(1);
        let factor = slow(from).max(slow(to));
        self.plain_delay() * factor
    }

    pub(super) fn plain_delay(&mut self) -> Us {
        let (least, most) = self.plan.delay;
        let delay = self.rng.random_range(least..=most);
        if self.plan.spike > 0.0 && self.rng.random_bool(self.plan.spike) {
            return delay + self.rng.random_range(0..300_000);
        }
        delay
    }

    /// A learner dials; the leader's port is open if its process is there.
    pub(super) fn connect(&mut self, dialler: ServerId, acceptor: ServerId) -> Option<LinkId> {
        let boot = |id| {
            let process = self.servers.get(&id)?.process.as_ref()?;
            Some(process.boot)
        };
        let boots = (boot(dialler)?, boot(acceptor)?);
        if !self.net.is_open(dialler, acceptor, Port::Quorum) {
            return None;
        }
        self.net.next_link += 1;
        let id = self.net.next_link;
        let ends = [End::new(dialler, boots.0), End::new(acceptor, boots.1)];
        self.net.links.insert(id, Link { ends });
        Some(LinkId(id))
    }

    /// Which end of the link `server` has.
    pub(super) fn end_of(&self, link: LinkId, server: ServerId) -> Option<usize> {
        let link = self.net.links.get(&link.0)?;
        link.ends.iter().position(|end| end.server == server)
    }

    /// Sends `packet` from an end.
    pub(super) fn send_packet(&mut self, link: LinkId, from: usize, packet: &QuorumPacket) {
        let mut bytes = BytesMut::new();
        packet.write(&mut Writer::for_file(&mut bytes));
        self.send(link.0, from, Wire::Packet(bytes.freeze()));
    }

    pub(super) fn send(&mut self, id: u64, from: usize, wire: Wire) {
        let Some(link) = self.net.links.get(&id) else {
            return;
        };
        if !link.ends[from].open {
            return;
        }
        let (sender, to) = (link.ends[from].server, 1 - from);
        let delay = self.delay(sender, link.ends[to].server);
        let now = self.now;
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[to];
        let mut over = false;
        if let Wire::Packet(bytes) = &wire {
            end.waiting += bytes.len();
            over = end.waiting > self.plan.link_budget;
        }
        let last = end.coming.back().map_or(0, |(at, _)| *at);
        let at = last.max(now + delay);
        end.coming.push_back((at, wire));
        if !end.armed {
            end.armed = true;
            self.queue.push(at, Event::Arrival { link: id, end: to });
        }
        if over {
            self.seen.count("link over its budget");
            self.note(|| format!("link {id}: server {sender} has too much to send, closes"));
            self.close_end(id, from);
            self.lost(id, from);
        }
    }

    /// Closes an end in order: what was sent arrives, then the other end hears of it.
    pub(super) fn close_end(&mut self, id: u64, from: usize) {
        self.send(id, from, Wire::End);
        if let Some(link) = self.net.links.get_mut(&id) {
            let end = &mut link.ends[from];
            end.open = false;
            end.coming.clear();
            end.waiting = 0;
        }
    }

    /// The process at that end is told that its link is gone.
    fn lost(&mut self, id: u64, end: usize) {
        let Some(link) = self.net.links.get(&id) else {
            return;
        };
        let (server, boot) = (link.ends[end].server, link.ends[end].boot);
        let lost = PeerInput::LinkLost { link: LinkId(id) };
        self.put_in(server, boot, Input::Peer(lost));
    }

    /// A connection is reset: both ends hear of it.
    pub(super) fn reset_link(&mut self, id: u64) {
        for end in [DIALLER, ACCEPTOR] {
            let open = |link: &Link| link.ends[end].open;
            if self.net.links.get(&id).is_some_and(open) {
                self.lost(id, end);
            }
        }
        self.net.links.remove(&id);
    }

    /// A process ended: the system closes its ends, or the machine lost its power and nobody does.
    pub(super) fn drop_ends(&mut self, server: ServerId, power_lost: bool) {
        let ids: Vec<u64> = self.net.links.keys().copied().collect();
        for id in ids {
            let Some(end) = self.end_of(LinkId(id), server) else {
                continue;
            };
            if !power_lost {
                self.close_end(id, end);
                continue;
            }
            let Some(link) = self.net.links.get_mut(&id) else {
                continue;
            };
            // What is on its way to it is sent again and again, until somebody gives up.
            link.ends[end].open = false;
            let other = &mut link.ends[1 - end];
            let kept = self.rng.random_range(0..=other.coming.len());
            other.coming.truncate(kept);
        }
        self.net
            .links
            .retain(|_, link| link.ends.iter().any(|end| end.open));
    }

    pub(super) fn want_drained(&mut self, link: LinkId, from: usize) {
        if let Some(link) = self.net.links.get_mut(&link.0) {
            link.ends[1 - from].drain_wanted = true;
        }
        self.tell_drained(link.0, 1 - from);
    }

    fn tell_drained(&mut self, id: u64, end: usize) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        if !link.ends[end].drain_wanted || link.ends[end].coming.len() > LITTLE {
            return;
        }
        link.ends[end].drain_wanted = false;
        let sender = &link.ends[1 - end];
        let (server, boot, open) = (sender.server, sender.boot, sender.open);
        if open {
            let drained = PeerInput::Drained { link: LinkId(id) };
            self.put_in(server, boot, Input::Peer(drained));
        }
    }

    /// The next thing on its way to an end arrives, if it can.
    pub(super) fn arrive(&mut self, id: u64, to: usize) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let (sender, receiver) = (link.ends[1 - to].server, link.ends[to].server);
        link.ends[to].armed = false;
        if link.ends[to].coming.is_empty() {
            return;
        }
        let boot = link.ends[to].boot;
        let cut = self.net.is_cut_between(sender, receiver, Port::Quorum);
        if cut || !self.servers[&receiver].has_power {
            self.wait_at(id, to);
            return;
        }
        let machine = &self.servers[&receiver];
        if machine.process.as_ref().map(|process| process.boot) != Some(boot) {
            self.refuse(id, to);
            return;
        }
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[to];
        (end.stuck, end.heard) = (None, self.now);
        let Some((_, wire)) = end.coming.pop_front() else {
            return;
        };
        if let Wire::Packet(bytes) = &wire {
            end.waiting -= bytes.len();
        }
        let (open, next) = (end.open, end.coming.front().map(|(at, _)| *at));
        if open {
            self.take_wire(id, to, wire);
        }
        if let Some(next) = next {
            self.rearm(id, to, next);
        }
        self.tell_drained(id, to);
    }

    /// How long a connection waits for its other end.
    fn patience(&self) -> Us {
        self.plan.tick.as_micros() as Us * Us::from(self.plan.init_ticks)
    }

    /// The protocol leaves it to the connection to notice that a leader is silent amid a snapshot.
    pub(super) fn watch_snapshot(&mut self, id: u64, end: usize) {
        let (now, patience) = (self.now, self.patience());
        let Some(link) = self.net.links.get(&id) else {
            return;
        };
        let at = &link.ends[end];
        if !at.open || at.snapshot.is_none() {
            return;
        }
        if now < at.heard + patience {
            let at = at.heard + patience;
            self.queue.push(at, Event::Silence { link: id, end });
            return;
        }
        self.seen.count("snapshot given up, its leader is silent");
        self.close_end(id, end);
        self.lost(id, end);
    }

    /// Nothing gets through for now. Whoever sends gives up after a while.
    fn wait_at(&mut self, id: u64, to: usize) {
        let patience = self.patience();
        let (now, at) = (
            self.now,
            self.now + self.rng.random_range(RETRY / 2..RETRY * 2),
        );
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let since = *link.ends[to].stuck.get_or_insert(now);
        let gives_up = link.ends[1 - to].open && now >= since + patience;
        self.rearm(id, to, at);
        if gives_up {
            self.seen.count("link given up, nothing gets through");
            self.close_end(id, 1 - to);
            self.lost(id, 1 - to);
        }
    }

    fn rearm(&mut self, id: u64, to: usize, at: Us) {
        let at = at.max(self.now);
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        if !link.ends[to].armed {
            link.ends[to].armed = true;
            self.queue.push(at, Event::Arrival { link: id, end: to });
        }
    }

    /// Nobody is there (any more): the sender hears that the connection is gone.
    fn refuse(&mut self, id: u64, to: usize) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        link.ends[to].coming.clear();
        link.ends[to].open = false;
        if link.ends[1 - to].open {
            link.ends[1 - to].open = false;
            self.lost(id, 1 - to);
        }
        self.net.links.remove(&id);
    }

    fn take_wire(&mut self, id: u64, to: usize, wire: Wire) {
        let Some(link) = self.net.links.get_mut(&id) else {
            return;
        };
        let end = &mut link.ends[to];
        let (server, boot) = (end.server, end.boot);
        match wire {
            Wire::End => {
                end.open = false;
                self.lost(id, to);
            }
            Wire::Body(bytes) => {
                let Some((parser, buffer)) = &mut end.snapshot else {
                    panic!("a snapshot's body without its SNAP");
                };
                buffer.extend_from_slice(&bytes);
                match parser.feed(buffer) {
                    Ok(None) => {}
                    Ok(Some(tree)) => {
                        end.snapshot = None;
                        let link = LinkId(id);
                        let tree = Box::new(tree);
                        self.put_in(server, boot, Input::SnapshotReceived { link, tree });
                    }
                    Err(error) => self.fail("snapshots travel whole", &error.to_string()),
                }
            }
            Wire::Packet(bytes) => {
                let mut r = jute::Reader::new(bytes, usize::MAX >> 1);
                let packet = QuorumPacket::read(&mut r).expect("our own packet decodes");
                self.take_packet(id, to, packet);
            }
        }
    }

    fn take_packet(&mut self, id: u64, to: usize, packet: QuorumPacket) {
        let link = LinkId(id);
        let Some(known) = self.net.links.get_mut(&id) else {
            return;
        };
        let end = &mut known.ends[to];
        let (server, boot) = (end.server, end.boot);
        let input = if to == DIALLER {
            let packet = FromLeader::decode(packet).expect("our own packet decodes");
            if let FromLeader::Snap(zxid) = packet {
                let options = super::machine::tree_options();
                let parser = SnapParser::new(zxid, options, usize::MAX >> 1);
                end.snapshot = Some((parser, BytesMut::new()));
                let silence = Event::Silence { link: id, end: to };
                self.queue.push(self.now, silence);
            }
            self.note(|| format!("link {id}: server {server} hears {}", shown(&packet)));
            self.seen.count(name(&packet));
            PeerInput::FromLeader { link, packet }
        } else {
            let packet = FromLearner::decode(packet).expect("our own packet decodes");
            let first = !std::mem::replace(&mut end.registered, true);
            self.note(|| format!("link {id}: server {server} hears {packet:?}"));
            match packet {
                FromLearner::FollowerInfo(registration) if first => PeerInput::Joined {
                    link,
                    kind: LearnerKind::Follower,
                    registration,
                },
                FromLearner::ObserverInfo(registration) if first => PeerInput::Joined {
                    link,
                    kind: LearnerKind::Observer,
                    registration,
                },
                packet => PeerInput::FromLearner { link, packet },
            }
        };
        self.put_in(server, boot, Input::Peer(input));
    }
}

fn name(packet: &FromLeader) -> &'static str {
    match packet {
        FromLeader::Diff(_) => "DIFF",
        FromLeader::Trunc(_) => "TRUNC",
        FromLeader::Snap(_) => "SNAP",
        FromLeader::NewLeader { .. } => "NEWLEADER",
        FromLeader::UpToDate => "UPTODATE",
        FromLeader::Sync => "SYNC",
        FromLeader::Revalidated { .. } => "REVALIDATE",
        FromLeader::Proposal { .. } => "PROPOSAL",
        FromLeader::Inform { .. } => "INFORM",
        _ => "other packets of leaders",
    }
}

/// Without the bytes of transactions.
pub(super) fn shown(packet: &FromLeader) -> String {
    match packet {
        FromLeader::Proposal { zxid, .. } => format!("Proposal({zxid})"),
        FromLeader::Inform { zxid, .. } => format!("Inform({zxid})"),
        FromLeader::NewLeader { zxid, .. } => format!("NewLeader({zxid})"),
        packet => format!("{packet:?}"),
    }
}
