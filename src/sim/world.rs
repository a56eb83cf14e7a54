//! The world: servers, net and clients in one queue of events.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::Us;
use super::check::{Broken, Checks, Held, holds, trees};
use super::client_wire::ClientWire;
use super::clients::Client;
use super::coverage::Coverage;
use super::faults::Ongoing;
use super::machine::Machine;
use super::net::Net;
use super::plan::Plan;
use super::queue::{Event, Queue};
use super::restores::Restore;
use super::shell::Slip;
use crate::base::{ServerId, Zxid};
use crate::zab::election::LearnerType;
use crate::zab::mistake::Mistake;
use crate::zab::vote::ServerState;

/// An ensemble with all that is around it.
pub struct World {
    pub(super) plan: Plan,
    pub(super) now: Us,
    pub(super) rng: SmallRng,
    pub(super) queue: Queue,
    pub(super) servers: BTreeMap<ServerId, Machine>,
    pub(super) net: Net,
    pub(super) wires: Vec<ClientWire>,
    pub(super) clients: Vec<Client>,
    pub(super) checks: Checks,
    pub(super) ongoing: Vec<Ongoing>,
    pub(super) seen: Coverage,
    pub(super) dials: u64,
    /// The faults are over.
    pub(super) healed: bool,
    /// Clients stop once they have been told of a write.
    pub(super) resting: bool,
    /// How long it took until everybody served again.
    pub(super) recovery: Us,
    pub(super) mistake: Option<Mistake>,
    pub(super) slip: Option<Slip>,
    /// Databases that were sent to servers, which have not answered yet.
    pub(super) restores: BTreeMap<ServerId, Restore>,
    trace: Option<VecDeque<String>>,
    print: bool,
    steps: u64,
}

/// Lines that are kept of what happened last.
const TRACE: usize = 400;
/// Steps between two comparisons of whole trees.
const COMPARE: u64 = 2_000;

impl World {
    /// The world of one seed, before its first event.
    pub fn new(seed: u64, options: &super::run::Options) -> World {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut plan = Plan::random(&mut rng);
        if let Some(change) = options.change {
            change(&mut plan);
        }
        let begin = match plan.rollover {
            true => Zxid(0x1_ffff_ff00 + rng.random_range(0..0xf0)),
            false => Zxid::ZERO,
        };
        let mut servers = BTreeMap::new();
        for nth in 1..=plan.voters + plan.observers {
            let learner = match nth <= plan.voters {
                true => LearnerType::Participant,
                false => LearnerType::Observer,
            };
            let id = ServerId(nth as i64);
            let rate = 1.0 + rng.random_range(-1.0..=1.0) * plan.drift;
            servers.insert(id, Machine::new(learner, rng.random(), rate));
        }
        let ids = servers.keys().copied().collect::<Vec<_>>().into_iter();
        let mut world = World {
            checks: Checks::new(plan.voters, ids, begin),
            plan,
            now: 0,
            rng,
            queue: Queue::default(),
            servers,
            net: Net::default(),
            wires: Vec::new(),
            clients: Vec::new(),
            ongoing: Vec::new(),
            seen: Coverage::default(),
            dials: 0,
            healed: false,
            resting: false,
            recovery: 0,
            mistake: options.mistake,
            slip: options.slip,
            restores: BTreeMap::new(),
            trace: (options.trace || options.print).then(VecDeque::new),
            print: options.print,
            steps: 0,
        };
        world.populate(begin);
        world
    }

    fn populate(&mut self, begin: Zxid) {
        let ids: Vec<ServerId> = self.servers.keys().copied().collect();
        for server in ids {
            if begin > Zxid::ZERO {
                self.found(server, begin);
            }
            let at = self.rng.random_range(0..400_000);
            self.queue.push(at, Event::Boot { server });
        }
        for client in 0..self.plan.clients {
            let ticks = self.rng.random_range(10..80);
            let timeout = self.plan.tick.as_micros() as Us * ticks;
            self.clients.push(Client::new(timeout, client == 0));
            let at = self.rng.random_range(0..1_000_000);
            self.queue.push(at, Event::Client { client });
        }
        self.queue.push(self.plan.fault_gap, Event::Fault);
    }

