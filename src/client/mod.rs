//! A client of any ZooKeeper server, for the commands of `oxkeeper`.
//!
//! ```text
//!   Client::create, get_data, ...  --Request-->  link: one task  --frames-->  a server of the list
//!       <-------- Reply, in order ------------      |
//!   Events::next  <----- states, watch events ------'      (on loss: next server, same session, watches again)
//! ```
//!
//! - Requests of one [`Client`] (clone it freely) are sent in the order in which their futures are first polled,
//!   without waiting for each other: many are in flight on one connection.
//! - What was in flight when the connection broke ends with [`Error::ConnectionLoss`]: it may or may not have
//!   happened. The session goes on with the next server; watches and identities are registered again.
//! - Everything is bounded: requests waiting to be sent, bytes written ahead, frames read, events nobody has taken.
//!   Who keeps [`Events`] takes them; when a thousand wait, the connection is not read until some are taken.
//! - A server that sends what it may not (a wrong length, a reply out of order, a record that does not end where its
//!   frame does) is a broken connection or an [`Error::BadReply`], never a panic.

mod codes;
mod error;
mod handshake;
mod link;
mod ops;
mod path;
mod request;
mod servers;
mod session;
mod watches;

pub use codes::code_text;
pub use error::Error;
pub(crate) use handshake::{Credentials, shake_hands};
pub use ops::{CreateMode, open_acl};
pub use path::{PathError, check_path};
pub use servers::{Servers, ServersError};
pub use session::{Client, Event, EventKind, Events, Options, State};
pub use watches::{RemoveKind, WatchMode};

#[cfg(test)]
mod tests;
