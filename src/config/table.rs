//! The table of all keys: name, kind, default, unit and what becomes of it. Where it may be written
//! is the function's name.
//! Source: `QuorumPeerConfig.parseProperties` and the readers of system properties all over the
//! Java server.

use super::keys::Kind::{Bool, Decimal, Int, Long, Ratio, Real, StrictDecimal, Text};
use super::keys::Support::{Ensemble, Honoured, NoEffect, NotYet};
use super::keys::{Key, Kind, Scope, Support};

const TLS: Support = NotYet("TLS");
const SASL: Support = NotYet("SASL");
const AUTH: Support = NotYet("pluggable authentication");
const METRICS: Support =
    NoEffect("summaries are recorded where they arise, without threads or a queue");
const THREADS: Support = NoEffect("work is not divided among threads as in Java");
const BUFFERS: Support = NoEffect("buffers are not allocated as in Java");
const CACHE: Support = NoEffect("there is no cache of replies");
const WATCHES: Support = NoEffect("watches are kept in one way only, and need no cleaning");
const BATCH: Support = NoEffect("what waits while the disk syncs is the next batch");
const DIAGNOSTICS: Support = NoEffect("this diagnostic does not exist here");
const JAVA: Support = NoEffect("it concerns the Java machine");

const fn key(
    scope: Scope,
    name: &'static str,
    kind: Kind,
    value: [&'static str; 2],
    s: Support,
) -> Key {
    Key {
        name,
        scope,
        kind,
        default: value[0],
        unit: value[1],
        support: s,
    }
}

const fn named(name: &'static str, kind: Kind, value: [&'static str; 2], s: Support) -> Key {
    key(Scope::Named, name, kind, value, s)
}

const fn either(name: &'static str, kind: Kind, value: [&'static str; 2], s: Support) -> Key {
    key(Scope::NamedOrProperty, name, kind, value, s)
}

const fn prop(name: &'static str, kind: Kind, value: [&'static str; 2], s: Support) -> Key {
    key(Scope::Property, name, kind, value, s)
}

const fn both(name: &'static str, kind: Kind, value: [&'static str; 2], s: Support) -> Key {
    key(Scope::PropertyOrBare, name, kind, value, s)
}

const fn bare(name: &'static str, kind: Kind, value: [&'static str; 2], s: Support) -> Key {
    key(Scope::Bare, name, kind, value, s)
}

