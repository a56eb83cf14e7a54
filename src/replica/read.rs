//! Requests that order nothing: check, set the watch, reply, all under the caller's guard.
//!
//! Source: `FinalRequestProcessor.processRequest`.

use jute::data::{Id, Stat};
use jute::proto::{
    AddWatchRequest, MultiHeader, MultiOp, ReplyHeader, SetWatches2, WatchableRequest, xid,
};
use jute::{ErrorCode, OpCode, Str, Writer};

use super::conn::Conn;
use super::gate::Gate;
use super::measures::utf16;
use super::outbox::Wakes;
use super::request::ReadRequest;
use crate::auth::{self, perms};
use crate::base::SessionId;
use crate::base::flaw::Flaw;
use crate::config::limits::PATHS_PER_GUARD;
use crate::tree::{DescendantWalk, Tree, Znode};
use crate::watch::{EventKind, Mode, On};

/// How far a request got that needs more than one guard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    paths: usize,
    walk: DescendantWalk,
    payload: Option<u64>,
}

impl Progress {
    /// Characters of what was read at the request's path, where that is counted. Source: `DataTree.updateReadStat`.
    pub fn payload(&self) -> Option<u64> {
        self.payload
    }
}

/// One read of one connection, under a guard of the gate.
pub struct Read<'a> {
    /// The gate the guard is of.
    pub gate: &'a Gate,
    /// The tree under the guard.
    pub tree: &'a Tree,
    /// Who asks.
    pub conn: &'a Conn,
    /// The session of the connection.
    pub session: SessionId,
    /// The identities the request was received with.
    pub ids: &'a [Id],
    /// The request's xid.
    pub xid: i32,
}

