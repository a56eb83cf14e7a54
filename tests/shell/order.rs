//! What comes after what: on one connection, at its end, and between sessions.

use std::net::Shutdown;

use jute::Op;
use jute::data::{Acl, Id};
use jute::proto::{CreateRequest, GetDataResponse};

use super::rawzk::{Client, auth, bytes, create, handshake, request, set, watchable};
use super::server::TestServer;

fn get(xid: i32, path: &str) -> Vec<u8> {
    request(xid, Op::GetData as i32, &bytes(&watchable(path, false)))
}

#[test]
fn a_burst_is_answered_in_order_and_reads_see_the_writes_before_them() {
    let server = TestServer::start("");
    let mut client = server.open();
    assert_eq!(client.create("/a", b"0", 0).err(), 0);
    let mut burst = Vec::new();
    for round in 0..500 {
        let value = round.to_string();
        burst.extend(request(
            2 * round + 1,
            Op::SetData as i32,
            &bytes(&set("/a", value.as_bytes())),
        ));
        burst.extend(get(2 * round + 2, "/a"));
    }
    client.send(&burst);
    let mut last_zxid = 0;
    for round in 0..500 {
        let (write, read) = (client.frame().unwrap(), client.frame().unwrap());
        assert_eq!((write.xid(), read.xid()), (2 * round + 1, 2 * round + 2));
        assert_eq!((write.err(), read.err()), (0, 0));
        let found: GetDataResponse = read.read();
        assert_eq!(found.data.unwrap(), round.to_string().as_bytes());
        assert_eq!(found.stat.mzxid, write.header.zxid);
        assert!(write.header.zxid > last_zxid && read.header.zxid >= write.header.zxid);
        last_zxid = read.header.zxid;
    }
}

#[test]
fn auth_overtakes_what_waits_and_what_was_sent_before_it_keeps_its_identities() {
    let server = TestServer::start("");
    let mut owner = server.open();
    owner.auth("ann:secret");
    let only_me = CreateRequest {
        acl: Some(vec![Acl {
            perms: 31,
            id: Id {
                scheme: Some("auth".into()),
                id: Some("".into()),
            },
        }]),
        ..create("/secret", b"x", 0)
    };
    assert_eq!(owner.call(Op::Create, &only_me).err(), 0);
    assert_eq!(owner.create("/open", b"", 0).err(), 0);

    let mut client = server.open();
    let burst = [
        request(1, Op::SetData as i32, &bytes(&set("/open", b"1"))),
        get(2, "/secret"),
        request(-4, Op::Auth as i32, &bytes(&auth("digest", "ann:secret"))),
        get(3, "/secret"),
    ];
    client.send(&burst.concat());
    let replies: Vec<_> = (0..4).map(|_| client.frame().unwrap()).collect();
    assert_eq!(
        (replies[0].xid(), replies[0].header.zxid, replies[0].err()),
        (-4, 0, 0)
    );
    let rest: Vec<_> = replies[1..]
        .iter()
        .map(|reply| (reply.xid(), reply.err()))
        .collect();
    assert_eq!(rest, [(1, 0), (2, -102), (3, 0)]);
}

#[test]
fn an_unknown_op_is_answered_in_its_turn_and_nothing_after_it_happens() {
    let server = TestServer::start("");
    let mut client = server.open();
    assert_eq!(client.create("/a", b"", 0).err(), 0);
    for before in [true, false] {
        let mut client = server.open();
        let mut burst = Vec::new();
        if before {
            burst.extend(request(1, Op::SetData as i32, &bytes(&set("/a", b"1"))));
        }
        burst.extend(request(2, 999, &[]));
        burst.extend(request(
            3,
            Op::Create as i32,
            &bytes(&create("/after", b"", 0)),
        ));
        client.send(&burst);
        if before {
            let reply = client.frame().unwrap();
            assert_eq!((reply.xid(), reply.err()), (1, 0));
        }
        let reply = client.frame().unwrap();
        assert_eq!((reply.xid(), reply.header.zxid, reply.err()), (2, -1, -6));
        client.assert_closed();
    }
    assert!(!client.exists("/after", false));
}

#[test]
fn a_failed_auth_is_answered_and_nothing_after_it_happens() {
    let server = TestServer::start("");
    let mut client = server.open();
    let burst = [
        request(-4, Op::Auth as i32, &bytes(&auth("nobody", "x"))),
        request(1, Op::Create as i32, &bytes(&create("/after", b"", 0))),
    ];
    client.send(&burst.concat());
    let reply = client.frame().unwrap();
    assert_eq!((reply.xid(), reply.header.zxid, reply.err()), (-4, 0, -115));
    client.assert_closed();
    assert!(!server.open().exists("/after", false));
}

