//! The watch table against the rules, and against a slow twin.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

type Told = Vec<(Watcher, EventKind, String, bool)>;

fn told(table: &mut Table, change: ChangeKind, path: &str) -> Told {
    let mut told = Vec::new();
    table.trigger(change, path, &mut |who, kind, path, on_parent| {
        told.push((who, kind, path.to_owned(), on_parent));
    });
    told
}

fn event(
    who: Watcher,
    kind: EventKind,
    path: &str,
    on_parent: bool,
) -> (Watcher, EventKind, String, bool) {
    (who, kind, path.to_owned(), on_parent)
}

#[test]
fn a_one_shot_watch_fires_once() {
    let mut table = Table::default();
    table.add(On::Data, "/a", 1, Mode::Standard);
    table.add(On::Data, "/a", 1, Mode::Standard);
    assert_eq!(table.watch_count(), 1);
    let created = event(1, EventKind::Created, "/a", false);
    assert_eq!(told(&mut table, ChangeKind::Created, "/a"), [created]);
    assert!(table.is_empty());
    assert_eq!(told(&mut table, ChangeKind::DataChanged, "/a"), []);
}

#[test]
fn a_deletion_is_told_once_to_whoever_watches_data_and_children() {
    let mut table = Table::default();
    table.add(On::Data, "/a", 1, Mode::Standard);
    table.add(On::Child, "/a", 1, Mode::Standard);
    table.add(On::Child, "/", 2, Mode::Standard);
    let told = told(&mut table, ChangeKind::Deleted, "/a");
    let deleted = event(1, EventKind::Deleted, "/a", false);
    assert_eq!(
        told,
        [deleted, event(2, EventKind::ChildrenChanged, "/", true)]
    );
    assert!(table.is_empty(), "both one-shot watches are used up");
}

#[test]
fn a_recursive_watch_above_suppresses_the_second_deletion_too() {
    let mut table = Table::default();
    table.add(On::Data, "/", 1, Mode::Recursive);
    table.add(On::Child, "/a/b", 1, Mode::Standard);
    let told = told(&mut table, ChangeKind::Deleted, "/a/b");
    assert_eq!(told, [event(1, EventKind::Deleted, "/a/b", false)]);
    assert_eq!(table.watch_count(), 1);
}

#[test]
fn recursive_watches_hear_of_what_is_below_and_never_of_children_lists() {
    let mut table = Table::default();
    table.add(On::Data, "/a", 1, Mode::Recursive);
    for (path, heard) in [
        ("/a", true),
        ("/a/b", true),
        ("/a/b/c", true),
        ("/ab", false),
        ("/", false),
    ] {
        let told = told(&mut table, ChangeKind::Created, path);
        let want = event(1, EventKind::Created, path, false);
        assert_eq!(told, if heard { vec![want] } else { vec![] }, "{path}");
    }
}

#[test]
fn a_persistent_watch_hears_of_its_own_znode_and_children_only() {
    let mut table = Table::default();
    table.add(On::Data, "/a", 1, Mode::Persistent);
    table.add(On::Child, "/a", 1, Mode::Persistent);
    let children = event(1, EventKind::ChildrenChanged, "/a", true);
    assert_eq!(told(&mut table, ChangeKind::Created, "/a/b"), [children]);
    assert_eq!(told(&mut table, ChangeKind::Created, "/a/b/c"), []);
    for _ in 0..2 {
        let again = told(&mut table, ChangeKind::DataChanged, "/a");
        assert_eq!(again, [event(1, EventKind::DataChanged, "/a", false)]);
    }
}

#[test]
fn kinds_of_removal_reach_what_java_says() {
    let all = || {
        let mut table = Table::default();
        for mode in [Mode::Standard, Mode::Persistent] {
            table.add(On::Data, "/a", 1, mode);
            table.add(On::Child, "/a", 1, mode);
        }
        table.add(On::Data, "/a", 1, Mode::Recursive);
        table
    };
    for kind in 1..=5 {
        let mut table = all();
        assert!(table.contains(kind, "/a", 1) && !table.contains(kind, "/a", 2));
        assert!(table.remove(kind, "/a", 1));
        assert!(!table.contains(kind, "/a", 1));
        assert!(!table.remove(kind, "/a", 1));
        assert_eq!(table.is_empty(), kind == 3);
    }
    assert!(!all().contains(6, "/a", 1) && !all().remove(0, "/a", 1));
}

#[test]
fn a_connection_that_ends_leaves_no_watch_behind() {
    let mut table = Table::default();
    for n in 0..100 {
        table.add(On::Data, &format!("/{n}"), 1, Mode::Recursive);
        table.add(On::Child, &format!("/{n}"), 1, Mode::Standard);
    }
    table.add(On::Data, "/5", 2, Mode::Standard);
    table.drop_watcher(1);
    assert_eq!((table.watch_count(), table.recursive), (1, 0));
    table.drop_watcher(2);
    assert!(table.is_empty());
}

