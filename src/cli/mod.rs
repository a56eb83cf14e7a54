//! The command line.

mod args;
mod ask;
pub(crate) mod backup;
mod config;
mod doctor;
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
mod upstream;

pub use args::main;
