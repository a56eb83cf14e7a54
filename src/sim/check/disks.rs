//! What a server may say, given what its disk has.
//!
//! *E1*: the accepted epoch never goes back, and is durable before it is answered. *E2*: the current epoch is durable
//! before NEWLEADER is acknowledged, is never above the accepted one, and never written before the history it stands
//! for. *D1*: nothing is acknowledged that is not durable. And what was durable is there after every crash.
//! Source: zab.md 5.4; `Zab.tla`: `ProcessConsistency`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Held, holds};
use crate::base::{Epoch, ServerId, Zxid};
use crate::replica::DiskOp;
use crate::zab::io::Done;

/// A disk as its server may rely on it.
pub(in crate::sim) struct DiskModel {
    /// Everything up to here is in a snapshot that is durable.
    base: Zxid,
    durable: BTreeSet<Zxid>,
    asked: BTreeSet<Zxid>,
    accepted: Epoch,
    current: Epoch,
    /// Epochs that may be on the disk or not.
    accepted_asked: Option<Epoch>,
    current_asked: Option<Epoch>,
    cut_asked: Option<Zxid>,
    install_asked: Option<Zxid>,
    /// What the log may hold after a crash that nobody relied on.
    doubtful: BTreeSet<Zxid>,
    /// Records of this disk before the base, by what replaced them.
    forgotten: BTreeMap<Zxid, usize>,
}

impl DiskModel {
    pub(super) fn new(base: Zxid) -> Self {
        DiskModel {
            base,
            durable: BTreeSet::new(),
            asked: BTreeSet::new(),
            accepted: base.epoch(),
            current: base.epoch(),
            accepted_asked: None,
            current_asked: None,
            cut_asked: None,
            install_asked: None,
            doubtful: BTreeSet::new(),
            forgotten: BTreeMap::new(),
        }
    }

    /// The last position that is durable.
    pub(in crate::sim) fn end(&self) -> Zxid {
        let last = self.durable.last().copied().unwrap_or(self.base);
        last.max(self.base)
    }

    /// Where the log begins: everything up to here is in a snapshot.
    pub(in crate::sim) fn base(&self) -> Zxid {
        self.base
    }

    /// Everything in the log behind its base, durable or asked for, after a position.
    pub(in crate::sim) fn log_after(&self, zxid: Zxid) -> Vec<Zxid> {
        let zxid = zxid.max(self.base);
        let mut log: BTreeSet<Zxid> = self.durable.iter().copied().filter(|z| *z > zxid).collect();
        log.extend(self.asked.iter().copied().filter(|z| *z > zxid));
        log.into_iter().collect()
    }

    /// The last position of the log, durable or not.
    pub(in crate::sim) fn log_end(&self) -> Zxid {
        let asked = self.asked.last().copied().unwrap_or(self.base);
        asked.max(self.end())
    }

    /// Whether the log, or what it is based on, holds a transaction.
    pub(in crate::sim) fn has(&self, zxid: Zxid) -> bool {
        self.has_durable(zxid) || self.asked.contains(&zxid)
    }

    pub(super) fn has_durable(&self, zxid: Zxid) -> bool {
        zxid <= self.base || self.durable.contains(&zxid)
    }

    pub(in crate::sim) fn epochs(&self) -> (Epoch, Epoch) {
        (self.accepted, self.current)
    }

