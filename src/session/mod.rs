//! Sessions: their ids and passwords, and when they expire.

mod id;
pub mod password;
mod tracker;

pub use id::IdSource;
pub use tracker::Tracker;
