//! The commit loop's thread: gather inputs, step the replica, hand out what it owes, wake who has
//! news.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use super::clock::Clock;
use super::ensemble::Ports;
use super::log_reader::LogJob;
use super::log_writer::LogQueue;
use super::loop_instruments::{Kind, LoopInstruments};
use super::mailbox::{Mailbox, Message};
use super::peer_links::Round;
use super::pulse::Pulse;
use super::snapshotter::{Asked, SnapshotJob};
use crate::base::{Mono, Stamp};
use crate::replica::{DiskOp, Input, Output, Replica, RestoreRefused};
use crate::zab::io::Input as PeerInput;

/// What the thread owns.
pub struct CommitLoop {
    /// The server.
    pub replica: Replica,
    /// What it hears.
    pub mailbox: Arc<Mailbox>,
    /// What the disk is asked for.
    pub log: Arc<LogQueue>,
    /// Where frozen views go, and learners that need one.
    pub snapshots: Sender<SnapshotJob>,
    /// The way to the other servers, if there are any.
    pub ensemble: Option<Ensemble>,
    /// Its signs of life.
    pub pulse: Arc<Pulse>,
    /// Real time.
    pub clock: Clock,
    /// Where its times go.
    pub instruments: LoopInstruments,
    /// The time that is measured from.
    pub stamp: Stamp,
    /// What operators asked for and wait for.
    pub wanted: Wanted,
}

/// What operators asked for and wait for.
#[derive(Default)]
pub struct Wanted {
    /// Snapshots that are not begun.
    snapshots: Vec<Asked>,
    /// The database that is being restored.
    restore: Option<oneshot::Sender<Result<(), RestoreRefused>>>,
}

/// The way to the other servers, and to the log for their sake.
pub struct Ensemble {
    /// Election port and quorum port.
    pub ports: Ports,
    /// What is to be looked up in the log.
    pub log_reads: Sender<LogJob>,
}

