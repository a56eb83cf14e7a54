//! The gate between the one writer of the tree and its many readers.
//!
//! ```text
//!   commit loop:        gate.write -> apply, trigger watches, fill outboxes -> release -> wake
//!   connection task:    gate.read  -> check, set the watch, fill the outbox -> release
//! ```
//!
//! Everything a reply says is decided under one guard: permission, data, stat, zxid, and the watch it sets. So no
//! event precedes the reply that set its watch, and no reply precedes an event it already reflects.
//! Lock order: gate, then the watch table, then an outbox.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use jute::data::Acl;
use jute::proto::{ReplyHeader, xid};
use jute::{ErrorCode, Str, Writer};
use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use rustc_hash::FxHashMap;

use super::conn::{Conn, ConnId};
use super::outbox::Wakes;
use crate::auth::{self, AuthOptions};
use crate::base::Zxid;
use crate::metrics::Metrics;
use crate::tree::{Change, Tree};
use crate::watch::{EventKind, Mode, On, Table};

/// The tree, the watches on it, and the connections that may have set them.
pub struct Gate {
    tree: RwLock<Tree>,
    watches: Mutex<Table>,
    conns: RwLock<FxHashMap<ConnId, Arc<Conn>>>,
    auth: AuthOptions,
    notification_limit: usize,
    in_ensemble: AtomicBool,
    audit_user: OnceLock<Str>,
}

impl Gate {
    /// A gate before `tree`. A connection with more than `notification_limit` bytes of unsent notifications is closed.
    pub fn new(tree: Tree, auth: AuthOptions, notification_limit: usize) -> Self {
        Gate {
            tree: RwLock::new(tree),
            watches: Mutex::default(),
            conns: RwLock::default(),
            auth,
            notification_limit,
            in_ensemble: AtomicBool::new(false),
            audit_user: OnceLock::new(),
        }
    }

    /// From now on changes are told to the audit log; what the server does itself it does as `user`.
    pub fn audit_as(&self, user: Str) {
        let _ = self.audit_user.set(user);
    }

    /// The server's own user; None where no audit log is kept.
    pub fn audit_user(&self) -> Option<&Str> {
        self.audit_user.get()
    }

    /// The server is a member of an ensemble.
    pub fn join_ensemble(&self) {
        self.in_ensemble.store(true, Ordering::Relaxed);
    }

    /// Whether the tree alone answers a sync; in an ensemble the leader has to be asked.
    pub fn answers_syncs(&self) -> bool {
        !self.in_ensemble.load(Ordering::Relaxed)
    }

    /// Runs `read` while nothing is applied.
    pub fn read<T>(&self, read: impl FnOnce(&Tree) -> T) -> T {
        read(&self.tree.read())
    }

    /// Keeps readers out. Only the commit loop calls this.
    pub fn write(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write()
    }

    /// Whether nobody holds a guard.
    #[cfg(test)]
    pub(super) fn is_free(&self) -> bool {
        self.tree.try_write().is_some()
    }

    /// How identities are judged.
    pub fn auth(&self) -> &AuthOptions {
        &self.auth
    }

    /// Whether `ids` may do `wanted` under `acl`.
    pub fn permits(&self, acl: &[Acl], wanted: i32, ids: &[jute::data::Id]) -> bool {
        auth::permits(&self.auth, acl, wanted, ids)
    }

    /// Makes `conn` known to watches and statistics.
    pub fn add_conn(&self, conn: Arc<Conn>) {
        self.conns.write().insert(conn.id, conn);
    }

    /// Forgets `conn` and its watches; none can be set afterwards.
    pub fn drop_conn(&self, conn: &Conn) {
        let mut watches = self.watches.lock();
        conn.set_gone();
        watches.drop_watcher(conn.id);
        drop(watches);
        self.conns.write().remove(&conn.id);
    }

    /// Every connection, in no order.
    pub fn conns(&self) -> Vec<Arc<Conn>> {
        self.conns.read().values().cloned().collect()
    }

