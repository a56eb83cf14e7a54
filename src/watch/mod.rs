//! Watches: who wants to hear of which path, and what a change tells them.

mod event;
mod slab;
mod table;

pub use event::EventKind;
pub use table::{Mode, On, Summary, Table, Watcher};
