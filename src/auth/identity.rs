//! The set of a connection's identities, in the order of a Java hash set.

use std::sync::Arc;

use jute::Str;
use jute::data::Id;

/// The identities of a connection, in the order in which Java's hash set hands them out.
pub type Identities = Arc<[Id]>;

/// An identity; `scheme` lives as long as the program.
pub(super) fn id(scheme: &'static str, id: String) -> Id {
    Id {
        scheme: Some(Str::from_static(scheme)),
        id: Some(id.into()),
    }
}

/// Adds `id` where a Java concurrent hash map would keep it, unless it is there.
///
/// The map's state is the order itself: nothing is ever removed, so the number of bins follows from
/// the number of identities. Not reproduced: bins of nine and more, which Java turns into trees.
/// Source: `java.util.concurrent.ConcurrentHashMap.putVal`, `addCount`; `ServerCnxn.addAuthInfo`.
pub(super) fn insert(ids: &mut Vec<Id>, id: Id) {
    if ids.contains(&id) {
        return;
    }
    let bins = bins_for(ids.len());
    let at = ids.partition_point(|other| bin(other, bins) <= bin(&id, bins));
    ids.insert(at, id);
    if bins_for(ids.len()) > bins {
        grow(ids, bins);
    }
}

/// The table doubles as soon as three quarters of it are in use.
fn bins_for(ids: usize) -> usize {
    let mut bins = 16;
    while ids >= bins / 4 * 3 {
        bins *= 2;
    }
    bins
}

/// Splits each bin in two. The longest tail that stays together keeps its order; what is before it
/// is put in front one by one, and so turned around.
///
/// Source: `ConcurrentHashMap.transfer`.
fn grow(ids: &mut Vec<Id>, bins: usize) {
    let (mut low, mut high): (Vec<Id>, Vec<Id>) = (Vec::new(), Vec::new());
    let moves = |id: &Id| spread(id) & bins != 0;
    for chain in ids.chunk_by(|a, b| bin(a, bins) == bin(b, bins)) {
        let tail_moves = chain.last().is_some_and(moves);
        let tail = chain
            .iter()
            .rev()
            .take_while(|id| moves(id) == tail_moves)
            .count();
        let (front, tail) = chain.split_at(chain.len() - tail);
        for side in [false, true] {
            let to = if side { &mut high } else { &mut low };
            to.extend(front.iter().rev().filter(|id| moves(id) == side).cloned());
            if tail_moves == side {
                to.extend_from_slice(tail);
            }
        }
    }
    low.append(&mut high);
    *ids = low;
}

fn bin(id: &Id, bins: usize) -> usize {
    spread(id) & (bins - 1)
}

/// Source: `ConcurrentHashMap.spread`.
fn spread(id: &Id) -> usize {
    let hash = java_hash(id);
    ((hash ^ (hash >> 16)) & 0x7fff_ffff) as usize
}

/// Source: `hashCode` as the jute compiler writes it for `Id`.
fn java_hash(id: &Id) -> u32 {
    [&id.scheme, &id.id]
        .into_iter()
        .fold(17, |hash: u32, text| {
            let text = text.as_deref().map_or(0, java_string_hash);
            hash.wrapping_mul(37).wrapping_add(text)
        })
}

/// Source: `String.hashCode`.
fn java_string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders printed by Java 17 for the same ids, growth of the table included.
    #[test]
    fn identities_come_in_the_order_of_javas_hash_set() {
        for (count, order) in [
            (5, "2 1 0 4 3"),
            (11, "2 1 0 8 4 5 9 10 3 6 7"),
            (12, "11 0 8 5 3 6 2 1 4 9 10 7"),
            (13, "11 0 8 5 3 6 2 1 12 4 9 10 7"),
            (
                23,
                "11 16 19 14 0 20 8 18 5 22 3 6 15 2 17 1 21 12 13 4 9 10 7",
            ),
            (
                24,
                "16 11 14 0 8 18 6 15 2 1 21 12 13 4 9 10 19 20 23 5 22 3 17 7",
            ),
            (
                40,
                "16 11 14 32 0 8 18 31 6 15 2 1 21 36 29 12 13 4 9 10 27 33 19 25 30 20 23 34 5 \
                 22 3 17 39 24 26 35 28 37 7 38",
            ),
        ] {
            let all: Vec<Id> = (0..count).map(nth).collect();
            let mut ids = Vec::new();
            all.iter().for_each(|id| insert(&mut ids, id.clone()));
            all.iter().for_each(|id| insert(&mut ids, id.clone()));
            let place = |id| {
                all.iter()
                    .position(|other| other == id)
                    .unwrap()
                    .to_string()
            };
            assert_eq!(ids.iter().map(place).collect::<Vec<_>>().join(" "), order);
        }
    }

    fn nth(k: u64) -> Id {
        let user = if k.is_multiple_of(2) {
            "\u{fc}\u{1f600}"
        } else {
            "u"
        };
        let scheme = if k.is_multiple_of(3) { "ip" } else { "digest" };
        id(scheme, format!("{user}{}", k * k * 7919))
    }
}
