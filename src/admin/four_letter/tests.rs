//! What a server says in each role. The texts are those of Java 3.9.5 servers, but for the version.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::admin::tests::server;
use crate::base::Mono;
use crate::base::{Epoch, ServerId, WallMs};
use crate::replica::status::{EnsembleStatus, LearnerCounts};
use crate::runtime::clock::Clock;
use crate::tree::Tree;
use crate::zab::io::{Place, Role};
use jute::txn::{CreateTxn, Txn, TxnHeader};

const FOUR: &str = "4lw.commands.whitelist=*\ndataDir=/d\nclientPort=60405\ntickTime=500\nmaxClientCnxns=0\n\
                    initLimit=20\nsyncLimit=6\nmaxSessionTimeout=120000\n\
                    server.1=127.0.0.1:60457:57273\nserver.2=127.0.0.1:57169:57977\n\
                    server.3=127.0.0.1:33551:50137\nserver.4=127.0.0.1:39163:49017:observer\n";

fn ask(admin: &Admin, word: &[u8; 4]) -> String {
    let remote = "127.0.0.1:37868".parse().unwrap();
    let conn = Conn::new(0, remote, Arc::from([]), WallMs(0));
    let text = answer(admin, *word, &[], &conn).unwrap();
    text.replace(&version(), "VERSION")
}

/// Server `myid` of the four in this role.
fn serving(myid: &str, role: Role) -> Admin {
    let admin = server(FOUR, myid);
    admin.counters.publish(EnsembleStatus {
        role: Some(role),
        place: Place::Broadcast(role),
        leader: Some(ServerId(3)),
        epoch: Epoch(1),
        since: Clock.mono(),
        ..EnsembleStatus::default()
    });
    admin
}

/// Keys and values of `mntr`.
fn monitored(admin: &Admin) -> Vec<(String, String)> {
    let text = ask(admin, b"mntr");
    let pairs = text.lines().map(|line| line.split_once('\t').unwrap());
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn means_print_as_javas_doubles() {
    assert_eq!(java_double(rounded(0.0)), "0.0");
    assert_eq!(java_double(rounded(3.628_24)), "3.6282");
    assert_eq!(java_double(rounded(2.0)), "2.0");
}

#[test]
fn words_are_told_from_frame_lengths() {
    assert!(is_word(*b"ruok"));
    assert!(!is_word([0, 0, 0, 45]));
    assert!(!is_word(*b"RUOK"));
}

#[test]
fn a_member_without_a_leader_says_that_it_does_not_serve() {
    let looking = server(FOUR, "3");
    let not_serving = "This ZooKeeper instance is not currently serving requests";
    for word in [
        b"srvr", b"stat", b"cons", b"conf", b"mntr", b"srst", b"crst", b"dirs", b"dump", b"wchs",
        b"wchc", b"wchp",
    ] {
        assert_eq!(ask(&looking, word), format!("{not_serving}\n"), "{word:?}");
    }
    assert_eq!(ask(&looking, b"hash"), not_serving);
    assert_eq!(ask(&looking, b"isro"), "null");
    assert_eq!(ask(&looking, b"ruok"), "imok");
    assert!(!ask(&looking, b"envi").contains(not_serving));
}

#[test]
fn a_server_that_stands_alone_serves_whatever_the_ensemble() {
    let alone = server("4lw.commands.whitelist=*\ndataDir=/d\n", "3");
    assert_eq!(ask(&alone, b"isro"), "rw");
    assert!(ask(&alone, b"srvr").ends_with("Mode: standalone\nNode count: 5\n"));
    assert!(ask(&alone, b"conf").ends_with("serverId=0\n"));
    assert!(!ask(&alone, b"mntr").contains("peer_state"));
}

#[test]
fn srvr_names_the_role_and_a_leader_the_sizes_of_its_proposals() {
    let srvr = |mode: &str| {
        format!(
            "Zookeeper version: VERSION\nLatency min/avg/max: 0/0.0/0\nReceived: 0\nSent: 0\n\
             Connections: 0\nOutstanding: 0\nZxid: 0x0\nMode: {mode}\nNode count: 5\n"
        )
    };
    let leader = serving("3", Role::Leading);
    let before = srvr("leader") + "Proposal sizes last/min/max: -1/-1/-1\n";
    assert_eq!(ask(&leader, b"srvr"), before);
    assert_eq!(
        ask(&leader, b"stat"),
        before.replace("Latency", "Clients:\n\nLatency")
    );
    for bytes in [48, 36, 90] {
        leader.counters.metrics.stats.proposal_size.record(bytes);
    }
    assert!(ask(&leader, b"srvr").ends_with("\nProposal sizes last/min/max: 90/36/90\n"));
    assert_eq!(
        ask(&serving("1", Role::Following), b"srvr"),
        srvr("follower")
    );
    assert_eq!(
        ask(&serving("4", Role::Observing), b"srvr"),
        srvr("observer")
    );
}

#[test]
fn conf_of_a_member_ends_with_its_ensemble() {
    let common = "clientPort=60405\nsecureClientPort=-1\ndataDir=/d/version-2\ndataDirSize=0\n\
                  dataLogDir=/d/version-2\ndataLogSize=0\ntickTime=500\nmaxClientCnxns=0\n\
                  minSessionTimeout=1000\nmaxSessionTimeout=120000\nclientPortListenBacklog=-1\n";
    let limits = "initLimit=20\nsyncLimit=6\nelectionAlg=3\n";
    let ensemble = "membership: \nserver.1=127.0.0.1:60457:57273:participant\n\
                    server.2=127.0.0.1:57169:57977:participant\n\
                    server.3=127.0.0.1:33551:50137:participant\n\
                    server.4=127.0.0.1:39163:49017:observer\nversion=0";
    assert_eq!(
        ask(&serving("3", Role::Leading), b"conf"),
        format!(
            "{common}serverId=3\n{limits}electionPort=50137\nquorumPort=33551\npeerType=0\n{ensemble}"
        )
    );
    assert_eq!(
        ask(&serving("4", Role::Observing), b"conf"),
        format!(
            "{common}serverId=4\n{limits}electionPort=49017\nquorumPort=39163\npeerType=1\n{ensemble}"
        )
    );
    let several = FOUR.replace("33551:50137", "33551:50137|127.0.0.2:33552:50137");
    let several = server(&(several + "multiAddress.enabled=true\n"), "3");
    several.counters.publish(EnsembleStatus {
        role: Some(Role::Following),
        ..EnsembleStatus::default()
    });
    let conf = ask(&several, b"conf");
    assert!(conf.contains("\nelectionPort=50137\nquorumPort=33551|33552\n"));
}

#[test]
fn mntr_of_a_leader_counts_its_learners() {
    let leader = serving("3", Role::Leading);
    leader.counters.publish(EnsembleStatus {
        learners: LearnerCounts {
            connected: 4,
            followers: 3,
            non_voting_followers: 1,
            observers: 1,
        },
        pending_syncs: 2,
        ..leader.counters.ensemble()
    });
    let values = monitored(&leader);
    let opening = [
        ("zk_version", "VERSION"),
        ("zk_server_state", "leader"),
        ("zk_peer_state", "leading - broadcast"),
    ];
    for ((key, value), expected) in values.iter().zip(opening) {
        assert_eq!((key.as_str(), value.as_str()), expected);
    }
    for (key, expected) in [
        ("learners", "4"),
        ("synced_followers", "3"),
        ("synced_non_voting_followers", "1"),
        ("synced_observers", "1"),
        ("pending_syncs", "2"),
        ("last_proposal_size", "-1"),
        ("max_proposal_size", "-1"),
        ("min_proposal_size", "-1"),
        ("quorum_size", "3"),
    ] {
        let key = format!("zk_{key}");
        let value = values.iter().find(|(name, _)| *name == key);
        assert_eq!(
            value.map(|(_, value)| value.as_str()),
            Some(expected),
            "{key}"
        );
    }
}

#[test]
fn mntr_of_a_learner_says_what_it_is_and_counts_nobody() {
    let told = |values: &[(String, String)], key: &str| {
        let found = values.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.clone())
    };
    let follower = monitored(&serving("1", Role::Following));
    let state = "following - broadcast";
    assert_eq!(told(&follower, "zk_peer_state").as_deref(), Some(state));
    assert_eq!(told(&follower, "zk_observer_master_id"), None);
    assert_eq!(told(&follower, "zk_synced_followers"), None);
    assert_eq!(told(&follower, "zk_synced_observers"), None);
    let observer = monitored(&serving("4", Role::Observing));
    let state = "observing - broadcast";
    assert_eq!(told(&observer, "zk_peer_state").as_deref(), Some(state));
    assert_eq!(
        told(&observer, "zk_observer_master_id").as_deref(),
        Some("3")
    );
    assert_eq!(told(&observer, "zk_leader_uptime"), None);
}

