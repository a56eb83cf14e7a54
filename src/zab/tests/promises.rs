//! What must be true of an ensemble, whatever happens to it. Names as in `zookeeper-specifications/` and zab.md 12.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::disk::{Disk, Entry};
use crate::base::{Epoch, ServerId};
use crate::zab::io::Role;
use crate::zab::quorum::Quorums;

/// Everything that was promised so far.
#[derive(Debug, Default)]
pub struct Promises {
    /// What any client of any server may have seen, in its one order.
    pub visible: Vec<Entry>,
    /// What leaders proposed.
    proposed: BTreeSet<Entry>,
    /// What each epoch began with: the log of its leader.
    initial: BTreeMap<i64, Vec<Entry>>,
    /// Who synchronized others in which epoch.
    synchronizing: BTreeMap<i64, ServerId>,
    /// Who served as leader of which epoch.
    leaders: BTreeMap<i64, ServerId>,
    /// Who acknowledged the initial history of which epoch.
    acknowledged: BTreeMap<i64, BTreeSet<ServerId>>,
    /// For each server's syncs, what was visible when they began.
    syncs: BTreeMap<ServerId, VecDeque<usize>>,
    /// The same of its doubts whether it leads.
    doubts: BTreeMap<ServerId, VecDeque<usize>>,
    /// Servers share ids, so nothing is known of who has what.
    pub without_disks: bool,
}

/// Why a server of ours may leave another one. What is not listed says that one of them broke the protocol.
const HONEST: &[&str] = &[
    "connection was lost",
    "silent for too long",
    "cannot be reached",
    "is older than",
    "log cannot be cut",
    "only a snapshot helps",
    "no quorum",
    "nearly used up",
    "can only follow a later leadership",
    "did not make the epoch durable",
    "it was silent, or did not acknowledge",
    "it has more than this leader",
    // The log was purged while it was read.
    "the log cannot be read for it",
];

impl Promises {
    /// Integrity: only what was proposed is ever delivered.
    pub fn proposes(&mut self, entry: Entry, last_counter: u32) {
        assert!(
            entry.0.counter() > 0 && entry.0.counter() <= last_counter,
            "{} is proposed, the counter ends at {last_counter:#x}",
            entry.0
        );
        self.proposed.insert(entry);
    }

    /// A tree that clients see from now on. TotalOrder, PrefixConsistency, Agreement, Integrity.
    pub fn reveals(&mut self, id: ServerId, tree: &[Entry]) {
        let common = tree.len().min(self.visible.len());
        assert_eq!(
            tree[..common],
            self.visible[..common],
            "PrefixConsistency: what {id} serves and what was served before"
        );
        for entry in &tree[common..] {
            self.extend(id, *entry);
        }
    }

    /// One more transaction in a tree that clients see.
    pub fn delivers(&mut self, id: ServerId, tree: &[Entry]) {
        let Some((last, before)) = tree.split_last() else {
            return;
        };
        match self.visible.get(before.len()) {
            Some(seen) => assert_eq!(last, seen, "Agreement: {id} delivers, others saw"),
            None => {
                assert_eq!(
                    before.len(),
                    self.visible.len(),
                    "TotalOrder: {id} delivers {last:?}"
                );
                self.extend(id, *last);
            }
        }
    }

    fn extend(&mut self, id: ServerId, entry: Entry) {
        let last = self.visible.last();
        assert!(
            last.is_none_or(|last| last.0 < entry.0),
            "GlobalPrimaryOrder: {id} shows {entry:?} after {last:?}"
        );
        assert!(
            self.proposed.contains(&entry),
            "Integrity: {id} shows {entry:?}"
        );
        self.visible.push(entry);
    }

    /// PrimaryIntegrity: whoever serves in an epoch has everything of earlier ones that anyone saw.
    pub fn serves(
        &mut self,
        id: ServerId,
        role: Role,
        epoch: Epoch,
        tree: &[Entry],
        quorums: &Quorums,
    ) {
        self.reveals(id, tree);
        let earlier = self
            .visible
            .partition_point(|(zxid, _)| zxid.epoch() < epoch);
        assert!(
            tree.len() >= earlier,
            "PrimaryIntegrity: {id} serves as {role:?} of {epoch:?} without {:?}",
            &self.visible[tree.len().min(earlier)..earlier]
        );
        if role == Role::Leading {
            let other = self.leaders.insert(epoch.0, id);
            assert!(
                other.is_none_or(|other| other == id),
                "Leadership2: {other:?} and {id} lead {epoch:?}"
            );
            let mut have = self.acknowledged.get(&epoch.0).cloned().unwrap_or_default();
            have.insert(id);
            assert!(
                quorums.reached_by(&have),
                "E3: {id} leads {epoch:?} with {have:?} only"
            );
        }
    }

