//! The order in which Java prints the servers of an ensemble. It follows from the tables they pass through: the lines
//! of a file are keys of `Properties`, and what is read from them, in that table's order, goes into a `HashMap`.
//!
//! Only an order of printing: no decision hangs on it. Small numbers of servers come out ascending.
//! Source: `QuorumMaj.toString`; `java.util.HashMap`, `java.util.concurrent.ConcurrentHashMap`, `String.hashCode`.

use crate::base::java_map::{hash_of_number, hash_of_text, slot, slots};

/// A table of Java begins with this many slots here.
const FIRST_SLOTS: usize = 16;

/// `servers` in Java's order. `keys` is the number of all keys of the file they were read from.
pub(super) fn of(servers: impl Iterator<Item = i64>, keys: usize) -> Vec<i64> {
    let mut servers: Vec<i64> = servers.collect();
    // `Properties` grows as soon as the last free slot is taken, `HashMap` with the first that finds none.
    let (lines, numbers) = (
        slots(FIRST_SLOTS, keys + 1),
        slots(FIRST_SLOTS, servers.len()),
    );
    // Servers whose lines share a slot, and then their numbers too, would come in an order that also depends on when
    // the tables grew; here they stay in that of their numbers.
    servers.sort_by_key(|&server| {
        (
            slot(hash_of_number(server), numbers),
            slot(hash_of_text(&format!("server.{server}")), lines),
        )
    });
    servers
}
