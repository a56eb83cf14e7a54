//! Single rules, on one server without a network.

use std::time::Duration;

use super::world::{choice, position};
use crate::base::{Epoch, Mono, ServerId};
use crate::zab::election::{Decision, Effect, Election, Input, LearnerType, NewerConfig, Patience};
use crate::zab::quorum::{QuorumSystem, Quorums};
use crate::zab::timer::Timer;
use crate::zab::vote::{Choice, Notification, ServerState, StateCode, Vote};

/// Far behind everyone else, so that any vote is better.
const BEHIND: (i64, i64) = (0, 0);

/// Server 1 of the voters 1, 2 and 3.
fn voter(at: (i64, i64)) -> Election {
    server(1, LearnerType::Participant, at)
}

fn server(me: i64, learner: LearnerType, at: (i64, i64)) -> Election {
    among(3, me, learner, at)
}

/// A server of an ensemble with the voters 1 to `size`.
fn among(size: i64, me: i64, learner: LearnerType, at: (i64, i64)) -> Election {
    let voters = (1..=size).map(ServerId).collect();
    let quorums = Quorums::new(QuorumSystem::Majority { voters }, None);
    let position = position(at.0, at.1);
    Election::new(
        ServerId(me),
        learner,
        quorums,
        Patience::default(),
        position,
    )
}

fn looking(at: (i64, i64)) -> Election {
    let mut election = voter(at);
    election.step(Mono(0), look(at));
    drain(&mut election);
    election
}

fn look(at: (i64, i64)) -> Input {
    Input::Look(position(at.0, at.1))
}

fn says(from: i64, state: ServerState, choice: Choice, round: i64) -> Input {
    let notification = Notification {
        state: state.into(),
        choice,
        round,
        version: 2,
        config: None,
    };
    Input::Notification {
        from: ServerId(from),
        notification,
        newer: None,
    }
}

fn drain(election: &mut Election) -> Vec<Effect> {
    std::iter::from_fn(|| election.next_effect()).collect()
}

fn step(election: &mut Election, at: i64, input: Input) -> Vec<Effect> {
    election.step(Mono(at), input);
    drain(election)
}

fn sent(effects: &[Effect]) -> Vec<(i64, Vote)> {
    let sends = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, vote } => Some((to.0, *vote)),
        _ => None,
    });
    sends.collect()
}

fn decided(effects: &[Effect]) -> Option<&Decision> {
    effects.iter().find_map(|effect| match effect {
        Effect::Decided(decision) => Some(decision),
        _ => None,
    })
}

fn deadline(effects: &[Effect], wanted: Timer) -> Option<i64> {
    effects.iter().find_map(|effect| match effect {
        Effect::SetTimer { timer, at } if *timer == wanted => Some(at.0),
        _ => None,
    })
}

#[test]
fn silence_doubles_up_to_a_minute() {
    let mut election = voter(BEHIND);
    let effects = step(&mut election, 0, look(BEHIND));
    let mut now = deadline(&effects, Timer::ElectionResend).unwrap();
    assert_eq!(now, 200);
    let mut waits = Vec::new();
    for _ in 0..10 {
        let effects = step(&mut election, now, Input::Timer(Timer::ElectionResend));
        assert_eq!(sent(&effects).len(), 2, "everyone is told again");
        let next = deadline(&effects, Timer::ElectionResend).unwrap();
        waits.push(next - now);
        now = next;
    }
    let expected = [
        400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000,
    ];
    assert_eq!(waits, expected);
}

#[test]
fn the_finalize_wait_is_200_ms_for_a_peer_of_which_nothing_is_known() {
    let mut election = looking(BEHIND);
    let best = choice(1, 9, 2);
    let effects = step(&mut election, 10, says(2, ServerState::Looking, best, 1));
    assert_eq!(deadline(&effects, Timer::FinalizeWait), Some(210));
    let effects = step(&mut election, 210, Input::Timer(Timer::FinalizeWait));
    let decision = decided(&effects).unwrap();
    assert_eq!(decision.state, ServerState::Following);
    assert_eq!(decision.vote.choice, best);
    assert_eq!(decision.supporters, [1, 2].map(ServerId).into());
}

#[test]
fn the_finalize_wait_ends_when_the_last_silent_peer_is_known_to_be_gone() {
    let mut election = looking(BEHIND);
    let best = choice(1, 9, 2);
    step(&mut election, 10, says(2, ServerState::Looking, best, 1));
    let gone = |server| Input::Link {
        server: ServerId(server),
        up: false,
    };
    let effects = step(&mut election, 11, gone(3));
    assert!(decided(&effects).is_some());
    assert_eq!(
        effects
            .iter()
            .filter(|effect| matches!(effect, Effect::StopTimer(_)))
            .count(),
        2
    );
}