#[test]
fn summaries_show_data_watches_and_connections_whose_watches_fired() {
    let mut table = Table::default();
    table.add(On::Data, "/a", 1, Mode::Standard);
    table.add(On::Data, "/a", 2, Mode::Recursive);
    table.add(On::Data, "/b", 2, Mode::Persistent);
    table.add(On::Child, "/c", 3, Mode::Standard);
    assert_eq!(table.watch_count(), 4);
    let summary = |watchers, paths, watches| Summary {
        watchers,
        paths,
        watches,
    };
    assert_eq!(table.summary(), summary(2, 2, 3));
    let mut paths: Vec<_> = table
        .by_path()
        .map(|(path, who)| (path, who.count()))
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, [("/a", 2), ("/b", 1)]);

    told(&mut table, ChangeKind::DataChanged, "/a");
    assert_eq!(
        table.summary(),
        summary(2, 2, 2),
        "Java keeps the name of a connection"
    );
    let names: BTreeMap<_, _> = table
        .by_watcher()
        .map(|(who, paths)| (who, paths.count()))
        .collect();
    assert_eq!(names, BTreeMap::from([(1, 0), (2, 2)]));

    table.add(On::Data, "/a", 1, Mode::Standard);
    assert!(table.remove(2, "/a", 1));
    assert_eq!(
        table.summary(),
        summary(1, 2, 2),
        "a removal makes it forget the name"
    );
    table.drop_watcher(2);
    assert_eq!(table.summary(), Summary::default());
}

/// ZOOKEEPER-1412: watches set again on a new connection are independent of the old one's end.
#[test]
fn a_watch_set_again_on_a_new_connection_survives_the_end_of_the_old_one() {
    let mut table = Table::default();
    table.add(On::Data, "/a", 1, Mode::Standard);
    table.add(On::Data, "/a", 2, Mode::Standard);
    table.drop_watcher(1);
    let told = told(&mut table, ChangeKind::DataChanged, "/a");
    assert_eq!(told, [event(2, EventKind::DataChanged, "/a", false)]);
}

/// RaftKeeper #376: watches that fired, were removed or ended with their connection took memory.
#[test]
fn watches_that_are_over_take_no_memory() {
    let mut table = Table::default();
    for round in 0..1000 {
        let path = format!("/{round}");
        table.add(On::Data, &path, 1, Mode::Standard);
        table.add(On::Child, &path, 1, Mode::Standard);
        told(&mut table, ChangeKind::Deleted, &path);
        table.add(On::Data, &path, 1, Mode::Recursive);
        assert!(table.remove(5, &path, 1));
        table.add(On::Data, &path, round + 2, Mode::Persistent);
        table.drop_watcher(round + 2);
        table.check();
    }
    assert!(table.is_empty());
    assert!(table.watches.len() <= 2 && table.places.len() <= 2 && table.owners.len() <= 2);
}

#[test]
fn one_of_many_recursive_watches_on_the_way_is_enough_for_one_event() {
    let mut table = Table::default();
    for path in ["/", "/a", "/a/b"] {
        table.add(On::Data, path, 1, Mode::Recursive);
    }
    table.add(On::Data, "/a/b", 1, Mode::Standard);
    table.add(On::Data, "/a", 2, Mode::Standard);
    let told = told(&mut table, ChangeKind::DataChanged, "/a/b");
    assert_eq!(told, [event(1, EventKind::DataChanged, "/a/b", false)]);
    assert_eq!(
        table.watch_count(),
        4,
        "the one-shot mode is used up, the recursive one stays"
    );
    assert!(!table.contains(2, "/a/b", 1) && table.contains(2, "/a", 2));
}

#[test]
fn a_herd_on_one_path_is_told_and_dropped_in_linear_time() {
    let mut table = Table::default();
    for who in 0..20_000 {
        table.add(On::Data, "/a", who, Mode::Recursive);
        table.add(On::Child, "/a/b", who, Mode::Standard);
    }
    assert_eq!(told(&mut table, ChangeKind::Deleted, "/a/b").len(), 20_000);
    assert_eq!(table.watch_count(), 20_000);
    (0..20_000).for_each(|who| table.drop_watcher(who));
    assert!(table.is_empty());
}

impl Table {
    /// The invariants of the type.
    fn check(&self) {
        let (mut data, mut child, mut recursive) = (0, 0, 0);
        for (&(place, owner), &at) in &self.pairs {
            let watch = &self.watches[at];
            assert_eq!((watch.place, watch.owner), (place, owner));
            assert_ne!(watch.data | watch.child, 0);
            data += usize::from(watch.data != 0);
            child += usize::from(watch.child != 0);
            recursive += usize::from(watch.data & RECURSIVE != 0);
        }
        assert_eq!(
            (data, child, recursive),
            (self.data, self.child, self.recursive)
        );
        let mut listed = 0;
        for (path, at) in &self.place_of {
            let place = &self.places[*at];
            let watches: Vec<_> = self.list(place.first, |watch| watch.in_place).collect();
            assert!(place.path == *path && !watches.is_empty());
            let recursive = watches
                .iter()
                .filter(|watch| watch.data & RECURSIVE != 0)
                .count();
            assert_eq!(recursive, place.recursive as usize);
            listed += watches.len();
        }
        assert_eq!(listed, self.pairs.len());
        for (who, at) in &self.owner_of {
            let owner = &self.owners[*at];
            let watches: Vec<_> = self.list(owner.first, |watch| watch.in_owner).collect();
            let data = watches.iter().filter(|watch| watch.data != 0).count();
            assert_eq!((owner.watcher, owner.data as usize), (*who, data));
            assert!(owner.known || data == 0);
            listed -= watches.len();
        }
        assert_eq!(listed, 0);
    }
}

