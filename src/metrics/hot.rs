//! Which znodes are asked for most, from a sample of the requests.
//!
//! ```text
//!   connection: Sampler --- one request in N ---> HotPaths: a sketch each for reads, writes, children
//!   admin (hot_paths)   <-- look --- the paths with the most requests, and how wrong they may be
//! ```
//!
//! A connection counts requests down; nothing else is done for those that are not taken. The gaps between taken ones
//! are random and without memory, so that no order in which clients ask can hide a path or show it too often; their
//! seed is the connection's number, so a run repeats. N follows the load: one of one while there is little to do.
//!
//! A sketch is Space-Saving (Metwally et al., "Efficient computation of frequent and top-k elements in data streams",
//! 2005) over counts that fade: whoever has more than one part in [`PATHS`] of all requests lately is in it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHasher;

use super::counter::Line;
use crate::base::Mono;

/// Paths that a sketch knows.
pub const PATHS: usize = 128;

/// Bytes of a path that are kept; what is longer ends in an ellipsis.
pub const PATH_BYTES: usize = 256;

/// Requests count less with time: after this long, about a third.
pub const WINDOW: Duration = Duration::from_secs(10);

/// How often counts fade and the load is judged.
const SLICE: Duration = Duration::from_millis(250);

/// Requests taken per slice beyond which fewer are.
const TAKEN_PER_SLICE: u32 = 256;

/// Fewest requests that are taken: one in so many.
const EVERY_MAX: u32 = 1 << 16;

/// Of a request that names many paths, so many count.
const PATHS_PER_REQUEST: usize = 32;

/// What is done at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Its data, its ACL or its children are read.
    Read,
    /// It is made, changed or removed, or that is tried.
    Write,
    /// A child of it is made or removed, or that is tried.
    Children,
}

/// Decides which requests of one connection are taken.
#[derive(Debug)]
pub struct Sampler {
    /// Requests up to the next that is taken.
    left: u32,
    /// One request in so many is taken; 0 before the first [`Sampler::follow`].
    every: u32,
    random: u64,
}

impl Sampler {
    /// Of a connection with this number.
    pub fn new(seed: u64) -> Self {
        Sampler {
            left: u32::MAX,
            every: 0,
            random: seed,
        }
    }

    /// Takes as many as `hot` wants now. To be called once for a batch of requests.
    pub fn follow(&mut self, hot: &HotPaths) {
        let every = hot.every.0.load(Ordering::Relaxed);
        if every != self.every {
            self.every = every;
            // Gaps have no memory, so the rest of the old one needs not be waited for.
            self.left = self.gap();
        }
    }

    /// Whether this request is taken; how many it stands for, then.
    pub fn take(&mut self) -> Option<u32> {
        self.left -= 1;
        if self.left > 0 {
            return None;
        }
        self.left = self.gap();
        Some(self.every)
    }

