//! Which znodes belong to which session, and which are containers or have a time to live.

use super::{Kind, TreeOptions};
use crate::base::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Owner of a container.
/// Source: `EphemeralType.CONTAINER_EPHEMERAL_OWNER`.
pub const CONTAINER: i64 = i64::MIN;
/// Top byte of an owner that is a time to live.
const TTL_MARK: i64 = 0xff << 56;
/// Bits 40 to 55, zero where the top byte means a time to live.
const RESERVED: i64 = 0xffff << 40;
/// The longest time to live in ms, 34 years; also the bits it takes.
pub const MAX_TTL: i64 = (1 << 40) - 1;

/// What kind of znode an owner value makes.
///
/// A value that extended types reserve but do not define counts as a session's; Java refuses to
/// work with it.
/// Source: `EphemeralType.get`.
pub fn kind(owner: i64, options: &TreeOptions) -> Kind {
    let ttl = Kind::Ttl {
        ms: owner & MAX_TTL,
    };
    match owner {
        0 => Kind::Persistent,
        CONTAINER => Kind::Container,
        _ if options.extended_types && looks_like_ttl(owner) => ttl,
        _ if options.extended_types && options.emulate_353_ttl && owner < 0 => ttl,
        _ => Kind::Ephemeral(SessionId(owner)),
    }
}

/// The owner value of a time to live of `ms`, if it is more than 0 and at most [`MAX_TTL`].
/// Source: `EphemeralType.TTL.toEphemeralOwner`.
pub fn ttl_owner(ms: i64) -> Option<i64> {
    (1..=MAX_TTL).contains(&ms).then_some(TTL_MARK | ms)
}

/// Whether extended types, were they on, would make this owner a time to live.
pub(super) fn looks_like_ttl(owner: i64) -> bool {
    owner & TTL_MARK == TTL_MARK && owner & RESERVED == 0
}

/// The indexes, each in an order that repeats.
#[derive(Default)]
pub(super) struct Owners {
    ephemerals: BTreeMap<i64, BTreeSet<u32>>,
    ephemeral_count: usize,
    containers: BTreeSet<u32>,
    ttls: BTreeSet<u32>,
}

impl Owners {
    /// Notes a new znode.
    pub fn add(&mut self, kind: Kind, slot: u32) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(session) => {
                self.ephemeral_count += 1;
                self.ephemerals.entry(session.0).or_default().insert(slot);
            }
            Kind::Container => {
                self.containers.insert(slot);
            }
            Kind::Ttl { .. } => {
                self.ttls.insert(slot);
            }
        }
    }

    /// Forgets a deleted znode.
    pub fn remove(&mut self, kind: Kind, slot: u32) {
        match kind {
            Kind::Persistent => {}
            Kind::Ephemeral(session) => {
                let Some(slots) = self.ephemerals.get_mut(&session.0) else {
                    return;
                };
                self.ephemeral_count -= usize::from(slots.remove(&slot));
                if slots.is_empty() {
                    self.ephemerals.remove(&session.0);
                }
            }
            Kind::Container => {
                self.containers.remove(&slot);
            }
            Kind::Ttl { .. } => {
                self.ttls.remove(&slot);
            }
        }
    }

    /// The slots of a session, ascending.
    pub fn of(&self, session: SessionId) -> impl Iterator<Item = u32> {
        self.ephemerals
            .get(&session.0)
            .into_iter()
            .flatten()
            .copied()
    }

    /// Sessions and slots behind `last`, ascending.
    pub fn after(&self, last: Option<(i64, u32)>) -> impl Iterator<Item = (i64, u32)> {
        let begun = last.map_or(i64::MIN, |(session, _)| session);
        self.ephemerals
            .range(begun..)
            .flat_map(move |(&session, slots)| {
                let from = match last {
                    Some((begun, slot)) if begun == session => Bound::Excluded(slot),
                    _ => Bound::Unbounded,
                };
                let behind = slots.range((from, Bound::Unbounded));
                behind.map(move |&slot| (session, slot))
            })
    }

    /// Every session that owns a znode.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied().map(SessionId)
    }

    /// Ephemerals of all sessions.
    pub fn ephemeral_count(&self) -> usize {
        self.ephemeral_count
    }

    /// Containers, then znodes with a time to live.
    pub fn containers_and_ttls(&self) -> impl Iterator<Item = u32> {
        self.containers.iter().chain(&self.ttls).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_mean_what_the_options_say() {
        let off = TreeOptions::default();
        let on = TreeOptions {
            extended_types: true,
            ..TreeOptions::default()
        };
        let emulate = TreeOptions {
            emulate_353_ttl: true,
            ..on.clone()
        };
        let ttl = TTL_MARK | 60_000;
        let old = i64::MIN | 60_000;
        let session = |owner| Kind::Ephemeral(SessionId(owner));
        for (options, owner, expected) in [
            (&off, 0, Kind::Persistent),
            (&off, CONTAINER, Kind::Container),
            (&off, 0x1_0000, session(0x1_0000)),
            (&off, ttl, session(ttl)),
            (&on, ttl, Kind::Ttl { ms: 60_000 }),
            (&on, old, session(old)),
            (&on, ttl | 1 << 40, session(ttl | 1 << 40)),
            (&emulate, old, Kind::Ttl { ms: 60_000 }),
            (&emulate, CONTAINER, Kind::Container),
        ] {
            assert_eq!(kind(owner, options), expected, "{owner:#x}");
        }
        assert_eq!(ttl_owner(60_000), Some(ttl));
        assert_eq!(
            [ttl_owner(0), ttl_owner(-1), ttl_owner(MAX_TTL + 1)],
            [None; 3]
        );
    }
}