#[test]
fn the_finalize_wait_does_not_end_early_for_a_winner_that_is_gone() {
    let mut election = looking(BEHIND);
    let lost = Input::Link {
        server: ServerId(3),
        up: false,
    };
    step(&mut election, 1, lost);
    let best = choice(1, 9, 3);
    let effects = step(&mut election, 10, says(2, ServerState::Looking, best, 1));
    assert_eq!(deadline(&effects, Timer::FinalizeWait), Some(210));
    assert_eq!(election.state(), ServerState::Looking);
}

#[test]
fn a_timer_that_was_stopped_a_moment_ago_means_nothing() {
    let mut election = looking(BEHIND);
    assert_eq!(
        step(&mut election, 5, Input::Timer(Timer::FinalizeWait)),
        []
    );
    let best = choice(1, 9, 2);
    step(&mut election, 10, says(2, ServerState::Looking, best, 1));
    assert_eq!(
        step(&mut election, 11, Input::Timer(Timer::ElectionResend)),
        []
    );
}

#[test]
fn those_without_a_vote_are_told_the_current_vote_with_our_round() {
    let mut election = looking((1, 7));
    // Adopted, but not what outsiders are told.
    step(
        &mut election,
        1,
        says(2, ServerState::Looking, choice(1, 9, 2), 4),
    );
    let nobody = choice(i64::MIN, i64::MIN, i64::MIN);
    let effects = step(&mut election, 2, says(9, ServerState::Looking, nobody, 1));
    let [(9, vote)] = sent(&effects)[..] else {
        panic!("{effects:?}")
    };
    assert_eq!((vote.choice, vote.round), (choice(1, 7, 1), 4));
    assert_eq!((vote.state, vote.version), (ServerState::Looking, 2));
}

#[test]
fn servers_with_and_without_a_vote_do_not_answer_each_other_forever() {
    let mut election = looking(BEHIND);
    let told = says(9, ServerState::Observing, choice(1, 9, 2), 1);
    assert_eq!(step(&mut election, 1, told), []);
    let mut observer = server(9, LearnerType::Observer, BEHIND);
    step(&mut observer, 0, look(BEHIND));
    step(&mut observer, 0, look(BEHIND));
    let old_round = says(1, ServerState::Looking, choice(0, 0, 1), 1);
    assert_eq!(sent(&step(&mut observer, 1, old_round.clone())), []);
    let designated = Input::Designated {
        leader: ServerId(2),
        zxid: position(0, 9).zxid,
    };
    step(&mut observer, 2, designated);
    assert_eq!(observer.state(), ServerState::Observing);
    assert_eq!(step(&mut observer, 3, old_round), []);
}

#[test]
fn a_settled_server_answers_with_its_vote_in_the_epoch_it_entered() {
    let mut election = looking((1, 7));
    step(
        &mut election,
        1,
        says(2, ServerState::Looking, choice(1, 7, 1), 1),
    );
    step(
        &mut election,
        1,
        says(3, ServerState::Looking, choice(1, 7, 1), 1),
    );
    assert_eq!(election.state(), ServerState::Leading);
    step(&mut election, 2, Input::Established(Epoch(2)));
    let effects = step(
        &mut election,
        3,
        says(3, ServerState::Looking, choice(1, 9, 3), 8),
    );
    assert_eq!(effects[0], Effect::LookingAgain(ServerId(3)));
    let (to, vote) = sent(&effects)[0];
    assert_eq!((to, vote.choice, vote.round), (3, choice(2, 7, 1), 1));
    assert_eq!(vote.state, ServerState::Leading);
    let settled = says(3, ServerState::Following, choice(2, 7, 1), 1);
    assert_eq!(step(&mut election, 4, settled), []);
}

#[test]
fn a_designated_leader_needs_no_election() {
    let mut election = looking((1, 7));
    let designated = Input::Designated {
        leader: ServerId(1),
        zxid: position(0, 8).zxid,
    };
    let effects = step(&mut election, 5, designated);
    assert_eq!(election.state(), ServerState::Leading);
    assert_eq!(decided(&effects), None);
    let vote = election.current_vote();
    assert_eq!((vote.choice, vote.round), (choice(-1, 8, 1), -1));
}

