//! The command line.

mod args;
mod ask;
mod server;

pub use args::main;
