//! Connections of clients: what `client_port` does with a socket, done over a wire that delays and breaks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use jute::proto::ConnectRequest;

use super::net::{Point, Port};
use super::queue::Event;
use super::{Us, World};
use crate::auth;
use crate::base::ServerId;
use crate::replica::conn::Conn;
use crate::replica::outbox::Wakes;
use crate::replica::request::{ReadRequest, Request};
use crate::replica::{Input, Progress, Read};

/// One connection.
pub(super) struct ClientWire {
    pub(super) client: usize,
    pub(super) server: ServerId,
    pub(super) boot: u64,
    conn: Option<Arc<Conn>>,
    to_server: VecDeque<(Us, Ask)>,
    to_client: VecDeque<(Us, Told)>,
    armed: [bool; 2],
    server_open: bool,
    pub(super) client_open: bool,
}

/// From a client.
pub(super) enum Ask {
    Hello(ConnectRequest),
    Request(i32, Request),
    End,
}

/// To a client.
pub(super) enum Told {
    Bytes(Bytes),
    End,
}

const RETRY: Us = 40_000;

impl World {
    /// A client connects. None if nobody answers.
    pub(super) fn open_wire(&mut self, client: usize, server: ServerId) -> Option<usize> {
        let process = self.servers.get(&server)?.process.as_ref()?;
        let boot = process.boot;
        let points = (Point::Client(client), Point::Server(server));
        let cut = |from, to| self.net.is_cut(from, to, Port::Client);
        if cut(points.0, points.1) || cut(points.1, points.0) {
            return None;
        }
        self.wires.push(ClientWire {
            client,
            server,
            boot,
            conn: None,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            armed: [false, false],
            server_open: true,
            client_open: true,
        });
        Some(self.wires.len() - 1)
    }

    pub(super) fn ask(&mut self, wire: usize, ask: Ask) {
        let delay = self.plain_delay();
        let at = &mut self.wires[wire];
        if !at.client_open {
            return;
        }
        let last = at.to_server.back().map_or(0, |(at, _)| *at);
        let ready = last.max(self.now + delay);
        at.to_server.push_back((ready, ask));
        if !std::mem::replace(&mut at.armed[0], true) {
            self.queue.push(ready, Event::ToServer { wire });
        }
    }

    /// A client closes its end.
    pub(super) fn hang_up(&mut self, wire: usize) {
        self.ask(wire, Ask::End);
        self.wires[wire].client_open = false;
        self.wires[wire].to_client.clear();
    }

    fn tell(&mut self, wire: usize, told: Told) {
        let delay = self.plain_delay();
        let at = &mut self.wires[wire];
        if !at.client_open {
            return;
        }
        let last = at.to_client.back().map_or(0, |(at, _)| *at);
        let ready = last.max(self.now + delay);
        at.to_client.push_back((ready, told));
        if !std::mem::replace(&mut at.armed[1], true) {
            self.queue.push(ready, Event::ToClient { wire });
        }
    }

    fn is_wire_cut(&self, wire: usize, to_server: bool) -> bool {
        let wire = &self.wires[wire];
        let (client, server) = (Point::Client(wire.client), Point::Server(wire.server));
        match to_server {
            true => self.net.is_cut(client, server, Port::Client),
            false => self.net.is_cut(server, client, Port::Client),
        }
    }

    /// The next thing of a client arrives.
    pub(super) fn arrives_at_server(&mut self, wire: usize) {
        self.wires[wire].armed[0] = false;
        if self.wires[wire].to_server.is_empty() {
            return;
        }
        let (server, boot) = (self.wires[wire].server, self.wires[wire].boot);
        let machine = &self.servers[&server];
        if !machine.has_power {
            self.wires[wire].to_server.clear();
            return;
        }
        let stuck = machine
            .paused_until
            .max(match self.is_wire_cut(wire, true) {
                true => self.now + RETRY,
                false => 0,
            });
        if stuck > self.now {
            self.wires[wire].armed[0] = true;
            self.queue.push(stuck, Event::ToServer { wire });
            return;
        }
        if machine.process.as_ref().map(|process| process.boot) != Some(boot) {
            self.wires[wire].to_server.clear();
            self.wires[wire].server_open = false;
            self.tell(wire, Told::End);
            return;
        }
        let Some((_, ask)) = self.wires[wire].to_server.pop_front() else {
            return;
        };
        if self.wires[wire].server_open {
            self.take_ask(wire, ask);
        }
        if let Some((at, _)) = self.wires[wire].to_server.front()
            && !self.wires[wire].armed[0]
        {
            let at = (*at).max(self.now);
            self.wires[wire].armed[0] = true;
            self.queue.push(at, Event::ToServer { wire });
        }
    }

