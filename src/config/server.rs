//! `Config`: everything an operator can decide, typed, cross-checked and immutable after start.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::ensemble::{HostPort, Role};
use super::limits;
use super::lookup::Lookup;
use super::member::Membership;
use super::metrics::{self, Prometheus};
use super::problem::{Invalid, Problem, Severity};
use super::raw::RawConfig;
use super::{admin, fill, member, mode, security};

/// Texts a configuration is made of; whoever has a file system reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigSources {
    /// Name of zoo.cfg, as problems shall show it.
    pub cfg_name: String,
    /// Its bytes.
    pub cfg: Vec<u8>,
    /// Name and bytes of the dynamic file that [`Pointers`] names; `None` if there is none or it
    /// cannot be read.
    pub dynamic: Option<(String, Vec<u8>)>,
    /// Name and bytes of `<zoo.cfg>.dynamic.next`, which a Java server leaves in the middle of a reconfiguration;
    /// `None` if there is none, or no dynamic file.
    pub next_dynamic: Option<(String, Vec<u8>)>,
    /// Bytes of `<dataDir>/myid`; `None` if there is no such file.
    pub myid: Option<Vec<u8>>,
    /// `-Dname=value` in the order given; of equal names the last wins.
    pub system_properties: Vec<(String, String)>,
    /// Nobody wrote a configuration: Prometheus is served then without being asked for.
    pub embedded: bool,
}

impl ConfigSources {
    /// What a server without any configuration runs with: port 2181 on all addresses, data in
    /// `./data`.
    pub fn embedded() -> Self {
        Self {
            cfg_name: "embedded defaults".to_owned(),
            cfg: b"tickTime=2000\nclientPort=2181\ndataDir=./data\n".to_vec(),
            embedded: true,
            ..Self::default()
        }
    }
}

impl ConfigSources {
    /// Whether an audit log is asked for, as far as that can be said of what may not be valid: its start that failed
    /// is told, too.
    pub fn wants_audit(&self) -> bool {
        let raw = RawConfig::parse(&self.cfg);
        let in_file = raw.get("audit.enable").map(|entry| entry.value.clone());
        let mut words = self.system_properties.iter().rev();
        let word = words.find(|(name, _)| name == "zookeeper.audit.enable");
        let wanted = in_file.or_else(|| word.map(|(_, value)| value.clone()));
        wanted.is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }
}

/// Files that zoo.cfg points to; read before the rest, because their texts belong to the
/// [`ConfigSources`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointers {
    /// The dynamic file. One that is missing is an error, which [`Config::parse`] reports.
    pub dynamic_file: Option<PathBuf>,
    /// The folder with `myid` in it.
    pub data_dir: Option<PathBuf>,
}

impl Pointers {
    /// Reads the names from the bytes of zoo.cfg.
    pub fn parse(cfg: &[u8]) -> Self {
        let raw = RawConfig::parse(cfg);
        let path = |key| raw.get(key).map(|entry| PathBuf::from(&entry.value));
        Self {
            dynamic_file: path("dynamicConfigFile"),
            data_dir: path("dataDir"),
        }
    }
}

/// How new snapshots are written. Any kind is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not compressed.
    #[default]
    None,
    /// gzip, with the suffix `.gz`.
    Gz,
    /// Framed as Java's snappy library does, with the suffix `.snappy`.
    Snappy,
}

/// The four-letter words that are answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FourLetterWhitelist(pub(super) BTreeSet<String>);

impl FourLetterWhitelist {
    /// Whether this command is answered. Source: `FourLetterCommands.isEnabled`.
    pub fn allows(&self, command: &str) -> bool {
        self.0.contains(command)
    }

    /// The commands, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// A configuration with which the server starts, and what the operator should hear about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Nothing but warnings, by file and line.
    pub warnings: Vec<Problem>,
}

