//! What a member of an ensemble is told beyond what every server is.

use std::time::Duration;

use super::ensemble::{Ensemble, Role};
use super::fill::{millis, positive, size};
use super::limits;
use super::lookup::Lookup;
use super::server::Config;
use crate::base::ServerId;

/// What a member of an ensemble runs with. Java's name of each setting is in code style.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// This server, from `myid`. It is in the ensemble.
    pub id: ServerId,
    /// Whether it votes, as its line in the ensemble says.
    pub role: Role,
    /// All servers, and the version of the configuration they are in.
    pub ensemble: Ensemble,
    /// `initLimit` in ticks, at least 1: how long connecting and synchronizing may take.
    pub init_limit: u32,
    /// `syncLimit` in ticks, at least 1: how long the other side may be silent.
    pub sync_limit: u32,
    /// `connectToLearnerMasterLimit` in ticks: how long a learner tries to connect; `initLimit` where it is not set.
    pub connect_limit: u32,
    /// `quorumListenOnAllIPs`: the ports for the other servers are bound on every address of the machine.
    pub listen_on_all_ips: bool,
    /// `multiAddress.enabled`: the protocols speak of several addresses per server.
    pub multi_address: bool,
    /// `leaderServes`: clients are served while this server leads.
    pub leader_serves: bool,
    /// `fastleader.minNotificationInterval`: first wait for votes; doubled with each silence.
    pub min_notification_interval: Duration,
    /// `fastleader.maxNotificationInterval`: longest wait for votes.
    pub max_notification_interval: Duration,
    /// `cnxTimeout`: how long connecting to an election port may take.
    pub cnx_timeout: Duration,
    /// `quorumCnxnTimeoutMs`: how long the first words of an election connection may take; `syncLimit` ticks where
    /// it is not set.
    pub cnx_handshake_timeout: Duration,
    /// `electionPortBindRetry`: attempts to bind the election port; `None` for as many as it takes.
    pub bind_attempts: Option<u32>,
    /// `tcpKeepAlive`: for election connections.
    pub tcp_keep_alive: bool,
    /// `leaderConnectDelayDuringRetryMs`: pause between attempts to reach the leader.
    pub leader_connect_delay: Duration,
    /// `leader.maxTimeToWaitForEpoch`: how long a leader waits for epochs once a voter of its is looking for another;
    /// `None` is off.
    pub max_wait_for_epoch: Option<Duration>,
    /// `commitLogCount`: transactions kept in memory for learners that come back, at least 500.
    pub commit_log_count: usize,
    /// `snapshotSizeFactor`: share of the size of a snapshot up to which a learner is fed from the log instead;
    /// `None` is never.
    pub snapshot_size_factor: Option<f64>,
    /// `forceSnapshotSync`: every learner gets a snapshot.
    pub force_snapshot_sync: bool,
    /// `leader.maxConcurrentSnapSyncs`: learners that get a snapshot at once, at least 1.
    pub max_snap_syncs: usize,
    /// `leader.maxConcurrentDiffSyncs`: learners that are fed from the log at once, at least 1.
    pub max_diff_syncs: usize,
    /// `observer.reconnectDelayMs`: an observer waits up to this long before it comes back to a leader.
    pub observer_reconnect_delay: Duration,
    /// `observer.election.DelayMs`: an observer waits up to this long before it looks for a leader.
    pub observer_election_delay: Duration,
}

/// Source: `QuorumPeerMain.runFromConfig`, `QuorumCnxManager`, `FastLeaderElection`, `Leader`, `Learner`, `Observer`,
/// `ZKDatabase`.
pub(super) fn fill(
    config: &mut Config,
    keys: &mut Lookup<'_>,
    id: ServerId,
    role: Role,
    ensemble: Ensemble,
) {
    let tick = config.tick_time;
    let init_limit = ticks(keys, "initLimit");
    let sync_limit = ticks(keys, "syncLimit");
    let connect_limit = match ticks(keys, "connectToLearnerMasterLimit") {
        0 => init_limit,
        ticks => ticks,
    };
    let handshake = positive(keys.number("quorumCnxnTimeoutMs"));
    let wait = keys.number("leader.maxTimeToWaitForEpoch");
    config.server_id = id.0;
    config.member = Some(Membership {
        id,
        role,
        ensemble,
        init_limit,
        sync_limit,
        connect_limit,
        listen_on_all_ips: keys.flag("quorumListenOnAllIPs"),
        multi_address: keys.flag("multiAddress.enabled"),
        leader_serves: keys.text("leaderServes").as_deref() != Some("no"),
        min_notification_interval: interval(keys, "fastleader.minNotificationInterval", 200),
        max_notification_interval: interval(keys, "fastleader.maxNotificationInterval", 2_000),
        cnx_timeout: interval(keys, "cnxTimeout", 5_000),
        cnx_handshake_timeout: handshake.unwrap_or_else(|| tick.saturating_mul(sync_limit)),
        bind_attempts: bind_attempts(keys),
        tcp_keep_alive: keys.flag("tcpKeepAlive"),
        leader_connect_delay: millis(keys.number("leaderConnectDelayDuringRetryMs")),
        max_wait_for_epoch: (wait >= 0).then(|| millis(wait)),
        commit_log_count: commit_log_count(keys),
        snapshot_size_factor: snapshot_size_factor(keys),
        force_snapshot_sync: keys.flag("forceSnapshotSync"),
        max_snap_syncs: at_least_one(keys, "leader.maxConcurrentSnapSyncs"),
        max_diff_syncs: at_least_one(keys, "leader.maxConcurrentDiffSyncs"),
        observer_reconnect_delay: millis(keys.number("observer.reconnectDelayMs")),
        observer_election_delay: millis(keys.number("observer.election.DelayMs")),
    });
    if config.extended_types && id.0 > limits::SERVER_ID_WITH_TTL_MAX {
        let most = limits::SERVER_ID_WITH_TTL_MAX;
        let why = format!("its myid is {id}; with extendedTypesEnabled it must be at most {most}");
        keys.error("dataDir", &why);
    }
}

