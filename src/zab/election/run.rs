//! One run: from the moment a server looks for a leader until it knows one.
//!
//! A notification is taken into the run's inbox and all of them are judged before
//! [`Election::step`] returns, what this server tells itself behind what came before it. Source:
//! `FastLeaderElection.lookForLeader`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{Decision, Effect, Election, FINALIZE_WAIT, LearnerType, Position};
use crate::base::flaw::Flaw;
use crate::base::{Epoch, Mono, ServerId, Zxid};
use crate::zab::timer::Timer;
use crate::zab::vote::{Choice, NOTIFICATION_VERSION, ServerState, Vote};

/// The variables of one run.
#[derive(Debug)]
pub(super) struct Run {
    /// The vote this server starts a round with.
    pub(super) initial: Choice,
    /// The best vote of the round so far.
    pub(super) proposal: Choice,
    /// Notifications not judged yet; empty between steps.
    pub(super) inbox: VecDeque<(ServerId, Vote)>,
    /// Votes of this round, by voter (`recvset` in Java).
    votes: BTreeMap<ServerId, Vote>,
    /// Votes of servers that are not looking, of any round, by voter (`outofelection` in Java).
    settled: BTreeMap<ServerId, Vote>,
    wait: Wait,
    /// How long the next silence may last.
    patience: Duration,
    /// Whether the wait starts anew at the end of this step.
    rearm: bool,
}

/// What a run is waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// A notification.
    News,
    /// That there is none that would change the outcome.
    Finalize,
}

impl Run {
    fn new(initial: Choice, patience: Duration) -> Self {
        Run {
            initial,
            proposal: initial,
            inbox: VecDeque::new(),
            votes: BTreeMap::new(),
            settled: BTreeMap::new(),
            wait: Wait::News,
            patience,
            rearm: true,
        }
    }

    fn proposed(&self, round: i64) -> Vote {
        Vote {
            choice: self.proposal,
            round,
            state: ServerState::Looking,
            version: 0,
        }
    }
}

impl Wait {
    fn timer(self) -> Timer {
        match self {
            Wait::News => Timer::ElectionResend,
            Wait::Finalize => Timer::FinalizeWait,
        }
    }
}

impl Election {
    /// Starts a round with the vote of this server.
    pub(super) fn look(&mut self, position: Position, now: Mono) {
        self.stop_run();
        self.state = ServerState::Looking;
        self.round = self.round.wrapping_add(1);
        self.run = Some(Run::new(self.initial_vote(position), self.patience.first));
        self.notify_all();
        let early = std::mem::take(&mut self.early);
        if let Some(run) = &mut self.run {
            // What is older was said again, or is not true any more.
            let fresh = early
                .into_iter()
                .filter(|(_, (at, _))| now - *at < self.patience.first);
            run.inbox
                .extend(fresh.map(|(from, (_, vote))| (from, vote)));
        }
    }

    /// Gives up the run under way, if there is one.
    pub(super) fn stop_run(&mut self) {
        if self.run.take().is_some() {
            self.effects
                .push_back(Effect::StopTimer(Timer::ElectionResend));
            self.effects
                .push_back(Effect::StopTimer(Timer::FinalizeWait));
        }
    }

    /// A timer ran out; one that was stopped a moment before means nothing.
    pub(super) fn timer(&mut self, timer: Timer) {
        let Some(run) = &mut self.run else {
            return;
        };
        if timer != run.wait.timer() {
            return;
        }
        match timer {
            Timer::ElectionResend => {
                run.patience = run.patience.saturating_mul(2).min(self.patience.most);
                run.rearm = true;
                self.notify_all();
            }
            Timer::FinalizeWait => self.finish(),
        }
    }

    /// Judges the inbox, ends the finalize wait if there is nobody left to wait for, and sets the
    /// timer.
    pub(super) fn advance(&mut self, now: Mono) {
        while let Some((from, n)) = self.run.as_mut().and_then(|run| run.inbox.pop_front()) {
            self.take(from, n);
        }
        if self.everyone_agrees() {
            self.finish();
        }
        let Some(run) = &mut self.run else {
            return;
        };
        if std::mem::take(&mut run.rearm) {
            let (wanted, other, patience) = match run.wait {
                Wait::News => (Timer::ElectionResend, Timer::FinalizeWait, run.patience),
                Wait::Finalize => (Timer::FinalizeWait, Timer::ElectionResend, FINALIZE_WAIT),
            };
            self.effects.push_back(Effect::StopTimer(other));
            self.effects.push_back(Effect::SetTimer {
                timer: wanted,
                at: now + patience,
            });
        }
    }

