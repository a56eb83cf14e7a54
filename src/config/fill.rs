//! Key by key into the fields of [`Config`], with the adjustments Java makes on the way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ensemble::HostPort;
use super::limits;
use super::lookup::Lookup;
use super::server::{AuditLog, Compression, Config, FourLetterWhitelist};

/// Source: `QuorumPeerConfig.parseProperties`.
pub(super) fn sessions_and_port(config: &mut Config, keys: &mut Lookup<'_>) {
    let tick = keys.number("tickTime");
    if tick <= 0 {
        keys.error("tickTime", "must be at least 1 ms");
    }
    let ticks = |count: i64| tick.saturating_mul(count).clamp(0, i64::from(i32::MAX));
    config.tick_time = millis(tick);
    let mut timeout = |name: &str, default: i64| match keys.number(name) {
        -1 => default,
        number => {
            if number < 0 {
                keys.warn(name, "less than 0 ms, taken as 0");
            }
            number.max(0)
        }
    };
    let min = timeout("minSessionTimeout", ticks(2));
    let max = timeout("maxSessionTimeout", ticks(20));
    if min > max {
        let why =
            format!("must not be larger than maxSessionTimeout ({max} ms; tickTime is {tick} ms)");
        if keys.find("minSessionTimeout").is_some() {
            keys.error("minSessionTimeout", &why);
        } else {
            let why = format!(
                "must not be smaller than minSessionTimeout ({min} ms; tickTime is {tick} ms)"
            );
            keys.error("maxSessionTimeout", &why);
        }
    }
    config.min_session_timeout = millis(min);
    config.max_session_timeout = millis(max);
    config.client_addr = listener(keys, "clientPort", "clientPortAddress");
    config.client_port_listen_backlog = keys.number("clientPortListenBacklog") as i32;
    config.reconfig_enabled = keys.flag("reconfigEnabled");
}

/// A port and the address it is bound to; the latter makes no sense without the former.
pub(super) fn listener(keys: &mut Lookup<'_>, port: &str, address: &str) -> Option<HostPort> {
    let host = keys
        .find(address)
        .map(|found| found.value)
        .filter(|host| !host.is_empty());
    if keys.find(port).is_none() {
        if host.is_some() {
            keys.error(address, &format!("{port} must be set too"));
        }
        return None;
    }
    let number = keys.number(port);
    let Ok(number) = u16::try_from(number) else {
        keys.error(port, "must be from 0 to 65535");
        return None;
    };
    Some(HostPort { host, port: number })
}

pub(super) fn connections(config: &mut Config, keys: &mut Lookup<'_>) {
    config.max_client_cnxns = size(keys.count("maxClientCnxns"));
    config.max_cnxns = size(keys.count("maxCnxns"));
    config.client_tcp_keep_alive = keys.flag("clientTcpKeepAlive");
    let name = "nio.sessionlessCnxnTimeout";
    let timeout = keys.number(name);
    if timeout < 1 {
        keys.error(name, "must be at least 1 ms");
    }
    config.sessionless_timeout = millis(timeout);
}

/// Source: `QuorumPeerConfig.parseProperties`, `FileTxnSnapLog`, `DatadirCleanupManager`.
pub(super) fn folders(config: &mut Config, keys: &mut Lookup<'_>) {
    let data_dir = folder(keys, "dataDir");
    if keys.find("dataDir").is_none() {
        keys.error("dataDir", "must be set");
    }
    config.data_dir = data_dir.unwrap_or_default();
    let log_dir = folder(keys, "dataLogDir");
    config.data_log_dir = log_dir.unwrap_or_else(|| config.data_dir.clone());
    config.datadir_autocreate = keys.flag("datadir.autocreate");
    config.db_autocreate = keys.flag("db.autocreate");
    config.snapshot_trust_empty = keys.flag("snapshot.trust.empty");
    let retain = keys.number("autopurge.snapRetainCount");
    let least = i64::from(limits::SNAP_RETAIN_COUNT_MIN);
    if retain < least {
        keys.warn(
            "autopurge.snapRetainCount",
            &format!("too few, {least} are kept"),
        );
    }
    config.snap_retain_count = retain.max(least) as usize;
    let hours = keys.count("autopurge.purgeInterval");
    config.purge_interval = (hours > 0).then(|| Duration::from_secs(hours * 3600));
}