/// What the server runs with. Java's name of each setting is in code style.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// zoo.cfg byte by byte, as it was at start.
    pub zoo_cfg: Vec<u8>,
    /// Name of zoo.cfg.
    pub cfg_name: String,
    /// Number of this server as `conf` shows it: 0 standalone. Ids of sessions use 1 then
    /// (`createSessionTracker`).
    pub server_id: i64,
    /// What a member of an ensemble runs with; `None` for a server that stands alone.
    pub member: Option<Membership>,

    /// `clientPort` and `clientPortAddress`; `None`: clients cannot connect.
    pub client_addr: Option<HostPort>,
    /// `clientPortListenBacklog` as `conf` shows it, -1 for the default; see
    /// [`listen_backlog`](Self::listen_backlog).
    pub client_port_listen_backlog: i32,
    /// `maxClientCnxns`: connections from one address; 0 is no limit.
    pub max_client_cnxns: usize,
    /// `maxCnxns`: connections altogether; 0 is no limit.
    pub max_cnxns: usize,
    /// `clientTcpKeepAlive`.
    pub client_tcp_keep_alive: bool,
    /// `nio.sessionlessCnxnTimeout`: how long a connection may go without a session.
    pub sessionless_timeout: Duration,

    /// `tickTime`: unit of session expiry.
    pub tick_time: Duration,
    /// `minSessionTimeout`: shortest timeout a client gets.
    pub min_session_timeout: Duration,
    /// `maxSessionTimeout`: longest timeout a client gets; not below the shortest.
    pub max_session_timeout: Duration,

    /// `dataDir`: folder whose `version-2` holds snapshots.
    pub data_dir: PathBuf,
    /// `dataLogDir`: folder whose `version-2` holds transaction logs.
    pub data_log_dir: PathBuf,
    /// `datadir.autocreate`: make missing folders; otherwise their lack stops the start.
    pub datadir_autocreate: bool,
    /// `db.autocreate`: an empty folder is an empty tree.
    pub db_autocreate: bool,
    /// `snapshot.trust.empty`: accept logs without any snapshot.
    pub snapshot_trust_empty: bool,
    /// `autopurge.snapRetainCount`: snapshots left by purging, at least 3.
    pub snap_retain_count: usize,
    /// `autopurge.purgeInterval`: time between purges, the first at start; `None` for never.
    pub purge_interval: Option<Duration>,
    /// `preAllocSize`: bytes by which a log file grows; 0 does not preallocate.
    pub pre_alloc_bytes: u64,
    /// `snapCount`: transactions between snapshots, at least 2.
    pub snap_count: u64,
    /// `snapSizeLimitInKb` in bytes: log size that asks for a snapshot; `None` is off.
    pub snap_size_limit_bytes: Option<u64>,
    /// `txnLogSizeLimitInKb` in bytes: size at which a log file is closed; `None` is off.
    pub txn_log_size_limit_bytes: Option<u64>,
    /// `fsync.warningthresholdms`: a longer sync is logged.
    pub fsync_warning_threshold: Duration,
    /// `request.warningthresholdms`: a request that takes longer is logged with its stages; `None` for never.
    pub request_warning_threshold: Option<Duration>,
    /// `forceSync`: transactions are synced before they are answered.
    pub force_sync: bool,
    /// `snapshot.compression.method`.
    pub snapshot_compression: Compression,
    /// `digest.enabled`: keep and check the digest of the tree.
    pub digest_enabled: bool,
    /// `serializeLastProcessedZxid.enabled`: snapshots end with their zxid.
    pub serialize_last_zxid: bool,
    /// `closeSessionTxn.enabled`; the paths are written in any case, with a warning when this is
    /// false.
    pub close_session_txn: bool,
    /// `extendedTypesEnabled`: TTL nodes exist.
    pub extended_types: bool,
    /// `emulate353TTLNodes`: TTLs are encoded as 3.5.3 did.
    pub emulate_353_ttl: bool,

    /// `jute.maxbuffer`: longest request in bytes.
    pub jute_max_buffer: usize,
    /// `jute.maxbuffer.extrasize`: bytes beyond it that a record read back may have; at least 1024.
    pub jute_extra_size: usize,
    /// `znode.container.checkIntervalMs`: time between sweeps for empty containers and expired TTL
    /// nodes.
    pub container_check_interval: Duration,
    /// `znode.container.maxPerMinute`: deletions of one sweep per minute.
    pub container_max_per_minute: u64,
    /// `znode.container.maxNeverUsedIntervalMs`: age at which a container that never had a child
    /// goes; `None` for never.
    pub container_max_never_used: Option<Duration>,

    /// `globalOutstandingLimit`: requests in work beyond which clients are made to wait.
    pub global_outstanding_limit: usize,
    /// `request_throttle_max_requests`: requests in the pipeline beyond which new ones stall; 0 is
    /// off.
    pub request_throttle_max_requests: usize,
    /// `request_throttle_stall_time`: how long a request stalls at a time.
    pub request_throttle_stall_time: Duration,
    /// `request_throttle_drop_stale`: stalled requests that have become stale are dropped.
    pub request_throttle_drop_stale: bool,
    /// `request_stale_connection_check`: a request is stale when its connection is closed.
    pub request_stale_connection_check: bool,
    /// `request_stale_latency_check`: a request is stale when it is older than its session's
    /// timeout.
    pub request_stale_latency_check: bool,
    /// `throttled_op_wait_time`: wait beyond which a request is answered THROTTLEDOP; `None` is
    /// off.
    pub throttled_op_wait_time: Option<Duration>,
    /// `largeRequestMaxBytes`: bytes of large requests in work at once.
    pub large_request_max_bytes: usize,
    /// `largeRequestThreshold`: a longer request is large; `None`: none is.
    pub large_request_threshold: Option<usize>,

    /// `connection_throttle_tokens`: handshakes at once, already multiplied by a session's weight
    /// if weights are on; 0 is off.
    pub connection_throttle_tokens: u64,
    /// `connection_throttle_fill_time`: time between refills.
    pub connection_throttle_fill_time: Duration,
    /// `connection_throttle_fill_count`: tokens of a refill, weighted like the tokens.
    pub connection_throttle_fill_count: u64,
    /// `connection_throttle_freeze_time`: time between changes of the drop probability; `None` is
    /// off.
    pub connection_throttle_freeze_time: Option<Duration>,
    /// `connection_throttle_drop_increase`: step up of the drop probability.
    pub connection_throttle_drop_increase: f64,
    /// `connection_throttle_drop_decrease`: step down of the drop probability.
    pub connection_throttle_drop_decrease: f64,
    /// `connection_throttle_decrease_ratio`: share of used tokens at which it steps down.
    pub connection_throttle_decrease_ratio: f64,
    /// `connection_throttle_weight_enabled`: handshakes cost their weight instead of 1.
    pub connection_throttle_weight_enabled: bool,
    /// `connection_throttle_global_session_weight`: tokens for a new global session.
    pub connection_throttle_global_session_weight: u64,
    /// `connection_throttle_local_session_weight`: tokens for a new local session.
    pub connection_throttle_local_session_weight: u64,
    /// `connection_throttle_renew_session_weight`: tokens for a session that comes back.
    pub connection_throttle_renew_session_weight: u64,

    /// `enforceQuota`: going beyond a hard quota is refused, not only logged.
    pub enforce_quota: bool,
    /// `skipACL`: no permission is checked.
    pub skip_acl: bool,
    /// `reconfigEnabled`: how a reconfiguration is refused depends on it.
    pub reconfig_enabled: bool,
    /// `readonlymode.enabled`.
    pub read_only_mode_enabled: bool,
    /// `DigestAuthenticationProvider.enabled`: the scheme `digest` exists.
    pub digest_auth_enabled: bool,
    /// `DigestAuthenticationProvider.superDigest`: `super:<base64 digest>` of the identity that may
    /// do everything.
    pub super_digest: Option<String>,
    /// `DigestAuthenticationProvider.digestAlg`: Java's name of the hash function.
    pub digest_alg: String,
    /// `4lw.commands.whitelist`.
    pub four_letter_whitelist: FourLetterWhitelist,

    /// Java's system properties, by name: those passed with `-D`, and what zoo.cfg makes one; secrets as `...`.
    pub system_properties: Vec<(String, String)>,
    /// `admin.serverAddress` and `admin.serverPort`; `None`: no AdminServer.
    pub admin_addr: Option<HostPort>,
    /// Whether address or port of the AdminServer are written; otherwise the server starts also where they are taken,
    /// as a member of an ensemble always does.
    pub admin_addr_is_written: bool,
    /// `admin.commandURL`: path below which commands are; empty, or begins with a slash.
    pub admin_command_url: String,
    /// `admin.idleTimeout`: how long nothing may move on a connection to the AdminServer; `None`: for ever.
    pub admin_idle_timeout: Option<Duration>,
    /// `admin.snapshot.enabled`.
    pub admin_snapshot_enabled: bool,
    /// `admin.restore.enabled`.
    pub admin_restore_enabled: bool,
    /// `admin.rateLimiterIntervalInMS`: time between two snapshots, and between two restores.
    pub admin_rate_interval: Duration,
    /// `IPAuthenticationProvider.usexforwardedfor`: the address of who asks the AdminServer is in `X-Forwarded-For`.
    pub ip_auth_forwarded_for: bool,

    /// Whether changes and their authors are logged, and where.
    pub audit: AuditLog,

    /// `metricsProvider.className` with its keys; `None`: nobody scrapes this server.
    pub prometheus: Option<Prometheus>,
}

