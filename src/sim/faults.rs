//! What goes wrong, and how it ends.

use std::collections::BTreeSet;

use rand::Rng;

use super::net::{Cut, Point, Port};
use super::plan::Fault;
use super::queue::Event;
use super::{Us, World};
use crate::base::ServerId;
use crate::zab::election::LearnerType;
use crate::zab::vote::ServerState;

/// Something that lasts.
pub(super) enum Ongoing {
    Cuts(Vec<Cut>),
    Slow(ServerId),
    Clock(ServerId),
    Over,
}

const ALL: [Port; 3] = [Port::Quorum, Port::Election, Port::Client];
const BETWEEN: [Port; 2] = [Port::Quorum, Port::Election];

impl World {
    fn ids(&self) -> Vec<ServerId> {
        self.servers.keys().copied().collect()
    }

    fn any_server(&mut self) -> ServerId {
        let ids = self.ids();
        ids[self.rng.random_range(0..ids.len())]
    }

    /// The server that leads, as far as any of them believes it.
    pub(super) fn leader(&self) -> Option<ServerId> {
        let leads = |id: &ServerId| self.state_of(*id) == Some(ServerState::Leading);
        let mut leading: Vec<ServerId> = self.ids().into_iter().filter(leads).collect();
        leading.pop()
    }

    /// Something goes wrong, and the next thing will.
    pub(super) fn goes_wrong(&mut self) {
        if self.healed || self.plan.faults.is_empty() {
            return;
        }
        let gap = self.rng.random_range(0..self.plan.fault_gap * 2) + 1_000;
        self.queue.push(self.now + gap, Event::Fault);
        let total: u32 = self.plan.faults.iter().map(|(_, weight)| weight).sum();
        let mut at = self.rng.random_range(0..total);
        let mut chosen = self.plan.faults[0].0;
        for (fault, weight) in &self.plan.faults {
            if at < *weight {
                chosen = *fault;
                break;
            }
            at -= weight;
        }
        self.inflict(chosen);
    }

    /// Does it, or nothing where it makes no sense now.
    pub(super) fn inflict(&mut self, fault: Fault) {
        let lasts = match self.rng.random_range(0..4) {
            0 => self.rng.random_range(10_000..200_000),
            1 => self.rng.random_range(3_000_000..8_000_000),
            _ => self.rng.random_range(200_000..3_000_000),
        };
        let some = self.any_server();
        let leader = self.leader();
        self.note(|| format!("fault: {fault:?}, maybe of server {some}, for {lasts} us"));
        match fault {
            Fault::Kill => self.kill(some, lasts),
            Fault::KillLeader => {
                if let Some(leader) = leader {
                    self.kill(leader, lasts);
                }
            }
            Fault::PowerLoss => self.lose_power(some, lasts),
            Fault::Blackout => {
                self.seen.count("fault: blackout");
                for id in self.ids() {
                    let lasts = lasts + self.rng.random_range(0..500_000);
                    self.lose_power(id, lasts);
                }
            }
            Fault::Pause => self.pause(some, lasts),
            Fault::PauseLeader => {
                if let Some(leader) = leader {
                    self.pause(leader, lasts);
                }
            }
            Fault::Isolate => self.isolate(some, lasts, 0.5),
            Fault::IsolateLeader => {
                if let Some(leader) = leader {
                    self.isolate(leader, lasts, 0.0);
                }
            }
            Fault::Split => self.split(lasts),
            Fault::OneWay => self.one_way(some, lasts),
            Fault::Partial => self.partial(lasts),
            Fault::QuorumPort => self.cut_quorum_port(some, leader, lasts),
            Fault::Reset => self.reset_some(),
            Fault::SlowNet => {
                let factor = self.rng.random_range(3..60);
                self.net.slow.insert(some, factor);
                self.lasts("fault: slow net", Ongoing::Slow(some), lasts);
            }
            Fault::DiskStall | Fault::SyncFails | Fault::DiskFull => {
                self.disk_trouble(fault, some, lasts);
            }
            Fault::ClockJump => {
                let by = self.rng.random_range(-100_000..100_000);
                if let Some(machine) = self.servers.get_mut(&some) {
                    machine.clock.jump(by);
                }
                self.lasts("fault: clock jump", Ongoing::Clock(some), lasts);
            }
            Fault::EmptyDisk => self.empty_disk(some, lasts),
            Fault::Restore => {
                let leads = self.rng.random_bool(0.8);
                self.restore(leader.filter(|_| leads).unwrap_or(some));
            }
        }
    }

