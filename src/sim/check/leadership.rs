//! One leader per epoch.
//!
//! *Leadership1*: at any time at most one server leads an epoch. *Leadership2*: an epoch has at most one established
//! leader, ever. *PrimaryIntegrity*: an established leader has everything that was agreed on before. *E3*: nothing is
//! proposed in an epoch before a quorum has its history.
//! Source: `Zab.tla`: `Leadership1`, `Leadership2`, `PrimaryIntegrity`.

use std::collections::BTreeMap;

use super::{Held, holds};
use crate::base::{Epoch, ServerId, Zxid};

/// Who led.
pub(in crate::sim) struct Leadership {
    voters: usize,
    /// The established leader of each epoch: who, its boot, and where its history ended.
    established: BTreeMap<Epoch, (ServerId, u64, Zxid)>,
    serving: BTreeMap<ServerId, Epoch>,
}

impl Leadership {
    pub(super) fn new(voters: usize) -> Self {
        Leadership {
            voters,
            established: BTreeMap::new(),
            serving: BTreeMap::new(),
        }
    }

    pub(in crate::sim) fn is_voter(&self, server: ServerId) -> bool {
        server.0 as usize <= self.voters
    }

    pub(in crate::sim) fn is_quorum(&self, count: usize) -> bool {
        count > self.voters / 2
    }

    /// A leader is established.
    pub(in crate::sim) fn leads(
        &mut self,
        server: ServerId,
        boot: u64,
        epoch: Epoch,
        end: Zxid,
        agreed: Zxid,
    ) -> Held {
        let before = self.established.insert(epoch, (server, boot, end));
        holds(before.is_none(), "Leadership2", || {
            format!("epoch {} is led by {before:?} and by {server}", epoch.0)
        })?;
        self.serving.insert(server, epoch);
        holds(end >= agreed, "PrimaryIntegrity", || {
            format!(
                "leader {server} of epoch {} has a history up to {end}, and {agreed} was agreed on",
                epoch.0
            )
        })
    }

    pub(in crate::sim) fn stops(&mut self, server: ServerId) {
        self.serving.remove(&server);
    }

    /// Whether a server is the established leader of an epoch.
    pub(super) fn leads_in(&self, server: ServerId, epoch: Epoch) -> bool {
        self.serving.get(&server) == Some(&epoch)
    }

    pub(super) fn gone(&mut self, server: ServerId) {
        self.serving.remove(&server);
    }

    /// Where the history ended that the leader of an epoch began with.
    pub(in crate::sim) fn history_of(&self, epoch: Epoch) -> Option<Zxid> {
        self.established.get(&epoch).map(|(_, _, end)| *end)
    }

    /// The first established leadership after an epoch.
    pub(in crate::sim) fn next_after(&self, epoch: Epoch) -> Option<(Epoch, Zxid)> {
        let later = self.established.range(Epoch(epoch.0 + 1)..).next();
        later.map(|(epoch, (_, _, end))| (*epoch, *end))
    }

    pub(in crate::sim) fn epochs(&self) -> usize {
        self.established.len()
    }
}
