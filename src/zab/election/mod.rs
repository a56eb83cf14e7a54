//! Fast leader election, without sockets, clocks or threads.
//!
//! ```text
//!   owner (peer, simulator)                          Election
//!   became LOOKING, notification, link, timer  --->  step(now, Input)
//!   election links, timer table, role change   <---  next_effect() -> Effect
//! ```
//! Effects are drained fully, in order, after every step.
//!
//! Every server votes for itself in a new *round*, adopts any better vote it hears, and tells
//! everyone whenever its vote changes. Once a quorum votes alike and nothing better has come for a
//! moment, the round is decided. A server that comes late, or in another round, joins a leader that
//! a quorum follows and that says itself that it leads. A server that is not looking answers those
//! that are.
//!
//! Votes are no promises and none of this is kept on disk: two servers may believe for a while that
//! they lead, and the epochs of discovery tell them apart. What the election gives is progress: a
//! leader whose history is the greatest of a quorum, so that nobody refuses it later.
//!
//! Differs from Java, in when and whether a message is sent, never in what it says:
//! - *The finalize wait ends early.* Java always waits 200 ms for a better vote after a quorum has
//!   voted alike. Here the wait ends at once when every voter has voted for the winner in this
//!   round or is known not to be reachable ([`Input::Link`]), and the winner itself has voted and
//!   can be reached: nobody is left who could send a better vote. The wait is no safety rule; an
//!   unknown peer is waited for as in Java.
//! - *Only a vote that changes the proposal breaks off the finalize wait.* In Java any better vote
//!   does; if it is of an old round, or of a server that has not noticed yet that its leader is
//!   gone, it has no effect besides, and the server sits until the next resend. Stale votes for a
//!   dead leader are common: a new connection starts with the last message sent on the one before.
//! - *What was said too early counts.* Whoever notices first that the leader is gone tells the others, who in Java only
//!   answer that they follow it; once they notice as well, the first one does not say it again, and a tie is left to
//!   the resend. Here a server that begins to look takes in what it heard in the moment before.
//! - *After a silent timeout everyone is notified again.* Java only dials where no send queue has
//!   drained; since a queue holds one message, the newest, and that is this one, the result is the
//!   same.
//! - *Between servers with and without a vote only questions are answered.* A Java voter answers an
//!   observer whatever it says; a Java observer answers a voter that is looking, once it has
//!   settled, and one of an older round before. So the two may answer each other as fast as the
//!   network allows. Here a voter answers those without a vote only while they are looking, and a
//!   server without a vote answers nobody; voters never heed what it says.
//! - *No oracle.* Ensembles of two servers with an oracle are refused by the configuration.
//!
//! Source: `FastLeaderElection` (`lookForLeader`, `Messenger.WorkerReceiver`), `QuorumPeer`,
//! `Vote`.

mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use self::run::Run;
use super::quorum::Quorums;
use super::timer::Timer;
use super::vote::{Choice, NOTIFICATION_VERSION, Notification, ServerState, StateCode, Vote};
use crate::base::{Epoch, Mono, ServerId, Zxid};

/// How long a server goes on looking for a better vote after a quorum has voted alike.
pub const FINALIZE_WAIT: Duration = Duration::from_millis(200);

/// Whether this server is configured to vote (`peerType`). Having a vote is another matter: a
/// participant that is not in the configuration has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LearnerType {
    /// Votes if it is in the configuration.
    #[default]
    Participant,
    /// Never votes.
    Observer,
}

/// How long to wait in silence before notifying everyone again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// At first (`zookeeper.fastleader.minNotificationInterval`). Doubled with each silence.
    pub first: Duration,
    /// At most (`zookeeper.fastleader.maxNotificationInterval`).
    pub most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            first: Duration::from_millis(200),
            most: Duration::from_secs(60),
        }
    }
}

/// How far this server's durable history reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Its last zxid; -1 where the data is missing and cannot be trusted to be empty.
    pub zxid: Zxid,
    /// Its persisted current epoch.
    pub epoch: Epoch,
}

/// What a configuration that came with a notification, newer than the committed one, changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewerConfig {
    /// Only the version.
    Version,
    /// The servers, their addresses or their roles.
    Members,
}

