//! What operators ask a running server: four-letter words on the client port, commands over HTTP.

pub mod answer;
pub mod backup;
pub mod commands;
pub mod environment;
pub mod four_letter;
pub mod health;
pub mod http;
pub mod json;
pub mod log_level;
pub mod monitor;
pub mod operators;
pub mod port;
mod process;
pub mod prometheus;
mod restore;
pub mod scrape;
pub mod snapshot;
mod spool;
pub mod text;
mod walks;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use self::snapshot::Rates;
use crate::base::Mono;
use crate::config::{Config, limits};
use crate::replica::Replica;
use crate::replica::gate::Gate;
use crate::replica::status::{Counters, EnsembleStatus};
use crate::runtime::clock::Clock;
use crate::runtime::log_writer::LogQueue;
use crate::runtime::mailbox::{Mailbox, Message};
use crate::runtime::peer_links::PeerLinks;
use crate::runtime::pulse::Pulses;
use crate::runtime::recovery::Progress;
use crate::zab::io::Role;

/// What every answer is made from.
pub struct Admin {
    /// The tree, its watches and connections.
    pub gate: Arc<Gate>,
    /// What the server counts.
    pub counters: Arc<Counters>,
    /// What the server was started with.
    pub config: Arc<Config>,
    /// Folder of snapshots and folder of logs, absolute.
    pub dirs: (PathBuf, PathBuf),
    /// The process's clock.
    pub clock: Clock,
    /// When the server began to serve.
    pub started: Mono,
    /// Signs of life of its threads.
    pub pulses: Pulses,
    /// The way to the commit loop.
    pub mailbox: Arc<Mailbox>,
    /// The port for the other servers, where there are any.
    pub peers: OnceLock<PeerLinks>,
    /// What waits for the disk.
    pub log: OnceLock<Arc<LogQueue>>,
    /// What Java would trace. It changes nothing here.
    pub trace_mask: AtomicI64,
    /// Answers that are made at once beside the tasks of clients; the others wait.
    pub looks: Semaphore,
    /// How often snapshots and restores may be asked for.
    pub rates: Rates,
    /// How far the recovery is. The server, its tree and its threads are not there yet then.
    pub recovery: Option<Arc<Progress>>,
}

/// What Java traces unless told otherwise: requests, sessions and warnings, as [`Admin::trace_mask`].
///
/// Source: `ZooTrace`.
const TRACE_MASK: i64 = 306;

/// How long an answer waits for the commit loop.
const PATIENCE: Duration = Duration::from_secs(3);

/// The answer of a member that has no leader. Source: `AbstractFourLetterCommand.ZK_NOT_SERVING`.
pub const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// What a server is while it serves, in the words of `srvr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// No member of an ensemble.
    Standalone,
    /// Orders the writes of an ensemble.
    Leader,
    /// Votes on them.
    Follower,
    /// Learns of them.
    Observer,
}

impl Mode {
    /// As `Mode:` and `server_state` show it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
        }
    }
}

impl Admin {
    /// What has no state yet. `dirs` are absolute.
    pub fn new(
        config: Arc<Config>,
        gate: Arc<Gate>,
        counters: Arc<Counters>,
        mailbox: Arc<Mailbox>,
        pulses: Pulses,
        dirs: (PathBuf, PathBuf),
        clock: Clock,
    ) -> Self {
        Admin {
            rates: Rates::new(config.admin_rate_interval, clock.mono()),
            gate,
            counters,
            config,
            dirs,
            clock,
            started: clock.mono(),
            pulses,
            mailbox,
            peers: OnceLock::new(),
            log: OnceLock::new(),
            trace_mask: AtomicI64::new(TRACE_MASK),
            looks: Semaphore::new(limits::ADMIN_LOOKS),
            recovery: None,
        }
    }

    /// The log is begun, and the port for the other servers open, if there are any.
    pub fn meet(&self, log: &Arc<LogQueue>, peers: Option<&PeerLinks>) {
        // A server has one log.
        let _ = self.log.set(log.clone());
        if let Some(peers) = peers {
            // A server has one such port.
            let _ = self.peers.set(peers.clone());
        }
    }

    /// Runs `look` beside the tasks that serve clients: it may take its time. `None` if it panicked.
    pub async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&Admin) -> T + Send + 'static,
    ) -> Option<T> {
        let _place = self.looks.acquire().await;
        let admin = self.clone();
        let looked = tokio::task::spawn_blocking(move || look(&admin));
        looked.await.ok()
    }

    /// Asks the commit loop, which answers between two of its rounds; `None` if it does not answer in time. Blocks, so
    /// it is for [`Admin::look`] and never for a task.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Replica) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.mailbox.push(Message::Ask(Box::new(move |replica| {
            // Nobody may be waiting any more.
            let _ = answer.try_send(question(replica));
        })));
        answered.recv_timeout(PATIENCE).ok()
    }

    /// Every connection counts from here on, this server's watches and queues apart.
    ///
    /// Source: `ServerCnxnFactory.resetAllConnectionStats`.
    pub fn reset_connections(&self) {
        for conn in self.gate.conns() {
            conn.stats.reset();
        }
    }

    /// Everything that `mntr` shows as counted counts from here on, and on a leader the lengths of proposals, if these
    /// are meant, too. Where Prometheus is the provider that is only latencies, packets and lengths of answers.
    ///
    /// Source: `StatResetCommand`.
    pub fn reset_stats(&self, proposals: bool) {
        let metrics = &self.counters.metrics;
        let prometheus = self.config.prometheus.as_ref();
        metrics.reset(prometheus.is_some_and(|options| options.is_asked_for));
        if proposals {
            metrics.stats.proposal_size.reset();
        }
    }

    /// What this server is; `None` for a member without a leader, and during the recovery.
    pub fn mode(&self, ensemble: &EnsembleStatus) -> Option<Mode> {
        if self.recovery.is_some() {
            return None;
        }
        if self.config.is_standalone() {
            return Some(Mode::Standalone);
        }
        Some(match ensemble.role? {
            Role::Leading => Mode::Leader,
            Role::Following => Mode::Follower,
            Role::Observing => Mode::Observer,
        })
    }

    /// What this server is for its clients; `None` also for a leader that leaves them to the others
    /// (`leaderServes=no`).
    pub fn mode_for_clients(&self, ensemble: &EnsembleStatus) -> Option<Mode> {
        let declines = |own: &crate::config::Membership| !own.leader_serves;
        self.mode(ensemble).filter(|mode| {
            *mode != Mode::Leader || !self.config.member.as_ref().is_some_and(declines)
        })
    }
}

/// Bytes of all files below a folder.
///
/// Source: `ZooKeeperServer.getDirSize`.
pub fn folder_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return 0;
    };
    let sizes = entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => folder_bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        });
    sizes.sum()
}

/// Version line, as clients and tools parse it: up to the first comma, `x.y.z-` and a text.
pub fn version() -> String {
    format!(
        "3.9.5-oxkeeper-{}, built on {}",
        env!("CARGO_PKG_VERSION"),
        env!("BUILD_DATE")
    )
}

#[cfg(test)]
mod tests;
