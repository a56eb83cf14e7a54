//! Runs the files under `src/zab/testdata/sync/`. The commands are those of [`Scenario::command`]; positions are
//! `epoch:counter`.
//!
//! A trace has a line for every packet of the quorum port except pings, for everything a disk has done, and for what
//! servers begin, deliver, and give up. Packets travel before disks do anything. A tick takes 200 ms, initLimit is 2 s,
//! syncLimit 1 s.

use std::time::Duration;

use jute::Op;

use super::disk::{Disk, Entry};
use super::world::World;
use crate::base::{Epoch, ServerId, Zxid};
use crate::testkit::scenario::{self, Command};

#[test]
fn synchronizations_go_as_their_scenarios_say() {
    scenario::run_folder("src/zab/testdata/sync", || {
        let mut scenario = Scenario {
            world: World::empty(0, 0),
        };
        move |command: &Command, trace: &mut String| {
            scenario.command(command);
            if let Some(script) = &mut scenario.world.script {
                *trace += &std::mem::take(script);
            }
        }
    });
}

/// The lines that a script of commands writes.
pub fn trace(script: &str) -> Vec<String> {
    let mut scenario = Scenario {
        world: World::empty(0, 0),
    };
    let commands = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    commands.for_each(|line| scenario.command(&Command::parse(line)));
    let script = scenario.world.script.unwrap_or_default();
    script.lines().map(str::to_owned).collect()
}

struct Scenario {
    world: World,
}

fn position(text: &str) -> Zxid {
    let (epoch, counter) = text.split_once(':').unwrap();
    Zxid(Zxid::first_of(Epoch(scenario::number(epoch))).0 + scenario::number(counter))
}

/// `1:1-1:5,2:1`
fn entries(text: &str) -> Vec<Entry> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let ranges = parts.map(|part| part.split_once('-').unwrap_or((part, part)));
    let zxids = ranges.flat_map(|(first, last)| position(first).0..=position(last).0);
    zxids.map(|zxid| (Zxid(zxid), 0)).collect()
}

impl Scenario {
    fn command(&mut self, command: &Command) {
        let world = &mut self.world;
        let ids: Vec<ServerId> = command.numbers().into_iter().map(ServerId).collect();
        match command.name.as_str() {
            // voters 3: their ids are 1 to 3; who has another one observes
            "voters" => {
                *world = World::empty(0, ids[0].0);
                (world.calm, world.script) = (true, Some(String::new()));
            }
            // memory 2: so many transactions are kept there
            "memory" => world.history.count = ids[0].0 as usize,
            // counter 3: the counter of an epoch ends there
            "counter" => world.last_counter = ids[0].0 as u32,
            // server 1 2 epoch=1 snapshot=1:0 log=1:1-1:5,2:1
            "server" => ids.iter().for_each(|id| self.server(*id, *id, command)),
            // twin 102 as=2: another server that calls itself 2
            "twin" => self.server(ids[0], ServerId(command.number("as", 0)), command),
            // boot 1 2
            "boot" => ids.iter().for_each(|id| world.start(*id)),
            // crash 3: nothing more of what its disk was asked for is done
            "crash" => ids.iter().for_each(|id| world.crash(*id)),
            // stall 2: its disk does nothing; go 2: it does again
            "stall" => ids.iter().for_each(|id| world.server(*id).slowness = 1),
            "go" => ids.iter().for_each(|id| world.server(*id).slowness = 0),
            // refuse 2: its disk finds no way to cut the log
            "refuse" => ids.iter().for_each(|id| world.server(*id).refuses = 100),
            // spoil 3: its log cannot be read back any more, though nobody who looks for a place in it sees that
            "spoil" => ids
                .iter()
                .for_each(|id| world.server(*id).unreadable = true),
            // cut 3 1 2: nothing passes from 3 to 1 or 2
            "cut" => world.cut.extend(ids[1..].iter().map(|to| (ids[0], *to))),
            // isolate 3
            "isolate" => ids.iter().for_each(|id| world.isolate(*id)),
            // heal 3 1: what 3 sends to 1 passes again; heal: everything does
            "heal" if ids.is_empty() => world.cut.clear(),
            "heal" => ids[1..].iter().for_each(|to| {
                world.cut.remove(&(ids[0], *to));
            }),
            // break 2: its connections; with deaf=leader or deaf=learner that side does not notice
            "break" => {
                let who = match command.value("deaf") {
                    Some("leader") => 2,
                    Some(_) => 1,
                    None => 0,
                };
                ids.iter().for_each(|id| world.break_links(*id, who));
            }
            // write 2, sync 2: a client of 2 asks for it
            "write" => ids.iter().for_each(|id| world.ask(*id, Op::Create)),
            "sync" => ids.iter().for_each(|id| world.ask(*id, Op::Sync)),
            // run: until nothing is on its way; run 500: so many milliseconds; until=NEWLEADER: no longer than until
            // a line says so
            "run" => self.run(command),
            // show 1 2: what their disks hold
            "show" => ids.iter().for_each(|id| self.show(*id)),
            other => panic!("unknown command {other:?}"),
        }
    }

    fn server(&mut self, place: ServerId, me: ServerId, command: &Command) {
        let epoch = command.number("epoch", 0);
        let log = entries(command.value("log").unwrap_or_default());
        let at = command.value("snapshot").map_or(Zxid::ZERO, position);
        for entry in &log {
            self.world.promises.proposes(*entry, u32::MAX);
        }
        let held = log.iter().filter(|(zxid, _)| *zxid <= at);
        let disk = Disk {
            accepted: command.number("accepted", epoch),
            current: epoch,
            snapshot: (at, held.copied().collect()),
            log: log.into_iter().filter(|(zxid, _)| *zxid > at).collect(),
            purged: at,
        };
        self.world.add(place, me, disk);
    }

    fn run(&mut self, command: &Command) {
        let world = &mut self.world;
        let until = command.value("until").map(|text| text.replace('_', " "));
        let ms = command.numbers().first().copied().unwrap_or(0);
        let end = world.now + Duration::from_millis(ms as u64);
        loop {
            let script = world.script.as_deref().unwrap_or_default();
            if until.as_ref().is_some_and(|until| script.contains(until)) {
                return;
            }
            if !world.happen() {
                if world.now >= end {
                    return;
                }
                let left = end - world.now;
                world.wait(left);
            }
        }
    }

    fn show(&mut self, id: ServerId) {
        let disk = &self.world.servers[&id].disk;
        let held: Vec<String> = disk
            .contents()
            .iter()
            .map(|(zxid, _)| super::world::show(*zxid))
            .collect();
        let line = format!(
            "{id} holds {} accepted={} current={}",
            held.join(" "),
            disk.accepted,
            disk.current
        );
        self.world.note(line);
    }
}
