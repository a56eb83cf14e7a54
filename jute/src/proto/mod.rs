//! Module `org.apache.zookeeper.proto`: what clients and servers say to each other.

mod connect;
mod header;
mod multi;
mod request;
mod response;
mod watch;

pub use connect::*;
pub use header::*;
pub use multi::*;
pub use request::*;
pub use response::*;
pub use watch::*;