    /// Source: `FastLeaderElection.getInitId`, `getInitLastLoggedZxid`, `getPeerEpoch`.
    fn initial_vote(&self, position: Position) -> Choice {
        let votes = self.learner == LearnerType::Participant;
        let named = self.quorums.committed().is_voter(self.me);
        Choice {
            epoch: if votes {
                position.epoch
            } else {
                Epoch(i64::MIN)
            },
            zxid: if votes { position.zxid } else { Zxid(i64::MIN) },
            leader: if votes && named {
                self.me
            } else {
                ServerId(i64::MIN)
            },
        }
    }

    /// Tells every voter what this server votes for; itself too, if it is one.
    fn notify_all(&mut self) {
        let Some(proposal) = self.proposal() else {
            return;
        };
        let round = self.round;
        for to in self.quorums.voters() {
            if to != self.me {
                self.send(to, ServerState::Looking, proposal, round);
                continue;
            }
            let vote = Vote {
                choice: proposal,
                round,
                state: ServerState::Looking,
                version: NOTIFICATION_VERSION,
            };
            if let Some(run) = &mut self.run {
                run.inbox.push_back((to, vote));
            }
        }
    }

    fn take(&mut self, from: ServerId, n: Vote) {
        let Some(run) = &mut self.run else {
            return;
        };
        // What is no news does not put off the next time that this server says its own vote: whoever goes on with a
        // worse one has not heard it. In Java two servers can wait for each other like that.
        run.rearm |= run.wait == Wait::Finalize || from == self.me;
        if run.wait == Wait::Finalize && !self.would_matter(&n) {
            return self.count_support(from, n);
        }
        if !self.quorums.is_voter(n.choice.leader) {
            return;
        }
        match n.state {
            ServerState::Looking => self.take_looking(from, n),
            ServerState::Following | ServerState::Leading => self.take_settled(from, n),
            ServerState::Observing => {}
        }
    }

    /// Whether a notification that comes during the finalize wait is judged like any other.
    fn would_matter(&self, n: &Vote) -> bool {
        let Some(run) = &self.run else {
            return false;
        };
        let heard = match n.state {
            ServerState::Looking => n.round >= self.round && n.choice.zxid != UNTRUSTED,
            ServerState::Following | ServerState::Leading => true,
            ServerState::Observing => false,
        };
        heard && self.quorums.is_voter(n.choice.leader) && self.better(n.choice, run.proposal)
    }

    /// During the finalize wait: remembers another vote for the winner, so that the wait can end.
    /// It cannot change the outcome; Java throws it away.
    fn count_support(&mut self, from: ServerId, n: Vote) {
        let round = self.round;
        let Some(run) = &mut self.run else {
            return;
        };
        let vote = Vote { version: 0, ..n };
        if vote.agrees_with(&run.proposed(round)) {
            run.votes.insert(from, vote);
        }
    }

    /// A vote of a server that is looking too.
    fn take_looking(&mut self, from: ServerId, n: Vote) {
        let Some(run) = &self.run else {
            return;
        };
        let (initial, proposal) = (run.initial, run.proposal);
        if initial.zxid == UNTRUSTED
            || n.choice.zxid == UNTRUSTED
            || (n.round < self.round && !Flaw::VotesOfOtherRoundsCount.is_made())
        {
            return; // An older round was answered when it came.
        }
        let behind = n.round > self.round;
        let standing = if behind { initial } else { proposal };
        let adopted = self.better(n.choice, standing);
        self.round = self.round.max(n.round);
        if let Some(run) = &mut self.run {
            if behind {
                run.votes.clear();
            }
            run.proposal = if adopted { n.choice } else { standing };
            run.wait = Wait::News;
        }
        if behind || adopted {
            self.notify_all();
        }
        let round = self.round;
        let Some(run) = &mut self.run else {
            return;
        };
        run.votes.insert(from, Vote { version: 0, ..n });
        let supporters = match Flaw::VotesOfOtherRoundsCount.is_made() {
            true => run.votes.keys().copied().collect(),
            false => supporters(&run.votes, &run.proposed(round)),
        };
        if self.quorums.reached_by(&supporters) {
            run.wait = Wait::Finalize;
            run.rearm = true;
        }
    }

