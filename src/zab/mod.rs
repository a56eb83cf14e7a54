//! The ordering protocol, without sockets, files, clocks or threads.
//!
//! ```text
//!   commit loop or simulator                              Peer
//!   what happened on links and disk  --- step, tick --->  +------------------------------------------+
//!   what the server wants            --- propose, .. -->  | Election    who leads (votes)            |
//!                                                         | Leader      agrees on an epoch, orders   |
//!   links, disk, tree                <-- next_effect ---  | Learner     takes over history, follows  |
//!                                                         +------------------------------------------+
//! ```
//!
//! Effects are drained fully after every call. [`io`] names all that goes in and comes out.
//!
//! A standalone server is a leader with a quorum of one: its own log. A proposal is delivered once a quorum has it on
//! disk, never before, and strictly in zxid order.
//! Source: Zab (DSN 2011); `Leader`, `Learner`, `QuorumPeer`.

mod core;
pub mod election;
mod error;
pub mod history;
pub mod io;
mod leader;
mod learner;
pub mod mistake;
pub mod packet;
mod peer;
pub mod quorum;
pub mod sync_plan;
pub mod timer;
pub mod vote;

#[cfg(test)]
mod tests;

pub use error::LinkError;
pub use io::{Effect, Input};
pub use peer::Peer;

use bytes::Bytes;
use jute::txn::LoggedTxn;

use crate::base::Zxid;

/// A transaction with its place in the order.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// Where it stands.
    pub zxid: Zxid,
    /// What it does, decoded. Apart, because a proposal is moved often.
    pub txn: Box<LoggedTxn>,
    /// The same as the log and the wire carry it.
    pub payload: Bytes,
}