fn folder(keys: &mut Lookup<'_>, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(keys.find(name)?.value);
    if path.as_os_str().is_empty() {
        keys.error(name, "must name a folder");
    } else if path.is_relative() && !path.starts_with(Path::new(".")) {
        keys.warn(
            name,
            "is relative; begin it with ./ to show that this is meant",
        );
    }
    Some(path)
}

/// Source: `ZKAuditProvider`; the file is that of the appender `RFAAUDIT` in Java's `logback.xml`.
pub(super) fn audit(config: &mut Config, keys: &mut Lookup<'_>) {
    const OURS: &str = "org.apache.zookeeper.audit.Slf4jAuditLogger";
    let enabled = keys.flag("audit.enable");
    let class = keys.text("audit.impl.class").unwrap_or_default();
    if enabled && class != OURS {
        let why = format!(
            "a Java class cannot be loaded here, and without it nobody would get what it logs; \
             remove the key, which means {OURS}, or set audit.enable=false"
        );
        keys.error("audit.impl.class", &why);
    }
    let file = keys.text("auditlog.file").map(PathBuf::from);
    let file = file.map(|file| match keys.text("log.dir") {
        Some(dir) => PathBuf::from(dir).join(file),
        None => file,
    });
    let backups = keys.count("auditlog.maxBackupIndex");
    config.audit = AuditLog {
        enabled,
        class,
        file,
        limit_bytes: keys
            .count("auditlog.maxFileSizeInKb")
            .max(1)
            .saturating_mul(1024),
        backups: u32::try_from(backups).unwrap_or(u32::MAX),
    };
}

/// Source: `FilePadding`, `FileTxnLog`, `ZooKeeperServer.getSnapCount`, `SnapStream`.
pub(super) fn files(config: &mut Config, keys: &mut Lookup<'_>) {
    config.pre_alloc_bytes = keys.count("preAllocSize").saturating_mul(1024);
    let snap_count = keys.number("snapCount");
    if snap_count < 2 {
        keys.warn("snapCount", "too few, 2 is used");
    }
    config.snap_count = snap_count.max(2) as u64;
    let limit = keys.number("snapSizeLimitInKb");
    if limit == 0 {
        keys.warn(
            "snapSizeLimitInKb",
            "taken as no limit; a Java server fails with it",
        );
    }
    config.snap_size_limit_bytes = kilobytes(limit);
    config.txn_log_size_limit_bytes = kilobytes(keys.number("txnLogSizeLimitInKb"));
    config.fsync_warning_threshold = millis(keys.number("fsync.warningthresholdms"));
    config.request_warning_threshold = match keys.number("request.warningthresholdms") {
        ..=0 => None,
        ms => Some(millis(ms)),
    };
    config.force_sync = keys.text("forceSync").as_deref() != Some("no");
    let method = keys.text("snapshot.compression.method").unwrap_or_default();
    config.snapshot_compression = match method.to_ascii_lowercase().as_str() {
        "gz" => Compression::Gz,
        "snappy" => Compression::Snappy,
        "" => Compression::None,
        _ => {
            keys.warn(
                "snapshot.compression.method",
                "neither gz nor snappy, so there is none",
            );
            Compression::None
        }
    };
    config.digest_enabled = keys.flag("digest.enabled");
    config.serialize_last_zxid = keys.flag("serializeLastProcessedZxid.enabled");
    config.close_session_txn = keys.flag("closeSessionTxn.enabled");
    if !config.close_session_txn {
        keys.warn(
            "closeSessionTxn.enabled",
            "the paths of a closed session are logged anyway",
        );
    }
}

