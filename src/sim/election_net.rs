//! Election ports: one slot per peer, in which a newer vote takes the place of one that was not sent yet.
//!
//! Source: `QuorumCnxManager`: one connection per pair, a queue of one, the last message again on a new connection.

use std::collections::{BTreeMap, VecDeque};

use rand::Rng;

use super::net::{Point, Port};
use super::queue::Event;
use super::{Us, World};
use crate::base::ServerId;
use crate::replica::Input;
use crate::zab::io::Input as PeerInput;
use crate::zab::vote::Notification;

/// All that election ports hold.
#[derive(Default)]
pub(super) struct ElectionNet {
    mail: BTreeMap<(ServerId, ServerId), Mail>,
    pairs: BTreeMap<(ServerId, ServerId), Pair>,
}

/// One direction.
#[derive(Default)]
struct Mail {
    slot: Option<Notification>,
    last: Option<Notification>,
    flying: VecDeque<(Us, Notification)>,
    posting: bool,
    armed: bool,
}

/// One pair, the lower id first.
#[derive(Clone, Copy, Default)]
struct Pair {
    /// The processes at the ends of the connection.
    up: Option<(u64, u64)>,
    meeting: bool,
}

/// How long a connection hangs before it is given up.
const HANGS: Us = 2_000_000;
/// How long connecting takes when nobody answers.
const CONNECT: Us = 500_000;

fn pair(one: ServerId, other: ServerId) -> (ServerId, ServerId) {
    (one.min(other), one.max(other))
}

impl World {
    fn boot_of(&self, id: ServerId) -> Option<u64> {
        let process = self.servers.get(&id)?.process.as_ref()?;
        Some(process.boot)
    }

    /// A server has something to say over the election port.
    pub(super) fn notify(&mut self, from: ServerId, to: ServerId, notification: Notification) {
        let election = &mut self.net.election;
        election.mail.entry((from, to)).or_default().slot = Some(notification);
        let pair = election.pairs.entry(pair(from, to)).or_default();
        if pair.up.is_some() {
            self.post_soon(from, to);
        } else if !std::mem::replace(&mut pair.meeting, true) {
            let at = self.now + self.delay(from, to);
            self.queue.push(at, Event::Meet { from, to });
        }
    }

    fn post_soon(&mut self, from: ServerId, to: ServerId) {
        let mail = self.net.election.mail.entry((from, to)).or_default();
        if mail.slot.is_some() && !std::mem::replace(&mut mail.posting, true) {
            let at = self.now + self.rng.random_range(5..200);
            self.queue.push(at, Event::Post { from, to });
        }
    }

    pub(super) fn post(&mut self, from: ServerId, to: ServerId) {
        let delay = self.delay(from, to);
        let up = self.net.election.pairs.get(&pair(from, to));
        let up = up.is_some_and(|pair| pair.up.is_some());
        let now = self.now;
        let Some(mail) = self.net.election.mail.get_mut(&(from, to)) else {
            return;
        };
        mail.posting = false;
        if !up {
            return;
        }
        let Some(notification) = mail.slot.take() else {
            return;
        };
        mail.last = Some(notification.clone());
        let last = mail.flying.back().map_or(0, |(at, _)| *at);
        let at = last.max(now + delay);
        mail.flying.push_back((at, notification));
        if !std::mem::replace(&mut mail.armed, true) {
            self.queue.push(at, Event::Vote { from, to });
        }
    }

