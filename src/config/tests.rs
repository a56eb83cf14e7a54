//! Whole configurations: text in, values or problems out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::ensemble::HostPort;
use super::keys::{self, Key, Scope, Support};
use super::limits;
use super::server::{Compression, Config, ConfigSources, Loaded, Pointers};

pub(super) const MINIMAL: &str = "dataDir=/d\nclientPort=2181\n";

pub(super) fn sources(cfg: &str) -> ConfigSources {
    ConfigSources {
        cfg_name: "zoo.cfg".to_owned(),
        cfg: cfg.into(),
        ..ConfigSources::default()
    }
}

pub(super) fn with_properties(cfg: &str, properties: &[(&str, &str)]) -> ConfigSources {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ConfigSources {
        system_properties: properties.iter().map(own).collect(),
        ..sources(cfg)
    }
}

/// The configuration, which must start, and its warnings as text.
pub(super) fn loaded(sources: &ConfigSources) -> (Config, Vec<String>) {
    match Config::parse(sources) {
        Ok(Loaded { config, warnings }) => {
            (config, warnings.iter().map(|w| w.to_string()).collect())
        }
        Err(invalid) => panic!("must start: {invalid}"),
    }
}

/// What follows the minimal lines, which are two, must start without any warning.
fn quiet(rest: &str) -> Config {
    let (config, warnings) = loaded(&sources(&format!("{MINIMAL}{rest}")));
    assert!(warnings.is_empty(), "{warnings:?}");
    config
}

/// What follows the minimal lines must start, with these warnings.
fn warned(rest: &str, expected: &[&str]) -> Config {
    let (config, warnings) = loaded(&sources(&format!("{MINIMAL}{rest}")));
    assert_eq!(warnings, expected, "{rest}");
    config
}

/// The errors with which a server does not start.
pub(super) fn errors_of(sources: &ConfigSources) -> Vec<String> {
    match Config::parse(sources) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid
            .errors()
            .map(|problem| problem.to_string())
            .collect(),
    }
}

fn errors(rest: &str) -> Vec<String> {
    errors_of(&sources(&format!("{MINIMAL}{rest}")))
}

/// A file of servers, with the file this server's number is in.
fn ensemble_errors(cfg: &str, myid: Option<&str>) -> Vec<String> {
    let myid = myid.map(|text| text.as_bytes().to_vec());
    errors_of(&ConfigSources {
        myid,
        ..sources(&format!("{MINIMAL}{cfg}"))
    })
}

