//! Watches.

use crate::Str;
use crate::record::records;

records! {
    /// One-shot watches a client registers again after a reconnect.
    SetWatches {
        /// Highest zxid the client has seen.
        relative_zxid: i64,
        /// Paths watched with getData or exists on an existing znode.
        data_watches: Option<Vec<Str>>,
        /// Paths watched with exists on a missing znode.
        exist_watches: Option<Vec<Str>>,
        /// Paths watched with getChildren.
        child_watches: Option<Vec<Str>>,
    }
    /// As [`SetWatches`], with persistent watches.
    SetWatches2 {
        /// As [`SetWatches::relative_zxid`].
        relative_zxid: i64,
        /// As [`SetWatches::data_watches`].
        data_watches: Option<Vec<Str>>,
        /// As [`SetWatches::exist_watches`].
        exist_watches: Option<Vec<Str>>,
        /// As [`SetWatches::child_watches`].
        child_watches: Option<Vec<Str>>,
        /// Paths with a persistent watch.
        persistent_watches: Option<Vec<Str>>,
        /// Paths with a persistent recursive watch.
        persistent_recursive_watches: Option<Vec<Str>>,
    }
    /// Body of a notification.
    WatcherEvent {
        /// 1 created, 2 deleted, 3 data changed, 4 children changed.
        kind: i32,
        /// Always 3, SyncConnected, from a server.
        state: i32,
        /// The znode that changed.
        path: Option<Str>,
    }
    /// Body of checkWatches and removeWatches.
    WatchesRequest {
        /// Exact path of the watch.
        path: Option<Str>,
        /// 1 children, 2 data, 3 any, 4 persistent, 5 persistent recursive.
        kind: i32,
    }
    /// Body of addWatch.
    AddWatchRequest {
        /// Where to watch; need not exist.
        path: Option<Str>,
        /// 0 persistent, 1 persistent recursive.
        mode: i32,
    }
}
