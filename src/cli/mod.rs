//! The command line.

mod args;
mod ask;
mod backup;
mod restore;
mod server;

pub use args::main;
