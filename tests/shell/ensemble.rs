//! Whole ensembles inside the test: they elect, order, lose members and take them back.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use jute::Op;
use oxkeeper::config::{Config, ConfigSources, HostPort};
use tempfile::TempDir;

use super::rawzk::{Client, bytes, framed, handshake, path, request, set};
use super::server::{TestServer, wait_until};

/// Servers 1 to n; those of `observers` do not vote.
pub struct Ensemble {
    dir: TempDir,
    lines: String,
    servers: Vec<Option<TestServer>>,
}

impl Ensemble {
    pub fn start(voters: usize, observers: usize) -> Ensemble {
        let count = voters + observers;
        let mut ensemble = Ensemble {
            dir: tempfile::tempdir().unwrap(),
            lines: Ensemble::lines_of(voters, observers),
            servers: (0..count).map(|_| None).collect(),
        };
        (1..=count).for_each(|id| ensemble.start_server(id));
        ensemble
    }

    fn lines_of(voters: usize, observers: usize) -> String {
        let ports = free_ports(2 * (voters + observers));
        let mut lines =
            "tickTime=200\ninitLimit=50\nsyncLimit=25\nmaxSessionTimeout=60000\n4lw.commands.whitelist=*\n".to_owned();
        for (index, pair) in ports.chunks(2).enumerate() {
            let role = if index < voters {
                "participant"
            } else {
                "observer"
            };
            let (id, quorum, election) = (index + 1, pair[0], pair[1]);
            lines += &format!("server.{id}=127.0.0.1:{quorum}:{election}:{role}\n");
        }
        lines
    }

    /// As [`Ensemble::start`], each with an AdminServer.
    pub fn with_admin(voters: usize) -> Ensemble {
        let mut ensemble = Ensemble::start(0, 0);
        let with_admin =
            Ensemble::lines_of(voters, 0) + "admin.serverPort=1\nadmin.rateLimiterIntervalInMS=1\n";
        ensemble.lines = with_admin;
        ensemble.servers = (0..voters).map(|_| None).collect();
        (1..=voters).for_each(|id| ensemble.start_server(id));
        ensemble
    }

    pub fn data(&self, id: usize) -> std::path::PathBuf {
        self.dir.path().join(id.to_string())
    }

    pub fn start_server(&mut self, id: usize) {
        let server = TestServer::with(config(&self.data(id), id, &self.lines)).unwrap();
        self.servers[id - 1] = Some(server);
    }

    pub fn stop_server(&mut self, id: usize) {
        self.servers[id - 1] = None;
    }

    pub fn server(&self, id: usize) -> &TestServer {
        self.servers[id - 1].as_ref().unwrap()
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        let servers = self.servers.iter().enumerate();
        servers.filter_map(|(index, server)| server.as_ref().map(|_| index + 1))
    }

    /// What `srvr` says the server does, or nothing.
    pub fn mode(&self, id: usize) -> String {
        let text = self.server(id).word("srvr");
        let mode = text.lines().find_map(|line| line.strip_prefix("Mode: "));
        mode.unwrap_or_default().to_owned()
    }

    /// Waits until everyone serves; who leads.
    pub fn leader(&self) -> usize {
        let ids: Vec<usize> = self.running().collect();
        wait_until("everyone serves", || {
            ids.iter().all(|id| !self.mode(*id).is_empty())
        });
        let leader = ids.into_iter().find(|id| self.mode(*id) == "leader");
        leader.expect("a server leads")
    }

    /// A session on that server, as soon as it serves.
    pub fn client(&self, id: usize) -> Client {
        open(self.server(id).address)
    }

    /// Reads on that server what was written before, wherever.
    pub fn read(&self, id: usize, znode: &str) -> Option<Vec<u8>> {
        let mut client = self.client(id);
        assert_eq!(client.call(Op::Sync, &path(znode)).err(), 0);
        let reply = client.get(znode);
        (reply.err() == 0).then(|| {
            let data: jute::proto::GetDataResponse = reply.read();
            data.data.unwrap().to_vec()
        })
    }
}