    /// What happened, for a person; made only if somebody looks.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        let Some(trace) = &mut self.trace else {
            return;
        };
        let line = format!("{:>10.6} {}", self.now as f64 / 1e6, what());
        if self.print {
            println!("{line}");
        }
        if trace.len() == TRACE {
            trace.pop_front();
        }
        trace.push_back(line);
    }

    /// The last things that happened.
    pub fn trace(&self) -> impl Iterator<Item = &str> {
        self.trace.iter().flatten().map(String::as_str)
    }

    /// What happened, counted.
    pub fn coverage(&self) -> &Coverage {
        &self.seen
    }

    /// What does not hold.
    pub fn broken(&self) -> Option<&Broken> {
        self.checks.broken()
    }

    /// True time since the beginning.
    pub fn now(&self) -> Us {
        self.now
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn fail(&mut self, property: &'static str, what: &str) {
        self.checks.note(holds(false, property, || what.to_owned()));
    }

    pub(super) fn checked(&mut self, check: impl FnOnce(&mut Checks) -> Held) {
        let held = check(&mut self.checks);
        self.checks.note(held);
    }

    /// The next event. False if there is none before `until`, or something does not hold.
    pub fn step(&mut self, until: Us) -> bool {
        if self.checks.broken().is_some() {
            return false;
        }
        let Some((at, event)) = self.queue.pop(until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        self.steps += 1;
        self.happen(event);
        if self.steps.is_multiple_of(COMPARE) {
            let held = self.compare_all();
            self.checks.note(held);
        }
        self.checks.broken().is_none()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Timer { server, boot } => self.timer(server, boot),
            Event::Round { server, boot } => self.round(server, boot),
            Event::Disk { server, boot } => self.disk_done(server, boot),
            Event::Snapshot { server, boot } => self.snapshot_goes_on(server, boot),
            Event::Log { server, boot, job } => self.log_read(server, boot, job),
            Event::Dial { server, boot, dial } => self.dialled(server, boot, dial),
            Event::Arrival { link, end } => self.arrive(link, end),
            Event::Silence { link, end } => self.watch_snapshot(link, end),
            Event::Post { from, to } => self.post(from, to),
            Event::Vote { from, to } => self.vote(from, to),
            Event::Meet { from, to } => self.meet(from, to),
            Event::News {
                at,
                boot,
                about,
                up,
            } => self.hear_of(at, boot, about, up),
            Event::Client { client } => self.client_acts(client),
            Event::ToServer { wire } => self.arrives_at_server(wire),
            Event::ToClient { wire } => self.arrives_at_client(wire),
            Event::Fault => self.goes_wrong(),
            Event::FaultEnds { nth } => self.fault_ends(nth),
            Event::Boot { server } => self.boot(server),
        }
    }

    /// Runs until a moment, or until something does not hold.
    pub fn run_until(&mut self, until: Us) {
        while self.step(until) {}
    }

    /// What a server is doing; None if it is down.
    pub(super) fn state_of(&self, server: ServerId) -> Option<ServerState> {
        let process = self.servers.get(&server)?.process.as_ref()?;
        Some(process.replica.peer().state())
    }

    /// What a server is up to, for a person.
    pub(super) fn describe(&self, server: ServerId) -> String {
        let process = self
            .servers
            .get(&server)
            .and_then(|machine| machine.process.as_ref());
        let Some(process) = process else {
            return format!("{server} is down");
        };
        let peer = process.replica.peer();
        format!(
            "{server} {:?} serving {} epoch {} at {} disk idle {}",
            peer.state(),
            peer.is_serving(),
            peer.epoch().0,
            process.gate.read(|tree| tree.last_zxid()),
            process.chain.is_idle()
        )
    }

    /// Whether every server serves in one epoch at one zxid, with nothing on its way to a disk.
    pub(super) fn all_serve_alike(&self) -> bool {
        let mut alike = None;
        for machine in self.servers.values() {
            let Some(process) = &machine.process else {
                return false;
            };
            let peer = process.replica.peer();
            if !peer.is_serving() || !process.chain.is_idle() {
                return false;
            }
            let here = (peer.epoch(), process.gate.read(|tree| tree.last_zxid()));
            if *alike.get_or_insert(here) != here {
                return false;
            }
        }
        self.leader().is_some()
    }

    /// Compares the trees of all who serve at the same position, and with what was agreed on.
    pub(super) fn compare_all(&self) -> Held {
        for (id, machine) in &self.servers {
            let Some(process) = &machine.process else {
                continue;
            };
            if !process.replica.peer().is_serving() {
                continue;
            }
            let order = &self.checks.order;
            let difference = process.gate.read(|tree| {
                let at = order.up_to(tree.last_zxid());
                (at == order.last()).then(|| trees::difference(tree, &order.tree))
            });
            if let Some(Some(difference)) = difference {
                return holds(false, "S1: equal trees at equal zxids", || {
                    format!(
                        "server {id}, and what was agreed on up to {}: {difference}",
                        order.last()
                    )
                });
            }
        }
        Ok(())
    }
}
