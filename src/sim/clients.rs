//! Clients: they pipeline, read, watch, move from server to server, come back with their session, and judge what they
//! are told.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use jute::data::Stat;
use jute::proto::{ConnectFields, ConnectRequest, ReplyHeader, SetWatches2, WatcherEvent, xid};
use jute::{ErrorCode, Reader, Str, Wire};
use rand::Rng;

use super::check::order::{State, names_hash};
use super::check::watches::Watched;
use super::check::{Held, holds};
use super::client_wire::Ask;
use super::queue::Event;
use super::requests::{FOLDERS, ReadKind, What, create, some_read, some_write};
use super::{Us, World};
use crate::base::{ServerId, SessionId, Zxid};
use crate::prep::WriteRequest;
use crate::replica::request::{ReadRequest, Request};
use crate::session::password;

/// One client.
pub(super) struct Client {
    pub(super) wire: Option<usize>,
    pub(super) welcomed: bool,
    pub(super) session: Option<SessionId>,
    timeout: Us,
    last_zxid: i64,
    heard: Us,
    said: Us,
    next_xid: i32,
    asked: VecDeque<Asked>,
    /// Watches that are set, with the position of the reply that set them.
    watches: BTreeMap<(Watched, String), Zxid>,
    input: BytesMut,
    pub(super) closing: bool,
    /// Writes that it was told of since the faults stopped.
    pub(super) told_lately: u64,
    /// Which server it asks next, when the faults are over.
    turn: usize,
    /// The folders are made by one client at the beginning.
    pub(super) founder: bool,
}

struct Asked {
    xid: i32,
    what: What,
    floor: Zxid,
}

/// Requests on their way at once.
const PIPELINE: usize = 12;
/// The number that clients give to their setWatches.
const SET_WATCHES: i32 = -8;

impl Client {
    pub(super) fn new(timeout: Us, founder: bool) -> Self {
        Client {
            wire: None,
            welcomed: false,
            session: None,
            timeout,
            last_zxid: 0,
            heard: 0,
            said: 0,
            next_xid: 0,
            asked: VecDeque::new(),
            watches: BTreeMap::new(),
            input: BytesMut::new(),
            closing: false,
            told_lately: 0,
            turn: 0,
            founder,
        }
    }

    /// A new session with nothing of the old one.
    fn forget(&mut self) {
        self.session = None;
        self.watches.clear();
        self.next_xid = 0;
        self.closing = false;
        self.told_lately = 0;
    }
}

impl World {
    /// A client does something, and will again.
    pub(super) fn client_acts(&mut self, client: usize) {
        let think = self.plan.think;
        let pause = match self.is_over(client) {
            true => 200_000,
            false => self.rng.random_range(500..think.max(1_000)),
        };
        self.queue.push(self.now + pause, Event::Client { client });
        let me = &self.clients[client];
        let silent = self.now - me.heard.min(self.now);
        match me.wire {
            None => self.client_connects(client),
            Some(_) if silent > me.timeout * 2 / 3 => {
                self.note(|| format!("client {client} heard nothing for {silent} us, leaves"));
                self.seen.count("client left a silent server");
                self.client_leaves(client);
            }
            Some(_) if !me.welcomed => {}
            Some(wire) => self.client_works(client, wire),
        }
    }

    /// The client rests for good: only its session is kept alive.
    fn is_over(&self, client: usize) -> bool {
        self.resting && self.clients[client].told_lately > 0
    }

    fn client_connects(&mut self, client: usize) {
        let servers: Vec<ServerId> = self.servers.keys().copied().collect();
        let mut nth = self.rng.random_range(0..servers.len());
        if self.healed {
            // Every server is asked in turn, so that one that never serves is found.
            self.clients[client].turn += 1;
            nth = (client + self.clients[client].turn) % servers.len();
        }
        let Some(wire) = self.open_wire(client, servers[nth]) else {
            return;
        };
        let me = &mut self.clients[client];
        me.wire = Some(wire);
        me.welcomed = false;
        me.heard = self.now;
        me.said = self.now;
        me.input.clear();
        me.asked.clear();
        let session = me.session.unwrap_or(SessionId(0));
        let secret = password::of(session);
        let fields = ConnectFields {
            protocol_version: 0,
            last_zxid_seen: me.last_zxid,
            timeout: (me.timeout / 1000) as i32,
            session_id: session.0,
            password: Some(Bytes::copy_from_slice(match session.0 {
                0 => &[0; 16],
                _ => &secret,
            })),
        };
        let request = ConnectRequest {
            fields,
            read_only: Some(false),
        };
        let server = servers[nth];
        self.note(|| format!("client {client} asks server {server} for session {session}"));
        self.ask(wire, Ask::Hello(request));
    }

