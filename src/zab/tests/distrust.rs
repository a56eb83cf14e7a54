//! A learner whose log cannot be cut where a leader wants it says that it has nothing, and takes only a snapshot.

use std::time::Duration;

use bytes::Bytes;

use super::disk::{Disk, proposal};
use crate::base::{Epoch, Mono, ServerId, Zxid};
use crate::zab::election::{LearnerType, Patience};
use crate::zab::history::HistoryLimits;
use crate::zab::io::{Done, LinkId, PeerOptions, Role, Tuning};
use crate::zab::packet::{FromLeader, FromLearner};
use crate::zab::quorum::{QuorumSystem, Quorums};
use crate::zab::vote::{Choice, Notification, ServerState};
use crate::zab::{Effect, Input, Peer};

const LIMITS: HistoryLimits = HistoryLimits {
    count: 100,
    bytes: 10_000,
};

fn at(counter: i64) -> Zxid {
    Zxid(Zxid::first_of(Epoch(1)).0 + counter)
}

/// Server 1 of three. The test speaks for the two others, of which 3 leads.
struct Learner {
    peer: Peer,
    now: Mono,
    links: u64,
    link: LinkId,
    /// What it did since the test looked last.
    effects: Vec<Effect>,
}

impl Learner {
    /// Its log holds transactions 1 to `last` of epoch 1.
    fn with_log(last: i64) -> Learner {
        let options = PeerOptions {
            tuning: Tuning::default(),
            me: ServerId(1),
            learner: LearnerType::Participant,
            quorums: Quorums::new(
                QuorumSystem::Majority {
                    voters: [1, 2, 3].map(ServerId).into(),
                },
                None,
            ),
            config: Bytes::from_static(b"version=0"),
            config_version: 0,
            tick: Duration::from_millis(200),
            init_limit: Duration::from_secs(2),
            sync_limit: Duration::from_secs(1),
            patience: Patience {
                first: Duration::from_millis(200),
                most: Duration::from_secs(2),
            },
            history: LIMITS,
        };
        let disk = Disk {
            accepted: 1,
            current: 1,
            log: (1..=last).map(|counter| (at(counter), 0)).collect(),
            ..Disk::default()
        };
        let mut learner = Learner {
            peer: Peer::new(options, disk.stored(LIMITS)),
            now: Mono(1_000_000_000),
            links: 0,
            link: LinkId(0),
            effects: Vec::new(),
        };
        learner.peer.start(learner.now);
        learner.drain();
        learner
    }

    fn drain(&mut self) {
        self.effects
            .extend(std::iter::from_fn(|| self.peer.next_effect()));
    }

    fn step(&mut self, input: Input) {
        self.peer.step(self.now, input);
        self.drain();
    }

    /// What it did since the last time.
    fn done(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn says(&mut self, packet: FromLeader) {
        let link = self.link;
        self.step(Input::FromLeader { link, packet });
    }

    /// It finds server 3 leading `epoch`, registers, and acknowledges the epoch; where its log ends by its own word.
    fn joins(&mut self, epoch: i64) -> Zxid {
        let choice = Choice {
            epoch: Epoch(1),
            zxid: at(9),
            leader: ServerId(3),
        };
        let config = Bytes::from_static(b"version=0");
        while !self
            .effects
            .iter()
            .any(|e| matches!(e, Effect::Dial { .. }))
        {
            self.now = self.now + Duration::from_millis(100);
            self.peer.tick(self.now);
            self.drain();
            for (from, state) in [(3, ServerState::Leading), (2, ServerState::Following)] {
                let notification = Notification::new(state, choice, 1, config.clone());
                let from = ServerId(from);
                self.step(Input::Notification { from, notification });
            }
        }
        self.links += 1;
        self.link = LinkId(self.links);
        self.done();
        self.step(Input::LeaderReached { link: self.link });
        self.says(FromLeader::LeaderInfo {
            epoch: Epoch(epoch),
            protocol_version: 0x10000,
        });
        let saves = |e: &Effect| matches!(e, Effect::SaveAcceptedEpoch(_));
        if self.effects.iter().any(saves) {
            self.step(Input::Done(Done::AcceptedEpoch(Epoch(epoch))));
        }
        let last = self.done().into_iter().find_map(|effect| match effect {
            Effect::ToLeader {
                packet: FromLearner::AckEpoch { last, .. },
                ..
            } => Some(last),
            _ => None,
        });
        last.unwrap()
    }

    /// Whether it gave up its leader since the test looked last, and touched its log or tree before.
    fn gave_up(&mut self) -> bool {
        let effects = self.done();
        let changes = |e: &Effect| {
            matches!(
                e,
                Effect::Append { .. }
                    | Effect::Truncate { .. }
                    | Effect::InstallSnapshot { .. }
                    | Effect::Deliver(_)
                    | Effect::Replay(_)
                    | Effect::SaveCurrentEpoch(_)
                    | Effect::Serving { .. }
            )
        };
        assert!(!effects.iter().any(changes), "{effects:?}");
        effects.iter().any(|e| matches!(e, Effect::Looking))
    }
}

#[test]
fn a_learner_that_distrusts_its_log_takes_no_diff_for_its_word_that_it_has_nothing() {
    let mut learner = Learner::with_log(5);
    assert_eq!(learner.joins(2), at(5));
    learner.says(FromLeader::Trunc(at(3)));
    let effects = learner.done();
    assert!(matches!(effects[..], [Effect::Truncate { to, .. }] if to == at(3)));
    learner.step(Input::Done(Done::NotTruncated));
    assert!(learner.gave_up());
    // A leader that has nothing takes the word for the truth: they seem to be equal, and are not.
    assert_eq!(learner.joins(3), Zxid::ZERO);
    learner.says(FromLeader::Diff(Zxid::ZERO));
    assert!(learner.gave_up());
    assert!(
        learner
            .peer
            .last_failure()
            .unwrap()
            .contains("only a snapshot helps")
    );
    assert_eq!(
        learner.peer.last_logged(),
        at(5),
        "it still has what it had"
    );
    // A snapshot replaces everything, and with it the distrust.
    assert_eq!(learner.joins(4), Zxid::ZERO);
    let held = Zxid(at(3).0);
    learner.says(FromLeader::Snap(held));
    learner.step(Input::SnapshotReceived { link: learner.link });
    learner.says(FromLeader::NewLeader {
        zxid: Zxid::first_of(Epoch(4)),
        config: None,
    });
    assert!(matches!(learner.done()[..], [Effect::InstallSnapshot { zxid }] if zxid == held));
    learner.step(Input::Done(Done::Installed));
    learner.step(Input::Done(Done::CurrentEpoch(Epoch(4))));
    learner.says(FromLeader::UpToDate);
    let serves = |e: &Effect| {
        matches!(
            e,
            Effect::Serving {
                role: Role::Following,
                ..
            }
        )
    };
    assert!(learner.done().iter().any(serves));
    learner.step(Input::LinkLost { link: learner.link });
    assert_eq!(learner.joins(5), held);
}

#[test]
fn a_learner_that_trusts_its_empty_log_takes_a_diff_from_a_leader_without_any() {
    let mut learner = Learner::with_log(0);
    assert_eq!(learner.joins(2), Zxid::ZERO);
    learner.says(FromLeader::Diff(Zxid::ZERO));
    let first = proposal((Zxid(0x2_0000_0001), 0));
    learner.says(FromLeader::Proposal {
        zxid: first.zxid,
        txn: first.payload,
    });
    assert!(matches!(learner.done()[..], [Effect::Append { .. }]));
}
