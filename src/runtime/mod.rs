//! The only place that touches the world: threads, real time, signals, and how the parts are put together.

pub mod clock;
mod commit_loop;
pub mod data_lock;
mod durable;
pub mod election_links;
mod ensemble;
mod entropy;
mod log_instruments;
mod log_reader;
pub mod log_writer;
mod loop_instruments;
pub mod mailbox;
mod memory;
pub mod os_user;
pub mod peer_links;
pub mod ports;
pub mod pulse;
pub mod recovery;
pub mod restored;
mod shutdown;
mod snapshot_streams;
mod snapshotter;
mod wiring;

pub use shutdown::Asked;
pub use wiring::{Server, StartError};

/// Ends the process with status 1 because going on would risk data. What was acknowledged is durable.
///
/// Source: `ZooKeeperCriticalThread`, `ExitCode.UNEXPECTED_ERROR`.
fn stop_for_good(why: &str) -> ! {
    tracing::error!("{why}; stopping, so that nothing is acknowledged that is not on disk");
    std::process::exit(1)
}