    fn client_leaves(&mut self, client: usize) {
        if let Some(wire) = self.clients[client].wire.take() {
            self.hang_up(wire);
        }
        // Whether a session that it was closing is over is not known; it will ask.
        let me = &mut self.clients[client];
        (me.welcomed, me.closing) = (false, false);
        me.asked.clear();
    }

    /// The server closed the connection.
    pub(super) fn client_lost(&mut self, client: usize, wire: usize) {
        if self.clients[client].wire == Some(wire) {
            self.note(|| format!("client {client} lost its connection"));
            self.clients[client].wire = None;
            self.client_leaves(client);
        }
    }

    fn client_works(&mut self, client: usize, wire: usize) {
        let (said, timeout) = (self.clients[client].said, self.clients[client].timeout);
        let idle = self.now - said.min(self.now);
        if self.clients[client].closing || self.clients[client].asked.len() >= PIPELINE {
            return;
        }
        if self.is_over(client) || self.rng.random_bool(0.2) {
            if idle > timeout / 4 {
                self.client_asks(client, wire, What::Ping, Request::Read(ReadRequest::Ping));
            }
            return;
        }
        match self.rng.random_range(0..400) {
            0..3 if !self.resting => {
                self.seen.count("client moved");
                return self.client_leaves(client);
            }
            3 if !self.resting => {
                self.seen.count("client closed its session");
                self.clients[client].closing = true;
                let close = Request::Write(WriteRequest::CloseSession);
                return self.client_asks(client, wire, What::Close, close);
            }
            4..20 => {
                let sync = Request::Read(ReadRequest::Sync(Some("/".into())));
                return self.client_asks(client, wire, What::Sync, sync);
            }
            _ => {}
        }
        for _ in 0..self.rng.random_range(1..=4) {
            if self.rng.random_bool(0.5) {
                let request = some_write(&mut self.rng);
                self.client_asks(client, wire, What::Write, request);
            } else {
                let (what, request) = some_read(&mut self.rng);
                self.client_asks(client, wire, what, request);
            }
        }
    }

    fn client_asks(&mut self, client: usize, wire: usize, what: What, request: Request) {
        let floor = self.checks.sessions.newest;
        let me = &mut self.clients[client];
        let number = match what {
            What::Ping => xid::PING,
            What::SetWatches { .. } => SET_WATCHES,
            _ => {
                me.next_xid += 1;
                me.next_xid
            }
        };
        me.said = self.now;
        if matches!(what, What::Write | What::Close)
            && let Some(session) = me.session
        {
            self.checks.sessions.sent(session, wire, number);
        }
        let xid = number;
        self.clients[client]
            .asked
            .push_back(Asked { xid, what, floor });
        self.ask(wire, Ask::Request(number, request));
    }

    /// Bytes of the server arrive.
    pub(super) fn client_hears(&mut self, client: usize, wire: usize, bytes: Bytes) {
        if self.clients[client].wire != Some(wire) {
            return;
        }
        self.clients[client].heard = self.now;
        self.clients[client].input.extend_from_slice(&bytes);
        while let Some(frame) = take_frame(&mut self.clients[client].input) {
            let held = match self.clients[client].welcomed {
                false => self.client_is_welcomed(client, wire, frame),
                true => self.client_is_told(client, frame),
            };
            if let Err(broken) = held {
                self.checks.note(Err(broken));
                return;
            }
            if self.clients[client].wire != Some(wire) {
                return;
            }
        }
    }

    fn client_is_welcomed(&mut self, client: usize, wire: usize, frame: Bytes) -> Held {
        let mut r = Reader::new(frame, 1 << 20);
        let mut read = || -> Result<(i32, i64), jute::DecodeError> {
            r.i32()?;
            Ok((r.i32()?, r.i64()?))
        };
        let (timeout, session) = read().expect("our own answer decodes");
        let session = SessionId(session);
        let before = self.clients[client].session;
        if session.0 == 0 {
            self.note(|| format!("client {client}: session {before:?} is refused"));
            self.seen.count("session refused");
            self.client_leaves(client);
            self.clients[client].forget();
            let order = &self.checks.order;
            let ended = |id| order.closed.contains_key(&id) || order.revived.contains(&id);
            return holds(
                before.is_some_and(ended),
                "a session lives until its end is agreed on",
                || format!("session {before:?} is refused, and its end is not agreed on"),
            );
        }
        self.note(|| format!("client {client} has session {session}"));
        self.seen.count(match before.is_some() {
            true => "session resumed",
            false => "session begun",
        });
        let created = self.checks.order.created.contains_key(&session);
        let me = &mut self.clients[client];
        me.welcomed = true;
        me.session = Some(session);
        me.timeout = timeout as Us * 1000;
        if !me.watches.is_empty() {
            self.client_sets_watches(client, wire);
        }
        if self.clients[client].founder && before.is_none() {
            for folder in FOLDERS {
                let op = jute::Op::Create;
                let request = WriteRequest::Create(op, create(op, folder, b"", 0));
                self.client_asks(client, wire, What::Write, Request::Write(request));
            }
        }
        holds(
            before.is_none_or(|before| before == session),
            "a session stays the same",
            || format!("{before:?} became {session}"),
        )?;
        holds(created, "a session begins when it is agreed on", || {
            format!("session {session} was never created")
        })
    }

