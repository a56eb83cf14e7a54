//! Which request a connection sends next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::keys::Keys;
use super::template::{Pattern, Template};

/// What one connection does: its templates, and the order in which it takes them.
#[derive(Clone, Debug)]
pub struct Plan {
    templates: Vec<Template>,
    order: Order,
}

#[derive(Clone, Debug)]
enum Order {
    /// The first template so many times of a hundred, else the second, for the znodes of `keys`.
    Keys { keys: Keys, reads: u32, sum: u32 },
    /// The one template for each number up to `end`; those of all connections together.
    Each { next: Arc<AtomicU32>, end: u32 },
    /// The second template for one number after the other; before each thousand the first one.
    Grow { next: u32, has_parent: bool },
    /// The first template, then the second, for one number after the other.
    Pairs { next: u32, is_second: bool },
}

/// Children of each parent that [`Plan::grow`] makes.
const GROWN: u32 = 1000;

impl Plan {
    /// One request after the other for the znodes of `keys`.
    pub fn one(template: Template, keys: Keys) -> Plan {
        Plan::mixed(template.clone(), template, 100, keys)
    }

    /// `read` in `percent` of a hundred requests, spread evenly, and `write` in the others.
    pub fn mixed(read: Template, write: Template, percent: u32, keys: Keys) -> Plan {
        let order = Order::Keys {
            keys,
            reads: percent.min(100),
            sum: 0,
        };
        Plan {
            templates: vec![read, write],
            order,
        }
    }

    /// `template` for each number from `next` up to `end`; `next` is shared with the other connections.
    pub fn each(template: Template, next: Arc<AtomicU32>, end: u32) -> Plan {
        Plan {
            templates: vec![template],
            order: Order::Each { next, end },
        }
    }

    /// Creates znodes of `size` bytes below `root` without end, and parents for a thousand each.
    pub fn grow(root: &str, size: usize) -> Plan {
        let parent = Pattern::new(root).text("/b").number(6, GROWN);
        let child = parent.clone().text("/n").number(9, 1);
        let order = Order::Grow {
            next: 0,
            has_parent: false,
        };
        Plan {
            templates: vec![Template::create(&parent, 0), Template::create(&child, size)],
            order,
        }
    }

    /// Creates a znode of `size` bytes below `root` and deletes it, again and again.
    pub fn churn(root: &str, size: usize) -> Plan {
        let path = Pattern::new(root).text("/n").number(9, 1);
        let order = Order::Pairs {
            next: 0,
            is_second: false,
        };
        Plan {
            templates: vec![Template::create(&path, size), Template::delete(&path)],
            order,
        }
    }

    /// The template with this place.
    pub fn template(&self, place: u8) -> &Template {
        &self.templates[usize::from(place)]
    }

    /// Length of the longest reply that any of them has.
    pub fn longest_reply(&self) -> usize {
        let lengths = self.templates.iter().map(Template::reply);
        lengths.max().unwrap_or_default()
    }

    /// The place of the next template, and its number; None at the end.
    pub fn advance(&mut self) -> Option<(u8, u32)> {
        match &mut self.order {
            Order::Keys { keys, reads, sum } => {
                *sum += *reads;
                let is_read = *sum >= 100;
                if is_read {
                    *sum -= 100;
                }
                Some((u8::from(!is_read), keys.pick()))
            }
            Order::Each { next, end } => {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= *end {
                    // So that it never comes round.
                    next.store(*end, Ordering::Relaxed);
                    return None;
                }
                Some((0, number))
            }
            Order::Grow { next, has_parent } => {
                if next.is_multiple_of(GROWN) && !*has_parent {
                    *has_parent = true;
                    return Some((0, *next));
                }
                *has_parent = false;
                *next += 1;
                Some((1, *next - 1))
            }
            Order::Pairs { next, is_second } => {
                let number = *next;
                let place = u8::from(*is_second);
                *next += u32::from(*is_second);
                *is_second = !*is_second;
                Some((place, number % 1_000_000_000))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tally::Kind;

    fn taken(plan: &mut Plan, count: usize) -> Vec<(Kind, u32)> {
        let next = || {
            plan.advance()
                .map(|(place, number)| (plan.template(place).kind(), number))
        };
        std::iter::from_fn(next).take(count).collect()
    }

    #[test]
    fn reads_and_writes_are_spread_evenly() {
        let path = Pattern::new("/k").number(1, 1);
        let (get, set) = (Template::get(&path, 1), Template::set(&path, 1));
        for (percent, reads) in [(90, 90), (33, 33), (0, 0), (100, 100)] {
            let keys = Keys::Round { next: 0, count: 7 };
            let mut plan = Plan::mixed(get.clone(), set.clone(), percent, keys);
            let kinds = taken(&mut plan, 100);
            let is_get = |(kind, _): &&(Kind, u32)| *kind == Kind::Get;
            assert_eq!(kinds.iter().filter(is_get).count(), reads);
            let numbers: Vec<u32> = kinds.iter().map(|(_, number)| *number).take(8).collect();
            assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 0]);
            if percent == 90 {
                let tens = kinds
                    .chunks(10)
                    .map(|ten| ten.iter().filter(is_get).count());
                assert!(tens.into_iter().all(|reads| reads == 9));
            }
        }
    }

    #[test]
    fn connections_share_the_numbers_and_end_together() {
        let next = Arc::new(AtomicU32::new(0));
        let template = Template::delete(&Pattern::new("/k").number(1, 1));
        let mut one = Plan::each(template.clone(), Arc::clone(&next), 3);
        let mut other = Plan::each(template, next, 3);
        assert_eq!(
            (one.advance(), other.advance()),
            (Some((0, 0)), Some((0, 1)))
        );
        assert_eq!(
            (one.advance(), other.advance(), one.advance()),
            (Some((0, 2)), None, None)
        );
    }

    #[test]
    fn a_growing_tree_has_its_parents_before_their_children() {
        let mut plan = Plan::grow("/root", 1);
        let requests: Vec<_> = std::iter::from_fn(|| plan.advance()).take(2003).collect();
        assert_eq!(requests[..3], [(0, 0), (1, 0), (1, 1)]);
        assert_eq!(requests[1000..1003], [(1, 999), (0, 1000), (1, 1000)]);
        assert_eq!(requests[2002], (0, 2000));
    }

    #[test]
    fn churn_deletes_what_it_created() {
        let mut plan = Plan::churn("/root", 1);
        let wanted = [
            (Kind::Create, 0),
            (Kind::Delete, 0),
            (Kind::Create, 1),
            (Kind::Delete, 1),
        ];
        assert_eq!(taken(&mut plan, 4), wanted);
    }
}
