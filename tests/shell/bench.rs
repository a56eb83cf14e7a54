//! The generator of load against a server of ours: what it reports, what it leaves behind, and what
//! it makes of servers that break, stall or talk nonsense.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jute::Op;
use jute::proto::NamesResponse;
use serde_json::Value;

use super::rawzk::watchable;
use super::server::TestServer;

fn command(servers: impl Display, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oxkeeper"));
    command
        .args(["bench", "-server", &servers.to_string()])
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn bench(address: SocketAddr, line: &str) -> Output {
    command(address, line).output().unwrap()
}

/// The report of a run that wrote it as JSON, and what it said meanwhile.
fn report(output: &Output) -> (Value, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    let report = serde_json::from_slice(&output.stdout);
    (
        report.unwrap_or_else(|error| panic!("{error}: {said}")),
        said,
    )
}

fn children(server: &TestServer, of: &str) -> Vec<String> {
    let listed = server.open().call(Op::GetChildren, &watchable(of, false));
    let names: NamesResponse = listed.read();
    let mut names = names.names.unwrap_or_default();
    names.sort();
    names.iter().map(|name| name.to_string()).collect()
}

fn server() -> TestServer {
    TestServer::start("admin.enableServer=false\nmaxClientCnxns=0\n4lw.commands.whitelist=*")
}

const SMALL: &str =
    "--connections 3 --in-flight 4 --size 100 --keys 250 --warmup 0 --interval 0 --json";

#[test]
fn every_kind_of_work_answers_what_was_asked_and_leaves_nothing_behind() {
    let server = server();
    for (work, kinds, requests) in [
        ("get", &["get"][..], 500),
        ("set", &["set"], 500),
        ("mixed", &["get", "set"], 500),
        ("exists", &["exists"], 500),
        ("children", &["children"], 500),
        ("create", &["create"], 2500),
        ("churn", &["create", "delete"], 500),
        ("session", &["connect", "close"], 40),
        ("delete", &["delete"], 250),
    ] {
        let small = match work {
            "create" | "churn" | "session" => SMALL.replace("--keys 250 ", ""),
            _ => SMALL.to_owned(),
        };
        let output = bench(
            server.address,
            &format!("--work {work} -n {requests} {small}"),
        );
        let (report, said) = report(&output);
        assert_eq!(output.status.code(), Some(0), "{work}: {said} {report}");
        let parts = report["kinds"].as_array().unwrap();
        let found: Vec<&str> = parts
            .iter()
            .map(|part| part["name"].as_str().unwrap())
            .collect();
        assert_eq!(found, kinds, "{work}");
        let wanted = if work == "session" {
            2 * requests
        } else {
            requests
        };
        assert_eq!(
            (&report["requests"], &report["answers"]),
            (&wanted.into(), &wanted.into())
        );
        let count = |part: &Value| part["latency"]["count"].as_u64().unwrap();
        assert_eq!(parts.iter().map(count).sum::<u64>(), wanted, "{work}");
        assert_eq!(count(&report["servers"][0]), wanted);
        assert_eq!(report["servers"][0]["mode"], "standalone");
        let latency = |name: &str| report["latency"][name].as_f64().unwrap();
        assert!(0.0 < latency("min") && latency("min") <= latency("p50"));
        assert!(latency("p50") <= latency("p99.9") && latency("p99.9") <= latency("max"));
        assert_eq!(children(&server, "/"), ["zookeeper"], "{work}");
    }
}

#[test]
fn a_fixed_rate_a_chroot_an_identity_and_threads_work_together() {
    let server = server();
    server.open().create("/app", b"", 0);
    let mut command = command(format!("{0},{0}/app", server.address), SMALL);
    command.args(["--rate", "400", "--seconds", "0.5", "--skew", "0.99"]);
    command.args(["--auth", "digest:me:secret", "--threads", "2"]);
    command.args(["--path", "/mine"]);
    let (report, said) = report(&command.output().unwrap());
    // The first is due at the beginning.
    assert_eq!(report["latency"]["count"], 200, "{said} {report}");
    assert_eq!(report["servers"].as_array().unwrap().len(), 2);
    assert_eq!(children(&server, "/app"), Vec::<String>::new());
}

#[test]
fn a_znode_that_exists_is_refused_and_left_alone() {
    let server = server();
    let mut client = server.open();
    client.create("/taken", b"mine", 0);
    client.create("/taken/child", b"", 0);
    let output = bench(server.address, &format!("--path /taken -n 10 {SMALL}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/taken exists"), "{said}");
    assert_eq!(children(&server, "/taken"), ["child"]);
    let output = bench(server.address, &format!("--path /no/where -n 10 {SMALL}"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(children(&server, "/"), ["taken", "zookeeper"]);
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let server = server();
    let output = bench(
        server.address,
        &format!("--path /kept --keep -n 10 {SMALL}"),
    );
    assert_eq!(output.status.code(), Some(0));
    let parents = children(&server, "/kept");
    assert_eq!(parents.len(), 3);
    let keys = parents
        .iter()
        .map(|parent| children(&server, &format!("/kept/{parent}")).len());
    assert_eq!(keys.sum::<usize>(), 250);
}

/// Ends the program if the test fails before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_signal_ends_the_load_with_a_report_and_nothing_left_behind() {
    let server = server();
    for signal in ["INT", "TERM"] {
        let line = "--work create --seconds 600 --connections 2 --warmup 0 --interval 0.05 --json";
        let mut running = Running(command(server.address, line).spawn().unwrap());
        let mut said = BufReader::new(running.0.stderr.take().unwrap());
        let mut progress = String::new();
        while !progress.contains("/s   p50") {
            progress.clear();
            assert!(said.read_line(&mut progress).unwrap() > 0, "it ended");
        }
        let told = Command::new("kill")
            .args(["-s", signal, &running.0.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        let (mut report, mut rest) = (String::new(), String::new());
        said.read_to_string(&mut rest).unwrap();
        running
            .0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut report)
            .unwrap();
        assert_eq!(running.0.wait().unwrap().code(), Some(130), "{rest}");
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["interrupted"], true);
        assert!(report["requests"].as_u64().unwrap() > 0);
        assert_eq!(children(&server, "/"), ["zookeeper"]);
    }
}

/// A relay in front of a server, which does things to connections.
struct Relay {
    address: SocketAddr,
    /// Connections so far.
    count: Arc<AtomicUsize>,
    /// Nothing comes through from now on, and nobody new gets in.
    is_cut: Arc<AtomicBool>,
}

/// What becomes of a connection after so many bytes from the server.
#[derive(Clone, Copy)]
enum Fate {
    /// The first ten connections: closed.
    Break(usize),
    /// It waits for as long.
    Stall(usize, Duration),
}

impl Relay {
    fn start(server: SocketAddr, fate: Fate) -> Relay {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let is_cut = Arc::new(AtomicBool::new(false));
        let (counted, cut) = (Arc::clone(&count), Arc::clone(&is_cut));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                let number = counted.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(server) else {
                    return;
                };
                let fate = match fate {
                    Fate::Break(_) if number >= 10 => Fate::Break(usize::MAX),
                    fate => fate,
                };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let cut = Arc::clone(&cut);
                std::thread::spawn(move || pass(client, server, Fate::Break(usize::MAX), None));
                std::thread::spawn(move || pass(back.0, back.1, fate, Some(cut)));
            }
        });
        Relay {
            address,
            count,
            is_cut,
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut fate: Fate, cut: Option<Arc<AtomicBool>>) {
    let mut buffer = [0; 4096];
    let mut passed = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        passed += count;
        match fate {
            Fate::Break(after) if passed > after => break,
            Fate::Stall(after, length) if passed > after => {
                std::thread::sleep(length);
                fate = Fate::Break(usize::MAX);
            }
            _ => {}
        }
        if cut.as_ref().is_some_and(|cut| cut.load(Ordering::SeqCst)) {
            break;
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may have done it.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn connections_that_break_are_replaced_and_every_request_is_answered() {
    let server = server();
    let relay = Relay::start(server.address, Fate::Break(20_000));
    for work in ["churn", "mixed"] {
        let line =
            "-n 4000 --connections 3 --in-flight 8 --warmup 0 --interval 0 --json --size 200";
        let output = bench(relay.address, &format!("--work {work} {line}"));
        let (report, said) = report(&output);
        assert_eq!(output.status.code(), Some(0), "{said} {report}");
        assert_eq!(report["requests"], 4000);
        assert_eq!(report["errors"], serde_json::json!({}));
        if work == "churn" {
            let lost = report["servers"][0]["connections_lost"].as_u64().unwrap();
            assert!(lost >= 3, "{report}");
            assert_eq!(report["gaps"]["count"], lost);
            assert!(report["sent_again"].as_u64().unwrap() > 0);
            assert_eq!(report["sessions_expired"], 0);
        }
    }
    assert!(relay.count.load(Ordering::SeqCst) > 10);
    assert_eq!(children(&server, "/"), ["zookeeper"]);
}

#[test]
fn a_stall_is_seen_while_it_lasts_and_counts_for_each_request_that_was_due() {
    let server = server();
    let stall = Duration::from_millis(1500);
    let relay = Relay::start(server.address, Fate::Stall(60_000, stall));
    let line = "--work get --rate 500 --seconds 2.5 --connections 1 --in-flight 2000 --warmup 0 --size 200 \
                --interval 0.1 --keys 100 --json";
    let (report, said) = report(&bench(relay.address, line));
    assert!(said.contains("NO ANSWER for "), "{said}");
    let latency = |name: &str| report["latency"][name].as_f64().unwrap();
    assert_eq!(report["latency"]["count"], 1250);
    assert!(latency("max") > 1.4e6, "{report}");
    // Of 2.5 s, at least half a second's requests waited for longer than 0.7 s.
    assert!(latency("p90") > 7e5, "{report}");
}

#[test]
fn a_server_that_is_gone_for_good_ends_the_run_with_a_report() {
    let server = server();
    let relay = Relay::start(server.address, Fate::Break(usize::MAX));
    let line = "--work get --seconds 4 --connections 2 --warmup 0 --interval 0.1 --session-timeout 3000 --json";
    let mut running = Running(command(relay.address, line).spawn().unwrap());
    let mut said = BufReader::new(running.0.stderr.take().unwrap());
    let mut progress = String::new();
    while !progress.contains("/s   p50") {
        progress.clear();
        assert!(said.read_line(&mut progress).unwrap() > 0, "it ended");
    }
    relay.is_cut.store(true, Ordering::SeqCst);
    let (mut written, mut rest) = (String::new(), String::new());
    said.read_to_string(&mut rest).unwrap();
    running
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut written)
        .unwrap();
    assert_eq!(running.0.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.contains("deleteall /oxkeeper-bench-"), "{rest}");
    let report: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(report["unanswered"], 2, "{report}");
    assert_eq!(
        report["servers"][0]["connections_lost"].as_u64().unwrap(),
        2
    );
}

#[test]
fn nonsense_from_a_server_is_told_and_nothing_worse() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = client.shutdown(Shutdown::Write);
        }
    });
    let output = bench(address, "--session-timeout 500 --seconds 1 --interval 0");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no server of"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn two_reports_are_compared_and_other_files_refused() {
    let (server, dir) = (server(), tempfile::tempdir().unwrap());
    let files = ["before.json", "after.json"].map(|name| dir.path().join(name));
    for file in &files {
        let output = bench(server.address, &format!("-n 300 {SMALL}"));
        std::fs::write(file, output.stdout).unwrap();
    }
    let compare = |files: &[&std::path::Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oxkeeper"));
        command
            .args(["bench", "compare"])
            .args(files)
            .output()
            .unwrap()
    };
    let output = compare(&[&files[0], &files[1]]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains("requests per second") && table.contains("get: p99.9, ms"),
        "{table}"
    );
    assert!(!table.contains("different things"), "{table}");
    std::fs::write(&files[0], "{}").unwrap();
    let output = compare(&[&files[0], &files[1]]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no report"));
}
