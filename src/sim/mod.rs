//! The simulator: whole ensembles with their clients, on one thread, from one seed.
//!
//! ```text
//!   Plan (from the seed) -> World: one queue of events, ordered by time and sequence
//!                             servers   real Replica, real storage over SimDisk, clocks that drift
//!                             net       links that keep their order, break, hang; one slot per election peer
//!                             clients   the real lanes and outboxes; pipelines, moves, watches, ephemerals
//!                             faults    crashes, torn writes, partitions, pauses, bad disks, jumping clocks
//!                             check     the invariants, after every step; the costly ones now and then
//! ```
//!
//! A run has two halves. While things go wrong, nothing wrong may be seen; once they stop going wrong, the ensemble
//! must come together within a bound, and everything that was acknowledged must be there, the same on every server.
//! The same seed gives the same run, event by event.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic of the simulator is a report, not an outage

mod boot;
pub mod check;
mod client_wire;
mod clients;
mod clock;
pub mod coverage;
pub mod disk;
mod election_net;
mod faults;
mod look;
mod machine;
mod net;
pub mod plan;
mod queue;
mod requests;
mod restores;
pub mod run;
mod shell;
#[cfg(test)]
mod tests;
mod world;

pub use check::Broken;
pub use coverage::Coverage;
pub use plan::Plan;
pub use run::{Options, Report};
pub use shell::Slip;
pub use world::World;

/// True time, or a stretch of it, in microseconds.
pub type Us = u64;
