//! The server from outside, byte by byte: what a client sees of limits, order, throttles and the
//! end.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on has failed

mod admin;
mod backup;
mod bench;
mod ensemble;
mod handshake;
mod limits;
mod metrics;
mod order;
mod process;
mod rawzk;
mod server;
mod slow;
mod throttles;
mod top;
