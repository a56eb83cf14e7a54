//! The order in which Java prints the servers of an ensemble. It follows from the tables they pass through: the lines
//! of a file are keys of `Properties`, and what is read from them, in that table's order, goes into a `HashMap`.
//!
//! Only an order of printing: no decision hangs on it. Small numbers of servers come out ascending.
//! Source: `QuorumMaj.toString`; `java.util.HashMap`, `java.util.concurrent.ConcurrentHashMap`, `String.hashCode`.

/// A table of Java begins with this many slots here, and doubles when three quarters of them are taken.
const FIRST_SLOTS: usize = 16;

/// `servers` in Java's order. `keys` is the number of all keys of the file they were read from.
pub(super) fn of(servers: impl Iterator<Item = i64>, keys: usize) -> Vec<i64> {
    let mut servers: Vec<i64> = servers.collect();
    // `Properties` grows as soon as the last free slot is taken, `HashMap` with the first that finds none.
    let (lines, numbers) = (slots(keys + 1), slots(servers.len()));
    // Servers whose lines share a slot, and then their numbers too, would come in an order that also depends on when
    // the tables grew; here they stay in that of their numbers.
    servers.sort_by_key(|&server| {
        let line = spread(hash_of_text(&format!("server.{server}")));
        (
            slot(spread(hash_of_number(server)), numbers),
            slot(line, lines),
        )
    });
    servers
}

fn slots(taken: usize) -> usize {
    let mut slots = FIRST_SLOTS;
    while taken > slots / 4 * 3 {
        slots = slots.saturating_mul(2);
    }
    slots
}

fn slot(hash: u32, slots: usize) -> usize {
    hash as usize & (slots - 1)
}

fn spread(hash: u32) -> u32 {
    hash ^ (hash >> 16)
}

fn hash_of_number(number: i64) -> u32 {
    (number ^ (number as u64 >> 32) as i64) as u32
}

fn hash_of_text(text: &str) -> u32 {
    text.bytes().fold(0, |hash: u32, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    })
}