    fn lasts(&mut self, name: &'static str, what: Ongoing, lasts: Us) {
        self.seen.count(name);
        self.ongoing.push(what);
        let nth = self.ongoing.len() - 1;
        self.queue.push(self.now + lasts, Event::FaultEnds { nth });
    }

    /// Something that went wrong is over.
    pub(super) fn fault_ends(&mut self, nth: usize) {
        match std::mem::replace(&mut self.ongoing[nth], Ongoing::Over) {
            Ongoing::Over => {}
            Ongoing::Cuts(cuts) => {
                self.note(|| "a partition is over".to_owned());
                for cut in cuts {
                    self.net.mend(cut);
                }
            }
            Ongoing::Slow(server) => {
                self.net.slow.remove(&server);
            }
            Ongoing::Clock(server) => {
                if let Some(machine) = self.servers.get_mut(&server) {
                    machine.clock.set();
                }
            }
        }
    }

    fn kill(&mut self, server: ServerId, down: Us) {
        if self.servers[&server].process.is_some() {
            self.seen.count("fault: kill");
            self.end_process(server);
            self.queue.push(self.now + down, Event::Boot { server });
        }
    }

    fn lose_power(&mut self, server: ServerId, down: Us) {
        if self.servers[&server].has_power {
            self.seen.count("fault: power loss");
            self.cut_power(server);
            self.queue.push(self.now + down, Event::Boot { server });
        }
    }

    fn pause(&mut self, server: ServerId, lasts: Us) {
        let until = self.no_later(lasts);
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        if machine.process.is_some() {
            machine.paused_until = machine.paused_until.max(until);
            self.seen.count("fault: pause");
        }
    }

    fn cut_all(&mut self, name: &'static str, cuts: Vec<Cut>, lasts: Us) {
        for cut in &cuts {
            self.net.cut(*cut);
        }
        self.lasts(name, Ongoing::Cuts(cuts), lasts);
    }

    fn both_ways(one: Point, other: Point, ports: &[Port], cuts: &mut Vec<Cut>) {
        for port in ports {
            cuts.push((one, other, *port));
            cuts.push((other, one, *port));
        }
    }

    fn isolate(&mut self, server: ServerId, lasts: Us, from_clients: f64) {
        let mut cuts = Vec::new();
        for other in self.ids() {
            if other != server {
                let points = (Point::Server(server), Point::Server(other));
                World::both_ways(points.0, points.1, &BETWEEN, &mut cuts);
            }
        }
        for client in 0..self.clients.len() {
            if self.rng.random_bool(from_clients) {
                let points = (Point::Server(server), Point::Client(client));
                World::both_ways(points.0, points.1, &[Port::Client], &mut cuts);
            }
        }
        self.cut_all("fault: isolated server", cuts, lasts);
    }

    fn split(&mut self, lasts: Us) {
        let ids = self.ids();
        let side: Vec<bool> = ids.iter().map(|_| self.rng.random_bool(0.5)).collect();
        let clients: Vec<bool> = self
            .clients
            .iter()
            .map(|_| self.rng.random_bool(0.5))
            .collect();
        let mut cuts = Vec::new();
        for (nth, one) in ids.iter().enumerate() {
            for (mth, other) in ids.iter().enumerate().skip(nth + 1) {
                if side[nth] != side[mth] {
                    let points = (Point::Server(*one), Point::Server(*other));
                    World::both_ways(points.0, points.1, &BETWEEN, &mut cuts);
                }
            }
            for (client, its) in clients.iter().enumerate() {
                if side[nth] != *its {
                    let points = (Point::Server(*one), Point::Client(client));
                    World::both_ways(points.0, points.1, &ALL, &mut cuts);
                }
            }
        }
        self.cut_all("fault: split", cuts, lasts);
    }

    fn one_way(&mut self, server: ServerId, lasts: Us) {
        let (me, out) = (Point::Server(server), self.rng.random_bool(0.5));
        let single = self.rng.random_bool(0.5);
        let mut others = self.ids();
        others.retain(|other| *other != server);
        if single && !others.is_empty() {
            let keep = self.rng.random_range(0..others.len());
            others = vec![others[keep]];
        }
        let mut cuts = Vec::new();
        for other in others {
            for port in BETWEEN {
                cuts.push(match out {
                    true => (me, Point::Server(other), port),
                    false => (Point::Server(other), me, port),
                });
            }
        }
        self.cut_all("fault: one-way", cuts, lasts);
    }

