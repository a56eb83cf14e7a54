//! A disk that a test can look into: what it holds, and what it was asked for and has not done.

use bytes::{Bytes, BytesMut};
use jute::txn::{ErrorTxn, LoggedTxn, Txn, TxnHeader};

use crate::base::{Epoch, Zxid};
use crate::zab::Proposal;
use crate::zab::history::{History, HistoryLimits, Logged};
use crate::zab::io::{Done, Stored};

/// A transaction, and what tells it from another one that was given the same number.
pub type Entry = (Zxid, i32);

/// A transaction that does nothing but carry `tag`.
pub fn proposal((zxid, tag): Entry) -> Proposal {
    let txn = Txn::Error(ErrorTxn { err: tag });
    let header = TxnHeader {
        zxid: zxid.0,
        kind: txn.op().into(),
        ..TxnHeader::default()
    };
    let txn = LoggedTxn {
        header,
        txn,
        digest: None,
    };
    let mut bytes = BytesMut::new();
    txn.write(&mut bytes);
    Proposal {
        zxid,
        txn: Box::new(txn),
        payload: bytes.freeze(),
    }
}

/// What [`proposal`] made a payload of.
pub fn entry(zxid: Zxid, payload: &Bytes) -> Entry {
    let tag = payload.last_chunk::<4>().copied().unwrap_or_default();
    (zxid, i32::from_be_bytes(tag))
}

pub fn logged(entry: &Entry) -> Logged {
    Logged {
        zxid: entry.0,
        txn: proposal(*entry).payload,
    }
}

/// What is durable on one server.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub accepted: i64,
    pub current: i64,
    /// May reach back beyond the snapshot, and then have a hole before it.
    pub log: Vec<Entry>,
    /// Its zxid, which may be a marker, and all that its tree holds.
    pub snapshot: (Zxid, Vec<Entry>),
    /// Whatever the log held up to here was removed in favour of a snapshot.
    pub purged: Zxid,
}

/// What a disk was asked for.
#[derive(Clone, Debug)]
pub enum DiskOp {
    Append(Entry),
    Accepted(Epoch),
    Current(Epoch),
    Truncate(Zxid, bool),
    Install(Zxid, Vec<Entry>),
}

impl Disk {
    /// Everything a server that starts from this disk has.
    pub fn contents(&self) -> Vec<Entry> {
        let newer = self.log.iter().filter(|(zxid, _)| *zxid > self.snapshot.0);
        self.snapshot.1.iter().chain(newer).copied().collect()
    }

    /// Where the history ends for an election.
    pub fn last(&self) -> Zxid {
        let logged = self.log.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        logged.max(self.snapshot.0)
    }

    /// Whether `zxid` says truly where this disk ends. The marker of a snapshot may be beyond its last transaction.
    pub fn ends_at(&self, zxid: Zxid) -> bool {
        let contents = self.contents();
        let end = contents.last().map_or(Zxid::ZERO, |(zxid, _)| *zxid);
        end <= zxid && zxid <= self.last()
    }

    pub fn holds(&self, entry: &Entry) -> bool {
        let found = |list: &[Entry]| {
            list.binary_search_by_key(&entry.0, |(zxid, _)| *zxid)
                .is_ok_and(|at| list[at] == *entry)
        };
        found(&self.log) || found(&self.snapshot.1)
    }

    pub fn stored(&self, limits: HistoryLimits) -> Stored {
        let mut history = History::after(self.snapshot.0, limits);
        for entry in self.log.iter().filter(|(zxid, _)| *zxid > self.snapshot.0) {
            history.push(logged(entry));
        }
        Stored {
            accepted_epoch: Epoch(self.accepted.max(history.last().epoch().0)),
            current_epoch: Epoch(self.current),
            history,
            log_whole_after: self.snapshot.0,
            trusted: true,
        }
    }

    /// Does one thing. What it says of a truncation is whether there was a way to it.
    pub fn perform(&mut self, op: &DiskOp, refuses: bool) -> Done {
        match op {
            DiskOp::Append(entry) => {
                let last = self.log.last();
                assert!(
                    last.is_none_or(|last| last.0 < entry.0),
                    "{entry:?} is written to the log after {last:?}"
                );
                self.log.push(*entry);
                Done::Logged { upto: entry.0 }
            }
            DiskOp::Accepted(epoch) => {
                assert!(
                    epoch.0 >= self.accepted,
                    "E1: {epoch:?} after {}",
                    self.accepted
                );
                self.accepted = epoch.0;
                Done::AcceptedEpoch(*epoch)
            }
            DiskOp::Current(epoch) => {
                assert!(
                    epoch.0 >= self.current,
                    "E2: {epoch:?} after {}",
                    self.current
                );
                assert!(
                    epoch.0 <= self.accepted,
                    "E2: {epoch:?}, accepted {}",
                    self.accepted
                );
                self.current = epoch.0;
                Done::CurrentEpoch(*epoch)
            }
            DiskOp::Truncate(to, _) => match self.truncate(*to, refuses) {
                true => Done::Truncated,
                false => Done::NotTruncated,
            },
            DiskOp::Install(zxid, content) => {
                self.log.retain(|(logged, _)| logged <= zxid);
                self.snapshot = (*zxid, content.clone());
                Done::Installed
            }
        }
    }

    fn truncate(&mut self, to: Zxid, refuses: bool) -> bool {
        let held = to == self.snapshot.0 || self.log.iter().any(|(zxid, _)| *zxid == to);
        let older = self.snapshot.1.last().is_none_or(|(zxid, _)| *zxid <= to);
        if !held || !older || refuses {
            return false;
        }
        self.log.retain(|(zxid, _)| *zxid <= to);
        self.snapshot.0 = self.snapshot.0.min(to);
        true
    }
}
