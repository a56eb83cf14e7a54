//! Everything that is drawn from the seed before the first event: how many servers, how fast, and what may go wrong.

use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

use super::Us;
use crate::zab::history::HistoryLimits;

/// One run, before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Servers that vote.
    pub voters: usize,
    /// Servers that only listen.
    pub observers: usize,
    /// Clients.
    pub clients: usize,
    /// Length of a tick.
    pub tick: Duration,
    /// Ticks in which a learner has to connect and synchronize.
    pub init_ticks: u32,
    /// Ticks of silence after which a link is given up.
    pub sync_ticks: u32,
    /// What is kept in memory for learners that come back.
    pub history: HistoryLimits,
    /// Transactions between two snapshots, give or take.
    pub snap_count: u64,
    /// How large the log may be in comparison with a snapshot to be read for a learner.
    pub snapshot_size_factor: f64,
    /// Least and most time on the way, in microseconds.
    pub delay: (Us, Us),
    /// How often a packet takes much longer.
    pub spike: f64,
    /// Least and most time of a sync, in microseconds.
    pub sync_time: (Us, Us),
    /// Pause of a client between two batches of requests, at most, in microseconds.
    pub think: Us,
    /// Bytes that may wait to be sent to one learner: more than what is kept for it in memory.
    pub link_budget: usize,
    /// How much faster or slower clocks run, at most.
    pub drift: f64,
    /// Whether the first epoch is nearly used up when the ensemble begins.
    pub rollover: bool,
    /// The power fails before one of so many changes of a disk that are under way: the fewer, the more writes it tears.
    pub power_steps: u64,
    /// For how long things go wrong.
    pub faulty: Us,
    /// Mean time between two faults.
    pub fault_gap: Us,
    /// What goes wrong, with how many parts of all faults.
    pub faults: Vec<(Fault, u32)>,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A process ends; its machine goes on, and keeps what was written.
    Kill,
    /// The same, of the leader.
    KillLeader,
    /// A machine loses its power: what was not synced is lost or torn, nobody is told.
    PowerLoss,
    /// All machines at once.
    Blackout,
    /// A process stands still, its sockets stay open.
    Pause,
    /// The same, of the leader.
    PauseLeader,
    /// One server is cut off from all others and from clients.
    Isolate,
    /// The leader is cut off from all others, and goes on writing for its clients for a while.
    IsolateLeader,
    /// Two groups cannot reach each other.
    Split,
    /// One direction between two servers, or out of one or into one, is lost.
    OneWay,
    /// Some pairs cannot reach each other.
    Partial,
    /// The leader and one learner cannot reach each other over the quorum port.
    QuorumPort,
    /// Connections break.
    Reset,
    /// Everything to or from one server is slow.
    SlowNet,
    /// A disk stands still.
    DiskStall,
    /// A sync fails.
    SyncFails,
    /// A disk is full.
    DiskFull,
    /// A wall clock jumps.
    ClockJump,
    /// A server comes back with an empty disk, where that is safe.
    EmptyDisk,
    /// A snapshot is sent to the leader, or to any server, to be restored.
    Restore,
}

/// All kinds, with how likely each is to be part of a run and its usual weight.
const FAULTS: [(Fault, f64, u32); 19] = [
    (Fault::Kill, 0.7, 10),
    (Fault::KillLeader, 0.6, 8),
    (Fault::PowerLoss, 0.6, 8),
    (Fault::Blackout, 0.3, 2),
    (Fault::Pause, 0.4, 6),
    (Fault::PauseLeader, 0.4, 5),
    (Fault::Isolate, 0.5, 8),
    (Fault::IsolateLeader, 0.5, 8),
    (Fault::Split, 0.4, 6),
    (Fault::OneWay, 0.4, 6),
    (Fault::Partial, 0.4, 6),
    (Fault::QuorumPort, 0.4, 6),
    (Fault::Reset, 0.5, 8),
    (Fault::SlowNet, 0.3, 4),
    (Fault::DiskStall, 0.4, 6),
    (Fault::SyncFails, 0.3, 3),
    (Fault::DiskFull, 0.2, 2),
    (Fault::ClockJump, 0.3, 3),
    (Fault::EmptyDisk, 0.2, 3),
];

impl Plan {
    /// A random mixture.
    pub fn random(rng: &mut SmallRng) -> Plan {
        let voters = *pick(rng, &[1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7]);
        let observers = if voters < 6 {
            *pick(rng, &[0, 0, 0, 1, 1, 2])
        } else {
            0
        };
        let observers = observers.min(7 - voters);
        let faulty_s: u64 = rng.random_range(8..25);
        let history = HistoryLimits {
            count: *pick(rng, &[2, 5, 20, 100, 500]),
            bytes: *pick(rng, &[1 << 10, 16 << 10, 1 << 20]),
        };
        Plan {
            voters,
            observers,
            clients: rng.random_range(1..=6),
            tick: Duration::from_millis(200),
            init_ticks: *pick(rng, &[5, 10]),
            sync_ticks: *pick(rng, &[3, 5]),
            history,
            snap_count: *pick(rng, &[4, 10, 30, 100, 1000]),
            snapshot_size_factor: *pick(rng, &[-1.0, 0.33, 10.0, 100.0]),
            delay: *pick(
                rng,
                &[(50, 300), (100, 2_000), (500, 20_000), (100, 50_000)],
            ),
            spike: *pick(rng, &[0.0, 0.0, 0.001, 0.02]),
            sync_time: *pick(
                rng,
                &[(50, 500), (500, 5_000), (1_000, 30_000), (100, 100_000)],
            ),
            think: *pick(rng, &[20_000, 100_000, 300_000, 800_000]),
            link_budget: 2 * history.bytes + *pick(rng, &[32 << 10, 256 << 10]),
            drift: *pick(rng, &[0.0, 0.01, 0.05]),
            rollover: rng.random_bool(0.05),
            power_steps: 12,
            faulty: faulty_s * 1_000_000,
            fault_gap: *pick(rng, &[150_000, 400_000, 1_000_000, 3_000_000]),
            faults: Plan::mixture(rng),
        }
    }

    /// Databases are sent to leaders, and to others, that come and go.
    pub fn restore_often(&mut self) {
        (self.voters, self.observers) = (self.voters.max(3), self.observers.min(1));
        self.fault_gap = self.fault_gap.max(400_000);
        self.faulty = self.faulty.max(15_000_000);
        self.faults.retain(|(fault, _)| *fault != Fault::Restore);
        let others: u32 = self.faults.iter().map(|(_, weight)| weight).sum();
        for fault in [Fault::Restore, Fault::KillLeader, Fault::IsolateLeader] {
            self.faults.push((fault, others.max(4) / 2));
        }
    }

    fn mixture(rng: &mut SmallRng) -> Vec<(Fault, u32)> {
        let mut chosen = Vec::new();
        for (fault, chance, weight) in FAULTS {
            if rng.random_bool(chance) {
                chosen.push((fault, weight * rng.random_range(1..=4)));
            }
        }
        // Seeds without it stay the same.
        if rng.clone().random_bool(0.25) {
            chosen.push((Fault::Restore, rng.clone().random_range(1..12)));
        }
        chosen
    }
}

/// One of `all`.
pub(super) fn pick<'a, T>(rng: &mut SmallRng, all: &'a [T]) -> &'a T {
    &all[rng.random_range(0..all.len())]
}
