//! A run: its threads, its beginning and its end.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::sleep;

use super::drive::Link;
use super::pipe::{Arrivals, Pipe};
use super::plan::Plan;
use super::shared::{Identity, Place, Shared, Told};
use super::tally::{Tally, Window};

/// How hard to press, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host names and ports; connections take them in turn.
    pub servers: Vec<(String, u16)>,
    /// Connections, each with a session of its own; more than 0.
    pub connections: u32,
    /// Requests that each connection keeps unanswered, at most.
    pub in_flight: usize,
    /// Threads that share the connections.
    pub threads: u32,
    /// Requests per second of all connections together; None: as many as are answered.
    pub rate: Option<f64>,
    /// Wanted from the servers.
    pub session_timeout: Duration,
    /// Who the clients say they are.
    pub identity: Option<Identity>,
    /// Load before the window.
    pub warm_up: Duration,
    /// What ends the window.
    pub length: Length,
    /// How long answers are awaited after that.
    pub patience: Duration,
    /// What chance begins with.
    pub seed: u64,
}

/// What ends a run.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// Time.
    Time(Duration),
    /// A number of requests, if the plans do not end before.
    Requests(u64),
    /// The plans.
    Plans,
}

/// What one connection does.
#[derive(Debug)]
pub enum Job {
    /// Requests, many in flight.
    Requests(Plan),
    /// Sessions that begin and end.
    Sessions,
}

/// Load that is on.
#[derive(Debug)]
pub struct Run {
    shared: Arc<Shared>,
    tallies: Vec<Arc<Mutex<Tally>>>,
    told: mpsc::UnboundedReceiver<Told>,
    threads: Vec<JoinHandle<()>>,
    running: usize,
    failure: Option<String>,
}

/// How busy one thread was.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    /// Time of the processor that it used, in seconds.
    pub cpu: f64,
    /// Over which time, in seconds.
    pub wall: f64,
}

impl Run {
    /// Opens all connections, and begins once all are open. `jobs` says what each connection does.
    ///
    /// # Errors
    /// Text for a person: there is no session for one of them.
    pub async fn begin(settings: Settings, jobs: impl Fn(u32) -> Job) -> Result<Run, String> {
        let (tell, told) = mpsc::unbounded_channel();
        let (begin, begun) = watch::channel(false);
        let times = (settings.session_timeout, settings.patience);
        let servers = settings.servers.clone();
        let identity = settings.identity.clone();
        let shared = Shared::new(servers, settings.connections, times, identity, tell, begun);
        let mut run = Run {
            shared: Arc::new(shared),
            tallies: Vec::new(),
            told,
            threads: Vec::new(),
            running: 0,
            failure: None,
        };
        let left = match settings.length {
            Length::Requests(count) => Some(Arc::new(AtomicU64::new(count))),
            _ => None,
        };
        let threads = settings.threads.clamp(1, settings.connections);
        let settings = Arc::new(settings);
        let mut crews: Vec<Vec<(u32, Job)>> = (0..threads).map(|_| Vec::new()).collect();
        for number in 0..settings.connections {
            crews[(number % threads) as usize].push((number, jobs(number)));
        }
        for crew in crews {
            let tally = Arc::new(Mutex::new(Tally::new(settings.servers.len())));
            run.tallies.push(Arc::clone(&tally));
            let crew = Crew {
                crew,
                shared: Arc::clone(&run.shared),
                tally,
                settings: Arc::clone(&settings),
                left: left.clone(),
            };
            let builder = Builder::new().name("load".into());
            let thread = builder.spawn(move || crew.work());
            run.threads
                .push(thread.map_err(|error| format!("no thread: {error}"))?);
            run.running += 1;
        }
        for _ in 0..settings.connections {
            match run.told.recv().await {
                Some(Told::Open) => {}
                Some(Told::Failed(why)) => {
                    run.shared.stop();
                    return Err(why);
                }
                Some(Told::Ended) | None => return Err("a thread ended at its start".into()),
            }
        }
        run.shared.set_window(window(run.shared.now(), &settings));
        // All threads hold a receiver.
        let _ = begin.send(true);
        Ok(run)
    }

    /// The time that is measured; its end is open while only requests end it.
    pub fn window(&self) -> Window {
        self.shared.window()
    }

    /// ns of the run's clock.
    pub fn now(&self) -> u64 {
        self.shared.now()
    }

    /// What was counted since this was asked before.
    pub fn take(&self) -> Tally {
        let mut sum = Tally::new(self.shared.servers.len());
        for tally in &self.tallies {
            let fresh = Tally::new(self.shared.servers.len());
            let counted = std::mem::replace(&mut *tally.lock(), fresh);
            sum.add(&counted);
        }
        sum
    }

    /// Age of the oldest request without an answer.
    pub fn oldest(&self) -> Duration {
        self.shared.oldest()
    }

