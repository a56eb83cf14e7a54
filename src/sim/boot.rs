//! How a server starts: what `runtime::wiring` does, over a simulated disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use rand::Rng;

use super::World;
use super::machine::{Process, recover_options, snapshot_options, tree_options};
use super::queue::Event;
use super::shell::{Chain, Snapshots};
use crate::base::{Epoch, ServerId, Zxid};
use crate::replica::Replica;
use crate::replica::status::Counters;
use crate::storage::snap_policy::SnapPolicy;
use crate::storage::txnlog::{LogOptions, LogWriter};
use crate::storage::{self, Base, RecoverOptions, epochs, snapshot};
use crate::tree::Tree;
use crate::zab::election::Patience;
use crate::zab::history::{History, Logged};
use crate::zab::io::{PeerOptions, Stored};
use crate::zab::quorum::{QuorumSystem, Quorums};

/// How far log files grow ahead: little, so that files are small.
const PREALLOCATE: u64 = 512;

pub(super) fn log_options() -> LogOptions {
    LogOptions {
        preallocate_bytes: PREALLOCATE,
        ..LogOptions::default()
    }
}

impl World {
    fn peer_options(&self, me: ServerId) -> PeerOptions {
        let voters: BTreeSet<ServerId> = (1..=self.plan.voters as i64).map(ServerId).collect();
        let tick = self.plan.tick;
        PeerOptions {
            tuning: crate::zab::io::Tuning::default(),
            me,
            learner: self.servers[&me].learner,
            quorums: Quorums::new(QuorumSystem::Majority { voters }, None),
            config: "server.1=simulated".into(),
            config_version: 0,
            tick,
            init_limit: tick * self.plan.init_ticks,
            sync_limit: tick * self.plan.sync_ticks,
            patience: Patience {
                first: tick,
                most: tick * 16,
            },
            history: self.plan.history,
        }
    }

    /// The end of the log that is kept in memory. `tail` is the end of the `replayed` records after `base`.
    fn history(&self, base: Zxid, last: Zxid, replayed: u64, tail: Vec<(Zxid, Bytes)>) -> History {
        let from = match tail.first() {
            // What came before is not there to be told.
            Some((first, _)) if (tail.len() as u64) < replayed => Zxid(first.0 - 1),
            Some(_) => base,
            None => last,
        };
        let mut history = History::after(from, self.plan.history);
        for (zxid, txn) in tail {
            history.push(Logged { zxid, txn });
        }
        history
    }

    /// Gives a server a disk as an older ensemble left it: an empty tree at the end of an epoch.
    pub(super) fn found(&mut self, server: ServerId, begin: Zxid) {
        let machine = &self.servers[&server];
        let (disk, dirs) = (machine.disk(), machine.dirs.clone());
        let mut tree = Tree::new(tree_options());
        tree.set_last_zxid(begin);
        let prepared = dirs.prepare(disk.as_ref(), true).and_then(|()| {
            snapshot::write_tree(disk.clone(), &dirs.data, &mut tree, &snapshot_options())?;
            epochs::save_accepted(disk.as_ref(), &dirs, begin.epoch())?;
            epochs::save_current(disk.as_ref(), &dirs, begin.epoch())
        });
        if let Err(error) = prepared {
            self.fail("a disk can be prepared", &error.to_string());
        }
    }

    /// A server starts, if it is down.
    pub(super) fn boot(&mut self, server: ServerId) {
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        if machine.process.is_some() {
            return;
        }
        if !machine.has_power {
            machine.has_power = true;
            let mono = self.rng.random_range(1_000..1_000_000_000);
            machine.clock.boot(self.now, mono);
        }
        let (disk, dirs) = (machine.disk(), machine.dirs.clone());
        let options = RecoverOptions {
            tail_count: self.plan.history.count,
            tail_bytes: self.plan.history.bytes,
            ..recover_options()
        };
        let recovered = storage::recover(&disk, &dirs, &options);
        let recovered = recovered.and_then(|recovered| {
            let epochs = epochs::load(disk.as_ref(), &dirs, recovered.last_zxid)?;
            Ok((recovered, epochs))
        });
        match recovered {
            Ok((recovered, epochs)) => {
                self.begin(server, recovered, (epochs.accepted, epochs.current))
            }
            Err(_) if self.servers[&server].disk.is_faulty() => {
                self.seen.count("start given up, the disk failed");
                let at = self.now + self.rng.random_range(100_000..2_000_000);
                self.queue.push(at, Event::Boot { server });
            }
            Err(error) => self.fail("a server starts after every crash", &error.to_string()),
        }
    }

    fn begin(&mut self, server: ServerId, recovered: storage::Recovered, epochs: (Epoch, Epoch)) {
        self.seen.count("server started");
        self.seen
            .add("log records replayed at a start", recovered.replayed);
        let mut tree = recovered.tree;
        let newest = match recovered.base {
            Base::Snapshot(path) => Some((recovered.base_zxid, path)),
            _ => None,
        };
        let (base, last) = (recovered.base_zxid, recovered.last_zxid);
        let log: Vec<Zxid> = tree
            .take_journal()
            .into_iter()
            .map(|(zxid, _)| zxid)
            .collect();
        self.note(|| {
            let (accepted, current) = (epochs.0.0, epochs.1.0);
            format!("server {server} starts at {last} on {base}, epochs {accepted} and {current}")
        });
        self.checked(|checks| match checks.disks.get_mut(&server) {
            Some(disk) => disk.recovered(server, base, &log, last, epochs),
            None => Ok(()),
        });
        let history = self.history(base, last, recovered.replayed, recovered.tail);
        let stored = Stored {
            accepted_epoch: epochs.0,
            current_epoch: epochs.1,
            history,
            log_whole_after: base,
            trusted: true,
        };
        let gate = World::gate(tree);
        let counters = Arc::new(Counters::default());
        let replica_options = self.replica_options(server);
        let peer_options = self.peer_options(server);
        let (at, mistake, slip) = (self.now, self.mistake, self.slip);
        let mut rng = self.rng.clone();
        let snap_count = self.plan.snap_count;
        let Some(machine) = self.servers.get_mut(&server) else {
            return;
        };
        let (disk, dirs, now) = (machine.disk(), machine.dirs.clone(), machine.now(at));
        let (options, own) = (replica_options, counters.clone());
        let mut replica = Replica::member(options, gate.clone(), own, peer_options, stored, now);
        if let Some(mistake) = mistake {
            replica.err(mistake);
        }
        let log = LogWriter::new(disk.clone(), dirs.log.clone(), log_options());
        let mut draw = |below: u64| rng.random_range(0..below.max(1));
        let policy = SnapPolicy::new(snap_count, 0, &mut draw);
        machine.boots += 1;
        machine.process = Some(Process {
            boot: machine.boots,
            replica,
            gate: gate.clone(),
            counters,
            mailbox: Vec::new(),
            round_due: false,
            timer_at: super::Us::MAX,
            chain: Chain::new(disk.clone(), dirs.clone(), log, policy, last, slip),
            snapshots: Snapshots::new(disk, dirs, gate, newest),
            dial: None,
            wires: Vec::new(),
            serving: None,
        });
        self.rng = rng;
        self.after_step(server);
    }
}
