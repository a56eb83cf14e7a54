//! Configuration: text in, one immutable value out. Reads no file, no clock and no environment
//! itself.
//!
//! ```text
//!   zoo.cfg bytes ---> raw::RawConfig --+
//!   dynamic file ----> raw::RawConfig --+--> lookup + keys (the table) --> server::Config { member: .. }
//!   myid, -D words ---------------------+          all problems at once, each with file and line
//! ```
//!
//! What a key means, its default and its unit stand once, in [`keys`]. A key nobody knows is a
//! warning, because Java starts with it; a bad value of a known key is an error wherever Java
//! refuses it.

mod admin;
pub mod ensemble;
mod fill;
mod java_order;
pub mod jvm;
pub mod keys;
pub mod limits;
mod lookup;
pub mod member;
mod metrics;
mod mode;
mod numbers;
mod problem;
pub mod raw;
pub mod reference;
mod security;
pub mod server;
mod table;

pub use ensemble::HostPort;
pub use member::Membership;
pub use metrics::Prometheus;
pub use problem::{Invalid, Problem, Severity};
pub use server::{
    AuditLog, Compression, Config, ConfigSources, FourLetterWhitelist, Loaded, Pointers,
};

#[cfg(test)]
mod member_tests;
#[cfg(test)]
mod tests;