/// What is missing is complained about elsewhere.
fn ticks(keys: &mut Lookup<'_>, name: &str) -> u32 {
    u32::try_from(keys.number(name)).unwrap_or(0)
}

/// A wait. Of none Java makes a busy loop, a wait without end, or an error at every connection.
fn interval(keys: &mut Lookup<'_>, name: &str, default: u64) -> Duration {
    positive(keys.number(name)).unwrap_or_else(|| {
        keys.warn(name, &format!("less than 1 ms, {default} ms are used"));
        Duration::from_millis(default)
    })
}

fn bind_attempts(keys: &mut Lookup<'_>) -> Option<u32> {
    let name = "electionPortBindRetry";
    match keys.number(name) {
        0 => None,
        attempts if attempts > 0 => Some(u32::try_from(attempts).unwrap_or(u32::MAX)),
        _ => {
            keys.warn(name, "less than 0, 3 is used");
            Some(3)
        }
    }
}

fn commit_log_count(keys: &mut Lookup<'_>) -> usize {
    let (name, least) = ("commitLogCount", limits::COMMIT_LOG_COUNT_MIN);
    let count = keys.count(name);
    if count < u64::from(least) {
        keys.warn(name, &format!("too few, {least} are kept"));
    }
    size(count.max(u64::from(least)))
}

fn snapshot_size_factor(keys: &mut Lookup<'_>) -> Option<f64> {
    let name = "snapshotSizeFactor";
    let mut factor = keys.real(name);
    if factor > 1.0 {
        keys.warn(name, "more than 1, 0.33 is used");
        factor = 0.33;
    }
    (factor >= 0.0).then_some(factor)
}

/// A Java server starts with less, but cannot lead. Source: `LearnerSyncThrottler`.
fn at_least_one(keys: &mut Lookup<'_>, name: &str) -> usize {
    let number = keys.count(name);
    if number == 0 {
        keys.error(name, "must be at least 1, or this server could not lead");
    }
    size(number)
}

/// Flags of a member that are not built yet and do no harm by being ignored.
const IGNORED_FLAGS: [(&str, &str); 3] = [
    (
        "localSessionsEnabled",
        "local sessions are not built yet, every session is global; switch them off on Java servers of this \
         ensemble, too: theirs cannot write while this server leads",
    ),
    (
        "readonlymode.enabled",
        "read-only mode is not built yet; without a quorum this server serves nobody",
    ),
    (
        "portUnification",
        "TLS between servers is not built yet; connections that begin with it are refused",
    ),
];

/// How Java chooses one of several addresses of a server.
const REACHABILITY: [&str; 2] = [
    "multiAddress.reachabilityCheckEnabled",
    "multiAddress.reachabilityCheckTimeoutMs",
];

/// Names what a member of an ensemble is asked for but does not do. A server that stands alone does not do it in Java
/// either.
pub(super) fn neglected(config: &mut Config, keys: &mut Lookup<'_>) {
    let Some(own) = &config.member else { return };
    for (name, why) in IGNORED_FLAGS {
        if keys.flag(name) {
            keys.warn(name, why);
        }
    }
    if keys.number("observerMasterPort") > 0 {
        let why = "observer masters are not built yet; the port is not opened, and observers go to the leader";
        keys.warn("observerMasterPort", why);
    }
    for name in REACHABILITY {
        if keys.find(name).is_some() {
            let why = "no effect here: nobody is pinged, all addresses of a server are tried one soon after the other";
            keys.warn(name, why);
        }
    }
    if own.role == Role::Observer {
        let named = keys.flag("syncEnabled");
        let property = keys.find("observer.syncEnabled").is_some();
        if property && !keys.flag("observer.syncEnabled") {
            keys.warn(
                "observer.syncEnabled",
                "ignored: this observer logs what it learns",
            );
        } else if !property && !named {
            keys.warn("syncEnabled", "ignored: this observer logs what it learns");
        }
    }
    if config.reconfig_enabled {
        let why = "reconfiguration is not built yet and is refused, as with false; do not reconfigure through Java \
                   servers either as long as this server is in the ensemble";
        keys.warn("reconfigEnabled", why);
        config.reconfig_enabled = false;
    }
}