    fn client_sets_watches(&mut self, client: usize, wire: usize) {
        let me = &self.clients[client];
        let since = me.last_zxid;
        let of = |on: Watched| -> Option<Vec<Str>> {
            let mine = me.watches.keys().filter(|(what, _)| *what == on);
            Some(mine.map(|(_, path)| Str::from(path.as_str())).collect())
        };
        let request = SetWatches2 {
            relative_zxid: since,
            data_watches: of(Watched::Data),
            exist_watches: of(Watched::Exists),
            child_watches: of(Watched::Children),
            persistent_watches: Some(Vec::new()),
            persistent_recursive_watches: Some(Vec::new()),
        };
        self.seen.count("watches set again");
        let request = Request::Read(ReadRequest::SetWatches(request));
        self.client_asks(client, wire, What::SetWatches { since }, request);
    }

    fn client_is_told(&mut self, client: usize, frame: Bytes) -> Held {
        let mut r = Reader::new(frame, 1 << 20);
        let header = ReplyHeader::read(&mut r).expect("our own answer decodes");
        if header.xid == xid::NOTIFICATION {
            let event = WatcherEvent::read(&mut r).expect("our own event decodes");
            return self.client_sees(client, header.zxid, &event);
        }
        let session = self.clients[client].session.unwrap_or_default();
        let Some(asked) = self.clients[client].asked.pop_front() else {
            return holds(false, "session order: a reply has its request", || {
                format!("session {session} is told {header:?}")
            });
        };
        holds(
            asked.xid == header.xid,
            "session order: replies come in order",
            || {
                format!(
                    "session {session} is told {header:?}, and waits for {}",
                    asked.xid
                )
            },
        )?;
        let last = self.clients[client].last_zxid;
        holds(
            header.zxid >= last,
            "zxids never go back for a client",
            || {
                format!(
                    "client {client} has seen {last:#x} and is told {:#x}",
                    header.zxid
                )
            },
        )?;
        self.clients[client].last_zxid = header.zxid.max(last);
        let zxid = Zxid(header.zxid);
        self.client_was_notified(client, zxid, &asked.what)?;
        self.client_judges(client, &header, &asked, &mut r)
    }

    /// What a reply says, after its place among the others is found right.
    fn client_judges(
        &mut self,
        client: usize,
        header: &ReplyHeader,
        asked: &Asked,
        r: &mut Reader,
    ) -> Held {
        let zxid = Zxid(header.zxid);
        let session = self.clients[client].session.unwrap_or_default();
        match &asked.what {
            What::Write | What::Close => {
                let write = (session, asked.xid);
                let (order, leadership) = (&self.checks.order, &self.checks.leadership);
                let sessions = &mut self.checks.sessions;
                sessions.told(order, leadership, write, asked.floor, (zxid, header.err))?;
                if matches!(asked.what, What::Write) {
                    self.clients[client].told_lately += 1;
                }
                self.seen.count(match header.err {
                    ErrorCode::OK => "write acknowledged",
                    _ => "write refused",
                });
                if matches!(asked.what, What::Close) {
                    self.client_leaves(client);
                    self.clients[client].forget();
                }
            }
            What::Ping => {}
            What::Sync => {
                self.seen.count("sync completed");
                holds(
                    zxid >= asked.floor,
                    "real time: a sync shows what was known",
                    || {
                        format!(
                            "session {session} synced at {zxid}, {} was known",
                            asked.floor
                        )
                    },
                )?;
            }
            What::Read { kind, path, watch } => {
                self.seen.count("read answered");
                let there = self.client_reads(zxid, header.err, *kind, path, r)?;
                if *watch && let Some(on) = kind.watched(there) {
                    let watches = &mut self.clients[client].watches;
                    watches.entry((on, path.clone())).or_insert(zxid);
                }
            }
            What::SetWatches { since } => self.client_set_watches(client, zxid, *since)?,
        }
        Ok(())
    }

