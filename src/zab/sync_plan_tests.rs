//! Examples from a table, and random ensembles whose learners must end up with their leader's history.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::base::Epoch;
use crate::zab::history::{HistoryLimits, Logged};

const WIDE: HistoryLimits = HistoryLimits {
    count: 1000,
    bytes: 1000,
};

fn logged(zxid: Zxid) -> Logged {
    Logged {
        zxid,
        txn: Bytes::from_static(b"x"),
    }
}

/// `<epoch>:<counter>`
fn position(word: &str) -> Zxid {
    let (epoch, counter) = word.split_once(':').unwrap();
    let epoch = Epoch(epoch.parse().unwrap());
    Zxid(Zxid::first_of(epoch).0 + counter.parse::<i64>().unwrap())
}

fn word(zxid: Zxid) -> String {
    format!("{}:{}", zxid.epoch().0, zxid.counter())
}

fn printed(plan: SyncPlan) -> String {
    let source = match plan.source {
        Source::Memory => "",
        Source::LogThenMemory => " from log",
    };
    let opening = match plan.opening {
        Opening::Diff(upto) => format!("DIFF {}", word(upto)),
        Opening::Trunc(to) => format!("TRUNC {}", word(to)),
        Opening::Snap => "SNAP".to_owned(),
    };
    format!("{opening} then after {}{source}", word(plan.resume_after))
}

#[test]
fn the_table_of_plans_holds() {
    let mut leader = None;
    let mut rows = 0;
    for line in include_str!("testdata/sync_plan.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        if let Some(words) = line.strip_prefix("leader ") {
            let (words, current) = words.split_once(" at ").unwrap();
            let (base, entries) = words.split_once(" |").unwrap();
            let mut history = History::after(position(base), WIDE);
            for entry in entries.split_whitespace() {
                history.push(logged(position(entry)));
            }
            assert_eq!(history.base(), position(base), "{line}: has a hole");
            leader = Some((history, position(current)));
        } else if let Some((question, answer)) = line.split_once(" -> ") {
            let (history, current): &(History, Zxid) = leader.as_ref().unwrap();
            let mut words = question.split_whitespace();
            let learner = position(words.next().unwrap());
            let log = words.next().map(|_| LogReach {
                whole_after: position(words.next().unwrap()),
                holds_learner: words.next() == Some("holds"),
            });
            let plan = SyncPlan::choose(learner, *current, history, log);
            assert_eq!(printed(plan), answer, "{line} of {history:?}");
            rows += 1;
        }
    }
    assert!(rows > 25, "{rows} rows");
}

/// A server of the model: its log and its current epoch.
#[derive(Clone, Debug, Default)]
struct Server {
    log: Vec<Zxid>,
    epoch: i64,
    /// It synchronized in `epoch`, heard that a quorum had, and logged nothing since.
    at_marker: bool,
}

impl Server {
    fn last(&self) -> Zxid {
        self.log.last().copied().unwrap_or_default()
    }

    /// What makes one server a better leader than another.
    fn summary(&self) -> (i64, Zxid) {
        (self.epoch, self.last())
    }

    /// What it reports when it registers.
    fn reported(&self, may_report_marker: bool) -> Zxid {
        match self.at_marker && may_report_marker {
            true => Zxid::first_of(Epoch(self.epoch)),
            false => self.last(),
        }
    }
}

/// One leadership: who can talk to whom, who synchronizes, and how much of what is proposed reaches each log.
#[derive(Clone, Debug)]
struct Reign {
    quorum: Vec<usize>,
    synced: usize,
    proposals: i64,
    logged: Vec<i64>,
}

const SERVERS: usize = 5;
const QUORUM: usize = 3;

fn reigns() -> impl Strategy<Value = Vec<Reign>> {
    let quorum = Just((0..SERVERS).collect::<Vec<_>>()).prop_shuffle();
    let reign = (
        quorum,
        QUORUM..=SERVERS,
        0..=SERVERS,
        0..5i64,
        prop::collection::vec(0..5i64, SERVERS),
    );
    let reign = reign.prop_map(|(mut quorum, size, synced, proposals, logged)| {
        quorum.truncate(size);
        Reign {
            quorum,
            synced,
            proposals,
            logged,
        }
    });
    prop::collection::vec(reign, 1..8)
}

