//! Whole configurations of members of ensembles: as people write them, and what becomes of each key.

use std::time::Duration;

use super::ensemble::{HostPort, Role};
use super::keys::{self, Kind, Scope, Support};
use super::member::Membership;
use super::server::{Config, ConfigSources};
use super::tests::{errors_of, loaded, sources, with_properties};
use crate::base::ServerId;

const THREE: &str = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/d\nclientPort=2181\n\
                     server.1=zk1:2888:3888\nserver.2=zk2:2888:3888\nserver.3=zk3:2888:3888\n";

fn member(cfg: &str, myid: &str) -> ConfigSources {
    ConfigSources {
        myid: Some(myid.into()),
        ..sources(cfg)
    }
}

/// What `cfg` makes of server 2 of it, and the warnings.
fn membership(cfg: &str) -> (Membership, Vec<String>) {
    let (config, warnings) = loaded(&member(cfg, "2\n"));
    (config.member.unwrap(), warnings)
}

/// The warnings of three servers with these lines more, of which this is one that votes.
fn warnings(more: &str) -> Vec<String> {
    membership(&format!("{THREE}{more}")).1
}

fn errors(more: &str) -> Vec<String> {
    errors_of(&member(&format!("{THREE}{more}"), "2\n"))
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[test]
fn the_ensemble_of_the_manual_starts_without_a_word() {
    let (config, warnings) = loaded(&member(THREE, "2"));
    assert_eq!(warnings, [""; 0]);
    assert!(!config.is_standalone());
    assert_eq!(config.server_id, 2);
    assert_eq!(
        config.client_addr,
        Some(HostPort {
            host: None,
            port: 2181
        })
    );
    let own = config.member.unwrap();
    assert_eq!((own.id, own.role), (ServerId(2), Role::Participant));
    assert_eq!(
        (own.init_limit, own.sync_limit, own.connect_limit),
        (10, 5, 10)
    );
    assert_eq!(
        own.ensemble.text(),
        "server.1=zk1:2888:3888:participant\nserver.2=zk2:2888:3888:participant\n\
         server.3=zk3:2888:3888:participant\nversion=0"
    );
}

#[test]
fn defaults_of_a_member_are_those_of_java_but_for_patience() {
    let (own, _) = membership(THREE);
    assert!(own.leader_serves && !own.listen_on_all_ips && !own.multi_address);
    assert!(!own.tcp_keep_alive && !own.force_snapshot_sync);
    assert_eq!(
        (own.min_notification_interval, own.max_notification_interval),
        (ms(200), ms(2_000))
    );
    assert_eq!(
        (own.cnx_timeout, own.cnx_handshake_timeout),
        (ms(5000), ms(10_000))
    );
    assert_eq!(
        (own.bind_attempts, own.leader_connect_delay),
        (Some(3), ms(100))
    );
    assert_eq!((own.max_wait_for_epoch, own.commit_log_count), (None, 500));
    assert_eq!(own.snapshot_size_factor, Some(0.33));
    assert_eq!((own.max_snap_syncs, own.max_diff_syncs), (10, 100));
    assert_eq!(
        (own.observer_reconnect_delay, own.observer_election_delay),
        (ms(0), ms(200))
    );
}

#[test]
fn limits_are_taken_as_java_takes_them() {
    let (own, warnings) = membership(&format!(
        "{THREE}connectToLearnerMasterLimit=3\nleaderServes=no\nelectionPortBindRetry=0\nquorumCnxnTimeoutMs=70\n\
         leader.maxTimeToWaitForEpoch=0\nsnapshotSizeFactor=-1\n"
    ));
    assert_eq!(warnings, [""; 0]);
    assert_eq!(
        (own.connect_limit, own.leader_serves, own.bind_attempts),
        (3, false, None)
    );
    assert_eq!(
        (own.cnx_handshake_timeout, own.max_wait_for_epoch),
        (ms(70), Some(ms(0)))
    );
    assert_eq!(own.snapshot_size_factor, None);
    let (own, warnings) = membership(&format!(
        "{THREE}commitLogCount=100\nsnapshotSizeFactor=2\nelectionPortBindRetry=-1\ncnxTimeout=0\nleaderServes=false\n"
    ));
    assert_eq!(
        warnings,
        [
            "zoo.cfg:9: commitLogCount=100: too few, 500 are kept",
            "zoo.cfg:10: snapshotSizeFactor=2: more than 1, 0.33 is used",
            "zoo.cfg:11: electionPortBindRetry=-1: less than 0, 3 is used",
            "zoo.cfg:12: cnxTimeout=0: less than 1 ms, 5000 ms are used",
        ]
    );
    assert!(own.leader_serves, "only `no` is no");
    assert_eq!(
        (own.commit_log_count, own.snapshot_size_factor),
        (500, Some(0.33))
    );
    assert_eq!((own.bind_attempts, own.cnx_timeout), (Some(3), ms(5000)));
    let text = "snapshotSizeFactor=a third: not a number, 0.33 is used, as in Java";
    assert_eq!(
        warnings_of_line("snapshotSizeFactor=a third"),
        [format!("zoo.cfg:9: {text}")]
    );
}

fn warnings_of_line(line: &str) -> Vec<String> {
    warnings(&format!("{line}\n"))
}

#[test]
fn values_with_which_a_java_server_fails_stop_the_start() {
    let table = [
        ("electionAlg=1", "must be 3, the only one there is"),
        ("peerType=learner", "must be participant or observer"),
        ("cnxTimeout=5s", "must be a number of ms"),
        ("initLimit=0x10", "must be a number of ticks"),
        ("quorumListenOnAllIPs=yes", "must be true or false"),
        (
            "leader.maxConcurrentSnapSyncs=0",
            "must be at least 1, or this server could not lead",
        ),
        (
            "leader.maxConcurrentDiffSyncs=-5",
            "must be at least 1, or this server could not lead",
        ),
    ];
    for (line, why) in table {
        assert!(
            errors(line).contains(&format!("zoo.cfg:9: {line}: {why}")),
            "{line}: {:?}",
            errors(line)
        );
    }
    let ttl = THREE.replace("server.2", "server.255") + "extendedTypesEnabled=true\n";
    assert_eq!(
        errors_of(&member(&ttl, "255")),
        [
            "zoo.cfg:4: dataDir=/d: its myid is 255; with extendedTypesEnabled it must be at most 254"
        ]
    );
}

#[test]
fn what_is_not_done_here_and_does_no_harm_is_a_warning() {
    let table = [
        (
            "localSessionsEnabled=true",
            "local sessions are not built yet, every session is global",
        ),
        (
            "observerMasterPort=2191",
            "observer masters are not built yet; the port is not opened",
        ),
        (
            "reconfigEnabled=true",
            "reconfiguration is not built yet and is refused, as with false",
        ),
        (
            "portUnification=true",
            "TLS between servers is not built yet",
        ),
        (
            "multiAddress.reachabilityCheckEnabled=true",
            "no effect here: nobody is pinged",
        ),
        (
            "multiAddress.reachabilityCheckTimeoutMs=500",
            "no effect here: nobody is pinged",
        ),
    ];
    for (line, why) in table {
        let warnings = warnings_of_line(line);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with(&format!("zoo.cfg:9: {line}: {why}")),
            "{warnings:?}"
        );
        let alone = loaded(&sources(&format!("dataDir=/d\nclientPort=2181\n{line}\n")));
        assert_eq!(
            alone.1, [""; 0],
            "a server on its own has no use for {line}"
        );
    }
    let properties = [("readonlymode.enabled", "true")];
    let read_only = ConfigSources {
        myid: Some(b"2".to_vec()),
        ..with_properties(THREE, &properties)
    };
    assert_eq!(
        loaded(&read_only).1,
        [
            "-Dreadonlymode.enabled=true: read-only mode is not built yet; without a quorum this server serves nobody"
        ]
    );
    let (config, _) = loaded(&member(&format!("{THREE}reconfigEnabled=true\n"), "2"));
    assert!(!config.reconfig_enabled);
}