    /// The leader of an epoch has it on its disk: what it has is the epoch's initial history.
    pub fn begins(&mut self, id: ServerId, epoch: Epoch, disk: &Disk) {
        let other = self.synchronizing.insert(epoch.0, id);
        assert!(
            other.is_none_or(|other| other == id),
            "Leadership1: {other:?} and {id} synchronize {epoch:?}"
        );
        self.initial.insert(epoch.0, disk.contents());
    }

    /// E2: an epoch is on a disk only with the history it stands for.
    pub fn adopts(&self, id: ServerId, epoch: Epoch, disk: &Disk) {
        let Some(initial) = self.initial.get(&epoch.0) else {
            panic!("E2: {id} has {epoch:?} of nobody");
        };
        let contents = disk.contents();
        assert!(
            self.without_disks || contents.starts_with(initial),
            "E2: {id} has {epoch:?} with {contents:?}, it began with {initial:?}"
        );
    }

    /// An ACK of NEWLEADER leaves.
    pub fn acknowledges_epoch(&mut self, id: ServerId, epoch: Epoch, disk: &Disk) {
        assert_eq!(
            disk.current, epoch.0,
            "E2: {id} acknowledges NEWLEADER of {epoch:?}"
        );
        self.adopts(id, epoch, disk);
        self.acknowledged.entry(epoch.0).or_default().insert(id);
    }

    /// D2: what a leader calls agreed is on the disks of a quorum.
    pub fn agrees<'a>(
        &self,
        id: ServerId,
        entry: Entry,
        quorums: &Quorums,
        disks: impl Iterator<Item = (ServerId, &'a Disk)>,
    ) {
        let have: BTreeSet<ServerId> = disks
            .filter(|(_, disk)| disk.holds(&entry))
            .map(|(id, _)| id)
            .collect();
        assert!(
            self.without_disks || quorums.reached_by(&have),
            "D2: {id} commits {entry:?}, which only {have:?} have"
        );
    }

    /// A client's sync begins.
    pub fn sync_begins(&mut self, id: ServerId) {
        self.syncs
            .entry(id)
            .or_default()
            .push_back(self.visible.len());
    }

    /// It is answered: a read that follows sees everything that anyone had seen when it began.
    pub fn sync_ends(&mut self, id: ServerId, tree: &[Entry]) {
        let began = self.syncs.entry(id).or_default().pop_front();
        let began = began.unwrap_or_else(|| panic!("{id} answers a sync that nobody asked for"));
        assert!(
            tree.len() >= began,
            "sync: {id} has {} transactions, {began} were visible when it began",
            tree.len()
        );
    }

    /// A leader begins to doubt that it leads.
    pub fn doubt_begins(&mut self, id: ServerId) {
        let visible = self.visible.len();
        self.doubts.entry(id).or_default().push_back(visible);
    }

    /// It is confirmed: what it does not know was nowhere when it began to doubt.
    pub fn doubt_ends(&mut self, id: ServerId, tree: &[Entry]) {
        let began = self.doubts.entry(id).or_default().pop_front();
        let began = began.unwrap_or_else(|| panic!("{id} is confirmed and did not doubt"));
        assert!(
            tree.len() >= began,
            "doubt: {id} has {} transactions, {began} were visible when it began",
            tree.len()
        );
    }

    /// Syncs and doubts of a server that are not over.
    pub fn syncs_of(&self, id: ServerId) -> usize {
        let waiting = [&self.syncs, &self.doubts].map(|of| of.get(&id).map_or(0, VecDeque::len));
        waiting.iter().sum()
    }

    pub fn forgets_syncs(&mut self, id: ServerId) {
        self.syncs.remove(&id);
        self.doubts.remove(&id);
    }

    /// Nobody of ours gives another one a reason to leave it.
    pub fn gives_up(&self, id: ServerId, why: &str) {
        let honest = HONEST.iter().any(|reason| why.contains(reason));
        assert!(honest, "{id} gives up: {why}");
    }
}
