//! What must never be seen, whatever goes wrong. One property, one file, one citation.
//!
//! Names are those of the Zab paper (DSN 2011) and of `zookeeper-specifications/protocol-spec/Zab.tla`; E, D and S are
//! those of the implementation-level list beside them.

pub(super) mod disks;
pub(super) mod leadership;
pub(super) mod order;
pub(super) mod sessions;
pub(super) mod trees;
pub(super) mod watches;

use std::collections::BTreeMap;
use std::fmt;

use self::disks::DiskModel;
use self::leadership::Leadership;
use self::order::Order;
use self::sessions::Sessions;
use crate::base::{ServerId, Zxid};
use crate::replica::DiskOp;
use crate::zab::io::{Done, LinkId};
use crate::zab::packet::{FromLeader, FromLearner};

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub property: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property, self.what)
    }
}

/// Whether a property holds.
pub(super) type Held = Result<(), Broken>;

/// `what` is only made where it does not hold.
pub(super) fn holds(is: bool, property: &'static str, what: impl FnOnce() -> String) -> Held {
    match is {
        true => Ok(()),
        false => Err(Broken {
            property,
            what: what(),
        }),
    }
}

/// All that is remembered to judge what is seen.
pub(super) struct Checks {
    pub(super) order: Order,
    pub(super) leadership: Leadership,
    pub(super) disks: BTreeMap<ServerId, DiskModel>,
    pub(super) sessions: Sessions,
    /// The newest COMMIT or INFORM on each link.
    committed_to: BTreeMap<LinkId, Zxid>,
    broken: Option<Broken>,
}

impl Checks {
    pub(super) fn new(voters: usize, servers: impl Iterator<Item = ServerId>, begin: Zxid) -> Self {
        Checks {
            order: Order::new(begin),
            leadership: Leadership::new(voters),
            disks: servers.map(|id| (id, DiskModel::new(begin))).collect(),
            sessions: Sessions::default(),
            committed_to: BTreeMap::new(),
            broken: None,
        }
    }

    /// Keeps the first property that does not hold.
    pub(super) fn note(&mut self, held: Held) {
        if let Err(broken) = held {
            self.broken.get_or_insert(broken);
        }
    }

    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// A server asks something of its disk.
    pub(super) fn asked(&mut self, server: ServerId, op: &DiskOp) {
        if let DiskOp::Append { zxid, payload } = op {
            let held = self.order.logged(server, *zxid, payload);
            self.note(held);
        }
        if let Some(disk) = self.disks.get_mut(&server) {
            let held = disk.asked(server, op);
            self.note(held);
        }
    }

    /// A disk has done something.
    pub(super) fn done(&mut self, server: ServerId, done: Done) {
        if let Some(disk) = self.disks.get_mut(&server) {
            disk.done(done);
        }
    }

    pub(super) fn installed(&mut self, server: ServerId, zxid: Zxid) {
        if let Some(disk) = self.disks.get_mut(&server) {
            disk.installed(zxid);
        }
    }

    /// A process is gone.
    pub(super) fn gone(&mut self, server: ServerId, power_lost: bool) {
        self.leadership.gone(server);
        if let Some(disk) = self.disks.get_mut(&server) {
            disk.gone(power_lost);
        }
    }

    /// A leader says something.
    pub(super) fn leader_says(
        &mut self,
        leader: ServerId,
        link: LinkId,
        packet: &FromLeader,
    ) -> Held {
        match packet {
            FromLeader::Proposal { zxid, txn } | FromLeader::Inform { zxid, txn } => {
                self.order.said(leader, *zxid, txn)?;
            }
            _ => {}
        }
        if let FromLeader::Commit(zxid) | FromLeader::Inform { zxid, .. } = packet {
            let before = self.committed_to.insert(link, *zxid);
            holds(before < Some(*zxid), "D2: commits go out in order", || {
                format!("leader {leader}: {zxid} after {before:?} over {link:?}")
            })?;
            let durable = self
                .disks
                .iter()
                .filter(|(id, disk)| self.leadership.is_voter(**id) && disk.has_durable(*zxid));
            let count = durable.count();
            // The history of an epoch is confirmed as a whole, by NEWLEADER.
            let of_history = !self.leadership.leads_in(leader, zxid.epoch());
            holds(
                of_history || self.leadership.is_quorum(count),
                "D2: a commit has a quorum",
                || format!("leader {leader}: {zxid} is durable on {count} voters"),
            )?;
        }
        Ok(())
    }

    /// A learner says something.
    pub(super) fn learner_says(&mut self, server: ServerId, packet: &FromLearner) -> Held {
        let disk = self.disks.get(&server);
        let Some(disk) = disk else { return Ok(()) };
        match packet {
            FromLearner::Ack(zxid) => disk.may_acknowledge(server, *zxid),
            FromLearner::AckEpoch { .. } => disk.may_answer_epoch(server),
            _ => Ok(()),
        }
    }
}