    /// A vote of a server that has found a leader, or is one. Source:
    /// `FastLeaderElection.receivedFollowingNotification`.
    fn take_settled(&mut self, from: ServerId, vote: Vote) {
        let Some(run) = &mut self.run else {
            return;
        };
        if vote.round == self.round {
            run.votes.insert(from, Vote { version: 0, ..vote });
            let agreeing = supporters(&run.votes, &vote);
            let leads = leader_confirms(&run.votes, &vote);
            if self.quorums.reached_by(&agreeing) && self.may_join(&vote, leads) {
                return self.decide(&vote, agreeing);
            }
        }
        let Some(run) = &mut self.run else {
            return;
        };
        run.settled.insert(from, vote);
        let agreeing = supporters(&run.settled, &vote);
        let leads = leader_confirms(&run.settled, &vote);
        if self.quorums.reached_by(&agreeing) && self.may_join(&vote, leads) {
            self.round = vote.round;
            self.decide(&vote, agreeing);
        }
    }

    /// Whether the leader of `vote` leads: it says so itself or, if it is this server, the others
    /// speak of the present round. Keeps servers from electing one that is gone again and again.
    /// Source: `FastLeaderElection.checkLeader`.
    fn may_join(&self, vote: &Vote, says_so: bool) -> bool {
        if vote.choice.leader == self.me {
            vote.round == self.round
        } else {
            says_so
        }
    }

    /// Whether everyone who can be heard has voted for the proposal, with the one proposed among
    /// them.
    fn everyone_agrees(&self) -> bool {
        let Some(run) = self.run.as_ref().filter(|run| run.wait == Wait::Finalize) else {
            return false;
        };
        let agreeing = supporters(&run.votes, &run.proposed(self.round));
        let cut_off =
            |server: &ServerId| *server != self.me && self.links.get(server) == Some(&false);
        let winner = run.proposal.leader;
        let heard = |server: &ServerId| agreeing.contains(server) || cut_off(server);
        agreeing.contains(&winner) && !cut_off(&winner) && self.quorums.voters().iter().all(heard)
    }

    /// The finalize wait is over.
    fn finish(&mut self) {
        let round = self.round;
        let Some(run) = &mut self.run else {
            return;
        };
        let vote = run.proposed(round);
        let agreeing = supporters(&run.votes, &vote);
        if self.quorums.reached_by(&agreeing) {
            return self.decide(&vote, agreeing);
        }
        // The configuration changed during the wait.
        run.wait = Wait::News;
        run.rearm = true;
    }

    fn decide(&mut self, vote: &Vote, supporters: BTreeSet<ServerId>) {
        self.stop_run();
        self.state = self.role_under(vote.choice.leader);
        self.current = Vote {
            state: ServerState::Looking,
            version: 0,
            ..*vote
        };
        self.effects.push_back(Effect::Decided(Decision {
            state: self.state,
            vote: self.current,
            supporters,
        }));
    }

    /// Whether `new` is to be preferred; never if it has no weight. Source:
    /// `FastLeaderElection.totalOrderPredicate`.
    fn better(&self, new: Choice, old: Choice) -> bool {
        new.beats(&old, self.quorums.committed().weight(new.leader))
    }
}

/// The zxid of a server whose data is missing and cannot be trusted to be empty.
const UNTRUSTED: Zxid = Zxid(-1);

/// Whose votes agree with `vote`. Source: `FastLeaderElection.getVoteTracker`.
fn supporters(votes: &BTreeMap<ServerId, Vote>, vote: &Vote) -> BTreeSet<ServerId> {
    let agreeing = votes.iter().filter(|(_, other)| vote.agrees_with(other));
    agreeing.map(|(voter, _)| *voter).collect()
}

/// Whether the leader of `vote` has said itself that it leads.
fn leader_confirms(votes: &BTreeMap<ServerId, Vote>, vote: &Vote) -> bool {
    let leader = votes.get(&vote.choice.leader);
    leader.is_some_and(|leader| leader.state == ServerState::Leading)
}
