//! Clients that do not take what they are owed.

use jute::Op;
use jute::proto::AddWatchRequest;

use super::rawzk::{bytes, path, request, set, watchable};
use super::server::TestServer;

#[test]
fn a_slow_reader_is_not_read_from_until_it_takes_its_replies() {
    let server = TestServer::start("4lw.commands.whitelist=*");
    let mut client = server.open();
    assert_eq!(client.create("/big", &[7; 1_000_000], 0).err(), 0);
    let before = server.measure("packets_received");
    const READS: i32 = 500;
    let burst: Vec<u8> = (1..=READS)
        .flat_map(|xid| request(xid, Op::GetData as i32, &bytes(&watchable("/big", false))))
        .collect();
    client.send(&burst);
    // The server keeps serving others, and never takes more of this client than sockets and one
    // bound hold.
    let mut other = server.open();
    for _ in 0..50 {
        other.ping();
        let taken = server.measure("packets_received") - before;
        assert!(
            taken < 250,
            "{taken} frames taken from a client that reads nothing"
        );
    }
    for xid in 1..=READS {
        let reply = client.frame().unwrap();
        assert_eq!((reply.xid(), reply.err()), (xid, 0));
        assert!(reply.body.len() > 1_000_000);
    }
}

#[test]
fn reads_behind_a_write_wait_for_a_slow_reader_too() {
    let server = TestServer::start("");
    let mut client = server.open();
    assert_eq!(client.create("/big", &[7; 1_000_000], 0).err(), 0);
    const READS: i32 = 200;
    let mut burst = request(1, Op::SetData as i32, &bytes(&set("/big", &[8; 1_000_000])));
    for xid in 2..=READS {
        burst.extend(request(
            xid,
            Op::GetData as i32,
            &bytes(&watchable("/big", false)),
        ));
    }
    client.send(&burst);
    let mut other = server.open();
    for round in 0..20 {
        assert_eq!(other.create(&format!("/other-{round}"), b"", 0).err(), 0);
    }
    for xid in 1..=READS {
        let reply = client.frame().expect("closed for taking its time");
        assert_eq!((reply.xid(), reply.err()), (xid, 0));
        assert!(xid == 1 || reply.body.slice(4..).starts_with(&[8; 1000]));
    }
}

#[test]
fn a_flood_of_events_closes_a_client_that_does_not_read_them() {
    let server = TestServer::start("4lw.commands.whitelist=*");
    let long = format!("/{}", "n".repeat(200_000));
    let mut writer = server.open();
    assert_eq!(writer.create(&long, b"", 0).err(), 0);
    let mut watcher = server.open();
    let watch = AddWatchRequest {
        path: Some(long.as_str().into()),
        mode: 0,
    };
    assert_eq!(watcher.call(Op::AddWatch, &watch).err(), 0);
    let mut events = 0;
    while server.measure("watch_count") > 0 {
        assert!(events < 1000, "nobody closed it");
        assert_eq!(writer.call(Op::SetData, &set(&long, b"")).err(), 0);
        events += 1;
    }
    let mut heard = 0;
    while let Some(event) = watcher.frame() {
        assert_eq!(event.xid(), -1);
        heard += 1;
    }
    assert!(heard < events);
    assert_eq!(writer.call(Op::Sync, &path("/")).err(), 0);
}