#[test]
fn a_rebuilt_election_counts_rounds_from_nothing() {
    let mut election = looking((1, 7));
    step(&mut election, 0, look((1, 7)));
    assert_eq!(election.round(), 2);
    step(&mut election, 1, Input::Rebuilt(position(1, 8)));
    assert_eq!(election.round(), 0);
    assert_eq!(election.current_vote().choice, choice(1, 8, 1));
    let asked = says(2, ServerState::Looking, choice(1, 9, 2), 1);
    assert_eq!(step(&mut election, 2, asked), [], "not told to look yet");
    step(&mut election, 3, look((1, 8)));
    assert_eq!(election.round(), 1);
}

#[test]
fn a_participant_that_nobody_named_votes_for_nobody() {
    let mut unnamed = server(9, LearnerType::Participant, (1, 7));
    let effects = step(&mut unnamed, 0, look((1, 7)));
    let votes = sent(&effects);
    assert_eq!(votes.len(), 3);
    assert_eq!(votes[0].1.choice, choice(1, 7, i64::MIN));
    let mut observer = server(9, LearnerType::Observer, (1, 7));
    let effects = step(&mut observer, 0, look((1, 7)));
    let nobody = choice(i64::MIN, i64::MIN, i64::MIN);
    assert_eq!(sent(&effects)[0].1.choice, nobody);
}

#[test]
fn one_voter_elects_itself_at_once() {
    let mut election = among(1, 1, LearnerType::Participant, BEHIND);
    let effects = step(&mut election, 0, look(BEHIND));
    assert_eq!(decided(&effects).unwrap().state, ServerState::Leading);
}

#[test]
fn votes_of_an_older_round_are_forgotten_with_it() {
    let mut election = among(5, 1, LearnerType::Participant, BEHIND);
    step(&mut election, 0, look(BEHIND));
    // Within a round, settled votes agree by their leader alone; in round 1 this was another reign.
    let old_reign = choice(1, 9, 5);
    step(
        &mut election,
        1,
        says(2, ServerState::Following, old_reign, 1),
    );
    step(
        &mut election,
        1,
        says(3, ServerState::Following, old_reign, 1),
    );
    step(
        &mut election,
        2,
        says(4, ServerState::Looking, choice(0, 0, 4), 2),
    );
    step(
        &mut election,
        3,
        says(5, ServerState::Leading, choice(2, 9, 5), 2),
    );
    assert_eq!(election.state(), ServerState::Looking);
    step(
        &mut election,
        4,
        says(2, ServerState::Following, choice(2, 9, 5), 2),
    );
    step(
        &mut election,
        4,
        says(3, ServerState::Following, choice(2, 9, 5), 2),
    );
    assert_eq!(election.state(), ServerState::Following);
}

#[test]
fn any_numbers_in_a_notification_are_survived() {
    let numbers = [i64::MIN, -1, 0, 1, 2, 3, i64::MAX];
    let states = [0, 1, 2, 3, 4, -1];
    let mut election = looking((1, 7));
    let mut now = 0;
    for (from, leader) in numbers.iter().flat_map(|a| numbers.map(|b| (*a, b))) {
        for (value, round) in numbers.iter().flat_map(|a| numbers.map(|b| (*a, b))) {
            for state in states {
                now += 1;
                let notification = Notification {
                    state: StateCode(state),
                    choice: choice(value, value, leader),
                    round,
                    version: 2,
                    config: None,
                };
                let newer = (state == 4).then_some(NewerConfig::Version);
                let input = Input::Notification {
                    from: ServerId(from),
                    notification,
                    newer,
                };
                step(&mut election, now, input);
                if election.state() != ServerState::Looking {
                    step(&mut election, now, look((1, 7)));
                }
            }
        }
    }
    let wait = Duration::from_secs(60);
    step(
        &mut election,
        (Mono(now) + wait).0,
        Input::Timer(Timer::ElectionResend),
    );
}

#[test]
fn worse_votes_do_not_put_off_the_next_time_a_vote_is_said() {
    let mut election = looking((1, 5));
    let worse = choice(1, 4, 2);
    let mut deadline = None;
    let mut said = false;
    for ms in (0..2_000).step_by(20) {
        if deadline.is_some_and(|at| Mono(ms) >= at) {
            deadline = None;
            election.step(Mono(ms), Input::Timer(Timer::ElectionResend));
        } else {
            election.step(Mono(ms), says(2, ServerState::Looking, worse, 1));
        }
        while let Some(effect) = election.next_effect() {
            match effect {
                Effect::SetTimer {
                    timer: Timer::ElectionResend,
                    at,
                } => deadline = Some(at),
                Effect::Send {
                    to: ServerId(2),
                    vote,
                } => said |= vote.choice == choice(1, 5, 1),
                _ => {}
            }
        }
        // The first look set a timer before the votes came.
        deadline.get_or_insert(Mono(200));
    }
    assert!(
        said,
        "server 2 repeats a worse vote and never hears the better one"
    );
}