    fn take_ask(&mut self, wire: usize, ask: Ask) {
        let (server, boot) = (self.wires[wire].server, self.wires[wire].boot);
        match ask {
            Ask::End => self.close_conn(wire),
            Ask::Hello(request) => {
                let remote = SocketAddr::from(([127, 0, 0, 1], 1000));
                let wall = self.servers[&server].now(self.now).wall;
                let ids = auth::initial(remote.ip());
                let conn = Arc::new(Conn::new(wire as u64 + 1, remote, ids, wall));
                self.wires[wire].conn = Some(conn.clone());
                let Some(process) = self.process(server, boot) else {
                    return;
                };
                process.gate.add_conn(conn.clone());
                process.wires.push(wire);
                self.put_in(server, boot, Input::Connect { conn, request });
            }
            Ask::Request(xid, request) => self.serve(wire, xid, request),
        }
    }

    /// What `client_port::conn` does with a request of an established connection.
    fn serve(&mut self, wire: usize, xid: i32, request: Request) {
        let (server, boot) = (self.wires[wire].server, self.wires[wire].boot);
        let now = self.servers[&server].now(self.now).mono;
        let Some(conn) = self.wires[wire].conn.clone() else {
            return;
        };
        let Some(lane) = conn.lane.get().cloned() else {
            return;
        };
        if lane.is_closing() {
            return;
        }
        lane.touch(now);
        let Some(process) = self.process(server, boot) else {
            return;
        };
        match request {
            Request::Read(request) if lane.in_loop() == 0 && !must_ride(&request) => {
                let (mut progress, mut wakes) = (Progress::default(), Wakes::default());
                let (gate, ids) = (process.gate.clone(), conn.identities());
                while gate
                    .read(|tree| {
                        Read {
                            gate: &gate,
                            tree,
                            conn: &conn,
                            session: lane.session(),
                            ids: &ids,
                            xid,
                        }
                        .run(&request, &mut progress, &mut wakes)
                    })
                    .is_none()
                {}
                self.seen.count("read beside the loop");
                self.flush(server);
            }
            request => {
                lane.enter();
                process.counters.in_loop(1);
                conn.stats.request_in(xid);
                let ids = conn.identities();
                let input = Input::Request {
                    conn,
                    lane,
                    xid,
                    request,
                    ids,
                    received: now,
                    arrived: Default::default(),
                    large: None,
                };
                self.put_in(server, boot, input);
            }
        }
    }

    /// The server's end of a connection is over.
    fn close_conn(&mut self, wire: usize) {
        let at = &mut self.wires[wire];
        at.server_open = false;
        let (server, boot) = (at.server, at.boot);
        let Some(conn) = at.conn.take() else {
            return;
        };
        conn.outbox.close(&mut Wakes::default());
        let Some(process) = self.process(server, boot) else {
            return;
        };
        process.gate.drop_conn(&conn);
        process.wires.retain(|other| *other != wire);
        self.put_in(server, boot, Input::Gone { conn });
    }

    /// Writes what a server owes to its clients.
    pub(super) fn flush(&mut self, server: ServerId) {
        let Some(process) = self.running(server) else {
            return;
        };
        let boot = process.boot;
        for wire in process.wires.clone() {
            let Some(conn) = self.wires[wire].conn.clone() else {
                continue;
            };
            if conn.outbox.is_closed() {
                self.tell(wire, Told::End);
                self.close_conn(wire);
                continue;
            }
            let (bytes, last_word, wanted) = World::taken(&conn);
            if !bytes.is_empty() {
                self.tell(wire, Told::Bytes(bytes.freeze()));
            }
            if wanted {
                self.put_in(server, boot, Input::Drained { conn });
            }
            if last_word {
                self.tell(wire, Told::End);
                self.close_conn(wire);
            }
        }
    }

    /// The next thing of a server arrives at a client.
    pub(super) fn arrives_at_client(&mut self, wire: usize) {
        self.wires[wire].armed[1] = false;
        if self.wires[wire].to_client.is_empty() {
            return;
        }
        if self.is_wire_cut(wire, false) {
            self.wires[wire].armed[1] = true;
            let at = self.now + RETRY;
            self.queue.push(at, Event::ToClient { wire });
            return;
        }
        let Some((_, told)) = self.wires[wire].to_client.pop_front() else {
            return;
        };
        let client = self.wires[wire].client;
        match told {
            Told::Bytes(bytes) => self.client_hears(client, wire, bytes),
            Told::End => {
                self.wires[wire].client_open = false;
                self.client_lost(client, wire);
            }
        }
        if let Some((at, _)) = self.wires[wire].to_client.front()
            && !self.wires[wire].armed[1]
        {
            let at = (*at).max(self.now);
            self.wires[wire].armed[1] = true;
            self.queue.push(at, Event::ToClient { wire });
        }
    }

    /// The process behind these connections is gone.
    pub(super) fn drop_wires(&mut self, server: ServerId, power_lost: bool) {
        for wire in 0..self.wires.len() {
            let at = &mut self.wires[wire];
            if at.server != server || !at.server_open {
                continue;
            }
            at.server_open = false;
            at.conn = None;
            if power_lost {
                at.to_client.clear();
            } else {
                self.tell(wire, Told::End);
            }
        }
    }
}

/// A sync has to be completed by the leader, wherever the session stands.
fn must_ride(request: &ReadRequest) -> bool {
    matches!(request, ReadRequest::Sync(_))
}