    fn partial(&mut self, lasts: Us) {
        let ids = self.ids();
        let mut cuts = Vec::new();
        for (nth, one) in ids.iter().enumerate() {
            for other in &ids[nth + 1..] {
                if self.rng.random_bool(0.3) {
                    let ports: &[Port] = match self.rng.random_range(0..4) {
                        0 => &[Port::Quorum],
                        1 => &[Port::Election],
                        _ => &BETWEEN,
                    };
                    let points = (Point::Server(*one), Point::Server(*other));
                    World::both_ways(points.0, points.1, ports, &mut cuts);
                }
            }
        }
        self.cut_all("fault: partial partition", cuts, lasts);
    }

    fn cut_quorum_port(&mut self, server: ServerId, leader: Option<ServerId>, lasts: Us) {
        let Some(leader) = leader.filter(|leader| *leader != server) else {
            return;
        };
        let points = (Point::Server(server), Point::Server(leader));
        let mut cuts = Vec::new();
        World::both_ways(points.0, points.1, &[Port::Quorum], &mut cuts);
        self.cut_all("fault: hung learner", cuts, lasts);
    }

    fn reset_some(&mut self) {
        let links: Vec<u64> = self.net.links.keys().copied().collect();
        for link in links {
            if self.rng.random_bool(0.4) {
                self.seen.count("fault: link reset");
                self.reset_link(link);
            }
        }
        let ids = self.ids();
        for (nth, one) in ids.iter().enumerate() {
            for other in &ids[nth + 1..] {
                if self.rng.random_bool(0.2) {
                    self.break_pair(*one, *other, false);
                }
            }
        }
    }

    /// When something that begins now and takes this long ends: when the faults stop at the latest. What it holds back
    /// is due then, and no healing would find it again.
    fn no_later(&self, lasts: Us) -> Us {
        (self.now + lasts).min(self.plan.faulty)
    }

    fn disk_trouble(&mut self, fault: Fault, server: ServerId, lasts: Us) {
        let until = self.no_later(lasts);
        let (good, room) = (
            self.rng.random_range(0..4),
            self.rng.random_range(0..20_000),
        );
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        match fault {
            Fault::DiskStall => {
                machine.stalled_until = machine.stalled_until.max(until);
                self.seen.count("fault: disk stall");
            }
            Fault::SyncFails => {
                machine.disk.fail_syncs_after(good);
                self.seen.count("fault: sync fails");
            }
            _ => {
                let used = machine.disk.used();
                machine.disk.set_capacity(used + room);
                self.seen.count("fault: disk full");
            }
        }
    }

    /// A server comes back with nothing, where everybody else has all that it ever promised.
    fn empty_disk(&mut self, server: ServerId, down: Us) {
        let votes = self.servers[&server].learner == LearnerType::Participant;
        if votes && !self.can_lose_disk(server) {
            return;
        }
        self.seen.count(match votes {
            true => "fault: voter with an empty disk",
            false => "fault: observer with an empty disk",
        });
        self.end_process(server);
        let seed = self.rng.random();
        if let Some(machine) = self.servers.get_mut(&server) {
            machine.disk = super::disk::SimDisk::new(seed);
        }
        if let Some(disk) = self.checks.disks.get_mut(&server) {
            disk.emptied();
        }
        self.queue.push(self.now + down, Event::Boot { server });
    }

    /// Whether the ensemble can do without the disk of a voter: all other voters serve in one epoch, and each of their
    /// disks has what this one has. That its leader has heard of the quorum is not enough: an acknowledgement of this
    /// voter may be on its way, and will be counted, while another voter has not got that proposal yet.
    fn can_lose_disk(&self, voter: ServerId) -> bool {
        let mut epochs = BTreeSet::new();
        for (id, machine) in &self.servers {
            if *id == voter || machine.learner != LearnerType::Participant {
                continue;
            }
            let peer = machine
                .process
                .as_ref()
                .map(|process| process.replica.peer());
            let Some(peer) = peer.filter(|peer| peer.is_serving()) else {
                return false;
            };
            epochs.insert(peer.epoch());
            if !self.checks.disks[id].outlasts(&self.checks.disks[&voter]) {
                return false;
            }
        }
        self.plan.voters >= 3 && epochs.len() == 1
    }

    /// The faults stop: everything that was broken is repaired, everybody who was down starts.
    pub(super) fn heal(&mut self) {
        self.note(|| "the faults stop".to_owned());
        self.healed = true;
        for nth in 0..self.ongoing.len() {
            self.fault_ends(nth);
        }
        for server in self.ids() {
            let Some(machine) = self.servers.get_mut(&server) else {
                continue;
            };
            machine.disk.repair();
            if machine.process.is_none() {
                self.queue.push(self.now, Event::Boot { server });
            }
        }
        for client in &mut self.clients {
            client.told_lately = 0;
        }
    }
}