    /// The next vote of one direction arrives, if it can.
    pub(super) fn vote(&mut self, from: ServerId, to: ServerId) {
        let cut = self
            .net
            .is_cut(Point::Server(from), Point::Server(to), Port::Election);
        let boot = self.boot_of(to);
        let has_power = self.servers[&to].has_power;
        let pair_up = self.net.election.pairs.get(&pair(from, to));
        let up = pair_up.and_then(|pair| pair.up);
        let now = self.now;
        let Some(mail) = self.net.election.mail.get_mut(&(from, to)) else {
            return;
        };
        mail.armed = false;
        let Some((ready, _)) = mail.flying.front() else {
            return;
        };
        if cut {
            if now > *ready + HANGS {
                self.break_pair(from, to, true);
                return;
            }
            mail.armed = true;
            let at = now + self.rng.random_range(20_000..80_000);
            self.queue.push(at, Event::Vote { from, to });
            return;
        }
        let Some((_, notification)) = mail.flying.pop_front() else {
            return;
        };
        if let Some((next, _)) = mail.flying.front() {
            mail.armed = true;
            let at = (*next).max(now);
            self.queue.push(at, Event::Vote { from, to });
        }
        let expected = up.map(|(low, high)| if to < from { low } else { high });
        match boot {
            Some(boot) if Some(boot) == expected => {
                self.note(|| format!("server {to} hears vote of {from}: {notification:?}"));
                let input = PeerInput::Notification { from, notification };
                self.put_in(to, boot, Input::Peer(input));
            }
            _ if has_power => self.break_pair(from, to, false),
            _ => {}
        }
    }

    /// A connection is tried.
    pub(super) fn meet(&mut self, from: ServerId, to: ServerId) {
        let key = pair(from, to);
        let boots = (self.boot_of(key.0), self.boot_of(key.1));
        let open = self.net.is_open(from, to, Port::Election);
        let has_power = self.servers[&to].has_power;
        let entry = self.net.election.pairs.entry(key).or_default();
        entry.meeting = false;
        let Some(mine) = self.boot_of(from) else {
            return;
        };
        if let ((Some(low), Some(high)), true) = (boots, open) {
            let entry = self.net.election.pairs.entry(key).or_default();
            entry.up = Some((low, high));
            for (one, other) in [(from, to), (to, from)] {
                let mail = self.net.election.mail.entry((one, other)).or_default();
                if mail.slot.is_none() {
                    mail.slot = mail.last.clone();
                }
                self.news(one, other, true, 0);
                self.post_soon(one, other);
            }
            return;
        }
        let late = if has_power && open { 0 } else { CONNECT };
        let at = self.now + late;
        let news = Event::News {
            at: from,
            boot: mine,
            about: to,
            up: false,
        };
        self.queue.push(at, news);
    }

    fn news(&mut self, at: ServerId, about: ServerId, up: bool, late: Us) {
        if let Some(boot) = self.boot_of(at) {
            let news = Event::News {
                at,
                boot,
                about,
                up,
            };
            self.queue.push(self.now + late, news);
        }
    }

    /// A server hears of an election connection.
    pub(super) fn hear_of(&mut self, at: ServerId, boot: u64, server: ServerId, up: bool) {
        let link = PeerInput::ElectionLink { server, up };
        self.put_in(at, boot, Input::Peer(link));
    }

    /// The connection of a pair is gone, and both who live hear of it.
    pub(super) fn break_pair(&mut self, one: ServerId, other: ServerId, hung: bool) {
        let entry = self.net.election.pairs.entry(pair(one, other)).or_default();
        if entry.up.take().is_none() {
            return;
        }
        for (from, to) in [(one, other), (other, one)] {
            if let Some(mail) = self.net.election.mail.get_mut(&(from, to)) {
                mail.flying.clear();
            }
            let late = if hung { 1_000 } else { self.delay(from, to) };
            self.news(from, to, false, late);
        }
    }

    /// A process ended. Without power nobody is told.
    pub(super) fn drop_mail(&mut self, gone: ServerId, power_lost: bool) {
        let others: Vec<ServerId> = self.servers.keys().copied().collect();
        for other in others {
            if other == gone {
                continue;
            }
            if let Some(mail) = self.net.election.mail.get_mut(&(gone, other)) {
                let armed = mail.armed;
                *mail = Mail {
                    armed,
                    posting: mail.posting,
                    ..Mail::default()
                };
            }
            if power_lost {
                let pair = self.net.election.pairs.entry(pair(gone, other));
                pair.or_default().up = None;
            } else {
                self.break_pair(gone, other, false);
            }
        }
    }
}
