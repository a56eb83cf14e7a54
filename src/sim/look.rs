//! What is to be seen of a server after every step.

use super::World;
use crate::base::{Epoch, ServerId, Zxid};
use crate::sim::check::{Held, holds};
use crate::zab::vote::ServerState;

impl World {
    /// Looks at what a server has delivered and become since the last look.
    pub(super) fn look_at(&mut self, server: ServerId) {
        let held = self.look(server);
        self.checks.note(held);
        let sessions = &mut self.checks.sessions;
        let held = sessions.look(&self.checks.order);
        self.checks.note(held);
    }

    fn look(&mut self, server: ServerId) -> Held {
        let Some(process) = self
            .servers
            .get_mut(&server)
            .and_then(|m| m.process.as_mut())
        else {
            return Ok(());
        };
        let delivered = process.gate.write().take_journal();
        let peer = process.replica.peer();
        let (state, epoch) = (peer.state(), peer.epoch());
        let serves = peer.is_serving().then_some((state, epoch));
        let (before, boot) = (
            std::mem::replace(&mut process.serving, serves),
            process.boot,
        );
        let (tree_at, digest) = process.gate.read(|tree| (tree.last_zxid(), tree.digest()));
        if before.is_some() && before != serves {
            self.checks.leadership.stops(server);
            self.note(|| format!("server {server} serves no more"));
        }
        if before != serves
            && let Some((state, epoch)) = serves
        {
            self.note(|| {
                format!(
                    "server {server} is {state:?} in epoch {} at {tree_at}",
                    epoch.0
                )
            });
            self.seen.count(match state {
                ServerState::Leading => "leader established",
                ServerState::Following => "follower serves",
                _ => "observer serves",
            });
            if state == ServerState::Leading {
                self.established(server, boot, epoch)?;
            }
        }
        for (zxid, digest) in delivered {
            self.checks.order.delivered(server, zxid, digest)?;
        }
        if before != serves && serves.is_some() {
            self.begins_well(server, epoch)?;
        }
        if serves.is_some() {
            let order = &self.checks.order;
            let at = order.up_to(tree_at);
            let expected = order.at(at).map(|agreed| agreed.digest);
            holds(
                expected.is_none_or(|expected| expected == digest),
                "S1: equal digests at equal zxids",
                || format!("server {server} at {tree_at}: {digest:#x} and not {expected:x?}"),
            )?;
        }
        Ok(())
    }

    /// A leader is established: all of its log is agreed on from now on.
    fn established(&mut self, server: ServerId, boot: u64, epoch: Epoch) -> Held {
        let checks = &mut self.checks;
        let Some(disk) = checks.disks.get(&server) else {
            return Ok(());
        };
        // It may hear only now that it was established long ago, and others have gone on since.
        let agreed = checks.order.up_to(Zxid::first_of(epoch));
        let end = disk.log_end();
        // An epoch with transactions was established, and so was all before it: what a snapshot holds that was not
        // agreed on yet is of its own epoch.
        let mut log = checks.order.made_between(agreed, disk.base());
        log.extend(disk.log_after(agreed));
        checks.leadership.leads(server, boot, epoch, end, agreed)?;
        let has = disk.has(agreed);
        holds(has, "PrimaryIntegrity", || {
            format!(
                "leader {server} of epoch {} does not have {agreed}",
                epoch.0
            )
        })?;
        for zxid in log {
            // Its own first proposals may be there already.
            if zxid.epoch() < epoch {
                checks.order.agree_or_find(server, zxid)?;
            }
        }
        let adopted = checks
            .disks
            .iter()
            .filter(|(id, disk)| checks.leadership.is_voter(**id) && disk.epochs().1 >= epoch);
        let adopted = adopted.count();
        holds(
            checks.leadership.is_quorum(adopted),
            "E3: a quorum has the epoch before its leader serves",
            || {
                format!(
                    "leader {server} of epoch {} serves, {adopted} have it",
                    epoch.0
                )
            },
        )
    }

    /// A server that begins to serve has everything its epoch began with.
    fn begins_well(&mut self, server: ServerId, epoch: Epoch) -> Held {
        let Some(process) = self.servers[&server].process.as_ref() else {
            return Ok(());
        };
        let at = process.gate.read(|tree| tree.last_zxid());
        let (order, leadership) = (&self.checks.order, &self.checks.leadership);
        let begun = leadership.history_of(epoch);
        holds(begun.is_some(), "Leadership1", || {
            format!(
                "server {server} serves in epoch {}, which nobody leads",
                epoch.0
            )
        })?;
        let begun = begun.map(|begun| order.up_to(begun));
        holds(begun <= Some(order.up_to(at)), "PrimaryIntegrity", || {
            format!("server {server} serves at {at}, its epoch began with {begun:?}")
        })
    }
}
