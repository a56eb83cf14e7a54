//! Three servers of one kind on loopback, with the data they start from.

use crate::kit::load::{self, KEYS, Work};
use crate::kit::process::{Kind, Server, free_ports};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Servers of an ensemble.
pub const SIZE: usize = 3;

/// An ensemble. Its processes end when it is dropped.
pub struct Ensemble {
    /// Which server it is made of.
    pub kind: Kind,
    /// Its members, in the order of their ids.
    pub servers: Vec<Server>,
}

impl Ensemble {
    /// Writes the configurations, and the files of `seed` into every data folder; starts nothing.
    ///
    /// # Errors
    /// Text for a person.
    pub fn new(kind: Kind, home: &Path, seed: Option<&Path>) -> Result<Self, String> {
        let text = |error: std::io::Error| format!("{}: {error}", home.display());
        let ports = free_ports(3 * SIZE).map_err(text)?;
        let mut lines = String::from("initLimit=10\nsyncLimit=5\nmaxClientCnxns=0\n");
        for (id, ports) in (1..).zip(ports.chunks(3)) {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "server.{id}=127.0.0.1:{}:{}", ports[1], ports[2]);
        }
        let mut servers = Vec::new();
        for (id, ports) in (1..).zip(ports.chunks(3)) {
            let home = home.join(format!("{kind:?}-{id}").to_lowercase());
            servers.push(Server::with(kind, home.clone(), ports[0], &lines).map_err(text)?);
            fs::write(home.join("data/myid"), format!("{id}\n")).map_err(text)?;
            if let Some(seed) = seed {
                copy_newest(seed, &home.join("data/version-2")).map_err(text)?;
            }
        }
        Ok(Ensemble { kind, servers })
    }

    /// Starts all members and waits until all serve.
    ///
    /// # Errors
    /// As [`Server::serving`].
    pub fn start(&mut self) -> Result<(), String> {
        for server in &mut self.servers {
            server.spawn()?;
        }
        self.serving()
    }

    /// Waits until all members serve.
    ///
    /// # Errors
    /// As [`Server::serving`].
    pub fn serving(&mut self) -> Result<(), String> {
        for server in &mut self.servers {
            server.serving()?;
        }
        Ok(())
    }

    /// Place of the leader among the members.
    ///
    /// # Errors
    /// Nobody says for a minute that it leads.
    pub fn leader(&self) -> Result<usize, String> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            let leads = |server: &Server| server.mode().is_some_and(|mode| mode == "leader");
            if let Some(place) = self.servers.iter().position(leads) {
                return Ok(place);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{:?}: nobody leads", self.kind))
    }

    /// Where the followers serve, and behind them the leader.
    ///
    /// # Errors
    /// As [`Ensemble::leader`].
    pub fn followers_first(&self) -> Result<Vec<SocketAddr>, String> {
        let leader = self.leader()?;
        let mut addresses: Vec<_> = self.servers.iter().map(Server::address).collect();
        let last = addresses.remove(leader);
        addresses.push(last);
        Ok(addresses)
    }
}

/// A data folder with `znodes` znodes: [`KEYS`] of a kilobyte, and small ones. One server of ours
/// makes it alone, for Java servers as well: their files are the same.
///
/// # Errors
/// Text for a person.
pub fn seed(home: PathBuf, znodes: u32) -> Result<PathBuf, String> {
    let data = home.join("data/version-2");
    let mut server = Server::new(Kind::Oxkeeper, home, 100).map_err(|error| error.to_string())?;
    server.start()?;
    let at = [server.address()];
    load::complete(&at, Work::Keys, 1, 64, KEYS)?;
    if let Some(small) = znodes.checked_sub(KEYS).filter(|small| *small > 0) {
        load::complete(&at, Work::Parents, 1, 64, small.div_ceil(1000))?;
        load::complete(&at, Work::Many, 20, 100, small)?;
    }
    Ok(data)
}

/// Copies the newest snapshot and the logs that go beyond it.
fn copy_newest(from: &Path, to: &Path) -> std::io::Result<()> {
    let mut snapshots = Vec::new();
    let mut logs = Vec::new();
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((what, zxid)) = name.and_then(|name| name.split_once('.')) else {
            continue;
        };
        match (what, u64::from_str_radix(zxid, 16)) {
            ("snapshot", Ok(zxid)) => snapshots.push((zxid, path)),
            ("log", Ok(zxid)) => logs.push((zxid, path)),
            _ => {}
        }
    }
    snapshots.sort();
    logs.sort();
    let held = snapshots.last().map_or(0, |(zxid, _)| *zxid);
    let first = logs.iter().rposition(|(zxid, _)| *zxid <= held + 1);
    fs::create_dir_all(to)?;
    let needed = logs.iter().skip(first.unwrap_or(0));
    for (_, path) in snapshots.last().into_iter().chain(needed) {
        fs::copy(path, to.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}