#[test]
fn the_embedded_defaults_need_no_file() {
    let config = Config::embedded_default();
    assert_eq!(
        config.client_addr,
        Some(HostPort {
            host: None,
            port: 2181
        })
    );
    assert_eq!(config.data_dir, Path::new("./data"));
    assert_eq!(config.data_log_dir, Path::new("./data"));
    assert_eq!(config.tick_time, Duration::from_secs(2));
    assert_eq!(config.min_session_timeout, Duration::from_secs(4));
    assert_eq!(config.max_session_timeout, Duration::from_secs(40));
    let prometheus = config.prometheus.unwrap();
    assert_eq!(
        (prometheus.addr.port, prometheus.is_asked_for),
        (7000, false)
    );
    assert!(
        Config::parse(&ConfigSources::embedded())
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn defaults_are_those_of_java() {
    let config = quiet("");
    assert_eq!(config.tick_time, Duration::from_secs(3));
    assert_eq!(config.max_client_cnxns, 60);
    assert_eq!(config.max_cnxns, 0);
    assert_eq!(
        (config.client_port_listen_backlog, config.listen_backlog()),
        (-1, 50)
    );
    assert_eq!((config.snap_retain_count, config.purge_interval), (3, None));
    assert_eq!(config.pre_alloc_bytes, 64 << 20);
    assert_eq!(config.snap_count, 100_000);
    assert_eq!(config.snap_size_limit_bytes, Some(4 << 30));
    assert_eq!(config.txn_log_size_limit_bytes, None);
    assert_eq!(config.fsync_warning_threshold, Duration::from_secs(1));
    assert!(config.force_sync && config.digest_enabled && config.serialize_last_zxid);
    assert!(config.close_session_txn && config.datadir_autocreate && config.db_autocreate);
    assert!(!config.extended_types && !config.emulate_353_ttl && !config.snapshot_trust_empty);
    assert_eq!(config.snapshot_compression, Compression::None);
    assert_eq!(
        (config.jute_max_buffer, config.jute_extra_size),
        (limits::JUTE_MAX_BUFFER, limits::JUTE_MAX_BUFFER)
    );
    assert_eq!(config.container_check_interval, Duration::from_secs(60));
    assert_eq!(
        (
            config.container_max_per_minute,
            config.container_max_never_used
        ),
        (10_000, None)
    );
    assert_eq!(config.global_outstanding_limit, 1000);
    assert_eq!(config.sessionless_timeout, Duration::from_secs(10));
    assert_eq!(config.large_request_max_bytes, 100 << 20);
    assert_eq!(config.large_request_threshold, None);
    assert!(config.request_throttle_drop_stale && config.request_stale_connection_check);
    assert!(!config.request_stale_latency_check && !config.enforce_quota && !config.skip_acl);
    assert_eq!(
        (
            config.connection_throttle_tokens,
            config.throttled_op_wait_time
        ),
        (0, None)
    );
    assert!(config.digest_auth_enabled && config.super_digest.is_none());
    assert_eq!(config.digest_alg, "SHA1");
    assert_eq!(
        config.four_letter_whitelist.iter().collect::<Vec<_>>(),
        ["srvr"]
    );
}

#[test]
fn the_sample_of_java_starts_without_a_word() {
    let config = quiet("tickTime=2000\ninitLimit=10\nsyncLimit=5\n");
    assert_eq!(config.tick_time, Duration::from_secs(2));
}

#[test]
fn all_problems_come_at_once_each_with_its_line() {
    let text = "tickTme=2000\ntickTime=0\nclientPort=x\nreconfigEnabled=yes\nsslQuorum=true\n";
    let problems = Config::parse(&sources(text)).unwrap_err().to_string();
    assert_eq!(
        problems,
        "zoo.cfg: dataDir: must be set\n\
         zoo.cfg:2: tickTime=0: must be at least 1 ms\n\
         zoo.cfg:3: clientPort=x: must be a number\n\
         zoo.cfg:4: reconfigEnabled=yes: must be true or false\n\
         zoo.cfg:5: sslQuorum=true: TLS between servers is not built yet, and would be missing; \
         switch it off on every server\n\
         zoo.cfg:1: tickTme: unknown key, did you mean tickTime?"
    );
}

#[test]
fn an_unknown_key_is_a_warning_because_java_starts_with_it() {
    warned("my.own=1\n", &["zoo.cfg:3: my.own: unknown key"]);
    warned(
        "requestThrottleLimit=5\n",
        &["zoo.cfg:3: requestThrottleLimit: unknown key, \
             did you mean request_throttle_max_requests?"],
    );
    let (_, warnings) = loaded(&with_properties(
        MINIMAL,
        &[
            ("zookeeper.snapCuont", "5"),
            ("zookeeper.tickTime", "5"),
            ("snapCount", "5"),
            ("java.net.preferIPv4Stack", "true"),
        ],
    ));
    assert_eq!(
        warnings,
        [
            "-Djava.net.preferIPv4Stack=true: a property that has no meaning here",
            "-DsnapCount=5: nothing reads this property; write -Dzookeeper.snapCount",
            "-Dzookeeper.snapCuont=5: unknown property, did you mean zookeeper.snapCount?",
            "-Dzookeeper.tickTime=5: is not read from a property; write tickTime in zoo.cfg",
        ]
    );
}

#[test]
fn a_key_of_the_file_overrides_the_property_of_the_command_line() {
    let properties = [("zookeeper.snapCount", "500")];
    let (config, warnings) = loaded(&with_properties(MINIMAL, &properties));
    assert_eq!((config.snap_count, warnings.len()), (500, 0));
    let both = format!("{MINIMAL}snapCount=700\n");
    let (config, warnings) = loaded(&with_properties(&both, &properties));
    assert_eq!(config.snap_count, 700);
    let expected = "zoo.cfg:3: snapCount=700: overrides -Dzookeeper.snapCount=500, as in Java";
    assert_eq!(warnings, [expected]);
}

#[test]
fn of_two_properties_of_one_name_the_last_wins() {
    let properties = [
        ("zookeeper.snapCount", "500"),
        ("zookeeper.snapCount", "600"),
    ];
    assert_eq!(
        loaded(&with_properties(MINIMAL, &properties)).0.snap_count,
        600
    );
}

#[test]
fn properties_without_the_prefix_cannot_be_set_in_the_file() {
    let config = warned(
        "jute.maxbuffer=100\n",
        &[
            "zoo.cfg:3: jute.maxbuffer: has no effect in a file, as in Java; \
             pass -Djute.maxbuffer=100",
        ],
    );
    assert_eq!(config.jute_max_buffer, 0xfffff);
    let properties = [
        ("jute.maxbuffer", "0x200000"),
        ("readonlymode.enabled", "true"),
    ];
    let (config, warnings) = loaded(&with_properties(MINIMAL, &properties));
    assert_eq!(
        (
            config.jute_max_buffer,
            config.jute_extra_size,
            warnings.len()
        ),
        (1 << 21, 1 << 21, 0)
    );
    assert!(config.four_letter_whitelist.allows("isro"));
}

#[test]
fn the_sync_warning_is_read_under_both_names() {
    for name in [
        "fsync.warningthresholdms",
        "zookeeper.fsync.warningthresholdms",
    ] {
        let (config, warnings) = loaded(&with_properties(MINIMAL, &[(name, "20")]));
        assert_eq!(
            (config.fsync_warning_threshold, warnings.len()),
            (Duration::from_millis(20), 0)
        );
    }
    assert_eq!(
        quiet("fsync.warningthresholdms=30\n")
            .fsync_warning_threshold
            .as_millis(),
        30
    );
}

#[test]
fn numbers_of_properties_are_decoded_and_those_of_named_keys_are_not() {
    assert_eq!(quiet("snapCount=010\n").snap_count, 8);
    assert_eq!(quiet("snapCount=0x10\n").snap_count, 16);
    assert_eq!(quiet("maxClientCnxns=010\n").max_client_cnxns, 10);
    assert_eq!(
        errors("maxClientCnxns=0x10\n"),
        ["zoo.cfg:3: maxClientCnxns=0x10: must be a number of connections"]
    );
    assert_eq!(quiet("preAllocSize=010\n").pre_alloc_bytes, 10 << 10);
}

#[test]
fn a_malformed_number_of_a_property_is_the_default_and_a_warning() {
    let config = warned(
        "snapCount=many\npreAllocSize=0x10\n",
        &[
            "zoo.cfg:3: snapCount=many: not a number, 100000 is used, as in Java",
            "zoo.cfg:4: preAllocSize=0x10: not a number, 65536 is used, as in Java",
        ],
    );
    assert_eq!(
        (config.snap_count, config.pre_alloc_bytes),
        (100_000, 64 << 20)
    );
    let (config, warnings) = loaded(&with_properties(MINIMAL, &[("zookeeper.maxCnxns", " 5")]));
    assert_eq!((config.max_cnxns, warnings.len()), (0, 1));
}

#[test]
fn booleans_of_named_keys_are_strict_and_those_of_properties_are_not() {
    assert!(quiet("reconfigEnabled=TRUE\n").reconfig_enabled);
    for value in ["yes", "1", ""] {
        let expected = format!("zoo.cfg:3: standaloneEnabled={value}: must be true or false");
        assert_eq!(errors(&format!("standaloneEnabled={value}\n")), [expected]);
    }
    assert!(quiet("extendedTypesEnabled=True\n").extended_types);
    let expected = "zoo.cfg:3: digest.enabled=yes: not true, so it is false, as in Java";
    assert!(!warned("digest.enabled=yes\n", &[expected]).digest_enabled);
}

#[test]
fn yes_and_no_are_exact_words() {
    assert!(!quiet("forceSync=no\n").force_sync);
    assert!(quiet("forceSync=No\n").force_sync);
    assert!(quiet("skipACL=yes\n").skip_acl);
    assert!(!quiet("skipACL=true\n").skip_acl);
}

#[test]
fn values_out_of_range_are_moved_where_java_moves_them() {
    let config = warned(
        "autopurge.snapRetainCount=1\nsnapCount=1\nsnapSizeLimitInKb=0\n",
        &[
            "zoo.cfg:3: autopurge.snapRetainCount=1: too few, 3 are kept",
            "zoo.cfg:4: snapCount=1: too few, 2 is used",
            "zoo.cfg:5: snapSizeLimitInKb=0: taken as no limit; a Java server fails with it",
        ],
    );
    assert_eq!((config.snap_retain_count, config.snap_count), (3, 2));
    assert_eq!(config.snap_size_limit_bytes, None);
    for extra in ["5", "0", "-1"] {
        let config = quiet(&format!("jute.maxbuffer.extrasize={extra}\n"));
        assert_eq!(config.jute_extra_size, limits::JUTE_EXTRA_SIZE_MIN);
    }
    assert_eq!(
        quiet("autopurge.purgeInterval=2\n").purge_interval,
        Some(Duration::from_secs(7200))
    );
    assert_eq!(
        quiet("txnLogSizeLimitInKb=2\n").txn_log_size_limit_bytes,
        Some(2048)
    );
    assert_eq!(quiet("maxClientCnxns=-5\n").max_client_cnxns, 0);
}

#[test]
fn session_timeouts_follow_the_tick_unless_they_are_given() {
    let config = quiet("tickTime=100\nmaxSessionTimeout=60000\n");
    assert_eq!(config.min_session_timeout, Duration::from_millis(200));
    assert_eq!(config.max_session_timeout, Duration::from_secs(60));
    assert_eq!(
        errors("minSessionTimeout=70000\n"),
        [
            "zoo.cfg:3: minSessionTimeout=70000: must not be larger than \
         maxSessionTimeout (60000 ms; tickTime is 3000 ms)"
        ]
    );
    assert_eq!(
        errors("tickTime=-1\n"),
        ["zoo.cfg:3: tickTime=-1: must be at least 1 ms"]
    );
    assert_eq!(
        quiet("tickTime=2147483647\n")
            .max_session_timeout
            .as_millis(),
        i32::MAX as u128
    );
}

#[test]
fn addresses_need_their_ports() {
    let config = quiet("clientPortAddress=::1\n");
    assert_eq!(
        config.client_addr,
        Some(HostPort {
            host: Some("::1".to_owned()),
            port: 2181
        })
    );
    assert_eq!(
        errors_of(&sources("dataDir=/d\nclientPortAddress=a\n")),
        ["zoo.cfg:2: clientPortAddress=a: clientPort must be set too"]
    );
    assert_eq!(
        errors("secureClientPortAddress=a\n"),
        ["zoo.cfg:3: secureClientPortAddress=a: secureClientPort must be set too"]
    );
    assert_eq!(
        errors_of(&sources("dataDir=/d\nclientPort=65536\n")),
        ["zoo.cfg:2: clientPort=65536: must be from 0 to 65535"]
    );
    let (config, warnings) = loaded(&sources("dataDir=/d\n"));
    assert_eq!(config.client_addr, None);
    assert_eq!(
        warnings,
        ["zoo.cfg: clientPort: is not set, so no client can connect"]
    );
}

#[test]
fn a_relative_folder_without_a_dot_is_a_warning() {
    let (config, warnings) = loaded(&sources("dataDir=data\ndataLogDir=./log\nclientPort=1\n"));
    assert_eq!(
        warnings,
        ["zoo.cfg:1: dataDir=data: is relative; begin it with ./ to show that this is meant"]
    );
    assert_eq!(
        (config.data_dir, config.data_log_dir),
        (PathBuf::from("data"), PathBuf::from("./log"))
    );
}

#[test]
fn keys_that_would_let_somebody_in_stop_the_start() {
    let table = [
        (
            "enforce.auth.enabled=true",
            "enforced authentication is not built yet; anybody would be let in",
        ),
        (
            "sessionRequireClientSASLAuth=true",
            "SASL is not built yet; anybody would be let in",
        ),
        (
            "quorum.auth.enableSasl=true",
            "SASL between servers is not built yet, and would be missing; \
             switch it off on every server",
        ),
        (
            "sslQuorum=true",
            "TLS between servers is not built yet, and would be missing; \
             switch it off on every server",
        ),
        (
            "oraclePath=/o",
            "an oracle is not built yet, and it changes what a quorum is; \
             remove it on every server, or add a third voter",
        ),
    ];
    for (line, why) in table {
        assert_eq!(errors(line), [format!("zoo.cfg:3: {line}: {why}")]);
    }
    assert_eq!(
        errors("weight.1=1"),
        [
            "zoo.cfg:3: weight.1: hierarchical quorums are not built yet, and they change what a \
          quorum is; remove groups and weights on every server"
        ]
    );
    assert_eq!(
        errors("group.1=1"),
        [
            "zoo.cfg:3: group.1: hierarchical quorums are not built yet, and they change what a \
          quorum is; remove groups and weights on every server"
        ]
    );
    assert_eq!(errors("quorum.auth.serverRequireSasl=true").len(), 3);
    let property = with_properties(MINIMAL, &[("zookeeper.enforce.auth.enabled", "true")]);
    assert_eq!(errors_of(&property).len(), 1);
    for off in [
        "enforce.auth.enabled=false",
        "sslQuorum=false",
        "sessionRequireClientSASLAuth=no",
    ] {
        assert!(errors(off).is_empty(), "{off}");
    }
}

#[test]
fn a_tls_port_needs_a_plain_one_beside_it() {
    assert_eq!(
        errors_of(&sources("dataDir=/d\nsecureClientPort=2281\n")),
        [
            "zoo.cfg:2: secureClientPort=2281: TLS is not built yet, and there is no \
         clientPort to serve instead"
        ]
    );
    warned(
        "secureClientPort=2281\nssl.keyStore.password=secret\nauthProvider.1=a.B\n",
        &[
            "zoo.cfg:3: secureClientPort=2281: not opened: TLS is not built yet; \
             clientPort is served",
            "zoo.cfg:4: ssl.keyStore.password: ignored: TLS is not built yet",
            "zoo.cfg:5: authProvider.1=a.B: ignored: pluggable authentication is not built yet",
        ],
    );
}

#[test]
fn the_audit_log_is_off_or_goes_to_the_log_or_to_a_file_of_its_own() {
    let audit = |cfg: &str| {
        let sources = sources(&format!("{MINIMAL}{cfg}"));
        Config::parse(&sources).unwrap().config.audit
    };
    assert!(!audit("auditlog.file=a.log\n").enabled);
    let on = audit("audit.enable=true\n");
    assert!(on.enabled);
    assert_eq!((on.file, on.limit_bytes, on.backups), (None, 10 << 20, 10));
    let on = audit(
        "audit.enable=true\nauditlog.file=a.log\nlog.dir=/logs\nauditlog.maxFileSizeInKb=2\n",
    );
    assert_eq!(on.file.unwrap().to_str(), Some("/logs/a.log"));
    assert_eq!(on.limit_bytes, 2048);
}

#[test]
fn an_audit_log_of_another_class_stops_the_start_where_it_is_on() {
    quiet("audit.impl.class=my.Audit\n");
    let errors = errors_of(&sources(&format!(
        "{MINIMAL}audit.enable=true\naudit.impl.class=my.Audit\n"
    )));
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("audit.impl.class=my.Audit: a Java class cannot be loaded here"));
}

#[test]
fn digest_authentication_needs_a_hash_function_this_server_has() {
    let with = |name: &str| {
        let key = "DigestAuthenticationProvider.digestAlg";
        errors_of(&sources(&format!("{MINIMAL}{key}={name}\n"))).len()
    };
    assert_eq!((with("sha-512"), with("SHA1"), with("MD5")), (0, 0, 1));
}

#[test]
fn what_is_not_built_is_named_unless_it_is_switched_off() {
    quiet("admin.enableServer=false\naudit.enable=false\n");
    warned(
        "ssl.crl=true\nnio.numWorkerThreads=4\nflushDelay=5\n",
        &[
            "zoo.cfg:3: ssl.crl=true: ignored: TLS is not built yet",
            "zoo.cfg:4: nio.numWorkerThreads=4: no effect here: \
             work is not divided among threads as in Java",
            "zoo.cfg:5: flushDelay=5: no effect here: \
             what waits while the disk syncs is the next batch",
        ],
    );
    assert_eq!(
        errors("syncLimit=x\n"),
        ["zoo.cfg:3: syncLimit=x: must be a number of ticks"]
    );
    assert_eq!(errors("intBufferStartingSizeBytes=31\n").len(), 1);
    assert_eq!(errors("electionAlg=0\n").len(), 1);
    assert_eq!(errors("peerType=voter\n").len(), 1);
    assert_eq!(errors("cnxTimeout=0x10\n").len(), 1);
    assert_eq!(errors("connection_throttle_drop_increase=much\n").len(), 1);
}

#[test]
fn the_admin_server_is_on_unless_it_is_switched_off_in_so_many_words() {
    let admin = |text: &str| {
        let (config, _) = loaded(&sources(&format!("{MINIMAL}{text}")));
        (
            config.admin_addr.map(|addr| addr.port),
            config.admin_addr_is_written,
        )
    };
    assert_eq!(admin(""), (Some(8080), false));
    assert_eq!(admin("admin.enableServer=False\n"), (Some(8080), false));
    assert_eq!(admin("admin.enableServer=false\n"), (None, false));
    assert_eq!(admin("admin.serverPort=0x2000\n"), (Some(8192), true));
    assert_eq!(admin("admin.serverAddress=::1\n"), (Some(8080), true));
    assert_eq!(admin("admin.commandURL=x\n"), (None, false));
    assert_eq!(admin("admin.forceHttps=true\n"), (None, false));
    assert_eq!(errors("admin.serverPort=65536\n").len(), 1);
    warned(
        "admin.portUnification=true\nadmin.httpVersion=11\n",
        &[
            "zoo.cfg:3: admin.portUnification=true: TLS is not built yet; the AdminServer takes HTTP alone",
            "zoo.cfg:4: admin.httpVersion=11: ignored: TLS is not built yet",
        ],
    );
}

#[test]
fn no_secret_is_in_a_message() {
    let text = "ssl.keyStore.password=s3cret\nSASLAuthenticationProvider.superPassword=s3cret\n";
    let properties = [
        ("zookeeper.ssl.keyStore.password", "s3cret"),
        (
            "zookeeper.DigestAuthenticationProvider.superDigest",
            "super:s3cret",
        ),
    ];
    let (config, warnings) = loaded(&with_properties(&format!("{MINIMAL}{text}"), &properties));
    assert!(!warnings.concat().contains("s3cret"), "{warnings:?}");
    assert!(!format!("{:?}", config.system_properties).contains("s3cret"));
    assert_eq!(config.super_digest.as_deref(), Some("super:s3cret"));
}

#[test]
fn a_star_allows_every_four_letter_word() {
    assert!(
        quiet("4lw.commands.whitelist=*\n")
            .four_letter_whitelist
            .allows("wchp")
    );
    let config = quiet("4lw.commands.whitelist= ruok , mntr,,\n");
    assert_eq!(
        config.four_letter_whitelist.iter().collect::<Vec<_>>(),
        ["mntr", "ruok", "srvr"]
    );
    let (_, warnings) = loaded(&sources(&format!(
        "{MINIMAL}4lw.commands.whitelist=ruok, mntr*\n"
    )));
    assert_eq!(
        warnings,
        ["zoo.cfg:3: 4lw.commands.whitelist=ruok, mntr*: there is no four-letter word \"mntr*\""]
    );
}

#[test]
fn handshake_tokens_are_multiplied_by_the_weight_of_a_session() {
    let config = quiet("connection_throttle_tokens=10\nconnection_throttle_weight_enabled=true\n");
    assert_eq!(
        (
            config.connection_throttle_tokens,
            config.connection_throttle_fill_count
        ),
        (30, 3)
    );
    let config = quiet("connection_throttle_tokens=10\nconnection_throttle_freeze_time=5\n");
    assert_eq!(config.connection_throttle_tokens, 10);
    assert_eq!(
        config.connection_throttle_freeze_time,
        Some(Duration::from_millis(5))
    );
}

#[test]
fn the_table_of_standalone_and_ensemble_holds() {
    let voter = |n: u32| format!("server.{n}=h{n}:2888:3888\n");
    let observer = "server.9=o:2888:3888:observer\n";
    let limits = "initLimit=5\nsyncLimit=2\n";
    let cfg = |servers: &str, standalone: bool| {
        format!("{limits}standaloneEnabled={standalone}\n{servers}")
    };
    let run =
        |servers: &str, standalone: bool| ensemble_errors(&cfg(servers, standalone), Some("1"));
    let is_ensemble = |servers: &str, standalone: bool| {
        let (config, _) = loaded(&ConfigSources {
            myid: Some(b"1".to_vec()),
            ..sources(&format!("{MINIMAL}{}", cfg(servers, standalone)))
        });
        !config.is_standalone()
    };
    assert!(!is_ensemble("", true));
    assert!(run(observer, true)[0].contains("observers need at least 2 participants"));
    assert!(run(observer, false)[0].contains("there must be a participant"));
    assert!(run("", false)[0].contains("there must be a participant"));
    assert!(!is_ensemble(&voter(1), true));
    assert!(run(&(voter(1) + observer), true)[0].contains("observers need at least 2"));
    assert!(is_ensemble(&voter(1), false));
    assert!(is_ensemble(&(voter(1) + observer), false));
    assert!(is_ensemble(&(voter(1) + &voter(2)), true));
    assert!(is_ensemble(
        &(voter(1) + &voter(2) + &voter(3) + observer),
        false
    ));
}

#[test]
fn an_ensemble_needs_its_limits_and_its_number() {
    let servers = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n";
    let errors = ensemble_errors(&format!("initLimit=0\ntickTime=2000\n{servers}"), None);
    assert_eq!(
        errors,
        [
            "zoo.cfg: syncLimit: must be at least 1 tick (tickTime is 2000 ms)",
            "zoo.cfg:1: dataDir=/d: there must be a file myid in it, with this server's number",
            "zoo.cfg:3: initLimit=0: must be at least 1 tick (tickTime is 2000 ms)",
        ]
    );
    let errors = ensemble_errors(&format!("initLimit=1\nsyncLimit=1\n{servers}"), Some("7"));
    assert_eq!(
        errors[0],
        "zoo.cfg:1: dataDir=/d: its myid is 7, but there is no server.7"
    );
}

#[test]
fn a_myid_with_a_trailing_blank_is_refused_even_where_it_is_not_needed() {
    assert_eq!(
        ensemble_errors("", Some("1 \n")),
        ["myid:1: \"1 \" is not a number"]
    );
    assert_eq!(
        ensemble_errors("", Some("")),
        ["myid:1: \"\" is not a number"]
    );
    assert!(ensemble_errors("", Some("1\n")).is_empty());
}

#[test]
fn a_malformed_server_line_is_an_error_with_its_line() {
    let table = [
        (
            "server.1=a:1:2;3;4",
            "must have the form host:port:port[:role][|...][;[host:]port]",
        ),
        (
            "server.1=a:2888:2888",
            "Client and election port must be different",
        ),
        (
            "server.1=a:1:2|b:1:2",
            "several addresses need multiAddress.enabled=true",
        ),
        ("server.x=a:1:2", "a number must follow the dot"),
    ];
    for (line, why) in table {
        assert_eq!(errors(line), [format!("zoo.cfg:3: {line}: {why}")]);
    }
}

#[test]
fn several_addresses_are_switched_on_in_the_file_or_by_a_property() {
    let line = "server.1=a:1:2|b:1:2\n";
    assert!(errors(&format!("multiAddress.enabled=true\n{line}")).is_empty());
    let cfg = format!("{MINIMAL}{line}");
    let property = with_properties(&cfg, &[("zookeeper.multiAddress.enabled", "true")]);
    assert!(errors_of(&property).is_empty());
    assert_eq!(
        errors("multiAddress.enabled=x\n"),
        ["zoo.cfg:3: multiAddress.enabled=x: must be true or false"]
    );
}

#[test]
fn the_only_server_may_give_the_client_port() {
    let own = |cfg: &str, line: &str| {
        let cfg = format!("dataDir=/d\n{cfg}server.5=h:1:2;{line}\n");
        Config::parse(&ConfigSources {
            myid: Some(b"5\n".to_vec()),
            ..sources(&cfg)
        })
    };
    let address = |host: &str, port| {
        Some(HostPort {
            host: Some(host.to_owned()),
            port,
        })
    };
    let config = own("", "2182").unwrap().config;
    assert_eq!(
        (config.client_addr, config.server_id),
        (address("0.0.0.0", 2182), 0)
    );
    let config = own("clientPort=2181\n", "10.0.0.1:2181").unwrap().config;
    assert_eq!(config.client_addr, address("10.0.0.1", 2181));
    assert!(own("clientPort=2181\n", "2182").is_err());
    let both = "clientPort=2181\nclientPortAddress=10.0.0.1\n";
    assert!(own(both, "10.0.0.2:2181").is_err());
    assert!(own(both, "10.0.0.1:2181").is_ok());
}

#[test]
fn the_dynamic_file_holds_servers_only() {
    let cfg = format!("{MINIMAL}dynamicConfigFile=/z.dynamic.1f\n");
    assert_eq!(
        Pointers::parse(cfg.as_bytes()),
        Pointers {
            dynamic_file: Some(PathBuf::from("/z.dynamic.1f")),
            data_dir: Some(PathBuf::from("/d")),
        }
    );
    let run = |cfg: &str, dynamic: Option<&str>| {
        let dynamic = dynamic.map(|text| ("/z.dynamic.1f".to_owned(), text.as_bytes().to_vec()));
        errors_of(&ConfigSources {
            dynamic,
            ..sources(cfg)
        })
    };
    assert!(run(&cfg, Some("server.1=a:1:2:participant;2181")).is_empty());
    assert_eq!(
        run(&cfg, None),
        ["zoo.cfg:3: dynamicConfigFile=/z.dynamic.1f: cannot be read"]
    );
    assert_eq!(
        run(&cfg, Some("version=1\ntickTime=5\nserver.1=a\n")),
        [
            "/z.dynamic.1f:1: version: must not be in the file; it is the end of its name",
            "/z.dynamic.1f:2: tickTime: only server.N, group.N and weight.N may be here",
            "/z.dynamic.1f:3: server.1=a: \
             must have the form host:port:port[:role][|...][;[host:]port]",
        ]
    );
    assert_eq!(
        run(&format!("{cfg}server.1=a:1:2\n"), Some("")),
        ["zoo.cfg:4: server.1: must be in the dynamic file, because there is one"]
    );
}

#[test]
fn a_malformed_escape_stops_the_start() {
    assert_eq!(
        errors("a=\\u00zz\n"),
        ["zoo.cfg:3: malformed \\u escape: four hexadecimal digits must follow"]
    );
}

#[test]
fn the_text_of_the_file_is_kept() {
    let text = format!("# kept\n{MINIMAL}");
    assert_eq!(loaded(&sources(&text)).0.zoo_cfg, text.as_bytes());
}

const EXAMPLE: &str = include_str!("../../zoo.cfg.example");

/// The example with every key uncommented: the text, and what it says to pass as `-D`.
fn uncommented_example() -> (String, Vec<(String, String)>) {
    let (mut text, mut properties) = (String::new(), Vec::new());
    for line in EXAMPLE.lines() {
        if let Some(definition) = line.strip_prefix("# -D") {
            properties.extend(super::jvm::split_property(definition));
        } else if let Some(entry) = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) {
            text += entry;
        } else if !line.starts_with('#') {
            text += line;
        }
        text.push('\n');
    }
    (text, properties)
}

