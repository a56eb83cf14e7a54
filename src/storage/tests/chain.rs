//! Everything a protocol may ask of the disk, in any order, with power failures in between: what is found afterwards is
//! what the completed part of the chain left, or that with the interrupted step done.

use super::crash::write_anything;
use super::*;
use crate::base::Epoch;
use crate::storage::epochs::{Epochs, load, save_accepted, save_current};
use crate::storage::install::install;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What a start may find.
#[derive(Clone)]
struct Model {
    /// Digests of the tree at every zxid that the files lead to.
    digests: BTreeMap<Zxid, u64>,
    /// The ends of the history that are possible.
    ends: Vec<Zxid>,
    accepted: Vec<Epoch>,
    current: Vec<Epoch>,
}

struct Member {
    server: Server,
    model: Model,
    rng: SmallRng,
}

impl Member {
    fn start(disk: &SimDisk, mut model: Model, seed: u64) -> Result<Member, StorageError> {
        let server = Server::start(disk)?;
        let Epochs {
            accepted, current, ..
        } = load(disk, &dirs(), server.zxid)?;
        let last = server.zxid;
        assert!(
            model.ends.contains(&last),
            "{last} is none of {:?}",
            model.ends
        );
        let digest = *model
            .digests
            .entry(Zxid::ZERO)
            .or_insert(server.tree.digest());
        let expected = model.digests.get(&last).copied().unwrap_or(digest);
        assert_eq!(server.tree.digest(), expected, "at {last}");
        let raised =
            |known: &[Epoch], found: Epoch, by: Epoch| known.contains(&found) || found == by;
        assert!(
            raised(&model.accepted, accepted, current),
            "{accepted:?} of {:?}",
            model.accepted
        );
        assert!(
            raised(&model.current, current, last.epoch()),
            "{current:?} of {:?}",
            model.current
        );
        assert!(accepted >= current && current >= last.epoch());
        model.digests.retain(|zxid, _| *zxid <= last);
        model.ends = vec![last];
        model.accepted = vec![accepted];
        model.current = vec![current];
        Ok(Member {
            server,
            model,
            rng: SmallRng::seed_from_u64(seed),
        })
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.server.disk.clone())
    }

    fn step(&mut self) -> Result<(), StorageError> {
        match self.rng.random_range(0..16) {
            0 => self.server.snapshot(),
            1 => {
                self.server.log.roll();
                Ok(())
            }
            2 => purge::purge(&self.server.disk, &dirs(), 3).map(drop),
            3 | 4 => self.truncate(),
            5 => self.install(),
            6 | 7 => self.begin_epoch(),
            _ => self.append(),
        }
    }

    fn append(&mut self) -> Result<(), StorageError> {
        for _ in 0..self.rng.random_range(1..6) {
            write_anything(&mut self.server, &mut self.rng);
            let (zxid, digest) = (self.server.zxid, self.server.tree.digest());
            self.model.digests.insert(zxid, digest);
            self.model.ends.push(zxid);
        }
        self.server.log.sync()?;
        self.model.ends = vec![self.server.zxid];
        Ok(())
    }

    /// A new leader: accepted epoch, maybe some of its history, current epoch.
    fn begin_epoch(&mut self) -> Result<(), StorageError> {
        let epoch = Epoch(self.model.accepted[0].0 + self.rng.random_range(1..3));
        self.model.accepted.push(epoch);
        save_accepted(&self.server.disk, &dirs(), epoch)?;
        self.model.accepted = vec![epoch];
        self.server.zxid = Zxid::first_of(epoch);
        if self.rng.random() {
            self.append()?;
        } else {
            // Nobody writes a snapshot of the marker before the epoch is current.
            self.server.zxid = self.model.ends[0];
        }
        self.model.current.push(epoch);
        save_current(&self.server.disk, &dirs(), epoch)?;
        self.model.current = vec![epoch];
        Ok(())
    }

    fn truncate(&mut self) -> Result<(), StorageError> {
        let known: Vec<Zxid> = self.model.digests.keys().copied().collect();
        let to = known[self
            .rng
            .random_range(known.len().saturating_sub(12)..known.len())];
        let reload = self.rng.random();
        self.model.ends.push(to);
        self.server.log.close();
        match truncate_to(&self.server.disk, &dirs(), to, reload, &options())? {
            Truncation::NoWay(_) => {
                self.model.ends.pop();
                return Ok(());
            }
            Truncation::Done(truncated) => {
                self.server.log.continue_after(to);
                self.server.zxid = to;
                self.server.tree = match truncated.tree {
                    Some(tree) => *tree,
                    None => recover_sim(&self.server.disk.fork(0))?.tree,
                };
            }
        }
        assert_eq!(self.server.tree.digest(), self.model.digests[&to]);
        assert_eq!(self.server.tree.last_zxid(), to);
        self.model.digests.retain(|zxid, _| *zxid <= to);
        self.model.ends = vec![to];
        Ok(())
    }

    /// Everything from a leader of a later epoch.
    fn install(&mut self) -> Result<(), StorageError> {
        let epoch = Epoch(self.model.accepted[0].0 + 1);
        self.model.accepted.push(epoch);
        save_accepted(&self.server.disk, &dirs(), epoch)?;
        self.model.accepted = vec![epoch];
        let mut leader = Server::start(&SimDisk::new(0))?;
        (0..10).for_each(|_| write_anything(&mut leader, &mut self.rng));
        let zxid = Zxid(Zxid::first_of(epoch).0 + self.rng.random_range(0..4));
        self.model.digests.insert(zxid, leader.tree.digest());
        self.model.ends.push(zxid);
        self.server.log.close();
        install(
            &self.disk(),
            &dirs(),
            &mut leader.tree,
            zxid,
            &SnapshotOptions::default(),
        )?;
        self.server.log.continue_after(zxid);
        self.server.tree = leader.tree;
        self.server.zxid = zxid;
        self.model.ends = vec![zxid];
        self.model.current.push(epoch);
        save_current(&self.server.disk, &dirs(), epoch)?;
        self.model.current = vec![epoch];
        Ok(())
    }
}

#[test]
fn any_chain_with_any_crashes_leaves_what_was_completed_or_the_next_step_too() {
    let (mut crashes, mut steps) = (0, 0);
    for seed in 0..30 {
        let disk = SimDisk::new(seed);
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut model = Model {
            digests: BTreeMap::new(),
            ends: vec![Zxid::ZERO],
            accepted: vec![Epoch(0)],
            current: vec![Epoch(0)],
        };
        for life in 0..12 {
            // The power may fail while a start completes what was begun, too.
            for crash in 1..6 {
                let attempt = disk.fork(seed * 100 + life);
                attempt.crash_at(crash);
                let _ = Member::start(&attempt, model.clone(), 0);
                attempt.reboot();
                Member::start(&attempt, model.clone(), 0).unwrap();
            }
            let mut member = Member::start(&disk, model, rng.random()).unwrap();
            disk.crash_at(rng.random_range(1..150));
            while member.step().is_ok() {
                steps += 1;
            }
            crashes += 1;
            model = member.model;
            disk.reboot();
        }
    }
    assert!(
        crashes == 360 && steps > 2500,
        "{steps} steps, {crashes} crashes"
    );
}