    /// Sends nothing more; what was sent is still awaited.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Waits until all connections have ended. May be dropped and asked again.
    ///
    /// # Errors
    /// Text for a person: why it could not go on to its end.
    pub async fn ended(&mut self) -> Result<(), String> {
        while self.running > 0 {
            match self.told.recv().await {
                Some(Told::Ended) => self.running -= 1,
                Some(Told::Failed(why)) => {
                    self.shared.stop();
                    self.failure.get_or_insert(why);
                }
                Some(Told::Open) => {}
                None => break,
            }
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                self.failure.get_or_insert_with(|| "a thread failed".into());
            }
        }
        self.shared.stop();
        self.failure.clone().map_or(Ok(()), Err)
    }

    /// How busy each thread was, once all have ended.
    pub fn busy(&self) -> Vec<Busy> {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let busy = self.shared.busy.lock();
        let busy = busy.iter().map(|(cpu, wall)| Busy {
            cpu: seconds(*cpu),
            wall: seconds(*wall),
        });
        busy.collect()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

fn window(now: u64, settings: &Settings) -> Window {
    let from = now + settings.warm_up.as_nanos() as u64;
    let to = match settings.length {
        Length::Time(length) => from + length.as_nanos() as u64,
        Length::Requests(_) | Length::Plans => u64::MAX,
    };
    Window { from, to }
}

/// The connections of one thread.
struct Crew {
    crew: Vec<(u32, Job)>,
    shared: Arc<Shared>,
    tally: Arc<Mutex<Tally>>,
    settings: Arc<Settings>,
    left: Option<Arc<AtomicU64>>,
}

impl Crew {
    fn work(self) {
        let shared = Arc::clone(&self.shared);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => LocalSet::new().block_on(&runtime, self.all()),
            Err(error) => shared.fail(format!("no runtime: {error}")),
        }
        shared.tell(Told::Ended);
    }

    async fn all(self) {
        let mut tasks = Vec::new();
        for (number, job) in self.crew {
            let place = Place {
                number,
                shared: Arc::clone(&self.shared),
                tally: Arc::clone(&self.tally),
                server: number as usize % self.settings.servers.len(),
            };
            let task = start(place, job, Arc::clone(&self.settings), self.left.clone());
            tasks.push(spawn_local(task));
        }
        let cpu = Rc::new(Cpu::default());
        let watched = spawn_local(Rc::clone(&cpu).watch(Arc::clone(&self.shared)));
        for task in tasks {
            if task.await.is_err() {
                self.shared.fail("a connection's task failed".into());
            }
        }
        watched.abort();
        cpu.note(&self.shared);
    }
}

/// What the thread used of the processor within the window.
#[derive(Default)]
struct Cpu {
    /// What it had used, and when, at the beginning; None before that and once it is noted.
    began: Cell<Option<(u64, u64)>>,
}

impl Cpu {
    async fn watch(self: Rc<Self>, shared: Arc<Shared>) {
        if !shared.begins().await {
            return;
        }
        let reach = async |at: fn(Window) -> u64| {
            loop {
                let left = at(shared.window()).saturating_sub(shared.now());
                if left == 0 {
                    return;
                }
                sleep(Duration::from_nanos(left).min(LOOK)).await;
            }
        };
        reach(|window| window.from).await;
        self.began.set(Some((thread_cpu(), shared.now())));
        reach(|window| window.to).await;
        self.note(&shared);
    }

    fn note(&self, shared: &Shared) {
        if let Some((cpu, at)) = self.began.take() {
            let used = thread_cpu().saturating_sub(cpu);
            let over = shared.now().saturating_sub(at);
            shared.busy.lock().push((used, over));
        }
    }
}

/// What the calling thread has used of the processor, in ns.
fn thread_cpu() -> u64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
}

/// How soon the end of the window is noticed when it comes earlier than planned.
const LOOK: Duration = Duration::from_millis(100);

async fn start(place: Place, job: Job, settings: Arc<Settings>, left: Option<Arc<AtomicU64>>) {
    let seed = settings.seed.wrapping_add(place.number.into());
    let rng = SmallRng::seed_from_u64(seed);
    let shared = Arc::clone(&place.shared);
    let (number, connections) = (f64::from(place.number), f64::from(settings.connections));
    let every = settings.rate.map(|rate| 1e9 / rate);
    let warm_up = settings.warm_up.as_nanos() as u64;
    let clock = Arc::clone(&shared);
    let arrivals = move || {
        let first = clock.window().from.saturating_sub(warm_up) as f64;
        every.map(|every| Arrivals {
            first: first + number * every,
            every: connections * every,
            next: 0,
        })
    };
    let link = match Link::new(place, every.is_some(), rng) {
        Ok(link) => link,
        Err(error) => return shared.fail(error.to_string()),
    };
    match job {
        Job::Requests(plan) => {
            let pipe = Pipe::new(plan, settings.in_flight, None, left);
            link.run(pipe, |pipe| pipe.arrive(arrivals())).await;
        }
        Job::Sessions => link.sessions(arrivals, left).await,
    }
}
