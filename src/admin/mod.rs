//! What operators ask a running server: four-letter words on the client port, commands over HTTP.

pub mod answer;
pub mod commands;
pub mod four_letter;
pub mod http;
pub mod json;
pub mod log_level;

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::Mono;
use crate::config::Config;
use crate::replica::gate::Gate;
use crate::replica::status::{Counters, EnsembleStatus};
use crate::runtime::clock::Clock;
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
}

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
    /// As `Mode:` and `server_state` show it, and as a member shows it among its peers.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Mode::Standalone => ("standalone", ""),
            Mode::Leader => ("leader", "leading"),
            Mode::Follower => ("follower", "following"),
            Mode::Observer => ("observer", "observing"),
        }
    }
}

impl Admin {
    /// What this server is; `None` for a member without a leader.
    pub fn mode(&self, ensemble: &EnsembleStatus) -> Option<Mode> {
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

/// Version line, as clients and tools parse it: up to the first comma, `x.y.z-` and a text.
pub fn version() -> String {
    format!(
        "3.9.5-oxkeeper-{}, built on {}",
        env!("CARGO_PKG_VERSION"),
        env!("BUILD_DATE")
    )
}
