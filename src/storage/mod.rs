//! Bytes on disk, in Java's formats: the transaction log, snapshots, and how a server finds back to its state.
//!
//! ```text
//! runtime: log writer   --- append, sync --->  txnlog::LogWriter  ---+
//! runtime: snapshotter  --- body, finish --->  snapshot::Writer   ---+--> Disk (OsDisk, or the simulated one)
//! start                 --- recover -------->  snapshot + txnlog  ---+
//! a leader's word       --- truncate_to ---->  intent, txnlog     ---+
//!                       --- install -------->  intent, snapshot   ---+
//!                       --- save_accepted, save_current -> epochs ---+
//! ```
//!
//! Promises:
//! 1. What [`txnlog::LogWriter::sync`] returned for is there after every crash; what it did not may be there or not,
//!    but only as a whole and in order.
//! 2. A snapshot appears under its name only when it is complete and durable.
//! 3. [`recover`] comes back with everything that was acknowledged, or with an error that says what is in the way.
//!    It cuts and deletes nothing before all of it was found readable.
//! 4. [`truncate_to`] and [`install::install`] are done or not done after every crash; nothing that was acknowledged is
//!    given up before what takes its place is durable.
//!
//! Nothing in here looks at a clock or keeps a thread; files are reached through [`Disk`] alone.
//! Source: package `org.apache.zookeeper.server.persistence`.

pub mod atomic;
mod disk;
pub mod epochs;
mod error;
pub mod install;
mod intent;
pub mod names;
mod os_disk;
pub mod purge;
mod recover;
pub mod snap_policy;
pub mod snapshot;
mod truncate;
pub mod txnlog;

pub use disk::{Disk, DiskFile, MemoryFile};
pub use error::StorageError;
pub use names::{
    Dirs, INITIALIZE, VERSION_DIR, log_name, logs, received_name, snapshot_name, snapshots,
};
pub use os_disk::OsDisk;
pub use recover::{
    Base, DigestReport, RecoverOptions, Recovered, Rewound, recover, recover_telling, rewind,
};
pub use truncate::{Truncated, Truncation, truncate_to};

#[cfg(test)]
mod tests;
