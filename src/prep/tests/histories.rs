//! Random histories: a pipeline decides as a server without one would, and predicts what it will
//! hold.

use super::*;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/x",
    "/a/x/deep",
    "/a/y",
    "/b",
    "/b/x",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/a/",
    "/none/x",
];

fn single(rng: &mut SmallRng) -> WriteRequest {
    let path = *PATHS.choose(rng).unwrap();
    let version = *[-1, -1, -1, 0, 1].choose(rng).unwrap();
    match rng.random_range(0..12) {
        0..=3 => create(path, rng.random_range(0..4)),
        4 => container(path),
        5 => create_ttl(path, rng.random_range(5..7), 1000),
        6 | 7 => delete(path, version),
        8 => WriteRequest::Create(Op::Create2, create_request(path, 0)),
        _ => set_data(path, &"x".repeat(rng.random_range(0..9)), version),
    }
}

fn request(rng: &mut SmallRng) -> WriteRequest {
    match rng.random_range(0..20) {
        0..=2 => {
            let count = rng.random_range(0..5);
            multi((0..count).map(|_| single(rng)).collect::<Vec<_>>())
        }
        3 => WriteRequest::CloseSession,
        4 => WriteRequest::DeleteContainer((*PATHS.choose(rng).unwrap()).into()),
        5 => WriteRequest::CreateSession { timeout: 4000 },
        6 => {
            let open = rng.random_bool(0.8);
            let acl = if open {
                open_acl()
            } else {
                acl(1 | 16, "world", "anyone")
            };
            set_acl(PATHS.choose(rng).unwrap(), acl, -1)
        }
        _ => single(rng),
    }
}

/// A request, from a session that is not closed; one that ends makes room for a new one.
struct Clients {
    sessions: Vec<SessionId>,
    next: i64,
}

impl Clients {
    fn next(&mut self, rng: &mut SmallRng) -> (SessionId, WriteRequest) {
        let (at, request) = (rng.random_range(0..self.sessions.len()), request(rng));
        let session = self.sessions[at];
        if request == WriteRequest::CloseSession {
            self.next += 1;
            self.sessions[at] = SessionId(self.next);
        }
        (session, request)
    }
}

fn world() -> World {
    let options = TreeOptions {
        extended_types: true,
        ..TreeOptions::default()
    };
    World::with(options, PrepOptions::default())
}

/// What the end of a session deletes is a set.
fn normalized(mut txn: LoggedTxn) -> LoggedTxn {
    if let Txn::CloseSession(Some(close)) = &mut txn.txn {
        close.paths.as_mut().unwrap().sort();
    }
    txn
}

/// Every znode that is or was, as it will be.
fn predicted(
    world: &World,
    paths: &[String],
) -> Vec<Option<(jute::data::StatPersisted, i32, u32)>> {
    let view = |path: &String| world.prep.pending.get(&world.tree, path);
    let parts = |record: Record| (record.stat, record.child_count, record.data_len);
    paths.iter().map(|path| view(path).map(parts)).collect()
}

fn known_paths(tree: &Tree) -> Vec<String> {
    fn walk(tree: &Tree, path: String, out: &mut Vec<String>) {
        let Some(znode) = tree.find(&path) else {
            return;
        };
        for name in tree.children(znode) {
            walk(tree, format!("{path}/{name}"), out);
        }
        out.push(path);
    }
    let mut paths = PATHS.iter().map(ToString::to_string).collect();
    walk(tree, String::new(), &mut paths);
    // The server rewrites these on its own.
    paths.retain(|path| !path.ends_with("zookeeper_stats"));
    paths
}

/// The number of writes that were accepted.
fn run(seed: u64) -> usize {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut clients = Clients {
        sessions: (1..=3).map(|n| SessionId(n << 32)).collect(),
        next: 9 << 32,
    };
    let (mut pipelined, mut stepwise) = (world(), world());
    let mut accepted = 0;
    for _ in 0..400 {
        let (session, request) = clients.next(&mut rng);
        for world in [&mut pipelined, &mut stepwise] {
            world.live.0.insert(session, false);
        }
        let early = normalized(pipelined.judge(session, &request));
        let late = normalized(stepwise.judge(session, &request));
        assert_eq!(early, late, "seed {seed}: {request:?}");
        accepted += usize::from(early.digest.is_some());
        stepwise.apply_all();
        for _ in 0..rng.random_range(0..3) {
            pipelined.apply_one();
        }
        if rng.random_ratio(1, 30) {
            let paths = known_paths(&stepwise.tree);
            let before = predicted(&pipelined, &paths);
            pipelined.apply_all();
            assert_eq!(
                before,
                predicted(&pipelined, &paths),
                "seed {seed}: {paths:?}"
            );
            assert_eq!(
                before,
                predicted(&stepwise, &paths),
                "seed {seed}: {paths:?}"
            );
        }
    }
    pipelined.apply_all();
    assert_eq!(pipelined.tree.digest(), stepwise.tree.digest());
    accepted
}

#[test]
fn a_pipeline_decides_and_predicts_as_if_each_write_were_applied_before_the_next() {
    let accepted: usize = (0..40).map(run).sum();
    assert!(accepted > 5_000, "{accepted} of 16,000 writes say little");
}
