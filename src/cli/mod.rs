//! The command line.

mod args;
mod server;

pub use args::main;
