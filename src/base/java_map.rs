//! The order in which Java's hash tables hand out what was put into them: some texts for people follow it.

/// `String.hashCode`.
pub fn hash_of_text(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

/// `Long.hashCode`.
pub fn hash_of_number(number: i64) -> u32 {
    (number ^ (number as u64 >> 32) as i64) as u32
}

/// Slots of a table that began with `first` (a power of two) and holds `count`: it doubles when more than three
/// quarters are taken.
pub fn slots(first: usize, count: usize) -> usize {
    let mut slots = first;
    while count > slots / 4 * 3 {
        slots = slots.saturating_mul(2);
    }
    slots
}

/// The slot of `HashMap` that a hash goes to.
pub fn slot(hash: u32, slots: usize) -> usize {
    (hash ^ (hash >> 16)) as usize & (slots - 1)
}

/// Puts texts, given in the order they were inserted, in the order of a `HashSet` made with room for `first`. Where
/// eight and more of them share a slot, Java may begin with another one of these.
pub fn sort_texts(texts: &mut [&str], first: usize) {
    let slots = slots(first, texts.len());
    texts.sort_by_key(|text| slot(hash_of_text(text), slots));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_in_the_order_that_java_lists_the_children_of_a_captured_snapshot() {
        let mut names = [
            "a",
            "zookeeper",
            "nulldata",
            "c2",
            "ttl",
            "ünï-日本",
            "priv",
            "m1",
            "mcont",
            "mttl",
            "liveeph",
        ];
        sort_texts(&mut names, 8);
        let java = [
            "a",
            "mcont",
            "zookeeper",
            "m1",
            "nulldata",
            "ünï-日本",
            "priv",
            "mttl",
            "ttl",
            "liveeph",
            "c2",
        ];
        assert_eq!(names, java);
    }

    #[test]
    fn a_table_grows_past_three_quarters() {
        assert_eq!(
            [slots(8, 6), slots(8, 7), slots(16, 12), slots(16, 13)],
            [8, 16, 16, 32]
        );
    }
}
