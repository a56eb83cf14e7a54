//! The command line.

// First, for its macros to be known below.
#[macro_use]
mod stdout;

mod args;
mod ask;
pub(crate) mod backup;
mod bench;
mod config;
mod doctor;
mod http;
mod java_text;
mod log;
mod notify;
mod progress;
mod purge;
mod restore;
mod server;
mod shell;
mod snapshot;
mod status;
mod top;
mod upstream;

pub use args::main;