    /// Connections open now.
    pub fn conn_count(&self) -> usize {
        self.conns.read().len()
    }

    /// Runs `look` over the watch table.
    pub fn with_watches<T>(&self, look: impl FnOnce(&Table) -> T) -> T {
        look(&self.watches.lock())
    }

    /// Sets a watch for `conn`, unless it is gone.
    pub fn watch(&self, conn: &Conn, on: On, path: &str, mode: Mode) {
        let mut watches = self.watches.lock();
        if !conn.is_gone() {
            watches.add(on, path, conn.id, mode);
        }
    }

    /// Whether `conn` has a watch of `kind` (1 to 5) on `path`.
    pub fn has_watch(&self, conn: &Conn, kind: i32, path: &str) -> bool {
        self.watches.lock().contains(kind, path, conn.id)
    }

    /// Removes the watches of `kind` (1 to 5) that `conn` has on `path`; false if there was none.
    pub fn unwatch(&self, conn: &Conn, kind: i32, path: &str) -> bool {
        self.watches.lock().remove(kind, path, conn.id)
    }

    /// Sends the events of `changes`, caused by `zxid`, to everyone who watches and may read.
    ///
    /// A watch is used up even where its event is withheld for lack of READ, as in Java.
    /// Source: `WatchManager.triggerWatch`, `NIOServerCnxn.process`.
    pub fn trigger(&self, changes: &[Change], zxid: Zxid, metrics: &Metrics, wakes: &mut Wakes) {
        let mut watches = self.watches.lock();
        if watches.is_empty() {
            return;
        }
        let conns = self.conns.read();
        for change in changes {
            let mut told = [0_u64; EVENT_KINDS];
            watches.trigger(
                change.kind,
                &change.path,
                &mut |watcher, kind, path, on_parent| {
                    told[kind as usize - 1] += 1;
                    let Some(conn) = conns.get(&watcher) else {
                        return;
                    };
                    let acl = if on_parent {
                        &change.parent_acl
                    } else {
                        &change.acl
                    };
                    if self.permits(acl, auth::perms::READ, &conn.identities()) {
                        self.notify(conn, kind, path, zxid.0, wakes);
                    }
                },
            );
            record(metrics, told);
        }
    }

    /// Appends one event to what `conn` is owed. `zxid` is -1 for an event that no transaction caused.
    pub fn notify(&self, conn: &Conn, kind: EventKind, path: &str, zxid: i64, wakes: &mut Wakes) {
        let limit = self.notification_limit;
        let fits = conn.outbox.notify(wakes, limit, |out| {
            Writer::for_client(out).framed(|w| {
                w.put(&ReplyHeader {
                    xid: xid::NOTIFICATION,
                    zxid,
                    err: ErrorCode::OK,
                });
                w.i32(kind as i32);
                w.i32(SYNC_CONNECTED);
                w.text(Some(path));
            });
        });
        if !fits {
            let remote = conn.remote;
            tracing::warn!(
                "{remote}: closed, it left {limit} bytes of watch events unread; the client hangs, or watches \
                 more than it can take"
            );
        }
    }
}

/// Kinds of events, numbered from 1.
const EVENT_KINDS: usize = EventKind::ChildrenChanged as usize;

/// Watchers that were concerned, by the kind of event. Source: `WatchManager.triggerWatch`.
fn record(metrics: &Metrics, told: [u64; EVENT_KINDS]) {
    let [created, deleted, changed, children] = told;
    for (watchers, summary) in [
        (created, &metrics.node_created_watch_count),
        (deleted, &metrics.node_deleted_watch_count),
        (changed, &metrics.node_changed_watch_count),
        (children, &metrics.node_children_watch_count),
    ] {
        if watchers > 0 {
            summary.record(watchers);
        }
    }
}

/// The keeper state every event of a server carries.
const SYNC_CONNECTED: i32 = 3;