/// What happens to a server that elects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The server has no leader (any more) and is to find one. Starts a new round. An observer
    /// waits a random moment of up to 200 ms before it does this again, so that a thousand of them
    /// do not come at once.
    Look(Position),
    /// A message of the election port.
    Notification {
        /// The server at the other end of the connection.
        from: ServerId,
        /// What it says.
        notification: Notification,
        /// What the configuration in it changes, if it could be read and is newer than the
        /// committed one.
        newer: Option<NewerConfig>,
    },
    /// A timer ran out.
    Timer(Timer),
    /// A connection to `server` is there, or was lost or refused. Known from one round to the next.
    Link {
        /// The other end.
        server: ServerId,
        /// Whether it can be reached.
        up: bool,
    },
    /// The configuration changed without the election being rebuilt.
    Configured {
        /// Who votes now.
        quorums: Quorums,
        /// What this server is in it.
        learner: LearnerType,
    },
    /// The election starts from nothing after a change of configuration: all connections are
    /// closed, what was known is forgotten, rounds count from 0. A server that was looking is to be
    /// told so again ([`Input::Look`]).
    Rebuilt(Position),
    /// This server has been synchronized with its leader, or leads, in this epoch.
    Established(Epoch),
    /// A committed reconfiguration named the leader: no election.
    Designated {
        /// Who leads now.
        leader: ServerId,
        /// Its zxid.
        zxid: Zxid,
    },
}

/// What the owner is to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this as a notification, with the text of the committed configuration, in place of
    /// anything that still waits to be sent to the same server, and connect to it if there is no
    /// connection.
    Send {
        /// Whom to send it to; never this server itself.
        to: ServerId,
        /// What to send.
        vote: Vote,
    },
    /// Hand back [`Input::Timer`] at `at`; an earlier deadline of this timer is void.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When.
        at: Mono,
    },
    /// This timer is not needed any more.
    StopTimer(Timer),
    /// There is a leader. The server is not looking any more.
    Decided(Decision),
    /// This server leads, and `0` is looking again: whatever it acknowledged as a follower is no
    /// longer vouched for.
    LookingAgain(ServerId),
    /// The configuration that came with the notification just handed in is newer than the committed
    /// one: take it over, if reconfiguration is enabled.
    NewerConfig {
        /// Who sent it.
        from: ServerId,
        /// Whether its members differ. The notification was dropped then, the election has stopped,
        /// and the owner has to build it again ([`Input::Rebuilt`], then [`Input::Look`]), even if
        /// reconfiguration is disabled.
        rebuild: bool,
    },
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What this server is from now on; leading exactly if the vote is for itself.
    pub state: ServerState,
    /// The vote that won.
    pub vote: Vote,
    /// The voters known to agree. A new leader counts them until they are seen looking again.
    pub supporters: BTreeSet<ServerId>,
}

/// The election of one server.
///
/// At all times: (1) a run exists only while looking; (2) the proposal of a run is no worse than
/// the vote it started with; (3) the state is LEADING only after a decision for this server or a
/// reconfiguration that named it; (4) the state changes away from LOOKING only with the support of
/// every quorum that counts, or by that name.
#[derive(Debug)]
pub struct Election {
    me: ServerId,
    learner: LearnerType,
    quorums: Quorums,
    patience: Patience,
    state: ServerState,
    /// `logicalclock` in Java. Wraps around, as there.
    round: i64,
    /// The vote told to servers that ask from outside the round. Not the proposal.
    current: Vote,
    /// What is known of the connections to others.
    links: BTreeMap<ServerId, bool>,
    /// What servers that are looking said last, and when, while there was no run.
    early: BTreeMap<ServerId, (Mono, Vote)>,
    run: Option<Run>,
    effects: VecDeque<Effect>,
}

impl Election {
    /// The election of server `me`, which is looking, but sends nothing before [`Input::Look`].
    pub fn new(
        me: ServerId,
        learner: LearnerType,
        quorums: Quorums,
        patience: Patience,
        position: Position,
    ) -> Self {
        Election {
            me,
            learner,
            quorums,
            patience,
            state: ServerState::Looking,
            round: 0,
            current: own_vote(me, position),
            links: BTreeMap::new(),
            early: BTreeMap::new(),
            run: None,
            effects: VecDeque::new(),
        }
    }

    /// Takes in what happened at `now`. Times must not go back.
    pub fn step(&mut self, now: Mono, input: Input) {
        match input {
            Input::Look(position) => self.look(position, now),
            Input::Notification {
                from,
                notification,
                newer,
            } => self.notified(from, &notification, newer, now),
            Input::Timer(timer) => self.timer(timer),
            Input::Link { server, up } => {
                self.links.insert(server, up);
            }
            Input::Configured { quorums, learner } => {
                self.quorums = quorums;
                self.learner = learner;
            }
            Input::Rebuilt(position) => self.rebuild(position),
            Input::Established(epoch) => self.current.choice.epoch = epoch,
            Input::Designated { leader, zxid } => self.designate(leader, zxid),
        }
        self.advance(now);
        self.check();
    }