#[test]
fn uptime_of_a_member_is_that_of_its_role() {
    let admin = server(FOUR, "3");
    admin.counters.publish(EnsembleStatus {
        role: Some(Role::Leading),
        since: Mono(Clock.mono().0 - 60_000),
        ..EnsembleStatus::default()
    });
    let values = monitored(&admin);
    for key in ["zk_uptime", "zk_leader_uptime"] {
        let (_, value) = values.iter().find(|(name, _)| name == key).unwrap();
        let uptime = Duration::from_millis(value.parse().unwrap());
        assert!(uptime >= Duration::from_secs(60), "{key}\t{value}");
    }
}

#[test]
fn a_leader_that_leaves_clients_to_others_does_not_serve() {
    let admin = server(&format!("{FOUR}leaderServes=no\n"), "3");
    let publish = |role| {
        admin.counters.publish(EnsembleStatus {
            role: Some(role),
            ..EnsembleStatus::default()
        });
    };
    publish(Role::Leading);
    assert_eq!(ask(&admin, b"isro"), "null");
    publish(Role::Following);
    assert_eq!(ask(&admin, b"isro"), "rw");
}

#[test]
fn hash_shows_the_digest_of_every_128th_transaction() {
    let admin = serving("1", Role::Following);
    assert_eq!(ask(&admin, b"hash"), "");
    for zxid in (1 << 32) + 1..=(1 << 32) + 300 {
        let header = TxnHeader {
            zxid,
            ..TxnHeader::default()
        };
        let txn = Txn::Create(CreateTxn {
            path: Some(format!("/{zxid}").as_str().into()),
            ..CreateTxn::default()
        });
        admin.gate.write().apply(&header, &txn, &mut Vec::new());
    }
    let told = ask(&admin, b"hash");
    let lines: Vec<_> = told.lines().map(|line| line.split_once(": ")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].unwrap().0, "100000080");
    let digest = admin.gate.read(Tree::digest);
    assert_ne!(lines[1], Some(("100000100", digest.to_string().as_str())));
}
