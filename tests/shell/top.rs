//! Where clients read and write most: what the AdminServer tells of it, and what `oxkeeper top` makes of that.

use serde_json::Value;

use super::admin::{ask, body};
use super::rawzk::{set, watchable};
use super::server::TestServer;

/// What a command of the AdminServer answers.
fn command(server: &TestServer, name: &str) -> Value {
    let answer = ask(server.admin.unwrap(), "GET", &format!("/commands/{name}"));
    serde_json::from_str(body(&answer)).unwrap()
}

/// Reads `/hot/read` six times, a missing znode once, and writes `/hot/write` twice.
fn load(server: &TestServer) {
    let mut client = server.open();
    for path in ["/hot", "/hot/read", "/hot/write"] {
        assert_eq!(client.create(path, b"", 0).err(), 0);
    }
    for _ in 0..6 {
        assert_eq!(client.get("/hot/read").err(), 0);
    }
    client.call(jute::Op::Exists, &watchable("/missing", false));
    for _ in 0..2 {
        let answer = client.call(jute::Op::SetData, &set("/hot/write", b"x"));
        assert_eq!(answer.err(), 0);
    }
}

fn paths(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|it| it["path"].as_str().unwrap()).collect()
}

#[test]
fn hot_paths_tells_where_clients_read_and_write_most() {
    let server = TestServer::start("");
    load(&server);
    let hot = command(&server, "hot_paths");
    assert_eq!(hot["sampled_one_in"], 1, "{hot}");
    assert_eq!(paths(&hot["reads"]), ["/hot/read", "/missing"]);
    assert_eq!(paths(&hot["writes"]), ["/hot/write", "/hot", "/hot/read"]);
    assert_eq!(paths(&hot["children"]), ["/hot", "/"]);
    assert_eq!(hot["reads"][0]["error"], 0.0);
    assert!(hot["reads_per_second"].as_f64() > hot["reads"][0]["per_second"].as_f64());
    let few = command(&server, "hot?limit=1");
    assert_eq!(paths(&few["writes"]), ["/hot/write"]);
    assert_eq!(
        command(&server, "hot?limit=x")["error"],
        "limit is a number of paths"
    );
}

#[test]
fn vitals_tells_where_the_time_went() {
    let server = TestServer::start("");
    load(&server);
    let vitals = command(&server, "vitals");
    let count = |times: &Value| {
        times["at_most"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .as_u64()
    };
    assert_eq!(vitals["bounds_seconds"].as_array().unwrap().len(), 19);
    assert_eq!(count(&vitals["operations"]["getData"]), Some(6));
    assert_eq!(count(&vitals["operations"]["setData"]), Some(2));
    assert!(count(&vitals["stages"]["log"]) >= Some(5), "{vitals}");
    assert!(count(&vitals["fsync"]) >= Some(1));
    assert!(vitals["memory_bytes"]["znodes"].as_u64() > Some(0));
}

/// What `oxkeeper top` prints, and its exit code.
fn top(arguments: &[&str]) -> (String, Option<i32>) {
    let program = env!("CARGO_BIN_EXE_oxkeeper");
    let output = std::process::Command::new(program)
        .arg("top")
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (text, output.status.code())
}

#[test]
fn top_prints_what_clients_do_as_json() {
    let server = TestServer::start("");
    load(&server);
    let client = server.open();
    let address = server.admin.unwrap().to_string();
    let (text, code) = top(&["--json", "--interval", "0.05", &address]);
    assert_eq!(code, Some(0));
    let shown: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["servers"][0]["state"], "standalone", "{text}");
    assert_eq!(shown["servers"][0]["zxid"], format!("{:#x}", 7));
    assert!(shown["servers"][0]["requests_per_second"].is_number());
    assert!(shown["servers"][0]["memory_bytes"].as_u64() > Some(1 << 20));
    let paths = paths(&shown["hot"]["paths"]);
    assert_eq!(paths[..2], ["/hot/read", "/hot/write"], "{text}");
    assert_eq!(shown["hot"]["sampled_one_in"], 1);
    let sessions = shown["sessions"].as_array().unwrap();
    let own = format!("{:#x}", client.session);
    assert!(sessions.iter().any(|it| it["session"] == own), "{text}");
}

#[test]
fn top_prints_a_dead_server_with_its_reason_beside_a_living_one() {
    let server = TestServer::start("");
    load(&server);
    let living = server.admin.unwrap().to_string();
    let gone = TestServer::start("").admin.unwrap().to_string();
    let (text, code) = top(&["--once", "--interval", "0.05", &living, &gone]);
    assert_eq!(code, Some(1));
    let line = |of: &str| text.lines().find(|line| line.starts_with(of)).unwrap();
    assert!(line(&living).contains("standalone"), "{text}");
    assert!(
        line(&gone).contains("no answer  cannot be reached: "),
        "{text}"
    );
    assert!(
        line("/hot/read").split_ascii_whitespace().count() > 1,
        "{text}"
    );
    let client_port = server.address.to_string();
    let (text, code) = top(&["--interval", "0.05", "--alone", &client_port]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no answer"), "{text}");
}

#[test]
fn top_refuses_what_is_no_address() {
    let program = env!("CARGO_BIN_EXE_oxkeeper");
    let output = std::process::Command::new(program)
        .args(["top", "--once", "https://zk1:8080"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "oxkeeper: https://zk1:8080: only http://HOST:PORT can be asked\n"
    );
    assert_eq!(output.status.code(), Some(1));
}