    /// What is owed next.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// What this server is doing.
    pub fn state(&self) -> ServerState {
        self.state
    }

    /// The round this server is in.
    pub fn round(&self) -> i64 {
        self.round
    }

    /// The vote told to those outside the round: of the last decision, of the last designation or,
    /// on a server that has seen neither, for itself.
    pub fn current_vote(&self) -> Vote {
        self.current
    }

    /// The vote of the run under way.
    pub fn proposal(&self) -> Option<Choice> {
        self.run.as_ref().map(|run| run.proposal)
    }

    /// A new election object in the place of this one. Source: `QuorumPeer.startLeaderElection`.
    fn rebuild(&mut self, position: Position) {
        self.stop_run();
        self.round = 0;
        self.links.clear();
        if self.state == ServerState::Looking {
            self.current = own_vote(self.me, position);
        }
    }

    /// Source: `QuorumPeer.processReconfig`, `QuorumPeer.updateServerState`.
    fn designate(&mut self, leader: ServerId, zxid: Zxid) {
        self.stop_run();
        let choice = Choice {
            epoch: Epoch(-1),
            zxid,
            leader,
        };
        self.current = Vote {
            choice,
            round: -1,
            state: ServerState::Looking,
            version: 0,
        };
        self.state = self.role_under(leader);
    }

    /// A message of another server. Source: `FastLeaderElection.Messenger.WorkerReceiver`.
    fn notified(
        &mut self,
        from: ServerId,
        n: &Notification,
        newer: Option<NewerConfig>,
        now: Mono,
    ) {
        if from == self.me {
            return;
        }
        let looking = self.state == ServerState::Looking;
        if let Some(newer) = newer.filter(|_| looking) {
            let rebuild = newer == NewerConfig::Members;
            self.effects
                .push_back(Effect::NewerConfig { from, rebuild });
            if rebuild {
                return self.stop_run();
            }
        }
        let asks = n.state == StateCode::from(ServerState::Looking);
        if !self.quorums.is_voter(from) {
            if asks {
                self.send(from, self.state, self.current.choice, self.round);
            }
            return;
        }
        let asks = asks && self.quorums.is_voter(self.me);
        let Some(state) = n.state.state() else {
            return;
        };
        let vote = Vote {
            choice: n.choice,
            round: n.round,
            state,
            version: n.version,
        };
        if self.run.is_none() && asks {
            self.early.insert(from, (now, vote));
        } else {
            self.early.remove(&from);
        }
        if looking {
            let Some(run) = &mut self.run else {
                return;
            };
            let proposal = run.proposal;
            run.inbox.push_back((from, vote));
            if asks && n.round < self.round {
                self.send(from, ServerState::Looking, proposal, self.round);
            }
        } else if asks {
            if self.state == ServerState::Leading {
                self.effects.push_back(Effect::LookingAgain(from));
            }
            self.send(from, self.state, self.current.choice, self.current.round);
        }
    }

    fn send(&mut self, to: ServerId, state: ServerState, choice: Choice, round: i64) {
        let vote = Vote {
            choice,
            round,
            state,
            version: NOTIFICATION_VERSION,
        };
        self.effects.push_back(Effect::Send { to, vote });
    }

    /// What this server is under `leader`. Source: `FastLeaderElection.learningState`.
    fn role_under(&self, leader: ServerId) -> ServerState {
        match self.learner {
            _ if leader == self.me => ServerState::Leading,
            LearnerType::Participant => ServerState::Following,
            LearnerType::Observer => ServerState::Observing,
        }
    }

    /// Asserts the invariants of the type.
    fn check(&self) {
        assert!(
            self.run.is_none() || self.state == ServerState::Looking,
            "a run while {:?}",
            self.state
        );
        assert!(
            self.run.as_ref().is_none_or(|run| run.inbox.is_empty()),
            "server {} left notifications unread",
            self.me
        );
        assert!(
            self.run
                .as_ref()
                .is_none_or(|run| run.proposal >= run.initial),
            "server {} proposes {:?}",
            self.me,
            self.proposal()
        );
    }
}

/// What a server that looks for the first time says to those that do not vote. Source:
/// `QuorumPeer.startLeaderElection`.
fn own_vote(me: ServerId, position: Position) -> Vote {
    Vote {
        choice: Choice {
            epoch: position.epoch,
            zxid: position.zxid,
            leader: me,
        },
        round: -1,
        state: ServerState::Looking,
        version: 0,
    }
}