/// Every key. The pair is default and unit, empty for none. One line each, to be read as a table.
#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    // Basic
    named("dataDir", Text, ["", ""], Honoured),
    named("dataLogDir", Text, ["", ""], Honoured),
    named("tickTime", Int, ["3000", "ms"], Honoured),
    named("clientPort", Int, ["", ""], Honoured),
    named("clientPortAddress", Text, ["", ""], Honoured),
    named("secureClientPort", Int, ["", ""], TLS),
    named("secureClientPortAddress", Text, ["", ""], TLS),
    named("clientPortListenBacklog", Int, ["-1", "connections"], Honoured),
    named("maxClientCnxns", Int, ["60", "connections"], Honoured),
    named("minSessionTimeout", Int, ["-1", "ms"], Honoured),
    named("maxSessionTimeout", Int, ["-1", "ms"], Honoured),
    named("autopurge.snapRetainCount", Int, ["3", "snapshots"], Honoured),
    named("autopurge.purgeInterval", Int, ["0", "hours"], Honoured),
    // Metrics and stalls
    named("metricsProvider.className", Text,
        ["org.apache.zookeeper.metrics.impl.DefaultMetricsProvider", ""], Honoured),
    named("metricsProvider.httpHost", Text, ["0.0.0.0", ""], Honoured),
    named("metricsProvider.httpPort", Text, ["7000", ""], Honoured),
    named("metricsProvider.exportJvmInfo", Text, ["true", ""], Honoured),
    named("metricsProvider.numWorkerThreads", Text, ["1", "threads"], METRICS),
    named("metricsProvider.maxQueueSize", Text, ["1000000", "entries"], METRICS),
    named("metricsProvider.workerShutdownTimeoutMs", Text, ["1000", "ms"], METRICS),
    named("metricsProvider.*", Text, ["", ""], NoEffect("no provider here has such a key")),
    named("jvm.pause.monitor", Bool, ["false", ""], JAVA),
    named("jvm.pause.sleep.time.ms", Long, ["500", "ms"], JAVA),
    named("jvm.pause.warn-threshold.ms", Long, ["10000", "ms"], JAVA),
    named("jvm.pause.info-threshold.ms", Long, ["1000", "ms"], JAVA),
    // Ensemble
    named("server.N", Text, ["", ""], Ensemble),
    named("group.N", Text, ["", ""], Ensemble),
    named("weight.N", Text, ["", ""], Ensemble),
    named("dynamicConfigFile", Text, ["", ""], Ensemble),
    named("version", Text, ["", ""], Ensemble),
    named("initLimit", Int, ["0", "ticks"], Ensemble),
    named("syncLimit", Int, ["0", "ticks"], Ensemble),
    named("connectToLearnerMasterLimit", Int, ["0", "ticks"], Ensemble),
    named("electionAlg", Int, ["3", ""], Ensemble),
    named("quorumListenOnAllIPs", Bool, ["false", ""], Ensemble),
    named("peerType", Text, ["participant", ""], Ensemble),
    named("syncEnabled", Bool, ["true", ""], Ensemble),
    named("observerMasterPort", Int, ["0", ""], Ensemble),
    named("standaloneEnabled", Bool, ["true", ""], Ensemble),
    named("reconfigEnabled", Bool, ["false", ""], Honoured),
    named("localSessionsEnabled", Bool, ["false", ""], Ensemble),
    named("localSessionsUpgradingEnabled", Bool, ["false", ""], Ensemble),
    either("multiAddress.enabled", Bool, ["false", ""], Ensemble),
    either("multiAddress.reachabilityCheckEnabled", Bool, ["true", ""], Ensemble),
    either("multiAddress.reachabilityCheckTimeoutMs", Int, ["1000", "ms"], Ensemble),
    named("oraclePath", Text, ["", ""], Ensemble),
    named("quorum.cnxn.threads.size", Int, ["20", "threads"], Ensemble),
    // Security between servers
    named("sslQuorum", Bool, ["false", ""], Ensemble),
    named("portUnification", Bool, ["false", ""], Ensemble),
    named("sslQuorumReloadCertFiles", Bool, ["false", ""], Ensemble),
    named("quorum.auth.enableSasl", Bool, ["false", ""], Ensemble),
    named("quorum.auth.learnerRequireSasl", Bool, ["false", ""], Ensemble),
    named("quorum.auth.serverRequireSasl", Bool, ["false", ""], Ensemble),
    named("quorum.auth.learner.saslLoginContext", Text, ["QuorumLearner", ""], Ensemble),
    named("quorum.auth.server.saslLoginContext", Text, ["QuorumServer", ""], Ensemble),
    named("quorum.auth.kerberos.servicePrincipal", Text, ["zkquorum/localhost", ""], Ensemble),
    // Storage and log
    prop("preAllocSize", Decimal, ["65536", "KB"], Honoured),
    prop("snapCount", Int, ["100000", "txns"], Honoured),
    prop("snapSizeLimitInKb", Long, ["4194304", "KB"], Honoured),
    prop("txnLogSizeLimitInKb", Long, ["-1", "KB"], Honoured),
    prop("commitLogCount", Decimal, ["500", "txns"], Ensemble),
    prop("snapshotSizeFactor", Ratio, ["0.33", ""], Ensemble),
    both("fsync.warningthresholdms", Long, ["1000", "ms"], Honoured),
    prop("request.warningthresholdms", Long, ["1000", "ms"], Honoured),
    prop("forceSync", Text, ["yes", ""], Honoured),
    prop("flushDelay", Long, ["0", "ms"], BATCH),
    prop("maxWriteQueuePollTime", Long, ["0", "ms"], BATCH),
    prop("maxBatchSize", Int, ["1000", "txns"], BATCH),
    prop("datadir.autocreate", Bool, ["true", ""], Honoured),
    prop("db.autocreate", Bool, ["true", ""], Honoured),
    prop("snapshot.trust.empty", Bool, ["false", ""], Honoured),
    prop("snapshot.compression.method", Text, ["", ""], Honoured),
    prop("digest.enabled", Bool, ["true", ""], Honoured),
    prop("serializeLastProcessedZxid.enabled", Bool, ["true", ""], Honoured),
    prop("closeSessionTxn.enabled", Bool, ["true", ""], Honoured),
    prop("extendedTypesEnabled", Bool, ["false", ""], Honoured),
    prop("emulate353TTLNodes", Bool, ["false", ""], Honoured),
    bare("jute.maxbuffer", Int, ["1048575", "bytes"], Honoured),
    prop("jute.maxbuffer.extrasize", Int, ["", "bytes"], Honoured),
    bare("znode.container.checkIntervalMs", Int, ["60000", "ms"], Honoured),
    bare("znode.container.maxPerMinute", Int, ["10000", "znodes"], Honoured),
    bare("znode.container.maxNeverUsedIntervalMs", Long, ["0", "ms"], Honoured),
    // Quorum and election
    prop("cnxTimeout", StrictDecimal, ["5000", "ms"], Ensemble),
    prop("quorumCnxnTimeoutMs", Int, ["-1", "ms"], Ensemble),
    prop("electionPortBindRetry", Int, ["3", ""], Ensemble),
    prop("fastleader.minNotificationInterval", Int, ["200", "ms"], Ensemble),
    prop("fastleader.maxNotificationInterval", Int, ["2000", "ms"], Ensemble),
    prop("tcpKeepAlive", Bool, ["false", ""], Ensemble),
    prop("leader.maxTimeToWaitForEpoch", Int, ["-1", "ms"], Ensemble),
    prop("leaderConnectDelayDuringRetryMs", Int, ["100", "ms"], Ensemble),
    prop("leaderServes", Text, ["yes", ""], Ensemble),
    bare("leader.nodelay", Bool, ["true", ""], Ensemble),
    bare("follower.nodelay", Bool, ["true", ""], Ensemble),
    prop("leader.maxConcurrentSnapSyncs", Int, ["10", ""], Ensemble),
    prop("leader.maxConcurrentDiffSyncs", Int, ["100", ""], Ensemble),
    prop("leader.ackLoggingFrequency", Int, ["1000", ""], Ensemble),
    both("leader.closeSocketAsync", Bool, ["false", ""], Ensemble),
    both("learner.closeSocketAsync", Bool, ["false", ""], Ensemble),
    both("learner.asyncSending", Bool, ["false", ""], Ensemble),
    prop("observer.reconnectDelayMs", Long, ["0", "ms"], Ensemble),
    prop("observer.election.DelayMs", Long, ["200", "ms"], Ensemble),
    prop("observer.syncEnabled", Bool, ["", ""], Ensemble),
    prop("observerMaster.sizeLimit", Int, ["33554432", "bytes"], Ensemble),
    prop("forward_learner_requests_to_commit_processor_disabled", Bool, ["false", ""], Ensemble),
    prop("follower.skipLearnerRequestToNextProcessor", Bool, ["false", ""], Ensemble),
    prop("forceSnapshotSync", Bool, ["false", ""], Ensemble),
    prop("testingonly.initialZxid", Text, ["", ""], Ensemble),
    prop("test.allowDiscontinuousProposals", Bool, ["false", ""], Ensemble),
    prop("kerberos.canonicalizeHostNames", Bool, ["false", ""], Ensemble),
    bare("readonlymode.enabled", Bool, ["false", ""], Honoured),
    prop("commitProcessor.numWorkerThreads", Int, ["", "threads"], THREADS),
    prop("commitProcessor.maxReadBatchSize", Int, ["-1", "requests"], THREADS),
    prop("commitProcessor.maxCommitBatchSize", Int, ["1", "requests"], THREADS),
    prop("commitProcessor.shutdownTimeout", Long, ["5000", "ms"], THREADS),
    // Client service, limits, throttling
    prop("globalOutstandingLimit", Int, ["1000", "requests"], Honoured),
    prop("maxCnxns", Int, ["0", "connections"], Honoured),
    prop("clientTcpKeepAlive", Bool, ["false", ""], Honoured),
    prop("serverCnxnFactory", Text,
        ["org.apache.zookeeper.server.NIOServerCnxnFactory", ""], THREADS),
    prop("nio.numSelectorThreads", Int, ["", "threads"], THREADS),
    prop("nio.numWorkerThreads", Int, ["", "threads"], THREADS),
    prop("nio.directBufferBytes", Int, ["65536", "bytes"], BUFFERS),
    prop("nio.sessionlessCnxnTimeout", Int, ["10000", "ms"], Honoured),
    prop("nio.shutdownTimeout", Long, ["5000", "ms"], THREADS),
    prop("client.portUnification", Bool, ["false", ""], TLS),
    prop("client.certReload", Bool, ["false", ""], TLS),
    prop("netty.server.outstandingHandshake.limit", Int, ["-1", "handshakes"], TLS),
    prop("netty.server.earlyDropSecureConnectionHandshakes", Bool, ["false", ""], TLS),
    prop("netty.advancedFlowControl.enabled", Bool, ["false", ""], THREADS),
    prop("request_throttle_max_requests", Int, ["0", "requests"], Honoured),
    prop("request_throttle_stall_time", Int, ["100", "ms"], Honoured),
    prop("request_throttle_drop_stale", Bool, ["true", ""], Honoured),
    prop("request_stale_connection_check", Bool, ["true", ""], Honoured),
    prop("request_stale_latency_check", Bool, ["false", ""], Honoured),
    prop("request_throttler.shutdownTimeout", Int, ["10000", "ms"], THREADS),
    prop("throttled_op_wait_time", Int, ["0", "ms"], Honoured),
    prop("connection_throttle_tokens", Int, ["0", "tokens"], Honoured),
    prop("connection_throttle_fill_time", Int, ["1", "ms"], Honoured),
    prop("connection_throttle_fill_count", Int, ["1", "tokens"], Honoured),
    prop("connection_throttle_freeze_time", Int, ["-1", "ms"], Honoured),
    prop("connection_throttle_drop_increase", Real, ["0.02", ""], Honoured),
    prop("connection_throttle_drop_decrease", Real, ["0.002", ""], Honoured),
    prop("connection_throttle_decrease_ratio", Real, ["0", ""], Honoured),
    prop("connection_throttle_weight_enabled", Bool, ["false", ""], Honoured),
    prop("connection_throttle_global_session_weight", Int, ["3", "tokens"], Honoured),
    prop("connection_throttle_local_session_weight", Int, ["1", "tokens"], Honoured),
    prop("connection_throttle_renew_session_weight", Int, ["2", "tokens"], Honoured),
    prop("largeRequestMaxBytes", Int, ["104857600", "bytes"], Honoured),
    prop("largeRequestThreshold", Int, ["-1", "bytes"], Honoured),
    prop("maxResponseCacheSize", Int, ["400", "entries"], CACHE),
    prop("maxGetChildrenResponseCacheSize", Int, ["400", "entries"], CACHE),
    prop("intBufferStartingSizeBytes", Int, ["1024", "bytes"], BUFFERS),
    prop("enforceQuota", Bool, ["false", ""], Honoured),
    prop("skipACL", Text, ["no", ""], Honoured),
    prop("enableEagerACLCheck", Bool, ["false", ""], Ensemble),
    prop("watchManagerName", Text, ["org.apache.zookeeper.server.watch.WatchManager", ""], WATCHES),
    prop("watcherCleanThreshold", Int, ["1000", "watches"], WATCHES),
    prop("watcherCleanIntervalInSeconds", Int, ["600", "s"], WATCHES),
    prop("watcherCleanThreadsNum", Int, ["2", "threads"], WATCHES),
    prop("bitHashCacheSize", Int, ["10", "entries"], WATCHES),
    prop("maxInProcessingDeadWatchers", Int, ["-1", "watches"], WATCHES),
    prop("4lw.commands.whitelist", Text, ["srvr", ""], Honoured),
    // Authentication
    prop("authProvider.*", Text, ["", ""], AUTH),
    prop("DigestAuthenticationProvider.enabled", Bool, ["true", ""], Honoured),
    prop("DigestAuthenticationProvider.superDigest", Text, ["", ""], Honoured),
    prop("DigestAuthenticationProvider.digestAlg", Text, ["SHA1", ""], Honoured),
    prop("X509AuthenticationProvider.superUser", Text, ["", ""], TLS),
    prop("superUser", Text, ["", ""], SASL),
    prop("superUser.*", Text, ["", ""], SASL),
    prop("SASLAuthenticationProvider.superPassword", Text, ["", ""], SASL),
    prop("letAnySaslUserDoX", Text, ["", ""], SASL),
    prop("sasl.serverconfig", Text, ["Server", ""], SASL),
    bare("java.security.auth.login.config", Text, ["", ""], SASL),
    prop("allowSaslFailedClients", Bool, ["false", ""], SASL),
    prop("sessionRequireClientSASLAuth", Bool, ["false", ""], SASL),
    prop("enforce.auth.enabled", Bool, ["false", ""], AUTH),
    prop("enforce.auth.schemes", Text, ["", ""], AUTH),
    prop("kerberos.removeHostFromPrincipal", Bool, ["false", ""], SASL),
    prop("kerberos.removeRealmFromPrincipal", Bool, ["false", ""], SASL),
    prop("requireKerberosConfig", Bool, ["false", ""], SASL),
    prop("security.auth_to_local", Text, ["DEFAULT", ""], SASL),
    prop("kinit", Text, ["/usr/bin/kinit", ""], SASL),
    prop("ensembleAuthName", Text, ["", ""], AUTH),
    prop("IPAuthenticationProvider.usexforwardedfor", Bool, ["false", ""], Honoured),
    prop("fips-mode", Bool, ["true", ""], TLS),
    prop("ssl.authProvider", Text, ["x509", ""], TLS),
    prop("audit.enable", Bool, ["false", ""], Honoured),
    prop("audit.impl.class", Text, ["org.apache.zookeeper.audit.Slf4jAuditLogger", ""], Honoured),
    prop("auditlog.file", Text, ["", ""], Honoured),
    prop("auditlog.maxFileSizeInKb", Long, ["10240", "KB"], Honoured),
    prop("auditlog.maxBackupIndex", Int, ["10", "files"], Honoured),
    // TLS of client ports
    prop("ssl.keyStore.location", Text, ["", ""], TLS),
    prop("ssl.keyStore.password", Text, ["", ""], TLS),
    prop("ssl.keyStore.passwordPath", Text, ["", ""], TLS),
    prop("ssl.keyStore.type", Text, ["", ""], TLS),
    prop("ssl.trustStore.location", Text, ["", ""], TLS),
    prop("ssl.trustStore.password", Text, ["", ""], TLS),
    prop("ssl.trustStore.passwordPath", Text, ["", ""], TLS),
    prop("ssl.trustStore.type", Text, ["", ""], TLS),
    prop("ssl.protocol", Text, ["", ""], TLS),
    prop("ssl.enabledProtocols", Text, ["", ""], TLS),
    prop("ssl.ciphersuites", Text, ["", ""], TLS),
    prop("ssl.context.supplier.class", Text, ["", ""], TLS),
    prop("ssl.hostnameVerification", Bool, ["true", ""], TLS),
    prop("ssl.clientHostnameVerification", Bool, ["false", ""], TLS),
    prop("ssl.allowReverseDnsLookup", Bool, ["false", ""], TLS),
    prop("ssl.crl", Bool, ["false", ""], TLS),
    prop("ssl.ocsp", Bool, ["false", ""], TLS),
    prop("ssl.clientAuth", Text, ["need", ""], TLS),
    prop("ssl.handshakeDetectionTimeoutMillis", Int, ["5000", "ms"], TLS),
    prop("ssl.sslProvider", Text, ["JDK", ""], TLS),
    // TLS between servers
    prop("ssl.quorum.keyStore.location", Text, ["", ""], TLS),
    prop("ssl.quorum.keyStore.password", Text, ["", ""], TLS),
    prop("ssl.quorum.keyStore.passwordPath", Text, ["", ""], TLS),
    prop("ssl.quorum.keyStore.type", Text, ["", ""], TLS),
    prop("ssl.quorum.trustStore.location", Text, ["", ""], TLS),
    prop("ssl.quorum.trustStore.password", Text, ["", ""], TLS),
    prop("ssl.quorum.trustStore.passwordPath", Text, ["", ""], TLS),
    prop("ssl.quorum.trustStore.type", Text, ["", ""], TLS),
    prop("ssl.quorum.protocol", Text, ["", ""], TLS),
    prop("ssl.quorum.enabledProtocols", Text, ["", ""], TLS),
    prop("ssl.quorum.ciphersuites", Text, ["", ""], TLS),
    prop("ssl.quorum.context.supplier.class", Text, ["", ""], TLS),
    prop("ssl.quorum.hostnameVerification", Bool, ["true", ""], TLS),
    prop("ssl.quorum.clientHostnameVerification", Bool, ["true", ""], TLS),
    prop("ssl.quorum.allowReverseDnsLookup", Bool, ["true", ""], TLS),
    prop("ssl.quorum.crl", Bool, ["false", ""], TLS),
    prop("ssl.quorum.ocsp", Bool, ["false", ""], TLS),
    prop("ssl.quorum.clientAuth", Text, ["need", ""], TLS),
    prop("ssl.quorum.handshakeDetectionTimeoutMillis", Int, ["5000", "ms"], TLS),
    // Admin server and diagnostics
    prop("admin.enableServer", Text, ["true", ""], Honoured),
    prop("admin.serverAddress", Text, ["0.0.0.0", ""], Honoured),
    prop("admin.serverPort", Int, ["8080", ""], Honoured),
    prop("admin.commandURL", Text, ["/commands", ""], Honoured),
    prop("admin.idleTimeout", Int, ["30000", "ms"], Honoured),
    prop("admin.httpVersion", Int, ["11", ""], TLS),
    prop("admin.portUnification", Bool, ["false", ""], TLS),
    prop("admin.forceHttps", Bool, ["false", ""], TLS),
    prop("admin.needClientAuth", Bool, ["false", ""], TLS),
    prop("admin.rateLimiterIntervalInMS", StrictDecimal, ["300000", "ms"], Honoured),
    prop("admin.snapshot.enabled", Bool, ["true", ""], Honoured),
    prop("admin.restore.enabled", Bool, ["true", ""], Honoured),
    prop("messageTracker.Enabled", Bool, ["false", ""], DIAGNOSTICS),
    prop("messageTracker.BufferSize", Int, ["10", "messages"], DIAGNOSTICS),
    prop("pathStats.*", Text, ["", ""], DIAGNOSTICS),
    prop("jmx.log4j.disable", Bool, ["false", ""], JAVA),
    prop("log.dir", Text, ["", ""], Honoured),
    prop("log.file", Text, ["", ""], JAVA),
    prop("root.logger", Text, ["", ""], JAVA),
    prop("console.threshold", Text, ["", ""], JAVA),
];

