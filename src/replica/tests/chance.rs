//! Clients and crashes drawn from seeds, over perfect links: the session's order, and nothing acknowledged lost.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::ensemble::Ensemble;
use super::*;

/// A client that is on one connection at a time.
struct Client {
    name: usize,
    server: u64,
    conn: Arc<Conn>,
    next: i32,
    /// xids of this connection that wait for a reply.
    waiting: VecDeque<i32>,
    /// Writes of all its connections, each connection's together.
    writes: Vec<Vec<i32>>,
    acknowledged: Vec<i32>,
}

impl Client {
    fn path(&self, xid: i32) -> String {
        format!("/{}-{xid}", self.name)
    }

    fn act(&mut self, ensemble: &mut Ensemble, rng: &mut SmallRng) {
        self.hear();
        let is_up = ensemble.members.contains_key(&self.server);
        if !is_up || self.conn.outbox.is_closed() || rng.random_range(0..30) == 0 {
            return self.reconnect(ensemble, rng);
        }
        if self.conn.lane.get().is_none() {
            return;
        }
        let xid = self.next;
        self.next += 1;
        let request = match rng.random_range(0..4) {
            0 => Request::Read(ReadRequest::Sync(Some("/".into()))),
            1 => get(&self.path(xid - 1)),
            _ => {
                self.writes.last_mut().unwrap().push(xid);
                create(&self.path(xid))
            }
        };
        self.waiting.push_back(xid);
        ensemble.submit(self.server, &self.conn, xid, request);
    }

    fn reconnect(&mut self, ensemble: &mut Ensemble, rng: &mut SmallRng) {
        let session = self
            .conn
            .lane
            .get()
            .map_or(SessionId(0), |lane| lane.session());
        if ensemble.members.contains_key(&self.server) {
            ensemble.hang_up_quietly(self.server, &self.conn);
        }
        let up: Vec<u64> = ensemble.members.keys().copied().collect();
        self.server = up[rng.random_range(0..up.len())];
        self.conn = ensemble.ask(
            self.server,
            session,
            0,
            &crate::session::password::of(session),
        );
        self.waiting.clear();
        self.writes.push(Vec::new());
    }

    /// Replies come in the order of the requests.
    fn hear(&mut self) {
        for frame in taken(&self.conn) {
            let header = ReplyHeader::read(&mut Reader::new(frame.clone(), 1 << 20)).unwrap();
            if self.waiting.front() != Some(&header.xid) {
                assert_eq!(
                    frame.len(),
                    37 - 1,
                    "a welcome or the next reply, not {header:?}"
                );
                continue;
            }
            self.waiting.pop_front();
            let wrote = self.writes.last().unwrap().contains(&header.xid);
            if wrote && header.err.0 == 0 {
                self.acknowledged.push(header.xid);
            }
        }
    }

    fn check(&self, ensemble: &Ensemble) {
        let id = ensemble.leader();
        for xid in &self.acknowledged {
            assert!(
                ensemble.exists(id, &self.path(*xid)),
                "{} lost",
                self.path(*xid)
            );
        }
        for writes in &self.writes {
            let there: Vec<_> = writes
                .iter()
                .map(|xid| ensemble.exists(id, &self.path(*xid)))
                .collect();
            assert!(there.is_sorted_by(|a, b| a >= b), "{writes:?}: {there:?}");
        }
    }
}

fn play(seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let history = [3, 1000][rng.random_range(0..2)];
    let mut ensemble = Ensemble::new(&[1, 2, 3], &[], history);
    ensemble.chance = Some(SmallRng::seed_from_u64(seed));
    let mut clients: Vec<Client> = (0..4)
        .map(|name| {
            let server = rng.random_range(1..=3);
            Client {
                name,
                server,
                conn: ensemble.ask(server, SessionId(0), 0, &[]),
                next: 1,
                waiting: VecDeque::new(),
                writes: vec![Vec::new()],
                acknowledged: Vec::new(),
            }
        })
        .collect();
    for _ in 0..400 {
        match rng.random_range(0..100) {
            0..2 if ensemble.members.len() == 3 => {
                let id = rng.random_range(1..=3);
                ensemble.crash(id);
            }
            2..6 => {
                for id in [1, 2, 3] {
                    if !ensemble.members.contains_key(&id) {
                        ensemble.start(id);
                    }
                }
            }
            6..8 => {
                let learner = rng.random_range(1..=3);
                ensemble.disconnect(learner);
            }
            8..14 => ensemble.pass(rng.random_range(20..400)),
            14..50 => ensemble.run_some(rng.random_range(0..40)),
            n => {
                let count = clients.len();
                clients[n % count].act(&mut ensemble, &mut rng);
            }
        }
    }
    for id in [1, 2, 3] {
        if !ensemble.members.contains_key(&id) {
            ensemble.start(id);
        }
    }
    ensemble.run();
    ensemble.settle();
    ensemble.pass(1000);
    ensemble.settle();
    ensemble.check();
    for client in &mut clients {
        client.hear();
        let served = !client.conn.outbox.is_closed() && client.conn.lane.get().is_some();
        assert!(!served || client.waiting.is_empty(), "{:?}", client.waiting);
        client.check(&ensemble);
    }
}

#[test]
fn clients_keep_their_order_and_what_they_were_told_whatever_crashes() {
    for seed in 0..40 {
        println!("seed {seed}");
        play(seed);
    }
}