impl CommitLoop {
    /// Starts the thread. It ends after [`Message::Stop`], once everything accepted before it is
    /// applied; a member of an ensemble may depend on others for that and does not wait for long.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("commit".into())
            .spawn(move || self.run())
    }

    fn run(mut self) {
        let (mut messages, mut outputs, mut ops) = (Vec::new(), Vec::new(), Vec::new());
        let mut stopping = None;
        let _held = self.pulse.held();
        loop {
            // What the replica owes from its start, or from the last round.
            self.carry_out(&mut outputs, &mut ops);
            self.replica.wake();
            if stopping.is_some_and(|since| self.may_stop(since)) {
                return;
            }
            let patience = match self.replica.is_behind() {
                true => Duration::ZERO,
                false => self.patience(),
            };
            self.pulse.end();
            self.mailbox.take(&mut messages, patience);
            let (now, stamp) = self.clock.exact_now();
            self.pulse.begin(now.mono);
            self.set_stamp(stamp);
            self.instruments.round(messages.len(), stamp);
            for message in messages.drain(..) {
                if self.instruments.turns(Kind::of(&message)) {
                    self.turn(self.clock.stamp());
                }
                match message {
                    Message::Input(Input::Peer(PeerInput::LeaderReached { link })) => {
                        // Another dial may have been asked for since.
                        self.carry_out(&mut outputs, &mut ops);
                        if self.is_current(link) {
                            let reached = PeerInput::LeaderReached { link };
                            self.replica.step(now, Input::Peer(reached));
                        }
                    }
                    Message::Input(input) => self.replica.step(now, input),
                    Message::SnapshotDue => self.snapshot(),
                    Message::Ask(ask) => ask(&mut self.replica),
                    Message::TakeSnapshot(asked) => {
                        self.wanted.snapshots.push(asked);
                        self.snapshot();
                    }
                    Message::SnapshotDone(frozen) => {
                        self.replica.thaw(frozen);
                        if !self.wanted.snapshots.is_empty() {
                            self.snapshot();
                        }
                    }
                    Message::Restore(tree, asked) if self.wanted.restore.is_none() => {
                        self.wanted.restore = Some(asked);
                        self.replica.step(now, Input::Restore { tree });
                    }
                    Message::Restore(_, asked) => {
                        let _ = asked.send(Err(RestoreRefused::Busy));
                    }
                    Message::Stop => stopping = Some(now.mono),
                }
            }
            let (now, stamp) = self.clock.exact_now();
            self.turn(stamp);
            self.instruments.end();
            let due = now.mono >= self.replica.next_deadline(now.mono);
            if due && (stopping.is_none() || self.ensemble.is_some()) {
                self.replica.tick(now);
            }
            self.replica.catch_up(now);
        }
    }

    /// Notes how long it took what was done since the last turn.
    fn turn(&mut self, stamp: Stamp) {
        let work = self.replica.take_work();
        self.instruments.turn(work, stamp);
        if stamp - self.stamp >= STALE {
            self.set_stamp(stamp);
        }
    }

    fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = stamp;
        self.replica.set_stamp(stamp);
    }

    fn may_stop(&self, since: Mono) -> bool {
        let waited = self.clock.mono() - since;
        self.replica.is_idle() || (self.ensemble.is_some() && waited > STOP_PATIENCE)
    }

    fn patience(&self) -> Duration {
        let now = self.clock.mono();
        (self.replica.next_deadline(now) - now).min(PATIENCE)
    }

    /// Hands out everything the replica owes. The disk is told first: it takes longest.
    fn carry_out(&mut self, outputs: &mut Vec<Output>, ops: &mut Vec<DiskOp>) {
        self.replica.take_outputs(outputs);
        let ports = self
            .ensemble
            .as_ref()
            .map(|ensemble| ensemble.ports.clone());
        let mut round = ports.as_ref().map(|ports| ports.peers.round());
        for output in outputs.drain(..) {
            match output {
                Output::Disk(op) => ops.push(op),
                Output::MakeSnapshot { link, at_least } => {
                    self.snapshot_job(SnapshotJob::Offer { link, at_least });
                }
                Output::Restored(outcome) => {
                    if let Some(asked) = self.wanted.restore.take() {
                        // Whoever asked may have gone away.
                        let _ = asked.send(outcome);
                    }
                }
                Output::Discard(tree) => self.snapshot_job(SnapshotJob::Discard(tree)),
                other => {
                    if let (Some(ensemble), Some(round)) = (&self.ensemble, &mut round) {
                        ensemble.carry_out(other, round);
                    }
                }
            }
        }
        if !ops.is_empty() {
            self.log.push_all(ops, self.clock.stamp());
        }
        if let Some(round) = round {
            round.flush();
        }
    }

    /// Whether `link` is of the last dial; of one before it, it is closed.
    fn is_current(&self, link: crate::zab::io::LinkId) -> bool {
        let Some(Ensemble { ports, .. }) = &self.ensemble else {
            return false;
        };
        let current = ports.peers.is_current(link);
        if !current {
            ports.peers.refuse(link);
        }
        current
    }

    fn snapshot(&mut self) {
        match self.replica.freeze() {
            Some(frozen) => {
                let asked = std::mem::take(&mut self.wanted.snapshots);
                self.snapshot_job(SnapshotJob::Write(frozen, asked));
            }
            None => tracing::info!("a snapshot is due while the last one is still being written"),
        }
    }

    /// The thread outlives this one.
    fn snapshot_job(&mut self, job: SnapshotJob) {
        if let Err(unsent) = self.snapshots.send(job)
            && let SnapshotJob::Write(frozen, _) = unsent.0
        {
            self.replica.thaw(frozen);
        }
    }
}

impl Ensemble {
    fn carry_out(&self, output: Output, round: &mut Round<'_>) {
        let Ports { election, peers } = &self.ports;
        let read = |job| {
            // The thread outlives the loop.
            let _ = self.log_reads.send(job);
        };
        match output {
            Output::Notify { to, notification } => election.notify(to, &notification),
            Output::Dial { leader } => peers.dial(leader),
            Output::ToLearner { link, packet } => round.to_learner(link, packet),
            Output::ToLeader { link, packet } => round.to_leader(link, packet),
            Output::Close { link } => round.close(link),
            Output::ReportDrained { link } => peers.report_drained(link),
            Output::StreamSnapshot { link } => round.stream_snapshot(link),
            Output::ReadLog { link, after, upto } => read(LogJob::Read { link, after, upto }),
            Output::ProbeLog { link, learner } => read(LogJob::Probe { link, learner }),
            Output::Disk(_)
            | Output::MakeSnapshot { .. }
            | Output::Restored(_)
            | Output::Discard(_) => {
                unreachable!("of every server")
            }
        }
    }
}

/// What is measured may be wrong by this much, so that what happens in one round measures the same and is recorded
/// together.
const STALE: Duration = Duration::from_micros(500);

/// The loop looks at its deadlines at least this often.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a member that stops waits for what only others can complete.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