/// The best of the quorum leads; some of the quorum synchronize by brute force; if they are a quorum themselves,
/// transactions are proposed and reach each log in part, the leader's own log too.
fn play(servers: &mut [Server], reign: &Reign, epoch: i64) {
    let Some(leader) = leader_of(servers, &reign.quorum) else {
        return;
    };
    let initial = servers[leader].log.clone();
    let others = reign.quorum.iter().filter(|id| **id != leader);
    let mut synced = vec![leader];
    synced.extend(others.take(reign.synced.saturating_sub(1)));
    let established = synced.len() >= QUORUM;
    for id in synced {
        let server = &mut servers[id];
        server.log = initial.clone();
        server.epoch = epoch;
        server.at_marker = established;
        if established {
            let reached = reign.logged[id].min(reign.proposals);
            let counters = 1..=reached;
            server
                .log
                .extend(counters.map(|counter| Zxid(epoch << 32 | counter)));
            server.at_marker = reached == 0;
        }
    }
}

fn leader_of(servers: &[Server], quorum: &[usize]) -> Option<usize> {
    let ids = quorum.iter().copied();
    ids.max_by_key(|id| (servers[*id].summary(), *id))
}

/// What the learner's log is once it did as the plan says.
fn carried_out(plan: SyncPlan, learner: &[Zxid], leader: &[Zxid]) -> Vec<Zxid> {
    let mut log = match plan.opening {
        Opening::Diff(_) => learner.to_vec(),
        Opening::Trunc(to) => {
            assert!(
                learner.contains(&to),
                "no such position to cut after: {to} in {learner:?}"
            );
            learner.iter().copied().filter(|zxid| *zxid <= to).collect()
        }
        Opening::Snap => leader
            .iter()
            .copied()
            .filter(|zxid| *zxid <= plan.resume_after)
            .collect(),
    };
    let missed = leader.iter().copied();
    log.extend(missed.filter(|zxid| *zxid > plan.resume_after));
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_plan_gives_a_learner_its_leaders_history(
        reigns in reigns(),
        quorum in Just((0..SERVERS).collect::<Vec<_>>()).prop_shuffle(),
        serving in any::<bool>(),
        markers in any::<bool>(),
        count in 0..12usize,
        from in any::<prop::sample::Index>(),
        reach in any::<Option<usize>>(),
    ) {
        let mut servers = vec![Server::default(); SERVERS];
        for (reign, epoch) in reigns.iter().zip(1..) {
            play(&mut servers, reign, epoch);
        }
        let leader = leader_of(&servers, &quorum[..QUORUM]).unwrap();
        let log = servers[leader].log.clone();
        // The cache begins anywhere in the log, and keeps only so much of it.
        let skipped = from.index(log.len() + 1);
        let base = log[..skipped].last().copied().unwrap_or_default();
        let limits = HistoryLimits { count, bytes: 1000 };
        let mut history = History::after(base, limits);
        log[skipped..].iter().for_each(|zxid| history.push(logged(*zxid)));
        let current = match serving {
            true => Zxid::first_of(Epoch(reigns.len() as i64 + 1)),
            false => history.last(),
        };
        for learner in &servers {
            let reported = learner.reported(markers);
            let reach = reach.map(|skip| LogReach {
                whole_after: log[..skip % (log.len() + 1)].last().copied().unwrap_or_default(),
                holds_learner: log.contains(&reported),
            });
            let plan = SyncPlan::choose(reported, current, &history, reach);
            // What follows is there to be read: all of it in the history, or in the whole part of the log.
            let readable_after = match (plan.opening, plan.source) {
                (Opening::Snap, _) => Zxid::ZERO,
                (_, Source::Memory) => history.base(),
                (_, Source::LogThenMemory) => reach.unwrap().whole_after,
            };
            prop_assert!(plan.resume_after >= readable_after);
            let result = carried_out(plan, &learner.log, &log);
            prop_assert_eq!(&result, &log, "{:?} of {:?} in {:?}", plan, learner, servers);
        }
    }
}
