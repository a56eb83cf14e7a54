//! The AdminServer over raw HTTP: what a probe, a script and a rude client get.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use super::rawzk::PATIENCE;
use super::server::TestServer;

/// One connection that sends `text` and reads until the server closes it.
fn raw(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that refuses early closes while this is still being sent.
    let _ = stream.write_all(text.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

pub(super) fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    raw(
        address,
        &format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
}

pub(super) fn status(answer: &str) -> u16 {
    answer[9..12].parse().unwrap()
}

pub(super) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn a_command_answers_in_javas_own_json() {
    let server = TestServer::start("");
    let answer = ask(server.admin.unwrap(), "GET", "/commands/isro?x=1");
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("\r\ncontent-type: application/json\r\n"));
    assert!(answer.contains("\r\ncontent-length: "));
    let expected =
        "{\n  \"read_only\" : false,\n  \"command\" : \"is_read_only\",\n  \"error\" : null\n}";
    assert_eq!(body(&answer), expected);
}

#[test]
fn commands_are_listed_and_everything_else_is_refused_politely() {
    let server = TestServer::start("");
    let admin = server.admin.unwrap();
    let list = ask(admin, "GET", "/commands");
    assert!(body(&list).contains("<a href=\"/commands/ruok\">ruok</a>\n<br/>\n"));
    assert!(!list.contains("content-type"));
    assert_eq!(body(&ask(admin, "GET", "/commands/")), body(&list));
    let unknown = ask(admin, "GET", "/commands/RUOK");
    assert_eq!(status(&unknown), 200);
    assert!(body(&unknown).ends_with("\"error\" : \"Unknown command: RUOK\"\n}"));
    let head = ask(admin, "HEAD", "/commands/ruok");
    assert_eq!((status(&head), body(&head)), (200, ""));
    for (method, path, expected) in [
        ("GET", "/", 404),
        ("GET", "/commandsruok", 404),
        ("POST", "/commands/ruok", 405),
        ("PUT", "/commands/ruok", 405),
        ("TRACE", "/commands/ruok", 403),
        ("TRACE", "/", 403),
        ("PATCH", "/commands/ruok", 501),
        ("GET", "/commands/%ff", 200),
        ("GET", "/commands/%zz", 400),
    ] {
        assert_eq!(
            status(&ask(admin, method, path)),
            expected,
            "{method} {path}"
        );
    }
}

#[test]
fn connections_that_say_nothing_or_too_much_are_closed() {
    let server = TestServer::start("admin.idleTimeout=2000");
    let admin = server.admin.unwrap();
    let began = Instant::now();
    assert_eq!(raw(admin, ""), "", "nothing said");
    assert!(began.elapsed() < PATIENCE);
    raw(admin, "GET /commands/ruok HTTP/1.1\r\nHost: x\r\n");
    let kept = raw(admin, "GET /commands/ruok HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(status(&kept), 200, "and closed once it is idle");
    let long = format!(
        "GET /commands/ruok HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    assert_eq!(status(&raw(admin, &long)), 431);
    assert_eq!(status(&raw(admin, "\0\u{1}garbage\r\n\r\n")), 400);
    assert_eq!(status(&ask(admin, "GET", "/commands/ruok")), 200);
}

#[test]
fn it_can_be_off_and_elsewhere() {
    assert_eq!(TestServer::start("admin.enableServer=false").admin, None);
    let server = TestServer::start("admin.commandURL=/zk/admin");
    let admin = server.admin.unwrap();
    assert_eq!(status(&ask(admin, "GET", "/zk/admin/ruok")), 200);
    assert_eq!(status(&ask(admin, "GET", "/commands/ruok")), 404);
    assert!(ask(admin, "GET", "/zk/admin").contains("<a href=\"/zk/admin/ruok\">"));
}

#[test]
fn probes_name_their_checks() {
    let server = TestServer::start("");
    let admin = server.admin.unwrap();
    assert_eq!(body(&ask(admin, "GET", "/livez")), "ok");
    let ready = ask(admin, "GET", "/readyz?verbose");
    let expected =
        "[+]commit-loop ok\n[+]log-writer ok\n[+]quorum ok\n[+]restore ok\nreadyz check passed\n";
    assert_eq!((status(&ready), body(&ready)), (200, expected));
    let well = ask(admin, "GET", "/healthz?verbose&exclude=data-disk");
    assert!(body(&well).contains("[+]zxid-rollover ok\n"), "{well}");
    assert!(!well.contains("data-disk"));
}

#[test]
fn crowds_and_garbage_leave_clients_alone() {
    let server = TestServer::start("4lw.commands.whitelist=*");
    let admin = server.admin.unwrap();
    let silent: Vec<_> = (0..300)
        .filter_map(|_| TcpStream::connect(admin).ok())
        .collect();
    let mut state = 7_u32;
    for stream in &silent {
        // Whatever comes of it: they may be closed already.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let _ = (&*stream).write_all(&state.to_be_bytes());
    }
    let mut client = server.open();
    assert_eq!(client.create("/a", b"", 0).err(), 0);
    assert!(client.exists("/a", true));
    assert!(
        server
            .word("wchs")
            .starts_with("1 connections watching 1 paths\n")
    );
    assert_eq!(server.word("ruok"), "imok");
    drop(silent);
    let answered = || {
        let mut stream = TcpStream::connect(admin).unwrap();
        let _ = stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.ends_with("ok")
    };
    super::server::wait_until("places to be free again", answered);
}

#[test]
fn who_sends_a_header_that_is_too_long_is_told_so_and_not_cut_off() {
    let server = TestServer::start("");
    let mut stream = TcpStream::connect(server.admin.unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let long = "x".repeat(500_000);
    // All of it goes out, also what comes after the refusal.
    write!(
        stream,
        "GET /livez HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"
    )
    .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 431);
}