#[test]
fn what_would_change_who_decides_or_who_gets_in_stops_the_start() {
    let table = [
        "group.1=1:2:3",
        "weight.2=0",
        "oraclePath=/oracle",
        "sslQuorum=true",
        "quorum.auth.enableSasl=true",
    ];
    for line in table {
        let errors = errors(line);
        let about = |error: &&String| {
            error.starts_with(&format!("zoo.cfg:9: {}", line.split('=').next().unwrap()))
        };
        let error = errors.iter().find(about).unwrap();
        assert!(
            error.contains("not built yet") && error.contains("; "),
            "says what to do: {error}"
        );
    }
}

#[test]
fn an_observer_keeps_its_log_whatever_it_is_told() {
    let four = format!("{THREE}server.4=zk4:2888:3888:observer\n");
    let observer = |more: &str| {
        let (config, warnings) = loaded(&member(&format!("{four}peerType=observer\n{more}"), "4"));
        (config.member.unwrap().role, warnings)
    };
    assert_eq!(observer(""), (Role::Observer, Vec::new()));
    let ignored = "ignored: this observer logs what it learns";
    assert_eq!(
        observer("syncEnabled=false\n").1,
        [format!("zoo.cfg:11: syncEnabled=false: {ignored}")]
    );
    assert_eq!(
        observer("observer.syncEnabled=false\n").1,
        [format!("zoo.cfg:11: observer.syncEnabled=false: {ignored}")]
    );
    assert_eq!(
        observer("syncEnabled=false\nobserver.syncEnabled=true\n").1,
        [""; 0]
    );
    assert_eq!(
        warnings("syncEnabled=false\n"),
        [""; 0],
        "a voter always logs"
    );
}