/// The audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditLog {
    /// `audit.enable`.
    pub enabled: bool,
    /// `audit.impl.class`: nothing but the default where it is enabled.
    pub class: String,
    /// `auditlog.file`, below `log.dir` unless it is absolute; `None` is the server's log.
    pub file: Option<PathBuf>,
    /// `auditlog.maxFileSizeInKb` in bytes: at this length the file is begun anew.
    pub limit_bytes: u64,
    /// `auditlog.maxBackupIndex`: how many older files are kept.
    pub backups: u32,
}

impl Config {
    /// Reads and checks everything, and reports all problems at once.
    pub fn parse(sources: &ConfigSources) -> Result<Loaded, Invalid> {
        let raw = RawConfig::parse(&sources.cfg);
        let mut lookup = Lookup::new(&sources.cfg_name, &raw, &sources.system_properties);
        let mut config = Self {
            zoo_cfg: sources.cfg.clone(),
            cfg_name: sources.cfg_name.clone(),
            system_properties: lookup.shown_properties(),
            ..Self::default()
        };
        fill::sessions_and_port(&mut config, &mut lookup);
        fill::connections(&mut config, &mut lookup);
        fill::folders(&mut config, &mut lookup);
        fill::files(&mut config, &mut lookup);
        fill::tree(&mut config, &mut lookup);
        fill::requests(&mut config, &mut lookup);
        fill::handshakes(&mut config, &mut lookup);
        fill::identities(&mut config, &mut lookup);
        fill::audit(&mut config, &mut lookup);
        fill::fatal_values(&mut lookup);
        admin::fill(&mut config, &mut lookup);
        metrics::fill(&mut config, &mut lookup, sources.embedded);
        mode::decide(&mut config, &mut lookup, sources);
        security::check(&config, &mut lookup);
        member::neglected(&mut config, &mut lookup);
        let problems = lookup.finish();
        if problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
        {
            return Err(Invalid { problems });
        }
        Ok(Loaded {
            config,
            warnings: problems,
        })
    }

