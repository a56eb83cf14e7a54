//! Throttles that are off unless configured.

use jute::Op;

use super::rawzk::{Client, bytes, handshake, request, set, watchable};
use super::server::TestServer;

fn shakes(server: &TestServer, session: i64, password: &[u8]) -> bool {
    let mut client = Client::dial(server.address);
    client
        .shake(&handshake(session, password, 0, 4000))
        .is_some()
}

#[test]
fn handshakes_beyond_the_tokens_are_closed_without_a_word() {
    let server =
        TestServer::start("connection_throttle_tokens=3\nconnection_throttle_fill_time=3600000");
    let mut client = server.open();
    assert!(shakes(&server, 0, &[0; 16]));
    assert!(shakes(&server, 0, &[0; 16]));
    for _ in 0..3 {
        assert!(!shakes(&server, 0, &[0; 16]));
    }
    client.ping();
    assert!(
        server.word("srvr").contains("Mode: standalone"),
        "words cost nothing"
    );
}

#[test]
fn with_weights_a_session_that_comes_back_costs_less_than_a_new_one() {
    // Tokens count global sessions: 2 are 6.
    let server = TestServer::start(
        "connection_throttle_tokens=2\nconnection_throttle_fill_time=3600000\n\
         connection_throttle_weight_enabled=true",
    );
    let client = server.open();
    assert!(shakes(&server, client.session, &client.password));
    assert!(!shakes(&server, 0, &[0; 16]), "1 left, 3 needed");
    assert!(
        !shakes(&server, client.session, &client.password),
        "1 left, 2 needed"
    );
}

#[test]
fn large_requests_beyond_their_budget_close() {
    let server = TestServer::start("largeRequestThreshold=1000\nlargeRequestMaxBytes=5000");
    let mut client = server.open();
    assert_eq!(client.create("/a", b"", 0).err(), 0);
    for _ in 0..20 {
        let reply = client.call(Op::SetData, &set("/a", &[1; 4000]));
        assert_eq!(reply.err(), 0, "the budget is given back");
    }
    let mut burst = Vec::new();
    for xid in 1..=100 {
        burst.extend(request(
            xid,
            Op::SetData as i32,
            &bytes(&set("/a", &[1; 500])),
        ));
    }
    client.send(&burst);
    for xid in 1..=100 {
        assert_eq!(
            client.frame().unwrap().xid(),
            xid,
            "small ones are not counted"
        );
    }
    client.try_send(&request(
        1,
        Op::SetData as i32,
        &bytes(&set("/a", &[1; 6000])),
    ));
    client.assert_closed();
    assert_eq!(server.open().get("/a").err(), 0);
}

#[test]
fn throttled_requests_are_served_in_order_all_the_same() {
    let server = TestServer::start("request_throttle_max_requests=1");
    let mut clients: Vec<Client> = (0..3).map(|_| server.open()).collect();
    assert_eq!(clients[0].create("/a", b"", 0).err(), 0);
    for client in &mut clients {
        let mut burst = Vec::new();
        for xid in 0..100 {
            let body = bytes(&set("/a", b"x"));
            burst.extend(request(2 * xid + 1, Op::SetData as i32, &body));
            let body = bytes(&watchable("/a", false));
            burst.extend(request(2 * xid + 2, Op::GetData as i32, &body));
        }
        client.send(&burst);
    }
    for client in &mut clients {
        for xid in 1..=200 {
            let reply = client.frame().unwrap();
            assert_eq!((reply.xid(), reply.err()), (xid, 0));
        }
    }
}