#[test]
fn the_line_of_a_server_says_what_it_is() {
    let observer = format!("{THREE}server.4=zk4:2888:3888:observer\n");
    let (config, warnings) = loaded(&member(&observer, "4"));
    assert_eq!(config.member.unwrap().role, Role::Observer);
    assert_eq!(
        warnings,
        ["zoo.cfg: peerType: server.4 says otherwise, and wins"]
    );
}

#[test]
fn requests_in_work_are_shared_among_those_that_vote() {
    let limit = |cfg: &str, myid: &str| loaded(&member(cfg, myid)).0.outstanding_limit();
    assert_eq!(limit(THREE, "1"), 500);
    let five = format!("{THREE}server.4=d:1:2\nserver.5=e:1:2\nserver.6=f:1:2:observer\n");
    assert_eq!((limit(&five, "5"), limit(&five, "6")), (250, 1000));
    assert_eq!(Config::embedded_default().outstanding_limit(), 1000);
}

fn dynamic(name: &str, text: &str, next: Option<&str>) -> ConfigSources {
    let cfg =
        format!("tickTime=2000\ndataDir=/d\ninitLimit=5\nsyncLimit=2\ndynamicConfigFile={name}\n");
    ConfigSources {
        dynamic: Some((name.to_owned(), text.into())),
        next_dynamic: next.map(|text| ("zoo.cfg.dynamic.next".to_owned(), text.into())),
        ..member(&cfg, "2")
    }
}

const DYNAMIC: &str = "server.1=10.0.0.1:2888:3888:participant;0.0.0.0:2181\n\
                       server.2=10.0.0.2:2888:3888:participant;10.0.0.2:2181\n\
                       server.3=10.0.0.3:2888:3888:participant;0.0.0.0:2181\n\
                       server.4=10.0.0.4:2888:3888:observer;0.0.0.0:2181";

#[test]
fn a_dynamic_file_gives_servers_client_ports_and_the_version() {
    let (config, warnings) = loaded(&dynamic("/conf/zoo.cfg.dynamic.10000000f", DYNAMIC, None));
    assert_eq!(warnings, [""; 0]);
    let client = HostPort {
        host: Some("10.0.0.2".to_owned()),
        port: 2181,
    };
    assert_eq!(config.client_addr, Some(client));
    let own = config.member.unwrap();
    assert_eq!(own.ensemble.version, 0x1_0000_000f);
    assert_eq!(own.ensemble.text(), format!("{DYNAMIC}\nversion=10000000f"));
    let (config, _) = loaded(&dynamic("zoo.cfg.dynamic", DYNAMIC, None));
    assert!(
        config
            .member
            .unwrap()
            .ensemble
            .text()
            .ends_with("\nversion=0")
    );
}

