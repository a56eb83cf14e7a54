//! The program: its start, its refusals to start, and its end.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use jute::Op;
use tempfile::TempDir;

use super::admin::{ask, body, status};
use super::ensemble::free_ports;
use super::rawzk::{Client, bytes, create, request};

/// A running server; killed if a test fails before it ends.
struct Program {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Program {
    fn start(dir: &Path, port: u16) -> Program {
        Program::with(dir, port, "admin.enableServer=false")
    }

    fn with(dir: &Path, port: u16, lines: &str) -> Program {
        let cfg = dir.join(format!("{port}.cfg"));
        let data = dir.join("data");
        let text = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\npreAllocSize=64\n{lines}\n",
            data.display()
        );
        std::fs::write(&cfg, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
            .arg("server")
            .arg(&cfg)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Program { child, log }
    }

    /// Waits for the line of the banner that names the address.
    fn serving(&mut self) -> SocketAddr {
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            if let Some(address) = line.trim().strip_prefix("clients  ") {
                return address.parse().unwrap();
            }
            line.clear();
        }
        panic!("it ended without serving");
    }

    /// Waits for the line that names where operators are answered while it recovers.
    fn recovering(&mut self) -> SocketAddr {
        let mut line = String::new();
        while !line.contains("recovering; http://") {
            line.clear();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "it ended");
        }
        let address = line.split("http://").nth(1).unwrap();
        address.split('/').next().unwrap().parse().unwrap()
    }

    /// What it says from here to its end, and how it ends.
    fn end(&mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.log.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    free_ports(1)[0]
}

#[test]
fn a_signal_ends_it_with_status_0_and_what_was_sent_before_is_kept() {
    for signal in ["TERM", "INT"] {
        let dir = tempfile::tempdir().unwrap();
        let mut program = Program::start(dir.path(), free_port());
        let address = program.serving();
        let mut client = Client::open(address);
        let burst: Vec<u8> = (1..=200)
            .flat_map(|xid| {
                let record = create(&format!("/n{xid}"), b"", 0);
                request(xid, Op::Create as i32, &bytes(&record))
            })
            .collect();
        client.send(&burst);
        assert_eq!(client.frame().map(|reply| reply.xid()), Some(1));
        program.signal(signal);
        let mut acknowledged = 1;
        while let Some(reply) = client.frame() {
            acknowledged += 1;
            assert_eq!((reply.xid(), reply.err()), (acknowledged, 0));
        }
        let (status, _) = program.end();
        assert_eq!(status.code(), Some(0));

        let mut again = Program::start(dir.path(), free_port());
        let mut client = Client::open(again.serving());
        for xid in 1..=acknowledged {
            assert!(
                client.exists(&format!("/n{xid}"), false),
                "/n{xid} was acknowledged"
            );
        }
    }
}

/// A data folder with a snapshot that is never read to its end: whoever opens a pipe for reading waits until somebody
/// writes, which nobody does.
fn endless_data() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let version = dir.path().join("data/version-2");
    std::fs::create_dir_all(&version).unwrap();
    let made = Command::new("mkfifo")
        .arg(version.join("snapshot.5"))
        .status();
    assert!(made.unwrap().success());
    dir
}

/// Lines that ask for Prometheus and not for the AdminServer.
fn scraped_at(port: u16) -> String {
    format!(
        "admin.enableServer=false\nmetricsProvider.httpHost=127.0.0.1\nmetricsProvider.httpPort={port}\n\
         metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider"
    )
}

#[test]
fn while_it_recovers_probes_say_so_and_a_signal_ends_it() {
    let dir = endless_data();
    let lines = "admin.serverAddress=127.0.0.1\nadmin.serverPort=0";
    let mut program = Program::with(dir.path(), free_port(), lines);
    let admin = program.recovering();
    let asked = |path: &str| {
        let answer = ask(admin, "GET", path);
        (status(&answer), body(&answer).to_owned())
    };
    assert_eq!(asked("/livez"), (200, "ok".into()));
    // The thread that recovers comes to that file at its own time.
    let waiting =
        "[+]recovery ok\n[-]recovered failed: recovering: snapshot.5\nreadyz check failed\n";
    while asked("/readyz") != (503, waiting.into()) {
        std::thread::yield_now();
    }
    assert_eq!(asked("/healthz").0, 503);
    for command in ["srvr", "mntr"] {
        let (status, text) = asked(&format!("/commands/{command}"));
        assert_eq!(status, 200);
        assert!(text.contains("not currently serving requests"), "{text}");
    }
    let (_, text) = asked("/commands/envi");
    assert!(text.contains("\"java.version\""), "{text}");
    program.signal("TERM");
    let (status, said) = program.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("stopped before it served"), "{said}");
}

#[test]
fn while_it_recovers_prometheus_scrapes_the_process_and_how_far_it_is() {
    let dir = endless_data();
    let mut program = Program::with(dir.path(), free_port(), &scraped_at(0));
    let metrics = program.recovering();
    let scrape = || body(&ask(metrics, "GET", "/metrics")).to_owned();
    let mut scraped = scrape();
    let at = "\noxkeeper_recovery_read_bytes{file=\"snapshot.5\",} 0.0\n";
    // The thread that recovers comes to that file at its own time.
    while !scraped.contains(at) {
        std::thread::yield_now();
        scraped = scrape();
    }
    for sample in ["oxkeeper_recovering 1.0", "process_resident_memory_bytes "] {
        assert!(scraped.contains(&format!("\n{sample}")), "{sample}");
    }
    for unknown in ["znode_count", "num_alive_connections", "uptime"] {
        assert!(!scraped.contains(&format!("\n{unknown} ")), "{unknown}");
    }
}

#[test]
fn a_taken_port_stops_the_start_with_a_message_that_names_it() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let (status, said) = Program::start(dir.path(), port).end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{said}"
    );
}

#[test]
fn a_folder_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Program::start(dir.path(), free_port());
    let address = first.serving();
    let (status, said) = Program::start(dir.path(), free_port()).end();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(
        said.contains("data"),
        "the message names the folder: {said}"
    );
    assert_eq!(Client::open(address).create("/a", b"", 0).err(), 0);
}

#[test]
fn a_port_of_the_admin_server_that_is_asked_for_and_taken_stops_the_start() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let lines = format!("admin.serverAddress=127.0.0.1\nadmin.serverPort={port}");
    let dir = tempfile::tempdir().unwrap();
    let (status, said) = Program::with(dir.path(), free_port(), &lines).end();
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
}

#[test]
fn a_port_for_prometheus_that_is_asked_for_and_taken_stops_the_start() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    // Nothing is read before.
    let dir = endless_data();
    let (status, said) = Program::with(dir.path(), free_port(), &scraped_at(port)).end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{port}")), "{said}");
}