    /// Every watch whose change this reply is at or behind has fired by now.
    fn client_was_notified(&self, client: usize, zxid: Zxid, what: &What) -> Held {
        if matches!(what, What::SetWatches { .. }) {
            return Ok(());
        }
        for ((on, path), since) in &self.clients[client].watches {
            let due = self.checks.order.events.first(*on, path, *since);
            holds(
                due.is_none_or(|(due, _)| due > zxid),
                "watch order: the event comes before what shows the change",
                || {
                    format!(
                        "client {client} is told {zxid}, its watch {on:?} {path} of {since} was due at {due:?}"
                    )
                },
            )?;
        }
        Ok(())
    }

    /// After its watches are set again they have fired for what was missed, and stand for what comes.
    fn client_set_watches(&mut self, client: usize, zxid: Zxid, since: i64) -> Held {
        let order = &self.checks.order;
        for ((on, path), at) in &mut self.clients[client].watches {
            let state = order.state(path, zxid);
            let missed = match (on, state) {
                (Watched::Data | Watched::Children, None) | (Watched::Exists, Some(_)) => true,
                (Watched::Data, Some(state)) => state.stat.mzxid > since,
                (Watched::Children, Some(state)) => state.stat.pzxid > since,
                (Watched::Exists, None) => false,
            };
            holds(!missed, "no watch is lost by a move", || {
                format!(
                    "client {client}: {on:?} {path} of {at}, set again at {zxid} since {since:#x}"
                )
            })?;
            *at = zxid;
        }
        Ok(())
    }

    fn client_sees(&mut self, client: usize, zxid: i64, event: &WatcherEvent) -> Held {
        let path = event.path.as_deref().unwrap_or_default().to_owned();
        self.seen.count("watch fired");
        let kinds: &[Watched] = match event.kind {
            1 => &[Watched::Exists, Watched::Data],
            2 => &[Watched::Data, Watched::Exists, Watched::Children],
            3 => &[Watched::Data, Watched::Exists],
            _ => &[Watched::Children],
        };
        let mut fired = false;
        for on in kinds {
            let Some(since) = self.clients[client].watches.remove(&(*on, path.clone())) else {
                continue;
            };
            fired = true;
            let due = self.checks.order.events.first(*on, &path, since);
            holds(
                zxid < 0 || due.is_some_and(|(due, _)| due.0 == zxid),
                "watch order: a watch fires for the first change",
                || {
                    format!(
                        "client {client}: {event:?} of {zxid:#x}, {on:?} of {since} was due at {due:?}"
                    )
                },
            )?;
        }
        // A client that sets both its watches on a znode again hears twice that it is gone.
        fired |= zxid < 0 && event.kind == 2;
        holds(
            fired,
            "watch order: no watch fires twice or for nothing",
            || format!("client {client}: {event:?} of {zxid:#x}"),
        )
    }

    /// Whether a read shows exactly what is true at its zxid. Returns whether the znode is there.
    fn client_reads(
        &self,
        zxid: Zxid,
        err: ErrorCode,
        kind: ReadKind,
        path: &str,
        r: &mut Reader,
    ) -> Result<bool, super::Broken> {
        let truth = self.checks.order.state(path, zxid);
        let shown = match err {
            ErrorCode::OK => Some(read_state(kind, r, truth).expect("our own answer decodes")),
            _ => None,
        };
        holds(
            shown.as_ref() == truth,
            "reads show the tree of their zxid",
            || format!("{kind:?} {path} at {zxid}: {err:?} {shown:?}, and not {truth:?}"),
        )?;
        Ok(shown.is_some())
    }
}

/// What the body of a reply says; what it does not say is taken from `truth`.
fn read_state(
    kind: ReadKind,
    r: &mut Reader,
    truth: Option<&State>,
) -> Result<State, jute::DecodeError> {
    let mut state = truth.cloned().unwrap_or(State {
        data: Bytes::new(),
        stat: Stat::default(),
        children: 0,
    });
    match kind {
        ReadKind::Exists => {}
        ReadKind::Data => state.data = r.buffer()?.unwrap_or_default(),
        ReadKind::Children => {
            let names: Option<Vec<Str>> = Wire::read(r)?;
            let names = names.unwrap_or_default();
            state.children = names_hash(names.iter().map(Str::as_str));
        }
    }
    state.stat = Wire::read(r)?;
    Ok(state)
}

fn take_frame(input: &mut BytesMut) -> Option<Bytes> {
    let length = i32::from_be_bytes(*input.first_chunk::<4>()?) as usize;
    if input.len() < 4 + length {
        return None;
    }
    let mut frame = input.split_to(4 + length);
    Some(frame.split_off(4).freeze())
}
