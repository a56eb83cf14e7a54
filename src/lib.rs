//! oxkeeper: a server that takes the place of Apache ZooKeeper.
//!
//! Strict layers, each of which may use only those above it in this list (`tests/tidy.rs` holds the
//! table). Everything that decides something is IO-free and deterministic: time, randomness, disk and
//! network are handed in. `docs/architecture.md` tells how the parts work together.
//!
//! - `jute` (a crate of its own): the wire and the files, each record declared once.
//! - [`base`]: zxids, ids, paths, points in time. [`config`]: texts to one immutable value.
//!   [`metrics`]: what a server counts and measures.
//! - [`tree`]: the znodes, one writer. [`watch`], [`session`], [`auth`]: who watches, lives, may.
//!   [`prep`]: judges writes against the tree and what is pending.
//! - [`storage`]: Java's files, through one narrow door to the disk.
//! - [`doctor`]: what is wrong with a data folder, and how it is put right.
//! - [`zab`]: the order of writes: election, leader, learner. A standalone server is a leader with a
//!   quorum of one.
//! - [`audit`]: what the audit log says of a request and its outcome.
//! - [`replica`]: one server, whole: routes inputs to the layers above and their outputs onward.
//! - [`runtime`]: threads, clocks, signals, and how the parts are put together.
//! - [`logging`]: where log lines go, and which.
//! - [`client_port`], [`admin`], [`cli`]: what clients, operators and shells talk to. [`client`]: the
//!   other end of a connection, for the commands that talk to servers.
//! - `sim` (tests, and the binary `zksim`): whole ensembles from one seed; see `docs/simulator.md`.
//!
//! Words of our own: a *lane* is what a session's connection and the commit loop share; the *gate*
//! lets many readers or the one writer at the tree; an *outbox* holds the bytes owed to one client; a
//! *frozen view* is the tree at one zxid while it changes on; an *effect* is what a core owes its
//! shell; *pending* is what was judged and not applied; a *rider* is a read behind its session's write.

pub mod admin;
pub mod audit;
pub mod auth;
pub mod base;
pub mod cli;
pub mod client;
pub mod client_port;
pub mod config;
pub mod doctor;
pub mod load;
pub mod logging;
pub mod metrics;
pub mod prep;
pub mod replica;
pub mod runtime;
pub mod session;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod storage;
#[cfg(test)]
mod testkit;
pub mod tree;
pub mod watch;
pub mod zab;
