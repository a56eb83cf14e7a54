//! Frames, connections and addresses: how much is let in.

use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use jute::Op;
use jute::proto::WhoAmIResponse;
use oxkeeper::config::HostPort;

use super::rawzk::{Client, bytes, handshake, request, set};
use super::server::{TestServer, config, wait_until};

/// A setData of `/a` whose frame has exactly `length` bytes.
fn set_of(length: usize) -> Vec<u8> {
    let empty = request(1, Op::SetData as i32, &bytes(&set("/a", b""))).len() - 4;
    let frame = request(
        1,
        Op::SetData as i32,
        &bytes(&set("/a", &vec![7; length - empty])),
    );
    assert_eq!(frame.len(), 4 + length);
    frame
}

#[test]
fn a_frame_of_exactly_the_limit_is_taken_and_one_byte_more_closes() {
    for limit in [0xf_ffff, 5000] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path(), "");
        if limit == 5000 {
            config.jute_max_buffer = limit;
        }
        let server = TestServer::with(config).unwrap();
        let mut client = server.open();
        assert_eq!(client.create("/a", b"", 0).err(), 0);
        client.send(&set_of(limit));
        assert_eq!(client.frame().unwrap().err(), 0);
        client.try_send(&set_of(limit + 1));
        client.assert_closed();
    }
}

#[test]
fn a_negative_length_closes_at_once() {
    let server = TestServer::start("");
    for bare in [true, false] {
        let mut client = match bare {
            true => Client::dial(server.address),
            false => server.open(),
        };
        client.send(&(-1_i32).to_be_bytes());
        client.assert_closed();
    }
}

#[test]
fn a_frame_too_short_for_a_header_closes() {
    let server = TestServer::start("");
    for length in 0..8_u8 {
        let mut client = server.open();
        let mut frame = vec![0, 0, 0, length];
        frame.resize(4 + usize::from(length), 1);
        client.send(&frame);
        client.assert_closed();
    }
}

#[test]
fn one_address_has_only_so_many_connections() {
    let server = TestServer::start("maxClientCnxns=2");
    let (mut first, mut second) = (server.open(), Client::dial(server.address));
    let mut third = Client::dial(server.address);
    third.assert_closed();
    assert!(second.shake(&handshake(0, &[0; 16], 0, 4000)).is_some());
    first.ping();
    drop(second);
    wait_until("the place is free again", || {
        let mut next = Client::dial(server.address);
        next.shake(&handshake(0, &[0; 16], 0, 4000)).is_some()
    });
}

#[test]
fn all_addresses_together_have_only_so_many_connections() {
    let server = TestServer::start("maxCnxns=1");
    let mut only = server.open();
    Client::dial(server.address).assert_closed();
    only.ping();
}

#[test]
fn a_connection_without_a_session_ends_and_one_with_a_session_does_not() {
    let server = TestServer::start("nio.sessionlessCnxnTimeout=4000");
    let mut client = server.open();
    let mut bare = Client::dial(server.address);
    let mut slow = Client::dial(server.address);
    slow.send(&[0, 0, 0, 45, 0]);
    bare.assert_closed();
    slow.assert_closed();
    client.ping();
}

#[test]
fn only_the_configured_address_is_listened_on() {
    let server = TestServer::start("");
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], server.address.port()));
    assert!(TcpStream::connect(elsewhere).is_err());
}

#[test]
fn clients_come_over_ipv6_too() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return; // A machine without IPv6 cannot show it.
    }
    let dir = tempfile::tempdir().unwrap();
    for host in [Some("::1".to_owned()), None] {
        let any = host.is_none();
        let mut config = config(dir.path(), "");
        config.client_addr = Some(HostPort { host, port: 0 });
        let server = TestServer::with(config).unwrap();
        let port = server.address.port();
        let mut client = Client::open(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        assert_eq!(address_of(&mut client), "0:0:0:0:0:0:0:1");
        if any {
            let mut client = Client::open(SocketAddr::from(([127, 0, 0, 1], port)));
            assert_eq!(address_of(&mut client), "127.0.0.1");
        }
    }
}

fn address_of(client: &mut Client) -> String {
    client.send(&request(1, Op::WhoAmI as i32, &[]));
    let who: WhoAmIResponse = client.frame().unwrap().read();
    let ids = who.client_info.unwrap();
    assert_eq!(ids[0].auth_scheme.as_deref(), Some("ip"));
    ids[0].user.as_deref().unwrap().to_owned()
}

#[test]
fn a_burst_beyond_the_outstanding_limit_is_answered_all_the_same() {
    let server = TestServer::start("globalOutstandingLimit=1");
    let mut client = server.open();
    assert_eq!(client.create("/a", b"", 0).err(), 0);
    let burst: Vec<u8> = (1..=300)
        .flat_map(|xid| request(xid, Op::SetData as i32, &bytes(&set("/a", b"x"))))
        .collect();
    client.send(&burst);
    for xid in 1..=300 {
        let reply = client.frame().unwrap();
        assert_eq!((reply.xid(), reply.err()), (xid, 0));
    }
}

#[test]
fn words_are_answered_as_the_whitelist_says() {
    let server = TestServer::start("");
    assert!(
        server
            .word("srvr")
            .starts_with("Zookeeper version: 3.9.5-oxkeeper-")
    );
    assert_eq!(
        server.word("ruok"),
        "ruok is not executed because it is not in the whitelist.\n"
    );
    let server = TestServer::start("4lw.commands.whitelist=ruok, isro");
    assert_eq!(server.word("ruok"), "imok");
    assert_eq!(server.word("isro"), "rw");
    assert!(server.word("mntr").contains("not in the whitelist"));
}

#[test]
fn a_word_behind_a_session_is_a_bad_frame() {
    let server = TestServer::start("4lw.commands.whitelist=*");
    let mut client = server.open();
    client.send(b"ruok");
    client.assert_closed();
}
