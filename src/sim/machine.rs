//! A machine with a disk and clocks, and the process on it: a real replica over real storage.

use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use rand::Rng;

use super::clock::Clock;
use super::disk::SimDisk;
use super::queue::Event;
use super::shell::{Chain, Snapshots};
use super::{Us, World};
use crate::auth::AuthOptions;
use crate::base::{Epoch, Now, ServerId};
use crate::prep::PrepOptions;
use crate::replica::gate::Gate;
use crate::replica::status::Counters;
use crate::replica::{Input, ReaperOptions, Replica, ReplicaOptions, ThrottleOptions};
use crate::storage::snapshot::SnapshotOptions;
use crate::storage::{Dirs, Disk, RecoverOptions};
use crate::tree::{Frozen, TreeOptions};
use crate::zab::election::LearnerType;
use crate::zab::vote::ServerState;

/// A machine.
pub(super) struct Machine {
    pub(super) learner: LearnerType,
    pub(super) disk: SimDisk,
    pub(super) dirs: Dirs,
    pub(super) clock: Clock,
    /// False between a power failure and the next boot.
    pub(super) has_power: bool,
    pub(super) process: Option<Process>,
    /// Processes started so far.
    pub(super) boots: u64,
    pub(super) paused_until: Us,
    pub(super) stalled_until: Us,
}

/// What runs on it.
pub(super) struct Process {
    pub(super) boot: u64,
    pub(super) replica: Replica,
    pub(super) gate: Arc<Gate>,
    pub(super) counters: Arc<Counters>,
    pub(super) mailbox: Vec<Message>,
    pub(super) round_due: bool,
    pub(super) timer_at: Us,
    pub(super) chain: Chain,
    pub(super) snapshots: Snapshots,
    /// The connection that is being tried: its number, and to whom.
    pub(super) dial: Option<(u64, ServerId, u32)>,
    /// Connections of clients, as indexes of [`World::wires`].
    pub(super) wires: Vec<usize>,
    /// As what it serves, and in which epoch, at the last look.
    pub(super) serving: Option<(ServerState, Epoch)>,
}

/// What the commit loop takes.
pub(super) enum Message {
    Input(Input),
    SnapshotDue,
    SnapshotDone(Frozen),
}

pub(super) fn tree_options() -> TreeOptions {
    TreeOptions::default()
}

pub(super) fn recover_options() -> RecoverOptions {
    RecoverOptions {
        tree: tree_options(),
        snapshot: snapshot_options(),
        ..RecoverOptions::default()
    }
}

pub(super) fn snapshot_options() -> SnapshotOptions {
    SnapshotOptions::default()
}

impl Machine {
    pub(super) fn new(learner: LearnerType, seed: u64, rate: f64) -> Self {
        Machine {
            learner,
            disk: SimDisk::new(seed),
            dirs: Dirs::new(Path::new("/data"), Path::new("/data")),
            clock: Clock::new(rate),
            has_power: true,
            process: None,
            boots: 0,
            paused_until: 0,
            stalled_until: 0,
        }
    }

    pub(super) fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    pub(super) fn now(&self, at: Us) -> Now {
        self.clock.now(at)
    }
}

impl World {
    pub(super) fn replica_options(&self, id: ServerId) -> ReplicaOptions {
        ReplicaOptions {
            tick: self.plan.tick,
            min_session_timeout: self.plan.tick * 2,
            max_session_timeout: self.plan.tick * 100,
            server_id: id.0 as u8,
            prep: PrepOptions::default(),
            reaper: ReaperOptions {
                interval: self.plan.tick * 10,
                max_per_minute: 100_000,
                max_never_used: self.plan.tick * 20,
            },
            throttle: ThrottleOptions::default(),
            reply_backlog_bytes: 1 << 16,
            slow_request: None,
        }
    }

    /// The gate of a process that starts.
    pub(super) fn gate(tree: crate::tree::Tree) -> Arc<Gate> {
        Arc::new(Gate::new(tree, AuthOptions::default(), 1 << 20))
    }

    /// Something for the commit loop of a process that may be gone by now.
    pub(super) fn put_in(&mut self, server: ServerId, boot: u64, input: Input) {
        self.put_message(server, boot, Message::Input(input));
    }

    pub(super) fn put_message(&mut self, server: ServerId, boot: u64, message: Message) {
        let Some(process) = self.process(server, boot) else {
            return;
        };
        process.mailbox.push(message);
        self.nudge(server);
    }

    pub(super) fn process(&mut self, server: ServerId, boot: u64) -> Option<&mut Process> {
        let process = self.servers.get_mut(&server)?.process.as_mut();
        process.filter(|process| process.boot == boot)
    }

