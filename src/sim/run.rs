//! One run of one seed, from the first boot to the last comparison.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::check::{Held, holds};
use super::clients::Client;
use super::coverage::Coverage;
use super::plan::Plan;
use super::shell::Slip;
use super::{Broken, Us, World};
use crate::base::flaw::{Flaw, Making};
use crate::zab::mistake::Mistake;

/// How to run a seed.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// A known mistake, put back into every server.
    pub mistake: Option<Mistake>,
    /// A mistake of what stands around the replicas.
    pub slip: Option<Slip>,
    /// A mistake of what is around the protocol, in every server.
    pub flaw: Option<Flaw>,
    /// Changes what the seed has drawn.
    pub change: Option<fn(&mut Plan)>,
    /// Remembers what happened last.
    pub trace: bool,
    /// Prints everything that happens.
    pub print: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What did not hold, if anything.
    pub broken: Option<Broken>,
    /// Simulated time.
    pub simulated: Us,
    /// Time from the end of the faults until everybody served alike.
    pub recovery: Us,
    /// Events.
    pub steps: u64,
    /// What happened.
    pub coverage: Coverage,
    /// The last things that happened, if that was asked for.
    pub trace: Vec<String>,
    /// What was drawn.
    pub plan: Plan,
}

/// Within this the ensemble serves again, everywhere, once the faults are over.
pub const RECOVERY: Us = 60_000_000;
/// Sessions without clients are over after this.
const EXPIRY: Us = 60_000_000;

/// Runs `seed`; a panic is a finding like any other.
pub fn guarded(seed: u64, options: &Options) -> Report {
    let _making = Making::begin(options.flaw);
    let mut world = World::new(seed, options);
    let caught = catch_unwind(AssertUnwindSafe(|| world.run_whole()));
    if let Err(panic) = caught {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        world.fail("no server panics", text.unwrap_or("a panic"));
    }
    world.sum_up(seed)
}

impl World {
    fn run_whole(&mut self) {
        let faulty = self.plan.faulty;
        self.run_until(faulty);
        if self.broken().is_none() {
            self.heal();
            self.recovery = self.recover();
        }
        if self.broken().is_none() {
            self.rest();
        }
    }

    fn sum_up(&mut self, seed: u64) -> Report {
        let epochs = self.checks.leadership.epochs() as u64;
        self.seen.add("epochs established", epochs);
        self.seen
            .add("transactions agreed on", self.checks.order.len() as u64);
        Report {
            seed,
            broken: self.broken().cloned(),
            simulated: self.now(),
            recovery: self.recovery,
            steps: self.steps(),
            coverage: self.coverage().clone(),
            trace: self.trace().map(str::to_owned).collect(),
            plan: self.plan.clone(),
        }
    }

    /// The faults are over: everybody serves, and every client is told of a write. Returns how long that took.
    fn recover(&mut self) -> Us {
        let since = self.now;
        self.resting = true;
        while self.now < since + RECOVERY {
            let until = self.now + 100_000;
            self.run_until(until);
            if self.broken().is_some() {
                return 0;
            }
            let told = |client: &Client| client.told_lately > 0 && !client.closing;
            let told = self.clients.iter().all(told);
            if told && self.all_serve_alike() {
                return self.now - since;
            }
        }
        let states: Vec<String> = self.servers.keys().map(|id| self.describe(*id)).collect();
        let silent: Vec<usize> = (0..self.clients.len())
            .filter(|client| self.clients[*client].told_lately == 0)
            .collect();
        let what = format!("{states:?}, clients without an answer: {silent:?}");
        self.fail("the ensemble recovers when the faults are over", &what);
        0
    }

    /// Nothing goes wrong any more: sessions with clients live, the others end, and all trees are equal.
    fn rest(&mut self) {
        let living: Vec<_> = self
            .clients
            .iter()
            .filter_map(|client| client.session)
            .filter(|session| !self.checks.order.restored_away.contains(session))
            .collect();
        let until = self.now + EXPIRY;
        self.run_until(until);
        // A container or a session may be on its way out just now.
        for _ in 0..50 {
            if self.all_serve_alike() || self.broken().is_some() {
                break;
            }
            let until = self.now + 100_000;
            self.run_until(until);
        }
        if self.broken().is_none() {
            let held = self.judge_the_end(&living);
            self.checks.note(held);
        }
    }

    fn judge_the_end(&mut self, living: &[crate::base::SessionId]) -> Held {
        holds(
            self.all_serve_alike(),
            "the ensemble stays together at rest",
            || "not everybody serves at the same position".to_owned(),
        )?;
        self.compare_all()?;
        let order = &self.checks.order;
        for session in living {
            let closed = order.closed.get(session);
            holds(
                closed.is_none(),
                "a session lives as long as its client",
                || format!("session {session} was ended at {closed:?}, and its client was there"),
            )?;
        }
        // A client may have heard only now that its session was none of the restored database, and have another.
        let held = |id: &crate::base::SessionId| {
            let mut clients = self.clients.iter();
            living.contains(id) || clients.any(|client| client.session == Some(*id))
        };
        let dead = order.tree.sessions().find(|(id, _)| !held(id));
        holds(
            dead.is_none(),
            "a session ends when its client is gone",
            || format!("session {dead:?} is still there"),
        )?;
        let orphans = order.tree.orphan_sessions();
        holds(
            orphans.is_empty(),
            "ephemerals end with their sessions",
            || format!("there are ephemerals of {orphans:?}"),
        )
    }
}
