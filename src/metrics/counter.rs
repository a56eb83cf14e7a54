//! Numbers that only grow, between one `srst` and the next.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use super::{OTHER_KEYS, SET_KEYS};

/// Threads that count at the same time do so in lines of their own, up to this many.
pub(super) const SHARDS: usize = 8;

/// A line of the processor's cache, so that neighbours do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Line<T>(pub(super) T);

/// A number that grows. Counting is one addition to a line that other threads rarely touch.
#[derive(Debug, Default)]
pub struct Counter {
    shards: [Line<AtomicU64>; SHARDS],
    /// What it had reached at the last [`Counter::reset`].
    before: AtomicU64,
}

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.shards[own_shard()].0.fetch_add(n, Ordering::Relaxed);
    }

    /// Everything since the process began, as Prometheus wants it: never less than before.
    pub fn total(&self) -> u64 {
        let shards = self.shards.iter();
        shards.map(|shard| shard.0.load(Ordering::Relaxed)).sum()
    }

    /// What came since the last reset.
    pub fn since_reset(&self) -> u64 {
        let before = self.before.load(Ordering::Relaxed);
        self.total().saturating_sub(before)
    }

    /// [`Counter::since_reset`] begins anew.
    pub fn reset(&self) {
        self.before.store(self.total(), Ordering::Relaxed);
    }
}

/// Which line this thread counts in.
pub(super) fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        own.get()
    })
}

/// Instruments of one kind by key, made when the key first appears. At most [`SET_KEYS`] of them: clients choose the
/// keys. What comes with yet another key counts under [`OTHER_KEYS`].
#[derive(Debug)]
pub struct Keyed<T> {
    all: RwLock<BTreeMap<String, Arc<T>>>,
}

/// Counters by key. For what happens rarely: the key is looked up each time.
pub type CounterSet = Keyed<Counter>;

impl<T: Default> Keyed<T> {
    /// The instrument of `key`, to be kept by whoever records often.
    pub fn at(&self, key: &str) -> Arc<T> {
        if let Some(known) = self.all.read().get(key) {
            return known.clone();
        }
        let mut all = self.all.write();
        let key = match all.len() < SET_KEYS || all.contains_key(key) {
            true => key,
            false => OTHER_KEYS,
        };
        all.entry(key.to_owned()).or_default().clone()
    }

    /// Every key with its instrument, in order.
    pub fn all(&self) -> Vec<(String, Arc<T>)> {
        let all = self.all.read();
        let copies = all.iter().map(|(key, one)| (key.clone(), one.clone()));
        copies.collect()
    }
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Keyed {
            all: RwLock::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_does_not_take_back_what_prometheus_has_seen() {
        let counter = Counter::default();
        counter.add(5);
        counter.reset();
        counter.inc();
        assert_eq!((counter.since_reset(), counter.total()), (1, 6));
    }

    #[test]
    fn threads_add_up() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| (0..1000).for_each(|_| counter.inc()));
            }
        });
        assert_eq!(counter.total(), 12_000);
    }

    #[test]
    fn keys_beyond_the_bound_share_one() {
        let set = CounterSet::default();
        for key in 0..SET_KEYS + 10 {
            set.at(&format!("k{key:04}")).inc();
        }
        let all = set.all();
        assert_eq!(all.len(), SET_KEYS + 1);
        let others = all.iter().find(|(key, _)| key == OTHER_KEYS).unwrap();
        assert_eq!(others.1.total(), 10);
    }
}