#[test]
fn the_example_starts_as_it_is_without_a_warning() {
    let (config, warnings) = loaded(&sources(EXAMPLE));
    assert!(warnings.is_empty(), "{warnings:?}");
    let mut embedded = Config::embedded_default();
    embedded.zoo_cfg = EXAMPLE.into();
    embedded.cfg_name = "zoo.cfg".to_owned();
    embedded.prometheus = None;
    assert_eq!(config, embedded);
}

const PROMETHEUS: &str =
    "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n";

#[test]
fn prometheus_is_served_where_its_class_is_named() {
    assert_eq!(quiet("").prometheus, None);
    let plain = quiet(PROMETHEUS).prometheus.unwrap();
    assert_eq!(
        (plain.addr.host.as_deref(), plain.addr.port),
        (Some("0.0.0.0"), 7000)
    );
    assert!(plain.process_metrics && plain.is_asked_for);
    let keys = "metricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort=0\n\
                metricsProvider.exportJvmInfo=no\n";
    let own = quiet(&format!("{PROMETHEUS}{keys}")).prometheus.unwrap();
    assert_eq!(
        (own.addr.host.as_deref(), own.addr.port),
        (Some("127.0.0.1"), 0)
    );
    assert!(!own.process_metrics);
    for wrong in [
        "metricsProvider.className=Other\n",
        "metricsProvider.httpPort=70000\n",
    ] {
        let cfg = match wrong.contains("className") {
            true => wrong.to_owned(),
            false => format!("{PROMETHEUS}{wrong}"),
        };
        assert!(
            Config::parse(&sources(&format!("{MINIMAL}{cfg}"))).is_err(),
            "{wrong}"
        );
    }
    let (_, warnings) = loaded(&sources(&format!("{MINIMAL}{keys}")));
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn every_key_of_the_example_is_known() {
    let (text, system_properties) = uncommented_example();
    let all = ConfigSources {
        system_properties,
        ..sources(&text)
    };
    let problems = match Config::parse(&all) {
        Ok(loaded) => loaded.warnings,
        Err(invalid) => invalid.problems,
    };
    for problem in problems {
        let problem = problem.to_string();
        assert!(!problem.contains("unknown"), "{problem}");
        assert!(!problem.contains("no effect in a file"), "{problem}");
        assert!(!problem.contains("nothing reads"), "{problem}");
        assert!(!problem.contains("not a number"), "{problem}");
    }
}

#[test]
fn every_key_of_the_table_is_in_the_example_with_its_default() {
    let (text, properties) = uncommented_example();
    let raw = super::raw::RawConfig::parse(text.as_bytes());
    let file = raw
        .entries()
        .iter()
        .map(|e| (e.key.as_str(), e.value.as_str()));
    let bare = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let shown: Vec<(&str, &str)> = file.chain(bare).collect();
    for key in keys::all() {
        let mut found = shown.iter().filter(|(name, _)| key.matches(name));
        let Some((_, value)) = found.next() else {
            panic!("{} is missing", key.name)
        };
        let given = ["tickTime"].contains(&key.name) || key.default.is_empty();
        assert!(
            given || *value == key.default,
            "{}={value}: the default is {}",
            key.name,
            key.default
        );
    }
}

#[test]
fn defaults_written_out_change_nothing() {
    let written = |key: &&Key| key.support == Support::Honoured && !key.default.is_empty();
    let (mut text, mut properties) = (MINIMAL.to_owned(), Vec::new());
    for Key {
        name,
        scope,
        default,
        ..
    } in keys::all().iter().filter(written)
    {
        if *scope == Scope::Bare {
            properties.push(((*name).to_owned(), (*default).to_owned()));
        } else {
            text += &format!("{name}={default}\n");
        }
    }
    let sources = ConfigSources {
        system_properties: properties,
        ..sources(&text)
    };
    let (config, warnings) = loaded(&sources);
    assert!(warnings.is_empty(), "{warnings:?}");
    let config = Config {
        system_properties: Vec::new(),
        ..config
    };
    assert_eq!(
        config,
        Config {
            zoo_cfg: text.into(),
            admin_addr_is_written: true,
            ..quiet("")
        }
    );
}

/// A value for a key that differs from its default.
fn other_value(key: &Key) -> String {
    use super::keys::Kind::{Bool, Text};
    match (key.name, key.kind) {
        ("snapshot.compression.method", _) => "gz".to_owned(),
        ("forceSync", _) => "no".to_owned(),
        ("metricsProvider.className", _) => {
            PROMETHEUS.trim().replace("metricsProvider.className=", "")
        }
        ("metricsProvider.httpPort", _) => "7001".to_owned(),
        ("skipACL", _) => "yes".to_owned(),
        ("admin.enableServer", _) => "false".to_owned(),
        ("DigestAuthenticationProvider.digestAlg", _) => "SHA-256".to_owned(),
        ("dataDir" | "dataLogDir", _) => "/other".to_owned(),
        ("maxSessionTimeout", _) => "50000".to_owned(),
        (_, Bool) => (key.default != "true").to_string(),
        (_, Text) => "other".to_owned(),
        _ => "4097".to_owned(),
    }
}

#[test]
fn every_honoured_key_changes_the_configuration() {
    for key in keys::all()
        .iter()
        .filter(|key| key.support == Support::Honoured)
    {
        let value = other_value(key);
        // What gives the key something to say.
        let before = match key.name {
            "metricsProvider.exportJvmInfo" => PROMETHEUS,
            name if name.starts_with("metricsProvider.http") => PROMETHEUS,
            "log.dir" => "auditlog.file=a.log\n",
            _ => "",
        };
        let plain = quiet(before);
        let sources = match key.scope {
            Scope::Bare => with_properties(MINIMAL, &[(key.name, &value)]),
            _ => sources(&format!("{MINIMAL}{before}{}={value}\n", key.name)),
        };
        let parsed = Config::parse(&sources).map(|loaded| loaded.config);
        let mut config = parsed.unwrap_or_else(|invalid| panic!("{}: {invalid}", key.name));
        config.zoo_cfg = plain.zoo_cfg.clone();
        config.system_properties = Vec::new();
        assert!(config != plain, "{}={value} changes nothing", key.name);
    }
}

#[test]
fn every_key_is_honoured_or_named() {
    let silent: BTreeSet<&str> = keys::all()
        .iter()
        .filter(|key| matches!(key.support, Support::NotYet(_) | Support::NoEffect(_)))
        .filter(|key| {
            let name = key.name.replace('*', "1");
            let value = match key.kind {
                keys::Kind::Bool => "true",
                keys::Kind::Text => "x",
                _ => "4097",
            };
            let sources = match key.scope {
                Scope::Bare => with_properties(MINIMAL, &[(&name, value)]),
                _ => sources(&format!("{MINIMAL}{name}={value}\n")),
            };
            match Config::parse(&sources) {
                Ok(loaded) => !loaded
                    .warnings
                    .iter()
                    .any(|w| w.to_string().contains(&name)),
                Err(_) => false,
            }
        })
        .map(|key| key.name)
        .collect();
    assert_eq!(silent, BTreeSet::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_parsed_without_a_panic(cfg in proptest::collection::vec(any::<u8>(), 0..300)) {
        let dynamic = Some(("d.1".to_owned(), cfg.clone()));
        let _ = Pointers::parse(&cfg);
        let myid = Some(cfg.clone());
        let _ = Config::parse(&ConfigSources { dynamic, myid, cfg, ..sources("") });
    }

    #[test]
    fn any_value_of_any_key_is_parsed_without_a_panic(
        picks in proptest::collection::vec(
            (0..1000_usize, "[-0-9a-z:;.|\\[\\]#=\\\\]{0,12}"),
            0..20,
        )
    ) {
        let line = |(pick, value): &(usize, String)| {
            let key = &keys::all()[pick % keys::all().len()];
            (key.name.replace('N', "1"), value.clone())
        };
        let entries: Vec<(String, String)> = picks.iter().map(line).collect();
        let text: String = entries.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let prefixed = entries.iter().map(|(key, value)| (format!("zookeeper.{key}"), value));
        let system_properties = prefixed.map(|(name, value)| (name, value.clone())).collect();
        let _ = Config::parse(&ConfigSources { system_properties, ..sources(&text) });
    }
}
