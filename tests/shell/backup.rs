//! Backup and restore as an operator runs them: over HTTP, from files, and killed in the middle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jute::Op;
use jute::data::{Acl, Id};
use jute::proto::{GetDataResponse, SetAclRequest};

use super::ensemble::Ensemble;
use super::rawzk::{Client, bytes, create, handshake, request, set};
use super::server::{TestServer, config, wait_until};

/// What HTTP answered.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
    }
}

fn http(address: SocketAddr, method: &str, path: &str, auth: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let auth = match auth {
        "" => String::new(),
        auth => format!("Authorization: {auth}\r\n"),
    };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{auth}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: answer.split_off(end + 4),
    }
}

fn get(server: &TestServer, path: &str, auth: &str) -> Answer {
    http(server.admin.unwrap(), "GET", path, auth, &[])
}

fn oxkeeper(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_oxkeeper");
    Command::new(program).args(args).output().unwrap()
}

fn ok(args: &[&str]) -> String {
    let output = oxkeeper(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn url(server: &TestServer) -> String {
    format!("http://{}", server.admin.unwrap())
}

fn zxid(server: &TestServer) -> i64 {
    let text = server.word("srvr");
    let line = text.lines().find_map(|line| line.strip_prefix("Zxid: 0x"));
    i64::from_str_radix(line.unwrap(), 16).unwrap()
}

#[test]
fn a_snapshot_goes_into_another_server_and_stays_there() {
    let source = TestServer::start("");
    let mut client = source.open();
    for n in 0..50 {
        client.create(&format!("/n{n}"), b"data", 0);
    }
    let at = zxid(&source);
    let snapshot = get(&source, "/commands/snapshot", "digest a:b");
    assert_eq!(snapshot.status, 200);
    assert_eq!(snapshot.header("last_zxid"), Some(&*format!("{at:#x}")));
    assert_eq!(
        snapshot.header("snapshot_size"),
        Some(&*snapshot.body.len().to_string())
    );
    assert_eq!(
        snapshot.header("content-type"),
        Some("application/octet-stream")
    );
    assert!(snapshot.body.starts_with(b"ZKSN"));

    let dir = tempfile::tempdir().unwrap();
    let target = TestServer::with(config(dir.path(), "")).unwrap();
    let mut before = target.open();
    before.create("/gone", b"", 0);
    let post = |body: &[u8]| {
        http(
            target.admin.unwrap(),
            "POST",
            "/commands/restore",
            "ip",
            body,
        )
    };
    let restored = post(&snapshot.body);
    let said = String::from_utf8_lossy(&restored.body).into_owned();
    assert_eq!(restored.status, 200, "{said}");
    assert!(
        said.starts_with(&format!("{{\n  \"last_zxid\" : {at},\n")),
        "{said}"
    );
    // Whoever was connected has to come again.
    before.assert_closed();
    let look = |server: &TestServer| {
        let mut client = server.open();
        assert!(client.exists("/n49", false) && !client.exists("/gone", false));
        client.create("/new", b"", 0x0);
    };
    look(&target);
    assert_eq!(post(&snapshot.body).status, 429);
    drop(target);
    let again = TestServer::with(config(dir.path(), "")).unwrap();
    let mut client = again.open();
    assert!(client.exists("/n0", false) && client.exists("/new", false));
    assert!(zxid(&again) > at);
}

#[test]
fn zxids_go_on_upwards_whatever_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::with(config(dir.path(), "admin.rateLimiterIntervalInMS=1")).unwrap();
    let mut client = server.open();
    client.create("/kept", b"", 0);
    let snapshot = get(&server, "/commands/snapshot", "ip");
    for n in 0..20 {
        client.create(&format!("/lost{n}"), b"", 0);
    }
    let before = zxid(&server);
    let restored = http(
        server.admin.unwrap(),
        "POST",
        "/commands/restore",
        "ip",
        &snapshot.body,
    );
    assert_eq!(restored.status, 200);
    let mut client = server.open();
    assert!(client.exists("/kept", false) && !client.exists("/lost3", false));
    assert!(zxid(&server) > before);
    client.create("/behind", b"", 0);
    drop(server);
    let again = TestServer::with(config(dir.path(), "")).unwrap();
    let mut client = again.open();
    assert!(client.exists("/kept", false) && client.exists("/behind", false));
    assert!(!client.exists("/lost3", false));
}

#[test]
fn a_restore_amid_writes_leaves_a_log_that_fits_the_tree() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lines = "admin.rateLimiterIntervalInMS=1\nsnapCount=200";
    let server = TestServer::with(config(dir.path(), lines)).unwrap();
    let mut client = server.open();
    for n in 0..100 {
        client.create(&format!("/kept{n}"), b"", 0);
    }
    let snapshot = get(&server, "/commands/snapshot", "ip").body;
    let (done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (server, done, acknowledged) = (&server, &done, &acknowledged);
            scope.spawn(move || {
                for n in 0.. {
                    // Each connection ends with the restore it meets.
                    let mut client = Client::dial(server.address);
                    let welcome = client.shake(&handshake(0, &[0; 16], 0, 20_000));
                    if welcome.is_none() {
                        continue;
                    }
                    for m in 0..1000 {
                        if done.load(Ordering::Relaxed) {
                            return;
                        }
                        let create = create(&format!("/w{writer}-{n}-{m}"), b"x", 0);
                        client.try_send(&request(m + 1, Op::Create as i32, &bytes(&create)));
                        if client.frame().is_none() {
                            break;
                        }
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..5 {
            let enough = acknowledged.load(Ordering::Relaxed) + 50;
            wait_until("writes go on", || {
                acknowledged.load(Ordering::Relaxed) >= enough
            });
            let restored = http(
                server.admin.unwrap(),
                "POST",
                "/commands/restore",
                "ip",
                &snapshot,
            );
            assert_eq!(restored.status, 200);
        }
        done.store(true, Ordering::Relaxed);
    });
    let end = zxid(&server);
    let count = |text: String| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Node count: "))
            .map(str::to_owned);
        line.unwrap()
    };
    let znodes = count(server.word("srvr"));
    drop(server);
    // The digest in every record is that of the tree, from the snapshot that was restored on.
    let backup = folder.path().join("backup");
    ok(&["backup", text(&backup), "--data-dir", text(dir.path())]);
    let fresh = folder.path().join("fresh");
    let said = ok(&["restore", text(&backup), "--data-dir", text(&fresh)]);
    assert!(!said.contains("not those of the tree"), "{said}");
    assert!(said.contains(&format!("up to {end:#x}")), "{said}");
    let again = TestServer::with(config(dir.path(), lines)).unwrap();
    assert_eq!(count(again.word("srvr")), znodes);
}

#[test]
fn whoever_may_not_do_everything_gets_no_database() {
    let server = TestServer::start("admin.rateLimiterIntervalInMS=1");
    for (auth, status, error) in [
        ("", 401, "Auth info is missing for the command"),
        ("nobody x", 401, "Not authenticated"),
        ("digest a b", 401, "Not authenticated"),
        ("digest", 401, "Not authenticated"),
        ("digest a:b", 200, ""),
        ("ip", 200, ""),
    ] {
        for path in [
            "/commands/snapshot?streaming=false",
            "/backup/snapshot",
            "/backup/log?after=0x0",
        ] {
            let answer = get(&server, path, auth);
            assert_eq!(answer.status, status, "{path} {auth:?}");
            assert!(String::from_utf8_lossy(&answer.body).contains(error));
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    let mut client = server.open();
    client.auth("bob:secret");
    let acl = |perms, scheme: &str, id: &str| Acl {
        perms,
        id: Id {
            scheme: Some(scheme.into()),
            id: Some(id.into()),
        },
    };
    let set = SetAclRequest {
        path: Some("/".into()),
        acl: Some(vec![acl(1, "world", "anyone"), acl(30, "auth", "")]),
        version: -1,
    };
    assert_eq!(client.call(Op::SetAcl, &set).err(), 0);
    for (auth, status) in [
        ("digest bob:wrong", 403),
        ("ip", 403),
        ("digest bob:secret", 200),
    ] {
        let answer = get(&server, "/commands/snapshot", auth);
        assert_eq!(answer.status, status, "{auth}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

#[test]
fn what_is_no_snapshot_changes_nothing() {
    let server = TestServer::start("admin.rateLimiterIntervalInMS=0");
    let mut client = server.open();
    client.create("/kept", b"", 0);
    let whole = get(&server, "/commands/snapshot", "ip").body;
    let mut flipped = whole.clone();
    flipped[60] ^= 1;
    for body in [&b""[..], b"x", &whole[..whole.len() / 2], &flipped] {
        std::thread::sleep(Duration::from_millis(3));
        let answer = http(
            server.admin.unwrap(),
            "POST",
            "/commands/restore",
            "ip",
            body,
        );
        assert_eq!(answer.status, 500);
        assert!(client.exists("/kept", false));
    }
}

#[test]
fn commands_that_are_off_say_so() {
    let off = TestServer::start("admin.snapshot.enabled=false\nadmin.restore.enabled=false");
    assert_eq!(get(&off, "/commands/snapshot", "ip").status, 503);
    assert_eq!(get(&off, "/backup/log?after=0x0", "ip").status, 503);
    let restore = http(off.admin.unwrap(), "POST", "/commands/restore", "ip", b"x");
    assert_eq!(restore.status, 503);
    let without = TestServer::start("serializeLastProcessedZxid.enabled=false");
    assert_eq!(get(&without, "/commands/snapshot", "ip").status, 500);
}

#[test]
fn a_backup_under_load_is_the_tree_of_its_position() {
    let (dir, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = TestServer::with(config(dir.path(), "snapCount=500")).unwrap();
    let (over_http, of_files) = (backup.path().join("http"), backup.path().join("files"));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = server.open();
            for n in 0..3000 {
                client.create(&format!("/n{n}"), b"some data", 0);
            }
        });
        let address = url(&server);
        while !writer.is_finished() {
            ok(&["backup", text(&over_http), "--server", &address]);
            ok(&["backup", text(&of_files), "--data-dir", text(dir.path())]);
        }
        ok(&["backup", text(&over_http), "--server", &address]);
        ok(&["backup", text(&of_files), "--data-dir", text(dir.path())]);
    });
    let end = zxid(&server);
    for folder in [&over_http, &of_files] {
        ok(&["backup", "verify", text(folder)]);
        let json = ok(&["backup", "list", "--json", text(folder)]);
        assert!(
            json.contains(&format!("\"last_zxid\": \"{end:#x}\"")),
            "{json}"
        );
    }
    let restore = |folder: &Path, to: i64| {
        let fresh = tempfile::tempdir().unwrap();
        let at = format!("{to:#x}");
        let said = ok(&[
            "restore",
            text(folder),
            "--data-dir",
            text(fresh.path()),
            "--zxid",
            &at,
        ]);
        assert!(!said.contains("not those of the tree"), "{said}");
        said.lines().next().unwrap().to_owned()
    };
    // Each record holds the digest of the tree behind it, and none differs; and both ways give the same.
    for at in [end, end - 700, end - 1] {
        assert_eq!(restore(&over_http, at), restore(&of_files, at));
    }
    let fresh = tempfile::tempdir().unwrap();
    ok(&[
        "restore",
        text(&over_http),
        "--data-dir",
        text(fresh.path()),
    ]);
    let restored = TestServer::with(config(fresh.path(), "")).unwrap();
    let mut client = restored.open();
    assert!(client.exists("/n2999", false));
}

fn data(client: &mut Client, path: &str) -> Vec<u8> {
    let reply: GetDataResponse = client.get(path).read();
    reply.data.unwrap().to_vec()
}

#[test]
fn a_subtree_goes_into_a_living_server() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lines = "extendedTypesEnabled=true";
    let source = TestServer::with(config(dir.path(), lines)).unwrap();
    let mut client = source.open();
    client.create("/app", b"root", 0);
    for n in 0..250 {
        client.create(&format!("/app/n{n}"), format!("data {n}").as_bytes(), 0);
    }
    client.create("/app/session", b"", 1);
    client.call(Op::CreateContainer, &create("/app/box", b"", 4));
    client.create("/other", b"", 0);
    let backup = folder.path().join("backup");
    ok(&["backup", text(&backup), "--data-dir", text(dir.path())]);
    client.call(Op::SetData, &set("/app/n7", b"changed"));
    client.delete("/app/n8");

    let target = TestServer::start(lines);
    let address = target.address.to_string();
    let args = [
        "restore",
        text(&backup),
        "--subtree",
        "/app",
        "--into",
        &address,
    ];
    let with = |more: &[&str]| oxkeeper(&[&args[..], more].concat());
    let said = |output: Output| {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(said(with(&["--dry-run"])).contains("252 znodes would be created"));
    let mut there = target.open();
    assert!(!there.exists("/app", false));
    assert!(said(with(&[])).contains("252 znodes created, 0 overwritten, 0 left"));
    assert!(there.exists("/app/n249", false) && there.exists("/app/box", false));
    assert!(!there.exists("/app/session", false) && !there.exists("/other", false));
    // What exists is not touched unless told.
    let refused = with(&[]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nothing was written"));
    there.call(Op::SetData, &set("/app/n7", b"mine"));
    there.delete("/app/n8");
    assert!(
        said(with(&["--existing", "skip"])).contains("1 znodes created, 0 overwritten, 251 left")
    );
    assert_eq!(data(&mut there, "/app/n7"), b"mine");
    assert!(said(with(&["--existing", "overwrite"])).contains("0 znodes created, 252 overwritten"));
    assert_eq!(data(&mut there, "/app/n7"), b"data 7");
    // Elsewhere, with the znodes above it.
    let moved = format!("{address}/deep/er/app");
    let args = [
        "restore",
        text(&backup),
        "--subtree",
        "/app",
        "--into",
        &moved,
        "--batch",
        "7",
    ];
    assert!(ok(&args).contains("252 znodes created"));
    assert_eq!(data(&mut there, "/deep/er/app/n8"), b"data 8");
    let zookeeper = oxkeeper(&[
        "restore",
        text(&backup),
        "--subtree",
        "/zookeeper/quota",
        "--into",
        &address,
    ]);
    assert_eq!(zookeeper.status.code(), Some(2));
}

/// What the leader is sent goes to all members; the others refuse and say who leads.
fn restore_through_the_leader(ensemble: &Ensemble, leader: usize, snapshot: &[u8]) {
    for id in (1..=3).filter(|id| *id != leader) {
        let address = ensemble.server(id).admin.unwrap();
        let refused = http(address, "POST", "/commands/restore", "ip", snapshot);
        let said = String::from_utf8_lossy(&refused.body).into_owned();
        let names = said.contains(&format!(
            "send the snapshot to server {leader}, which leads"
        ));
        assert!(refused.status == 409 && names, "{said}");
    }
    let address = ensemble.server(leader).admin.unwrap();
    let restored = http(address, "POST", "/commands/restore", "ip", snapshot);
    let said = String::from_utf8_lossy(&restored.body).into_owned();
    assert!(
        restored.status == 200 && said.contains("last_zxid"),
        "{said}"
    );
}

#[test]
fn what_the_leader_is_sent_is_restored_on_every_member() {
    let source = TestServer::start("");
    let mut client = source.open();
    for n in 0..30 {
        client.create(&format!("/n{n}"), b"data", 0);
    }
    let snapshot = get(&source, "/commands/snapshot", "ip").body;
    let mut ensemble = Ensemble::with_admin(3);
    let leader = ensemble.leader();
    let before = ensemble
        .server(leader)
        .open()
        .create("/gone", b"", 0)
        .zxid();
    restore_through_the_leader(&ensemble, leader, &snapshot);
    let nodes = |ensemble: &Ensemble, count: usize| {
        let count = format!("Node count: {count}");
        for id in 1..=3 {
            wait_until("it has what was restored", || {
                ensemble.server(id).word("srvr").contains(&count)
            });
        }
    };
    nodes(&ensemble, 35);
    let mut client = ensemble.server(1).open();
    assert!(client.exists("/n29", false) && !client.exists("/gone", false));
    let after = client.create("/new", b"", 0).zxid();
    assert!(after >> 32 > before >> 32, "{after:#x} after {before:#x}");
    drop(client);
    (1..=3).for_each(|id| ensemble.stop_server(id));
    (1..=3).for_each(|id| ensemble.start_server(id));
    ensemble.leader();
    nodes(&ensemble, 36);
}

#[test]
fn a_snapshot_of_a_later_epoch_leaves_no_zxid_to_be_given_out_again() {
    let mut old = Ensemble::with_admin(3);
    for _ in 0..3 {
        let leader = old.leader();
        old.stop_server(leader);
        old.leader();
        old.start_server(leader);
    }
    let leader = old.leader();
    let late = old.client(leader).create("/late", b"", 0).zxid();
    let snapshot = get(old.server(leader), "/commands/snapshot", "ip").body;
    drop(old);
    let new = Ensemble::with_admin(3);
    let leader = new.leader();
    let early = new.client(leader).create("/early", b"", 0).zxid();
    assert!(early < late);
    restore_through_the_leader(&new, leader, &snapshot);
    for id in 1..=3 {
        wait_until("it has what was restored", || {
            new.read(id, "/late").is_some()
        });
        let zxid = new.client(id).create(&format!("/n{id}"), b"", 0).zxid();
        assert!(zxid >> 32 > late >> 32, "{zxid:#x} after {late:#x}");
    }
}

#[test]
fn a_whole_ensemble_comes_back_at_an_earlier_position() {
    let mut ensemble = Ensemble::start(3, 0);
    // Epochs that a client saw.
    for _ in 0..2 {
        let leader = ensemble.leader();
        ensemble.stop_server(leader);
        ensemble.leader();
        ensemble.start_server(leader);
    }
    let leader = ensemble.leader();
    let mut client = ensemble.client(leader);
    client.create("/kept", b"1", 0);
    let at = client.call(Op::SetData, &set("/kept", b"2")).zxid();
    client.create("/late", b"", 0);
    let backup = tempfile::tempdir().unwrap();
    let folder = text(backup.path());
    ok(&["backup", folder, "--data-dir", text(&ensemble.data(leader))]);
    drop(client);
    (1..=3).for_each(|id| ensemble.stop_server(id));
    for id in 1..=3 {
        let (data, at) = (ensemble.data(id), format!("{at:#x}"));
        ok(&[
            "restore",
            folder,
            "--data-dir",
            text(&data),
            "--force",
            "--zxid",
            &at,
        ]);
    }
    (1..=3).for_each(|id| ensemble.start_server(id));
    ensemble.leader();
    for id in 1..=3 {
        assert_eq!(ensemble.read(id, "/kept").as_deref(), Some(&b"2"[..]));
        assert_eq!(ensemble.read(id, "/late"), None);
        let new = ensemble
            .client(id)
            .create(&format!("/new{id}"), b"", 0)
            .zxid();
        assert!(new >> 32 > at >> 32, "{new:#x} follows {at:#x}");
    }
}

/// How long it takes where nothing else holds it up: the shortest of a few.
fn shortest(mut run: impl FnMut()) -> Duration {
    let times = std::iter::repeat_with(|| {
        let begun = Instant::now();
        run();
        begun.elapsed()
    });
    times.take(4).min().unwrap()
}

/// Runs it and kills it after a while; whether it was killed before its end.
fn killed(args: &[&str], after: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_oxkeeper"))
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[test]
fn killed_at_any_moment_there_is_the_old_backup_or_the_new_one() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = folder.path().join("backup");
    let server = TestServer::with(config(dir.path(), "snapCount=100")).unwrap();
    let mut client = server.open();
    let args = [
        "backup",
        text(&backup),
        "--data-dir",
        text(dir.path()),
        "--full",
    ];
    let (mut kills, mut n) = (0, 0);
    let whole = shortest(|| drop(ok(&args)));
    for round in 0..25u32 {
        for _ in 0..20 {
            client.create(&format!("/n{n}"), b"data", 0);
            n += 1;
        }
        kills += u32::from(killed(&args, whole * (round % 25) / 20));
        ok(&["backup", "verify", text(&backup)]);
        let fresh = tempfile::tempdir().unwrap();
        ok(&["restore", text(&backup), "--data-dir", text(fresh.path())]);
    }
    assert!(kills > 5, "only {kills} were killed in time");
    ok(&args);
    assert!(ok(&["backup", "list", text(&backup)]).contains(&format!("{:#x}", zxid(&server))));
}

#[test]
fn killed_at_any_moment_there_is_the_old_database_or_the_restored_one() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = TestServer::with(config(dir.path(), "")).unwrap();
    let mut client = server.open();
    for n in 0..300 {
        client.create(&format!("/n{n}"), b"data", 0);
    }
    let backup = folder.path().join("backup");
    ok(&["backup", text(&backup), "--data-dir", text(dir.path())]);
    for split in [false, true] {
        let (data, log) = (
            folder.path().join(format!("data{split}")),
            folder.path().join("log"),
        );
        let log = if split { &log } else { &data };
        let lines = format!("dataLogDir={}\n", log.display());
        let check = |expected: &[&str]| {
            let server = TestServer::with(config(&data, &lines)).unwrap();
            let mut client = server.open();
            let found = if client.exists("/old", false) {
                assert!(!client.exists("/n299", false));
                "old"
            } else {
                assert!(client.exists("/n299", false));
                "new"
            };
            assert!(expected.contains(&found), "{found}, not {expected:?}");
        };
        drop(TestServer::with(config(&data, &lines)).map(|server| {
            server.open().create("/old", b"", 0);
        }));
        let args = [
            "restore",
            text(&backup),
            "--data-dir",
            text(&data),
            "--log-dir",
            text(log),
            "--force",
        ];
        let whole = shortest(|| {
            let zero = tempfile::tempdir().unwrap();
            ok(&["restore", text(&backup), "--data-dir", text(zero.path())]);
        });
        let mut kills = 0;
        for round in 0..12u32 {
            kills += u32::from(killed(&args, whole * round / 10));
            check(&["old", "new"]);
        }
        assert!(kills > 2, "only {kills} were killed in time");
        ok(&args);
        check(&["new"]);
    }
}