/// Headings of Java's manual that are not the key, and the key.
pub(super) const MANUAL_NAMES: &[(&str, &str)] = &[
    ("maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch"),
    ("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"),
    ("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"),
    (
        "outstandingHandshake.limit",
        "netty.server.outstandingHandshake.limit",
    ),
    (
        "advancedFlowControlEnabled",
        "netty.advancedFlowControl.enabled",
    ),
    ("requestThrottleLimit", "request_throttle_max_requests"),
    ("requestThrottleStallTime", "request_throttle_stall_time"),
    ("requestThrottleDropStale", "request_throttle_drop_stale"),
    (
        "requestStaleConnectionCheck",
        "request_stale_connection_check",
    ),
    ("requestStaleLatencyCheck", "request_stale_latency_check"),
    ("throttledOpWaitTime", "throttled_op_wait_time"),
    ("connectionMaxTokens", "connection_throttle_tokens"),
    ("connectionTokenFillTime", "connection_throttle_fill_time"),
    ("connectionTokenFillCount", "connection_throttle_fill_count"),
    ("connectionFreezeTime", "connection_throttle_freeze_time"),
    (
        "connectionDropIncrease",
        "connection_throttle_drop_increase",
    ),
    (
        "connectionDropDecrease",
        "connection_throttle_drop_decrease",
    ),
    (
        "connectionDecreaseRatio",
        "connection_throttle_decrease_ratio",
    ),
];