    /// What a server without any configuration runs with.
    pub fn embedded_default() -> Self {
        match Self::parse(&ConfigSources::embedded()) {
            Ok(loaded) => loaded.config,
            Err(invalid) => unreachable!("the embedded defaults are not valid: {invalid}"),
        }
    }

    /// Whether this server stands alone: with `standaloneEnabled` also where it is the only server that is listed.
    /// Source: `QuorumPeerConfig.isDistributed`.
    pub fn is_standalone(&self) -> bool {
        self.member.is_none()
    }

    /// First byte of the ids of sessions that begin here. Source: `SessionTrackerImpl.initializeNextSessionId`,
    /// `ZooKeeperServer.createSessionTracker`.
    pub fn session_server_id(&self) -> u8 {
        self.member.as_ref().map_or(1, |own| own.id.0 as u8)
    }

    /// Requests in work beyond which clients are made to wait. Each server that votes takes a share of what is
    /// configured. Source: `ZooKeeperServer.getGlobalOutstandingLimit` and those that override it.
    pub fn outstanding_limit(&self) -> usize {
        let voter = self
            .member
            .as_ref()
            .filter(|own| own.role == Role::Participant);
        let voters = voter.map_or(0, |own| own.ensemble.voters());
        let share = if voters > 2 { voters - 1 } else { 1 };
        self.global_outstanding_limit / share
    }

    /// Connections the system may hold for a listener before they are accepted.
    pub fn listen_backlog(&self) -> u32 {
        let asked = u32::try_from(self.client_port_listen_backlog)
            .ok()
            .filter(|&asked| asked > 0);
        asked.unwrap_or(limits::LISTEN_BACKLOG)
    }

    /// Longest string or buffer inside a record, in bytes. Source:
    /// `BinaryInputArchive.checkLength`.
    pub fn jute_buffer_max(&self) -> usize {
        self.jute_max_buffer
            .saturating_add(self.jute_extra_size)
            .min(i32::MAX as usize)
    }
}
