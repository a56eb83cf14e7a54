//! Connect requests: what is answered, what is refused, and what is closed without a word.

use jute::Op;

use super::rawzk::{Client, bytes, create, framed, handshake, request, watchable};
use super::server::TestServer;

#[test]
fn the_response_has_the_read_only_byte_exactly_when_the_request_has() {
    let server = TestServer::start("");
    for (read_only, length) in [(None, 36), (Some(false), 37), (Some(true), 37)] {
        let mut client = Client::dial(server.address);
        let mut connect = handshake(0, &[], 0, 10_000);
        connect.read_only = read_only;
        client.send(&framed(&bytes(&connect)));
        let payload = client.payload().unwrap();
        assert_eq!(payload.len(), length);
        assert_eq!(payload[4..8], 10_000_i32.to_be_bytes());
    }
}

#[test]
fn timeouts_are_brought_within_bounds() {
    let server = TestServer::start("tickTime=1000");
    for (wanted, given) in [(-5, 2000), (0, 2000), (3000, 3000), (i32::MAX, 20_000)] {
        let mut client = Client::dial(server.address);
        let response = client.shake(&handshake(0, &[0; 16], 0, wanted)).unwrap();
        assert_eq!(response.timeout, given);
    }
}

#[test]
fn a_client_that_has_seen_a_later_zxid_is_closed_without_a_word() {
    let server = TestServer::start("");
    let mut client = server.open();
    let seen = client.create("/a", b"", 0).header.zxid;
    let mut ahead = Client::dial(server.address);
    assert!(
        ahead
            .shake(&handshake(0, &[0; 16], seen + 1, 4000))
            .is_none()
    );
    let mut level = Client::dial(server.address);
    assert!(level.shake(&handshake(0, &[0; 16], seen, 4000)).is_some());
}

#[test]
fn a_wrong_password_is_refused_and_does_not_disconnect_the_rightful_client() {
    let server = TestServer::start("");
    let mut rightful = server.open();
    let mut stranger = Client::dial(server.address);
    let refusal = stranger
        .shake(&handshake(rightful.session, &[7; 16], 0, 4000))
        .unwrap();
    assert_eq!((refusal.timeout, refusal.session_id), (0, 0));
    assert_eq!(refusal.password, [0; 16]);
    stranger.assert_closed();
    assert_eq!(rightful.create("/still-here", b"", 0).err(), 0);
}

#[test]
fn an_unknown_session_is_refused() {
    let server = TestServer::start("");
    let mut client = Client::dial(server.address);
    let refusal = client.shake(&handshake(0x1234, &[0; 16], 0, 4000)).unwrap();
    assert_eq!(refusal.timeout, 0);
    client.assert_closed();
}

#[test]
fn a_session_that_resumes_closes_its_older_connection_and_keeps_its_ephemerals() {
    let server = TestServer::start("");
    let mut first = server.open();
    assert_eq!(first.create("/mine", b"", 1).err(), 0);
    let mut second = Client::dial(server.address);
    let password = first.password.clone();
    let response = second
        .shake(&handshake(first.session, &password, 0, 8000))
        .unwrap();
    assert_eq!(response.session_id, first.session);
    assert_eq!(response.timeout, 8000);
    first.assert_closed();
    assert!(second.exists("/mine", false));
}

#[test]
fn a_connect_request_that_ends_too_soon_closes() {
    let server = TestServer::start("");
    let whole = bytes(&handshake(0, &[0; 16], 0, 4000));
    for length in [0, 1, 27, 43] {
        let mut client = Client::dial(server.address);
        client.send(&framed(&whole[..length]));
        client.assert_closed();
    }
}

#[test]
fn what_is_sent_behind_the_connect_request_is_served_after_it() {
    let server = TestServer::start("");
    let mut client = Client::dial(server.address);
    let burst = [
        framed(&bytes(&handshake(0, &[0; 16], 0, 4000))),
        request(1, Op::Create as i32, &bytes(&create("/a", b"x", 0))),
        request(2, Op::Exists as i32, &bytes(&watchable("/a", false))),
    ];
    client.send(&burst.concat());
    assert_eq!(client.payload().map(|payload| payload.len()), Some(37));
    for xid in [1, 2] {
        let reply = client.frame().unwrap();
        assert_eq!((reply.xid(), reply.err()), (xid, 0));
    }
}