    pub(super) fn asked(&mut self, server: ServerId, op: &DiskOp) -> Held {
        match op {
            DiskOp::Append { zxid, .. } => {
                let end = self.log_end();
                self.asked.insert(*zxid);
                return holds(
                    *zxid > end || self.cut_asked.is_some() || self.install_asked.is_some(),
                    "logs grow at their end",
                    || format!("server {server} appends {zxid} behind {end}"),
                );
            }
            DiskOp::SaveAcceptedEpoch(epoch) => {
                self.accepted_asked = Some(*epoch);
                let accepted = self.accepted;
                return holds(
                    *epoch >= accepted,
                    "E1: the accepted epoch never goes back",
                    || format!("server {server}: {} after {}", epoch.0, accepted.0),
                );
            }
            DiskOp::SaveCurrentEpoch(epoch) => {
                self.current_asked = Some(*epoch);
                let accepted = self.accepted.max(self.accepted_asked.unwrap_or_default());
                return holds(*epoch <= accepted, "E2: current <= accepted", || {
                    format!("server {server}: {} > {}", epoch.0, accepted.0)
                });
            }
            DiskOp::Truncate { to, .. } => self.cut_asked = Some(*to),
            DiskOp::InstallSnapshot { zxid, .. } => self.install_asked = Some(*zxid),
        }
        Ok(())
    }

    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Logged { upto } => {
                let later = self.asked.split_off(&Zxid(upto.0 + 1));
                self.durable.append(&mut self.asked);
                self.asked = later;
            }
            Done::AcceptedEpoch(epoch) => {
                self.accepted = epoch;
                self.accepted_asked = None;
            }
            Done::CurrentEpoch(epoch) => {
                self.current = epoch;
                self.current_asked = None;
            }
            Done::Truncated => {
                if let Some(to) = self.cut_asked.take() {
                    self.durable.split_off(&Zxid(to.0 + 1));
                    self.base = self.base.min(to);
                }
            }
            Done::NotTruncated => self.cut_asked = None,
            Done::Installed => {}
        }
    }

    pub(super) fn installed(&mut self, zxid: Zxid) {
        self.install_asked = None;
        self.forgotten.insert(zxid, self.durable.len());
        self.durable.clear();
        self.base = zxid;
    }

    pub(super) fn gone(&mut self, _power_lost: bool) {
        self.doubtful.append(&mut self.asked);
    }

    /// Whether nothing that the server of another disk promised is lost with that disk, if this one's server serves.
    ///
    /// Of two logs that end in one epoch the shorter one is the beginning of the other. What ends in an epoch before
    /// the one that is served here, and is not part of its history, nobody counts any more.
    pub(in crate::sim) fn outlasts(&self, other: &DiskModel) -> bool {
        self.end() >= other.end()
            && self.accepted >= other.accepted
            && self.current >= other.current
    }

    /// The disk was emptied.
    pub(in crate::sim) fn emptied(&mut self) {
        *self = DiskModel::new(Zxid::ZERO);
    }

    /// A server starts, with what it found on its disk.
    pub(in crate::sim) fn recovered(
        &mut self,
        server: ServerId,
        base: Zxid,
        log: &[Zxid],
        last: Zxid,
        epochs: (Epoch, Epoch),
    ) -> Held {
        let (accepted, current) = epochs;
        let end = self.end();
        let least = [self.cut_asked, self.install_asked.map(|_| Zxid::ZERO)];
        let least = least.into_iter().flatten().fold(end, Zxid::min);
        holds(last >= least, "what was durable survives", || {
            format!("server {server} starts at {last}, and its disk had {end}")
        })?;
        holds(
            accepted >= self.accepted,
            "E1: the accepted epoch survives",
            || {
                format!(
                    "server {server}: {} and not {}",
                    accepted.0, self.accepted.0
                )
            },
        )?;
        holds(
            current >= self.current,
            "E2: the current epoch survives",
            || format!("server {server}: {} and not {}", current.0, self.current.0),
        )?;
        let log: BTreeSet<Zxid> = log.iter().copied().collect();
        let installed = self.install_asked == Some(last) || self.install_asked == Some(base);
        if !installed {
            let lost = self
                .durable
                .iter()
                .find(|zxid| **zxid > base && **zxid <= last && !log.contains(zxid));
            holds(lost.is_none(), "what was durable survives", || {
                format!("server {server} starts at {last} on {base} without {lost:?}")
            })?;
            let new = log.iter().find(|zxid| {
                !self.durable.contains(zxid) && !self.doubtful.contains(zxid) && **zxid > self.base
            });
            holds(new.is_none(), "a log holds what was appended", || {
                format!("server {server} finds {new:?}, which it never logged")
            })?;
            self.durable.retain(|zxid| *zxid <= last);
            self.durable
                .extend(log.iter().filter(|zxid| **zxid > self.base));
            if base > self.end() {
                self.base = base;
            }
        } else {
            self.durable = log;
            self.base = base;
        }
        self.doubtful.clear();
        (self.accepted, self.current) = (accepted, current);
        (self.accepted_asked, self.current_asked) = (None, None);
        (self.cut_asked, self.install_asked) = (None, None);
        Ok(())
    }

    /// A learner acknowledges NEWLEADER (counter 0) or a proposal.
    pub(super) fn may_acknowledge(&self, server: ServerId, zxid: Zxid) -> Held {
        if zxid.counter() == 0 {
            let current = self.current;
            holds(
                current == zxid.epoch(),
                "E2: the epoch is durable before its answer",
                || {
                    format!(
                        "server {server} acknowledges {zxid}, its disk has epoch {}",
                        current.0
                    )
                },
            )?;
            return holds(
                self.asked.iter().all(|asked| asked.epoch() >= zxid.epoch()),
                "E2: the history is durable before its answer",
                || {
                    format!(
                        "server {server} acknowledges {zxid} before {:?}",
                        self.asked
                    )
                },
            );
        }
        holds(
            self.has_durable(zxid),
            "D1: durable before acknowledged",
            || {
                format!(
                    "server {server} acknowledges {zxid}, its disk ends at {}",
                    self.end()
                )
            },
        )
    }

    pub(super) fn may_answer_epoch(&self, server: ServerId) -> Held {
        let asked = self.accepted_asked;
        holds(
            asked.is_none(),
            "E1: the accepted epoch is durable before its answer",
            || format!("server {server} answers while {asked:?} is on its way to the disk"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(epochs: (i32, i32), durable: &[i64]) -> DiskModel {
        let mut disk = DiskModel::new(Zxid(0x1_0000_0005));
        (disk.accepted, disk.current) = (Epoch(epochs.0.into()), Epoch(epochs.1.into()));
        disk.durable = durable.iter().map(|zxid| Zxid(*zxid)).collect();
        disk
    }

    #[test]
    fn a_disk_outlasts_another_that_promised_no_more() {
        let here = disk((2, 2), &[0x2_0000_0001, 0x2_0000_0002]);
        assert!(here.outlasts(&disk((2, 2), &[0x2_0000_0001, 0x2_0000_0002])));
        assert!(here.outlasts(&disk((2, 2), &[0x2_0000_0001])));
        assert!(here.outlasts(&DiskModel::new(Zxid::ZERO)));
        // Nobody counts any more what is not in the history of the epoch that is served.
        assert!(here.outlasts(&disk((1, 1), &[0x1_0000_0006])));
        let more = disk((2, 2), &[0x2_0000_0001, 0x2_0000_0002, 0x2_0000_0003]);
        assert!(
            !here.outlasts(&more),
            "an acknowledgement may be on its way"
        );
        assert!(
            !here.outlasts(&disk((3, 2), &[])),
            "so may an accepted epoch"
        );
        assert!(!here.outlasts(&disk((3, 3), &[])));
    }

    #[test]
    fn what_is_not_durable_here_is_not_here() {
        let mut here = disk((2, 2), &[0x2_0000_0001]);
        here.asked.insert(Zxid(0x2_0000_0002));
        assert!(!here.outlasts(&disk((2, 2), &[0x2_0000_0001, 0x2_0000_0002])));
    }
}
