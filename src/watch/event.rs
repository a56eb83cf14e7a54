//! What a watch event says.

/// What happened to a znode, with its number on the wire.
///
/// Source: `Watcher.Event.EventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum EventKind {
    /// It exists now.
    Created = 1,
    /// It exists no more.
    Deleted = 2,
    /// Its data was set.
    DataChanged = 3,
    /// A child was created or deleted.
    ChildrenChanged = 4,
}