#[test]
fn a_reconfiguration_that_is_not_complete_stops_the_start() {
    let name = "zoo.cfg.dynamic.100000001";
    let next = |version: &str| format!("{DYNAMIC}\nversion={version}\n");
    assert_eq!(
        errors_of(&dynamic(name, DYNAMIC, Some(&next("100000007")))),
        [
            "zoo.cfg.dynamic.next:5: version=100000007: a reconfiguration was proposed and is not complete, and this \
             server cannot take part in it; let Java servers complete it, or remove the file if it was given up \
             everywhere"
        ]
    );
    let (_, warnings) = loaded(&dynamic(name, DYNAMIC, Some(&next("100000001"))));
    assert_eq!(
        warnings,
        [
            "zoo.cfg.dynamic.next:5: no effect: the configuration in force is not older; the file can be removed"
        ]
    );
}

#[test]
fn groups_in_a_dynamic_file_stop_the_start_with_their_lines() {
    let text = format!("{DYNAMIC}\ngroup.1=1:2:3\n");
    assert_eq!(
        errors_of(&dynamic("d.1", &text, None)),
        [
            "d.1:5: group.1: hierarchical quorums are not built yet, and they change what a quorum is; \
             remove groups and weights on every server"
        ]
    );
}

/// Files as they are found in the world. Each with the number of the server, and how many warnings it gets.
const REAL: [(&str, &str, &str, usize); 7] = [
    (
        "the image of Docker Hub",
        "dataDir=/data\ndataLogDir=/datalog\ntickTime=2000\ninitLimit=5\nsyncLimit=2\nautopurge.snapRetainCount=3\n\
         autopurge.purgeInterval=0\nmaxClientCnxns=60\nstandaloneEnabled=true\nadmin.enableServer=true\n\
         server.1=zoo1:2888:3888;2181\nserver.2=zoo2:2888:3888;2181\nserver.3=zoo3:2888:3888;2181\n",
        "3",
        0,
    ),
    (
        "a stateful set of Kubernetes",
        "clientPort=2181\ndataDir=/var/lib/zookeeper/data\ndataLogDir=/var/lib/zookeeper/log\ntickTime=2000\n\
         initLimit=10\nsyncLimit=5\nmaxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n\
         autopurge.snapRetainCount=3\nautopurge.purgeInterval=12\n\
         server.1=zk-0.zk-hs.default.svc.cluster.local:2888:3888\n\
         server.2=zk-1.zk-hs.default.svc.cluster.local:2888:3888\n\
         server.3=zk-2.zk-hs.default.svc.cluster.local:2888:3888\n",
        "1",
        0,
    ),
    (
        "a chart for Kubernetes that follows names",
        "4lw.commands.whitelist=srvr, mntr, ruok\nautopurge.purgeInterval=1\nautopurge.snapRetainCount=3\n\
         clientPort=2181\ndataDir=/bitnami/zookeeper/data\ninitLimit=10\nmaxClientCnxns=60\nmaxCnxns=0\n\
         preAllocSize=65536\nquorumListenOnAllIPs=true\nsnapCount=100000\nsyncLimit=5\ntickTime=2000\n\
         server.1=z-0.z-headless:2888:3888;2181\nserver.2=z-1.z-headless:2888:3888;2181\n\
         server.3=z-2.z-headless:2888:3888;2181\n",
        "2",
        0,
    ),
    (
        "one machine, three servers",
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/tmp/zk2\nclientPort=2182\n\
         server.1=localhost:2888:3888\nserver.2=localhost:2889:3889\nserver.3=localhost:2890:3890\n",
        "2",
        0,
    ),
    (
        "five voters and two observers in another place",
        "tickTime=2000\ninitLimit=30\nsyncLimit=15\ndataDir=/zk\nclientPort=2181\npeerType=observer\n\
         server.1=a1:2888:3888\nserver.2=a2:2888:3888\nserver.3=b1:2888:3888\nserver.4=b2:2888:3888\n\
         server.5=c1:2888:3888\nserver.11=d1:2888:3888:observer\nserver.12=d2:2888:3888:observer\n",
        "12",
        0,
    ),
    (
        "addresses of IPv6",
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/zk\nclientPort=2181\n\
         server.1=[2001:db8::1]:2888:3888\nserver.2=[2001:db8::2]:2888:3888\nserver.3=[2001:db8::3]:2888:3888\n",
        "1",
        0,
    ),
    (
        "numbers of servers made of addresses, and two voters",
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/zk\nclientPort=2181\n\
         server.167772161=10.0.0.1:2888:3888\nserver.167772162=10.0.0.2:2888:3888\n",
        "167772162",
        1,
    ),
];

