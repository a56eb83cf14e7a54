//! Runs the files under `src/zab/testdata/election/`. The commands are those of
//! [`Scenario::command`].
//!
//! A trace has a line for everything sent, with the time in milliseconds, and one for every
//! decision, with the voters that were known to agree.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::{World, choice, position};
use crate::base::{Epoch, ServerId};
use crate::testkit::scenario::{self, Command, number};
use crate::zab::election::{Input, LearnerType, NewerConfig};
use crate::zab::quorum::{GroupId, Placement, QuorumSystem, Quorums};
use crate::zab::vote::{ServerState, Vote};

#[test]
fn elections_go_as_their_scenarios_say() {
    scenario::run_folder("src/zab/testdata/election", || {
        let mut scenario = Scenario {
            world: World::new(majority([])),
        };
        move |command: &Command, trace: &mut String| {
            scenario.command(command);
            *trace += &std::mem::take(&mut scenario.world.trace);
        }
    });
}

struct Scenario {
    world: World,
}

fn majority(voters: impl IntoIterator<Item = ServerId>) -> Quorums {
    let voters = voters.into_iter().collect();
    Quorums::new(QuorumSystem::Majority { voters }, None)
}

impl Scenario {
    fn command(&mut self, command: &Command) {
        match command.name.as_str() {
            // server 4 epoch=1 zxid=0x100000004 role=voter|observer|unnamed group=1 weight=0
            "server" => self.server(command),
            // boot 1 2 3
            "boot" => self.each(command, World::boot),
            // kill 3: without a word; the others see the link break
            "kill" => self.each(command, World::kill),
            // look 1 2: they have lost their leader
            "look" => self.each(command, World::look),
            // cut 1 2 from=3: nothing passes between 1 or 2 and 3, and nobody is told
            "cut" => self.cut(command),
            // heal
            "heal" => self.world.cut.clear(),
            // run 200: so many milliseconds; run: until nothing is on its way and nobody is about
            // to decide
            "run" => match command.numbers().first() {
                Some(ms) => self.world.run(Duration::from_millis(*ms as u64)),
                None => self.world.run_until_quiet(),
            },
            // established 1 2 epoch=2 zxid=0x200000001: they are synchronized in this epoch, up to
            // there
            "established" => self.established(command),
            // next 1 2 3: a reconfiguration to these voters is proposed everywhere
            "next" => self.next(command),
            // tell 3 to=1 state=leading leader=3 epoch=1 zxid=0x1 round=4 newer=members: as if 3 had
            // newer=version|members: as if 3 said so
            "tell" => self.tell(command),
            other => panic!("unknown command {other:?}"),
        }
    }

    fn each(&mut self, command: &Command, mut act: impl FnMut(&mut World, ServerId)) {
        for id in command.numbers() {
            act(&mut self.world, ServerId(id));
        }
    }

    fn server(&mut self, command: &Command) {
        let at = position(command.number("epoch", 0), command.number("zxid", 0));
        let role = command.value("role").unwrap_or("voter");
        let learner = match role {
            "observer" => LearnerType::Observer,
            _ => LearnerType::Participant,
        };
        for id in command.numbers().into_iter().map(ServerId) {
            self.world.add(id, learner, at);
            if role == "voter" {
                self.world.quorums = self.with_voter(id, command);
            }
        }
    }

    /// The configuration with one voter more. Those with a group come first, or none has one.
    fn with_voter(&self, id: ServerId, command: &Command) -> Quorums {
        let mut system = self.world.quorums.committed().clone();
        if let (QuorumSystem::Majority { voters }, Some(_)) = (&system, command.value("group")) {
            system = QuorumSystem::Hierarchical {
                voters: voters.clone(),
                placements: BTreeMap::new(),
            };
        }
        match &mut system {
            QuorumSystem::Majority { voters } => voters.insert(id),
            QuorumSystem::Hierarchical { voters, placements } => {
                let group = GroupId(command.number("group", 0));
                let weight = command.number("weight", 1) as u64;
                placements.insert(id, Placement { group, weight });
                voters.insert(id)
            }
        };
        Quorums::new(system, None)
    }

    fn cut(&mut self, command: &Command) {
        let others = command.value("from").unwrap().split(',').map(number);
        for (one, other) in
            others.flat_map(|other| command.numbers().into_iter().map(move |one| (one, other)))
        {
            self.world.cut.insert((ServerId(one), ServerId(other)));
            self.world.cut.insert((ServerId(other), ServerId(one)));
        }
    }

    fn established(&mut self, command: &Command) {
        let epoch = command.number("epoch", 0);
        let at = position(epoch, command.number("zxid", 0));
        for id in command.numbers().into_iter().map(ServerId) {
            self.world.servers.get_mut(&id).unwrap().position = at;
            self.world.step(id, Input::Established(Epoch(epoch)));
        }
    }

    fn next(&mut self, command: &Command) {
        let voters = command.numbers().into_iter().map(ServerId).collect();
        let next = QuorumSystem::Majority { voters };
        self.world.quorums = Quorums::new(self.world.quorums.committed().clone(), Some(next));
        for id in self.world.up() {
            let configured = Input::Configured {
                quorums: self.world.quorums.clone(),
                learner: self.world.servers[&id].learner,
            };
            self.world.step(id, configured);
        }
    }

    fn tell(&mut self, command: &Command) {
        let state = match command.value("state") {
            Some("following") => ServerState::Following,
            Some("leading") => ServerState::Leading,
            Some("observing") => ServerState::Observing,
            _ => ServerState::Looking,
        };
        let vote = Vote {
            state,
            choice: choice(
                command.number("epoch", 0),
                command.number("zxid", 0),
                command.number("leader", 0),
            ),
            round: command.number("round", 1),
            version: command.number("version", 2) as i32,
        };
        let newer = command.value("newer").map(|what| match what {
            "members" => NewerConfig::Members,
            _ => NewerConfig::Version,
        });
        let to = ServerId(command.number("to", 0));
        for from in command.numbers() {
            self.world.transmit(ServerId(from), to, vote, newer);
        }
    }
}