impl Read<'_> {
    /// Serves `request`; the reply is in the outbox afterwards. Returns the zxid of the reply's
    /// header; None if there is more to do than one guard should be held for, and the same is to be
    /// called again under another.
    pub fn run(
        &self,
        request: &ReadRequest,
        progress: &mut Progress,
        wakes: &mut Wakes,
    ) -> Option<i64> {
        let zxid = self.tree.last_zxid().0;
        match self.serve(request, progress, wakes) {
            Ok(true) => Some(zxid),
            Ok(false) => None,
            Err(ErrorCode::UNIMPLEMENTED) => {
                self.send(wakes, -1, ErrorCode::UNIMPLEMENTED, |_| ());
                self.conn.outbox.finish(wakes);
                Some(-1)
            }
            Err(err) => {
                self.send(wakes, zxid, err, |_| ());
                Some(zxid)
            }
        }
    }

    /// False if it needs another guard.
    fn serve(
        &self,
        request: &ReadRequest,
        progress: &mut Progress,
        wakes: &mut Wakes,
    ) -> Result<bool, ErrorCode> {
        match request {
            ReadRequest::GetAllChildrenNumber(path) => {
                let (znode, walk) = (self.readable(path.as_ref())?, &mut progress.walk);
                // Java compares texts: below the empty path it counts the root as well.
                let root_too = usize::from(path.as_deref() == Some(""));
                match self.tree.count_descendants(znode, walk, PATHS_PER_GUARD) {
                    Some(count) => self.ok(wakes, |w| w.i32((count + root_too) as i32))?,
                    None => return Ok(false),
                }
            }
            ReadRequest::SetWatches(request) | ReadRequest::SetWatches2(request) => {
                if !self.set_watches(request, &mut progress.paths, wakes)? {
                    return Ok(false);
                }
                self.ok(wakes, |_| ())?;
            }
            _ => self.answer(request, &mut progress.payload, wakes)?,
        }
        Ok(true)
    }

    /// What one guard is enough for.
    fn answer(
        &self,
        request: &ReadRequest,
        payload: &mut Option<u64>,
        wakes: &mut Wakes,
    ) -> Result<(), ErrorCode> {
        match request {
            ReadRequest::Ping => {
                let header = ReplyHeader {
                    xid: xid::PING,
                    zxid: self.tree.last_zxid().0,
                    err: ErrorCode::OK,
                };
                self.conn.outbox.reply(wakes, |out| {
                    Writer::for_client(out).framed(|w| w.put(&header));
                });
                Ok(())
            }
            ReadRequest::Exists(request) => {
                self.exists(request, wakes)?;
                *payload = Some(0);
                Ok(())
            }
            ReadRequest::GetData(request) => {
                let znode = self.readable(request.path.as_ref())?;
                self.watch_if(request, On::Data);
                let data = self.tree.data(znode);
                *payload = Some(data.map_or(0, |data| data.len() as u64));
                self.ok(wakes, |w| {
                    w.buffer(data);
                    w.put(&self.tree.stat(znode));
                })
            }
            ReadRequest::GetChildren(request) => {
                let znode = self.readable(request.path.as_ref())?;
                self.watch_if(request, On::Child);
                self.ok(wakes, |w| *payload = Some(self.children(znode, w)))
            }
            ReadRequest::GetChildren2(request) => {
                let znode = self.readable(request.path.as_ref())?;
                self.watch_if(request, On::Child);
                self.ok(wakes, |w| {
                    *payload = Some(self.children(znode, w));
                    w.put(&self.tree.stat(znode));
                })
            }
            ReadRequest::GetAcl(path) => self.get_acl(path.as_ref(), wakes),
            ReadRequest::GetEphemerals(prefix) => self.get_ephemerals(prefix.as_deref(), wakes),
            ReadRequest::Sync(path) => self.ok(wakes, |w| w.text(path.as_deref())),
            ReadRequest::MultiRead(request) => self.multi_read(&request.ops, wakes),
            ReadRequest::WhoAmI => {
                let info = Some(auth::who_am_i(self.ids));
                self.ok(wakes, |w| w.put(&info))
            }
            ReadRequest::AddWatch(_)
            | ReadRequest::CheckWatches(_)
            | ReadRequest::RemoveWatches(_) => self.serve_watch(request, wakes),
            ReadRequest::Throttled => Err(ErrorCode::THROTTLED_OP),
            ReadRequest::Undecodable(op) => {
                self.audit_undecodable(*op);
                Err(ErrorCode::MARSHALLING_ERROR)
            }
            ReadRequest::GetAllChildrenNumber(_)
            | ReadRequest::SetWatches(_)
            | ReadRequest::SetWatches2(_)
            | ReadRequest::Unknown(_) => Err(ErrorCode::UNIMPLEMENTED),
        }
    }

    /// Requests that only move watches.
    fn serve_watch(&self, request: &ReadRequest, wakes: &mut Wakes) -> Result<(), ErrorCode> {
        match request {
            ReadRequest::AddWatch(request) => self.add_watch(request, wakes),
            ReadRequest::CheckWatches(request) => {
                let path = watch_path(request.kind, request.path.as_ref())?;
                self.found(self.gate.has_watch(self.conn, request.kind, path), wakes)
            }
            ReadRequest::RemoveWatches(request) => {
                let path = watch_path(request.kind, request.path.as_ref())?;
                self.found(self.gate.unwatch(self.conn, request.kind, path), wakes)
            }
            _ => Err(ErrorCode::MARSHALLING_ERROR),
        }
    }

    fn found(&self, found: bool, wakes: &mut Wakes) -> Result<(), ErrorCode> {
        if found {
            self.ok(wakes, |_| ())
        } else {
            Err(ErrorCode::NO_WATCHER)
        }
    }

    /// The znode at `path`, if there is one and the caller may READ it.
    fn readable(&self, path: Option<&Str>) -> Result<Znode, ErrorCode> {
        let path = path.ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let znode = self.tree.find(path).ok_or(ErrorCode::NO_NODE)?;
        self.check(znode, perms::READ)?;
        Ok(znode)
    }

    fn check(&self, znode: Znode, wanted: i32) -> Result<(), ErrorCode> {
        match self.gate.permits(self.tree.acl(znode), wanted, self.ids) {
            true => Ok(()),
            false => Err(ErrorCode::NO_AUTH),
        }
    }

    /// The only read whose watch is set on a missing znode too.
    fn exists(&self, request: &WatchableRequest, wakes: &mut Wakes) -> Result<(), ErrorCode> {
        let path = request
            .path
            .as_deref()
            .ok_or(ErrorCode::MARSHALLING_ERROR)?;
        if path.contains('\0') {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let znode = self.tree.find(path);
        if let Some(znode) = znode {
            self.check(znode, perms::READ)?;
        }
        self.watch_if(request, On::Data);
        let znode = znode.ok_or(ErrorCode::NO_NODE)?;
        self.ok(wakes, |w| w.put(&self.tree.stat(znode)))
    }

    fn get_acl(&self, path: Option<&Str>, wakes: &mut Wakes) -> Result<(), ErrorCode> {
        let path = path.ok_or(ErrorCode::MARSHALLING_ERROR)?;
        let znode = self.tree.find(path).ok_or(ErrorCode::NO_NODE)?;
        self.check(znode, perms::READ | perms::ADMIN)?;
        let acl = self.tree.acl(znode);
        let shown = match self.check(znode, perms::ADMIN) {
            Ok(()) => acl.to_vec(),
            Err(_) => auth::mask(acl),
        };
        let stat = self.tree.stat(znode);
        self.ok(wakes, |w| {
            w.put(&Some(shown));
            w.put(&stat);
        })
    }

    fn get_ephemerals(&self, prefix: Option<&str>, wakes: &mut Wakes) -> Result<(), ErrorCode> {
        let all = prefix.is_none_or(|prefix| matches!(java_trim(prefix), "" | "/"));
        let wanted = |path: &String| all || prefix.is_some_and(|prefix| path.starts_with(prefix));
        let paths: Vec<Str> = self
            .tree
            .ephemerals(self.session)
            .filter(wanted)
            .map(Str::from)
            .collect();
        self.ok(wakes, |w| w.put(&Some(paths)))
    }

    /// Each op is answered on its own. At a write, and at a null path, Java fails, but sends the body
    /// it has so far.
    fn multi_read(&self, ops: &[MultiOp], wakes: &mut Wakes) -> Result<(), ErrorCode> {
        let fit = |op: &MultiOp| {
            matches!(
                op,
                MultiOp::GetData(Some(_)) | MultiOp::GetChildren(Some(_))
            )
        };
        let good = ops.iter().take_while(|op| fit(op)).count();
        let err = if good == ops.len() {
            ErrorCode::OK
        } else {
            ErrorCode::MARSHALLING_ERROR
        };
        self.send(wakes, self.tree.last_zxid().0, err, |w| {
            for op in &ops[..good] {
                self.multi_read_op(op, w);
            }
            w.put(&MultiHeader::END);
        });
        Ok(())
    }

    fn multi_read_op(&self, op: &MultiOp, w: &mut Writer<'_>) {
        let (code, found) = match op {
            MultiOp::GetData(path) => (jute::Op::GetData, self.readable(path.as_ref())),
            MultiOp::GetChildren(path) => (jute::Op::GetChildren, self.readable(path.as_ref())),
            _ => return,
        };
        match found {
            Ok(znode) => {
                w.put(&MultiHeader {
                    op: code.into(),
                    done: false,
                    err: 0,
                });
                if code == jute::Op::GetData {
                    w.buffer(self.tree.data(znode));
                    w.put(&self.tree.stat(znode));
                } else {
                    self.children(znode, w);
                }
            }
            Err(ErrorCode(err)) => {
                w.put(&MultiHeader {
                    op: OpCode(-1),
                    done: false,
                    err,
                });
                w.i32(err);
            }
        }
    }

    fn add_watch(&self, request: &AddWatchRequest, wakes: &mut Wakes) -> Result<(), ErrorCode> {
        match (request.mode, request.path.as_deref()) {
            (0, Some(path)) => self.watch_persistent(path),
            (1, Some(path)) => self.gate.watch(self.conn, On::Data, path, Mode::Recursive),
            // Java notes a watch on null, which nothing ever triggers.
            (0 | 1, None) => {}
            _ => return Err(ErrorCode::MARSHALLING_ERROR),
        }
        self.ok(wakes, |w| w.i32(ErrorCode::OK.0))
    }

    /// Watches a client sets again after a reconnect. What changed meanwhile is told at once and
    /// not watched. Goes on after the `done` paths; false if there are more than one guard should
    /// be held for.
    ///
    /// Source: `DataTree.setWatches`.
    fn set_watches(
        &self,
        request: &SetWatches2,
        done: &mut usize,
        wakes: &mut Wakes,
    ) -> Result<bool, ErrorCode> {
        let lists = [
            (Again::Data, &request.data_watches),
            (Again::Exists, &request.exist_watches),
            (Again::Child, &request.child_watches),
            (Again::Persistent, &request.persistent_watches),
            (Again::Recursive, &request.persistent_recursive_watches),
        ];
        let (mut skip, mut left) = (*done, PATHS_PER_GUARD);
        for (kind, list) in lists {
            let list = list.as_deref().ok_or(ErrorCode::MARSHALLING_ERROR)?;
            let from = skip.min(list.len());
            skip -= from;
            for path in &list[from..] {
                if left == 0 {
                    return Ok(false);
                }
                self.set_again(kind, path, request.relative_zxid, wakes);
                left -= 1;
                *done += 1;
            }
        }
        Ok(true)
    }

    fn set_again(&self, kind: Again, path: &str, since: i64, wakes: &mut Wakes) {
        let since = match Flaw::WatchesSetAgainBlindly.is_made() {
            true => i64::MAX,
            false => since,
        };
        let stat = self.tree.find(path).map(|znode| self.tree.stat(znode));
        let (gate, conn) = (self.gate, self.conn);
        match (kind, stat) {
            (Again::Data | Again::Child, None) => self.tell(EventKind::Deleted, path, wakes),
            (Again::Data, Some(Stat { mzxid, .. })) if mzxid > since => {
                self.tell(EventKind::DataChanged, path, wakes);
            }
            (Again::Child, Some(Stat { pzxid, .. })) if pzxid > since => {
                self.tell(EventKind::ChildrenChanged, path, wakes);
            }
            (Again::Exists, Some(_)) => self.tell(EventKind::Created, path, wakes),
            (Again::Data | Again::Exists, _) => gate.watch(conn, On::Data, path, Mode::Standard),
            (Again::Child, Some(_)) => gate.watch(conn, On::Child, path, Mode::Standard),
            (Again::Persistent, _) => self.watch_persistent(path),
            (Again::Recursive, _) => gate.watch(conn, On::Data, path, Mode::Recursive),
        }
    }

    fn tell(&self, kind: EventKind, path: &str, wakes: &mut Wakes) {
        self.gate.notify(self.conn, kind, path, -1, wakes);
    }

    fn watch_if(&self, request: &WatchableRequest, on: On) {
        if let (true, Some(path)) = (request.watch, &request.path) {
            self.gate.watch(self.conn, on, path, Mode::Standard);
        }
    }

    fn watch_persistent(&self, path: &str) {
        self.gate
            .watch(self.conn, On::Child, path, Mode::Persistent);
        self.gate.watch(self.conn, On::Data, path, Mode::Persistent);
    }

    /// Returns how many characters the names have.
    fn children(&self, znode: Znode, w: &mut Writer<'_>) -> u64 {
        let mut characters = 0;
        w.i32(self.tree.child_count(znode));
        for name in self.tree.children(znode) {
            characters += utf16(name);
            w.text(Some(name));
        }
        characters
    }

    fn ok(&self, wakes: &mut Wakes, body: impl FnOnce(&mut Writer<'_>)) -> Result<(), ErrorCode> {
        self.send(wakes, self.tree.last_zxid().0, ErrorCode::OK, body);
        Ok(())
    }

    fn send(
        &self,
        wakes: &mut Wakes,
        zxid: i64,
        err: ErrorCode,
        body: impl FnOnce(&mut Writer<'_>),
    ) {
        let header = ReplyHeader {
            xid: self.xid,
            zxid,
            err,
        };
        self.conn.outbox.reply(wakes, |out| {
            Writer::for_client(out).framed(|w| {
                w.put(&header);
                body(w);
            });
        });
    }
}

/// The path of a checkWatches or removeWatches whose kind is one of the five.
fn watch_path(kind: i32, path: Option<&Str>) -> Result<&str, ErrorCode> {
    match (kind, path) {
        (1..=5, Some(path)) => Ok(path),
        (1..=5, None) => Err(ErrorCode::NO_WATCHER),
        _ => Err(ErrorCode::MARSHALLING_ERROR),
    }
}

/// The lists of a setWatches.
#[derive(Clone, Copy, Debug)]
enum Again {
    Data,
    Exists,
    Child,
    Persistent,
    Recursive,
}

/// Without the characters up to U+0020 at both ends. Source: `String.trim`.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}