/// Source: `BinaryInputArchive`, `ZooKeeperServerMain.runFromConfig`, `EphemeralType`.
pub(super) fn tree(config: &mut Config, keys: &mut Lookup<'_>) {
    config.extended_types = keys.flag("extendedTypesEnabled");
    config.emulate_353_ttl = keys.flag("emulate353TTLNodes");
    config.jute_max_buffer = size(keys.count("jute.maxbuffer"));
    let extra = keys.written_number("jute.maxbuffer.extrasize");
    let extra = extra.map_or(config.jute_max_buffer, |extra| {
        usize::try_from(extra).unwrap_or(0)
    });
    config.jute_extra_size = extra.max(limits::JUTE_EXTRA_SIZE_MIN);
    let interval = "znode.container.checkIntervalMs";
    config.container_check_interval = millis(keys.number(interval));
    if config.container_check_interval.is_zero() {
        keys.error(interval, "must be at least 1 ms");
    }
    let per_minute = "znode.container.maxPerMinute";
    config.container_max_per_minute = keys.count(per_minute);
    if config.container_max_per_minute == 0 {
        keys.error(per_minute, "must be at least 1");
    }
    config.container_max_never_used =
        positive(keys.number("znode.container.maxNeverUsedIntervalMs"));
}

/// Source: `ZooKeeperServer`, `RequestThrottler`, `Request`.
pub(super) fn requests(config: &mut Config, keys: &mut Lookup<'_>) {
    config.global_outstanding_limit = size(keys.count("globalOutstandingLimit"));
    config.request_throttle_max_requests = size(keys.count("request_throttle_max_requests"));
    config.request_throttle_stall_time = millis(keys.number("request_throttle_stall_time"));
    config.request_throttle_drop_stale = keys.flag("request_throttle_drop_stale");
    config.request_stale_connection_check = keys.flag("request_stale_connection_check");
    config.request_stale_latency_check = keys.flag("request_stale_latency_check");
    config.throttled_op_wait_time = positive(keys.number("throttled_op_wait_time"));
    let bytes = keys.number("largeRequestMaxBytes");
    if bytes <= 0 {
        keys.warn(
            "largeRequestMaxBytes",
            "must be positive, 104857600 is used",
        );
    }
    config.large_request_max_bytes = usize::try_from(bytes)
        .ok()
        .filter(|&b| b > 0)
        .unwrap_or(100 << 20);
    let threshold = keys.number("largeRequestThreshold");
    if threshold == 0 || threshold < -1 {
        keys.warn(
            "largeRequestThreshold",
            "must be -1 or positive, -1 is used",
        );
    }
    config.large_request_threshold = usize::try_from(threshold).ok().filter(|&t| t > 0);
    config.enforce_quota = keys.flag("enforceQuota");
}

/// Source: `BlueThrottle`.
pub(super) fn handshakes(config: &mut Config, keys: &mut Lookup<'_>) {
    let local = keys.number("connection_throttle_local_session_weight");
    let mut weight = |name: &str, default: i64| {
        let asked = keys.number(name);
        if asked <= 0 {
            keys.warn(name, &format!("must be positive, {default} is used"));
            return default as u64;
        }
        if asked < local {
            keys.warn(
                name,
                &format!("less than the local session weight, {local} is used"),
            );
        }
        asked.max(local) as u64
    };
    let global = weight("connection_throttle_global_session_weight", 3);
    config.connection_throttle_global_session_weight = global;
    config.connection_throttle_local_session_weight =
        weight("connection_throttle_local_session_weight", 1);
    config.connection_throttle_renew_session_weight =
        weight("connection_throttle_renew_session_weight", 2);
    config.connection_throttle_weight_enabled = keys.flag("connection_throttle_weight_enabled");
    let factor = if config.connection_throttle_weight_enabled {
        global
    } else {
        1
    };
    config.connection_throttle_tokens = keys
        .count("connection_throttle_tokens")
        .saturating_mul(factor);
    config.connection_throttle_fill_time = millis(keys.number("connection_throttle_fill_time"));
    config.connection_throttle_fill_count = keys
        .count("connection_throttle_fill_count")
        .saturating_mul(factor);
    let freeze = keys.number("connection_throttle_freeze_time");
    config.connection_throttle_freeze_time = (freeze != -1).then(|| millis(freeze));
    config.connection_throttle_drop_increase = keys.real("connection_throttle_drop_increase");
    config.connection_throttle_drop_decrease = keys.real("connection_throttle_drop_decrease");
    config.connection_throttle_decrease_ratio = keys.real("connection_throttle_decrease_ratio");
    if config.connection_throttle_tokens > 0 && config.connection_throttle_fill_time.is_zero() {
        keys.error("connection_throttle_fill_time", "must be at least 1 ms");
    }
}

