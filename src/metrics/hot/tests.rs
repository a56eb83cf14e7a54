//! The sketch against exact counts, and the sample against what it was taken from.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn rates(list: &HotList) -> Vec<(&str, f64)> {
    let paths = list.paths.iter();
    paths.map(|it| (it.path.as_str(), it.per_second)).collect()
}

/// One round of requests at `now`, each of which reads.
fn ask<'a>(hot: &HotPaths, sampler: &mut Sampler, now: Mono, paths: impl Iterator<Item = &'a str>) {
    for path in paths {
        sampler.follow(hot);
        if let Some(every) = sampler.take() {
            hot.note(now, sampler, every, &[(Touch::Read, path)]);
        }
    }
}

proptest! {
    #[test]
    fn heavy_hitters_are_always_there_and_counts_are_as_wrong_as_they_say(
        asked in proptest::collection::vec((0_u32..12).prop_flat_map(|wide| 0..=wide * wide), 1..600),
        places in 1_usize..12,
    ) {
        let mut sketch = Sketch::default();
        let mut exact: BTreeMap<String, f64> = BTreeMap::new();
        for number in &asked {
            let path = format!("/{number}");
            sketch.add_within(places, &path, 1.0);
            *exact.entry(path).or_default() += 1.0;
        }
        prop_assert!(sketch.counts.len() <= places);
        prop_assert_eq!(sketch.hashes.len(), sketch.counts.len());
        for count in &sketch.counts {
            let truth = exact[&count.path];
            prop_assert!(count.seen <= truth && truth <= count.most(), "{count:?}, {truth} in truth");
        }
        let share = asked.len() as f64 / places as f64;
        for (path, truth) in &exact {
            let is_known = sketch.counts.iter().any(|count| count.path == *path);
            prop_assert!(is_known || *truth <= share, "{path} has {truth} and is missing");
        }
    }
}

#[test]
fn while_there_is_little_to_do_every_request_counts() {
    let (hot, mut sampler) = (HotPaths::default(), Sampler::new(1));
    for second in 0..100 {
        let paths = ["/a", "/b", "/a", "/c", "/a"];
        ask(&hot, &mut sampler, Mono(second * 1000), paths.into_iter());
    }
    let picture = hot.look(Mono(100_000), 2);
    assert_eq!(picture.every, 1);
    assert!((picture.window.as_secs_f64() - 10.0).abs() < 0.01);
    let [(a, a_rate), (b, b_rate)] = rates(&picture.reads)[..] else {
        panic!("{picture:?}");
    };
    assert_eq!((a, b), ("/a", "/b"));
    assert!((a_rate / b_rate - 3.0).abs() < 0.01);
    assert!((2.5..3.5).contains(&a_rate), "{a_rate} of 3");
    assert_eq!(picture.reads.paths[0].error, 0.0);
    assert_eq!(picture.writes, HotList::default());
}

#[test]
fn under_load_few_are_taken_and_the_rates_stay_right() {
    let (hot, mut sampler) = (HotPaths::default(), Sampler::new(1));
    let cold: Vec<String> = (0..1000).map(|number| format!("/cold/{number}")).collect();
    for step in 0..600 {
        // 2000 in 50 ms, of which a quarter goes to one path.
        let others = (0..1500).map(|at| cold[(at * 7 + step) % 1000].as_str());
        let hottest = std::iter::repeat_n("/hot", 500);
        ask(
            &hot,
            &mut sampler,
            Mono(step as i64 * 50),
            others.chain(hottest),
        );
    }
    let picture = hot.look(Mono(30_000), 1);
    assert!((16..=256).contains(&picture.every), "{}", picture.every);
    assert!((picture.reads.per_second / 40_000.0 - 1.0).abs() < 0.2);
    let hottest = &picture.reads.paths[0];
    assert_eq!(hottest.path, "/hot");
    assert!(
        (hottest.per_second - 10_000.0).abs() < hottest.error,
        "{hottest:?}"
    );
    assert!(hottest.error < 3000.0, "{hottest:?}");
    // Afterwards all count again.
    let calm = hot.look(Mono(40_000), 1);
    assert_eq!(calm.every, 1);
    assert!(calm.reads.per_second < 20_000.0, "it fades");
    assert!(hot.look(Mono(400_000), 9).reads.paths.is_empty());
}

#[test]
fn no_order_of_requests_hides_one() {
    let hot = HotPaths::default();
    hot.every.0.store(64, Ordering::Relaxed);
    let mut sampler = Sampler::new(7);
    sampler.follow(&hot);
    let mut taken = [0_u32; 64];
    for round in 0..64_000 {
        if sampler.take().is_some() {
            taken[round % 64] += 1;
        }
    }
    // 1000 in all, spread over all places of the pattern.
    let all: u32 = taken.iter().sum();
    assert!((900..1100).contains(&all), "{all}");
    assert!(
        taken.iter().all(|count| (3..40).contains(count)),
        "{taken:?}"
    );
}

#[test]
fn connections_that_ask_once_count_as_much_as_others() {
    let hot = HotPaths::default();
    hot.every.0.store(16, Ordering::Relaxed);
    let taken = (0..16_000).filter(|number| {
        let mut sampler = Sampler::new(*number);
        sampler.follow(&hot);
        sampler.take().is_some()
    });
    let taken = taken.count();
    assert!((800..1200).contains(&taken), "{taken} of about 1000");
}

#[test]
fn of_a_request_with_many_paths_some_stand_for_all() {
    let (hot, mut sampler) = (HotPaths::default(), Sampler::new(1));
    let paths: Vec<String> = (0..1000).map(|number| format!("/{}", number % 2)).collect();
    let touched: Vec<_> = paths
        .iter()
        .map(|path| (Touch::Write, path.as_str()))
        .collect();
    hot.note(Mono(0), &mut sampler, 1, &touched);
    let picture = hot.look(Mono(0), 9);
    assert!((picture.writes.per_second - 1000.0).abs() < 1e-6);
    assert_eq!(picture.writes.paths.len(), 2);
}

#[test]
fn a_long_path_takes_little_room_and_is_not_mixed_up_with_its_beginning() {
    let mut sketch = Sketch::default();
    let long = "/\u{e4}".repeat(500_000);
    let kept = &long[..PATH_BYTES];
    for path in [long.as_str(), &long[..1000], kept] {
        sketch.add(path, 1.0);
    }
    let shown = sketch.list(1.0);
    let expected = [(format!("{kept}\u{2026}"), 2.0), (kept.to_owned(), 1.0)];
    let expected: Vec<_> = expected
        .iter()
        .map(|(path, rate)| (path.as_str(), *rate))
        .collect();
    assert_eq!(rates(&shown), expected);
}
