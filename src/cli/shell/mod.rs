//! `oxkeeper cli`: zkCli, with its commands, its output and its exit codes.
//!
//! ```text
//!   terminal or pipe --lines--> [`lines`]: a thread ---> converse: one task ---> [`commands`] ---> `client`
//!        ^                                                   |        ^
//!        '---------------- [`print`] <-----------------------'--------'  watch events, as they come
//! ```
//!
//! Source: `ZooKeeperMain` and the package `cli` of the Java client. What differs is said in `docs/cli.md`.

mod commands;
mod config;
mod data;
mod failure;
mod invocation;
mod lines;
mod parse;
mod print;
mod quota;
mod session;
mod table;
mod terminal;
mod walk;

use std::process::ExitCode;

use invocation::Invocation;

pub use invocation::{CliArgs, HELP};

/// Runs the shell: the one command that the arguments hold, or what is typed or piped in.
pub fn run(args: CliArgs) -> ExitCode {
    let invocation = match Invocation::parse(&args.words) {
        Ok(invocation) => invocation,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("oxkeeper: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(session::Shell::run(invocation));
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    ExitCode::from(code)
}