#[test]
fn what_was_sent_before_a_failed_auth_is_still_answered() {
    let server = TestServer::start("");
    let mut client = server.open();
    assert_eq!(client.create("/a", b"", 0).err(), 0);
    let burst = [
        request(2, Op::SetData as i32, &bytes(&set("/a", b"1"))),
        get(3, "/a"),
        request(-4, Op::Auth as i32, &bytes(&auth("nobody", "x"))),
    ];
    client.send(&burst.concat());
    let mut replies: Vec<_> = (0..3).map(|_| client.frame().unwrap()).collect();
    replies.sort_by_key(|reply| reply.xid());
    let answered: Vec<_> = replies.iter().map(|r| (r.xid(), r.err())).collect();
    assert_eq!(answered, [(-4, -115), (2, 0), (3, 0)]);
    client.assert_closed();
}

#[test]
fn close_session_is_answered_then_closes_and_takes_the_ephemerals_along() {
    let server = TestServer::start("");
    let (mut client, mut other) = (server.open(), server.open());
    assert_eq!(client.create("/mine", b"", 1).err(), 0);
    assert!(other.exists("/mine", true));
    let burst = [
        request(7, Op::CloseSession as i32, &[]),
        request(8, Op::Create as i32, &bytes(&create("/after", b"", 0))),
    ];
    client.send(&burst.concat());
    let reply = client.frame().unwrap();
    assert_eq!((reply.xid(), reply.err()), (7, 0));
    client.assert_closed();
    assert_eq!(other.event(), (2, "/mine".into()));
    assert!(!other.exists("/mine", false) && !other.exists("/after", false));
    let mut late = Client::dial(server.address);
    let refusal = late.shake(&handshake(client.session, &client.password, 0, 4000));
    assert_eq!(refusal.unwrap().timeout, 0);
}

#[test]
fn a_client_may_hang_up_right_behind_its_last_writes() {
    let server = TestServer::start("");
    let mut other = server.open();
    for round in 0..20 {
        let (mine, left) = (format!("/mine-{round}"), format!("/left-{round}"));
        let mut client = server.open();
        assert_eq!(client.create(&mine, b"", 1).err(), 0);
        assert!(other.exists(&mine, true) && !other.exists(&left, true));
        let burst = [
            request(1, Op::Create as i32, &bytes(&create(&left, b"", 0))),
            request(2, Op::CloseSession as i32, &[]),
        ];
        client.send(&burst.concat());
        client.hang_up(Shutdown::Both);
        assert_eq!(other.event(), (1, left));
        assert_eq!(other.event(), (2, mine));
    }
}

#[test]
fn a_silent_session_expires_without_a_word_and_takes_its_ephemerals_along() {
    let server = TestServer::start("tickTime=100\nminSessionTimeout=200\nmaxSessionTimeout=60000");
    let mut other = Client::open_for(server.address, 60_000);
    let mut silent = Client::open_for(server.address, 60_000);
    assert_eq!(silent.create("/mine", b"", 1).err(), 0);
    assert!(other.exists("/mine", true));
    // Comes back with a short timeout, then says nothing more.
    let mut again = Client::dial(server.address);
    let password = silent.password.clone();
    let response = again
        .shake(&handshake(silent.session, &password, 0, 1))
        .unwrap();
    assert_eq!(response.timeout, 200);
    again.assert_closed();
    assert_eq!(other.event(), (2, "/mine".into()));
    let mut late = Client::dial(server.address);
    let refusal = late
        .shake(&handshake(silent.session, &password, 0, 4000))
        .unwrap();
    assert_eq!((refusal.timeout, refusal.session_id), (0, 0));
    late.assert_closed();
}

#[test]
fn an_ephemeral_outlives_the_end_of_other_sessions() {
    let server = TestServer::start("");
    let (mut owner, mut other) = (server.open(), server.open());
    assert_eq!(owner.create("/owned", b"", 1).err(), 0);
    assert_eq!(other.create("/others", b"", 1).err(), 0);
    other.send(&request(1, Op::CloseSession as i32, &[]));
    assert_eq!(other.frame().unwrap().err(), 0);
    assert!(owner.exists("/owned", false) && !owner.exists("/others", false));
    let mut stranger = server.open();
    assert_eq!(
        stranger.delete("/owned").err(),
        0,
        "anyone who may delete it does"
    );
    assert_eq!(owner.delete("/owned").err(), -101);
}

#[test]
fn what_does_not_decode_is_answered_in_its_turn_and_the_connection_stays() {
    let server = TestServer::start("");
    let mut client = server.open();
    let burst = [
        request(1, Op::Create as i32, &bytes(&create("/a", b"x", 0))),
        request(2, Op::GetData as i32, &[0x7f, 0xff, 0xff, 0xff]),
        request(3, Op::SetData as i32, &[0, 0]),
        get(4, "/a"),
    ];
    client.send(&burst.concat());
    let replies: Vec<_> = (0..4).map(|_| client.frame().unwrap()).collect();
    let shown: Vec<_> = replies
        .iter()
        .map(|reply| (reply.xid(), reply.err()))
        .collect();
    assert_eq!(shown, [(1, 0), (2, -5), (3, -5), (4, 0)]);
    let zxid = replies[0].header.zxid;
    assert!(
        replies.iter().all(|reply| reply.header.zxid == zxid),
        "no zxid is used up"
    );
}