/// Every registration as one fact; slow and obvious.
#[derive(Default)]
struct Twin(BTreeSet<(bool, String, Watcher, u8)>);

impl Twin {
    fn select(&mut self, child: bool, path: &str) -> BTreeSet<Watcher> {
        let below = |above: &str| above == "/" || path.starts_with(&format!("{above}/"));
        let hit = |(is_child, at, _, mode): &&(bool, String, Watcher, u8)| {
            *is_child == child && (at == path || (*mode == RECURSIVE && path != "/" && below(at)))
        };
        let selected = self.0.iter().filter(hit).map(|fact| fact.2).collect();
        self.0.retain(|(is_child, at, _, mode)| {
            *is_child != child || at != path || *mode != STANDARD
        });
        selected
    }

    fn trigger(&mut self, change: ChangeKind, path: &str) -> BTreeMap<(u8, Watcher), String> {
        let mut told = BTreeMap::new();
        let first = self.select(false, path);
        first.iter().for_each(|who| {
            told.insert((1, *who), path.to_owned());
        });
        if change == ChangeKind::DataChanged {
            return told;
        }
        if change == ChangeKind::Deleted {
            for who in self.select(true, path).difference(&first) {
                told.insert((2, *who), path.to_owned());
            }
        }
        let parent = match path.rfind('/') {
            Some(at) if at > 0 => &path[..at],
            _ => "/",
        };
        for who in self.select(true, parent) {
            told.insert((3, who), parent.to_owned());
        }
        told
    }
}

#[test]
fn the_table_agrees_with_a_slow_twin() {
    const PATHS: [&str; 7] = ["/", "/a", "/a/b", "/a/b/c", "/ab", "/c", "/c/d"];
    for seed in 0..200 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut table, mut twin) = (Table::default(), Twin::default());
        for _ in 0..200 {
            let path = PATHS[rng.random_range(0..PATHS.len())];
            let who = rng.random_range(1..5);
            match rng.random_range(0..10) {
                0..5 => {
                    let (on, mode) = match rng.random_range(0..5) {
                        0 => (On::Data, Mode::Standard),
                        1 => (On::Child, Mode::Standard),
                        2 => (On::Data, Mode::Persistent),
                        3 => (On::Child, Mode::Persistent),
                        _ => (On::Data, Mode::Recursive),
                    };
                    table.add(on, path, who, mode);
                    twin.0
                        .insert((on == On::Child, path.to_owned(), who, mode as u8));
                }
                5 => {
                    table.drop_watcher(who);
                    twin.0.retain(|fact| fact.2 != who);
                }
                6 => {
                    let kind = rng.random_range(1..=5);
                    let is_meant = |fact: &(bool, String, Watcher, u8)| {
                        let of_kind = match kind {
                            1 => fact.0 && fact.3 == STANDARD,
                            2 => !fact.0 && fact.3 == STANDARD,
                            3 => true,
                            4 => fact.3 == PERSISTENT,
                            _ => !fact.0 && fact.3 == RECURSIVE,
                        };
                        of_kind && fact.1 == path && fact.2 == who
                    };
                    let had = twin.0.iter().any(is_meant);
                    assert_eq!(table.remove(kind, path, who), had);
                    assert!(!table.contains(kind, path, who));
                    twin.0.retain(|fact| !is_meant(fact));
                }
                n => {
                    let change = [
                        ChangeKind::Created,
                        ChangeKind::Deleted,
                        ChangeKind::DataChanged,
                    ][n as usize - 7];
                    let mut steps = BTreeMap::new();
                    for (who, kind, at, on_parent) in told(&mut table, change, path) {
                        let first =
                            !steps.contains_key(&(1, who)) && kind != EventKind::ChildrenChanged;
                        let data = first && twin.0.iter().any(|fact| fact.2 == who && !fact.0);
                        let step = if on_parent {
                            3
                        } else if data {
                            1
                        } else {
                            2
                        };
                        assert!(
                            steps.insert((step, who), at).is_none(),
                            "told twice in one step"
                        );
                    }
                    let want = twin.trigger(change, path);
                    let flat = |told: &BTreeMap<(u8, Watcher), String>| -> BTreeSet<(bool, Watcher, String)> {
                        told.iter().map(|((step, who), at)| (*step == 3, *who, at.clone())).collect()
                    };
                    assert_eq!(flat(&steps), flat(&want), "seed {seed}");
                }
            }
            let facts: BTreeSet<_> = twin.0.iter().map(|f| (f.0, &f.1, f.2)).collect();
            assert_eq!(table.watch_count(), facts.len(), "seed {seed}");
            table.check();
        }
    }
}