/// Ports nobody listens on, below those that the system gives to connections on their way out: a restarted server
/// has to get its own back.
pub(super) fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(97);
    let candidates = std::iter::repeat_with(|| {
        let number = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        12_000 + (number % 20_000) as u16
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    candidates.filter(is_free).take(count).collect()
}

fn config(dir: &Path, id: usize, lines: &str) -> Config {
    let cfg = format!(
        "dataDir={}\nclientPort=1\npreAllocSize=64\n{lines}\n",
        dir.display()
    );
    let sources = ConfigSources {
        cfg: cfg.into_bytes(),
        myid: Some(id.to_string().into_bytes()),
        ..ConfigSources::embedded()
    };
    let mut config = Config::parse(&sources).unwrap().config;
    let host = Some("127.0.0.1".to_owned());
    config.client_addr = Some(HostPort { host, port: 0 });
    let asked = lines.contains("admin.serverPort");
    let host = Some("127.0.0.1".to_owned());
    config.admin_addr = asked.then_some(HostPort { host, port: 0 });
    config.prometheus = None;
    config
}

fn open(address: SocketAddr) -> Client {
    let mut opened = None;
    wait_until("a session", || {
        let mut client = Client::dial(address);
        let response = client.shake(&handshake(0, &[0; 16], 0, 60_000));
        if response.is_some_and(|response| response.timeout > 0) {
            opened = Some(client);
        }
        opened.is_some()
    });
    opened.unwrap()
}

#[test]
fn three_servers_elect_and_each_takes_writes_that_all_see() {
    let ensemble = Ensemble::start(3, 0);
    let leader = ensemble.leader();
    for id in 1..=3 {
        let expected = if id == leader { "leader" } else { "follower" };
        assert_eq!(ensemble.mode(id), expected);
        let znode = format!("/from{id}");
        assert_eq!(ensemble.client(id).create(&znode, b"x", 0).err(), 0);
        for reader in 1..=3 {
            assert_eq!(ensemble.read(reader, &znode).as_deref(), Some(&b"x"[..]));
        }
    }
}

#[test]
fn an_ephemeral_goes_with_its_session_whoever_has_it() {
    let ensemble = Ensemble::start(3, 0);
    let leader = ensemble.leader();
    for id in 1..=3 {
        let mut client = ensemble.client(id);
        let znode = format!("/e{id}");
        assert_eq!(client.create(&znode, b"", 1).err(), 0);
        assert!(ensemble.read(leader, &znode).is_some());
        client.send(&request(1, Op::CloseSession as i32, &[]));
        assert_eq!(client.frame().map(|reply| reply.err()), Some(0));
        for reader in 1..=3 {
            assert_eq!(ensemble.read(reader, &znode), None);
        }
    }
}

#[test]
fn the_others_go_on_without_their_leader_and_it_comes_back_to_them() {
    let mut ensemble = Ensemble::start(3, 0);
    let first = ensemble.leader();
    assert_eq!(ensemble.client(first).create("/before", b"1", 0).err(), 0);
    ensemble.stop_server(first);
    let second = ensemble.leader();
    let mut client = ensemble.client(second);
    for n in 0..20 {
        assert_eq!(client.create(&format!("/after{n}"), b"2", 0).err(), 0);
    }
    assert_eq!(ensemble.read(second, "/before").as_deref(), Some(&b"1"[..]));
    ensemble.start_server(first);
    assert_eq!(ensemble.read(first, "/after19").as_deref(), Some(&b"2"[..]));
    assert_eq!(ensemble.mode(first), "follower");
}

#[test]
fn a_session_survives_its_server_and_the_election() {
    let mut ensemble = Ensemble::start(3, 0);
    let leader = ensemble.leader();
    let mut client = ensemble.client(leader);
    assert_eq!(client.create("/mine", b"", 1).err(), 0);
    ensemble.stop_server(leader);
    let next = ensemble.leader();
    let (session, password) = (client.session, client.password.clone());
    let mut resumed = Client::dial(ensemble.server(next).address);
    let response = resumed
        .shake(&handshake(session, &password, 0, 60_000))
        .unwrap();
    assert_eq!(response.session_id, session);
    assert!(resumed.exists("/mine", false));
    assert_eq!(resumed.call(Op::SetData, &set("/mine", b"still")).err(), 0);
}

#[test]
fn an_observer_serves_and_does_not_count() {
    let mut ensemble = Ensemble::start(3, 1);
    ensemble.leader();
    assert_eq!(ensemble.mode(4), "observer");
    assert_eq!(ensemble.client(4).create("/o", b"o", 0).err(), 0);
    assert_eq!(ensemble.read(1, "/o").as_deref(), Some(&b"o"[..]));
    ensemble.stop_server(1);
    let leader = ensemble.leader();
    assert_eq!(ensemble.read(4, "/o").as_deref(), Some(&b"o"[..]));
    let gone = if leader == 2 { 3 } else { 2 };
    ensemble.stop_server(gone);
    wait_until("one of three is no quorum", || {
        ensemble.mode(leader).is_empty()
    });
    wait_until("an observer serves nobody without a leader", || {
        ensemble.mode(4).is_empty()
    });
    let mut refused = Client::dial(ensemble.server(leader).address);
    let hello = bytes(&handshake(0, &[0; 16], 0, 60_000));
    refused.try_send(&framed(&hello));
    refused.assert_closed();
    ensemble.start_server(gone);
    assert_eq!(ensemble.read(4, "/o").as_deref(), Some(&b"o"[..]));
}
