//! The gate and the outboxes under real threads.

use std::sync::atomic::Ordering;

use jute::data::Stat;

use super::*;

const WRITES: i64 = 3000;

/// Sets a one-shot watch with every read, on its own thread, while the loop writes: each event
/// must come after the reply that set its watch and before any reply that shows the change.
#[test]
fn no_event_precedes_its_watch_and_no_reply_precedes_an_event_it_shows() {
    let mut world = World::new();
    world.given("/a", b"");
    let (writer, reader) = (world.open(), world.open());
    let done = Arc::new(AtomicBool::new(false));
    let reading = {
        let (gate, conn, done) = (world.gate.clone(), reader.clone(), done.clone());
        std::thread::spawn(move || read_until(&gate, &conn, &done))
    };
    let taking = {
        let (conn, done) = (reader.clone(), done.clone());
        std::thread::spawn(move || take_until(&conn, &done))
    };
    while world.gate.with_watches(|watches| watches.is_empty()) {
        std::thread::yield_now();
    }
    for xid in 1..=WRITES {
        world.send(&writer, xid as i32, set("/a"));
        world.commit();
        world.replica.wake();
    }
    done.store(true, Ordering::Release);
    let replies = reading.join().unwrap();
    let mut frames = taking.join().unwrap();
    frames.extend(taken(&reader));
    let events = check(&frames);
    assert_eq!(frames.len() - events, replies);
    assert!(events > 0);
    assert_eq!(got(&writer).len() as i64, WRITES);
}

fn read_until(gate: &Gate, conn: &Conn, done: &AtomicBool) -> usize {
    let (ids, mut wakes, mut replies) = (conn.identities(), Wakes::default(), 0);
    let request = ReadRequest::GetData(watchable("/a", true));
    while !done.load(Ordering::Acquire) {
        let served = gate.read(|tree| {
            Read {
                gate,
                tree,
                conn,
                session: session(conn),
                ids: &ids,
                xid: 1,
            }
            .run(&request, &mut Progress::default(), &mut wakes)
        });
        assert!(served.is_some());
        replies += 1;
        if conn.outbox.len() > BACKLOG {
            std::thread::yield_now();
        }
    }
    replies
}

fn take_until(conn: &Conn, done: &AtomicBool) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while !done.load(Ordering::Acquire) {
        frames.extend(taken(conn));
        std::thread::yield_now();
    }
    frames
}

/// Returns how many events there are.
fn check(frames: &[Bytes]) -> usize {
    let (mut watched, mut seen, mut events) = (false, 0, 0);
    for frame in frames {
        let mut reader = Reader::new(frame.clone(), 1 << 20);
        let header = ReplyHeader::read(&mut reader).unwrap();
        if header.xid == -1 {
            assert!(watched, "an event at {:#x} before its watch", header.zxid);
            assert!(header.zxid > seen, "an event of a change already shown");
            (watched, seen, events) = (false, header.zxid, events + 1);
            continue;
        }
        reader.buffer().unwrap();
        let stat = Stat::read(&mut reader).unwrap();
        assert!(header.zxid >= stat.mzxid, "data newer than the header says");
        let missed = watched && stat.mzxid > seen;
        assert!(!missed, "shows {:#x} before its event", stat.mzxid);
        assert!(stat.mzxid >= seen);
        (watched, seen) = (true, stat.mzxid);
    }
    events
}

/// A connection reads by itself as soon as the count says that nothing of its session is in the
/// loop: by then the write's reply stands before it, and the write is seen.
#[test]
fn a_read_beside_the_loop_overtakes_no_reply() {
    let mut world = World::new();
    world.given("/a", b"");
    let conn = world.open();
    let (to_loop, inputs) = std::sync::mpsc::channel();
    let client = {
        let (gate, conn, now) = (world.gate.clone(), conn.clone(), world.now);
        std::thread::spawn(move || {
            for round in 0..WRITES as i32 {
                let lane = conn.lane.get().unwrap().clone();
                lane.enter();
                let input = Input::Request {
                    conn: conn.clone(),
                    lane: lane.clone(),
                    xid: 2 * round,
                    request: set("/a"),
                    ids: conn.identities(),
                    received: now.mono,
                    arrived: Default::default(),
                    large: None,
                };
                to_loop.send(input).unwrap();
                while lane.in_loop() > 0 {
                    std::hint::spin_loop();
                }
                read_once(&gate, &conn, 2 * round + 1);
            }
        })
    };
    for input in inputs {
        world.replica.step(world.now, input);
        world.commit();
    }
    client.join().unwrap();
    let frames = taken(&conn);
    assert_eq!(frames.len() as i64, 2 * WRITES);
    for (pair, xid) in frames.chunks(2).zip((0..).step_by(2)) {
        let header = |frame: &Bytes| {
            let mut reader = Reader::new(frame.clone(), 1 << 20);
            (ReplyHeader::read(&mut reader).unwrap(), reader)
        };
        let ((write, _), (read, mut body)) = (header(&pair[0]), header(&pair[1]));
        assert_eq!((write.xid, read.xid), (xid, xid + 1));
        body.buffer().unwrap();
        assert_eq!(Stat::read(&mut body).unwrap().mzxid, write.zxid);
    }
}

fn read_once(gate: &Gate, conn: &Conn, xid: i32) {
    let request = ReadRequest::GetData(watchable("/a", false));
    let served = gate.read(|tree| {
        Read {
            gate,
            tree,
            conn,
            session: session(conn),
            ids: &conn.identities(),
            xid,
        }
        .run(&request, &mut Progress::default(), &mut Wakes::default())
    });
    assert!(served.is_some());
}
