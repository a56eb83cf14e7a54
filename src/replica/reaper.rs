//! Which containers and TTL znodes are due for deletion, and when to look.
//!
//! Source: `ContainerManager`.

use std::collections::VecDeque;
use std::time::Duration;

use jute::Str;

use super::gate::Gate;
use crate::base::{Mono, Now, WallMs};
use crate::tree::{Kind, Tree};

/// How often and how fast to delete.
#[derive(Clone, Copy, Debug)]
pub struct ReaperOptions {
    /// Time between two looks over the tree.
    pub interval: Duration,
    /// Deletions per minute.
    pub max_per_minute: u32,
    /// Age at which a container that never had a child goes; zero keeps it.
    pub max_never_used: Duration,
}

/// The leader's list of znodes to delete.
#[derive(Debug)]
pub struct Reaper {
    options: ReaperOptions,
    next_look: Mono,
    next_delete: Mono,
    due: VecDeque<Str>,
}

impl Reaper {
    /// A reaper that first looks one interval from `now`.
    pub fn new(options: ReaperOptions, now: Mono) -> Self {
        let next_look = now + options.interval;
        Reaper {
            options,
            next_look,
            next_delete: now,
            due: VecDeque::new(),
        }
    }

    /// When [`Reaper::take`] has something to do again.
    pub fn next_deadline(&self) -> Mono {
        if self.due.is_empty() {
            self.next_look
        } else {
            self.next_delete
        }
    }

    /// The next znode to propose a deletion of, if it is time for one. What is proposed is judged again like any
    /// write: a container that got a child meanwhile stays.
    pub fn take(&mut self, now: Now, gate: &Gate) -> Option<Str> {
        if self.due.is_empty() && now.mono >= self.next_look {
            self.next_look = now.mono + self.options.interval;
            self.due = gate.read(|tree| candidates(tree, self.options, now.wall));
        }
        if now.mono < self.next_delete {
            return None;
        }
        let path = self.due.pop_front()?;
        let pause = 60_000 / u64::from(self.options.max_per_minute.max(1));
        self.next_delete = now.mono + Duration::from_millis(pause);
        Some(path)
    }
}

fn candidates(tree: &Tree, options: ReaperOptions, wall: WallMs) -> VecDeque<Str> {
    let mut due = VecDeque::new();
    for znode in tree.containers_and_ttls() {
        if tree.child_count(znode) > 0 {
            continue;
        }
        let stat = tree.persisted(znode);
        let idle_ms = wall.0.saturating_sub(stat.mtime);
        let never_used_ms = options.max_never_used.as_millis() as i64;
        let goes = match tree.kind(znode) {
            Kind::Container => stat.cversion > 0 || (never_used_ms > 0 && idle_ms > never_used_ms),
            Kind::Ttl { ms } => ms != 0 && idle_ms > ms,
            Kind::Persistent | Kind::Ephemeral(_) => false,
        };
        if goes {
            due.push_back(Str::from(tree.path_of(znode)));
        }
    }
    due
}
