//! The generator of load, for `oxkeeper bench` and the benchmarks.
//!
//! ```text
//!   Run::begin --threads--> Crew --tasks--> Link --bytes--> a server
//!       ^                                     |
//!       '------- Tally, taken now and then <--+--- Pipe: what is due, what is in flight, what answers say
//!                                                    '--- Plan: which Template is next, for which znode
//! ```
//!
//! - It mostly shares the machine with a server, so it must cost less than the server: request bytes are built once
//!   and only xid and the numbers in the path are patched, an answer is its length, xid and error code, the clock is
//!   read once for whatever one read brought, and that is answered with one write.
//! - Every answer is checked: it is to the oldest request, and its length is the only right one. A server that says
//!   what no server may loses the connection, and that is counted.
//! - Latency counts from when a request was due. At a fixed rate that is a point in time, whether the server keeps up
//!   or not; otherwise it is when there was room for it.
//! - A connection that breaks is replaced with one to the next server, with the same session if that is still there.
//!   What was in flight is sent again, and its latency goes on counting.
//! - [`Pipe`], [`Plan`] and what they stand on know neither clock nor socket; that is all in [`Run`] and below.
//!
//! [`Pipe`]: pipe::Pipe

mod alarm;
mod drive;
mod keys;
mod pipe;
mod plan;
mod run;
mod sessions;
mod shared;
mod tally;
mod template;
pub mod wire;

pub use keys::{Keys, Zipf};
pub use plan::Plan;
pub use run::{Busy, Job, Length, Run, Settings};
pub use shared::Identity;
pub use tally::{AtServer, Counts, Kind, Latencies, Tally, Window};
pub use template::{Pattern, Template};