    /// At least 1, on average `every`.
    fn gap(&mut self) -> u32 {
        if self.every <= 1 {
            return 1;
        }
        // A number above 0, up to and with 1.
        let uniform = ((self.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let missed = (1.0 - 1.0 / f64::from(self.every)).ln();
        (uniform.ln() / missed) as u32 + 1
    }

    /// The next of a row of numbers. Source: Steele et al., "Fast splittable pseudorandom number generators", 2014.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The paths of a server with the most requests of its clients.
#[derive(Debug)]
pub struct HotPaths {
    /// One request in so many is taken. Read by every connection, written when the load changes.
    every: Line<AtomicU32>,
    sketches: Mutex<Sketches>,
}

impl Default for HotPaths {
    fn default() -> Self {
        HotPaths {
            every: Line(AtomicU32::new(1)),
            sketches: Mutex::default(),
        }
    }
}

/// The hot paths at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HotPicture {
    /// One request in so many is taken.
    pub every: u32,
    /// How long the time is that rates are of; less than [`WINDOW`] at first.
    pub window: Duration,
    /// By what is done there.
    pub reads: HotList,
    /// Likewise.
    pub writes: HotList,
    /// Likewise.
    pub children: HotList,
}

/// Paths by how often something is done there, most often first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HotList {
    /// How often it is done anywhere.
    pub per_second: f64,
    /// The hottest.
    pub paths: Vec<HotPath>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HotPath {
    /// The path, as clients wrote it; of a sequential znode, without its number.
    pub path: String,
    /// How often it was seen.
    pub per_second: f64,
    /// By how much that may be wrong: what came before it was known, and twice the standard deviation of the sample.
    pub error: f64,
}

impl HotPaths {
    /// Notes a request that [`Sampler::take`] says stands for `every` requests, and what it does.
    pub fn note(&self, now: Mono, sampler: &mut Sampler, every: u32, touched: &[(Touch, &str)]) {
        let mut sketches = self.sketches.lock();
        sketches.turn(now, &self.every.0);
        sketches.taken += 1;
        if sketches.taken > TAKEN_PER_SLICE {
            let more = self.every.0.load(Ordering::Relaxed) * 2;
            self.every.0.store(more.min(EVERY_MAX), Ordering::Relaxed);
            sketches.taken = 0;
        }
        if touched.len() <= PATHS_PER_REQUEST {
            for (touch, path) in touched {
                sketches.of(*touch).add(path, f64::from(every));
            }
            return;
        }
        let weight = f64::from(every) * touched.len() as f64 / PATHS_PER_REQUEST as f64;
        for _ in 0..PATHS_PER_REQUEST {
            let at = (sampler.draw() % touched.len() as u64) as usize;
            if let Some((touch, path)) = touched.get(at) {
                sketches.of(*touch).add(path, weight);
            }
        }
    }

    /// The hottest paths, at most `limit` of each kind.
    pub fn look(&self, now: Mono, limit: usize) -> HotPicture {
        let (mut lists, seconds) = {
            let mut sketches = self.sketches.lock();
            sketches.turn(now, &self.every.0);
            let seconds = sketches.seconds(now);
            let lists = [&sketches.reads, &sketches.writes, &sketches.children];
            (lists.map(|sketch| sketch.list(seconds)), seconds)
        };
        for list in &mut lists {
            let rate = |path: &HotPath| path.per_second;
            let order = |a: &HotPath, b: &HotPath| {
                (rate(b).total_cmp(&rate(a))).then_with(|| a.path.cmp(&b.path))
            };
            list.paths.sort_unstable_by(order);
            list.paths.truncate(limit);
        }
        let [reads, writes, children] = lists;
        HotPicture {
            every: self.every.0.load(Ordering::Relaxed),
            window: Duration::from_secs_f64(seconds),
            reads,
            writes,
            children,
        }
    }
}

#[derive(Debug, Default)]
struct Sketches {
    reads: Sketch,
    writes: Sketch,
    children: Sketch,
    /// When the first request came, and when the present slice began.
    times: Option<(Mono, Mono)>,
    /// Requests taken in this slice.
    taken: u32,
}

impl Sketches {
    fn of(&mut self, touch: Touch) -> &mut Sketch {
        match touch {
            Touch::Read => &mut self.reads,
            Touch::Write => &mut self.writes,
            Touch::Children => &mut self.children,
        }
    }

    /// Begins a new slice if the present one is over.
    fn turn(&mut self, now: Mono, every: &AtomicU32) {
        let (_, slice) = self.times.get_or_insert((now, now));
        let passed = now - *slice;
        if passed < SLICE {
            return;
        }
        *slice = now;
        let slices = (passed.as_millis() / SLICE.as_millis()).min(u128::from(EVERY_MAX.ilog2()));
        if u128::from(self.taken) < u128::from(TAKEN_PER_SLICE / 4) * slices {
            let fewer = every.load(Ordering::Relaxed) >> slices;
            every.store(fewer.max(1), Ordering::Relaxed);
        }
        self.taken = 0;
        let kept = (-passed.as_secs_f64() / WINDOW.as_secs_f64()).exp();
        for sketch in [&mut self.reads, &mut self.writes, &mut self.children] {
            sketch.fade(kept);
        }
    }

    /// What a count is divided by for a rate.
    fn seconds(&self, now: Mono) -> f64 {
        let seen = self
            .times
            .map_or(Duration::ZERO, |(first, _)| now - first)
            .as_secs_f64();
        let window = WINDOW.as_secs_f64();
        (window * (1.0 - (-seen / window).exp())).max(1.0)
    }
}

/// Counts of the most frequent paths.
#[derive(Debug, Default)]
struct Sketch {
    /// Of each path of `counts`, to find it by.
    hashes: Vec<u64>,
    counts: Vec<Count>,
    all: f64,
}

#[derive(Debug, Default)]
struct Count {
    path: String,
    /// Since it is known.
    seen: f64,
    /// What it may have had before, at most.
    missed: f64,
    /// Of `seen`.
    variance: f64,
}

impl Count {
    fn most(&self) -> f64 {
        self.seen + self.missed
    }
}

/// Counts below this are forgotten.
const FORGOTTEN: f64 = 0.01;

impl Sketch {
    /// A request at `path` that stands for `weight`.
    fn add(&mut self, path: &str, weight: f64) {
        self.add_within(PATHS, path, weight);
    }

    fn add_within(&mut self, limit: usize, path: &str, weight: f64) {
        self.all += weight;
        let (kept, rest) = path.split_at(kept_bytes(path));
        let hash = hash(kept, rest.is_empty());
        let end = if rest.is_empty() { "" } else { ELLIPSIS };
        let mut known = self.hashes.iter().zip(&self.counts);
        let found =
            known.position(|(of, count)| *of == hash && count.path.strip_prefix(kept) == Some(end));
        let at = found.unwrap_or_else(|| {
            let at = self.place(limit);
            if let (Some(of), Some(count)) = (self.hashes.get_mut(at), self.counts.get_mut(at)) {
                *of = hash;
                count.missed = count.most();
                (count.seen, count.variance) = (0.0, 0.0);
                count.path.clear();
                count.path.push_str(kept);
                count.path.push_str(end);
            }
            at
        });
        if let Some(count) = self.counts.get_mut(at) {
            count.seen += weight;
            count.variance += weight * (weight - 1.0).max(0.0);
        }
    }

    /// A new place, or else that of the path with the least requests.
    fn place(&mut self, limit: usize) -> usize {
        if self.counts.len() < limit {
            self.hashes.push(0);
            self.counts.push(Count::default());
            return self.counts.len() - 1;
        }
        let (mut place, mut least) = (0, f64::INFINITY);
        for (at, count) in self.counts.iter().enumerate() {
            let most = count.most();
            if most < least {
                (place, least) = (at, most);
            }
        }
        place
    }

    /// Everything counts for a part of what it did.
    fn fade(&mut self, kept: f64) {
        self.all *= kept;
        for count in &mut self.counts {
            count.seen *= kept;
            count.missed *= kept;
            count.variance *= kept * kept;
        }
        let mut at = 0;
        while let Some(count) = self.counts.get(at) {
            if count.most() < FORGOTTEN {
                self.counts.swap_remove(at);
                self.hashes.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }

    fn list(&self, seconds: f64) -> HotList {
        let paths = self.counts.iter().map(|count| HotPath {
            path: count.path.clone(),
            per_second: count.seen / seconds,
            error: (count.missed + 2.0 * count.variance.sqrt()) / seconds,
        });
        HotList {
            per_second: self.all / seconds,
            paths: paths.collect(),
        }
    }
}

/// Ends a path that is not kept whole.
const ELLIPSIS: &str = "\u{2026}";

/// How much of `path` is kept: whole characters.
fn kept_bytes(path: &str) -> usize {
    if path.len() <= PATH_BYTES {
        return path.len();
    }
    let mut ends = (0..=PATH_BYTES).rev();
    ends.find(|end| path.is_char_boundary(*end))
        .unwrap_or_default()
}

fn hash(kept: &str, is_whole: bool) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = FxHasher::default();
    (kept, is_whole).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