    /// The commit loop of a server has something to do.
    pub(super) fn nudge(&mut self, server: ServerId) {
        let soon = self.rng.random_range(0..200);
        let now = self.now;
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        let Some(process) = &mut machine.process else {
            return;
        };
        if !std::mem::replace(&mut process.round_due, true) {
            let (at, boot) = ((now + soon).max(machine.paused_until), process.boot);
            self.queue.push(at, Event::Round { server, boot });
        }
    }

    pub(super) fn timer(&mut self, server: ServerId, boot: u64) {
        let now = self.now;
        let Some(process) = self.process(server, boot) else {
            return;
        };
        if process.timer_at <= now {
            process.timer_at = Us::MAX;
            self.nudge(server);
        }
    }

    /// One round of a commit loop: take what has gathered, tick if it is time, carry out what is owed.
    pub(super) fn round(&mut self, server: ServerId, boot: u64) {
        let at = self.now;
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        let paused_until = machine.paused_until;
        let now = machine.now(at);
        let Some(process) = machine.process.as_mut().filter(|p| p.boot == boot) else {
            return;
        };
        if paused_until > at {
            self.queue.push(paused_until, Event::Round { server, boot });
            return;
        }
        process.round_due = false;
        let mut due = false;
        for message in std::mem::take(&mut process.mailbox) {
            match message {
                Message::Input(input) => process.replica.step(now, input),
                Message::SnapshotDue => due = true,
                Message::SnapshotDone(frozen) => process.replica.thaw(frozen),
            }
        }
        if now.mono >= process.replica.next_deadline(now.mono) {
            process.replica.tick(now);
        }
        process.replica.catch_up(now);
        if due {
            self.snapshot_due(server);
        }
        self.after_step(server);
    }

    /// What follows every step of a replica.
    pub(super) fn after_step(&mut self, server: ServerId) {
        self.look_at(server);
        let mut outputs = Vec::new();
        let Some(process) = self
            .servers
            .get_mut(&server)
            .and_then(|m| m.process.as_mut())
        else {
            return;
        };
        process.replica.take_outputs(&mut outputs);
        process.replica.wake();
        for output in outputs {
            self.carry_out(server, output);
        }
        self.flush(server);
        self.set_timer(server);
    }

    fn set_timer(&mut self, server: ServerId) {
        let at = self.now;
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        let now = machine.now(at);
        let Some(process) = &mut machine.process else {
            return;
        };
        if process.replica.is_behind() {
            self.nudge(server);
            return;
        }
        let deadline = process.replica.next_deadline(now.mono);
        let when = machine.clock.when(deadline).max(at + 50);
        if when < process.timer_at {
            process.timer_at = when;
            let boot = process.boot;
            self.queue.push(when, Event::Timer { server, boot });
        }
    }

    /// A process ends by itself or is killed; the machine goes on.
    pub(super) fn end_process(&mut self, server: ServerId) {
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        machine.paused_until = 0;
        if machine.process.take().is_none() {
            return;
        }
        self.note(|| format!("server {server} ends"));
        self.restores.remove(&server);
        self.drop_ends(server, false);
        self.drop_mail(server, false);
        self.drop_wires(server, false);
        self.checks.gone(server, false);
    }

    /// A machine loses its power, maybe in the middle of a write.
    pub(super) fn cut_power(&mut self, server: ServerId) {
        let cut_at = self.rng.random_range(0..self.plan.power_steps);
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        machine.paused_until = 0;
        machine.has_power = false;
        if let Some(mut process) = machine.process.take() {
            machine.disk.crash_at(cut_at);
            process.chain.interrupted();
            process.snapshots.interrupted();
        }
        machine.disk.reboot();
        self.note(|| format!("server {server} loses its power"));
        self.restores.remove(&server);
        self.drop_ends(server, true);
        self.drop_mail(server, true);
        self.drop_wires(server, true);
        self.checks.gone(server, true);
    }

    /// A process gives up because its disk failed: what is in the system's cache may be lost.
    pub(super) fn abort(&mut self, server: ServerId, why: &str) {
        self.note(|| format!("server {server} aborts: {why}"));
        self.seen.count("abort after a disk error");
        self.end_process(server);
        if let Some(machine) = self.servers.get_mut(&server) {
            machine.disk.reboot();
        }
        self.checks.gone(server, true);
        let at = self.now + self.rng.random_range(100_000..3_000_000);
        self.queue.push(at, Event::Boot { server });
    }

    /// The bytes that a connection's task would write now.
    pub(super) fn taken(conn: &crate::replica::conn::Conn) -> (BytesMut, bool, bool) {
        let mut bytes = BytesMut::new();
        let taken = conn.outbox.take(&mut bytes);
        (bytes, taken.last_word, taken.wanted)
    }
}