#[test]
fn files_of_the_real_world_make_members() {
    for (whose, cfg, myid, expected) in REAL {
        let (config, warnings) = loaded(&member(cfg, myid));
        assert_eq!(warnings.len(), expected, "{whose}: {warnings:?}");
        let own = config.member.unwrap();
        assert_eq!(own.id.to_string(), myid, "{whose}");
        assert_eq!(
            own.role == Role::Observer,
            cfg.contains("peerType=observer"),
            "{whose}"
        );
        assert!(config.client_addr.is_some(), "{whose}");
    }
}

/// Keys for ensembles that change nothing in a member: they only concern how Java does its work, its tests, or what
/// is not built yet.
const WITHOUT_EFFECT: [&str; 27] = [
    "electionAlg",
    "peerType",
    "syncEnabled",
    "observerMasterPort",
    "localSessionsEnabled",
    "localSessionsUpgradingEnabled",
    "quorum.cnxn.threads.size",
    "portUnification",
    "sslQuorumReloadCertFiles",
    "leader.nodelay",
    "follower.nodelay",
    "leader.ackLoggingFrequency",
    "leader.closeSocketAsync",
    "learner.closeSocketAsync",
    "learner.asyncSending",
    "observer.syncEnabled",
    "observerMaster.sizeLimit",
    "forward_learner_requests_to_commit_processor_disabled",
    "follower.skipLearnerRequestToNextProcessor",
    "testingonly.initialZxid",
    "test.allowDiscontinuousProposals",
    "kerberos.canonicalizeHostNames",
    "enableEagerACLCheck",
    "standaloneEnabled",
    "oraclePath",
    "multiAddress.reachabilityCheckEnabled",
    "multiAddress.reachabilityCheckTimeoutMs",
];

#[test]
fn every_key_for_ensembles_changes_a_member_or_is_listed() {
    let plain = loaded(&member(THREE, "2")).0;
    for key in keys::all()
        .iter()
        .filter(|key| key.support == Support::Ensemble)
    {
        let listed = WITHOUT_EFFECT.contains(&key.name) || key.name.starts_with("quorum.auth.");
        let value = match (key.name, key.kind) {
            _ if key.is_family() => continue,
            ("dynamicConfigFile" | "sslQuorum", _) => continue,
            ("version", _) => "7".to_owned(),
            ("leaderServes", _) => "no".to_owned(),
            ("snapshotSizeFactor", _) => "0.5".to_owned(),
            ("electionAlg", _) => "3".to_owned(),
            ("peerType", _) => "observer".to_owned(),
            (_, Kind::Bool) => (key.default != "true").to_string(),
            (_, Kind::Text) => "other".to_owned(),
            _ => "4097".to_owned(),
        };
        let sources = match key.scope {
            Scope::Bare => ConfigSources {
                myid: Some(b"2".to_vec()),
                ..with_properties(THREE, &[(key.name, &value)])
            },
            _ => {
                let cfg = match key.name {
                    "initLimit" | "syncLimit" => THREE.replace(key.name, "my.own"),
                    _ => THREE.to_owned(),
                };
                member(&format!("{cfg}{}={value}\n", key.name), "2")
            }
        };
        let Ok(parsed) = Config::parse(&sources) else {
            assert!(listed, "{}={value} stops the start", key.name);
            continue;
        };
        let mut member = parsed.config.member.unwrap();
        // How many keys there are counts for the order in which servers are printed.
        member.ensemble = {
            let version = member.ensemble.version;
            let mut same = plain.member.clone().unwrap().ensemble;
            same.version = version;
            same
        };
        assert_eq!(Some(member) == plain.member, listed, "{}={value}", key.name);
    }
}