/// Hash functions of digest authentication, by Java's names for them.
const DIGEST_ALGS: [&str; 11] = [
    "SHA", "SHA1", "SHA-1", "SHA224", "SHA-224", "SHA256", "SHA-256", "SHA384", "SHA-384",
    "SHA512", "SHA-512",
];

/// Source: `ZooKeeperServer`, `DigestAuthenticationProvider`, `FourLetterCommands.isEnabled`.
pub(super) fn identities(config: &mut Config, keys: &mut Lookup<'_>) {
    config.skip_acl = keys.text("skipACL").as_deref() == Some("yes");
    config.digest_auth_enabled = keys.flag("DigestAuthenticationProvider.enabled");
    config.super_digest = keys.text("DigestAuthenticationProvider.superDigest");
    config.digest_alg = keys
        .text("DigestAuthenticationProvider.digestAlg")
        .unwrap_or_default();
    if !DIGEST_ALGS.contains(&config.digest_alg.to_ascii_uppercase().as_str()) {
        let why = "must be SHA-1, SHA-224, SHA-256, SHA-384 or SHA-512";
        keys.error("DigestAuthenticationProvider.digestAlg", why);
    }
    config.read_only_mode_enabled = keys.flag("readonlymode.enabled");
    let listed = keys.text("4lw.commands.whitelist").unwrap_or_default();
    let whitelist = &mut config.four_letter_whitelist;
    for command in listed
        .split(',')
        .map(str::trim)
        .filter(|command| !command.is_empty())
    {
        if command == "*" {
            let FourLetterWhitelist(commands) = whitelist;
            commands.extend(FOUR_LETTER_COMMANDS.map(str::to_owned));
            break;
        }
        if !FOUR_LETTER_COMMANDS.contains(&command) {
            let why = format!("there is no four-letter word {command:?}");
            keys.warn("4lw.commands.whitelist", &why);
        }
        whitelist.0.insert(command.to_owned());
    }
    if config.read_only_mode_enabled {
        whitelist.0.insert("isro".to_owned());
    }
    whitelist.0.insert("srvr".to_owned());
}

/// Values that have no effect here but with which a Java server does not start: a configuration is
/// to fail in the same places. Source: `ZooKeeperServer`, `QuorumPeerConfig.parseProperties`.
pub(super) fn fatal_values(keys: &mut Lookup<'_>) {
    if keys.number("electionAlg") != 3 {
        keys.error("electionAlg", "must be 3, the only one there is");
    }
    let name = "intBufferStartingSizeBytes";
    if keys.number(name) < 32 {
        keys.error(name, "must be at least 32");
    } else if keys.find(name).is_some() {
        keys.warn(name, "no effect here: buffers are not allocated as in Java");
    }
}

pub(super) fn millis(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

/// Milliseconds where anything but a positive number means that there is no such time.
pub(super) fn positive(number: i64) -> Option<Duration> {
    (number > 0).then(|| millis(number))
}

fn kilobytes(number: i64) -> Option<u64> {
    u64::try_from(number)
        .ok()
        .filter(|&number| number > 0)
        .map(|number| number.saturating_mul(1024))
}

pub(super) fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What `*` stands for. Source: `FourLetterCommands`.
const FOUR_LETTER_COMMANDS: [&str; 19] = [
    "conf",
    "cons",
    "crst",
    "dirs",
    "dump",
    "envi",
    "gtmk",
    "hash",
    "isro",
    "mntr",
    "ruok",
    "srst",
    "srvr",
    "stat",
    "stmk",
    "telnet close",
    "wchc",
    "wchp",
    "wchs",
];
